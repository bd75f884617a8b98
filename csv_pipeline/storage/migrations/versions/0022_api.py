"""Add what the HTTP API keeps: uploads, progress, corrections, tokens, webhooks, an audit log.

A reader sees the uploads, the progress, the corrections and the log of its accounts; tokens and
webhooks hold secrets, and no reader sees them.
"""

from alembic import op

revision = "0022"
down_revision = "0021"

_TABLES = """
CREATE TABLE csv_pipeline.upload (
    upload_id bigint PRIMARY KEY,
    account text NOT NULL,
    feed text,
    name text NOT NULL,
    state text NOT NULL,
    size_bytes bigint,
    received_bytes bigint NOT NULL DEFAULT 0,
    check_first boolean NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    run_id text,
    arrival_id bigint REFERENCES csv_pipeline.arrival,
    report jsonb,
    problem text,
    problem_code text,
    writer text,
    writer_until timestamptz
);
CREATE INDEX upload_by_account ON csv_pipeline.upload (account, upload_id);
CREATE INDEX upload_not_placed ON csv_pipeline.upload (account, upload_id)
    WHERE arrival_id IS NULL;
CREATE INDEX upload_by_arrival ON csv_pipeline.upload (arrival_id) WHERE arrival_id IS NOT NULL;
CREATE INDEX upload_expiring ON csv_pipeline.upload (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE csv_pipeline.progress (
    import_id bigint PRIMARY KEY,
    account text NOT NULL,
    feed text NOT NULL,
    stage text NOT NULL,
    rows bigint NOT NULL DEFAULT 0,
    total_rows bigint,
    rejected bigint NOT NULL DEFAULT 0,
    stage_at timestamptz NOT NULL DEFAULT now(),
    told_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE csv_pipeline.correction (
    correction_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    import_id bigint NOT NULL,
    row_number bigint NOT NULL,
    "column" text NOT NULL,
    value text NOT NULL,
    change bigint NOT NULL,
    made_by text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX correction_by_cell
    ON csv_pipeline.correction (import_id, row_number, "column", correction_id);
CREATE INDEX correction_by_change ON csv_pipeline.correction (import_id, change);

CREATE TABLE csv_pipeline.token (
    token_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    digest bytea NOT NULL UNIQUE,
    name text NOT NULL,
    account text REFERENCES csv_pipeline.account,
    scopes text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    session_of bigint REFERENCES csv_pipeline.token
);

CREATE TABLE csv_pipeline.audit (
    audit_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    who text NOT NULL,
    address text,
    account text,
    action text NOT NULL,
    subject text NOT NULL,
    details jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX audit_by_account ON csv_pipeline.audit (account, audit_id);

CREATE TABLE csv_pipeline.idempotency_key (
    who text NOT NULL,
    key text NOT NULL,
    request bytea NOT NULL,
    status integer,
    answer jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (who, key)
);

CREATE TABLE csv_pipeline.webhook (
    webhook_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account text REFERENCES csv_pipeline.account,
    url text NOT NULL,
    secret text NOT NULL,
    kinds text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    told_up_to bigint NOT NULL,
    told_last bigint NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    suspended_until timestamptz,
    problem text
);

CREATE TABLE csv_pipeline.webhook_failure (
    webhook_failure_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook_id bigint NOT NULL,
    import_id bigint NOT NULL,
    kind text NOT NULL,
    payload jsonb NOT NULL,
    problem text NOT NULL,
    failed_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE csv_pipeline.outbox ADD COLUMN turn bigint NOT NULL DEFAULT 0;
ALTER TABLE csv_pipeline.outbox
    ALTER COLUMN turn SET DEFAULT ((pg_current_xact_id())::text)::bigint;
CREATE INDEX outbox_by_turn ON csv_pipeline.outbox (turn, outbox_id);

CREATE UNLOGGED TABLE csv_pipeline.rate_limit (
    key text PRIMARY KEY,
    paid_until timestamptz NOT NULL
);
"""

_BY_ACCOUNT = """
ALTER TABLE csv_pipeline.{table} ENABLE ROW LEVEL SECURITY;
CREATE POLICY own_account ON csv_pipeline.{table} FOR SELECT
    USING (account = ANY ((SELECT csv_pipeline.readable_accounts())::text[]));
"""

_LISTS = """
DROP INDEX csv_pipeline.arrival_open;
CREATE INDEX arrival_open ON csv_pipeline.arrival (account, feed, position)
    WHERE status IN ('waiting', 'claimed', 'failed', 'canceled');
CREATE INDEX import_by_account ON csv_pipeline.import (account, import_id);
CREATE INDEX import_by_time ON csv_pipeline.import (account, finished_at, import_id);
CREATE INDEX import_by_name ON csv_pipeline.import (account, name, import_id);
CREATE INDEX import_by_read ON csv_pipeline.import (account, read, import_id);
CREATE INDEX import_by_rejected ON csv_pipeline.import (account, rejected, import_id);
"""

_BY_NUMBER = """
ALTER TABLE csv_pipeline.{table} ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS own_account ON csv_pipeline.{table};
CREATE POLICY own_account ON csv_pipeline.{table} FOR SELECT
    USING (import_id = ANY (ARRAY(
        SELECT import_id FROM csv_pipeline.import
        UNION ALL SELECT upload_id FROM csv_pipeline.upload
    )));
"""
"""The rejects of an upload, which a check found, are stored by the number of the upload."""


def upgrade() -> None:
    """Add the tables and the policies."""
    op.execute(_TABLES)
    for table in ("upload", "progress", "audit"):
        op.execute(_BY_ACCOUNT.format(table=table))
    for table in ("reject", "correction"):
        op.execute(_BY_NUMBER.format(table=table))
    op.execute(_LISTS)
    for table in (
        "token",
        "idempotency_key",
        "webhook",
        "webhook_failure",
        "rate_limit",
    ):  # nothing for readers
        op.execute(f"ALTER TABLE csv_pipeline.{table} ENABLE ROW LEVEL SECURITY")
