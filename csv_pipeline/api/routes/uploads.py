"""Uploads: files streamed into the uploads area, and from there into the landing area."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import anyio
from fastapi import APIRouter, Query, Request, status

from csv_pipeline.api.callers import Caller, Uploader
from csv_pipeline.api.problems import ProblemError
from csv_pipeline.api.service import Service, ServiceOf
from csv_pipeline.engine import uploads as engine
from csv_pipeline.storage import uploads
from csv_pipeline.storage.uploads import Upload, UploadState

router = APIRouter(prefix="/uploads", tags=["uploads"])
_STALL_SECONDS = 30.0


@router.put("/{account}/{name}", status_code=status.HTTP_201_CREATED)
async def put(  # noqa: PLR0913, PLR0917  # what is known of a file
    account: str,
    name: str,
    request: Request,
    caller: Uploader,
    service: ServiceOf,
    feed: Annotated[
        str | None, Query(description="Of which feed it is; proposed if left out.")
    ] = None,
    *,
    check: Annotated[bool, Query(description="Wait, after a check, to be imported.")] = False,
) -> dict[str, Any]:
    """Send one file as the body of the request; it is imported at once, or checked first."""
    caller.hold_to_account(account)
    size = request.headers.get("content-length")
    upload = await anyio.to_thread.run_sync(
        lambda: engine.begin(
            service.pipeline,
            account,
            name,
            by=caller.who,
            feed=feed,
            size_bytes=int(size) if size and size.isdigit() else None,
            check_first=check,
        )
    )
    try:
        await receive(request.stream(), engine.path_of(service.pipeline, upload), service)
    except BaseException:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(engine.cancel, service.pipeline, upload.upload_id)
        raise
    return await anyio.to_thread.run_sync(go_on, service, caller, upload)


async def receive(stream: AsyncIterator[bytes], path: Path, service: Service) -> int:
    """Write what comes to a file and return how many bytes those were.

    Raises:
        ProblemError: It is too large, or nothing comes for a while.
    """
    limit, received = service.pipeline.settings.max_file_bytes, 0
    path.parent.mkdir(parents=True, exist_ok=True)
    async with await anyio.open_file(path, "wb") as file:
        chunks = aiter(stream)
        while True:
            try:
                with anyio.fail_after(_STALL_SECONDS):
                    chunk = await anext(chunks, None)
            except TimeoutError as error:
                said = f"a byte within {_STALL_SECONDS:.0f} s was needed; {received:,} came before"
                raise ProblemError("upload_too_slow", said) from error
            if chunk is None:
                return received
            received += len(chunk)
            if received > limit:
                raise ProblemError("file_too_large", f"at most {limit:,} bytes were needed")
            await file.write(chunk)


def go_on(service: Service, caller: Caller, upload: Upload) -> dict[str, Any]:
    """Do with an upload that is whole what was asked for, and return what it is now."""
    service.note(caller, "upload", f"upload {upload.upload_id}", upload.account, name=upload.name)
    if upload.check_first:
        return facts(ask_for_check(service, upload))
    return facts(ask_for_import(service, upload.upload_id))


def ask_for_check(service: Service, upload: Upload) -> Upload:
    """Have an upload checked."""
    with service.pipeline.database.begin() as connection:
        uploads.change(connection, upload.upload_id, state=UploadState.CHECKING)
    run_id = service.runs.check(upload.account, upload.upload_id)
    with service.pipeline.database.begin() as connection:
        return uploads.change(connection, upload.upload_id, run_id=run_id)


def ask_for_import(service: Service, upload_id: int, feed: str | None = None) -> Upload:
    """Put an upload into the landing area and ask for its run; the sensor would do so later."""
    placed = engine.place(service.pipeline, upload_id, feed=feed)
    assert placed.feed is not None and placed.arrival_id is not None  # noqa: S101, PT018
    try:
        run_id = service.runs.import_files(placed.account, placed.feed, [placed.arrival_id])
    except ProblemError:
        return placed  # the file is safe where it is
    with service.pipeline.database.begin() as connection:
        return uploads.change(connection, upload_id, run_id=run_id)


def facts(upload: Upload) -> dict[str, Any]:
    """Return an upload in JSON's own types."""
    return {
        "upload_id": upload.upload_id,
        "account": upload.account,
        "feed": upload.feed,
        "name": upload.name,
        "state": upload.state.value,
        "received_bytes": upload.received_bytes,
        "check": upload.report,
        "problem": upload.problem,
    }
