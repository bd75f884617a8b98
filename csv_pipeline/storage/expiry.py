"""What is kept no longer of the state tables, of Dagster's records and of histories: how much.

Nothing goes that an import, an undo or a replay needs which the settings still allow. Of rejected
rows only those go that are all repaired, or of an import that was undone or dismissed, once
everything about them is old.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from csv_pipeline.spec.feed import Feed
from csv_pipeline.storage import dagster_records
from csv_pipeline.storage.targets import history_table, is_tombstone
from csv_pipeline.storage.undo_records import old_changes


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """So many rows or files, of so many bytes, and the imports that they are of."""

    items: int = 0
    size_bytes: int = 0
    import_ids: tuple[int, ...] = ()

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(
            items=self.items + other.items,
            size_bytes=self.size_bytes + other.size_bytes,
            import_ids=self.import_ids + other.import_ids,
        )


def old_history(connection: sa.Connection, feeds: Mapping[str, Feed], days: int) -> Amount:
    """Return how much of the histories is of imports that are older."""
    by_feed: dict[str, list[int]] = {}
    for row in connection.execute(old_changes(feeds, days)):
        by_feed.setdefault(row.feed, []).append(row.import_id)
    items = size_bytes = 0
    for name, import_ids in by_feed.items():
        history = history_table(feeds[name])
        size = sa.func.pg_column_size(sa.literal_column("history.*"))
        its = history.alias("history")
        mine = its.c._replaced_by_import_id.in_(import_ids)
        last = is_tombstone(its) & its.c._import_id.in_(import_ids)
        query = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(size), 0))
        count, total = connection.execute(query.select_from(its).where(mine | last)).one()
        items, size_bytes = items + count, size_bytes + int(total)
    numbers = sorted(number for some in by_feed.values() for number in some)
    return Amount(items=items, size_bytes=size_bytes, import_ids=tuple(numbers))


def old_rejects(connection: sa.Connection, days: int) -> Amount:
    """Return how many faults there are of rejected rows that nobody will correct."""
    rows = connection.execute(_OLD_REJECTS, {"days": days}).all()
    return Amount(
        items=sum(row.faults for row in rows),
        size_bytes=sum(row.size_bytes for row in rows),
        import_ids=tuple(row.import_id for row in rows),
    )


def remove_rejects(connection: sa.Connection, import_ids: Collection[int]) -> None:
    """Remove the rejected rows of imports, and what was typed to correct them."""
    connection.execute(_REMOVE_REJECTS, {"import_ids": list(import_ids)})
    connection.execute(_REMOVE_CORRECTIONS, {"import_ids": list(import_ids)})


def old_entries(connection: sa.Connection, table: str, days: int) -> Amount:
    """Return how many entries of a log, `file_move` or `audit`, are older."""
    query = sa.text(
        f"SELECT count(*) AS items, coalesce(sum(pg_column_size(t.*)), 0)::bigint AS size_bytes "  # noqa: S608
        f"FROM csv_pipeline.{table} t WHERE {_AT[table]} < now() - make_interval(days => :days)"
    )
    return Amount(**connection.execute(query, {"days": days}).one()._mapping)


def remove_entries(connection: sa.Connection, table: str, days: int) -> None:
    """Remove entries of a log that are older."""
    query = sa.text(
        f"DELETE FROM csv_pipeline.{table} "  # noqa: S608
        f"WHERE {_AT[table]} < now() - make_interval(days => :days)"
    )
    connection.execute(query, {"days": days})


def old_runs(connection: sa.Connection, days: int) -> Amount:
    """Return how many runs of Dagster ended longer ago, and the size of their events."""
    run_ids = dagster_records.old_runs(connection, days)
    if not run_ids:
        return Amount()
    size = connection.execute(_SIZE_OF_EVENTS, {"run_ids": run_ids}).scalar_one()
    return Amount(items=len(run_ids), size_bytes=size)


_AT = {"file_move": "moved_at", "audit": "at"}
_OLD_REJECTS = sa.text("""
    WITH cutoff AS (SELECT now() - make_interval(days => :days) AS at)
    SELECT i.import_id, its.faults, its.size_bytes
    FROM cutoff, csv_pipeline.import i
    LEFT JOIN csv_pipeline.import undo ON undo.import_id = i.undone_by_import_id,
    LATERAL (
        SELECT count(*) AS faults, coalesce(sum(pg_column_size(r.*)), 0)::bigint AS size_bytes,
            bool_and(r.repaired_by_import_id IS NOT NULL) AS repaired
        FROM csv_pipeline.reject r WHERE r.import_id = i.import_id
    ) AS its
    WHERE i.outcome = 'imported' AND i.rejected > 0 AND i.finished_at < cutoff.at
        AND its.faults > 0
        AND (its.repaired OR i.dismissed_at < cutoff.at OR undo.finished_at < cutoff.at)
        AND NOT EXISTS (
            SELECT FROM csv_pipeline.import later
            WHERE later.repairs_import_id = i.import_id AND later.finished_at >= cutoff.at
        )
    ORDER BY i.import_id
""")
_REMOVE_REJECTS = sa.text("DELETE FROM csv_pipeline.reject WHERE import_id = ANY(:import_ids)")
_REMOVE_CORRECTIONS = sa.text(
    "DELETE FROM csv_pipeline.correction WHERE import_id = ANY(:import_ids)"
)
_SIZE_OF_EVENTS = sa.text("""
    SELECT coalesce(sum(pg_column_size(e.*)), 0)::bigint FROM dagster.event_logs e
    WHERE run_id = ANY(:run_ids)
""")
