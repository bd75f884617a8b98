"""Where files of arrivals are to be moved and where they are since; the record of all moves."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

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

    def target_of(self, row: Any) -> str:
        """Return where it is, or a file in it."""
        return str(self.target) if row is self.held.row else f"{self.target}!{row.name}"


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


def promise(connection: sa.Connection, targets: Mapping[int, Location | None]) -> None:
    """Write down where files are to be moved; None: no longer there."""
    if targets:
        fact = _facts(arrival_id=list(targets), target=[_text(to) for to in targets.values()])
        statement = sa.update(_arrival).where(_arrival.c.arrival_id == fact.c.arrival_id)
        connection.execute(statement.values(moving_to=fact.c.target))


def leave(connection: sa.Connection, files: Iterable[HeldFile]) -> None:
    """Write down that files stay where they are."""
    _change(connection, files, moving_to=None, moved_at=sa.func.now())


def arrived(connection: sa.Connection, moved: Sequence[Moved]) -> None:
    """Write down that files were moved, and those in them; what does not belong there moves on."""
    if not moved:
        return
    rows = [(one, row) for one in moved for row in (one.held.row, *one.held.members)]
    fact = _facts(
        arrival_id=[row.arrival_id for _, row in rows],
        source=[str(one.held.source) for one, _ in rows],
        target=[one.target_of(row) for one, row in rows],
        etag=[one.etag for one, _ in rows],
        belongs=[one.belongs for one, _ in rows],
        by_itself=[row is one.held.row for one, row in rows],
    )
    statement = sa.update(_arrival).where(_arrival.c.arrival_id == fact.c.arrival_id)
    changed = statement.values(  # one statement for the rows and the record of the moves
        moved_to=fact.c.target,
        moved_etag=fact.c.etag,
        moving_to=None,
        moved_at=sa.case((fact.c.belongs, sa.func.now())),
        removed_at=None,
    ).returning(_arrival.c.account, _arrival.c.feed, *fact.c)
    line = changed.cte("changed").c
    names = ("account", "feed", "arrival_id", "source", "target")
    lines = sa.select(*(line[name] for name in names)).where(line.by_itself)
    connection.execute(sa.insert(_move).from_select(names, lines))


def removed(connection: sa.Connection, files: Sequence[HeldFile]) -> None:
    """Write down that files were removed."""
    _change(connection, files, removed_at=sa.func.now())
    note_removed(
        connection,
        [(f.row.account, f.row.feed, f.row.arrival_id, f.source) for f in files],
    )


def note_removed(
    connection: sa.Connection, files: Sequence[tuple[str, str, int | None, Location]]
) -> None:
    """Record that files were removed, each with account, feed, and arrival if it was one."""
    if files:
        lines = [
            {"account": account, "feed": feed, "arrival_id": arrival_id, "source": str(source)}
            for account, feed, arrival_id, source in files
        ]
        connection.execute(sa.insert(_move), lines)


def moved_away(connection: sa.Connection, found: Iterable[FoundFile]) -> list[Any]:
    """Lock and return the arrivals, not claimed, of those of these files that were moved away."""
    names = ("account", "feed", "location", "size_bytes", "modified_at", "etag")
    key = sa.tuple_(*(_arrival.c[name] for name in names))
    wanted = [(file.account, file.feed, *file.identity) for file in found]
    rows: list[Any] = []
    for start in range(0, len(wanted), _AT_ONCE):
        query = sa.select(_arrival).where(
            key.in_(wanted[start : start + _AT_ONCE]),
            _arrival.c.moved_to.is_not(None),
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


def _facts(**columns: list[Any]) -> sa.TableValuedAlias:
    """Return lists as the columns of a table."""
    types: dict[str, sa.types.TypeEngine[Any]] = {
        "arrival_id": sa.BigInteger(),
        "belongs": sa.Boolean(),
        "by_itself": sa.Boolean(),
    }
    named: list[sa.ColumnClause[Any]] = [
        sa.column(name, types.get(name, sa.Text())) for name in columns
    ]
    lists = [
        sa.literal(values, pg.ARRAY(column.type))
        for column, values in zip(named, columns.values(), strict=True)
    ]
    return sa.func.unnest(*lists).table_valued(*named, name="fact").render_derived()


def _text(location: Location | None) -> str | None:
    return None if location is None else str(location)
