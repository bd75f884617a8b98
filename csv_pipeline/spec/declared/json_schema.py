"""Write a feed as the JSON Schema of a stored row, as readers of rows get it."""

import re
from collections.abc import Mapping
from typing import Any

from csv_pipeline.spec.contract import Column
from csv_pipeline.spec.declared.writing import table_schema
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.kinds import Kind

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TYPES: Mapping[Kind, dict[str, Any]] = {
    Kind.INTEGER: {"type": "integer"},
    Kind.BOOLEAN: {"type": "boolean"},
    Kind.DECIMAL: {"type": "string", "pattern": r"^-?\d+(\.\d+)?$"},
    Kind.PERCENT: {"type": "string", "pattern": r"^-?\d+(\.\d+)?$"},
    Kind.DATE: {"type": "string", "format": "date"},
    Kind.TIME: {"type": "string"},
    Kind.TIMESTAMP: {"type": "string", "format": "date-time"},
    Kind.UUID: {"type": "string", "format": "uuid"},
    Kind.JSON: {},
}
_TEXT: dict[str, Any] = {"type": "string"}
_OF_TEXT = ("minLength", "maxLength")
_OF_INTEGERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_OWN_OF_PYTHON = re.compile(r"\(\?(?![:=!])|\\[AZz]")  # in no pattern of JSON Schema


def json_schema(feed: Feed) -> dict[str, Any]:
    """Return what a row is: decimals are strings; values that are not shown are masked strings.

    Rules of the feed in Python, and those between columns, are not in it.
    """
    told = {one["name"]: one for one in table_schema(feed)["fields"]}
    columns = {one.name: _value(one, feed, told.get(one.name, {})) for one in feed.columns}
    whence = {
        "_import_id": {"type": "integer", "description": "The import that the row is of."},
        "_row_number": {"type": "integer", "description": "Which row of its file it was."},
    }
    return {
        "$schema": DIALECT,
        "title": feed.name,
        "description": feed.description,
        "type": "object",
        "properties": columns | whence,
        "required": [*columns, *whence],
    }


def _value(column: Column, feed: Feed, told: Mapping[str, Any]) -> dict[str, Any]:
    masked = column.protected or feed.confidential
    made = dict(_TEXT if masked else _TYPES.get(column.kind, _TEXT))
    constraints: Mapping[str, Any] = told.get("constraints", {})
    if not masked:
        made |= _constrained(column, constraints, told.get("categories"))
    if column.name not in feed.key and not constraints.get("required"):
        made = _or_null(made)
    return made | ({"description": column.description} if column.description else {})


def _constrained(
    column: Column, constraints: Mapping[str, Any], categories: list[str] | None
) -> dict[str, Any]:
    text = column.kind not in _TYPES
    words = _OF_TEXT if text else _OF_INTEGERS if column.kind is Kind.INTEGER else ()
    made: dict[str, Any] = {word: int(constraints[word]) for word in words if word in constraints}
    pattern = constraints.get("pattern", "")
    if text and pattern and not _OWN_OF_PYTHON.search(pattern):
        made["pattern"] = f"^(?:{pattern})$"
    if text and (stored := categories or constraints.get("enum")):
        made["enum"] = list(stored)
    return made


def _or_null(made: dict[str, Any]) -> dict[str, Any]:
    changed = dict(made)
    if "type" in made:
        changed["type"] = [made["type"], "null"]
    if "enum" in made:
        changed["enum"] = [*made["enum"], None]
    return changed
