"""The watcher asks the sensor for waiting files when that helps, and seldom while it does not."""

import time
from collections.abc import Callable, Iterator

import dagster as dg
import pytest

from csv_pipeline.defs import asking
from csv_pipeline.defs.asking import Asking, unfinished

Status = dg.DagsterRunStatus


@dg.job
def some_job() -> None:
    return


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setattr(asking, "_LOOK_SECONDS", 0.02)
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def due(watcher: Asking, instance: dg.DagsterInstance) -> bool:
    return watcher.is_time() and watcher.is_due(instance)


def soon(is_due: Callable[[], bool], seconds: float = 0.5) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if is_due():
            return True
        time.sleep(0.005)
    return False


def test_a_busy_lane_is_asked_about_when_its_run_ends_and_else_seldom(
    instance: dg.DagsterInstance,
) -> None:
    run = instance.create_run_for_job(some_job, status=Status.STARTED)
    watcher = Asking()
    watcher.asked(unfinished(instance), more=True, requested=False)
    assert not soon(lambda: due(watcher, instance))
    instance.report_run_failed(run)
    assert soon(lambda: due(watcher, instance))
    watcher.asked(unfinished(instance), more=True, requested=False)
    assert soon(lambda: due(watcher, instance), 5)


def test_where_the_last_answer_brought_runs_the_next_question_comes_at_once(
    instance: dg.DagsterInstance,
) -> None:
    watcher = Asking()
    watcher.asked(unfinished(instance), more=True, requested=True)
    assert soon(lambda: due(watcher, instance))


def test_nothing_is_asked_where_nothing_waits(instance: dg.DagsterInstance) -> None:
    watcher = Asking()
    assert not watcher.is_time()
    watcher.asked(unfinished(instance), more=False, requested=True)
    assert not soon(lambda: due(watcher, instance), 0.1)
