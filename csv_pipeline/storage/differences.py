"""How the types and the key of a feed differ from those of its stored rows."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.names import MISSING_SINCE
from csv_pipeline.storage import targets
from csv_pipeline.storage.targets import SCHEMA, history_table, key_columns, target_table

_EXAMPLES = 3
NUMBERS = ("bigint", "numeric", "integer")
_BY_MEANING = ("jsonb", "uuid")
"""Types whose values have a spelling of their own, so that text need not come back the same."""
_NO_ZONE_TELLS = {"date", "timestamp with time zone"}
"""Types between which only a zone could convert, which no stored value has."""
_UNIQUE_KEYS = """
    CREATE OR REPLACE FUNCTION pg_temp.unique_keys(given json) RETURNS boolean LANGUAGE plpgsql AS
    $$ BEGIN
        RETURN CASE json_typeof(given)
            WHEN 'object' THEN (
                SELECT count(*) = count(DISTINCT key)
                    AND coalesce(bool_and(pg_temp.unique_keys(value)), true)
                FROM json_each(given)
            )
            WHEN 'array' THEN (
                SELECT coalesce(bool_and(pg_temp.unique_keys(value)), true)
                FROM json_array_elements(given)
            )
            ELSE true
        END;
    END $$
"""
"""JSON whose objects have no key twice, of which `jsonb` would keep one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One difference between a feed and what is stored of it.

    `column` None is the key. `rows` have a value there, those of the history included if they are
    converted; `unfit` of them cannot be, such as `examples`. A change of the `reading` is about
    what is stored of a cell; rows may be known by it (`identifies`), and may be `read_again`. One
    `from_extra` is about cells of `_extra` that are of the column by now; the unfit stay there.
    """

    column: str | None
    before: str
    after: str
    rows: int = 0
    unfit: int = 0
    examples: tuple[str, ...] = ()
    reading: bool = False
    identifies: bool = False
    read_again: bool = False
    from_extra: bool = False

    @property
    def converts(self) -> bool:
        """Whether stored values are given another type."""
        return bool(self.before and self.after) and not (self.reading or self.from_extra)


def changes_in(connection: sa.Connection, feed: Feed) -> Iterator[Change]:
    """Give the columns that have another type or are new or left out, and the key if it differs."""
    table = target_table(feed)
    stored = targets.stored_types(connection, table)
    if not stored:
        return
    for column in table.columns:
        needed = targets.type_name(column)
        before = stored.get(column.name, "")
        if before != needed:
            yield _change(connection, feed, column.name, before, needed)
    for name in stored.keys() - table.columns.keys():
        if not name.startswith("_"):
            rows = count(connection, table_name(feed.name), f'"{name}" IS NOT NULL')
            yield Change(column=name, before=stored[name], after="", rows=rows)
    if MISSING_SINCE in stored.keys() - table.columns.keys():
        rows = count(connection, table_name(feed.name), f"{MISSING_SINCE} IS NOT NULL")
        if rows:
            yield Change(column=MISSING_SINCE, before="flagged as missing", after="", rows=rows)
    yield from _key_change(connection, feed, stored)


def _change(connection: sa.Connection, feed: Feed, name: str, before: str, after: str) -> Change:
    if not before:
        return Change(column=name, before="", after=after)
    unfit = unfit_values(connection, name, before, after)
    values = " UNION ALL ".join(
        f'SELECT "{name}" FROM {table_name(table.name)}'  # noqa: S608
        for table in converted_tables(connection, feed)
    )
    query = (
        f'SELECT DISTINCT "{name}"::text FROM ({values}) AS its WHERE {unfit} '  # noqa: S608
        f"ORDER BY 1 LIMIT {_EXAMPLES}"
    )
    examples = (
        () if is_protected(feed, {name}) else tuple(connection.exec_driver_sql(query).scalars())
    )
    return Change(
        column=name,
        before=before,
        after=after,
        rows=count(connection, f"({values}) AS its", f'"{name}" IS NOT NULL'),
        unfit=count(connection, f"({values}) AS its", unfit),
        examples=examples,
    )


def is_protected(feed: Feed, names: Collection[str]) -> bool:
    """Return whether no value of some columns may be shown."""
    return feed.confidential or any(one.protected for one in feed.columns if one.name in names)


def converted_tables(connection: sa.Connection, feed: Feed) -> tuple[sa.Table, ...]:
    """Return the tables whose values are converted: not a history that another key puts away."""
    target, history = target_table(feed), history_table(feed)
    same_key = targets.stored_key(connection, target) == ["account", *key_columns(feed)]
    return (target, history) if same_key else (target,)


def _key_change(connection: sa.Connection, feed: Feed, stored: dict[str, str]) -> Iterator[Change]:
    before = targets.stored_key(connection, target_table(feed))
    after = ["account", *key_columns(feed)]
    if before == after:
        return
    columns = [name for name in after if name in stored]
    known = len(columns) == len(after)
    names = ", ".join(f'"{name}"' for name in columns)
    unfit = "true"
    if known:
        blank = " OR ".join(f'"{name}" IS NULL' for name in columns)
        unfit = (
            f"{blank} OR ({names}) IN (SELECT {names} FROM {table_name(feed.name)} "  # noqa: S608
            f"GROUP BY {names} HAVING count(*) > 1)"
        )
    shown: tuple[str, ...] = ()
    if known and not is_protected(feed, columns):
        key = ", ".join(f"coalesce(\"{name}\"::text, 'no value')" for name in columns[1:])
        query = (
            f"SELECT concat_ws(' + ', {key}) || ' of ' || account FROM {table_name(feed.name)} "  # noqa: S608
            f"WHERE {unfit} ORDER BY {names} LIMIT {_EXAMPLES}"
        )
        shown = tuple(connection.exec_driver_sql(query).scalars())
    yield Change(
        column=None,
        before=", ".join(before[1:]),
        after=", ".join(after[1:]),
        rows=count(connection, table_name(feed.name), "true"),
        unfit=count(connection, table_name(feed.name), unfit),
        examples=shown,
    )


def unfit_values(connection: sa.Connection, name: str, before: str, after: str) -> str:
    """Return the condition of a value that is none of its new type, or comes back another."""
    value, there = f'"{name}"', converter(connection, after)
    if {before, after} == _NO_ZONE_TELLS:
        return f"({value} IS NOT NULL)"
    made = f"{there}({value}::text)"
    if after in _BY_MEANING:
        return f"({value} IS NOT NULL AND {made} IS NULL)"
    if before.startswith(NUMBERS) and after.startswith(NUMBERS):
        same = f"{made}::numeric = {value}::numeric"
    else:
        same = f"{converter(connection, before)}({made}::text) = {value}"
    return f"({value} IS NOT NULL AND ({same}) IS NOT TRUE)"


def converter(connection: sa.Connection, kind: str) -> str:
    """Make a function of the transaction that gives a value of a type, null for a text of none."""
    name = f"pg_temp.as_{''.join(c if c.isalnum() else '_' for c in kind)}"
    made = f"CAST(given AS {kind})"
    if kind == "jsonb":
        connection.exec_driver_sql(_UNIQUE_KEYS)
        made = f"CASE WHEN pg_temp.unique_keys(CAST(given AS json)) THEN {made} END"
    connection.exec_driver_sql(
        f"CREATE OR REPLACE FUNCTION {name}(given text) RETURNS {kind} LANGUAGE plpgsql AS "
        f"$$ BEGIN RETURN {made}; EXCEPTION WHEN others THEN RETURN NULL; END $$"
    )
    return name


def count(connection: sa.Connection, rows: str, condition: str) -> int:
    """Return of how many rows of a table or query a condition is true."""
    query = f"SELECT count(*) FROM {rows} WHERE {condition}"  # noqa: S608
    return int(connection.exec_driver_sql(query).scalar() or 0)


def table_name(name: str) -> str:
    """Return the name of a target table in a statement."""
    return f'{SCHEMA}."{name}"'
