"""Let messages be gathered for alerts, and know which messages were set aside, and from when."""

from alembic import op

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Add the columns."""
    op.execute("ALTER TABLE csv_pipeline.webhook ADD COLUMN quiet_seconds double precision")
    op.execute("""
        ALTER TABLE csv_pipeline.webhook_failure
            ADD COLUMN outbox_id bigint NOT NULL DEFAULT 0,
            ADD COLUMN created_at timestamptz NOT NULL DEFAULT now()
    """)
