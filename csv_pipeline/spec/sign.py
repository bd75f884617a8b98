"""Say that another column tells the sign of an amount: `Debit`, `CR`, `Soll`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from csv_pipeline.errors import SetupError


@dataclass(frozen=True, slots=True, kw_only=True)
class SignFrom:
    """The words of another column say which amounts count as they are, and which are negative."""

    column: str
    plus: tuple[str, ...]
    minus: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the contract that are asked."""
        return (self.column,)

    @property
    def words(self) -> Mapping[str, int]:
        """The sign that each word means."""
        return dict.fromkeys(self.plus, 1) | dict.fromkeys(self.minus, -1)


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoAmounts:
    """A derived amount is that of one column, or the negative of that of the other."""

    plus: str
    minus: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the contract that are asked."""
        return self.plus, self.minus


Sign = SignFrom | TwoAmounts
"""Where the sign of an amount is from."""


def hold_signs(feed: str, columns: Iterable[Any]) -> None:
    """Check what columns declare of their signs and currencies against the others of the contract.

    Raises:
        SetupError: A column is not there or of another type, or a word means both.
    """
    known = {column.name: column for column in columns}
    for column in known.values():
        if missing := [name for name in column.currency_in if name not in known]:
            raise SetupError(
                f"feed {feed!r}, currency_in of {column.name!r}: columns of the contract were "
                f"needed; found {', '.join(missing)}"
            )
        its = column.sign
        if its is None:
            continue
        needed = f"feed {feed!r}, sign of {column.name!r}:"
        if missing := [name for name in its.columns if name not in known]:
            raise SetupError(
                f"{needed} columns of the contract were needed; found {', '.join(missing)}"
            )
        types = {known[name].dtype for name in its.columns}
        if isinstance(its, TwoAmounts) and not (column.derived and types == {column.dtype}):
            raise SetupError(
                f"{needed} a derived column and two amounts of its type were needed; found others"
            )
        if isinstance(its, SignFrom) and (both := {*its.plus} & {*its.minus}):
            raise SetupError(f"{needed} a word that means one was needed; {both} means both")
