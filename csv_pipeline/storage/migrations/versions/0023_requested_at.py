"""Keep when a run was last asked for a file, so that two who ask at once ask for one."""

from alembic import op

revision = "0023"
down_revision = "0022"


def upgrade() -> None:
    """Add the column; whatever waits may be asked for now."""
    op.execute("ALTER TABLE csv_pipeline.arrival ADD COLUMN requested_at timestamptz")
