"""Dagster's queue of runs, looked at as soon as a run is asked for, and four times a second.

Dagster starts the run of the highest priority, and while new ones of that priority keep coming, as
they do when there is more to do than can be done, never one of a lower. Here a run goes behind
those of a higher priority only if they are asked for soon after it: within `LEAD_SECONDS` for each
step of priority.
"""

import sys
import threading
import time
from collections.abc import Iterable
from typing import Any

from dagster import DagsterRun
from dagster._core.storage.tags import PRIORITY_TAG
from dagster._core.workspace.context import IWorkspaceProcessContext
from dagster._daemon.daemon import DaemonIterator, SpanMarker
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from dagster._daemon.utils import DaemonErrorCapture

Workspace = IWorkspaceProcessContext[Any]

_LOOK_SECONDS = 0.25
LEAD_SECONDS = 60.0
"""How much later a run may be asked for and still go first, if its priority is higher by one."""


class PromptQueue(QueuedRunCoordinatorDaemon):
    """Start queued runs; whoever asks for one here sets `asked`."""

    def __init__(self, asked: threading.Event) -> None:
        super().__init__(interval_seconds=_LOOK_SECONDS)
        self._asked = asked
        self._seen: dict[str, float] = {}
        self._queued_since: dict[str, float] = {}

    def core_loop(
        self, workspace_process_context: Workspace, shutdown_event: threading.Event
    ) -> DaemonIterator:
        """Look at the queue until told to end; Dagster's own loop waits a second or more."""
        while not shutdown_event.is_set():
            yield SpanMarker.START_SPAN
            try:
                # Since when a code server is away is told by a clock that is never stepped.
                now = time.monotonic()
                yield from self.run_iteration(workspace_process_context, fixed_iteration_time=now)
            except Exception:  # noqa: BLE001  # Dagster keeps it and shows it
                yield DaemonErrorCapture.process_exception(
                    sys.exc_info(), self._logger, "runs not started"
                )
            yield SpanMarker.END_SPAN
            self._asked.wait(_LOOK_SECONDS)
            self._asked.clear()
            yield None

    def _get_runs_to_dequeue(self, *args: Any, **named: Any) -> list[DagsterRun]:
        """Return the runs to start, and forget since when those were queued that are no more."""
        self._seen = {}
        found = super()._get_runs_to_dequeue(*args, **named)
        if self._seen:  # none is looked at while as many run as may
            self._queued_since = self._seen
        return found

    def _priority_sort(self, runs: Iterable[DagsterRun]) -> list[DagsterRun]:
        """Return runs in the order in which they are to start; of equals the first stays first."""
        now = time.monotonic()

        def due(run: DagsterRun) -> float:
            since = self._queued_since.setdefault(run.run_id, now)
            self._seen[run.run_id] = since
            return since - LEAD_SECONDS * _priority(run)

        return sorted(runs, key=due)


def _priority(run: DagsterRun) -> int:
    """Return the priority that a run's tag tells; 0 if none does."""
    try:
        return int(run.tags.get(PRIORITY_TAG, "0"))
    except ValueError:
        return 0
