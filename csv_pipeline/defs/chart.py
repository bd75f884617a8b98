"""Draw bars and lines for the Markdown in Dagster's pages."""

import base64
from collections.abc import Sequence
from dataclasses import asdict
from html import escape

from csv_pipeline.model import Counts

COLORS = {
    "inserted": "#2e7d32",
    "updated": "#1565c0",
    "unchanged": "#90a4ae",
    "kept": "#6a1b9a",
    "superseded": "#f9a825",
    "rejected": "#c62828",
}
_WIDTH, _BAR, _LINE = 280, 24, 22  # Dagster shows metadata in columns as narrow as 300 pixels
_LINES = ("#1565c0", "#2e7d32", "#c62828", "#6a1b9a", "#f9a825")
_TALL = 120
_SHOWN = 0.001
_LEAST = 3  # so wide is the part of a few rows among a million, or it would be invisible


def outcome_chart(counts: Counts) -> str:
    """Return Markdown that shows how the rows read divide among their outcomes."""
    return _markdown(f"What became of {counts.read:,} rows", outcome_svg(counts))


def line_chart(title: str, names: Sequence[str], points: Sequence[tuple[object, ...]]) -> str:
    """Return Markdown that shows a line for each name; a point has its label, then the values."""
    return _markdown(title, line_svg(names, points))


def line_svg(names: Sequence[str], points: Sequence[tuple[object, ...]]) -> str:
    """Return the same as SVG: lines from 0 to the highest value, and a legend; none without points.

    A point without a value is one of 0.
    """
    rows = [[float(str(value or 0)) for value in values] for _, *values in points]
    most = max((value for row in rows for value in row), default=0) or 1
    step = _WIDTH / max(len(points) - 1, 1)
    parts = [_text(0, _TALL + 18, "no rows")] if not points else []
    for line, name in enumerate(names if points else ()):
        color = _LINES[line % len(_LINES)]
        tops = [_TALL * (1 - row[line] / most) for row in rows]
        tops *= 2 if len(tops) == 1 else 1  # a single point is a line, too
        path = " ".join(f"{at * step:.1f},{top:.1f}" for at, top in enumerate(tops))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>')
        last = f"{name}: {sum(row[line] for row in rows):,.10g} in all"
        parts.append(_box(0, _TALL + 34 + line * _LINE, 14, 14, color))
        parts.append(_text(22, _TALL + 46 + line * _LINE, last))
    if points:
        first, last = (escape(str(label)) for label in (points[0][0], points[-1][0]))
        parts.append(_text(0, _TALL + 18, first if first == last else f"{first} … {last}"))
        parts.append(_text(0, 14, f"{most:,.10g}"))
    height = _TALL + 40 + _LINE * len(names)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="14">{"".join(parts)}</svg>'
    )


def outcome_svg(counts: Counts) -> str:
    """Return the same as SVG: a bar divided in proportion, and a legend of the outcomes seen.

    What would be too narrow to be seen is a little wider, at the cost of the widest part.
    """
    seen = {name: rows for name, rows in asdict(counts).items() if name in COLORS and rows}
    total = sum(seen.values())
    widths = {name: max(_WIDTH * rows / total, _LEAST) for name, rows in seen.items()}
    if seen:
        widths[max(widths, key=lambda name: widths[name])] += _WIDTH - sum(widths.values())
    parts, left = [], 0.0
    for line, (name, rows) in enumerate(seen.items()):
        width = widths[name]
        parts.append(_box(left, 0, width, _BAR, COLORS[name]))
        parts.append(_legend(line, name, rows, rows / total))
        left += width
    height = _BAR + _LINE * len(seen) + 12
    body = "".join(parts) or '<text y="18" fill="#777">no rows</text>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="14">{body}</svg>'
    )


def _legend(line: int, name: str, rows: int, share: float) -> str:
    top = _BAR + 10 + line * _LINE
    text = f"{name}: {rows:,} ({f'{share:.1%}' if share >= _SHOWN else 'under 0.1%'})"
    return _box(0, top, 14, 14, COLORS[name]) + _text(22, top + 12, text)


def _markdown(title: str, svg: str) -> str:
    picture = base64.b64encode(svg.encode()).decode()
    return f"![{title}](data:image/svg+xml;base64,{picture})"


def _text(left: int, top: int, text: str) -> str:
    return f'<text x="{left}" y="{top}" fill="#777">{text}</text>'


def _box(left: float, top: float, width: float, height: float, color: str) -> str:
    return f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{height}" fill="{color}"/>'
