"""The types that columns can have, by the standard's names."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import polars as pl

from csv_pipeline.spec.contract import Timestamp
from csv_pipeline.spec.kinds import TYPES, Kind

PRECISION, SCALE = 38, 9
"""Digits of a number of which the file says nothing: as many as there can be."""

CHECKS = {"minimum": "ge", "maximum": "le", "exclusive_minimum": "gt", "exclusive_maximum": "lt"}
"""What the standard's bounds are called as checks of Pandera."""


@dataclass(frozen=True, slots=True)
class TypeOfField:
    """A type of the standard: the contract's, its kind, and what a listed value of it is.

    `value` returns None for what is none, which `needs` to be something else. `words` are those of
    a field that are about some types only, and about this one.
    """

    annotation: Any
    kind: Kind
    value: Callable[[Any], Any]
    needs: str
    formats: tuple[str, ...] = ("default",)
    words: frozenset[str] = frozenset()

    @property
    def frame(self) -> type[pl.DataType]:
        """What values are in a frame."""
        return TYPES[self.kind].frame


def _only(*types: type) -> Callable[[Any], Any]:
    return lambda given: given if type(given) in types else None


def _iso(read: Callable[[str], Any]) -> Callable[[Any], Any]:
    def value(given: Any) -> Any:
        try:
            return read(given) if isinstance(given, str) else None
        except ValueError:
            return None

    return value


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return moment.astimezone(UTC)


_OF_TEXT = frozenset({"min_length", "max_length", "pattern", "categories", "values", "substitute"})
_OF_TEXT |= {"fold_case", "pad", "identifier", "normalise"}
_OF_BOUNDS = frozenset(CHECKS)
_OF_NUMBERS = _OF_BOUNDS | {"decimal_char", "group_char", "bare_number"}
_ZONED = frozenset({"zone", "zones", "unit"})
_WRITTEN = ("default", "any", "%")
FIELD_TYPES = {
    "string": TypeOfField(
        str, Kind.TEXT, _only(str), "text in quotes", ("default", "email", "uuid"), _OF_TEXT
    ),
    "integer": TypeOfField(int, Kind.INTEGER, _only(int), "a whole number", words=_OF_NUMBERS),
    "number": TypeOfField(
        pl.Decimal, Kind.DECIMAL, _only(int, Decimal), "a number",
        words=_OF_NUMBERS | {"precision", "scale", "stored_as", "bare_as"},
    ),
    "boolean": TypeOfField(
        bool, Kind.BOOLEAN, _only(bool), "true or false",
        words=frozenset({"true_values", "false_values"}),
    ),
    "date": TypeOfField(
        pl.Date, Kind.DATE, _iso(date.fromisoformat), "a date as 2025-12-31", _WRITTEN,
        _OF_BOUNDS | {"past"},
    ),
    "time": TypeOfField(
        pl.Time, Kind.TIME, _iso(time.fromisoformat), "a time as '17:30'", _WRITTEN,
        _OF_BOUNDS | {"past"},
    ),
    "datetime": TypeOfField(
        Timestamp, Kind.TIMESTAMP, _iso(_moment), "a moment as '2025-12-31T17:30:00Z'", _WRITTEN,
        _OF_BOUNDS | _ZONED | {"past"},
    ),
    "any": TypeOfField(str, Kind.JSON, _only(), "no listed value"),
}  # fmt: skip
"""The types of the standard that columns can have."""


BOUND: frozenset[str] = frozenset().union(*(its.words for its in FIELD_TYPES.values()))
"""Words that are about some types only."""

FORMATS = tuple(  # of dates and times any pattern of strptime besides
    dict.fromkeys(one for its in FIELD_TYPES.values() for one in its.formats)
)
"""The formats of all types."""
