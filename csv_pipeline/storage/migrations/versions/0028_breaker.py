"""Keep which stores do not answer, since when, and when they are asked again."""

from alembic import op

revision = "0028"
down_revision = "0027"


def upgrade() -> None:
    """Add the table; every store is taken to answer."""
    op.execute("""
        CREATE TABLE csv_pipeline.silent_store (
            store text PRIMARY KEY,
            since timestamptz NOT NULL DEFAULT now(),
            failures integer NOT NULL,
            next_attempt_at timestamptz NOT NULL,
            listing boolean NOT NULL,
            problem text NOT NULL
        )
    """)
