"""Names that cannot be held are refused where a feed is declared; all others work everywhere."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from dagster._core.definitions.utils import DISALLOWED_NAMES

from csv_pipeline.defs.assembly import assemble
from csv_pipeline.defs.resource import Engine
from csv_pipeline.engine.pipeline import Pipeline, open_pipeline
from csv_pipeline.errors import SetupError
from csv_pipeline.feeds import FEEDS
from csv_pipeline.files.local import path_of
from csv_pipeline.model import Outcome
from csv_pipeline.spec.contract import Contract, column
from csv_pipeline.spec.duplicates import NewestInFile, RejectDuplicates
from csv_pipeline.spec.feed import Feed, Layout
from csv_pipeline.spec.names import hold_apart
from csv_pipeline_tests.conftest import Desk, own_settings
from csv_pipeline_tests.feeds import Version


def never() -> Pipeline:
    raise AssertionError("definitions open nothing")


def nodes() -> set[str]:
    """Return what jobs and ops are called that no feed names."""
    jobs = assemble(FEEDS, Engine(open_=never)).get_repository_def().get_all_jobs()
    names = {job.name for job in jobs} | {node.name for job in jobs for node in job.all_node_defs}
    own = {
        f"{feed.name}{suffix}" for feed in FEEDS for suffix in ("", "_worklist", "_files_checks")
    }
    return names - own - {table.name for feed in FEEDS for table in feed.derived}


def contract_of(name: str) -> type[Contract]:
    """Return a contract with a column of this name beside its key."""
    declared = {name: str, "key": str}
    columns = {name: column("Other", nullable=True), "key": column("Key")}
    facts: dict[str, Any] = {"__annotations__": declared, "__module__": __name__, **columns}
    return type("Named", (Contract,), facts)


@pytest.mark.parametrize(
    "name",
    [
        "account", "ctid", "xmin", "tableoid", "_row_number", "_extra", "_import_id", "Size",
        "grösse", "a b", 'a"b', "a" * 64, "ä" * 32,
    ],
)  # fmt: skip
def test_a_column_that_cannot_be_held_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(SetupError) as refused:
        Feed(name="named", description="", contract=contract_of(name), key=("key",))
    assert "feed 'named': a column of" in str(refused.value)
    assert repr(name) in str(refused.value)


@pytest.mark.parametrize(
    "name",
    [
        "", "Orders", "my-orders", "my orders", "1st", "_mine", "../up", "a/b", "a.b", "año",
        'x"; DROP TABLE data.people; --', "a" * 46,
    ],
)  # fmt: skip
def test_a_feed_that_cannot_be_held_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(SetupError, match="a name of") as refused:
        Feed(name=name, description="", contract=Version, key=("key",))
    assert repr(name) in str(refused.value)


@pytest.mark.parametrize("name", sorted({*DISALLOWED_NAMES, *nodes()}))
def test_a_feed_of_a_name_that_dagster_refuses_is_refused(name: str) -> None:
    with pytest.raises(SetupError, match=f"feed {name!r}"):
        Feed(name=name, description="", contract=Version, key=("key",))


@pytest.mark.parametrize("view", ["Totals", "a b", "a" * 64])
def test_a_view_that_cannot_be_held_is_refused_by_its_name(view: str) -> None:
    with pytest.raises(SetupError, match="feed 'named': a view of"):
        Feed(name="named", description="", contract=Version, key=("key",), views={view: "SELECT 1"})


@pytest.mark.parametrize(
    "feeds",
    [
        [("people", ()), ("people_history", ())],
        [("people_rejects", ()), ("people", ())],
        [("people", ("totals",)), ("totals", ())],
        [("people", ("totals",)), ("orders", ("totals",))],
        [("people", ()), ("people", ())],
    ],
)
def test_feeds_that_share_a_name_are_refused_together(feeds: list[Any]) -> None:
    with pytest.raises(SetupError, match="both have"):
        hold_apart(feeds)


class Parcel(Contract):
    """A parcel whose columns have names that the pipeline uses for its own."""

    row_number: str = column("Row Number")
    layout: str = column("Layout", substitute="")
    length: int = column("Length", nullable=True, ge=1)
    offset: pl.Date = column("Offset", nullable=True)
    line_number: int = column("Line Number", nullable=True)
    outcome: str = column("Outcome", nullable=True)
    errors: str = column("Errors", nullable=True)
    own_row_number: str = column(derived=True)
    index: str = column("Index", nullable=True)
    hash: str = column("Hash", nullable=True)
    value: str = column("Value", nullable=True)
    rule: str = column("Rule", nullable=True)
    select: str = column("Select", nullable=True)


def own(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Repeat the number that the file gives."""
    return rows.with_columns(own_row_number=pl.col("row_number"))


LAYOUTS = (Layout(name="long", marks=frozenset({"length"})), Layout(name="other"))


def parcels_feed(name: str, **how: Any) -> Feed:
    return Feed(name=name, description="", contract=Parcel, transforms=(own,), **how)


LONGEST = "p" * 45
KEY = ("row_number",)
PARCELS = (
    parcels_feed(LONGEST, key=KEY),
    parcels_feed("by_layout", key=("layout", "row_number"), layouts=LAYOUTS),
    parcels_feed("once", key=KEY, duplicates=RejectDuplicates()),
    parcels_feed("newest", key=KEY, duplicates=NewestInFile("offset")),
    parcels_feed("without_key"),
)


@pytest.fixture(scope="module")
def parcels() -> Iterator[Pipeline]:
    """A pipeline of feeds whose columns have the names of its own."""
    with own_settings(settle_seconds=0) as settings:
        opened = open_pipeline(settings, PARCELS)
        yield opened
        opened.close()


HEADER = "Row Number,Layout,Length,Offset,Line Number,Outcome,Errors,Index,Hash,Value,Rule,Select\n"
FILE = (
    f"{HEADER}"
    "900,wide,12,2026-01-02,77,kept,none,i,h,v,r,s\n"
    "1,tall,x,2026-01-03,78,,,,,,,\n"
    "900,wide,13,2026-01-01,77,kept,none,i,h,v,r,s\n"
    "2,flat,0,soon,5,lost,,,,,,\n"
)


@pytest.mark.parametrize(
    ("feed", "stored"),
    [
        (LONGEST, [("900", 13, 4)]),
        ("by_layout", [("900", 13, 4)]),
        ("once", []),
        ("newest", [("900", 12, 2)]),
        ("without_key", [("900", 12, 2), ("900", 13, 4)]),
    ],
)
def test_columns_may_be_called_as_the_pipeline_calls_its_own(
    parcels: Pipeline, account: str, tmp_path: Path, feed: str, stored: list[tuple[object, ...]]
) -> None:
    desk = Desk(parcels, account, tmp_path)
    first = desk.bring(FILE, feed)
    assert first.outcome is Outcome.IMPORTED, first.problem
    columns = "row_number, length, _row_number"  # and the first is what the file says
    assert [tuple(row) for row in desk.rows(feed, columns, "_row_number")] == stored
    rejects = desk.rejects(first)
    assert [(r.row_number, r.column) for r in rejects if r.column] == [
        (3, "length"), (5, "length"), (5, "offset"),
    ]  # fmt: skip
    assert rejects[-1].raw == "2,flat,0,soon,5,lost,,,,,,"
    results = path_of(parcels.settings.results_file(account, feed, first.import_id)).read_text(
        "utf-8-sig"
    )
    assert results.splitlines()[1].startswith("2,2,")
    assert len(results.splitlines()) == 5

    path = tmp_path / "rejects.csv"
    parcels.write_rejects(first.import_id, path)
    text = path.read_text().replace(",x,", ",3,").replace(",0,soon", ",4,2026-01-04")
    second = desk.bring(text, feed)
    assert second.outcome is Outcome.IMPORTED, second.problem
    shown = [tuple(row) for row in desk.rows(feed, "row_number, length, layout", "length")]
    assert shown[:2] == [("1", 3, "tall"), ("2", 4, "flat")]
    undone = parcels.undo(first.import_id)
    assert undone.undo is not None
    assert undone.undo.deleted == len(stored)
