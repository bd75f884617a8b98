"""Keep the number of a file that was canceled, which is its address: a later attempt has another.

Those that are canceled now have the number of their last attempt.
"""

from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """Add the column and its index."""
    op.execute("ALTER TABLE csv_pipeline.arrival ADD COLUMN kept_number bigint")
    op.execute("UPDATE csv_pipeline.arrival SET kept_number = import_id WHERE status = 'canceled'")
    op.execute("""
        CREATE INDEX arrival_by_kept_number ON csv_pipeline.arrival (kept_number)
        WHERE kept_number IS NOT NULL
    """)
