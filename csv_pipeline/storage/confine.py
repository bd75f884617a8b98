"""Revoke rights by which a bound login could block others; reading needs none of them.

PostgreSQL gives every role some rights by PUBLIC, and only there can they be taken: to make
temporary tables and large objects, which fill the disk, and on servers that were upgraded from
before 15 to make objects in the schema `public`. A login may also take up all connections, and its
open transaction keeps tables that it looked at from being changed.
"""

from collections.abc import Callable, Sequence

import sqlalchemy as sa
import structlog

from csv_pipeline.errors import DatabaseUnavailableError, SetupError
from csv_pipeline.storage.session import DENIED, attempt, sqlstate

_MOST_CONNECTIONS = 20
_PATIENCE = "5s"  # with readers, where a table is to be changed
_BUSY = "55P03"
log = structlog.get_logger(__name__)

# A row is a right that a bound login has: the statement that takes it, and the one that must come
# before, or null, because the pipeline's own role has the right by PUBLIC only.
_RIGHTS = sa.text(rf"""
    WITH bound AS (
        SELECT DISTINCT r.oid, rolname, rolconnlimit
        FROM pg_roles r JOIN csv_pipeline.reader ON role = r.oid
    ),
    here AS (
        SELECT datname, rolname, pg_has_role(datdba, 'USAGE') OR rolsuper AS is_owner
        FROM pg_database, pg_roles WHERE datname = current_database() AND rolname = current_user
    ),
    functions AS (
        SELECT string_agg(f.oid::regprocedure::text, ', ' ORDER BY f.oid) AS names FROM pg_proc f
        WHERE pronamespace = 'pg_catalog'::regnamespace
            AND proname IN ('lo_creat', 'lo_create', 'lo_from_bytea', 'lo_import')
            AND EXISTS (SELECT FROM bound b WHERE has_function_privilege(b.oid, f.oid, 'EXECUTE'))
    )
    SELECT format('REVOKE TEMPORARY ON DATABASE %I FROM PUBLIC', datname) AS take,
        CASE WHEN NOT is_owner
            THEN format('GRANT TEMPORARY ON DATABASE %I TO %I', datname, rolname) END AS before
    FROM here
    WHERE EXISTS (SELECT FROM bound WHERE has_database_privilege(oid, datname, 'TEMPORARY'))
    UNION ALL
    SELECT format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', names), NULL
    FROM functions WHERE names IS NOT NULL
    UNION ALL
    SELECT 'REVOKE CREATE ON SCHEMA public FROM PUBLIC', NULL
    WHERE to_regnamespace('public') IS NOT NULL
        AND EXISTS (SELECT FROM bound WHERE has_schema_privilege(oid, 'public', 'CREATE'))
    UNION ALL
    SELECT format('ALTER ROLE %I CONNECTION LIMIT {_MOST_CONNECTIONS}', rolname), NULL
    FROM bound WHERE rolconnlimit = -1
""")  # noqa: S608  # a number of this module


def confine(connection: sa.Connection) -> None:
    """Take from bound logins what the pipeline's role may take; `left_open` tells the rest."""
    for statement in left_open(connection):
        attempt(connection, sa.text(statement.replace(":", r"\:")), DENIED)


def left_open(connection: sa.Connection) -> Sequence[str]:
    """Return the statements that would take from bound logins what is still theirs to take."""
    rows = connection.execute(_RIGHTS)
    return [said for row in rows for said in (row.before, row.take) if said]


def change_tables(connection: sa.Connection, change: Callable[[], None]) -> None:
    """Change tables, and wait for whoever writes to them; sessions of readers end after a while.

    Nobody else waits behind the change for longer than that.

    Raises:
        DatabaseUnavailableError: A reader blocks this, and the pipeline may not end its session.
        SetupError: Only another role may change tables here.
    """
    patience = sa.text("SELECT set_config('lock_timeout', :patience, true)")
    while True:
        try:
            with connection.begin_nested():
                connection.execute(patience, {"patience": _PATIENCE})
                change()
                connection.execute(patience, {"patience": "0"})
        except sa.exc.OperationalError as error:
            if sqlstate(error) != _BUSY:
                raise
            _end_readers(connection)
        except sa.exc.ProgrammingError as error:
            if sqlstate(error) != DENIED:
                raise
            url = connection.engine.url
            raise SetupError(
                f"database {url.render_as_string()}: tables had to be made or changed, and their "
                f"owner was needed; role {url.username!r} may not. Run csv-pipeline accounts once "
                "with the owner in CSV_PIPELINE_DATABASE_URL"
            ) from error
        else:
            return


def _end_readers(connection: sa.Connection) -> None:
    for session in connection.execute(_IN_THE_WAY).all():
        end = sa.select(sa.func.pg_terminate_backend(session.pid))
        if attempt(connection, end, DENIED):
            raise DatabaseUnavailableError(
                f"database {connection.engine.url.render_as_string()}: tables had to be changed, "
                f"and a lock on them was needed; reader {session.usename!r} holds one. An "
                f"administrator ends its session by SELECT pg_terminate_backend({session.pid})"
            )
        log.warning("session of a reader ended", role=session.usename, pid=session.pid)


# A superuser is a member of every role, and so of the owner's.
_IN_THE_WAY = sa.text("""
    SELECT DISTINCT pid, usename
    FROM pg_locks JOIN pg_stat_activity USING (pid) JOIN pg_class c ON c.oid = relation
    WHERE relnamespace IN (to_regnamespace('csv_pipeline'), to_regnamespace('data'))
        AND datname = current_database() AND pid <> pg_backend_pid() AND granted
        AND pg_has_role(usesysid, to_regrole('csv_pipeline_reader'), 'MEMBER')
        AND NOT pg_has_role(usesysid, relowner, 'MEMBER')
""")
