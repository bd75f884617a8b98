"""Keep an object's ETag in a column of its own, not in a fraction of its modification time.

And let two files be planned to get one name: that is decided when they are moved.
"""

from alembic import op

revision = "0016"
down_revision = "0015"

# An ETag that is not known is empty and is not compared.
_CHANGES = """
ALTER TABLE csv_pipeline.arrival
    ADD COLUMN etag text NOT NULL DEFAULT '',
    ADD COLUMN moved_etag text NOT NULL DEFAULT '',
    DROP COLUMN moved_modified_at,
    DROP CONSTRAINT arrival_is_found_once,
    ADD CONSTRAINT arrival_is_found_once
        UNIQUE (account, feed, location, size_bytes, modified_at, etag);

DROP INDEX csv_pipeline.arrival_moving;
CREATE INDEX arrival_moving ON csv_pipeline.arrival (moving_to) WHERE moving_to IS NOT NULL;
"""
# A row that would have the key of a later one keeps its time.
TIMES_OF_STORES = """
UPDATE csv_pipeline.arrival AS mine
    SET modified_at = date_trunc('second', modified_at)
    WHERE location LIKE 's3://%' AND NOT EXISTS (
        SELECT FROM csv_pipeline.arrival AS later
        WHERE (later.account, later.feed, later.location, later.size_bytes)
            = (mine.account, mine.feed, mine.location, mine.size_bytes)
            AND date_trunc('second', later.modified_at) = date_trunc('second', mine.modified_at)
            AND later.arrival_id > mine.arrival_id
    );
"""


def upgrade() -> None:
    """Add the columns, and let objects have the times that their stores give them."""
    op.execute(_CHANGES)
    op.execute(TIMES_OF_STORES)
