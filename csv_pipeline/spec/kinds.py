"""The kinds of column: what each is in Polars and in PostgreSQL.

A new kind is an entry here and one in `casts.by_kind`. What depends on its Polars type follows; a
kind whose cast depends on the whole column is also asked for by a survey, in `casts.figures` or
`casts.moments`. A type that is new to the tables is an entry in `stages.load.copying`, too. A row's
hash takes the number that a value is stored as, if that has 64 bits, and its text otherwise.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

import polars as pl
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from csv_pipeline.errors import SetupError


class Kind(StrEnum):
    """How the text of a column becomes a value."""

    TEXT = "text"
    CHOICE = "choice"
    CURRENCY = "currency"
    INTEGER = "integer"
    DECIMAL = "decimal"
    DATE = "date"
    TIME = "time"
    TIMESTAMP = "timestamp"
    BOOLEAN = "boolean"
    JSON = "json"
    UUID = "uuid"
    PERCENT = "percent"


@dataclass(frozen=True, slots=True)
class ValueType:
    """What the values of a kind are: in a frame, in a table, and by Table Schema."""

    frame: type[pl.DataType]
    table: Callable[[Any], sa.types.TypeEngine[Any]]
    """Make the type of the table's column, given the one of the frame."""
    schema: str
    """The name of the type in a Table Schema."""
    schema_format: str = "default"
    """The format of the type there."""


_TEXT = ValueType(pl.String, lambda _: sa.Text(), "string")
TYPES = {
    Kind.TEXT: _TEXT,
    Kind.CHOICE: _TEXT,
    Kind.CURRENCY: _TEXT,
    Kind.INTEGER: ValueType(pl.Int64, lambda _: sa.BigInteger(), "integer"),
    Kind.DECIMAL: ValueType(pl.Decimal, lambda its: sa.Numeric(its.precision, its.scale), "number"),
    Kind.DATE: ValueType(pl.Date, lambda _: sa.Date(), "date"),
    Kind.TIME: ValueType(pl.Time, lambda _: sa.Time(), "time"),
    Kind.TIMESTAMP: ValueType(pl.Datetime, lambda _: sa.DateTime(timezone=True), "datetime"),
    Kind.BOOLEAN: ValueType(pl.Boolean, lambda _: sa.Boolean(), "boolean"),
    Kind.JSON: ValueType(pl.String, lambda _: pg.JSONB(), "any"),
    Kind.UUID: ValueType(pl.String, lambda _: sa.Uuid(), "string", "uuid"),
    Kind.PERCENT: ValueType(pl.Decimal, lambda its: sa.Numeric(its.precision, its.scale), "number"),
}
"""The type of each kind; of several kinds of one type, the first is meant if none is declared."""


MOMENT = pl.Datetime("us", "UTC")
"""The one type of a timestamp: PostgreSQL keeps microseconds."""


def kind_of(dtype: pl.DataType) -> Kind:
    """Return the kind of a column that declares nothing but its type."""
    for kind, its in TYPES.items():
        if isinstance(dtype, its.frame) and (kind is not Kind.TIMESTAMP or dtype == MOMENT):
            return kind
    known = ", ".join(dict.fromkeys(its.frame.__name__ for its in TYPES.values()))
    raise TypeError(f"contract columns are of the types {known}; found {dtype}")


@cache  # one for all columns of a type: a type is compiled once
def sql_type(kind: Kind, dtype: pl.DataType) -> sa.types.TypeEngine[Any]:
    """Return the type of a column of the target table."""
    return TYPES[kind].table(dtype)


def is_number(dtype: pl.DataType) -> bool:
    """Return whether a value is stored in a frame as a number of at most 64 bits."""
    if isinstance(dtype, pl.Decimal):
        return (dtype.precision or 38) <= _LARGEST_EXACT
    return dtype.is_integer() or dtype.is_temporal()


_LARGEST_EXACT = 18  # digits that fit into 64 bits


_ONLY_OF = {
    "choices": {Kind.CHOICE, Kind.BOOLEAN, Kind.CURRENCY},
    "trues": {Kind.BOOLEAN},
    "falses": {Kind.BOOLEAN},
    "zone": {Kind.TIMESTAMP},
    "zones": {Kind.TIMESTAMP, Kind.DATE, Kind.TIME},
    "unit": {Kind.TIMESTAMP},
    "normalise": {Kind.TEXT},
    "bare_as": {Kind.PERCENT},
    "sign": {Kind.DECIMAL},
    "currency_in": {Kind.DECIMAL},
    "local_of": {Kind.TEXT},
}
"""What only columns of these kinds can declare: of others it would say nothing."""


def hold_facts(name: str, kind: Kind, dtype: pl.DataType, facts: Mapping[str, Any]) -> None:
    """Hold what a column declares to its kind.

    Raises:
        SetupError: It is about another kind, or the kind is one of another type.
    """
    if not isinstance(dtype, TYPES[kind].frame):
        raise SetupError(f"column {name!r}: another type was needed for kind {kind}; it is {dtype}")
    for fact, kinds in _ONLY_OF.items():
        if facts[fact] and kind not in kinds:
            needed = " or ".join(sorted(kinds))
            raise SetupError(f"column {name!r}: kind {needed} was needed for {fact}; it is {kind}")
    if kind is Kind.BOOLEAN and (wrong := {*facts["choices"].values()} - {"true", "false"}):
        raise SetupError(f"column {name!r}: choices of true and false were needed; found {wrong}")
