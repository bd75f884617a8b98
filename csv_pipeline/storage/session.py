"""Give every database session the pipeline's own settings, so that no other decides what is stored.

A role, a database, a service file and the `PG*` variables of the environment can each change how
text is encoded, how a date is read, when a statement is cut off. So each new connection is given
the pipeline's own settings before its first statement, and is refused where no setting helps: on a
database that is not UTF-8, or where nothing can be written.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import psycopg
import sqlalchemy as sa

from csv_pipeline.errors import UnsupportedDatabaseError

ENCODING = "UTF8"
SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        # First, so that none of them cuts off the others.
        "statement_timeout": "0",
        "lock_timeout": "0",
        "idle_in_transaction_session_timeout": "0",
        "client_encoding": ENCODING,
        "search_path": "public",
        "default_transaction_isolation": "read committed",
        "default_transaction_deferrable": "off",
        "standard_conforming_strings": "on",
        "array_nulls": "on",
        "transform_null_equals": "off",
        "timezone": "UTC",
        "datestyle": "ISO, MDY",
        "intervalstyle": "postgres",
        "extra_float_digits": "1",
        "bytea_output": "hex",
    }
)
"""Settings of PostgreSQL, by name; all may be set by anyone."""

DENIED = "42501"
"""The SQLSTATE of what a role may not do."""

_SINCE_17 = "SET transaction_timeout = '0';"
_SET = "".join(f"SET {name} = '{value}';" for name, value in SETTINGS.items())
# A commit that is lost in a crash of the server would cost a file that was archived since.
_DURABLE = (
    "SELECT set_config('synchronous_commit', 'on', false) "
    "WHERE current_setting('synchronous_commit') = 'off';"
)
_ASK = (
    "SELECT current_setting('server_encoding'), pg_is_in_recovery(), "
    "current_setting('default_transaction_read_only') = 'on'"
)


def engine_for(url: sa.URL, **how: Any) -> sa.Engine:
    """Return an engine whose connections all have the pipeline's settings; see `SETTINGS`.

    Its connections raise `UnsupportedDatabaseError` on a database that cannot hold what is stored.
    """
    engine = sa.create_engine(url, hide_parameters=True, **how)
    ours = {"client_encoding": ENCODING}
    if str(url.query.get("host", "")).startswith("/"):
        ours["hostaddr"] = ""  # a socket has none, whatever PGHOSTADDR says

    def connect(dialect: Any, _: Any, place: list[Any], facts: dict[str, Any]) -> Any:
        connection = dialect.connect(*place, **facts | ours)
        try:
            _settle(connection, url.render_as_string())
        except BaseException:
            connection.close()
            raise
        return connection

    sa.event.listen(engine, "do_connect", connect)
    return engine


def attempt(connection: sa.Connection, statement: sa.Executable, *codes: str) -> str | None:
    """Execute a statement, and return the SQLSTATE if the server refuses it with one of these.

    What the transaction did before stays.
    """
    try:
        with connection.begin_nested():
            connection.execute(statement)
    except sa.exc.DBAPIError as error:
        if (code := sqlstate(error)) in codes:
            return code
        raise
    return None


def sqlstate(error: sa.exc.DBAPIError) -> str | None:
    """Return the code of what the server did not like, if it said one."""
    return getattr(error.orig, "sqlstate", None)


def with_settings(url: sa.URL, **others: str) -> sa.URL:
    """Return the address for a program that opens connections of its own, with the settings in it.

    `others` come besides, or instead.
    """
    settings = {**SETTINGS, **others}
    said = " ".join(f"-c{name}={_escaped(value)}" for name, value in settings.items())
    return url.update_query_dict({"options": said, "client_encoding": ENCODING})


def _settle(connection: psycopg.Connection, where: str) -> None:
    connection.autocommit = True
    newer = _SINCE_17 if connection.info.server_version >= 17_00_00 else ""
    cursor = connection.execute(f"{newer}{_SET}{_DURABLE}{_ASK}".encode())
    while cursor.nextset():
        pass
    encoding, standby, read_only = cursor.fetchone() or ("nothing", False, False)
    connection.autocommit = False
    if encoding != ENCODING:
        raise UnsupportedDatabaseError(
            f"database {where}: the encoding {ENCODING} was needed, which holds every letter; the "
            f"database has {encoding}. Make one by CREATE DATABASE … ENCODING '{ENCODING}' "
            "TEMPLATE template0"
        )
    if standby or read_only:
        found = (
            "the server is a standby, which only reads"
            if standby
            else "it is read-only, by the setting default_transaction_read_only of the role, the "
            "database or the server"
        )
        raise UnsupportedDatabaseError(
            f"database {where}: one that rows can be written to was needed; {found}"
        )


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
