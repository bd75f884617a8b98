"""Rejected rows of an import: pages to read and filter, and files to download."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.background import BackgroundTask

from csv_pipeline.access import Scope
from csv_pipeline.api.callers import Reader
from csv_pipeline.api.examples import example, refusals
from csv_pipeline.api.paging import Cursor, Limit, Number, after, cursor, next_page
from csv_pipeline.api.reports import repairable_at, report_at
from csv_pipeline.api.routes.imports import storable
from csv_pipeline.api.service import ServiceOf
from csv_pipeline.engine.corrections import Sheet, sheet_of
from csv_pipeline.rejects.faults import MASK
from csv_pipeline.storage import corrections, quarantine, reject_pages
from csv_pipeline.storage.reject_pages import RejectsWanted

router = APIRouter(
    prefix="/imports/{number}",
    tags=["rejects"],
    responses=refusals("unknown_import", "wrong_state", "import_running"),
)
_EXAMPLE: dict[str, Any] = {
    "row_number": 4,
    "line_number": 5,
    "repaired_by": None,
    "malformed": False,
    "faults": [
        {
            "column": "amount",
            "rule": "amount.decimal",
            "value": "x",
            "message": "column amount ('Amount'): 'x' breaks rule amount.decimal",
        }
    ],
    "cells": {"ID": "3", "Name": "bad", "Amount": "x"},
    "corrected": {"Amount": "3.00"},
}


class Fault(BaseModel):
    """Why a row is rejected: its column, unless it is one of the record, and the rule."""

    column: str | None
    rule: str
    value: str | None
    message: str


class RejectedRow(BaseModel):
    """A rejected row with all its faults, its cells as they came, and what was corrected since."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    row_number: int
    line_number: int
    repaired_by: int | None = Field(description="The import that brought it corrected.")
    malformed: bool = Field(description="Its cells could not be told apart for certain.")
    faults: list[Fault]
    cells: dict[str, str]
    corrected: dict[str, str]


class RejectPage(BaseModel):
    """A page of rejected rows; `by_rule` and `by_column` count the faults of the whole import."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "columns": ["ID", "Name", "Amount"],
                    "rejected": 1,
                    "by_rule": {"amount.decimal": 1},
                    "by_column": {"amount": 1},
                    "rows": [_EXAMPLE],
                    "next": None,
                }
            ]
        }
    )

    columns: list[str]
    rejected: int
    by_rule: dict[str, int]
    by_column: dict[str, int]
    rows: list[RejectedRow]
    next: str | None


@router.get("/rejects")
def page(  # noqa: PLR0913, PLR0917  # what a list can be asked
    number: Number,
    request: Request,
    response: Response,
    caller: Reader,
    service: ServiceOf,
    rule: Annotated[str | None, Query(description="Only rows that broke this rule.")] = None,
    column: Annotated[str | None, Query(description="Only with a fault in this column.")] = None,
    search: Annotated[
        str | None, Query(max_length=200, description="A part of a value at fault, in any case.")
    ] = None,
    *,
    is_open: Annotated[
        bool | None, Query(alias="open", description="Only open rows, or only repaired ones.")
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> RejectPage:
    """Return rejected rows in the order of the file; values of protected columns are masked."""
    with service.reading(caller) as connection:
        report = report_at(connection, number)
        sheet = sheet_of(service.pipeline, connection, report)
        found = reject_pages.page(
            connection,
            RejectsWanted(
                import_id=report.import_id,
                rule=storable(rule),
                column=storable(column),
                value=storable(search),
                hidden=sheet.hidden_columns,
                is_open=is_open,
                after=0 if cursor is None else after(cursor, "row", int)[0],
                limit=limit,
            ),
        )
        rows = rows_of(connection, sheet, found)
    at = _cursor(rows[-1]) if rows else None
    return RejectPage(
        columns=list(sheet.names),
        rejected=report.counts.rejected,
        by_rule=dict(report.rejects_by_rule),
        by_column=dict(report.rejects_by_column),
        rows=rows,
        next=next_page(request, response, rows, limit, at),
    )


@router.get(
    "/rejects.csv",
    response_class=FileResponse,
    responses=example("row_number,ID,Name,Amount\n4,3,bad,x\n", kind="text/csv"),
)
def as_csv(number: Number, caller: Reader, service: ServiceOf) -> FileResponse:
    """Return the open rejected rows as a file to correct and send back, safe for spreadsheets.

    It holds protected columns as they came: where there are some, the token must allow to correct.
    """
    with service.reading(caller) as connection:
        import_id = repairable_at(connection, number)
        sheet = sheet_of(service.pipeline, connection, report_at(connection, number))
    if sheet.hidden_columns and not sheet.confidential:
        caller.hold_to(Scope.CORRECT)
    with tempfile.NamedTemporaryFile(suffix=".csv", delete=False) as file:
        path = Path(file.name)
    try:
        service.pipeline.write_rejects(import_id, path)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    name = f"import-{import_id}-rejects.csv"
    remove = BackgroundTask(path.unlink, missing_ok=True)
    return FileResponse(path, media_type="text/csv", filename=name, background=remove)


@router.get(
    "/rejects.ndjson",
    response_class=StreamingResponse,
    responses=example(f"{json.dumps(_EXAMPLE)}\n", kind="application/x-ndjson"),
)
def as_json(number: Number, caller: Reader, service: ServiceOf) -> StreamingResponse:
    """Return all rejected rows as lines of JSON."""
    with service.reading(caller) as connection:
        report = report_at(connection, number)
        sheet = sheet_of(service.pipeline, connection, report)

    def chunks() -> Iterator[bytes]:
        last = 0
        while True:
            with service.reading(caller) as connection:
                wanted = RejectsWanted(import_id=report.import_id, after=last, limit=1_000)
                rows = rows_of(connection, sheet, reject_pages.page(connection, wanted))
            if not rows:
                return
            last = rows[-1].row_number
            yield "".join(f"{row.model_dump_json()}\n" for row in rows).encode()

    name = f"import-{report.import_id}-rejects.ndjson"
    return StreamingResponse(
        chunks(),
        media_type="application/x-ndjson",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def rows_of(connection: sa.Connection, sheet: Sheet, found: list[list[Any]]) -> list[RejectedRow]:
    """Return rows by their faults, with what was corrected of them."""
    numbers = [faults[0].row_number for faults in found]
    made = corrections.current(connection, sheet.report.import_id, numbers) if numbers else {}
    secret = {name for place, name in enumerate(sheet.names) if place in sheet.hidden}
    return [
        RejectedRow(
            row_number=faults[0].row_number,
            line_number=faults[0].line_number,
            repaired_by=faults[0].repaired_by_import_id,
            malformed=any(fault.malformed for fault in faults),
            faults=[_fault(sheet, fault) for fault in faults],
            cells=sheet.shown(quarantine.row_of(sheet.report, faults, sheet.split)),
            corrected={
                name: MASK if name in secret else value
                for name, value in made.get(faults[0].row_number, {}).items()
            },
        )
        for faults in found
    ]


def _fault(sheet: Sheet, fault: Any) -> Fault:
    hidden = sheet.confidential or fault.column in sheet.hidden_columns
    value = MASK if hidden and fault.value is not None else fault.value
    return Fault(column=fault.column, rule=fault.rule, value=value, message=fault.message)


def _cursor(row: RejectedRow) -> str:
    return cursor("row", row.row_number)
