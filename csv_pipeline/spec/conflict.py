"""Say what happens when a row's key is already stored and the two rows differ.

A policy is one class: `wins` says under which condition the incoming row is applied at all, `value`
what a column then holds. Both are SQL expressions, written once, used to class the rows and
to write them. A feed has one policy, and may have others for single columns. A row whose stored
values would all stay as they are is *kept*, and not rewritten.

A policy by which the later import wins says so by `by_arrival`: a rejected row that comes back
corrected counts as of the import it was rejected by, and loses against what arrived after that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, case, column, false, func, select, true

Values = Mapping[str, ColumnElement[Any]]
"""A row's values by column; a column that the file lacks is null."""


@dataclass(frozen=True, slots=True)
class ConflictPolicy:
    """Decide between a stored and an incoming row of the same key, or between two of their values.

    Attributes:
        by_arrival: The order of imports decides, and not the rows' values.
        refuses: A row that differs is rejected, with both values.
    """

    by_arrival: ClassVar[bool] = False
    refuses: ClassVar[bool] = False

    def wins(self, stored: Values, incoming: Values) -> ColumnElement[bool]:
        """Return the condition under which the incoming row is applied; never null."""
        return true()

    def outranks(self, stored: Values, incoming: Values) -> ColumnElement[bool]:
        """Return the condition under which a policy that goes by arrival asks for no arrival."""
        return false()

    def value(self, stored: ColumnElement[Any], incoming: ColumnElement[Any]) -> ColumnElement[Any]:
        """Return what a column holds once the incoming row is applied."""
        return incoming

    def differ(
        self, stored: ColumnElement[Any], incoming: ColumnElement[Any]
    ) -> ColumnElement[bool]:
        """Return whether two values make their rows differ; never null."""
        return stored.is_distinct_from(incoming)

    def cells(
        self, stored: ColumnElement[Any], incoming: ColumnElement[Any], names: ColumnElement[Any]
    ) -> ColumnElement[Any]:
        """Return the same for the cells that the feed does not know, two JSON objects.

        `names` is an array of all such columns of the file. A blank is a null, or no cell at all.
        """
        old: ColumnElement[Any] = column("old")
        new: ColumnElement[Any] = column("new")
        if self.value(old, new) is new:
            return stored.op("-")(names).concat(incoming)
        name = func.unnest(names).column_valued("name", joins_implicitly=True)
        value = self.value(stored.op("->>")(name), incoming.op("->>")(name))
        decided = select(func.jsonb_object_agg(name, value)).scalar_subquery()
        return stored.concat(decided)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that `wins` looks at."""
        return ()


@dataclass(frozen=True, slots=True)
class Overwrite(ConflictPolicy):
    """The incoming values always replace the stored ones."""

    by_arrival: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class KeepStored(ConflictPolicy):
    """The stored values always stay."""

    def wins(self, stored: Values, incoming: Values) -> ColumnElement[bool]:
        """Return false."""
        return false()


@dataclass(frozen=True, slots=True)
class FillBlanks(ConflictPolicy):
    """An incoming value is stored only where there was none."""

    def value(self, stored: ColumnElement[Any], incoming: ColumnElement[Any]) -> ColumnElement[Any]:
        """Return the stored value, or else the incoming one."""
        return func.coalesce(stored, incoming)


@dataclass(frozen=True, slots=True)
class FirstKnown(ConflictPolicy):
    """The first value stays, and rows do not differ by another: it says where the row was found."""

    def value(self, stored: ColumnElement[Any], incoming: ColumnElement[Any]) -> ColumnElement[Any]:
        """Return the stored value, or else the incoming one."""
        return func.coalesce(stored, incoming)

    def differ(
        self, stored: ColumnElement[Any], incoming: ColumnElement[Any]
    ) -> ColumnElement[bool]:
        """Return whether only the incoming row has a value."""
        return stored.is_(None) & incoming.is_not(None)


@dataclass(frozen=True, slots=True)
class NewestWins(ConflictPolicy):
    """The row with the greater value of `column` stays.

    A null or older version never wins; on a tie the stored row stays.
    """

    column: str

    def wins(self, stored: Values, incoming: Values) -> ColumnElement[bool]:
        """Return whether the incoming version is there and is newer than the stored one."""
        old, new = stored[self.column], incoming[self.column]
        return new.is_not(None) & (old.is_(None) | (new > old))

    @property
    def columns(self) -> tuple[str, ...]:
        """The version."""
        return (self.column,)


@dataclass(frozen=True, slots=True)
class Precedence(ConflictPolicy):
    """The row whose `column` is later in `order` wins; of equal ones the later import's.

    So a file of one layout leaves alone what only another one can tell.
    """

    by_arrival: ClassVar[bool] = True

    column: str
    order: tuple[str, ...]

    def wins(self, stored: Values, incoming: Values) -> ColumnElement[bool]:
        """Return whether the incoming row ranks as high as the stored one."""
        return self._rank(incoming) >= self._rank(stored)

    def outranks(self, stored: Values, incoming: Values) -> ColumnElement[bool]:
        """Return whether it ranks higher."""
        return self._rank(incoming) > self._rank(stored)

    @property
    def columns(self) -> tuple[str, ...]:
        """The one that ranks."""
        return (self.column,)

    def _rank(self, row: Values) -> ColumnElement[int]:
        ranks = {value: rank for rank, value in enumerate(self.order, 1)}
        return case(ranks, value=row[self.column], else_=0)


@dataclass(frozen=True, slots=True)
class LaterWins(ConflictPolicy):
    """The row with the greater value of `column` wins; of equal ones the later import's.

    So what the name of a file tells, such as its day, decides before the order of arrival. A null
    is less than any value.
    """

    by_arrival: ClassVar[bool] = True

    column: str

    def wins(self, stored: Values, incoming: Values) -> ColumnElement[bool]:
        """Return whether the incoming row is not the earlier one."""
        old, new = stored[self.column], incoming[self.column]
        return self.outranks(stored, incoming) | new.is_not_distinct_from(old)

    def outranks(self, stored: Values, incoming: Values) -> ColumnElement[bool]:
        """Return whether it is the later one."""
        old, new = stored[self.column], incoming[self.column]
        return new.is_not(None) & (old.is_(None) | (new > old))

    @property
    def columns(self) -> tuple[str, ...]:
        """The one that decides."""
        return (self.column,)


@dataclass(frozen=True, slots=True)
class Greatest(ConflictPolicy):
    """The greater of the two values stays; any value is greater than none."""

    def value(self, stored: ColumnElement[Any], incoming: ColumnElement[Any]) -> ColumnElement[Any]:
        """Return the greater value."""
        return func.greatest(stored, incoming)


@dataclass(frozen=True, slots=True)
class Least(ConflictPolicy):
    """The lesser of the two values stays; any value is less than none."""

    def value(self, stored: ColumnElement[Any], incoming: ColumnElement[Any]) -> ColumnElement[Any]:
        """Return the lesser value."""
        return func.least(stored, incoming)


@dataclass(frozen=True, slots=True)
class RejectConflicts(ConflictPolicy):
    """A row that differs is rejected, with both values; the stored values stay."""

    refuses: ClassVar[bool] = True

    def wins(self, stored: Values, incoming: Values) -> ColumnElement[bool]:
        """Return false."""
        return false()
