"""Serve every periodic query by an index, and tell of settled imports by an outbox.

An import says how many rows are stored since, so that none are counted; the lane's row is not
changed any more, so that those who wait for its lock are served in turn.
"""

from alembic import op

revision = "0017"
down_revision = "0016"

_CHANGES = """
DROP INDEX csv_pipeline.arrival_open;
CREATE INDEX arrival_open ON csv_pipeline.arrival (account, feed, position)
    WHERE status IN ('waiting', 'claimed', 'failed');
CREATE INDEX arrival_without_position ON csv_pipeline.arrival (account, feed, arrival_id)
    WHERE position IS NULL AND status <> 'misplaced';
CREATE INDEX arrival_by_location ON csv_pipeline.arrival (location text_pattern_ops);
CREATE INDEX arrival_not_moved ON csv_pipeline.arrival (location text_pattern_ops)
    WHERE moved_to IS NULL;

ALTER TABLE csv_pipeline.import ADD COLUMN rows_stored bigint;
UPDATE csv_pipeline.import AS i SET rows_stored = counted.rows_stored
    FROM (
        SELECT import_id, sum(CASE outcome WHEN 'imported' THEN inserted ELSE
            coalesce((report #>> '{undo,inserted}')::bigint, 0)
            - coalesce((report #>> '{undo,deleted}')::bigint, 0)
        END) OVER (PARTITION BY account, feed ORDER BY turn, import_id) AS rows_stored
        FROM csv_pipeline.import WHERE outcome IN ('imported', 'undo')
    ) AS counted
    WHERE counted.import_id = i.import_id;
ALTER TABLE csv_pipeline.lane DROP COLUMN turn;
CREATE INDEX import_by_arrival ON csv_pipeline.import (arrival_id, import_id);
CREATE INDEX import_by_turn ON csv_pipeline.import (account, feed, turn) WHERE turn IS NOT NULL;
CREATE INDEX import_with_changes ON csv_pipeline.import (account, feed, turn)
    WHERE updated > 0 OR outcome = 'undo';
CREATE INDEX import_by_layout
    ON csv_pipeline.import (account, feed, (report ->> 'layout'), import_id)
    WHERE outcome = 'imported' AND undone_by_import_id IS NULL AND repairs_import_id IS NULL;
CREATE INDEX import_with_history ON csv_pipeline.import (finished_at)
    WHERE history_pruned_at IS NULL AND undone_by_import_id IS NULL
        AND (updated > 0 OR outcome = 'undo');
CREATE INDEX import_without_history ON csv_pipeline.import (account, feed, turn)
    WHERE history_pruned_at IS NOT NULL;

CREATE INDEX reject_by_repair ON csv_pipeline.reject (repaired_by_import_id)
    WHERE repaired_by_import_id IS NOT NULL;
CREATE INDEX reject_by_undone_repair ON csv_pipeline.reject (repair_undone_import_id)
    WHERE repair_undone_import_id IS NOT NULL;

CREATE TABLE csv_pipeline.outbox (
    outbox_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    import_id bigint NOT NULL,
    kind text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    payload jsonb NOT NULL
);
CREATE INDEX outbox_by_age ON csv_pipeline.outbox (created_at);
"""


def upgrade() -> None:
    """Add indexes, the column and the table."""
    op.execute(_CHANGES)
