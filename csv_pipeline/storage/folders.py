"""Folders of the landing areas that are an account's, though they do not have its name."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from csv_pipeline.storage import accounts, tables

_table = tables.folder


def find(connection: sa.Connection) -> dict[str, str]:
    """Return the account of each folder that was declared."""
    query = sa.select(_table.c.folder, _table.c.account).order_by(_table.c.folder)
    return {row.folder: row.account for row in connection.execute(query)}


def declare(connection: sa.Connection, folder: str, account: str, by: str) -> None:
    """Let a folder be an account's, whoever's it was before; the account is made if it is new."""
    accounts.add(connection, account)
    new = insert(_table).values(folder=folder, account=account, declared_by=by)
    changed = {"account": account, "declared_by": by, "declared_at": sa.func.now()}
    connection.execute(new.on_conflict_do_update(index_elements=["folder"], set_=changed))


def forget(connection: sa.Connection, folder: str, account: str) -> bool:
    """Let a folder be that of its name again; return whether it was the account's."""
    where = (_table.c.folder == folder) & (_table.c.account == account)
    found = connection.execute(sa.delete(_table).where(where).returning(_table.c.folder))
    return found.one_or_none() is not None
