"""The target tables: one a feed in schema `data`, its history beside it, and its views.

They follow the contracts: a column that a contract gains is added; a column whose type a contract
changed is refused, because rows would have to be rewritten: see `changes`. What was applied is
remembered in `csv_pipeline.target`, so that a process that finds nothing new asks one question.
"""

import hashlib
from collections.abc import Iterable
from functools import cache, partial

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable, ExecutableDDLElement

from csv_pipeline.errors import SetupError
from csv_pipeline.scope import Missing
from csv_pipeline.spec.contract import Column
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.kinds import sql_type
from csv_pipeline.spec.names import EXTRA, MISSING_SINCE
from csv_pipeline.spec.row_hash import CONTENT, HASH, OCCURRENCE
from csv_pipeline.storage import readings, tables
from csv_pipeline.storage.confine import change_tables, confine, left_open
from csv_pipeline.storage.database import Database, make_schema
from csv_pipeline.storage.isolation import (
    TARGET_POLICY,
    VIEW,
    isolate,
    let_readers_in,
    lock_definitions,
)
from csv_pipeline.storage.session import attempt

SCHEMA = "data"
FEW_ROWS = 1_000
"""Rows up to this number are indexed by the import that wrote them: all rows of a small file, so
that they are found in a table of any size, and so few of a large one that its load takes no longer.
"""

DELETED = "_deleted"
"""The column of a history that says of a version that a snapshot deleted the row. As the last one
of a row it is a tombstone: no import replaced it."""

_NONE: sa.ColumnElement[int] = sa.literal_column("0")
_DEPENDED_UPON = "2BP01"
_DIALECT = pg.dialect()  # type: ignore[no-untyped-call]


_ROWS_MEET = sa.text("""
    SELECT EXISTS (
        SELECT FROM pg_class t
        WHERE oid IN (to_regclass(:target), to_regclass(:history)) AND (
            EXISTS (
                SELECT FROM pg_index
                WHERE indrelid = t.oid AND (indisunique OR indisexclusion) AND NOT indisprimary
            )
            OR EXISTS (SELECT FROM pg_constraint WHERE conrelid = t.oid AND confrelid = t.oid)
            OR EXISTS (
                SELECT FROM pg_trigger
                WHERE tgrelid = t.oid AND NOT tgisinternal AND tgname <> 'forget_hash'
            )
            OR EXISTS (SELECT FROM pg_rewrite WHERE ev_class = t.oid)
        )
    )
""")


def key_columns(feed: Feed) -> tuple[str, ...]:
    """Return the columns that make a row the same, within an account."""
    return feed.key or (CONTENT, OCCURRENCE)


@cache
def target_table(feed: Feed) -> sa.Table:
    """Return the table that holds a feed's rows, an account's beside the others'."""
    return sa.Table(
        feed.name,
        sa.MetaData(schema=SCHEMA),
        sa.Column("account", _key_text(), nullable=False),
        *(_column(column, feed) for column in feed.columns),
        *_lineage(feed),
        sa.PrimaryKeyConstraint("account", *key_columns(feed), name=f"{feed.name}_key"),
        _by_import(f"{feed.name}_by_import"),
    )


@cache
def history_table(feed: Feed) -> sa.Table:
    """Return the table of rows as they were before an import changed them."""
    return sa.Table(
        f"{feed.name}_history",
        sa.MetaData(schema=SCHEMA),
        sa.Column("_replaced_by_import_id", sa.BigInteger, nullable=False),
        sa.Column(
            "_replaced_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
        ),
        sa.Column("account", _key_text(), nullable=False),
        *(_column(column, feed) for column in feed.columns),
        *_lineage(feed),
        sa.Column("_left_import_id", sa.BigInteger),
        *_of_tombstones(feed),
        sa.Index(f"{feed.name}_history_by_import", "_replaced_by_import_id"),
        _by_import(f"{feed.name}_history_by_writer"),
    )


def is_indexed(rows: sa.FromClause) -> sa.ColumnElement[bool]:
    """Return whether rows of a target table or its history are in the index by import."""
    return rows.c._row_number <= sa.literal_column(str(FEW_ROWS))


def is_tombstone(history: sa.FromClause) -> sa.ColumnElement[bool]:
    """Return whether a version says that its row is deleted, and is the last of it."""
    return history.c._replaced_by_import_id == _NONE


def _of_tombstones(feed: Feed) -> tuple[sa.schema.SchemaItem, ...]:
    """Return what the history of a feed of snapshots has besides."""
    if feed.snapshot is None:
        return ()
    few = sa.text("_replaced_by_import_id = 0")
    name, key = f"{feed.name}_history_deleted", ("account", *key_columns(feed))
    return sa.Column(DELETED, sa.Boolean), sa.Index(name, *key, postgresql_where=few)


def _by_import(name: str) -> sa.Index:
    return sa.Index(name, "_import_id", postgresql_where=sa.text(f"_row_number <= {FEW_ROWS}"))


def ensure_targets(database: Database, feeds: Iterable[Feed]) -> None:
    """Make the tables and views of the feeds, or add to them what the contracts gained.

    Raises:
        SetupError: A column is stored in another type than its contract declares.
    """
    wanted = {feed.name: definition(feed) for feed in feeds}
    with database.begin() as connection:
        if not wanted.items() <= _applied(connection).items():
            lock_definitions(connection)
            applied = _applied(connection)
            make_schema(connection, SCHEMA)
            for feed in feeds:
                if applied.get(feed.name) != wanted[feed.name]:
                    change_tables(connection, partial(make, connection, feed))
        readings.keep_up(connection, feeds)
        let_readers_in(connection, (name for feed in feeds for name in _names(feed)))
        if left_open(connection):
            lock_definitions(connection)
            confine(connection)


def rows_meet(connection: sa.Connection, feed: Feed) -> bool:
    """Return whether what becomes of a row may depend on others that its transaction writes.

    So it is where the owner gave the tables of a feed a unique index, an exclusion, a foreign key
    to itself, a trigger or a rule. Checks and other foreign keys look at one row.
    """
    names = _names(feed)
    return bool(connection.scalar(_ROWS_MEET, {"target": names[0], "history": names[1]}))


def _applied(connection: sa.Connection) -> dict[str, str]:
    rows = connection.execute(sa.select(tables.target.c.feed, tables.target.c.definition))
    return {row.feed: row.definition for row in rows}


def make(connection: sa.Connection, feed: Feed) -> None:
    """Make the tables and views of a feed, or add to them what its contract gained.

    Raises:
        SetupError: The stored rows have another key, or a column another type.
    """
    _drop_if_unused(connection, feed)
    for table in (target_table(feed), history_table(feed)):
        stored = stored_types(connection, table)
        if stored:
            _hold_to_key(connection, feed, table)
            add_columns(connection, feed, table)
            for index in table.indexes:
                index.create(connection, checkfirst=True)
        else:
            table.create(connection)
        isolate(connection, table)
    _forget_hash_of_edited_rows(connection, feed)
    if feed.snapshot is not None:
        _let_rows_go_on(connection, feed)
    for name in reversed(list(feed.views)):
        connection.execute(sa.text(f'DROP VIEW IF EXISTS {SCHEMA}."{name}"'))
    for name, query in feed.views.items():
        connection.execute(sa.text(f'CREATE VIEW {SCHEMA}."{name}" {VIEW} AS {query}'))
    statement = insert(tables.target).values(feed=feed.name, definition=definition(feed))
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["feed"], set_={"definition": statement.excluded.definition}
        )
    )


def _forget_hash_of_edited_rows(connection: sa.Connection, feed: Feed) -> None:
    """Let a row that somebody edits in the database be compared value by value from then on.

    The pipeline gives every row it changes another hash or none, so that its own updates never
    call the function.
    """
    kept = " AND ".join(f"NEW.{name} IS NOT DISTINCT FROM OLD.{name}" for name in HASH)
    connection.execute(
        sa.text(
            f'CREATE OR REPLACE TRIGGER forget_hash BEFORE UPDATE ON {SCHEMA}."{feed.name}" '
            f"FOR EACH ROW WHEN (NEW.{HASH[0]} IS NOT NULL AND {kept}) "
            f"EXECUTE FUNCTION {tables.SCHEMA}.forget_hash()"
        )
    )


def _let_rows_go_on(connection: sa.Connection, feed: Feed) -> None:
    """Link rows that are stored to the tombstones of their keys, as a load of snapshots does.

    They were stored anew while the feed declared no snapshot, and would be deleted rows besides.
    """
    target, history = (f'{SCHEMA}."{name}"' for name in (feed.name, f"{feed.name}_history"))
    names = ", ".join(f'"{name}"' for name in ("account", *key_columns(feed)))
    key = ", ".join(f'its."{name}"' for name in ("account", *key_columns(feed)))
    again = f"({key}) = ({key.replace('its.', 'again.')})"
    connection.exec_driver_sql(f"""
        WITH again AS (
            SELECT {names}, t._created_import_id AS stored_by, d._created_import_id AS made_by
            FROM {target} t JOIN {history} d USING ({names}) WHERE d._replaced_by_import_id = 0
        ),
        linked AS (
            UPDATE {history} its SET _replaced_by_import_id = stored_by
            FROM again WHERE {again} AND its._replaced_by_import_id = 0
        ),
        joined AS (
            UPDATE {history} its SET _created_import_id = made_by
            FROM again WHERE {again} AND its._created_import_id = stored_by
                AND its._replaced_by_import_id <> 0
        )
        UPDATE {target} its SET _created_import_id = made_by FROM again WHERE {again}
    """)  # noqa: S608  # names of the feed


def _names(feed: Feed) -> list[str]:
    names = (feed.name, f"{feed.name}_history", *feed.views)
    return [f'{SCHEMA}."{name}"' for name in names]


def stored_types(connection: sa.Connection, table: sa.Table) -> dict[str, str]:
    """Return the types of a stored table's columns by name; none if it is not there."""
    query = sa.text(
        "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
        "WHERE attrelid = to_regclass(:name) AND attnum > 0 AND NOT attisdropped"
    )
    return {
        row.attname: row.format_type
        for row in connection.execute(query, {"name": f'{SCHEMA}."{table.name}"'})
    }


def stored_key(connection: sa.Connection, table: sa.Table) -> list[str]:
    """Return the columns of a stored table's primary key."""
    query = sa.text(
        "SELECT attname FROM pg_constraint, unnest(conkey) WITH ORDINALITY AS k (attnum, place) "
        "JOIN pg_attribute a USING (attnum) "
        "WHERE conrelid = to_regclass(:name) AND contype = 'p' AND attrelid = conrelid "
        "ORDER BY place"
    )
    return list(connection.scalars(query, {"name": f'{SCHEMA}."{table.name}"'}))


def _hold_to_key(connection: sa.Connection, feed: Feed, table: sa.Table) -> None:
    stored = stored_key(connection, table)
    declared = [column.name for column in table.primary_key.columns]
    if stored != declared:
        raise SetupError(
            f"table {SCHEMA}.{table.name}: the key {', '.join(declared)} was needed, as the feed "
            f"declares; the stored rows have {', '.join(stored)}{_way_out(feed)}"
        )


def _way_out(feed: Feed) -> str:
    name = feed.name
    return f": see `csv-pipeline feeds diff {name}`, then `csv-pipeline feeds apply {name}`"


def _drop_if_unused(connection: sa.Connection, feed: Feed) -> None:
    """Drop tables of another definition that no row is in, unless somebody built upon them.

    So a feed can be edited until its first file is imported.
    """
    both = (target_table(feed), history_table(feed))
    stored = {table: stored_types(connection, table) for table in both}
    if not all(stored.values()) or all(_is_same(connection, *its) for its in stored.items()):
        return
    names = ", ".join(f'{SCHEMA}."{table.name}"' for table in both)
    connection.exec_driver_sql(f"LOCK TABLE {names}")
    if readings.has_rows(connection, feed) or rows_meet(connection, feed):
        return
    for name in reversed(list(feed.views)):
        connection.exec_driver_sql(f'DROP VIEW IF EXISTS {SCHEMA}."{name}"')
    attempt(connection, sa.text(f"DROP TABLE {names}"), _DEPENDED_UPON)


def _is_same(connection: sa.Connection, table: sa.Table, stored: dict[str, str]) -> bool:
    """Return whether a stored table has the declared key, and no column of another type."""
    key = [column.name for column in table.primary_key.columns]
    types = {column.name: type_name(column) for column in table.columns}
    return stored_key(connection, table) == key and all(
        types.get(name, its) == its for name, its in stored.items()
    )


def add_columns(connection: sa.Connection, feed: Feed, table: sa.Table) -> None:
    """Add to a stored table the columns that it lacks.

    Raises:
        SetupError: It has one of another type.
    """
    stored = stored_types(connection, table)
    for column in table.columns:
        found, needed = stored.get(column.name), type_name(column)
        if found is None:
            definition = CreateColumn(column).compile(dialect=_DIALECT)
            connection.execute(
                sa.text(f'ALTER TABLE {SCHEMA}."{table.name}" ADD COLUMN {definition}')
            )
        elif found != needed:
            raise SetupError(
                f"table {SCHEMA}.{table.name}, column {column.name}: type {needed} was needed, as "
                f"the contract declares; the stored rows have {found}{_way_out(feed)}"
            )


@cache
def definition(feed: Feed) -> str:
    """Return a digest of all that `make` would make; for 100 feeds it takes half a second."""
    made: list[ExecutableDDLElement] = []
    for table in (target_table(feed), history_table(feed)):
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        made += [CreateTable(table), *(CreateIndex(index) for index in indexes)]
    said = [str(one.compile(dialect=_DIALECT)) for one in made]
    said.append("forget_hash")
    said += [f"{name} {VIEW} {query}" for name, query in feed.views.items()]
    said.append(TARGET_POLICY)
    return hashlib.sha256("\n".join(said).encode()).hexdigest()


def _column(column: Column, feed: Feed) -> sa.Column[object]:
    in_key = column.name in feed.key
    its = sql_type(column.kind, column.dtype)
    its = _key_text() if in_key and isinstance(its, sa.Text) else its
    return sa.Column(column.name, its, nullable=not in_key, comment=column.description or None)


def _lineage(feed: Feed) -> tuple[sa.Column[object], ...]:
    content = (
        sa.Column(CONTENT, sa.Uuid, nullable=False),
        sa.Column(OCCURRENCE, sa.BigInteger, nullable=False),
    )
    flags = feed.snapshot is not None and feed.snapshot.missing is Missing.FLAG
    return (
        *(() if feed.key else content),
        sa.Column(EXTRA, pg.JSONB),
        *(sa.Column(name, sa.BigInteger) for name in HASH),
        *((sa.Column(MISSING_SINCE, sa.DateTime(timezone=True)),) if flags else ()),
        sa.Column("_import_id", sa.BigInteger, nullable=False),
        sa.Column("_created_import_id", sa.BigInteger, nullable=False),
        sa.Column("_row_number", sa.BigInteger, nullable=False),
        sa.Column("_updated_at", sa.DateTime(timezone=True), nullable=False),
    )


@cache
def _key_text() -> sa.Text:
    """Return text in byte order, which is the order that batches are sorted in."""
    return sa.Text(collation="C")


def type_name(column: sa.Column[object]) -> str:
    """Return the name of a column's type as PostgreSQL's `format_type` has it."""
    name, _, _collation = column.type.compile(dialect=_DIALECT).partition(" COLLATE ")
    return name.lower().replace(", ", ",")
