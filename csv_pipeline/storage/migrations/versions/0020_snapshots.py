"""Count the rows that a snapshot lacks, and keep which scopes it had.

What flags or deletes rows changes them, as an update does.
"""

from alembic import op

revision = "0020"
down_revision = "0019"

_CHANGES = """
ALTER TABLE csv_pipeline.import ADD COLUMN missing bigint NOT NULL DEFAULT 0;
ALTER TABLE csv_pipeline.import ALTER COLUMN missing DROP DEFAULT;
DROP INDEX csv_pipeline.import_with_changes;
CREATE INDEX import_with_changes ON csv_pipeline.import (account, feed, turn)
    WHERE updated > 0 OR missing > 0 OR outcome = 'undo';
DROP INDEX csv_pipeline.import_with_history;
CREATE INDEX import_with_history ON csv_pipeline.import (finished_at)
    WHERE history_pruned_at IS NULL AND undone_by_import_id IS NULL
        AND (updated > 0 OR missing > 0 OR outcome = 'undo');

CREATE TABLE csv_pipeline.snapshot_scope (
    account text NOT NULL,
    feed text NOT NULL,
    scope bytea NOT NULL,
    import_id bigint NOT NULL
);
CREATE INDEX snapshot_scope_by_scope ON csv_pipeline.snapshot_scope (account, feed, scope);
CREATE INDEX snapshot_scope_by_import ON csv_pipeline.snapshot_scope (import_id);
"""


def upgrade() -> None:
    """Add the count and the table."""
    op.execute(_CHANGES)
