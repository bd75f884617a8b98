"""Rejects and superseded rows as they are stored."""

from dataclasses import fields

import sqlalchemy as sa

from csv_pipeline.model import Reject
from csv_pipeline.storage import tables


def of_import(connection: sa.Connection, import_id: int, limit: int | None = None) -> list[Reject]:
    """Return the faults of an import's rejected rows in the order of the file."""
    table = tables.reject
    query = (
        sa.select(*(table.c[field.name] for field in fields(Reject)))
        .where(table.c.import_id == import_id)
        .order_by(table.c.row_number, table.c.line_number, table.c.column)
        .limit(limit)
    )
    return [Reject.of(row._asdict()) for row in connection.execute(query)]


def superseded(
    connection: sa.Connection, import_id: int, limit: int | None = None
) -> list[tuple[int, int]]:
    """Return pairs of a superseded row's number and that of the row which came after it."""
    table = tables.superseded
    query = (
        sa.select(table.c.row_number, table.c.by_row_number)
        .where(table.c.import_id == import_id)
        .order_by(table.c.row_number)
        .limit(limit)
    )
    return [(row.row_number, row.by_row_number) for row in connection.execute(query)]
