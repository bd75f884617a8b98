"""Correct cells of rejected rows, take corrections back, and import what is corrected."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response, status
from pydantic import BaseModel, ConfigDict, Field

from csv_pipeline.api.callers import Corrector, Reader
from csv_pipeline.api.entries import Shown
from csv_pipeline.api.examples import refusals
from csv_pipeline.api.paging import Cursor, Limit, Number, after, cursor, next_page
from csv_pipeline.api.reports import repairable_at
from csv_pipeline.api.routes.imports import shown
from csv_pipeline.api.service import ServiceOf
from csv_pipeline.api.taking import ask_for_import
from csv_pipeline.engine import corrections as engine
from csv_pipeline.engine.corrections import Change, Replacing, sheet_of
from csv_pipeline.rejects.faults import MASK
from csv_pipeline.storage import corrections, imports

router = APIRouter(
    prefix="/imports/{number}",
    tags=["corrections"],
    responses=refusals("unknown_import", "wrong_state", "import_running"),
)
_NOT_SO = refusals("not_accepted")
Text = Annotated[str, Field(max_length=100_000)]


class Cell(BaseModel):
    """A cell of a rejected row: its row number, the heading of its column, and its new value."""

    row_number: Annotated[int, Field(ge=0, lt=1 << 63)]
    column: Text
    value: Text


class Cells(BaseModel):
    """Cells to correct in one change."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"cells": [{"row_number": 4, "column": "Amount", "value": "3.00"}]}]
        }
    )

    cells: Annotated[list[Cell], Field(min_length=1, max_length=10_000)]


class Replacement(BaseModel):
    """What to look for in cells of a column, or of all, and what to put there."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"find": "x", "replace": "0", "column": "Amount", "dry_run": True}]
        }
    )

    find: Text
    replace: Text
    column: Text | None = None
    whole_cell: bool = Field(True, description="Only cells that hold nothing else.")
    match_case: bool = True
    dry_run: bool = Field(False, description="Only say how many cells it would change.")


class CellChange(BaseModel):
    """A cell before and after."""

    row_number: int
    column: str
    before: str
    after: str


class Changed(BaseModel):
    """How many cells a change is of, its number, and some of them before and after."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"change": 1, "cells": 17, "rows": 17, "first": []}]}
    )

    change: int | None = Field(description="Its number; none: nothing was changed.")
    cells: int
    rows: int
    first: list[CellChange]


class Corrected(BaseModel):
    """What holds of a corrected cell, and who wrote it."""

    row_number: int
    column: str
    value: str
    change: int
    made_by: str
    made_at: datetime


class CorrectedPage(BaseModel):
    """A page of corrected cells, and the address of the next one."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "corrections": [
                        {
                            "row_number": 4,
                            "column": "Amount",
                            "value": "3.00",
                            "change": 1,
                            "made_by": "the shop's ERP",
                            "made_at": "2026-11-26T22:00:00Z",
                        }
                    ],
                    "next": None,
                }
            ]
        }
    )

    corrections: list[Corrected]
    next: str | None


@router.patch("/rejects", responses=_NOT_SO)
def correct(number: Number, cells: Cells, caller: Corrector, service: ServiceOf) -> Changed:
    """Write values into cells of open rejected rows: all of them or, if one cannot be, none."""
    with service.reading(caller) as connection:
        import_id = repairable_at(connection, number)
    told = [(one.row_number, one.column, one.value) for one in cells.cells]
    change = engine.correct(service.pipeline, import_id, told, by=caller.who)
    service.note(caller, "correct", f"import {import_id}", cells=change.cells)
    return _changed(change)


@router.post("/rejects/replace", responses=_NOT_SO)
def replace(number: Number, how: Replacement, caller: Corrector, service: ServiceOf) -> Changed:
    """Find and replace in the cells of open rejected rows; `dry_run` says how many that are."""
    with service.reading(caller) as connection:
        import_id = repairable_at(connection, number)
    change = engine.replace_cells(
        service.pipeline,
        import_id,
        Replacing(
            find=how.find.replace("\0", ""),
            put=how.replace.replace("\0", ""),
            column=how.column,
            whole_cell=how.whole_cell,
            match_case=how.match_case,
        ),
        by=caller.who,
        dry_run=how.dry_run,
    )
    if change.change is not None:
        service.note(caller, "replace", f"import {import_id}", cells=change.cells)
    return _changed(change)


@router.delete("/corrections", responses=_NOT_SO)
def take_back(
    number: Number,
    caller: Corrector,
    service: ServiceOf,
    change: Annotated[
        int | None, Query(ge=1, lt=1 << 63, description="Which change; the last one if left out.")
    ] = None,
) -> Changed:
    """Take back a change of cells; what they were before holds again."""
    with service.reading(caller) as connection:
        import_id = repairable_at(connection, number)
    done = engine.take_back(service.pipeline, import_id, change)
    service.note(caller, "take back correction", f"import {import_id}", change=done.change)
    return _changed(done)


@router.get("/corrections")
def page(  # noqa: PLR0913, PLR0917  # what a list can be asked
    number: Number,
    request: Request,
    response: Response,
    caller: Reader,
    service: ServiceOf,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> CorrectedPage:
    """Return the corrected cells of an import in the order of its rows."""
    begin = (0, "") if cursor is None else after(cursor, "cell", int, str)
    with service.reading(caller) as connection:
        import_id = repairable_at(connection, number)
        sheet = sheet_of(service.pipeline, connection, imports.report_of(connection, import_id))
        found = corrections.page(connection, import_id, (begin[0], begin[1]), limit)
    secret = {name for place, name in enumerate(sheet.names) if place in sheet.hidden}
    cells = [
        Corrected(
            row_number=one.row_number,
            column=one.column,
            value=MASK if one.column in secret else one.value,
            change=one.change,
            made_by=one.made_by,
            made_at=one.made_at,
        )
        for one in found
    ]
    at = _cursor(cells[-1]) if cells else None
    return CorrectedPage(corrections=cells, next=next_page(request, response, cells, limit, at))


@router.post(
    "/replay", status_code=status.HTTP_202_ACCEPTED, responses=_NOT_SO | refusals("no_space")
)
def replay(number: Number, request: Request, caller: Corrector, service: ServiceOf) -> Shown:
    """Import the corrected rows: as a file in the landing area, by a run that is asked for."""
    with service.reading(caller) as connection:
        import_id = repairable_at(connection, number)
    upload = engine.send_corrected(service.pipeline, import_id, by=caller.who)
    service.note(caller, "replay", f"import {import_id}", upload=upload.upload_id)
    ask_for_import(service, upload.upload_id)
    return shown(service, caller, upload.upload_id, str(request.app.state.root))


def _changed(change: Change) -> Changed:
    first = [
        CellChange(row_number=row, column=column, before=before, after=then)
        for row, column, before, then in change.first
    ]
    return Changed(change=change.change, cells=change.cells, rows=change.rows, first=first)


def _cursor(cell: Corrected) -> str:
    facts: tuple[Any, ...] = (cell.row_number, cell.column)
    return cursor("cell", *facts)
