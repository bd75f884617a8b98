"""In what order files arrived: which of two imports is the newer, whenever each was loaded.

Every arrival gets a position when it, or a file behind it, is first claimed, and keeps it through
failures, retries and delays. Files that wait together get theirs by modification time, then by the
natural order of their names, `_9` before `_10`, then by arrival. An import has the position of its
arrival, a replay that of the import it repairs.

A stored row says which import wrote it, and so whether that one is newer. It does not say which
imports found it unchanged: while a file with an earlier position is yet to be imported, their
loads note those rows in `confirmed_row`.

A row that is not stored does not say why. So the scopes of snapshots are noted, see
`csv_pipeline.spec.snapshot`: what a later one lacks, an earlier file does not bring back.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from csv_pipeline.model import ArrivalStatus, Claim, ImportReport, Outcome
from csv_pipeline.storage import tables

_arrival, _import, _confirmed = tables.arrival, tables.import_, tables.confirmed_row
_scope = tables.snapshot_scope


def as_they_go() -> tuple[sa.ColumnElement[Any], ...]:
    """Return what to order arrivals by: those with a position first, the others as they wait."""
    waiting = _arrival.c.modified_at, _arrival.c.natural_name, _arrival.c.arrival_id
    return (_arrival.c.position.nulls_last(), *waiting)


def lock_waiting(connection: sa.Connection, account: str, feed: str) -> None:
    """Wait for others who give positions to files of a lane, and keep them out.

    All lock the first such file, before any other arrival, so that no two wait in a circle.
    """
    rows = sa.select(_arrival.c.arrival_id).where(
        _arrival.c.account == account,
        _arrival.c.feed == feed,
        _arrival.c.position.is_(None),
        _arrival.c.status != ArrivalStatus.MISPLACED,
    )
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
    facts = {"account": account, "feed": feed, "wanted": [*arrival_ids], "now": [*arriving_now]}
    if arriving_now:
        connection.execute(_LOSE_POSITION, facts)
    connection.execute(_ASSIGN, facts)


def assign_as_stored(
    connection: sa.Connection,
    account: str,
    feed: str,
    arrival_ids: Sequence[int],
    arriving_now: Collection[int] = (),
) -> None:
    """Do so, but where rows of an arrival are stored, it gets the position that these have.

    A file that came again as the newest, which was undone, is not the newest.
    """
    connection.execute(_KEEP_POSITION, {"wanted": [*arrival_ids]})
    assign(connection, account, feed, arrival_ids, arriving_now)


_KEEP_POSITION = sa.text("""
    UPDATE csv_pipeline.arrival AS file SET position = last.position
    FROM (
        SELECT DISTINCT ON (arrival_id) arrival_id, position FROM csv_pipeline.import
        WHERE arrival_id = ANY (CAST(:wanted AS bigint[])) AND outcome = 'imported'
            AND undone_by_import_id IS NULL AND position IS NOT NULL
        ORDER BY arrival_id, import_id DESC
    ) AS last
    WHERE file.arrival_id = last.arrival_id AND file.position IS DISTINCT FROM last.position
""")

_LOSE_POSITION = sa.text("""
    UPDATE csv_pipeline.arrival SET position = NULL
    WHERE arrival_id = ANY (CAST(:now AS bigint[]))
""")

# Positions are numbered along sorted rows, because an update visits rows in any order.
_ASSIGN = sa.text("""
    WITH ranked AS (
        SELECT arrival_id, row_number() OVER (
            ORDER BY arrival_id = ANY (CAST(:now AS bigint[])),
                modified_at, natural_name, arrival_id
        ) AS rank
        FROM csv_pipeline.arrival
        WHERE account = :account AND feed = :feed
            AND position IS NULL AND status <> 'misplaced'
    ),
    turn AS (
        SELECT arrival_id FROM ranked
        WHERE rank <= (
            SELECT max(rank) FROM ranked WHERE arrival_id = ANY (CAST(:wanted AS bigint[]))
        )
        ORDER BY rank
    ),
    placed AS (
        SELECT arrival_id, nextval('csv_pipeline.position') AS position FROM turn
    )
    UPDATE csv_pipeline.arrival AS file SET position = placed.position
    FROM placed WHERE file.arrival_id = placed.arrival_id AND file.position IS NULL
""")


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
    of: Claim,
    stored_by: sa.ColumnElement[int],
    key: sa.ColumnElement[bytes],
    position: int,
    *,
    repairs: bool,
) -> sa.ColumnElement[bool]:
    """Return whether a stored row is of a later arrival than `position`, or was confirmed by one.

    `stored_by` is the import that wrote it, `key` what `key_of` gives. A row that was corrected is
    newer than its file, which may come again, unless what is loaded `repairs` that too.
    """
    corrected = sa.case((_import.c.repairs_import_id.is_not(None), 0 if repairs else 1), else_=0)
    wrote = sa.select(_import.c.position + corrected).where(_import.c.import_id == stored_by)
    confirmed = sa.exists().where(
        _confirmed.c.account == of.account,
        _confirmed.c.feed == of.feed,
        _confirmed.c.key == key,
        _import.c.import_id == _confirmed.c.import_id,
        *standing(of),
        _import.c.position > position,
    )
    return (sa.func.coalesce(wrote.scalar_subquery(), 0) > position) | confirmed


def is_of_arrival(of: Claim, stored_by: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    """Return whether an import wrote a stored row that is of this arrival, in its position."""
    return sa.exists().where(
        _import.c.import_id == stored_by,
        _import.c.arrival_id == of.arrival_id,
        _import.c.position == of.position,
        _import.c.repairs_import_id.is_(None),
    )


def is_covered(of: Claim, scope: sa.ColumnElement[bytes], position: int) -> sa.ColumnElement[bool]:
    """Return whether a snapshot that arrived later than `position` had a scope; see `scope_of`."""
    return sa.exists().where(
        _scope.c.account == of.account,
        _scope.c.feed == of.feed,
        _scope.c.scope == scope,
        _import.c.import_id == _scope.c.import_id,
        *standing(of),
        _import.c.position > position,
    )


def scope_of(values: Mapping[str, sa.ColumnElement[Any]]) -> sa.ColumnElement[bytes]:
    """Return what `snapshot_scope` knows a scope by: a digest of the values of its columns."""
    pairs = (part for name, value in values.items() for part in (sa.literal(name), value))
    return key_of(sa.func.jsonb_build_object(*pairs))


def key_of(*columns: sa.ColumnElement[object]) -> sa.ColumnElement[bytes]:
    """Return what `confirmed_row` knows a row of an account and feed by: a digest of its key."""
    text = sa.cast(sa.func.jsonb_build_array(*columns), sa.Text)
    return sa.func.sha256(sa.func.convert_to(text, "UTF8"))


def standing(of: Claim | ImportReport) -> tuple[sa.ColumnElement[bool], ...]:
    """Return what holds for imports of the same account and feed, those undone apart."""
    return (
        _import.c.account == of.account,
        _import.c.feed == of.feed,
        _import.c.outcome == Outcome.IMPORTED,
        _import.c.undone_by_import_id.is_(None),
    )
