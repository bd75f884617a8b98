"""Uploads that go on after a break, by tus 1.0.0: https://tus.io/protocols/resumable-upload."""

from typing import Annotated

import anyio
from fastapi import APIRouter, Depends, Header, Request, Response, status

from csv_pipeline.api.bodies import chunks_of, receive
from csv_pipeline.api.callers import Caller, Uploader
from csv_pipeline.api.examples import refusals
from csv_pipeline.api.paging import Number
from csv_pipeline.api.problems import ProblemError
from csv_pipeline.api.service import Service, ServiceOf
from csv_pipeline.api.taking import find, forget, go_on
from csv_pipeline.api.turns import entered, gone_on
from csv_pipeline.api.tus_headers import (
    ALGORITHMS,
    EXTENSIONS,
    MEDIA_TYPE,
    VERSION,
    Checksum,
    headers_of,
    hold_to_media_type,
    hold_to_rest,
    hold_to_version,
    length_and_metadata_of,
    metadata_of,
    number_in,
)
from csv_pipeline.engine import uploads as engine
from csv_pipeline.engine.receiving import OffsetError, Receiver, UploadLockedError
from csv_pipeline.storage.uploads import Upload, UploadState

router = APIRouter(prefix="/tus", tags=["resumable uploads"])

_OF_TUS = [Depends(hold_to_version)]
_BODY = {
    "requestBody": {
        "content": {
            MEDIA_TYPE: {
                "schema": {"type": "string", "format": "binary"},
                "example": "Customer ID,Name\nC1,Ann\n",
            }
        },
        "required": False,
    }
}
_NOT_ADDED = (
    *("unsupported_protocol", "file_too_large", "incomplete_upload", "upload_too_slow"),
    *("no_space", "checksum_mismatch", "unknown_feed"),
)
_NO_UPLOAD = ("unsupported_protocol", "unknown_upload", "upload_expired")


@router.options("", status_code=status.HTTP_204_NO_CONTENT)
@router.options("/{upload_id}", status_code=status.HTTP_204_NO_CONTENT)
def options(service: ServiceOf) -> Response:
    """Say what of tus the service can do."""
    return Response(
        status_code=status.HTTP_204_NO_CONTENT,
        headers={
            "Tus-Resumable": VERSION,
            "Tus-Version": VERSION,
            "Tus-Extension": EXTENSIONS,
            "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
            "Tus-Max-Size": str(service.pipeline.settings.max_file_bytes),
        },
    )


@router.post(
    "",
    status_code=status.HTTP_201_CREATED,
    response_class=Response,
    dependencies=_OF_TUS,
    openapi_extra=_BODY,
    responses=refusals(*_NOT_ADDED, "unknown_account", "invalid_account", "invalid_name"),
)
async def create(
    request: Request,
    caller: Uploader,
    service: ServiceOf,
    upload_length: Annotated[str, Header(description="The bytes of the file.")] = "",
    upload_metadata: Annotated[
        str, Header(description="`filename`, and perhaps `account`, `feed`, `check`, in Base64.")
    ] = "",
) -> Response:
    """Begin an upload; `Location` is where its bytes go."""
    del upload_length, upload_metadata  # they are only declared here
    size, said = number_in(request, "Upload-Length"), metadata_of(request)
    upload = await entered(_begin, service, caller, size, said)
    headers = {"Location": f"{request.url.path.rstrip('/')}/{upload.upload_id}"}
    if request.headers.get("content-type", "").casefold().startswith(MEDIA_TYPE) or size == 0:
        upload = await _add(service, caller, upload, request, offset=0)
    return Response(status_code=status.HTTP_201_CREATED, headers=headers_of(upload) | headers)


@router.head(
    "/{upload_id}", response_class=Response, dependencies=_OF_TUS, responses=refusals(*_NO_UPLOAD)
)
def offset(upload_id: Number, caller: Uploader, service: ServiceOf) -> Response:
    """Say how many bytes of an upload have come."""
    upload = _find(service, caller, upload_id)
    if upload.state is UploadState.UPLOADING and upload.whole:
        _go_on_late(service, caller, upload)
    return Response(headers=headers_of(upload) | length_and_metadata_of(upload))


@router.patch(
    "/{upload_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    dependencies=_OF_TUS,
    openapi_extra=_BODY,
    responses=refusals(
        *_NOT_ADDED, *_NO_UPLOAD, "offset_mismatch", "upload_locked", "wrong_media_type"
    ),
)
async def add(  # noqa: PLR0913, PLR0917  # what tus says in headers
    upload_id: Number,
    request: Request,
    caller: Uploader,
    service: ServiceOf,
    upload_offset: Annotated[str, Header(description="Where the bytes go on.")] = "",
    upload_checksum: Annotated[
        str, Header(description="An algorithm and the sum of this body, in Base64.")
    ] = "",
) -> Response:
    """Add bytes to an upload; with the last one it is checked or imported, as was asked for."""
    del upload_offset, upload_checksum
    hold_to_media_type(request)
    at = number_in(request, "Upload-Offset")
    upload = await entered(_find, service, caller, upload_id)
    if upload.state is not UploadState.UPLOADING and at != upload.received_bytes:
        raise OffsetError(upload_id, needed=upload.received_bytes, found=at)
    if upload.state is not UploadState.UPLOADING:
        hold_to_rest(request, 0)
    else:
        upload = await _add(service, caller, upload, request, offset=at)
    return Response(status_code=status.HTTP_204_NO_CONTENT, headers=headers_of(upload))


@router.delete(
    "/{upload_id}",
    status_code=status.HTTP_204_NO_CONTENT,
    dependencies=_OF_TUS,
    responses=refusals(*_NO_UPLOAD, "wrong_state"),
)
def end(upload_id: Number, caller: Uploader, service: ServiceOf) -> Response:
    """Forget an upload that is not imported yet, and its bytes."""
    upload = _find(service, caller, upload_id)
    forget(service, upload)
    service.note(caller, "cancel", f"upload {upload_id}", upload.account)
    return Response(status_code=status.HTTP_204_NO_CONTENT, headers={"Tus-Resumable": VERSION})


def _begin(service: Service, caller: Caller, size: int, said: dict[str, str]) -> Upload:
    account = said.get("account") or caller.account
    if account is None:
        needed = "an account was needed in Upload-Metadata; the token is for all"
        raise ProblemError("invalid_request", needed)
    caller.hold_to_account(account)
    return engine.begin(
        service.pipeline,
        account,
        said.get("filename") or said.get("name") or "",
        by=caller.who,
        feed=said.get("feed") or None,
        size_bytes=size,
        check_first=said.get("check", "").casefold() in {"true", "1", "on", "yes"},
    )


def _find(service: Service, caller: Caller, upload_id: int) -> Upload:
    upload = find(service, caller, upload_id)
    if upload.state is UploadState.CANCELED:
        raise ProblemError("upload_expired", f"upload {upload_id}: its bytes are kept no longer")
    if upload.size_bytes is None:
        raise ProblemError("unknown_upload", f"upload {upload_id}: it is not sent by tus")
    return upload


async def _add(
    service: Service, caller: Caller, upload: Upload, request: Request, *, offset: int
) -> Upload:
    """Add the body to an upload, and keep what came even if it breaks off."""
    checksum = Checksum.of(request)
    receiver = await entered(Receiver.of, service.pipeline, upload, offset)
    try:
        hold_to_rest(request, (upload.size_bytes or 0) - receiver.at)
        chunks = chunks_of(request)
        try:
            if checksum is None:
                await receive(chunks, receiver)
            else:
                await receive(checksum.over(chunks), receiver, keep=False)
        except BaseException:
            if checksum is not None:  # what was not compared to its sum is not kept
                with anyio.CancelScope(shield=True):
                    await entered(receiver.forget)
            raise
        finally:
            with anyio.CancelScope(shield=True):
                await entered(receiver.keep)
        return await gone_on(service, _kept, service, caller, receiver)
    finally:
        with anyio.CancelScope(shield=True):
            await entered(receiver.close)


def _kept(service: Service, caller: Caller, receiver: Receiver) -> Upload:
    """Return an upload after bytes were added; one that is whole goes on."""
    if not receiver.whole:
        return find(service, caller, receiver.upload.upload_id)
    return go_on(service, caller, receiver.upload)


def _go_on_late(service: Service, caller: Caller, upload: Upload) -> None:
    """Let an upload go on that was left whole, by a service that ended in this moment."""
    try:
        with Receiver.of(service.pipeline, upload, upload.received_bytes):
            go_on(service, caller, upload)
    except UploadLockedError:
        return  # the one that writes lets it go on
