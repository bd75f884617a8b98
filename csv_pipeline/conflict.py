"""Say what happens when a row's key is already stored and the two rows differ.

A policy is one class with one method: given the columns of the stored and of the incoming row, the
SQL condition under which the incoming row replaces the stored one. Rows that do not differ are
never asked about and never rewritten; a row that does not replace the stored one is *kept*.

A policy by which the later import wins says so by `by_arrival`: a rejected row that is mended and
sent back stands for the import it was rejected by, and loses against what arrived after that.
"""

from dataclasses import dataclass
from typing import ClassVar, Protocol

from sqlalchemy import ColumnElement, FromClause, true


class ConflictPolicy(Protocol):
    """Decide between a stored and an incoming row of the same key."""

    @property
    def by_arrival(self) -> bool:
        """Whether the order of imports decides, and not the rows' values."""
        ...

    def replaces(self, stored: FromClause, incoming: FromClause) -> ColumnElement[bool]:
        """Return the condition under which `incoming` replaces `stored`; never null."""
        ...


@dataclass(frozen=True, slots=True)
class Overwrite:
    """The incoming row always replaces the stored one."""

    by_arrival: ClassVar[bool] = True

    def replaces(self, stored: FromClause, incoming: FromClause) -> ColumnElement[bool]:
        """Return true."""
        return true()


@dataclass(frozen=True, slots=True)
class NewestWins:
    """The row with the greater value of `column` stays.

    A null or older version never wins; on a tie the stored row stays.
    """

    column: str
    by_arrival: ClassVar[bool] = False

    def replaces(self, stored: FromClause, incoming: FromClause) -> ColumnElement[bool]:
        """Return whether the incoming version is there and is newer than the stored one."""
        old, new = stored.c[self.column], incoming.c[self.column]
        return new.is_not(None) & (old.is_(None) | (new > old))
