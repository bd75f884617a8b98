"""Leases: how long a claim lasts, or the work of a process on a run, and who renews them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from csv_pipeline.errors import LostClaimError
from csv_pipeline.model import Claim
from csv_pipeline.storage import tables
from csv_pipeline.storage.claims import are_held, keys_of
from csv_pipeline.storage.worker import is_gone, is_here, this_worker

_GRACE_SECONDS = 10.0  # for workers to renew their leases when the database comes back
_FORGOTTEN_AFTER = timedelta(days=1)


def renew(connection: sa.Connection, claims: Sequence[Claim], lease_seconds: float) -> None:
    """Let claims last as long again from now on, in this process; a dry run's has no lease.

    Raises:
        LostClaimError: One, and then all are as they were, is no longer its arrival's current
            claim, or another process works on it: a run that was taken for dead, say, while its
            retry goes on with its claims.
    """
    keys = keys_of(claims)
    if not keys:
        return
    table = tables.arrival
    others = connection.scalars(
        sa.select(table.c.worker)
        .where(
            are_held(keys),
            table.c.worker != this_worker(),
            table.c.lease_expires_at >= sa.func.now(),
        )
        .distinct()
    )
    if not all(is_gone(worker) for worker in others):
        raise LostClaimError(*keys[0])
    with connection.begin_nested():
        if lost := renew_all(connection, set(keys), lease_seconds):
            raise LostClaimError(*min(lost))


def renew_all(
    connection: sa.Connection, claims: Collection[tuple[int, int]], lease_seconds: float
) -> set[tuple[int, int]]:
    """Renew the leases of many claims, (arrival, attempt) each, and return those that are lost.

    A row that a transaction is just changing, such as that of a load about to commit, is passed
    over: nothing waits here, so that no lease waits for another. A process that is suspended in the
    middle of it loses its session after as long as a lease, and with it the rows it has locked.
    """
    if not claims:
        return set()
    most_idle = sa.text("SELECT set_config('idle_in_transaction_session_timeout', :most, true)")
    connection.execute(most_idle, {"most": f"{max(1, int(lease_seconds * 1_000))}ms"})
    table = tables.arrival
    held = are_held(claims)
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
        sa.update(table).where(are_held(claims), mine).values(lease_expires_at=lease, worker=None)
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


def workers_here(connection: sa.Connection) -> list[str]:
    """Return the other workers that live on this host and work on a run."""
    found = connection.scalars(sa.select(tables.worker.c.worker).distinct())
    here = [worker for worker in found if is_here(worker) and not is_gone(worker)]
    return [worker for worker in here if worker != this_worker()]


def sign_off(connection: sa.Connection) -> None:
    """Forget workers that have been gone for long; their runs are over."""
    table = tables.worker
    connection.execute(
        sa.delete(table).where(table.c.lease_expires_at < sa.func.now() - _FORGOTTEN_AFTER)
    )
