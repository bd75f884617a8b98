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

import msgspec
import polars as pl

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
_FRACTION = re.compile(r"-?[0-9]+\.[0-9]*[1-9]")
_MARK = "\0"  # of a number among texts, none of which may have it
_MARKED = re.compile(r'"\\u0000([^"]*)"')
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_ODD = rf"\\u00(?:00|22)|(?:^|[\[:,\s])-?[0-9]{{{_MOST_WRITTEN_OUT + 1}}}"
"""What may hold NUL, a quote by its number, or a number that is not written out."""


class _Fault(Exception):  # noqa: N818  # a rule that a text breaks
    """Why a text is no value here."""


_FAULTS = (_Fault, RecursionError, ValueError)


def cast(values: pl.Series) -> pl.Series:
    """Return values as they are stored; null where the text is none."""
    distinct = values.unique()
    if distinct.len() == values.len():
        return _spelled_each(values)
    return values.replace(distinct, _spelled_each(distinct))


def _spelled_each(values: pl.Series) -> pl.Series:
    """Return texts as they are stored, most of them by a reader of ten times the speed.

    It forgets a key that comes again in an object, and with it at least two quotes. What it does
    not take, or may take otherwise, is judged.
    """
    odd = values.str.contains(_ODD)
    if (values.str.len_bytes() > 2 * MOST_LEVELS).any():  # each level takes two signs
        odd |= values.str.count_matches(r"[\[{]") > MOST_LEVELS
    if not odd.any() and not odd.has_nulls():
        return _quickly_spelled(values)
    quick = iter(_quickly_spelled(values.filter(~odd)))
    made = [
        None if is_odd is None else _judged(text)[0] if is_odd else next(quick)
        for text, is_odd in zip(values.to_list(), odd.to_list(), strict=True)
    ]
    return pl.Series(values.name, made, dtype=pl.String)


def _quickly_spelled(values: pl.Series) -> pl.Series:
    texts = values.to_list()
    try:
        made = [*map(_QUICK_WRITER.encode, map(_QUICK_READER.decode, texts))]
    except _FAULTS:  # one text at least has one
        return pl.Series(values.name, [_one_quickly_spelled(it) for it in texts], dtype=pl.String)
    spelled = pl.Series(values.name, made, dtype=pl.Binary).cast(pl.String)
    lost = _quotes(spelled) != _quotes(values)
    if not lost.any():
        return spelled
    judged = [_judged(text)[0] for text in values.filter(lost)]
    return spelled.scatter(lost.arg_true(), pl.Series(judged, dtype=pl.String))


def _one_quickly_spelled(text: str) -> str | None:
    try:
        spelled = _QUICK_WRITER.encode(_QUICK_READER.decode(text)).decode()
    except _FAULTS:
        return _judged(text)[0]
    return spelled if spelled.count('"') == text.count('"') else _judged(text)[0]


def _quotes(values: pl.Series) -> pl.Series:
    return values.str.count_matches('"', literal=True)


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
    """Return a number in its one spelling."""
    if len(text) <= _MOST_WRITTEN_OUT and (text.isdigit() or _FRACTION.fullmatch(text)):
        return text
    try:
        number = Decimal(text).as_tuple()
    except InvalidOperation:  # an exponent beyond all bounds
        raise _Fault("not_storable") from None
    written = "".join(map(str, number.digits))
    digits = written.rstrip("0")
    if not digits:
        return "0"
    exponent = int(number.exponent) + len(written) - len(digits)
    if len(digits) + exponent > _MOST_DIGITS or abs(exponent) > _MOST_EXPONENT:
        raise _Fault("not_storable")
    made = Decimal((number.sign, tuple(map(int, digits)), exponent))
    if abs(exponent) <= _MOST_WRITTEN_OUT:
        return f"{made:f}"
    return f"{'-' * made.is_signed()}{digits}E{exponent}"


def _marked(text: str) -> str:
    return _MARK + _number(text)


def _as_it_is(text: str) -> msgspec.Raw:
    return msgspec.Raw(_number(text).encode())


_READER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_marked, parse_float=_marked, parse_constant=_constant
)
_WRITER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))
_QUICK_READER = msgspec.json.Decoder(float_hook=_as_it_is)
_QUICK_WRITER = msgspec.json.Encoder(order="sorted")
