"""Rows of a feed's table, a page at a time, for one account.

Pages in the order of the key follow its index. Those that are sorted, filtered or searched by other
columns read the account's rows, for so long at most as `MOST_SECONDS` says: no other index helps
there, because the policies of the tables come before the conditions of a reader.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from csv_pipeline.errors import SetupError
from csv_pipeline.spec.feed import Feed
from csv_pipeline.storage import tables
from csv_pipeline.storage.targets import key_columns, target_table

MOST_SECONDS = 5.0
LINEAGE = ("_import_id", "_row_number")
_SORTED, _CANCELED = "_sorted_by", "57014"
_LETTERS = 200


class SlowQueryError(SetupError):
    """The rows are too many to be sorted, filtered or searched like this."""


class PlaceError(SetupError):
    """No page of this order ends there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsWanted:
    """Which rows of an account, `after` which, by the `place` of that.

    They are sorted by a column, text by its first 200 letters and missing values last, or by the
    key. `equal` are values that columns have, as text; `search` is a part of any text. None of it
    concerns columns whose values are not shown.
    """

    account: str
    sort: str | None = None
    equal: Mapping[str, str] = field(default_factory=dict)
    search: str | None = None
    after: tuple[Any, ...] | None = None
    ascending: bool = True
    limit: int = 50


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row by column, and its place among others: what it is sorted by, if so, and its key."""

    values: Mapping[str, Any]
    place: tuple[Any, ...]


def shown_columns(feed: Feed) -> tuple[str, ...]:
    """Return the columns whose values may be shown."""
    return tuple(one.name for one in feed.columns if not one.protected and not feed.confidential)


def place_kinds(feed: Feed, sort: str | None) -> tuple[type[Any], ...]:
    """Return of which kinds the facts of a place are: whether it is missing, its text, and the key.

    A page's address holds them.
    """
    key = ordered_by(feed)
    kinds: tuple[type[Any], ...] = (int, int) if key == LINEAGE else (str,) * len(key)
    return kinds if _along_key(feed, sort) else (int, str, *kinds)


def ordered_by(feed: Feed) -> tuple[str, ...]:
    """Return what the last order is by: the key or, if it is not all shown, the import's rows."""
    keys, shown = key_columns(feed), set(shown_columns(feed))
    as_text = all(isinstance(target_table(feed).c[name].type, sa.Text) for name in keys)
    return tuple(keys) if shown.issuperset(keys) and as_text else LINEAGE


def page(connection: sa.Connection, feed: Feed, wanted: RowsWanted) -> list[StoredRow]:
    """Return a page of rows, with the import and the row in its file that each is of.

    Raises:
        SlowQueryError: It takes too long.
        PlaceError: It is to begin where no value of the column can be.
    """
    table = target_table(feed)
    key = ordered_by(feed)
    names = dict.fromkeys((*(one.name for one in feed.columns), *LINEAGE))
    query = sa.select(*(table.c[name] for name in names)).where(
        table.c.account == wanted.account, *_conditions(table, feed, wanted)
    )
    order = [table.c[name] for name in key]
    last = wanted.after
    if wanted.sort is None or _along_key(feed, wanted.sort):
        beyond = None if last is None else _beyond(order, last, ascending=wanted.ascending)
        by = []
    else:
        column = _sortable(table.c[wanted.sort])
        query = query.add_columns(sa.cast(column, sa.Text).label(_SORTED))
        beyond = None if last is None else _beyond_in(column, order, last, wanted)
        by = [(column.asc() if wanted.ascending else column.desc()).nulls_last()]
    if beyond is not None:
        query = query.where(beyond)
    by += [its.asc() if wanted.ascending else its.desc() for its in order]
    with _in_time(connection, wanted):
        found = connection.execute(query.order_by(*by).limit(wanted.limit)).all()
    return [_stored(row._asdict(), key) for row in found]


def last_turn(connection: sa.Connection, account: str, feed: str) -> int:
    """Return the number of the last change of an account's rows of a feed; 0: there was none."""
    its = tables.import_.c
    query = sa.select(its.turn).where(
        its.account == account, its.feed == feed, its.turn.is_not(None)
    )
    return connection.scalar(query.order_by(its.turn.desc()).limit(1)) or 0


def _conditions(table: sa.Table, feed: Feed, wanted: RowsWanted) -> Iterator[Any]:
    for name, value in wanted.equal.items():
        yield _as_text(table.c[name]) == value
    if wanted.search:
        texts = [table.c[name] for name in shown_columns(feed)]
        texts = [its for its in texts if isinstance(its.type, sa.Text)]
        parts = [its.icontains(wanted.search, autoescape=True) for its in texts]
        yield sa.or_(sa.false(), *parts)


def _along_key(feed: Feed, sort: str | None) -> bool:
    return sort is None or sort == ordered_by(feed)[0]


def _beyond(order: list[Any], last: tuple[Any, ...], *, ascending: bool) -> Any:
    mine, its = sa.tuple_(*order), sa.tuple_(*map(sa.literal, last))
    return mine > its if ascending else mine < its


def _beyond_in(
    column: sa.ColumnElement[Any], order: list[Any], last: tuple[Any, ...], wanted: RowsWanted
) -> Any:
    """Return what holds of rows after one, missing values last whichever is the direction."""
    missing, text, *key = last
    tie = _beyond(order, tuple(key), ascending=wanted.ascending)
    if missing:
        return sa.and_(column.is_(None), tie)
    value = sa.cast(sa.literal(text, sa.Text), column.type)
    further = column > value if wanted.ascending else column < value
    return sa.or_(further, sa.and_(column == value, tie), column.is_(None))


def _stored(values: dict[str, Any], key: tuple[str, ...]) -> StoredRow:
    place = tuple(values[name] for name in key)
    if _SORTED in values:
        text = values.pop(_SORTED)
        place = (int(text is None), text or "", *place)
    return StoredRow(values, place)


@contextmanager
def _in_time(connection: sa.Connection, wanted: RowsWanted) -> Iterator[None]:
    milliseconds = {"most": str(round(MOST_SECONDS * 1000))}
    connection.execute(sa.text("SELECT set_config('statement_timeout', :most, true)"), milliseconds)
    try:
        yield
    except sa.exc.DataError as error:
        if wanted.after is None:
            raise
        raise PlaceError("cursor: that of a page in the same order was needed") from error
    except sa.exc.OperationalError as error:
        if getattr(error.orig, "sqlstate", None) != _CANCELED:
            raise
        raise SlowQueryError(
            f"rows of account {wanted.account!r}: an answer within {MOST_SECONDS:g} s was needed; "
            "they are too many to be sorted, filtered or searched. Pages in the order of the key, "
            "without filter and search, are fast whatever their number"
        ) from error


def _sortable(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    """Return what rows are sorted by: text cut, because a page's address holds it."""
    is_text = isinstance(column.type, sa.Text)
    return sa.cast(sa.func.left(column, _LETTERS), sa.Text) if is_text else column


def _as_text(column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    return column if isinstance(column.type, sa.Text) else sa.cast(column, sa.Text)
