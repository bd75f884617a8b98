"""The derived tables: one each in schema `data`, and the indexes by which they find feeds' rows.

A table whose declaration changed is made anew, and recomputed for every account: all that is in it
comes from the feeds' tables.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.schema import CreateTable

from csv_pipeline.errors import SetupError
from csv_pipeline.spec.derived import DerivedColumn, DerivedTable
from csv_pipeline.storage import tables
from csv_pipeline.storage.confine import change_tables
from csv_pipeline.storage.database import Database
from csv_pipeline.storage.isolation import TARGET_POLICY, isolate, let_readers_in, lock_definitions
from csv_pipeline.storage.session import attempt
from csv_pipeline.storage.targets import SCHEMA

_DIALECT = pg.dialect()  # type: ignore[no-untyped-call]
_IN_USE = "2BP01"  # others depend on it
_TYPES: Mapping[str, sa.types.TypeEngine[Any]] = {
    "text": sa.Text(collation="C"),
    "integer": sa.BigInteger(),
    "decimal": sa.Numeric(),
    "date": sa.Date(),
    "timestamp": sa.DateTime(timezone=True),
}


@cache
def derived_table(derived: DerivedTable) -> sa.Table:
    """Return the table that holds what is derived, an account's rows beside the others'."""
    return sa.Table(
        derived.name,
        sa.MetaData(schema=SCHEMA),
        sa.Column("account", sa.Text(collation="C"), nullable=False),
        *(_column(column, derived) for column in derived.columns),
        sa.Column(
            "_recomputed_at", sa.DateTime(timezone=True), nullable=False,
            server_default=sa.func.now(),
        ),
        sa.PrimaryKeyConstraint("account", *derived.key),
    )  # fmt: skip


@cache
def scope_table(derived: DerivedTable) -> sa.Table:
    """Return the temporary table of the scopes that a transaction recomputes; none has a null.

    Texts have no collation of their own here: they are compared by that of the feed's column, of
    which its index is as well. By another one the server reads all rows of the account.
    """
    types = {c.name: sa.Text() if c.type == "text" else _TYPES[c.type] for c in derived.columns}
    return sa.Table(
        "scope",
        sa.MetaData(),
        *(sa.Column(name, types[name], nullable=False) for name in derived.scope),
        prefixes=["TEMPORARY"],
        postgresql_on_commit="DROP",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a derived table has of an account: some rows, sums of columns, and points of a chart."""

    rows: int
    totals: Mapping[str, int]
    first: Sequence[Mapping[str, Any]]
    points: Sequence[tuple[Any, ...]]


def contents(connection: sa.Connection, derived: DerivedTable, account: str, most: int) -> Contents:
    """Return what a derived table has of an account: so many rows, and all points of its chart."""
    table, chart = derived_table(derived), derived.chart
    of_account = table.c.account == account
    sums = (sa.func.coalesce(sa.func.sum(table.c[name]), 0) for name in derived.totals)
    count, *totals = connection.execute(sa.select(sa.func.count(), *sums).where(of_account)).one()
    columns = [table.c[column.name] for column in derived.columns]
    order = [sa.text(derived.first)] if derived.first else [table.c[name] for name in derived.key]
    shown = connection.execute(sa.select(*columns).where(of_account).order_by(*order).limit(most))
    points: list[tuple[Any, ...]] = []
    if chart is not None:
        by = table.c[chart.by]
        lines = (sa.func.sum(table.c[name]) for name in chart.lines)
        query = sa.select(by, *lines).where(of_account).group_by(by).order_by(by)
        points = [tuple(row) for row in connection.execute(query)]
    return Contents(
        rows=count,
        totals=dict(zip(derived.totals, map(int, totals), strict=True)),
        first=[dict(row._mapping) for row in shown],
        points=points,
    )


def ensure_derived(database: Database, every: Sequence[DerivedTable]) -> None:
    """Make the derived tables, once their feeds' are there, and those anew that changed.

    Raises:
        SetupError: Something depends on a table that is to be made anew.
    """
    wanted = {derived.name: _definition(derived) for derived in every}
    if not wanted:
        return
    with database.begin() as connection:
        if not wanted.items() <= _applied(connection).items():
            lock_definitions(connection)
            applied = _applied(connection)
            for derived in every:
                if applied.get(derived.name) != wanted[derived.name]:
                    change_tables(connection, partial(_make, connection, derived))
        let_readers_in(connection, (f'{SCHEMA}."{name}"' for name in wanted))


def _applied(connection: sa.Connection) -> dict[str, str]:
    rows = connection.execute(sa.select(tables.target.c.feed, tables.target.c.definition))
    return {row.feed: row.definition for row in rows}


def _make(connection: sa.Connection, derived: DerivedTable) -> None:
    table, done = derived_table(derived), tables.recomputed
    drop = sa.text(f'DROP TABLE IF EXISTS {SCHEMA}."{derived.name}"')
    if attempt(connection, drop, _IN_USE):
        raise SetupError(
            f"table {SCHEMA}.{derived.name}: one that nothing depends on was needed, to be made "
            "anew as it is declared now; drop the views and functions that read it"
        )
    table.create(connection)
    isolate(connection, table)
    for statement in _indexes(derived):
        connection.execute(sa.text(statement))
    connection.execute(sa.delete(done).where(done.c.derived == derived.name))
    made = insert(tables.target).values(feed=derived.name, definition=_definition(derived))
    connection.execute(
        made.on_conflict_do_update(
            index_elements=["feed"], set_={"definition": made.excluded.definition}
        )
    )


def _indexes(derived: DerivedTable) -> Iterable[str]:
    """Give the statements that make what is missing of the indexes on the feeds' tables.

    Rows of large imports, which are not in the index by import, are found by blocks: what one
    import wrote lies together.
    """
    for feed in derived.touched:
        yield (
            f'CREATE INDEX IF NOT EXISTS "{feed}_by_block" ON {SCHEMA}."{feed}" '
            "USING brin (_import_id) WITH (pages_per_range = 32)"
        )
    for feed, indexes in derived.indexes.items():
        for rest in indexes:
            name = f"{feed}_{hashlib.sha256(rest.encode()).hexdigest()[:8]}"
            yield f'CREATE INDEX IF NOT EXISTS "{name}" ON {SCHEMA}."{feed}" {rest}'


def _definition(derived: DerivedTable) -> str:
    """Return a digest of all that decides on the rows."""
    made = str(CreateTable(derived_table(derived)).compile(dialect=_DIALECT))
    said = [made, *derived.scope, derived.select, *_indexes(derived), TARGET_POLICY]
    said += [f"{feed} {query}" for feed, query in sorted(derived.touched.items())]
    said += [column.description for column in derived.columns]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()


def _column(column: DerivedColumn, derived: DerivedTable) -> sa.Column[object]:
    of_key = column.name in derived.key
    its = _TYPES[column.type]
    return sa.Column(column.name, its, nullable=not of_key, comment=column.description)
