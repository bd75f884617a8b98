"""Imports and undos in the order they committed, for whoever follows them.

They are read from the outbox as webhooks read it: along the transactions, up to the oldest one that
is still open, so that none is passed over which commits later.
"""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Self

import sqlalchemy as sa

from csv_pipeline.model import ImportReport
from csv_pipeline.storage import imports


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far the outbox was read: up to a message of a transaction."""

    turn: int = 0
    outbox_id: int = 0

    @classmethod
    def of(cls, cursor: str | None) -> Self:
        """Return the position that `str` gave."""
        return cls(**json.loads(cursor)) if cursor else cls()

    def __str__(self) -> str:
        return json.dumps(asdict(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """An import or an undo, and when it was settled."""

    report: ImportReport
    finished_at: datetime


def settled(
    connection: sa.Connection, after: Position, limit: int, *, outside: bool = False
) -> tuple[list[Settled], Position]:
    """Return what was settled after a position, and how far that is.

    `outside`: only what no run of Dagster did. A position that the server has not reached is of
    another server, of which this is a copy: all that was settled here is returned.
    """
    still_open: int = connection.execute(STILL_OPEN).scalar_one()
    if after.turn > still_open:
        after = Position()
    facts = {**asdict(after), "open": still_open, "limit": limit, "outside": outside}
    rows = connection.execute(_SETTLED, facts).all()
    found = [
        Settled(report=imports.report_in(row.report, row.import_id), finished_at=row.created_at)
        for row in rows
    ]
    if len(rows) < limit:
        return found, Position(turn=still_open)
    return found, Position(turn=rows[-1].turn, outbox_id=rows[-1].outbox_id)


STILL_OPEN = sa.text("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
_SETTLED = sa.text("""
    SELECT o.turn, o.outbox_id, o.created_at, i.import_id, i.report
    FROM csv_pipeline.outbox o JOIN csv_pipeline.import i USING (import_id)
    WHERE o.turn < :open AND (o.turn, o.outbox_id) > (:turn, :outbox_id)
        AND (NOT :outside OR o.payload ->> 'run_id' IS NULL)
    ORDER BY o.turn, o.outbox_id
    LIMIT :limit
""")
