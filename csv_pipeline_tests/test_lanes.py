"""One transaction at a time loads into a lane, and nobody else can take or keep its turn."""
# ruff: noqa: S608  # the statements are made of this module's own names

import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillWaiting
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from csv_pipeline.engine import archive
from csv_pipeline.engine.accounts import bind_reader
from csv_pipeline.engine.pipeline import Pipeline, open_pipeline
from csv_pipeline.engine.workspace import Stage
from csv_pipeline.model import Outcome
from csv_pipeline.storage import lane_lock
from csv_pipeline_tests.conftest import Desk, own_settings
from csv_pipeline_tests.feeds import TEST_FEEDS

PEOPLE = "ID,Name\n1,Ann\n"
PATIENCE_SECONDS = 20
# The keys that releases before took: of lanes, of the archive, of migrations, tables and readers.
KEYS = (
    "hashtextextended('{lane}', 0)",
    "1, hashtext('{lane}')",
    "6517622",
    "6517623",
    "6517624",
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
        soon(lambda: import_.advance(Stage.LOAD))
    assert bound.execute("SELECT 1").fetchone() == (1,)
    assert import_.settled().outcome is Outcome.IMPORTED


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
        "import": desk.claimed(PEOPLE).settled,
        "dry run": lambda: desk.bring("ID,Name\n2,Bo\n", dry_run=True),
        "undo": lambda: desk.pipeline.undo(first.import_id),
        "dry run of an undo": lambda: desk.pipeline.undo(first.import_id, dry_run=True),
    }[how]
    with ThreadPoolExecutor(1) as pool, held(desk) as drop:
        waiting = pool.submit(doing)
        with pytest.raises(StillWaiting):
            waiting.result(1.5)
        drop()
        waiting.result(PATIENCE_SECONDS)


def test_lanes_do_not_wait_for_each_other(desk: Desk, pipeline: Pipeline, tmp_path: Path) -> None:
    other = Desk(pipeline, f"{desk.account}-2", tmp_path)
    desk.bring("ID,Name\n1,Ada\n")
    with held(desk):
        assert soon(lambda: other.bring(PEOPLE)).outcome is Outcome.IMPORTED
        more = "Key,Value,Version\na,1,1\n"
        assert soon(lambda: desk.bring(more, "limited")).outcome is Outcome.IMPORTED


def test_who_waits_goes_on_the_moment_the_lane_is_free(desk: Desk) -> None:
    desk.bring("ID,Name\n1,Ada\n")
    with ThreadPoolExecutor(3) as pool, held(desk) as drop:
        waiting = [pool.submit(desk.claimed(f"ID,Name\n{n},x\n").settled) for n in (2, 3, 4)]
        with pytest.raises(StillWaiting):
            waiting[0].result(0.5)
        drop()
        assert {done.result(5).outcome for done in waiting} == {Outcome.IMPORTED}


def test_the_first_loads_of_a_lane_that_nobody_entered_do_not_meet(desk: Desk) -> None:
    engine = desk.pipeline.database.engine
    claim = desk.claimed(PEOPLE).claim
    with desk.pipeline.database.begin() as connection:
        mine = sa.text("DELETE FROM csv_pipeline.lane WHERE account = :account")
        connection.execute(mine, {"account": desk.account})
    with engine.connect() as first, engine.connect() as second, ThreadPoolExecutor(1) as pool:
        lane_lock.lock_lane(first, claim)
        waiting = pool.submit(lane_lock.lock_lane, second, replace(claim, arrival_id=0))
        with pytest.raises(StillWaiting):
            waiting.result(2.5)
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
                "ALTER TABLE csv_pipeline.arrival RENAME COLUMN moved_at TO placed_at",
                "ALTER TABLE csv_pipeline.arrival"
                " RENAME COLUMN status_before_dry_run TO rehearsed_as",
                "ALTER INDEX csv_pipeline.arrival_to_move RENAME TO arrival_to_place",
                "ALTER TABLE csv_pipeline.arrival ADD COLUMN moved_modified_at timestamptz,"
                " DROP COLUMN moved_etag, DROP COLUMN etag, ADD CONSTRAINT arrival_is_found_once"
                " UNIQUE (account, feed, location, size_bytes, modified_at)",
                "DROP TABLE csv_pipeline.lane",
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
            turns = connection.scalars(
                sa.text("SELECT turn FROM csv_pipeline.import ORDER BY import_id")
            )
            assert turns.all() == [1, 2, 3, 4, 5, 6, 7]
        new.close()
