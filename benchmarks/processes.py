"""Run a timed part in a fresh process and watch how much memory it takes."""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_EVERY_SECONDS = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a process said of itself, and the most anonymous memory that it and its children had."""

    seconds: float
    peak_anon_mb: int
    said: dict[str, Any]


def measured(module: str, function: str, **arguments: Any) -> Measured:
    """Call a function of a module of the benchmarks in a process of its own.

    Mapped files do not count as memory (RssAnon), nor does the server, which is no child of it.
    """
    command = [
        *(sys.executable, "-m", "benchmarks.child"),
        *(module, function, json.dumps(arguments)),
    ]
    peak = 0
    with (
        tempfile.TemporaryFile("w+") as out,
        subprocess.Popen(command, stdout=out, text=True) as process,  # noqa: S603
    ):
        while process.poll() is None:
            peak = max(peak, sum(map(_anonymous, _tree(process.pid))))
            time.sleep(_EVERY_SECONDS)
        out.seek(0)
        printed = out.read()
    if process.returncode:
        raise SystemExit(f"{module}.{function} ended with {process.returncode}")
    said = json.loads(printed.splitlines()[-1])
    return Measured(seconds=said["seconds"], peak_anon_mb=round(peak / 1024), said=said)


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        for child in children:
            yield from _tree(int(child))


def _anonymous(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = [line.split()[1] for line in status.splitlines() if line.startswith("RssAnon")]
    return int(found[0]) if found else 0
