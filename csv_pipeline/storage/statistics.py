"""Let the server count what a large import stored, so that it plans the next small one well.

It counts by itself, but about a minute later. Until then it takes many rows for few, or few for
many, and reads a whole table for a small file. Counted here are the columns by which rows are
found; the others, JSON above all, take most of the time and can wait for that minute.
"""

import sqlalchemy as sa
import structlog

from csv_pipeline.errors import DatabaseUnavailableError
from csv_pipeline.storage import imports
from csv_pipeline.storage.database import Database
from csv_pipeline.storage.targets import SCHEMA

_MANY_ROWS = 20_000
_ONE_IN = 10  # rows; of fewer that are new the old numbers are near enough
_INDEXED = sa.text("""
    SELECT attname FROM pg_attribute
    WHERE attrelid = to_regclass(:name) AND attnum IN (
        SELECT unnest(indkey) FROM pg_index WHERE indrelid = attrelid
    )
""")
log = structlog.get_logger()


def renew(database: Database, account: str, feed: str, written: int) -> None:
    """Have a feed's table counted, if an import wrote many of the rows that an account has in it.

    Nobody waits for it who reads or writes, and nothing that is stored depends on it.
    """
    if written < _MANY_ROWS:
        return
    try:
        with database.begin() as connection:
            if written * _ONE_IN >= imports.rows_stored(connection, account, feed):
                names = connection.scalars(_INDEXED, {"name": f'{SCHEMA}."{feed}"'})
                columns = ", ".join(f'"{name}"' for name in names)
                connection.execute(sa.text(f'ANALYZE (SKIP_LOCKED) {SCHEMA}."{feed}" ({columns})'))
    except (DatabaseUnavailableError, sa.exc.DBAPIError) as error:
        log.warning("not counted", feed=feed, because=str(error))
