"""Look at all values of a file before any is cast: amounts, dates, times, numbers and ids."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import polars as pl

from csv_pipeline.account import Account
from csv_pipeline.casts.dates import DOUBTED, ZONED
from csv_pipeline.casts.evidence import Survey, decide
from csv_pipeline.casts.figures import Figures, figures_of
from csv_pipeline.casts.moments import Moments, Settled, moments_of, settle, take_census
from csv_pipeline.casts.times import Forms
from csv_pipeline.casts.zones import Census
from csv_pipeline.handover import TextFile, batches
from csv_pipeline.spec.feed import Feed


def survey(  # noqa: PLR0913, PLR0917  # the file, whose it is, and how its header reads
    text: TextFile,
    feed: Feed,
    surveys: "Surveys",
    sources: Mapping[str, int],
    account: Account,
    settled: Mapping[str, str | None],
    name: str,
    today: date | None,
) -> Settled:
    """Let all values say how amounts, dates and times are written."""
    asked = surveys.asked
    for batch in batches(text.rows, ["row_number", *(str(sources[s.column]) for s in asked)]):
        trimmed = batch.with_columns(pl.col(pl.String).str.strip_chars())
        for survey in asked:
            survey.add(trimmed[str(sources[survey.column])], batch["row_number"])
    censuses = {m.position: Census() for m in surveys.moments if ZONED in m.notes.found}
    columns = ["row_number", *map(str, censuses)]
    for batch in batches(text.rows, columns) if censuses else ():
        for position, census in censuses.items():
            take_census(census, batch[str(position)].str.strip_chars(), batch["row_number"])
    doubted = any(DOUBTED in one.notes.found for one in surveys.moments)
    positions = [str(one.position) for one in surveys.moments]
    for batch in batches(text.rows, positions) if doubted else ():
        for one in surveys.moments:
            one.doubts.add(batch[str(one.position)].str.strip_chars())
    return surveys.decided(account, feed, settled, censuses, name, year_of(today))


@dataclass(frozen=True, slots=True)
class Surveys:
    """What the values of the columns of figures, and of dates and times, prove."""

    figures: Figures
    moments: list[Moments]

    @property
    def asked(self) -> tuple[Survey | Forms, ...]:
        """All of them."""
        return (*self.figures.surveys, *(one.survey for one in self.moments))

    def decided(  # noqa: PLR0913, PLR0917  # a file, whose it is, and what is known of it
        self,
        account: Account,
        feed: Feed,
        settled: Mapping[str, str | None],
        censuses: Mapping[int, Census],
        name: str,
        year: int,
    ) -> Settled:
        """Return how each column is read, and why."""
        days = [one.survey for one in self.moments if isinstance(one.survey, Survey)]
        marks, of_marks = self.figures.decided(account, settled, name, feed.name)
        orders, of_orders = decide(days, account.setting("date_order"), settled, name)
        ordered = account.date_order is not None
        others = settle(self.moments, censuses, settled, year, ordered=ordered)
        return Settled(
            styles=marks | orders | others.styles,
            evidence=[*others.evidence, *of_orders, *of_marks],
            warnings=others.warnings,
        )


def surveys_of(
    feed: Feed, account: Account, sources: Mapping[str, int], headings: Mapping[str, str]
) -> Surveys:
    """Return the surveys of a file's columns, before any value was seen."""
    return Surveys(
        figures_of(feed.columns, sources, headings, account.currency),
        moments_of(feed.columns, sources, headings),
    )


def year_of(today: date | None) -> int:
    """Return the latest year that it is anywhere on a day, which is this day if none is given."""
    return ((today or datetime.now(UTC).date()) + timedelta(days=1)).year
