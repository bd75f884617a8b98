"""The whole of it: `dagster dev`, `dg dev`, no configuration, and a file that nobody clicks on."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
CUSTOMERS = "Customer ID,Name\nC1,Ann\nC2,Bob\n"
LONG_SECONDS = 300  # how soon depends on what else the machine does
QUERY = """{ runsOrError { ... on Runs { results {
    status
    tags { key value }
    assetMaterializations {
      assetKey { path } metadataEntries { label ... on IntMetadataEntry { intValue } }
    }
} } } }"""


class Ui:
    """Dagster's web server, as a browser talks to it."""

    def __init__(self, port: int) -> None:
        self.url = f"http://localhost:{port}"

    def runs(self) -> list[dict[str, Any]]:
        body = json.dumps({"query": QUERY}).encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(f"{self.url}/graphql", body, headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
            runs: list[dict[str, Any]] = json.load(answer)["data"]["runsOrError"]["results"]
        return runs

    def is_up(self) -> bool:
        try:
            self.runs()
        except (OSError, HTTPException, KeyError, ValueError):  # not, or not all of it is
            return False
        return True


@pytest.fixture
def home() -> Iterator[Path]:
    """A home outside of pytest's folder, for the reason that conftest's `pipeline` gives."""
    with tempfile.TemporaryDirectory(prefix="csv-pipeline-", ignore_cleanup_errors=True) as home:
        yield Path(home)


@pytest.fixture(params=["dagster", "dg"])
def ui(request: pytest.FixtureRequest, home: Path) -> Iterator[Ui]:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    ours = ("CSV_PIPELINE_", "DAGSTER_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    environment |= {"CSV_PIPELINE_HOME": str(home)}
    program = Path(sys.executable).parent / request.param
    command = [str(program), "dev", "--port", str(port)]
    log = home / "dev.log"
    with log.open("w") as output:
        dev = subprocess.Popen(  # noqa: S603
            command, cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True
        )
    try:
        ui = Ui(port)
        wait_for(ui.is_up, LONG_SECONDS)
        yield ui
    finally:
        os.killpg(dev.pid, signal.SIGINT)  # as Ctrl-C does: to dev and the servers it started
        dev.wait(timeout=LONG_SECONDS)


def wait_for(done: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["check", "list"])
def test_dg_reads_the_definitions_of_this_repository(home: Path, command: str) -> None:
    environment = os.environ | {"CSV_PIPELINE_HOME": str(home), "DAGSTER_HOME": str(home)}
    (home / "dagster.yaml").touch()  # dg warns of a home without one
    dg = str(Path(sys.executable).parent / "dg")
    done = subprocess.run(  # noqa: S603
        [dg, command, "defs"], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    told = "All definitions loaded successfully." if command == "check" else "reprocess_accounts"
    assert told in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_file_dropped_beside_dagster_dev_is_imported_without_a_click(ui: Ui, home: Path) -> None:
    wait_for((home / "landing").is_dir, LONG_SECONDS)
    folder = home / "landing" / "acme" / "customers"
    folder.mkdir(parents=True)
    (folder / "list.csv").write_text(CUSTOMERS)
    wait_for(lambda: any(run["status"] == "SUCCESS" for run in ui.runs()), LONG_SECONDS)
    (run,) = ui.runs()
    assert {"key": "csv_pipeline/lane", "value": "acme/customers"} in run["tags"]
    table = next(m for m in run["assetMaterializations"] if m["assetKey"]["path"] == ["customers"])
    numbers = {entry["label"]: entry.get("intValue") for entry in table["metadataEntries"]}
    assert (numbers["read"], numbers["inserted"], numbers["dagster/partition_row_count"]) == (
        2,
        2,
        2,
    )
