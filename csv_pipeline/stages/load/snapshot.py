"""Mark the stored rows of a snapshot's scope that are not in the file.

All keys of the file go into one table, and one anti-join finds the stored rows of the scope that
are not among them. They are changed as an update changes rows: what they were is in the history
under this import. A deleted row leaves a *tombstone* there, see `csv_pipeline.storage.targets`.

Nothing is marked if a key of the file cannot be read, because its row may be any, nor if a file
that arrived later is imported, because that says more.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import polars as pl
import sqlalchemy as sa

from csv_pipeline.batches import BatchWriter
from csv_pipeline.errors import MissingRefusedError, TooManyMissingError
from csv_pipeline.model import Counts, ReportWarning
from csv_pipeline.rejects.faults import MASK
from csv_pipeline.scope import Missing, ScopeCounts
from csv_pipeline.spec.feed import SHARE_FROM_ROWS
from csv_pipeline.spec.names import MISSING_SINCE
from csv_pipeline.spec.row_hash import HASH
from csv_pipeline.spec.snapshot import Snapshot
from csv_pipeline.stages.load.copying import copy
from csv_pipeline.stages.load.present import PresentKeys
from csv_pipeline.stages.load.resolution import Resolution
from csv_pipeline.stages.load.staged import check, temporary
from csv_pipeline.stages.load.writing import is_of_a_row
from csv_pipeline.storage import order, tables
from csv_pipeline.storage.database import affected
from csv_pipeline.storage.targets import DELETED

_MOST_SHOWN = 10
_SOME = 100_000
_ROW = "_row_number"


class SnapshotLoad:
    """What a snapshot does besides bringing rows: `begin` before they are written, `mark` after."""

    def __init__(
        self, connection: sa.Connection, resolution: Resolution, snapshot: Snapshot
    ) -> None:
        self._connection, self._resolution, self._snapshot = connection, resolution, snapshot
        self._target, self._history = resolution.target, resolution.history
        self._claim, self._incoming = resolution.claim, resolution.incoming
        self._key, self._columns = resolution.key, snapshot.scope
        self._keys = PresentKeys(resolution.incoming)
        self._before = 0

    def begin(self) -> None:
        """Bring the keys of the file, and count the rows of its scope that are stored."""
        names = dict.fromkeys((*self._key, *self._columns))
        for table in (self._present, self._absent, *((self._scope,) if self._columns else ())):
            table.create(self._connection)
        if self._incoming.any_stored or self._columns:
            copy(self._connection, self._present, [*names, _ROW], self._keys.frames(list(names)))
            self._connection.execute(sa.text("ANALYZE present"))
        if self._columns:
            values = sa.select(*(self._present.c[name] for name in self._columns)).distinct()
            known = values.where(self._present.c[_ROW].is_not(None))
            self._run(sa.insert(self._scope).from_select(list(self._columns), known))
            self._connection.execute(sa.text("ANALYZE scope"))
        self._before = self._count() if self._incoming.any_stored else 0

    def mark(
        self, counts: Counts, missing: BatchWriter
    ) -> tuple[ScopeCounts, tuple[ReportWarning, ...]]:
        """Flag or delete the rows of the scope that the file lacks, as far as that is known.

        `counts` are those of the rows written; `missing` gets the keys of the rows marked.

        Raises:
            TooManyMissingError: They are more than the feed, or a person, allows.
            MissingRefusedError: The table refuses it.
        """
        moved, left = self._moved() if counts.updated else (0, 0)
        absent = self._find_absent() if self._incoming.any_stored else 0
        unreadable = self._keys.unreadable() if self._snapshot.marks else 0
        marks = self._snapshot.marks and not unreadable and self._incoming.behind is None
        found = ScopeCounts(
            policy=self._snapshot.missing,
            columns=self._columns,
            before=self._before,
            entered=counts.inserted + moved,
            left=left,
            absent=absent,
            marks=marks,
            first_absent=self._first_absent() if absent and self._claim.dry_run else (),
        )
        if marks:
            self._hold_to_limits(found)
            self._note_scopes()
            if absent:
                self._write(absent)
                self._write_keys(missing)
        return replace(found, after=self._count()), self._warnings(found, unreadable)

    def _find_absent(self) -> int:
        """Look for the stored rows of the scope that are not in the file."""
        target, present = self._target, self._present
        in_file = sa.exists().where(*(present.c[name] == target.c[name] for name in self._key))
        keys = sa.select(*(target.c[name] for name in self._key))
        rows = keys.where(self._resolution.of_account(), self._is_live(target), ~in_file)
        query = rows.where(self._in_scope(target))
        absent = self._run(sa.insert(self._absent).from_select(list(self._key), query))
        if absent:  # or the server reads all that is stored for a few rows
            self._connection.execute(sa.text("ANALYZE absent"))
        return absent

    def _moved(self) -> tuple[int, int]:
        """Return how many of the rows updated came into the scope, and how many left it."""
        target, before = self._target, self._history
        is_in, was_in = (
            sa.and_(self._is_live(rows), self._in_scope(rows)) for rows in (target, before)
        )
        query = sa.select(
            sa.func.count().filter(is_in & ~was_in), sa.func.count().filter(was_in & ~is_in)
        ).where(
            self._resolution.of_account(),
            before.c.account == target.c.account,
            *(before.c[name] == target.c[name] for name in self._key),
            before.c._replaced_by_import_id == self._claim.import_id,
            before.c[DELETED].is_(None),  # what was deleted is inserted
        )
        moved, left = self._connection.execute(query).one()
        return moved, left

    def _hold_to_limits(self, found: ScopeCounts) -> None:
        rows, share = self._snapshot.max_missing_rows, self._snapshot.max_missing_share
        allowed = self._claim.max_missing
        judged = found.before >= SHARE_FROM_ROWS or 2 * found.absent >= found.before
        limit = None
        if allowed is not None:
            if found.absent > allowed:
                limit = f"{allowed:,} rows, as this import was told"
        elif rows is not None and found.absent > rows:
            limit = f"{rows:,} rows"
        elif share is not None and judged and found.absent > share * found.before:
            limit = f"{100 * share:.4g}% of the rows"
        if limit is not None:
            raise TooManyMissingError(
                self._claim.name, self._resolution.feed.name, limit, found.absent, found.before
            )

    def _write(self, absent: int) -> None:
        """Change the rows that are not in the file, and keep what they were.

        Raises:
            MissingRefusedError: A constraint or trigger of the table's owner is against it.
        """
        import_id = sa.literal(self._claim.import_id)
        try:
            saved = self._save({"_replaced_by_import_id": import_id})
            if self._snapshot.missing is Missing.DELETE:
                tombstone = self._lineage() | {DELETED: sa.true()}
                self._save({"_replaced_by_import_id": sa.literal(0)}, tombstone)
                changed = self._run(sa.delete(self._target).where(*self._is_absent()))
            else:
                values = self._lineage() | {MISSING_SINCE: sa.func.now()}
                changed = self._run(
                    sa.update(self._target).values(values).where(*self._is_absent())
                )
        except sa.exc.DBAPIError as error:
            if not is_of_a_row(error):
                raise
            said = getattr(error.orig, "diag", None)
            by = said.constraint_name if said else None
            raise MissingRefusedError(  # without its cause, which quotes the row
                self._claim.name, self._target.fullname, absent, by or "a trigger"
            ) from None
        check(self._claim, "rows missing saved to history", absent, saved)
        check(self._claim, "rows missing", absent, changed)

    def _save(
        self, as_: dict[str, sa.ColumnElement[Any]], changed: dict[str, Any] | None = None
    ) -> int:
        """Copy the rows that are not in the file into the history, with some values changed."""
        values = {c.name: c for c in self._target.columns} | (changed or {}) | as_
        query = sa.select(*values.values()).where(*self._is_absent())
        return self._run(sa.insert(self._history).from_select(list(values), query))

    def _lineage(self) -> dict[str, Any]:
        """Return what every row has that this import marks: it is no row of the file."""
        return {
            "_import_id": sa.literal(self._claim.import_id, sa.BigInteger),
            "_row_number": sa.literal(0, sa.BigInteger),
            "_updated_at": sa.literal(datetime.now(UTC), sa.DateTime(timezone=True)),
            **dict.fromkeys(HASH, sa.null()),
        }

    def _note_scopes(self) -> None:
        """Keep which scopes the file has, so that no earlier file adds rows to them."""
        if not self._columns:
            values: sa.Select[Any] = sa.select(order.scope_of({}))
        else:
            names = {name: self._scope.c[name] for name in self._columns}
            values = sa.select(order.scope_of(names))
        noted = values.add_columns(
            *map(
                sa.literal, (self._claim.account, self._resolution.feed.name, self._claim.import_id)
            )
        )
        columns = ["scope", "account", "feed", "import_id"]
        self._connection.execute(sa.insert(tables.snapshot_scope).from_select(columns, noted))

    def _write_keys(self, missing: BatchWriter) -> None:
        for number, some in enumerate(self._absent_keys().partitions(_SOME)):
            schema = dict.fromkeys(self._key, pl.String)
            missing.write(pl.DataFrame([tuple(r) for r in some], schema, orient="row"), number)

    def _first_absent(self) -> tuple[str, ...]:
        """Return the first keys that are not in the file, without protected values."""
        feed = self._resolution.feed
        masked = {column.name for column in feed.columns if column.protected or feed.confidential}
        rows = self._absent_keys(_MOST_SHOWN)
        return tuple(
            " + ".join(
                MASK if name in masked else value
                for name, value in zip(self._key, row, strict=True)
            )
            for row in rows
        )

    def _absent_keys(self, limit: int | None = None) -> sa.CursorResult[Any]:
        keys = [self._absent.c[name] for name in self._key]
        query = sa.select(*(sa.cast(key, sa.Text) for key in keys)).order_by(*keys).limit(limit)
        return self._connection.execute(query, execution_options={"yield_per": _SOME})

    def _warnings(self, found: ScopeCounts, unreadable: int) -> tuple[ReportWarning, ...]:
        if found.marks or not found.absent or not self._snapshot.marks:
            return ()
        why = "a file that arrived later is imported"
        if unreadable:
            rows = "1 rejected row" if unreadable == 1 else f"{unreadable:,} rejected rows"
            why = f"the key of {rows} cannot be read"
        message = (
            f"{found.absent:,} of {found.before:,} stored rows of the snapshot's scope are not "
            f"known to be in the file; none of them is marked as missing, because {why}"
        )
        return (ReportWarning(code="snapshot.not_marked", message=message, count=found.absent),)

    def _count(self) -> int:
        """Return how many rows of the scope are stored."""
        rows = sa.select(sa.func.count()).select_from(self._target)
        in_scope = (self._is_live(self._target), self._in_scope(self._target))
        query = rows.where(self._resolution.of_account(), *in_scope)
        return self._connection.scalar(query) or 0

    def _in_scope(self, rows: sa.FromClause) -> sa.ColumnElement[bool]:
        if not self._columns:
            return sa.true()
        same = (self._scope.c[name] == rows.c[name] for name in self._columns)
        return sa.exists().where(*same)

    def _is_live(self, rows: sa.FromClause) -> sa.ColumnElement[bool]:
        """Return whether a row is not flagged as missing."""
        return rows.c[MISSING_SINCE].is_(None) if MISSING_SINCE in rows.c else sa.true()

    def _is_absent(self) -> Iterable[sa.ColumnElement[bool]]:
        same = (self._absent.c[name] == self._target.c[name] for name in self._key)
        return (self._resolution.of_account(), *same)

    @cached_property
    def _present(self) -> sa.Table:
        kinds = self._kinds((*self._key, *self._columns))
        return temporary("present", kinds | {_ROW: sa.BigInteger()})

    @cached_property
    def _absent(self) -> sa.Table:
        return temporary("absent", self._kinds(self._key))

    @cached_property
    def _scope(self) -> sa.Table:
        return temporary("scope", self._kinds(self._columns))

    def _kinds(self, names: Iterable[str]) -> dict[str, Any]:
        return {name: self._target.columns[name].type for name in names}

    def _run(self, statement: sa.Insert | sa.Update | sa.Delete) -> int:
        return affected(self._connection, statement)


def revive(connection: sa.Connection, resolution: Resolution) -> None:
    """Let rows that are stored anew go on where a snapshot had deleted them.

    So all versions of a row are one chain, which an undo follows.
    """
    target, history, claim = resolution.target, resolution.history, resolution.claim
    same = (
        resolution.of_account(),
        history.c.account == target.c.account,
        *(history.c[name] == target.c[name] for name in resolution.key),
        target.c._created_import_id == claim.import_id,
    )
    is_last = history.c._replaced_by_import_id == sa.literal_column("0")
    revived = affected(
        connection,
        sa.update(history).values(_replaced_by_import_id=claim.import_id).where(*same, is_last),
    )
    if revived:
        replaced = history.c._replaced_by_import_id == claim.import_id
        created = {"_created_import_id": history.c._created_import_id}
        connection.execute(sa.update(target).values(created).where(*same, replaced))
