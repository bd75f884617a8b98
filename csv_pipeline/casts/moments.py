"""Decide what becomes of time zones, of times without a zone, and of years of two digits.

One column of a file may give a date, a time of day, or both: a moment. What of it the feed does not
store, and what was converted, is said in the evidence; no zone is dropped silently.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import polars as pl

from csv_pipeline.account import DateOrder, Setting
from csv_pipeline.casts import clocks, dates, times, zones
from csv_pipeline.casts.dates import DOUBTED, TIMED, TWO_DIGITS
from csv_pipeline.casts.doubts import Doubts, language, year_may_be_first
from csv_pipeline.casts.evidence import Notes, Survey
from csv_pipeline.casts.reading import Reading, years
from csv_pipeline.casts.times import Forms
from csv_pipeline.casts.zones import Census
from csv_pipeline.errors import ContradictionError, UndecidableError
from csv_pipeline.model import Evidence, ReportWarning
from csv_pipeline.spec.contract import Column
from csv_pipeline.spec.kinds import Kind

_SUCH_AS = "Europe/Berlin"
_LANGUAGE, _LAST = "language of months", "last"


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """One column of a file that gives dates or times of day, and the contract's columns of it."""

    position: int
    heading: str
    protected: bool
    columns: tuple[Column, ...]
    survey: Survey | Forms
    doubts: Doubts = field(default_factory=Doubts)

    @property
    def notes(self) -> Notes:
        """What any value shows."""
        return self.survey.notes

    def holds(self, kind: Kind) -> bool:
        """Return whether the contract stores this of it."""
        return self.stamps or any(column.kind is kind for column in self.columns)

    @property
    def stamps(self) -> bool:
        """Whether the contract stores moments in time; other columns may store parts of them."""
        return self.columns[0].kind is Kind.TIMESTAMP

    @property
    def zones(self) -> Mapping[str, str]:
        """The offsets of abbreviations that the columns declare."""
        return {name: its for column in self.columns for name, its in column.zones.items()}

    @property
    def is_whole(self) -> bool:
        """Whether the contract stores date and time of day."""
        return self.holds(Kind.DATE) and self.holds(Kind.TIME)

    @property
    def style_of_zone(self) -> str:
        """The name under which is settled what becomes of its time zones."""
        return f"{self.columns[0].name}.zone"

    @property
    def style_of_year(self) -> str:
        """The name under which is settled whether `26-05-18` ends with its year."""
        return f"{self.columns[0].name}.year"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """How moments are read, by name, and what the report says about it."""

    styles: dict[str, str | None]
    evidence: list[Evidence]
    warnings: list[ReportWarning]


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What account and feed declare of dates and times.

    The order of dates is declared if they are `ordered`; the `zone` is that of timestamps which
    state none and whose column declares none, and `because` says who declares it. `setting` is
    where the account would, of the file of this `name`.
    """

    ordered: bool = False
    zone: str | None = None
    because: str = ""
    setting: Setting | None = None
    name: str = ""


def moments_of(
    columns: Sequence[Column], sources: Mapping[str, int], headings: Mapping[str, str]
) -> list[Moments]:
    """Return the columns of a file that give dates and times; each place once.

    Each timestamp is one more, because it is read by itself; numbers since 1970 are none.
    """
    by_place: dict[tuple[int, str], list[Column]] = {}
    for column in columns:
        stamps = column.kind is Kind.TIMESTAMP and column.unit is None
        if (stamps or column.kind in {Kind.DATE, Kind.TIME}) and column.name in sources:
            place = sources[column.name], column.name if stamps else ""
            by_place.setdefault(place, []).append(column)
    return [
        _moments(position, its, headings[its[0].name]) for (position, _), its in by_place.items()
    ]


def _moments(position: int, columns: list[Column], heading: str) -> Moments:
    columns.sort(key=lambda column: column.kind is Kind.TIME)
    first = columns[0]
    survey: Survey | Forms = (
        Forms(first.name, heading, first.protected)
        if first.kind is Kind.TIME
        else dates.survey(first, heading)
    )
    return Moments(
        position=position,
        heading=heading,
        protected=any(column.protected for column in columns),
        columns=tuple(columns),
        survey=survey,
    )


def orders_of(moments: Sequence[Moments], setting: Setting) -> list[Survey]:
    """Return the surveys of the order of dates; all of one is open if its year may be first.

    So it is if that is declared; not if another order is.
    """
    doubts = [one.doubts for one in moments]
    found = []
    for one in moments:
        if isinstance(one.survey, Survey):
            told, _ = one.survey.told(setting)
            may_be = told is None and year_may_be_first(one.doubts, doubts)
            is_open = may_be or told == DateOrder.YEAR_FIRST
            found.append(one.survey.all_open() if is_open else one.survey)
    return found


def hold_to_year_first(
    moments: Sequence[Moments], setting: Setting, settled: Mapping[str, str | None], file_name: str
) -> None:
    """Hold columns whose dates are declared to begin with their year against their values.

    Raises:
        ContradictionError: One of them ends with it.
    """
    for one in moments:
        if not isinstance(one.survey, Survey) or settled.get(one.survey.column):
            continue
        told, because = one.survey.told(setting)
        seen = [its for its in (*one.survey.seen, one.survey.open) if its.count]
        if told != DateOrder.YEAR_FIRST or not (one.doubts.last or seen):
            continue
        if DOUBTED in one.notes.found and not one.doubts.last:
            continue
        last = one.doubts.last or seen[0].value
        shown = "a value" if one.protected else repr(last)
        way_out = f"correct the file, or let each tell: {setting.forget}"
        raise ContradictionError(
            file_name,
            f"column {one.heading!r} needs the {setting} {told}, as "
            f"{setting.because if setting.value else because}",
            f"{shown} can only end with its year; "
            f"{way_out if setting.value else 'correct the one or the other'}",
        )


def take_census(census: Census, values: pl.Series, row_numbers: pl.Series) -> None:
    """Let one batch of trimmed values say which zones their times of day state."""
    timed = values.str.contains(clocks.TIMED).fill_null(value=False)
    values, row_numbers = values.filter(timed), row_numbers.filter(timed)
    stated = values.str.extract(clocks.ZONE, 1).str.to_lowercase()
    stated = stated.set(stated.is_in(["uhr", "h", "s", "min", "am", "pm", "a", "p"]), None)
    census.add(stated, values, row_numbers)


def settle(
    moments: Sequence[Moments],
    censuses: Mapping[int, Census],
    settled: Mapping[str, str | None],
    year: int,
    declared: Declared,
) -> Settled:
    """Return how the moments of a file are read; what is `settled` beforehand is kept.

    `censuses` are those of places where any value states a zone; `year` is the latest that it is
    anywhere on the day of the import.
    """
    made = Settled(styles={}, evidence=[], warnings=[])
    for one in moments:
        if isinstance(one.survey, Forms):
            name = f"{one.survey.column}.form"
            form = settled.get(name) or one.survey.style()
            made.styles.update({name: form} if form else {})
            made.evidence.extend(one.survey.evidence(form))
    made.styles.update(_out_of_doubt(moments, settled, ordered=declared.ordered))
    of_utc = False
    for one in sorted(moments, key=lambda one: not one.is_whole):
        census = censuses.get(one.position)
        style = settled.get(one.style_of_zone)
        if one.stamps:
            style, of_utc = style or one.columns[0].zone or declared.zone, True
            if style is None and census is None and TIMED in one.notes.found:
                _refuse_without_zone(one, declared)
            made.evidence.extend(_of_stamps(one, census, style, declared))
        else:
            style = style or _way_of_zone(one, census, of_utc=of_utc)
            of_utc |= one.is_whole and style == zones.UTC
            made.evidence.extend(_of_zones(one, census, style))
        made.styles.update({one.style_of_zone: style} if style else {})
        made.warnings.extend(_to_look_at(one, census, style))
    if moments:
        _settle_years(moments, settled, year, made)
    return made


def _out_of_doubt(
    moments: Sequence[Moments], settled: Mapping[str, str | None], *, ordered: bool
) -> dict[str, str | None]:
    """Return where the year of dates with hyphens comes last, and the language of the months."""
    styles: dict[str, str | None] = {}
    for one in moments:
        if one.doubts.year_last or (ordered and DOUBTED in one.notes.found):
            styles[one.style_of_year] = _LAST
    if any(DOUBTED in one.notes.found for one in moments):
        styles[_LANGUAGE] = language([one.doubts for one in moments])
    names = (_LANGUAGE, *(one.style_of_year for one in moments))
    styles |= {name: settled[name] for name in names if settled.get(name)}
    return {name: style for name, style in styles.items() if style}


def _way_of_zone(of: Moments, census: Census | None, *, of_utc: bool) -> str | None:
    if census is None:
        return zones.NONE if TIMED in of.notes.found else None
    return census.style(date=of.holds(Kind.DATE), time=of.holds(Kind.TIME), of_utc=of_utc)


def reading(column: Column, of: Moments, styles: Mapping[str, str | None]) -> Reading:
    """Return how the dates or times of a column are read."""
    since, until = years(int(styles.get(TWO_DIGITS) or 0), past=column.past)
    return Reading(
        style=styles.get(of.columns[0].name),
        zone=styles.get(of.style_of_zone),
        since=since,
        until=until,
        form=styles.get(f"{column.name}.form"),
        follows=column.kind is Kind.TIME and of.holds(Kind.DATE),
        year_last=styles.get(of.style_of_year) is not None,
        language=styles.get(_LANGUAGE),
        zones=of.zones,
    )


def _refuse_without_zone(of: Moments, declared: Declared) -> None:
    """Refuse a file if no time of a column states its zone, and nothing declares it.

    Raises:
        UndecidableError: The account may declare it.
    """
    if declared.setting is None:
        return
    value = of.notes.found[TIMED]
    shown = "the first of its times" if of.protected else repr(value)
    at = dates.read(pl.Series([value]), Reading(year_last=True)).row(0, named=True)
    meant = ""
    if not of.protected and at["date"] and at["time"]:
        local = datetime.combine(at["date"], at["time"], ZoneInfo(_SUCH_AS))
        meant = f": {local.astimezone(UTC):%H:%M} UTC by {_SUCH_AS}, {local:%H:%M} UTC by UTC"
    raise UndecidableError(
        declared.name,
        f"column {of.heading!r} needs the time zone of its times, which none of them states",
        f"{shown} could be of any{meant}; to settle it: {declared.setting.declare('UTC')} or "
        f"{declared.setting.declare(_SUCH_AS)}, or by another name of IANA",
    )


def _of_stamps(
    of: Moments, census: Census | None, style: str | None, declared: Declared
) -> list[Evidence]:
    """Return which zone the timestamps of a column have that state none, and which others state."""
    if census is None and TIMED not in of.notes.found:
        return []
    because = [census.because()] if census else []
    decision = "converted to UTC"
    if style and (census is None or census.bare.count):
        decision = f"{style} where none is stated, {decision}"
        own = style == of.columns[0].zone
        because.append("the column declares it" if own else declared.because)
    elif census is None:
        because.append("no value states its zone, and none is declared")
    subject = f"time zone of {of.heading}"
    return [Evidence(subject=subject, decision=decision, because="; ".join(because))]


def _of_zones(of: Moments, census: Census | None, style: str | None) -> list[Evidence]:
    date, time = of.holds(Kind.DATE), of.holds(Kind.TIME)
    found: list[Evidence] = []
    if census is not None and style is not None:
        decision = {zones.UTC: "converted to UTC", zones.NONE: "none"}.get(
            style, f"{style}, as written"
        )
        found.append(
            Evidence(
                subject=f"time zone of {of.heading}", decision=decision, because=census.because()
            )
        )
    left = "time of day" if not time and TIMED in of.notes.found else ""
    left = "date" if not date and times.DATED in of.notes.found else left
    if left:
        because = f"the feed stores the {'date' if date else 'time of day'} alone"
        found.append(
            Evidence(subject=f"{left} in {of.heading}", decision="left out", because=because)
        )
    return found


def _to_look_at(of: Moments, census: Census | None, style: str | None) -> list[ReportWarning]:
    """Return that a zone was left out, or that dates may not be those that are written."""
    date, time = of.holds(Kind.DATE), of.holds(Kind.TIME)
    if census is None or of.is_whole:
        return []
    if date and style == zones.UTC and len(census.places) > 1:
        return [
            ReportWarning(
                code="column.zones_differ",
                message=f"column {of.heading!r}: dates are those of UTC, as {census.because()}",
                count=census.stated.count,
            )
        ]
    if time and style not in {zones.UTC, zones.NONE}:
        return [
            ReportWarning(
                code="column.zone_left_out",
                message=f"column {of.heading!r}: times are stored as written, without their time "
                f"zone {style}",
                count=census.stated.count,
            )
        ]
    return []


def _settle_years(
    moments: Sequence[Moments], settled: Mapping[str, str | None], year: int, made: Settled
) -> None:
    """Say which years two digits mean, where any value has only two."""
    made.styles[TWO_DIGITS] = settled.get(TWO_DIGITS) or str(year)
    for past, what in ((True, "two-digit years of past dates"), (False, "two-digit years")):
        seen = [
            one
            for one in moments
            if TWO_DIGITS in one.notes.found and any(c.past is past for c in one.columns)
        ]
        if seen:
            first, last = years(int(made.styles[TWO_DIGITS] or year), past=past)
            shown = "" if seen[0].protected else f", such as {seen[0].notes.found[TWO_DIGITS]!r}"
            because = f"a date is taken to be near the import of {last if past else year}{shown}"
            made.evidence.append(
                Evidence(subject=what, decision=f"{first} to {last}", because=because)
            )
