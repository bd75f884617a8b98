"""The queue of runs: who goes first, and that nobody waits for ever."""

import threading
from collections.abc import Iterator
from types import SimpleNamespace

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.storage.tags import PRIORITY_TAG
from dagster._core.test_utils import create_run_for_test, instance_for_test

from csv_pipeline.defs import prompt_queue
from csv_pipeline.defs.prompt_queue import LEAD_SECONDS, PromptQueue

_ORIGIN = RemoteJobOrigin(
    RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("here"), "repository"), "job"
)


class Queue:
    """A queue of which one run at a time is started, and a clock that is set by hand."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance, self.seconds = instance, 0.0
        self._daemon = PromptQueue(threading.Event())

    def add(self, name: str, priority: int | None = None) -> None:
        tags = {"name": name} | ({} if priority is None else {PRIORITY_TAG: str(priority)})
        queued = dg.DagsterRunStatus.QUEUED
        create_run_for_test(self.instance, tags=tags, status=queued, remote_job_origin=_ORIGIN)

    def next(self) -> str:
        """Return the name of the run that is to start now."""
        config = self.instance.get_concurrency_config()
        (run,) = self._daemon._get_runs_to_dequeue(self.instance, config, None)  # noqa: SLF001
        return run.tags["name"]

    def start(self) -> str:
        """Let it start, and be over."""
        name = self.next()
        (run,) = self.instance.get_runs(dg.RunsFilter(tags={"name": name}))
        self.instance.delete_run(run.run_id)
        return name


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Iterator[Queue]:
    one = {"concurrency": {"runs": {"max_concurrent_runs": 1}}}
    with instance_for_test(overrides=one) as instance:
        queue = Queue(instance)
        clock = SimpleNamespace(monotonic=lambda: queue.seconds)
        monkeypatch.setattr(prompt_queue, "time", clock)
        yield queue


def test_runs_start_by_priority_and_then_in_the_order_in_which_they_were_asked_for(
    queue: Queue,
) -> None:
    queue.add("behind", -1)
    queue.add("first")
    queue.add("second")
    queue.add("before", 1)
    assert [queue.start() for _ in range(4)] == ["before", "first", "second", "behind"]


def test_a_run_of_a_lower_priority_starts_though_others_never_end(queue: Queue) -> None:
    queue.add("behind", -2)
    queue.add("0")
    started: list[str] = []
    while "behind" not in started and len(started) < 8:
        started.append(queue.start())
        queue.seconds += 30.0
        queue.add(str(len(started)))
    waited = 30.0 * (len(started) - 1)
    assert 2 * LEAD_SECONDS <= waited <= 2 * LEAD_SECONDS + 60.0
