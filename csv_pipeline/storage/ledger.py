"""The ledger: which files arrived, who works on them, and what became of them.

Every function takes the connection of the caller's transaction, so that a settled import and the
rows it brought commit together. Nothing here compares clocks or keeps a high-water mark: a file is
new for an account and feed if its location, size and modification time together were never seen.
"""

import contextlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.dialects.postgresql import insert

from csv_pipeline.errors import LostClaimError, UnknownImportError
from csv_pipeline.model import (
    Account,
    ArrivalStatus,
    Claim,
    DateOrder,
    DecimalMark,
    FoundFile,
    ImportReport,
    Outcome,
    Reject,
)
from csv_pipeline.storage import lane_lock, order, tables
from csv_pipeline.storage.worker import is_gone, is_here, this_worker

_REPORT = TypeAdapter(ImportReport)
_NOT_ENTERED = 0  # the ledger numbers arrivals from 1
_OPEN = (ArrivalStatus.WAITING, ArrivalStatus.FAILED)
_NAMED = (*_OPEN, ArrivalStatus.REFUSED, ArrivalStatus.DUPLICATE, ArrivalStatus.UNDONE)
_DONE = (ArrivalStatus.IMPORTED, ArrivalStatus.UNPACKED)
_LEAST_DEATHS = 2  # one alone may be anything
_GRACE_SECONDS = 10.0  # for workers to renew their leases when the database comes back


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What waits for one account and feed, in the order it is to be imported.

    `requests` counts how often a run was requested for any of it; it grows with every request.
    """

    account: str
    feed: str
    arrival_ids: tuple[int, ...]
    sizes: tuple[int, ...]
    requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SameContent:
    """An import that brought the same bytes before.

    It `is_current` if no import or undo since has changed any row that may be one of its rows.
    """

    import_id: int
    is_current: bool


def register(
    connection: sa.Connection,
    found: Iterable[FoundFile],
    misplaced: Iterable[tuple[FoundFile, str]] = (),
) -> int:
    """Enter files that the ledger has not seen and return how many those were.

    `misplaced` files lie where no feed or account can be: they are entered with the reason, and
    become waiting when a later look finds their place to be right.
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
        add_account(connection, account)
    if waiting:
        lane_lock.enter_lanes(connection, {(row["account"], row["feed"]) for row in waiting})
    entered = 0
    for some in _chunks(rows, 1_000):
        new = insert(table).values(some)
        statement = new.on_conflict_do_update(
            constraint="arrival_is_found_once",
            set_={"status": new.excluded.status, "problem": new.excluded.problem},
            where=(table.c.status == ArrivalStatus.MISPLACED)
            & (new.excluded.status == ArrivalStatus.WAITING),
        )
        entered += len(connection.execute(statement.returning(table.c.arrival_id)).all())
    return entered


def enter(connection: sa.Connection, file: FoundFile, *, now: bool = False) -> int:
    """Enter one file that somebody named, wherever it lies, and return its arrival.

    If it is new, it arrives `now`, whatever its modification time, or waits among the others.
    """
    new = register(connection, [file])
    arrival_id = int(arrival(connection, file).arrival_id)
    if new and now:
        order.lock_waiting(connection, file.account, file.feed)
        order.place(connection, file.account, file.feed, [arrival_id], [arrival_id])
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
            .where(
                table.c.account == archive.account,
                table.c.feed == archive.feed,
                table.c.location.in_([member.location for member in members]),
                table.c.modified_at == archive.modified_at,
                table.c.status != ArrivalStatus.CLAIMED,
            )
            .values(status=ArrivalStatus.WAITING, again=True, position=None)
        )
    order.place_members(connection, archive)


def arrival(connection: sa.Connection, file: FoundFile) -> Any:
    """Return the row of a file that was entered before."""
    table = tables.arrival
    return connection.execute(
        sa.select(table).where(
            table.c.account == file.account,
            table.c.feed == file.feed,
            table.c.location == file.location,
            table.c.size_bytes == file.size_bytes,
            table.c.modified_at == file.modified_at,
        )
    ).one()


def members(connection: sa.Connection, archive: FoundFile) -> list[FoundFile]:
    """Return the files of an archive that was unpacked, as they were entered then."""
    table = tables.arrival
    query = (
        sa.select(*(table.c[field.name] for field in fields(FoundFile)))
        .where(
            table.c.account == archive.account,
            table.c.feed == archive.feed,
            table.c.location.startswith(f"{archive.location}!", autoescape=True),
            table.c.modified_at == archive.modified_at,
        )
        .order_by(table.c.arrival_id)
    )
    return [FoundFile(**row._mapping) for row in connection.execute(query)]


def moved_file(
    connection: sa.Connection, account: str, feed: str, place: str, *, now: bool
) -> FoundFile | None:
    """Return the file that was moved and lies at a place `now`, or lay there before, the newest."""
    table = tables.arrival
    query = (
        sa.select(*(table.c[field.name] for field in fields(FoundFile)))
        .where(
            table.c.account == account,
            table.c.feed == feed,
            table.c.moved_to.is_not(None),
            (table.c.moved_to if now else table.c.location) == place,
        )
        .order_by(table.c.arrival_id.desc())
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else FoundFile(**row._mapping)


def places(connection: sa.Connection, arrival_ids: Iterable[int]) -> dict[int, str]:
    """Return where the files of arrivals are since they were moved; others are left out."""
    table = tables.arrival
    query = sa.select(table.c.arrival_id, table.c.moved_to).where(
        table.c.arrival_id.in_(list(arrival_ids)),
        table.c.moved_to.is_not(None),
        table.c.removed_at.is_(None),
    )
    return {row.arrival_id: row.moved_to for row in connection.execute(query)}


def known_files(connection: sa.Connection, under: str) -> set[tuple[str, int, datetime]]:
    """Return location, size and modification time of every file below `under` that was seen.

    Without those that were moved away: if such a file lies there, somebody put it back.
    """
    table = tables.arrival
    query = sa.select(table.c.location, table.c.size_bytes, table.c.modified_at).where(
        table.c.location.startswith(under, autoescape=True),
        table.c.status != ArrivalStatus.MISPLACED,
        table.c.moved_to.is_(None),
    )
    return {(row.location, row.size_bytes, row.modified_at) for row in connection.execute(query)}


def add_account(connection: sa.Connection, account: str) -> None:
    """Enter an account if it is new."""
    connection.execute(insert(tables.account).values(account=account).on_conflict_do_nothing())


def declare(connection: sa.Connection, account: Account) -> None:
    """Store what an account declares about its files, in place of what it declared before."""
    facts = {**asdict(account), "null_words": list(account.null_words)}
    statement = insert(tables.account).values(facts)
    connection.execute(statement.on_conflict_do_update(index_elements=["account"], set_=facts))


def account(connection: sa.Connection, name: str) -> Account:
    """Return what the account declared; an unknown account has declared nothing."""
    table = tables.account
    row = connection.execute(sa.select(table).where(table.c.account == name)).one_or_none()
    return Account(account=name) if row is None else _account(row)


def accounts(connection: sa.Connection) -> list[Account]:
    """Return all accounts by name."""
    rows = connection.execute(sa.select(tables.account).order_by(tables.account.c.account))
    return [_account(row) for row in rows]


def backlog(
    connection: sa.Connection, *, with_failed: bool = False, max_failures: int | None = None
) -> list[Backlog]:
    """Return what can be claimed now, a lane (account, feed) each, the longest waiting lane first.

    Claims whose lease ran out or whose worker died count as waiting; files that failed only
    `with_failed`, and only if that was less than `max_failures` times.
    """
    table = tables.arrival
    statuses = _OPEN if with_failed else (ArrivalStatus.WAITING,)
    query = (
        sa.select(
            table.c.account,
            table.c.feed,
            sa.func.array_agg(pg.aggregate_order_by(table.c.arrival_id, *order.as_they_go())),
            sa.func.array_agg(pg.aggregate_order_by(table.c.size_bytes, *order.as_they_go())),
            sa.func.sum(table.c.requests),
        )
        .where(_claimable(connection, statuses, max_failures))
        .group_by(table.c.account, table.c.feed)
        .order_by(sa.func.min(table.c.arrival_id))
    )
    return [
        Backlog(
            account=account,
            feed=feed,
            arrival_ids=tuple(ids),
            sizes=tuple(sizes),
            requests=requests,
        )
        for account, feed, ids, sizes, requests in connection.execute(query)
    ]


def note_request(connection: sa.Connection, arrival_ids: Sequence[int]) -> None:
    """Count that a run was requested for these arrivals, so that the next request differs."""
    table = tables.arrival
    connection.execute(
        sa.update(table)
        .where(table.c.arrival_id.in_(arrival_ids))
        .values(requests=table.c.requests + 1)
    )


def claim(  # noqa: PLR0913  # each is a different question: whose, which, for whom, how long
    connection: sa.Connection,
    account: str,
    feed: str,
    *,
    arrival_ids: Sequence[int] | None = None,
    run_id: str | None = None,
    lease_seconds: float,
    max_failures: int | None = None,
    dry_run: bool = False,
    again: bool = False,
) -> list[Claim]:
    """Take the right to import waiting arrivals, the oldest first, and return the claims.

    Without `arrival_ids` every waiting or failed arrival is taken, unless it failed `max_failures`
    times; with them those and no others, among them refused, duplicate and undone ones, because
    somebody asked for them by name, and imported ones too, if they are to be imported `again`.
    Arrivals that another worker holds are passed over, unless it is known to be dead; what the same
    run claimed before it stumbled is claimed anew. An arrival keeps the position it has, see
    `csv_pipeline.storage.order`; one that was undone, or comes `again`, arrives now. What was the
    problem of an arrival before stays with it until it is settled.

    An arrival that all workers die over, `max_failures` in a row and the last time alone, has
    failed: then nothing else is claimed either, and the next call goes on without it.
    """
    table = tables.arrival
    if arrival_ids is None:
        wanted = _claimable(connection, _OPEN, max_failures)
    else:
        wanted = _claimable(connection, (*_NAMED, *(_DONE if again else ())))
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
    arriving_now = [
        row.arrival_id
        for row in picked
        if row.status == ArrivalStatus.UNDONE or (again and row.status != ArrivalStatus.CLAIMED)
    ]
    if not dry_run:
        order.place(connection, account, feed, ids, arriving_now)
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


def _deaths() -> sa.ColumnElement[int]:
    """Return how many workers in a row took an arrival and ended without a word."""
    table = tables.arrival
    lost = (table.c.status == ArrivalStatus.CLAIMED) & (table.c.worker != this_worker())
    return table.c.deaths + sa.case((lost, 1), else_=0)


def _poison(
    connection: sa.Connection, wanted: sa.ColumnElement[bool], most_deaths: int
) -> int | None:
    """Return an arrival to be claimed alone: a worker that dies once more dies over this one."""
    table = tables.arrival
    query = sa.select(sa.func.min(table.c.arrival_id)).where(
        wanted,
        table.c.status == ArrivalStatus.CLAIMED,
        _deaths() >= most_deaths - 1,
    )
    found: int | None = connection.scalar(query)
    return found


def _set_aside(connection: sa.Connection, claim: Claim, deaths: int) -> None:
    problem = (
        f"{claim.name}: its worker died, or fell silent, {deaths} times in a row while importing "
        "it, so it is no longer tried by itself; name it, in a run's config or to csv-pipeline "
        "import, to try it again"
    )
    _end_claim(
        connection,
        claim,
        status=ArrivalStatus.FAILED,
        problem=problem,
        failures=deaths,
        deaths=deaths,
        placed_at=None,
    )
    report = ImportReport(
        import_id=claim.import_id,
        arrival_id=claim.arrival_id,
        account=claim.account,
        feed=claim.feed,
        name=claim.name,
        outcome=Outcome.FAILED,
        problem=problem,
        problem_code="worker_died",
    )
    enter_report(connection, report, run_id=claim.run_id)


def next_import_id(connection: sa.Connection) -> int:
    """Return a number for an import record."""
    return connection.execute(sa.select(tables.import_ids.next_value())).scalar_one()


def dry_run_claim(connection: sa.Connection, file: FoundFile, *, again: bool = False) -> Claim:
    """Return a claim for a dry run of a file that the ledger need not know and will not."""
    import_id = next_import_id(connection)
    facts = asdict(file) | {"dry_run": True, "again": again}
    return Claim(import_id=import_id, arrival_id=_NOT_ENTERED, attempt=0, **facts)


def renew(connection: sa.Connection, claim: Claim, lease_seconds: float) -> None:
    """Let a claim last as long again from now on, in this process; a dry run holds none.

    Raises:
        LostClaimError: The claim is no longer the arrival's current one, or another process works
            on it: a run that was taken for dead, say, while its retry goes on with its claims.
    """
    if claim.arrival_id == _NOT_ENTERED:
        return
    table = tables.arrival
    elsewhere = connection.scalar(
        sa.select(table.c.worker).where(
            table.c.arrival_id == claim.arrival_id,
            table.c.worker != this_worker(),
            table.c.lease_expires_at >= sa.func.now(),
        )
    )
    if elsewhere is not None and not is_gone(elsewhere):
        raise LostClaimError(claim.arrival_id, claim.attempt)
    lease = sa.func.now() + timedelta(seconds=lease_seconds)
    _change_claim(connection, claim, lease_expires_at=lease, worker=this_worker())


def renew_together(
    connection: sa.Connection, claims: Sequence[Claim], lease_seconds: float
) -> bool:
    """Renew many claims as `renew` does each; return False, changing none, if one is lost."""
    table = tables.arrival
    keys = [(claim.arrival_id, claim.attempt) for claim in claims]
    others = connection.scalars(
        sa.select(table.c.worker)
        .where(
            _are_held(keys),
            table.c.worker != this_worker(),
            table.c.lease_expires_at >= sa.func.now(),
        )
        .distinct()
    )
    if not all(is_gone(worker) for worker in others):
        return False
    with connection.begin_nested() as attempt:
        if renew_all(connection, set(keys), lease_seconds):
            attempt.rollback()
            return False
    return True


def renew_all(
    connection: sa.Connection, claims: Collection[tuple[int, int]], lease_seconds: float
) -> set[tuple[int, int]]:
    """Renew the leases of many claims, (arrival, attempt) each, and return those that are lost.

    A row that a transaction is just changing, such as that of a load about to commit, is passed
    over: nothing waits here, so that no lease waits for another.
    """
    if not claims:
        return set()
    table = tables.arrival
    held = _are_held(claims)
    free = sa.select(table.c.arrival_id).where(held).with_for_update(skip_locked=True)
    connection.execute(
        sa.update(table)
        .where(table.c.arrival_id.in_(free.scalar_subquery()))
        .values(
            lease_expires_at=sa.func.now() + timedelta(seconds=lease_seconds), worker=this_worker()
        )
    )
    still = connection.execute(sa.select(table.c.arrival_id, table.c.attempt).where(held))
    return set(claims) - {(row.arrival_id, row.attempt) for row in still}


def hand_over(
    connection: sa.Connection, claims: Collection[tuple[int, int]], lease_seconds: float
) -> None:
    """Let claims last so long without a worker: the run that they are of goes on in another.

    Those that another process works on by now are left to it.
    """
    table = tables.arrival
    mine = table.c.worker.is_not_distinct_from(this_worker())
    lease = sa.func.now() + timedelta(seconds=lease_seconds)
    connection.execute(
        sa.update(table).where(_are_held(claims), mine).values(lease_expires_at=lease, worker=None)
    )


def sign_on(connection: sa.Connection, runs: Mapping[str, bool], lease_seconds: float) -> None:
    """Enter this process as the one that works on these runs, for as long as a lease.

    A run of which it does not all steps (False) has no worker of a name, only the lease.
    """
    table = tables.worker
    lease = sa.func.now() + timedelta(seconds=lease_seconds)
    for run_id, whole in sorted(runs.items()):
        facts = {"worker": this_worker() if whole else None, "lease_expires_at": lease}
        statement = insert(table).values(run_id=run_id, **facts)
        connection.execute(statement.on_conflict_do_update(index_elements=["run_id"], set_=facts))


def workers_lost(connection: sa.Connection, run_ids: Iterable[str]) -> dict[str, bool]:
    """Return of each run that a worker signed on for whether that worker is lost.

    Of a worker on this host its process tells, elsewhere its lease.
    """
    table = tables.worker
    over = table.c.lease_expires_at < sa.func.now() - timedelta(seconds=_GRACE_SECONDS)
    rows = connection.execute(
        sa.select(table.c.run_id, table.c.worker, over.label("over")).where(
            table.c.run_id.in_(list(run_ids))
        )
    )
    return {
        row.run_id: is_gone(row.worker) if is_here(row.worker) else bool(row.over) for row in rows
    }


def sign_off(connection: sa.Connection, finished: timedelta = timedelta(days=1)) -> None:
    """Forget workers that have been gone for long; their runs are over."""
    table = tables.worker
    connection.execute(sa.delete(table).where(table.c.lease_expires_at < sa.func.now() - finished))


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
    with contextlib.suppress(LostClaimError):
        _change_claim(
            connection,
            claim,
            status=sa.func.coalesce(tables.arrival.c.status_before_dry_run, status),
            lease_expires_at=None,
            status_before_dry_run=None,
            again=False,
            import_id=None if before is None else before.import_id,
            run_id=None if before is None else before.run_id,
            worker=None,
            **({} if claim.dry_run else {"deaths": 0}),
        )


def check(connection: sa.Connection, claim: Claim) -> None:
    """Return if a claim is the current one of its arrival; a dry run always is.

    Raises:
        LostClaimError: It is not.
    """
    held = claim.arrival_id == _NOT_ENTERED or is_held(connection, claim.import_id, claim.attempt)
    if not held:
        raise LostClaimError(claim.arrival_id, claim.attempt)


def is_held(connection: sa.Connection, import_id: int, attempt: int) -> bool:
    """Return whether an import's claim is the current one of its arrival."""
    table = tables.arrival
    held = sa.exists().where(
        table.c.import_id == import_id,
        table.c.attempt == attempt,
        table.c.status == ArrivalStatus.CLAIMED,
    )
    return bool(connection.scalar(sa.select(held)))


def check_together(connection: sa.Connection, claims: Sequence[Claim]) -> None:
    """Return if all these claims are the current ones of their arrivals.

    Raises:
        LostClaimError: One is not.
    """
    held = _are_held([(claim.arrival_id, claim.attempt) for claim in claims])
    query = sa.select(sa.func.count()).select_from(tables.arrival).where(held)
    if connection.scalar(query) != len(claims):
        raise LostClaimError(claims[0].arrival_id, claims[0].attempt)


def same_content(
    connection: sa.Connection, of: Claim | ImportReport, fingerprint: str | None
) -> SameContent | None:
    """Return the last import that brought the same bytes for the same account and feed, if any."""
    table = tables.import_
    found = connection.execute(
        sa.select(table.c.import_id, table.c.turn)
        .where(*order.standing(of), table.c.fingerprint == fingerprint)
        .order_by(table.c.turn.desc(), table.c.import_id.desc())
        .limit(1)
    ).one_or_none()
    if found is None:
        return None
    changed = sa.exists().where(
        table.c.account == of.account,
        table.c.feed == of.feed,
        table.c.turn > found.turn,
        (table.c.updated > 0) | (table.c.outcome == Outcome.UNDO),
    )
    is_current = not connection.scalar(sa.select(changed))
    return SameContent(import_id=found.import_id, is_current=is_current)


def is_current(connection: sa.Connection, report: ImportReport) -> bool:
    """Return whether nothing has changed rows of its account and feed since an import."""
    table = tables.import_
    query = sa.select(table.c.fingerprint).where(table.c.import_id == report.import_id)
    same = same_content(connection, report, connection.scalar(query))
    return same is None or same.is_current


def known_content(connection: sa.Connection, of: Claim, fingerprints: Collection[str]) -> set[str]:
    """Return those of which imports for the same account and feed brought the bytes before."""
    table = tables.import_
    known = table.c.fingerprint.in_(fingerprints)
    query = sa.select(table.c.fingerprint).where(*order.standing(of), known)
    return {str(fingerprint) for fingerprint in connection.scalars(query)}


def rows_brought(connection: sa.Connection, claim: Claim) -> int:
    """Return how many rows the imports for an account and feed inserted, undone ones apart.

    So many are stored, but for those that somebody deleted in the database.
    """
    query = sa.select(sa.func.sum(tables.import_.c.inserted)).where(*order.standing(claim))
    return int(connection.scalar(query) or 0)


def settle(
    connection: sa.Connection,
    claim: Claim,
    report: ImportReport,
    fingerprint: str | None,
    max_failures: int | None = None,
) -> None:
    """Write the import's entry and end its claim.

    Of a file that failed for the last time the arrival says that it is not tried any more.

    Raises:
        LostClaimError: The claim is no longer the arrival's current one.
    """
    failures, problem = 0, report.problem
    if report.outcome is Outcome.FAILED:
        failures = 1 + _failures(connection, claim)
        if max_failures is not None and failures >= max_failures:
            problem = (
                f"{claim.name}: failed {failures} times, so it is no longer tried by itself; name "
                f"it, in a run's config or to csv-pipeline import, to try it again\n{problem}"
            )
    _end_claim(
        connection,
        claim,
        status=ArrivalStatus(report.outcome.value),
        problem=problem,
        failures=failures,
        placed_at=None,
        again=False,
    )
    position = claim.position
    if report.repairs is not None:
        position = order.position_of(connection, report.repairs)
    enter_report(
        connection, report, fingerprint=fingerprint, run_id=claim.run_id, position=position
    )
    order.forget_confirmed(connection, claim)


def settle_together(
    connection: sa.Connection, settled: Sequence[tuple[Claim, ImportReport, str | None]]
) -> None:
    """Write the entries of imports that stored their rows, each with its fingerprint; see `settle`.

    Raises:
        LostClaimError: One of the claims is no longer the current one.
    """
    table, first = tables.arrival, settled[0][0]
    claims = [(claim.arrival_id, claim.attempt) for claim, _, _ in settled]
    ended = connection.execute(
        sa.update(table)
        .where(_are_held(claims))
        .values(
            status=ArrivalStatus.IMPORTED,
            lease_expires_at=None,
            worker=None,
            problem=None,
            failures=0,
            deaths=0,
            placed_at=None,
        )
    )
    if ended.rowcount != len(claims):
        raise LostClaimError(*claims[0])
    turn = lane_lock.next_turn(connection, first.account, first.feed)
    connection.execute(
        sa.insert(tables.import_),
        [
            _entry(report)
            | {
                "fingerprint": fingerprint,
                "run_id": claim.run_id,
                "position": claim.position,
                "turn": turn,
            }
            for claim, report, fingerprint in settled
        ],
    )
    order.forget_confirmed(connection, settled[0][0])


def enter_report(connection: sa.Connection, report: ImportReport, **facts: Any) -> None:
    """Write an import's entry; `facts` are columns that its report does not have.

    The lane of one that changed rows must be locked.
    """
    turn = None
    if report.outcome in {Outcome.IMPORTED, Outcome.UNDO}:
        turn = lane_lock.next_turn(connection, report.account, report.feed)
    connection.execute(sa.insert(tables.import_).values(_entry(report) | facts | {"turn": turn}))


def _entry(report: ImportReport) -> dict[str, Any]:
    return {
        "import_id": report.import_id,
        "arrival_id": report.arrival_id,
        "account": report.account,
        "feed": report.feed,
        "name": report.name,
        "outcome": report.outcome,
        "problem": report.problem,
        "problem_code": report.problem_code,
        "same_as": report.same_as,
        "repairs_import_id": report.repairs,
        "report": _REPORT.dump_python(report, mode="json"),
        **asdict(report.counts),
    }


def settled(connection: sa.Connection, claim: Claim) -> ImportReport | None:
    """Return what became of a claim's own import, if it was settled."""
    table = tables.import_
    query = sa.select(table.c.report).where(table.c.import_id == claim.import_id)
    found = connection.scalar(query)
    return None if found is None else _REPORT.validate_python(found)


def store_report(connection: sa.Connection, report: ImportReport) -> None:
    """Replace the report of a settled import by one that knows more, such as the last seconds."""
    table = tables.import_
    connection.execute(
        sa.update(table)
        .where(table.c.import_id == report.import_id)
        .values(report=_REPORT.dump_python(report, mode="json"))
    )


def store_seconds(
    connection: sa.Connection, import_ids: Sequence[int], seconds: Mapping[str, float]
) -> None:
    """Complete the reports of settled imports by the seconds that the stages of each took."""
    table = tables.import_
    said = sa.func.jsonb_set(
        table.c.report,
        sa.literal(["stage_seconds"], pg.ARRAY(sa.Text)),
        sa.literal(dict(seconds), pg.JSONB),
    )
    mine = table.c.import_id.in_(import_ids)
    connection.execute(sa.update(table).where(mine).values(report=said))


def imports(
    connection: sa.Connection,
    *,
    account: str | None = None,
    feed: str | None = None,
    limit: int = 50,
) -> list[tuple[ImportReport, datetime]]:
    """Return the newest imports with the time each was settled, the newest first."""
    table = tables.import_
    query = sa.select(table.c.report, table.c.finished_at).order_by(table.c.import_id.desc())
    if account is not None:
        query = query.where(table.c.account == account)
    if feed is not None:
        query = query.where(table.c.feed == feed)
    rows = connection.execute(query.limit(limit))
    return [(_REPORT.validate_python(row.report), row.finished_at) for row in rows]


def report_of(connection: sa.Connection, import_id: int) -> ImportReport:
    """Return what became of one import.

    Raises:
        UnknownImportError: The ledger has no such import.
    """
    table = tables.import_
    found = connection.scalar(sa.select(table.c.report).where(table.c.import_id == import_id))
    if found is None:
        raise UnknownImportError(import_id)
    return _REPORT.validate_python(found)


def last_header(connection: sa.Connection, claim: Claim, layout: str) -> tuple[str, ...]:
    """Return the header of the last import for the same account and feed in a layout, if any."""
    table = tables.import_
    found = connection.scalar(
        sa.select(table.c.report["header"])
        .where(
            *order.standing(claim),
            table.c.repairs_import_id.is_(None),
            table.c.report["layout"].astext == layout,
        )
        .order_by(table.c.import_id.desc())
        .limit(1)
    )
    return tuple(found or ())


def rejects(connection: sa.Connection, import_id: int, limit: int | None = None) -> list[Reject]:
    """Return the faults of an import's refused rows in the order of the file."""
    table = tables.reject
    query = (
        sa.select(*(table.c[field.name] for field in fields(Reject)))
        .where(table.c.import_id == import_id)
        .order_by(table.c.row_number, table.c.line_number, table.c.column)
        .limit(limit)
    )
    return [Reject.of(row._asdict()) for row in connection.execute(query)]


def superseded(
    connection: sa.Connection, import_id: int, limit: int | None = None
) -> list[tuple[int, int]]:
    """Return pairs of a superseded row's number and that of the row which came after it."""
    table = tables.superseded
    query = (
        sa.select(table.c.row_number, table.c.by_row_number)
        .where(table.c.import_id == import_id)
        .order_by(table.c.row_number)
        .limit(limit)
    )
    return [(row.row_number, row.by_row_number) for row in connection.execute(query)]


def arrivals(
    connection: sa.Connection,
    *,
    account: str | None = None,
    statuses: Sequence[ArrivalStatus] = (),
    named: Sequence[str] = (),
    arrival_ids: Sequence[int] = (),
) -> list[Any]:
    """Return rows of the arrival table, the newest first; `named` are names or places."""
    table = tables.arrival
    query = sa.select(table).order_by(table.c.arrival_id.desc())
    if account is not None:
        query = query.where(table.c.account == account)
    if statuses:
        query = query.where(table.c.status.in_(statuses))
    if named or arrival_ids:
        known_as = (table.c.name, table.c.location, table.c.moved_to)
        by_name = (column.in_(named) for column in known_as)
        query = query.where(sa.or_(table.c.arrival_id.in_(arrival_ids), *by_name))
    return list(connection.execute(query).all())


def _claimable(
    connection: sa.Connection, statuses: Sequence[ArrivalStatus], max_failures: int | None = None
) -> sa.ColumnElement[bool]:
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


def _status_before() -> sa.ColumnElement[Any]:
    table = tables.arrival
    claimed = table.c.status == ArrivalStatus.CLAIMED
    return sa.case((claimed, table.c.status_before_dry_run), else_=table.c.status)


def _failures(connection: sa.Connection, claim: Claim) -> int:
    table = tables.arrival
    query = sa.select(table.c.failures).where(table.c.arrival_id == claim.arrival_id)
    return connection.scalar(query) or 0


def _end_claim(
    connection: sa.Connection,
    claim: Claim,
    *,
    status: ArrivalStatus,
    problem: str | None = None,
    **values: Any,
) -> None:
    _change_claim(
        connection,
        claim,
        status=status,
        lease_expires_at=None,
        worker=None,
        problem=problem,
        **({"deaths": 0} | values),
    )


def _are_held(claims: Collection[tuple[int, int]]) -> sa.ColumnElement[bool]:
    """Return whether an arrival's claim is among these, (arrival, attempt) each."""
    table = tables.arrival
    key = sa.tuple_(table.c.arrival_id, table.c.attempt)
    return key.in_(claims) & (table.c.status == ArrivalStatus.CLAIMED)


def _change_claim(connection: sa.Connection, claim: Claim, **values: Any) -> None:
    table = tables.arrival
    changed = connection.execute(
        sa.update(table)
        .where(
            table.c.arrival_id == claim.arrival_id,
            table.c.attempt == claim.attempt,
            table.c.status == ArrivalStatus.CLAIMED,
        )
        .values(values)
    )
    if changed.rowcount != 1:
        raise LostClaimError(claim.arrival_id, claim.attempt)


def _account(row: Any) -> Account:
    return Account(
        account=row.account,
        seller_id=row.seller_id,
        date_order=None if row.date_order is None else DateOrder(row.date_order),
        decimal_mark=None if row.decimal_mark is None else DecimalMark(row.decimal_mark),
        encoding=row.encoding,
        currency=row.currency,
        null_words=tuple(row.null_words or ()),
        max_file_bytes=row.max_file_bytes,
        max_compressed_bytes=row.max_compressed_bytes,
    )


def _claim(row: Any, *, dry_run: bool) -> Claim:
    return Claim(
        import_id=row.import_id,
        arrival_id=row.arrival_id,
        attempt=row.attempt,
        account=row.account,
        feed=row.feed,
        name=row.name,
        location=row.location,
        size_bytes=row.size_bytes,
        modified_at=row.modified_at,
        moved_to=row.moved_to,
        moved_modified_at=row.moved_modified_at,
        run_id=row.run_id,
        dry_run=dry_run,
        position=row.position,
        again=row.again,
    )


def _chunks(rows: list[dict[str, Any]], size: int) -> Iterable[list[dict[str, Any]]]:
    return (rows[start : start + size] for start in range(0, len(rows), size))
