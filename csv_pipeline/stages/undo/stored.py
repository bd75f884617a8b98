"""Put deleted rows beside the stored ones while an undo moves versions of both.

A row that a snapshot deleted is not in the table; its tombstone in the history is the last of its
versions. An undo that may concern such rows works on a temporary table of the rows it touches, in
which tombstones are rows, and then brings the table of the feed in line with that.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from csv_pipeline.spec.feed import Feed
from csv_pipeline.storage.database import affected
from csv_pipeline.storage.targets import (
    DELETED,
    history_table,
    is_tombstone,
    key_columns,
    target_table,
)


class StoredRows:
    """The stored and the deleted rows of an account that an undo touches."""

    def __init__(self, connection: sa.Connection, feed: Feed, account: str) -> None:
        self._connection, self._account = connection, account
        self._target, self._history = target_table(feed), history_table(feed)
        self._key = key_columns(feed)
        self._names = [column.name for column in self._target.columns]
        kinds = {column.name: column.type for column in self._target.columns}
        self._touched = _temporary("touched", {name: kinds[name] for name in self._key})
        self.table = _temporary("stored", kinds | {DELETED: sa.Boolean()})

    def take(self, touched: sa.SelectBase) -> None:
        """Fill the table with the rows whose keys a query gives; tombstones leave the history."""
        key = ", ".join(f'"{name}"' for name in self._key)
        for table, columns in ((self._touched, key), (self.table, f"account, {key}")):
            table.create(self._connection)
            self._connection.execute(sa.text(f"CREATE INDEX ON {table.name} ({columns})"))
        self._run(sa.insert(self._touched).from_select(list(self._key), touched))
        self._connection.execute(sa.text("ANALYZE touched"))
        rows = sa.select(*(self._target.c[name] for name in self._names))
        stored = rows.where(*self._are_touched(self._target))
        self._run(sa.insert(self.table).from_select(self._names, stored))
        deleted = (*self._are_touched(self._history), is_tombstone(self._history))
        names = [*self._names, DELETED]
        tombstones = sa.select(*(self._history.c[name] for name in names)).where(*deleted)
        self._run(sa.insert(self.table).from_select(names, tombstones))
        self._run(sa.delete(self._history).where(*deleted))
        self._connection.execute(sa.text("ANALYZE stored"))

    def put_back(self) -> int:
        """Bring the feed's table in line, and return how many rows more it has."""
        stored, target = self.table, self._target
        is_deleted = stored.c[DELETED].is_(sa.true())
        names = [*self._names, DELETED]
        tombstones = sa.select(sa.literal(0), *(stored.c[name] for name in names))
        into = ["_replaced_by_import_id", *names]
        self._run(sa.insert(self._history).from_select(into, tombstones.where(is_deleted)))
        self._run(sa.delete(stored).where(is_deleted))
        has_row = sa.exists().where(*self._same_key(stored, target))
        removed = self._run(sa.delete(target).where(*self._are_touched(target), ~has_row))
        self._run(
            sa.update(target)
            .values({name: stored.c[name] for name in self._names})
            .where(
                *self._same_key(target, stored),
                target.c.account == self._account,
                target.c._import_id != stored.c._import_id,
            )
        )
        is_there = sa.exists().where(
            *self._same_key(target, stored), target.c.account == self._account
        )
        rows = sa.select(*(stored.c[name] for name in self._names)).where(~is_there)
        return self._run(sa.insert(target).from_select(self._names, rows)) - removed

    def _are_touched(self, rows: sa.FromClause) -> Sequence[sa.ColumnElement[bool]]:
        return (rows.c.account == self._account, *self._same_key(rows, self._touched))

    def _same_key(
        self, rows: sa.FromClause, others: sa.FromClause
    ) -> Sequence[sa.ColumnElement[bool]]:
        return [rows.c[name] == others.c[name] for name in self._key]

    def _run(self, statement: sa.Insert | sa.Update | sa.Delete) -> int:
        return affected(self._connection, statement)


def _temporary(name: str, kinds: dict[str, sa.types.TypeEngine[object]]) -> sa.Table:
    columns = (sa.Column(column, kind) for column, kind in kinds.items())
    return sa.Table(
        name, sa.MetaData(), *columns, prefixes=["TEMPORARY"], postgresql_on_commit="DROP"
    )
