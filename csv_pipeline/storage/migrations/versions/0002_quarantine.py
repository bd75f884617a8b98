"""Keep what it takes to send rejected rows out and take them back.

An import may repair an earlier one; a reject keeps its cells, the row it was sent back for, and
the import that repaired it.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

_CHANGES = """
ALTER TABLE csv_pipeline.import ADD COLUMN repairs_import_id bigint;
CREATE INDEX import_by_lane ON csv_pipeline.import (account, feed, import_id);
CREATE INDEX import_by_repaired ON csv_pipeline.import (repairs_import_id)
    WHERE repairs_import_id IS NOT NULL;

ALTER TABLE csv_pipeline.reject
    ADD COLUMN cells jsonb,
    ADD COLUMN repairs_row_number bigint,
    ADD COLUMN repaired_by_import_id bigint;
"""


def upgrade() -> None:
    """Add columns and indexes."""
    op.execute(_CHANGES)
