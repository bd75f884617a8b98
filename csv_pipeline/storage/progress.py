"""How far imports are: one row for each import that goes on, written while it does."""

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass

import sqlalchemy as sa

from csv_pipeline.storage.api_tables import progress as table

_STORE = sa.text(
    "INSERT INTO csv_pipeline.progress "
    "(import_id, account, feed, stage, rows, total_rows, rejected) "
    "SELECT :import_id, account, feed, :stage, :rows, :total_rows, :rejected "
    "FROM csv_pipeline.arrival WHERE status = 'claimed' AND import_id = :import_id "
    "ON CONFLICT (import_id) DO UPDATE SET stage = excluded.stage, rows = excluded.rows, "
    "total_rows = excluded.total_rows, rejected = excluded.rejected, told_at = now()"
)
_KEPT = "1 day"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """So many `rows` of an import have passed a stage, and so many are rejected so far."""

    import_id: int
    stage: str
    rows: int = 0
    total_rows: int | None = None
    rejected: int = 0


def store(connection: sa.Connection, steps: Iterable[Step]) -> None:
    """Store how far imports are; one that nobody holds a claim for is passed over."""
    rows = [asdict(step) for step in steps]
    if rows:
        connection.execute(_STORE, rows)


def forget(connection: sa.Connection, import_ids: Collection[int]) -> None:
    """Forget imports that are settled, and those that nobody told of for a day."""
    old = table.c.told_at < sa.func.now() - sa.text(f"interval '{_KEPT}'")
    connection.execute(sa.delete(table).where(table.c.import_id.in_(import_ids) | old))


def of_imports(connection: sa.Connection, import_ids: Collection[int]) -> dict[int, Step]:
    """Return how far these imports are, where that is known."""
    its = table.c
    query = sa.select(its.import_id, its.stage, its.rows, its.total_rows, its.rejected).where(
        its.import_id.in_(import_ids)
    )
    return {row.import_id: Step(**row._mapping) for row in connection.execute(query)}
