"""Take uploads: from the first byte to the check or the import that is asked for."""

from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import datetime
from typing import Any

import anyio
from pydantic import BaseModel, ConfigDict, Field

from csv_pipeline.access import Scope
from csv_pipeline.api.bodies import receive
from csv_pipeline.api.callers import Caller
from csv_pipeline.api.problems import ProblemError
from csv_pipeline.api.service import Service
from csv_pipeline.api.turns import entered
from csv_pipeline.engine import uploads as engine
from csv_pipeline.engine.import_requests import ImportRequest
from csv_pipeline.engine.placing import place
from csv_pipeline.engine.receiving import Receiver
from csv_pipeline.errors import PipelineError
from csv_pipeline.storage import tokens, uploads
from csv_pipeline.storage.uploads import Upload, UploadState

_EXAMPLE: dict[str, Any] = {
    "upload_id": 41,
    "account": "seller-one",
    "feed": "customers",
    "name": "customers.csv",
    "state": "checking",
    "size_bytes": 1200,
    "received_bytes": 1200,
    "created_at": "2026-11-26T22:00:00Z",
    "expires_at": "2026-11-27T22:00:00Z",
    "arrival_id": None,
    "run_id": "5f3a",
    "problem": None,
    "problem_code": None,
    "check": None,
}


class UploadFacts(BaseModel):
    """An upload: where it is, and what its check told."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    upload_id: int = Field(
        description="Its number, which will be that of the address of its import."
    )
    account: str
    feed: str | None = Field(description="Of which feed it is; the check proposes one if left out.")
    name: str
    state: UploadState
    size_bytes: int | None
    received_bytes: int
    created_at: datetime
    expires_at: datetime | None = Field(description="Until when it is kept if nothing happens.")
    arrival_id: int | None = Field(description="What it arrived as in the landing area.")
    run_id: str | None
    problem: str | None
    problem_code: str | None
    check: dict[str, Any] | None = Field(
        description="What the check told: the report of a dry run with `importable`, `mapping`, "
        "`first_rows`, `values_at_fault`, `suggestions`, `proposals` and `members`; only for a "
        "token that may read."
    )

    @classmethod
    def of(cls, upload: Upload, caller: Caller) -> "UploadFacts":
        """Return what a caller may know of an upload."""
        return cls.model_validate(
            {name: getattr(upload, name, None) for name in cls.model_fields}
            | {"check": upload.report if caller.may(Scope.READ) else None}
        )


def find(service: Service, caller: Caller, upload_id: int) -> Upload:
    """Return an upload that the caller's token is for.

    Raises:
        UnknownUploadError: There is none of this number for it.
    """
    with service.reading(caller) as connection:
        return uploads.find(connection, upload_id)


async def take_whole(service: Service, upload: Upload, chunks: AsyncIterator[bytes]) -> Upload:
    """Write an upload that comes in one go; nothing of it is left if it does not come whole."""
    try:
        receiver = await entered(Receiver.of, service.pipeline, upload)
        try:
            await receive(chunks, receiver)
            return await entered(receiver.finish)
        finally:
            with anyio.CancelScope(shield=True):
                await entered(receiver.close)
    except BaseException:
        await drop(service, upload)
        raise


async def drop(service: Service, upload: Upload) -> None:
    """Leave nothing of an upload, whatever goes on."""
    with anyio.CancelScope(shield=True):
        await entered(engine.cancel, service.pipeline, upload.upload_id)


def forget(service: Service, upload: Upload) -> Upload:
    """Forget an upload that is not imported yet, its bytes, and a check of it that goes on.

    Raises:
        UploadStateError: It lies in the landing area.
    """
    canceled = engine.cancel(service.pipeline, upload.upload_id)
    if upload.state is UploadState.CHECKING and upload.run_id is not None:
        with suppress(ProblemError):  # without an answer it finds no bytes and ends by itself
            service.runs.end(upload.run_id)
    return canceled


def go_on(service: Service, caller: Caller, upload: Upload) -> Upload:
    """Do with an upload that is whole what was asked for, and return what it is now.

    Raises:
        ProblemError: The token ended while the bytes came.
    """
    if caller.token_id is not None:
        with service.pipeline.database.begin() as connection:
            if not tokens.is_valid(connection, caller.token_id):
                raise ProblemError("unauthenticated", "the token ended while the bytes came")
    service.note(caller, "upload", f"upload {upload.upload_id}", upload.account, name=upload.name)
    if upload.check_first:
        return ask_for_check(service, upload.upload_id)
    return ask_for_import(service, upload.upload_id)


def go_on_or_drop(service: Service, caller: Caller, upload: Upload) -> Upload:
    """Do with an upload what was asked for; if that fails, leave nothing of it."""
    try:
        return go_on(service, caller, upload)
    except (PipelineError, ProblemError):
        engine.cancel(service.pipeline, upload.upload_id)
        raise


def ask_for_check(service: Service, upload_id: int, feed: str | None = None) -> Upload:
    """Have an upload checked; if Dagster does not answer, it says so and waits to be asked again.

    Raises:
        UploadStateError: It is not whole, is being checked, or went on already.
        UnknownFeedError: There is no such feed.
    """
    pipeline = service.pipeline
    upload = engine.to_be_checked(pipeline, upload_id, feed)
    try:
        facts = {"run_id": service.runs.check(upload.account, upload_id)}
    except ProblemError as problem:
        facts = {
            "state": UploadState.FAILED,
            "problem": f"it could not be checked: {problem.detail}",
            "problem_code": problem.code,
        }
    with pipeline.database.begin() as connection:
        return uploads.change(connection, upload_id, **facts)


def ask_for_import(service: Service, upload_id: int, feed: str | None = None) -> Upload:
    """Put an upload into the landing area and ask for its run; the sensor would do so later."""
    placed = place(service.pipeline, upload_id, feed=feed)
    assert placed.feed is not None and placed.arrival_id is not None  # noqa: S101, PT018
    request = ImportRequest(
        account=placed.account,
        feed=service.pipeline.feed(placed.feed),
        arrival_ids=[placed.arrival_id],
    )
    try:
        run_id = service.runs.import_files(request)
    except ProblemError:
        return placed  # the file is safe where it is
    with service.pipeline.database.begin() as connection:
        return uploads.change(connection, upload_id, run_id=run_id)
