"""Give each lane a row to lock, and each import a number in the order they were stored.

What was stored before is numbered by the server's clock, which is all that is known of it.
"""

from alembic import op

revision = "0014"
down_revision = "0013"

_CHANGES = """
CREATE TABLE csv_pipeline.lane (
    account text NOT NULL,
    feed text NOT NULL,
    turn bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (account, feed)
);

ALTER TABLE csv_pipeline.import ADD COLUMN turn bigint;
UPDATE csv_pipeline.import SET turn = stored.turn
    FROM (
        SELECT import_id, row_number() OVER (
            PARTITION BY account, feed ORDER BY finished_at, import_id
        ) AS turn
        FROM csv_pipeline.import WHERE outcome IN ('imported', 'undo')
    ) AS stored
    WHERE stored.import_id = import.import_id;

INSERT INTO csv_pipeline.lane
    SELECT account, feed, max(turn) FROM (
        SELECT account, feed, 0 AS turn FROM csv_pipeline.arrival
        UNION ALL SELECT account, feed, coalesce(turn, 0) FROM csv_pipeline.import
    ) AS seen
    GROUP BY account, feed;
"""


def upgrade() -> None:
    """Add table and column, and fill them."""
    op.execute(_CHANGES)
