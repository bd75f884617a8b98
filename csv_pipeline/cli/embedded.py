"""What `dev` does for the embedded database server and for runs: start it again, and end them."""

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass

from csv_pipeline.cli.terminal import note
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.errors import DatabaseUnavailableError
from csv_pipeline.storage import dagster_records, embedded, leases
from csv_pipeline.storage.worker import is_gone, is_here, pid_of

_AGAIN_SECONDS = 1.0
_SECONDS_TO_END = 15.0


@dataclass(slots=True)
class EmbeddedServer:
    """The embedded database server, which is to run all the time."""

    pipeline: Pipeline
    process: int | None = None
    """The one that was ready; while one starts, none."""
    due_at: float = 0.0

    def look(self) -> None:
        """Start it again if it ended; say so, also where another process was the first to."""
        area = self.pipeline.settings.postgres_area
        found = embedded.server_process(area)
        if self.process is not None and found != self.process:
            note("database server ended; it is started again.")
            self.process = None
        if found is None and time.monotonic() >= self.due_at:
            try:
                embedded.start_again(area)
            except DatabaseUnavailableError as error:
                note(str(error))
            self.due_at = time.monotonic() + _AGAIN_SECONDS
        if self.process is None and embedded.is_ready(area):
            self.process = embedded.server_process(area)

    def end_runs(self) -> None:
        """Ask the runs on this host to end, and enforce it in the end; their files wait.

        They would keep the server running.
        """
        self.look()
        try:
            with self.pipeline.database.begin() as connection:
                # One that was forked just now has not signed on yet.
                forked = [*filter(is_here, dagster_records.workers(connection))]
                workers = {*leases.workers_here(connection), *forked}
        except DatabaseUnavailableError:
            return
        for number, seconds in ((signal.SIGTERM, _SECONDS_TO_END), (signal.SIGKILL, 1.0)):
            deadline = time.monotonic() + seconds
            for worker in workers:
                if not is_gone(worker):
                    with suppress(ProcessLookupError):
                        os.kill(pid_of(worker), number)
            while not all(map(is_gone, workers)) and time.monotonic() < deadline:
                time.sleep(0.1)
