"""Measure how long files take to their tables: `python -m benchmarks.arrivals`.

`csv-pipeline dev` runs as a user starts it, with default settings. Files are dropped one at a time,
moved in or written and closed; then many at once over several accounts. A file is in its table when
another connection sees its import.
"""

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
_SINGLE = 50
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

    def seconds_until(self, imported: int) -> float:
        """Return how long it takes until so many files are imported."""
        began = time.monotonic()
        while (seconds := time.monotonic() - began) < _SECONDS_TO_ARRIVE:
            found = self.connection.execute("SELECT count(*) FROM csv_pipeline.import").fetchone()
            if found is not None and found[0] >= imported:
                return seconds
            time.sleep(0.02)
        raise SystemExit(f"{imported} files were to be imported in {_SECONDS_TO_ARRIVE:.0f} s")


def main() -> None:
    """Print every measurement."""
    with _running() as running:
        running.drop("first", "first", moved=True)
        print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
        print(f"the first file after the start: {running.seconds_until(1):.1f} s")
        time.sleep(5)
        seconds = []
        for number in range(_SINGLE):
            running.drop(f"single{number % 7}", f"s{number}", moved=number % 2 == 0)
            seconds.append(running.seconds_until(2 + number))
            time.sleep(1.0 + number % 10 / 7)  # at every phase of whatever looks at intervals
        print(f"{_SINGLE} single files: median {median(seconds):.2f} s, worst {max(seconds):.2f} s")
        done = 1 + _SINGLE
        for files, accounts in ((30, 10), (200, 20)):
            time.sleep(10)
            for number in range(files):
                running.drop(f"many{number % accounts}", f"{files}-{number}", moved=True)
            done += files
            took = running.seconds_until(done)
            print(f"{files} files over {accounts} accounts: {took:.1f} s")


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
