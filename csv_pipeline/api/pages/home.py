"""The overview: what needs whoever looks, the last imports, and a place to drop files."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request
from fastapi.responses import Response

from csv_pipeline.api.callers import Caller, Reader
from csv_pipeline.api.pages.page import answer
from csv_pipeline.api.routes.imports import listed
from csv_pipeline.api.service import ServiceOf
from csv_pipeline.errors import without_aliases
from csv_pipeline.storage import accounts, attention, browse, overdue
from csv_pipeline.storage.attention import Need
from csv_pipeline.storage.browse import Wanted

router = APIRouter()
_LAST = 15
_SHOWN = 12


@router.get("/")
@router.get("/index.json")
def home(request: Request, caller: Reader, service: ServiceOf) -> Response:
    """Show what needs the caller first."""
    with service.reading(caller) as connection:
        most = service.pipeline.settings.max_failures
        needs = attention.needs(connection, caller.account, _SHOWN, most, service.pipeline.broken)
        last = browse.page(connection, Wanted(account=caller.account, limit=_LAST))
        known = names(connection, caller)
    facts = {
        "needs": [_card(one, with_account=caller.account is None) for one in needs],
        "imports": [listed(one).model_dump(mode="json") for one in last],
    }
    shown = {"accounts": known, "feeds": list(service.pipeline.feeds)}
    return answer(request, "home.html", facts, shown)


def names(connection: sa.Connection, caller: Caller) -> list[str]:
    """Return the accounts that a caller may choose from."""
    return accounts.names(connection) if caller.account is None else [caller.account]


def _card(need: Need, *, with_account: bool) -> dict[str, Any]:
    here, problem = f"/imports/{need.number}", _in_short(need)
    rows = "1 row" if need.rows == 1 else f"{need.rows:,} rows"
    match need.state:
        case "to correct":
            text = f"{rows}{need.or_more} {'was' if need.rows == 1 else 'were'} not imported."
            action = "Correct it" if need.rows == 1 else "Correct them"
            address = f"{here}/rejects"
        case "checked":
            text, action, address = "It was checked and waits for you.", "Look at it", here
        case "uploading":
            text = "Its upload broke off. Send the same file again: it goes on where it stopped."
            action, address = "Send it again", f"/imports/new?account={need.account}"
        case "misplaced":
            why = problem or "It lies where no account and feed are known"
            text = f"{why}. Nothing of it was stored."
            action, address = "Send it here instead", "/imports/new"
        case overdue.KIND:
            text, action = f"{problem}.", "Send the file"
            address = f"/imports/new?account={need.account}"
        case attention.SILENT:
            text = f"It does not answer, so its files wait. It is asked again. {problem}"
            action, address = "Look at the files", "/history"
        case attention.BROKEN:
            text = f"This feed is left out, and its files wait. {problem}"
            action, address = "Look at the files", "/history"
        case attention.POISON:
            text = f"It failed again and again and is not tried any more. {problem}"
            action, address = "See why", here
        case "waiting":
            text, action = problem or "It waits for longer than usual.", "Look at it"
            address = here if need.number else "/history"
        case _:
            text, action, address = problem or "Nothing of it was stored.", "See why", here
    title = need.name or need.feed or "files of any feed"
    return {
        "state": need.state,
        "title": f"{need.account}: {title}" if with_account and need.account else title,
        "text": text,
        "address": address,
        "action": action,
        "dismiss": f"{here}/dismiss" if need.dismissible else "",
        "at": need.at.isoformat() if isinstance(need.at, datetime) else "",
    }


def _in_short(need: Need) -> str:
    """Return why a file needs somebody, without its name and other names of its columns."""
    said = without_aliases(need.problem or "").removeprefix(f"{need.name}: ")
    return said[:1].upper() + said[1:]
