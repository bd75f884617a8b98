"""Rows of a feed's table, a page at a time along an index, for one account."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from csv_pipeline.spec.feed import Feed
from csv_pipeline.storage import tables
from csv_pipeline.storage.targets import key_columns, target_table

_LINEAGE = ("_import_id", "_row_number")


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsWanted:
    """Which rows of an account, `after` which, as `place_of` gives it.

    `equal` are values that columns have, as text; `search` is a part of any text. Neither is looked
    for in columns whose values are not shown.
    """

    account: str
    equal: Mapping[str, str] = field(default_factory=dict)
    search: str | None = None
    after: tuple[Any, ...] | None = None
    ascending: bool = True
    limit: int = 50


def shown_columns(feed: Feed) -> tuple[str, ...]:
    """Return the columns whose values may be shown."""
    return tuple(one.name for one in feed.columns if not one.protected and not feed.confidential)


def ordered_by(feed: Feed) -> tuple[str, ...]:
    """Return by which columns pages go on: the key or, if it is not all shown, the import's rows.

    A page's address holds the values of the last row.
    """
    keys, shown = key_columns(feed), set(shown_columns(feed))
    as_text = all(isinstance(target_table(feed).c[name].type, sa.Text) for name in keys)
    return tuple(keys) if shown.issuperset(keys) and as_text else _LINEAGE


def page(connection: sa.Connection, feed: Feed, wanted: RowsWanted) -> list[dict[str, Any]]:
    """Return a page of rows, with the import and the row in its file that each is of."""
    table = target_table(feed)
    order = [table.c[name] for name in ordered_by(feed)]
    names = [one.name for one in feed.columns]
    columns = dict.fromkeys((*names, *_LINEAGE))
    query = sa.select(*(table.c[name] for name in columns)).where(table.c.account == wanted.account)
    for name, value in wanted.equal.items():
        query = query.where(_as_text(table.c[name]) == value)
    if wanted.search:
        texts = [table.c[name] for name in shown_columns(feed)]
        texts = [its for its in texts if isinstance(its.type, sa.Text)]
        parts = [its.icontains(wanted.search, autoescape=True) for its in texts]
        query = query.where(sa.or_(sa.false(), *parts))
    if wanted.after is not None:
        last = sa.tuple_(*(sa.literal(one) for one in wanted.after))
        mine = sa.tuple_(*order)
        query = query.where(mine > last if wanted.ascending else mine < last)
    sorted_ = [its.asc() if wanted.ascending else its.desc() for its in order]
    rows = connection.execute(query.order_by(*sorted_).limit(wanted.limit))
    return [row._asdict() for row in rows]


def last_turn(connection: sa.Connection, account: str, feed: str) -> int:
    """Return the number of the last change of an account's rows of a feed; 0: there was none."""
    its = tables.import_.c
    query = sa.select(its.turn).where(
        its.account == account, its.feed == feed, its.turn.is_not(None)
    )
    return connection.scalar(query.order_by(its.turn.desc()).limit(1)) or 0


def _as_text(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    return column if isinstance(column.type, sa.Text) else sa.cast(column, sa.Text)
