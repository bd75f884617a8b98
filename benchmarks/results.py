"""What was measured, as it is kept in `benchmarks/results.json`."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

PATH = Path(__file__).parent / "results.json"
OURS, LIMIT, DLT, ROWS = "csv_pipeline", "limit", "dlt upsert", "row by row"


SMALL_ALONE = "small files, each alone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One timed part: who, what, how fast; of several rounds the one of the median ratio.

    `ratio` is its time by the limit's of the same round; `peak_anon_mb` the most of all rounds;
    `cpu_ms` the processor time that a file took.
    """

    who: str
    case: str
    rows: int
    seconds: float
    peak_anon_mb: int
    ratio: float | None = None
    files: int | None = None
    cpu_ms: float | None = None
    stages: dict[str, float] = field(default_factory=dict)

    @property
    def rows_per_second(self) -> int:
        """The speed."""
        return round(self.rows / self.seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where it was measured."""

    cores: int
    memory_gb: int
    postgresql: str

    def __str__(self) -> str:
        return f"{self.cores} cores, {self.memory_gb} GB, PostgreSQL {self.postgresql}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What was measured together."""

    date: str
    rounds: int
    lines: tuple[Line, ...]

    def line(self, who: str, case: str) -> Line | None:
        """Return one line of it, if there is one."""
        return next((x for x in self.lines if (x.who, x.case) == (who, case)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """All parts, of one machine."""

    machine: Machine
    parts: dict[str, Part]

    def joined(self, part: dict[str, Part]) -> "Results":
        """Return these results with some parts replaced by others."""
        return Results(machine=self.machine, parts=self.parts | part)

    def line(self, part: str, who: str, case: str) -> Line | None:
        """Return one line, if it was measured."""
        return self.parts[part].line(who, case) if part in self.parts else None

    def ratio(self, case: str) -> float | None:
        """Return our time by the limit's, of a million rows."""
        line = self.line("1m", OURS, case)
        return line.ratio if line else None

    @property
    def headlines(self) -> dict[str, float | None]:
        """The figures that targets are set for; None: not measured."""
        tenfold = self.parts["10m"].lines if "10m" in self.parts else ()
        alone = self.line("small-files", OURS, SMALL_ALONE)
        dlt, mine = (self.line("dlt", who, "fresh") for who in (DLT, OURS))
        return {
            "fresh_ratio": self.ratio("fresh"),
            "changed_1pct_ratio": self.ratio("1 % changed"),
            "all_bad_ratio": self.ratio("fresh, all bad"),
            "peak_anon_mb_10m": max(
                (line.peak_anon_mb for line in tenfold if line.who == OURS), default=None
            ),
            "small_files_per_second": self._per_second("small files"),
            "small_customers_per_second": self._per_second("small files, as customers"),
            "small_ebay_files_per_second": self._per_second("small files, as ebay_orders"),
            "small_file_cpu_ms": alone.cpu_ms if alone else None,
            "dlt_ratio": round(dlt.seconds / mine.seconds, 2) if dlt and mine else None,
        }

    def _per_second(self, case: str) -> float | None:
        line = self.line("small-files", OURS, case)
        return round(line.files / line.seconds, 1) if line and line.files else None

    @property
    def date(self) -> str:
        """The day of the newest part."""
        return max(part.date for part in self.parts.values())


MEANINGS = {
    "fresh_ratio": "1,000,000 rows into an empty table: our seconds by those of the limit",
    "changed_1pct_ratio": "1,000,000 stored rows again, 1 % changed: ours by those of the limit",
    "all_bad_ratio": "1,000,000 rows, all rejected: ours by those of the limit for as many rows",
    "peak_anon_mb_10m": "10,000,000 rows: the most anonymous memory of an import, RssAnon, sampled",
    "small_files_per_second": "files of 100 rows, from claim to settled report, in one process",
    "small_customers_per_second": "the same, of the feed customers, 7 columns",
    "small_ebay_files_per_second": "the same, of ebay_orders: 19 columns, quotes, framing, footer",
    "small_file_cpu_ms": "a file of 100 rows alone: milliseconds of the process's CPU",
    "dlt_ratio": "1,000,000 rows into an empty table: dlt's seconds by ours",
}


def this_machine(postgresql: str) -> Machine:
    """Return what the measurements ran on."""
    found = re.search(r"MemTotal:\s+(\d+) kB", Path("/proc/meminfo").read_text())
    memory = int(found.group(1)) / 1024**2 if found else 0
    cores = len(os.sched_getaffinity(0))
    return Machine(cores=cores, memory_gb=round(memory), postgresql=postgresql)


def load(path: Path = PATH) -> Results | None:
    """Return what was measured before, if anything was."""
    if not path.exists():
        return None
    kept = TypeAdapter(dict[str, object]).validate_json(path.read_bytes())
    if "parts" not in kept:
        return None
    return TypeAdapter(Results).validate_python({k: kept[k] for k in ("machine", "parts")})


def save(results: Results, path: Path = PATH) -> None:
    """Write the headlines, what they mean, and every line with its speed."""
    dumped = TypeAdapter(Results).dump_python(results, mode="json")
    for name, part in dumped["parts"].items():
        for line, own in zip(part["lines"], results.parts[name].lines, strict=True):
            line["rows_per_second"] = own.rows_per_second
    facts = {**results.headlines, "date": results.date, "meanings": MEANINGS, **dumped}
    path.write_bytes(TypeAdapter(dict[str, object]).dump_json(facts, indent=2) + b"\n")
