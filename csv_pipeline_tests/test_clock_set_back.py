"""What waits until a moment goes on when the clock is set back, as after an hour of being wrong."""

import logging
import threading
import time
from itertools import count
from typing import Any

import dagster as dg
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
from dagster._daemon import daemon as dagsters
from dagster._daemon import sensor

from csv_pipeline.defs import clock, daemon
from csv_pipeline.defs.prompt_queue import PromptQueue
from csv_pipeline.defs.watcher import Watcher
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
    monkeypatch.setattr(dagsters, "time", time)
    clock.go_on_when_it_is_set_back()
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

    before = sensor.get_elapsed
    monkeypatch.setattr(sensor, "get_elapsed", before)
    monkeypatch.setattr(dagsters, "time", time)
    monkeypatch.setattr(logging.getLogger("dagster"), "propagate", True)
    monkeypatch.setattr(daemon, "say_in_one_line", lambda: None)
    monkeypatch.setattr(daemon, "get_instance_for_cli", end)
    assert CliRunner().invoke(daemon.run, ["--empty-workspace"]).exit_code == 0
    assert sensor.get_elapsed is not before


class Often(dagsters.IntervalDaemon[Any]):
    """One that looks ten times a second, and counts how often it did."""

    looks = 0

    @classmethod
    def daemon_type(cls) -> str:
        return "OFTEN"

    def run_iteration(self, workspace_process_context: Any) -> dagsters.DaemonIterator:
        self.looks += 1
        yield None


def test_a_daemon_looks_again_when_the_clock_is_set_back_between_two_looks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sensor, "get_elapsed", sensor.get_elapsed)
    monkeypatch.setattr(dagsters, "time", time)
    clock.go_on_when_it_is_set_back()
    often, end = Often(interval_seconds=0), threading.Event()
    often.interval_seconds = 0.1
    right, until = time.time, time.monotonic() + 3
    steps = count()
    monkeypatch.setattr(time, "time", lambda: right() - 60 * next(steps))
    for _ in often.core_loop(None, end):
        if often.looks == 3 or time.monotonic() > until:
            break
    assert often.looks == 3


def test_no_loop_of_dagster_waits_for_longer_than_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_LONGEST_WAIT_SECONDS", 0.01)
    ended, end = list[bool](), threading.Event()

    class Waiting(Often):
        def core_loop(
            self, workspace_process_context: Any, shutdown_event: threading.Event
        ) -> dagsters.DaemonIterator:
            ended.append(shutdown_event.wait(3_605))
            yield None

    one = clock.without_long_waits(Waiting(interval_seconds=1))
    began = time.monotonic()
    list(one.core_loop(None, end))
    end.set()
    list(one.core_loop(None, end))
    assert ended == [False, True]
    assert time.monotonic() - began < 5


def test_our_daemon_has_none_that_waits_longer() -> None:
    with dg.instance_for_test() as instance:
        known = list(daemon.daemons(instance))
    ours = (Watcher, PromptQueue)
    assert len(known) > len(ours)
    assert all("core_loop" in vars(one) for one in known if not isinstance(one, ours))


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
