"""What `doctor` says of Dagster's daemon, sensor and queue."""

import re
import subprocess
import time
from collections.abc import Iterator

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.remote_origin import (
    GrpcServerCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    SensorInstigatorData,
)
from dagster._daemon.types import DaemonHeartbeat

from csv_pipeline.cli.dev import dagster_home
from csv_pipeline.engine.health import Check, Verdict, dagster
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.settings import settings
from csv_pipeline_tests.test_defs_instance import given_server, instance

__all__ = ["given_server"]


def heard(opened: dg.DagsterInstance, *daemons: str, ago: float = 0) -> None:
    for name in daemons:
        opened.add_daemon_heartbeat(DaemonHeartbeat(time.time() - ago, name, "id"))


def ticked(opened: dg.DagsterInstance, ago: float, *, stopped: bool = False) -> None:
    repository = RemoteRepositoryOrigin(
        GrpcServerCodeLocationOrigin(location_name="x", host="h", port=1), "__repository__"
    )
    state = InstigatorState(
        RemoteInstigatorOrigin(repository, "landing"),
        InstigatorType.SENSOR,
        InstigatorStatus.STOPPED if stopped else InstigatorStatus.RUNNING,
        SensorInstigatorData(last_tick_timestamp=time.time() - ago, min_interval=5),
    )
    if opened.get_instigator_state(state.instigator_origin_id, state.selector_id):
        opened.update_instigator_state(state)
    else:
        opened.add_instigator_state(state)


@pytest.fixture
def opened(given_server: None, uncrowded_pipeline: Pipeline) -> Iterator[dg.DagsterInstance]:
    """Dagster as it is when all of it runs, in a database that no other test uses for it."""
    with pytest.MonkeyPatch.context() as patch:
        url = uncrowded_pipeline.database.engine.url.render_as_string(hide_password=False)
        patch.setenv("CSV_PIPELINE_DATABASE_URL", url)
        settings.cache_clear()
        with instance() as opened:
            heard(opened, *DAEMONS, "CSV_PIPELINE_WATCHER")
            ticked(opened, ago=1)
            yield opened


DAEMONS = ("SENSOR", "SCHEDULER", "QUEUED_RUN_COORDINATOR")


def of_dagster(pipeline: Pipeline) -> dict[str, Check]:
    with pipeline.database.begin() as connection:
        return {check.name: check for check in dagster.checks(connection, pipeline.settings)}


def test_dagster_that_runs_passes(opened: dg.DagsterInstance, uncrowded_pipeline: Pipeline) -> None:
    found = of_dagster(uncrowded_pipeline)
    assert {name: check.verdict for name, check in found.items()} == dict.fromkeys(
        ("daemon", "watcher", "sensor", "queue"), Verdict.OK
    )


def test_a_daemon_that_fell_silent_fails(
    opened: dg.DagsterInstance, uncrowded_pipeline: Pipeline
) -> None:
    heard(opened, "SENSOR", ago=600)
    check = of_dagster(uncrowded_pipeline)["daemon"]
    assert (check.verdict, check.found) == (Verdict.FAIL, "SENSOR heard of 600 s ago")
    assert check.repair.startswith("csv-pipeline dev")


@pytest.mark.slow
def test_what_starts_the_sensor_and_the_daemon_works_as_it_is_told(
    opened: dg.DagsterInstance, uncrowded_pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CSV_PIPELINE_HOME", str(uncrowded_pipeline.settings.home))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.chdir(dagster_home(uncrowded_pipeline.settings))
    ticked(opened, ago=1, stopped=True)
    heard(opened, *DAEMONS, ago=600)
    checks = of_dagster(uncrowded_pipeline)
    start, run = checks["sensor"].repair, checks["daemon"].repair.split(" alone: ")[1]
    done = subprocess.run(["sh", "-c", start], capture_output=True, text=True, check=False)  # noqa: S603, S607
    assert "Started sensor landing" in done.stdout, done.stderr
    with subprocess.Popen(["sh", "-c", f"exec env {run}"]) as its:  # noqa: S603, S607
        deadline = time.monotonic() + 60
        while of_dagster(uncrowded_pipeline)["daemon"].verdict is not Verdict.OK:
            assert its.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
        its.terminate()


def test_a_heartbeat_or_tick_of_the_future_is_a_warning(
    opened: dg.DagsterInstance, uncrowded_pipeline: Pipeline
) -> None:
    heard(opened, "SENSOR", "CSV_PIPELINE_WATCHER", ago=-3_600)
    ticked(opened, ago=-3_600)
    found = of_dagster(uncrowded_pipeline)
    for name in ("daemon", "watcher", "sensor"):
        assert found[name].verdict is Verdict.WARN
        assert re.search(r"3,[56]\d\d s ahead of the database's clock", found[name].found)
        assert "look again" in found[name].repair


def test_a_watcher_that_fell_silent_is_a_warning(
    opened: dg.DagsterInstance, uncrowded_pipeline: Pipeline
) -> None:
    heard(opened, "CSV_PIPELINE_WATCHER", ago=600)
    assert of_dagster(uncrowded_pipeline)["watcher"].verdict is Verdict.WARN


@pytest.mark.parametrize(
    ("ago", "stopped", "found"),
    [(600, False, "the last one 600 s ago"), (1, True, "it is stopped, or never ran")],
)
def test_a_sensor_that_does_not_look_fails(
    opened: dg.DagsterInstance, uncrowded_pipeline: Pipeline, ago: float, stopped: bool, found: str
) -> None:
    ticked(opened, ago, stopped=stopped)
    check = of_dagster(uncrowded_pipeline)["sensor"]
    assert (check.verdict, check.found) == (Verdict.FAIL, found)


def test_a_run_that_is_queued_for_long_is_a_warning(
    opened: dg.DagsterInstance, uncrowded_pipeline: Pipeline
) -> None:
    run = opened.create_run_for_job(_nothing)
    long_ago = (
        "UPDATE dagster.runs SET status = 'QUEUED', "
        "create_timestamp = now() AT TIME ZONE 'UTC' - interval '1h' WHERE run_id = :run_id"
    )
    with uncrowded_pipeline.database.begin() as connection:
        connection.execute(sa.text(long_ago), {"run_id": run.run_id})
    check = of_dagster(uncrowded_pipeline)["queue"]
    opened.delete_run(run.run_id)
    assert (check.verdict, check.found) == (Verdict.WARN, "1 queued, the oldest for 3,600 s")


@dg.job
def _nothing() -> None:
    """Do nothing."""
