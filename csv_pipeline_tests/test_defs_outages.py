"""What Dagster says of a database or a code server that is away is a line."""

import logging
import sys
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from dagster._core.errors import DagsterUserCodeProcessError, DagsterUserCodeUnreachableError
from dagster._daemon.utils import DaemonErrorCapture
from dagster._utils.error import serializable_error_info_from_exc_info
from dagster_shared.error import SerializableErrorInfo

from csv_pipeline.defs import outages
from csv_pipeline.defs.outages import OneLine, say_in_one_line
from csv_pipeline.errors import DatabaseUnavailableError


@pytest.fixture(autouse=True)
def in_one_line(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    kept = DaemonErrorCapture.process_exception
    monkeypatch.setattr(DaemonErrorCapture, "process_exception", kept)
    said = OneLine()
    monkeypatch.setattr(outages, "_SAID", said)
    say_in_one_line()
    yield
    for name in ("", "dagster"):
        logging.getLogger(name).removeFilter(said)


def test_a_database_that_is_away_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        logging.warning("Retrying failed database connection: %s", "refused\n\tIs it running?")  # noqa: LOG015  # as dagster-postgres does
    logging.warning("something else")  # noqa: LOG015
    assert caplog.messages == [
        "the database does not answer; it is asked again", "something else",
    ]  # fmt: skip


def test_code_that_is_away_is_a_line_and_code_that_is_wrong_is_told_whole(
    caplog: pytest.LogCaptureFixture,
) -> None:
    said = "context.py:1174: UserWarning: Error loading repository location here:"
    logger = logging.getLogger("dagster")
    logger.warning("%s%s: Could not reach\n  File", said, DagsterUserCodeUnreachableError.__name__)
    logger.warning("%sSyntaxError: in feeds.py\n  File", said)
    assert caplog.messages == [
        "the code server does not answer; it is asked again",
        f"{said}SyntaxError: in feeds.py\n  File",
    ]


def caught(error: Exception) -> SerializableErrorInfo:
    """Let a daemon catch an error in a tick, and return what the tick keeps."""
    try:
        raise error
    except type(error):
        return DaemonErrorCapture.process_exception(
            sys.exc_info(), logging.getLogger("dagster.daemon"), "Sensor tick caught an error"
        )


def test_ticks_without_code_log_one_line_and_keep_the_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kept = [caught(DagsterUserCodeUnreachableError("away")) for _ in range(3)]
    assert [(r.getMessage(), r.exc_info) for r in caplog.records] == [
        ("the code server does not answer; it is asked again", None)
    ]
    assert all(one.cls_name == "DagsterUserCodeUnreachableError" and one.stack for one in kept)


def test_a_daemon_whose_connection_is_gone_logs_one_line_and_no_other_fault_of_a_statement(
    caplog: pytest.LogCaptureFixture,
) -> None:
    for gone in (True, True, False):
        caught(sa.exc.OperationalError("SELECT 1", {}, Exception(), connection_invalidated=gone))
    assert [(r.getMessage().partition("\n")[0], r.exc_info is None) for r in caplog.records] == [
        ("the database does not answer; it is asked again", True),
        ("Sensor tick caught an error", False),
    ]


def test_a_tick_whose_code_finds_no_database_logs_one_line_and_keeps_the_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def told(error: Exception) -> DagsterUserCodeProcessError:
        try:
            raise ValueError("in the sensor") from error  # noqa: TRY301
        except ValueError:
            info = serializable_error_info_from_exc_info(sys.exc_info())
        return DagsterUserCodeProcessError(  # type: ignore[no-untyped-call]
            "", user_code_process_error_infos=[info]
        )

    kept = [caught(told(DatabaseUnavailableError("refused"))) for _ in range(3)]
    assert [(r.getMessage(), r.exc_info) for r in caplog.records] == [
        ("the database does not answer; it is asked again", None)
    ]
    assert all("refused" in one.to_string() for one in kept)
    caught(told(ZeroDivisionError("a bug")))
    assert caplog.records[-1].exc_info is not None


def test_any_other_error_of_a_tick_is_logged_whole(caplog: pytest.LogCaptureFixture) -> None:
    caught(ZeroDivisionError("a bug"))
    (record,) = caplog.records
    assert record.exc_info is not None
