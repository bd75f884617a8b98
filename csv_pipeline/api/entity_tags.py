"""Conditional GET: an answer in JSON carries an ETag, and one that was sent before is not again."""

import hashlib
from collections.abc import MutableMapping
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_KEPT_IN_304 = {b"etag", b"cache-control", b"vary", b"link"}


class EntityTags:
    """Give answers to GET in JSON an ETag, and answer 304 where the caller has them, as ASGI."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hold back the answer until it is whole, if it is in JSON; others pass as they come."""
        if scope["type"] != "http" or scope["method"] not in {"GET", "HEAD"}:
            await self.app(scope, receive, send)
            return
        await self.app(scope, receive, _Answer(send, matches=_tags(Headers(scope=scope))))


class _Answer:
    def __init__(self, send: Send, matches: set[str]) -> None:
        self.send, self.matches = send, matches
        self.start: MutableMapping[str, Any] | None = None
        self.body = bytearray()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            kind = Headers(raw=message["headers"]).get("content-type", "")
            if message["status"] == 200 and kind.startswith("application/json"):
                self.start = message
                return
        elif self.start is not None and message["type"] == "http.response.body":
            self.body += message.get("body", b"")
            if not message.get("more_body"):
                await self._give()
            return
        await self.send(message)

    async def _give(self) -> None:
        assert self.start is not None  # noqa: S101  # it came before the body
        headers = MutableHeaders(raw=self.start["headers"])
        if "etag" not in headers:
            digest = hashlib.blake2b(self.body, digest_size=12).hexdigest()
            headers["etag"] = f'W/"{digest}"'
        headers.setdefault("cache-control", "private, no-cache")
        if self.matches & {_bare(headers["etag"]), "*"}:
            kept = [one for one in self.start["headers"] if one[0].lower() in _KEPT_IN_304]
            await self.send({"type": "http.response.start", "status": 304, "headers": kept})
            await self.send({"type": "http.response.body", "body": b""})
            return
        await self.send(self.start)
        await self.send({"type": "http.response.body", "body": bytes(self.body)})


def holds(headers: Headers, tag: str) -> bool:
    """Return whether a caller says that it has what a tag stands for."""
    return bool({_bare(tag), "*"} & _tags(headers))


def _tags(headers: Headers) -> set[str]:
    told = headers.get("if-none-match", "")
    return {_bare(one) for one in told.split(",") if one.strip()}


def _bare(tag: str) -> str:
    return tag.strip().removeprefix("W/")
