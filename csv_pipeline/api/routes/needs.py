"""Needs: what needs somebody now, as `csv-pipeline status` tells it, and the calls that help."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from csv_pipeline.access import Scope
from csv_pipeline.api.callers import Reader
from csv_pipeline.api.examples import refusals
from csv_pipeline.api.paging import Limit
from csv_pipeline.api.routes.imports import storable
from csv_pipeline.api.service import ServiceOf
from csv_pipeline.engine import views
from csv_pipeline.storage import attention, overdue, webhooks
from csv_pipeline.storage.attention import Need
from csv_pipeline.storage.uploads import UploadState

router = APIRouter(prefix="/needs", tags=["needs"])
_RETRY, _DISMISS = (f"POST {{root}}/imports/{{number}}/{its}" for its in ("retry", "dismiss"))
_FORGET = "DELETE {root}/uploads/{number}"
_DECLARE = "PATCH {root}/accounts/{account}/settings"
_OF_IMPORT = {
    "to correct": ("GET {root}/imports/{number}/rejects.csv", _DISMISS),
    "refused": ("GET {root}/imports/{number}/suggestions", _RETRY, _DISMISS),
    "failed": (_RETRY, _DISMISS),
    attention.POISON: (_RETRY, _DISMISS),
}
_OF_UPLOAD: Mapping[str, tuple[str, ...]] = {
    UploadState.CHECKED: ("POST {root}/uploads/{number}/import", _FORGET),
    UploadState.FAILED: ("POST {root}/uploads/{number}/check", _FORGET),
    UploadState.UPLOADING: (_FORGET,),
}

_EXAMPLE: dict[str, Any] = {
    "account": "acme",
    "feed": "customers",
    "file": "customers.csv",
    "state": "refused",
    "number": 17,
    "since": "2026-11-26T09:30:00Z",
    "rows": 0,
    "problem": "customers.csv: the column 'Customer ID' was needed",
    "next_attempt_at": None,
    "help": "csv-pipeline suggest 17; or correct the file; or csv-pipeline dismiss 17",
    "calls": [
        "GET /api/v1/imports/17/suggestions",
        "POST /api/v1/imports/17/retry",
        "POST /api/v1/imports/17/dismiss",
    ],
}


class NeedFacts(BaseModel):
    """What needs somebody: a file, an account that is overdue, a store, a webhook or an alert."""

    account: str = Field(description="Empty if it is of none, as a store.")
    feed: str | None
    file: str = Field(description="Its name; of a store or webhook its address; empty if overdue.")
    state: str
    number: int | None = Field(description="Of its import, upload, webhook or alert.")
    since: datetime
    rows: int = Field(description="How many are to be corrected; counted up to 1,000.")
    problem: str | None
    next_attempt_at: datetime | None = Field(description="When a store is asked again.")
    help: str = Field(description="What helps, by commands.")
    calls: list[str] = Field(description="What helps, by calls of this API.")


class NeedsPage(BaseModel):
    """What needs somebody, the newest first; `more`: there is more than was asked for."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"needs": [_EXAMPLE], "more": False}]}
    )

    needs: list[NeedFacts]
    more: bool


@router.get("", responses=refusals("unknown_account"))
def listed(
    request: Request,
    caller: Reader,
    service: ServiceOf,
    account: Annotated[str | None, Query(description="Only of this account.")] = None,
    limit: Limit = 50,
) -> NeedsPage:
    """Return what needs somebody now, each with what helps; only that, or `dismiss`, ends it.

    Webhooks and alerts that do not take their messages are told to `admin`.
    """
    if account is not None:
        caller.hold_to_account(account)
    of = storable(account) or caller.account
    most = service.pipeline.settings.max_failures
    with service.reading(caller) as connection:
        found = attention.needs(connection, of, limit + 1, most, service.pipeline.broken)
    if caller.may(Scope.ADMIN):
        with service.pipeline.database.begin() as connection:
            found += webhooks.untold(connection, of)
        found.sort(key=lambda need: need.at, reverse=True)
    return NeedsPage(
        needs=[_facts(need, str(request.app.state.root)) for need in found[:limit]],
        more=len(found) > limit,
    )


def _facts(need: Need, root: str) -> NeedFacts:
    its = {"root": root, "number": need.number, "account": need.account, "feed": need.feed}
    calls = [one.format(**its) for one in _calls(need)]
    return NeedFacts(**views.need_facts(need), calls=calls)


def _calls(need: Need) -> tuple[str, ...]:
    if need.dismissible:
        return _OF_IMPORT[need.state]
    if need.state == overdue.KIND:
        return (f"{_DECLARE}?feed={{feed}}" if need.feed else _DECLARE,)
    return _OF_UPLOAD.get(need.state, ())
