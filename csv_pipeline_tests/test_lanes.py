"""One transaction at a time loads into a lane, and nobody else can take or keep its turn."""
# ruff: noqa: S608  # the statements are made of this module's own names

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillWaiting
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from csv_pipeline.engine import archive
from csv_pipeline.engine.accounts import bind_reader
from csv_pipeline.engine.lease_renewer import LeaseRenewer
from csv_pipeline.engine.pipeline import Pipeline, open_pipeline
from csv_pipeline.engine.workspace import Stage
from csv_pipeline.model import Claim, Outcome
from csv_pipeline.storage import api_tables, arrivals, lane_lock
from csv_pipeline_tests.conftest import Desk, advance, own_settings, settled
from csv_pipeline_tests.feeds import TEST_FEEDS

PEOPLE = "ID,Name\n1,Ann\n"
PATIENCE_SECONDS = 20
# The keys that releases before took: of lanes, of the archive, of migrations, tables and readers.
KEYS = ("hashtextextended('{lane}', 0)", "1, hashtext('{lane}')", "6517622", "6517623", "6517624")
# Of migrations after the release that the last test here has a database of.
OF_THE_API = sorted(
    table.name for table in vars(api_tables).values() if isinstance(table, sa.Table)
)
NEW_INDEXES = (
    *(f"import_by_{name}" for name in ("account", "time", "name", "read", "rejected")),
    "arrival_open",
    "arrival_without_position",
    "arrival_by_location",
    "arrival_not_moved",
    "import_by_arrival",
    "import_by_turn",
    "import_with_changes",
    "import_without_history",
    "import_by_layout",
    "import_with_history",
    "reject_by_repair",
    "reject_by_undone_repair",
)


@pytest.fixture
def bound(pipeline: Pipeline) -> Iterator[psycopg.Connection]:
    """A session of a login that may read the account `other` and none else."""
    role = f"bi_{uuid.uuid4().hex[:8]}"
    url = pipeline.database.engine.url.set(
        drivername="postgresql", username=role, password=role
    ).render_as_string(hide_password=False)
    with pipeline.database.begin() as connection:
        connection.execute(sa.text(f"CREATE ROLE {role} LOGIN PASSWORD '{role}'"))
    bind_reader(pipeline, role, "other")
    with closing(psycopg.connect(url, autocommit=True)) as session:
        yield session
    with pipeline.database.begin() as connection:
        connection.execute(
            sa.text(f"DELETE FROM csv_pipeline.reader WHERE role = '{role}'::regrole")
        )
        connection.execute(sa.text(f"DROP ROLE {role}"))


def soon(do: Callable[[], Any]) -> Any:
    """Return what a call gives, if it does not wait for something."""
    pool = ThreadPoolExecutor(1)
    try:
        return pool.submit(do).result(PATIENCE_SECONDS)
    except StillWaiting:
        pytest.fail("it waits")
    finally:
        pool.shutdown(wait=False)


def test_a_login_that_takes_every_lock_it_may_holds_up_nobody(
    desk: Desk, bound: psycopg.Connection
) -> None:
    pipeline, feed = desk.pipeline, "people"
    for key in KEYS:
        lane = f"{desk.account}/{feed}"
        bound.execute(sql.SQL(f"SELECT pg_advisory_lock({key.format(lane=lane)})"))
    path = pipeline.settings.landing_folder / desk.account / feed / "list.csv"
    path.parent.mkdir(parents=True)

    def go() -> Outcome:
        again = open_pipeline(pipeline.settings, TEST_FEEDS)
        report = Desk(again, desk.account, path.parent).bring(PEOPLE, name=path.name)
        archive.archive(again.database, again.settings, [report.arrival_id])
        again.undo(report.import_id)
        again.close()
        return report.outcome

    assert soon(go) is Outcome.IMPORTED
    assert not path.exists()


@pytest.mark.parametrize("name", ["{arrival}-0", f"{10**18}-1", f"{{arrival}}-{10**18}", "x-y"])
def test_a_login_that_calls_its_session_a_load_is_left_alone(
    desk: Desk, bound: psycopg.Connection, name: str
) -> None:
    import_ = desk.claimed(PEOPLE)
    name = name.format(arrival=import_.claim.arrival_id)
    bound.execute(sql.SQL("SET application_name = {}").format(f"csv-pipeline load {name}"))
    with held(desk) as drop:
        threading.Timer(0.5, drop).start()
        soon(lambda: advance(import_, Stage.LOAD))
    assert bound.execute("SELECT 1").fetchone() == (1,)
    assert settled(import_).outcome is Outcome.IMPORTED


@contextmanager
def held(desk: Desk, feed: str = "people") -> Iterator[Callable[[], None]]:
    """Hold a lane as a load does; give what lets it go."""
    with desk.pipeline.database.engine.connect() as connection:
        assert lane_lock.try_lane(connection, desk.account, feed)
        yield connection.rollback


@pytest.mark.parametrize("how", ["import", "dry run", "undo", "dry run of an undo"])
def test_whatever_writes_to_a_lane_waits_its_turn(desk: Desk, how: str) -> None:
    first = desk.bring("ID,Name\n1,Ada\n")
    doing = {
        "import": lambda: settled(desk.claimed(PEOPLE)),
        "dry run": lambda: desk.bring("ID,Name\n2,Bo\n", dry_run=True),
        "undo": lambda: desk.pipeline.undo(first.import_id),
        "dry run of an undo": lambda: desk.pipeline.undo(first.import_id, dry_run=True),
    }[how]
    with ThreadPoolExecutor(1) as pool, held(desk) as drop:
        waiting = pool.submit(doing)
        await_waiting(desk, 1)
        assert not waiting.done()
        drop()
        waiting.result(PATIENCE_SECONDS)


def test_lanes_do_not_wait_for_each_other(desk: Desk, pipeline: Pipeline, tmp_path: Path) -> None:
    other = Desk(pipeline, f"{desk.account}-2", tmp_path)
    desk.bring("ID,Name\n1,Ada\n")
    with held(desk):
        assert soon(lambda: other.bring(PEOPLE)).outcome is Outcome.IMPORTED
        more = "Key,Value,Version\na,1,1\n"
        assert soon(lambda: desk.bring(more, "limited")).outcome is Outcome.IMPORTED


def await_waiting(desk: Desk, sessions: int) -> None:
    """Return once so many sessions wait for the lock of any lane."""
    query = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND wait_event_type = 'Lock' AND query LIKE '%csv_pipeline.lane%'"
    )
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while True:
        with desk.pipeline.database.begin() as connection:
            if connection.scalar(query) == sessions:
                return
        assert time.monotonic() < give_up_at, "nobody waits"


@contextmanager
def queued(desk: Desk, claims: list[Claim]) -> Iterator[tuple[list[int], Callable[[], None]]]:
    """Let loads of these claims wait for their lane, one after the other.

    Gives the places of those that were served since, in the order they were, and what frees the
    lane.
    """
    served: list[int] = []

    def load(place: int) -> None:
        with desk.pipeline.database.begin() as connection:
            lane_lock.lock_lane(connection, claims[place])
            served.append(place)

    with ThreadPoolExecutor(len(claims)) as pool, held(desk) as drop:
        waiting = []
        for place in range(len(claims)):
            waiting.append(pool.submit(load, place))
            await_waiting(desk, place + 1)

        def free() -> None:
            drop()
            for load_ in waiting:
                load_.exception(PATIENCE_SECONDS)

        yield served, free


def test_who_waits_for_a_lane_is_served_in_the_order_he_came(desk: Desk) -> None:
    desk.bring("ID,Name\n1,Ada\n")
    claims = [desk.claimed(f"ID,Name\n{n},x\n").claim for n in range(6)]
    with queued(desk, claims) as (served, free):
        free()
    assert served == [0, 1, 2, 3, 4, 5]


def test_who_waits_asks_once_and_waits_without_a_limit(desk: Desk) -> None:
    desk.bring("ID,Name\n1,Ada\n")
    claim = desk.claimed(PEOPLE).claim
    asked: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        asked.append(statement)

    with desk.pipeline.database.engine.connect() as connection, held(desk) as drop:
        sa.event.listen(connection, "before_cursor_execute", note)
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(lane_lock.lock_lane, connection, claim)
            await_waiting(desk, 1)
            drop()
            waiting.result(PATIENCE_SECONDS)
        assert sum("FOR UPDATE" in one and "SKIP LOCKED" not in one for one in asked) == 1
        assert not [one for one in asked if "_timeout" in one]


def test_one_that_is_cancelled_while_it_waits_holds_up_nobody_behind_it(desk: Desk) -> None:
    desk.bring("ID,Name\n1,Ada\n")
    claims = [desk.claimed(f"ID,Name\n{n},x\n").claim for n in range(3)]
    with queued(desk, claims) as (served, free):
        with desk.pipeline.database.begin() as connection:
            mine = f"csv-pipeline load {claims[1].arrival_id}-{claims[1].attempt}"
            query = (
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = :m"
            )
            assert connection.scalars(sa.text(query), {"m": mine}).all() == [True]
        await_waiting(desk, 2)
        free()
    assert served == [0, 2]


def test_the_claim_of_one_that_waits_is_renewed(desk: Desk) -> None:
    desk.bring("ID,Name\n1,Ada\n")
    import_ = desk.claimed(PEOPLE)
    leases = LeaseRenewer(desk.pipeline.database, 600)
    with ThreadPoolExecutor(1) as pool, held(desk) as drop:
        waiting = pool.submit(settled, import_)
        await_waiting(desk, 1)
        before = expires_at(desk, import_.claim)
        with leases.working_on([import_.claim]):
            leases.renew()
            assert expires_at(desk, import_.claim) > before
        drop()
        assert waiting.result(PATIENCE_SECONDS).outcome is Outcome.IMPORTED
    leases.stop()


def expires_at(desk: Desk, claim: Claim) -> datetime:
    with desk.pipeline.database.begin() as connection:
        (row,) = arrivals.find(connection, arrival_ids=[claim.arrival_id])
    assert isinstance(row.lease_expires_at, datetime)
    return row.lease_expires_at


def test_a_dry_run_reads_and_checks_its_file_while_another_loads(desk: Desk) -> None:
    desk.bring("ID,Name\n1,Ada\n")
    import_ = desk.claimed(PEOPLE, dry_run=True)
    with ThreadPoolExecutor(1) as pool, held(desk) as drop:
        assert soon(lambda: advance(import_, Stage.VALIDATE)).rows == 1
        waiting = pool.submit(settled, import_)
        await_waiting(desk, 1)
        drop()
        assert waiting.result(PATIENCE_SECONDS).counts.updated == 1


def test_the_first_loads_of_a_lane_that_nobody_entered_do_not_meet(desk: Desk) -> None:
    engine = desk.pipeline.database.engine
    claim = desk.claimed(PEOPLE).claim
    with desk.pipeline.database.begin() as connection:
        mine = sa.text("DELETE FROM csv_pipeline.lane WHERE account = :account")
        connection.execute(mine, {"account": desk.account})
    with engine.connect() as first, engine.connect() as second, ThreadPoolExecutor(1) as pool:
        lane_lock.lock_lane(first, claim)
        waiting = pool.submit(lane_lock.lock_lane, second, replace(claim, arrival_id=0))
        await_waiting(desk, 1)
        first.rollback()
        waiting.result(PATIENCE_SECONDS)
        assert not lane_lock.try_lane(first, claim.account, claim.feed)


def test_a_lane_is_free_when_the_connection_of_its_load_is_gone(desk: Desk) -> None:
    desk.bring("ID,Name\n1,Ada\n")
    with desk.pipeline.database.engine.connect() as dead:
        assert lane_lock.try_lane(dead, desk.account, "people")
        dead.invalidate()
    assert soon(lambda: desk.bring(PEOPLE)).outcome is Outcome.IMPORTED


def test_imports_of_an_earlier_release_can_be_undone_in_their_order(tmp_path: Path) -> None:
    with own_settings(settle_seconds=0) as settings:
        old = open_pipeline(settings, TEST_FEEDS)
        one, two = (Desk(old, "acme", tmp_path).bring(f"ID,Name\n1,v{n}\n") for n in (1, 2))
        undone = [old.undo(report.import_id) for report in (one, two)]
        with old.database.begin() as connection:
            for statement in (
                "DROP TABLE csv_pipeline.outbox, csv_pipeline.recomputed,"
                " csv_pipeline.declaration, csv_pipeline.snapshot_scope,"
                " csv_pipeline.reading_change",
                "DROP POLICY own_account ON csv_pipeline.reject",
                "DROP TABLE " + ", ".join(f"csv_pipeline.{name}" for name in OF_THE_API),
                "ALTER TABLE csv_pipeline.target DROP COLUMN readings",
                "ALTER TABLE csv_pipeline.arrival DROP COLUMN requested_at,"
                " DROP COLUMN postponed, DROP COLUMN not_before",
                "DROP TABLE csv_pipeline.overdue",
                "DROP INDEX csv_pipeline.arrival_by_time",
                "ALTER TABLE csv_pipeline.import DROP COLUMN IF EXISTS dismissed_at",
                "ALTER TABLE csv_pipeline.account ADD COLUMN seller_id text,"
                " ADD COLUMN date_order text, ADD COLUMN decimal_mark text,"
                " ADD COLUMN encoding text, ADD COLUMN currency text, ADD COLUMN null_words text[],"
                " ADD COLUMN max_file_bytes bigint, ADD COLUMN max_compressed_bytes bigint",
                "DROP INDEX " + ", ".join(f"csv_pipeline.{name}" for name in NEW_INDEXES),
                "CREATE INDEX arrival_open ON csv_pipeline.arrival (account, feed)",
                "ALTER TABLE csv_pipeline.import DROP COLUMN rows_stored, DROP COLUMN missing",
                "ALTER TABLE csv_pipeline.arrival RENAME COLUMN moved_at TO placed_at",
                "ALTER TABLE csv_pipeline.arrival"
                " RENAME COLUMN status_before_dry_run TO rehearsed_as",
                "ALTER INDEX csv_pipeline.arrival_to_move RENAME TO arrival_to_place",
                "ALTER TABLE csv_pipeline.arrival ADD COLUMN moved_modified_at timestamptz,"
                " DROP COLUMN moved_etag, DROP COLUMN etag, ADD CONSTRAINT arrival_is_found_once"
                " UNIQUE (account, feed, location, size_bytes, modified_at)",
                "DROP TABLE csv_pipeline.lane, csv_pipeline.silent_store, csv_pipeline.folder",
                "ALTER TABLE csv_pipeline.arrival DROP COLUMN kept_number",
                "ALTER TABLE csv_pipeline.import DROP COLUMN turn",
                "UPDATE csv_pipeline.alembic_version SET version_num = '0013'",
            ):
                connection.execute(sa.text(statement))
        old.close()
        new = open_pipeline(settings, TEST_FEEDS)
        for report in reversed(undone):
            new.undo(report.import_id)
        desk = Desk(new, "acme", tmp_path)
        assert desk.rows(columns="name") == [("v2",)]
        desk.bring("ID,Name\n1,v3\n")
        with new.database.begin() as connection:
            query = sa.text("SELECT turn, rows_stored FROM csv_pipeline.import ORDER BY import_id")
            turns, stored = zip(*connection.execute(query), strict=True)
            assert turns == (1, 2, 3, 4, 5, 6, 7)
            assert stored == (1, 1, 1, 0, 1, 1, 1)
        new.close()
