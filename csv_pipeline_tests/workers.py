"""Worker processes that can be stopped at a moment of a test's choosing, and killed there.

They are forked from a server that has imported the package and done nothing else, so that a test
may afford many of them. A worker tells where it is over a pipe and goes on when told to.
"""

import multiprocessing
import os
import resource
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa
import structlog
from pydantic import SecretStr

from csv_pipeline.engine import run
from csv_pipeline.engine.fitting import prepare
from csv_pipeline.engine.pipeline import Pipeline, open_pipeline
from csv_pipeline.engine.workspace import Stage
from csv_pipeline.errors import DatabaseUnavailableError
from csv_pipeline.model import Claim
from csv_pipeline.settings import Settings
from csv_pipeline.storage import arrivals
from csv_pipeline_tests.feeds import TEST_FEEDS

context = multiprocessing.get_context("forkserver")
context.set_forkserver_preload([__name__])
prepare(TEST_FEEDS)  # in the server, so that no worker has to


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What a worker is to do: import the account's people, and stop at these moments.

    `stops` are "before" and "after" a stage, "copy" (the first block is sent), "settle" (all is
    written but the commit), and "committed" (it is, but the answer will be lost).
    `retries`: how often a silent database is asked again. `largest_file`: as a full disk would.
    """

    home: Path
    account: str
    database_url: str | None = None
    lease_seconds: float = 60.0
    files_at_once: int = 100
    stops: tuple[str, ...] = ()
    retries: int = 0
    largest_file: int | None = None
    max_failures: int = 3


class Worker:
    """A process at work, as its test sees it."""

    def __init__(self, orders: Orders) -> None:
        self.pipe, theirs = context.Pipe()
        self.process: ForkServerProcess = context.Process(target=_work, args=(orders, theirs))
        self.process.start()
        theirs.close()
        self.told: list[str] = []

    def comes_to(self, moment: str, seconds: float = 60) -> None:
        """Wait until the worker tells that it is there."""
        while True:
            assert self.pipe.poll(seconds), f"{moment!r} was awaited; told were {self.told}"
            self.told.append(self.pipe.recv())
            if self.told[-1].startswith(moment):
                return

    def go_on(self) -> None:
        """Let it go on from where it stopped."""
        self.pipe.send("go on")

    def kill(self) -> None:
        """Kill it as `kill -9` does, and wait until it is dead."""
        self.process.kill()
        self.process.join()

    def pause(self) -> None:
        """Stop all its threads, as a suspended machine does."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let its threads run again."""
        os.kill(self.pid, signal.SIGCONT)

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.process.pid is not None
        return self.process.pid


def _work(orders: Orders, pipe: Connection) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    url = None if orders.database_url is None else SecretStr(orders.database_url)
    settings = Settings(
        home=orders.home,
        database_url=url,
        lease_seconds=orders.lease_seconds,
        max_failures=orders.max_failures,
    )
    pipeline = open_pipeline(settings, TEST_FEEDS)
    if orders.largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (orders.largest_file, orders.largest_file))
    stop = _Stop(orders, pipe)
    stop.at_the_moments_of(pipeline)
    pipe.send("ready")
    while some := _waiting(pipeline, orders):
        claims = pipeline.claim(orders.account, "people", arrival_ids=some)
        for claim in claims:
            stop(f"claimed {claim.name}")
        _retried(orders, pipe, partial(_import, pipeline, claims, stop))
    pipe.send("done")


def _waiting(pipeline: Pipeline, orders: Orders) -> Sequence[int]:
    with pipeline.database.begin() as connection:
        lanes = arrivals.backlog(connection)
    ids = (lane.arrival_ids for lane in lanes if lane.account == orders.account)
    return next(ids, ())[: orders.files_at_once]


def _retried(orders: Orders, pipe: Connection, do: Callable[[], None]) -> None:
    """Ask a silent database again, as Dagster's ops do."""
    for left in reversed(range(orders.retries + 1)):
        try:
            return do()
        except DatabaseUnavailableError as error:
            pipe.send(f"silence: {error}")
            if not left:
                raise
            time.sleep(0.3)
    return None


def _import(pipeline: Pipeline, claims: list[Claim], stop: "_Stop") -> None:
    """Import files as a run does: stage by stage, together where they may go together."""
    for stage in Stage:
        stop(f"before {stage}")
        result = run.advance(pipeline, claims, stage)
        claims = list(result.claims)
        for error in (*result.lost, *(broke.error for broke in result.unrecorded)):
            stop.pipe.send(f"{type(error).__name__}: {error}")
        stop(f"after {stage}")
    run.finish(pipeline, claims)


class _Stop:
    """Tells the test of the moments it asked for, and waits there."""

    def __init__(self, orders: Orders, pipe: Connection) -> None:
        self.stops, self.pipe = set(orders.stops), pipe

    def __call__(self, moment: str) -> None:
        if moment in self.stops:
            self.stops.remove(moment)
            self.pipe.send(moment)
            self.pipe.recv()

    def at_the_moments_of(self, pipeline: Pipeline) -> None:
        """Stop within the load too, where only the driver's calls are seen."""
        write, commit = psycopg.Copy.write, psycopg.Connection.commit
        settling = False

        def stopping_write(copy: Any, data: Any) -> None:
            write(copy, data)
            self("copy")

        def on_statement(_: Any, __: Any, statement: str, *___: Any) -> None:
            nonlocal settling
            settling = settling or "INSERT INTO csv_pipeline.import (" in statement

        def stopping_commit(connection: Any) -> None:
            nonlocal settling
            if not settling:
                return commit(connection)
            settling = False
            self("settle")
            commit(connection)
            if "committed" in self.stops:
                self("committed")
                raise psycopg.OperationalError("the answer got lost")
            return None

        sa.event.listen(pipeline.database.engine, "before_cursor_execute", on_statement)
        psycopg.Copy.write = stopping_write  # type: ignore[method-assign, assignment]
        psycopg.Connection.commit = stopping_commit  # type: ignore[method-assign, assignment]


def orders_for(pipeline: Pipeline, account: str, **how: Any) -> Orders:
    """Return orders to import what waits for an account in this pipeline's home and database."""
    url = pipeline.settings.database_url
    own = url.get_secret_value() if url else None
    return replace(Orders(home=pipeline.settings.home, account=account, database_url=own), **how)
