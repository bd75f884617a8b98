"""`deploy/celery`: Dagster's runs on Celery's workers, one of which is killed."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest
import yaml
from psycopg.rows import dict_row

from csv_pipeline.defs.celery_launcher import CeleryRunLauncher
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline_tests.conftest import new_database
from csv_pipeline_tests.file_stores import Bucket, running_store

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy" / "celery"
BIN = Path(sys.executable).parent
ACCOUNTS = [f"shop-{number:02}" for number in range(40)]
FILES = 2
ROWS = 50
SECRET = "of-the-test"  # noqa: S105


def test_the_instance_differs_from_the_usual_one_by_its_launcher_only() -> None:
    usual, celery = (
        yaml.safe_load((folder / "dagster.yaml").read_text()) for folder in (ROOT, DEPLOY)
    )
    launchers = [settings.pop("run_launcher") for settings in (usual, celery)]
    assert celery == usual
    assert launchers[1]["class"] == CeleryRunLauncher.__name__


def test_a_run_that_is_to_end_before_a_worker_takes_it_is_canceled_not_failed() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run_id = instance.create_run_for_job(
            _nothing, status=dg.DagsterRunStatus.STARTING, tags={"dagster-celery/task_id": "1"}
        ).run_id
        launcher = CeleryRunLauncher("dagster", broker="memory://", backend="cache+memory://")
        launcher.register_instance(instance)
        assert launcher.terminate(run_id)
        run = instance.get_run_by_id(run_id)
    assert run is not None
    assert run.status is dg.DagsterRunStatus.CANCELING


@dg.job
def _nothing() -> None:
    """Do nothing."""


@pytest.mark.slow
def test_every_file_is_stored_once_though_a_worker_is_killed_amid_forty_accounts(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    with (
        running_store() as address,
        redis() as broker,
        new_database(pipeline.database.engine.url) as url,
        psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as database,
    ):
        bucket = Bucket(address, "files")
        fill(bucket)
        environment = {
            **{name: its for name, its in os.environ.items() if not name.startswith("CSV_PIPE")},
            "CSV_PIPELINE_DATABASE_URL": url,
            "CSV_PIPELINE_HOME": str(tmp_path / "data"),
            "CSV_PIPELINE_LANDING": "s3://files/in/landing",
            "DAGSTER_HOME": str(tmp_path),
            "DAGSTER_CELERY_BROKER": broker,
            "PYTHONPATH": f"{ROOT}:{DEPLOY}",
        }
        shutil.copy(DEPLOY / "dagster.yaml", tmp_path)
        with running(tmp_path, environment) as workers:
            killed = the_first_amid_an_import(database, workers)
            os.killpg(killed, signal.SIGKILL)
            wait_for(lambda: settled(database) == len(ACCOUNTS) * FILES, 600)
        assert rows_of(database) == dict.fromkeys(ACCOUNTS, FILES * ROWS)
        ledger = read(database, "SELECT status, deaths FROM csv_pipeline.arrival")
        imports = read(database, "SELECT arrival_id, inserted FROM csv_pipeline.import")
        runs = read(
            database, "SELECT status FROM dagster.runs WHERE pipeline_name = 'import_files'"
        )
    assert {row["status"] for row in ledger} == {"imported"}
    assert sorted(row["inserted"] for row in imports) == [ROWS] * len(ACCOUNTS) * FILES
    assert len({row["arrival_id"] for row in imports}) == len(imports)
    assert "FAILURE" in {row["status"] for row in runs}  # the one that was killed


def fill(bucket: Bucket) -> None:
    for account in ACCOUNTS:
        for file in range(FILES):
            rows = [f"C{file}-{row},Ann {row}" for row in range(ROWS)]
            bucket.put(
                f"in/landing/{account}/customers/{file}.csv",
                "\n".join(["Customer ID,Name", *rows, ""]),
            )


@contextmanager
def redis() -> Iterator[str]:
    """Start Debian's server with a password, and give its address."""
    program = shutil.which("redis-server")
    assert program, "redis-server was needed; found none: apt-get install redis-server"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--bind", "127.0.0.1", "--requirepass", SECRET, "--save", "", "--appendonly", "no"]
    command = [program, "--port", str(port), *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:  # noqa: S603
        try:
            wait_for(lambda: listens(port), 20)
            yield f"redis://:{SECRET}@127.0.0.1:{port}/0"
        finally:
            server.terminate()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(folder: Path, environment: dict[str, str]) -> Iterator[list[int]]:
    """Run the daemon and two workers of two processes each; give the workers' process ids."""
    worker = [str(BIN / "celery"), "-A", "dagster_celery.app", "worker", "-Q", "dagster"]
    commands = [[*worker, "-c", "2", "-n", f"{name}@%h"] for name in ("one", "two")]
    commands.append(
        [sys.executable, "-m", "csv_pipeline.defs.daemon", "run", "-m", "csv_pipeline.definitions"]
    )
    with ExitStack() as stack:
        pids = []
        for number, command in enumerate(commands):
            log = stack.enter_context((folder / f"{number}.log").open("w"))
            process = stack.enter_context(
                subprocess.Popen(  # noqa: S603
                    command, env=environment, cwd=folder, stdout=log, stderr=log,
                    start_new_session=True,
                )
            )  # fmt: skip
            stack.callback(end, process)
            pids.append(process.pid)
        yield pids[:2]


def end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def the_first_amid_an_import(database: Any, workers: list[int]) -> int:
    """Wait until a process of a worker has claimed a file, and return the worker's process id."""
    query = "SELECT worker FROM csv_pipeline.arrival WHERE status = 'claimed' AND worker <> ''"
    deadline = time.monotonic() + 300  # imports of Python on a busy machine take their time
    while time.monotonic() < deadline:
        for row in read(database, query):
            parent = parent_of(int(row["worker"].rsplit("/", 2)[1]))
            if parent in workers and settled(database) > 5:
                return parent
        time.sleep(0.02)
    raise AssertionError("no worker ever claimed a file")


def parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except FileNotFoundError:
        return 0


def settled(database: Any) -> int:
    counted = "SELECT count(*) AS n FROM csv_pipeline.arrival WHERE status = 'imported'"
    rows = read(database, counted)
    return int(rows[0]["n"]) if rows else 0


def rows_of(database: Any) -> dict[str, int]:
    counted = "SELECT account, count(*) AS n FROM data.customers GROUP BY account"
    return {row["account"]: row["n"] for row in read(database, counted)}


def read(database: Any, query: str) -> list[dict[str, Any]]:
    """Return rows; none as long as the tables are not made yet."""
    try:
        with database.cursor(row_factory=dict_row) as cursor:
            return list(cursor.execute(query))
    except psycopg.errors.UndefinedTable:
        return []


def wait_for(done: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.2)
