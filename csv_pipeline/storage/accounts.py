"""Accounts, and what they declare of their files: each change is a version of its own."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.dialects.postgresql import distinct_on, insert

from csv_pipeline.account import Account, Declared, Version
from csv_pipeline.storage import tables

_ACCOUNT = TypeAdapter(Account)
_SCOPE = {"account", "feed", "header"}


def add(connection: sa.Connection, account: str) -> None:
    """Enter an account if it is new."""
    connection.execute(insert(tables.account).values(account=account).on_conflict_do_nothing())


def names(connection: sa.Connection) -> list[str]:
    """Return the names of all accounts in their order."""
    query = sa.select(tables.account.c.account).order_by(tables.account.c.account)
    return list(connection.scalars(query))


def lock(connection: sa.Connection, account: str) -> None:
    """Enter an account if it is new, and let nobody else change its settings meanwhile."""
    add(connection, account)
    table = tables.account
    query = sa.select(table.c.account).where(table.c.account == account)
    connection.execute(query.with_for_update())


def declare(connection: sa.Connection, facts: Account, by: str = "") -> int:
    """Store what an account declares in a scope, in place of what it did; return the version."""
    lock(connection, facts.account)
    table = tables.declaration
    last = sa.select(sa.func.max(table.c.version)).where(table.c.account == facts.account)
    version = (connection.scalar(last) or 0) + 1
    stored = _ACCOUNT.dump_python(facts, mode="json", exclude_defaults=True)
    connection.execute(
        sa.insert(table).values(
            account=facts.account,
            version=version,
            feed=facts.feed,
            header=facts.header,
            facts={name: value for name, value in stored.items() if name in facts.declared()},
            declared_by=by,
        )
    )
    return version


def declared(
    connection: sa.Connection, account: str, feed: str = "", version: int | None = None
) -> Declared:
    """Return what an account declares of its files of a feed, now or as of a version."""
    found = latest(connection, account, feed, version)
    return Declared(account=account, feed=feed, versions=found)


def latest(
    connection: sa.Connection,
    account: str | None = None,
    feed: str | None = None,
    version: int | None = None,
) -> tuple[Version, ...]:
    """Return the last version of each scope, of all or one account and feed, the widest first."""
    table = tables.declaration
    scope = table.c.account, table.c.feed, table.c.header
    query = sa.select(table).ext(distinct_on(*scope)).order_by(*scope, table.c.version.desc())
    if account is not None:
        query = query.where(table.c.account == account)
    if feed is not None:
        query = query.where(table.c.feed.in_(["", feed]))
    if version is not None:
        query = query.where(table.c.version <= version)
    return tuple(_version(row) for row in connection.execute(query))


def history(connection: sa.Connection, account: str) -> Sequence[Version]:
    """Return all versions of what an account declares, the newest first."""
    table = tables.declaration
    query = sa.select(table).where(table.c.account == account).order_by(table.c.version.desc())
    return [_version(row) for row in connection.execute(query)]


def named(connection: sa.Connection, name: str, feed: str = "") -> Account:
    """Return what an account declares; an unknown account has declared nothing."""
    return declared(connection, name, feed).of()


def _version(row: Any) -> Version:
    scope = {name: getattr(row, name) for name in _SCOPE}
    return Version(
        version=row.version,
        declared_at=row.declared_at,
        declared_by=row.declared_by,
        facts=_ACCOUNT.validate_python(row.facts | scope),
    )
