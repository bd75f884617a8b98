"""Who may read what: row-level security for people and tools that look at one account.

The policies are made with the tables and hold for every role but the owner. Members of the role
`csv_pipeline_reader` may select, and see rows of the accounts that the database's function
`csv_pipeline.readable_accounts` returns: those that the login is bound to in `csv_pipeline.reader`;
if it is bound to none, the one that it names by `SET csv_pipeline.account`. Without either they see
nothing.
"""

from collections.abc import Iterable

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql import insert

from csv_pipeline.errors import SetupError
from csv_pipeline.storage import tables
from csv_pipeline.storage.confine import confine
from csv_pipeline.storage.session import DENIED, attempt

READER = "csv_pipeline_reader"
STATE = (
    *("account", "declaration", "arrival", "import", "reject", "superseded", "reader"),
    *("upload", "progress", "correction", "audit"),
)
VIEW = "WITH (security_invoker)"  # else a view reads with the rights of its owner: everything
TARGET_POLICY = "account = ANY ((SELECT csv_pipeline.readable_accounts())::text[])"
_EXISTS = {"42710", "23505"}
_UNBOUND = sa.text(
    "SELECT rolsuper OR rolcreaterole OR rolbypassrls OR pg_has_role(oid, (SELECT relowner "
    "FROM pg_class WHERE oid = 'csv_pipeline.reader'::regclass), 'MEMBER') "
    "FROM pg_roles WHERE rolname = :role"
)
_IS_READER = sa.text(
    "SELECT pg_has_role(oid, to_regrole(:reader), 'MEMBER') FROM pg_roles WHERE rolname = :role"
)
log = structlog.get_logger(__name__)


def lock_definitions(connection: sa.Connection) -> None:
    """Let no other process change tables, views or rights until the transaction ends.

    By a table that no other role can lock; an advisory lock would be anyone's.
    """
    connection.execute(sa.text("LOCK TABLE csv_pipeline.target IN SHARE ROW EXCLUSIVE MODE"))


def isolate(connection: sa.Connection, table: sa.Table) -> None:
    """Hide a table's rows from every role but its owner, save those of readable accounts."""
    name = f'{table.schema}."{table.name}"'
    for statement in (
        f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY",
        f"DROP POLICY IF EXISTS own_account ON {name}",
        f"CREATE POLICY own_account ON {name} FOR SELECT USING ({TARGET_POLICY})",
    ):
        connection.execute(sa.text(statement))


def let_readers_in(connection: sa.Connection, targets: Iterable[str]) -> None:
    """Make the readers' role and let it select from the state tables and these, where it may not.

    Where the pipeline may not make roles and none exists, that is noted and all else goes on; once
    somebody has, the next call grants what it needs.
    """
    wanted = [f"{tables.SCHEMA}.{name}" for name in STATE] + list(targets)
    if _has_role(connection, READER) and not _not_granted(connection, wanted):
        return
    if not _has_role(connection, READER) and not _make_role(connection):
        log.info("no role for readers", needed=f"CREATE ROLE {READER} NOLOGIN")
        return
    lock_definitions(connection)
    missing = _not_granted(connection, wanted)
    if missing:
        schemas = ", ".join(sorted({name.split(".")[0] for name in wanted}))
        function = "FUNCTION csv_pipeline.readable_accounts()"
        for statement in (
            f"GRANT USAGE ON SCHEMA {schemas} TO {READER}",
            f"GRANT EXECUTE ON {function} TO {READER}",
            f"GRANT SELECT ON {', '.join(missing)} TO {READER}",
        ):
            connection.execute(sa.text(statement))


def bind(connection: sa.Connection, role: str, account: str) -> str | None:
    """Let a login role read this account, beside others it is bound to, and none else.

    It loses what it could hold up others with, as far as the pipeline may take that; see `confine`.

    Returns the statement that an administrator has yet to run, if the pipeline may not: a role that
    is not a reader sees nothing.

    Raises:
        SetupError: There is no such role, or nothing could keep it from reading everything.
    """
    name = _quoted(connection, role)
    if not _has_role(connection, role):
        raise SetupError(
            f"reader {role!r}: a role of the database was needed; there is none of this name at "
            f"{connection.engine.url.render_as_string()}. "
            f"An administrator makes it by CREATE ROLE {name} LOGIN PASSWORD '…'"
        )
    if connection.scalar(_UNBOUND, {"role": role}):
        raise SetupError(
            f"reader {role!r}: a role was needed that owns no table of the pipeline and has "
            "neither SUPERUSER, CREATEROLE nor BYPASSRLS; this one could read every account"
        )
    if not _has_role(connection, READER):
        raise SetupError(
            f"reader {role!r}: the role {READER} was needed; there is none, and the pipeline may "
            f"not make it. An administrator makes it by CREATE ROLE {READER} NOLOGIN"
        )
    connection.execute(
        insert(tables.reader).values(role=name, account=account).on_conflict_do_nothing()
    )
    lock_definitions(connection)
    confine(connection)
    return _unless_allowed(connection, f"GRANT {READER} TO {name}")


def unbind(connection: sa.Connection, role: str, account: str) -> str | None:
    """Take an account away from a login role; with its last one it ceases to be a reader.

    It would be bound to nothing otherwise, and could choose. Returns the statement that an
    administrator has yet to run, in which case the role stays bound.

    Raises:
        SetupError: The role is not bound to the account.
    """
    table, name = tables.reader, _quoted(connection, role)
    entries = sa.select(sa.cast(table.c.account, sa.Text)).where(
        table.c.role == sa.func.to_regrole(name)
    )
    bound = set(connection.scalars(entries))
    if account not in bound:
        raise SetupError(
            f"reader {role!r}: a role bound to account {account!r} was needed; it is not"
        )
    if bound == {account}:
        needed = f"REVOKE {READER} FROM {name}"
        _unless_allowed(connection, needed)
        # The server only warns of a membership that somebody else gave, or that comes by a group.
        if connection.scalar(_IS_READER, {"role": role, "reader": READER}):
            return needed
    connection.execute(
        sa.delete(table).where(table.c.role == sa.func.to_regrole(name), table.c.account == account)
    )
    return None


def readers(connection: sa.Connection) -> dict[str, list[str]]:
    """Return the roles that are bound to each account which has any, by name."""
    query = sa.text(
        "SELECT account, array_agg(rolname ORDER BY rolname) AS roles "
        "FROM csv_pipeline.reader JOIN pg_roles ON pg_roles.oid = role GROUP BY account"
    )
    return {row.account: row.roles for row in connection.execute(query)}


def without_security(connection: sa.Connection) -> list[str]:
    """Return the tables of accounts that hide no row from anybody."""
    query = sa.text(
        "SELECT format('%I.%I', nspname, relname) FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = relnamespace "
        "WHERE relkind IN ('r', 'p') AND NOT relrowsecurity AND (nspname = 'data' "
        "OR nspname = :state AND relname = ANY (:tables)) ORDER BY 1"
    )
    return list(connection.scalars(query, {"state": tables.SCHEMA, "tables": list(STATE)}))


def missing_rights(connection: sa.Connection) -> list[str]:
    """Return the statements that let readers read the state tables, where they may not."""
    if not _has_role(connection, READER):
        return [f"CREATE ROLE {READER} NOLOGIN"]
    missing = _not_granted(connection, [f"{tables.SCHEMA}.{name}" for name in STATE])
    return [f"GRANT SELECT ON {', '.join(missing)} TO {READER}"] if missing else []


def choose_account(connection: sa.Connection, account: str) -> None:
    """Let a transaction of the pipeline see the rows of one account, as a reader does, and no more.

    It is bound by the policies of the tables; what it may not see it cannot change, either.

    Raises:
        SetupError: There is no role of readers, and the pipeline may not make it.
    """
    if connection.execute(_CHOOSE, {"account": account, "role": READER}).one_or_none() is None:
        raise SetupError(
            f"account {account!r}: the role {READER} was needed; there is none, and the pipeline "
            f"may not make it. An administrator makes it by CREATE ROLE {READER} NOLOGIN"
        )


# One statement, as each request begins by it. A setting named role is what SET ROLE sets.
_CHOOSE = sa.text("""
    SELECT set_config('csv_pipeline.account', :account, true), set_config('role', rolname, true)
    FROM pg_roles
    WHERE rolname = :role
""")


def _not_granted(connection: sa.Connection, wanted: list[str]) -> list[str]:
    query = sa.text(
        "SELECT name FROM unnest(CAST(:wanted AS text[])) AS wanted (name) "
        "WHERE NOT has_table_privilege(:reader, name, 'SELECT')"
    )
    return list(connection.scalars(query, {"wanted": wanted, "reader": READER}))


def _has_role(connection: sa.Connection, role: str) -> bool:
    query = sa.text("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = :role)")
    return bool(connection.scalar(query, {"role": role}))


def _make_role(connection: sa.Connection) -> bool:
    """Return whether there is the role now; another database of the server may have made it."""
    make = sa.text(f"CREATE ROLE {READER} NOLOGIN")
    return attempt(connection, make, DENIED, *_EXISTS) != DENIED


def _unless_allowed(connection: sa.Connection, statement: str) -> str | None:
    """Execute a statement, or return it if the pipeline's role may not."""
    return statement if attempt(connection, sa.text(statement), DENIED) else None


def _quoted(connection: sa.Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote_identifier(name)
