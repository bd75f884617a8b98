"""The cast of each kind of column: its values, and what is said of a text that is none."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import polars as pl

from csv_pipeline.account import BY_EVIDENCE, DecimalMark
from csv_pipeline.casts import (
    cells,
    currencies,
    dates,
    decimals,
    documents,
    integers,
    percents,
    times,
    timestamps,
    uuids,
)
from csv_pipeline.casts.reading import Reading
from csv_pipeline.spec.contract import Column, words_in
from csv_pipeline.spec.kinds import Kind

Reason = tuple[pl.Series, str, str]
"""In which rows a text is no value, the rule that it breaks, and what it needs."""


@dataclass(frozen=True, slots=True)
class Cast:
    """How the text of a column becomes values.

    `values` gives null for a text that is none. That breaks `rule`, unless one of the `reasons`
    for texts that are none says more. `declared` is the setting by which an account may say in
    which style values are written, and the styles there are.
    """

    values: Callable[[pl.Series, Column, Reading], pl.Series]
    rule: str = ""
    needed: Callable[[Column], str] = lambda _: ""
    reasons: Callable[[pl.Series, Column, Reading], Iterable[Reason]] = lambda *_: ()
    declared: tuple[str, tuple[str, ...]] | None = None


def _amount(column: Column) -> pl.Decimal:
    assert isinstance(column.dtype, pl.Decimal)  # noqa: S101  # the kind says so
    return column.dtype


def _currency(values: pl.Series, column: Column) -> pl.Series:
    """Return currencies, by the words that the column declares and by their own names."""
    stated = decimals.currency(values)
    return cells.choices(values, column).fill_null(stated) if column.choices else stated


_FLAGS = {"true": True, "false": False}
_MARK = ("decimal_mark", tuple(DecimalMark))
_ORDER = ("date_order", BY_EVIDENCE)
CASTS = {
    Kind.TEXT: Cast(lambda values, its, _: cells.text(values, its)),
    Kind.CHOICE: Cast(
        lambda values, its, _: cells.choices(values, its),
        "choice",
        lambda its: f"one of {', '.join(words_in(its.choices))}",
    ),
    Kind.CURRENCY: Cast(
        lambda values, its, _: _currency(values, its), "currency", lambda _: currencies.HINT
    ),
    Kind.INTEGER: Cast(
        lambda values, _, how: integers.cast(values, how.style),
        "integer",
        lambda _: integers.HINT,
        lambda values, _, how: integers.reasons(values, how.style),
        _MARK,
    ),
    Kind.DECIMAL: Cast(
        lambda values, its, how: decimals.cast(values, _amount(its), how.style),
        "decimal",
        lambda its: decimals.HINT.format(scale=_amount(its).scale),
        lambda values, its, how: decimals.reasons(values, _amount(its), how.style),
        _MARK,
    ),
    Kind.DATE: Cast(
        lambda values, _, how: dates.cast(values, how),
        "date",
        lambda _: dates.HINT,
        lambda values, _, how: dates.reasons(dates.read(values, how), "date"),
        _ORDER,
    ),
    Kind.TIME: Cast(
        lambda values, _, how: times.cast(values, how),
        "time",
        lambda _: times.NEEDED,
        lambda values, _, how: dates.reasons(times.read(values, how), "time"),
    ),
    Kind.TIMESTAMP: Cast(
        timestamps.cast, "timestamp", timestamps.needed, timestamps.reasons, _ORDER
    ),
    Kind.BOOLEAN: Cast(
        lambda values, its, _: cells.choices(values, its).replace_strict(
            _FLAGS, default=None, return_dtype=pl.Boolean
        ),
        "boolean",
        lambda its: f"one of {', '.join(words_in(its.choices))}",
    ),
    Kind.JSON: Cast(
        lambda values, *_: documents.cast(values),
        "json",
        lambda _: documents.HINT,
        lambda values, *_: documents.reasons(values),
    ),
    Kind.UUID: Cast(lambda values, *_: uuids.cast(values), "uuid", lambda _: uuids.HINT),
    Kind.PERCENT: Cast(
        lambda values, its, how: percents.cast(values, its, how.style),
        "percent",
        lambda its: percents.HINT.format(scale=_amount(its).scale),
        lambda values, its, how: percents.reasons(values, its, how.style),
        _MARK,
    ),
}
