"""The README's table and the chart, made of what was measured and of nothing else."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.results import DLT, LIMIT, OURS, ROWS, Line, Part, Results

ROOT = Path(__file__).parent.parent
README, CHART = ROOT / "README.md", ROOT / "docs" / "benchmarks.svg"
BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"
_SIZES = ("100k", "1m", "10m")
_AS_EBAY_ORDERS = "fresh, as ebay_orders"  # whose ratio is to the limit
_COLOURS = {LIMIT: "#9aa0a6", OURS: "#1a73e8", DLT: "#f29900", ROWS: "#d93025"}


def tables(results: Results) -> str:
    """Return the figures as Markdown."""
    sizes = [results.parts[name] for name in _SIZES if name in results.parts]
    lines = [
        f"Measured on {results.date}, {results.machine}. Each time with the rows a second that "
        "it means.",
        "",
        "| rows | case | the limit | csv_pipeline | × the limit | peak memory |",
        "|--:|---|--:|--:|--:|--:|",
        *(
            f"| {line.rows:,} | {line.case} | {_speed(_limit_of(part, line))} | {_speed(line)} "
            f"| {line.ratio:.2f} | {line.peak_anon_mb} MB |"
            for part in sizes
            for line in part.lines
            if line.who == OURS and line.ratio is not None
        ),
    ]
    others = [
        f"| {line.who} | {line.rows:,} | {_case(line)} | {_speed(line)} | {line.peak_anon_mb} MB |"
        for name, part in results.parts.items()
        if name not in _SIZES
        for line in part.lines
        if line.who != LIMIT
    ]
    if others:
        head = ["| beside it | rows | case | time | peak memory |", "|---|--:|---|--:|--:|"]
        lines += ["", *head, *others]
    return "\n".join(lines)


def write_readme(results: Results) -> None:
    """Put the figures into the README, between their marks."""
    text = README.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    README.write_text(f"{before}{BEGIN}\n{tables(results)}\n{END}{after}")


def write_chart(results: Results) -> None:
    """Draw speed and memory as SVG, the same bytes for the same figures."""
    import matplotlib as mpl  # noqa: PLC0415  # of the extra `bench`; the table needs none of it

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "csv_pipeline"
    mpl.rcParams["svg.fonttype"] = "none"
    mpl.rcParams["font.family"] = "sans-serif"
    from matplotlib import pyplot as plt  # noqa: PLC0415  # only once the backend is chosen

    figure, (speed, memory) = plt.subplots(1, 2, figsize=(11, 4.6), width_ratios=(3, 2))
    size = "1m" if "1m" in results.parts else next(name for name in _SIZES if name in results.parts)
    drawn: list[Line] = [*results.parts[size].lines, *_same_size(results, results.parts[size])]
    _bars(
        speed,
        [(line.who, line.case, line.rows_per_second / 1_000) for line in drawn],
        f"thousand rows a second, {drawn[0].rows:,} rows",
    )
    _bars(
        memory,
        [
            (line.who, f"{line.rows:,}", line.peak_anon_mb)
            for line in _most_memory(results)
            if line.who != ROWS
        ],
        "most anonymous memory of the importing process, MB",
    )
    speed.legend(frameon=False, loc="best")
    figure.suptitle(f"{results.date}, {results.machine}", x=0.01, ha="left", fontsize=9)
    figure.tight_layout()
    figure.savefig(CHART, metadata={"Date": None, "Creator": None})
    plt.close(figure)


def _bars(axes: Any, bars: Iterable[tuple[str, str, float]], title: str) -> None:
    """Draw horizontal bars in groups, a group for each case, the first one at the top."""
    bars = list(bars)
    cases = list(dict.fromkeys(case for _, case, _ in bars))
    names = [who for who in _COLOURS if any(who == name for name, _, _ in bars)]
    height = 0.8 / len(names)
    for position, who in enumerate(names):
        values = {case: value for name, case, value in bars if name == who}
        at = [cases.index(case) + height * position for case in values]
        drawn = axes.barh(at, list(values.values()), height, label=who, color=_COLOURS[who])
        axes.bar_label(drawn, fmt="%.0f", padding=2, fontsize=7)
    axes.set_yticks([row + 0.4 - height / 2 for row in range(len(cases))], cases)
    axes.invert_yaxis()
    axes.set_title(title, fontsize=9, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.1)


def _same_size(results: Results, part: Part) -> list[Line]:
    """Return the lines of the other contestants; the row-by-row way is scaled from fewer rows."""
    rows = part.lines[0].rows
    others = [line for p in results.parts.values() for line in p.lines if line.who in {DLT, ROWS}]
    return [line for line in others if line.rows == rows or line.who == ROWS]


def _most_memory(results: Results) -> list[Line]:
    """Return for everybody and each number of rows the line of the most memory."""
    found: dict[tuple[str, int], Line] = {}
    for name in (*_SIZES, "dlt"):
        for line in results.parts[name].lines if name in results.parts else ():
            most = found.setdefault((line.who, line.rows), line)
            if line.peak_anon_mb > most.peak_anon_mb:
                found[line.who, line.rows] = line
    return sorted(found.values(), key=lambda line: line.rows)


def _limit_of(part: Part, line: Line) -> Line:
    """Return the limit's line that one of ours is compared with; for bad rows as many good ones."""
    found = part.line(LIMIT, line.case) or part.line(LIMIT, "fresh")
    assert found is not None
    return found


def _case(line: Line) -> str:
    if line.ratio is not None and line.case != _AS_EBAY_ORDERS:
        return f"{line.case}: a cell takes {line.ratio:.2f} × one of ebay_orders"
    return f"{line.files:,} {line.case}" if line.files else line.case


def _speed(line: Line) -> str:
    if line.files:
        return f"{line.seconds:.1f} s, {line.files / line.seconds:.0f} files/s"
    return f"{line.seconds:.1f} s, {line.rows_per_second:,}/s"
