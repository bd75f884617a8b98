"""Let an account declare which currency its bare signs mean."""

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the ISO 4217 code; without one a sign stays as it is written."""
    op.execute("ALTER TABLE csv_pipeline.account ADD COLUMN currency text")
