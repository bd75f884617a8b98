"""The log says which file a line is about, and nobody's password."""

import json
import logging
import logging.config
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import structlog
from dagster._utils.log import configure_loggers
from pydantic import ValidationError

from csv_pipeline.cli import dev
from csv_pipeline.engine.logs import about, is_said, write_commands_log, write_log
from csv_pipeline.errors import PipelineError, SetupError
from csv_pipeline.settings import LogFormat, Settings, settings
from csv_pipeline.storage.database import open_database, schema_url, server_url
from csv_pipeline_tests.conftest import Desk, ingest
from csv_pipeline_tests.test_defs_instance import given_server, instance

__all__ = ["given_server"]
SECRET = "geheim"  # noqa: S105  # what no text may hold


@pytest.fixture(autouse=True)
def _the_log_as_it_was() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def test_a_line_of_json_says_which_file_account_feed_and_run_it_is_about(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    write_log(logging.INFO, LogFormat.JSON)
    claim = desk.claimed("ID,Name\n1,Ann\n", run_id="a-run").claim
    ingest(desk.pipeline, claim)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    (finished,) = [line for line in lines if line["event"] == "import finished"]
    assert finished["level"] == "info"
    assert finished["timestamp"].endswith("Z")
    assert {name: finished[name] for name in ("account", "feed", "run_id", "import_id")} == {
        "account": desk.account,
        "feed": "people",
        "run_id": "a-run",
        "import_id": claim.import_id,
    }


def test_what_dagster_says_of_its_log_is_not_for_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.config, "dictConfig", lambda _: None)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    structlog.reset_defaults()
    configure_loggers()
    assert (structlog.is_configured(), is_said()) == (True, False)
    structlog.configure(wrapper_class=structlog.stdlib.BoundLogger)  # as somebody's own code does
    assert is_said()
    write_log(logging.INFO, LogFormat.JSON)
    assert is_said()


def test_a_line_that_knows_nothing_of_files_says_which_they_are(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    write_log(logging.INFO, LogFormat.JSON)
    claim = desk.claimed("ID,Name\n1,Ann\n").claim
    with about([claim]):
        structlog.get_logger().warning("something", because="it is so")
    structlog.get_logger().warning("something else")
    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert (first["account"], first["import_id"]) == (desk.account, claim.import_id)
    assert "account" not in second


def test_an_error_in_json_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    write_log(logging.INFO, LogFormat.JSON)
    structlog.get_logger().error("it broke", exc_info=ValueError("two\nlines"))
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["exception"][0]["exc_value"] == "two\nlines"


def test_what_is_no_terminal_has_json_unless_it_is_a_commands(
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_log(logging.INFO, None)
    structlog.get_logger().warning("one")
    write_commands_log()
    structlog.get_logger().warning("two")
    structlog.get_logger().info("three")
    write_commands_log(LogFormat.JSON)
    structlog.get_logger().warning("four")
    first, second, third = capsys.readouterr().err.splitlines()
    assert json.loads(first)["event"] == "one"
    assert "two" in second
    assert not second.startswith("{")
    assert json.loads(third)["event"] == "four"


ADDRESSES = [
    f"postgresql://me:{SECRET}@127.0.0.1:9/x",
    f"postgresql://me@127.0.0.1:9/x?password={SECRET}",
    f"postgresql://me:{SECRET}@127.0.0.1:port/x",
    f"postgresql://me:one@{SECRET}@127.0.0.1:9/x",
    f"postgresql://me@127.0.0.1:9/x?passwort={SECRET}",
    f"{SECRET} is no address",
    f"host=127.0.0.1 port=9 user=me password={SECRET}",
]


@pytest.mark.parametrize("form", LogFormat)
@pytest.mark.parametrize("url", ADDRESSES)
def test_an_error_of_the_database_keeps_its_password(
    url: str, form: LogFormat, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_log(logging.DEBUG, form)
    given = Settings(home=tmp_path, database_url=url)
    for ask in (open_database, lambda found: schema_url(found, "dagster")):
        with pytest.raises(PipelineError) as raised:
            ask(given)
        structlog.get_logger().error("not now", exc_info=raised.value)
        assert SECRET not in str(raised.value)
        assert SECRET not in repr(raised.value.__cause__)
    assert SECRET not in capsys.readouterr().err


def test_a_password_among_the_parameters_is_one_like_any_other(tmp_path: Path) -> None:
    given = Settings(home=tmp_path, database_url=f"postgresql://me@h/x?password={SECRET}")
    assert server_url(given).password == SECRET
    assert SECRET not in server_url(given).render_as_string()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql://me:one@two@127.0.0.1:9/x", "write %40 for one in a password"),
        ("postgresql://me@127.0.0.1:9/x?passwort=a", 'invalid connection option "passwort"'),
        ("mysql://me:one@127.0.0.1:9/x", "PostgreSQL was needed, postgresql://…; it begins with m"),
    ],
)
def test_an_address_that_is_written_wrongly_says_what_is_wrong(
    url: str, why: str, tmp_path: Path
) -> None:
    with pytest.raises(SetupError, match=why):
        server_url(Settings(home=tmp_path, database_url=url))


def test_settings_do_not_show_their_secrets(tmp_path: Path) -> None:
    given = Settings(home=tmp_path, database_url=f"postgresql://me:{SECRET}@h/x")
    for shown in (repr(given), str(given), given.model_dump_json(), repr(given.model_dump())):
        assert SECRET not in shown


def test_settings_that_are_wrong_do_not_quote_the_others(tmp_path: Path) -> None:
    with pytest.raises(ValidationError) as raised:
        Settings(
            database_url=f"postgresql://{SECRET}@h/x",
            landing=tmp_path,
            archive_folder=tmp_path / "archive",
        )
    assert SECRET not in str(raised.value)
    assert SECRET not in repr(raised.value)


def test_an_address_that_is_none_says_what_one_is(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="postgresql://USER:PASSWORD@HOST/DATABASE was needed"):
        open_database(Settings(home=tmp_path, database_url="nothing"))


@pytest.mark.usefixtures("given_server")
def test_dagsters_instance_does_not_show_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    with instance() as opened:
        url = server_url(settings())
        password = url.render_as_string(hide_password=False)
        assert password not in opened.info_str()
        assert password not in repr(opened.storage_directory())
        assert isinstance(opened, dg.DagsterInstance)


@pytest.mark.parametrize(("terminal", "form"), [(True, "console"), (False, "json")])
def test_what_dev_starts_logs_in_the_form_of_the_terminal_of_dev(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, terminal: bool, form: str
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    assert dev._environment(Settings(home=tmp_path), tmp_path)["CSV_PIPELINE_LOG_FORMAT"] == form  # noqa: SLF001
    named = Settings(home=tmp_path, log_format=LogFormat.JSON)
    assert dev._environment(named, tmp_path)["CSV_PIPELINE_LOG_FORMAT"] == "json"  # noqa: SLF001
