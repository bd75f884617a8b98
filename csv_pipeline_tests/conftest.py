"""One real PostgreSQL for the whole session; every test has an account of its own in it."""

import itertools
import logging
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
from hypothesis import settings

from csv_pipeline.feeds import FEEDS
from csv_pipeline.ingest import Import, Pipeline, ingest, open_pipeline
from csv_pipeline.model import Account, Feed, ImportReport, Reject
from csv_pipeline.settings import Settings
from csv_pipeline.stages.arrive import found_file
from csv_pipeline.storage import ledger
from csv_pipeline_tests.feeds import TEST_FEEDS

# A gate must not fall by the luck of its examples; at a desk they differ from run to run.
settings.register_profile("gate", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("gate")

SAMPLES = Path(__file__).parent / "corpus" / "samples"


@pytest.fixture(scope="session")
def pipeline() -> Iterator[Pipeline]:
    """The pipeline on the embedded server.

    Its home is not below pytest's folder: every session that starts makes that one private again,
    and as root the server runs as another user.
    """
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory(prefix="csv-pipeline-", ignore_cleanup_errors=True) as home:
        settings = Settings(home=Path(home), settle_seconds=0)
        opened = open_pipeline(settings, (*FEEDS, *TEST_FEEDS))
        yield opened
        opened.keeper.stop()
        opened.database.engine.dispose()


@pytest.fixture
def account(request: pytest.FixtureRequest) -> str:
    """An account that no other test has."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").casefold())
    return f"{name[:50].strip('-')}-{next(_COUNTER)}"


_COUNTER = itertools.count()


class Desk:
    """Where a test drops files for its account and looks at what became of them."""

    def __init__(self, pipeline: Pipeline, account: str, folder: Path) -> None:
        self.pipeline, self.account, self.folder = pipeline, account, folder

    def declare(self, **facts: Any) -> None:
        """Declare settings of the account."""
        with self.pipeline.database.begin() as connection:
            ledger.declare(connection, Account(account=self.account, **facts))

    def bring(
        self, content: str | bytes | Path, feed: str = "people", name: str | None = None, **how: Any
    ) -> ImportReport:
        """Import a file of this content and return its report."""
        if isinstance(content, Path):
            name, content = name or content.name, content.read_bytes()
        path = self.folder / (name or f"file-{next(_COUNTER)}.csv")
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        found = found_file(path, self.account, feed)
        with self.pipeline.database.begin() as connection:
            ledger.register(connection, [found])
        claims = self.pipeline.claim(self.account, feed, **how)
        reports = [ingest(self.pipeline, claim) for claim in claims]
        return next(report for report in reports if report.name == path.name)

    def claimed(self, content: str) -> Import:
        """Claim a file of this content and return its import, no stage of it done."""
        path = self.folder / f"file-{next(_COUNTER)}.csv"
        path.write_text(content)
        with self.pipeline.database.begin() as connection:
            ledger.register(connection, [found_file(path, self.account, "people")])
        return Import(self.pipeline, self.pipeline.claim(self.account, "people")[0])

    def rows(self, table: str = "people", columns: str = "*", order: str = "1") -> list[Any]:
        """Return the account's rows of a table in schema `data`."""
        query = f"SELECT {columns} FROM data.{table} WHERE account = :account ORDER BY {order}"  # noqa: S608
        with self.pipeline.database.begin() as connection:
            return list(connection.execute(sa.text(query), {"account": self.account}))

    def rejects(self, report: ImportReport) -> list[Reject]:
        """Return the faults of an import."""
        with self.pipeline.database.begin() as connection:
            return ledger.rejects(connection, report.import_id)

    def superseded(self, report: ImportReport) -> list[tuple[int, int]]:
        """Return pairs of superseded and superseding row numbers."""
        with self.pipeline.database.begin() as connection:
            return ledger.superseded(connection, report.import_id)


@pytest.fixture
def desk(pipeline: Pipeline, account: str, tmp_path: Path) -> Desk:
    """A desk for the test's own account."""
    return Desk(pipeline, account, tmp_path)


@pytest.fixture
def feed_named(pipeline: Pipeline) -> Callable[[str], Feed]:
    """Return a feed by name."""
    return pipeline.feed
