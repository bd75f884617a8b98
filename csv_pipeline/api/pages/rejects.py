"""Rejected rows as a table: to read, filter, correct in place, and to import again."""

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Any

import sqlalchemy as sa
from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import JSONResponse, Response

from csv_pipeline.api.callers import Corrector, Reader
from csv_pipeline.api.pages.forms import OwnForm
from csv_pipeline.api.pages.page import answer, leads_to, wants_page
from csv_pipeline.api.pages.values import rows as in_words
from csv_pipeline.api.paging import Cursor, Number, after, cursor
from csv_pipeline.api.reports import repairable_at, report_at
from csv_pipeline.api.routes.imports import storable
from csv_pipeline.api.routes.rejects import rows_of
from csv_pipeline.api.service import Service, ServiceOf
from csv_pipeline.api.taking import ask_for_import
from csv_pipeline.engine import corrections as engine
from csv_pipeline.engine.corrections import Replacing, sheet_of
from csv_pipeline.engine.mapping import places_of
from csv_pipeline.model import ImportReport, Outcome
from csv_pipeline.spec.header import header_fingerprint
from csv_pipeline.storage import accounts, corrections, reject_pages
from csv_pipeline.storage.reject_pages import RejectsWanted

router = APIRouter()
_A_PAGE = 50


@router.get("/imports/{number}/rejects")
@router.get("/imports/{number}/rejects.json")
def rejects(  # noqa: PLR0913, PLR0917  # what the table can be asked
    request: Request,
    number: Number,
    caller: Reader,
    service: ServiceOf,
    rule: str = "",
    column: str = "",
    search: Annotated[str, Query(max_length=200)] = "",
    show: str = "open",
    row: int = 0,
    cursor_: Annotated[Cursor, Query(alias="cursor")] = None,
) -> Response:
    """Show rejected rows."""
    with service.reading(caller) as connection:
        report = report_at(connection, number)
        sheet = sheet_of(service.pipeline, connection, report)
        wanted = RejectsWanted(
            import_id=report.import_id,
            rule=storable(rule) or None,
            column=storable(column) or None,
            value=storable(search) or None,
            hidden=sheet.hidden_columns,
            is_open=True if show == "open" else None,
            after=0 if cursor_ is None else after(cursor_, "row", int)[0],
            limit=_A_PAGE + 1,
        )
        found = reject_pages.page(connection, wanted)
        rows = rows_of(connection, sheet, found[:_A_PAGE])
        corrected = corrections.count_rows(connection, report.import_id)
        repaired = reject_pages.repaired(connection, report.import_id)
        places = _headings(service, connection, report)
    more = ""
    if len(found) > _A_PAGE:
        at = cursor("row", rows[-1].row_number)
        more = str(request.url.include_query_params(cursor=at).replace(scheme="", netloc=""))
    facts: dict[str, Any] = {
        "number": number,
        "columns": list(sheet.names),
        "rejected": report.counts.rejected,
        "open": report.counts.rejected - repaired.rows,
        "by_rule": dict(report.rejects_by_rule),
        "by_column": dict(report.rejects_by_column),
        "open_by_rule": _less(report.rejects_by_rule, repaired.by_rule),
        "open_by_column": _less(report.rejects_by_column, repaired.by_column),
        "corrected": corrected,
        "rows": [one.model_dump(mode="json") for one in rows],
        "next": more or None,
    }
    shown = {
        "name": report.name,
        "asked": {"rule": rule, "column": column, "search": search, "show": show},
        "page": {"before": "", "after": more, "shown": in_words(len(rows))},
        "hidden": [name for place, name in enumerate(sheet.names) if place in sheet.hidden],
        "heading_of": {column: sheet.names[place] for column, place in places.items()},
        "whole_row": row,
        "can_correct": report.outcome is Outcome.IMPORTED and report.undone_by is None,
    }
    return answer(request, "rejects.html", facts, shown)


@router.post("/imports/{number}/rejects", dependencies=[OwnForm])
def correct(  # noqa: PLR0913, PLR0917  # what a form says
    request: Request,
    number: Number,
    caller: Corrector,
    service: ServiceOf,
    row: Annotated[int, Form(ge=0, lt=1 << 63)],
    column: Annotated[str, Form()],
    value: Annotated[str, Form()] = "",
) -> Response:
    """Write a value into a cell."""
    with service.reading(caller) as connection:
        import_id = repairable_at(connection, number)
    engine.correct(service.pipeline, import_id, [(row, column, value)], by=caller.who)
    service.note(caller, "correct", f"import {import_id}", cells=1)
    if wants_page(request):
        return leads_to(f"{_back(request, number)}#row-{row}")
    with service.reading(caller) as connection:
        corrected = corrections.count_rows(connection, import_id)
    return JSONResponse({"said": f"Row {row} is corrected.", "corrected": corrected})


@router.post("/imports/{number}/rejects/replace", dependencies=[OwnForm])
def replace(  # noqa: PLR0913, PLR0917  # what a form says
    request: Request,
    number: Number,
    caller: Corrector,
    service: ServiceOf,
    find: Annotated[str, Form()] = "",
    put: Annotated[str, Form()] = "",
    column: Annotated[str, Form()] = "",
    *,
    part: Annotated[bool, Form()] = False,
    sure: Annotated[bool, Form()] = False,
) -> Response:
    """Say how many cells would change; change them once somebody is sure."""
    with service.reading(caller) as connection:
        import_id = repairable_at(connection, number)
    how = Replacing(
        find=find.replace("\0", ""),
        put=put.replace("\0", ""),
        column=column or None,
        whole_cell=not part,
    )
    done = engine.replace_cells(service.pipeline, import_id, how, by=caller.who, dry_run=not sure)
    if sure:
        service.note(caller, "replace", f"import {import_id}", cells=done.cells)
        return leads_to(f"/imports/{number}/rejects?said={done.cells}+cells+were+changed.")
    asked = {"find": find, "put": put, "column": column, "part": part}
    facts = {"number": number, "cells": done.cells, "rows": done.rows}
    return answer(request, "replace.html", facts, {"how": asked, "first": done.first})


@router.post("/imports/{number}/rejects/take-back", dependencies=[OwnForm])
def take_back(request: Request, number: Number, caller: Corrector, service: ServiceOf) -> Response:
    """Take back the last change of cells."""
    with service.reading(caller) as connection:
        import_id = repairable_at(connection, number)
    done = engine.take_back(service.pipeline, import_id)
    service.note(caller, "take back correction", f"import {import_id}", change=done.change)
    return leads_to(f"/imports/{number}/rejects?said=The+last+change+was+taken+back.")


@router.post("/imports/{number}/rejects/import", dependencies=[OwnForm])
def replay(number: Number, caller: Corrector, service: ServiceOf) -> Response:
    """Import the corrected rows."""
    with service.reading(caller) as connection:
        import_id = repairable_at(connection, number)
    upload = engine.send_corrected(service.pipeline, import_id, by=caller.who)
    service.note(caller, "replay", f"import {import_id}", upload=upload.upload_id)
    ask_for_import(service, upload.upload_id)
    return leads_to(f"/imports/{upload.upload_id}")


def _less(counts: Mapping[str, int], less: Counter[str]) -> dict[str, int]:
    return {name: count - less[name] for name, count in counts.items()}


def _back(request: Request, number: int) -> str:
    """Return where the form was sent from, with what the table was asked there."""
    referer = request.headers.get("referer", "")
    _, mark, query = referer.partition(f"/imports/{number}/rejects?")
    plain = query.partition("#")[0]
    return f"/imports/{number}/rejects" + (f"?{plain}" if mark and plain.isascii() else "")


def _headings(service: Service, connection: sa.Connection, report: ImportReport) -> dict[str, int]:
    """Return the place in the header of each column of the contract."""
    feed = service.pipeline.feeds.get(report.feed)
    if feed is None:
        return {}
    declared = accounts.declared(connection, report.account, report.feed)
    account = declared.of(header_fingerprint(report.header, feed.name))
    return places_of(report, feed, account)
