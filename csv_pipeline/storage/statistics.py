"""Let the server count what a large import stored, so that it plans the next small one well.

It counts by itself, but about a minute later. Until then it takes many rows for few, or few for
many, and reads a whole table for a small file.
"""

import sqlalchemy as sa
import structlog

from csv_pipeline.errors import DatabaseUnavailableError
from csv_pipeline.storage import imports
from csv_pipeline.storage.database import Database
from csv_pipeline.storage.targets import SCHEMA

_MANY_ROWS = 20_000
_ONE_IN = 10  # rows; of fewer that are new the old numbers are near enough
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
                connection.execute(sa.text(f'ANALYZE (SKIP_LOCKED) {SCHEMA}."{feed}"'))
    except (DatabaseUnavailableError, sa.exc.DBAPIError) as error:
        log.warning("not counted", feed=feed, because=str(error))
