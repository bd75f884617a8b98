"""The statements that resolve staged rows against the stored ones, for one import.

Only columns that the file has are compared and written: a file of an older layout leaves the other
columns of a stored row alone.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from csv_pipeline.handover import OWN
from csv_pipeline.rejects.faults import MASK
from csv_pipeline.spec.conflict import ConflictPolicy, Overwrite
from csv_pipeline.spec.names import EXTRA, MISSING_SINCE
from csv_pipeline.spec.row_hash import HASH
from csv_pipeline.stages.load.corrected import Corrected
from csv_pipeline.stages.load.incoming import Incoming
from csv_pipeline.stages.load.staged import OUTCOME, WHOLE_ROW, Conditions, Staged
from csv_pipeline.storage import order, tables

_EMPTY = sa.literal({}, pg.JSONB)
LINEAGE = ("_import_id", "_row_number", "_updated_at")


class Resolution(Staged):
    """Statements over the tables of a load."""

    def __init__(self, incoming: Incoming) -> None:
        super().__init__(incoming)
        self._updated_at = datetime.now(UTC)
        self.corrected = Corrected(self, self.replay.import_id) if self.replay else None

    def match(self) -> sa.Insert:
        """Class every staged row whose key is stored."""
        rows = self.staging
        differs = sa.or_(*(self._differs(name, rows) for name in (*self.values, EXTRA)))
        outcome = sa.case(
            *(self.corrected.among_rows_of_its_file(differs) if self.corrected else ()),
            (~differs & ~self._comes_again(), "unchanged"),
            (self._refuses(), "rejected"),
            (self._changes() | self._comes_again(), "updated"),
            else_="kept",
        )
        whole = self.corrected.renewals() if self.corrected else sa.false()
        query = sa.select(rows.c._row_number, outcome, whole).where(*self.same_key(rows))
        return sa.insert(self.matched).from_select(["_row_number", OUTCOME, WHOLE_ROW], query)

    def keep_out(self) -> sa.Insert:
        """Class as kept the staged rows that are not stored and that a later snapshot lacks."""
        rows, behind = self.staging, self.incoming.behind
        stored = sa.exists().where(self.matched.c._row_number == rows.c._row_number)
        scope = order.scope_of({name: rows.c[name] for name in self.scope})
        covered = sa.false() if behind is None else order.is_covered(self.claim, scope, behind)
        query = sa.select(rows.c._row_number, sa.literal("kept"), sa.false())
        names = ["_row_number", OUTCOME, WHOLE_ROW]
        return sa.insert(self.matched).from_select(names, query.where(~stored, covered))

    def refuse_conflicts(self) -> Iterable[sa.Insert]:
        """Say of each column that may not differ which rows do, with both values."""
        columns = {column.name: column for column in self.feed.columns}
        rows = self.classed("rejected")
        for name in self._of_refusing_policies():
            old, new = (table.c[name] for table in (self.target, rows))
            shown = [
                sa.literal(MASK) if columns[name].protected else _shown(value)
                for value in (old, new)
            ]
            query = sa.select(
                rows.c._row_number,
                sa.literal(name),
                sa.literal(f"{name}.conflict"),
                sa.cast(new, sa.Text),
                _contradiction(*shown),
            ).where(*self.same_key(rows), self._differs(name, rows))
            yield sa.insert(self.refused).from_select(self.refused.columns.keys(), query)
        if self.feed.conflict.refuses:
            cell, conflict = self._conflicting_cells(rows)
            query = sa.select(
                rows.c._row_number,
                cell.c.key,
                sa.func.concat(cell.c.key, ".conflict"),
                cell.c.value,
                _contradiction(
                    _shown(self.target.c[EXTRA].op("->>")(cell.c.key)), _shown(cell.c.value)
                ),
            ).where(*self.same_key(rows), conflict)
            yield sa.insert(self.refused).from_select(self.refused.columns.keys(), query)
        if self.corrected and self.corrected.refuses_corrected:
            row_number, import_id = self.target.c._row_number, self.target.c._import_id
            needed = (
                f"a {' + '.join(self.key)} that is in one row of the file only was needed; row "
            )
            query = sa.select(
                rows.c._row_number,
                sa.literal("key.duplicate"),
                sa.func.concat(needed, row_number, " of import ", import_id, " has it too"),
            ).where(*self.same_key(rows), self.corrected.prevails(rows).is_(sa.false()))
            yield sa.insert(self.refused).from_select(["_row_number", "rule", "message"], query)

    def confirm(self) -> sa.Insert:
        """Note the staged rows that leave the stored ones as they are."""
        rows, table = self.staging, tables.confirmed_row
        query = sa.select(
            sa.literal(self.claim.account),
            sa.literal(self.feed.name),
            order.key_of(*(rows.c[name] for name in self.key)),
            self.import_id(rows),
        ).where(
            self.matched.c._row_number == rows.c._row_number,
            self.matched.c[OUTCOME].in_(("unchanged", "kept")),
        )
        return sa.insert(table).from_select(["account", "feed", "key", "import_id"], query)

    def insert(self, *block: sa.ColumnElement[bool]) -> sa.Insert:
        """Insert the staged rows whose key is not stored."""
        staging, matched = self.staging, self.matched
        stored = sa.exists().where(matched.c._row_number == staging.c._row_number)
        query = sa.select(
            sa.literal(self.claim.account),
            *(staging.c[name] for name in self.sent),
            *self._lineage(staging),
            self.import_id(staging),
        ).where(~stored, *block)
        return sa.insert(self.target).from_select(
            ["account", *self.sent, *LINEAGE, "_created_import_id"], query
        )

    def save_history(self, *block: sa.ColumnElement[bool]) -> sa.Insert:
        """Copy stored rows that are about to change, as they are."""
        names = [column.name for column in self.target.columns]
        rows = self.classed("updated", *block)
        query = sa.select(self.import_id(rows), *(self.target.c[name] for name in names)).where(
            *self.same_key(rows)
        )
        return sa.insert(self.history).from_select(["_replaced_by_import_id", *names], query)

    def update(self, *block: sa.ColumnElement[bool]) -> sa.Update:
        """Write what the staged rows change in the stored ones."""
        rows = self.classed("updated", *block)
        lineage = dict(zip(LINEAGE, self._lineage(rows), strict=True))
        whole = self._stored_as_sent(rows)
        hashes = {name: sa.case((whole, rows.c[name])) for name in HASH}
        return (
            sa.update(self.target)
            .values(self._resolved(rows) | hashes | lineage)
            .where(*self.same_key(rows))
        )

    def updates(self) -> sa.Select[Any]:
        """Return the updates to come in the file's order.

        Each has its row number, the key, the stored values and the resolved ones, all as text.
        """
        rows = self.classed("updated")
        resolved = self._resolved(rows)
        key = (self.target.c[name] for name in self.key)
        stored = (self.target.c[name] for name in resolved)
        texts = (sa.cast(value, sa.Text) for value in (*key, *stored, *resolved.values()))
        row_number = rows.c._row_number
        return sa.select(row_number, *texts).where(*self.same_key(rows)).order_by(row_number)

    def _resolved(self, rows: sa.FromClause) -> dict[str, sa.ColumnElement[Any]]:
        """Return what each column of a stored row holds once the staged row is applied."""
        resolved = {EXTRA: self._extra(rows)}
        for policy, names in self._groups.items():
            wins = self._wins(policy, rows)
            for name in names:
                old = self.target.c[name]
                value = policy.value(old, rows.c[name])
                resolved[name] = value if _is_true(wins) else sa.case((wins, value), else_=old)
        if self.replay is not None:
            whole = rows.c[WHOLE_ROW]
            resolved = {n: sa.case((whole, rows.c[n]), else_=v) for n, v in resolved.items()}
        own = {name: resolved[name] for name in (*self.values, EXTRA)}
        if MISSING_SINCE in self.target.c:
            flag = self.target.c[MISSING_SINCE]
            own[MISSING_SINCE] = sa.case((self._comes_again(), sa.null()), else_=flag)
        return own

    @cached_property
    def _groups(self) -> dict[ConflictPolicy, list[str]]:
        """The policies in force, each with its columns."""
        groups: dict[ConflictPolicy, list[str]] = {}
        for name in self.values:
            groups.setdefault(self._policy_of(name), []).append(name)
        return groups

    def _policy_of(self, name: str) -> ConflictPolicy:
        return self.feed.column_conflicts.get(name, self.feed.conflict)

    def block(self, first: int, last: int) -> Conditions:
        """Return the condition for staged rows with these row numbers."""
        return (self.staging.c._row_number.between(first, last),)

    def _of_refusing_policies(self) -> list[str]:
        return [name for policy in self._groups if policy.refuses for name in self._groups[policy]]

    def _differs(self, name: str, rows: sa.FromClause) -> sa.ColumnElement[bool]:
        if name == EXTRA:
            return self._cells_differ(Overwrite(), rows)
        return self._policy_of(name).differ(self.target.c[name], rows.c[name])

    def _refuses(self) -> sa.ColumnElement[bool]:
        differ = [self._differs(name, self.staging) for name in self._of_refusing_policies()]
        if self.feed.conflict.refuses:
            cell, conflict = self._conflicting_cells(self.staging)
            differ.append(sa.exists(sa.select(cell.c.key).where(conflict)))
        refused = sa.or_(sa.false(), *differ)
        return refused if self._stored_before is None else refused & ~self._stored_before

    def _conflicting_cells(
        self, rows: sa.FromClause
    ) -> tuple[sa.TableValuedAlias, sa.ColumnElement[bool]]:
        """Return the cells that the feed does not know, and whether the stored one is another.

        Both have to be there: a column that a file gains contradicts nothing.
        """
        cell = sa.func.jsonb_each_text(rows.c[EXTRA]).table_valued(
            "key", "value", joins_implicitly=True
        )
        return cell, self.target.c[EXTRA].op("->>")(cell.c.key) != cell.c.value

    def _changes(self) -> sa.ColumnElement[bool]:
        """Return whether any stored value would be another."""
        changes = []
        for policy, names in self._groups.items():
            others = [
                old.is_distinct_from(policy.value(old, self.staging.c[name]))
                for name in names
                for old in (self.target.c[name],)
            ]
            changes.append(sa.and_(self._wins(policy, self.staging), sa.or_(*others)))
        changes.append(self._changes_cells(self.staging))
        return sa.or_(*changes)

    def _extra(self, rows: sa.FromClause) -> sa.ColumnElement[Any]:
        cells = self._cells(self.feed.conflict, rows)
        return sa.case(
            (self._changes_cells(rows), sa.func.nullif(cells, _EMPTY)), else_=self.target.c[EXTRA]
        )

    def _changes_cells(self, rows: sa.FromClause) -> sa.ColumnElement[bool]:
        """Return whether any cell that the feed does not know would hold something else."""
        policy = self.feed.conflict
        return sa.and_(self._wins(policy, rows), self._cells_differ(policy, rows))

    def _cells_differ(self, policy: ConflictPolicy, rows: sa.FromClause) -> sa.ColumnElement[bool]:
        if not self.extras:
            return sa.false()
        return self._cells(policy, rows).is_distinct_from(self._stored_cells())

    def _cells(self, policy: ConflictPolicy, rows: sa.FromClause) -> sa.ColumnElement[Any]:
        """Return what those cells hold once the staged row is applied, without the blank ones."""
        incoming = sa.func.coalesce(rows.c[EXTRA], _EMPTY, type_=pg.JSONB)
        names = sa.literal(list(self.extras), pg.ARRAY(sa.Text))
        return _filled(policy.cells(self._stored_cells(), incoming, names))

    def _stored_cells(self) -> sa.ColumnElement[Any]:
        return sa.func.coalesce(_filled(self.target.c[EXTRA]), _EMPTY, type_=pg.JSONB)

    def _wins(self, policy: ConflictPolicy, rows: sa.FromClause) -> sa.ColumnElement[bool]:
        """Return whether a staged row is applied; not against one that arrived after it."""
        stored, incoming = self.row(self.target), self.row(rows)
        wins = policy.wins(stored, incoming)
        if self.incoming.behind is not None and policy.by_arrival:
            wins &= ~self._is_newer() | policy.outranks(stored, incoming)
        return wins if _is_true(wins) or self._stored_before is None else wins | self._stored_before

    def _is_newer(self) -> sa.ColumnElement[bool]:
        """Return whether a stored row is of a file that arrived after the one that is loaded."""
        if self.incoming.behind is None:
            return sa.false()
        key = order.key_of(*(self.target.c[name] for name in self.key))
        stored_by, behind = self.target.c._import_id, self.incoming.behind
        return order.is_newer(self.claim, stored_by, key, behind, repairs=self.replay is not None)

    @cached_property
    def _stored_before(self) -> sa.ColumnElement[bool] | None:
        """Whether a stored row is what the same file brought, if that is read once more.

        No policy is between two readings of one row.
        """
        placed = self.claim.again and self.claim.position is not None
        again = placed and self.replay is None and len(self.incoming.claims) == 1
        return order.is_of_arrival(self.claim, self.target.c._import_id) if again else None

    def _comes_again(self) -> sa.ColumnElement[bool]:
        """Return whether a stored row was flagged as missing, by a file that arrived before."""
        if MISSING_SINCE not in self.target.c:
            return sa.false()
        return self.target.c[MISSING_SINCE].is_not(None) & ~self._is_newer()

    @property
    def by_arrival(self) -> bool:
        """Whether the order of arrivals decides on any value of a row that is stored."""
        groups = (*self._groups, self.feed.conflict)
        may_differ = bool(self.feed.key or self.feed.counted)  # two rows of the same content do not
        return may_differ and any(policy.by_arrival for policy in groups)

    def _stored_as_sent(self, rows: sa.FromClause) -> sa.ColumnElement[bool]:
        """Return whether an updated row holds what the file brought, and is known by its hash.

        One that only came again may hold what it did.
        """
        column: sa.ColumnElement[Any] = sa.column("value")
        if len(self._groups) != 1:
            return sa.false()
        (policy,) = self._groups
        if policy.value(sa.null(), column) is not column:
            return sa.false()
        return self._wins(policy, rows) if MISSING_SINCE in self.target.c else sa.true()

    def _lineage(self, rows: sa.FromClause) -> tuple[sa.ColumnElement[Any], ...]:
        return (
            self.import_id(rows),
            rows.c[OWN[1]] if self.incoming.moved else rows.c._row_number,
            sa.literal(self._updated_at, sa.DateTime(timezone=True)),
        )


def _filled(cells: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    return sa.func.jsonb_strip_nulls(cells, type_=pg.JSONB)


def _shown(value: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    text = sa.cast(value, sa.Text)
    return sa.func.coalesce(sa.literal("'") + text + sa.literal("'"), "an empty cell")


def _contradiction(
    stored: sa.ColumnElement[Any], incoming: sa.ColumnElement[Any]
) -> sa.ColumnElement[Any]:
    return sa.func.concat("the stored value ", stored, " was needed; found ", incoming)


def _is_true(condition: sa.ColumnElement[bool]) -> bool:
    return isinstance(condition, type(sa.true()))
