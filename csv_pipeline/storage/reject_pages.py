"""Rejected rows a page at a time, along the index of their numbers."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from csv_pipeline.storage import tables
from csv_pipeline.storage.quarantine import malformed


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectsWanted:
    """Which rejected rows of an import, `after` which row; a row is wanted for any of its faults.

    `hidden` are columns whose values are not searched, because they are not shown.
    """

    import_id: int
    rule: str | None = None
    column: str | None = None
    value: str | None = None
    hidden: Collection[str] = field(default=())
    is_open: bool | None = None
    after: int = 0
    limit: int = 50


def page(connection: sa.Connection, wanted: RejectsWanted) -> list[list[Any]]:
    """Return the faults of each row of a page, as the table has them, with `malformed`."""
    table = tables.reject
    conditions = [table.c.import_id == wanted.import_id, table.c.row_number > wanted.after]
    if wanted.rule is not None:
        conditions.append(table.c.rule == wanted.rule)
    if wanted.column is not None:
        conditions.append(table.c.column == wanted.column)
    if wanted.value is not None:
        conditions.append(table.c.value.icontains(wanted.value, autoescape=True))
        conditions.append(table.c.column.is_(None) | table.c.column.not_in(wanted.hidden))
    if wanted.is_open is not None:
        repaired = table.c.repaired_by_import_id
        conditions.append(repaired.is_(None) if wanted.is_open else repaired.is_not(None))
    numbers = (
        sa.select(table.c.row_number)
        .where(*conditions)
        .distinct()
        .order_by(table.c.row_number)
        .limit(wanted.limit)
    )
    return faults_of_rows(connection, wanted.import_id, list(connection.execute(numbers).scalars()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """How many rejected rows of an import came corrected, and their faults by rule and column."""

    rows: int
    by_rule: Counter[str]
    by_column: Counter[str]


def repaired(connection: sa.Connection, import_id: int) -> Repaired:
    """Return what of the rejects of an import is not open any more."""
    its = tables.reject.c
    is_repaired = (its.import_id == import_id, its.repaired_by_import_id.is_not(None))
    faults = sa.select(its.rule, its.column, sa.func.count()).group_by(its.rule, its.column)
    rows = sa.select(sa.func.count(its.row_number.distinct())).where(*is_repaired)
    found = Repaired(rows=connection.scalar(rows) or 0, by_rule=Counter(), by_column=Counter())
    for rule, column, count in connection.execute(faults.where(*is_repaired)):
        found.by_rule[rule] += count
        found.by_column[column] += count
    return found


def faults_of_rows(
    connection: sa.Connection, import_id: int, row_numbers: Collection[int]
) -> list[list[Any]]:
    """Return the faults of rows of an import, each row's together."""
    table = tables.reject
    some = sa.any_(sa.literal(list(row_numbers), pg.ARRAY(sa.BigInteger)))
    query = (
        sa.select(table, malformed().label("malformed"))
        .where(table.c.import_id == import_id, table.c.row_number == some)
        .order_by(table.c.row_number, table.c.line_number, table.c.column)
    )
    faults = connection.execute(query)
    return [list(its) for _, its in groupby(faults, lambda fault: fault.row_number)]
