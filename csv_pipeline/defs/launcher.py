"""Start runs at once: each is a fork of a process that has imported everything already.

Dagster's own launcher starts an interpreter for each run, which takes it two seconds of a processor
before the first step. It starts the run where forking is not possible, and as long as the process
to fork from is not ready. When the code location is loaded anew, so is that process. `dagster.yaml`
names this launcher.
"""

import os
import select
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self, cast

import structlog
from dagster import DagsterRun
from dagster._core.launcher import DefaultRunLauncher, LaunchRunContext
from dagster._core.remote_representation.code_location import GrpcServerCodeLocation
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import ConfigurableClassData, serialize_value

from csv_pipeline.defs.preforked import READY
from csv_pipeline.storage.dagster_records import WORKER
from csv_pipeline.storage.worker import is_gone, is_here, pid_of, worker_named

_MODULE = "csv_pipeline.definitions"
_ANSWER_SECONDS = 10.0
log = structlog.get_logger()


@dataclass(slots=True)
class Source:
    """The process that runs are forked from; started, and started again, when it is needed."""

    process: subprocess.Popen[str] | None = None
    of_server: str | None = None
    ready: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        """Start the process, which is ready after it has imported everything."""
        self.stop()
        self.of_server, self.ready = None, False
        self.process = subprocess.Popen(  # noqa: S603  # our own interpreter, and no shell
            [sys.executable, "-m", "csv_pipeline.defs.preforked", _MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def stop(self) -> None:
        """End the process; runs that were forked from it go on."""
        if self.process is not None:
            with suppress(OSError):
                if self.process.stdin is not None:
                    self.process.stdin.close()
            self.process.terminate()
            self.process.wait()
            self.process = None

    def fork(self, arguments: str, server: str) -> int | None:
        """Return the process id of a new run, or None if it cannot be forked now.

        The `server` is the one that has loaded the code location: what is loaded anew has another.
        """
        with self.lock:
            if self.process is None or self.process.poll() is not None:
                self.start()
            elif self.of_server not in {None, server}:
                log.info("code location was loaded anew, so runs are forked anew")
                self.start()
            self.of_server = server
            if not self.ready:
                self.ready = self._line(0.0) == READY
            if not self.ready or self.process is None or self.process.stdin is None:
                return None
            try:
                self.process.stdin.write(f"{arguments}\n")
                self.process.stdin.flush()
                return int(self._line(_ANSWER_SECONDS) or "")
            except (OSError, ValueError):
                self.stop()
                return None

    def _line(self, seconds: float) -> str | None:
        assert self.process is not None and self.process.stdout is not None  # noqa: S101, PT018
        readable, _, _ = select.select([self.process.stdout], [], [], seconds)
        return self.process.stdout.readline().strip() if readable else None


SOURCE = Source()
"""That of this process; there is none until a run is launched here, or it is started."""


class ForkingRunLauncher(DefaultRunLauncher):
    """Launch runs by a fork where that is possible, and as Dagster does where it is not."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Ask for no configuration."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> Self:
        """Return the launcher."""
        del config_value
        return cls(inst_data=inst_data)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Launch a run."""
        run, server, pid = context.dagster_run, _server_of(context), None
        if server is not None and run.job_code_origin is not None:
            arguments = ExecuteRunArgs(
                job_origin=run.job_code_origin,
                run_id=run.run_id,
                instance_ref=self._instance.get_ref(),
            )
            pid = SOURCE.fork(serialize_value(arguments), server)
        if pid is None:
            super().launch_run(context)
        elif (worker := worker_named(pid)) is not None:
            self._instance.add_run_tags(run.run_id, {WORKER: f"{run.run_id} {worker}"})

    def terminate(self, run_id: str) -> bool:
        """End a run; whether it is on this host and goes on."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished or (worker := worker_of(run)) is None:
            return cast(bool, super().terminate(run_id))  # type: ignore[no-untyped-call]
        self._instance.report_run_canceling(run)
        if not is_here(worker) or is_gone(worker):
            return False
        os.kill(pid_of(worker), signal.SIGTERM)
        return True


def worker_of(run: DagsterRun) -> str | None:
    """Return the process that was forked for a run, or None if none was."""
    run_id, _, worker = run.tags.get(WORKER, "").partition(" ")
    return worker if run_id == run.run_id else None


def _server_of(context: LaunchRunContext) -> str | None:
    """Return which server has loaded the code of a run; None if it is not what is forked from."""
    run = context.dagster_run
    origin, remote = run.job_code_origin, run.remote_job_origin
    if origin is None or remote is None or context.workspace is None or not hasattr(os, "fork"):
        return None
    if getattr(origin.repository_origin.code_pointer, "module", None) != _MODULE:
        return None
    name = remote.repository_origin.code_location_origin.location_name
    location = context.workspace.get_code_location(name)
    return location.server_id if isinstance(location, GrpcServerCodeLocation) else None
