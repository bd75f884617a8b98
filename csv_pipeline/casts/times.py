"""Times of day in a column of their own.

A time with marks, `17:02`, is unambiguous. Digits alone are a time only where every number of
the column is one, written alike: `1702` may be a count, and `17.25` a quarter past or hours.
"""

from dataclasses import dataclass, field

import polars as pl

from csv_pipeline.casts import clocks, dates, zones
from csv_pipeline.casts.evidence import Notes
from csv_pipeline.casts.reading import Reading
from csv_pipeline.model import Evidence

MARKED = "with marks"
"""The way of a column whose digits alone are no time."""

DATED = "dates"
"""What `Forms` take note of besides what a survey of dates does."""

NEEDED = f"{clocks.HINT}; digits alone only where the whole column proves them to be times"

_HOUR, _SIXTY, _TWO = r"(?:[01]?[0-9]|2[0-3])", "[0-5][0-9]", "([0-9][0-9])"
_FORMS = {
    "hhmm": (rf"^{_HOUR}{_SIXTY}$", (rf"^([0-9]{{1,2}}){_TWO}$", "$1:$2")),
    "hhmmss": (rf"^{_HOUR}{_SIXTY}{_SIXTY}$", (rf"^([0-9]{{1,2}}){_TWO}{_TWO}$", "$1:$2:$3")),
    "hh.mm": (rf"^{_HOUR}\.{_SIXTY}$", (rf"^([0-9]{{1,2}})\.{_TWO}$", "$1:$2")),
    "hh.mm.ss": (
        rf"^{_HOUR}\.{_SIXTY}\.{_SIXTY}$",
        (rf"^([0-9]{{1,2}})\.{_TWO}\.{_TWO}$", "$1:$2:$3"),
    ),
}
_NUMBER = r"^[+-]?[0-9.,]*[0-9][0-9.,]*$"
_NO_QUARTER = r"\.(?:[0134][1-9]|[1-4]0|2[1-46-9]|5[1-9])$"


@dataclass(slots=True)
class Forms:
    """What the values of one column prove about how its times are written."""

    column: str
    heading: str
    protected: bool
    seen: set[str] = field(default_factory=set)
    number: str | None = None
    proves_minutes: bool = False
    notes: Notes = field(
        default_factory=lambda: Notes(
            {
                dates.TIMED: clocks.TIMED,
                dates.ZONED: clocks.ZONED,
                DATED: r"[0-9][-/][0-9]|[0-9][-/.\s]\pL{3}",
            }
        )
    )

    def add(self, values: pl.Series, _: pl.Series) -> None:
        """Take in one batch of trimmed values."""
        distinct = values.drop_nulls().unique()
        self.notes.add(distinct)
        numbers = distinct.filter(distinct.str.contains(_NUMBER))
        for name, (form, _rewritten) in _FORMS.items():
            fits = numbers.str.contains(form)
            if fits.any():
                self.seen.add(name)
                self.proves_minutes |= numbers.filter(fits).str.contains(_NO_QUARTER).any()
            numbers = numbers.filter(~fits)
        if numbers.len() and self.number is None:
            self.number = str(numbers.min())

    def of(self, values: pl.Series, row_numbers: pl.Series) -> "Forms":
        """Return what some values prove, those of one file among others."""
        mine = Forms(self.column, self.heading, self.protected)
        mine.add(values, row_numbers)
        return mine

    def style(self) -> str | None:
        """Return the one form in which digits alone are times, or that there is none."""
        doubted = self.number is not None or dates.TIMED in self.notes.found or len(self.seen) > 1
        if not self.seen:
            return MARKED if doubted else None
        hours = self.seen == {"hh.mm"} and not self.proves_minutes
        return MARKED if doubted or hours else next(iter(self.seen))

    def evidence(self, style: str | None) -> list[Evidence]:
        """Return why digits alone are times, or none, where there are any."""
        if not self.seen:
            return []
        if style != MARKED:
            because = "every number of the column is a time of this form"
        elif self.number is not None:
            shown = "one" if self.protected else repr(self.number)
            because = f"the column holds numbers that are no times, such as {shown}"
        elif dates.TIMED in self.notes.found or len(self.seen) > 1:
            because = "the column holds times of several forms"
        else:
            because = "every number of the column may as well be hours and quarters of them"
        return [Evidence(subject=f"times of {self.heading}", decision=str(style), because=because)]


def cast(values: pl.Series, reading: Reading) -> pl.Series:
    """Return times of day; null where the text is none, or is a date alone that one would follow.

    `Sep-28-2026 16:31:55 PM PDT` is a 24-hour clock with a PM that says nothing more, as eBay's
    finance reports write it.
    """
    found = dates.read if reading.follows else read
    exact = values.set(values.str.contains(clocks.TOO_FINE), None)
    return dates.by_distinct(exact, lambda distinct: found(distinct, reading)["time"], pl.Time)


def read(values: pl.Series, reading: Reading) -> pl.DataFrame:
    """Return the time that each text is, or that follows a date in it.

    Shape: `time`, and `fault`, the rule of `dates.NEEDED` that a text without a time breaks.
    """
    text = pl.col("text").str.normalize("NFC").str.to_lowercase().str.strip_prefix("t")
    form = reading.form and _FORMS.get(reading.form)
    for pattern, plain in (*((form[1],) if form else ()), *clocks.REWRITTEN):
        text = text.str.replace(pattern, plain)
    groups = (
        dates.alike(values)
        .alias("text")
        .to_frame()
        .select(text.str.extract_groups(f"^{clocks.CLOCK}$"))
    )
    parts = groups.to_series().struct.unnest()
    parts = parts.rename(dict(zip(parts.columns, clocks.PARTS, strict=True)))
    zoned = zones.converted(parts["zone"], reading.zone, reading.zones)
    clock = pl.col("sound") & (pl.col("shift") == 0)  # no day, so that no other zone's time either
    found = parts.hstack(zoned).select(
        time=pl.when(clock).then((clocks.micros() * 1_000).cast(pl.Time)),
        fault=pl.when(clocks.micros().is_not_null() & ~clock)
        .then(pl.lit("zone"))
        .when(~clock | clocks.micros().is_null())
        .then(pl.lit("time")),
    )
    others = (parts["hour"].is_null() & values.is_not_null()).arg_true()
    if others.len():
        dated = dates.read(values.gather(others), reading)
        fault = dated["fault"].replace({"date": "time", "century": "time"})
        fault = fault.set(fault.is_null() & dated["time"].is_null(), "time")
        found = found.with_columns(
            found["time"].scatter(others, dated["time"]), found["fault"].scatter(others, fault)
        )
    fine = found["time"].is_not_null() & values.str.contains(clocks.TOO_FINE)
    return found.with_columns(found["time"].set(fine, None), found["fault"].set(fine, "too_fine"))
