"""Let pages of other sites send files: only of sites that a setting names, only to where bytes go.

No cookie comes along: they have a token, best one that is short-lived and may do nothing else.
"""

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PATHS = re.compile(r"/api/v1/(?:tus(?:/\d+)?|uploads)/?", re.ASCII)
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "POST, PATCH, HEAD, DELETE",
    "Access-Control-Allow-Headers": (
        "Authorization, Content-Type, Idempotency-Key, Tus-Resumable, Upload-Length, "
        "Upload-Metadata, Upload-Offset, Upload-Checksum"
    ),
    "Access-Control-Max-Age": "600",
}
_EXPOSED = "Location, Retry-After, Tus-Resumable, Upload-Offset, Upload-Length, Upload-Expires"


class Cors:
    """Say to browsers whose pages may read the answer, as ASGI's middleware outside the gate."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        self.app, self.origins = app, frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what a browser asks before, and mark the answers that a page may read."""
        if scope["type"] != "http" or not _PATHS.fullmatch(scope["path"]):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin", "")
        allowed = {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
        if origin not in self.origins:
            await self.app(scope, receive, send)
        elif scope["method"] == "OPTIONS" and "access-control-request-method" in headers:
            await Response(status_code=204, headers=allowed | _PREFLIGHT)(scope, receive, send)
        else:
            await self.app(scope, receive, _marking(send, origin))


def _marking(send: Send, origin: str) -> Send:
    async def marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=message["headers"])
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = _EXPOSED
            headers.add_vary_header("Origin")
        await send(message)

    return marked
