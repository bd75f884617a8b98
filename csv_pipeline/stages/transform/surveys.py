"""Look at all values of a file before any is cast: amounts, dates, times, numbers and ids."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from itertools import chain

import polars as pl

from csv_pipeline.account import BY_EVIDENCE, Account
from csv_pipeline.batches import batches
from csv_pipeline.casts import decimals
from csv_pipeline.casts.dates import DOUBTED, ZONED
from csv_pipeline.casts.doubts import Doubts
from csv_pipeline.casts.evidence import Survey, decide
from csv_pipeline.casts.figures import Figures, figures_of
from csv_pipeline.casts.moments import (
    Declared,
    Moments,
    hold_to_year_first,
    moments_of,
    orders_of,
    settle,
    take_census,
)
from csv_pipeline.casts.times import Forms
from csv_pipeline.casts.zones import Census
from csv_pipeline.errors import FileRefusedError
from csv_pipeline.model import Evidence, ReportWarning
from csv_pipeline.parts import Files
from csv_pipeline.spec.feed import Feed


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """How the columns of a file are read, why, and which of its amounts state a currency."""

    styles: dict[str, str | None]
    evidence: list[Evidence]
    warnings: list[ReportWarning]
    stating: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Where the columns of a contract are in a header, and what they are called there."""

    feed: Feed
    account: Account
    sources: Mapping[str, int]
    headings: Mapping[str, str]

    def surveys(self) -> "Surveys":
        """Return the surveys of its columns, before any value was seen."""
        return Surveys(
            figures_of(self.feed.columns, self.sources, self.headings, self.account.currency),
            moments_of(self.feed.columns, self.sources, self.headings),
        )


def survey(files: Files, header: Header, today: date | None) -> list[Decided | FileRefusedError]:
    """Let all values of each file say how its amounts, dates and times are written."""
    year = ((today or datetime.now(UTC).date()) + timedelta(days=1)).year
    seen = [_all_values(files, header)] if len(files.parts) == 1 else _values_by_part(files, header)
    found: list[Decided | FileRefusedError] = []
    for name, (surveys, censuses) in zip(files.names, seen, strict=True):
        try:
            found.append(surveys.decided(header, files.styles, censuses, name, year))
        except FileRefusedError as refusal:
            found.append(refusal)
    return found


def _all_values(files: Files, header: Header) -> "_Seen":
    """Return what the values of one file of any size prove, batch by batch."""
    surveys, sources = header.surveys(), header.sources
    asked = surveys.asked
    for batch in batches(files.rows, ["row_number", *(str(sources[s.column]) for s in asked)]):
        trimmed = batch.with_columns(pl.col(pl.String).str.strip_chars())
        for survey in asked:
            survey.add(trimmed[str(sources[survey.column])], batch["row_number"])
    censuses = {m.position: surveys.census(m) for m in surveys.moments if ZONED in m.notes.found}
    columns = ["row_number", *map(str, censuses)]
    for batch in batches(files.rows, columns) if censuses else ():
        for position, census in censuses.items():
            take_census(census, batch[str(position)].str.strip_chars(), batch["row_number"])
    doubted = any(DOUBTED in one.notes.found for one in surveys.moments)
    positions = [str(one.position) for one in surveys.moments]
    for batch in batches(files.rows, positions) if doubted else ():
        for one in surveys.moments:
            one.doubts.add(batch[str(one.position)].str.strip_chars())
    return surveys, censuses


def _values_by_part(files: Files, header: Header) -> "Iterator[_Seen]":
    """Give what the values of each of several small files prove; all are looked at in one go."""
    whole, sources = header.surveys(), header.sources
    columns = [str(sources[survey.column]) for survey in whole.asked]
    empty = pl.DataFrame(schema={"row_number": pl.Int64} | dict.fromkeys(columns, pl.String))
    frame = pl.concat(list(batches(files.rows, empty.columns)) or [empty])
    rows = frame["row_number"]
    trimmed = frame.with_columns(pl.col(pl.String).str.strip_chars())
    values_of = {survey.column: trimmed[str(sources[survey.column])] for survey in whole.asked}
    masks = {
        survey.column: survey.masks(values_of[survey.column], rows)
        for survey in whole.asked
        if isinstance(survey, Survey)
    }
    stated = {name: decimals.currency(values_of[name]) for name in whole.figures.stating}
    starts, ends = (
        rows.search_sorted(pl.Series(numbers, dtype=rows.dtype), side="right")
        for numbers in zip(*((part.rows_up, part.last) for part in files.parts), strict=True)
    )
    for part, start, end in zip(files.parts, starts, ends, strict=True):
        mine = slice(start, end)
        numbers = rows[mine] - part.rows_up

        def taken(survey: Survey, mine: slice = mine, numbers: pl.Series = numbers) -> Survey:
            its = (mask if mask is None else mask[mine] for mask in masks[survey.column])
            return survey.take(its, values_of[survey.column][mine], numbers)

        moments: list[Moments] = []
        censuses: dict[int, Census] = {}
        for one in whole.moments:
            values = trimmed[str(one.position)][mine]
            of = one.survey
            seen = of.of(values, numbers) if isinstance(of, Forms) else taken(of)
            moments.append(replace(one, survey=seen, doubts=Doubts()))
            if ZONED in seen.notes.found:
                censuses[one.position] = whole.census(one)
                take_census(censuses[one.position], values, numbers)
        if any(DOUBTED in one.notes.found for one in moments):
            for one in moments:
                one.doubts.add(trimmed[str(one.position)][mine])
        surveys = {survey.column: taken(survey) for survey in whole.figures.surveys}
        amounts = {name: (its[mine], values_of[name][mine]) for name, its in stated.items()}
        yield Surveys(whole.figures.of(surveys, amounts, numbers), moments), censuses


@dataclass(frozen=True, slots=True)
class Surveys:
    """What the values of the columns of figures, and of dates and times, prove."""

    figures: Figures
    moments: list[Moments]

    @property
    def asked(self) -> tuple[Survey | Forms, ...]:
        """All of them."""
        return (*self.figures.surveys, *(one.survey for one in self.moments))

    def census(self, of: Moments) -> Census:
        """Return the census, of no value yet, of the time zones at the place of a column."""
        there = [one.zones.items() for one in self.moments if one.position == of.position]
        return Census(declared=dict(chain.from_iterable(there)))

    def decided(
        self,
        header: Header,
        settled: Mapping[str, str | None],
        censuses: Mapping[int, Census],
        name: str,
        year: int,
    ) -> Decided:
        """Return how each column is read, and why; what is `settled` beforehand is kept.

        `year` is the latest that it is anywhere on the day of the import.
        """
        account, feed = header.account, header.feed
        order = account.setting("date_order")
        hold_to_year_first(self.moments, order, settled, name)
        days = orders_of(self.moments, order)
        marks, of_marks = self.figures.decided(account, settled, name, feed.name)
        orders, of_orders = decide(days, order, settled, name)
        zone = account.setting("time_zone")
        declared = Declared(
            ordered=account.date_order in BY_EVIDENCE,
            zone=zone.value or feed.time_zone,
            because=zone.evidence if zone.value else f"feed {feed.name!r} declares it",
            setting=zone,
            name=name,
        )
        others = settle(self.moments, censuses, settled, year, declared)
        styles = marks | orders | others.styles
        return Decided(
            styles=styles,
            evidence=[*others.evidence, *of_orders, *of_marks],
            warnings=[
                *others.warnings,
                *(
                    one.differ()
                    for one in (*days, *self.figures.amounts)
                    if one.has_both and styles.get(one.column) is None
                ),
            ],
            stating=self.figures.stating,
        )


_Seen = tuple[Surveys, Mapping[int, Census]]
