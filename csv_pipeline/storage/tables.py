"""The state tables, in schema `csv_pipeline`, as SQLAlchemy Core sees them.

The migrations make them; a test holds the two together. Column comments are in the docs.
"""

from dataclasses import fields
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from csv_pipeline.model import Counts

SCHEMA = "csv_pipeline"
metadata = sa.MetaData(schema=SCHEMA)

AWARE = sa.DateTime(timezone=True)
# Every number in it has forty digits, so that the order of text is natural order.
_NATURAL = (
    f"regexp_replace(regexp_replace(lower(name), '([0-9]+)', '{'0' * 39}\\1', 'g'), "
    "'[0-9]*([0-9]{40})', '\\1', 'g')"
)
_TRANSACTION = "((pg_current_xact_id())::text)::bigint"
_BY_PREFIX = {"location": "text_pattern_ops"}
_STANDING = "outcome = 'imported' AND undone_by_import_id IS NULL"


class Role(sa.types.UserDefinedType[str]):
    """A role of the server: stored by number, so that it may be renamed; written by name."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """Return PostgreSQL's name of the type."""
        return "REGROLE"


def index(name: str, parts: str, where: str | None = None, **how: Any) -> sa.Index:
    """Return an index by its columns or expressions, and of which rows, as in SQL."""
    columns = (part if part.isidentifier() else sa.text(part) for part in parts.split(", "))
    rows = None if where is None else sa.text(where)
    return sa.Index(name, *columns, postgresql_where=rows, **how)


account = sa.Table(
    "account",
    metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("created_at", AWARE, nullable=False, server_default=sa.func.now()),
)

declaration = sa.Table(
    "declaration",
    metadata,
    sa.Column("account", sa.Text, sa.ForeignKey(account.c.account), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("feed", sa.Text, nullable=False),
    sa.Column("header", sa.Text, nullable=False),
    sa.Column("facts", pg.JSONB, nullable=False),
    sa.Column("declared_at", AWARE, nullable=False, server_default=sa.func.now()),
    sa.Column("declared_by", sa.Text, nullable=False),
)

arrival = sa.Table(
    "arrival",
    metadata,
    sa.Column("arrival_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("feed", sa.Text, nullable=False),
    sa.Column("location", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("modified_at", AWARE, nullable=False),
    sa.Column("etag", sa.Text, nullable=False, server_default=""),
    sa.Column("seen_at", AWARE, nullable=False, server_default=sa.func.now()),
    sa.Column("status", sa.Text, nullable=False, server_default="waiting"),
    sa.Column("requests", sa.Integer, nullable=False, server_default="0"),
    sa.Column("requested_at", AWARE),
    sa.Column("postponed", sa.Integer, nullable=False, server_default="0"),
    sa.Column("not_before", AWARE),
    sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
    sa.Column("lease_expires_at", AWARE),
    sa.Column("run_id", sa.Text),
    sa.Column("import_id", sa.BigInteger),
    sa.Column("problem", sa.Text),
    sa.Column("worker", sa.Text),
    sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
    sa.Column("deaths", sa.Integer, nullable=False, server_default="0"),
    sa.Column("status_before_dry_run", sa.Text),
    sa.Column("moved_to", sa.Text),
    sa.Column("moving_to", sa.Text),
    sa.Column("moved_at", AWARE),
    sa.Column("removed_at", AWARE),
    sa.Column("moved_etag", sa.Text, nullable=False, server_default=""),
    sa.Column("position", sa.BigInteger),
    sa.Column("natural_name", sa.Text(collation="C"), sa.Computed(_NATURAL, persisted=True)),
    sa.Column("again", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("kept_number", sa.BigInteger),
    sa.UniqueConstraint(
        *("account", "feed", "location", "size_bytes", "modified_at", "etag"),
        name="arrival_is_found_once",
    ),
    index(
        "arrival_open",
        "account, feed, position",
        "status IN ('waiting', 'claimed', 'failed', 'canceled')",
    ),
    index(
        "arrival_without_position",
        "account, feed, arrival_id",
        "position IS NULL AND status <> 'misplaced'",
    ),
    index("arrival_by_kept_number", "kept_number", "kept_number IS NOT NULL"),
    index("arrival_by_time", "account, feed, seen_at", "status <> 'misplaced'"),
    index("arrival_by_location", "location", postgresql_ops=_BY_PREFIX),
    index("arrival_not_moved", "location", "moved_to IS NULL", postgresql_ops=_BY_PREFIX),
    index("arrival_claimed", "worker", "status = 'claimed'"),
    index("arrival_to_move", "status", "moved_at IS NULL"),
    index("arrival_moving", "moving_to", "moving_to IS NOT NULL"),
    index("arrival_moved", "moved_to", "moved_to IS NOT NULL"),
    index("arrival_kept", "account, feed, moved_at", "moved_to IS NOT NULL AND removed_at IS NULL"),
)

lane = sa.Table(
    "lane",
    metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("feed", sa.Text, primary_key=True),
)

worker = sa.Table(
    "worker",
    metadata,
    sa.Column("run_id", sa.Text, primary_key=True),
    sa.Column("worker", sa.Text),
    sa.Column("lease_expires_at", AWARE, nullable=False),
)

file_move = sa.Table(
    "file_move",
    metadata,
    sa.Column("file_move_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("moved_at", AWARE, nullable=False, server_default=sa.func.now()),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("feed", sa.Text, nullable=False),
    sa.Column("arrival_id", sa.BigInteger, sa.ForeignKey(arrival.c.arrival_id)),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("target", sa.Text),
    index("file_move_by_arrival", "arrival_id"),
)

import_ = sa.Table(
    "import",
    metadata,
    sa.Column("import_id", sa.BigInteger, primary_key=True),
    sa.Column("arrival_id", sa.BigInteger, sa.ForeignKey(arrival.c.arrival_id), nullable=False),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("feed", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.Text),
    sa.Column("run_id", sa.Text),
    sa.Column("finished_at", AWARE, nullable=False, server_default=sa.func.now()),
    *(sa.Column(field.name, sa.BigInteger, nullable=False) for field in fields(Counts)),
    sa.Column("problem", sa.Text),
    sa.Column("problem_code", sa.Text),
    sa.Column("same_as", sa.BigInteger),
    sa.Column("repairs_import_id", sa.BigInteger),
    sa.Column("undoes_import_id", sa.BigInteger),
    sa.Column("undone_by_import_id", sa.BigInteger),
    sa.Column("history_pruned_at", AWARE),
    sa.Column("position", sa.BigInteger),
    sa.Column("turn", sa.BigInteger),
    sa.Column("report", pg.JSONB, nullable=False),
    sa.Column("rows_stored", sa.BigInteger),
    sa.Column("dismissed_at", AWARE),
    sa.CheckConstraint(
        "outcome <> 'imported' OR "
        "read = inserted + updated + unchanged + kept + superseded + rejected",
        name="every_row_has_one_outcome",
    ),
    index("import_by_content", "account, feed, fingerprint", _STANDING),
    index("import_by_lane", "account, feed, import_id"),
    index("import_by_account", "account, import_id"),
    index("import_by_time", "account, finished_at, import_id"),
    index("import_by_name", "account, name, import_id"),
    index("import_by_read", "account, read, import_id"),
    index("import_by_rejected", "account, rejected, import_id"),
    index("import_by_arrival", "arrival_id, import_id"),
    index("import_by_turn", "account, feed, turn", "turn IS NOT NULL"),
    index("import_without_history", "account, feed, turn", "history_pruned_at IS NOT NULL"),
    index(
        "import_with_changes",
        "account, feed, turn",
        "updated > 0 OR missing > 0 OR outcome = 'undo'",
    ),
    index(
        "import_by_layout",
        "account, feed, (report ->> 'layout'), import_id",
        f"{_STANDING} AND repairs_import_id IS NULL",
    ),
    index(
        "import_with_history",
        "finished_at",
        "history_pruned_at IS NULL AND undone_by_import_id IS NULL AND (updated > 0 OR "
        "missing > 0 OR outcome = 'undo')",
    ),
    index(
        "import_not_stored",
        "account, feed, import_id",
        "outcome IN ('refused', 'failed') AND dismissed_at IS NULL",
    ),
    index(
        "import_to_correct",
        "feed, finished_at",
        "outcome = 'imported' AND rejected > 0 AND dismissed_at IS NULL AND "
        "undone_by_import_id IS NULL AND repairs_import_id IS NULL",
    ),
    index("import_by_position", "account, feed, position", _STANDING),
    index("import_by_repaired", "repairs_import_id", "repairs_import_id IS NOT NULL"),
)

reject = sa.Table(
    "reject",
    metadata,
    sa.Column("import_id", sa.BigInteger, nullable=False),
    sa.Column("row_number", sa.BigInteger, nullable=False),
    sa.Column("line_number", sa.BigInteger, nullable=False),
    sa.Column("column", sa.Text),
    sa.Column("rule", sa.Text, nullable=False),
    sa.Column("value", sa.Text),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("raw", sa.Text, nullable=False),
    sa.Column("cells", pg.JSONB),
    sa.Column("repairs_row_number", sa.BigInteger),
    sa.Column("repaired_by_import_id", sa.BigInteger),
    sa.Column("repair_undone_import_id", sa.BigInteger),
    index("reject_by_import", "import_id, row_number"),
    index("reject_by_repair", "repaired_by_import_id", "repaired_by_import_id IS NOT NULL"),
    index(
        "reject_by_undone_repair", "repair_undone_import_id", "repair_undone_import_id IS NOT NULL"
    ),
)

folder = sa.Table(
    "folder",
    metadata,
    sa.Column("folder", sa.Text, primary_key=True),
    sa.Column("account", sa.Text, sa.ForeignKey(account.c.account), nullable=False),
    sa.Column("declared_at", AWARE, nullable=False, server_default=sa.func.now()),
    sa.Column("declared_by", sa.Text, nullable=False),
)

silent_store = sa.Table(
    "silent_store",
    metadata,
    sa.Column("store", sa.Text, primary_key=True),
    sa.Column("since", AWARE, nullable=False, server_default=sa.func.now()),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("next_attempt_at", AWARE, nullable=False),
    sa.Column("listing", sa.Boolean, nullable=False),
    sa.Column("problem", sa.Text, nullable=False),
)

overdue = sa.Table(
    "overdue",
    metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("feed", sa.Text, primary_key=True),
    sa.Column("since", AWARE, primary_key=True),
    sa.Column("noticed_at", AWARE, nullable=False, server_default=sa.func.now()),
)

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("outbox_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("import_id", sa.BigInteger),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("created_at", AWARE, nullable=False, server_default=sa.func.now()),
    sa.Column("payload", pg.JSONB, nullable=False),
    sa.Column("turn", sa.BigInteger, nullable=False, server_default=sa.text(_TRANSACTION)),
    index("outbox_by_age", "created_at"),
    index("outbox_by_turn", "turn, outbox_id"),
)

superseded = sa.Table(
    "superseded",
    metadata,
    sa.Column("import_id", sa.BigInteger, nullable=False),
    sa.Column("row_number", sa.BigInteger, nullable=False),
    sa.Column("by_row_number", sa.BigInteger, nullable=False),
    index("superseded_by_import", "import_id, row_number"),
)

confirmed_row = sa.Table(
    "confirmed_row",
    metadata,
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("feed", sa.Text, nullable=False),
    sa.Column("key", sa.LargeBinary, nullable=False),
    sa.Column("import_id", sa.BigInteger, nullable=False),
    index("confirmed_row_by_key", "account, feed, key"),
)

snapshot_scope = sa.Table(
    "snapshot_scope",
    metadata,
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("feed", sa.Text, nullable=False),
    sa.Column("scope", sa.LargeBinary, nullable=False),
    sa.Column("import_id", sa.BigInteger, nullable=False),
    index("snapshot_scope_by_scope", "account, feed, scope"),
    index("snapshot_scope_by_import", "import_id"),
)

target = sa.Table(
    "target",
    metadata,
    sa.Column("feed", sa.Text, primary_key=True),
    sa.Column("definition", sa.Text, nullable=False),
    sa.Column("readings", pg.JSONB),
)

reading_change = sa.Table(
    "reading_change",
    metadata,
    sa.Column("feed", sa.Text, nullable=False),
    sa.Column("column_name", sa.Text, nullable=False),
    sa.Column("before", sa.Text, nullable=False),
    sa.Column("now", sa.Text, nullable=False),
    sa.Column("read_again", sa.Boolean, nullable=False),
    sa.Column("decided_by", sa.Text, nullable=False),
    sa.Column("decided_at", AWARE, nullable=False, server_default=sa.func.now()),
)

recomputed = sa.Table(
    "recomputed",
    metadata,
    sa.Column("derived", sa.Text, primary_key=True),
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("feed", sa.Text, primary_key=True),
    sa.Column("turn", sa.BigInteger, nullable=False),
    sa.Column("recomputed_at", AWARE, nullable=False, server_default=sa.func.now()),
)

reader = sa.Table(
    "reader",
    metadata,
    sa.Column("role", Role, primary_key=True),
    sa.Column("account", sa.Text, sa.ForeignKey(account.c.account), primary_key=True),
)


def found_changed() -> sa.ColumnElement[bool]:
    """Return whether an arrival's file was gone, or another one, when it was to be read."""
    its = sa.exists().where(
        import_.c.import_id == arrival.c.import_id, import_.c.problem_code == "source_changed"
    )
    return (arrival.c.status == "refused") & its.correlate(arrival)


import_ids = sa.Sequence("import_id", schema=SCHEMA, metadata=metadata)
