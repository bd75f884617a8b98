"""Where files of arrivals are to be moved and where they are since; the record of all moves."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from csv_pipeline.location import Location, location_of
from csv_pipeline.model import ArrivalStatus, FoundFile
from csv_pipeline.storage import tables
from csv_pipeline.storage.order import are_members

TO_ARCHIVE = (ArrivalStatus.IMPORTED, ArrivalStatus.DUPLICATE, ArrivalStatus.UNPACKED)
SETTLED = (*TO_ARCHIVE, ArrivalStatus.REFUSED)
_AT_ONCE = 500
_arrival, _move = tables.arrival, tables.file_move
_other = _arrival.alias("other")


@dataclass(frozen=True, slots=True)
class HeldFile:
    """A file that lies by itself, its row locked, with the rows of the files in it.

    The row says, besides, whether another file has the name that this one is to get (`taken`), and
    whether one that arrived before is to get it (`promised`).
    """

    row: Any
    members: Sequence[Any] = ()

    @property
    def arrival_ids(self) -> list[int]:
        """Its arrival and those of the files in it."""
        return [row.arrival_id for row in (self.row, *self.members)]

    @property
    def source(self) -> Location:
        """Where it is, as far as the ledger knows."""
        return location_of(self.row.moved_to or self.row.location)

    @property
    def target(self) -> Location | None:
        """Where it is to be moved, if that is planned."""
        return None if self.row.moving_to is None else location_of(self.row.moving_to)

    @property
    def is_settled(self) -> bool:
        """Whether nothing of it waits to be imported, or is being imported."""
        return all(row.status in SETTLED for row in (self.row, *self.members))

    @property
    def is_done(self) -> bool:
        """Whether it is where it belongs."""
        return all(row.moved_at is not None for row in (self.row, *self.members))


@dataclass(frozen=True, slots=True)
class Moved:
    """A file that was moved, where it has an ETag, if any, and whether it `belongs` there."""

    held: HeldFile
    target: Location
    etag: str
    belongs: bool


def due(connection: sa.Connection) -> Sequence[int]:
    """Return settled arrivals whose files are not moved yet, in random order.

    So processes do not wait for one another.
    """
    query = (
        sa.select(_arrival.c.arrival_id)
        .where(_arrival.c.moved_at.is_(None), _arrival.c.status.in_(SETTLED))
        .order_by(sa.func.random())
        .limit(_AT_ONCE)
    )
    return connection.scalars(query).all()


def hold(connection: sa.Connection, arrival_ids: Collection[int]) -> list[HeldFile]:
    """Lock arrivals and return their files; those that another process has locked are left out.

    A file in an archive is moved with that: it is the archive that is returned, once.
    """
    rows = _locked(connection, _arrival.c.arrival_id.in_(arrival_ids))
    alone = [row for row in rows if not (_is_member(row) or row.status == ArrivalStatus.UNPACKED)]
    held = {row.arrival_id: HeldFile(row) for row in alone}
    for row in rows:
        archive = _archive_of(connection, row) if _is_member(row) else row
        if archive is None or archive.arrival_id in held:
            continue
        inside = connection.scalars(sa.select(_arrival.c.arrival_id).where(are_members(archive)))
        wanted = {archive.arrival_id, *inside}
        locked = {
            row.arrival_id: row for row in _locked(connection, _arrival.c.arrival_id.in_(wanted))
        }
        if locked.keys() == wanted:
            held[archive.arrival_id] = HeldFile(
                locked.pop(archive.arrival_id), tuple(locked.values())
            )
    return list(held.values())


def _locked(connection: sa.Connection, wanted: sa.ColumnElement[bool]) -> Sequence[Any]:
    same_name = sa.exists().where(_other.c.arrival_id != _arrival.c.arrival_id)
    is_there = (_other.c.moved_to == _arrival.c.moving_to) & _other.c.removed_at.is_(None)
    is_before = (_other.c.moving_to == _arrival.c.moving_to) & (
        _other.c.arrival_id < _arrival.c.arrival_id
    )
    columns = same_name.where(is_there).label("taken"), same_name.where(is_before).label("promised")
    query = sa.select(_arrival, *columns).where(wanted).order_by(_arrival.c.arrival_id)
    return connection.execute(query.with_for_update(skip_locked=True, of=_arrival)).all()


def _is_member(row: Any) -> bool:
    return bool(row.location.endswith(f"!{row.name}"))


def _archive_of(connection: sa.Connection, member: Any) -> Any:
    """Return the archive a file came out of: of those with its location and time, the last before.

    One that was replaced may have kept its time.
    """
    query = sa.select(_arrival).where(
        _arrival.c.account == member.account,
        _arrival.c.feed == member.feed,
        _arrival.c.location == member.location.removesuffix(f"!{member.name}"),
        _arrival.c.modified_at == member.modified_at,
        _arrival.c.etag == member.etag,
        _arrival.c.arrival_id < member.arrival_id,
    )
    return connection.execute(query.order_by(_arrival.c.arrival_id.desc()).limit(1)).one_or_none()


def promise(connection: sa.Connection, targets: Mapping[int, Location]) -> None:
    """Write down where files are to be moved."""
    if targets:
        facts = [{"arrival_id": at, "target": str(to)} for at, to in targets.items()]
        connection.execute(_PROMISE, {"facts": json.dumps(facts)})


_PROMISE = sa.text("""
    UPDATE csv_pipeline.arrival AS file SET moving_to = fact.target
        FROM json_to_recordset(:facts) AS fact (arrival_id bigint, target text)
        WHERE file.arrival_id = fact.arrival_id
""")


def leave(connection: sa.Connection, files: Iterable[HeldFile]) -> None:
    """Write down that files stay where they are."""
    _change(connection, files, moving_to=None, moved_at=sa.func.now())


def arrived(connection: sa.Connection, moved: Sequence[Moved]) -> None:
    """Write down that files were moved, and those in them; what does not belong there moves on."""
    if moved:
        facts = [
            {
                "arrival_id": row.arrival_id,
                "source": str(one.held.source),
                "target": str(one.target) if row is one.held.row else f"{one.target}!{row.name}",
                "etag": one.etag,
                "belongs": one.belongs,
                "by_itself": row is one.held.row,
            }
            for one in moved
            for row in (one.held.row, *one.held.members)
        ]
        connection.execute(_ARRIVED, {"facts": json.dumps(facts)})


# A member is moved with its archive: the record has the archive's move only.
_ARRIVED = sa.text("""
    WITH changed AS (
        UPDATE csv_pipeline.arrival AS file
            SET moved_to = fact.target,
                moved_etag = fact.etag,
                moving_to = NULL,
                moved_at = CASE WHEN fact.belongs THEN now() END,
                removed_at = NULL
            FROM json_to_recordset(:facts) AS fact (
                arrival_id bigint, source text, target text, etag text, belongs bool, by_itself bool
            )
            WHERE file.arrival_id = fact.arrival_id
            RETURNING file.account, file.feed, fact.*
    )
    INSERT INTO csv_pipeline.file_move (account, feed, arrival_id, source, target)
        SELECT account, feed, arrival_id, source, target FROM changed WHERE by_itself
""")


def removed(connection: sa.Connection, files: Sequence[HeldFile]) -> None:
    """Write down that files were removed."""
    _change(connection, files, removed_at=sa.func.now())
    rows = [(file.row, file.source) for file in files]
    note_removed(connection, [(r.account, r.feed, r.arrival_id, source) for r, source in rows])


def note_removed(
    connection: sa.Connection, files: Sequence[tuple[str, str, int | None, Location]]
) -> None:
    """Record that files were removed, each with account, feed, and arrival if it was one."""
    if files:
        names = ("account", "feed", "arrival_id")
        lines = [dict(zip(names, of, strict=True), source=str(at)) for *of, at in files]
        connection.execute(sa.insert(_move), lines)


def moved_away(connection: sa.Connection, found: Iterable[FoundFile]) -> list[Any]:
    """Lock and return the arrivals, not claimed, of those of these files that went away.

    They were moved, or were not there any more, or not as they had arrived, when they were read.
    """
    names = ("account", "feed", "location", "size_bytes", "modified_at", "etag")
    key = sa.tuple_(*(_arrival.c[name] for name in names))
    wanted = [(file.account, file.feed, *file.identity) for file in found]
    rows: list[Any] = []
    for start in range(0, len(wanted), _AT_ONCE):
        query = sa.select(_arrival).where(
            key.in_(wanted[start : start + _AT_ONCE]),
            _arrival.c.moved_to.is_not(None) | tables.found_changed(),
            _arrival.c.status != ArrivalStatus.CLAIMED,
        )
        rows += connection.execute(query.with_for_update(skip_locked=True))
    return rows


def wait_again(connection: sa.Connection, rows: Sequence[Any]) -> None:
    """Let files arrive anew where they were found first."""
    _change(
        connection,
        map(HeldFile, rows),
        status=ArrivalStatus.WAITING,
        problem=None,
        moved_to=None,
        moving_to=None,
        moved_at=None,
        removed_at=None,
        moved_etag="",
        position=None,
    )


def _change(connection: sa.Connection, files: Iterable[HeldFile], **values: Any) -> None:
    if arrival_ids := [arrival_id for file in files for arrival_id in file.arrival_ids]:
        wanted = _arrival.c.arrival_id.in_(arrival_ids)
        connection.execute(sa.update(_arrival).where(wanted).values(values))
