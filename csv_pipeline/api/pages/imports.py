"""One file at its permanent address: on its way, checked, or what became of each of its rows."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from csv_pipeline.access import Scope
from csv_pipeline.api.actions import Action, act
from csv_pipeline.api.callers import Caller, Corrector, Reader, Undoer, Uploader
from csv_pipeline.api.entries import Shown
from csv_pipeline.api.live import facts_of
from csv_pipeline.api.pages import page
from csv_pipeline.api.pages.forms import AnswerOf, OwnForm
from csv_pipeline.api.pages.page import answer, leads_to
from csv_pipeline.api.pages.progress import BUSY, being_undone, live
from csv_pipeline.api.pages.values import rows
from csv_pipeline.api.paging import Number
from csv_pipeline.api.problems import ProblemError
from csv_pipeline.api.routes.imports import shown
from csv_pipeline.api.service import Service, ServiceOf
from csv_pipeline.engine import remedies
from csv_pipeline.engine.suggest import suggest
from csv_pipeline.engine.workspace import Stage
from csv_pipeline.model import Outcome
from csv_pipeline.storage import browse, imports, progress, reject_pages
from csv_pipeline.storage.browse import ImportState

router = APIRouter()
_ROOT = "/api/v1"


@router.get("/imports/{number}")
@router.get("/imports/{number}.json")
def one(
    request: Request, number: Number, caller: Reader, service: ServiceOf, undoing: str = ""
) -> Response:
    """Show one file, perhaps while a run is `undoing` what it brought."""
    entry = shown(service, caller, number, _ROOT)
    goes_on = _is_undone_by(service, entry, undoing)
    is_page = not request.url.path.endswith(".json")
    sent_only = entry.import_id is None and entry.arrival_id is None
    if is_page and sent_only and entry.state is not ImportState.CANCELED:
        return leads_to(f"/imports/{number}/check")
    report = entry.report
    wanted = report is not None and entry.state in {ImportState.REFUSED, ImportState.IMPORTED}
    with service.reading(caller) as connection:
        repaired = reject_pages.repaired(connection, entry.import_id or number)
        replays = imports.brought_by_replays(connection, entry.import_id or number)
    still_open = entry.counts.rejected - repaired.rows
    found = (
        suggest(service.pipeline, entry.import_id).found
        if is_page and wanted and entry.import_id is not None and report and report["header"]
        else ()
    )
    return answer(
        request,
        "import.html",
        entry.model_dump(mode="json"),
        {
            "entry": entry.model_dump(mode="json"),
            "number": number,
            "busy": entry.state in BUSY,
            "undoing": undoing if goes_on else "",
            "not_undone": bool(undoing) and not goes_on and entry.undone_by is None,
            "replays": replays if entry.undone_by is not None else {},
            "outcome": _outcome(entry, still_open),
            "actions": _actions(entry, still_open, {one.value: caller.may(one) for one in Scope}),
            "remedies": found,
            "stages": [stage.value for stage in Stage],
            **_live(service, caller, entry, undoing=goes_on),
        },
    )


@router.get("/imports/{number}/live")
def follow(
    request: Request, number: Number, caller: Reader, service: ServiceOf, undoing: str = ""
) -> Response:
    """Show how far a file is; the header `X-Over` says that it does not go on by itself."""
    entry = shown(service, caller, number, _ROOT)
    goes_on = _is_undone_by(service, entry, undoing)
    over = {} if entry.state in BUSY or goes_on else {"X-Over": str(entry.state)}
    told = _live(service, caller, entry, undoing=goes_on)
    return HTMLResponse(page.part(request, "live.html", told), headers=over)


@router.post("/imports/{number}/remedy", dependencies=[OwnForm])
def remedy(number: Number, answer: AnswerOf, caller: Corrector, service: ServiceOf) -> Response:
    """Remember, for the account, what a file meant."""
    entry = shown(service, caller, number, _ROOT)
    if entry.import_id is None:
        raise ProblemError("wrong_state", f"import {number}: one that was imported was needed")
    told = answer.among([asdict(its) for its in suggest(service.pipeline, entry.import_id).found])
    remedies.apply(service.pipeline, entry.account, told, by=caller.who)
    service.note(caller, "declare", f"account {entry.account}", entry.account, what=str(told))
    return leads_to(f"/imports/{number}?said=It+is+remembered.+Import+the+file+again+to+use+it.")


@router.get("/imports/{number}/undo")
@router.get("/imports/{number}/undo.json")
def consequences(request: Request, number: Number, caller: Undoer, service: ServiceOf) -> Response:
    """Show what taking back an import would do."""
    entry = shown(service, caller, number, _ROOT)
    report = service.pipeline.undo(entry.import_id or number, dry_run=True)
    assert report.undo is not None  # noqa: S101  # an undo says what it did
    its = report.undo
    facts = {name: getattr(its, name) for name in its.__dataclass_fields__} | {
        "kept": {str(by): rows for by, rows in its.kept.items()}
    }
    warnings = [asdict(one) for one in report.warnings]
    with service.reading(caller) as connection:
        found = {} if its.redone else imports.brought_by_replays(connection, its.import_id)
    replays = {str(by): rows for by, rows in found.items()}
    facts = {"number": number, "undo": facts, "replays": replays, "warnings": warnings}
    return answer(request, "undo.html", facts, {"entry": entry.model_dump(mode="json")})


@router.post("/imports/{number}/undo", dependencies=[OwnForm])
def take_back(number: Number, caller: Undoer, service: ServiceOf) -> Response:
    """Take back an import."""
    run_id = act(service, caller, number, Action.UNDO)
    return leads_to(f"/imports/{number}?undoing={run_id}")


@router.post("/imports/{number}/cancel", dependencies=[OwnForm])
def cancel(number: Number, caller: Uploader, service: ServiceOf) -> Response:
    """End what is going on with a file."""
    act(service, caller, number, Action.CANCEL)
    return leads_to(f"/imports/{number}")


@router.post("/imports/{number}/retry", dependencies=[OwnForm])
def retry(number: Number, caller: Uploader, service: ServiceOf) -> Response:
    """Import a file once more that was refused or failed."""
    act(service, caller, number, Action.RETRY)
    return leads_to(f"/imports/{number}")


@router.post("/imports/{number}/dismiss", dependencies=[OwnForm])
def dismiss(number: Number, caller: Corrector, service: ServiceOf) -> Response:
    """Say that a file needs nobody, and show what else does."""
    act(service, caller, number, Action.DISMISS)
    return leads_to("/")


def _is_undone_by(service: Service, entry: Shown, run_id: str) -> bool:
    """Return whether a run is still to take back what a file brought."""
    if not run_id or entry.undone_by is not None:
        return False
    try:
        return not service.runs.is_over(run_id)
    except ProblemError:
        return True  # Dagster does not answer right now


def _live(service: Service, caller: Caller, entry: Shown, *, undoing: bool) -> dict[str, Any]:
    if undoing:
        return being_undone()
    return live(entry.state, _told(service, caller, entry.number or 0), entry.at)


def _told(service: Service, caller: Caller, number: int) -> dict[str, Any]:
    """Return how far a file is."""
    with service.reading(caller) as connection:
        entry = browse.find(connection, number)
        import_id = entry.import_id or number
        return facts_of(entry, progress.of_imports(connection, [import_id]).get(import_id))


def _outcome(entry: Shown, still_open: int) -> Mapping[str, str]:
    """Return what happened, whether anything is wrong, and what is safe."""
    if entry.state is ImportState.IMPORTED:
        return _of_imported(entry, still_open)
    by_state = {
        ImportState.UNDONE: _says(
            "same",
            f"Taken back by import {entry.undone_by}",
            "Its rows are as they were before. This can be undone, too.",
        ),
        ImportState.DUPLICATE: _says(
            "same",
            "Nothing new",
            f"The same content came before, as import {entry.same_as}. Nothing was stored.",
        ),
        ImportState.CANCELED: _says(
            "same", "Discarded", "Nothing of it was stored, and the file is not kept."
        ),
    }
    refused = _says("refused", "Nothing of this file was stored", entry.problem or "")
    return by_state.get(entry.state, refused)


def _of_imported(entry: Shown, still_open: int) -> Mapping[str, str]:
    counts = entry.counts
    stored = _rows(counts.inserted + counts.updated)
    if entry.outcome is Outcome.UNDO:
        title = f"This took back import {entry.undoes}"
        return _says("stored", title, "It can be taken back itself, which brings the rows back.")
    if still_open == counts.rejected > 0:
        title = f"{_rows(counts.rejected)} not imported"
        text = f"{stored} stored; the rejected ones are kept and can be corrected."
        return _says("needs", title, text)
    if counts.rejected:
        since = f"{stored} stored, and {_rows(counts.rejected - still_open)} imported corrected."
        if still_open:
            rejected = rows(counts.rejected, "rejected row")
            verb = "is" if still_open == 1 else "are"
            return _says("needs", f"{still_open:,} of {rejected} {verb} still open", since)
        return _says("stored", "Every rejected row was imported since", since)
    return _says("stored", "Every row is imported", f"{stored} stored. This can be taken back.")


def _says(meaning: str, title: str, text: str) -> dict[str, str]:
    return {"meaning": meaning, "title": title, "text": text}


def _rows(count: int) -> str:
    return f"{rows(count)} {'was' if count == 1 else 'were'}"


def _actions(entry: Shown, still_open: int, may: Mapping[str, bool]) -> list[dict[str, Any]]:
    here, found = f"/imports/{entry.number}", list[dict[str, Any]]()
    stored = entry.outcome in {Outcome.IMPORTED, Outcome.UNDO}
    if entry.outcome is Outcome.IMPORTED and still_open and entry.undone_by is None:
        found.append(_leads(f"{here}/rejects", f"Correct {rows(still_open)}"))
    if stored and entry.undone_by is None and may["undo"]:
        word = "Bring it back" if entry.outcome is Outcome.UNDO else "Take back"
        found.append(_leads(f"{here}/undo", word))
    if entry.undone_by is not None:
        found.append(_leads(f"/imports/{entry.undone_by}", f"See import {entry.undone_by}"))
    if entry.same_as is not None:
        found.append(_leads(f"/imports/{entry.same_as}", f"See import {entry.same_as}"))
    if entry.repairs is not None:
        found.append(_leads(f"/imports/{entry.repairs}", f"See import {entry.repairs}, repaired"))
    tried = entry.state in {ImportState.REFUSED, ImportState.FAILED}
    if tried and may["upload"]:
        found.append(_leads(f"{here}/retry", "Import it again") | {"post": True})
    if not found and may["upload"]:
        found.append(_leads("/imports/new", "Send a file"))
    return [one | {"primary": at == 0} for at, one in enumerate(found)]


def _leads(address: str, word: str) -> dict[str, Any]:
    return {"address": address, "word": word, "post": False}
