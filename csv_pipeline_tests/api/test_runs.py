"""What the API asks Dagster for is what the sensor would ask for, and Dagster does all of it."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from csv_pipeline.api.app import make_app
from csv_pipeline.api.runs import DagsterServer, Runs
from csv_pipeline.api.service import Service
from csv_pipeline.defs.lanes import request_runs, waiting_lanes
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline_tests.api.conftest import DagsterHere
from csv_pipeline_tests.conftest import Desk
from csv_pipeline_tests.test_cli import free_port
from csv_pipeline_tests.test_ebay_totals import HUB

Api = Callable[..., TestClient]
NO_DAEMON = "run_coordinator: {module: dagster.core.run_coordinator, class: DefaultRunCoordinator}"
RUN = """query Run($id: ID!) { runOrError(runId: $id) { ... on Run {
  status assetSelection { path } tags { key value }
  assetMaterializations { assetKey { path } }
} } }"""


@pytest.fixture(scope="module")
def dagster(shared_pipeline: Pipeline) -> Iterator[str]:
    """Dagster's web server over the session's database, without the daemon that runs sensors."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    with tempfile.TemporaryDirectory(prefix="csv-pipeline-", ignore_cleanup_errors=True) as home:
        Path(home, "dagster.yaml").write_text(NO_DAEMON)
        database = shared_pipeline.database.engine.url
        environment = os.environ | {
            "DAGSTER_HOME": home,
            "CSV_PIPELINE_HOME": str(shared_pipeline.settings.home),
            "CSV_PIPELINE_DATABASE_URL": database.render_as_string(hide_password=False),
        }
        where = ["-m", "csv_pipeline.definitions", "--host", "127.0.0.1", "--port", str(port)]
        command = [sys.executable, "-m", "dagster_webserver", *where]
        with Path(home, "log").open("wb") as log:
            server = subprocess.Popen(  # noqa: S603  # our own command
                command, cwd=home, env=environment, stdout=log, stderr=log
            )
        try:
            _wait(lambda: _answers(url), 120)
            yield url
        finally:
            server.terminate()
            server.wait(timeout=30)


def _answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/server_info", timeout=5).is_success
    except httpx2.HTTPError:
        return False


def _wait(done: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def run_of(url: str, run_id: str) -> dict[str, Any]:
    answer = httpx2.post(
        f"{url}/graphql", json={"query": RUN, "variables": {"id": run_id}}, timeout=20
    )
    found: dict[str, Any] = answer.json()["data"]["runOrError"]
    return found


def send(api: TestClient, account: str) -> str:
    answer = api.put(f"/api/v1/uploads/{account}/hub.csv?feed=ebay_orders", content=HUB)
    run_id = answer.raise_for_status().json()["run_id"]
    assert run_id
    return str(run_id)


@pytest.mark.slow
def test_the_first_file_of_an_account_is_imported_by_dagster_to_the_last_step(
    dagster: str, shared_pipeline: Pipeline, api_of: Api, desk: Desk
) -> None:
    runs = Runs(DagsterServer(dagster))
    with TestClient(
        make_app(Service(pipeline=shared_pipeline, runs=runs)),
        headers=dict(api_of(desk.account).headers),
    ) as api:
        for _ in range(2):  # the second finds the partition there, and a file brought before
            run_id = send(api, desk.account)
            _wait(lambda run_id=run_id: runs.is_over(run_id), 120)  # type: ignore[misc]
            run = run_of(dagster, run_id)
            assert run["status"] == "SUCCESS"
            made = {one["assetKey"]["path"][-1] for one in run["assetMaterializations"]}
            assert {"ebay_orders", "sales_by_day"} <= made
    assert len(desk.rows("sales_by_day", "day")) == 2


def test_what_is_derived_has_what_was_sent_once_its_run_is_over(desk: Desk, api_of: Api) -> None:
    send(api_of(desk.account), desk.account)
    assert [tuple(day) for day in desk.rows("sales_by_day", "day, items")] == [
        ("2026-05-18", 3),
        ("2026-05-19", 1),
    ]


def test_the_api_asks_for_the_same_run_as_the_sensor(
    desk: Desk, api_of: Api, shared_dagster: DagsterHere, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def launch(_: DagsterHere, *what: Any) -> str:
        asked.append(what)
        return "run"

    monkeypatch.setattr(DagsterHere, "launch", launch)
    send(api_of(desk.account), desk.account)
    ((job, config, tags, assets),) = asked
    (its,) = [
        one
        for one in request_runs(desk.pipeline, waiting_lanes(desk.pipeline, night=True))
        if one.partition_key == desk.account
    ]
    assert job == "import_files"
    assert its.run_config == config
    assert its.tags == {key: value for key, value in tags.items() if key != "dagster/partition"}
    assert [key.path[-1] for key in its.asset_selection or ()] == list(assets)
    assert desk.account in shared_dagster.instance.get_dynamic_partitions("accounts")
