"""Corrections: what people wrote into cells of rejected rows, change by change.

Of several corrections of a cell the last one holds; taking back a change brings back the one before
it. Nothing of it is imported before somebody asks for that.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby, islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from csv_pipeline.storage import tables
from csv_pipeline.storage.api_tables import correction as table

_SOME = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What holds of a cell: `row_number` is that of the rejected row in its import."""

    row_number: int
    column: str
    value: str
    change: int
    made_by: str
    made_at: datetime


def current(
    connection: sa.Connection, import_id: int, row_numbers: Collection[int]
) -> dict[int, dict[str, str]]:
    """Return what holds of the corrected cells of rows, by row and column."""
    some = sa.any_(sa.literal(list(row_numbers), pg.ARRAY(sa.BigInteger)))
    query = _last(import_id, (table.c.value,)).where(table.c.row_number == some)
    found: dict[int, dict[str, str]] = {}
    for row_number, column, value in connection.execute(query):
        found.setdefault(row_number, {})[column] = value
    return found


def by_row(connection: sa.Connection, import_id: int) -> Iterator[tuple[int, dict[str, str]]]:
    """Give what holds of all corrected cells, row by row in their order, by column."""
    query = _last(import_id, (table.c.value,))
    cells = connection.execute(query, execution_options={"yield_per": _SOME})
    for row_number, of_row in groupby(cells, lambda cell: cell.row_number):
        yield row_number, {cell.column: cell.value for cell in of_row}


def count_rows(connection: sa.Connection, import_id: int) -> int:
    """Return how many rows that none repaired since have a corrected cell."""
    its = tables.reject.c
    count = sa.func.count(table.c.row_number.distinct())
    query = sa.select(count).where(
        *(table.c.import_id == import_id, its.import_id == import_id),
        *(its.row_number == table.c.row_number, its.repaired_by_import_id.is_(None)),
    )
    return connection.scalar(query) or 0


def page(
    connection: sa.Connection, import_id: int, after: tuple[int, str], limit: int
) -> list[Correction]:
    """Return what holds of corrected cells after one of a row and column, in their order."""
    last = sa.tuple_(sa.literal(after[0]), sa.literal(after[1]))
    query = (
        _last(import_id, (table.c.value, table.c.change, table.c.made_by, table.c.made_at))
        .where(sa.tuple_(table.c.row_number, table.c.column) > last)
        .limit(limit)
    )
    return [Correction(**row._mapping) for row in connection.execute(query)]


def open_rows(connection: sa.Connection, import_id: int, row_numbers: Collection[int]) -> set[int]:
    """Return which of these rows an import rejected and none repaired since."""
    its = tables.reject.c
    some = sa.any_(sa.literal(list(row_numbers), pg.ARRAY(sa.BigInteger)))
    query = sa.select(its.row_number).where(
        its.import_id == import_id, its.row_number == some, its.repaired_by_import_id.is_(None)
    )
    return set(connection.execute(query).scalars())


def store(
    connection: sa.Connection, import_id: int, by: str, cells: Iterable[tuple[int, str, str]]
) -> int:
    """Store a change of cells, by row and column, and return its number."""
    its = tables.import_.c.import_id
    connection.execute(sa.select(its).where(its == import_id).with_for_update(key_share=True))
    last = sa.select(sa.func.max(table.c.change)).where(table.c.import_id == import_id)
    change: int = (connection.scalar(last) or 0) + 1
    left = iter(cells)
    while some := list(islice(left, _SOME)):
        rows: list[dict[str, Any]] = [
            {
                "import_id": import_id,
                "row_number": row_number,
                "column": column,
                "value": value,
                "change": change,
                "made_by": by,
            }
            for row_number, column, value in some
        ]
        connection.execute(sa.insert(table), rows)
    return change


def take_back(
    connection: sa.Connection, import_id: int, change: int | None = None
) -> tuple[int, int] | None:
    """Take back a change, or the last one, and return its number and how many cells it was of."""
    if change is None:
        last = sa.select(sa.func.max(table.c.change)).where(table.c.import_id == import_id)
        change = connection.scalar(last)
    gone = sa.delete(table).where(table.c.import_id == import_id, table.c.change == change)
    cells = connection.execute(gone).rowcount
    return None if change is None or not cells else (change, cells)


def _last(import_id: int, columns: tuple[sa.Column[Any], ...]) -> sa.Select[Any]:
    cell = (table.c.row_number, table.c.column)
    return (
        sa.select(*cell, *columns)
        .ext(pg.distinct_on(*cell))
        .where(table.c.import_id == import_id)
        .order_by(*cell, table.c.correction_id.desc())
    )
