"""Uploads: files streamed into the uploads area, and from there into the landing area."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response, status
from pydantic import BaseModel, ConfigDict, Field

from csv_pipeline.api.bodies import chunks_of, length_of
from csv_pipeline.api.callers import Caller, Reader, Uploader
from csv_pipeline.api.examples import refusals
from csv_pipeline.api.multipart import boundary_of, parts_of
from csv_pipeline.api.paging import Number
from csv_pipeline.api.problems import ProblemError
from csv_pipeline.api.service import Service, ServiceOf
from csv_pipeline.api.taking import (
    UploadFacts,
    ask_for_check,
    ask_for_import,
    find,
    forget,
    go_on_or_drop,
    take_whole,
)
from csv_pipeline.api.taking_forms import TAKEN, Form, Taken
from csv_pipeline.api.turns import entered, gone_on
from csv_pipeline.engine import uploads as engine
from csv_pipeline.storage.uploads import UploadState, UploadStateError

router = APIRouter(prefix="/uploads", tags=["uploads"])

_FEED = "Of which feed the file is; if left out it is proposed from the file, and checked first."
FeedAsked = Annotated[str | None, Query(description=_FEED)]
CheckAsked = Annotated[bool, Query(description="Wait, after a check, for somebody to import it.")]
_BYTES = {"schema": {"type": "string", "format": "binary"}, "example": "Customer ID,Name\nC1,Ann\n"}
_FORM = {
    "schema": {
        "type": "object",
        "properties": {
            "account": {"type": "string"},
            "feed": {"type": "string", "description": _FEED},
            "check": {"type": "boolean"},
            "file": {"type": "array", "items": {"type": "string", "format": "binary"}},
        },
    },
    "example": {"account": "acme", "feed": "customers", "file": ["Customer ID,Name\nC1,Ann\n"]},
}
_NOT_SENT = (
    *("unknown_account", "unknown_feed", "invalid_account", "invalid_name", "file_too_large"),
    *("incomplete_upload", "upload_too_slow", "no_space"),
)
_NO_UPLOAD = refusals("unknown_upload", "wrong_state")
_NO_FEED = refusals("unknown_upload", "unknown_feed", "wrong_state", "not_accepted", "file_refused")


class FilesTaken(BaseModel):
    """What became of each file of a form, in the order of the form."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"files": [TAKEN]}]})

    files: list[Taken]


class CheckAsk(BaseModel):
    """How to check an upload again."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"feed": "customers"}]})

    feed: str | None = Field(None, description="Of which feed it is instead.")


class ImportAsk(BaseModel):
    """How to import an upload."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"force": True}]})

    feed: str | None = Field(None, description="Of which feed it is.")
    force: bool = Field(False, description="Import it although its check says otherwise.")


@router.put(
    "/{account}/{name}",
    status_code=status.HTTP_201_CREATED,
    responses=refusals(*_NOT_SENT),
    openapi_extra={"requestBody": {"content": {"application/octet-stream": _BYTES}}},
)
async def put(  # noqa: PLR0913, PLR0917  # what is known of a file
    account: str,
    name: str,
    request: Request,
    caller: Uploader,
    service: ServiceOf,
    feed: FeedAsked = None,
    *,
    check: CheckAsked = False,
) -> UploadFacts:
    """Send one file as the body of the request; it is imported at once, or checked first."""
    caller.hold_to_account(account)
    upload = await entered(
        lambda: engine.begin(
            service.pipeline,
            account,
            name,
            by=caller.who,
            feed=feed,
            size_bytes=length_of(request),
            check_first=check,
        )
    )
    whole = await take_whole(service, upload, chunks_of(request))
    upload = await gone_on(service, go_on_or_drop, service, caller, whole)
    return UploadFacts.of(upload, caller)


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    responses=refusals(*_NOT_SENT, "wrong_media_type", "too_many_files")
    | {207: {"model": FilesTaken, "description": "Some files were refused."}},
    openapi_extra={"requestBody": {"content": {"multipart/form-data": _FORM}}},
)
async def post(  # noqa: PLR0913, PLR0917  # what is known of the files
    request: Request,
    response: Response,
    caller: Uploader,
    service: ServiceOf,
    account: Annotated[
        str | None, Query(description="Whose files they are; the token's account if left out.")
    ] = None,
    feed: FeedAsked = None,
    *,
    check: CheckAsked = False,
) -> FilesTaken:
    """Send files as a form, one or several; each is answered with its own status.

    `account`, `feed` and `check` may be fields of the form, before the files. Only when the form
    is whole does any file go on; a form that breaks off leaves nothing.
    """
    boundary = boundary_of(request.headers.get("content-type", ""))
    form = Form(service, caller, account=account, feed=feed, check=check)
    files = await form.take(parts_of(chunks_of(request), boundary))
    refused = [one.problem for one in files if one.problem is not None]
    if len(refused) == len(files):
        first = refused[0]
        raise ProblemError(
            first["code"], first["detail"], files=[one.model_dump(mode="json") for one in files]
        )
    if refused:
        response.status_code = status.HTTP_207_MULTI_STATUS
    return FilesTaken(files=files)


@router.get("/{upload_id}", responses=refusals("unknown_upload"))
def one(upload_id: Number, caller: Reader, service: ServiceOf) -> UploadFacts:
    """Return where an upload is, and what its check told."""
    return UploadFacts.of(find(service, caller, upload_id), caller)


@router.delete("/{upload_id}", responses=_NO_UPLOAD)
def cancel(upload_id: Number, caller: Uploader, service: ServiceOf) -> UploadFacts:
    """Forget an upload that is not imported yet, and its bytes."""
    upload = find(service, caller, upload_id)
    canceled = forget(service, upload)
    if upload.state is not UploadState.CANCELED:
        _note(service, caller, "cancel", upload_id, upload.account)
    return UploadFacts.of(canceled, caller)


@router.post("/{upload_id}/check", status_code=status.HTTP_202_ACCEPTED, responses=_NO_FEED)
def check(
    upload_id: Number, caller: Uploader, service: ServiceOf, ask: CheckAsk | None = None
) -> UploadFacts:
    """Check an upload again, as after a change of settings, or for another feed."""
    upload = find(service, caller, upload_id)
    asked = ask_for_check(service, upload_id, ask.feed if ask else None)
    _note(service, caller, "check", upload_id, upload.account)
    return UploadFacts.of(asked, caller)


@router.post("/{upload_id}/import", status_code=status.HTTP_202_ACCEPTED, responses=_NO_FEED)
def import_(
    upload_id: Number, caller: Uploader, service: ServiceOf, ask: ImportAsk | None = None
) -> UploadFacts:
    """Import an upload that was checked; one that its check refuses only by `force`."""
    ask = ask or ImportAsk.model_validate({})
    upload = find(service, caller, upload_id)
    if not ask.force:
        if upload.state is not UploadState.CHECKED:
            raise UploadStateError(upload, UploadState.CHECKED)
        if not (upload.report or {}).get("importable"):
            raise ProblemError(
                "file_refused", f"{upload.problem}", reason=upload.problem_code or "refused"
            )
        if ask.feed not in {None, upload.feed}:
            said = f"a check for feed {ask.feed!r} was needed; it was checked for {upload.feed!r}"
            raise ProblemError("wrong_state", said)
    imported = ask_for_import(service, upload_id, ask.feed)
    _note(service, caller, "import", upload_id, upload.account)
    return UploadFacts.of(imported, caller)


def _note(service: Service, caller: Caller, action: str, upload_id: int, account: str) -> None:
    service.note(caller, action, f"upload {upload_id}", account)
