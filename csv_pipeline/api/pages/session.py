"""Log in by a token, which makes a session of its own, and out again."""

from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from csv_pipeline.api.callers import caller_of
from csv_pipeline.api.gate import COOKIE
from csv_pipeline.api.pages.forms import OwnForm
from csv_pipeline.api.pages.page import answer, leads_to
from csv_pipeline.api.service import ServiceOf
from csv_pipeline.storage import tokens

router = APIRouter()
_LASTS = timedelta(hours=12)


@router.get("/login")
def show(request: Request, *, ended: bool = False, next: str = "/") -> Response:  # noqa: A002  # its name in the address
    """Ask for a token."""
    shown = {"ended": ended, "next": _own(next), "problem": ""}
    return answer(request, "login.html", {}, shown)


@router.post("/login")
def log_in(
    request: Request,
    service: ServiceOf,
    token: Annotated[str, Form()],
    next: Annotated[str, Form()] = "/",  # noqa: A002
) -> Response:
    """Make a session and lead to where somebody wanted to go."""
    with service.pipeline.database.begin() as connection:
        found = tokens.find(connection, token.strip())
        if found is not None:
            text, _ = tokens.make(
                connection,
                found.name,
                account=found.account,
                scopes=found.scopes,
                lasts=_LASTS,
                session_of=found.session_of or found.token_id,
            )
    if found is None:
        said = "A token that is valid now was needed; this one is not, or no longer."
        shown = {"ended": False, "next": _own(next), "problem": said}
        return answer(request, "login.html", {}, shown, status=401)
    response = leads_to(_own(next))
    response.set_cookie(
        COOKIE,
        text,
        max_age=int(_LASTS.total_seconds()),
        httponly=True,
        secure=request.url.scheme == "https",
        samesite="lax",
    )
    return response


@router.post("/logout", dependencies=[OwnForm])
def log_out(request: Request, service: ServiceOf) -> Response:
    """End the session."""
    caller = caller_of(request)
    if caller.token_id is not None and caller.csrf is not None:
        with service.pipeline.database.begin() as connection:
            tokens.revoke(connection, caller.token_id)
    response = leads_to("/login")
    response.delete_cookie(COOKIE)
    return response


def _own(address: str) -> str:
    """Return a path of this site, whatever is asked for."""
    parts = urlsplit(address)
    plain = address.startswith("/") and not address.startswith(("//", "/\\"))
    return address if plain and not parts.netloc and address.isprintable() else "/"
