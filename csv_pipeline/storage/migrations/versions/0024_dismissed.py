"""Keep which imports need nobody any more because somebody said so, and find the others fast."""

from alembic import op

revision = "0024"
down_revision = "0023"


def upgrade() -> None:
    """Add the column and the index of files that were not stored."""
    op.execute("ALTER TABLE csv_pipeline.import ADD COLUMN dismissed_at timestamptz")
    op.execute("""
        CREATE INDEX import_not_stored ON csv_pipeline.import (account, feed, import_id)
        WHERE outcome IN ('refused', 'failed') AND dismissed_at IS NULL
    """)
