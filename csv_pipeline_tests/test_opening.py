"""Several threads and processes may open one pipeline at the same moment, a new one too."""

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from csv_pipeline.defs.assembly import assemble
from csv_pipeline.defs.resource import Engine
from csv_pipeline.engine.pipeline import Pipeline, open_pipeline
from csv_pipeline.settings import Settings
from csv_pipeline.storage.database import schema_url
from csv_pipeline.storage.targets import definition
from csv_pipeline_tests.conftest import Desk, own_settings
from csv_pipeline_tests.feeds import TEST_FEEDS
from csv_pipeline_tests.test_session import database, settings_of
from csv_pipeline_tests.workers import context

MANY = 6


def at_once(do: Callable[[int], Any], count: int = MANY) -> list[Any]:
    """Return what a call gives in each of some threads that begin together."""
    start = threading.Barrier(count)

    def one(number: int) -> Any:
        start.wait()
        return do(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def state(pipeline: Pipeline) -> list[tuple[str, int]]:
    query = sa.text(
        "SELECT nspname, count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
        "WHERE nspname IN ('csv_pipeline', 'data', 'dagster') GROUP BY 1 ORDER BY 1"
    )
    with pipeline.database.begin() as connection:
        return [tuple(row) for row in connection.execute(query)]


def assert_alike_and_whole(opened: list[Pipeline], folder: Path) -> None:
    assert len({tuple(state(pipeline)) for pipeline in opened}) == 1
    for number, pipeline in enumerate(opened):
        desk = Desk(pipeline, f"account-{number}", folder)
        assert desk.bring("ID,Name\n1,Ann\n").counts.inserted == 1
        pipeline.close()


def test_threads_that_open_a_new_home_at_once_make_its_tables_once(tmp_path: Path) -> None:
    with own_settings(settle_seconds=0) as settings:
        opened = at_once(lambda _: open_pipeline(settings, TEST_FEEDS))
        assert_alike_and_whole(opened, tmp_path)


def test_threads_that_open_several_new_databases_at_once_make_the_tables_of_each(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    with database(pipeline) as one, database(pipeline) as two:
        both = [settings_of(url, tmp_path / f"{url.database}") for url in (one, two)]
        opened = at_once(lambda number: open_pipeline(both[number % 2], TEST_FEEDS))
        assert_alike_and_whole(opened, tmp_path)


def test_a_schema_that_several_make_at_once_is_made(pipeline: Pipeline, tmp_path: Path) -> None:
    with database(pipeline) as url:
        settings = settings_of(url, tmp_path)
        assert len({str(url) for url in at_once(lambda _: schema_url(settings, "dagster"))}) == 1


def _open(settings: Settings, start: Any, done: Any) -> None:
    start.wait()
    opened = open_pipeline(settings, TEST_FEEDS)
    done.put(state(opened))
    opened.close()


def test_processes_that_open_a_new_home_at_once_share_its_server_and_tables() -> None:
    with own_settings(settle_seconds=0) as settings:
        start, done = context.Barrier(4), context.Queue()
        processes = [context.Process(target=_open, args=(settings, start, done)) for _ in range(4)]
        for process in processes:
            process.start()
        found = [done.get(timeout=60) for _ in processes]
        for process in processes:
            process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert len({str(one) for one in found}) == 1


def test_runs_are_forked_with_the_tables_of_their_feeds_worked_out(pipeline: Pipeline) -> None:
    feed = replace(TEST_FEEDS[0], name="worked_out")
    assemble([feed], Engine(lambda: pipeline))
    before = definition.cache_info().misses
    definition(feed)
    assert definition.cache_info().misses == before


def test_to_know_the_feeds_starts_no_thread_that_a_fork_would_lose() -> None:
    code = (
        "import os, pandera.polars, polars\n"
        "threads = lambda: len(os.listdir('/proc/self/task'))\n"
        "before = threads()\n"
        "import csv_pipeline.feeds\n"
        "print(threads() - before)"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  # our own
    assert done.stdout == "0\n"
