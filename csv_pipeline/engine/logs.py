"""How the log is written: lines for a person, or JSON for a program that collects it."""

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import structlog
from structlog.tracebacks import ExceptionDictTransformer

from csv_pipeline.model import Claim
from csv_pipeline.settings import LogFormat


def write_log(level: int, form: LogFormat | None) -> None:
    """Write what is at least of this level to stderr; a terminal has lines, if no form is named.

    Variables of a traceback are left out: they hold passwords and rows.
    """
    form = form_here(form)
    as_json = (
        structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False)),
        structlog.processors.JSONRenderer(default=str, ensure_ascii=False),
    )
    as_lines = (
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        ),
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *(as_json if form is LogFormat.JSON else as_lines),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


def form_here(form: LogFormat | None) -> LogFormat:
    """Return the form that is named, or else lines if a terminal shows them and JSON if not."""
    return form or (LogFormat.CONSOLE if sys.stderr.isatty() else LogFormat.JSON)


def is_said() -> bool:
    """Return whether somebody has said how the log is written.

    What Dagster's commands say of it is for their own lines: ours would be dicts.
    """
    its, as_set = structlog.get_config(), structlog.make_filtering_bound_logger(0)
    wraps = its["processors"][-1] is structlog.stdlib.ProcessorFormatter.wrap_for_formatter
    return structlog.is_configured() and not (wraps and its["wrapper_class"] is as_set)


def write_commands_log(form: LogFormat | None = None) -> None:
    """Keep a command's log off stdout and out of its tables: warnings, as lines on stderr."""
    write_log(logging.WARNING, form or LogFormat.CONSOLE)


@contextmanager
def about(claims: Sequence[Claim]) -> Iterator[None]:
    """Let every line of the log say which files of which account, feed and run it is about."""
    first = claims[0]
    facts: dict[str, Any] = {"account": first.account, "feed": first.feed}
    if first.run_id is not None:
        facts["run_id"] = first.run_id
    if len(claims) == 1:
        facts["import_id"] = first.import_id
    with structlog.contextvars.bound_contextvars(**facts):
        yield
