"""How corrected rows are resolved: they count as rows of the file that they repair."""

import sqlalchemy as sa

from csv_pipeline.spec.names import MISSING_SINCE
from csv_pipeline.spec.row_hash import CONTENT, OCCURRENCE
from csv_pipeline.stages.load.staged import OUTCOME, Staged
from csv_pipeline.storage import tables


class Corrected:
    """Conditions and statements for rows that repair rejected ones."""

    def __init__(self, staged: Staged, repaired_import_id: int) -> None:
        self._staged, self._repaired = staged, repaired_import_id

    @property
    def refuses_corrected(self) -> bool:
        """Whether a corrected row is refused if its file has brought another one of its key."""
        return self._staged.feed.duplicates.winner() is None

    def count_on(self) -> sa.Update:
        """Count corrected rows without a key as if their file had had them well.

        They come after the rows of their content that the file brought, in the places that its
        other repairs, those not undone, left free.
        """
        staging, target, repaired = self._staged.staging, self._staged.target, self._repaired
        asked = (
            sa.select(staging.c[CONTENT], sa.func.max(staging.c[OCCURRENCE]).label("rows"))
            .group_by(staging.c[CONTENT])
            .subquery("asked")
        )
        same = (self._staged.of_account(), target.c[CONTENT] == asked.c[CONTENT])
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

    def forget_refused_repairs(self) -> sa.Delete:
        """Take the rows that the database refused from those that repair a rejected one."""
        same = self._staged.matched.c._row_number == self._staged.repaired.c.row_number
        return sa.delete(self._staged.repaired).where(
            same, self._staged.matched.c[OUTCOME] == "rejected"
        )

    def among_rows_of_its_file(
        self, differs: sa.ColumnElement[bool]
    ) -> tuple[tuple[sa.ColumnElement[bool], str], ...]:
        """Return what becomes of corrected rows whose file has brought another one of their key."""
        beaten = self.prevails(self._staged.staging).is_(sa.false())
        if self.refuses_corrected:
            return ((beaten, "rejected"),)
        return ((differs & beaten, "kept"), (differs & self.renewals(), "updated"))

    def prevails(self, rows: sa.FromClause) -> sa.ColumnElement[bool]:
        """Return whether a corrected row wins against the stored one of its file.

        Null if the stored one is not of its file, or if it is a repair and where it was decides.
        """
        target, repaired = self._staged.target, self._staged.repaired
        stood_at = (
            sa.select(repaired.c.repairs_row_number)
            .where(repaired.c.row_number == rows.c._row_number)
            .scalar_subquery()
        )
        stored_at = sa.case((target.c._import_id == self._repaired, target.c._row_number))
        corrected, stored = (
            {**self._staged.row(table), "_row_number": position}
            for table, position in ((rows, stood_at), (target, stored_at))
        )
        wins = self._staged.feed.duplicates.wins(corrected, stored)
        brought = self._is_of_file(target.c._import_id)
        if MISSING_SINCE in target.c:  # what its file flagged it has not brought
            brought &= target.c[MISSING_SINCE].is_(None)
        return sa.case((brought, wins))

    def renewals(self) -> sa.ColumnElement[bool]:
        """Return whether a corrected row counts as one that none but its file has brought.

        Then nothing of that is left: no policy resolves what rows of the same file say.
        """
        made_by_file = self._is_of_file(self._staged.target.c._created_import_id)
        return self.prevails(self._staged.staging).is_(sa.true()) & made_by_file

    def _is_of_file(self, import_id: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
        """Return whether an import is the one that is repaired, or repairs it too."""
        import_, first = tables.import_, self._repaired
        repairs = sa.select(import_.c.import_id).where(import_.c.repairs_import_id == first)
        return (import_id == first) | import_id.in_(repairs)
