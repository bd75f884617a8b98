"""The statements that resolve staged rows against the stored ones, for one import.

Only columns that the file has are compared and written: a file of an older layout leaves the other
columns of a stored row alone.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache, cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.schema import CreateTable

from csv_pipeline.handover import OWN
from csv_pipeline.rejects.faults import MASK
from csv_pipeline.spec.conflict import ConflictPolicy, Overwrite, Values
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.names import EXTRA
from csv_pipeline.spec.row_hash import CONTENT, HASH, OCCURRENCE
from csv_pipeline.stages.load.incoming import Incoming
from csv_pipeline.storage import order, tables
from csv_pipeline.storage.targets import history_table, key_columns, target_table

Conditions = tuple[sa.ColumnElement[bool], ...]
OUTCOME = "outcome"
PLAN = {"jit": "off", "from_collapse_limit": "1", "random_page_cost": "1.1"}
"""How the server is to plan. A wide INSERT takes longer to compile than to run. Of a key of several
columns it expects one match, so that it would look through all rows of a class for each. And what
is stored of an account lies in memory or on a disk without arms, so that an index pays sooner."""

LINEAGE = ("_import_id", "_row_number", "_updated_at")
_DIALECT = pg.dialect()  # type: ignore[no-untyped-call]
_EMPTY = sa.literal({}, pg.JSONB)
_WHOLE = "_whole"


class Resolution:
    """Statements over four temporary tables, made when they are needed.

    `extras` are the columns of the file that the feed does not know, whose cells are in `EXTRA`.
    `staging` holds the incoming rows, `matched` the outcome of those whose key is stored or that
    the database refuses, and whether they replace the stored one as a whole, `refused` why it does,
    and `repaired` which rejected row each one repairs.
    """

    def __init__(self, incoming: Incoming) -> None:
        present, self.extras = incoming.typed.columns, incoming.typed.extras
        feed, claim, replay = incoming.feed, incoming.claim, incoming.replay
        self.incoming, self.feed, self.claim, self.replay = incoming, feed, claim, replay
        self.behind = incoming.behind
        self._stand_for = replay.import_id if replay else claim.import_id
        self.target, self.history = target_table(feed), history_table(feed)
        self.key = key_columns(feed)
        self.sent = (*present, *(() if feed.key else (CONTENT, OCCURRENCE)), EXTRA, *HASH)
        self.staging = _staging(feed, (*(OWN if incoming.moved else ()), *self.sent))
        self.matched, self.refused, self.repaired = _MATCHED, _REFUSED, _REPAIRED
        self.values = tuple(name for name in present if name not in self.key)
        self._updated_at = datetime.now(UTC)

    @property
    def preparation(self) -> str:
        """The statements that come before all others: how to plan, and two tables.

        A row is refused where it is written, and not at the end.
        """
        plan = (f"SET LOCAL {name} = {value}" for name, value in PLAN.items())
        tables_ = (CreateTable(table) for table in (self.staging, self.matched))
        made = (str(table.compile(dialect=_DIALECT)) for table in tables_)
        return ";".join([*plan, "SET CONSTRAINTS ALL IMMEDIATE", *made])

    def match(self) -> sa.Insert:
        """Class every staged row whose key is stored."""
        rows = self.staging
        differs = sa.or_(*(self._differs(name, rows) for name in (*self.values, EXTRA)))
        outcome = sa.case(
            *self._among_rows_of_its_file(differs),
            (~differs, "unchanged"),
            (self._refuses(), "rejected"),
            (self._changes(), "updated"),
            else_="kept",
        )
        whole = self._renewals() if self.replay else sa.false()
        query = sa.select(rows.c._row_number, outcome, whole).where(*self._same_key(rows))
        return sa.insert(self.matched).from_select(["_row_number", OUTCOME, _WHOLE], query)

    def refuse_conflicts(self) -> Iterable[sa.Insert]:
        """Say of each column that may not differ which rows do, with both values."""
        columns = {column.name: column for column in self.feed.columns}
        rows = self._classed("rejected")
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
            ).where(*self._same_key(rows), self._differs(name, rows))
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
            ).where(*self._same_key(rows), conflict)
            yield sa.insert(self.refused).from_select(self.refused.columns.keys(), query)
        if self._refuses_corrected:
            row_number, import_id = self.target.c._row_number, self.target.c._import_id
            needed = (
                f"a {' + '.join(self.key)} that is in one row of the file only was needed; row "
            )
            query = sa.select(
                rows.c._row_number,
                sa.literal("key.duplicate"),
                sa.func.concat(needed, row_number, " of import ", import_id, " has it too"),
            ).where(*self._same_key(rows), self._prevails(rows).is_(sa.false()))
            yield sa.insert(self.refused).from_select(["_row_number", "rule", "message"], query)

    def count_on(self) -> sa.Update:
        """Count corrected rows without a key as if their file had had them well.

        They come after the rows of their content that the file brought, in the places that its
        other repairs, those not undone, left free.
        """
        staging, target, repaired = self.staging, self.target, self._stand_for
        asked = (
            sa.select(staging.c[CONTENT], sa.func.max(staging.c[OCCURRENCE]).label("rows"))
            .group_by(staging.c[CONTENT])
            .subquery("asked")
        )
        same = (self._of_account(), target.c[CONTENT] == asked.c[CONTENT])
        brought = (target.c._import_id == repaired) | (target.c._created_import_id == repaired)
        last = sa.func.coalesce(sa.func.max(target.c[OCCURRENCE]), 0)
        last_of_file = sa.select(last).where(*same, brought).scalar_subquery()
        last_stored = sa.select(last).where(*same).scalar_subquery()
        position = sa.func.generate_series(
            last_of_file + 1, last_stored + asked.c.rows
        ).column_valued("position", joins_implicitly=True)
        import_ = tables.import_
        others = sa.select(import_.c.import_id).where(
            import_.c.repairs_import_id == repaired, import_.c.undone_by_import_id.is_(None)
        )
        taken = sa.exists().where(
            *same,
            target.c[OCCURRENCE] == position,
            target.c._import_id.in_(others) | target.c._created_import_id.in_(others),
        )
        nth = sa.func.row_number().over(partition_by=asked.c[CONTENT], order_by=position)
        free = (
            sa.select(asked.c[CONTENT], position.label("position"), nth.label("nth"))
            .where(~taken)
            .subquery("free")
        )
        return (
            sa.update(staging)
            .values({OCCURRENCE: free.c.position})
            .where(staging.c[CONTENT] == free.c[CONTENT], staging.c[OCCURRENCE] == free.c.nth)
        )

    def confirm(self) -> sa.Insert:
        """Note the staged rows that leave the stored ones as they are."""
        rows, table = self.staging, tables.confirmed_row
        query = sa.select(
            sa.literal(self.claim.account),
            sa.literal(self.feed.name),
            order.key_of(*(rows.c[name] for name in self.key)),
            self._import_id(rows),
        ).where(
            self.matched.c._row_number == rows.c._row_number,
            self.matched.c[OUTCOME].in_(("unchanged", "kept")),
        )
        return sa.insert(table).from_select(["account", "feed", "key", "import_id"], query)

    def forget_refused_repairs(self) -> sa.Delete:
        """Take the rows that the database refused from those that repair a rejected one."""
        same = self.matched.c._row_number == self.repaired.c.row_number
        return sa.delete(self.repaired).where(same, self.matched.c[OUTCOME] == "rejected")

    def insert(self, *block: sa.ColumnElement[bool]) -> sa.Insert:
        """Insert the staged rows whose key is not stored."""
        staging, matched = self.staging, self.matched
        stored = sa.exists().where(matched.c._row_number == staging.c._row_number)
        query = sa.select(
            sa.literal(self.claim.account),
            *(staging.c[name] for name in self.sent),
            *self._lineage(staging),
            self._import_id(staging),
        ).where(~stored, *block)
        return sa.insert(self.target).from_select(
            ["account", *self.sent, *LINEAGE, "_created_import_id"], query
        )

    def save_history(self, *block: sa.ColumnElement[bool]) -> sa.Insert:
        """Copy stored rows that are about to change, as they are."""
        names = [column.name for column in self.target.columns]
        rows = self._classed("updated", *block)
        query = sa.select(self._import_id(rows), *(self.target.c[name] for name in names)).where(
            *self._same_key(rows)
        )
        return sa.insert(self.history).from_select(["_replaced_by_import_id", *names], query)

    def update(self, *block: sa.ColumnElement[bool]) -> sa.Update:
        """Write what the staged rows change in the stored ones."""
        rows = self._classed("updated", *block)
        lineage = dict(zip(LINEAGE, self._lineage(rows), strict=True))
        whole = self._stored_as_sent()
        hashes = {name: rows.c[name] if whole else sa.null() for name in HASH}
        return (
            sa.update(self.target)
            .values(self._resolved(rows) | hashes | lineage)
            .where(*self._same_key(rows))
        )

    def updates(self) -> sa.Select[Any]:
        """Return the updates to come in the file's order.

        Each has its row number, the key, the stored values and the resolved ones, all as text.
        """
        rows = self._classed("updated")
        resolved = self._resolved(rows)
        key = (self.target.c[name] for name in self.key)
        stored = (self.target.c[name] for name in resolved)
        texts = (sa.cast(value, sa.Text) for value in (*key, *stored, *resolved.values()))
        row_number = rows.c._row_number
        return sa.select(row_number, *texts).where(*self._same_key(rows)).order_by(row_number)

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
            whole = rows.c[_WHOLE]
            resolved = {n: sa.case((whole, rows.c[n]), else_=v) for n, v in resolved.items()}
        return {name: resolved[name] for name in (*self.values, EXTRA)}

    def block(self, first: int, last: int) -> Conditions:
        """Return the condition for staged rows with these row numbers."""
        return (self.staging.c._row_number.between(first, last),)

    @cached_property
    def _groups(self) -> dict[ConflictPolicy, list[str]]:
        """The policies in force, each with its columns."""
        groups: dict[ConflictPolicy, list[str]] = {}
        for name in self.values:
            policy = self.feed.column_conflicts.get(name, self.feed.conflict)
            groups.setdefault(policy, []).append(name)
        return groups

    @property
    def _refuses_corrected(self) -> bool:
        """Whether a corrected row is refused if its file has brought another one of its key."""
        return self.replay is not None and self.feed.duplicates.winner() is None

    def _of_refusing_policies(self) -> list[str]:
        return [name for policy in self._groups if policy.refuses for name in self._groups[policy]]

    def _differs(self, name: str, rows: sa.FromClause) -> sa.ColumnElement[bool]:
        if name == EXTRA:
            return self._cells_differ(Overwrite(), rows)
        return self.target.c[name].is_distinct_from(rows.c[name])

    def _refuses(self) -> sa.ColumnElement[bool]:
        differ = [self._differs(name, self.staging) for name in self._of_refusing_policies()]
        if self.feed.conflict.refuses:
            cell, conflict = self._conflicting_cells(self.staging)
            differ.append(sa.exists(sa.select(cell.c.key).where(conflict)))
        return sa.or_(sa.false(), *differ)

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
        stored, incoming = self._row(self.target), self._row(rows)
        wins = policy.wins(stored, incoming)
        if self.behind is None or not policy.by_arrival:
            return wins
        key = order.key_of(*(self.target.c[name] for name in self.key))
        newer = order.is_newer(self.claim, self.target.c._import_id, key, self.behind)
        return wins & (~newer | policy.outranks(stored, incoming))

    @property
    def by_arrival(self) -> bool:
        """Whether the order of arrivals decides on any value of a row that is stored."""
        groups = (*self._groups, self.feed.conflict)
        return bool(self.feed.key) and any(policy.by_arrival for policy in groups)

    def _among_rows_of_its_file(
        self, differs: sa.ColumnElement[bool]
    ) -> tuple[tuple[sa.ColumnElement[bool], str], ...]:
        """Return what becomes of corrected rows whose file has brought another one of their key."""
        if self.replay is None:
            return ()
        beaten = self._prevails(self.staging).is_(sa.false())
        if self._refuses_corrected:
            return ((beaten, "rejected"),)
        return ((differs & beaten, "kept"), (differs & self._renewals(), "updated"))

    def _prevails(self, rows: sa.FromClause) -> sa.ColumnElement[bool]:
        """Return whether a corrected row wins against the stored one of its file.

        Null if the stored one is not of its file, or if it is a repair and where it was decides.
        """
        target, repaired = self.target, self.repaired
        stood_at = (
            sa.select(repaired.c.repairs_row_number)
            .where(repaired.c.row_number == rows.c._row_number)
            .scalar_subquery()
        )
        stored_at = sa.case((target.c._import_id == self._stand_for, target.c._row_number))
        corrected, stored = (
            {**self._row(table), "_row_number": position}
            for table, position in ((rows, stood_at), (target, stored_at))
        )
        wins = self.feed.duplicates.wins(corrected, stored)
        return sa.case((self._is_of_file(target.c._import_id), wins))

    def _renewals(self) -> sa.ColumnElement[bool]:
        """Return whether a corrected row counts as one that none but its file has brought.

        Then nothing of that is left: no policy resolves what rows of the same file say.
        """
        made_by_file = self._is_of_file(self.target.c._created_import_id)
        return self._prevails(self.staging).is_(sa.true()) & made_by_file

    def _is_of_file(self, import_id: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
        """Return whether an import is the one that is repaired, or repairs it too."""
        import_, first = tables.import_, self._stand_for
        repairs = sa.select(import_.c.import_id).where(import_.c.repairs_import_id == first)
        return (import_id == first) | import_id.in_(repairs)

    def _row(self, table: sa.FromClause) -> Values:
        return {
            column.name: table.c[column.name]
            if column.name in table.c
            else sa.cast(sa.null(), self.target.c[column.name].type)
            for column in self.feed.columns
        }

    def _stored_as_sent(self) -> bool:
        """Return whether an updated row holds what the file brought, and is known by its hash."""
        column: sa.ColumnElement[Any] = sa.column("value")
        return len(self._groups) == 1 and all(
            policy.value(sa.null(), column) is column for policy in self._groups
        )

    def _of_account(self) -> sa.ColumnElement[bool]:
        return self.target.c.account == self.claim.account

    def _same_key(self, rows: sa.FromClause) -> Conditions:
        same = (self.target.c[name] == rows.c[name] for name in self.key)
        return (self._of_account(), *same)

    def _classed(self, outcome: str, *block: sa.ColumnElement[bool]) -> sa.FromClause:
        """Return the staged rows of a class; `PLAN` keeps them one side of a join."""
        same = self.matched.c._row_number == self.staging.c._row_number
        columns = self.staging, self.matched.c[_WHOLE]
        query = sa.select(*columns).where(same, self.matched.c[OUTCOME] == outcome, *block)
        return query.subquery("classed")

    def _import_id(self, rows: sa.FromClause) -> sa.ColumnElement[Any]:
        return rows.c[OWN[0]] if self.incoming.moved else sa.literal(self.claim.import_id)

    def _lineage(self, rows: sa.FromClause) -> tuple[sa.ColumnElement[Any], ...]:
        return (
            self._import_id(rows),
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


@cache  # as its statements are compiled once, if the table is the same
def _staging(feed: Feed, names: tuple[str, ...]) -> sa.Table:
    target = target_table(feed)
    types = {name: sa.BigInteger() if name in OWN else target.columns[name].type for name in names}
    return _temporary("staging", {"_row_number": sa.BigInteger()} | types)


def _temporary(name: str, columns: dict[str, Any]) -> sa.Table:
    return sa.Table(
        name,
        sa.MetaData(),
        *(sa.Column(column, kind) for column, kind in columns.items()),
        prefixes=["TEMPORARY"],
        postgresql_on_commit="DROP",
    )


_MATCHED = _temporary(
    "matched", {"_row_number": sa.BigInteger(), OUTCOME: sa.Text(), _WHOLE: sa.Boolean()}
)
_REFUSED = _temporary(
    "refused",
    {"_row_number": sa.BigInteger()}
    | dict.fromkeys(("column", "rule", "value", "message"), sa.Text()),
)
_REPAIRED = _temporary(
    "repaired", {"row_number": sa.BigInteger(), "repairs_row_number": sa.BigInteger()}
)
