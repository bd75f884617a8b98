"""What a soak found, as JSON and as a chart."""

import json
import os
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.soaking.clock import STEP_SECONDS
from benchmarks.soaking.model import Arrived, Differences, Drop
from benchmarks.soaking.observed import Sample
from benchmarks.soaking.verdict import WATCHED, Evidence, growth_mb

ROOT = Path(__file__).parents[2]
JSON, CHART = ROOT / "benchmarks/soak.json", ROOT / "docs/soak.svg"
_EARLY = 60.0  # seconds by which a file may be settled before its writer said that it is complete
_COLOURS = {"code": "#1a73e8", "daemon": "#f29900", "runs' source": "#9aa0a6"}


def lags(
    drops: Sequence[Drop], ledger: Sequence[Arrived], began: float
) -> list[tuple[float, float]]:
    """Return of each file when it was complete and how long it took to be settled, in seconds.

    `began` is the beginning in seconds since 1970, which `complete_at` counts from. Whole steps of
    the database's clock, which says when a file was settled, do not count.
    """
    settled = {arrived.identity: arrived.settled_at for arrived in ledger}
    return sorted(
        (drop.complete_at, (at - began - drop.complete_at + _EARLY) % STEP_SECONDS - _EARLY)
        for drop in drops
        if (at := settled.get(drop.identity)) is not None
    )


def report(
    evidence: Evidence,
    found: Differences,
    *,
    told: dict[str, Any],
    happened: Sequence[tuple[float, str]],
    over: bool,
) -> dict[str, Any]:
    """Return the report; one of a soak that is not `over` has no verdict."""
    last = evidence.samples[-1] if evidence.samples else None
    seconds = [wait for _, wait in evidence.waits]
    passed = "passed" if not found.counts else "failed"
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "verdict": passed if over else "not over",
        "not as it must be": found.counts,
        "told": found.found,
        **told,
        "load": [round(load, 1) for load in os.getloadavg()],
        "cores": os.cpu_count(),
        "files dropped": dict(Counter(drop.kind for drop in evidence.drops)),
        "ledger": dict(Counter(arrived.status for arrived in evidence.ledger)),
        "rows stored": sum(map(len, evidence.tables.values())),
        "trouble": dict(Counter(what for _, what in happened)),
        "seconds from file to ledger": {
            "median": round(median(seconds), 1), "worst": round(max(seconds), 1),
        } if seconds else {},
        "memory": {
            role: None if (grown := growth_mb(role, evidence)) is None else
            {"mb": round(grown[0], 1), "more_mb": round(grown[1], 1)}
            for role in WATCHED
        },
        "dagster": {
            "runs": last.runs, "failed runs": last.failed_runs, "events": last.events,
            "ticks": last.ticks, "bytes": last.dagster_bytes,
            "runs and events kept a month later": evidence.kept,
        } if last else {},
        "happened": [[round(at, 1), what] for at, what in happened],
        "waits": [[round(at, 1), round(wait, 1)] for at, wait in evidence.waits],
        "samples": [sample.facts() for sample in evidence.samples],
    }  # fmt: skip


def save(facts: dict[str, Any], path: Path = JSON) -> None:
    """Keep a report, each sample on a line of its own."""
    lines = [f"  {json.dumps(name)}: {_line(value)}" for name, value in facts.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def _line(value: Any) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n    " + ",\n    ".join(map(json.dumps, value)) + "\n  ]"
    return json.dumps(value)


def draw(facts: dict[str, Any], path: Path = CHART) -> None:
    """Draw a report as SVG, the same bytes for the same report."""
    import matplotlib as mpl  # noqa: PLC0415  # of the extra `bench`

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "csv_pipeline"
    mpl.rcParams["svg.fonttype"] = "none"
    mpl.rcParams["font.family"] = "sans-serif"
    from matplotlib import pyplot as plt  # noqa: PLC0415  # only once the backend is chosen

    samples = [Sample(**sample) for sample in facts["samples"]]
    known = [sample for sample in samples if sample.events is not None]
    figure, (files, waits, memory, events) = plt.subplots(
        4, 1, figsize=(10, 10), sharex=True, layout="constrained"
    )
    files.plot(_minutes(samples), [s.dropped for s in samples], "#9aa0a6", label="dropped")
    files.plot(_minutes(known), [s.settled for s in known], "#1a73e8", label="settled")
    files.plot(_minutes(known), [s.imported for s in known], "#188038", label="imported")
    files.set_ylabel("files")
    waits.plot(
        [at / 60 for at, _ in facts["waits"]], [wait for _, wait in facts["waits"]],
        ".", color="#1a73e8", markersize=3, label="each file",
    )  # fmt: skip
    waits.set_ylabel("seconds to the ledger")
    for role, colour in _COLOURS.items():
        its = [sample for sample in samples if role in sample.memory_mb]
        memory.plot(_minutes(its), [s.memory_mb[role] for s in its], colour, label=role)
    memory.set_ylabel("anonymous memory, MB")
    events.plot(_minutes(known), [s.events for s in known], "#1a73e8", label="Dagster's events")
    events.set_ylabel("rows")
    events.set_xlabel("minutes; each grey line is a kill or an error of the store")
    for axes in (files, waits, memory, events):
        for at, _ in facts["happened"]:
            axes.axvline(at / 60, color="#dadce0", linewidth=0.7, zorder=0)
        axes.set_ylim(bottom=0)
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    figure.suptitle(
        f"{facts['minutes']:g} minutes, {sum(facts['files dropped'].values()):,} files, "
        f"{sum(facts['trouble'].values())} times trouble: {facts['verdict']}"
    )
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _minutes(samples: Sequence[Sample]) -> list[float]:
    return [sample.at / 60 for sample in samples]
