"""Dates and times of day in the forms that exports write them.

`Sep-18-26` (US), `26-May-26` (AU, UK), `10-Dez-25`, `01-Mär-26` (DE), `05-oct.-26` (FR), `Aug 31,
2026`, `2025-01-31`, `2025-02-01 10:11:12`, `03/04/2025`, `Apr-29-26 17:02:34 PDT`. Two-digit years
follow POSIX: 69 to 99 are of the 20th century.
"""

from collections.abc import Callable
from functools import cache

import polars as pl

from csv_pipeline.casts.evidence import Survey
from csv_pipeline.contract import Column
from csv_pipeline.model import DateOrder

HINT = "a day of the calendar, such as 2026-09-18, Sep-18-26, 18-Sep-26 or 18/09/2026"
TIME_HINT = "a time of day, such as 17:02:34"

_MONTHS = (
    "jan january januar jän jänner janv janvier ene enero gen gennaio",
    "feb february februar févr fevr février fevrier febrero febbraio",
    "mar march mär märz mrz mars marzo",
    "apr april avr avril abr abril aprile",
    "may mai mayo mag maggio",
    "jun june juni juin junio giu giugno",
    "jul july juli juil juillet julio lug luglio",
    "aug august aoû août aout ago agosto",
    "sep sept september septembre septiembre set settembre",
    "oct october okt oktober octobre octubre ott ottobre",
    "nov november novembre noviembre",
    "dec december dez dezember déc décembre decembre dic diciembre dicembre",
)
_MONTH = pl.DataFrame(
    [(name, str(number)) for number, names in enumerate(_MONTHS, 1) for name in names.split()],
    schema=["name", "number"],
    orient="row",
)
_ZONE = r"(?:\s*(?:z|[a-z]{2,5}|[+-]\d{2}:?\d{2}))?"
_CLOCK = rf"(?:[t,\s]\s*(\d{{1,2}}:\d{{2}}(?::\d{{2}})?)(?:\.\d+)?(?:\s*([ap]m))?{_ZONE})?$"
_YEAR = r"(?:1[5-9]|2[01])\d{2}"  # what stands outside is a slip, and no PostgreSQL date has year 0
_ISO = rf"^({_YEAR})[-/.](\d{{1,2}})[-/.](\d{{1,2}}){_CLOCK}"
_NAME_FIRST = rf"^(\pL+)\.?[-\s/]*(\d{{1,2}})(?:st|nd|rd|th)?,?[-\s/]+({_YEAR}|\d{{2}}){_CLOCK}"
_NAME_SECOND = rf"^(\d{{1,2}})\.?[-\s/]*(\pL+)\.?[-\s/,]*({_YEAR}|\d{{2}}){_CLOCK}"
_NUMERIC = rf"^(\d{{1,2}})[-/.](\d{{1,2}})[-/.]({_YEAR}|\d{{2}}){_CLOCK}"
_FORMS = {
    "iso": _ISO,
    "name first": _NAME_FIRST,
    "name second": _NAME_SECOND,
    "numeric": _NUMERIC,
}


def survey(column: Column, heading: str) -> Survey:
    """Return the survey of whether day or month comes first in dates of three numbers.

    A number above 12 can only be a day. Two equal numbers mean the same date either way. Three
    pairs of digits with hyphens could begin with the year as well, and prove nothing.
    """
    low, high, end = r"0?[1-9]|1[0-2]", r"1[3-9]|2\d|3[01]", r"(?:[-/.]\d{4}|[/.]\d{2})(?:\D|$)"
    unequal = "|".join(
        f"0?{one}[-/.]0?(?:{'|'.join(str(other) for other in range(1, 13) if other != one)})"
        for one in range(1, 13)
    )
    return Survey(
        column=column.name,
        heading=heading,
        protected=column.protected,
        ways=(DateOrder.DAY_FIRST, DateOrder.MONTH_FIRST),
        proofs=(rf"^(?:{high})[-/.](?:{low}){end}", rf"^(?:{low})[-/.](?:{high}){end}"),
        ambiguous=rf"^(?:(?:{unequal}){end}|\d{{1,2}}-\d{{1,2}}-\d{{2}}(?:\D|$))",
    )


def cast(values: pl.Series, order: str | None) -> pl.Series:
    """Return dates; null where the text is no day of the calendar.

    With `order` None a date of three numbers is read by the order it proves itself.
    """
    return _by_distinct(values, lambda distinct: _dates(distinct, order), pl.Date)


def time_of_day(values: pl.Series) -> pl.Series:
    """Return the time that follows a date; null where none does or it is not one of the clock.

    `Sep-28-2026 16:31:55 PM PDT` is a 24-hour clock with a PM that says nothing more, as eBay's
    finance reports write it.
    """
    return _by_distinct(values, _times, pl.Time)


def has_time(values: pl.Series) -> pl.Series:
    """Return whether something like a time of day follows the date."""
    return values.str.contains(r"\d:\d").fill_null(value=False)


def _by_distinct(
    values: pl.Series, convert: Callable[[pl.Series], pl.Series], dtype: type[pl.DataType]
) -> pl.Series:
    """Convert every distinct text once: a column of dates repeats few of them."""
    if values.null_count() == len(values):
        return pl.Series(values.name, [None], dtype=dtype).new_from_index(0, len(values))
    distinct = values.unique()
    return values.replace_strict(distinct, convert(distinct), return_dtype=dtype)


def _dates(values: pl.Series, order: str | None) -> pl.Series:
    """Try every form on all values, in two queries: each has its price, however few the rows."""
    text = pl.col("text").str.normalize("NFC").str.to_lowercase()
    groups = values.to_frame("text").select(
        text.str.extract_groups(pattern).alias(form) for form, pattern in _FORMS.items()
    )
    seen = (form for form in _FORMS if groups[form].struct.unnest()["1"].count())
    found = [_of_form(form, order) for form in seen]
    # Added to the groups, so that it is as long as they are where no form is seen.
    return groups.with_columns(date=pl.coalesce(*found, pl.lit(None, pl.Date)))["date"]


@cache
def _of_form(form: str, order: str | None) -> pl.Expr:
    """Return the date that the three groups of a form make."""
    a, b, c = (pl.col(form).struct.field(str(group)) for group in (1, 2, 3))
    match form:
        case "iso":
            return _date(a, b, c)
        case "name first":
            return _date(c, _month(a), b)
        case "name second":
            return _date(c, _month(b), a)
        case _:
            day, month = _ordered(a, b, order)
            return _date(c, month, day)


def _ordered(a: pl.Expr, b: pl.Expr, order: str | None) -> tuple[pl.Expr, pl.Expr]:
    """Return day and month."""
    if order == DateOrder.DAY_FIRST:
        return a, b
    if order == DateOrder.MONTH_FIRST:
        return b, a
    swap = b.cast(pl.Int32, strict=False) > 12
    return pl.when(swap).then(b).otherwise(a), pl.when(swap).then(a).otherwise(b)


def _month(names: pl.Expr) -> pl.Expr:
    return names.replace_strict(_MONTH["name"], _MONTH["number"], default=None)


def _date(year: pl.Expr, month: pl.Expr, day: pl.Expr) -> pl.Expr:
    century = (
        pl.when(year.str.len_chars() == 4)
        .then(pl.lit(""))
        .when(year >= "69")
        .then(pl.lit("19"))
        .otherwise(pl.lit("20"))
    )
    text = century + year + "-" + month.str.zfill(2) + "-" + day.str.zfill(2)
    return text.str.to_date("%Y-%m-%d", strict=False)


def _times(values: pl.Series) -> pl.Series:
    groups = values.str.to_lowercase().str.extract_groups(rf".*?\d{_CLOCK}").struct.unnest()
    clock, half = groups.to_series(0), groups.to_series(1)
    clock = clock.str.zfill(8).zip_with(clock.str.count_matches(":") == 2, clock + ":00")
    hour = clock.str.split(":").list.first().cast(pl.Int32, strict=False)
    frame = pl.DataFrame({"clock": clock, "half": half, "hour": hour})
    shifted = (
        pl.when((pl.col("half") == "pm") & (pl.col("hour") < 12))
        .then(pl.col("hour") + 12)
        .when((pl.col("half") == "am") & (pl.col("hour") == 12))
        .then(pl.lit(0))
        .otherwise(pl.col("hour"))
    )
    text = shifted.cast(pl.String).str.zfill(2) + pl.col("clock").str.extract(r"(:.*)$", 1)
    return frame.select(text.str.to_time("%H:%M:%S", strict=False)).to_series()
