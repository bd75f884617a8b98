"""Feeds that say `row_by_row=True` do look at one row at a time."""

from dataclasses import replace
from pathlib import Path

import pandera.polars as pa
import polars as pl
import pytest
from pandera.api.polars.types import PolarsData

from csv_pipeline.contract import Contract, column
from csv_pipeline.feeds import FEEDS
from csv_pipeline.model import Feed
from csv_pipeline.row_by_row import rows_that_need_others
from csv_pipeline_tests.feeds import TEST_FEEDS

SAMPLES = {
    "customers": (
        "Customer ID,Username,Name,Email,Customer Since,Shoe\n"
        "C1,ann,Ann,ann@example.com,2026-01-31,38\n"
        ",bob,Bob,,2025-12-24,\n"
        "C3,--,Cid,not an address,2026-02-30,41\n"
        ",,Nobody,,,\n"
        "C1,ann,Ann again,ann@example.com,,\n"
    ),
    "people": "ID,Name,Amount,Born\n1,Ann,1.50,2026-01-31\n2,,2.00,\n,Cid,x,\n1,Ann,-1.00,\n",
}


@pytest.mark.parametrize(
    "feed", [pytest.param(f, id=f.name) for f in (*FEEDS, *TEST_FEEDS) if f.row_by_row]
)
def test_a_feed_that_says_row_by_row_is_so(feed: Feed, tmp_path: Path) -> None:
    assert rows_that_need_others(feed, written(tmp_path, SAMPLES[feed.name])) == []


class Reading(Contract):
    """A reading of a meter."""

    day: int = column("Day")
    reading: int = column("Reading")
    since: int = column(derived=True, nullable=True)


class RisingReading(Reading):
    """A reading that may not be less than the one before."""

    @pa.check("reading", name="never_falls", description="a reading not below the one before")
    def never_falls(cls, data: PolarsData) -> pl.LazyFrame:  # noqa: N805
        """A rule over two rows."""
        return data.lazyframe.select(pl.col("reading").diff().fill_null(0) >= 0)


def since_the_last(rows: pl.LazyFrame) -> pl.LazyFrame:
    """A transform over two rows."""
    return rows.with_columns(since=pl.col("reading").diff())


def by_day(rows: pl.LazyFrame) -> pl.LazyFrame:
    """A transform of one row."""
    return rows.with_columns(since=pl.col("reading") // pl.col("day"))


READINGS = Feed(
    name="readings",
    description="Readings.",
    contract=Reading,
    key=("day",),
    transforms=(by_day,),
    row_by_row=True,
)
SAMPLE = "Day,Reading\n1,10\n2,30\n3,20\n3,20\n"


def test_a_transform_that_looks_at_the_row_before_is_found(tmp_path: Path) -> None:
    feed = replace(READINGS, transforms=(since_the_last,))
    assert rows_that_need_others(feed, written(tmp_path, SAMPLE)) == [3, 4, 5]


def test_a_rule_that_looks_at_the_row_before_is_found(tmp_path: Path) -> None:
    feed = replace(READINGS, contract=RisingReading)
    assert rows_that_need_others(feed, written(tmp_path, SAMPLE)) == [4]


def test_rows_that_are_judged_by_themselves_need_no_others(tmp_path: Path) -> None:
    assert rows_that_need_others(READINGS, written(tmp_path, SAMPLE)) == []


def written(folder: Path, content: str) -> Path:
    path = folder / "sample.csv"
    path.write_text(content)
    return path
