"""What accounts declare of their files."""

from dataclasses import asdict, fields
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.dialects.postgresql import insert

from csv_pipeline.account import Account
from csv_pipeline.storage import tables

_ACCOUNT = TypeAdapter(Account)


def add(connection: sa.Connection, account: str) -> None:
    """Enter an account if it is new."""
    connection.execute(insert(tables.account).values(account=account).on_conflict_do_nothing())


def declare(connection: sa.Connection, account: Account) -> None:
    """Store what an account declares about its files, in place of what it declared before."""
    facts = {**asdict(account), "null_words": list(account.null_words)}
    statement = insert(tables.account).values(facts)
    connection.execute(statement.on_conflict_do_update(index_elements=["account"], set_=facts))


def named(connection: sa.Connection, name: str) -> Account:
    """Return what the account declared; an unknown account has declared nothing."""
    table = tables.account
    row = connection.execute(sa.select(table).where(table.c.account == name)).one_or_none()
    return Account(account=name) if row is None else _account(row)


def every(connection: sa.Connection) -> list[Account]:
    """Return all accounts by name."""
    rows = connection.execute(sa.select(tables.account).order_by(tables.account.c.account))
    return [_account(row) for row in rows]


def _account(row: Any) -> Account:
    facts = {field.name: getattr(row, field.name) for field in fields(Account)}
    return _ACCOUNT.validate_python(facts | {"null_words": row.null_words or ()})
