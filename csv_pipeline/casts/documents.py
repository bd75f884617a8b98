r"""JSON: any text that is one value of it, and that the database holds without loss.

It is written in one way, so that a value which comes again in another spelling is the same: keys in
order, no blanks, characters as themselves, and numbers with all their digits, but without zeros
that say nothing. A text is no value here if PostgreSQL would refuse it, or would store less than it
says: a key that comes twice in an object, `\u0000`, half a surrogate pair, `NaN`, a number beyond
`numeric`, or more than `MOST_LEVELS` objects and lists within one another.
"""

import json
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

import polars as pl

from csv_pipeline.casts import shapes

HINT = "JSON"
MOST_LEVELS = 500
NEEDED = {
    "key_twice": "JSON in which no object has a key twice",
    "not_storable": "JSON that the database can hold: no \\u0000, no half of a surrogate pair, and "
    "no number of more than 131,072 digits or with an exponent beyond 1,000",
    "too_deep": f"JSON of at most {MOST_LEVELS} levels",
}
"""What a value needs, by the rule that it breaks; `json` apart."""

_MOST_DIGITS = 131_072
_MOST_EXPONENT = 1_000  # the database writes them out: `1e131071` in 8 bytes would be 131,072
_MOST_WRITTEN_OUT = 40
_MARK = "\0"  # of a number among texts, none of which may have it
_MARKED = re.compile(r'"\\u0000([^"]*)"')
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_TO_BE_SPELLED = rf'[0-9][.eE]|-0|[\\{shapes.ESCAPED}]|"[^"{shapes.KEY}]*[0-9]'
"""What stands beside the texts of a value that may have another spelling, or in a key."""
_NOT_PARTED = r'\\u000[0-2]|[\[{,:]":|\\\\":'
"""What the database refuses, and what may be no end of a key."""
_MANY = 50  # values of a shape; of fewer each is read alone


class _Fault(Exception):  # noqa: N818  # a rule that a text breaks
    """Why a text is no value here."""


def cast(values: pl.Series) -> pl.Series:
    """Return values as they are stored; null where the text is none."""
    distinct = values.unique().drop_nulls()
    marked = shapes.marked(distinct)
    frame = pl.DataFrame({"text": distinct, "marked": marked, "shape": _shapes(distinct, marked)})
    ordered = [one for one in frame["shape"].unique().drop_nulls() if shapes.in_order(one)]
    others = frame.filter(~pl.col("shape").is_in(ordered).fill_null(value=False))
    if others.is_empty():
        return values
    parts = others.partition_by("shape")
    spelled = pl.concat(_spelled_alike(some, some["shape"][0]) for some in parts)
    return values.replace(pl.concat(some["text"] for some in parts), spelled)


def _spelled_alike(some: pl.DataFrame, shape: str | None) -> pl.Series:
    """Return values of one shape, or of none, as they are stored."""
    flat = shapes.Flat.of(shape) if shape is not None and some.height >= _MANY else None
    if flat is not None:
        return flat.ordered(some["marked"])
    return pl.Series([_judged(text)[0] for text in some["text"]], dtype=pl.String)


def _shapes(values: pl.Series, marked: pl.Series) -> pl.Series:
    """Return the shapes of values that surely are in their one spelling but for the order of keys.

    Most are, and to read each alone takes many times as long. Polars writes JSON again with each
    key once, without blanks, and whole numbers of up to 64 bits as they were.
    """
    bare = shapes.without_texts(marked)
    compact = (values.str.json_path_match("$") == values).fill_null(value=False)
    compact &= ~(bare.str.contains(_TO_BE_SPELLED) | values.str.contains(_NOT_PARTED))
    return shapes.shapes_of(bare).set(~compact, None)


def reasons(values: pl.Series) -> Iterator[tuple[pl.Series, str, str]]:
    """Give the rules that texts which are JSON, but cannot be stored, break."""
    faults = pl.Series([_judged(text)[1] for text in values], dtype=pl.String)
    for rule, needed in NEEDED.items():
        yield faults == rule, rule, needed


def _judged(text: str | None) -> tuple[str | None, str | None]:
    """Return a text in its one spelling, or the rule that it breaks."""
    if text is None:
        return None, None
    try:
        return _spelled(text), None
    except _Fault as fault:
        return None, str(fault)
    except RecursionError:
        return None, "too_deep"
    except ValueError:
        return None, "json"


def _spelled(text: str) -> str:
    may_be_deep = text.count("[") + text.count("{") > MOST_LEVELS
    if "\\u0000" in text and _NUL.search(text):
        raise _Fault("not_storable")
    value = _READER.decode(text)
    if may_be_deep:
        _hold_levels(value)
    spelled = _WRITER.encode(value)
    try:
        spelled.encode()
    except UnicodeEncodeError:
        raise _Fault("not_storable") from None
    return _MARKED.sub(r"\1", spelled) if "\\u0000" in spelled else spelled


def _hold_levels(value: Any) -> None:
    levels, within = 0, [value]
    while within := [one for one in within if isinstance(one, dict | list)]:
        levels += 1
        if levels > MOST_LEVELS:
            raise _Fault("too_deep")
        within = [
            each for one in within for each in (one.values() if isinstance(one, dict) else one)
        ]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise _Fault("key_twice")
    return made


def _constant(name: str) -> None:
    raise ValueError(name)


def _number(text: str) -> str:
    """Return a number marked as one, in its one spelling."""
    if text.isdigit() and len(text) <= _MOST_WRITTEN_OUT:
        return _MARK + text
    try:
        number = Decimal(text).as_tuple()
    except InvalidOperation:  # an exponent beyond all bounds
        raise _Fault("not_storable") from None
    written = "".join(map(str, number.digits))
    digits = written.rstrip("0")
    if not digits:
        return f"{_MARK}0"
    exponent = int(number.exponent) + len(written) - len(digits)
    if len(digits) + exponent > _MOST_DIGITS or abs(exponent) > _MOST_EXPONENT:
        raise _Fault("not_storable")
    made = Decimal((number.sign, tuple(map(int, digits)), exponent))
    out = (
        f"{made:f}"
        if abs(exponent) <= _MOST_WRITTEN_OUT
        else f"{'-' * made.is_signed()}{digits}E{exponent}"
    )
    return _MARK + out


_READER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_number, parse_float=_number, parse_constant=_constant
)
_WRITER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))
