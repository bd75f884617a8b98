"""Rejected and superseded rows in the database: which are open, which repairs which, and by whom.

A row keeps its identity through any number of repairs: the import that rejected it first, and its
number there. The rejects of a repairing import hold that number in `repairs_row_number`.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from typing import Any

import polars as pl
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from csv_pipeline.batches import scan
from csv_pipeline.errors import ReplayError, SetupError, UnknownImportError
from csv_pipeline.handover import Replay
from csv_pipeline.model import Claim, ImportReport, Outcome, Reject
from csv_pipeline.rejects.rejects_file import RejectedRow
from csv_pipeline.storage import imports, tables

_SOME = 10_000
_ORIGINALS = pl.Schema(
    {"repairs": pl.Int64(), "cells": pl.List(pl.String), "faulty": pl.List(pl.String)}
)
_STATES = pl.Schema({"repairs": pl.Int64, "malformed": pl.Boolean, "repaired_by": pl.Int64})


def faults_of(connection: sa.Connection, import_id: int, limit: int | None = None) -> list[Reject]:
    """Return the faults of an import's rejected rows in the order of the file."""
    table = tables.reject
    query = (
        sa.select(*(table.c[field.name] for field in fields(Reject)))
        .where(table.c.import_id == import_id)
        .order_by(table.c.row_number, table.c.line_number, table.c.column)
        .limit(limit)
    )
    return [Reject.of(row._asdict()) for row in connection.execute(query)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueAtFault:
    """A value that broke a rule in some rows which are rejected and not repaired."""

    column: str
    rule: str
    value: str
    count: int


def open_rows(connection: sa.Connection, account: str, feed: str) -> int:
    """Return how many rejected rows of an account and feed are to be corrected.

    The ledger has how many each import rejected; only those that were repaired are counted. Imports
    that were undone or dismissed do not count.
    """
    found: int = connection.execute(_OPEN_ROWS, {"account": account, "feed": feed}).scalar_one()
    return found


def are_removed(connection: sa.Connection, import_id: int) -> bool:
    """Return whether an import rejected rows that are not kept any more."""
    its, fault = tables.import_.c, tables.reject.c
    kept = sa.exists().where(fault.import_id == its.import_id)
    stored = its.outcome == Outcome.IMPORTED
    found = sa.exists().where(its.import_id == import_id, stored, its.rejected > 0, ~kept)
    return bool(connection.scalar(sa.select(found)))


def hold_to_kept(connection: sa.Connection, import_id: int) -> None:
    """Refuse to go on if the rejected rows of an import are not kept any more.

    Raises:
        SetupError: They were removed.
    """
    if are_removed(connection, import_id):
        raise SetupError(
            f"import {import_id}: its rejected rows were needed; they were removed, by the setting "
            "keep_rejects_days: import its whole file again, by --again"
        )


_OPEN_ROWS = sa.text("""
    WITH counted AS (
        SELECT import_id, rejected FROM csv_pipeline.import
        WHERE account = :account AND feed = :feed AND outcome = 'imported' AND rejected > 0
            AND undone_by_import_id IS NULL AND repairs_import_id IS NULL AND dismissed_at IS NULL
            AND EXISTS (
                SELECT FROM csv_pipeline.reject WHERE reject.import_id = import.import_id
            )
    ), repaired AS (
        SELECT DISTINCT reject.import_id, reject.row_number
        FROM csv_pipeline.import repair
        JOIN csv_pipeline.reject ON reject.repaired_by_import_id = repair.import_id
        JOIN counted ON counted.import_id = reject.import_id
        WHERE repair.account = :account AND repair.feed = :feed
    )
    SELECT (SELECT coalesce(sum(rejected), 0) FROM counted)::bigint
        - (SELECT count(*) FROM repaired)
""")


def values_at_fault(
    connection: sa.Connection, import_id: int, limit: int = 500
) -> list[ValueAtFault]:
    """Return the values for which rows of an import are rejected, the most frequent first."""
    table = tables.reject
    count = sa.func.count()
    query = (
        sa.select(table.c.column, table.c.rule, table.c.value, count)
        .where(
            table.c.import_id == import_id,
            table.c.value.is_not(None),
            table.c.column.is_not(None),
            table.c.repaired_by_import_id.is_(None),
        )
        .group_by(table.c.column, table.c.rule, table.c.value)
        .order_by(count.desc(), table.c.column, table.c.value)
        .limit(limit)
    )
    return [
        ValueAtFault(column=column, rule=rule, value=value, count=rows)
        for column, rule, value, rows in connection.execute(query)
    ]


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


def rejected_rows(
    connection: sa.Connection,
    report: ImportReport,
    split: Callable[[str], Sequence[str | None]],
    *,
    repaired: bool = False,
) -> Iterator[RejectedRow]:
    """Give the rows that an import rejected and none repaired since, or all of them, in order.

    `split` gives the cells of a record; it is asked for those of which no cells are kept.
    """
    hold_to_kept(connection, report.import_id)
    for faults in _by_row(connection, report.import_id, repaired=repaired):
        yield row_of(report, faults, split)


def open_faults(connection: sa.Connection, import_id: int) -> Iterator[list[Any]]:
    """Give the faults of each row that an import rejected and none repaired since."""
    return _by_row(connection, import_id, repaired=False)


def _by_row(connection: sa.Connection, import_id: int, *, repaired: bool) -> Iterator[list[Any]]:
    table = tables.reject
    query = (
        sa.select(table, malformed().label("malformed"))
        .where(table.c.import_id == import_id)
        .order_by(table.c.row_number, table.c.line_number, table.c.column)
    )
    if not repaired:
        query = query.where(table.c.repaired_by_import_id.is_(None))
    faults = connection.execute(query, execution_options={"yield_per": _SOME})
    for _, of_row in groupby(faults, lambda fault: (fault.row_number, fault.line_number)):
        yield list(of_row)


def states(connection: sa.Connection, import_id: int) -> pl.DataFrame:
    """Return the rejected rows of an import.

    Shape: `repairs`, the row number; `malformed`; `repaired_by`, null while the row is open.
    """
    table = tables.reject
    query = (
        sa.select(
            table.c.row_number,
            sa.func.bool_and(malformed()),
            sa.func.max(table.c.repaired_by_import_id),
        )
        .where(table.c.import_id == import_id)
        .group_by(table.c.row_number)
    )
    found = connection.execute(query, execution_options={"yield_per": _SOME})
    frames = [
        pl.DataFrame([tuple(row) for row in some], schema=_STATES, orient="row")
        for some in found.partitions()
    ]
    return pl.concat([pl.DataFrame(schema=_STATES), *frames])


def originals(
    connection: sa.Connection,
    report: ImportReport,
    row_numbers: Sequence[int],
    split: Callable[[str], Sequence[str | None]],
) -> pl.DataFrame:
    """Return rejected rows of an import as they were in its file, but for malformed ones.

    Shape: `repairs`, the row number; `cells`, in the order of the header; `faulty`, the columns
    that had a fault.
    """
    table = tables.reject
    query = (
        sa.select(
            table.c.row_number,
            sa.func.min(table.c.raw),
            sa.func.max(sa.cast(table.c.cells, sa.Text)),
            sa.func.array_remove(sa.func.array_agg(table.c.column), None),
        )
        .where(
            table.c.import_id == report.import_id,
            table.c.row_number == sa.any_(sa.literal(list(row_numbers), pg.ARRAY(sa.BigInteger))),
        )
        .group_by(table.c.row_number)
        .having(~sa.func.bool_and(malformed()))
    )
    rows = [
        (number, list(split(raw) if cells is None else json.loads(cells)), faulty)
        for number, raw, cells, faulty in connection.execute(query)
    ]
    return pl.DataFrame(rows, schema=_ORIGINALS, orient="row")


def repairable(connection: sa.Connection, claim: Claim, import_id: int) -> ImportReport:
    """Return the import whose rejected rows a file brings back.

    Raises:
        ReplayError: It is no import of this account and feed, nothing of it was stored, or it is a
            repair itself.
    """
    lane = f"{claim.account}/{claim.feed}"
    try:
        report = imports.report_of(connection, import_id)
    except UnknownImportError:
        report = None
    if report is None or (report.account, report.feed) != (claim.account, claim.feed):
        found = f"import {import_id} is none of them"
    elif report.outcome is not Outcome.IMPORTED:
        found = f"import {import_id} was {report.outcome}; correct its whole file and send that"
    elif report.undone_by is not None:
        found = f"import {import_id} was undone by import {report.undone_by}; import its file again"
    elif report.repairs is not None:
        found = f"import {import_id} repairs import {report.repairs}, whose rows these are"
    elif are_removed(connection, import_id):
        found = f"those of import {import_id} were removed, by the setting keep_rejects_days"
    else:
        return report
    raise ReplayError(
        claim.name, f"rejected rows of an import of {lane} that stored rows were needed", found
    )


def changed(connection: sa.Connection, replay: Replay) -> bool:
    """Return whether rows that a file is to repair are no longer open rejects since it was read."""
    if imports.report_of(connection, replay.import_id).undone_by is not None:
        return True
    pairs = scan(replay.rows).join(scan(replay.text.rows), on="row_number", how="semi")
    table = states(connection, replay.import_id).lazy().filter(pl.col("repaired_by").is_not_null())
    return (
        not pairs.join(table, left_on="repairs_row_number", right_on="repairs", how="semi")
        .collect()
        .is_empty()
    )


def mark_repaired(
    connection: sa.Connection, import_id: int, repairs: int, brought: sa.Table
) -> None:
    """Mark the rejects whose rows `import_id` brought in, and those of repairs that failed before.

    `brought` holds the row numbers, in the file of import `repairs`, of the rows that came well.
    """
    table = tables.reject
    first = table.alias()
    connection.execute(
        sa.update(table)
        .where(
            table.c.import_id == repairs,
            table.c.row_number == brought.c.repairs_row_number,
            table.c.repaired_by_import_id.is_(None),
        )
        .values(repaired_by_import_id=import_id)
    )
    others = sa.select(tables.import_.c.import_id).where(
        tables.import_.c.repairs_import_id == repairs
    )
    connection.execute(
        sa.update(table)
        .where(
            table.c.import_id.in_(others) | (table.c.import_id == import_id),
            table.c.repairs_row_number == first.c.row_number,
            table.c.repaired_by_import_id.is_(None),
            first.c.import_id == repairs,
            first.c.repaired_by_import_id.is_not(None),
        )
        .values(repaired_by_import_id=first.c.repaired_by_import_id)
    )


def row_of(
    report: ImportReport, faults: Sequence[Any], split: Callable[[str], Sequence[str | None]]
) -> RejectedRow:
    """Return a rejected row by its faults as the table has them, each with `malformed`."""
    first = faults[0]
    cells = None
    if not any(fault.malformed for fault in faults):
        cells = tuple(split(first.raw) if first.cells is None else first.cells)
    return RejectedRow(
        import_id=report.import_id if report.repairs is None else report.repairs,
        row_number=first.row_number if report.repairs is None else first.repairs_row_number,
        cells=cells,
        raw=first.raw,
        errors=tuple(fault.message for fault in faults),
    )


def malformed() -> sa.ColumnElement[bool]:
    """Return whether a fault is that its record has not the header's shape."""
    table = tables.reject
    return table.c.column.is_(None) & table.c.rule.startswith("row.", autoescape=True)
