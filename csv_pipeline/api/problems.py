"""What is refused, as RFC 9457 says it: `application/problem+json`, with one code per refusal.

`CODES` is the list of codes; the docs name each of them once.
"""

from collections.abc import Callable, Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from csv_pipeline.engine.receiving import OffsetError, UploadLockedError
from csv_pipeline.engine.uploads import InvalidNameError, NoSpaceError, TooLargeError
from csv_pipeline.errors import (
    FileRefusedError,
    InvalidAccountError,
    LostClaimError,
    PipelineError,
    SetupError,
    UnavailableError,
    UndoError,
    UnknownAccountError,
    UnknownFeedError,
    UnknownImportError,
)
from csv_pipeline.storage.feed_rows import PlaceError, SlowQueryError
from csv_pipeline.storage.uploads import UnknownUploadError, UploadStateError

log = structlog.get_logger()
MEDIA_TYPE = "application/problem+json"

CODES: Mapping[str, tuple[int, str]] = {
    "invalid_request": (422, "The request is not as it must be"),
    "unauthenticated": (401, "A valid token is needed"),
    "not_allowed": (403, "The token does not allow this"),
    "other_site": (403, "The request comes from another site"),
    "not_found": (404, "There is nothing of this address"),
    "wrong_method": (405, "The address has no such method"),
    "unknown_feed": (404, "There is no such feed"),
    "unknown_account": (404, "There is no such account"),
    "unknown_import": (404, "There is no such import"),
    "unknown_upload": (404, "There is no such upload"),
    "invalid_account": (422, "An account is named otherwise"),
    "invalid_name": (422, "A file cannot have this name"),
    "not_accepted": (422, "It cannot be done like this"),
    "file_refused": (422, "The file cannot be used"),
    "file_too_large": (413, "The file is larger than is allowed"),
    "body_too_large": (413, "The request is larger than is allowed"),
    "incomplete_upload": (400, "The upload broke off"),
    "upload_too_slow": (408, "The upload stalled"),
    "upload_expired": (410, "The upload is no longer kept"),
    "offset_mismatch": (409, "The upload goes on at another offset"),
    "upload_locked": (423, "Another request writes to the upload"),
    "checksum_mismatch": (460, "The bytes are not those that were sent"),
    "too_many_files": (413, "There are more files than are allowed"),
    "no_space": (507, "The disk is full"),
    "wrong_media_type": (415, "The body has another media type"),
    "unsupported_protocol": (412, "Another version of tus is needed"),
    "wrong_state": (409, "It is not in a state for this"),
    "import_running": (409, "The import is running"),
    "cannot_be_undone": (409, "The import cannot be undone"),
    "key_reused": (422, "The idempotency key is of another request"),
    "key_in_use": (409, "A request with this idempotency key is being answered"),
    "query_too_slow": (422, "There are too many rows to be asked for like this"),
    "too_many_requests": (429, "There are too many requests"),
    "no_dagster": (503, "Dagster does not answer"),
    "unavailable": (503, "The service or its database does not answer now"),
    "unforeseen": (500, "An error was not foreseen"),
}
"""Each code with its HTTP status and its title."""


class ProblemError(Exception):
    """A request that is refused, by a code of `CODES`."""

    def __init__(
        self, code: str, detail: str, headers: Mapping[str, str] | None = None, **members: Any
    ) -> None:
        super().__init__(detail)
        self.code, self.detail, self.members = code, detail, members
        self.headers = dict(headers or {})

    @property
    def status(self) -> int:
        """The HTTP status."""
        return CODES[self.code][0]

    @property
    def facts(self) -> dict[str, Any]:
        """The problem in JSON's own types."""
        status, title = CODES[self.code]
        known = {"type": f"/problems/{self.code}", "title": title, "status": status}
        return known | {"code": self.code, "detail": self.detail} | self.members

    def response(self) -> JSONResponse:
        """The answer that says it."""
        return JSONResponse(
            self.facts, status_code=self.status, headers=self.headers, media_type=MEDIA_TYPE
        )


_OF_STATUS = {
    400: "invalid_request",
    404: "not_found",
    405: "wrong_method",
    413: "body_too_large",
    415: "wrong_media_type",
    422: "invalid_request",
}
_OF_ERROR: Mapping[type[PipelineError], str] = {
    SlowQueryError: "query_too_slow",
    PlaceError: "invalid_request",
    UnknownUploadError: "unknown_upload",
    UploadStateError: "wrong_state",
    UploadLockedError: "upload_locked",
    OffsetError: "offset_mismatch",
    InvalidNameError: "invalid_name",
    TooLargeError: "file_too_large",
    NoSpaceError: "no_space",
    UnknownFeedError: "unknown_feed",
    UnknownAccountError: "unknown_account",
    UnknownImportError: "unknown_import",
    InvalidAccountError: "invalid_account",
    UndoError: "cannot_be_undone",
    FileRefusedError: "file_refused",
    LostClaimError: "import_running",
    UnavailableError: "unavailable",
    SetupError: "not_accepted",
}


def problem_of(error: PipelineError) -> ProblemError:
    """Return what an error of the pipeline is as a problem; its text names no secret."""
    code = next((code for kind, code in _OF_ERROR.items() if isinstance(error, kind)), "unforeseen")
    headers = {"Retry-After": "5"} if code == "unavailable" else {}
    reason = {"reason": error.code} if isinstance(error, FileRefusedError) else {}
    said = type(error).__name__ if code == "unforeseen" else str(error)
    return ProblemError(code, said, headers=headers, **reason)


def answered(request: Request, problem: ProblemError) -> Response:
    """Return what says a problem: a page to a browser, if the app has one for it, or JSON."""
    page: Callable[[Request, ProblemError], Response | None] | None
    page = getattr(request.app.state, "problem_page", None)
    shown = None if page is None else page(request, problem)
    return problem.response() if shown is None else shown


def add_handlers(app: FastAPI) -> None:
    """Let an app answer every refusal by a problem."""

    @app.exception_handler(ProblemError)
    def refused(request: Request, error: ProblemError) -> Response:
        return answered(request, error)

    @app.exception_handler(PipelineError)
    def of_pipeline(request: Request, error: PipelineError) -> Response:
        return answered(request, problem_of(error))

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        faults = [
            {"where": ".".join(map(str, fault["loc"])), "message": fault["msg"]}
            for fault in error.errors()
        ]
        said = "; ".join(f"{fault['where']}: {fault['message']}" for fault in faults)
        return answered(request, ProblemError("invalid_request", said, faults=faults))

    @app.exception_handler(HTTPException)
    def of_http(request: Request, error: HTTPException) -> Response:
        code = _OF_STATUS.get(error.status_code, "unforeseen")
        return answered(request, ProblemError(code, str(error.detail), headers=error.headers))

    @app.exception_handler(Exception)
    def unforeseen(request: Request, error: Exception) -> Response:
        log.error("request failed", path=request.url.path, exc_info=error)
        return answered(request, ProblemError("unforeseen", "The log of the service says more"))
