"""Percentages: `12,5 %`, `12.5%`, `%12.5`, `(3%)`; what a number without a sign is, is declared.

A percentage is stored as it is written, 12.5, or as the part of one that it is, 0.125, as its
column declares. No digit is rounded away, and `‰`, `%%` or `12%5` are none.
"""

from collections.abc import Iterator

import polars as pl

from csv_pipeline.casts import decimals, signs
from csv_pipeline.casts.evidence import Survey
from csv_pipeline.spec.contract import Column

HINT = "a percentage such as 12.5%, of which at most {scale} decimals are stored"
NEEDED = {
    "percent_sign": "a percent sign, as the column does not declare what a number without one is"
}
"""What a value needs, by the rule that it breaks; the others apart."""

_SIGNS = {"\u066a": "%", "\ufe6a": "%"}
_AT_END = r"^([-+(]?) *% *| *% *(\)?)$"
_SIGNED = "%"


def survey(column: Column, heading: str) -> Survey:
    """Return the survey of which mark precedes the decimals."""
    found = decimals.survey(column, heading)
    found.plain = None
    found.read = lambda values, _: read(values)[0]
    return found


def cast(values: pl.Series, column: Column, mark: str | None) -> pl.Series:
    """Return percentages as the column stores them; null where the text is none, or not exact."""
    return _exact(values, column, mark).cast(column.dtype, strict=False)


def reasons(
    values: pl.Series, column: Column, mark: str | None
) -> Iterator[tuple[pl.Series, str, str]]:
    """Give where a number lacks its percent sign, or is too large."""
    numbers, signed = read(values)
    if column.bare_as is None:
        for rule, needed in NEEDED.items():
            yield numbers.is_not_null() & ~signed, rule, needed
    exact, dtype = _exact(values, column, mark), _type(column)
    large = exact.is_not_null() & exact.cast(dtype, strict=False).is_null()
    digits = (dtype.precision or 38) - dtype.scale
    yield large, "too_large", decimals.TOO_LARGE.format(digits=digits)


def read(values: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return each number, as it is written, and whether it has a percent sign."""
    text = signs.ascii_number(values).str.replace_many(_SIGNS)
    rest = text.str.replace(_AT_END, "$1$2")
    numbers, currency = decimals.read(rest)
    stated = rest.str.contains(_SIGNED, literal=True)
    if currency is not None:
        stated |= currency.is_not_null()
    return numbers.set(stated, None), text.str.contains(_SIGNED, literal=True)


def _exact(values: pl.Series, column: Column, mark: str | None) -> pl.Series:
    """Return the digits of what is stored, null where that needs more decimals than there are."""
    found, signed = read(values)
    numbers = decimals.by_mark(found, mark, "[0-9]+")
    # The mark goes two digits to the left, or to the right.
    part = numbers.str.replace(r"^(-?)([0-9]*)(\.|$)", "${1}000$2.")
    part = part.str.replace(r"^(-?[0-9]*)([0-9]{2})\.", "$1.$2")
    whole = numbers.str.replace(r"^(-?[0-9]*)\.?([0-9]*)$", "$1.${2}00")
    whole = whole.str.replace(r"^(-?[0-9]*)\.([0-9]{2})", "$1$2.")
    other = part if column.stored_as == "fraction" else whole
    written = pl.select(
        pl.when(signed).then(pl.lit("percent")).otherwise(pl.lit(column.bare_as, pl.String))
    ).to_series()
    made = numbers.zip_with(written == column.stored_as, other).set(written.is_null(), None)
    made = made.str.strip_chars_end(".")
    fits = made.str.contains(rf"^-?[0-9]*(?:\.[0-9]{{0,{_type(column).scale}}}0*)?$")
    return made.set(~fits, None)


def _type(column: Column) -> pl.Decimal:
    assert isinstance(column.dtype, pl.Decimal)  # noqa: S101  # the kind says so
    return column.dtype
