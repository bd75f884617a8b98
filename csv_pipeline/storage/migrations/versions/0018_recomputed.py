"""Remember up to which import each derived table is recomputed."""

from alembic import op

revision = "0018"
down_revision = "0017"

_CHANGES = """
CREATE TABLE csv_pipeline.recomputed (
    derived text NOT NULL,
    account text NOT NULL,
    feed text NOT NULL,
    turn bigint NOT NULL,
    recomputed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (derived, account, feed)
);
ALTER TABLE csv_pipeline.recomputed ENABLE ROW LEVEL SECURITY;
"""


def upgrade() -> None:
    """Add the table, which is nothing for readers."""
    op.execute(_CHANGES)
