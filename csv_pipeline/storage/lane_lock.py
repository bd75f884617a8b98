"""Let one transaction at a time load into a lane, which is an account and feed.

Its lock is that of its row in `csv_pipeline.lane`, which only the pipeline's own role can lock. Any
login could take an advisory lock: one that may read one account could take another's and keep it.
The row is never changed, so that those who wait for it queue at one version of it and are served in
the order they came. The lock ends with its transaction, or its connection.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert

from csv_pipeline.model import Claim, ImportReport
from csv_pipeline.storage import tables

_LOADING = "csv-pipeline load"
_LOOK_SECONDS = 1.0  # between looks, from another session, whether a lost load has the lock
log = structlog.get_logger()


class Lane(NamedTuple):
    """An account and feed, whoever asks."""

    account: str
    feed: str


def enter_lanes(connection: sa.Connection, lanes: set[tuple[str, str]]) -> None:
    """Enter lanes, account and feed each, that are new, so that they can be locked."""
    rows = [{"account": account, "feed": feed} for account, feed in sorted(lanes)]
    connection.execute(insert(tables.lane).values(rows).on_conflict_do_nothing())


def lock_lane(connection: sa.Connection, of: Claim | ImportReport | Lane) -> None:
    """Wait until no other transaction loads for the same account and feed, and keep them out.

    Who waits is served in turn. The load of a worker that lost its claim is not waited for: it may
    be stopped, or cut off from a server that still believes in it, and could never commit. The
    server ends it.
    """
    name = f"{_LOADING} {of.arrival_id}-{of.attempt}" if isinstance(of, Claim) else ""
    lane = {"account": of.account, "feed": of.feed}
    if connection.execute(_LOCK_IF_FREE, {**lane, "name": name}).one_or_none() is not None:
        return
    with _ending_lost_loads(connection, {**lane, "name": name}):
        enter_lanes(connection, {(of.account, of.feed)})
        connection.execute(_LOCK, {**lane, "name": name})


def try_lane(connection: sa.Connection, account: str, feed: str) -> bool:
    """Keep other transactions from loading for an account and feed, unless one does already."""
    row = _row_of(account, feed).with_for_update(skip_locked=True)
    return connection.execute(row).one_or_none() is not None


def _row_of(account: str, feed: str) -> sa.Select[str]:
    table = tables.lane
    return sa.select(table.c.feed).where(table.c.account == account, table.c.feed == feed)


@contextmanager
def _ending_lost_loads(connection: sa.Connection, lane: Mapping[str, str]) -> Iterator[None]:
    """Look from another session, as long as this one waits, whether a lost load is in its way."""
    over, engine = threading.Event(), connection.engine
    facts = {**lane, "waiting": connection.scalar(sa.select(sa.func.pg_backend_pid()))}

    def look() -> None:
        wait = 0.0
        while not over.wait(wait):
            wait = _LOOK_SECONDS
            try:
                with engine.begin() as beside:
                    beside.execute(_END_LOST_LOADS, facts)
            except sa.exc.SQLAlchemyError as error:  # who waits hears of it, too
                log.warning("lost loads not ended", error=type(error).__name__)

    looking = threading.Thread(target=look, name="lost loads", daemon=True)
    looking.start()
    try:
        yield
    finally:
        over.set()
        looking.join()


# The session gets its name with the lock, so that others see whose load it is.
_ROW = """
    SELECT set_config('application_name', coalesce(nullif(:name, ''), current_setting(
        'application_name')), true)
    FROM csv_pipeline.lane WHERE account = :account AND feed = :feed
    FOR UPDATE
"""
_LOCK_IF_FREE, _LOCK = sa.text(f"{_ROW} SKIP LOCKED"), sa.text(_ROW)

# Anybody may call a session of his own as ours are called, so only those of this role are looked
# at. One that waits itself blocks no other. A load of the very claim that waits is one whose
# connection broke: a claim has one load at a time.
_END_LOST_LOADS = sa.text(rf"""
    SELECT pg_terminate_backend(pid)
    FROM pg_stat_activity
    JOIN csv_pipeline.arrival
        ON arrival_id = substring(application_name FROM '^{_LOADING} (\d{{1,18}})-\d+$')::bigint
    WHERE account = :account AND feed = :feed
        AND datname = current_database() AND usename = session_user
        AND pid NOT IN (pg_backend_pid(), :waiting)
        AND wait_event_type IS DISTINCT FROM 'Lock'
        AND (
            application_name = :name
            OR attempt > substring(application_name FROM '-(\d{{1,9}})$')::int
            OR status = 'claimed' AND lease_expires_at < clock_timestamp()
        )
""")  # noqa: S608  # a constant of this module
