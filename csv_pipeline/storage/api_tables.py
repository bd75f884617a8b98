"""The state tables of the HTTP API: uploads, corrections, tokens, webhooks, and who did what.

They are in the metadata of `csv_pipeline.storage.tables`, and the migrations make them too.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from csv_pipeline.storage import tables
from csv_pipeline.storage.tables import AWARE, index

metadata = tables.metadata
"""The metadata of all state tables, these among them."""

upload = sa.Table(
    "upload",
    metadata,
    sa.Column("upload_id", sa.BigInteger, primary_key=True),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("feed", sa.Text),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.BigInteger),
    sa.Column("received_bytes", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("check_first", sa.Boolean, nullable=False),
    sa.Column("created_by", sa.Text, nullable=False),
    sa.Column("created_at", AWARE, nullable=False, server_default=sa.func.now()),
    sa.Column("expires_at", AWARE),
    sa.Column("run_id", sa.Text),
    sa.Column("arrival_id", sa.BigInteger, sa.ForeignKey(tables.arrival.c.arrival_id)),
    sa.Column("report", pg.JSONB),
    sa.Column("problem", sa.Text),
    sa.Column("problem_code", sa.Text),
    sa.Column("writer", sa.Text),
    sa.Column("writer_until", AWARE),
    sa.Column("placing_until", AWARE),
    index("upload_by_account", "account, upload_id"),
    index("upload_not_placed", "account, upload_id", "arrival_id IS NULL"),
    index("upload_by_arrival", "arrival_id", "arrival_id IS NOT NULL"),
    index("upload_expiring", "expires_at", "expires_at IS NOT NULL"),
)

progress = sa.Table(
    "progress",
    metadata,
    sa.Column("import_id", sa.BigInteger, primary_key=True),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("feed", sa.Text, nullable=False),
    sa.Column("stage", sa.Text, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("total_rows", sa.BigInteger),
    sa.Column("rejected", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("stage_at", AWARE, nullable=False, server_default=sa.func.now()),
    sa.Column("told_at", AWARE, nullable=False, server_default=sa.func.now()),
)

correction = sa.Table(
    "correction",
    metadata,
    sa.Column("correction_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("import_id", sa.BigInteger, nullable=False),
    sa.Column("row_number", sa.BigInteger, nullable=False),
    sa.Column("column", sa.Text, nullable=False),
    sa.Column("value", sa.Text, nullable=False),
    sa.Column("change", sa.BigInteger, nullable=False),
    sa.Column("made_by", sa.Text, nullable=False),
    sa.Column("made_at", AWARE, nullable=False, server_default=sa.func.now()),
    index("correction_by_cell", "import_id, row_number, column, correction_id"),
    index("correction_by_change", "import_id, change"),
)

token = sa.Table(
    "token",
    metadata,
    sa.Column("token_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("account", sa.Text, sa.ForeignKey(tables.account.c.account)),
    sa.Column("scopes", pg.ARRAY(sa.Text), nullable=False),
    sa.Column("created_at", AWARE, nullable=False, server_default=sa.func.now()),
    sa.Column("expires_at", AWARE),
    sa.Column("revoked_at", AWARE),
    sa.Column("session_of", sa.BigInteger, sa.ForeignKey("csv_pipeline.token.token_id")),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("audit_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("at", AWARE, nullable=False, server_default=sa.func.now()),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("address", sa.Text),
    sa.Column("account", sa.Text),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("details", pg.JSONB, nullable=False, server_default="{}"),
    index("audit_by_account", "account, audit_id"),
)

idempotency_key = sa.Table(
    "idempotency_key",
    metadata,
    sa.Column("who", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("request", sa.LargeBinary, nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("answer", pg.JSONB),
    sa.Column("created_at", AWARE, nullable=False, server_default=sa.func.now()),
)

webhook = sa.Table(
    "webhook",
    metadata,
    sa.Column("webhook_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("account", sa.Text, sa.ForeignKey(tables.account.c.account)),
    sa.Column("url", sa.Text, nullable=False),
    sa.Column("secret", sa.Text, nullable=False),
    sa.Column("kinds", pg.ARRAY(sa.Text), nullable=False),
    sa.Column("quiet_seconds", sa.Double),
    sa.Column("created_at", AWARE, nullable=False, server_default=sa.func.now()),
    sa.Column("told_up_to", sa.BigInteger, nullable=False),
    sa.Column("told_last", sa.BigInteger, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("suspended_until", AWARE),
    sa.Column("problem", sa.Text),
)

rate_limit = sa.Table(
    "rate_limit",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("paid_until", AWARE, nullable=False),
    prefixes=["UNLOGGED"],
)

webhook_failure = sa.Table(
    "webhook_failure",
    metadata,
    sa.Column("webhook_failure_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("webhook_id", sa.BigInteger, nullable=False),
    sa.Column("outbox_id", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("import_id", sa.BigInteger),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("payload", pg.JSONB, nullable=False),
    sa.Column("problem", sa.Text, nullable=False),
    sa.Column("created_at", AWARE, nullable=False, server_default=sa.func.now()),
    sa.Column("failed_at", AWARE, nullable=False, server_default=sa.func.now()),
)
