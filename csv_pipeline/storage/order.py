"""In what order files arrived: which of two imports is the newer, whenever each was loaded.

Every arrival gets a position when it, or a file behind it, is first claimed, and keeps it through
failures, retries and delays. Files that wait together get theirs by modification time, then by the
natural order of their names, `_9` before `_10`, then by arrival. An import has the position of its
arrival, a replay that of the import it repairs.

A stored row says which import wrote it, and so whether that one is newer. It does not say which
imports found it unchanged: while a file with an earlier position is yet to be imported, their
loads note those rows in `confirmed_row`.
"""

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from csv_pipeline.model import ArrivalStatus, Claim, ImportReport, Outcome
from csv_pipeline.storage import tables

_OPEN = (ArrivalStatus.WAITING, ArrivalStatus.CLAIMED, ArrivalStatus.FAILED)
_arrival, _import, _confirmed = tables.arrival, tables.import_, tables.confirmed_row


def as_they_go() -> tuple[sa.ColumnElement[Any], ...]:
    """Return what to order arrivals by: those with a position first, the others as they wait."""
    waiting = _arrival.c.modified_at, _arrival.c.natural_name, _arrival.c.arrival_id
    return (_arrival.c.position.nulls_last(), *waiting)


def lock_waiting(connection: sa.Connection, account: str, feed: str) -> None:
    """Wait for others who give positions to files of a lane, and keep them out.

    All lock the first such file, before any other arrival, so that no two wait in a circle.
    """
    rows = sa.select(_arrival.c.arrival_id).where(_without_position(account, feed))
    connection.execute(rows.order_by(_arrival.c.arrival_id).limit(1).with_for_update())


def assign(
    connection: sa.Connection,
    account: str,
    feed: str,
    arrival_ids: Sequence[int],
    arriving_now: Collection[int] = (),
) -> None:
    """Give arrivals their positions, and files that wait before them theirs.

    Those `arriving_now` go behind all others, whatever position they had.
    """
    now, wanted = (
        sa.literal(list(ids), pg.ARRAY(sa.BigInteger)) for ids in (arriving_now, arrival_ids)
    )
    if arriving_now:
        anew = sa.update(_arrival).where(_arrival.c.arrival_id == sa.any_(now))
        connection.execute(anew.values(position=None))
    rank = sa.func.row_number().over(
        order_by=(_arrival.c.arrival_id == sa.any_(now), *as_they_go())
    )
    ranked = (
        sa.select(_arrival.c.arrival_id, rank.label("rank"))
        .where(_without_position(account, feed))
        .cte("ranked")
    )
    furthest = sa.select(sa.func.max(ranked.c.rank)).where(ranked.c.arrival_id == sa.any_(wanted))
    turn = (
        sa.select(ranked.c.arrival_id)
        .where(ranked.c.rank <= furthest.scalar_subquery())
        .order_by(ranked.c.rank)
        .subquery("turn")
    )
    placed = sa.select(turn.c.arrival_id, tables.positions.next_value().label("position")).cte(
        "placed"
    )
    connection.execute(
        sa.update(_arrival)
        .where(_arrival.c.arrival_id == placed.c.arrival_id, _arrival.c.position.is_(None))
        .values(position=placed.c.position)
    )


def _without_position(account: str, feed: str) -> sa.ColumnElement[bool]:
    """Return the condition for arrivals of a lane that have no position yet."""
    placed = _arrival.c.position.is_not(None) | (_arrival.c.status == ArrivalStatus.MISPLACED)
    return (_arrival.c.account == account) & (_arrival.c.feed == feed) & ~placed


def are_members(archive: Any) -> sa.ColumnElement[bool]:
    """Return whether arrivals are files of an archive, which may be any noun or row of it."""
    return sa.and_(
        _arrival.c.account == archive.account,
        _arrival.c.feed == archive.feed,
        _arrival.c.location.startswith(f"{archive.location}!", autoescape=True),
        _arrival.c.modified_at == archive.modified_at,
        _arrival.c.etag == archive.etag,
    )


def assign_members(connection: sa.Connection, archive: Claim) -> None:
    """Give the files of an archive positions right behind its own, in natural order."""
    rank = sa.func.row_number().over(order_by=(_arrival.c.natural_name, _arrival.c.arrival_id))
    ranked = (
        sa.select(_arrival.c.arrival_id, rank.label("rank"))
        .where(are_members(archive), _arrival.c.position.is_(None))
        .subquery("ranked")
    )
    connection.execute(
        sa.update(_arrival)
        .where(_arrival.c.arrival_id == ranked.c.arrival_id)
        .values(position=sa.literal(archive.position, sa.BigInteger) + ranked.c.rank)
    )


def may_have_been_confirmed(connection: sa.Connection, of: Claim, position: int) -> bool:
    """Return whether later imports may have found rows unchanged that were not recorded.

    They did not note them if this file was refused by then, which a person may leave for ever.
    """
    refused = sa.exists().where(
        _import.c.arrival_id == of.arrival_id,
        _import.c.outcome.in_((Outcome.REFUSED, Outcome.DUPLICATE)),
    )
    found = sa.exists().where(
        *standing(of), _import.c.position > position, _import.c.unchanged + _import.c.kept > 0
    )
    return bool(connection.scalar(sa.select(refused & found)))


def is_newer(
    of: Claim, stored_by: sa.ColumnElement[int], key: sa.ColumnElement[bytes], position: int
) -> sa.ColumnElement[bool]:
    """Return whether a stored row is of a later arrival than `position`, or was confirmed by one.

    `stored_by` is the import that wrote it, `key` what `key_of` gives.
    """
    wrote = sa.select(_import.c.position).where(_import.c.import_id == stored_by)
    confirmed = sa.exists().where(
        _confirmed.c.account == of.account,
        _confirmed.c.feed == of.feed,
        _confirmed.c.key == key,
        _import.c.import_id == _confirmed.c.import_id,
        *standing(of),
        _import.c.position > position,
    )
    return (sa.func.coalesce(wrote.scalar_subquery(), 0) > position) | confirmed


def key_of(*columns: sa.ColumnElement[object]) -> sa.ColumnElement[bytes]:
    """Return what `confirmed_row` knows a row of an account and feed by: a digest of its key."""
    text = sa.cast(sa.func.jsonb_build_array(*columns), sa.Text)
    return sa.func.sha256(sa.func.convert_to(text, "UTF8"))


def forget_confirmed(connection: sa.Connection, of: Claim) -> None:
    """Forget which rows were confirmed, once no earlier file is waited for any more."""
    earlier = sa.exists().where(
        _arrival.c.account == of.account,
        _arrival.c.feed == of.feed,
        _arrival.c.status.in_(_OPEN),
        _arrival.c.position < _import.c.position,
    )
    connection.execute(
        sa.delete(_confirmed).where(
            _confirmed.c.account == of.account,
            _confirmed.c.feed == of.feed,
            _confirmed.c.import_id == _import.c.import_id,
            ~earlier,
        )
    )


def standing(of: Claim | ImportReport) -> tuple[sa.ColumnElement[bool], ...]:
    """Return what holds for imports of the same account and feed, those undone apart."""
    return (
        _import.c.account == of.account,
        _import.c.feed == of.feed,
        _import.c.outcome == Outcome.IMPORTED,
        _import.c.undone_by_import_id.is_(None),
    )
