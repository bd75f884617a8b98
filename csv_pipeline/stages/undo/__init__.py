"""Take back what one import wrote, or bring back what an undo took, in the caller's transaction.

An import touches a key once, so that key and `_import_id` name one version of a row. The versions
of a key are a chain: the stored row, beneath it in the history the one that its import replaced,
and so on down. Only imports that are not undone have a link in it. An undo takes the versions of
its import out of their chains, wherever they lie, and keeps them in the history under its own
number; when it is undone they go back to their place, which is by the turn in which imports were
stored. All versions of a chain have one `_created_import_id`; what is left of a row that somebody
deleted has another.

A row that a snapshot deleted has a tombstone as its last version. Of a feed of snapshots the stored
rows and the tombstones are one table meanwhile, see `csv_pipeline.stages.undo.stored`.

What an import of few rows wrote is found by the indexes of `csv_pipeline.storage.targets`, however
large the tables are, and followed row by row. A larger one reads the tables.
"""

from collections import Counter
from collections.abc import Callable, Sequence

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on

from csv_pipeline.errors import AccountingError
from csv_pipeline.model import ImportReport, Outcome, Undo
from csv_pipeline.spec.feed import Feed
from csv_pipeline.stages.undo.stored import StoredRows
from csv_pipeline.storage import tables
from csv_pipeline.storage.database import affected
from csv_pipeline.storage.targets import (
    DELETED,
    FEW_ROWS,
    history_table,
    is_indexed,
    key_columns,
    target_table,
)

_Condition = sa.ColumnElement[bool]


class Versions:
    """The stored rows of one account and feed, and their earlier versions."""

    def __init__(self, connection: sa.Connection, feed: Feed, account: str) -> None:
        self._connection, self._account = connection, account
        self._target, self._history = target_table(feed), history_table(feed)
        self._key = key_columns(feed)
        self._columns = [column.name for column in self._target.columns]
        self._few = False
        self._stored = StoredRows(connection, feed, account) if feed.snapshot else None

    def undo(self, subject: ImportReport, by: int) -> Undo:
        """Take back the rows that an import inserted or updated.

        Rows that a later import changed stay as they are; undoing that one passes over this one.

        Raises:
            AccountingError: A row of the import is neither as it left it, nor changed, nor gone.
        """
        import_id = subject.import_id
        # Rows of a file without a header were once numbered from 2.
        few = max(subject.lines.total, subject.counts.missing) < FEW_ROWS
        self._few = few and subject.lines.total > 0 and self._has_all_history(import_id)
        self._plan()
        self._take(lambda rows: self._is_of(rows, import_id), self._target, self._history)
        kept = self._kept(import_id)
        self._link_out(import_id, by)
        saved = self._save(import_id, by)
        restored = self._restore(import_id)
        deleted = self._delete(import_id)
        self._hold_to(import_id, saved, deleted + restored)
        self._forget(import_id)
        gone = self._gone(subject, saved, kept)
        return Undo(
            import_id=import_id,
            deleted=deleted,
            restored=restored,
            kept=kept,
            gone=gone,
            revived=self._put_back(-deleted),
        )

    def redo(self, subject: ImportReport, undone_by: int) -> Undo:
        """Bring back what the undo `undone_by` took from an import.

        Rows that a later import wrote stay as they are, and those of the import lie beneath them.

        Raises:
            AccountingError: A row that the undo took can neither be brought back nor be left.
        """
        import_id = subject.import_id
        self._plan()
        self._take(lambda rows: rows.c._replaced_by_import_id == undone_by, self._history)
        self._leave_deleted(undone_by)
        self._link_in(import_id, undone_by)
        restored = self._put_on_top(import_id, undone_by)
        inserted = self._insert(undone_by)
        self._hold_to(import_id, self._forget(undone_by), inserted + restored)
        kept = self._kept(import_id)
        return Undo(
            import_id=import_id,
            redone=True,
            inserted=inserted,
            restored=restored,
            kept=kept,
            gone=self._gone(subject, inserted + restored, kept),
            revived=self._put_back(inserted),
        )

    def _take(self, concerned: Callable[[sa.FromClause], _Condition], *tables_: sa.Table) -> None:
        """Work on the rows that have a version concerned, with those that are deleted."""
        if self._stored is not None:
            keys = (
                sa.select(*(table.c[name] for name in self._key)).where(
                    self._in(table), concerned(table)
                )
                for table in tables_
            )
            self._stored.take(sa.union(*keys))
            self._target = self._stored.table
            self._columns.append(DELETED)

    def _put_back(self, added: int) -> int:
        """Store the rows as they are now, and return how many are stored besides those `added`."""
        return 0 if self._stored is None else self._stored.put_back() - added

    def _plan(self) -> None:
        """Let the server follow few rows by their indexes, and join many.

        Of versions written just now it expects one: it would loop over all of them for each.
        """
        off = ("seqscan", "hashjoin", "mergejoin") if self._few else ("nestloop",)
        settings = (sa.func.set_config(f"enable_{name}", "off", True) for name in off)
        self._connection.execute(sa.select(*settings))

    def _has_all_history(self, import_id: int) -> bool:
        """Return whether no import stored since has lost the history of what it changed."""
        import_, dropped = tables.import_, tables.import_.alias("dropped")
        last = sa.select(sa.func.max(dropped.c.turn)).where(
            dropped.c.account == self._account,
            dropped.c.feed == self._target.name,
            dropped.c.history_pruned_at.is_not(None),
        )
        older = import_.c.turn < last.scalar_subquery()
        return not self._connection.scalar(sa.select(older).where(import_.c.import_id == import_id))

    def _kept(self, import_id: int) -> Counter[int]:
        """Return how many of an import's rows a later one changed, by the import they are of now.

        Of rows that the import made, the stored row tells that; where history is dropped, only it.
        """
        target, history = self._target, self._history
        rows = sa.select(target.c._import_id, sa.func.count()).group_by(target.c._import_id)
        changed = rows.where(*self._linked(target, history), self._is_of(history, import_id))
        if self._few:
            return self._counted(changed)
        made = rows.where(
            self._in(target),
            target.c._created_import_id == import_id,
            target.c._import_id != import_id,
        )
        others = changed.where(history.c._created_import_id != import_id)
        return self._counted(made) + self._counted(others)

    def _link_out(self, import_id: int, by: int) -> None:
        """Take the versions of an import that lie beneath others out of their chains."""
        target, history = self._target, self._history
        taken = history.alias("taken")
        beneath = (*self._linked(target, history), self._is_of(history, import_id))
        self._run(
            sa.update(history)
            .values(_replaced_by_import_id=by, _left_import_id=history.c._replaced_by_import_id)
            .where(*beneath)
        )
        self._run(
            sa.update(history)
            .values(_replaced_by_import_id=taken.c._left_import_id)
            .where(
                *self._same_key(history, taken),
                history.c._replaced_by_import_id == import_id,
                taken.c._replaced_by_import_id == by,
            )
        )

    def _save(self, import_id: int, by: int) -> int:
        """Copy the stored versions of an import into the history of its undo.

        `_left_import_id` says what lies beneath: that version will be left.
        """
        target, before, names = self._target, self._history, self._columns
        under = sa.and_(
            *self._same_key(target, before), before.c._replaced_by_import_id == import_id
        )
        rows = (
            sa.select(sa.literal(by), before.c._import_id, *(target.c[name] for name in names))
            .select_from(target.outerjoin(before, under))
            .where(self._in(target), self._is_of(target, import_id))
        )
        into = ["_replaced_by_import_id", "_left_import_id", *names]
        return self._run(sa.insert(self._history).from_select(into, rows))

    def _restore(self, import_id: int) -> int:
        """Put the versions beneath an import's in their place."""
        target, before = self._target, self._history
        return self._run(
            sa.update(target)
            .values({name: before.c[name] for name in self._columns})
            .where(
                *self._same_key(target, before),
                before.c._replaced_by_import_id == import_id,
                self._is_in_effect(before.c._import_id),
                self._is_of(target, import_id),
            )
        )

    def _delete(self, import_id: int) -> int:
        """Delete rows that no other import wrote; a row that another one made is to be restored."""
        target = self._target
        made_by = target.c._created_import_id
        return self._run(
            sa.delete(target).where(
                self._in(target),
                self._is_of(target, import_id),
                (made_by == import_id) | ~self._is_in_effect(made_by),
            )
        )

    def _leave_deleted(self, undone_by: int) -> None:
        """Forget versions of rows deleted while an import that wrote them was not undone."""
        target, taken = self._target, self._history
        self._run(
            sa.delete(taken).where(
                self._in(taken),
                taken.c._replaced_by_import_id == undone_by,
                self._is_in_effect(taken.c._left_import_id),
                ~sa.exists().where(*self._same_key(target, taken)),
            )
        )

    def _link_in(self, import_id: int, undone_by: int) -> None:
        """Put versions that an undo took beneath those of the imports stored after theirs."""
        history, taken = self._history, self._history.alias("taken")
        above = self._above(import_id, undone_by)
        self._run(
            sa.update(history)
            .values(
                _replaced_by_import_id=above.c._import_id,
                _created_import_id=above.c._created_import_id,
                _left_import_id=None,
            )
            .where(
                self._in(history),
                history.c._replaced_by_import_id == undone_by,
                *(history.c[name] == above.c[name] for name in self._key),
            )
        )
        self._run(
            sa.update(history)
            .values(_replaced_by_import_id=import_id)
            .where(
                *self._same_key(history, taken),
                history.c._replaced_by_import_id == taken.c._replaced_by_import_id,
                history.c._import_id != import_id,
                taken.c._import_id == import_id,
                self._is_in_effect(taken.c._replaced_by_import_id),
            )
        )

    def _above(self, import_id: int, undone_by: int) -> sa.Subquery:
        """Return of each key that an undo took the lowest version stored after the import's."""
        target, history, import_ = self._target, self._history, tables.import_
        taken = history.alias("taken")
        stored = sa.and_(
            *self._same_key(target, taken), taken.c._replaced_by_import_id == undone_by
        )
        key = [target.c[name] for name in self._key]
        life = target.c._created_import_id
        members = sa.union_all(
            sa.select(*key, life, target.c._import_id).where(stored),
            sa.select(*key, life, history.c._import_id).where(
                stored, *self._linked(target, history)
            ),
        ).subquery("members")
        turn = sa.select(import_.c.turn).where(import_.c.import_id == import_id)
        names = [members.c[name] for name in self._key]
        return (
            sa.select(members)
            .ext(distinct_on(*names))
            .join(import_, import_.c.import_id == members.c._import_id)
            .where(import_.c.turn > turn.scalar_subquery())
            .order_by(*names, import_.c.turn)
            .subquery("above")
        )

    def _put_on_top(self, import_id: int, undone_by: int) -> int:
        """Store versions that an undo took over the present ones, which lie beneath them then."""
        target, taken, names = self._target, self._history, self._columns
        stored = (*self._same_key(target, taken), taken.c._replaced_by_import_id == undone_by)
        present = sa.select(sa.literal(import_id), *(target.c[name] for name in names))
        into = ["_replaced_by_import_id", *names]
        self._run(sa.insert(self._history).from_select(into, present.where(*stored)))
        values = {name: taken.c[name] for name in names if name != "_created_import_id"}
        return self._run(sa.update(target).values(values).where(*stored))

    def _insert(self, undone_by: int) -> int:
        """Insert versions that an undo took of rows that are not stored now, as made anew."""
        target, taken, names = self._target, self._history, self._columns
        made = {name: taken.c[name] for name in names} | {"_created_import_id": taken.c._import_id}
        rows = sa.select(*made.values()).where(
            self._in(taken),
            taken.c._replaced_by_import_id == undone_by,
            ~sa.exists().where(*self._same_key(target, taken)),
        )
        return self._run(sa.insert(target).from_select(list(made), rows))

    def _forget(self, replaced_by: int) -> int:
        """Delete the history of an import or undo that has been used up."""
        history = self._history
        return self._run(
            sa.delete(history).where(
                self._in(history), history.c._replaced_by_import_id == replaced_by
            )
        )

    def _linked(self, target: sa.FromClause, history: sa.FromClause) -> Sequence[_Condition]:
        """Return the conditions for versions in the chain beneath stored rows."""
        return (
            *self._same_key(target, history),
            self._is_in_effect(history.c._replaced_by_import_id),
            history.c._created_import_id == target.c._created_import_id,
        )

    def _is_in_effect(self, import_id: sa.ColumnElement[int]) -> _Condition:
        """Return whether an import is not undone."""
        import_ = tables.import_
        return sa.exists().where(
            import_.c.import_id == import_id,
            import_.c.outcome == Outcome.IMPORTED,
            import_.c.undone_by_import_id.is_(None),
        )

    def _is_of(self, table: sa.FromClause, import_id: int) -> _Condition:
        """Return whether an import wrote a version."""
        own = table.c._import_id == import_id
        return own & is_indexed(table) if self._few else own

    def _same_key(self, rows: sa.FromClause, others: sa.FromClause) -> Sequence[_Condition]:
        same = (rows.c[name] == others.c[name] for name in self._key)
        return (self._in(rows), self._in(others), *same)

    def _in(self, table: sa.FromClause) -> _Condition:
        return table.c.account == self._account

    def _counted(self, query: sa.Select[int, int]) -> Counter[int]:
        return Counter({row[0]: row[1] for row in self._connection.execute(query)})

    def _gone(self, subject: ImportReport, reversed_: int, kept: Counter[int]) -> int:
        """Return how many rows are neither; somebody deleted these."""
        written = subject.counts.inserted + subject.counts.updated + subject.counts.missing
        gone = written - reversed_ - kept.total()
        if gone < 0:
            raise AccountingError(
                f"import {subject.import_id}: {written:,} rows that it wrote were to be reversed, "
                f"kept or gone; {reversed_:,} were reversed and {kept.total():,} kept"
            )
        return gone

    def _hold_to(self, import_id: int, needed: int, found: int) -> None:
        if needed != found:
            raise AccountingError(
                f"import {import_id}: {needed:,} rows of it were to be deleted, inserted or have "
                f"their values restored; {found:,} could be, so nothing was"
            )

    def _run(self, statement: sa.Insert | sa.Update | sa.Delete) -> int:
        return affected(self._connection, statement)
