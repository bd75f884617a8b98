"""Imports: one list of all files, and what became of each."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from csv_pipeline.api.callers import Caller, Reader
from csv_pipeline.api.entries import ImportPage, Listed, Shown, links_of
from csv_pipeline.api.examples import refusals
from csv_pipeline.api.paging import Cursor, Limit, Number, after, cursor, next_page
from csv_pipeline.api.service import Service, ServiceOf
from csv_pipeline.engine import views
from csv_pipeline.model import Outcome
from csv_pipeline.storage import browse, imports, uploads
from csv_pipeline.storage.browse import Entry, ImportState, Sort, Wanted

router = APIRouter(prefix="/imports", tags=["imports"])
_KINDS: Mapping[Sort, type[Any]] = {
    Sort.NUMBER: int,
    Sort.TIME: datetime,
    Sort.NAME: str,
    Sort.READ: int,
    Sort.REJECTED: int,
}


@router.get("", responses=refusals("unknown_account"))
def page(  # noqa: PLR0913, PLR0917  # what a list can be asked
    request: Request,
    response: Response,
    caller: Reader,
    service: ServiceOf,
    account: Annotated[str | None, Query(description="Only of this account.")] = None,
    feed: Annotated[str | None, Query(description="Only of this feed.")] = None,
    state: Annotated[list[ImportState], Query(description="Only in one of these.")] = [],  # noqa: B006
    outcome: Annotated[Outcome | None, Query(description="Only with this outcome.")] = None,
    since: Annotated[datetime | None, Query(description="Not before this moment.")] = None,
    until: Annotated[datetime | None, Query(description="Before this moment.")] = None,
    search: Annotated[
        str | None, Query(max_length=200, description="A part of the name, in any case.")
    ] = None,
    sort: Annotated[Sort, Query(description="By what it is sorted.")] = Sort.NUMBER,
    *,
    ascending: Annotated[bool, Query(description="The least first.")] = False,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> ImportPage:
    """Return files: those imported, those that wait, and uploads; the newest first."""
    if account is not None:
        caller.hold_to_account(account)
    wanted = Wanted(
        account=storable(account) or caller.account,
        feed=storable(feed),
        states=frozenset(state),
        outcome=outcome,
        since=_aware(since),
        until=_aware(until),
        name=storable(search),
        sort=sort,
        ascending=ascending,
        after=_after(cursor, sort, ascending=ascending),
        limit=limit,
    )
    with service.reading(caller) as connection:
        found = browse.page(connection, wanted)
    at = _cursor(found[-1], sort, ascending=ascending) if found else None
    return ImportPage(
        imports=[listed(entry) for entry in found],
        next=next_page(request, response, found, limit, at),
    )


@router.get("/{number}", responses=refusals("unknown_import"))
def one(number: Number, request: Request, caller: Reader, service: ServiceOf) -> Shown:
    """Return what became of one file, by the number of its import or of its upload."""
    return shown(service, caller, number, str(request.app.state.root))


def shown(service: Service, caller: Caller, number: int, root: str) -> Shown:
    """Return what is known of one file."""
    with service.reading(caller) as connection:
        entry = browse.find(connection, number)
        report = check = None
        if entry.outcome is not None and entry.import_id is not None:
            settled = imports.report_of(connection, entry.import_id)
            report = views.import_facts(settled, entry.at)
        elif entry.upload_id is not None:
            check = uploads.find(connection, entry.upload_id).report
    return Shown(
        **listed(entry).model_dump(), report=report, check=check, links=links_of(entry, root)
    )


def listed(entry: Entry) -> Listed:
    """Return one entry of the list."""
    facts = {name: getattr(entry, name) for name in Listed.model_fields if name != "counts"}
    return Listed(**facts, counts=entry.counts)


def storable(text: str | None) -> str | None:
    """Return a text that is searched for as the database can hold it."""
    return None if text is None else text.replace("\0", "")


def _aware(moment: datetime | None) -> datetime | None:
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=UTC)


def _after(text: str | None, sort: Sort, *, ascending: bool) -> tuple[Any, int] | None:
    if text is None:
        return None
    value, place = after(text, _named(sort, ascending=ascending), _KINDS[sort], int)
    return value, place


def _cursor(entry: Entry, sort: Sort, *, ascending: bool) -> str:
    order = _named(sort, ascending=ascending)
    return cursor(order, browse.sort_value(entry, sort), entry.place)


def _named(sort: Sort, *, ascending: bool) -> str:
    return f"{sort}{'+' if ascending else '-'}"
