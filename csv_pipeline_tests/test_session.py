"""What is stored hangs on no setting that a role, a database or the environment brings along."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from csv_pipeline.engine.pipeline import Pipeline, open_pipeline
from csv_pipeline.errors import DatabaseUnavailableError, UnsupportedDatabaseError
from csv_pipeline.model import Outcome
from csv_pipeline.settings import Settings
from csv_pipeline.storage import accounts
from csv_pipeline.storage.database import Database, open_database, schema_url, server_url
from csv_pipeline.storage.session import SETTINGS, engine_for
from csv_pipeline_tests.conftest import Desk
from csv_pipeline_tests.feeds import TEST_FEEDS

PEOPLE = "ID,Name,Amount,Born\n1,Ärja \\ Öst,1.50,2001-02-03\n2,Čáslav 日本,1.00,2003-02-01\n"
STORED = [("1", "Ärja \\ Öst"), ("2", "Čáslav 日本")]
HOSTILE = {
    "client_encoding": "LATIN1",
    "search_path": "pg_catalog",
    "default_transaction_isolation": "serializable",
    "statement_timeout": "1s",
    "lock_timeout": "5ms",
    "idle_in_transaction_session_timeout": "5ms",
    "standard_conforming_strings": "off",
    "array_nulls": "off",
    "transform_null_equals": "on",
    "timezone": "Asia/Kathmandu",
    "datestyle": "SQL, DMY",
    "intervalstyle": "sql_standard",
    "extra_float_digits": "-15",
    "bytea_output": "escape",
    "default_transaction_deferrable": "on",
}


@contextmanager
def database(pipeline: Pipeline, how: str = "") -> Iterator[sa.URL]:
    """Give the address of a role of its own on a database of its own, made so."""
    name = f"session_{uuid.uuid4().hex[:8]}"
    server = pipeline.database.engine.execution_options(isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(sa.text(f"CREATE ROLE {name} LOGIN PASSWORD '{name}'"))
        connection.execute(sa.text(f"CREATE DATABASE {name} OWNER {name} {how}"))
    try:
        yield server.url.set(username=name, password=name, database=name)
    finally:
        with server.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
            connection.execute(sa.text(f"DROP ROLE {name}"))


def settings_of(url: sa.URL, home: Path) -> Settings:
    address = url.render_as_string(hide_password=False)
    return Settings(home=home, database_url=address, settle_seconds=0)


def set_for(pipeline: Pipeline, what: str, facts: dict[str, str]) -> None:
    with pipeline.database.begin() as connection:
        for name, value in facts.items():
            quoted = "pg_catalog" if name == "search_path" else f"'{value}'"
            connection.execute(sa.text(f"ALTER {what} SET {name} = {quoted}"))


def assert_imports_as_ever(url: sa.URL, folder: Path) -> None:
    opened = open_pipeline(settings_of(url, folder / "home"), TEST_FEEDS)
    try:
        desk = Desk(opened, "acme", folder)
        report = desk.bring(PEOPLE)
        assert (report.outcome, report.counts.inserted) == (Outcome.IMPORTED, 2)
        assert desk.rows(columns="person_id, name") == STORED
        assert desk.bring(PEOPLE.replace("1.50", "2.50")).counts.updated == 1
        opened.undo(report.import_id)
        with opened.database.begin() as connection:
            found = {name: connection.scalar(sa.text(f"SHOW {name}")) for name in SETTINGS}
        assert found == {**SETTINGS, "timezone": "UTC"}
    finally:
        opened.close()


@pytest.mark.parametrize("by", ["ROLE", "DATABASE"])
def test_settings_of_a_role_or_a_database_change_nothing(
    pipeline: Pipeline, tmp_path: Path, by: str
) -> None:
    assert HOSTILE.keys() == SETTINGS.keys()
    with database(pipeline) as url:
        set_for(pipeline, f"{by} {url.database}", HOSTILE)
        assert_imports_as_ever(url, tmp_path)


def test_settings_of_the_environment_change_nothing(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = {name: value.replace(" ", "\\ ") for name, value in HOSTILE.items()}
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    monkeypatch.setenv("PGTZ", "Asia/Kathmandu")
    monkeypatch.setenv("PGDATESTYLE", "SQL, DMY")
    monkeypatch.setenv("PGOPTIONS", " ".join(f"-c {n}={v}" for n, v in hostile.items()))
    with database(pipeline) as url:
        assert_imports_as_ever(url, tmp_path)


def test_settings_of_a_service_file_change_nothing(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = tmp_path / "services.conf"
    service.write_text("[other]\nclient_encoding=LATIN1\noptions=-c datestyle=SQL,DMY\n")
    monkeypatch.setenv("PGSERVICEFILE", str(service))
    monkeypatch.setenv("PGSERVICE", "other")
    with database(pipeline) as url:
        assert_imports_as_ever(url, tmp_path)


def test_an_encoding_in_the_address_changes_nothing(pipeline: Pipeline, tmp_path: Path) -> None:
    with database(pipeline) as url:
        assert_imports_as_ever(url.update_query_dict({"client_encoding": "LATIN1"}), tmp_path)


def test_dagsters_connections_have_the_same_settings_but_a_schema_of_their_own(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    with database(pipeline) as url:
        set_for(pipeline, f"ROLE {url.database}", HOSTILE)
        theirs = sa.create_engine(
            schema_url(settings_of(url, tmp_path), "dagster").set(drivername="postgresql+psycopg2"),
            poolclass=sa.NullPool,
        )
        with theirs.connect() as connection:
            found = {name: connection.scalar(sa.text(f"SHOW {name}")) for name in SETTINGS}
    assert found == {**SETTINGS, "search_path": "dagster"}


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII", "EUC_JP"])
def test_a_database_that_cannot_hold_every_letter_is_refused(
    pipeline: Pipeline, tmp_path: Path, encoding: str
) -> None:
    how = (
        f"ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C' LOCALE_PROVIDER libc"
    )
    with database(pipeline, how) as url:
        needed = f"encoding UTF8 was needed, which holds every letter; the database has {encoding}"
        with pytest.raises(UnsupportedDatabaseError, match=needed) as refused:
            open_pipeline(settings_of(url, tmp_path), TEST_FEEDS)
        assert f":{url.password}@" not in str(refused.value)
        with pytest.raises(UnsupportedDatabaseError, match=needed):
            schema_url(settings_of(url, tmp_path), "dagster")


@pytest.mark.parametrize("by", ["ROLE", "DATABASE"])
def test_a_read_only_database_is_refused(pipeline: Pipeline, tmp_path: Path, by: str) -> None:
    with database(pipeline) as url:
        set_for(pipeline, f"{by} {url.database}", {"default_transaction_read_only": "on"})
        with pytest.raises(UnsupportedDatabaseError, match="rows can be written to was needed; it"):
            open_database(settings_of(url, tmp_path))


def test_a_database_that_becomes_read_only_may_be_back_later(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    with database(pipeline) as url:
        opened = open_database(settings_of(url, tmp_path))
        switch = sa.text("SET default_transaction_read_only = on")
        with opened.begin() as connection:
            connection.execute(switch)
        with pytest.raises(DatabaseUnavailableError, match="read-only"):
            ledger_entry(opened)
        opened.engine.dispose()


def ledger_entry(database: Database) -> None:
    with database.begin() as connection:
        accounts.add(connection, "acme")


def test_a_commit_waits_until_it_is_on_disk(pipeline: Pipeline) -> None:
    with database(pipeline) as url:
        set_for(pipeline, f"ROLE {url.database}", {"synchronous_commit": "off"})
        engine = engine_for(url, poolclass=sa.NullPool)
        with engine.connect() as connection:
            assert connection.scalar(sa.text("SHOW synchronous_commit")) == "on"


def test_the_embedded_server_is_found_whatever_the_environment_says_of_another(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    if pipeline.settings.database_url is not None:
        pytest.skip("the tests work on another server")
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGHOSTADDR", "192.0.2.1")
    monkeypatch.setenv("PGCHANNELBINDING", "require")
    monkeypatch.setenv("PGTARGETSESSIONATTRS", "read-only")
    engine = engine_for(server_url(pipeline.settings), poolclass=sa.NullPool)
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT 1")) == 1
