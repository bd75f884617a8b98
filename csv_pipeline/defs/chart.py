"""Draw what became of the rows as one bar, for the Markdown in Dagster's pages."""

import base64
from dataclasses import asdict

from csv_pipeline.model import Counts

COLORS = {
    "inserted": "#2e7d32",
    "updated": "#1565c0",
    "unchanged": "#90a4ae",
    "kept": "#6a1b9a",
    "superseded": "#f9a825",
    "rejected": "#c62828",
}
_WIDTH, _BAR, _LINE = 640, 28, 22
_SHOWN = 0.001
_LEAST = 3  # so wide is the part of a few rows among a million, or it would be invisible


def outcome_chart(counts: Counts) -> str:
    """Return Markdown that shows how the rows read divide among their outcomes."""
    picture = base64.b64encode(outcome_svg(counts).encode()).decode()
    return f"![What became of {counts.read:,} rows](data:image/svg+xml;base64,{picture})"


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
    return _box(0, top, 14, 14, COLORS[name]) + (
        f'<text x="22" y="{top + 12}" fill="#777">{text}</text>'
    )


def _box(left: float, top: float, width: float, height: float, color: str) -> str:
    return f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{height}" fill="{color}"/>'
