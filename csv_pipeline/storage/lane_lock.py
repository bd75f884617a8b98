"""Let one transaction at a time load into a lane, and number those that did.

A lane is an account and feed. Its lock is that of its row in `csv_pipeline.lane`, which only
the pipeline's own role can lock. Any login could take an advisory lock: one that may read one
account could take another's and keep it. The lock ends with its transaction, or its connection.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from csv_pipeline.model import Claim, ImportReport
from csv_pipeline.storage import tables

_LOADING = "csv-pipeline load"
_PATIENCE = "1s"  # between looks whether a lost load blocks it
_BUSY = "55P03"


def enter_lanes(connection: sa.Connection, lanes: set[tuple[str, str]]) -> None:
    """Enter lanes, account and feed each, that are new, so that they can be locked."""
    rows = [{"account": account, "feed": feed} for account, feed in sorted(lanes)]
    connection.execute(insert(tables.lane).values(rows).on_conflict_do_nothing())


def lock_lane(connection: sa.Connection, of: Claim | ImportReport) -> None:
    """Wait until no other transaction loads for the same account and feed, and keep them out.

    Who waits is served in turn. The load of a worker that lost its claim is not waited for: it may
    be stopped, or cut off from a server that still believes in it, and could never commit. The
    server ends it.
    """
    lane = {"account": of.account, "feed": of.feed}
    called: sa.ColumnElement[Any] = sa.null()
    if isinstance(of, Claim):
        name = f"{_LOADING} {of.arrival_id}-{of.attempt}"
        called = sa.func.set_config("application_name", name, True)
    free = _row_of(**lane).add_columns(called).with_for_update(skip_locked=True)
    if connection.execute(free).one_or_none() is not None:
        return
    connection.execute(sa.select(called))
    while True:
        connection.execute(_END_LOST_LOADS, lane)
        try:
            with connection.begin_nested():
                connection.execute(_SET_PATIENCE, {"patience": _PATIENCE})
                enter_lanes(connection, {(of.account, of.feed)})
                connection.execute(_row_of(**lane).with_for_update())
                connection.execute(_SET_PATIENCE, {"patience": "0"})
        except sa.exc.OperationalError as error:
            if getattr(error.orig, "sqlstate", None) != _BUSY:
                raise
        else:
            return


def try_lane(connection: sa.Connection, account: str, feed: str) -> bool:
    """Keep other transactions from loading for an account and feed, unless one does already."""
    row = _row_of(account, feed).with_for_update(skip_locked=True)
    return connection.execute(row).one_or_none() is not None


def _row_of(account: str, feed: str) -> sa.Select[str]:
    table = tables.lane
    return sa.select(table.c.feed).where(table.c.account == account, table.c.feed == feed)


_SET_PATIENCE = sa.text("SELECT set_config('lock_timeout', :patience, true)")

# Anybody may call a session of his own as ours are called, so only those of this role are looked
# at. One that waits itself blocks no other. A load of the very claim that waits is one whose
# connection broke: a claim has one load at a time.
_END_LOST_LOADS = sa.text(rf"""
    SELECT pg_terminate_backend(pid)
    FROM pg_stat_activity
    JOIN csv_pipeline.arrival
        ON arrival_id = substring(application_name FROM '^{_LOADING} (\d{{1,18}})-\d+$')::bigint
    WHERE account = :account AND feed = :feed
        AND datname = current_database() AND usename = session_user AND pid <> pg_backend_pid()
        AND wait_event_type IS DISTINCT FROM 'Lock'
        AND (
            application_name = current_setting('application_name')
            OR attempt > substring(application_name FROM '-(\d{{1,9}})$')::int
            OR status = 'claimed' AND lease_expires_at < clock_timestamp()
        )
""")  # noqa: S608  # a constant of this module
