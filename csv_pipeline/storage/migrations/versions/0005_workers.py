"""Say who works on what, so that a dead worker's files and runs are free at once."""

from alembic import op

revision = "0005"
down_revision = "0004"

_CHANGES = """
ALTER TABLE csv_pipeline.arrival
    ADD COLUMN worker text,
    ADD COLUMN failures integer NOT NULL DEFAULT 0;
CREATE INDEX arrival_claimed ON csv_pipeline.arrival (worker) WHERE status = 'claimed';

CREATE TABLE csv_pipeline.worker (
    run_id text PRIMARY KEY,
    worker text,
    lease_expires_at timestamptz NOT NULL
);
"""


def upgrade() -> None:
    """Add columns, index and table."""
    op.execute(_CHANGES)
