"""The gate: before a request reaches anything, who asks is found out by its headers alone.

Not a byte of the body is read before. What a browser sends from another site is refused, and in a
service that is open to all who reach it, also what comes by another name than this machine's.
"""

import hashlib
import hmac
import math
from urllib.parse import urlsplit

import anyio.to_thread
from fastapi import Request
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as AsgiScope

from csv_pipeline.access import Scope
from csv_pipeline.api.callers import Caller
from csv_pipeline.api.problems import ProblemError, answered, problem_of
from csv_pipeline.api.service import Service
from csv_pipeline.errors import PipelineError
from csv_pipeline.storage import tokens
from csv_pipeline.storage.rate_limits import Rate, seconds_to_wait

COOKIE = "csvp_session"
CSRF_HEADER = "x-csrf-token"
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
_OPEN_PATHS = ("/static/", "/health/", "/login", "/api/v1/openapi.json", "/problems/")
_SAFE = {"GET", "HEAD", "OPTIONS"}


class Gate:
    """Let only those pass who may, as ASGI's middleware."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self.app, self.service = app, service
        self._is_open = service.open

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answer a request by a problem, or hand it on with its caller."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        try:
            request.state.caller = await anyio.to_thread.run_sync(self._caller, request)
        except ProblemError as problem:
            await answered(request, problem)(scope, receive, send)
        except PipelineError as error:
            await answered(request, problem_of(error))(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _caller(self, request: Request) -> Caller | None:
        address = request.client.host if request.client else ""
        if self._is_open:
            self._is_open = self._no_token()
        if self._is_open:
            _hold_to_this_machine(request)
        bearer = _bearer(request)
        if bearer is None:
            _hold_to_this_site(request)
        text = bearer or request.cookies.get(COOKIE)
        if text is None and self._is_open:
            return Caller(
                who=f"anyone at {address}",
                account=None,
                scopes=frozenset({Scope.ADMIN}),
                address=address,
            )
        if text is None and request.url.path.startswith(_OPEN_PATHS):
            return None
        try:
            return self._by_token(request, text, address, from_cookie=bearer is None)
        except ProblemError:
            if bearer is None and request.url.path.startswith(_OPEN_PATHS):
                return None  # where one logs in anew, for instance
            raise

    def _no_token(self) -> bool:
        """Return whether there is no token yet: from the first one on nobody gets in without."""
        with self.service.pipeline.database.begin() as connection:
            return not tokens.any_valid(connection)

    def _by_token(
        self, request: Request, text: str | None, address: str, *, from_cookie: bool
    ) -> Caller:
        rate = Rate(self.service.pipeline.settings.requests_per_minute)
        with self.service.pipeline.database.begin() as connection:
            found = None if text is None else tokens.find(connection, text)
            key = f"address {address}" if found is None else f"token {found.token_id}"
            wait = seconds_to_wait(connection, key, rate)
        if wait:
            raise ProblemError(
                "too_many_requests",
                f"at most {rate.requests} requests a minute were needed of {key}",
                headers={"Retry-After": f"{math.ceil(wait)}"},
            )
        if found is None or text is None:
            needed = "a token that is valid now was needed, as 'Authorization: Bearer …'"
            what = "found none" if text is None else "this one is not, or no longer"
            raise ProblemError(
                "unauthenticated", f"{needed}; {what}", headers={"WWW-Authenticate": "Bearer"}
            )
        csrf = csrf_of(text) if from_cookie else None
        if csrf is not None and request.url.path.startswith("/api/"):
            _hold_to_session(request, csrf)
        return Caller(
            who=found.name,
            account=found.account,
            scopes=found.scopes,
            token_id=found.token_id,
            address=address,
            csrf=csrf,
        )


def csrf_of(session: str) -> str:
    """Return the text that a form of a session must bring along."""
    return hmac.new(session.encode(), b"csrf", hashlib.sha256).hexdigest()


def _bearer(request: Request) -> str | None:
    kind, _, text = request.headers.get("authorization", "").partition(" ")
    return text.strip() if kind.casefold() == "bearer" and text.strip() else None


def _hold_to_this_site(request: Request) -> None:
    """Refuse what a page of another site sends: it would come with this site's cookie."""
    if request.method in _SAFE:
        return
    origin = request.headers.get("origin")
    foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("host")
    if foreign or request.headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
        raise ProblemError("other_site", f"a request of this site was needed; it is of {origin}")


def _hold_to_session(request: Request, csrf: str) -> None:
    """Take from a browser only what a page of its session sends; forms of pages say it inside."""
    if request.method not in _SAFE:
        brought = request.headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(csrf.encode(), brought.encode()):
            raise ProblemError(
                "other_site", f"the header {CSRF_HEADER} of the session's page was needed"
            )


def _hold_to_this_machine(request: Request) -> None:
    """Refuse a name that somebody made lead here, as by DNS rebinding."""
    if (host := request.url.hostname) not in LOOPBACK:
        raise ProblemError(
            "other_site", f"a name of this machine was needed without tokens; found {host!r}"
        )
