"""Moments in time, stored in UTC: `2026-05-02T17:02:34Z`, `Sep-28-2026 16:31:55 PM PDT`.

A text that states its zone, by an offset or by an abbreviation that is known, is one moment. One
that states none is read in the zone that the column, the account or the feed declares; an hour that
the clocks of that zone skip, or go through twice, is none. A number since 1970 is one only where
the column declares what it counts. The database keeps six digits of a second: a text with more,
other than zeros, is none. `9999-12-31` stands for no end, whatever the zone.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import polars as pl

from csv_pipeline.casts import clocks, dates
from csv_pipeline.casts.reading import Reading
from csv_pipeline.spec.contract import Column, Unit
from csv_pipeline.spec.kinds import MOMENT

HINT = "a moment with its time zone, such as 2026-09-18T17:02:34+02:00"
COUNTED = "a whole number of {unit} since 1970, from year 1 to year 9999"
NEEDED = {
    **dates.NEEDED,
    "time": "a time of day after the date, such as 2026-09-18 17:02:34",
    "zone": "a time zone known by its offset, such as Z, +02:00 or PDT, or one that is declared",
    "skipped": "an hour that the clocks of {zone} have on that day, or the time zone beside it",
    "repeated": "the time zone beside it, as the clocks of {zone} have this hour twice on that day",
}
"""What a value needs, by the rule that it breaks."""

_FLAG = pl.Boolean()
_LABELLED = r"[)\]]$"  # which is left out of a date, and may name a zone
_OPEN_END = pl.col("date") == pl.date(9999, 12, 31)
_DIGITS: dict[Unit, int] = {"s": 6, "ms": 3, "us": 0}
_YEARS_1_TO_9999 = (-62_135_596_800_000_000, 253_402_300_799_999_999)


def needed(column: Column) -> str:
    """Return what a value needs."""
    return HINT if column.unit is None else COUNTED.format(unit=column.unit)


def cast(values: pl.Series, column: Column, reading: Reading) -> pl.Series:
    """Return moments; null where the text is none, or may be several."""
    if column.unit is not None:
        return _counted(values, column.unit)
    return dates.by_distinct(values, lambda distinct: read(distinct, reading)["moment"], MOMENT)


def local(values: pl.Series, reading: Reading) -> pl.Series:
    """Return the texts that state no time zone; null for the others."""
    apart = replace(reading, zone=None)
    zoned = dates.by_distinct(values, lambda distinct: dates.read(distinct, apart)["zoned"], _FLAG)
    return values.set(zoned.fill_null(value=False), None)


def reasons(
    values: pl.Series, column: Column, reading: Reading
) -> Iterator[tuple[pl.Series, str, str]]:
    """Give the rules that texts without a moment break."""
    if column.unit is not None:
        return
    fault = read(values, reading)["fault"]
    for rule in fault.drop_nulls().unique().sort():
        if rule != "date":
            yield fault == rule, rule, NEEDED[rule].format(zone=reading.zone)


def read(values: pl.Series, reading: Reading) -> pl.DataFrame:
    """Return the `moment` of each text, and the `fault`, the rule that one without it breaks."""
    found = dates.read(values, replace(reading, zone=None)).with_columns(dates.alike(values))
    local = pl.col("date").dt.combine(pl.col("time"), "us")
    text = pl.col(values.name)
    bare = ~pl.col("zoned") & ~_OPEN_END
    unknown = bare & text.str.contains(_LABELLED) if reading.zone else bare
    skipped = bare & _in_zone(local, reading.zone, "earliest").is_null()
    moment = pl.when(bare).then(_in_zone(local, reading.zone, "null"))
    return found.select(
        fault=pl.when(pl.col("fault").is_not_null())
        .then("fault")
        .when(pl.col("time").is_null() & pl.col("date").is_not_null())
        .then(pl.lit("time"))
        .when(text.str.contains(clocks.TOO_FINE))
        .then(pl.lit("too_fine"))
        .when(unknown)
        .then(pl.lit("zone"))
        .when(skipped)
        .then(pl.lit("skipped"))
        .when(moment.otherwise(_in_zone(local, "UTC", "null")).is_null())
        .then(pl.lit("repeated")),
        moment=moment.otherwise(_in_zone(local, "UTC", "null")),
    ).select(pl.when(pl.col("fault").is_null()).then("moment"), "fault")


def _in_zone(local: pl.Expr, zone: str | None, twice: Literal["earliest", "null"]) -> pl.Expr:
    """Return the moment at which the clocks of a zone say this; null if they never do."""
    placed = local.dt.replace_time_zone(zone or "UTC", ambiguous=twice, non_existent="null")
    return placed.dt.convert_time_zone("UTC")


def _counted(values: pl.Series, unit: Unit) -> pl.Series:
    """Return the moments that numbers since 1970 are."""
    digits = _DIGITS[unit]
    parts = dates.alike(values).str.extract_groups(
        rf"^([+-]?[0-9]{{1,18}})(?:\.([0-9]{{0,{digits}}})0*)?$"
    )
    whole, part = (parts.struct.field(name) for name in ("1", "2"))
    written = whole + part.fill_null("").str.pad_end(digits, "0")
    micros = written.cast(pl.Int64, strict=False)
    return micros.set(~micros.is_between(*_YEARS_1_TO_9999), None).cast(MOMENT)
