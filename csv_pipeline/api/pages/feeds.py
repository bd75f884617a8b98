"""The feeds: which columns each has, what rules they keep, and a template to fill."""

import csv
import io
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from csv_pipeline.api.callers import Reader
from csv_pipeline.api.pages.page import answer
from csv_pipeline.api.service import ServiceOf
from csv_pipeline.rejects.rejects_file import neutral
from csv_pipeline.spec.contract import Column
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.header import title
from csv_pipeline.spec.kinds import Kind

router = APIRouter()

_EXAMPLES = {
    Kind.INTEGER: ("1", "2"),
    Kind.DECIMAL: ("12.30", "1234.00"),
    Kind.DATE: ("2026-07-01", "2026-07-31"),
    Kind.TIMESTAMP: ("2026-07-01 09:30:00", "2026-07-31 17:00:00"),
    Kind.TIME: ("09:30", "17:00"),
    Kind.BOOLEAN: ("yes", "no"),
    Kind.CURRENCY: ("EUR", "USD"),
    Kind.PERCENT: ("12.5%", "100%"),
}


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
    feed = service.pipeline.feed(name)
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow([neutral(title(column)) for column in _asked(feed)])
    writer.writerows(_example_rows(feed))
    return Response(
        out.getvalue().encode("utf-8-sig"),
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{feed.name}-template.csv"'},
    )


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
                "words": sorted(column.choices),
                "description": column.description,
                "headings": list(column.aliases) or [column.name],
            }
            for column in columns
        ],
    }
    rows = [dict(zip(map(title, columns), row, strict=True)) for row in _example_rows(its)]
    return answer(request, "feed.html", {"feed": facts, "example_rows": rows})


def _asked(feed: Feed) -> list[Column]:
    """Return the columns that a file may have, those that gather several others left out."""
    return [column for column in feed.columns if not (column.derived or column.gathers)]


def _example_rows(feed: Feed) -> list[list[str]]:
    return [[_example(column, at) for column in _asked(feed)] for at in (0, 1)]


def _example(column: Column, at: int) -> str:
    """Return how a value of a column may be written; "" where only a person can know one."""
    if column.choices:
        words = list(column.choices)
        return words[at % len(words)]
    if column.needs and column.nullable:
        return ""
    return _EXAMPLES.get(column.kind, (f"{title(column)} 1", f"{title(column)} 2"))[at]
