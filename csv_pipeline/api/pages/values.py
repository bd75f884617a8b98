"""How values look on a page: numbers, times, sizes, and cells as they stand in a file.

Numbers and times carry their exact value, so that the reader's browser can write them in its own
way.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from markupsafe import Markup, escape

_LONGEST_CELL = 60
_SEEN = 0.01  # of a bar
_MARKS = {"\t": "⇥", "\n": "↵", "\r": "↵", "\u00a0": "⍽", "\u202f": "⍽", "\ufeff": "⍽"}
STATES = (
    *("uploading", "arrived", "checking", "checked", "queued", "running", "imported"),
    *("refused", "failed", "duplicate", "canceled", "undone"),
)
"""Where a file may be, in the order in which it goes there."""

_TONES = {
    "stored": ("imported",),
    "needs": ("checked", "to correct", "waiting", "misplaced", "overdue"),
    "refused": ("refused", "failed", "poison"),
    "running": ("uploading", "arrived", "checking", "queued", "running"),
}
_SIGNS = {"stored": "✓", "needs": "!", "refused": "✕", "running": "◔", "same": "–"}
_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def tone(state: str) -> str:
    """Return which meaning of colour a state has; one without a meaning is grey."""
    return next((its for its, states in _TONES.items() if state in states), "same")


def sign(meaning: str) -> str:
    """Return the sign that stands beside a colour."""
    return _SIGNS[meaning]


def number(value: float) -> Markup:
    """Return a number with its exact value."""
    return Markup('<data value="{}">{}</data>').format(value, f"{value:,}")


def when(value: str | datetime | None) -> Markup:
    """Return a time with its exact value."""
    if value is None:
        return Markup("–")
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    exact = at.isoformat()
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        exact, exact, f"{at:%Y-%m-%d %H:%M} {at:%Z}".strip()
    )


def rows(count: int, what: str = "row") -> str:
    """Return a number of rows in words.

    >>> rows(1), rows(1200, "corrected row")
    ('1 row', '1,200 corrected rows')
    """
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def size(value: int | None) -> Markup:
    """Return a number of bytes as people say it, the exact one on hover.

    >>> str(size(1_500_000))
    '<data value="1500000" title="1,500,000 bytes" class="plain-text">1.5 MB</data>'
    """
    if value is None:
        return Markup("–")
    scaled, unit = float(value), 0
    while scaled >= 1000 and unit < len(_UNITS) - 1:
        scaled, unit = scaled / 1000, unit + 1
    shown = f"{value} bytes" if unit == 0 else f"{scaled:.1f} {_UNITS[unit]}"
    return Markup('<data value="{}" title="{:,} bytes" class="plain-text">{}</data>').format(
        value, value, shown
    )


def segments(counts: Mapping[str, int], names: Iterable[str]) -> list[tuple[str, str, str]]:
    """Return name, place and width of each part of a bar; no part is too small to be seen.

    >>> segments({"read": 1000, "inserted": 999, "rejected": 1}, ["inserted", "kept", "rejected"])
    [('inserted', '0.00%', '99.01%'), ('rejected', '99.01%', '0.99%')]
    """
    parts = {name: max(counts[name] / counts["read"], _SEEN) for name in names if counts[name]}
    whole, at, found = sum(parts.values()), 0.0, []
    for name, part in parts.items():
        width = 100 * part / whole
        found.append((name, f"{at:.2f}%", f"{width:.2f}%"))
        at += width
    return found


def cell(value: Any, most: int = _LONGEST_CELL) -> Markup:
    """Return a value as it stands in a file: cut in the middle, its blanks shown where they matter.

    >>> str(cell(" a"))
    '<span class="cell"><span class="ws">␣</span>a</span>'
    """
    if value is None:
        return Markup('<span class="empty-cell">no value</span>')
    text = str(value)
    if not text:
        return Markup('<span class="empty-cell">empty</span>')
    half = (most - 1) // 2
    if len(text) <= most:
        return Markup('<span class="cell">{}</span>').format(_with_marks(text))
    return Markup('<span class="cell" title="{}">{}…{}</span>').format(
        text[:2_000], _with_marks(text[:half]), _with_marks(text[-half:])
    )


def needed(fault: Any) -> str:
    """Return what was needed where a fault is, without what stands beside it in a table."""
    rule = fault["rule"] if isinstance(fault, Mapping) else fault.rule
    message: str = fault["message"] if isinstance(fault, Mapping) else fault.message
    _, found, said = message.partition(f" breaks rule {rule} (")
    return said.removesuffix(")") if found else message


def last_time(because: str) -> bool:
    """Return whether something is decided as it was for an earlier file with the same header."""
    return because.startswith("as settled for files with this header")


def _with_marks(text: str) -> Markup:
    inner = text.strip(" ")
    before = len(text) - len(text.lstrip(" "))
    after = len(text) - len(inner) - before if inner else 0
    parts = [_mark("␣")] * before
    for at, sign_ in enumerate(inner):
        if sign_ in _MARKS:
            parts.append(_mark(_MARKS[sign_]))
        elif sign_ == " " and inner[at - 1 : at] == " ":
            parts.append(_mark("␣"))
        elif not sign_.isprintable() and sign_ != " ":
            parts.append(_mark(f"U+{ord(sign_):04X}"))
        else:
            parts.append(escape(sign_))
    return Markup("").join([*parts, *[_mark("␣")] * after])


def _mark(shown: str) -> Markup:
    return Markup('<span class="ws">{}</span>').format(shown)
