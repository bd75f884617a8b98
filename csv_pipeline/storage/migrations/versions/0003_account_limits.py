"""Let an account declare how large its files may be."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the two sizes; without one the setting holds."""
    op.execute(
        "ALTER TABLE csv_pipeline.account "
        "ADD COLUMN max_file_bytes bigint, ADD COLUMN max_compressed_bytes bigint"
    )
