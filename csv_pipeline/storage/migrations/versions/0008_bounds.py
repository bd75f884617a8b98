"""Say of a reject why, without its place, which stands beside it; know of workers that died.

A message grew by a third from repeating row, line and column of the reject it belongs to.
"""

from alembic import op

revision = "0008"
down_revision = "0007"

SHORTER_MESSAGES = r"""
UPDATE csv_pipeline.reject
    SET message = regexp_replace(message, '^row -?\d+ \(line \d+\)[:,] ', '')
    WHERE message ~ '^row -?\d+ \(line \d+\)[:,] ';
"""

_DEATHS = "ALTER TABLE csv_pipeline.arrival ADD COLUMN deaths integer NOT NULL DEFAULT 0"


def upgrade() -> None:
    """Take the place out of the messages that are stored; count workers that died over a file."""
    op.execute(SHORTER_MESSAGES)
    op.execute(_DEATHS)
