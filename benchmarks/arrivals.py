"""Measure how long files take to their tables: `python -m benchmarks.arrivals`.

`csv-pipeline dev` runs as a user starts it, with default settings. Files are dropped one at a time,
moved in or written and closed; then many at once over several accounts; then one at a time while an
account has ten thousand. A file is in its table when another connection sees its import. What was
measured is written to `benchmarks/arrivals.json`.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import psycopg

from csv_pipeline.settings import Settings
from csv_pipeline.storage.database import server_url

FEED = "customers"
_ROWS = 100
_SINGLE, _AMONG, _CROWD = 50, 10, 10_000
_RESULTS = Path(__file__).with_name("arrivals.json")
_SECONDS_TO_START = 120.0
_SECONDS_TO_ARRIVE = 300.0


@dataclass(frozen=True)
class Running:
    """A pipeline that runs, and a connection that sees what it commits."""

    landing: Path
    connection: psycopg.Connection[Any]

    def drop(self, account: str, name: str, *, moved: bool) -> None:
        """Put a file of new rows into an account's folder."""
        folder = self.landing / account / FEED
        folder.mkdir(parents=True, exist_ok=True)
        rows = "".join(f"{name}-{n},Name {n},n{n}@example.org\n" for n in range(_ROWS))
        written = folder / f".{name}.part" if moved else folder / f"{name}.csv"
        written.write_text("Customer ID,Name,Email\n" + rows, encoding="utf-8")
        if moved:
            written.rename(folder / f"{name}.csv")

    def seconds_until(self, imported: int, account: str = "") -> float:
        """Return how long it takes until so many files are imported, of any account or of one."""
        began = time.monotonic()
        query = "SELECT count(*) FROM csv_pipeline.import WHERE %s IN ('', account)"
        while (seconds := time.monotonic() - began) < _SECONDS_TO_ARRIVE:
            found = self.connection.execute(query, (account,)).fetchone()
            if found is not None and found[0] >= imported:
                return seconds
            time.sleep(0.02)
        raise SystemExit(f"{imported} files were to be imported in {_SECONDS_TO_ARRIVE:.0f} s")


def main() -> None:
    """Print every measurement, and write it down."""
    measured: dict[str, float] = {
        "load": round(os.getloadavg()[0], 1),
        "cores": os.cpu_count() or 0,
    }
    with _running() as running:
        for name, seconds in _measured(running):
            measured[name] = round(seconds, 2)
            print(f"{name}: {seconds:.2f} s", flush=True)
    _RESULTS.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")


def _measured(running: Running) -> Iterator[tuple[str, float]]:
    """Give what was measured, in seconds, as soon as it is known."""
    running.drop("first", "first", moved=True)
    yield "the first file after the start", running.seconds_until(1)
    time.sleep(5)
    seconds = []
    for number in range(_SINGLE):
        running.drop(f"single{number % 7}", f"s{number}", moved=number % 2 == 0)
        seconds.append(running.seconds_until(2 + number))
        time.sleep(1.0 + number % 10 / 7)  # at every phase of whatever looks at intervals
    yield f"{_SINGLE} single files, median", median(seconds)
    yield f"{_SINGLE} single files, worst", max(seconds)
    done = 1 + _SINGLE
    for files, accounts in ((30, 10), (200, 20)):
        time.sleep(10)
        for number in range(files):
            running.drop(f"many{number % accounts}", f"{files}-{number}", moved=True)
        done += files
        yield f"{files} files over {accounts} accounts", running.seconds_until(done)
    time.sleep(10)
    for number in range(_CROWD):
        running.drop("crowd", f"c{number}", moved=True)
    seconds = []
    for number in range(_AMONG):
        time.sleep(2)
        running.drop(f"among{number}", f"a{number}", moved=True)
        seconds.append(running.seconds_until(1, f"among{number}"))
    yield f"{_AMONG} single files among {_CROWD:,} of one account, median", median(seconds)
    yield f"{_AMONG} single files among {_CROWD:,} of one account, worst", max(seconds)


@contextmanager
def _running() -> Iterator[Running]:
    with tempfile.TemporaryDirectory(
        prefix="csv-pipeline-bench-arrivals-", ignore_cleanup_errors=True
    ) as folder:
        ports = [str(_free_port()) for _ in range(2)]
        command = [*(sys.executable, "-m", "csv_pipeline.cli", "dev")]
        log = Path(folder) / "log"
        with (
            log.open("w") as out,
            subprocess.Popen(  # noqa: S603
                [*command, "--port", ports[0], "--page-port", ports[1]],
                cwd=folder,
                env=os.environ | {"CSV_PIPELINE_HOME": str(Path(folder) / "data")},
                stdout=out,
                stderr=subprocess.STDOUT,
            ) as process,
        ):
            try:
                _wait_for(log, "Ctrl-C\n", process)
                settings = Settings(home=Path(folder) / "data")
                url = server_url(settings).set(drivername="postgresql")
                address = url.render_as_string(hide_password=False)
                with psycopg.connect(address, autocommit=True) as connection:
                    yield Running(settings.landing_folder, connection)
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(30)


def _wait_for(log: Path, said: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while f"stop          {said}" not in log.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"csv-pipeline dev did not start:\n{log.read_text()}")
        time.sleep(0.2)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
