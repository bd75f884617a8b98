"""The types that columns can have, by the standard's names."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, time
from decimal import Decimal
from typing import Any

import polars as pl

PRECISION, SCALE = 38, 9
"""Digits of a number of which the file says nothing: as many as there can be."""

EMAIL = r"[^@\s]+@[^@\s]+\.[^@\s.]+"
EMAIL_NEEDS = "an address such as name@example.com"
"""What an address is, as a pattern of the whole value, and in words."""

CHECKS = {"minimum": "ge", "maximum": "le", "exclusive_minimum": "gt", "exclusive_maximum": "lt"}
"""What the standard's bounds are called as checks of Pandera."""


@dataclass(frozen=True, slots=True)
class TypeOfField:
    """A type of the standard: the contract's, and what a bound or a listed value of it is.

    `value` returns None for what is none, which `needs` to be something else. `words` are those of
    a field that are about some types only, and about this one.
    """

    annotation: Any
    value: Callable[[Any], Any]
    needs: str
    formats: tuple[str, ...] = ("default",)
    words: frozenset[str] = frozenset()

    @property
    def frame(self) -> Any:
        """What values are in a frame."""
        return {str: pl.String, int: pl.Int64}.get(self.annotation, self.annotation)


def _only(*types: type) -> Callable[[Any], Any]:
    return lambda given: given if type(given) in types else None


def _iso(read: Callable[[str], Any]) -> Callable[[Any], Any]:
    def value(given: Any) -> Any:
        try:
            return read(given) if isinstance(given, str) else None
        except ValueError:
            return None

    return value


_OF_TEXT = frozenset({"min_length", "max_length", "pattern", "categories", "values", "substitute"})
_OF_TEXT |= {"fold_case", "pad", "identifier"}
_OF_BOUNDS = frozenset(CHECKS)
FIELD_TYPES = {
    "string": TypeOfField(str, _only(str), "text in quotes", ("default", "email"), _OF_TEXT),
    "integer": TypeOfField(int, _only(int), "a whole number", words=_OF_BOUNDS),
    "number": TypeOfField(
        pl.Decimal, _only(int, Decimal), "a number", words=_OF_BOUNDS | {"precision", "scale"}
    ),
    "date": TypeOfField(
        pl.Date, _iso(date.fromisoformat), "a date as 2025-12-31", words=_OF_BOUNDS | {"past"}
    ),
    "time": TypeOfField(
        pl.Time, _iso(time.fromisoformat), "a time as '17:30'", words=_OF_BOUNDS | {"past"}
    ),
}
"""The types of the standard that columns can have."""


BOUND: frozenset[str] = frozenset().union(*(its.words for its in FIELD_TYPES.values()))
"""Words that are about some types only."""

FORMATS = tuple(dict.fromkeys(one for its in FIELD_TYPES.values() for one in its.formats))
"""The formats of all types."""
