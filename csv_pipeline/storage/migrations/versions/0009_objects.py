"""Know the time that an object got by its move: a store gives a copy a time of its own."""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the column."""
    op.execute("ALTER TABLE csv_pipeline.arrival ADD COLUMN moved_modified_at timestamptz")
