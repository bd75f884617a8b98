"""`deploy/roles.sql`: each login does its own work, and nothing of the others'."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from pydantic import SecretStr

from csv_pipeline.access import Scope
from csv_pipeline.api.app import make_app
from csv_pipeline.api.callers import Caller
from csv_pipeline.api.runs import Runs
from csv_pipeline.api.service import Service
from csv_pipeline.engine.accounts import bind_reader
from csv_pipeline.engine.pipeline import Pipeline, open_pipeline
from csv_pipeline.errors import SetupError
from csv_pipeline.feeds import FEEDS
from csv_pipeline.model import Outcome
from csv_pipeline.settings import Settings
from csv_pipeline.spec.feed import Feed
from csv_pipeline.storage import tokens
from csv_pipeline_tests.conftest import SAMPLES, Desk, new_database
from csv_pipeline_tests.feeds import TEST_FEEDS

SCRIPT = Path(__file__).parents[1] / "deploy" / "roles.sql"
EBAY = SAMPLES / "eBay-OrdersReport-Sep-30-2026-23_07_00-0700-11334292920.csv"
CUSTOMERS = "Customer ID,Name\n{0}1,Ann\n{0}2,Bob\n{0}3,\n"
OURS, THEIRS = "ours", "theirs"


class Stage:
    """A database with the script's roles in it, and the pipeline as each of them opens it."""

    def __init__(self, url: str, home: Path, opened: ExitStack) -> None:
        self.url, self.home, self.opened = sa.make_url(url), home, opened
        for _ in range(2):  # it may be run again
            with psycopg.connect(self.address(None), autocommit=True) as admin:
                admin.execute(SCRIPT.read_bytes())
        self.owner = self.as_("owner")
        self.engine = self.as_("engine")
        self.api = self.as_("api")
        for account in (OURS, THEIRS):
            self.desk(account).bring(CUSTOMERS.format(account), "customers")

    def address(self, role: str | None) -> str:
        url = self.url.set(drivername="postgresql")
        if role is not None:
            url = url.set(username=f"csv_pipeline_{role}")
        return url.render_as_string(hide_password=False)

    def as_(self, role: str, feeds: Iterable[Feed] = FEEDS) -> Pipeline:
        settings = Settings(
            home=self.home, database_url=SecretStr(self.address(role)), settle_seconds=0
        )
        pipeline = open_pipeline(settings, feeds)
        self.opened.callback(pipeline.close)
        return pipeline

    def desk(self, account: str) -> Desk:
        return Desk(self.engine, account, self.home)

    def do(self, role: str, statement: str) -> list[Any]:
        """Execute a statement as a login, and undo it."""
        with psycopg.connect(self.address(role)) as connection:
            cursor = connection.execute(statement.encode())
            rows = cursor.fetchall() if cursor.description else []
            connection.rollback()
            return rows


@pytest.fixture(scope="module")
def stage(shared_pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    home = tmp_path_factory.mktemp("home")
    with new_database(shared_pipeline.database.engine.url) as url, ExitStack() as opened:
        yield Stage(url, home, opened)


def test_the_engine_imports_recomputes_and_undoes(stage: Stage) -> None:
    desk = stage.desk("engines-own")
    report = desk.bring(EBAY, "ebay_orders")
    assert report.outcome is Outcome.IMPORTED
    assert desk.rows("sales_by_day")
    stage.engine.undo(report.import_id)
    assert desk.rows("ebay_orders") == []
    assert stage.engine.scan(seconds=5).misplaced == ()


def test_the_api_shows_an_account_its_own_rows(stage: Stage) -> None:
    service = Service(pipeline=stage.api, runs=Runs(Nowhere()))
    with stage.api.database.begin() as connection:
        made = {
            account: tokens.make(connection, "a", account=account, scopes=tuple(Scope))[0]
            for account in (OURS, None)
        }
    seen = {}
    with TestClient(make_app(service)) as client:
        for account, token in made.items():
            client.headers["Authorization"] = f"Bearer {token}"
            listed = client.get("/api/v1/imports").json()["imports"]
            seen[account] = {one["account"] for one in listed}
            rows = client.get("/api/v1/feeds/customers/rows?account=ours").json()["rows"]
            assert [row["customer_key"] for row in rows] == ["ours1", "ours2", "ours3"]
    assert seen[OURS] == {OURS}
    assert {OURS, THEIRS} <= seen[None]
    with service.reading(Caller(who="test", account=OURS, scopes=frozenset())) as connection:
        every = sa.text("SELECT DISTINCT account FROM data.customers")
        assert list(connection.scalars(every)) == [OURS]


class Nowhere:
    """No Dagster."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked for")


def test_the_owner_binds_a_reader_to_an_account(stage: Stage) -> None:
    with psycopg.connect(stage.address(None), autocommit=True) as admin:
        admin.execute("DROP ROLE IF EXISTS bi_of_roles")
        admin.execute("CREATE ROLE bi_of_roles LOGIN")
    assert bind_reader(stage.owner, "bi_of_roles", OURS) is None
    address = stage.url.set(drivername="postgresql", username="bi_of_roles").render_as_string()
    with psycopg.connect(address) as login:
        seen = login.execute("SELECT DISTINCT account FROM data.customers").fetchall()
    assert seen == [(OURS,)]


def test_a_viewer_reads_every_account(stage: Stage) -> None:
    seen = stage.do("viewer", "SELECT DISTINCT account FROM data.customers ORDER BY 1")
    assert seen == [(OURS,), (THEIRS,)]
    assert stage.do("viewer", "SELECT count(*) > 1 FROM csv_pipeline.import") == [(True,)]


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("engine", "DROP TABLE data.customers"),
        ("engine", "ALTER TABLE data.customers ADD COLUMN x int"),
        ("engine", "CREATE TABLE data.x (x int)"),
        ("engine", "CREATE TABLE csv_pipeline.x (x int)"),
        ("engine", "TRUNCATE data.customers"),
        ("engine", "ALTER TABLE csv_pipeline.arrival DISABLE ROW LEVEL SECURITY"),
        ("engine", "CREATE ROLE x"),
        ("engine", "COPY data.customers TO PROGRAM 'true'"),
        ("api", "INSERT INTO data.customers (account) VALUES ('ours')"),
        ("api", "UPDATE data.customers SET name = 'x'"),
        ("api", "DELETE FROM data.customers_history"),
        ("api", "DROP TABLE csv_pipeline.token"),
        ("api", "CREATE TEMPORARY TABLE x (x int)"),
        ("api", "SET ROLE csv_pipeline_engine"),
        ("viewer", "SET TRANSACTION READ WRITE; DELETE FROM data.customers"),
        ("viewer", "SELECT * FROM csv_pipeline.token"),
        ("viewer", "SELECT * FROM csv_pipeline.webhook"),
        ("viewer", "SET ROLE csv_pipeline_owner"),
        ("owner", "CREATE ROLE x"),
        ("owner", "SELECT rolpassword FROM pg_authid"),
        ("owner", "SELECT pg_read_file('/etc/passwd')"),
    ],
)
def test_what_is_not_a_logins_work_is_denied(stage: Stage, role: str, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        stage.do(role, statement)


def test_a_feed_whose_table_only_the_owner_may_make_is_told_so(stage: Stage) -> None:
    people = [feed for feed in TEST_FEEDS if feed.name == "people"]
    with pytest.raises(SetupError, match="owner was needed; role 'csv_pipeline_engine' may not"):
        stage.as_("engine", people)
    stage.as_("owner", people)
    stage.as_("engine", people)


def test_a_viewer_writes_nothing_even_where_it_could(stage: Stage) -> None:
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        stage.do("viewer", "CREATE TEMPORARY TABLE x (x int)")
