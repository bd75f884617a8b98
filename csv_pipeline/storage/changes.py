"""What a changed declaration does to stored rows, and the migration that does it.

Columns that a contract gains are added when the pipeline opens. Another type of a column, and
another key, are for somebody to see first. Values are converted in one transaction, target and
history alike, and only if each comes back the same; what does not fit can be set aside in `_extra`.
With a new key the history is put away under another name, because its versions are known by the old
one. Where rows cannot be converted, because several have the new key, so can both tables be, and
imports begin with empty ones.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import sqlalchemy as sa

from csv_pipeline.errors import SetupError
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.names import EXTRA
from csv_pipeline.spec.row_hash import HASH
from csv_pipeline.storage import tables, targets
from csv_pipeline.storage.confine import change_tables
from csv_pipeline.storage.database import Database
from csv_pipeline.storage.isolation import lock_definitions
from csv_pipeline.storage.targets import SCHEMA, history_table, key_columns, target_table
from csv_pipeline.storage.undo_records import history_is_put_away

_EXAMPLES = 3
_NUMBERS = ("bigint", "numeric", "integer")
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
    converted; `unfit` of them cannot be, such as `examples`.
    """

    column: str | None
    before: str
    after: str
    rows: int = 0
    unfit: int = 0
    examples: tuple[str, ...] = ()

    @property
    def converts(self) -> bool:
        """Whether stored values are written anew."""
        return bool(self.before and self.after)


def changes_of(database: Database, feed: Feed) -> list[Change]:
    """Return how a feed differs from its stored rows; nothing is changed."""
    with database.begin() as connection:
        found = list(_changes(connection, feed))
        connection.rollback()
    return found


def apply_changes(
    database: Database, feed: Feed, *, set_aside: bool = False, fresh: bool = False
) -> list[Change]:
    """Make the tables of a feed what it declares, in one transaction, and return what differed.

    Values that do not fit are `set_aside` in `_extra`. With `fresh` the tables are put away under
    another name.

    Raises:
        SetupError: Stored values do not fit, and neither is asked for; nothing is changed.
    """
    with database.begin() as connection:
        lock_definitions(connection)
        change_tables(connection, partial(_lock, connection, feed))
        found = list(_changes(connection, feed))
        if fresh:
            both = (history_table(feed), target_table(feed))
            change_tables(connection, partial(_put_away, connection, feed, both))
        else:
            _hold_to_fit(feed, found, set_aside=set_aside)
            change_tables(connection, partial(_convert, connection, feed, found))
        change_tables(connection, partial(targets.make, connection, feed))
        if fresh or any(one.column is None for one in found):
            history_is_put_away(connection, feed, with_rows=fresh)
        done = tables.recomputed  # what is derived from other values is computed anew
        connection.execute(sa.delete(done).where(done.c.feed == feed.name))
    return found


def _lock(connection: sa.Connection, feed: Feed) -> None:
    """Let no import store a value between the look at them and their conversion."""
    for table in (target_table(feed), history_table(feed)):
        if targets.stored_types(connection, table):
            connection.exec_driver_sql(f"LOCK TABLE {_table(table.name)}")


def _changes(connection: sa.Connection, feed: Feed) -> Iterator[Change]:
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
            rows = _count(connection, _table(feed.name), f'"{name}" IS NOT NULL')
            yield Change(column=name, before=stored[name], after="", rows=rows)
    yield from _key_change(connection, feed, stored)


def _change(connection: sa.Connection, feed: Feed, name: str, before: str, after: str) -> Change:
    if not before:
        return Change(column=name, before="", after=after)
    unfit = _unfit(connection, name, before, after)
    values = " UNION ALL ".join(
        f'SELECT "{name}" FROM {_table(table.name)}'  # noqa: S608
        for table in _converted(connection, feed)
    )
    query = (
        f'SELECT DISTINCT "{name}"::text FROM ({values}) AS its WHERE {unfit} '  # noqa: S608
        f"ORDER BY 1 LIMIT {_EXAMPLES}"
    )
    protected = feed.confidential or any(one.protected for one in feed.columns if one.name == name)
    examples = () if protected else tuple(connection.exec_driver_sql(query).scalars())
    return Change(
        column=name,
        before=before,
        after=after,
        rows=_count(connection, f"({values}) AS its", f'"{name}" IS NOT NULL'),
        unfit=_count(connection, f"({values}) AS its", unfit),
        examples=examples,
    )


def _converted(connection: sa.Connection, feed: Feed) -> tuple[sa.Table, ...]:
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
            f"{blank} OR ({names}) IN (SELECT {names} FROM {_table(feed.name)} "  # noqa: S608
            f"GROUP BY {names} HAVING count(*) > 1)"
        )
    yield Change(
        column=None,
        before=", ".join(before[1:]),
        after=", ".join(after[1:]),
        rows=_count(connection, _table(feed.name), "true"),
        unfit=_count(connection, _table(feed.name), unfit),
    )


def _unfit(connection: sa.Connection, name: str, before: str, after: str) -> str:
    """Return the condition of a value that is none of its new type, or comes back another."""
    value, there = f'"{name}"', _converter(connection, after)
    if {before, after} == _NO_ZONE_TELLS:
        return f"({value} IS NOT NULL)"
    made = f"{there}({value}::text)"
    if after in _BY_MEANING:
        return f"({value} IS NOT NULL AND {made} IS NULL)"
    if before.startswith(_NUMBERS) and after.startswith(_NUMBERS):
        same = f"{made}::numeric = {value}::numeric"
    else:
        same = f"{_converter(connection, before)}({made}::text) = {value}"
    return f"({value} IS NOT NULL AND ({same}) IS NOT TRUE)"


def _converter(connection: sa.Connection, kind: str) -> str:
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


def _hold_to_fit(feed: Feed, changes: list[Change], *, set_aside: bool) -> None:
    """Refuse to convert what does not fit.

    Raises:
        SetupError: Values or rows do not fit; it says what may be asked for.
    """
    for one in changes:
        in_key = one.column is None or one.column in key_columns(feed)
        if not one.unfit or (set_aside and not in_key):
            continue
        what = f"column {one.column}" if one.column else "the key"
        ways = "--fresh" if in_key else "--set-aside or --fresh"
        shown = f", such as {', '.join(map(repr, one.examples))}" if one.examples else ""
        raise SetupError(
            f"feed {feed.name!r}, {what}: rows that fit {one.after} were needed; {one.unfit:,} of "
            f"{one.rows:,} do not{shown}: `csv-pipeline feeds apply {feed.name}` takes {ways}"
        )
    if not feed.key and any(one.converts for one in changes):
        raise SetupError(
            f"feed {feed.name!r}: rows without a key are known by all of their values, so that "
            f"these cannot be converted: `csv-pipeline feeds apply {feed.name}` takes --fresh"
        )


def _convert(connection: sa.Connection, feed: Feed, changes: list[Change]) -> None:
    connection.exec_driver_sql("SET LOCAL TimeZone TO 'UTC'")
    for view in reversed(list(feed.views)):
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {_table(view)}")
    for table in _converted(connection, feed):
        stored = targets.stored_types(connection, table)
        for one in changes:
            if one.column in stored and one.converts:
                _retype(connection, table, one)
    if any(one.column is None for one in changes):
        _give_key(connection, feed)


def _give_key(connection: sa.Connection, feed: Feed) -> None:
    """Let the stored rows be known by another key; their history is put away."""
    _put_away(connection, feed, (history_table(feed),))
    target, whole = target_table(feed), _table(feed.name)
    name, key = f"{feed.name}_key", ", ".join(f'"{its}"' for its in key_columns(feed))
    texts = [its for its in key_columns(feed) if isinstance(target.columns[its].type, sa.Text)]
    before = targets.stored_key(connection, target)
    left = [its for its in before if its not in {"account", *key_columns(feed)}]
    for statement in (
        f'ALTER TABLE {whole} DROP CONSTRAINT "{name}"',
        *(f'ALTER TABLE {whole} ALTER COLUMN "{its}" DROP NOT NULL' for its in left),
        *(f'ALTER TABLE {whole} ALTER COLUMN "{its}" TYPE text COLLATE "C"' for its in texts),
        f'ALTER TABLE {whole} ADD CONSTRAINT "{name}" PRIMARY KEY (account, {key})',
    ):
        connection.exec_driver_sql(statement)


def _retype(connection: sa.Connection, table: sa.Table, change: Change) -> None:
    """Give a column another type; what does not fit goes to `_extra`, and rows lose their hash."""
    name, whole = change.column, _table(table.name)
    assert name is not None  # noqa: S101  # the key has no type
    unfit = _unfit(connection, name, change.before, change.after)
    aside = f"jsonb_build_object('{name}', \"{name}\"::text)"
    forget = ", ".join(f"{one} = NULL" for one in HASH)
    made = f'{_converter(connection, change.after)}("{name}"::text)'
    declared = change.after
    if str(table.columns[name].type.compile(dialect=connection.dialect)).endswith('COLLATE "C"'):
        declared += ' COLLATE "C"'
    for statement in (
        f"UPDATE {whole} SET {EXTRA} = coalesce({EXTRA}, '{{}}') || {aside} WHERE {unfit}",  # noqa: S608
        f'ALTER TABLE {whole} ALTER COLUMN "{name}" TYPE {declared} '
        f"USING CASE WHEN {unfit} THEN NULL ELSE {made} END",
        f"UPDATE {whole} SET {forget} WHERE {HASH[0]} IS NOT NULL",  # noqa: S608
    ):
        connection.exec_driver_sql(statement)


def _put_away(connection: sa.Connection, feed: Feed, which: Iterable[sa.Table]) -> None:
    """Rename tables of a feed, and what belongs to them, to a name that none has."""
    for view in reversed(list(feed.views)):
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {_table(view)}")
    taken = set(sa.inspect(connection).get_table_names(SCHEMA))
    mine = (feed.name, f"{feed.name}_history")
    number = next(
        n for n in itertools.count(1) if taken.isdisjoint(f"{one}_before_{n}" for one in mine)
    )
    for table in which:
        indexes = sa.inspect(connection).get_indexes(table.name, SCHEMA)
        names = [str(one["name"]) for one in indexes]
        if table.primary_key.columns:
            names.append(f"{feed.name}_key")
        for name in names:
            new = f"{name[:50]}_before_{number}"
            connection.exec_driver_sql(f'ALTER INDEX {_table(name)} RENAME TO "{new}"')
        new = f"{table.name}_before_{number}"
        connection.exec_driver_sql(f'ALTER TABLE {_table(table.name)} RENAME TO "{new}"')


def _count(connection: sa.Connection, rows: str, condition: str) -> int:
    query = f"SELECT count(*) FROM {rows} WHERE {condition}"  # noqa: S608
    return int(connection.exec_driver_sql(query).scalar() or 0)


def _table(name: str) -> str:
    return f'{SCHEMA}."{name}"'
