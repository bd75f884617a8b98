"""Keep how the columns of each feed are read, and what was decided where that changed."""

from alembic import op

revision = "0021"
down_revision = "0020"

_CHANGES = """
ALTER TABLE csv_pipeline.target ADD COLUMN readings jsonb;
CREATE TABLE csv_pipeline.reading_change (
    feed text NOT NULL,
    column_name text NOT NULL,
    before text NOT NULL,
    now text NOT NULL,
    read_again boolean NOT NULL,
    decided_by text NOT NULL,
    decided_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE csv_pipeline.reading_change ENABLE ROW LEVEL SECURITY;
"""


def upgrade() -> None:
    """Add the column, which the next opening fills, and the table, which is nothing for readers."""
    op.execute(_CHANGES)
