"""Have the sensor look at files as soon as they are complete, and start the runs it asks for.

The watcher decides nothing: what it hears it tells the sensor `landing`, in its code location and
as it is loaded now, and does with the answer what Dagster's sensor daemon does every five seconds.
What it misses, the next tick finds. A sensor that somebody stopped is not asked.
"""

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.remote_representation.code_location import CodeLocation
from dagster._core.remote_representation.external import RemoteRepository, RemoteSensor
from dagster._core.utils import make_new_run_id
from dagster._core.workspace.context import IWorkspaceProcessContext
from dagster._daemon.daemon import DaemonIterator, DagsterDaemon, SpanMarker
from dagster._daemon.sensor import _submit_run_request
from dagster._utils.error import serializable_error_info_from_exc_info

from csv_pipeline.defs.sensors import MORE, heard, landing
from csv_pipeline.engine.import_requests import JOB
from csv_pipeline.files.landing import is_ignored
from csv_pipeline.files.stores import store_of
from csv_pipeline.files.watching import Waits, Watch
from csv_pipeline.location import Location
from csv_pipeline.storage.dagster_records import WATCHER

Workspace = IWorkspaceProcessContext[Any]

_LOOK_SECONDS = 0.05
_AGAIN_SECONDS = 0.5
_REOPEN_SECONDS = 10.0


class Watcher(DagsterDaemon[Workspace]):
    """Watch those landing areas whose stores tell what happens there."""

    def __init__(self, areas: Sequence[Location], waits: Waits, asked: threading.Event) -> None:
        self._areas, self._waits, self._asked = areas, waits, asked
        super().__init__()  # type: ignore[no-untyped-call]

    @classmethod
    def daemon_type(cls) -> str:
        """Return what Dagster knows it by."""
        return WATCHER

    def core_loop(
        self, workspace_process_context: Workspace, shutdown_event: threading.Event
    ) -> DaemonIterator:
        """Tell the sensor of files until told to end."""
        watches, more = {area: self._watch(area) for area in self._areas}, False
        ask_at, open_at = 0.0, dict.fromkeys(self._areas, 0.0)
        try:
            while not shutdown_event.is_set():
                now = time.monotonic()
                for area, watch in watches.items():
                    if watch is not None and not watch.is_alive() and now >= open_at[area]:
                        watch.close()
                        watches[area], open_at[area] = self._watch(area), now + _REOPEN_SECONDS
                complete = [path for one in watches.values() if one for path in one.complete()]
                if complete or (more and now >= ask_at):
                    yield SpanMarker.START_SPAN
                    try:
                        more = self._ask(workspace_process_context, complete, shutdown_event)
                    except DagsterUserCodeUnreachableError:
                        self._logger.warning("the code server is away; files wait for the sensor")
                        more = False
                    except Exception:  # Dagster keeps it; the next tick finds them
                        error = serializable_error_info_from_exc_info(sys.exc_info())
                        self._logger.exception("files wait for the sensor")
                        yield error
                        more = False
                    ask_at = time.monotonic() + _AGAIN_SECONDS
                    yield SpanMarker.END_SPAN
                shutdown_event.wait(_LOOK_SECONDS)
                yield None
        finally:
            for watch in watches.values():
                if watch is not None:
                    watch.close()

    def _watch(self, area: Location) -> Watch | None:
        store = store_of(area)
        with suppress(OSError):  # the sensor says so
            store.prepare(area)
        return store.watch(area, self._waits, is_ignored)

    def _ask(
        self, workspace: Workspace, complete: Sequence[Path], shutdown: threading.Event
    ) -> bool:
        """Start the runs that the sensor asks for; return whether it will ask for more."""
        instance, more = workspace.instance, False
        for location, repository, sensor in _sensors(workspace):
            state = instance.get_instigator_state(sensor.get_remote_origin_id(), sensor.selector_id)
            if not sensor.get_current_instigator_state(state).is_running:
                continue
            told = location.get_sensor_execution_data(
                instance, repository.handle, sensor.name, None, None, heard(complete), None, None
            )
            for added in told.dynamic_partitions_requests or ():
                instance.add_dynamic_partitions(
                    added.partitions_def_name, list(added.partition_keys)
                )
            for request in told.run_requests or ():
                if shutdown.is_set():
                    return False
                done = _submit_run_request(
                    make_new_run_id(), request, workspace, sensor, {}, self._logger, None
                )
                if done.error_info is not None:
                    self._logger.error("a run was not queued: %s", done.error_info)
                self._asked.set()
            more |= told.cursor == MORE
        return more


def _sensors(workspace: Workspace) -> Iterator[tuple[CodeLocation, RemoteRepository, RemoteSensor]]:
    """Give the sensor that looks at the landing area, in whatever code location it is."""
    request = workspace.create_request_context()
    for location in request.code_locations:
        for repository in location.get_repositories().values():
            if repository.has_sensor(landing.name):
                sensor = repository.get_sensor(landing.name)
                if JOB in {target.job_name for target in sensor.get_targets()}:
                    yield location, repository, sensor
