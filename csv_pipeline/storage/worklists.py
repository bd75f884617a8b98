"""The rows of a feed's table that are work which remains."""

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.worklist import Worklist
from csv_pipeline.storage.targets import key_columns, target_table

_SOME = 10_000

# One list is read and written after another, so that an older one never replaces a newer one.
_TAKE_TURNS = sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:worklist, 0))")


def remaining(
    connection: sa.Connection, feed: Feed, worklist: Worklist, account: str
) -> Iterator[Sequence[Any]]:
    """Give what the list shows of each row, in the order of the key.

    Until the transaction ends no other one reads the same list.
    """
    connection.execute(_TAKE_TURNS, {"worklist": f"worklist {account}/{feed.name}"})
    table = target_table(feed)
    rows = (
        sa.select(*(table.c[name] for name in worklist.columns))
        .where(table.c.account == account, sa.text(f"({worklist.where})"))
        .order_by(*(table.c[name] for name in key_columns(feed)))
    )
    yield from connection.execute(rows, execution_options={"yield_per": _SOME})
