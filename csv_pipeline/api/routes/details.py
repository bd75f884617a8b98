"""Details of one file: evidence, lines that are no rows, warnings, differences, suggestions."""

from typing import Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, TypeAdapter

from csv_pipeline.api.callers import Reader
from csv_pipeline.api.examples import example, refusals
from csv_pipeline.api.paging import Number
from csv_pipeline.api.problems import ProblemError
from csv_pipeline.api.reports import report_at
from csv_pipeline.api.service import ServiceOf
from csv_pipeline.engine import views
from csv_pipeline.engine.suggest import suggest
from csv_pipeline.files.stores import store_of
from csv_pipeline.model import Difference, Evidence, LineCounts, NonDataLine, ReportWarning
from csv_pipeline.storage import imports

router = APIRouter(
    prefix="/imports/{number}",
    tags=["details"],
    responses=refusals("unknown_import", "wrong_state", "import_running"),
)


class Decisions(BaseModel):
    """What was decided about a file, what in it that is based on, and what to look at."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "evidence": [
                        {
                            "subject": "encoding",
                            "decision": "utf-8",
                            "because": "every byte is valid",
                            "proven": True,
                        }
                    ],
                    "warnings": [],
                    "styles": {"amount": "point"},
                }
            ]
        }
    )

    evidence: list[Evidence]
    warnings: list[ReportWarning]
    styles: dict[str, str | None]


class Lines(BaseModel):
    """Where every line of the file is, and the first that are no data."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "counts": {"total": 8, "header": 1, "records": 5, "blank": 1, "non_data": 1},
                    "non_data_lines": [
                        {
                            "line_number": 8,
                            "text": "5 records downloaded",
                            "reason": "footer",
                            "cells": 1,
                            "lines": 1,
                            "declared": True,
                            "facts": ["5"],
                        }
                    ],
                }
            ]
        }
    )

    counts: LineCounts
    non_data_lines: list[NonDataLine]


class Differences(BaseModel):
    """The first values that a dry run would change; those of protected columns are left out."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "differences": [
                        {
                            "row_number": 2,
                            "key": "C1",
                            "column": "city",
                            "before": "Bonn",
                            "after": "Köln",
                        }
                    ]
                }
            ]
        }
    )

    differences: list[Difference]


class Declares(BaseModel):
    """A setting and its value: for all files of the account, of a feed, or with one header."""

    account: str
    name: str
    value: str | None
    feed: str
    header: str


class Suggestion(BaseModel):
    """What may be meant, of how many values, and what to declare if it is."""

    question: str
    command: str | None
    count: int
    declares: Declares | None
    column: str | None
    word: str | None


class SuggestionList(BaseModel):
    """Settings that may be what the file of an import lacked."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "suggestions": [
                        {
                            "question": "Is order_status 'Versendet' the word shipped?",
                            "command": "account acme --feed ebay_orders "
                            "--map order_status:Versendet=shipped",
                            "count": 412,
                            "declares": {
                                "account": "acme",
                                "name": "map",
                                "value": "order_status:Versendet=shipped",
                                "feed": "ebay_orders",
                                "header": "",
                            },
                            "column": "order_status",
                            "word": "Versendet",
                        }
                    ]
                }
            ]
        }
    )

    suggestions: list[Suggestion]


@router.get("/evidence")
def evidence(number: Number, caller: Reader, service: ServiceOf) -> Decisions:
    """Return the decisions about a file with their evidence, and the warnings."""
    with service.reading(caller) as connection:
        report = report_at(connection, number)
    return Decisions(
        evidence=list(report.evidence), warnings=list(report.warnings), styles=dict(report.styles)
    )


@router.get("/lines")
def lines(number: Number, caller: Reader, service: ServiceOf) -> Lines:
    """Return where every line of the file is, and the first lines that are no data."""
    with service.reading(caller) as connection:
        report = report_at(connection, number)
    return Lines(counts=report.lines, non_data_lines=list(report.non_data_lines))


@router.get("/report", responses=example({"import_id": 17, "outcome": "imported", "warnings": []}))
def report(number: Number, caller: Reader, service: ServiceOf) -> dict[str, Any]:
    """Return all that is known of what became of the rows."""
    with service.reading(caller) as connection:
        return views.import_facts(report_at(connection, number))


@router.get("/differences")
def differences(number: Number, caller: Reader, service: ServiceOf) -> Differences:
    """Return the first values that the import of a checked upload would change."""
    with service.reading(caller) as connection:
        return Differences(differences=list(report_at(connection, number).differences))


@router.get("/suggestions")
def suggestions(number: Number, caller: Reader, service: ServiceOf) -> SuggestionList:
    """Return questions about what the file lacked, each with the command that answers by yes."""
    with service.reading(caller) as connection:
        report = report_at(connection, number)
        import_id = imports.report_of(connection, report.import_id).import_id
    found = suggest(service.pipeline, import_id).found
    return SuggestionList(suggestions=_SUGGESTIONS.validate_python(found, from_attributes=True))


@router.get(
    "/results",
    response_class=StreamingResponse,
    responses=example(
        "row_number,outcome\n2,inserted\n3,rejected\n",
        kind="text/csv",
        description="What became of each row.",
    )
    | refusals("unknown_import", "not_found"),
)
def results(number: Number, caller: Reader, service: ServiceOf) -> StreamingResponse:
    """Return the file that says what became of each row."""
    with service.reading(caller) as connection:
        report = report_at(connection, number)
    location = service.pipeline.results_of(report)
    if location is None:
        raise ProblemError("not_found", f"import {number}: it has no result file")
    store = store_of(location)
    return StreamingResponse(
        store.read(location, store.status(location)),
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{location.name}"'},
    )


_SUGGESTIONS = TypeAdapter(list[Suggestion])
