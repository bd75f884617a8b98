"""Render a page, or give its facts as JSON where its address ends in `.json`."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from csv_pipeline.access import Scope
from csv_pipeline.api.callers import Caller
from csv_pipeline.api.gate import COOKIE
from csv_pipeline.api.pages import values
from csv_pipeline.api.problems import ProblemError

SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}

_templates = Environment(
    loader=PackageLoader("csv_pipeline.api.pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters |= {
    "number": values.number,
    "when": values.when,
    "size": values.size,
    "cell": values.cell,
    "needed": values.needed,
    "rows": values.rows,
    "numbered": lambda some: list(enumerate(some, 1)),
}
_templates.tests |= {"last_time": values.last_time}
_templates.globals |= {"tone": values.tone, "sign": values.sign, "segments": values.segments}


def answer(
    request: Request,
    template: str,
    facts: Mapping[str, Any],
    shown: Mapping[str, Any] | None = None,
    status: int = 200,
) -> Response:
    """Return a page of facts; what is only `shown` is not in its JSON."""
    if request.url.path.endswith(".json"):
        return JSONResponse(dict(facts), status_code=status, headers={"Cache-Control": "no-store"})
    return HTMLResponse(
        _templates.get_template(template).render({**_frame(request), **facts, **(shown or {})}),
        status_code=status,
        headers=_HEADERS,
    )


def part(request: Request, template: str, shown: Mapping[str, Any]) -> str:
    """Return a part of a page."""
    return _templates.get_template(template).render(**_frame(request), **shown)


def leads_to(address: str) -> RedirectResponse:
    """Return a redirect to a page, after a form was posted."""
    return RedirectResponse(address, status_code=303)


def problem_page(request: Request, problem: ProblemError) -> Response | None:
    """Return a page that says what was refused, or the one to log in where that is what is needed.

    What it was about is in its address, so that one is led back there. None: no page is wanted.
    """
    if not wants_page(request):
        return None
    if problem.code == "unauthenticated":
        ended = COOKIE in request.cookies
        here = request.url.path if request.method == "GET" else "/"
        return leads_to(f"/login?{'ended=1&' if ended else ''}next={quote(here)}")
    return answer(request, "problem.html", {"problem": problem.facts}, status=problem.status)


def wants_page(request: Request) -> bool:
    """Return whether whoever asks is a browser that shows a page."""
    path = request.url.path
    is_page = not path.startswith("/api/") and not path.endswith(".json")
    return is_page and "text/html" in request.headers.get("accept", "")


def _frame(request: Request) -> dict[str, Any]:
    caller: Caller | None = getattr(request.state, "caller", None)
    return {
        "path": request.url.path,
        "me": caller,
        "csrf": (caller and caller.csrf) or "",
        "may": {one.value: caller is not None and caller.may(one) for one in Scope},
        "said": request.query_params.get("said", ""),
        "failed": request.query_params.get("failed", ""),
    }
