"""Cells of every kind, before a value is made of them: what a spreadsheet has done, and ids."""

from collections.abc import Iterator
from functools import lru_cache

import polars as pl

from csv_pipeline.casts import decimals, identifiers, integers, spreadsheets
from csv_pipeline.contract import Column, Kind, choice_key


@lru_cache(maxsize=10_000)
def null_words(declared: frozenset[str]) -> tuple[str, ...]:
    """Return the cells, trimmed, that stand for no value whatever a cast makes of them."""
    return ("", *sorted(declared))


@lru_cache(maxsize=10_000)  # a feed's columns are the same in all its files
def is_odd(name: str, words: tuple[str, ...], *, is_id: bool) -> pl.Expr:
    """Return whether any trimmed cell of a column needs more than to be trimmed.

    It is one of the words for no value, comes from a spreadsheet, or is an id that is not plain.
    """
    value = pl.col(name)
    reasons = [*(value == word for word in words), spreadsheets.may_be(value)]
    if is_id:
        reasons.append(identifiers.may_be_odd(value))
    return pl.any_horizontal(reasons).any().alias(name)


def cleaned(values: pl.Series, column: Column, words: tuple[str, ...], *, is_id: bool) -> pl.Series:
    """Return trimmed cells without guards, ids in their one spelling, and null for no value."""
    name = values.name
    plain = values.to_frame().select(spreadsheets.unguarded(pl.col(name))).to_series()
    if is_id:
        plain = identifiers.cleaned(plain, column)
    return plain.to_frame().select(pl.when(~pl.col(name).is_in(words)).then(name)).to_series()


def damage(
    values: pl.Series, column: Column, *, is_id: bool, seen: bool
) -> Iterator[tuple[pl.Series, str, str]]:
    """Give which texts a spreadsheet has damaged, the rule that they break, and what was needed.

    Where a column is more than text its cast fails, and `reasons` tells why. `seen` says whether
    any cell of it may be an error.
    """
    if column.kind is not Kind.TEXT:
        return
    if seen:
        yield spreadsheets.is_error(values), "spreadsheet_error", spreadsheets.ERROR_HINT
    if is_id:
        yield spreadsheets.is_number(values), "spreadsheet_number", spreadsheets.NUMBER_HINT


def reasons(
    values: pl.Series, column: Column, way: str | None, *, is_id: bool
) -> Iterator[tuple[pl.Series, str, str]]:
    """Give which of the values that did not cast have a reason of their own, with rule and need."""
    yield spreadsheets.is_error(values), "spreadsheet_error", spreadsheets.ERROR_HINT
    if is_id:
        yield spreadsheets.is_number(values), "spreadsheet_number", spreadsheets.NUMBER_HINT
    if column.kind is Kind.INTEGER:
        yield integers.is_too_large(values, way), "too_large", integers.TOO_LARGE
    elif isinstance(column.dtype, pl.Decimal):
        digits = (column.dtype.precision or 38) - column.dtype.scale
        large = decimals.is_too_large(values, column.dtype, way)
        yield large, "too_large", decimals.TOO_LARGE.format(digits=digits)


def choices(values: pl.Series, column: Column) -> pl.Series:
    """Return what each word is stored as; null where it is none of the column's choices."""
    known = {choice_key(word): stored for word, stored in column.choices.items()}
    distinct = values.unique().drop_nulls()
    found = pl.Series([known.get(choice_key(word)) for word in distinct], dtype=pl.String)
    return values.replace_strict(distinct, found, default=None, return_dtype=pl.String)
