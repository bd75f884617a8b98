"""Stores that do not answer, or do not let us in: since when, and when they are asked again.

A store is one of our areas, or a bucket. While it is silent no run is asked for of its files. It is
asked again by one process at a time, each time after a longer wait that differs from others' by
chance. The first answer ends it.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from csv_pipeline.location import Location, location_of
from csv_pipeline.model import ArrivalStatus
from csv_pipeline.storage import tables
from csv_pipeline.storage.due import is_due

_FIRST_WAIT_SECONDS, _MOST_DOUBLINGS = 5, 6  # up to five minutes or so
_TOLD_AFTER = 4  # a minute or so
_ASKING_SECONDS = 60  # for who asks again to say what came of it
_table, _file = tables.silent_store, tables.arrival.c


KIND = "silent_store"
"""The kind of its message in the outbox."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SilentStore:
    """A store that was asked in vain so often; `listing`: its files cannot even be listed."""

    store: str
    since: datetime
    failures: int
    next_attempt_at: datetime
    listing: bool
    problem: str


def find(connection: sa.Connection) -> list[SilentStore]:
    """Return the stores that are silent, those first that are silent for longest."""
    rows = connection.execute(sa.select(_table).order_by(_table.c.since, _table.c.store))
    return [SilentStore(**row._mapping) for row in rows]


def note(
    connection: sa.Connection, store: str, problem: str, *, listing: bool, asked: bool = False
) -> None:
    """Note that a store is silent.

    Whoever asked before it was time says nothing new, unless it was `asked` by whom `take` let. Of
    one that was asked in vain some times the outbox says so, once.
    """
    now = sa.func.now()
    new = insert(_table).values(
        store=store,
        failures=1,
        next_attempt_at=now + _wait(sa.literal(0)),
        listing=listing,
        problem=problem,
    )
    due = sa.true() if asked else is_due(_table.c.next_attempt_at)
    noted = connection.execute(
        new.on_conflict_do_update(
            index_elements=["store"],
            set_={
                "failures": _table.c.failures + sa.case((due, 1), else_=0),
                "next_attempt_at": sa.case(
                    (due, now + _wait(_table.c.failures)), else_=_table.c.next_attempt_at
                ),
                "listing": _table.c.listing | new.excluded.listing,
                "problem": new.excluded.problem,
            },
        ).returning(_table)
    ).one()
    if noted.failures >= _TOLD_AFTER:
        connection.execute(_TELL, dict(noted._mapping))


def answered(connection: sa.Connection, stores: Collection[str]) -> None:
    """Note that stores answer."""
    connection.execute(sa.delete(_table).where(_table.c.store.in_(stores)))


def take(connection: sa.Connection) -> list[SilentStore]:
    """Return the stores that it is time to ask again, to one caller each."""
    due = (
        sa.select(_table.c.store)
        .where(is_due(_table.c.next_attempt_at))
        .with_for_update(skip_locked=True)
    )
    taken = (
        sa.update(_table)
        .where(_table.c.store.in_(due.scalar_subquery()))
        .values(next_attempt_at=sa.func.now() + _seconds(sa.literal(_ASKING_SECONDS)))
    )
    return [SilentStore(**row._mapping) for row in connection.execute(taken.returning(_table))]


def a_file_of(connection: sa.Connection, store: str) -> Location | None:
    """Return where a file lies that waits for a store, any of them; None if none does."""
    lies_at = sa.func.coalesce(_file.moved_to, _file.location)
    name = sa.func.concat("!", _file.name)
    query = (
        sa.select(
            sa.case(
                (lies_at.endswith(name), sa.func.left(lies_at, -sa.func.length(name))),
                else_=lies_at,
            )
        )
        .where(
            _file.status.in_((ArrivalStatus.WAITING, ArrivalStatus.FAILED)),
            sa.func.starts_with(lies_at, f"{store}/"),
        )
        .order_by(sa.func.random())
        .limit(1)
    )
    found = connection.scalar(query)
    return None if found is None else location_of(found)


def holds() -> sa.ColumnElement[bool]:
    """Return whether an arrival's file lies in a silent store."""
    lies_at = sa.func.coalesce(_file.moved_to, _file.location)
    its = sa.func.starts_with(lies_at, _table.c.store + "/")
    return sa.exists().where(its).correlate(tables.arrival)


def _wait(failures: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    doublings = sa.func.least(failures, _MOST_DOUBLINGS)
    return _seconds(
        _FIRST_WAIT_SECONDS * sa.func.power(2, doublings) * (0.75 + sa.func.random() / 2)
    )


def _seconds(number: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.func.make_interval(0, 0, 0, 0, 0, 0, number)


_TELL = sa.text(f"""
INSERT INTO csv_pipeline.outbox (kind, payload)
SELECT '{KIND}', jsonb_build_object(
    'account', '', 'feed', NULL, 'name', CAST(:store AS text), 'problem', CAST(:problem AS text),
    'next_attempt_at', CAST(:next_attempt_at AS timestamptz)
)
WHERE NOT EXISTS (
    SELECT FROM csv_pipeline.outbox
    WHERE kind = '{KIND}' AND payload ->> 'name' = :store AND created_at >= :since
)
""")  # noqa: S608
