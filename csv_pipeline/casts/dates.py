"""Dates, with or without a time of day, in the forms that exports write them.

`Sep-18-26` (US), `26-May-26` (AU, UK), `10-Dez-25`, `01-Mär-26` (DE), `05-oct.-26` (FR), `Aug 31,
2026`, `2025-01-31`, `2025-02-01 10:11:12`, `03/04/2025`, `Apr-29-26 17:02:34 PDT`. What is written
in another way, such as `Wed, 15 Apr 2026`, `20260415` or `le 15 avril 2026 à 17h02`, is rewritten
into one of these forms first.
"""

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import polars as pl

from csv_pipeline.account import BY_EVIDENCE, DateOrder
from csv_pipeline.casts import clocks, doubts, signs, zones
from csv_pipeline.casts.evidence import Notes, Survey
from csv_pipeline.casts.names import SHARED, month, weekday
from csv_pipeline.casts.reading import Reading, century
from csv_pipeline.spec.contract import Column

HINT = "a day of the calendar, such as 2026-09-18, Sep-18-26, 18-Sep-26 or 18/09/2026"
NEEDED = {
    "date": HINT,
    "time": clocks.HINT,
    "zone": zones.NEEDED,
    "too_fine": "at most six digits of a second",
    "century": "a year of four digits, as the century of this one is open",
    "year": "a year of four digits, or a date order that the account declares, as the date may "
    "begin with its year",
    "month": "a month by its number, or dates with other names of months in its language, as this "
    "is the name of several",
}
"""What a value needs, by the rule that it breaks."""

TWO_DIGITS, TIMED, ZONED, DOUBTED = "two-digit years", "times", "zones", "doubts"
"""What a survey takes note of besides the order."""

_MANY, _FEW = 1_000, 50
_LAST, _OPEN_END = dt.date(2199, 12, 31), dt.date(9999, 12, 31)
_YEAR = r"(?:(?:1[5-9]|2[01])[0-9]{2}|9999)"  # else a slip; and no PostgreSQL date has year 0
_ANY_YEAR = rf"({_YEAR}|[0-9]{{2}})"
_CLOCK = rf"(?:[t,\s]\s*{clocks.CLOCK})?$"
_FORMS = {
    "iso": rf"^({_YEAR})[-/.]\s?([0-9]{{1,2}})[-/.]\s?([0-9]{{1,2}}){_CLOCK}",
    "name first": rf"^(\pL+)\.?[-\s/]*([0-9]{{1,2}})(?:st|nd|rd|th)?,?[-\s/]+{_ANY_YEAR}{_CLOCK}",
    "name second": rf"^([0-9]{{1,2}})\.?[-\s/]*(\pL+)\.?[-\s/,]*{_ANY_YEAR}{_CLOCK}",
    "numeric": rf"^([0-9]{{1,2}})[-/.]\s?([0-9]{{1,2}})[-/.]\s?{_ANY_YEAR}{_CLOCK}",
}
_ALIKE = {
    **{chr(0xFEE0 + ord(sign)): sign for sign in "/.:"},  # in full width
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2212\uff0d", "-"),
}
_REWRITTEN = (
    (r"^(?:le|el|am|den|il|on)\s+", ""),
    (rf"^({_YEAR})\s?[年년]\s?([0-9]{{1,2}})\s?[月월]\s?([0-9]{{1,2}})\s?[日일]", "$1-$2-$3"),
    (
        rf"^({_YEAR})([0-9]{{2}})([0-9]{{2}})t?([0-9]{{2}})([0-9]{{2}})([0-9]{{2}})",
        "$1-$2-$3 $4:$5:$6",
    ),
    (rf"^({_YEAR})([0-9]{{2}})([0-9]{{2}})t([0-9]{{2}})([0-9]{{2}})", "$1-$2-$3 $4:$5"),
    (rf"^({_YEAR})([0-9]{{2}})([0-9]{{2}})(?:\.0)?($|[t\s])", "$1-$2-$3$4"),
    (r"^([0-9]{1,2})(?:st|nd|rd|th|er|re|º|ª|°|:a|:e)\b\.?", "$1"),
    (r"^([0-9]{1,2}\.?)\s(?:de|of|di)\s", "$1 "),
    (rf"^([0-9]{{1,2}}\.?\s\pL+\.?,?)\s(?:de|del|of)\s({_YEAR}|[0-9]{{2}})\b", "$1 $2"),
    (rf"^([0-9]{{1,2}}\.?\s\pL+\.?\s{_YEAR})\s(?:r|\u0433\u043e\u0434\u0430?|\u0433)\b\.?", "$1"),
)
_WORD_FIRST = r"^(\pL+(?:-feira)?)[.,]{0,2}\s+"
_TIMED = pl.col("hour").is_not_null()
_SHIFT = pl.when(pl.col("date") <= _LAST).then("shift").otherwise(0) * clocks.A_MINUTE
_SHIFTED = (
    (~_TIMED | (pl.col("micros").is_not_null() & pl.col("sound"))).alias("sound"),
    (
        pl.col("date").cast(pl.Datetime("us"))
        + (pl.col("micros").fill_null(0) - _SHIFT).cast(pl.Duration("us"))
    ).alias("moment"),
)
_NO_DATE = {
    "date": pl.lit(None),
    "time": pl.lit(None),
    "zoned": pl.lit(value=False),
    "fault": pl.lit("date"),
}


def survey(column: Column, heading: str) -> Survey:
    """Return the survey of whether day or month comes first in dates of three numbers.

    A number above 12 can only be a day. Two equal numbers mean the same date either way. Three
    pairs of digits could begin with the year (see `doubts`), and with hyphens prove nothing unless
    that gives no date. What is no day of the calendar, such as 31/02/2025, proves nothing either.
    """
    number, mark, clock = "[0-9][0-9]?", r"[-/.]\s?", f"(?i:{_CLOCK})"
    low, high = r"0?[1-9]|1[0-2]", r"1[3-9]|2[0-8]"
    long, leap = r"0?[13578]|1[02]", r"(?:[02468][048]|[13579][26])"
    end = rf"(?:[-/.]\s?{_YEAR}|[/.]\s?[0-9]{{2}}){clock}"
    two = "(?:0[1-9]|[12][0-9]|3[01])"
    unequal = "|".join(
        f"0?{one}{mark}0?(?:{'|'.join(str(other) for other in range(1, 13) if other != one)})"
        for one in range(1, 13)
    )

    def proof(before: Callable[[str, str], str], year: str) -> str:
        usual = (before(high, low), before("29|30", r"0?[13-9]|1[0-2]"), before("31", long))
        ends = rf"{end}|-\s?{year}{clock}"
        leaps = rf"(?:[-/.]\s?[0-9][0-9]|[/.]\s?){leap}{clock}"
        return rf"^(?:(?:{'|'.join(usual)})(?:{ends})|(?:{before('29', '0?2')}){leaps})"

    return Survey(
        column=column.name,
        heading=heading,
        protected=column.protected,
        declared=column.style,
        styles=BY_EVIDENCE,
        proofs=(
            proof(lambda day, month: f"(?:{day}){mark}(?:{month})", "(?:00|3[2-9]|[4-9][0-9])"),
            proof(lambda day, month: f"(?:{month}){mark}(?:{day})", "[0-9][0-9]"),
        ),
        meaning=_meaning,
        another=DateOrder.YEAR_FIRST,
        ambiguous=rf"^(?:(?:{unequal})(?:{end}|-\s?[0-9]{{2}}{clock})|{two}-\s?(?:{low})-\s?{two}{clock})",
        notes=Notes(
            {
                TWO_DIGITS: rf"^(?:{number}\D*\pL\D*|\D+{number}\D+|{number}\D+{number}\D)"
                r"[0-9][0-9](?:[Tt,\s]|$)",
                TIMED: clocks.TIMED,
                ZONED: clocks.ZONED,
                DOUBTED: doubts.DOUBTED,
            }
        ),
    )


def _meaning(text: str, order: str) -> str | None:
    """Return in words which day a text is by an order."""
    last, first = Reading(order, year_last=True), order == DateOrder.YEAR_FIRST
    day = doubts.year_first(text) if first else read(pl.Series([text]), last)["date"][0]
    return f"{day.day} {day:%B %Y}" if day else None


def cast(values: pl.Series, reading: Reading) -> pl.Series:
    """Return dates; null where the text is no day of the calendar, or what follows it no time."""
    return by_distinct(values, lambda distinct: read(distinct, reading)["date"], pl.Date)


def reasons(found: pl.DataFrame, rule: str) -> Iterator[tuple[pl.Series, str, str]]:
    """Give the rules that texts without a date or time break, but `rule`, by what was `read`."""
    for its in found["fault"].drop_nulls().unique().sort():
        if its != rule:
            yield found["fault"] == its, its, NEEDED[its]


def by_distinct(
    values: pl.Series,
    convert: Callable[[pl.Series], pl.Series],
    dtype: pl.DataType | type[pl.DataType],
) -> pl.Series:
    """Convert every distinct text once: a column of dates repeats few of them."""
    if values.null_count() == len(values):
        return pl.Series(values.name, [None], dtype=dtype).new_from_index(0, len(values))
    distinct = values.unique()
    return values.replace_strict(distinct, convert(distinct), return_dtype=dtype)


def read(values: pl.Series, reading: Reading) -> pl.DataFrame:
    """Return what each text says; what has no usual form is rewritten and read once more.

    Shape: `date`, `time`, whether it is `zoned`, that is states the zone of its time, and `fault`,
    the rule of `NEEDED` that a text without a date breaks.
    """
    text = pl.col("text").str.normalize("NFC").str.to_lowercase()
    texts = values.alias("text").to_frame()
    if texts.height <= _MANY:
        found = _read(texts, text, reading)
    else:  # most columns have one form; each costs as much as all else
        found = _read(texts, text, reading, _forms_in(texts.head(_FEW), text))
        found = _again(found, values, lambda others: _read(others, text, reading))
    return _again(found, values, lambda others: _rewritten(others.select(text), reading))


def _again(
    found: pl.DataFrame, values: pl.Series, read_others: Callable[[pl.DataFrame], pl.DataFrame]
) -> pl.DataFrame:
    """Read in another way what gave no date."""
    if found["date"].null_count() <= values.null_count():
        return found
    others = (found["date"].is_null() & values.is_not_null()).arg_true()
    again = read_others(values.alias("text").gather(others).to_frame())
    return found.with_columns(found[name].scatter(others, again[name]) for name in found.columns)


def _rewritten(texts: pl.DataFrame, reading: Reading) -> pl.DataFrame:
    """Read what is written oddly; a weekday in front must be that of the date.

    No survey has seen these: where nothing settles the order, only the weekday may.
    """
    texts, usual = alike(texts["text"]).to_frame(), pl.col("text")
    weekdays, rest = weekday(usual.str.extract(_WORD_FIRST, 1)), usual.str.replace(_WORD_FIRST, "")
    split = texts.select(weekdays.alias("weekday"), usual.alias("usual"), rest.alias("rest"))
    text = pl.when(pl.col("weekday").is_null()).then("usual").otherwise("rest")
    for pattern, plain in (*_REWRITTEN, *clocks.REWRITTEN):
        text = text.str.replace(pattern, plain)
    texts = split.select(text.alias("text"))
    found, *others = (
        _of_weekday(_read(texts, pl.col("text"), replace(reading, style=order)), split["weekday"])
        for order in ([reading.style] if reading.style else BY_EVIDENCE)
    )
    for other in others:  # two readings, of which only one may be possible
        given = found["date"].is_null()
        differs = ~given & other["date"].is_not_null() & (found["date"] != other["date"])
        found = found.with_columns(
            pl.when(differs)
            .then(_NO_DATE[name])
            .when(given)
            .then(other[name])
            .otherwise(name)
            .alias(name)
            for name in found.columns
        )
    return found


def alike(texts: pl.Series) -> pl.Series:
    """Return texts with ASCII digits and marks in the place of those of other scripts."""
    if texts.str.len_bytes().sum() == texts.str.len_chars().sum():
        return texts
    return texts.str.replace_many(signs.digits() | _ALIKE)


def _of_weekday(found: pl.DataFrame, weekdays: pl.Series) -> pl.DataFrame:
    """Return what was found without the dates that are not of their weekday."""
    if weekdays.null_count() == len(weekdays):
        return found
    number = pl.col("date").dt.weekday().cast(pl.String)
    agrees = pl.col("weekday").is_null() | pl.col("weekday").str.contains(number, literal=True)
    return found.with_columns(weekdays).select(
        pl.when(agrees | pl.col("date").is_null()).then(name).otherwise(none).alias(name)
        for name, none in _NO_DATE.items()
    )


def _forms_in(texts: pl.DataFrame, text: pl.Expr) -> tuple[str, ...]:
    """Return the forms that any of the texts has."""
    matches = texts.select(text.str.contains(its).any().alias(form) for form, its in _FORMS.items())
    return tuple(form for form in _FORMS if matches[form].item())


def _read(
    texts: pl.DataFrame, text: pl.Expr, reading: Reading, forms: tuple[str, ...] = tuple(_FORMS)
) -> pl.DataFrame:
    """Try every form on all texts, in two queries: each has its price, however few the rows."""
    groups = texts.select(text.str.extract_groups(_FORMS[form]).alias(form) for form in forms)
    parts = {form: groups[form].struct.unnest() for form in forms}
    seen = tuple(form for form in forms if parts[form]["1"].count())
    its_years = [parts[form]["1" if form == "iso" else "3"] for form in seen]
    short = any(its.str.len_bytes().min() == 2 for its in its_years)
    window = (reading.since, reading.until) if short else None
    far = any(its.max() == "9999" for its in its_years)
    day = _day(seen, reading.style, reading.language, window, far=far)
    if short and "numeric" in seen and not reading.tells_year:
        day = pl.when(~pl.col("text").str.contains(doubts.HYPHENS)).then(day)
    if any(parts[form]["4"].count() for form in seen):
        return _timed(texts.hstack(groups).with_columns(date=day), seen, reading)
    # Added to the texts, so that it is as long as they are where no form is seen.
    found = texts.hstack(groups).with_columns(date=day)
    dates, none = found["date"], pl.Series([None]).new_from_index(0, texts.height)
    fault = none.cast(pl.String)
    if dates.null_count():
        fault = found.select(
            pl.when(pl.col("date").is_null()).then(_why(seen, reading))
        ).to_series()
    return pl.DataFrame(
        {"date": dates, "time": none.cast(pl.Time), "zoned": none.is_not_null(), "fault": fault}
    )


def _timed(found: pl.DataFrame, seen: tuple[str, ...], reading: Reading) -> pl.DataFrame:
    """Return the date and the time of moments, as the column stores them."""
    why = _why(seen, reading) if found["date"].null_count() else pl.lit("date")
    parts = found.select("date", why.alias("why"), *_clock(seen)).with_columns(
        clocks.micros().alias("micros")
    )
    zoned = zones.converted(parts["zone"], reading.zone, reading.zones)
    made = parts.hstack(zoned).select("date", "why", "micros", "zone", *_SHIFTED, timed=_TIMED)
    return made.select(
        date=pl.when("sound").then(pl.col("moment").dt.date()),
        time=pl.when(pl.col("sound") & pl.col("timed")).then(pl.col("moment").dt.time()),
        zoned=pl.col("zone").is_not_null(),
        fault=pl.when(pl.col("date").is_null())
        .then("why")
        .when(pl.col("timed") & pl.col("micros").is_null())
        .then(pl.lit("time"))
        .when(~pl.col("sound"))
        .then(pl.lit("zone")),
    )


def _field(form: str, group: int) -> pl.Expr:
    return pl.col(form).struct.field(str(group))


@cache
def _clock(seen: tuple[str, ...]) -> tuple[pl.Expr, ...]:
    """Return the parts of the time that follows the date, by whichever form it does."""
    return tuple(
        pl.coalesce(_field(form, group) for form in seen).alias(name)
        for group, name in enumerate(clocks.PARTS, 4)
    )


def _why(seen: tuple[str, ...], reading: Reading) -> pl.Expr:
    """Return the rule that a text without a date breaks."""
    if not seen:
        return pl.lit("date")
    names = (_field(form, 1 if form == "name first" else 2) for form in seen)
    year_first = {"iso"} | ({"numeric"} if reading.style == DateOrder.YEAR_FIRST else set())
    year = pl.coalesce(_field(form, 1 if form in year_first else 3) for form in seen)
    first_two = century(year, reading.since, reading.until)
    may_be_first = pl.col("text").str.contains(doubts.HYPHENS) & (not reading.tells_year)
    return (
        pl.when(pl.coalesce(names).is_in(SHARED))
        .then(pl.lit("month"))
        .when(may_be_first)
        .then(pl.lit("year"))
        .when((year.str.len_chars() == 2) & first_two.is_null())
        .then(pl.lit("century"))
        .otherwise(pl.lit("date"))
    )


@cache
def _day(
    seen: tuple[str, ...],
    order: str | None,
    language: str | None,
    window: tuple[int, int] | None,
    *,
    far: bool,
) -> pl.Expr:
    """Return the date that the first three groups of the forms make.

    There are years of two digits only if there is a `window` of theirs, and an open end only if
    there are years so `far`.
    """
    found = [_date(*_of_form(form, order, language), window) for form in seen]
    date = pl.coalesce(*found, pl.lit(None, pl.Date))
    return pl.when((date <= _LAST) | (date == _OPEN_END)).then(date) if far else date


def _of_form(
    form: str, order: str | None, language: str | None
) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    """Return year, month and day."""
    a, b, c = (_field(form, group) for group in (1, 2, 3))
    match form:
        case "iso":
            return a, b, c
        case "name first":
            return c, month(a, language), b
        case "name second":
            return c, month(b, language), a
        case _ if order == DateOrder.YEAR_FIRST:
            two_digits = (a.str.len_chars() == 2) & (c.str.len_chars() <= 2)
            return pl.when(two_digits).then(a), b, c
        case _:
            day, its_month = _ordered(a, b, order)
            return c, its_month, day


def _ordered(a: pl.Expr, b: pl.Expr, order: str | None) -> tuple[pl.Expr, pl.Expr]:
    """Return day and month."""
    if order == DateOrder.DAY_FIRST:
        return a, b
    if order == DateOrder.MONTH_FIRST:
        return b, a
    swap = b.cast(pl.Int32, strict=False) > 12
    return pl.when(swap).then(b).otherwise(a), pl.when(swap).then(a).otherwise(b)


def _date(
    year: pl.Expr, its_month: pl.Expr, day: pl.Expr, window: tuple[int, int] | None
) -> pl.Expr:
    if window is not None:
        is_full = year.str.len_chars() == 4
        year = pl.when(is_full).then(pl.lit("")).otherwise(century(year, *window)) + year
    text = year + "-" + its_month.str.zfill(2) + "-" + day.str.zfill(2)
    return text.str.to_date("%Y-%m-%d", strict=False)
