"""One real PostgreSQL for the whole session; every test has an account of its own in it.

It is the embedded one, or a new database on the server that `CSV_PIPELINE_TEST_DATABASE_URL` names.
"""

import gc
import itertools
import logging
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
import typer.testing
from alembic.config import Config
from alembic.script import ScriptDirectory
from dagster._core.storage.defs_state.base import set_defs_state_storage
from hypothesis import settings
from typer.main import get_command

from csv_pipeline.account import Account
from csv_pipeline.engine import run
from csv_pipeline.engine.group import Group
from csv_pipeline.engine.importer import Import
from csv_pipeline.engine.pipeline import Pipeline, open_pipeline
from csv_pipeline.engine.workspace import Progress, Stage
from csv_pipeline.feeds import FEEDS
from csv_pipeline.files.landing import found_file
from csv_pipeline.handover import TypedFile
from csv_pipeline.location import location_of
from csv_pipeline.model import Claim, ImportReport, Reject
from csv_pipeline.parts import Files
from csv_pipeline.settings import Settings
from csv_pipeline.spec.feed import Feed
from csv_pipeline.stages.transform import transform
from csv_pipeline.storage import accounts, arrivals, quarantine
from csv_pipeline.storage.database import leave_database, server_url
from csv_pipeline_tests.feeds import TEST_FEEDS
from csv_pipeline_tests.postgres import ADDRESS

pytest_plugins = ["csv_pipeline_tests.file_stores", "csv_pipeline_tests.store_faults"]

# A gate must not fall by the luck of its examples; at a desk they differ from run to run.
settings.register_profile("gate", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("gate")

# A program that a test starts would else compile all of the package, a second's work each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# Typer makes all commands anew for every call of its runner, which takes longer than most of them.
typer.testing._get_command = cache(get_command)  # type: ignore[attr-defined]  # noqa: SLF001

# Each of Dagster's instances in memory reads all of Dagster's migrations, to name the newest.
_read_scripts = ScriptDirectory.from_config
_by_place = dict[str | None, ScriptDirectory]()


def _scripts_of(config: Config) -> ScriptDirectory:
    place = config.get_main_option("script_location")
    if place not in _by_place:
        _by_place[place] = _read_scripts(config)
    return _by_place[place]


ScriptDirectory.from_config = _scripts_of  # type: ignore[method-assign]

SAMPLES = Path(__file__).parent / "corpus" / "samples"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Return one more than there are cores: each waits for the database, or a process, at times."""
    return min((os.cpu_count() or 1) + 1, 4)


def pytest_collection_finish() -> None:
    """Look for garbage seldom, and not in what was imported: it is a sixth of the time of tests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


@pytest.fixture(scope="module", autouse=True)
def no_instance_of_another_module() -> Iterator[None]:
    """Keep Dagster from asking an instance that a test of another module opened and closed."""
    with set_defs_state_storage(None):
        yield


@pytest.fixture(scope="session")
def pipeline(shared_pipeline: Pipeline) -> Pipeline:
    """The pipeline of a test: the session's, unless its module has another."""
    return shared_pipeline


@pytest.fixture(scope="session")
def shared_pipeline() -> Iterator[Pipeline]:
    """The pipeline of the session; a crash of the whole machine may cost its database."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    # Other tests leave files waiting; no tick may pass over a test's own lane because of theirs.
    with own_settings(settle_seconds=0, runs_per_tick=100_000) as settings:
        opened = open_pipeline(settings, (*FEEDS, *TEST_FEEDS))
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def uncrowded_pipeline(shared_pipeline: Pipeline) -> Iterator[Pipeline]:
    """A pipeline for tests of what goes over all accounts, which takes long where many are."""
    with (
        tempfile.TemporaryDirectory(prefix="csv-pipeline-", ignore_cleanup_errors=True) as home,
        new_database(shared_pipeline.database.engine.url) as url,
    ):
        settings = Settings(home=Path(home), database_url=url, settle_seconds=0)
        opened = open_pipeline(settings, (*FEEDS, *TEST_FEEDS))
        yield opened
        opened.close()


@contextmanager
def own_settings(**facts: Any) -> Iterator[Settings]:
    """Give settings with a home and a database that nobody else has.

    The database is one of many on the server of this process, as to start another takes seconds.
    """
    with (
        tempfile.TemporaryDirectory(prefix="csv-pipeline-", ignore_cleanup_errors=True) as home,
        new_database(_server()) as url,
    ):
        yield Settings(home=Path(home), database_url=url, **facts)


@cache
def _server() -> sa.URL:
    """Return the address of the server given, or of an embedded one that lives until the end.

    Its home is not below pytest's folder: every session that starts makes that one private again,
    and as root the embedded server runs as another user.
    """
    if given := os.environ.get(ADDRESS):
        return sa.make_url(given).set(drivername="postgresql+psycopg")
    url = server_url(Settings(home=_SERVER_HOME))
    # A server that waits for its disk spends most of a small transaction on that.
    for setting in ("fsync", "full_page_writes"):
        _execute(url, f"ALTER SYSTEM SET {setting} = off")
    _execute(url, "SELECT pg_reload_conf()")
    return url


_SERVER_HOME = Path(tempfile.gettempdir()) / f"csv-pipeline-{uuid.uuid4().hex[:12]}"


def pytest_sessionfinish() -> None:
    """Stop the server; a process of several that test ends without what Python does at its end."""
    leave_database(Settings(home=_SERVER_HOME))
    shutil.rmtree(_SERVER_HOME, ignore_errors=True)


@contextmanager
def new_database(url: sa.URL) -> Iterator[str]:
    """Make a database on the server of another one, and drop it in the end."""
    name = f"csv_pipeline_{uuid.uuid4().hex[:12]}"
    _execute(url, f"CREATE DATABASE {name}")
    try:
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        _execute(url, f"DROP DATABASE {name} WITH (FORCE)")


def _execute(url: sa.URL, statement: str) -> None:
    """Execute what no transaction may hold."""
    server = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(sa.text(statement))


@pytest.fixture
def account(request: pytest.FixtureRequest, pipeline: Pipeline) -> Iterator[str]:
    """An account that no other test has; no claim on its files is renewed after the test."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").casefold())
    yield f"{name[:50].strip('-')}-{next(_COUNTER)}"
    pipeline.leases.give_all_back()


_COUNTER = itertools.count()


def one_of_many(cases: Iterable[Any], seeds: int = 40) -> list[Any]:
    """Give each case with one seed, another for each, and with all others to the slow tests."""
    return [
        pytest.param(case, seed, marks=() if seed == at else pytest.mark.slow)
        for at, case in enumerate(cases)
        for seed in range(seeds)
    ]


def typed_file(files: Files, feed: Feed, account: Account | None = None, **how: Any) -> TypedFile:
    """Return what `transform` gives of a single file, or raise why it is refused."""
    (typed,) = transform(files, feed, account or Account(account="sample"), **how)
    if isinstance(typed, Exception):
        raise typed
    return typed


def declares(encoding: str | None) -> Account:
    """Return an account that declares an encoding."""
    return Account(account="ACCOUNT", encoding=encoding)


def ingest(pipeline: Pipeline, claim: Claim) -> ImportReport:
    """Import one claimed file and return what became of every row."""
    (report,) = run.run(pipeline, [claim])
    return report


def advance(import_: Import, stage: Stage) -> Progress:
    """Do one stage for a file alone."""
    (progress,) = Group([import_]).advance(stage)
    return progress


def settled(import_: Import) -> ImportReport:
    """Return what became of a file alone, once its load is done."""
    (report,) = run.settled(import_.pipeline, [import_.claim])
    return report


class Desk:
    """Where a test drops files for its account and looks at what became of them."""

    def __init__(self, pipeline: Pipeline, account: str, folder: Path) -> None:
        self.pipeline, self.account, self.folder = pipeline, account, folder

    def declare(self, **facts: Any) -> None:
        """Declare settings of the account, perhaps for a `feed` or a `header` only."""
        with self.pipeline.database.begin() as connection:
            accounts.declare(connection, Account(account=self.account, **facts))

    def bring(
        self, content: str | bytes | Path, feed: str = "people", name: str | None = None, **how: Any
    ) -> ImportReport:
        """Import a file of this content and return its report."""
        if isinstance(content, Path):
            name, content = name or content.name, content.read_bytes()
        path = self.folder / (name or f"file-{next(_COUNTER)}.csv")
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        found = found_file(location_of(path), self.account, feed)
        with self.pipeline.database.begin() as connection:
            arrivals.register(connection, [found])
        claims = self.pipeline.claim(self.account, feed, **how)
        reports = [ingest(self.pipeline, claim) for claim in claims]
        return next(report for report in reports if report.name == path.name)

    def claimed(self, content: str, feed: str = "people", **how: Any) -> Import:
        """Claim a file of this content and return its import, no stage of it done."""
        path = self.folder / f"file-{next(_COUNTER)}.csv"
        path.write_text(content)
        with self.pipeline.database.begin() as connection:
            arrivals.register(connection, [found_file(location_of(path), self.account, feed)])
        return Import(self.pipeline, self.pipeline.claim(self.account, feed, **how)[0])

    def rows(self, table: str = "people", columns: str = "*", order: str = "1") -> list[Any]:
        """Return the account's rows of a table in schema `data`."""
        query = f"SELECT {columns} FROM data.{table} WHERE account = :account ORDER BY {order}"  # noqa: S608
        with self.pipeline.database.begin() as connection:
            return list(connection.execute(sa.text(query), {"account": self.account}))

    def rejects(self, report: ImportReport) -> list[Reject]:
        """Return the faults of an import."""
        with self.pipeline.database.begin() as connection:
            return quarantine.faults_of(connection, report.import_id)

    def superseded(self, report: ImportReport) -> list[tuple[int, int]]:
        """Return pairs of superseded and superseding row numbers."""
        with self.pipeline.database.begin() as connection:
            return quarantine.superseded(connection, report.import_id)


@pytest.fixture
def desk(pipeline: Pipeline, account: str, tmp_path: Path) -> Desk:
    """A desk for the test's own account."""
    return Desk(pipeline, account, tmp_path)


@pytest.fixture
def feed_named(pipeline: Pipeline) -> Callable[[str], Feed]:
    """Return a feed by name."""
    return pipeline.feed
