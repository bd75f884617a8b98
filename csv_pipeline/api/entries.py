"""What the API shows of one file: where it is, what became of its rows, and where to go on."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from csv_pipeline.model import Counts, Outcome
from csv_pipeline.storage.browse import Entry, ImportState

_EXAMPLE: dict[str, Any] = {
    "number": 17,
    "import_id": 17,
    "upload_id": None,
    "arrival_id": 9,
    "account": "acme",
    "feed": "customers",
    "name": "customers.csv",
    "state": "imported",
    "outcome": "imported",
    "at": "2026-11-26T09:30:00Z",
    "counts": {
        "read": 5,
        "inserted": 3,
        "updated": 0,
        "unchanged": 0,
        "kept": 0,
        "superseded": 0,
        "rejected": 2,
        "blank": 0,
        "non_data": 1,
        "missing": 0,
    },
    "run_id": None,
    "problem": None,
    "problem_code": None,
    "same_as": None,
    "repairs": None,
    "undoes": None,
    "undone_by": None,
}


class Listed(BaseModel):
    """One file: an import, a file that waits, or an upload."""

    model_config = ConfigDict(from_attributes=True, json_schema_extra={"examples": [_EXAMPLE]})

    number: int | None = Field(description="Its address below `/imports`; none: it only waits.")
    import_id: int | None
    upload_id: int | None
    arrival_id: int | None
    account: str
    feed: str | None
    name: str
    state: ImportState
    outcome: Outcome | None
    at: datetime = Field(description="When it was settled, or found, or its upload began.")
    counts: Counts
    run_id: str | None = Field(description="The Dagster run.")
    problem: str | None
    problem_code: str | None
    same_as: int | None = Field(description="The import that brought the same content before.")
    repairs: int | None = Field(description="The import whose rejected rows it brings back.")
    undoes: int | None = Field(description="The import that it took back.")
    undone_by: int | None = Field(description="The import that took it back.")


class ImportPage(BaseModel):
    """A page of the list of imports, and the address of the next one."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"imports": [_EXAMPLE], "next": None}]}
    )

    imports: list[Listed]
    next: str | None


class Shown(Listed):
    """One file with its report, or with what a check of it told."""

    model_config = ConfigDict(
        from_attributes=True,
        json_schema_extra={"examples": [_EXAMPLE | {"report": {}, "check": None, "links": {}}]},
    )

    report: dict[str, Any] | None = Field(description="What became of its rows, once settled.")
    check: dict[str, Any] | None = Field(description="What a check of the upload told.")
    links: dict[str, str]


_OF_IMPORT = ("rejects", "evidence", "lines", "differences", "suggestions", "corrections", "undo")


def links_of(entry: Entry, root: str) -> dict[str, str]:
    """Return where more about a file is, by name."""
    if entry.number is None:
        return {}
    here = f"{root}/imports/{entry.number}"
    names = _OF_IMPORT if entry.import_id is not None else ("rejects",)
    return {"self": here, "events": f"{here}/events", "progress": f"{here}/progress"} | {
        name: f"{here}/{name}" for name in names
    }
