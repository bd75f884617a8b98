"""Answer a request that is sent again by the same `Idempotency-Key` as it was answered before.

The same request has the same method, address, media type and body, byte by byte. Only an answer
that something was done is kept, for a day; a refused request may be sent again.
"""

import hashlib
import time
from typing import Any

import anyio
import anyio.to_thread
from fastapi import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from csv_pipeline.api.bodies import chunks_of
from csv_pipeline.api.callers import Caller
from csv_pipeline.api.problems import ProblemError, problem_of
from csv_pipeline.api.service import Service
from csv_pipeline.errors import PipelineError
from csv_pipeline.storage.idempotency import Answered, Key

HEADER = "idempotency-key"
METHODS = {"POST", "PUT"}
PATHS = ("/api/v1/uploads", "/api/v1/tus", "/api/v1/imports")  # no answer there holds a secret
_LONGEST_KEY = 200
_RENEWED_EVERY_SECONDS = 30.0


class Idempotency:
    """Do what has a key once, as ASGI's middleware inside the gate."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self.app, self.service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, or answer it as before."""
        if scope["type"] != "http" or scope["method"] not in METHODS:
            await self.app(scope, receive, send)
            return
        request = Request(scope, receive)
        caller: Caller | None = request.state.caller
        if HEADER not in request.headers or caller is None or not _has_keys(request.url.path):
            await self.app(scope, receive, send)
            return
        try:
            key = Key.of(_who(caller), _key_in(request))
            found = await anyio.to_thread.run_sync(self._take, key)
            if found is not None:
                await (await _again(request, found))(scope, receive, send)
                return
        except ProblemError as problem:
            await problem.response()(scope, receive, send)
            return
        except PipelineError as error:
            await problem_of(error).response()(scope, receive, send)
            return
        await self._first(key, scope, receive, send)

    async def _first(self, key: Key, scope: Scope, receive: Receive, send: Send) -> None:
        body = _Body(self.service, key, receive, _digest_of(Request(scope)))
        told: list[Message] = []

        async def hold(message: Message) -> None:
            told.append(message)

        try:
            await self.app(scope, body.receive, hold)
            if told and 200 <= told[0]["status"] < 300:
                await body.finish()
                answer = _answer(told)
                await anyio.to_thread.run_sync(
                    self._keep, key, body.digest.digest(), told[0]["status"], answer
                )
        finally:  # what was kept is not given back
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._give_back, key)
        for message in told:
            await send(message)

    def _take(self, key: Key) -> Answered | None:
        with self.service.pipeline.database.begin() as connection:
            return key.take(connection)

    def _keep(self, key: Key, request: bytes, status: int, answer: dict[str, Any]) -> None:
        with self.service.pipeline.database.begin() as connection:
            key.keep(connection, request, status, answer)

    def _give_back(self, key: Key) -> None:
        with self.service.pipeline.database.begin() as connection:
            key.give_back(connection)


class _Body:
    """The body of a request, summed up as it is read; the key is renewed meanwhile."""

    def __init__(self, service: Service, key: Key, receive: Receive, digest: Any) -> None:
        self.digest = digest
        self._service, self._key, self._receive = service, key, receive
        self._renewed, self._more = time.monotonic(), True

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self.digest.update(message.get("body", b""))
            self._more = message.get("more_body", False)
        else:
            self._more = False
        if time.monotonic() - self._renewed > _RENEWED_EVERY_SECONDS:
            self._renewed = time.monotonic()
            await anyio.to_thread.run_sync(self._renew)
        return message

    async def finish(self) -> None:
        """Read what the app did not."""
        while self._more:
            await self.receive()

    def _renew(self) -> None:
        with self._service.pipeline.database.begin() as connection:
            self._key.renew(connection)


async def _again(request: Request, found: Answered) -> Response:
    """Return the answer to a request whose key another one has, or had."""
    if found.status is None or found.answer is None:
        said = "a request with this key is being answered; wait for it"
        raise ProblemError("key_in_use", said, headers={"Retry-After": "1"})
    digest = _digest_of(request)
    async for chunk in chunks_of(request):
        digest.update(chunk)
    if digest.digest() != found.request:
        said = "a key of its own was needed; another request was answered by this one"
        raise ProblemError("key_reused", said)
    headers = dict(found.answer["headers"]) | {"Idempotency-Replayed": "true"}
    return Response(found.answer["body"], status_code=found.status, headers=headers)


def _answer(told: list[Message]) -> dict[str, Any]:
    body = b"".join(message.get("body", b"") for message in told[1:])
    headers = {name.decode("latin-1"): its.decode("latin-1") for name, its in told[0]["headers"]}
    return {"headers": headers, "body": body.decode()}


def _digest_of(request: Request) -> Any:
    kind = request.headers.get("content-type", "")
    said = (request.method, request.url.path, request.url.query, kind)
    return hashlib.sha256("\0".join(said).encode())


def _has_keys(path: str) -> bool:
    return path.startswith(PATHS)


def _who(caller: Caller) -> str:
    return caller.who if caller.token_id is None else f"token {caller.token_id}"


def _key_in(request: Request) -> str:
    key = request.headers[HEADER]
    if not (0 < len(key) <= _LONGEST_KEY and key.isascii() and key.isprintable()):
        needed = f"Idempotency-Key: 1 to {_LONGEST_KEY} printable signs of ASCII were needed"
        raise ProblemError("invalid_request", needed)
    return key
