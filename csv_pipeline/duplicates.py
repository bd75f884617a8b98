"""Say which row stands for a key that comes several times in the same file.

The rows that do not are *superseded*, and reported with the row that came instead; or, by
`RejectDuplicates`, all rows of such a key are rejected.
"""

from dataclasses import dataclass

import polars as pl

_ROW = pl.col("row_number")


@dataclass(frozen=True, slots=True)
class DuplicatePolicy:
    """Choose among the rows of a key."""

    def winner(self) -> pl.Expr | None:
        """Return the row number of the row that stands, over a key's rows; None: none of them."""
        raise NotImplementedError

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that `winner` looks at besides the row number."""
        return ()


@dataclass(frozen=True, slots=True)
class LastInFile(DuplicatePolicy):
    """The last row of a key stands."""

    def winner(self) -> pl.Expr:
        """Return the greatest row number."""
        return _ROW.max()


@dataclass(frozen=True, slots=True)
class FirstInFile(DuplicatePolicy):
    """The first row of a key stands."""

    def winner(self) -> pl.Expr:
        """Return the least row number."""
        return _ROW.min()


@dataclass(frozen=True, slots=True)
class NewestInFile(DuplicatePolicy):
    """The row with the greatest value of `column` stands; of several, the last of them.

    A row without a value is older than any with one.
    """

    column: str

    def winner(self) -> pl.Expr:
        """Return the row number of the newest version."""
        return _ROW.sort_by(self.column, "row_number", nulls_last=False).last()

    @property
    def columns(self) -> tuple[str, ...]:
        """The version."""
        return (self.column,)


@dataclass(frozen=True, slots=True)
class RejectDuplicates(DuplicatePolicy):
    """No row of such a key stands; each is a reject."""

    def winner(self) -> None:
        """Return None."""
        return
