"""Feeds: what each is of, and its contract in several forms."""

import json
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from csv_pipeline.api.callers import Reader
from csv_pipeline.api.examples import example, refusals
from csv_pipeline.api.service import ServiceOf
from csv_pipeline.spec.declared.forms import written
from csv_pipeline.spec.declared.json_schema import json_schema
from csv_pipeline.spec.declared.writing import table_schema
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.template import template_file, template_name

router = APIRouter(prefix="/feeds", tags=["feeds"])
_UNKNOWN = refusals("unknown_feed")
_EXAMPLES_OF_SCHEMA = example(
    {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "customers",
        "type": "object",
        "properties": {"customer_id": {"type": ["string", "null"]}},
        "required": ["customer_id"],
    }
)
_EXAMPLES_OF_TABLE_SCHEMA = example(
    {"name": "customers", "fields": [{"name": "customer_id", "type": "string"}]}
)


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

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"name": "customers", "description": "Customers of the shop.", "group": "ebay"}
            ]
        }
    )

    name: str
    description: str
    group: str | None


@router.get("")
def every(caller: Reader, service: ServiceOf) -> list[FeedNamed]:
    """Return all feeds, by name."""
    del caller
    feeds = service.pipeline.feeds
    return [
        FeedNamed(name=name, description=feeds[name].description, group=feeds[name].group)
        for name in sorted(feeds)
    ]


@router.get("/{feed}", responses=_UNKNOWN)
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
        table_schema=_as_json(table_schema(its)),
    )


@router.get(
    "/{feed}/contract",
    response_class=Response,
    responses=example(
        "name: customers\n", kind="text/plain", description="The contract in this form."
    )
    | _UNKNOWN,
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


@router.get("/{feed}/schema.json", responses=_EXAMPLES_OF_SCHEMA | _UNKNOWN)
def schema(feed: str, caller: Reader, service: ServiceOf) -> dict[str, Any]:
    """Return the JSON Schema of a stored row, as the rows of the feed are given."""
    del caller
    return _as_json(json_schema(service.pipeline.feed(feed)))


@router.get("/{feed}/table-schema.json", responses=_EXAMPLES_OF_TABLE_SCHEMA | _UNKNOWN)
def table(feed: str, caller: Reader, service: ServiceOf) -> dict[str, Any]:
    """Return the Table Schema of the feed's files, with all that its contract says besides."""
    del caller
    return _as_json(table_schema(service.pipeline.feed(feed)))


@router.get(
    "/{feed}/template.csv",
    response_class=Response,
    responses=example(
        "Customer ID,Name\r\nCustomer ID 1,Name 1\r\n", kind="text/csv", description="The file."
    )
    | _UNKNOWN,
)
def template(feed: str, caller: Reader, service: ServiceOf) -> Response:
    """Return a file to fill: the header of the feed's files, and two rows of examples.

    It is named as the feed's files are, and can be imported as it is.
    """
    del caller
    return template_of(service.pipeline.feed(feed))


def template_of(feed: Feed) -> Response:
    """Return the template of a feed as a download."""
    name = {"Content-Disposition": f"attachment; filename*=utf-8''{quote(template_name(feed))}"}
    return Response(template_file(feed), media_type="text/csv", headers=name)


def _as_json(words: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(json.dumps(words, default=str))
    return made
