"""Say which row wins for a key that comes several times in the same file.

The rows that do not are *superseded*, and reported with the row that came instead; or, by
`RejectDuplicates`, all rows of such a key are rejected.

A policy says so twice: `winner` over the rows of a file, in Polars, and `wins` in SQL, of a
rejected row that comes back corrected and the row of its file that is stored by then.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl
from sqlalchemy import ColumnElement, and_, false, or_, true

Values = Mapping[str, ColumnElement[Any]]
"""A row's values by column, and its `_row_number`; null where it is not known."""

_ROW = pl.col("_row_number")


@dataclass(frozen=True, slots=True)
class DuplicatePolicy:
    """Choose among the rows of a key."""

    def winner(self) -> pl.Expr | None:
        """Return the row number of the row that wins, over a key's rows; None: none of them."""
        raise NotImplementedError

    def wins(self, row: Values, other: Values) -> ColumnElement[bool]:
        """Return whether a row wins against another of its key; null if that is not known."""
        raise NotImplementedError

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that `winner` looks at besides the row number."""
        return ()


@dataclass(frozen=True, slots=True)
class LastInFile(DuplicatePolicy):
    """The last row of a key wins."""

    def winner(self) -> pl.Expr:
        """Return the greatest row number."""
        return _ROW.max()

    def wins(self, row: Values, other: Values) -> ColumnElement[bool]:
        """Return whether the row is further down."""
        return row["_row_number"] > other["_row_number"]


@dataclass(frozen=True, slots=True)
class FirstInFile(DuplicatePolicy):
    """The first row of a key wins."""

    def winner(self) -> pl.Expr:
        """Return the least row number."""
        return _ROW.min()

    def wins(self, row: Values, other: Values) -> ColumnElement[bool]:
        """Return whether the row is further up."""
        return row["_row_number"] < other["_row_number"]


@dataclass(frozen=True, slots=True)
class NewestInFile(DuplicatePolicy):
    """The row with the greatest value of `column` wins; of several, the last of them.

    A row without a value is older than any with one.
    """

    column: str

    def winner(self) -> pl.Expr:
        """Return the row number of the newest version."""
        return _ROW.sort_by(self.column, "_row_number", nulls_last=False).last()

    def wins(self, row: Values, other: Values) -> ColumnElement[bool]:
        """Return whether the row is newer, or as new and further down."""
        new, old = row[self.column], other[self.column]
        return or_(
            (new > old).is_(true()),
            and_(new.is_not(None), old.is_(None)),
            and_(new.is_not_distinct_from(old), row["_row_number"] > other["_row_number"]),
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """The version."""
        return (self.column,)


@dataclass(frozen=True, slots=True)
class RejectDuplicates(DuplicatePolicy):
    """No row of such a key wins; each is a reject."""

    def winner(self) -> None:
        """Return None."""
        return

    def wins(self, row: Values, other: Values) -> ColumnElement[bool]:
        """Return false."""
        return false()
