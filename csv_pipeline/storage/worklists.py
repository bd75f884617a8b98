"""The rows of a feed's table that are work which remains."""

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from csv_pipeline.errors import SetupError
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.names import MISSING_SINCE
from csv_pipeline.spec.worklist import Worklist
from csv_pipeline.storage.lane_lock import Lane, lock_lane
from csv_pipeline.storage.targets import key_columns, target_table

_SOME = 10_000


def remaining(
    connection: sa.Connection, feed: Feed, worklist: Worklist, account: str
) -> Iterator[Sequence[Any]]:
    """Give what the list shows of each row, in the order of the key.

    A row that the newest snapshot lacks is no work that remains.

    Until the transaction ends no load and no other list of the lane goes on, so that a list that is
    written in it never replaces a newer one.

    Raises:
        SetupError: The worklist's condition is none that the database understands.
    """
    lock_lane(connection, Lane(account, feed.name))
    table = target_table(feed)
    there = table.c[MISSING_SINCE].is_(None) if MISSING_SINCE in table.c else sa.true()
    rows = (
        sa.select(*(table.c[name] for name in worklist.columns))
        .where(
            table.c.account == account, there, sa.literal_column(f"({worklist.where})", sa.Boolean)
        )
        .order_by(*(table.c[name] for name in key_columns(feed)))
    )
    try:
        found = connection.execute(rows, execution_options={"yield_per": _SOME})
    except sa.exc.ProgrammingError as error:
        raise SetupError(
            f"feed {feed.name!r}: an SQL condition over its columns was needed for its worklist; "
            f"{str(error.orig).partition(chr(10))[0]}"
        ) from None
    yield from found
