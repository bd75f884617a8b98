"""Index the imports with rows to correct by feed, the newest of which checks name."""

from alembic import op

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    """Add the index."""
    op.execute("""
        CREATE INDEX import_to_correct ON csv_pipeline.import (feed, finished_at)
        WHERE outcome = 'imported' AND rejected > 0 AND dismissed_at IS NULL
            AND undone_by_import_id IS NULL AND repairs_import_id IS NULL
    """)
