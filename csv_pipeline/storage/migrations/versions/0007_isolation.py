"""Show a reader only the rows of its accounts.

Policies hold for everyone but the owner of the tables, which is the role the pipeline connects as.
The function is parsed here and not when it is called, so that a reader's search path cannot change
what it means; it runs with the rights of the reader, who sees its own entries only.
"""

from alembic import op

revision = "0007"
down_revision = "0006"

_READERS = """
CREATE TABLE csv_pipeline.reader (
    role regrole NOT NULL,
    account text NOT NULL REFERENCES csv_pipeline.account,
    PRIMARY KEY (role, account)
);
ALTER TABLE csv_pipeline.reader ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_entries ON csv_pipeline.reader FOR SELECT USING (
    pg_has_role(session_user, role, 'MEMBER') OR pg_has_role(current_user, role, 'MEMBER')
);

CREATE FUNCTION csv_pipeline.readable_accounts() RETURNS text[]
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    WITH may AS (
        SELECT
            nullif(current_setting('csv_pipeline.account', true), '') AS chosen,
            (
                SELECT array_agg(account) FROM csv_pipeline.reader
                WHERE pg_has_role(current_user, role, 'MEMBER')
            ) AS as_current,
            (
                SELECT array_agg(account) FROM csv_pipeline.reader
                WHERE pg_has_role(session_user, role, 'MEMBER')
                    AND NOT pg_has_role(session_user, (
                        SELECT relowner FROM pg_catalog.pg_class
                        WHERE oid = 'csv_pipeline.reader'::regclass
                    ), 'MEMBER')
            ) AS as_session
    )
    SELECT CASE
        WHEN as_current IS NULL AND as_session IS NULL THEN array_remove(ARRAY[chosen], NULL)
        ELSE ARRAY(
            SELECT account FROM unnest(coalesce(as_session, as_current)) AS allowed (account)
            WHERE (as_current IS NULL OR account = ANY (as_current))
                AND (chosen IS NULL OR account = chosen)
        )
    END
    FROM may;
END;
REVOKE ALL ON FUNCTION csv_pipeline.readable_accounts() FROM PUBLIC;
"""

_BY_ACCOUNT = """
ALTER TABLE csv_pipeline.{table} ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_account ON csv_pipeline.{table} FOR SELECT
    USING (account = ANY ((SELECT csv_pipeline.readable_accounts())::text[]));
"""

_BY_IMPORT = """
ALTER TABLE csv_pipeline.{table} ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_account ON csv_pipeline.{table} FOR SELECT
    USING (import_id = ANY (ARRAY(SELECT import_id FROM csv_pipeline.import)));
"""


def upgrade() -> None:
    """Add the table of readers, the question what they may read, and the policies."""
    op.execute(_READERS)
    for table in ("account", "arrival", "import"):
        op.execute(_BY_ACCOUNT.format(table=table))
    for table in ("file_move", "target", "worker"):  # nothing for readers
        op.execute(f"ALTER TABLE csv_pipeline.{table} ENABLE ROW LEVEL SECURITY")
    for table in ("reject", "superseded"):
        op.execute(_BY_IMPORT.format(table=table))
