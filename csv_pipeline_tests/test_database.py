"""The database is opened at the version the code needs, or refused in plain words."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.dialects.postgresql.base import ischema_names

from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.errors import DatabaseUnavailableError, SetupError, UnsupportedDatabaseError
from csv_pipeline.settings import Settings
from csv_pipeline.spec.contract import column
from csv_pipeline.spec.feed import Feed
from csv_pipeline.storage import api_tables, tables, targets
from csv_pipeline.storage import database as module
from csv_pipeline.storage.database import open_database, revisions
from csv_pipeline_tests.conftest import Desk
from csv_pipeline_tests.feeds import Version


def test_the_migrations_make_the_tables_that_the_code_knows(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ischema_names, "regrole", tables.Role)  # SQLAlchemy cannot read it back
    options = {"include_schemas": True, "include_name": lambda name, kind, _: _ours(name, kind)}
    with pipeline.database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        differences = compare_metadata(context, api_tables.metadata)
    assert differences == []


def _ours(name: str | None, kind: str) -> bool:
    return name == tables.SCHEMA if kind == "schema" else name != "alembic_version"


def test_an_older_server_is_refused(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OLDEST_SERVER", 99)
    with pytest.raises(UnsupportedDatabaseError, match="PostgreSQL 99 or newer was needed; the"):
        open_database(pipeline.settings)


def test_a_server_that_does_not_answer_is_told_apart(tmp_path: Path) -> None:
    url = "postgresql://nobody:geheim@127.0.0.1:9/nothing"
    with pytest.raises(DatabaseUnavailableError) as raised:
        open_database(Settings(home=tmp_path, database_url=url))
    assert "geheim" not in str(raised.value)


@pytest.fixture
def of_a_newer_release(pipeline: Pipeline) -> Iterator[Callable[[str], None]]:
    """Say that a newer release made the state tables, and which code they are for."""
    number = "UPDATE csv_pipeline.alembic_version SET version_num = :revision"

    def say(revision: str | None, oldest_code: str) -> None:
        code = f"COMMENT ON TABLE csv_pipeline.alembic_version IS '{oldest_code}'"
        with pipeline.database.begin() as connection:
            connection.execute(sa.text(number), {"revision": revision})
            connection.execute(sa.text(code))

    with pipeline.database.begin() as connection:
        newest = revisions(connection).newest
    yield lambda oldest_code: say("9999", oldest_code)
    say(newest, module.OLDEST_CODE)


def test_state_tables_of_a_newer_release_are_refused(
    pipeline: Pipeline, of_a_newer_release: Callable[[str], None]
) -> None:
    of_a_newer_release("9998")
    with pytest.raises(UnsupportedDatabaseError, match="made by a newer csv_pipeline"):
        open_database(pipeline.settings)


def test_state_tables_of_the_next_release_are_worked_with(
    desk: Desk, of_a_newer_release: Callable[[str], None]
) -> None:
    with desk.pipeline.database.begin() as connection:
        of_a_newer_release(revisions(connection).newest)
    open_database(desk.pipeline.settings).engine.dispose()
    with desk.pipeline.database.begin() as connection:
        assert revisions(connection).found == "9999"  # left as they are


def test_a_column_that_a_contract_gains_is_added(pipeline: Pipeline) -> None:
    small = Feed(name="growing", description="", contract=Version, key=("key",))
    large = Feed(name="growing", description="", contract=Wider, key=("key",))
    targets.ensure_targets(pipeline.database, [small])
    targets.ensure_targets(pipeline.database, [large])
    with pipeline.database.begin() as connection:
        assert connection.scalar(sa.text("SELECT count(note) FROM data.growing")) == 0


def test_a_column_whose_type_changed_is_refused(pipeline: Pipeline) -> None:
    before = Feed(name="changing", description="", contract=Version, key=("key",))
    after = Feed(name="changing", description="", contract=Changed, key=("key",))
    targets.ensure_targets(pipeline.database, [before])
    with pipeline.database.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO data.changing (account, _import_id, _created_import_id, _row_number, "
            "_updated_at, key) VALUES ('acme', 1, 1, 1, now(), 'a')"
        )
    with pytest.raises(SetupError, match=r"column version: type text was needed.*have bigint"):
        targets.ensure_targets(pipeline.database, [after])


class Wider(Version):
    """`Version` with a column more."""

    note: str = column("Note", nullable=True)


class Changed(Version):
    """`Version` with text where it had a number."""

    version: str = column("Version", nullable=True)  # type: ignore[assignment]
