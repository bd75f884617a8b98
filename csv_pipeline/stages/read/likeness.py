"""Tell a line of names from a row by the lines below it."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from enum import IntEnum
from itertools import islice

Names = tuple[str, ...]

_ROWS_COMPARED = 50
_KINDS = {
    "date": re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}(?:[T ] ?\d.*)?"),
    "time": re.compile(r"\d{1,2}:\d\d(?:[:.]\d+)*(?: ?[AaPp]\.?[Mm]\.?)?"),
    "number": re.compile(
        r"[-+(]?\s*[$€£]?\s*[-+]?\d[\d.,'\u2019 \u00a0\u202f]*(?:[eE][-+]?\d+)?\s*[%€£]?\)?-?"
    ),
    "address": re.compile(r"[^@\s;,|]+@[^@\s;,|]+\.\w+|\w+://[^\s;,|]+"),
}
_TIGHT_COMMA = re.compile(r",(?! )")
_YEAR = re.compile(r"(?:19|20)\d\d")
_NUMBERED = re.compile(r"(\D*)(\d+)")
_NO_VALUE = frozenset(
    {"-", "--", "?", "n/a", "na", "nan", "nil", "none", "null", "\\n", "tbd", "unknown"}
)


class Likeness(IntEnum):
    """What a first line is by the lines below it."""

    ROW = 0
    OPEN = 1
    """As much speaks for one as for the other."""
    LIKELY = 2
    """Names, because the first line of a table usually is; nothing below tells."""
    NAMES = 3
    """Names for sure: what is below is of another kind."""


def kind_of(value: str) -> str | None:
    """Return what kind of value a text is; None for words, which may be names."""
    return next((kind for kind, like in _KINDS.items() if like.fullmatch(value)), None)


def is_parted(cell: str, delimiter: str) -> bool:
    """Return whether a delimiter parts what is in a cell, as in a list.

    A comma may be the decimal mark of a number, or go before a blank.
    """
    if delimiter not in cell:
        return False
    return delimiter != "," or (_TIGHT_COMMA.search(cell) is not None and kind_of(cell) is None)


def values_in(names: Names) -> list[int]:
    """Return the places of cells that are numbers, dates, times or addresses."""
    return [position for position, name in enumerate(names) if name and kind_of(name)]


def hold_none(cells: Names) -> bool:
    """Return whether any cell says that there is no value, as only rows do."""
    return any(cell.casefold() in _NO_VALUE for cell in cells)


def likeness(names: Names, rows: Sequence[Names]) -> Likeness:
    """Return what a line is, from how its cells differ from those below them, column by column."""
    filled = [name for name in names if name]
    if not rows:
        return Likeness.ROW if values_in(names) else Likeness.LIKELY
    if _are_numbered(filled):
        return Likeness.NAMES
    some = rows[:_ROWS_COMPARED]
    found = [
        _of_column(name, [row[position] for row in some if row[position]])
        for position, name in enumerate(names)
        if name
    ]
    if len(names) == 1 and kind_of(rows[0][0]) is None and Likeness.NAMES in found:
        found = [] if rows[0][0].casefold() not in _NO_VALUE else found  # or is that the name?
    as_row, as_name = found.count(Likeness.ROW), found.count(Likeness.NAMES)
    if as_row != as_name:
        return Likeness.ROW if as_row > as_name else Likeness.NAMES
    if as_row:
        return Likeness.OPEN
    return Likeness.ROW if _recur(names, some) else Likeness.LIKELY


def typed_columns(rows: Iterable[Names]) -> int:
    """Return how many columns hold values in all of the first rows."""
    found = [set(values_in(row)) for row in islice(rows, 20)]
    return len(set.intersection(*found)) if found else 0


def _of_column(name: str, cells: list[str]) -> Likeness:
    """Return what a cell is by the cells below it, of which most are of one kind or shape."""
    if not cells or name.casefold() in _NO_VALUE:
        return Likeness.LIKELY
    (kind, count), *_ = Counter(map(kind_of, cells)).most_common(1)
    own = kind_of(name)
    if kind is not None and 2 * count > len(cells):
        if own is None:
            return Likeness.NAMES
        is_row = own == kind and not (
            _YEAR.fullmatch(name) and shape(name) not in map(shape, cells)
        )
        return Likeness.ROW if is_row else Likeness.LIKELY
    (usual, count), *_ = Counter(map(shape, cells)).most_common(1)
    if own is None and "9" in usual and 2 * count > len(cells) > 1:
        return Likeness.ROW if shape(name) == usual else Likeness.NAMES
    return Likeness.LIKELY


def _recur(names: Names, rows: Sequence[Names]) -> bool:
    """Return whether words of the line come again below them, as words of rows do."""
    if len(names) == 1:
        return names in rows
    others = [row for row in rows if row != names]
    again = sum(
        any(row[position] == name for row in others) for position, name in enumerate(names) if name
    )
    return 2 * again >= sum(1 for name in names if name)


def _are_numbered(names: Sequence[str]) -> bool:
    """Return whether names are one word with a number that goes up by one: c1, c2, c3."""
    found = [_NUMBERED.fullmatch(name) for name in names]
    if len(found) < 2 or None in found:
        return False
    parts = [(match[1], int(match[2])) for match in found if match]
    word, first = parts[0]
    return bool(word.strip()) and parts == [(word, first + at) for at in range(len(parts))]


def shape(value: str) -> str:
    """Return a value with its numbers and words reduced to one sign each."""
    return re.sub(r"\d+", "9", re.sub(r"[^\W\d_]+", "a", value.strip()))
