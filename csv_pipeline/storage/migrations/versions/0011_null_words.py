"""Let an account declare words that stand for no value."""

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the words; an account has none until it declares some."""
    op.execute("ALTER TABLE csv_pipeline.account ADD COLUMN null_words text[]")
