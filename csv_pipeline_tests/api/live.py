"""A service on a port of its own, as programs of other make see it; it notes what it asks for."""

import errno
import os
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from csv_pipeline.api.app import make_app
from csv_pipeline.api.problems import ProblemError
from csv_pipeline.api.service import Service
from csv_pipeline.engine.import_requests import LANE


@dataclass(slots=True)
class DagsterNoting:
    """A Dagster that notes what it is asked for and does nothing; it does not answer if `away`."""

    imports: list[list[int]] = field(default_factory=list)
    checks: list[int] = field(default_factory=list)
    lanes: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    away: bool = False

    def add_partition(self, partition: str) -> None:
        del partition
        self._answer()

    def launch(
        self,
        job: str,
        run_config: Mapping[str, Any],
        tags: Mapping[str, str],
        assets: Collection[str] = (),
    ) -> str:
        del assets
        self._answer()
        (op,) = run_config["ops"].values()
        match op["config"]:
            case {"arrival_ids": arrival_ids}:
                self.imports.append(arrival_ids)
                self.lanes.append(tags[LANE])
                return f"import-{arrival_ids[0]}"
            case {"upload_id": upload_id}:
                self.checks.append(upload_id)
                return f"check-{upload_id}"
        return job

    def is_over(self, run_id: str) -> bool:
        return bool(run_id)

    def end(self, run_id: str) -> bool:
        self.ended.append(run_id)
        return True

    def _answer(self) -> None:
        if self.away:
            raise ProblemError("no_dagster", "Dagster was to answer")


class Full:
    """The module `os` of a machine whose disk is full."""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    @staticmethod
    def writev(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextmanager
def serving(service: Service) -> Iterator[str]:
    """Serve in a thread of this process and give the address."""
    config = uvicorn.Config(
        make_app(service),
        host="127.0.0.1",
        port=0,
        log_level="error",
        timeout_graceful_shutdown=1,
        lifespan="off",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
