"""Write a feed as a Table Schema with the block `csv_pipeline`, which `read_feed` reads back."""

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import date, time
from decimal import Decimal
from enum import StrEnum
from typing import Any

import polars as pl

from csv_pipeline.account import DateOrder, DecimalMark
from csv_pipeline.spec.conflict import ConflictPolicy
from csv_pipeline.spec.contract import FALSE, TRUE, Column, Style, columns_of
from csv_pipeline.spec.declared.policies import said
from csv_pipeline.spec.declared.words import OwnOfFeed
from csv_pipeline.spec.dialect import TableDialect
from csv_pipeline.spec.duplicates import DuplicatePolicy
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.kinds import TYPES, Kind, kind_of
from csv_pipeline.spec.patterns import EMAIL, EMAIL_NEEDS

_BOUNDS = {
    "greater_than_or_equal_to": "minimum",
    "less_than_or_equal_to": "maximum",
    "greater_than": "exclusiveMinimum",
    "less_than": "exclusiveMaximum",
}
_MARKS: Mapping[Style | None, str] = {DecimalMark.POINT: ".", DecimalMark.COMMA: ","}


def table_schema(feed: Feed) -> dict[str, Any]:
    """Return the words of a feed."""
    policies = {name: said(its) for name, its in feed.column_conflicts.items()}
    made = {
        "name": feed.name,
        "description": feed.description,
        "fields": [_field(its, feed, policies.get(its.name)) for its in columns_of(feed.contract)],
        "primaryKey": list(feed.key),
        "fieldsMatch": "" if feed.fields_match == "partial" else feed.fields_match,
        "missingValues": ["", *sorted(feed.nulls)],
        "dialect": feed.dialect and _dialect(feed.dialect),
        "csv_pipeline": _own(feed),
    }
    return {word: its for word, its in made.items() if its}


def _dialect(its: TableDialect) -> dict[str, Any]:
    quote = its.quote if its.header else its.quote or ""
    said = {"delimiter": its.delimiter or None, "quoteChar": quote, "encoding": its.encoding}
    return {"header": its.header} | {word: one for word, one in said.items() if one is not None}


def left_out(feed: Feed) -> list[str]:
    """Return what a feed does in Python that no word says."""
    code = [*feed.transforms, *feed.file_checks]
    names = [getattr(one, "__name__", type(one).__name__) for one in code]
    names += [table.name for table in feed.derived]
    for name, its in feed.contract.to_schema().columns.items():
        names += [f"{name}.{check.name}" for check in its.checks if not _constraint(check)]
    return names


def _own(feed: Feed) -> dict[str, Any]:
    words = OwnOfFeed.model_fields.keys() - {"name", "description"}
    return {word: its for word, its in _changed(feed).items() if word in words}


def _changed(declared: Any) -> dict[str, Any]:
    """Return the fields of a declaration that are not as they are by default."""
    made: dict[str, Any] = {}
    for one in fields(declared):
        default = one.default if one.default_factory is MISSING else one.default_factory()
        value = getattr(declared, one.name)
        if value != default:
            made[one.name] = _value(value)
    return made


def _field(column: Column, feed: Feed, conflict: Any) -> dict[str, Any]:
    names = () if column.local_of else column.aliases  # those of the timestamp
    title, *aliases = names or ("",)
    constraints = _constraints(column, feed)
    made: dict[str, Any] = {
        "name": column.name,
        "type": TYPES[column.kind].schema,
        "format": _format(column),
        "title": title,
        "description": column.description,
        "constraints": constraints,
        "categories": _categories(column),
        "missingValues": sorted(column.nulls),
        "decimalChar": _MARKS.get(column.style, ""),
        "example": next(iter(column.examples), ""),
    }
    own = _own_of(column, aliases, conflict)
    if constraints.get("pattern") == EMAIL and column.needs == EMAIL_NEEDS:
        made["format"] = "email"
        del constraints["pattern"], own["needs"]
    made["csv_pipeline"] = own
    return {word: its for word, its in made.items() if its} | _words_of_truth(column)


def _own_of(column: Column, aliases: Iterable[str], conflict: Any) -> dict[str, Any]:
    decimal = isinstance(column.dtype, pl.Decimal)
    plain = {
        kind_of(column.dtype),
        Kind.JSON,
        Kind.UUID,
        *([Kind.CHOICE] if column.choices else []),
    }
    own: dict[str, Any] = {
        "aliases": list(aliases),
        "kind": column.kind.value if column.kind not in plain else "",
        "precision": column.dtype.precision if isinstance(column.dtype, pl.Decimal) else None,
        "scale": column.dtype.scale if isinstance(column.dtype, pl.Decimal) else None,
        "values": _values(column),
        "conflict": conflict,
        "protected": column.protected,
        "identifier": column.identifier and not (column.fold_case or column.pad),
        "fold_case": column.fold_case,
        "pad": column.pad,
        "substitute": column.substitute,
        "past": column.past,
        "zone": column.zone,
        "zones": dict(column.zones),
        "unit": column.unit,
        "local_of": column.local_of,
        "normalise": list(column.normalise),
        "stored_as": column.stored_as if column.stored_as != "percent" else "",
        "bare_as": column.bare_as,
        "derived": column.derived,
        "gathers": column.gathers and _changed(column.gathers),
        "sign": column.sign and _changed(column.sign),
        "currency_in": list(column.currency_in),
        "needs": column.needs,
        "examples": list(column.examples[1:]),
    }
    kept = {"substitute", "scale"} if decimal else {"substitute"}
    return {w: its for w, its in own.items() if its or (w in kept and its is not None)}


def _format(column: Column) -> str:
    match column.style:
        case DateOrder.DAY_FIRST:
            return "%d/%m/%Y"
        case DateOrder.MONTH_FIRST:
            return "%m/%d/%Y"
        case DateOrder.YEAR_FIRST:
            return "%y/%m/%d"
        case _:
            known = TYPES[column.kind].schema_format
            return "" if known == "default" else known


def _words_of_truth(column: Column) -> dict[str, list[str]]:
    """Return the words of a boolean, if they are not the usual ones."""
    usual = dict.fromkeys(FALSE, "false") | dict.fromkeys(TRUE, "true")
    if column.kind is not Kind.BOOLEAN or column.choices == usual:
        return {}
    return {
        f"{meaning}Values": [word for word, its in column.choices.items() if its == meaning]
        for meaning in ("true", "false")
    }


def _categories(column: Column) -> list[str]:
    """Return the stored words, if each is accepted as it is."""
    if column.kind is Kind.BOOLEAN:
        return []
    stored = list(dict.fromkeys(column.choices.values()))
    accepted = all(column.choices.get(word.casefold()) == word for word in stored)
    return stored if accepted else []


def _values(column: Column) -> dict[str, str]:
    if column.kind is Kind.BOOLEAN:
        return {}
    known = {word.casefold() for word in _categories(column)}
    return {word: stored for word, stored in column.choices.items() if word not in known}


def _constraints(column: Column, feed: Feed) -> dict[str, Any]:
    made: dict[str, Any] = {}
    if not column.nullable and column.substitute is None and column.name not in feed.key:
        made["required"] = True
    for check in feed.contract.to_schema().columns[column.name].checks:
        made |= _constraint(check)
    return made


def _constraint(check: Any) -> dict[str, Any]:
    """Return a check of Pandera's own in the words of the standard; none for one of the feed's."""
    facts = check.statistics or {}
    if check.name in _BOUNDS:
        return {_BOUNDS[check.name]: _value(next(iter(facts.values())))}
    match check.name:
        case "isin":
            return {"enum": [_value(one) for one in facts["allowed_values"]]}
        case "str_matches":
            return {"pattern": _whole(facts["pattern"])}
        case "str_length":
            least, most = facts["min_value"], facts["max_value"]
            bounds = {"minLength": least, "maxLength": most}
            return {word: its for word, its in bounds.items() if its is not None}
        case _:
            return {}


def _whole(pattern: str) -> str:
    """Return a pattern that is looked for from the beginning as one of the whole value."""
    inner = pattern.removeprefix("^")
    if not inner.endswith("$") or inner.endswith(r"\$"):
        return f"(?s:{inner}.*)"
    inner = inner.removesuffix("$")
    if "|" in inner and inner.startswith("(?:") and _closes_last(inner):
        return inner[3:-1]
    return inner


def _closes_last(pattern: str) -> bool:
    """Return whether the group that a pattern begins with ends where the pattern does."""
    depth, escaped, in_set = 0, False, False
    for at, letter in enumerate(pattern):
        if escaped:
            escaped = False
        elif letter == "\\":
            escaped = True
        elif in_set:
            in_set = letter != "]"
        elif letter == "[":
            in_set = True
        elif letter in "()":
            depth += 1 if letter == "(" else -1
            if depth == 0:
                return at == len(pattern) - 1
    return False


def _value(value: Any) -> Any:
    """Return a value as files have it."""
    match value:
        case ConflictPolicy() | DuplicatePolicy():
            return said(value)
        case date() | time():
            return value.isoformat()
        case StrEnum():
            return value.value
        case float():
            return Decimal(str(value))
        case frozenset() | tuple() | list():
            several = sorted(value) if isinstance(value, frozenset) else value
            return [_value(one) for one in several]
        case _:
            return _changed(value) if is_dataclass(value) else value
