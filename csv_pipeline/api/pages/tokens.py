"""Tokens: made, with a text that is shown once, listed, and revoked."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from csv_pipeline.access import Scope
from csv_pipeline.api.callers import Admin, Caller
from csv_pipeline.api.pages.forms import OwnForm
from csv_pipeline.api.pages.home import names
from csv_pipeline.api.pages.page import answer, leads_to
from csv_pipeline.api.paging import Number
from csv_pipeline.api.routes import tokens as api
from csv_pipeline.api.service import Service, ServiceOf

router = APIRouter()
_ALLOWS = {
    Scope.READ: "look at files, rows and rejects",
    Scope.UPLOAD: "send files and import them",
    Scope.CORRECT: "correct rows and declare settings",
    Scope.UNDO: "take imports back",
    Scope.ADMIN: "all of it, and tokens",
}
_LASTS = {"30": "30 days", "90": "90 days", "365": "a year"}


@router.get("/tokens")
@router.get("/tokens.json")
def listed(request: Request, caller: Admin, service: ServiceOf) -> Response:
    """Show the tokens, without their texts."""
    return _page(request, caller, service)


@router.post("/tokens", dependencies=[OwnForm])
def make(  # noqa: PLR0913, PLR0917  # what a form says
    request: Request,
    caller: Admin,
    service: ServiceOf,
    name: Annotated[str, Form(min_length=1, max_length=200)],
    scopes: Annotated[list[Scope], Form()],
    account: Annotated[str, Form()] = "",
    days: Annotated[int, Form(gt=0, le=3650)] = 90,
) -> Response:
    """Make a token and show its text, this once."""
    lasts = int(timedelta(days=days).total_seconds())
    new = api.NewToken(name=name, account=account or None, scopes=scopes, seconds=lasts)
    made = api.make(new, caller, service)
    return _page(request, caller, service, made)


@router.post("/tokens/{token_id}/revoke", dependencies=[OwnForm])
def revoke(token_id: Number, caller: Admin, service: ServiceOf) -> Response:
    """End a token."""
    api.revoke(token_id, caller, service)
    return leads_to("/tokens?said=It+is+revoked,+and+its+sessions+have+ended.")


def _page(
    request: Request, caller: Caller, service: Service, made: api.TokenFacts | None = None
) -> Response:
    found = api.listed(caller, service)
    with service.reading(caller) as connection:
        known = names(connection, caller)
    facts: dict[str, Any] = {
        "tokens": [one.model_dump(mode="json", exclude={"token"}) for one in found]
    }
    shown = {
        "made": made,
        "accounts": known,
        "allows": [(one.value, said) for one, said in _ALLOWS.items()],
        "lasts": _LASTS,
        "own": caller.token_id,
        "open": caller.token_id is None and made is None,
    }
    return answer(request, "tokens.html", facts, shown)
