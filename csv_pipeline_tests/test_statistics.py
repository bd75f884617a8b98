"""After a large import the server knows what is in the table, before it counts by itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from csv_pipeline.model import Outcome
from csv_pipeline.storage import statistics
from csv_pipeline_tests.conftest import Desk

FEED, HEADER = "overwritten", "Key,Value,Version\n"


@pytest.fixture(autouse=True)
def _ten_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "_MANY_ROWS", 10)


@contextmanager
def counting(desk: Desk) -> Iterator[list[str]]:
    """Give which tables are counted in the block."""
    counted: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        if statement.startswith("ANALYZE") and "data." in statement:
            counted.append(statement.split()[2])

    sa.event.listen(desk.pipeline.database.engine, "before_cursor_execute", note)
    try:
        yield counted
    finally:
        sa.event.remove(desk.pipeline.database.engine, "before_cursor_execute", note)


def rows(first: int, end: int, version: int = 1) -> str:
    return HEADER + "".join(f"k{n},v{version},{version}\n" for n in range(first, end))


def test_a_table_is_counted_once_many_of_an_accounts_rows_are_new_or_changed(desk: Desk) -> None:
    with counting(desk) as counted:
        desk.bring(rows(0, 200), FEED)
        assert counted == ['data."overwritten"']
        with desk.pipeline.database.begin() as connection:
            query = "SELECT reltuples FROM pg_class WHERE oid = 'data.overwritten'::regclass"
            assert (connection.scalar(sa.text(query)) or 0) >= 200
        desk.bring(rows(0, 100, version=2), FEED)
    assert len(counted) == 2


def test_neither_a_small_import_nor_one_that_changes_little_has_a_table_counted(desk: Desk) -> None:
    desk.bring(rows(0, 200), FEED)
    with counting(desk) as counted:
        desk.bring(rows(0, 9, version=2), FEED)
        desk.bring(rows(0, 15, version=3), FEED)
        desk.bring(rows(15, 200), FEED)
    assert counted == []


def test_an_import_does_not_wait_for_who_counts_the_table_already(desk: Desk) -> None:
    with desk.pipeline.database.begin() as other, counting(desk) as counted:
        other.execute(sa.text("LOCK TABLE data.overwritten IN SHARE UPDATE EXCLUSIVE MODE"))
        report = desk.bring(rows(0, 200), FEED)
    assert (report.outcome, len(counted)) == (Outcome.IMPORTED, 1)


def test_an_import_stays_stored_if_its_table_cannot_be_counted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics, "SCHEMA", "nowhere")
    assert desk.bring(rows(0, 200), FEED).outcome is Outcome.IMPORTED
