"""Know where the file of every arrival is, and keep a record of every move and removal.

Files that were settled before stay where they are.
"""

from alembic import op

revision = "0006"
down_revision = "0005"

_CHANGES = """
ALTER TABLE csv_pipeline.arrival
    ADD COLUMN moved_to text,
    ADD COLUMN moving_to text,
    ADD COLUMN placed_at timestamptz,
    ADD COLUMN removed_at timestamptz;
UPDATE csv_pipeline.arrival SET placed_at = now()
    WHERE status IN ('imported', 'unpacked', 'duplicate', 'refused');
CREATE INDEX arrival_to_place ON csv_pipeline.arrival (status) WHERE placed_at IS NULL;
CREATE UNIQUE INDEX arrival_moving ON csv_pipeline.arrival (moving_to)
    WHERE moving_to IS NOT NULL;
CREATE INDEX arrival_moved ON csv_pipeline.arrival (moved_to) WHERE moved_to IS NOT NULL;
CREATE INDEX arrival_kept ON csv_pipeline.arrival (account, feed, placed_at)
    WHERE moved_to IS NOT NULL AND removed_at IS NULL;

CREATE TABLE csv_pipeline.file_move (
    file_move_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    moved_at timestamptz NOT NULL DEFAULT now(),
    account text NOT NULL,
    feed text NOT NULL,
    arrival_id bigint REFERENCES csv_pipeline.arrival,
    source text NOT NULL,
    target text
);
CREATE INDEX file_move_by_arrival ON csv_pipeline.file_move (arrival_id);
"""


def upgrade() -> None:
    """Add the columns, their indexes and the record."""
    op.execute(_CHANGES)
