"""Move cells of `_extra` into a column that a feed has got since, where they are values of it.

A file that came before has such a cell under a heading of the column. Each distinct text of an
account is read once, by the column's cast and what the account declares; the versions in the
history are changed as the rows are, so that an undo finds both alike. What is no value stays in
`_extra`. So does the cell of a row that an import wrote which knew the column: what that left there
is newer.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import sqlalchemy as sa
from psycopg import Connection as PsycopgConnection
from sqlalchemy.dialects import postgresql as pg

from csv_pipeline.account import Account
from csv_pipeline.errors import AccountingError
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.names import EXTRA
from csv_pipeline.spec.readings import identifying
from csv_pipeline.spec.row_hash import HASH
from csv_pipeline.storage import accounts, readings, tables, targets
from csv_pipeline.storage.database import affected
from csv_pipeline.storage.differences import Change, is_protected
from csv_pipeline.storage.targets import history_table, target_table

ReadCells = Callable[[Account, str, Sequence[str]], Sequence[object | None]]
"""Gives for cells of a column what an import of the account would store; None: no value of it."""

_EXAMPLES = 3
_EMPTY = sa.literal({}, pg.JSONB)


@dataclass(frozen=True, slots=True)
class _Cells:
    """The cells with one name in `_extra`, the column that they are of, and what they are by it.

    `before` are names of the same column that go first where a row has cells of both. They are of
    the column for the `accounts` only: one may declare an alias that another does not.
    """

    column: str
    name: str
    before: tuple[str, ...]
    accounts: frozenset[str]
    read: sa.Table


class KnownCells:
    """The cells in `_extra` of a feed's rows, and of their history, that are of a column by now."""

    def __init__(self, connection: sa.Connection, feed: Feed, read: ReadCells) -> None:
        self._connection, self._feed = connection, feed
        both = (target_table(feed), history_table(feed))
        self._stored = {one: targets.stored_types(connection, one) for one in both}
        self._cells = [self._filled(cells, read) for cells in self._named()]

    def changes(self) -> list[Change]:
        """Return what would be moved, and what stays because it is no value of its column."""
        return [one for one in map(self._change, self._cells) if one.rows]

    def write(self, found: Sequence[Change]) -> None:
        """Move what was found; the columns must be there, and of their type.

        Raises:
            AccountingError: It is not as many cells as were found.
        """
        self._stored = {one: targets.stored_types(self._connection, one) for one in self._stored}
        moved = sum(chain.from_iterable(self._move(cells) for cells in reversed(self._cells)))
        needed = sum(one.rows - one.unfit for one in found)
        if moved != needed:
            raise AccountingError(
                f"feed {self._feed.name!r}: {needed:,} cells of {EXTRA} were to be moved into "
                f"their columns; {moved:,} could be, so nothing was"
            )

    def _named(self) -> Iterator[_Cells]:
        """Give the names in `_extra` that are of one column, by which no row is known."""
        if not all(self._stored.values()):
            return
        known_by = identifying(self._feed)
        found: dict[tuple[str, str, tuple[str, ...]], set[str]] = {}
        for account, columns in readings.columns_in_extra(self._connection, self._feed).items():
            every = list(chain.from_iterable(columns.values()))
            for column in columns.keys() - known_by:
                mine = [one for one in columns[column] if every.count(one) == 1]
                for at, one in enumerate(mine):
                    found.setdefault((column, one, tuple(mine[:at])), set()).add(account)
        order = [column.name for column in self._feed.columns]
        in_order = sorted(found.items(), key=lambda its: (order.index(its[0][0]), *its[0][1:]))
        for number, ((column, name, before), of) in enumerate(in_order):
            read = _read_table(number, self._feed, column)
            yield _Cells(column, name, before, frozenset(of), read)

    def _filled(self, cells: _Cells, read: ReadCells) -> _Cells:
        """Read each distinct text of each account once."""
        cells.read.create(self._connection)
        texts = sa.union(
            *(
                sa.select(rows.c.account, _cell(rows, cells.name).label("stored")).where(
                    rows.c.account.in_(cells.accounts), *self._are_of(rows, cells)
                )
                for rows in self._stored
            )
        )
        by_account: dict[str, list[str]] = {}
        for account, text in self._connection.execute(texts):
            by_account.setdefault(account, []).append(text)
        raw = self._connection.connection.driver_connection
        assert isinstance(raw, PsycopgConnection)  # noqa: S101  # the one driver
        for name, stored in by_account.items():
            account = accounts.named(self._connection, name, self._feed.name)
            values = read(account, cells.column, stored)
            with raw.cursor() as cursor, cursor.copy(f"COPY {cells.read.name} FROM STDIN") as copy:
                for text, value in zip(stored, values, strict=True):
                    copy.write_row((name, text, value))
        return cells

    def _change(self, cells: _Cells) -> Change:
        rows = unfit = 0
        examples: list[str] = []
        for table in self._stored:
            joined = (*self._are_of(table, cells), *_same(table, cells))
            fits = sa.and_(*self._fit(table, cells)).is_(sa.true())
            count = sa.func.count()
            query = sa.select(count, count.filter(~fits)).where(*joined)
            some, odd = self._connection.execute(query).one()
            rows, unfit = rows + some, unfit + odd
            shown = sa.select(cells.read.c.stored, table.c._row_number, table.c._import_id)
            order = (table.c._import_id, table.c._row_number)
            first = shown.where(*joined, ~fits).order_by(*order).limit(_EXAMPLES)
            examples += (
                f"{t!r} in row {n} of import {i}" for t, n, i in self._connection.execute(first)
            )
        hidden = is_protected(self._feed, {cells.column})
        return Change(
            column=cells.column,
            before=f"{EXTRA}, as {cells.name!r}",
            after=targets.type_name(target_table(self._feed).columns[cells.column]),
            rows=rows,
            unfit=unfit,
            examples=() if hidden else tuple(examples[:_EXAMPLES]),
            from_extra=True,
        )

    def _move(self, cells: _Cells) -> Iterator[int]:
        for table in self._stored:
            rest = table.c[EXTRA].op("-", return_type=pg.JSONB())(cells.name)
            left = sa.case((sa.func.jsonb_strip_nulls(rest) != _EMPTY, rest))
            values = {cells.column: cells.read.c.now, EXTRA: left, **dict.fromkeys(HASH)}
            yield affected(
                self._connection,
                sa.update(table)
                .values(values)
                .where(*self._are_of(table, cells), *_same(table, cells), *self._fit(table, cells)),
            )

    def _are_of(self, rows: sa.Table, cells: _Cells) -> tuple[sa.ColumnElement[bool], ...]:
        """Return whether a row has such a cell, by an import that did not know the column."""
        import_ = tables.import_
        columns = import_.c.report["facts"]["columns"]
        knew = sa.select(import_.c.import_id).where(
            import_.c.feed == self._feed.name, columns.has_key(cells.column)
        )
        return _cell(rows, cells.name).is_not(None), rows.c._import_id.not_in(knew)

    def _fit(self, rows: sa.Table, cells: _Cells) -> Iterator[sa.ColumnElement[bool]]:
        """Give what holds for a cell that is moved: it takes the place of no other value."""
        yield cells.read.c.now.is_not(None)
        yield from (_cell(rows, name).is_(None) for name in cells.before)
        if cells.column in self._stored[rows]:
            yield rows.c[cells.column].is_(None)


def _read_table(number: int, feed: Feed, column: str) -> sa.Table:
    return sa.Table(
        f"known_{number}",
        sa.MetaData(),
        sa.Column("account", sa.Text(collation="C")),
        sa.Column("stored", sa.Text(collation="C")),
        sa.Column("now", target_table(feed).columns[column].type),
        prefixes=["TEMPORARY"],
        postgresql_on_commit="DROP",
    )


def _cell(rows: sa.Table, name: str) -> sa.ColumnElement[str]:
    return rows.c[EXTRA].op("->>", return_type=sa.Text())(name)


def _same(rows: sa.Table, cells: _Cells) -> tuple[sa.ColumnElement[bool], ...]:
    return cells.read.c.account == rows.c.account, cells.read.c.stored == _cell(rows, cells.name)
