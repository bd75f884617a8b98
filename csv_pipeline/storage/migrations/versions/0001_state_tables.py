"""Make the state tables: accounts, the ledger of arrivals, imports, rejects, superseded rows."""

from alembic import op

revision = "0001"
down_revision = None

_TABLES = """
CREATE SEQUENCE csv_pipeline.import_id;

CREATE TABLE csv_pipeline.account (
    account text PRIMARY KEY,
    seller_id text,
    date_order text,
    decimal_mark text,
    encoding text,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE csv_pipeline.arrival (
    arrival_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account text NOT NULL,
    feed text NOT NULL,
    location text NOT NULL,
    name text NOT NULL,
    size_bytes bigint NOT NULL,
    modified_at timestamptz NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now(),
    status text NOT NULL DEFAULT 'waiting',
    requests integer NOT NULL DEFAULT 0,
    attempt integer NOT NULL DEFAULT 0,
    lease_expires_at timestamptz,
    run_id text,
    import_id bigint,
    problem text,
    CONSTRAINT arrival_is_found_once UNIQUE (account, feed, location, size_bytes, modified_at)
);
CREATE INDEX arrival_open ON csv_pipeline.arrival (account, feed) WHERE status <> 'imported';

CREATE TABLE csv_pipeline.import (
    import_id bigint PRIMARY KEY,
    arrival_id bigint NOT NULL REFERENCES csv_pipeline.arrival,
    account text NOT NULL,
    feed text NOT NULL,
    name text NOT NULL,
    outcome text NOT NULL,
    fingerprint text,
    run_id text,
    finished_at timestamptz NOT NULL DEFAULT now(),
    read bigint NOT NULL,
    inserted bigint NOT NULL,
    updated bigint NOT NULL,
    unchanged bigint NOT NULL,
    kept bigint NOT NULL,
    superseded bigint NOT NULL,
    rejected bigint NOT NULL,
    blank bigint NOT NULL,
    furniture bigint NOT NULL,
    problem text,
    problem_code text,
    same_as bigint,
    report jsonb NOT NULL,
    CONSTRAINT every_row_has_one_outcome CHECK (
        outcome <> 'imported'
        OR read = inserted + updated + unchanged + kept + superseded + rejected
    )
);
CREATE UNIQUE INDEX import_content_once ON csv_pipeline.import (account, feed, fingerprint)
    WHERE outcome = 'imported';

CREATE TABLE csv_pipeline.reject (
    import_id bigint NOT NULL,
    row_number bigint NOT NULL,
    line_number bigint NOT NULL,
    "column" text,
    rule text NOT NULL,
    value text,
    message text NOT NULL,
    raw text NOT NULL
);
CREATE INDEX reject_by_import ON csv_pipeline.reject (import_id, row_number);

CREATE TABLE csv_pipeline.superseded (
    import_id bigint NOT NULL,
    row_number bigint NOT NULL,
    by_row_number bigint NOT NULL
);
CREATE INDEX superseded_by_import ON csv_pipeline.superseded (import_id, row_number);

CREATE TABLE csv_pipeline.target (
    feed text PRIMARY KEY,
    definition text NOT NULL
);
"""


def upgrade() -> None:
    """Make everything."""
    op.execute(_TABLES)
