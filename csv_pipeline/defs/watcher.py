"""Have the sensor look at files as soon as they are complete, and start the runs it asks for.

The watcher decides nothing: what it hears it tells the sensor `landing`, in its code location and
as it is loaded now, and does with the answer what Dagster's sensor daemon does every five seconds.
What it missed while it did not run, or while nobody answered, it has the sensor look for first, so
that the files have their order. A sensor that somebody stopped is not asked.
"""

import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.remote_representation.code_location import CodeLocation
from dagster._core.remote_representation.external import RemoteRepository, RemoteSensor
from dagster._core.utils import make_new_run_id
from dagster._core.workspace.context import IWorkspaceProcessContext
from dagster._daemon.daemon import DaemonIterator, DagsterDaemon, SpanMarker
from dagster._daemon.sensor import _submit_run_request
from dagster._daemon.utils import DaemonErrorCapture

from csv_pipeline.defs.asking import Asking, unfinished
from csv_pipeline.defs.sensors import MORE, heard, landing
from csv_pipeline.engine.import_requests import JOB
from csv_pipeline.files.landing import is_ignored
from csv_pipeline.files.stores import store_of
from csv_pipeline.files.watching import Waits, Watch
from csv_pipeline.location import Location
from csv_pipeline.storage.dagster_records import WATCHER

Workspace = IWorkspaceProcessContext[Any]

_LOOK_SECONDS = 0.05
_REOPEN_SECONDS = 5.0


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
        watches, asking = {area: self._watch(area) for area in self._areas}, Asking()
        instance, open_at = workspace_process_context.instance, dict.fromkeys(self._areas, 0.0)
        # What came unheard arrived before what is heard of now, and must be known before it.
        unheard, look_at = any(watches.values()), 0.0
        try:
            while not shutdown_event.is_set():
                now = time.monotonic()
                for area, watch in watches.items():
                    if watch is not None and not watch.is_alive() and now >= open_at[area]:
                        watch.close()
                        watches[area], open_at[area] = self._watch(area), now + _REOPEN_SECONDS
                        unheard = True
                complete = [path for one in watches.values() if one for path in one.complete()]
                wanted = now >= look_at if unheard else bool(complete)
                if wanted or asking.is_time():
                    yield SpanMarker.START_SPAN
                    try:
                        if wanted or asking.is_due(instance):
                            going = unfinished(instance)
                            cursor = None if unheard else heard(complete)
                            more, requested = self._ask(
                                workspace_process_context, cursor, shutdown_event
                            )
                            asking.asked(going, more=more, requested=requested)
                            unheard = False
                    except DagsterUserCodeUnreachableError:
                        self._logger.warning("the code server is away; files wait for the sensor")
                        asking, unheard, look_at = Asking(), True, now + _REOPEN_SECONDS
                    except Exception:  # noqa: BLE001  # Dagster keeps it; the next tick finds them
                        yield DaemonErrorCapture.process_exception(
                            sys.exc_info(), self._logger, "files wait for the sensor"
                        )
                        asking, unheard, look_at = Asking(), True, now + _REOPEN_SECONDS
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
        self, workspace: Workspace, cursor: str | None, shutdown: threading.Event
    ) -> tuple[bool, bool]:
        """Start the runs that the sensor asks for; return if it has more, and if there were any.

        The cursor names the files to look at; without one it looks at all.
        """
        instance, more, requested = workspace.instance, False, False
        for location, repository, sensor in _sensors(workspace):
            state = instance.get_instigator_state(sensor.get_remote_origin_id(), sensor.selector_id)
            if not sensor.get_current_instigator_state(state).is_running:
                continue
            told = location.get_sensor_execution_data(
                instance, repository.handle, sensor.name, None, None, cursor, None, None
            )
            for added in told.dynamic_partitions_requests or ():
                instance.add_dynamic_partitions(
                    added.partitions_def_name, list(added.partition_keys)
                )
            for request in told.run_requests or ():
                if shutdown.is_set():
                    return False, requested
                done = _submit_run_request(
                    make_new_run_id(), request, workspace, sensor, {}, self._logger, None
                )
                if done.error_info is not None:
                    self._logger.error("a run was not queued: %s", done.error_info)
                self._asked.set()
                requested = True
            more |= told.cursor == MORE
        return more, requested


def _sensors(workspace: Workspace) -> list[tuple[CodeLocation, RemoteRepository, RemoteSensor]]:
    """Return the sensor that looks at the landing area, in whatever code location it is.

    Raises:
        DagsterUserCodeUnreachableError: There is none, and a code location is not loaded.
    """
    request, found = workspace.create_request_context(), []
    for location in request.code_locations:
        for repository in location.get_repositories().values():
            if repository.has_sensor(landing.name):
                sensor = repository.get_sensor(landing.name)
                if JOB in {target.job_name for target in sensor.get_targets()}:
                    found.append((location, repository, sensor))
    if not found and len(request.code_locations) < len(request.get_code_location_entries()):
        raise DagsterUserCodeUnreachableError
    return found
