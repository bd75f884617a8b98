"""Undo with its consequences shown first, cancel, retry, again, dismiss; each for many files."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, status
from pydantic import BaseModel, ConfigDict, Field

from csv_pipeline.api.actions import Action, act
from csv_pipeline.api.callers import Corrector, Reader, Undoer, Uploader
from csv_pipeline.api.examples import refusals
from csv_pipeline.api.paging import Number
from csv_pipeline.api.problems import ProblemError, problem_of
from csv_pipeline.api.reports import wrong_state
from csv_pipeline.api.service import ServiceOf
from csv_pipeline.errors import PipelineError
from csv_pipeline.model import ReportWarning
from csv_pipeline.storage import browse

router = APIRouter(prefix="/imports", tags=["actions"])
_REFUSED = refusals("unknown_import", "wrong_state", "import_running")
_NO_RUN = refusals("unknown_import", "wrong_state", "import_running", "no_dagster")
_NO_UNDO = refusals("unknown_import", "wrong_state", "import_running", "cannot_be_undone")
MOST = 1_000


class Consequences(BaseModel):
    """What an undo would do with the rows that an import wrote.

    Those it inserted go, those it changed come back as they were before; rows that a later import
    changed stay, counted by that import. An undo of an undo brings rows back.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "import_id": 17,
                    "redone": False,
                    "goes": 3,
                    "comes_back": 39,
                    "stays": {"21": 2},
                    "gone": 0,
                    "warnings": [],
                }
            ]
        }
    )

    import_id: int = Field(description="Whose rows it is about.")
    redone: bool = Field(description="It takes back an undo.")
    goes: int
    comes_back: int
    stays: dict[str, int] = Field(description="Rows changed since, by the import that did.")
    gone: int = Field(description="Rows that are not there any more.")
    warnings: list[ReportWarning] = Field(
        description="`rows.also_brought`: later imports that may have brought the rows as well."
    )


class Asked(BaseModel):
    """What was asked for: where to look, and the Dagster run that does it, if one does."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"number": 17, "action": "undo", "run_id": "0d3c", "href": "/imports/17"}]
        }
    )

    number: int
    action: Action
    run_id: str | None
    href: str


class Batch(BaseModel):
    """An action, and for which files."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"action": "retry", "numbers": [17, 18]}]}
    )

    action: Action
    numbers: Annotated[
        list[Annotated[int, Field(ge=0, lt=1 << 63)]], Field(min_length=1, max_length=MOST)
    ]


class BatchStatus(BaseModel):
    """What became of the action for one file: a status as of HTTP, and the problem if any."""

    number: int
    status: int
    run_id: str | None = None
    problem: dict[str, Any] | None = None


class BatchAnswer(BaseModel):
    """What became of the action for each file, in the order asked."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "action": "retry",
                    "results": [{"number": 17, "status": 202, "run_id": "0d3c", "problem": None}],
                }
            ]
        }
    )

    action: Action
    results: list[BatchStatus]


@router.get("/{number}/undo", responses=_NO_UNDO)
def consequences(number: Number, caller: Reader, service: ServiceOf) -> Consequences:
    """Return what an undo would do; nothing is changed."""
    with service.reading(caller) as connection:
        entry = browse.find(connection, number)
    if entry.import_id is None or entry.outcome is None:
        raise wrong_state(entry, "one that was imported")
    report = service.pipeline.undo(entry.import_id, dry_run=True)
    done = report.undo
    assert done is not None  # noqa: S101  # an undo says what it did
    kept: Mapping[int, int] = done.kept
    return Consequences(
        import_id=done.import_id,
        redone=done.redone,
        goes=done.deleted,
        comes_back=done.restored + done.inserted,
        stays={str(by): rows for by, rows in kept.items()},
        gone=done.gone,
        warnings=list(report.warnings),
    )


@router.post(
    "/{number}/undo",
    status_code=status.HTTP_202_ACCEPTED,
    responses=_NO_UNDO | refusals("no_dagster"),
)
def undo(number: Number, caller: Undoer, service: ServiceOf) -> Asked:
    """Take back what an import wrote, or, of an undo, bring it back."""
    return _asked(number, Action.UNDO, act(service, caller, number, Action.UNDO))


@router.post("/{number}/cancel", status_code=status.HTTP_202_ACCEPTED, responses=_REFUSED)
def cancel(number: Number, caller: Uploader, service: ServiceOf) -> Asked:
    """Withdraw a file that is not settled yet; it is not imported until `retry`."""
    return _asked(number, Action.CANCEL, act(service, caller, number, Action.CANCEL))


@router.post("/{number}/retry", status_code=status.HTTP_202_ACCEPTED, responses=_NO_RUN)
def retry(number: Number, caller: Uploader, service: ServiceOf) -> Asked:
    """Import once more a file that failed, was refused, canceled, or undone."""
    return _asked(number, Action.RETRY, act(service, caller, number, Action.RETRY))


@router.post("/{number}/again", status_code=status.HTTP_202_ACCEPTED, responses=_NO_RUN)
def again(number: Number, caller: Uploader, service: ServiceOf) -> Asked:
    """Import a file again though its bytes were imported before: it counts as the newest."""
    return _asked(number, Action.AGAIN, act(service, caller, number, Action.AGAIN))


@router.post("/{number}/dismiss", status_code=status.HTTP_202_ACCEPTED, responses=_REFUSED)
def dismiss(number: Number, caller: Corrector, service: ServiceOf) -> Asked:
    """Say that a refused or failed file, or rejected rows, need nobody; they stay as they are."""
    return _asked(number, Action.DISMISS, act(service, caller, number, Action.DISMISS))


@router.post("/batch")
def batch(wanted: Batch, caller: Reader, service: ServiceOf) -> BatchAnswer:
    """Do something with many files; each has a status of its own."""
    results = []
    for number in dict.fromkeys(wanted.numbers):
        try:
            run_id = act(service, caller, number, wanted.action)
        except ProblemError as problem:
            results.append(_refused(number, problem))
        except PipelineError as error:
            results.append(_refused(number, problem_of(error)))
        else:
            results.append(
                BatchStatus(number=number, status=status.HTTP_202_ACCEPTED, run_id=run_id)
            )
    return BatchAnswer(action=wanted.action, results=results)


def _asked(number: int, action: Action, run_id: str | None) -> Asked:
    return Asked(number=number, action=action, run_id=run_id, href=f"/api/v1/imports/{number}")


def _refused(number: int, problem: ProblemError) -> BatchStatus:
    return BatchStatus(number=number, status=problem.status, problem=problem.facts)
