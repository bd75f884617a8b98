"""Answer the requests that are broken off because the service ends, as when it is started anew."""

import asyncio

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from csv_pipeline.api.problems import ProblemError, answered

_SAID = (
    "the service ended before the request was done, and may be back in a moment; of an upload in "
    "one request nothing is kept: send it again; one by tus goes on where it stopped"
)


class Ending:
    """Say so to who is not answered yet."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on; if it is broken off before it is answered, answer it."""
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, noting)
        except asyncio.CancelledError:
            if begun or scope["type"] != "http":
                raise
            problem = ProblemError("unavailable", _SAID, headers={"Retry-After": "5"})
            await answered(Request(scope), problem)(scope, receive, send)
