"""An index serves every query that comes again and again, however many rows there are."""
# ruff: noqa: S608  # the statements are made of this module's own names

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, cast

import dagster as dg
import pytest
import sqlalchemy as sa

from csv_pipeline.defs.assembly import assemble
from csv_pipeline.defs.resource import Engine
from csv_pipeline.defs.schedules import nightly
from csv_pipeline.defs.sensors import landing
from csv_pipeline.defs.stalled import stalled_runs
from csv_pipeline.engine.housekeeping import sweep
from csv_pipeline.engine.import_requests import ACCOUNTS, JOB
from csv_pipeline.engine.pipeline import Pipeline, open_pipeline
from csv_pipeline.storage import arrivals, attention, browse, imports, quarantine, undo_records
from csv_pipeline.storage.browse import Sort, Wanted
from csv_pipeline.storage.isolation import choose_account
from csv_pipeline.storage.targets import ensure_targets
from csv_pipeline_tests.conftest import Desk, own_settings
from csv_pipeline_tests.feeds import TEST_FEEDS

ROWS = 15_000
LARGE = {"arrival", "import", "reject", "outbox", "file_move", "overwritten", "overwritten_history"}
OF_FEW = {
    *("arrival_open", "arrival_claimed", "arrival_to_move", "arrival_moving"),
    *("import_not_stored", "import_to_correct"),
}
"""Indexes of files that are not settled, or not moved, yet, or that need somebody."""
FEED, HEADER = "overwritten", "Key,Value,Version\n"
EXPLAINED = ("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")


def fill(desk: Desk, rows: int) -> None:
    """Let a lane have so many files, imports, rejects, rows and earlier versions of rows.

    Half of the files and imports are another account's. A row in two was changed since it was made.
    """
    report = desk.bring(HEADER + "first,1,1\n", FEED)
    facts = {"rows": rows, "of": report.import_id, "account": desk.account}
    with desk.pipeline.database.begin() as connection:
        for statement in FILL:
            connection.execute(sa.text(statement), facts)
    with desk.pipeline.database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(sa.text("ANALYZE"))


NUMBERS = "generate_series(1::bigint, :rows) AS n"
OWNER = "CASE WHEN n % 2 = 0 THEN :account ELSE 'other' END"
FILL = (
    "SELECT setval('csv_pipeline.import_id', 1000000 + :rows),"
    " setval('csv_pipeline.position', (1000000 + :rows) * 1048576::bigint)",
    f"""
    INSERT INTO csv_pipeline.arrival (
        account, feed, location, name, size_bytes, modified_at, status, import_id, position,
        moved_to, moved_at
    )
    SELECT {OWNER}, feed, location || n, n || name, size_bytes, modified_at, 'imported',
        1000000 + n, n * 1048576, '/archive/' || n, now()
    FROM csv_pipeline.arrival, {NUMBERS}
    WHERE import_id = :of
    """,
    f"""
    INSERT INTO csv_pipeline.import (
        import_id, arrival_id, account, feed, name, outcome, fingerprint, read, inserted, updated,
        unchanged, kept, superseded, rejected, blank, non_data, missing, position, turn,
        rows_stored, report
    )
    SELECT 1000000 + n, a.arrival_id, {OWNER}, i.feed, i.name, 'imported', 'bytes ' || n, 2, 1, 1,
        0, 0, 0, 0, 0, 0, 0, n * 1048576, 1 + n, n, i.report
    FROM csv_pipeline.import i, {NUMBERS}
    JOIN csv_pipeline.arrival a ON a.import_id = 1000000 + n
    WHERE i.import_id = :of
    """,
    f"""
    INSERT INTO csv_pipeline.reject (import_id, row_number, line_number, rule, message, raw)
    SELECT 1000000 + n, 2, 2, 'row.too_short', 'short', 'x' FROM {NUMBERS}
    """,
    f"""
    INSERT INTO csv_pipeline.outbox (import_id, kind, payload)
    SELECT 1000000 + n, 'imported', '{{}}' FROM {NUMBERS}
    """,
    """
    INSERT INTO csv_pipeline.file_move (account, feed, arrival_id, source)
    SELECT account, feed, arrival_id, location FROM csv_pipeline.arrival
    """,
    f"""
    INSERT INTO data.overwritten (
        account, key, value, version, _import_id, _created_import_id, _row_number, _updated_at
    )
    SELECT :account, 'key ' || n, 'value', 1, 1000000 + (n * 7919) % :rows,
        1000000 + CASE WHEN n % 2 = 0 THEN (n * 7919) % :rows ELSE (n * 104729) % :rows END,
        2, now()
    FROM {NUMBERS}
    """,
    """
    INSERT INTO data.overwritten_history (
        _replaced_by_import_id, account, key, value, version, _import_id, _created_import_id,
        _row_number, _updated_at
    )
    SELECT _import_id, account, key, 'before', 1, _created_import_id, _created_import_id, 3, now()
    FROM data.overwritten WHERE _import_id <> _created_import_id
    """,
)


class Plans:
    """The plans of all that the pipeline asks of the database, as they are asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.bad: list[str] = []

    def explain(
        self, connection: sa.Connection, _: Any, statement: str, parameters: Any, *more: Any
    ) -> None:
        """Ask how the server means to execute a statement, just before it does."""
        if not statement.lstrip().startswith(EXPLAINED) or more[1]:
            return
        cursor: Any = connection.connection.cursor()
        row = cursor.execute(f"EXPLAIN (FORMAT JSON) {statement}", parameters).fetchone()
        self.asked += 1
        found = row[0] if isinstance(row[0], list) else json.loads(row[0])
        self.bad += [
            f"{fault}: {' '.join(statement.split())}" for fault in faults(found[0]["Plan"])
        ]


def faults(plan: dict[str, Any], *, limited: bool = False) -> Iterator[str]:
    """Give where a plan reads all of a large table, or all of an index that has all its rows."""
    kind, table = plan["Node Type"], plan.get("Relation Name")
    if table in LARGE:
        if kind == "Seq Scan":
            yield f"reads all of {table}"
        all_of_it = kind.startswith("Index") and "Index Cond" not in plan and not limited
        if all_of_it and plan["Index Name"] not in OF_FEW:
            yield f"reads all of {plan['Index Name']}"
    limited = limited or kind == "Limit"
    for part in plan.get("Plans", ()):
        yield from faults(part, limited=limited and kind != "Sort")


@pytest.fixture(scope="module")
def crowded() -> Iterator[Desk]:
    """The desk of an account with many files and rows, in a database of its own."""
    with own_settings(settle_seconds=0, keep_days=30, history_days=30) as settings:
        pipeline = open_pipeline(settings, TEST_FEEDS)
        folder = settings.landing_folder / "acme" / FEED
        folder.mkdir(parents=True)
        desk = Desk(pipeline, "acme", folder)
        fill(desk, ROWS)
        yield desk
        pipeline.close()


@contextmanager
def watched(pipeline: Pipeline) -> Iterator[None]:
    """Fail if the server reads all of a large table for anything that is asked in the block."""
    plans, engine = Plans(), pipeline.database.engine
    sa.event.listen(engine, "before_cursor_execute", plans.explain)
    try:
        yield
    finally:
        sa.event.remove(engine, "before_cursor_execute", plans.explain)
    assert plans.asked
    assert not plans.bad, "\n".join(plans.bad)


def drop(desk: Desk, name: str, rows: str) -> None:
    (desk.folder / name).write_text(HEADER + rows)


def test_a_query_that_reads_all_of_a_large_table_is_found(crowded: Desk) -> None:
    query = sa.text("SELECT count(*) FROM csv_pipeline.import WHERE blank = 7")
    with (
        pytest.raises(AssertionError, match="reads all of import"),
        watched(crowded.pipeline),
        crowded.pipeline.database.begin() as connection,
    ):
        connection.execute(query)


def test_no_tick_of_a_sensor_reads_a_large_table(crowded: Desk) -> None:
    drop(crowded, "tick.csv", "tick,1,1\n")
    engine = Engine(lambda: crowded.pipeline)
    with dg.DagsterInstance.ephemeral() as instance, watched(crowded.pipeline):
        for sensor in (landing, landing, stalled_runs):  # once with a file, once without
            sensor(dg.build_sensor_context(instance=instance, resources={"engine": engine}))


def test_no_night_reads_a_large_table(crowded: Desk) -> None:
    engine = Engine(lambda: crowded.pipeline)
    with dg.instance_for_test() as instance, watched(crowded.pipeline):
        context = dg.build_schedule_context(
            instance=instance,
            resources={"engine": engine},
            scheduled_execution_time=datetime(2026, 11, 26, 3, tzinfo=UTC),
        )
        assert list(cast("Iterator[Any]", nightly(context)))


def test_no_start_reads_a_large_table(crowded: Desk) -> None:
    pipeline = crowded.pipeline
    with watched(pipeline):
        sweep(pipeline.settings, pipeline.database, pipeline.feeds)
        undo_records.prune_history(pipeline.database, pipeline.feeds.values(), 30)
        pipeline.put_away(1)
        ensure_targets(pipeline.database, pipeline.feeds.values())


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param("new 1,1,1\nnew 2,1,1\n", id="new rows"),
        pytest.param("key 7,other,2\nkey 8,other,2\n", id="changes"),
        pytest.param("key 9,other,2\nshort\n", id="rejects"),
    ],
)
def test_no_run_over_a_small_file_reads_a_large_table(crowded: Desk, rows: str) -> None:
    drop(crowded, "run.csv", rows)
    pipeline = crowded.pipeline
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(ACCOUNTS, ["acme"])
        job = assemble([pipeline.feed(FEED)], Engine(lambda: pipeline)).resolve_job_def(JOB)
        with watched(pipeline):
            assert job.execute_in_process(instance=instance, partition_key="acme").success


def test_neither_undo_nor_replay_of_a_few_rows_reads_a_large_table(crowded: Desk) -> None:
    first = crowded.bring(HEADER + "u 1,1,1\nu 2,1,1\nkey 17,mine,2\nshort\n", FEED)
    crowded.bring(HEADER + "u 1,2,2\nkey 17,theirs,3\n", FEED)
    path = crowded.folder.parent / "corrected.csv"
    crowded.pipeline.write_rejects(first.import_id, path)
    with watched(crowded.pipeline):
        report = crowded.pipeline.undo(first.import_id)
    assert report.undo is not None
    assert (report.undo.deleted, sum(report.undo.kept.values())) == (1, 2)


def test_no_list_of_imports_reads_a_large_table(crowded: Desk) -> None:
    with watched(crowded.pipeline), crowded.pipeline.database.begin() as connection:
        newest = imports.newest(connection, account="acme", feed=FEED, limit=5)
        ids = [report.arrival_id for report, _ in newest]
        arrivals.locations(connection, ids)
        quarantine.faults_of(connection, 1_000_001, 5)
        imports.newest(connection, limit=5)
        imports.rows_stored(connection, "acme", FEED)
        attention.to_correct(connection, "acme", FEED, 5)
        attention.needs(connection, None, 5, 3)
        attention.by_feed(connection, [FEED, "people"], [], 5, 3)


@pytest.mark.parametrize("bound", [True, False])
@pytest.mark.parametrize("sort", list(Sort))
def test_no_page_of_an_account_s_list_reads_a_large_table(
    crowded: Desk, sort: Sort, *, bound: bool
) -> None:
    with watched(crowded.pipeline), crowded.pipeline.database.begin() as connection:
        if bound:
            choose_account(connection, "acme")
        first = browse.page(connection, Wanted(account="acme", sort=sort))
        last = browse.sort_value(first[-1], sort), first[-1].place
        then = browse.page(connection, Wanted(account="acme", sort=sort, after=last))
    assert len({entry.place for entry in first + then}) == 100


def test_the_list_of_all_accounts_reads_no_large_table(crowded: Desk) -> None:
    with watched(crowded.pipeline), crowded.pipeline.database.begin() as connection:
        assert len(browse.page(connection, Wanted())) == 50
        browse.find(connection, 1_000_001)
        browse.pending(connection)
        browse.settled_above(connection, browse.last_number(connection) - 10, 20)
