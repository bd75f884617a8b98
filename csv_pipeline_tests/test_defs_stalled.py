"""Runs whose worker died are ended, and no others."""

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from csv_pipeline.defs.assembly import assemble
from csv_pipeline.defs.growth import retention
from csv_pipeline.defs.reprocessing import reprocess_accounts
from csv_pipeline.defs.resource import Engine
from csv_pipeline.defs.stalled import stalled_runs
from csv_pipeline.defs.uploads import check_upload
from csv_pipeline.engine import uploads
from csv_pipeline.engine.import_requests import ACCOUNTS, JOB
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.storage import tables
from csv_pipeline.storage import uploads as upload_table
from csv_pipeline.storage.dagster_records import WORKER
from csv_pipeline.storage.worker import is_zombie, worker_named

Status = dg.DagsterRunStatus

_WORKER = """
import sys
from csv_pipeline.engine.pipeline import open_pipeline
from csv_pipeline.settings import Settings
settings = Settings(home=sys.argv[1], lease_seconds=float(sys.argv[3]), database_url=sys.argv[4])
pipeline = open_pipeline(settings, [])
pipeline.leases.work_on(sys.argv[2], whole=True)
print("signed on", flush=True)
sys.stdin.read()
"""


class Stage:
    """An instance of Dagster with runs on it, and the sensor that looks at them."""

    def __init__(self, pipeline: Pipeline, instance: dg.DagsterInstance) -> None:
        self.pipeline, self.instance = pipeline, instance
        self.workers: list[subprocess.Popen[str]] = []
        self.cursor: str | None = None

    def run(self, status: Status, job: dg.JobDefinition | None = None, **how: Any) -> str:
        """Make a run of a status and return its id."""
        engine = Engine(lambda: self.pipeline)
        ours = assemble([self.pipeline.feed("people")], engine).resolve_job_def(JOB)
        run_id = self.instance.create_run_for_job(job or ours, status=status, **how).run_id
        return str(run_id)

    def work_on(self, run_id: str, lease_seconds: float = 60) -> subprocess.Popen[str]:
        """Start a process that works on a run until it is killed."""
        home = str(self.pipeline.settings.home)
        url = self.pipeline.database.engine.url.render_as_string(hide_password=False)
        worker = subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", _WORKER, home, run_id, str(lease_seconds), url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.workers.append(worker)
        assert worker.stdout is not None
        assert worker.stdout.readline() == "signed on\n"
        return worker

    def let_be_elsewhere(self, run_id: str, *, lease_seconds: float) -> None:
        """Let a run's worker be on another host, its lease ending in so many seconds."""
        table = tables.worker
        expiry = sa.func.now() + timedelta(seconds=lease_seconds)
        with self.pipeline.database.begin() as connection:
            connection.execute(
                sa.insert(table).values(
                    run_id=run_id, worker="elsewhere/boot/ns/1/1", lease_expires_at=expiry
                )
            )

    def tick(self, **settings: float) -> None:
        changed = self.pipeline.settings.model_copy(update=settings)
        engine = Engine(lambda: replace(self.pipeline, settings=changed))
        told = stalled_runs(
            dg.build_sensor_context(
                instance=self.instance, resources={"engine": engine}, cursor=self.cursor
            )
        )
        assert isinstance(told, dg.SensorResult)
        self.cursor = told.cursor

    def status(self, run_id: str) -> Status:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run.status


@pytest.fixture
def stage(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr("csv_pipeline.defs.stalled._SLOWEST_START_SECONDS", 0.0)
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(ACCOUNTS, ["a"])
        stage = Stage(pipeline, instance)
        yield stage
        for worker in stage.workers:
            worker.kill()
            worker.communicate()


def test_the_run_of_a_killed_process_is_ended_while_its_lease_lasts(stage: Stage) -> None:
    run_id = stage.run(Status.STARTED)
    worker = stage.work_on(run_id, lease_seconds=3_600)
    stage.tick()
    assert stage.status(run_id) is Status.STARTED
    worker.kill()
    while not is_zombie(worker.pid):  # which is dead, too, though nobody has waited for it
        time.sleep(0.01)
    stage.tick()
    assert stage.status(run_id) is Status.FAILURE


@pytest.mark.parametrize("job", [reprocess_accounts, retention], ids=["reprocess", "retention"])
def test_a_job_of_the_night_is_ended_with_its_process(stage: Stage, job: dg.JobDefinition) -> None:
    run_id = stage.run(Status.STARTED, job)
    stage.let_be_elsewhere(run_id, lease_seconds=-11)
    stage.tick()
    assert stage.status(run_id) is Status.FAILURE


def test_a_forked_process_that_is_silent_for_long_and_lives_is_let_be(stage: Stage) -> None:
    forked = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    run_id = stage.run(Status.STARTED)
    stage.instance.add_run_tags(run_id, {WORKER: f"{run_id} {worker_named(forked.pid)}"})
    for _ in range(2):
        stage.tick(lease_seconds=0)
    assert stage.status(run_id) is Status.STARTED
    forked.kill()
    forked.communicate()


def test_the_run_of_a_living_process_goes_on_whatever_its_lease(stage: Stage) -> None:
    run_id = stage.run(Status.STARTED)
    stage.work_on(run_id, lease_seconds=3_600)
    with stage.pipeline.database.begin() as connection:
        past = sa.update(tables.worker).values(lease_expires_at=datetime(2026, 1, 1, tzinfo=UTC))
        connection.execute(past.where(tables.worker.c.run_id == run_id))
    stage.tick()
    assert stage.status(run_id) is Status.STARTED


def test_a_run_elsewhere_is_ended_by_its_lease(stage: Stage) -> None:
    kept, lost = stage.run(Status.STARTED), stage.run(Status.STARTED)
    stage.let_be_elsewhere(kept, lease_seconds=1)
    stage.let_be_elsewhere(lost, lease_seconds=-11)
    stage.tick()
    assert (stage.status(kept), stage.status(lost)) == (Status.STARTED, Status.FAILURE)


def test_a_run_that_was_to_be_canceled_is_canceled(stage: Stage) -> None:
    run_id = stage.run(Status.CANCELING)
    stage.let_be_elsewhere(run_id, lease_seconds=-11)
    stage.tick()
    assert stage.status(run_id) is Status.CANCELED


@pytest.mark.parametrize("status", [Status.NOT_STARTED, Status.STARTING, Status.STARTED])
def test_a_run_that_nobody_took_up_is_ended_after_a_lease(stage: Stage, status: Status) -> None:
    run_id = stage.run(status)
    stage.tick(lease_seconds=0)
    stage.tick(lease_seconds=60)
    assert stage.status(run_id) is status
    stage.tick(lease_seconds=0)
    assert stage.status(run_id) is Status.FAILURE


def test_a_run_that_was_killed_before_its_first_step_is_ended_and_no_retry_of_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("csv_pipeline.defs.stalled._SLOWEST_START_SECONDS", 120.0)
    forked = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    run_id = stage.run(Status.STARTING)
    tag = {WORKER: f"{run_id} {worker_named(forked.pid)}"}
    stage.instance.add_run_tags(run_id, tag)
    retry = stage.run(Status.STARTING, tags=tag)
    stage.tick()
    assert stage.status(run_id) is Status.STARTING
    forked.kill()
    forked.communicate()
    stage.tick()
    assert (stage.status(run_id), stage.status(retry)) == (Status.FAILURE, Status.STARTING)


def test_a_run_may_take_minutes_to_begin(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("csv_pipeline.defs.stalled._SLOWEST_START_SECONDS", 300.0)
    run_id = stage.run(Status.STARTING)
    stage.tick(lease_seconds=0)
    assert stage.status(run_id) is Status.STARTING


def test_a_clock_that_is_far_ahead_ends_no_run_that_begins(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("csv_pipeline.defs.stalled._SLOWEST_START_SECONDS", 120.0)
    run_id = stage.run(Status.STARTING)
    storage: Any = stage.instance.run_storage
    with storage.connect() as connection:
        connection.execute(sa.text("UPDATE runs SET update_timestamp = '2026-01-01 00:00:00'"))
    stage.tick()
    assert stage.status(run_id) is Status.STARTING


def test_a_run_of_other_peoples_assets_is_left_alone(stage: Stage) -> None:
    run_id = stage.run(Status.STARTED, _somebody_elses)
    stage.tick(lease_seconds=0)
    assert stage.status(run_id) is Status.STARTED


@dg.job
def _somebody_elses() -> None:
    """Do nothing."""


def test_a_check_whose_process_was_killed_has_failed_and_may_be_asked_for_again(
    stage: Stage, account: str
) -> None:
    pipeline = stage.pipeline
    upload = uploads.begin(pipeline, account, "a.csv", by="test", size_bytes=0, check_first=True)
    asked = uploads.to_be_checked(pipeline, upload.upload_id)
    config = {"ops": {"check": {"config": {"upload_id": asked.upload_id}}}}
    run_id = stage.run(Status.STARTED, check_upload, run_config=config)
    with pipeline.database.begin() as connection:
        upload_table.change(connection, asked.upload_id, run_id=run_id)
    worker = stage.work_on(run_id, lease_seconds=3_600)
    stage.tick()
    assert state_of(stage, asked.upload_id) == ("checking", None)
    worker.kill()
    while not is_zombie(worker.pid):
        time.sleep(0.01)
    stage.tick()
    said = "the process that checked it was ended; have it checked again"
    assert state_of(stage, asked.upload_id) == ("failed", said)
    assert uploads.to_be_checked(pipeline, asked.upload_id).state == "checking"
    stage.tick()  # the check that was asked for again is no part of the run that was ended
    assert state_of(stage, asked.upload_id) == ("checking", None)


def state_of(stage: Stage, upload_id: int) -> tuple[str, str | None]:
    with stage.pipeline.database.begin() as connection:
        found = upload_table.find(connection, upload_id)
    return found.state, found.problem
