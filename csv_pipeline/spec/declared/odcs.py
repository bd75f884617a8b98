"""An Open Data Contract Standard 3.1 contract as a Table Schema, and the other way round.

What that standard cannot say of a column or table is in custom properties named `table_schema` and
`csv_pipeline`. Of a contract the schema is taken; its quality rules, servers and teams are not.
"""

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy.dialects import postgresql

from csv_pipeline.spec.contract import Column, columns_of
from csv_pipeline.spec.declared.document import Document, Path
from csv_pipeline.spec.declared.faults import fault
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.kinds import sql_type

VERSION = "v3.1.0"
_LOGICAL = {"any": "object", "datetime": "timestamp"}
_TYPES = {"object": "any", "timestamp": "datetime"}
_OPTIONS = (
    *("minLength", "maxLength", "pattern"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
)
_PHYSICAL = {
    r"(?:n?var)?char.*|n?text|string|character.*|clob|citext": "string",
    r"(?:big|small|tiny|medium)?int(?:eger)?\d*|serial|bigserial": "integer",
    r"(?:numeric|decimal|number|money|float|double|real).*": "number",
    r"date": "date",
    r"time(?: without time zone)?": "time",
    r"timestamp.*|datetime.*": "datetime",
    r"bool(?:ean)?": "boolean",
    r"jsonb?": "any",
    r"uuid": "string",
}
_DIGITS = re.compile(r"\w+\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\)")


def is_contract(document: Document) -> bool:
    """Return whether a file is an ODCS contract, and no Table Schema."""
    return isinstance(document.value, dict) and "apiVersion" in document.value


def contract_of(schema: Mapping[str, Any], feed: Feed) -> dict[str, Any]:
    """Return the Table Schema of a feed as a contract."""
    key = schema.get("primaryKey", [])
    columns = {column.name: column for column in columns_of(feed.contract)}
    rest = {
        word: schema[word] for word in ("missingValues", "fieldsMatch", "dialect") if word in schema
    }
    table = {
        "name": feed.name,
        "physicalName": feed.name,
        "logicalType": "object",
        "physicalType": "table",
        "description": feed.description,
        "customProperties": _custom(rest, schema.get("csv_pipeline", {})),
        "properties": [_property(its, key, columns[its["name"]]) for its in schema["fields"]],
    }
    return {
        "apiVersion": VERSION,
        "kind": "DataContract",
        "id": feed.name,
        "name": feed.name,
        "version": "1.0.0",
        "status": "active",
        "description": {"purpose": feed.description},
        "schema": [_filled(table)],
    }


def _property(field: Mapping[str, Any], key: list[str], column: Column) -> dict[str, Any]:
    constraints = dict(field.get("constraints", {}))
    required = constraints.pop("required", False) or field["name"] in key
    options = {word: constraints.pop(word) for word in _OPTIONS if word in constraints}
    known = {"name", "type", "title", "description", "constraints", "csv_pipeline"}
    rest = {word: its for word, its in field.items() if word not in known}
    if constraints:
        rest["constraints"] = constraints
    return _filled(
        {
            "name": field["name"],
            "physicalName": field["name"],
            "businessName": field.get("title", ""),
            "description": field.get("description", ""),
            "logicalType": _LOGICAL.get(field["type"], field["type"]),
            "physicalType": _physical(column),
            "required": required,
            "primaryKey": field["name"] in key,
            "primaryKeyPosition": key.index(field["name"]) + 1 if field["name"] in key else 0,
            "classification": "restricted" if column.protected else "",
            "logicalTypeOptions": options,
            "customProperties": _custom(rest, field.get("csv_pipeline", {})),
        }
    )


def _physical(column: Column) -> str:
    """Return the type of a column in the table."""
    its = sql_type(column.kind, column.dtype)
    return its.compile(dialect=postgresql.dialect()).lower()  # type: ignore[no-untyped-call]


def _custom(schema: Mapping[str, Any], own: Mapping[str, Any]) -> list[dict[str, Any]]:
    both = {"table_schema": schema, "csv_pipeline": own}
    return [{"property": name, "value": dict(its)} for name, its in both.items() if its]


def _filled(words: dict[str, Any]) -> dict[str, Any]:
    return {word: its for word, its in words.items() if its}


def schema_of(document: Document) -> Document:
    """Return a contract as a Table Schema, whose values are where the contract has them.

    Raises:
        SetupError: It has not one table, or a column without a type.
    """
    contract = document.value
    tables = contract.get("schema")
    if not isinstance(tables, list) or len(tables) != 1 or not isinstance(tables[0], dict):
        found = f"found {len(tables)}" if isinstance(tables, list) else "there is none"
        raise fault(document, ("schema",), "one table in the schema", found)
    table, at = tables[0], ("schema", 0)
    made = Document(document.name, values={(): document.values[()]})
    properties = table.get("properties")
    if not isinstance(properties, list) or not all(isinstance(one, dict) for one in properties):
        raise fault(document, at, "properties, which are the columns", "there are none")
    made.values["fields",] = document.values[*at, "properties"]
    positions = {
        _named(its): its.get("primaryKeyPosition", 0)
        for its in properties
        if its.get("primaryKey") is True
    }
    name = table.get("physicalName") or table.get("name")
    made.value = _filled(
        {
            "name": re.sub(r"[^a-z0-9_]+", "_", str(name).lower()).strip("_") if name else "",
            "description": table.get("description") or "",
            "fields": [
                _field(document, its, (*at, "properties", number), made, number)
                for number, its in enumerate(properties)
            ],
            "primaryKey": sorted(positions, key=lambda column: positions[column]),
        }
    )
    own = _customs(document, table, at, made, ())
    made.value |= own.get("table_schema", {})
    if "csv_pipeline" in own:
        made.value["csv_pipeline"] = own["csv_pipeline"]
    return made


def _field(
    document: Document, its: Mapping[str, Any], path: Path, made: Document, number: int
) -> dict[str, Any]:
    here: Path = ("fields", number)
    made.values[here] = document.values[path]
    own = _customs(document, its, path, made, here)
    options = its.get("logicalTypeOptions") or {}
    constraints = {word: options[word] for word in _OPTIONS if word in options}
    constraints |= {word: True for word in ("required", "unique") if its.get(word) is True}
    words = own.get("table_schema", {})
    constraints |= words.pop("constraints", {})
    kind, digits = _type(document, its, path)
    block = digits | own.get("csv_pipeline", {})
    if its.get("classification") in {"restricted", "confidential"}:
        block |= {"protected": True}
    field = {
        "name": _named(its),
        "type": kind,
        "title": its.get("businessName") or its.get("name"),
        "description": its.get("description") or "",
        "constraints": constraints,
        "csv_pipeline": block,
    }
    _mark(document, path, made, here, its)
    if kind == "string" and options.get("format") == "email":
        field["format"] = "email"
    if field["title"] == field["name"]:
        field["title"] = ""
    return _filled(field) | words


def _mark(
    document: Document, path: Path, made: Document, here: Path, its: Mapping[str, Any]
) -> None:
    """Keep where a contract has the words of a field."""
    name = "physicalName" if its.get("physicalName") else "name"
    words = {name: "name", "businessName": "title", "logicalType": "type"}
    places: dict[Path, Path] = {(word,): (value,) for word, value in words.items()}
    places["logicalTypeOptions",] = ("constraints",)
    places |= {("logicalTypeOptions", word): ("constraints", word) for word in _OPTIONS}
    for there, to in places.items():
        if (*path, *there) in document.values:
            made.values[*here, *to] = document.values[*path, *there]


def _named(its: Mapping[str, Any]) -> Any:
    """Return the name of a property's column."""
    return its.get("physicalName") or its.get("name")


def _type(document: Document, its: Mapping[str, Any], path: Path) -> tuple[str, dict[str, Any]]:
    """Return the type of a property, and the digits that its physical type says."""
    physical = str(its.get("physicalType") or "").lower()
    logical = its.get("logicalType")
    kind = _TYPES.get(str(logical), str(logical)) if logical else ""
    if not kind:
        fitting = (t for pattern, t in _PHYSICAL.items() if re.fullmatch(pattern, physical))
        kind = next(fitting, "")
    if not kind:
        raise fault(document, path, "a logicalType", f"found the physicalType {physical!r}")
    digits = _DIGITS.fullmatch(physical)
    if kind != "number" or digits is None:
        return kind, {}
    return kind, {"precision": int(digits[1]), "scale": int(digits[2] or 0)}


def _customs(
    document: Document, of: Mapping[str, Any], path: Path, made: Document, here: Path
) -> dict[str, dict[str, Any]]:
    """Return the custom properties that are the pipeline's, by name, and mark where they are."""
    found: dict[str, dict[str, Any]] = {}
    given = of.get("customProperties")
    for at, its in enumerate(given if isinstance(given, list) else ()):
        name = its.get("property") if isinstance(its, dict) else None
        if name in {"table_schema", "csv_pipeline"} and isinstance(its.get("value"), dict):
            found[name] = dict(its["value"])
            start = (*path, "customProperties", at, "value")
            to = here if name == "table_schema" else (*here, "csv_pipeline")
            for marks, its_marks in ((document.values, made.values), (document.keys, made.keys)):
                for one, mark in list(marks.items()):
                    if one[: len(start)] == start and len(one) >= len(start):
                        its_marks.setdefault((*to, *one[len(start) :]), mark)
    return found
