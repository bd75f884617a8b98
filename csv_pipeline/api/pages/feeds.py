"""The feeds: which columns each has, what rules they keep, and a template to fill."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from csv_pipeline.api.callers import Reader
from csv_pipeline.api.pages.page import answer
from csv_pipeline.api.routes.feeds import template_of
from csv_pipeline.api.service import ServiceOf
from csv_pipeline.spec.contract import Column, words_in
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.header import title
from csv_pipeline.spec.template import example_row

router = APIRouter()


@router.get("/feeds")
@router.get("/feeds.json")
def feeds(request: Request, _: Reader, service: ServiceOf) -> Response:
    """Show all feeds."""
    facts = [
        {
            "name": one.name,
            "description": one.description,
            "key": list(one.key),
            "columns": len(_asked(one)),
        }
        for one in service.pipeline.feeds.values()
    ]
    return answer(request, "feeds.html", {"feeds": facts})


@router.get("/feeds/{name}/template.csv")
def template(name: str, _: Reader, service: ServiceOf) -> Response:
    """Give a file with the header of a feed and two rows that show how values may be written."""
    return template_of(service.pipeline.feed(name))


@router.get("/feeds/{name}")
@router.get("/feeds/{name}.json")
def feed(request: Request, name: str, _: Reader, service: ServiceOf) -> Response:
    """Show one feed: its columns, its rules and what becomes of a row that is there already."""
    its = service.pipeline.feed(name)
    columns = _asked(its)
    facts: dict[str, Any] = {
        "name": its.name,
        "description": its.description,
        "key": list(its.key),
        "on_conflict": type(its.conflict).__name__,
        "columns": [
            {
                "name": column.name,
                "title": title(column),
                "kind": column.kind.value,
                "asked": column.asked,
                "needed": not column.nullable and column.substitute is None,
                "protected": column.protected,
                "words": sorted(words_in(column.choices)),
                "description": column.description,
                "headings": list(column.aliases) or [column.name],
            }
            for column in columns
        ],
    }
    rows = [example_row(its, at) for at in (0, 1)]
    return answer(request, "feed.html", {"feed": facts, "example_rows": rows})


def _asked(feed: Feed) -> list[Column]:
    """Return the columns that a file may have."""
    return [column for column in feed.columns if not column.derived]
