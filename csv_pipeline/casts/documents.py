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
_READ_ALONE = r'[\x00-\x1f]|\\[^"\\bfnrt]|\\\\":|[\[{,:]":'
"""What may be no JSON, or another spelling of it, or no end of a key."""
_NUMBER_READ_ALONE = r"-0|[0-9][.eE]|(?:^|[^0-9])0[0-9]|[0-9]{19}"
_MANY = 50  # values of a shape; of fewer each is read alone


class _Fault(Exception):  # noqa: N818  # a rule that a text breaks
    """Why a text is no value here."""


def cast(values: pl.Series) -> pl.Series:
    """Return values as they are stored; null where the text is none."""
    distinct = values.unique()
    if distinct.len() == values.len():
        return _spelled_each(values)
    return values.replace(distinct, _spelled_each(distinct))


def _spelled_each(values: pl.Series) -> pl.Series:
    """Return different values as they are stored, those of one shape at a time."""
    marked = shapes.marked(values)
    shape = _shapes(values, marked)
    sound = [one for one in shape.unique().drop_nulls() if _is_sound(one)]
    ordered = [one for one in sound if shapes.in_order(one)]
    frame = pl.DataFrame({"text": values, "marked": marked, "shape": shape}).with_row_index()
    frame = frame.with_columns(shape=pl.when(pl.col("shape").is_in(sound)).then("shape"))
    as_they_are = pl.col("shape").is_in(ordered).fill_null(value=False)
    others = frame.filter(~as_they_are).partition_by("shape")
    spelled = (some.with_columns(_spelled_alike(some, some["shape"][0])) for some in others)
    done = pl.concat(some.select("index", "text") for some in (frame.filter(as_they_are), *spelled))
    return done.sort("index")["text"]


def _spelled_alike(some: pl.DataFrame, shape: str | None) -> pl.Series:
    """Return values of one shape, or of none, as they are stored."""
    flat = shapes.Flat.of(shape) if shape is not None and some.height >= _MANY else None
    if flat is not None:
        return flat.ordered(some["marked"]).alias("text")
    return pl.Series("text", [_judged(text)[0] for text in some["text"]], dtype=pl.String)


def _shapes(values: pl.Series, marked: pl.Series) -> pl.Series:
    """Return the shapes of values of which each text and each number surely is in its spelling.

    Most are, and to read each value alone takes many times as long. Such a value is JSON if its
    shape is.
    """
    bare = shapes.without_texts(marked)
    alone = values.str.contains(_READ_ALONE) | bare.str.contains(_NUMBER_READ_ALONE)
    return shapes.shapes_of(bare).set(alone, None)


def _is_sound(shape: str) -> bool:
    """Return whether a shape is JSON in its one spelling but for the order of keys."""
    text = shapes.without_marks(shape)
    if shapes.has_doubtful_key(shape) or _judged(text)[0] is None:
        return False
    return text == json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":"))


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
