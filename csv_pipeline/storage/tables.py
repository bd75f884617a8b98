"""The state tables, in schema `csv_pipeline`, as SQLAlchemy Core sees them.

The migrations make them; a test holds the two together. Column comments are in the docs.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

SCHEMA = "csv_pipeline"
metadata = sa.MetaData(schema=SCHEMA)

_aware = sa.DateTime(timezone=True)
# Every number in it has forty digits, so that the order of text is natural order.
_NATURAL = (
    f"regexp_replace(regexp_replace(lower(name), '([0-9]+)', '{'0' * 39}\\1', 'g'), "
    "'[0-9]*([0-9]{40})', '\\1', 'g')"
)


class Role(sa.types.UserDefinedType[str]):
    """A role of the server: stored by number, so that it may be renamed; written by name."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """Return PostgreSQL's name of the type."""
        return "REGROLE"


account = sa.Table(
    "account",
    metadata,
    sa.Column("account", sa.Text, primary_key=True),
    sa.Column("seller_id", sa.Text),
    sa.Column("date_order", sa.Text),
    sa.Column("decimal_mark", sa.Text),
    sa.Column("encoding", sa.Text),
    sa.Column("currency", sa.Text),
    sa.Column("null_words", sa.ARRAY(sa.Text)),
    sa.Column("max_file_bytes", sa.BigInteger),
    sa.Column("max_compressed_bytes", sa.BigInteger),
    sa.Column("created_at", _aware, nullable=False, server_default=sa.func.now()),
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
    sa.Column("modified_at", _aware, nullable=False),
    sa.Column("etag", sa.Text, nullable=False, server_default=""),
    sa.Column("seen_at", _aware, nullable=False, server_default=sa.func.now()),
    sa.Column("status", sa.Text, nullable=False, server_default="waiting"),
    sa.Column("requests", sa.Integer, nullable=False, server_default="0"),
    sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),
    sa.Column("lease_expires_at", _aware),
    sa.Column("run_id", sa.Text),
    sa.Column("import_id", sa.BigInteger),
    sa.Column("problem", sa.Text),
    sa.Column("worker", sa.Text),
    sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
    sa.Column("deaths", sa.Integer, nullable=False, server_default="0"),
    sa.Column("status_before_dry_run", sa.Text),
    sa.Column("moved_to", sa.Text),
    sa.Column("moving_to", sa.Text),
    sa.Column("moved_at", _aware),
    sa.Column("removed_at", _aware),
    sa.Column("moved_etag", sa.Text, nullable=False, server_default=""),
    sa.Column("position", sa.BigInteger),
    sa.Column("natural_name", sa.Text(collation="C"), sa.Computed(_NATURAL, persisted=True)),
    sa.Column("again", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.UniqueConstraint(
        *("account", "feed", "location", "size_bytes", "modified_at", "etag"),
        name="arrival_is_found_once",
    ),
    sa.Index(
        "arrival_open",
        "account",
        "feed",
        "position",
        postgresql_where=sa.text("status IN ('waiting', 'claimed', 'failed')"),
    ),
    sa.Index(
        "arrival_without_position",
        "account",
        "feed",
        "arrival_id",
        postgresql_where=sa.text("position IS NULL AND status <> 'misplaced'"),
    ),
    sa.Index("arrival_by_location", "location", postgresql_ops={"location": "text_pattern_ops"}),
    sa.Index(
        "arrival_not_moved",
        "location",
        postgresql_ops={"location": "text_pattern_ops"},
        postgresql_where=sa.text("moved_to IS NULL"),
    ),
    sa.Index("arrival_claimed", "worker", postgresql_where=sa.text("status = 'claimed'")),
    sa.Index("arrival_to_move", "status", postgresql_where=sa.text("moved_at IS NULL")),
    sa.Index("arrival_moving", "moving_to", postgresql_where=sa.text("moving_to IS NOT NULL")),
    sa.Index("arrival_moved", "moved_to", postgresql_where=sa.text("moved_to IS NOT NULL")),
    sa.Index(
        "arrival_kept",
        "account",
        "feed",
        "moved_at",
        postgresql_where=sa.text("moved_to IS NOT NULL AND removed_at IS NULL"),
    ),
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
    sa.Column("lease_expires_at", _aware, nullable=False),
)

file_move = sa.Table(
    "file_move",
    metadata,
    sa.Column("file_move_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("moved_at", _aware, nullable=False, server_default=sa.func.now()),
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("feed", sa.Text, nullable=False),
    sa.Column("arrival_id", sa.BigInteger, sa.ForeignKey(arrival.c.arrival_id)),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("target", sa.Text),
    sa.Index("file_move_by_arrival", "arrival_id"),
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
    sa.Column("finished_at", _aware, nullable=False, server_default=sa.func.now()),
    sa.Column("read", sa.BigInteger, nullable=False),
    sa.Column("inserted", sa.BigInteger, nullable=False),
    sa.Column("updated", sa.BigInteger, nullable=False),
    sa.Column("unchanged", sa.BigInteger, nullable=False),
    sa.Column("kept", sa.BigInteger, nullable=False),
    sa.Column("superseded", sa.BigInteger, nullable=False),
    sa.Column("rejected", sa.BigInteger, nullable=False),
    sa.Column("blank", sa.BigInteger, nullable=False),
    sa.Column("non_data", sa.BigInteger, nullable=False),
    sa.Column("problem", sa.Text),
    sa.Column("problem_code", sa.Text),
    sa.Column("same_as", sa.BigInteger),
    sa.Column("repairs_import_id", sa.BigInteger),
    sa.Column("undoes_import_id", sa.BigInteger),
    sa.Column("undone_by_import_id", sa.BigInteger),
    sa.Column("history_pruned_at", _aware),
    sa.Column("position", sa.BigInteger),
    sa.Column("turn", sa.BigInteger),
    sa.Column("report", pg.JSONB, nullable=False),
    sa.Column("rows_stored", sa.BigInteger),
    sa.CheckConstraint(
        "outcome <> 'imported' OR "
        "read = inserted + updated + unchanged + kept + superseded + rejected",
        name="every_row_has_one_outcome",
    ),
    sa.Index(
        "import_by_content",
        "account",
        "feed",
        "fingerprint",
        postgresql_where=sa.text("outcome = 'imported' AND undone_by_import_id IS NULL"),
    ),
    sa.Index("import_by_lane", "account", "feed", "import_id"),
    sa.Index("import_by_arrival", "arrival_id", "import_id"),
    sa.Index(
        "import_by_turn", "account", "feed", "turn", postgresql_where=sa.text("turn IS NOT NULL")
    ),
    sa.Index(
        "import_without_history",
        "account",
        "feed",
        "turn",
        postgresql_where=sa.text("history_pruned_at IS NOT NULL"),
    ),
    sa.Index(
        "import_with_changes",
        "account",
        "feed",
        "turn",
        postgresql_where=sa.text("updated > 0 OR outcome = 'undo'"),
    ),
    sa.Index(
        "import_by_layout",
        "account",
        "feed",
        sa.text("(report ->> 'layout')"),
        "import_id",
        postgresql_where=sa.text(
            "outcome = 'imported' AND undone_by_import_id IS NULL AND repairs_import_id IS NULL"
        ),
    ),
    sa.Index(
        "import_with_history",
        "finished_at",
        postgresql_where=sa.text(
            "history_pruned_at IS NULL AND undone_by_import_id IS NULL "
            "AND (updated > 0 OR outcome = 'undo')"
        ),
    ),
    sa.Index(
        "import_by_position",
        "account",
        "feed",
        "position",
        postgresql_where=sa.text("outcome = 'imported' AND undone_by_import_id IS NULL"),
    ),
    sa.Index(
        "import_by_repaired",
        "repairs_import_id",
        postgresql_where=sa.text("repairs_import_id IS NOT NULL"),
    ),
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
    sa.Index("reject_by_import", "import_id", "row_number"),
    sa.Index(
        "reject_by_repair",
        "repaired_by_import_id",
        postgresql_where=sa.text("repaired_by_import_id IS NOT NULL"),
    ),
    sa.Index(
        "reject_by_undone_repair",
        "repair_undone_import_id",
        postgresql_where=sa.text("repair_undone_import_id IS NOT NULL"),
    ),
)

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("outbox_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("import_id", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("created_at", _aware, nullable=False, server_default=sa.func.now()),
    sa.Column("payload", pg.JSONB, nullable=False),
    sa.Index("outbox_by_age", "created_at"),
)

superseded = sa.Table(
    "superseded",
    metadata,
    sa.Column("import_id", sa.BigInteger, nullable=False),
    sa.Column("row_number", sa.BigInteger, nullable=False),
    sa.Column("by_row_number", sa.BigInteger, nullable=False),
    sa.Index("superseded_by_import", "import_id", "row_number"),
)

confirmed_row = sa.Table(
    "confirmed_row",
    metadata,
    sa.Column("account", sa.Text, nullable=False),
    sa.Column("feed", sa.Text, nullable=False),
    sa.Column("key", sa.LargeBinary, nullable=False),
    sa.Column("import_id", sa.BigInteger, nullable=False),
    sa.Index("confirmed_row_by_key", "account", "feed", "key"),
)

target = sa.Table(
    "target",
    metadata,
    sa.Column("feed", sa.Text, primary_key=True),
    sa.Column("definition", sa.Text, nullable=False),
)

reader = sa.Table(
    "reader",
    metadata,
    sa.Column("role", Role, primary_key=True),
    sa.Column("account", sa.Text, sa.ForeignKey(account.c.account), primary_key=True),
)

import_ids = sa.Sequence("import_id", schema=SCHEMA, metadata=metadata)
positions = sa.Sequence("position", increment=1_048_576, schema=SCHEMA, metadata=metadata)
