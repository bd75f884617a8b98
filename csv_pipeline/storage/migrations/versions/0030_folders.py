"""Keep which folders of the landing areas, besides the one of its name, are an account's."""

from alembic import op

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    """Add the table; each account has the folder of its name."""
    op.execute("""
        CREATE TABLE csv_pipeline.folder (
            folder text PRIMARY KEY,
            account text NOT NULL REFERENCES csv_pipeline.account (account),
            declared_at timestamptz NOT NULL DEFAULT now(),
            declared_by text NOT NULL
        )
    """)
