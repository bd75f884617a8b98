"""Feeds: their contracts, and the rows that an account has of them."""

import hashlib
import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from csv_pipeline.api.callers import Reader
from csv_pipeline.api.entity_tags import holds
from csv_pipeline.api.paging import Cursor, Limit, after, cursor, next_page
from csv_pipeline.api.problems import ProblemError
from csv_pipeline.api.routes.imports import storable
from csv_pipeline.api.service import ServiceOf
from csv_pipeline.rejects.faults import MASK
from csv_pipeline.spec.declared.forms import written
from csv_pipeline.spec.declared.writing import table_schema
from csv_pipeline.spec.feed import Feed
from csv_pipeline.storage import feed_rows
from csv_pipeline.storage.feed_rows import RowsWanted

router = APIRouter(prefix="/feeds", tags=["feeds"])
_KINDS: Mapping[str, type[Any]] = {"_import_id": int, "_row_number": int}
_OF_QUERY = {"account", "search", "ascending", "cursor", "limit"}


class Form(StrEnum):
    """In which form a contract is written."""

    TABLE_SCHEMA = "table-schema"
    ODCS = "odcs"
    MARKDOWN = "markdown"


class FeedColumn(BaseModel):
    """One column of a feed: its kind, and what a value must be."""

    name: str
    kind: str
    headings: list[str] = Field(description="The names it has in headers, the likeliest first.")
    needed: bool
    protected: bool
    asked: str
    description: str


class FeedShown(BaseModel):
    """One kind of CSV: its columns, and its contract as Table Schema."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "customers",
                    "description": "Customers of the shop.",
                    "key": ["customer_id"],
                    "confidential": False,
                    "columns": [],
                    "table_schema": {"fields": []},
                }
            ]
        }
    )

    name: str
    description: str
    key: list[str]
    confidential: bool
    columns: list[FeedColumn]
    table_schema: dict[str, Any]


class FeedNamed(BaseModel):
    """A feed by its name."""

    name: str
    description: str
    group: str | None


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


@router.get("")
def every(caller: Reader, service: ServiceOf) -> list[FeedNamed]:
    """Return all feeds, by name."""
    del caller
    feeds = service.pipeline.feeds
    return [
        FeedNamed(name=name, description=feeds[name].description, group=feeds[name].group)
        for name in sorted(feeds)
    ]


@router.get("/{feed}")
def one(feed: str, caller: Reader, service: ServiceOf) -> FeedShown:
    """Return a feed with its columns and its contract."""
    del caller
    its = service.pipeline.feed(feed)
    return FeedShown(
        name=its.name,
        description=its.description,
        key=list(its.key),
        confidential=its.confidential,
        columns=[
            FeedColumn(
                name=one.name,
                kind=one.kind.value,
                headings=[] if one.derived else [*one.aliases, one.name],
                needed=one.name in its.key or not (one.nullable or one.substitute is not None),
                protected=one.protected or its.confidential,
                asked=one.asked,
                description=one.description,
            )
            for one in its.columns
        ],
        table_schema=json.loads(json.dumps(table_schema(its), default=str)),
    )


@router.get(
    "/{feed}/contract",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "The contract."}},
)
def contract(
    feed: str,
    caller: Reader,
    service: ServiceOf,
    form: Annotated[Form, Query(alias="as", description="In which form.")] = Form.TABLE_SCHEMA,
) -> Response:
    """Return the contract of a feed as text: Table Schema, ODCS or a page of Markdown."""
    del caller
    return Response(written(service.pipeline.feed(feed), form.value), media_type="text/plain")


@router.get("/{feed}/rows")
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
    *,
    ascending: Annotated[bool, Query(description="The least key first.")] = True,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Any:
    """Return stored rows in the order of the key; any column's name filters by its value.

    The answer's ETag holds until an import or undo changes rows of the account and feed.
    """
    its = service.pipeline.feed(feed)
    whose = storable(account) or caller.account
    if whose is None:
        raise ProblemError("invalid_request", "account: one was needed")
    caller.hold_to_account(whose)
    order = feed_rows.ordered_by(its)
    named = f"{feed}{'+' if ascending else '-'}"
    begin = None if cursor is None else after(cursor, named, *(_KINDS.get(o, str) for o in order))
    with service.reading(caller) as connection:
        tag = _tag(its, feed_rows.last_turn(connection, whose, feed), str(request.url.query))
        if holds(request.headers, tag):
            return Response(status_code=304, headers={"ETag": tag})
        wanted = RowsWanted(
            account=whose,
            equal=_equal(request, its),
            search=storable(search),
            after=begin,
            ascending=ascending,
            limit=limit,
        )
        found = feed_rows.page(connection, its, wanted)
    response.headers["ETag"] = tag
    at = _cursor(named, [found[-1][name] for name in order]) if found else None
    return RowPage(
        rows=[_masked(row, its) for row in found],
        next=next_page(request, response, found, limit, at),
    ).model_dump(mode="json")


def _equal(request: Request, feed: Feed) -> dict[str, str]:
    """Return which values are asked for, by column.

    Raises:
        ProblemError: There is no such column, or its values are not shown.
    """
    asked = {name: value for name, value in request.query_params.items() if name not in _OF_QUERY}
    shown = set(feed_rows.shown_columns(feed))
    for name in asked:
        if name not in shown:
            raise ProblemError(
                "invalid_request", f"{name[:100]}: a column whose values are shown was needed"
            )
    return {name: value.replace("\0", "") for name, value in asked.items()}


def _masked(row: Mapping[str, Any], feed: Feed) -> dict[str, Any]:
    shown = {*feed_rows.shown_columns(feed), "_import_id", "_row_number"}
    return {
        name: MASK if value is not None and name not in shown else value
        for name, value in row.items()
    }


def _tag(feed: Feed, turn: int, query: str) -> str:
    facts = (feed.name, turn, query, *feed_rows.shown_columns(feed))
    return f'W/"{hashlib.blake2b(repr(facts).encode(), digest_size=12).hexdigest()}"'


def _cursor(named: str, last: list[Any]) -> str:
    return cursor(named, *last)
