"""What waits until a moment goes on when the clock is set back, as after an hour of being wrong."""

import logging
import time

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import RemoteInstigatorOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    SensorInstigatorData,
)
from dagster._daemon import sensor

from csv_pipeline.defs import daemon
from csv_pipeline.defs.clock import ignore_ticks_of_the_future
from csv_pipeline.storage import arrivals, silent_stores
from csv_pipeline_tests.conftest import Desk
from csv_pipeline_tests.test_arrive import drop


class Every:
    """A sensor of which only the interval is asked."""

    min_interval_seconds = 30


@pytest.mark.parametrize(("ago", "waits"), [(5, True), (40, False), (-3_600, False)])
def test_a_sensor_whose_last_tick_is_of_the_future_ticks(
    monkeypatch: pytest.MonkeyPatch, ago: float, waits: bool
) -> None:
    monkeypatch.setattr(sensor, "get_elapsed", sensor.get_elapsed)
    ignore_ticks_of_the_future()
    state = InstigatorState(
        origin=tuple.__new__(RemoteInstigatorOrigin, (None, "any")),  # type: ignore[type-var]
        instigator_type=InstigatorType.SENSOR,
        status=InstigatorStatus.RUNNING,
        instigator_data=SensorInstigatorData(last_tick_timestamp=time.time() - ago),
    )
    assert sensor.is_under_min_interval(state, Every()) is waits  # type: ignore[arg-type]


def test_our_daemon_asks_for_that(monkeypatch: pytest.MonkeyPatch) -> None:
    def end() -> None:
        raise KeyboardInterrupt

    dagsters = sensor.get_elapsed
    monkeypatch.setattr(sensor, "get_elapsed", dagsters)
    monkeypatch.setattr(logging.getLogger("dagster"), "propagate", True)
    monkeypatch.setattr(daemon, "say_in_one_line", lambda: None)
    monkeypatch.setattr(daemon, "get_instance_for_cli", end)
    assert CliRunner().invoke(daemon.run, ["--empty-workspace"]).exit_code == 0
    assert sensor.get_elapsed is not dagsters


@pytest.mark.parametrize("column", ["requested_at", "not_before"])
@pytest.mark.parametrize(("ahead", "asked"), [("1 minute", 0), ("1 hour", 1)])
def test_a_file_is_asked_for_that_was_to_wait_until_a_moment_of_the_future(
    desk: Desk, ahead: str, asked: int, column: str
) -> None:
    drop(desk.pipeline.settings.landing_folder, f"{desk.account}/people/a.csv")
    desk.pipeline.scan(seconds=10)
    its = sa.text(
        f"UPDATE csv_pipeline.arrival SET {column} = now() + CAST(:ahead AS interval) "  # noqa: S608
        "WHERE account = :account"
    )
    with desk.pipeline.database.begin() as connection:
        connection.execute(its, {"account": desk.account, "ahead": ahead})
        lanes = arrivals.backlog(connection, unasked_seconds=30)
        assert sum(lane.account == desk.account for lane in lanes) == asked


def test_a_store_is_asked_again_that_was_to_be_asked_in_the_future(desk: Desk) -> None:
    its = sa.text(
        "UPDATE csv_pipeline.silent_store SET next_attempt_at = next_attempt_at + interval '1 hour'"
    )
    with desk.pipeline.database.begin() as connection:
        silent_stores.note(connection, "s3://ahead", "no answer", listing=False)
        assert "s3://ahead" not in [one.store for one in silent_stores.take(connection)]
        connection.execute(its)
        before = {one.store: one.failures for one in silent_stores.find(connection)}
        silent_stores.note(connection, "s3://ahead", "no answer", listing=False)
        after = {one.store: one.failures for one in silent_stores.find(connection)}
        assert after["s3://ahead"] == before["s3://ahead"] + 1  # it was time to ask
        connection.execute(its)
        assert "s3://ahead" in [one.store for one in silent_stores.take(connection)]
        silent_stores.answered(connection, ["s3://ahead"])
