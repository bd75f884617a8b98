"""History: every file there ever was, to be searched."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from csv_pipeline.api import paging
from csv_pipeline.api.callers import Reader
from csv_pipeline.api.pages.page import answer
from csv_pipeline.api.pages.values import STATES
from csv_pipeline.api.routes.imports import listed, storable
from csv_pipeline.api.service import ServiceOf
from csv_pipeline.storage import accounts, browse
from csv_pipeline.storage.browse import ImportState, Wanted

router = APIRouter()
_A_PAGE = 50


@router.get("/history")
@router.get("/history.json")
def history(  # noqa: PLR0913, PLR0917  # what it is searched by
    request: Request,
    caller: Reader,
    service: ServiceOf,
    q: Annotated[str, Query(max_length=200)] = "",
    account: str = "",
    feed: str = "",
    state: str = "",
    since: str = "",
    until: str = "",
    cursor: paging.Cursor = None,
) -> Response:
    """Show the files that are searched for, the newest first."""
    days = _day(since), _day(until)
    wanted = Wanted(
        account=caller.account or storable(account) or None,
        feed=storable(feed) or None,
        states=frozenset({ImportState(state)} if state in STATES else ()),
        since=days[0],
        until=days[1] and days[1] + timedelta(days=1),
        name=storable(q) or None,
        after=None if cursor is None else (None, *paging.after(cursor, "history", int)),
        limit=_A_PAGE + 1,
    )
    with service.reading(caller) as connection:
        found = browse.page(connection, wanted)
        known = [caller.account] if caller.account else accounts.names(connection)
    shown, more = found[:_A_PAGE], found[_A_PAGE:]
    after = str(
        request.url.include_query_params(cursor=paging.cursor("history", shown[-1].place)).replace(
            scheme="", netloc=""
        )
        if more
        else ""
    )
    asked = {"q": q, "account": account, "feed": feed, "state": state}
    facts = {
        "imports": [listed(one).model_dump(mode="json") for one in shown],
        "next": after or None,
    }
    page = {"before": "", "after": after, "shown": f"{len(shown)} files"}
    return answer(
        request,
        "history.html",
        facts,
        {
            "asked": asked | {"since": since, "until": until},
            "accounts": known,
            "feeds": list(service.pipeline.feeds),
            "states": STATES,
            "page": page,
        },
    )


def _day(text: str) -> datetime | None:
    try:
        return datetime.combine(date.fromisoformat(text), time(), UTC)
    except ValueError:
        return None
