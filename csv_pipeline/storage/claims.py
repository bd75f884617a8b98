"""Claims: who may import which arrival, for how long, and how a claim ends.

Every function takes the connection of the caller's transaction, so that a settled import and the
rows it brought commit together.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, fields, replace
from datetime import timedelta
from typing import Any, TypedDict, Unpack

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from csv_pipeline.model import ArrivalStatus, Claim, FoundFile, ImportReport, Outcome
from csv_pipeline.storage import arrivals, imports, order, tables
from csv_pipeline.storage.records import Record, record_imports
from csv_pipeline.storage.worker import this_worker

_NOT_ENTERED = 0  # the ledger numbers arrivals from 1
_OPEN = (ArrivalStatus.WAITING, ArrivalStatus.FAILED)
_SET_ASIDE = (ArrivalStatus.REFUSED, ArrivalStatus.CANCELED)
_NAMED = (*_OPEN, *_SET_ASIDE, ArrivalStatus.DUPLICATE, ArrivalStatus.UNDONE)
_DONE = (ArrivalStatus.IMPORTED, ArrivalStatus.UNPACKED)
_LEAST_DEATHS = 2  # one alone may be anything
_FIRST_WAIT_SECONDS, _MOST_DOUBLINGS = 5, 7  # up to ten minutes or so


class Taking(TypedDict, total=False):
    """Which arrivals are taken, for which run, and how they are to be imported."""

    arrival_ids: Sequence[int] | None
    run_id: str | None
    dry_run: bool
    again: bool
    in_place: bool


def take(
    connection: sa.Connection,
    account: str,
    feed: str,
    lease_seconds: float,
    max_failures: int | None = None,
    **how: Unpack[Taking],
) -> list[Claim]:
    """Take the right to import waiting arrivals, the oldest first, and return the claims.

    Without `arrival_ids` every waiting or failed arrival is taken, unless it failed `max_failures`
    times; with them those and no others, among them refused, duplicate and undone ones, because
    somebody asked for them by name, and imported ones too, if they are to be imported `again`.
    Arrivals that another worker holds are passed over, unless it is known to be dead; what the same
    run claimed before it failed is claimed anew. An arrival keeps the position it has, see
    `csv_pipeline.storage.order`; one that was undone, or comes `again`, arrives now, unless it is
    read once more `in_place`. What was the problem of an arrival before stays with it until it is
    settled.

    An arrival that all workers die over, `max_failures` in a row and the last time alone, has
    failed: then nothing else is claimed either, and the next call goes on without it.
    """
    table = tables.arrival
    arrival_ids, run_id = how.get("arrival_ids"), how.get("run_id")
    dry_run, in_place = how.get("dry_run", False), how.get("in_place", False)
    again = in_place or how.get("again", False)
    if arrival_ids is None:
        wanted = arrivals.claimable(connection, _OPEN, max_failures)
    else:
        wanted = arrivals.claimable(connection, (*_NAMED, *(_DONE if again else ())))
    if run_id is not None:
        wanted |= (table.c.status == ArrivalStatus.CLAIMED) & (table.c.run_id == run_id)
    if arrival_ids is not None:
        wanted &= table.c.arrival_id.in_(arrival_ids)
    wanted &= (table.c.account == account) & (table.c.feed == feed)
    most = None if max_failures is None or dry_run else max(max_failures, _LEAST_DEATHS)
    poison = None if most is None else _poison(connection, wanted, most)
    if poison is not None:
        wanted &= table.c.arrival_id == poison
    if not dry_run:
        order.lock_waiting(connection, account, feed)
    picked = connection.execute(
        sa.select(table.c.arrival_id, table.c.status)
        .where(wanted)
        .order_by(table.c.arrival_id)
        .with_for_update(skip_locked=True)
    ).all()
    if not picked:
        return []
    ids = [row.arrival_id for row in picked]
    arriving_now = [] if in_place else _arriving_now(picked, again=again)
    if not dry_run:
        assign = order.assign_as_stored if in_place else order.assign
        assign(connection, account, feed, ids, arriving_now)
    # An update visits rows in any order, so the numbers are taken before, along the sorted rows.
    in_turn = (
        sa.select(table.c.arrival_id)
        .where(table.c.arrival_id == sa.any_(sa.literal(ids, pg.ARRAY(sa.BigInteger))))
        .order_by(*order.as_they_go())
        .subquery("in_turn")
    )
    numbered = sa.select(
        in_turn.c.arrival_id, tables.import_ids.next_value().label("import_id")
    ).cte("numbered")
    taken = (
        sa.update(table)
        .where(table.c.arrival_id == numbered.c.arrival_id)
        .values(
            status=ArrivalStatus.CLAIMED,
            attempt=table.c.attempt + 1,
            import_id=numbered.c.import_id,
            lease_expires_at=sa.func.now() + timedelta(seconds=lease_seconds),
            status_before_dry_run=_status_before() if dry_run else None,
            run_id=run_id,
            worker=this_worker(),
            deaths=_deaths(),
            again=table.c.again | again,
        )
        .returning(table)
    )
    rows = sorted(connection.execute(taken).all(), key=lambda row: row.import_id)
    claims = [_claim(row, dry_run=dry_run) for row in rows]
    if dry_run:  # which changes no position
        now = set(arriving_now)
        claims = [replace(c, position=None) if c.arrival_id in now else c for c in claims]
    if poison is not None and most is not None and rows and rows[0].deaths >= most:
        _set_aside(connection, claims[0], rows[0].deaths)
        return []
    return claims


def _arriving_now(picked: Iterable[Any], *, again: bool) -> list[int]:
    """Return which arrivals go behind all others."""
    undone, claimed = ArrivalStatus.UNDONE, ArrivalStatus.CLAIMED
    return [
        row.arrival_id
        for row in picked
        if row.status == undone or (again and row.status != claimed)
    ]


def _deaths() -> sa.ColumnElement[int]:
    """Return how many workers in a row took an arrival and did not return it."""
    table = tables.arrival
    lost = (table.c.status == ArrivalStatus.CLAIMED) & (table.c.worker != this_worker())
    return table.c.deaths + sa.case((lost, 1), else_=0)


def _poison(
    connection: sa.Connection, wanted: sa.ColumnElement[bool], most_deaths: int
) -> int | None:
    """Return an arrival to be claimed alone: a worker that dies once more dies over this one."""
    table = tables.arrival
    query = sa.select(sa.func.min(table.c.arrival_id)).where(
        wanted, table.c.status == ArrivalStatus.CLAIMED, _deaths() >= most_deaths - 1
    )
    found: int | None = connection.scalar(query)
    return found


def _set_aside(connection: sa.Connection, claim: Claim, deaths: int) -> None:
    problem = (
        f"{claim.name}: its worker died, or stopped answering, {deaths} times in a row while "
        "importing it (its run's log says so if it held more memory than "
        "CSV_PIPELINE_RUN_MEMORY_BYTES), so it is no longer tried by itself; name it, in a "
        "run's config or to csv-pipeline import, to try it again"
    )
    report = ImportReport.of(claim, Outcome.FAILED, problem=problem, problem_code="worker_died")
    record_imports(connection, [Record(report=report, claim=claim, deaths=deaths)])


def for_dry_run(connection: sa.Connection, file: FoundFile, *, again: bool = False) -> Claim:
    """Return a claim for a dry run of a file that the ledger need not know and will not."""
    import_id = imports.next_import_id(connection)
    return Claim(
        **asdict(file),
        import_id=import_id,
        arrival_id=_NOT_ENTERED,
        attempt=0,
        dry_run=True,
        again=again,
    )


def postpone(connection: sa.Connection, claim: Claim, because: str) -> None:
    """Give a claim back, as `release` does; no run is asked for its file for a while.

    Each time longer, and never as long as another's. A file that is waiting then has `because` for
    its problem; a claim that was lost, or is a dry run's, is no file that waits.
    """
    release(connection, claim)
    file = tables.arrival.c
    doublings = sa.func.least(file.postponed, _MOST_DOUBLINGS)
    seconds = _FIRST_WAIT_SECONDS * sa.func.power(2, doublings) * (0.75 + sa.func.random() / 2)
    connection.execute(
        sa.update(tables.arrival)
        .where(
            sa.tuple_(file.arrival_id, file.attempt).in_(keys_of([claim])), file.status.in_(_OPEN)
        )
        .values(
            postponed=file.postponed + 1,
            not_before=sa.func.now() + sa.func.make_interval(0, 0, 0, 0, 0, 0, seconds),
            requested_at=None,
            problem=sa.case((file.status == ArrivalStatus.WAITING, because), else_=file.problem),
        )
    )


def release(connection: sa.Connection, claim: Claim) -> None:
    """Give a claim back as if it had never been taken; used by dry runs and orderly ends.

    An arrival that was refused, undone or a duplicate before is so again, with its problem. Only
    `attempt` stays as it is, so that whoever still believes in the claim cannot settle it; and to
    give an import back in an orderly way ends a row of deaths, which a dry run does not. A claim
    that was lost, or never taken because this is a dry run, has nothing to give back.
    """
    table = tables.import_
    before = connection.execute(
        sa.select(table.c.outcome, table.c.import_id, table.c.run_id, table.c.undone_by_import_id)
        .where(table.c.arrival_id == claim.arrival_id, table.c.outcome != Outcome.UNDO)
        .order_by(table.c.import_id.desc())
        .limit(1)
    ).one_or_none()
    if before is None:
        status = ArrivalStatus.WAITING
    elif before.undone_by_import_id is not None:
        status = ArrivalStatus.UNDONE
    else:
        status = ArrivalStatus(before.outcome)
    connection.execute(
        sa.update(tables.arrival)
        .where(are_held(keys_of([claim])))
        .values(
            status=sa.func.coalesce(tables.arrival.c.status_before_dry_run, status),
            lease_expires_at=None,
            status_before_dry_run=None,
            again=False,
            import_id=None if before is None else before.import_id,
            run_id=None if before is None else before.run_id,
            worker=None,
            **({} if claim.dry_run else {"deaths": 0}),
        )
    )


def cancel(connection: sa.Connection, arrival_id: int) -> bool:
    """Let an arrival that waits or is claimed be canceled, until somebody names it.

    Whoever imports it has lost its claim and commits nothing of it; the other files of the same
    run go on. The number that it has then leads to it for good, whatever later attempts have.
    Returns whether it was: one that is settled, or only tried in a dry run, is not.
    """
    table = tables.arrival
    claimed = table.c.status == ArrivalStatus.CLAIMED
    number = sa.case((claimed, table.c.import_id), else_=tables.import_ids.next_value())
    going = table.c.status.in_((ArrivalStatus.WAITING, ArrivalStatus.CLAIMED))
    change = (
        sa.update(table)
        .where(table.c.arrival_id == arrival_id, going, table.c.status_before_dry_run.is_(None))
        .values(
            status=ArrivalStatus.CANCELED,
            kept_number=sa.func.coalesce(table.c.kept_number, number),
            lease_expires_at=None,
            worker=None,
            again=False,
            deaths=0,
        )
    )
    return connection.execute(change.returning(table.c.arrival_id)).one_or_none() is not None


def others_of_run(connection: sa.Connection, run_id: str, arrival_id: int) -> bool:
    """Return whether a run works on other arrivals than this one."""
    table = tables.arrival
    others = sa.exists().where(
        table.c.run_id == run_id,
        table.c.status == ArrivalStatus.CLAIMED,
        table.c.arrival_id != arrival_id,
    )
    return bool(connection.scalar(sa.select(others)))


def is_held(connection: sa.Connection, import_id: int, attempt: int) -> bool:
    """Return whether an import's claim is the current one of its arrival."""
    table = tables.arrival
    held = sa.exists().where(
        table.c.import_id == import_id,
        table.c.attempt == attempt,
        table.c.status == ArrivalStatus.CLAIMED,
    )
    return bool(connection.scalar(sa.select(held)))


def _status_before() -> sa.ColumnElement[Any]:
    table = tables.arrival
    claimed = table.c.status == ArrivalStatus.CLAIMED
    return sa.case((claimed, table.c.status_before_dry_run), else_=table.c.status)


def expired(connection: sa.Connection) -> list[tuple[str, str, int]]:
    """Return the accounts and feeds with claims whose lease is over, and how many."""
    table = tables.arrival
    query = (
        sa.select(table.c.account, table.c.feed, sa.func.count())
        .where(table.c.status == ArrivalStatus.CLAIMED, table.c.lease_expires_at < sa.func.now())
        .group_by(table.c.account, table.c.feed)
        .order_by(table.c.account, table.c.feed)
    )
    return [tuple(row) for row in connection.execute(query)]


def keys_of(claims: Iterable[Claim]) -> list[tuple[int, int]]:
    """Return the claims' keys, (arrival, attempt) each; a dry run without arrival has none."""
    return [(claim.arrival_id, claim.attempt) for claim in claims if claim.arrival_id]


def are_held(claims: Collection[tuple[int, int]]) -> sa.ColumnElement[bool]:
    """Return whether an arrival's claim is among these, (arrival, attempt) each."""
    table = tables.arrival
    key = sa.tuple_(table.c.arrival_id, table.c.attempt)
    return key.in_(claims) & (table.c.status == ArrivalStatus.CLAIMED)


def _claim(row: Any, *, dry_run: bool) -> Claim:
    asked = {"dry_run", "repairs", "max_missing"}
    stored = (field.name for field in fields(Claim) if field.name not in asked)
    return Claim(**{name: getattr(row, name) for name in stored}, dry_run=dry_run)
