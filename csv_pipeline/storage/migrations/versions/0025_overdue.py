"""Find when files of a lane arrived, and keep which lanes are overdue, so that each is told once.

What is told of an account is told of no import.
"""

from alembic import op

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Add the index and the table, and let messages be of no import."""
    op.execute("""
        CREATE INDEX arrival_by_time ON csv_pipeline.arrival (account, feed, seen_at)
        WHERE status <> 'misplaced'
    """)
    op.execute("""
        CREATE TABLE csv_pipeline.overdue (
            account text NOT NULL,
            feed text NOT NULL,
            since timestamptz NOT NULL,
            noticed_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (account, feed, since)
        )
    """)
    op.execute("ALTER TABLE csv_pipeline.outbox ALTER COLUMN import_id DROP NOT NULL")
    op.execute("ALTER TABLE csv_pipeline.webhook_failure ALTER COLUMN import_id DROP NOT NULL")
