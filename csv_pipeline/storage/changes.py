"""What a changed declaration does to stored rows, and the migration that does it.

Columns that a contract gains are added when the pipeline opens. Another type of a column, and
another key, are for somebody to see first. Values are converted in one transaction, target and
history alike, and only if each comes back the same; what does not fit can be set aside in `_extra`.
With a new key the history is put away under another name, because its versions are known by the old
one. Where rows cannot be converted, because several have the new key, so can both tables be, and
imports begin with empty ones. Rows that are known by a column which is read in another way are read
again, where what is stored tells how: see `rereading`. Cells of `_extra` that are of a column by
now are moved into it: see `known_cells`.
"""

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import sqlalchemy as sa

from csv_pipeline.errors import SetupError
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.names import EXTRA, MISSING_SINCE
from csv_pipeline.spec.row_hash import HASH
from csv_pipeline.storage import readings, tables, targets
from csv_pipeline.storage.confine import change_tables
from csv_pipeline.storage.database import Database
from csv_pipeline.storage.differences import (
    Change,
    changes_in,
    converted_tables,
    converter,
    table_name,
    unfit_values,
)
from csv_pipeline.storage.isolation import lock_definitions
from csv_pipeline.storage.known_cells import KnownCells, ReadCells
from csv_pipeline.storage.rereading import (
    ASIDE,
    Reread,
    hold_readings,
    note_readings,
    other_readings,
)
from csv_pipeline.storage.targets import SCHEMA, history_table, key_columns, target_table
from csv_pipeline.storage.undo_records import history_is_put_away


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """What somebody allows to be done with stored rows that do not fit.

    Values are `set_aside` in `_extra`; or the tables are put away under another name, to begin with
    `fresh` ones; or rows stay known by what was stored of columns whose `readings` differ by now.
    """

    set_aside: bool = False
    fresh: bool = False
    readings: tuple[str, ...] = ()
    by: str = ""


_NOTHING = Allowed()
_HISTORY = Change(
    column="history",
    before="with keys that do not fit",
    after="put away under another name; what earlier imports changed cannot be undone",
)


@dataclass(frozen=True, slots=True)
class Readers:
    """What reads stored texts again, and the cells of `_extra` that are of a column by now."""

    stored: Reread
    extra: ReadCells


def changes_of(database: Database, feed: Feed, readers: Readers) -> list[Change]:
    """Return how a feed differs from its stored rows; nothing is changed."""
    with database.begin() as connection:
        read_anew, _ = other_readings(connection, feed, readers.stored, ())
        known = KnownCells(connection, feed, readers.extra)
        found = [*changes_in(connection, feed), *known.changes(), *read_anew]
        connection.rollback()
    return found


def apply_changes(
    database: Database, feed: Feed, readers: Readers, allowed: Allowed = _NOTHING
) -> list[Change]:
    """Make the tables of a feed what it declares, in one transaction, and return what differed.

    Raises:
        SetupError: Stored values do not fit, and nothing is allowed for it; nothing is changed.
    """
    with database.begin() as connection:
        lock_definitions(connection)
        change_tables(connection, partial(_lock, connection, feed))
        without_history = allowed.set_aside and not allowed.fresh
        without_history = without_history and _set_history_aside(connection, feed, readers, allowed)
        read_anew, rereading = other_readings(connection, feed, readers.stored, allowed.readings)
        moved: list[Change] = []
        if allowed.fresh:
            found = list(changes_in(connection, feed))
            both = (history_table(feed), target_table(feed))
            change_tables(connection, partial(_put_away, connection, feed, both))
        else:
            hold_readings(feed, read_anew, allowed.readings)
            known = KnownCells(connection, feed, readers.extra)
            moved = known.changes()
            rereading.write()
            found = list(changes_in(connection, feed))
            _hold_to_fit(feed, found, set_aside=allowed.set_aside)
            change_tables(connection, partial(_convert, connection, feed, found))
        change_tables(connection, partial(targets.make, connection, feed))
        if moved:
            known.write(moved)
        readings.settle(connection, feed)
        if read_anew:
            note_readings(connection, feed, read_anew, allowed.by)
        if without_history:
            found.append(_HISTORY)
        if allowed.fresh or without_history or any(one.column is None for one in found):
            history_is_put_away(connection, feed, with_rows=allowed.fresh)
        done = tables.recomputed  # what is derived from other values is computed anew
        connection.execute(sa.delete(done).where(done.c.feed == feed.name))
    return [*found, *moved, *read_anew]


def _lock(connection: sa.Connection, feed: Feed) -> None:
    """Let no import store a value between the look at them and their conversion."""
    for table in (target_table(feed), history_table(feed)):
        if targets.stored_types(connection, table):
            connection.exec_driver_sql(f"LOCK TABLE {table_name(table.name)}")


def _set_history_aside(
    connection: sa.Connection, feed: Feed, readers: Readers, allowed: Allowed
) -> bool:
    """Put the history away if only keys of rows that are not stored any more do not fit."""
    if _key_fits(connection, feed, readers, allowed):
        return False
    attempt, history = connection.begin_nested(), history_table(feed)
    before = set(sa.inspect(connection).get_table_names(SCHEMA))
    change_tables(connection, partial(_put_away, connection, feed, (history,)))
    (away,) = set(sa.inspect(connection).get_table_names(SCHEMA)) - before
    connection.exec_driver_sql(
        f"CREATE TABLE {table_name(history.name)} (LIKE {table_name(away)} INCLUDING DEFAULTS)"
    )
    fits = _key_fits(connection, feed, readers, allowed)
    if fits:
        attempt.commit()
    else:
        attempt.rollback()
    return fits


def _key_fits(connection: sa.Connection, feed: Feed, readers: Readers, allowed: Allowed) -> bool:
    """Return whether all rows, with their history, can be known by what the feed declares."""
    look = connection.begin_nested()
    read_anew, _ = other_readings(connection, feed, readers.stored, allowed.readings)
    known_by = {None, *key_columns(feed)}
    retyped = (one for one in changes_in(connection, feed) if one.column in known_by)
    fits = not any(
        one.unfit for one in (*read_anew, *retyped) if one.column not in allowed.readings
    )
    look.rollback()
    return fits


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
        ways = "--set-aside or --fresh"
        if in_key:
            ways = f"--fresh, or {ASIDE}" if one.column else "--fresh"
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
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {table_name(view)}")
    for table in converted_tables(connection, feed):
        stored = targets.stored_types(connection, table)
        for one in changes:
            if one.column in stored and one.converts:
                _retype(connection, table, one)
    if any(one.column == MISSING_SINCE for one in changes):  # the feed flags no row any more
        whole = table_name(feed.name)
        flagged = f"{MISSING_SINCE} IS NOT NULL"
        connection.exec_driver_sql(f"UPDATE {whole} SET {MISSING_SINCE} = NULL WHERE {flagged}")  # noqa: S608
    if any(one.column is None for one in changes):
        _give_key(connection, feed)


def _give_key(connection: sa.Connection, feed: Feed) -> None:
    """Let the stored rows be known by another key; their history is put away."""
    _put_away(connection, feed, (history_table(feed),))
    targets.add_columns(connection, feed, target_table(feed))
    target, whole = target_table(feed), table_name(feed.name)
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
    name, whole = change.column, table_name(table.name)
    assert name is not None  # noqa: S101  # the key has no type
    unfit = unfit_values(connection, name, change.before, change.after)
    aside = f"jsonb_build_object('{name}', \"{name}\"::text)"
    forget = ", ".join(f"{one} = NULL" for one in HASH)
    made = f'{converter(connection, change.after)}("{name}"::text)'
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
        connection.exec_driver_sql(f"DROP VIEW IF EXISTS {table_name(view)}")
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
            connection.exec_driver_sql(f'ALTER INDEX {table_name(name)} RENAME TO "{new}"')
        new = f"{table.name}_before_{number}"
        connection.exec_driver_sql(f'ALTER TABLE {table_name(table.name)} RENAME TO "{new}"')
