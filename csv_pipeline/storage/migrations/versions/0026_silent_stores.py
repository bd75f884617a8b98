"""Keep until when a file waits whose store does not answer, and how often it was put off."""

from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    """Add the columns; nothing waits for a store yet."""
    op.execute("""
        ALTER TABLE csv_pipeline.arrival
            ADD COLUMN postponed integer NOT NULL DEFAULT 0,
            ADD COLUMN not_before timestamptz
    """)
