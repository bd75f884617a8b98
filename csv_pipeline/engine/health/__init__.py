"""Whether everything that imports need is there, one check for each thing that can be missing.

Nothing is made or changed: a database is neither migrated nor created, no folder is made.
"""

from collections.abc import Iterable

import sqlalchemy as sa

from csv_pipeline.engine.health import dagster, ledger, machine, places
from csv_pipeline.engine.health.check import Check, Verdict
from csv_pipeline.errors import DatabaseUnavailableError, PipelineError
from csv_pipeline.settings import Settings
from csv_pipeline.spec.feed import BrokenFeed, Feed
from csv_pipeline.storage.database import Database, server_url
from csv_pipeline.storage.session import engine_for

__all__ = ["Check", "Verdict", "examine"]


def examine(settings: Settings, feeds: Iterable[Feed | BrokenFeed]) -> list[Check]:
    """Return every check; those that the database would have to answer only if it does."""
    return [
        machine.versions(),
        machine.disk(settings),
        machine.watches(settings),
        *places.areas(settings),
        *_of_database(settings, list(feeds)),
    ]


def _of_database(settings: Settings, feeds: list[Feed | BrokenFeed]) -> list[Check]:
    needed = "a database that answers"
    if settings.database_url is None and not settings.postgres_area.exists():
        found = f"none yet: {settings.postgres_area} is not there"
        repair = "csv-pipeline dev makes it; CSV_PIPELINE_HOME or CSV_PIPELINE_DATABASE_URL name it"
        return [Check.failed("database", needed, found, repair)]
    try:
        engine = engine_for(server_url(settings), poolclass=sa.NullPool)
        with Database(engine).begin() as connection:
            return [*ledger.checks(connection, feeds), *dagster.checks(connection, settings)]
    except DatabaseUnavailableError as error:
        repair = "start the server, or correct CSV_PIPELINE_DATABASE_URL"
        return [Check.failed("database", needed, str(error), repair)]
    except PipelineError as error:
        return [Check.failed("database", needed, str(error), "name another database")]
