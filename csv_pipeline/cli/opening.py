"""What a command works with: the settings, and the pipeline of all feeds."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import ValidationError

from csv_pipeline.cli.terminal import note
from csv_pipeline.engine.logs import write_commands_log
from csv_pipeline.errors import SetupError
from csv_pipeline.feeds.sources import all_feeds
from csv_pipeline.settings import Settings, settings
from csv_pipeline.spec.feed import Feed, feed_named, parted

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from csv_pipeline.engine.pipeline import Pipeline
    from csv_pipeline.storage.database import Database

_NO_SECRETS = ("int_", "float_", "bool_", "greater_", "less_", "enum", "literal_")
"""Faults of values that are short and public: numbers and words."""


def pipeline(connections: int = 2) -> "Pipeline":
    """Open the pipeline of all feeds, which keeps so many connections open."""
    from csv_pipeline.engine.live_progress import watched
    from csv_pipeline.engine.pipeline import open_pipeline

    found = settings_found()
    _note_new_home(found)
    return watched(open_pipeline(found, all_feeds(found), connections=connections))


@contextmanager
def database() -> "Iterator[Database]":
    """Give the database without holding its tables to the feeds."""
    from csv_pipeline.storage.database import open_database

    opened = open_database(settings_found())
    try:
        yield opened
    finally:
        opened.engine.dispose()


def feed(name: str) -> Feed:
    """Return the feed of this name."""
    feeds, broken = parted(all_feeds(settings_found()))
    return feed_named({one.name: one for one in feeds}, name, broken)


def _note_new_home(settings: Settings) -> None:
    """Say so if a database is made here: it may be another folder's that was meant."""
    if settings.database_url is None and not settings.postgres_area.exists():
        note(
            f"A new, empty database is made in {settings.postgres_area}. "
            "CSV_PIPELINE_HOME names the folder to work in, wherever you are."
        )


def _told(fault: "ErrorDetails") -> str:
    """Return what a variable is to be, and what it is unless that may be a secret."""
    variable = "_".join(("CSV_PIPELINE", *map(str, fault["loc"]))).upper()
    name = f"{variable}: " if fault["loc"] else ""
    found = f"; found {fault['input']!r}" if fault["type"].startswith(_NO_SECRETS) else ""
    return f"{name}{fault['msg'].removeprefix('Value error, ')}{found}"


def settings_found() -> Settings:
    """Return the settings.

    Raises:
        SetupError: A variable of the environment is wrong.
    """
    write_commands_log()
    try:
        found = settings()
    except ValidationError as error:
        faults = "; ".join(map(_told, error.errors()))
        raise SetupError(f"settings: {faults}") from error
    write_commands_log(found.log_format)
    return found
