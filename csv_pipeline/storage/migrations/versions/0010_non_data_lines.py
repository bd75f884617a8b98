"""Call lines that are no data non-data lines."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Rename the count, in its column and in the stored reports."""
    op.execute('ALTER TABLE csv_pipeline."import" RENAME COLUMN furniture TO non_data')
    op.execute(
        """
        UPDATE csv_pipeline."import"
        SET report = jsonb_set(
            report #- '{counts,furniture}', '{counts,non_data}', report #> '{counts,furniture}'
        )
        WHERE report #> '{counts,furniture}' IS NOT NULL
        """
    )
