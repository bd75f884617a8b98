"""What runs beside each other goes on: a process that ends is started again, and says so."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from csv_pipeline.cli.services import Process
from csv_pipeline.defs import preforked
from csv_pipeline.storage.worker import is_gone
from csv_pipeline_tests.test_cli import free_port

CUSTOMERS = "Customer ID,Name\nC1,Ann\nC2,Bob\n"
VISITS = (
    "fields: [{name: id, title: ID, constraints: {pattern: '[0-9]+'}}, {name: pages, title: Pages}]"
    "\nprimaryKey: id\n"
)
LONG_SECONDS = 300  # on a busy machine a start takes minutes
SLEEP = (sys.executable, "-c", "import time; time.sleep(60)")
FAIL = (sys.executable, "-c", "raise SystemExit(3)")


def test_a_process_that_ends_is_started_again_later_each_time(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    process = Process("one", FAIL)
    process.start(os.environ)
    assert process.running is not None
    process.running.wait()
    process.look(os.environ)
    assert "one ended (exit code 3); it is started again in 1 s." in capsys.readouterr().err
    process.look(os.environ)
    assert process.running is None  # not before its pause is over
    process.due_at = 0
    process.look(os.environ)
    assert process.running is not None
    assert process.starts == 2
    process.running.wait()
    process.look(os.environ)
    assert "started again in 3 s." in capsys.readouterr().err


def test_a_process_that_does_not_end_when_asked_is_killed(tmp_path: Path) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(60)"
    process = Process("deaf", (sys.executable, "-c", deaf))
    process.start(os.environ)
    time.sleep(0.5)
    process.end()
    process.wait(time.monotonic() + 0.2)
    assert process.running is not None
    assert process.running.returncode == -signal.SIGKILL


def test_nothing_forks_once_polars_has_run() -> None:
    program = (
        "from csv_pipeline.defs import preforked\n"
        "import polars as pl\n"
        "print(preforked.running_pools())\n"
        "pl.DataFrame({'a': [1]}).lazy().collect()\n"
        "print(preforked.running_pools())\n"
    )
    command = [sys.executable, "-c", program]
    said = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    before, after = said.stdout.splitlines()
    assert before == "[]"
    assert "polars-0" in after


@pytest.mark.parametrize(("megabytes", "code"), [(30, 0), (600, -signal.SIGKILL)])
def test_a_run_that_takes_more_memory_than_it_may_is_killed_and_says_so(
    megabytes: int, code: int
) -> None:
    program = (
        "import time\n"
        "from dagster._cli import api\n"
        "from csv_pipeline.defs import preforked\n"
        "class Run:\n"
        "    @staticmethod\n"
        "    def main(*_, **__):\n"
        f"        held = bytearray(b'x') * ({megabytes} * 2**20)\n"
        "        time.sleep(1.5)\n"
        "api.execute_run_command = Run\n"
        "preforked._execute('which run')\n"
    )
    ended = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"CSV_PIPELINE_RUN_MEMORY_BYTES": str(512 * 2**20)},
    )
    assert ended.returncode == code
    assert ("CSV_PIPELINE_RUN_MEMORY_BYTES" in ended.stderr) is (code != 0)


@pytest.mark.slow
def test_nothing_that_is_imported_before_a_fork_runs_polars(tmp_path: Path) -> None:
    (tmp_path / "feeds.d").mkdir()
    (tmp_path / "feeds.d/visits.yaml").write_text(VISITS)
    program = (
        "from csv_pipeline.defs import preforked as p\n"
        "p.prepare('csv_pipeline.definitions'); print(p.running_pools())"
    )
    command = [sys.executable, "-c", program]
    said = subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert said.stdout.strip() == "[]"
    assert preforked.READY


class Served:
    """The import page with Dagster beside it, as `csv-pipeline serve` starts them."""

    def __init__(self, pid: int, log: Path, page: int, dagster: int) -> None:
        self.pid, self.log, self.folder = pid, log, log.parent
        self.page, self.dagster = f"http://127.0.0.1:{page}", f"http://127.0.0.1:{dagster}"

    def runs(self) -> list[dict[str, Any]]:
        query = "{ runsOrError { ... on Runs { results { status runId tags { key value } } } } }"
        answer = httpx2.post(f"{self.dagster}/graphql", json={"query": query}, timeout=20)
        found: list[dict[str, Any]] = answer.json()["data"]["runsOrError"]["results"]
        return found

    def is_up(self) -> bool:
        try:
            httpx2.get(f"{self.page}/health/ready", timeout=5).raise_for_status()
            self.runs()
        except (httpx2.HTTPError, ValueError, KeyError):
            return False
        return "import page" in self.log.read_text()

    def send(self, name: str) -> dict[str, Any]:
        path = f"{self.page}/api/v1/uploads/acme/{name}?feed=customers"
        content = CUSTOMERS.replace("Ann", name)
        answer = httpx2.put(path, content=content.encode(), timeout=30)
        facts: dict[str, Any] = answer.raise_for_status().json()
        return facts

    def drop(self, name: str, content: str = "", feed: str = "customers") -> set[str]:
        """Drop a file where the sensor looked just now; return the tags of its run."""
        done = self.done()
        folder = self.folder / "data/landing/acme" / feed
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content or CUSTOMERS.replace("Ann", name))
        _wait(lambda: self.done() == done + 1)
        return {tag["key"] for tag in self.runs()[0]["tags"]}

    def children(self) -> list[int]:
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in listed.split() if "postgres" not in _command_of(int(pid))]

    def with_the_code(self) -> list[int]:
        """Return the processes that have loaded the code and answer the code server's questions."""
        return [pid for pid in _working_in(self.folder) if "dagster api grpc" in _command_of(pid)]

    def done(self) -> int:
        return sum(run["status"] == "SUCCESS" for run in self.runs())


def _working_in(folder: Path) -> list[int]:
    """Return the processes whose working directory is a folder, or in it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cwd").readlink().is_relative_to(folder):
                found.append(int(process.name))
    return found


def _command_of(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return ""


@contextmanager
def _served() -> Iterator[Served]:
    with tempfile.TemporaryDirectory(prefix="csv-pipeline-", ignore_cleanup_errors=True) as folder:
        page, dagster = free_port(), free_port()
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CSV_PIPELINE_")}
        environment |= {"CSV_PIPELINE_DAGSTER_URL": f"http://127.0.0.1:{dagster}"}
        log = Path(folder, "log")
        Path(folder, "feeds.d").mkdir()
        Path(folder, "feeds.d/visits.yaml").write_text(VISITS)
        command = [sys.executable, "-m", "csv_pipeline.cli", "serve", "--port", str(page)]
        with log.open("wb") as out:
            process = subprocess.Popen(  # noqa: S603  # our own command
                command, cwd=folder, env=environment, stdout=out, stderr=out
            )
        try:
            served = Served(process.pid, log, page, dagster)
            _wait(served.is_up)
            yield served
        finally:
            # As a terminal does that is closed, unless the tests are to outlive theirs.
            outlives = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            process.send_signal(signal.SIGINT if outlives else signal.SIGHUP)
            assert process.wait(timeout=60) == 0
            assert _working_in(Path(folder)) == []


def _wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONG_SECONDS
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.slow
def test_runs_are_forked_and_what_is_killed_is_started_again() -> None:
    with _served() as served:
        served.send("one.csv")
        _wait(lambda: served.done() == 1)
        served.send("two.csv")
        _wait(lambda: served.done() == 2)
        tags = served.drop("dropped.csv")
        assert "dagster/tick" not in tags  # the watcher asked for the run, before the sensor
        (of_run,) = [
            tag["value"] for tag in served.runs()[0]["tags"] if tag["key"] == "csv_pipeline/worker"
        ]
        worker = of_run.split(" ")[1]
        _wait(lambda: is_gone(worker))  # one run a process
        served.drop("visits.csv", "ID,Pages\n1,3\n", feed="visits")  # of a feed declared there
        (served.folder / "feeds.d/stays.yaml").write_text(VISITS)
        served.drop("stays.csv", "ID,Pages\n1,3\n", feed="stays")  # of one that is declared now
        _wait(served.is_up)
        assert "stays" in httpx2.get(f"{served.page}/api/v1/feeds", timeout=20).text
        (code,) = served.with_the_code()
        os.kill(code, signal.SIGKILL)
        served.drop("while it is away.csv")
        (again,) = served.with_the_code()
        assert again != code
        for pid in served.children():
            os.kill(pid, signal.SIGKILL)
        _wait(lambda: served.log.read_text().count("it is started again in") >= 4)
        assert again not in served.with_the_code()
        _wait(served.is_up)
        served.send("three.csv")
        _wait(lambda: served.done() == 7)
        assert {run["status"] for run in served.runs()} == {"SUCCESS"}
