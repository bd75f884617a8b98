"""The check of a file: what was found out, what would happen, and what to change before it does."""

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import Response

from csv_pipeline.account import DELIMITERS, Account, DateOrder, DecimalMark
from csv_pipeline.api.callers import Caller, Corrector, Reader, Uploader
from csv_pipeline.api.live import facts_of
from csv_pipeline.api.pages.forms import AnswerOf, OwnForm
from csv_pipeline.api.pages.page import answer, leads_to
from csv_pipeline.api.pages.progress import live
from csv_pipeline.api.paging import Number
from csv_pipeline.api.service import Service, ServiceOf
from csv_pipeline.api.taking import UploadFacts, ask_for_check, ask_for_import, find, forget
from csv_pipeline.engine import remedies
from csv_pipeline.engine.accounts import Decided, declare
from csv_pipeline.engine.views import masked
from csv_pipeline.model import Counts, Outcome
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.header import header_fingerprint
from csv_pipeline.storage import browse, progress, quarantine
from csv_pipeline.storage.browse import ImportState, Wanted
from csv_pipeline.storage.uploads import Upload, UploadState

router = APIRouter()
_FIRST = 20
_BUSY = {UploadState.UPLOADING, UploadState.CHECKING}
_CHOICES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "encoding": ("encoding", ()),
    "delimiter": ("delimiter", tuple(DELIMITERS)),
    "date order": ("date_order", tuple(DateOrder)),
    "decimal mark": ("decimal_mark", tuple(DecimalMark)),
    "currency": ("currency", ()),
    "time zone": ("time_zone", ()),
}
"""What of the evidence an account can settle, and the values it can have."""


@router.get("/imports/{number}/check")
@router.get("/imports/{number}/check.json")
def check(
    request: Request,
    number: Number,
    caller: Reader,
    service: ServiceOf,
    left: Annotated[list[int], Query(max_length=200)] = [],  # noqa: B006  # FastAPI copies it
) -> Response:
    """Show what a check told; questions that are `left` are not asked again."""
    upload = find(service, caller, number)
    facts = UploadFacts.of(upload, caller).model_dump(mode="json")
    is_page = not request.url.path.endswith(".json")
    if is_page and upload.state in {UploadState.ARRIVED, UploadState.CANCELED}:
        return leads_to(f"/imports/{number}")
    told = upload.report or {}
    with service.reading(caller) as connection:
        faults = quarantine.faults_of(connection, number, _FIRST)
        step = progress.of_imports(connection, [number]).get(number)
        entry = browse.find(connection, number)
        before = Wanted(account=upload.account, outcome=Outcome.IMPORTED, limit=1)
        facts["new_account"] = not browse.page(connection, before)
    feed = service.pipeline.feeds.get(upload.feed or "")
    files = [told, *told.get("members", ())] if told else []
    mapped = [one for its in files for one in its.get("mapping", ())]
    used = {name for one in mapped for name in (one["column"], *one.get("also", ()))}
    asked = {one["question"]: one for its in files for one in its.get("suggestions", ())}
    return answer(
        request,
        "check.html",
        facts,
        {
            "upload": facts,
            "number": number,
            "check": told | {"first_rows": _first_rows(told, feed)} if told else told,
            "counts": _counts(told),
            "left": left,
            "busy": upload.state in _BUSY,
            "faults": masked(faults, feed),
            "remedies": list(asked.values()),
            "feeds": list(service.pipeline.feeds),
            "choices": _choices(upload, told),
            "words_of": {
                column.name: sorted(set(column.choices.values()))
                for column in (feed.columns if feed else ())
                if column.choices
            },
            "free_columns": [
                column.name
                for column in (feed.columns if feed else ())
                if not column.derived and column.name not in used
            ],
            **live(ImportState(upload.state), facts_of(entry, step), upload.created_at),
        },
    )


@router.post("/imports/{number}/check/again", dependencies=[OwnForm])
def again(
    number: Number, caller: Uploader, service: ServiceOf, feed: Annotated[str, Form()] = ""
) -> Response:
    """Check once more, perhaps as another feed."""
    find(service, caller, number)
    ask_for_check(service, number, feed or None)
    return leads_to(f"/imports/{number}/check")


@router.post("/imports/{number}/check/settings", dependencies=[OwnForm])
def settle(  # noqa: PLR0913, PLR0917  # what a form says
    number: Number,
    caller: Corrector,
    service: ServiceOf,
    setting: Annotated[str, Form()],
    value: Annotated[str, Form()],
    scope: Annotated[str, Form()] = "header",
    entry: Annotated[str, Form()] = "",
) -> Response:
    """Remember, for the account, what a file means, and check once more."""
    upload = find(service, caller, number)
    told = f"{entry}={value}" if entry else value
    changes = {setting: remedies.as_told(setting, told)}
    declare(service.pipeline, _scope(upload, scope), changes, decided=Decided(by=caller.who))
    return _remembered(service, caller, upload, f"{setting} {told}")


@router.post("/imports/{number}/check/remedy", dependencies=[OwnForm])
def remedy(number: Number, answer: AnswerOf, caller: Corrector, service: ServiceOf) -> Response:
    """Say yes to what the check asked, and check once more."""
    upload = find(service, caller, number)
    told = upload.report or {}
    files = (told, *told.get("members", ()))
    suggested = answer.among(one for its in files for one in its.get("suggestions", ()))
    remedies.apply(service.pipeline, upload.account, suggested, by=caller.who)
    return _remembered(service, caller, upload, f"{suggested} {suggested.value}")


@router.post("/imports/{number}/import", dependencies=[OwnForm])
def import_it(number: Number, caller: Uploader, service: ServiceOf) -> Response:
    """Have a file imported that was checked."""
    upload = find(service, caller, number)
    ask_for_import(service, number)
    service.note(caller, "import", f"upload {number}", upload.account)
    return leads_to(f"/imports/{number}")


@router.post("/imports/{number}/discard", dependencies=[OwnForm])
def discard(number: Number, caller: Uploader, service: ServiceOf) -> Response:
    """Forget a file."""
    upload = find(service, caller, number)
    forget(service, upload)
    service.note(caller, "cancel", f"upload {number}", upload.account)
    return leads_to("/?said=It+was+discarded.+Nothing+of+it+was+stored.")


def _remembered(service: Service, caller: Caller, upload: Upload, what: str) -> Response:
    service.note(caller, "declare", f"account {upload.account}", upload.account, what=what)
    ask_for_check(service, upload.upload_id)
    return leads_to(f"/imports/{upload.upload_id}/check")


def _counts(told: Mapping[str, Any]) -> dict[str, int]:
    """Return what would become of the rows of a file, or of the files that it holds.

    Of those that would be refused no row is counted: each is said to be refused as a whole.
    """
    files = told.get("members") or [told]
    every = [one["counts"] for one in files if one.get("counts") and one["importable"]]
    names = Counts.__dataclass_fields__
    return {name: sum(one.get(name, 0) for one in every) for name in names}


def _first_rows(told: Mapping[str, Any], feed: Feed | None) -> list[dict[str, str | None]]:
    """Return the first rows in the order of the contract, without columns that hold nothing."""
    rows: list[dict[str, str | None]] = list(told.get("first_rows", ()))
    names = [column.name for column in feed.columns] if feed else []
    filled = [name for name in names if any(row.get(name) is not None for row in rows)]
    return [{name: row.get(name) for name in filled} for row in rows]


def _scope(upload: Upload, scope: str) -> Account:
    """Return for which files of the account something holds."""
    header = tuple((upload.report or {}).get("header") or ())
    if scope == "account" or upload.feed is None:
        return Account(account=upload.account)
    if scope == "header" and header:
        fingerprint = header_fingerprint(header, upload.feed)
        return Account(account=upload.account, feed=upload.feed, header=fingerprint)
    return Account(account=upload.account, feed=upload.feed)


def _choices(upload: Upload, told: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return, for what the evidence is about, how it can be changed."""
    action = f"/imports/{upload.upload_id}/check/settings"
    wide = [("feed", "files of this feed"), ("account", "all files of the account")]
    narrow = [("header", "files with this header"), *wide]
    found = {}
    for one in told.get("evidence", ()):
        subject = one["subject"]
        known = next((name for name in _CHOICES if subject.startswith(name)), None)
        if known is not None:
            setting, options = _CHOICES[known]
            found[subject] = {
                "action": action,
                "setting": setting,
                "options": list(options),
                "now": one["decision"],
                "scopes": wide if setting == "encoding" else narrow,
            }
    return found
