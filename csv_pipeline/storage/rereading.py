"""Read stored texts of a feed again, so that its rows are known by what its files give by now.

Of each column every distinct text is read once. What differs is in a temporary table, by which the
rows, their history and what the ledger knows them by are written anew in one transaction.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from psycopg import Connection as PsycopgConnection

from csv_pipeline.errors import SetupError
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.kinds import Kind
from csv_pipeline.spec.readings import KIND, ChangedReading, Reading, Readings, readings_of
from csv_pipeline.spec.row_hash import HASH
from csv_pipeline.storage import order, readings, tables, targets
from csv_pipeline.storage.differences import NUMBERS, Change, count, is_protected, table_name
from csv_pipeline.storage.targets import history_table, target_table

Reader = Callable[[Sequence[str]], Sequence[str | None]]
"""Gives for stored texts what their cells are by another reading; None: that is not known."""

Reread = Callable[[str, Reading, Reading], Reader | None]
"""Gives a reader of a column, by how it was read and is read; None if no text tells the cell."""

_EXAMPLES = 3
ASIDE = "--set-aside, if only rows of the history have such keys: it is put away then"


@dataclass(frozen=True, slots=True)
class Unfit:
    """How many distinct texts, or keys, cannot be read again, and the first of them."""

    count: int = 0
    examples: tuple[str, ...] = ()


class Rereading:
    """The columns of a feed whose stored texts are read again."""

    def __init__(
        self, connection: sa.Connection, feed: Feed, readers: Mapping[str, Reader]
    ) -> None:
        self._connection, self._feed = connection, feed
        self._maps = {name: _map(at) for at, name in enumerate(readers)}
        for name, reader in readers.items():
            self._fill(name, reader)

    def unknown(self, column: str) -> Unfit:
        """Return which texts of a column are no value by the other reading."""
        its = self._maps[column]
        query = sa.select(its.c.stored).where(its.c.now.is_(None)).order_by(its.c.stored)
        found = self._connection.scalars(query).all()
        return Unfit(len(found), tuple(map(repr, found[:_EXAMPLES])))

    def collisions(self) -> Unfit:
        """Return which keys would be one, of rows that are stored or were: both and the account."""
        key = targets.stored_key(self._connection, target_table(self._feed))
        if not set(key) & set(self._maps):
            return Unfit()
        every = sa.union(
            *(
                sa.select(
                    sa.func.concat_ws(", ", *(its.c[name] for name in key[1:])).label("stored"),
                    its.c.account,
                    sa.func.jsonb_build_array(*(self._now(its)[n] for n in key[1:])).label("now"),
                ).select_from(self._joined(its))
                for its in (target_table(self._feed), history_table(self._feed))
            )
        ).subquery()
        both = sa.func.array_agg(sa.distinct(every.c.stored))
        query = (
            sa.select(every.c.account, both.label("stored"))
            .group_by(every.c.account, every.c.now)
            .having(sa.func.count(sa.distinct(every.c.stored)) > 1)
            .order_by(every.c.account, both)
        )
        found = self._connection.execute(query).all()
        shown = (f"{' and '.join(map(repr, row.stored))} of {row.account}" for row in found)
        return Unfit(len(found), tuple(list(shown)[:_EXAMPLES]))

    def write(self) -> None:
        """Give rows and their history the texts read again, and forget their hashes."""
        if not self._maps:
            return
        self._know_again()
        feed, whole = self._feed, f'data."{self._feed.name}"'
        key = targets.stored_key(self._connection, target_table(feed))
        dropped = set(key) & set(self._maps)
        if dropped:  # no row is in another's way while they are written
            self._connection.exec_driver_sql(
                f'ALTER TABLE {whole} DROP CONSTRAINT "{feed.name}_key"'
            )
        for table in (target_table(feed), history_table(feed)):
            self._write(table)
        if dropped:
            names = ", ".join(f'"{name}"' for name in key)
            self._connection.exec_driver_sql(
                f'ALTER TABLE {whole} ADD CONSTRAINT "{feed.name}_key" PRIMARY KEY ({names})'
            )

    def _fill(self, name: str, reader: Reader) -> None:
        its = self._maps[name]
        its.create(self._connection)
        both = (target_table(self._feed), history_table(self._feed))
        values = sa.union(*(sa.select(table.c[name]) for table in both))
        stored = [text for text in self._connection.scalars(values) if text is not None]
        raw = self._connection.connection.driver_connection
        assert isinstance(raw, PsycopgConnection)  # noqa: S101  # the one driver
        with raw.cursor() as cursor, cursor.copy(f"COPY {its.name} FROM STDIN") as copy:
            for text, now in zip(stored, reader(stored), strict=True):
                if text != now:
                    copy.write_row((text, now))

    def _joined(self, rows: sa.Table) -> sa.FromClause:
        joined: sa.FromClause = rows
        for name, its in self._maps.items():
            joined = joined.outerjoin(its, its.c.stored == rows.c[name])
        return joined

    def _now(self, rows: sa.Table) -> Mapping[str, sa.ColumnElement[object]]:
        """Return what the columns of rows hold by the other reading."""
        return {
            column.name: sa.func.coalesce(self._maps[column.name].c.now, column)
            if column.name in self._maps
            else column
            for column in rows.c
        }

    def _write(self, table: sa.Table) -> None:
        for name, its in self._maps.items():
            values = {name: its.c.now, **dict.fromkeys(HASH)}
            self._connection.execute(
                sa.update(table).where(table.c[name] == its.c.stored).values(values)
            )

    def _know_again(self) -> None:
        """Let the ledger know rows that were found unchanged, and scopes, by their new values."""
        rows, snapshot = target_table(self._feed), self._feed.snapshot
        key = targets.stored_key(self._connection, rows)[1:]
        both = (dict(rows.c), self._now(rows))
        if not set(key) <= both[0].keys():  # its rows get another key, and are known anew
            return
        self._move(
            tables.confirmed_row, "key", *(order.key_of(*(of[n] for n in key)) for of in both)
        )
        if snapshot is not None and snapshot.scope:
            scopes = (order.scope_of({n: of[n] for n in snapshot.scope}) for of in both)
            self._move(tables.snapshot_scope, "scope", *scopes)

    def _move(
        self,
        table: sa.Table,
        name: str,
        before: sa.ColumnElement[bytes],
        now: sa.ColumnElement[bytes],
    ) -> None:
        """Give a digest that the ledger has of rows another value."""
        rows = target_table(self._feed)
        its = sa.select(rows.c.account, before.label("before"), now.label("now"))
        moved = its.select_from(self._joined(rows)).where(before != now).distinct().subquery()
        same = (table.c.account == moved.c.account, table.c[name] == moved.c.before)
        change = sa.update(table).where(table.c.feed == self._feed.name, *same)
        self._connection.execute(change.values({name: moved.c.now}))


def _map(number: int) -> sa.Table:
    return sa.Table(
        f"reread_{number}",
        sa.MetaData(),
        sa.Column("stored", sa.Text(collation="C"), primary_key=True),
        sa.Column("now", sa.Text(collation="C")),
        prefixes=["TEMPORARY"],
        postgresql_on_commit="DROP",
    )


def other_readings(
    connection: sa.Connection, feed: Feed, reread: Reread, accepted: Collection[str]
) -> tuple[list[Change], Rereading]:
    """Return the columns whose reading differs, and those of them that can be read again."""
    before, now = readings.stored(connection, feed), readings_of(feed)
    changed = before.changed(feed, now) if before else []
    stored = targets.stored_types(connection, target_table(feed))
    changed = [one for one in changed if not _of_type(feed, one, before, stored)]
    key = targets.stored_key(connection, target_table(feed))
    left_out = not set(key) <= set(target_table(feed).columns.keys())
    readers = {
        one.column: reader
        for one in changed
        if before and one.identifies and one.column not in accepted
        if feed.key and stored.get(one.column) == "text" and not (left_out and one.column in key)
        if (reader := reread(one.column, before.columns[one.column], now.columns[one.column]))
    }
    rereading = Rereading(connection, feed, readers)
    collisions = rereading.collisions()
    found = []
    for one in changed:
        there = f'"{one.column}" IS NOT NULL' if one.column in stored else "true"
        both = (target_table(feed), history_table(feed))
        rows = sum(count(connection, table_name(table.name), there) for table in both)
        unfit = Unfit(rows if one.identifies else 0)
        if one.column in readers:
            unfit = rereading.unknown(one.column)
            unfit = unfit if unfit.count else collisions
        found.append(
            Change(
                column=one.column,
                before=one.before,
                after=one.now,
                rows=rows,
                unfit=unfit.count,
                examples=() if is_protected(feed, {one.column, *feed.key}) else unfit.examples,
                reading=True,
                identifies=one.identifies,
                read_again=one.column in readers,
            )
        )
    return found, rereading


def _of_type(
    feed: Feed, changed: ChangedReading, before: Readings | None, stored: Mapping[str, str]
) -> bool:
    """Return whether a column has another type, by which its values are what its cells would be.

    So they are of a text, or of one number for another; a text of `1.50` may have been `1.5`.
    """
    name, columns = changed.column, target_table(feed).columns
    if name not in columns or stored.get(name) == targets.type_name(columns[name]):
        return False
    was = before.columns[name].facts[KIND] if before else None
    numbers = stored[name].startswith(NUMBERS)
    numbers = numbers and targets.type_name(columns[name]).startswith(NUMBERS)
    return not changed.identifies or was in {Kind.TEXT, Kind.CHOICE} or numbers


def hold_readings(feed: Feed, changes: list[Change], accepted: Collection[str]) -> None:
    """Refuse to keep rows that are known by what their cells are no more.

    Raises:
        SetupError: It is not accepted of a column; or something is accepted of another one.
    """
    if unknown := sorted(set(accepted) - {str(one.column) for one in changes}):
        raise SetupError(
            f"feed {feed.name!r}: columns that are read in another way were needed for "
            f"--accept-reading; {', '.join(unknown)} is none"
        )
    for one in changes:
        if not one.unfit or one.column in accepted:
            continue
        found = "what is stored does not tell what the cells were"
        if one.read_again:
            shown = f": {'; '.join(one.examples)}" if one.examples else ""
            found = f"{one.unfit:,} of the stored keys or values cannot be{shown}"
        raise SetupError(
            f"feed {feed.name!r}, {one.column}: rows that can be read again were needed, by "
            f"{one.after} in the place of {one.before}; {found}: `csv-pipeline feeds apply "
            f"{feed.name}` takes --fresh, or --accept-reading {one.column}, by which rows that "
            f"come again may be stored a second time, or {ASIDE}"
        )


def note_readings(connection: sa.Connection, feed: Feed, changes: list[Change], by: str) -> None:
    """Keep what was decided of changed readings, and by whom."""
    facts = [
        {
            "feed": feed.name,
            "column_name": one.column,
            "before": one.before,
            "now": one.after,
            "read_again": one.read_again,
            "decided_by": by,
        }
        for one in changes
    ]
    connection.execute(sa.insert(tables.reading_change), facts)
