"""What accounts declare of their files."""

from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from csv_pipeline.account import Account, DateOrder, DecimalMark
from csv_pipeline.storage import tables


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
    return Account(
        account=row.account,
        seller_id=row.seller_id,
        date_order=None if row.date_order is None else DateOrder(row.date_order),
        decimal_mark=None if row.decimal_mark is None else DecimalMark(row.decimal_mark),
        encoding=row.encoding,
        currency=row.currency,
        null_words=tuple(row.null_words or ()),
        max_file_bytes=row.max_file_bytes,
        max_compressed_bytes=row.max_compressed_bytes,
    )
