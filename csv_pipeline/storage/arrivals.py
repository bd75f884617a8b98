"""Arrivals: the files that were found, and which of them wait.

Nothing here compares clocks or keeps a high-water mark: a file is new for an account and feed if
its location, size, modification time and ETag together were never seen.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.dialects.postgresql import insert

from csv_pipeline.model import ArrivalStatus, Claim, FileIdentity, FoundFile
from csv_pipeline.storage import accounts, lane_lock, order, silent_stores, tables
from csv_pipeline.storage.due import is_due
from csv_pipeline.storage.worker import is_gone

_Place = tuple[str, str, FileIdentity]
_OPEN = (ArrivalStatus.WAITING, ArrivalStatus.FAILED)
_TOLD = tuple(tables.arrival.c[name] for name in ("account", "feed", "name", "problem"))
_FOUND = sa.select(*(tables.arrival.c[field.name] for field in fields(FoundFile)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What waits for one account and feed, in the order it is to be imported.

    `requests` counts how often a run was requested for any of it; it grows with every request.
    The first of it came `since`.
    """

    account: str
    feed: str
    arrival_ids: Sequence[int]
    sizes: Sequence[int]
    requests: int
    since: datetime | None = None
    priority: int = 0


def register(
    connection: sa.Connection,
    found: Iterable[FoundFile],
    misplaced: Iterable[tuple[FoundFile, str]] = (),
) -> int:
    """Enter files that the ledger has not seen and return how many those were.

    `misplaced` files lie where no feed or account can be: they are entered with the reason, and
    become waiting when a later scan finds their location to be right.
    """
    table = tables.arrival
    rows = [asdict(file) | {"status": ArrivalStatus.WAITING, "problem": None} for file in found]
    rows += [
        asdict(file) | {"status": ArrivalStatus.MISPLACED, "problem": why}
        for file, why in misplaced
    ]
    if not rows:
        return 0
    waiting = [row for row in rows if row["status"] is ArrivalStatus.WAITING]
    for account in sorted({row["account"] for row in waiting}):
        accounts.add(connection, account)
    if waiting:
        lane_lock.enter_lanes(connection, {(row["account"], row["feed"]) for row in waiting})
    # By arrays: a statement with a value for each cell takes longer to write than to carry out.
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    given = sa.select(
        *(
            sa.func.unnest(sa.literal(values, pg.ARRAY(table.c[name].type)))
            for name, values in columns.items()
        )
    )
    new = insert(table).from_select(list(columns), given)
    statement = new.on_conflict_do_update(
        constraint="arrival_is_found_once",
        set_={"status": new.excluded.status, "problem": new.excluded.problem},
        where=(table.c.status == ArrivalStatus.MISPLACED)
        & (new.excluded.status == ArrivalStatus.WAITING),
    )
    entered = connection.execute(statement.returning(*_TOLD, table.c.status)).all()
    _tell_of_misplaced(connection, entered)
    return len(entered)


def misplaced_files(connection: sa.Connection, under: str) -> Mapping[_Place, int]:
    """Return the arrivals that are known as misplaced below `under`, by what tells them apart."""
    table = tables.arrival
    query = sa.select(table).where(
        table.c.status == ArrivalStatus.MISPLACED,
        table.c.moved_at.is_(None),  # an index has these
        table.c.location.startswith(under, autoescape=True),
    )
    return {
        (
            row.account,
            row.feed,
            (row.location, row.size_bytes, row.modified_at, row.etag),
        ): row.arrival_id
        for row in connection.execute(query)
    }


def forget_misplaced(
    connection: sa.Connection, known: Mapping[_Place, int], lying: Iterable[FoundFile]
) -> None:
    """Forget the misplaced files that were `known` before a whole look, and that it did not find.

    They were moved, removed or replaced, or their folder is an account's by now.
    """
    table, there = tables.arrival, {(one.account, one.feed, one.identity) for one in lying}
    gone = [arrival_id for place, arrival_id in known.items() if place not in there]
    if gone:
        its = (table.c.arrival_id.in_(gone)) & (table.c.status == ArrivalStatus.MISPLACED)
        connection.execute(sa.delete(table).where(its))


def _tell_of_misplaced(connection: sa.Connection, entered: Sequence[Any]) -> None:
    """Put a message into the outbox for each file that lies where it cannot be imported."""
    names = [column.name for column in _TOLD]
    told = [
        {"kind": row.status, "payload": {name: getattr(row, name) for name in names}}
        for row in entered
        if row.status == ArrivalStatus.MISPLACED
    ]
    if told:
        connection.execute(sa.insert(tables.outbox), told)


def enter(connection: sa.Connection, file: FoundFile, *, now: bool = False) -> int:
    """Enter one file that somebody named, wherever it lies, and return its arrival.

    If it is new, it arrives `now`, whatever its modification time, or waits among the others.
    """
    new = register(connection, [file])
    arrival_id = int(of_file(connection, file).arrival_id)
    if new and now:
        order.lock_waiting(connection, file.account, file.feed)
        order.assign(connection, file.account, file.feed, [arrival_id], [arrival_id])
    return arrival_id


def enter_members(connection: sa.Connection, archive: Claim, members: Sequence[FoundFile]) -> None:
    """Enter the files of an archive; they arrived with it, and come again if it does."""
    if not members:
        return
    register(connection, members)
    if archive.again:
        table = tables.arrival
        connection.execute(
            sa.update(table)
            .where(order.are_members(archive), table.c.status != ArrivalStatus.CLAIMED)
            .values(status=ArrivalStatus.WAITING, again=True, position=None)
        )
    order.assign_members(connection, archive)


def of_file(connection: sa.Connection, file: FoundFile) -> Any:
    """Return the row of a file that was entered before."""
    table = tables.arrival
    return connection.execute(
        sa.select(table).where(
            table.c.account == file.account,
            table.c.feed == file.feed,
            table.c.location == file.location,
            table.c.size_bytes == file.size_bytes,
            table.c.modified_at == file.modified_at,
            table.c.etag == file.etag,
        )
    ).one()


def members(connection: sa.Connection, archive: FoundFile) -> list[FoundFile]:
    """Return the files of an archive that was unpacked, as they were entered then."""
    table = tables.arrival
    query = _FOUND.where(order.are_members(archive)).order_by(table.c.arrival_id)
    return [FoundFile(**row._mapping) for row in connection.execute(query)]


def moved_file(
    connection: sa.Connection, account: str, feed: str, location: str, *, now: bool
) -> FoundFile | None:
    """Return the newest file that was moved and lies at a location `now`, or lay there before."""
    table = tables.arrival
    query = _FOUND.where(
        table.c.account == account,
        table.c.feed == feed,
        table.c.moved_to.is_not(None),
        (table.c.moved_to if now else table.c.location) == location,
    )
    newest = query.order_by(table.c.arrival_id.desc()).limit(1)
    row = connection.execute(newest).one_or_none()
    return None if row is None else FoundFile(**row._mapping)


def locations(connection: sa.Connection, arrival_ids: Iterable[int]) -> dict[int, str]:
    """Return where the files of arrivals are since they were moved; others are left out."""
    table = tables.arrival
    query = sa.select(table.c.arrival_id, table.c.moved_to).where(
        table.c.arrival_id.in_(list(arrival_ids)),
        table.c.moved_to.is_not(None),
        table.c.removed_at.is_(None),
    )
    return {row.arrival_id: row.moved_to for row in connection.execute(query)}


def landed(connection: sa.Connection, arrival_ids: Iterable[int]) -> dict[int, str]:
    """Return where the files of arrivals were found."""
    table = tables.arrival
    query = sa.select(table.c.arrival_id, table.c.location).where(
        table.c.arrival_id.in_(list(arrival_ids))
    )
    return {row.arrival_id: row.location for row in connection.execute(query)}


def location(connection: sa.Connection, arrival_id: int) -> str:
    """Return where the file of an arrival is, or was when it was last seen."""
    table = tables.arrival
    where = sa.func.coalesce(table.c.moved_to, table.c.location)
    query = sa.select(where).where(table.c.arrival_id == arrival_id)
    return str(connection.execute(query).scalar_one())


def known_files(connection: sa.Connection, under: str) -> set[FileIdentity]:
    """Return what tells files from others, of every one below `under` that was seen.

    Without those that went away: if such a file lies there, somebody put it back.
    """
    table = tables.arrival
    columns = (table.c.location, table.c.size_bytes, table.c.modified_at, table.c.etag)
    query = sa.select(*columns).where(
        table.c.location.startswith(under, autoescape=True),
        table.c.status != ArrivalStatus.MISPLACED,
        table.c.moved_to.is_(None),
        ~tables.found_changed(),
    )
    return {
        (row.location, row.size_bytes, row.modified_at, row.etag)
        for row in connection.execute(query)
    }


def backlog(
    connection: sa.Connection,
    *,
    with_failed: bool = False,
    max_failures: int | None = None,
    for_run: tuple[str, str, str] | None = None,
    unasked_seconds: float | None = None,
) -> list[Backlog]:
    """Return what can be claimed now, a lane (account, feed) each, the longest waiting lane first.

    Claims whose lease ran out or whose worker died count as waiting; files that failed only
    `with_failed`, and only if that was less than `max_failures` times. What a run was asked for in
    the last `unasked_seconds` is left to it. `for_run` names an account, a feed and a run: theirs
    alone, and what that run has claimed waits for it. Files of silent stores, and
    for a while those whose store was silent, are left out, save for a run.
    """
    table = tables.arrival
    statuses = _OPEN if with_failed else (ArrivalStatus.WAITING,)
    waiting = claimable(connection, statuses, max_failures)
    if for_run is not None:
        account, feed, run_id = for_run
        waiting |= (table.c.status == ArrivalStatus.CLAIMED) & (table.c.run_id == run_id)
        waiting &= (table.c.account == account) & (table.c.feed == feed)
    else:
        waiting &= table.c.not_before.is_(None) | is_due(table.c.not_before)
        waiting &= ~silent_stores.holds()
    if unasked_seconds is not None:
        left_until = table.c.requested_at + timedelta(seconds=unasked_seconds)
        waiting &= left_until.is_(None) | is_due(left_until)
    ids, sizes = (
        sa.func.array_agg(pg.aggregate_order_by(column, *order.as_they_go()))
        for column in (table.c.arrival_id, table.c.size_bytes)
    )
    facts = {
        "arrival_ids": ids,
        "sizes": sizes,
        "requests": sa.func.sum(table.c.requests),
        "since": sa.func.min(table.c.seen_at),
    }
    query = (
        sa.select(
            table.c.account, table.c.feed, *(fact.label(name) for name, fact in facts.items())
        )
        .where(waiting)
        .group_by(table.c.account, table.c.feed)
        .order_by(sa.func.min(table.c.arrival_id))
    )
    return [Backlog(**row._mapping) for row in connection.execute(query)]


def note_request(connection: sa.Connection, arrival_ids: Sequence[int]) -> None:
    """Note that a run was requested for these arrivals, so that the next request differs."""
    table = tables.arrival
    connection.execute(
        sa.update(table)
        .where(
            table.c.arrival_id == sa.any_(sa.literal(list(arrival_ids), pg.ARRAY(sa.BigInteger)))
        )
        .values(requests=table.c.requests + 1, requested_at=sa.func.now())
    )


def forget_request(connection: sa.Connection, arrival_ids: Sequence[int]) -> None:
    """Let a run be asked for at once of files that one was asked for, and did not take."""
    its = tables.arrival.c.arrival_id.in_(arrival_ids)
    connection.execute(sa.update(tables.arrival).where(its).values(requested_at=None))


def find(
    connection: sa.Connection,
    *,
    account: str | None = None,
    named: Sequence[str] = (),
    arrival_ids: Sequence[int] = (),
) -> list[Any]:
    """Return rows of the arrival table, the newest first; `named` are names or locations."""
    table = tables.arrival
    query = sa.select(table).order_by(table.c.arrival_id.desc())
    if account is not None:
        query = query.where(table.c.account == account)
    if named or arrival_ids:
        known_as = (table.c.name, table.c.location, table.c.moved_to)
        by_name = (column.in_(named) for column in known_as)
        query = query.where(sa.or_(table.c.arrival_id.in_(arrival_ids), *by_name))
    return list(connection.execute(query).all())


def claimable(
    connection: sa.Connection, statuses: Sequence[ArrivalStatus], max_failures: int | None = None
) -> sa.ColumnElement[bool]:
    """Return whether an arrival can be claimed: by its status, or because its claim was lost."""
    table = tables.arrival
    claimed = table.c.status == ArrivalStatus.CLAIMED
    workers = connection.scalars(sa.select(table.c.worker).where(claimed).distinct())
    gone = [worker for worker in workers if is_gone(worker)]
    # A file that was only to be tried in a dry run is not imported because its worker died.
    wanted = table.c.status_before_dry_run.is_(None) | table.c.status_before_dry_run.in_(statuses)
    expired = table.c.lease_expires_at < sa.func.now()
    lost = claimed & wanted & (expired | table.c.worker.in_(gone))
    if max_failures is None:
        return table.c.status.in_(statuses) | lost
    tired = (table.c.status == ArrivalStatus.FAILED) & (table.c.failures >= max_failures)
    return table.c.status.in_(statuses) & ~tired | lost
