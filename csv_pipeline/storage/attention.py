"""What needs a person: files refused or failed, rows to correct, what does not go on or come.

A refused or failed file needs nobody any more once one of its name was imported, or somebody said
so: neither time nor other files clear it.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from csv_pipeline.errors import SetupError
from csv_pipeline.model import ArrivalStatus, Outcome
from csv_pipeline.spec.feed import BrokenFeed
from csv_pipeline.storage import overdue, silent_stores, tables
from csv_pipeline.storage.api_tables import upload
from csv_pipeline.storage.overdue import KIND, Overdue
from csv_pipeline.storage.silent_stores import SilentStore
from csv_pipeline.storage.turns import turns_of
from csv_pipeline.storage.uploads import UploadState

_COUNTED = 1_000
"""Rows to correct are counted up to here."""
POISON = "poison"
SILENT = "silent store"
BROKEN = "broken feed"
_WAITS = timedelta(minutes=10)
_BY_PERSON = (Outcome.IMPORTED, Outcome.REFUSED, Outcome.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """A file that needs a person: in which state, and if rows are to be corrected, how many.

    `poison` is one that failed so often that it is not tried again by itself. One that is `overdue`
    has no name: it is missed of an account, of a feed or of any. A `silent store` is no file, and
    of no account; it is asked again at `next_attempt_at`. Nor is a `broken feed`, seen broken `at`.
    """

    state: str
    number: int | None
    account: str
    feed: str | None
    name: str
    at: datetime
    problem: str | None = None
    rows: int = 0
    dismissible: bool = False
    next_attempt_at: datetime | None = None

    @property
    def or_more(self) -> str:
        """What stands behind the number of rows; empty if all were counted."""
        return " or more" if self.rows >= _COUNTED else ""


def needs(
    connection: sa.Connection,
    account: str | None,
    limit: int,
    max_failures: int,
    broken: Iterable[BrokenFeed] = (),
) -> list[Need]:
    """Return what needs a person in an account, or in all that can be seen, the newest first."""
    queries = (
        *(_not_stored(max_failures), _to_correct(), _checked()),
        *(_waiting(connection), _misplaced()),
    )
    found = [one for query in queries for one in _found(connection, query, limit, account)]
    found += [_missed(one) for one in overdue.find(connection, account)]
    if account is None:
        found += [_silent(one) for one in silent_stores.find(connection)]
        found += left_out(connection, broken)
    return sorted(found, key=lambda one: one.at, reverse=True)[:limit]


def by_feed(
    connection: sa.Connection,
    feeds: Collection[str],
    missed: Sequence[Overdue],
    limit: int,
    max_failures: int,
) -> dict[str | None, list[Need]]:
    """Return what needs a person of each of these feeds, and by None what is of none of them.

    Of each feed and state it is the newest `limit`, so that no feed hides what another one has.
    Files that are sent through the API and not submitted yet are whoever's who sends them.
    """
    found = [_missed(one) for one in missed]
    for query in (_not_stored(max_failures), _to_correct(), _waiting(connection)):
        found += _of_each(connection, query, feeds, limit)
        others = query.where(query.selected_columns["feed"].not_in(feeds))
        found += _found(connection, others, limit, None)
    of_none = misplaced(connection, limit)
    of_none += [_silent(one) for one in silent_stores.find(connection)]
    of_feed: dict[str | None, list[Need]] = {None: of_none, **{feed: [] for feed in feeds}}
    for one in sorted(found, key=lambda one: one.at, reverse=True):
        of_feed[one.feed if one.feed in of_feed else None].append(one)
    return of_feed


def to_correct(connection: sa.Connection, account: str, feed: str, limit: int) -> list[Need]:
    """Return the files of an account and feed with rows to correct, the newest first."""
    return _found(connection, _to_correct(), limit, account, feed)


def misplaced(connection: sa.Connection, limit: int) -> list[Need]:
    """Return the files that lie where no feed or account can be, the newest first."""
    return _found(connection, _misplaced(), limit, None)


def left_out(connection: sa.Connection, broken: Iterable[BrokenFeed]) -> list[Need]:
    """Return what needs a person of feeds that others go on without."""
    now = connection.execute(sa.select(sa.func.now())).scalar_one()
    return [
        Need(state=BROKEN, number=None, account="", feed=one.name, name="", at=now, problem=one.why)
        for one in broken
    ]


def dismiss(connection: sa.Connection, import_id: int) -> None:
    """Note that an import needs nobody any more; its file and its rejects stay where they are.

    Raises:
        SetupError: No file was refused or failed by it, and no row rejected.
    """
    its = tables.import_.c
    change = (
        sa.update(tables.import_)
        .where(
            its.import_id == import_id,
            its.outcome.in_(_BY_PERSON),
            (its.outcome != Outcome.IMPORTED) | (its.rejected > 0),
        )
        .values(dismissed_at=sa.func.coalesce(its.dismissed_at, sa.func.now()))
    )
    if connection.execute(change.returning(its.import_id)).one_or_none() is None:
        raise SetupError(
            f"import {import_id}: one that was refused or failed, or that rejected rows, was "
            "needed; it is none"
        )


def _found(
    connection: sa.Connection,
    query: sa.Select[tuple[object, ...]],
    limit: int,
    account: str | None,
    feed: str | None = None,
) -> list[Need]:
    its = query.selected_columns
    if account is not None:
        query = query.where(its["account"] == account)
    if feed is not None:
        query = query.where(its["feed"] == feed)
    rows = connection.execute(query.order_by(its["at"].desc()).limit(limit))
    return [Need(**row._mapping) for row in rows]


def _of_each(
    connection: sa.Connection,
    query: sa.Select[tuple[object, ...]],
    feeds: Collection[str],
    limit: int,
) -> list[Need]:
    of = (
        sa.func.unnest(sa.literal(list(feeds), pg.ARRAY(sa.Text)))
        .table_valued("feed")
        .render_derived("of")
    )
    its = query.selected_columns
    found = query.where(its["feed"] == of.c.feed).order_by(its["at"].desc()).limit(limit).lateral()
    rows = connection.execute(sa.select(found).select_from(of).join(found, sa.true()))
    return [Need(**row._mapping) for row in rows]


def _missed(one: Overdue) -> Need:
    return Need(
        state=KIND,
        number=None,
        account=one.account,
        feed=one.feed or None,
        name="",
        at=one.due_at,
        problem=one.problem,
    )


def _silent(one: SilentStore) -> Need:
    return Need(
        state=SILENT,
        number=None,
        account="",
        feed=None,
        name=one.store,
        at=one.since,
        problem=one.problem,
        next_attempt_at=one.next_attempt_at,
    )


def _columns(
    of: sa.FromClause,
    state: sa.ColumnElement[Any],
    number: sa.ColumnElement[Any],
    at: sa.ColumnElement[Any],
    rows: sa.ColumnElement[Any] | None = None,
) -> sa.Select[tuple[object, ...]]:
    """Select what a `Need` holds from a table that knows files."""
    its = of.c
    return sa.select(
        state.label("state"),
        number.label("number"),
        *(its.account, its.feed, its.name, its.problem),
        at.label("at"),
        (sa.literal(0) if rows is None else rows).label("rows"),
        sa.literal(of is tables.import_).label("dismissible"),
    )


def _not_stored(max_failures: int) -> sa.Select[tuple[object, ...]]:
    its, later = tables.import_.c, tables.import_.alias()
    # By one look into an index for each: as a join it may compare all imports of a name.
    last = sa.select(sa.func.max(later.c.import_id)).where(
        later.c.account == its.account,
        later.c.feed == its.feed,
        later.c.name == its.name,
        later.c.outcome.in_((*_BY_PERSON, Outcome.UNPACKED, Outcome.DUPLICATE)),
    )
    file = tables.arrival.c
    tired = sa.exists().where(
        file.arrival_id == its.arrival_id,
        file.import_id == its.import_id,
        file.status == ArrivalStatus.FAILED,
        file.failures >= max_failures,
    )
    state = sa.case((tired, POISON), else_=its.outcome)
    return _columns(tables.import_, state, its.import_id, its.finished_at).where(
        its.outcome.in_((Outcome.REFUSED, Outcome.FAILED)),
        its.dismissed_at.is_(None),
        its.import_id == last.scalar_subquery(),
    )


def _to_correct() -> sa.Select[tuple[object, ...]]:
    its, fault = tables.import_.c, tables.reject.c
    is_open = (fault.import_id == its.import_id, fault.repaired_by_import_id.is_(None))
    some = (
        sa.select(fault.row_number)
        .where(*is_open)
        .correlate(tables.import_)
        .limit(_COUNTED)
        .subquery()
        .lateral()
    )
    rows = sa.select(sa.func.count(some.c.row_number.distinct())).select_from(some)
    return _columns(
        tables.import_,
        sa.literal("to correct"),
        its.import_id,
        its.finished_at,
        rows.scalar_subquery(),
    ).where(
        its.outcome == Outcome.IMPORTED,
        its.rejected > 0,
        its.undone_by_import_id.is_(None),
        its.repairs_import_id.is_(None),
        its.dismissed_at.is_(None),
        sa.exists().where(*is_open),
    )


def _checked() -> sa.Select[tuple[object, ...]]:
    its = upload.c
    broken_off = (its.state == UploadState.UPLOADING) & (its.created_at < sa.func.now() - _WAITS)
    return _columns(upload, its.state, its.upload_id, its.created_at).where(
        its.state.in_((UploadState.CHECKED, UploadState.FAILED)) | broken_off,
        its.arrival_id.is_(None),
    )


def _waiting(connection: sa.Connection) -> sa.Select[tuple[object, ...]]:
    """Select what waits for longer than it should, and not for a time that its account declares.

    A file waits, too, whose worker is gone, until another takes it.
    """
    its, now = tables.arrival.c, sa.func.now()
    lost = (its.status == ArrivalStatus.CLAIMED) & (its.lease_expires_at < now)
    late = _of_arrivals(ArrivalStatus.WAITING, or_else=lost).where(its.seen_at < now - _WAITS)
    lanes = connection.execute(late.with_only_columns(its.account, its.feed).distinct()).all()
    turns = turns_of(connection, {account for account, _ in lanes})
    held = [
        (its.account == account) & (its.feed == feed) & (its.seen_at > moment)
        for account, feed in lanes
        if (moment := turns.held_from(account, feed)) is not None
    ]
    return late.where(~sa.or_(sa.false(), *held))


def _misplaced() -> sa.Select[tuple[object, ...]]:
    return _of_arrivals(ArrivalStatus.MISPLACED)


def _of_arrivals(
    status: ArrivalStatus, *, or_else: sa.ColumnElement[bool] | None = None
) -> sa.Select[tuple[object, ...]]:
    its = tables.arrival.c
    such = (its.status == status) if or_else is None else (its.status == status) | or_else
    return (
        _columns(tables.arrival, sa.literal(status.value), upload.c.upload_id, its.seen_at)
        .select_from(tables.arrival.outerjoin(upload, upload.c.arrival_id == its.arrival_id))
        # What was never settled was never moved: an index has the few that were not.
        .where(its.moved_at.is_(None), such)
    )
