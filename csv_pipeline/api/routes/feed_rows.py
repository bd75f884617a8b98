"""The rows that an account has of a feed: in pages, sorted, filtered and searched."""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict

from csv_pipeline.api.callers import Reader
from csv_pipeline.api.entity_tags import holds
from csv_pipeline.api.examples import refusals
from csv_pipeline.api.paging import Cursor, Limit, after, cursor, next_page
from csv_pipeline.api.problems import ProblemError
from csv_pipeline.api.routes.imports import storable
from csv_pipeline.api.service import ServiceOf
from csv_pipeline.rejects.faults import MASK
from csv_pipeline.spec.feed import Feed
from csv_pipeline.storage import feed_rows
from csv_pipeline.storage.feed_rows import LINEAGE, RowsWanted

router = APIRouter(prefix="/feeds", tags=["feeds"])
_OF_QUERY = {"account", "search", "sort", "ascending", "cursor", "limit"}


class RowPage(BaseModel):
    """A page of stored rows, values of protected columns masked."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"rows": [{"customer_id": "1", "_import_id": 17, "_row_number": 2}], "next": None}
            ]
        }
    )

    rows: list[dict[str, Any]]
    next: str | None


@router.get(
    "/{feed}/rows",
    response_model=RowPage,
    responses=refusals("unknown_feed", "unknown_account", "query_too_slow"),
)
def rows(  # noqa: PLR0913, PLR0917  # what a list can be asked
    feed: str,
    request: Request,
    response: Response,
    caller: Reader,
    service: ServiceOf,
    account: Annotated[
        str | None, Query(description="Whose; needed if the token is for all accounts.")
    ] = None,
    search: Annotated[
        str | None, Query(max_length=200, description="A part of any text, in any case.")
    ] = None,
    sort: Annotated[
        str | None, Query(description="By which column; by the key if left out.")
    ] = None,
    *,
    ascending: Annotated[bool, Query(description="The least first; missing values are last.")] = (
        True
    ),
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Any:
    """Return stored rows in the order of the key or a column; any column filters by its value.

    Text is sorted by its first 200 letters. Only the order of the key has an index: sorted
    otherwise, filtered or searched, all rows of the account are read, for 5 seconds at most. The
    answer's ETag holds until an import or undo changes rows of the account and feed.
    """
    its = service.pipeline.feed(feed)
    whose = storable(account) or caller.account
    if whose is None:
        raise ProblemError("invalid_request", "account: one was needed")
    caller.hold_to_account(whose)
    if sort is not None:
        _hold_to_shown(its, sort)
    named = f"{feed}.{sort or ''}{'+' if ascending else '-'}"
    kinds = feed_rows.place_kinds(its, sort)
    with service.reading(caller) as connection:
        tag = _tag(its, feed_rows.last_turn(connection, whose, feed), str(request.url.query))
        if holds(request.headers, tag):
            return Response(status_code=304, headers={"ETag": tag})
        wanted = RowsWanted(
            account=whose,
            sort=sort,
            equal=_equal(request, its),
            search=storable(search),
            after=None if cursor is None else after(cursor, named, *kinds),
            ascending=ascending,
            limit=limit,
        )
        found = feed_rows.page(connection, its, wanted)
    response.headers["ETag"] = tag
    at = _cursor(named, found[-1].place) if found else None
    return RowPage(
        rows=[_masked(row.values, its) for row in found],
        next=next_page(request, response, found, limit, at),
    )


def _equal(request: Request, feed: Feed) -> dict[str, str]:
    """Return which values are asked for, by column.

    Raises:
        ProblemError: There is no such column, or its values are not shown.
    """
    asked = {name: value for name, value in request.query_params.items() if name not in _OF_QUERY}
    for name in asked:
        _hold_to_shown(feed, name)
    return {name: value.replace("\0", "") for name, value in asked.items()}


def _hold_to_shown(feed: Feed, column: str) -> None:
    if column not in feed_rows.shown_columns(feed):
        raise ProblemError(
            "invalid_request", f"{column[:100]}: a column whose values are shown was needed"
        )


def _masked(row: Mapping[str, Any], feed: Feed) -> dict[str, Any]:
    shown = {*feed_rows.shown_columns(feed), *LINEAGE}
    return {
        name: MASK if value is not None and name not in shown else value
        for name, value in row.items()
    }


def _tag(feed: Feed, turn: int, query: str) -> str:
    facts = (feed.name, turn, query, *feed_rows.shown_columns(feed))
    return f'W/"{hashlib.blake2b(repr(facts).encode(), digest_size=12).hexdigest()}"'


def _cursor(named: str, place: tuple[Any, ...]) -> str:
    return cursor(named, *place)
