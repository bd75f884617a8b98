"""How far imports and checks are: one row for each that goes on, written while it does."""

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass

import sqlalchemy as sa

from csv_pipeline.storage.api_tables import progress as table

_STORE = sa.text(
    "INSERT INTO csv_pipeline.progress "
    "(import_id, account, feed, stage, rows, total_rows, rejected) "
    "SELECT :import_id, account, feed, :stage, :rows, CAST(:total_rows AS bigint), :rejected "
    "FROM csv_pipeline.arrival WHERE status = 'claimed' AND import_id = :import_id UNION ALL "
    "SELECT :import_id, account, coalesce(feed, ''), :stage, :rows, :total_rows, :rejected "
    "FROM csv_pipeline.upload WHERE state = 'checking' AND upload_id = :import_id "
    "ON CONFLICT (import_id) DO UPDATE SET stage = excluded.stage, rows = excluded.rows, "
    "total_rows = excluded.total_rows, rejected = excluded.rejected, told_at = now(), "
    "stage_at = CASE WHEN progress.stage = excluded.stage THEN progress.stage_at ELSE now() END"
)
_KEPT = "1 day"
_SURE = 1.0  # seconds after which a speed says something


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """So many `rows` of an import or a check have passed a stage, so many are rejected so far.

    `seconds` is how long the stage goes on, of what is read from the database.
    """

    import_id: int
    stage: str
    rows: int = 0
    total_rows: int | None = None
    rejected: int = 0
    seconds: float = 0

    @property
    def seconds_left(self) -> float | None:
        """How long the stage is likely to go on; None: that is not known yet."""
        if not (self.total_rows and 0 < self.rows < self.total_rows and self.seconds >= _SURE):
            return None
        return self.seconds * (self.total_rows - self.rows) / self.rows


def store(connection: sa.Connection, steps: Iterable[Step]) -> None:
    """Store how far imports are; one that does not go on is passed over."""
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
    seconds = sa.func.extract("epoch", its.told_at - its.stage_at).cast(sa.Float)
    query = sa.select(
        *(its.import_id, its.stage, its.rows, its.total_rows, its.rejected),
        seconds.label("seconds"),
    ).where(its.import_id.in_(import_ids))
    return {row.import_id: Step(**row._mapping) for row in connection.execute(query)}
