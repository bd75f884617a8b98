"""Imports and undos that no run of Dagster did, as those of a command, in the order they committed.

They are read from the outbox as webhooks read it: along the transactions, up to the oldest one that
is still open, so that none is passed over which commits later.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from csv_pipeline.model import ImportReport
from csv_pipeline.storage import imports


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far the outbox was read: up to a message of a transaction."""

    turn: int = 0
    outbox_id: int = 0


def settled_outside(
    connection: sa.Connection, after: Position, limit: int
) -> tuple[list[ImportReport], Position]:
    """Return what was settled after a position, but for runs of Dagster, and how far that is.

    A position that the server has not reached is of another server, of which this is a copy: all
    that the outbox has is returned.
    """
    still_open: int = connection.execute(_STILL_OPEN).scalar_one()
    if after.turn > still_open:
        after = Position()
    facts = {"turn": after.turn, "outbox_id": after.outbox_id, "open": still_open, "limit": limit}
    rows = connection.execute(_OUTSIDE, facts).all()
    reports = [imports.report_of(connection, row.import_id) for row in rows]
    if len(rows) < limit:
        return reports, Position(turn=still_open)
    return reports, Position(turn=rows[-1].turn, outbox_id=rows[-1].outbox_id)


_STILL_OPEN = sa.text("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
_OUTSIDE = sa.text("""
    SELECT turn, outbox_id, import_id FROM csv_pipeline.outbox
    WHERE turn < :open AND (turn, outbox_id) > (:turn, :outbox_id)
        AND import_id IS NOT NULL AND payload ->> 'run_id' IS NULL
    ORDER BY turn, outbox_id
    LIMIT :limit
""")
