"""Open the database: the embedded server or the one given, at the version the code needs.

Only this module and `embedded` know which server it is. Everyone else gets a `Database` and asks
it for a transaction.
"""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psycopg
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from csv_pipeline.errors import (
    DatabaseUnavailableError,
    PipelineError,
    SetupError,
    UnsupportedDatabaseError,
)
from csv_pipeline.settings import Settings
from csv_pipeline.storage import embedded
from csv_pipeline.storage.confine import change_tables
from csv_pipeline.storage.session import attempt, engine_for, with_settings
from csv_pipeline.storage.tables import SCHEMA

OLDEST_SERVER = 15
OLDEST_CODE = "0030"
"""The newest revision that the release before knows: its code goes on with these state tables.

Migrations after this one only add what that code may leave out.
"""
_MIGRATIONS = Path(__file__).parent / "migrations"
_VERSIONS = f"{SCHEMA}.alembic_version"
_DATA_EXCEPTION = "22"  # the class of SQLSTATE whose messages quote the value
_EXISTS = {"23505", "42P06", "42P07"}  # a unique index of the catalog, a schema, a table
_migrating = threading.Lock()  # Alembic keeps what it works on in a module


@dataclass(frozen=True, slots=True)
class Database:
    """A PostgreSQL server with the state tables in it."""

    engine: sa.Engine

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """Give a transaction that commits at the end of the block.

        Errors of the server lose the values of rows that they quote, on their way out.

        Raises:
            DatabaseUnavailableError: The server does not answer, or stopped answering.
        """
        try:
            with self.engine.begin() as connection:
                yield connection
        except (sa.exc.DBAPIError, psycopg.Error) as error:
            if not _is_silence(error):
                _leave_out_values(error)
                raise
            raise _unavailable(self.engine.url, error) from error


def affected(connection: sa.Connection, statement: sa.Insert | sa.Update | sa.Delete) -> int:
    """Execute a statement and return how many rows the server says it touched."""
    # SQLAlchemy forgets the count of an INSERT unless told not to.
    return connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount


def server_url(settings: Settings) -> sa.URL:
    """Return the address of the server to work on, starting the embedded one if none is given.

    The embedded server is shared by every process that asks for the same `home`; it stops when the
    last of them ends.
    """
    if settings.database_url is not None:
        return _given_url(settings.database_url.get_secret_value())
    return embedded.url(settings.postgres_area)


def leave_database(settings: Settings) -> None:
    """Stop an embedded server that only this process uses; one that is given goes on.

    It is for processes that end without what Python does at their end.
    """
    if settings.database_url is None:
        embedded.leave(settings.postgres_area)


def _given_url(text: str) -> sa.URL:
    """Return an address with its password where none of ours is printed.

    Raises:
        SetupError: It is none.
    """
    try:
        given = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        raise SetupError(
            "CSV_PIPELINE_DATABASE_URL: postgresql://USER:PASSWORD@HOST/DATABASE was needed; it "
            "is no such address"
        ) from None  # which quotes it
    if (found := given.get_backend_name()) not in {"postgresql", "postgres"}:
        raise SetupError(
            f"CSV_PIPELINE_DATABASE_URL: an address of PostgreSQL was needed, postgresql://…; it "
            f"begins with {found}"
        )
    url = given.set(drivername="postgresql+psycopg")
    if "@" in (url.host or ""):
        raise SetupError(
            "CSV_PIPELINE_DATABASE_URL: USER:PASSWORD@HOST with one @ was needed; it has more: "
            "write %40 for one in a password"
        )
    try:
        psycopg.conninfo.make_conninfo("", **dict.fromkeys(url.query, ""))
    except psycopg.ProgrammingError as error:
        raise SetupError(
            f"CSV_PIPELINE_DATABASE_URL: parameters of a connection were needed; {error}"
        ) from None
    password = url.query.get("password")
    if isinstance(password, str):
        url = url.set(password=password).difference_update_query(["password"])
    return url


def schema_url(settings: Settings, schema: str, **parameters: str) -> sa.URL:
    """Return the server's address with this schema, made if it is not there, as the only one seen.

    For programs that keep their own tables beside ours and know nothing of schemas. Further
    `parameters` are the server's, for their connections.
    """
    url = server_url(settings)
    with Database(engine_for(url, poolclass=sa.NullPool)).begin() as connection:
        make_schema(connection, schema)
    return with_settings(url, search_path=schema, **parameters)


@cache
def kept_engine(url: sa.URL) -> sa.Engine:
    """Return an engine without transactions that keeps one connection and opens more on demand.

    A process has one for each address: SQLAlchemy keeps statements of every dialect it has seen.
    """
    return sa.create_engine(
        url, isolation_level="AUTOCOMMIT", pool_size=1, max_overflow=-1, pool_pre_ping=True
    )


def has_table(engine: sa.Engine, name: str) -> bool:
    """Return whether a table is in the schemas that an engine's connections see."""
    with engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.to_regclass(name))) is not None


def open_database(settings: Settings, connections: int = 2) -> Database:
    """Return the database with its state tables up to date; it keeps so many connections open.

    Raises:
        UnsupportedDatabaseError: The server is older than PostgreSQL 15, the database is not UTF-8
            or read-only, or newer state tables are in it than this code knows.
        DatabaseUnavailableError: The server does not answer.
    """
    engine = engine_for(server_url(settings), pool_pre_ping=True, pool_size=connections)
    database = Database(engine)
    try:
        with database.begin() as connection:
            _refuse_old_server(connection)
            _migrate(connection)
    except PipelineError:
        engine.dispose()
        raise
    return database


def make_schema(connection: sa.Connection, schema: str) -> None:
    """Make a schema if there is none; where another process does so, wait for it."""
    if connection.scalar(sa.select(sa.func.to_regnamespace(schema))) is None:
        _make_once(connection, sa.schema.CreateSchema(schema, if_not_exists=True))


def _make_once(connection: sa.Connection, statement: sa.Executable) -> None:
    """Make what others may make at the same moment: IF NOT EXISTS alone fails then."""
    attempt(connection, statement, *_EXISTS)


def _refuse_old_server(connection: sa.Connection) -> None:
    version = int(connection.scalar(sa.text("SHOW server_version_num")) or 0) // 10_000
    if version < OLDEST_SERVER:
        raise UnsupportedDatabaseError(
            f"database {connection.engine.url.render_as_string()}: PostgreSQL {OLDEST_SERVER} or "
            f"newer was needed; the server is PostgreSQL {version}"
        )


@dataclass(frozen=True, slots=True)
class Revisions:
    """The revision of the state tables, the newest that the code knows, and all of those.

    `oldest_code` is the newest revision known to the oldest code that these tables are for.
    """

    found: str | None
    newest: str
    known: frozenset[str]
    oldest_code: str | None

    @property
    def is_newer(self) -> bool:
        """Whether a newer release made the tables."""
        return self.found is not None and self.found not in self.known

    @property
    def suits(self) -> bool:
        """Whether the code can work with the tables as they are."""
        if self.is_newer:
            return self.oldest_code is not None and self.oldest_code <= self.newest
        return self.found == self.newest


def revisions(connection: sa.Connection) -> Revisions:
    """Return what is to be known of the state tables and of the code."""
    scripts = ScriptDirectory(str(_MIGRATIONS))
    known = frozenset(script.revision for script in scripts.walk_revisions())
    said = sa.select(sa.func.obj_description(sa.func.to_regclass(_VERSIONS), "pg_class"))
    return Revisions(
        _revision(connection), str(scripts.get_current_head()), known, connection.scalar(said)
    )


def _migrate(connection: sa.Connection) -> None:
    if revisions(connection).suits:
        return
    _lock_versions(connection)
    its = revisions(connection)
    if its.suits:
        return
    if its.is_newer:
        raise UnsupportedDatabaseError(
            f"database {connection.engine.url.render_as_string()}: state tables up to revision "
            f"{its.newest!r} were needed; found {its.found!r}, made by a newer csv_pipeline"
        )
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    with _migrating:
        change_tables(connection, lambda: command.upgrade(config, "head"))
    connection.execute(sa.text(f"COMMENT ON TABLE {_VERSIONS} IS '{OLDEST_CODE}'"))


def _lock_versions(connection: sa.Connection) -> None:
    """Let no other process migrate, by the table of versions, which no other role can lock."""
    make_schema(connection, SCHEMA)
    options = {"version_table_schema": SCHEMA}
    versions = MigrationContext.configure(connection, opts=options)._version  # noqa: SLF001
    _make_once(connection, sa.schema.CreateTable(versions, if_not_exists=True))
    connection.execute(
        sa.text(f'LOCK TABLE {SCHEMA}."{versions.name}" IN SHARE ROW EXCLUSIVE MODE')
    )


def _revision(connection: sa.Connection) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table_schema": SCHEMA})
    return context.get_current_revision()


def _is_silence(error: Exception) -> bool:
    """Return whether the server failed, rather than the statement; PostgreSQL's Appendix A.

    Without a code no answer came; classes 08 (connection), 40 (rollback), 53 (resources), 55 (not
    in the state for it), 57 (intervention) and 58 (system) may pass by the next time, and so may
    25006, that nothing can be written for now, and 25P03, that a session was idle too long.
    """
    code = getattr(getattr(error, "orig", None) or error, "sqlstate", None)
    if code is None:
        return isinstance(
            error, sa.exc.OperationalError | sa.exc.InterfaceError | psycopg.OperationalError
        )
    return code in {"25006", "25P03"} or code[:2] in {"08", "40", "53", "55", "57", "58"}


def _leave_out_values(error: sa.exc.DBAPIError | psycopg.Error) -> None:
    """Cut an error down to what went wrong: DETAIL and CONTEXT of a server's errors quote rows."""
    cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    if not isinstance(cause, psycopg.Error):
        return
    said = cause.diag.message_primary or type(cause).__name__
    if (cause.sqlstate or "").startswith(_DATA_EXCEPTION):
        said = re.sub(r'".*"', '"•••"', said, flags=re.DOTALL)
    cause.args = (said,)
    if isinstance(error, sa.exc.DBAPIError):
        error.args = (f"({type(cause).__name__}) {said}", *error.args[1:])


def _unavailable(url: sa.URL, error: Exception) -> DatabaseUnavailableError:
    cause = getattr(error, "orig", None) or error
    return DatabaseUnavailableError(
        f"database {url.render_as_string()}: an answer was needed; {str(cause).strip()}"
    )
