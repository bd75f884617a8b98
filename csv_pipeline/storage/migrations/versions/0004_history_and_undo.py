"""Keep what it takes to undo an import, and to know a row again by its hash.

An undo is an import record of its own: it says which import it undoes, and that one by which it was
undone. Rejects that a repair brought in are open again while the repair is undone.
"""

from alembic import op

revision = "0004"
down_revision = "0003"

_CHANGES = """
ALTER TABLE csv_pipeline.import
    ADD COLUMN undoes_import_id bigint,
    ADD COLUMN undone_by_import_id bigint,
    ADD COLUMN history_pruned_at timestamptz;

DROP INDEX csv_pipeline.import_content_once;
CREATE UNIQUE INDEX import_content_once ON csv_pipeline.import (account, feed, fingerprint)
    WHERE outcome = 'imported' AND undone_by_import_id IS NULL;

ALTER TABLE csv_pipeline.arrival ADD COLUMN rehearsed_as text;
ALTER TABLE csv_pipeline.reject ADD COLUMN repair_undone_import_id bigint;

CREATE FUNCTION csv_pipeline.forget_hash() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW._hash_1 := NULL;
    NEW._hash_2 := NULL;
    RETURN NEW;
END
$$;
"""


def upgrade() -> None:
    """Add columns and the trigger function of the target tables."""
    op.execute(_CHANGES)
