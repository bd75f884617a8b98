"""Hold a body that is read into memory to a size; files are written to the disk as they come."""

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from csv_pipeline.api.bodies import length_of
from csv_pipeline.api.problems import ProblemError, answered

MOST_BYTES = 16 * 1024**2
_NEEDED = f"at most {MOST_BYTES:,} bytes were needed"
_OF_FORMS = {"/api/v1/uploads", "/imports/new"}


class BodyLimit:
    """Refuse a body that says it is too large, or else where it has become so."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on whose body may be as large as it says."""
        if scope["type"] != "http" or _has_files(scope):
            await self.app(scope, receive, send)
            return
        request, left = Request(scope), MOST_BYTES
        if (length_of(request) or 0) > MOST_BYTES:
            problem = ProblemError("body_too_large", _NEEDED)
            await answered(request, problem)(scope, receive, send)
            return

        async def limited() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(413, _NEEDED)
            return message

        await self.app(scope, limited, send)


def _has_files(scope: Scope) -> bool:
    path: str = scope["path"]
    is_put = scope["method"] == "PUT" and path.startswith("/api/v1/uploads/")
    return is_put or path in _OF_FORMS or path.startswith("/api/v1/tus")
