"""Take back what one import wrote, or bring back what an undo took, in the caller's transaction.

Every import touches a key once, so that key and `_import_id` name one version of a row. An undo
moves the versions of its import into the history, under its own number; in their place it leaves
the versions before them, and in `_left_import_id` which those were. So the undo can be undone.
"""

from collections import Counter

import sqlalchemy as sa

from csv_pipeline.errors import AccountingError
from csv_pipeline.model import Feed, Undo
from csv_pipeline.storage import tables
from csv_pipeline.storage.database import affected
from csv_pipeline.storage.targets import history_table, key_columns, target_table


class Versions:
    """The stored rows of one account and feed, and their earlier versions."""

    def __init__(self, connection: sa.Connection, feed: Feed, account: str) -> None:
        self._connection, self._account = connection, account
        self._target, self._history = target_table(feed), history_table(feed)
        self._key = key_columns(feed)
        self._columns = [column.name for column in self._target.columns]

    def undo(self, import_id: int, written: int, by: int) -> Undo:
        """Take back the rows that an import inserted or updated, `written` in all.

        Rows that a later import changed stay as they are.

        Raises:
            AccountingError: A row of the import is neither as it left it, nor changed, nor gone.
        """
        mine = self._target.c._import_id == import_id
        saved = self._save(import_id, by)
        kept = self._changed_since(import_id)
        deleted = self._delete(import_id, mine)
        restored = self._restore(import_id, mine)
        if deleted + restored != saved:
            raise AccountingError(
                f"import {import_id}: {saved:,} rows of it to take back were needed; "
                f"{deleted:,} could be deleted and {restored:,} restored, so nothing was"
            )
        deleted_too = self._pass_over_undone(by)
        self._note_what_is_left(by)
        return Undo(
            import_id=import_id,
            deleted=deleted + deleted_too,
            restored=restored - deleted_too,
            kept=kept,
            gone=written - saved - sum(kept.values()),
        )

    def redo(self, import_id: int, written: int, undone_by: int) -> Undo:
        """Bring back what the undo `undone_by` took from an import, which wrote `written` rows."""
        target, history = self._target, self._history
        taken = (history.c._replaced_by_import_id == undone_by) & self._in(history)
        stored = sa.exists().where(*self._same_key())
        names = self._columns
        restored = self._run(
            sa.update(target)
            .values({name: history.c[name] for name in names})
            .where(*self._same_key(), taken, target.c._import_id == history.c._left_import_id)
        )
        rows = sa.select(*(history.c[name] for name in names)).where(
            taken, history.c._left_import_id.is_(None), ~stored
        )
        inserted = self._run(sa.insert(target).from_select(names, rows))
        kept = self._changed_since(import_id) + self._by_import(
            taken & history.c._left_import_id.is_(None), target.c._import_id != import_id
        )
        mine = self._in(target) & (target.c._import_id == import_id)
        standing = self._count(sa.select(sa.func.count()).select_from(target).where(mine))
        return Undo(
            import_id=import_id,
            redone=True,
            inserted=inserted,
            restored=restored,
            kept=kept,
            gone=written - standing - sum(kept.values()),
        )

    def _save(self, import_id: int, by: int) -> int:
        """Copy the versions of an import into the history of its undo."""
        target, names = self._target, self._columns
        rows = sa.select(sa.literal(by), *(target.c[name] for name in names)).where(
            self._in(target), target.c._import_id == import_id
        )
        return self._run(
            sa.insert(self._history).from_select(["_replaced_by_import_id", *names], rows)
        )

    def _changed_since(self, import_id: int) -> Counter[int]:
        """Return how many of an import's rows a later one changed, by import."""
        target, history = self._target, self._history
        others = target.c._import_id != import_id
        before = (history.c._replaced_by_import_id == import_id) & self._in(history)
        changed = self._by_import(before, others)
        made = (
            sa.select(target.c._import_id, sa.func.count())
            .where(self._in(target), target.c._created_import_id == import_id, others)
            .group_by(target.c._import_id)
        )
        return changed + self._counted(made)

    def _delete(self, import_id: int, *which: sa.ColumnElement[bool]) -> int:
        target = self._target
        return self._run(
            sa.delete(target).where(
                self._in(target), target.c._created_import_id == import_id, *which
            )
        )

    def _restore(self, import_id: int, *which: sa.ColumnElement[bool]) -> int:
        """Put the versions before an import's in their place."""
        target, history = self._target, self._history
        return self._run(
            sa.update(target)
            .values({name: history.c[name] for name in self._columns})
            .where(
                *self._same_key(),
                history.c._replaced_by_import_id == import_id,
                target.c._created_import_id != import_id,
                *which,
            )
        )

    def _pass_over_undone(self, by: int) -> int:
        """Go further back where the version before is one of an import that is undone itself.

        Returns how many rows went because there is none before those.
        """
        target, undo, import_ = self._target, self._history.alias("undo"), tables.import_
        taken = sa.exists().where(
            undo.c._replaced_by_import_id == by, *self._same_key(undo), self._in(undo)
        )
        deleted = 0
        while True:
            undone = (
                sa.select(target.c._import_id)
                .distinct()
                .join(import_, import_.c.import_id == target.c._import_id)
                .where(
                    self._in(target),
                    taken,
                    import_.c.undone_by_import_id.is_not(None),
                )
            )
            gone = back = 0
            for import_id in list(self._connection.scalars(undone)):
                theirs = target.c._import_id == import_id
                gone += self._delete(import_id, theirs, taken)
                back += self._restore(import_id, theirs, taken)
            deleted += gone
            if not gone + back:
                return deleted

    def _note_what_is_left(self, by: int) -> None:
        target, history = self._target, self._history
        self._run(
            sa.update(history)
            .values(_left_import_id=target.c._import_id)
            .where(history.c._replaced_by_import_id == by, *self._same_key())
        )

    def _by_import(
        self, versions: sa.ColumnElement[bool], which: sa.ColumnElement[bool]
    ) -> Counter[int]:
        """Return how many stored rows have the keys of some versions, by the import they are of."""
        target = self._target
        query = (
            sa.select(target.c._import_id, sa.func.count())
            .where(*self._same_key(), versions, which)
            .group_by(target.c._import_id)
        )
        return self._counted(query)

    def _counted(self, query: sa.Select[int, int]) -> Counter[int]:
        return Counter({row[0]: row[1] for row in self._connection.execute(query)})

    def _same_key(
        self, versions: sa.FromClause | None = None
    ) -> tuple[sa.ColumnElement[bool], ...]:
        versions = self._history if versions is None else versions
        same = (self._target.c[name] == versions.c[name] for name in self._key)
        return (self._in(self._target), self._in(versions), *same)

    def _in(self, table: sa.FromClause) -> sa.ColumnElement[bool]:
        return table.c.account == self._account

    def _run(self, statement: sa.Insert | sa.Update | sa.Delete) -> int:
        return affected(self._connection, statement)

    def _count(self, query: sa.Select[int]) -> int:
        return self._connection.scalar(query) or 0
