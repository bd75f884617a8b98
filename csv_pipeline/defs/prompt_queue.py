"""Dagster's queue of runs, looked at as soon as a run is asked for, and four times a second."""

import sys
import threading
from typing import Any

from dagster._core.workspace.context import IWorkspaceProcessContext
from dagster._daemon.daemon import DaemonIterator, SpanMarker
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from dagster._utils.error import serializable_error_info_from_exc_info

Workspace = IWorkspaceProcessContext[Any]

_LOOK_SECONDS = 0.25


class PromptQueue(QueuedRunCoordinatorDaemon):
    """Start queued runs; whoever asks for one here sets `asked`."""

    def __init__(self, asked: threading.Event) -> None:
        super().__init__(interval_seconds=_LOOK_SECONDS)
        self._asked = asked

    def core_loop(
        self, workspace_process_context: Workspace, shutdown_event: threading.Event
    ) -> DaemonIterator:
        """Look at the queue until told to end; Dagster's own loop waits a second or more."""
        while not shutdown_event.is_set():
            yield SpanMarker.START_SPAN
            try:
                yield from self.run_iteration(workspace_process_context)
            except Exception:  # Dagster keeps it and shows it
                error = serializable_error_info_from_exc_info(sys.exc_info())
                self._logger.exception("runs not started")
                yield error
            yield SpanMarker.END_SPAN
            self._asked.wait(_LOOK_SECONDS)
            self._asked.clear()
            yield None
