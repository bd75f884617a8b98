"""Say in a line that the database or the code server is away: Dagster says it in pages.

Both are asked again until they answer, by each thread of each process, every moment. Ours that
starts them again says so, too.
"""

import logging
import time

from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._daemon.utils import DaemonErrorCapture
from dagster._utils.error import ExceptionInfo, serializable_error_info_from_exc_info
from dagster_shared.error import SerializableErrorInfo

from csv_pipeline.errors import DatabaseUnavailableError

_DATABASE = "Retrying failed database connection"
_CODE = "Error loading repository location"
_AWAY = DagsterUserCodeUnreachableError.__name__
_SENTENCE = "the {} does not answer; it is asked again"
_QUIET_SECONDS = 30.0


class OneLine(logging.Filter):
    """Shorten what is said of an outage, and leave out what says it again within 30 seconds.

    Code that cannot be loaded is no outage: its error stays whole.
    """

    def __init__(self) -> None:
        super().__init__()
        self.said_at: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is to be written; it may be shorter then."""
        text = record.getMessage()
        if text.startswith(_DATABASE):
            away = "database"
        elif _CODE in text and _AWAY in text:
            away = "code server"
        else:
            return True
        record.msg, record.args = _SENTENCE.format(away), ()
        return self.is_new(away)

    def is_new(self, away: str) -> bool:
        """Return whether it was not said within 30 seconds, and note that it is now."""
        now = time.monotonic()
        if now - self.said_at.get(away, -_QUIET_SECONDS) < _QUIET_SECONDS:
            return False
        self.said_at[away] = now
        return True


_SAID = OneLine()


def say_in_one_line() -> None:
    """Do so in this process from now on."""
    for name in ("", "dagster"):
        logging.getLogger(name).addFilter(_SAID)
    DaemonErrorCapture.process_exception = staticmethod(_process)


def _process(
    exc_info: ExceptionInfo, logger: logging.Logger, log_message: str
) -> SerializableErrorInfo:
    """Log what a daemon caught, and return it as its tick keeps it: whole."""
    away = _away(exc_info[1])
    if away is None:
        return DaemonErrorCapture.default_process_exception(exc_info, logger, log_message)
    if _SAID.is_new(away):
        logger.error(_SENTENCE.format(away))
    return serializable_error_info_from_exc_info(exc_info)


def _away(error: BaseException | None) -> str | None:
    """Return what is away, if that is the error, be it one of this process or of the code's."""
    if isinstance(error, DagsterUserCodeUnreachableError):
        return "code server"
    told = getattr(error, "user_code_process_error_infos", ())  # by the process with the code
    gone = getattr(error, "connection_invalidated", False)  # SQLAlchemy says so of its errors
    return "database" if gone or any(map(_is_of_database, told)) else None


def _is_of_database(told: SerializableErrorInfo | None) -> bool:
    while told is not None and told.cls_name != DatabaseUnavailableError.__name__:
        told = told.cause
    return told is not None
