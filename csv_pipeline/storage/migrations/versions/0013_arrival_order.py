"""Keep in what order files arrived, and which bytes may come again.

Until now the numbers of imports were that order, so they become the positions. Files that wait get
theirs when they are claimed.
"""

from alembic import op

revision = "0013"
down_revision = "0012"

_CHANGES = f"""
CREATE SEQUENCE csv_pipeline.position INCREMENT BY 1048576;
ALTER TABLE csv_pipeline.arrival
    ADD COLUMN position bigint,
    ADD COLUMN natural_name text COLLATE "C" GENERATED ALWAYS AS (
        regexp_replace(
            regexp_replace(lower(name), '([0-9]+)', '{"0" * 39}\\1', 'g'),
            '[0-9]*([0-9]{{40}})', '\\1', 'g'
        )
    ) STORED,
    ADD COLUMN again boolean NOT NULL DEFAULT false;
ALTER TABLE csv_pipeline.import ADD COLUMN position bigint;

UPDATE csv_pipeline.import
SET position = coalesce(repairs_import_id, import_id) * 1048576
WHERE outcome <> 'undo';
UPDATE csv_pipeline.arrival a
SET position = (
    SELECT coalesce(max(i.position) FILTER (WHERE outcome = 'imported'), min(i.position))
    FROM csv_pipeline.import i WHERE i.arrival_id = a.arrival_id
);
SELECT setval(
    'csv_pipeline.position',
    (SELECT coalesce(max(position), 0) + 1048576 FROM csv_pipeline.import)
);

DROP INDEX csv_pipeline.import_content_once;
CREATE INDEX import_by_content ON csv_pipeline.import (account, feed, fingerprint)
    WHERE outcome = 'imported' AND undone_by_import_id IS NULL;
CREATE INDEX import_by_position ON csv_pipeline.import (account, feed, position)
    WHERE outcome = 'imported' AND undone_by_import_id IS NULL;

CREATE TABLE csv_pipeline.confirmed_row (
    account text NOT NULL,
    feed text NOT NULL,
    key bytea NOT NULL,
    import_id bigint NOT NULL
);
CREATE INDEX confirmed_row_by_key ON csv_pipeline.confirmed_row (account, feed, key);
"""  # noqa: S608  # a constant of this module


def upgrade() -> None:
    """Add the columns and the table, and let the same bytes be imported again."""
    op.execute(_CHANGES)
