"""Which worker does the steps of a run, and whether it is lost."""

from collections.abc import Iterable, Mapping
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from csv_pipeline.storage import tables
from csv_pipeline.storage.worker import is_gone, is_here, this_worker

_GRACE_SECONDS = 10.0  # for workers to renew their leases when the database comes back


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
