"""Keep the number of a file that was canceled, and until when an upload is being placed.

The number is its address, and a later attempt has another; files that are canceled now get that of
their last attempt.
"""

from alembic import op

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    """Add the columns, and the index of numbers."""
    op.execute("ALTER TABLE csv_pipeline.arrival ADD COLUMN kept_number bigint")
    op.execute("UPDATE csv_pipeline.arrival SET kept_number = import_id WHERE status = 'canceled'")
    op.execute("""
        CREATE INDEX arrival_by_kept_number ON csv_pipeline.arrival (kept_number)
        WHERE kept_number IS NOT NULL
    """)
    op.execute("ALTER TABLE csv_pipeline.upload ADD COLUMN placing_until timestamptz")
