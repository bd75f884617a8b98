"""A transform or a rule that does not keep to its rows mixes none up: it fails the import."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandera.polars as pa
import polars as pl
import pytest
from pandera.api.polars.types import PolarsData

from csv_pipeline.engine.pipeline import Pipeline, open_pipeline
from csv_pipeline.model import Outcome
from csv_pipeline.spec.contract import Contract, column
from csv_pipeline.spec.feed import Feed
from csv_pipeline_tests.conftest import Desk, own_settings


class Reading(Contract):
    """A reading of a meter."""

    day: int = column("Day")
    reading: int = column("Reading", nullable=True)
    kind: str = column(derived=True)


class Filtered(Reading):
    """A rule that answers for the days after the first only."""

    @pa.check("reading", name="later_days")
    def later_days(cls, data: PolarsData) -> pl.LazyFrame:  # noqa: N805
        return data.lazyframe.filter(pl.col("day") > 1).select(pl.col("reading") > 0)


class Summed(Reading):
    """A rule that answers once for all."""

    @pa.check("reading", name="sum")
    def sum(cls, data: PolarsData) -> pl.LazyFrame:  # noqa: N805
        return data.lazyframe.select(pl.col("reading").sum() > 0)


class Nodded(Reading):
    """A rule that looks at no row."""

    @pa.check("reading", name="nod")
    def nod(cls, data: PolarsData) -> bool:  # noqa: N805
        return True


class WholeFrame(Reading):
    """A rule over columns that answers for some rows."""

    @pa.dataframe_check(name="some")
    def some(cls, data: PolarsData) -> pl.LazyFrame:  # noqa: N805
        return data.lazyframe.filter(pl.col("day") > 1).select(pl.col("reading") > 0)


def kind(rows: pl.LazyFrame) -> pl.LazyFrame:
    return rows.with_columns(kind=pl.format("day {}", "day"))


def turned(rows: pl.LazyFrame) -> pl.LazyFrame:
    return kind(rows).reverse()


def by_value(rows: pl.LazyFrame) -> pl.LazyFrame:
    return kind(rows).sort("reading", descending=True)


def fewer(rows: pl.LazyFrame) -> pl.LazyFrame:
    return kind(rows).filter(pl.col("day") > 1)


def more(rows: pl.LazyFrame) -> pl.LazyFrame:
    return pl.concat([kind(rows), kind(rows).head(1)])


def others(rows: pl.LazyFrame) -> pl.LazyFrame:
    return kind(rows).with_columns(pl.col("_row_number") + 1)


def placeless(rows: pl.LazyFrame) -> pl.LazyFrame:
    return kind(rows).select("day", "reading", "kind")


def feed(name: str, transform: Any = kind, contract: type[Contract] = Reading) -> Feed:
    return Feed(name=name, description="", contract=contract, key=("day",), transforms=(transform,))


FAITHFUL = (feed("turned", turned), feed("by_value", by_value))
UNFAITHFUL = (
    feed("fewer", fewer),
    feed("more", more),
    feed("others", others),
    feed("placeless", placeless),
    feed("filtered", contract=Filtered),
    feed("summed", contract=Summed),
    feed("nodded", contract=Nodded),
    feed("whole_frame", contract=WholeFrame),
)
FILE = "Day,Reading\n1,10\n2,30\n3,bad\n4,20\n"


@pytest.fixture(scope="module")
def own_pipeline() -> Iterator[Pipeline]:
    """A pipeline of these feeds; blocks hold a few rows each."""
    with own_settings(settle_seconds=0, block_bytes=1024) as settings:
        opened = open_pipeline(settings, (*FAITHFUL, *UNFAITHFUL))
        yield opened
        opened.close()


@pytest.fixture
def own_desk(own_pipeline: Pipeline, account: str, tmp_path: Path) -> Desk:
    """A desk at that pipeline."""
    return Desk(own_pipeline, account, tmp_path)


@pytest.mark.parametrize("name", [feed.name for feed in FAITHFUL])
def test_a_reject_quotes_its_own_row_however_a_transform_orders_them(
    own_desk: Desk, name: str
) -> None:
    report = own_desk.bring(FILE, name)
    (reject,) = own_desk.rejects(report)
    assert (reject.row_number, reject.raw, reject.value) == (4, "3,bad", "bad")
    rows = own_desk.rows(name, "day, kind, _row_number", "day")
    assert [tuple(row) for row in rows] == [(1, "day 1", 2), (2, "day 2", 3), (4, "day 4", 5)]


@pytest.mark.parametrize("name", [feed.name for feed in FAITHFUL])
def test_rows_of_many_batches_are_each_stored_where_they_stand(own_desk: Desk, name: str) -> None:
    rows = "".join(f"{day},{1_000 - day}\n" for day in range(1, 1_000))
    report = own_desk.bring(f"Day,Reading\n{rows}", name)
    assert report.counts.inserted == 999, report.problem
    numbers = own_desk.rows(name, "day, _row_number", "day")
    assert [row._row_number - row.day for row in numbers] == [1] * 999


@pytest.mark.parametrize("name", [feed.name for feed in UNFAITHFUL])
def test_what_does_not_keep_to_its_rows_fails_the_import_and_nothing_is_stored(
    own_desk: Desk, name: str
) -> None:
    report = own_desk.bring(FILE.replace("bad", "5"), name)
    assert (report.outcome, report.problem_code) == (Outcome.FAILED, "SetupError")
    assert "need" in str(report.problem)
    assert own_desk.rows(name) == []
