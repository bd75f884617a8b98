"""Dagster's code server, made lasting: the process that has loaded our code is started again.

`python -m csv_pipeline.defs.code_server start` takes the place of `dagster code-server start`. That
one starts a process that loads the code and hands every question on to it. If that process is
killed, it goes on handing them to nobody.

SIGHUP has the code loaded anew, as *Reload definitions* has in the UI.
"""

import signal
import threading
from typing import Any

import click
from dagster._cli.code_server import code_server_cli
from dagster._core.remote_representation.grpc_server_registry import ServerRegistryEntry
from dagster._grpc import proxy_server

_LOOK_SECONDS = 0.5
_RELOAD = threading.Event()
_STARTED_AGAIN = "the code server's process with the code ended; it is started again at once."


class LastingServicer(proxy_server.DagsterProxyApiServicer):
    """Answer by a process that has loaded the code, and by another one if that ends."""

    def __init__(self, *arguments: Any, **facts: Any) -> None:
        super().__init__(*arguments, **facts)
        threading.Thread(target=self._watch, name="code-server-watch", daemon=True).start()

    def _watch(self) -> None:
        while not self._shutdown_once_executions_finish_event.wait(_LOOK_SECONDS):
            if _RELOAD.is_set():
                _RELOAD.clear()
                self.ReloadCode(None, None)  # type: ignore[no-untyped-call]
            with self._reload_lock:
                if not self._has_ended():
                    continue
                click.echo(_STARTED_AGAIN, err=True)
                if self._client_heartbeat_shutdown_event is not None:
                    self._client_heartbeat_shutdown_event.set()
                self._reload_location()  # type: ignore[no-untyped-call]

    def _has_ended(self) -> bool:
        """Return whether the process that was started last runs no more, or ended as it started.

        Code that cannot be loaded ends no process; that one answers with what is wrong.
        """
        entry = self._grpc_server_registry.get_grpc_server_entry(self._origin)
        started = isinstance(entry, ServerRegistryEntry)
        return not started or entry.process.server_process.poll() is not None


if __name__ == "__main__":
    signal.signal(signal.SIGHUP, lambda *_: _RELOAD.set())
    # The command looks it up there when it starts.
    proxy_server.DagsterProxyApiServicer = LastingServicer  # type: ignore[misc]
    code_server_cli()
