"""Let a pipeline run under random arrivals and random trouble: `python -m benchmarks.soak`.

`csv-pipeline dev` runs as a user starts it, with default settings, in a folder of its own. For
three feeds of 50 accounts files are moved in, written in place or slowly, replaced by newer ones
and repeated; two in a hundred are bad, some have times of the past or the future, as from senders
whose clocks are wrong. Meanwhile processes are killed, the store fails for seconds, and the clock
of the database, which the ledger goes by, or of all that runs is an hour ahead or behind for
seconds; this machine's own clock is left alone. For the last two fifths of the time files arrive
and nothing is killed, so that memory can be watched.

In the end every file must have the fate it must have, and every table the rows that the files say.
The report is `benchmarks/soak.json`, the chart `docs/soak.svg`. Exits with 1 if anything is amiss.
"""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.soaking import report
from benchmarks.soaking.clock import Clock
from benchmarks.soaking.model import Differences
from benchmarks.soaking.observed import Observer, Sample
from benchmarks.soaking.processes import running
from benchmarks.soaking.sender import VISITS, Sender
from benchmarks.soaking.trouble import Trouble
from benchmarks.soaking.verdict import Evidence, judge

_SECONDS_TO_START = 600.0
_SECONDS_TO_END = 120.0
_SAMPLE_SECONDS, _LINE_SECONDS = 5.0, 30.0
_TROUBLED = 0.6  # of the time


@dataclass(slots=True)
class Soak:
    """One soak: what runs, what happens to it and what was seen of it."""

    told: argparse.Namespace
    folder: Path
    clock: Clock
    dev: subprocess.Popen[bytes]
    stop: threading.Event
    began: float = field(default_factory=time.monotonic)
    samples: list[Sample] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    kept: tuple[int, int] | None = None

    def run(self) -> int:
        """Soak, judge and report; return the exit code."""
        seconds, observer = 60.0 * self.told.minutes, Observer(self.folder)
        landing = self.folder / "data/landing"
        sender = Sender(landing=landing, seed=self.told.seed, began=self.began)
        trouble = Trouble(self.folder, sender, self.clock, observer.has_died_over, self.told.seed)
        line_at = 0.0

        def is_over(share: float = 1.0) -> bool:
            late = time.monotonic() - self.began > share * seconds
            return late or self.stop.is_set() or self.dev.poll() is not None

        with ThreadPoolExecutor(2) as pool:
            going: list[Future[None]] = [
                pool.submit(sender.send, is_over, self.told.per_second),
                pool.submit(trouble.make, lambda: is_over(_TROUBLED), self.told.trouble_every),
            ]
            settled_at = None
            while settled_at is None or time.monotonic() < settled_at + 2 * _SAMPLE_SECONDS:
                sample = observer.sample(time.monotonic() - self.began, len(sender.drops))
                self.samples.append(sample)
                for one in [one for one in going if one.done()]:
                    going.remove(one)
                    if (error := one.exception()) is not None:
                        self.faults.append(f"the soak's own {error!r}")
                quiet = not going and _is_quiet(sample, observer)
                settled_at = (settled_at or time.monotonic()) if quiet else None
                if sample.at >= line_at:
                    _tell(sample, len(trouble.happened))
                    line_at = sample.at + _LINE_SECONDS
                    self._report(observer, sender, trouble, over=False)
                if self.dev.poll() is not None:
                    self.faults.append(f"dev ended with {self.dev.returncode}")
                    break
                if sample.at > seconds + 60 * self.told.quiet_minutes:
                    self.faults.append(f"not quiet {self.told.quiet_minutes:g} minutes after")
                    break
                time.sleep(_SAMPLE_SECONDS)
        return self._end(observer, sender, trouble)

    def _end(self, observer: Observer, sender: Sender, trouble: Trouble) -> int:
        """Judge, let a month go by, and see that nothing is left running."""
        if self.stop.is_set():
            self.faults.append("it was interrupted")
        try:
            evidence = self._evidence(observer, sender)
        except (psycopg.Error, OSError) as error:
            self.faults.append(f"nothing can be compared: {error}")
            evidence = Evidence(
                drops=sender.drops, ledger=(), tables={}, samples=self.samples, calm_from=0.0
            )
        kept = self._month_later()
        end(self.dev)
        left = tuple(f"{one.role} {one.pid}" for one in running(self.folder))
        evidence = replace(evidence, kept=kept, left_running=left, faults=tuple(self.faults))
        found = judge(evidence)
        self._save(evidence, found, trouble, over=True)
        for sentence in found.found:
            print(sentence)
        print(f"verdict: {'failed: ' + str(found.counts) if found.counts else 'passed'}")
        return 1 if found.counts else 0

    def _report(self, observer: Observer, sender: Sender, trouble: Trouble, *, over: bool) -> None:
        """Write how far it is, so that a soak that is killed leaves that."""
        with suppress(psycopg.Error, OSError):
            evidence = self._evidence(observer, sender)
            self._save(evidence, Differences(), trouble, over=over)

    def _evidence(self, observer: Observer, sender: Sender) -> Evidence:
        drops, ledger = list(sender.drops), observer.ledger()
        began = time.time() - (time.monotonic() - self.began)
        return Evidence(
            drops=drops,
            ledger=ledger,
            waits=report.lags(drops, ledger, began),
            tables=observer.tables(),
            samples=list(self.samples),
            calm_from=_TROUBLED * 60 * self.told.minutes,
            left_in_landing=[str(path) for path in observer.left_in_landing()],
        )

    def _save(
        self, evidence: Evidence, found: Differences, trouble: Trouble, *, over: bool
    ) -> None:
        facts = report.report(
            evidence,
            found,
            told={
                name: getattr(self.told, name)
                for name in ("minutes", "seed", "per_second", "trouble_every")
            },
            happened=list(trouble.happened),
            over=over,
        )
        report.save(facts, self.told.json)
        if over:
            report.draw(facts, self.told.chart)

    def _month_later(self) -> tuple[int, int] | None:
        """Return how many of Dagster's runs and events are kept a month later."""
        environment = _environment() | {
            "CSV_PIPELINE_HOME": str(self.folder / "data"),
            "DAGSTER_HOME": str(self.folder / "data/dagster"),
        }
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.soaking.retention"],
            env=environment | {"PYTHONPATH": str(report.ROOT)},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            self.faults.append(f"retention: {done.stderr[-500:]}")
            return None
        runs, events = done.stdout.split()[-2:]
        return int(runs), int(events)


def main(arguments: Sequence[str]) -> int:
    """Do as the command line says."""
    told = _told(arguments)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    folder = Path(tempfile.mkdtemp(prefix="csv-pipeline-soak-"))
    print(f"{told.minutes:g} minutes, seed {told.seed}, in {folder}", flush=True)
    (folder / "feeds.d").mkdir()
    (folder / "feeds.d/visits.yaml").write_text(VISITS, encoding="utf-8")
    clock = Clock.made_in(folder)
    dev = _started(folder, clock, stop)
    try:
        code = Soak(told=told, folder=folder, clock=clock, dev=dev, stop=stop).run()
    finally:
        end(dev)
    if code == 0:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"what ran is left in {folder}; what it said is in {folder}/log")
    return code


def _started(folder: Path, clock: Clock, stop: threading.Event) -> subprocess.Popen[bytes]:
    ports = [str(_free_port()) for _ in range(2)]
    command = [sys.executable, "-m", "csv_pipeline.cli", "dev"]
    with (folder / "log").open("w") as out:
        dev = subprocess.Popen(  # noqa: S603
            [*command, "--port", ports[0], "--page-port", ports[1]],
            cwd=folder,
            env=_environment() | clock.environment(),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + _SECONDS_TO_START
    while "stop          Ctrl-C" not in (folder / "log").read_text():
        if dev.poll() is not None or time.monotonic() > deadline or stop.is_set():
            end(dev)
            raise SystemExit(f"csv-pipeline dev did not start, see {folder}/log")
        time.sleep(0.5)
    return dev


def end(dev: subprocess.Popen[bytes]) -> None:
    """End dev as Ctrl-C does."""
    if dev.poll() is None:
        dev.send_signal(signal.SIGINT)
        try:
            dev.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            dev.kill()


def _environment() -> dict[str, str]:
    ours = ("CSV_PIPELINE_", "DAGSTER_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


def _is_quiet(sample: Sample, observer: Observer) -> bool:
    at_rest = sample.settled is not None and sample.settled == sample.arrivals
    return at_rest and sample.unfinished_runs == 0 and not observer.left_in_landing()


def _tell(sample: Sample, troubles: int) -> None:
    memory = ", ".join(
        f"{role} {sample.memory_mb[role]:.0f} MB" for role in ("code", "daemon")
        if role in sample.memory_mb
    )  # fmt: skip
    facts: dict[str, Any] = sample.facts()
    known = ", ".join(
        f"{name} {facts[name]}" for name in ("arrivals", "settled", "imported", "runs", "events")
    )
    print(
        f"{sample.at / 60:5.1f} min: dropped {sample.dropped}, {known}; {memory}; "
        f"trouble {troubles}; load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _told(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="of arrivals")
    parser.add_argument("--quiet-minutes", type=float, default=15.0, help="to wait in the end")
    parser.add_argument("--seed", type=int, default=1, help="of all that is random")
    parser.add_argument("--per-second", type=float, default=0.7, help="files")
    parser.add_argument("--trouble-every", type=float, default=20.0, help="seconds")
    parser.add_argument("--json", type=Path, default=report.JSON, help="where the report goes")
    parser.add_argument("--chart", type=Path, default=report.CHART, help="where the chart goes")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
