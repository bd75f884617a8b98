"""Keep what accounts declare by feed and header, each change as a version.

What an account declared before is the first version of what it declares of all its files.
"""

from alembic import op

revision = "0019"
down_revision = "0018"

_TABLE = """
CREATE TABLE csv_pipeline.declaration (
    account text NOT NULL REFERENCES csv_pipeline.account,
    version integer NOT NULL,
    feed text NOT NULL,
    header text NOT NULL,
    facts jsonb NOT NULL,
    declared_at timestamptz NOT NULL DEFAULT now(),
    declared_by text NOT NULL,
    PRIMARY KEY (account, version)
);
"""

FIRST_VERSIONS = """
INSERT INTO csv_pipeline.declaration (account, version, feed, header, facts, declared_by)
    SELECT account, 1, '', '', facts, ''
    FROM (
        SELECT account, jsonb_strip_nulls(jsonb_build_object(
            'seller_id', seller_id, 'date_order', date_order, 'decimal_mark', decimal_mark,
            'encoding', encoding, 'currency', currency,
            'null_words', nullif(to_jsonb(null_words), '[]'),
            'max_file_bytes', max_file_bytes, 'max_compressed_bytes', max_compressed_bytes
        )) AS facts
        FROM csv_pipeline.account
    ) AS known
    WHERE facts <> '{}';
"""

_CHANGES = """
ALTER TABLE csv_pipeline.account
    DROP COLUMN seller_id, DROP COLUMN date_order, DROP COLUMN decimal_mark, DROP COLUMN encoding,
    DROP COLUMN currency, DROP COLUMN null_words, DROP COLUMN max_file_bytes,
    DROP COLUMN max_compressed_bytes;

ALTER TABLE csv_pipeline.declaration ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_account ON csv_pipeline.declaration FOR SELECT
    USING (account = ANY ((SELECT csv_pipeline.readable_accounts())::text[]));
"""


def upgrade() -> None:
    """Add the table, fill it, and drop the columns that it replaces."""
    for statements in (_TABLE, FIRST_VERSIONS, _CHANGES):
        op.execute(statements)
