"""Where a file goes once the ledger has settled it, and for how long it is kept there.

The ledger's status of an arrival decides where its file belongs. First the ledger records where it
will be (`moving_to`), then it is moved, then the ledger records that it is there (`moved_to`,
`moved_at`, a row in `file_move`). Whoever finds an unfinished move finishes it. The arrival's row
is locked meanwhile, so that no other process claims the file.

A member is moved with its archive, once all members are settled. A file that changed since it was
imported, or lies outside of our areas, is not moved.
"""

import contextlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
import structlog

from csv_pipeline.errors import SetupError, StoreUnavailableError
from csv_pipeline.files.areas import (
    etag_of,
    exists,
    is_being_written,
    is_unchanged,
    move,
)
from csv_pipeline.files.local import free_name
from csv_pipeline.location import Location, is_below, location_of
from csv_pipeline.model import ArrivalStatus, FoundFile
from csv_pipeline.settings import Settings
from csv_pipeline.storage import tables
from csv_pipeline.storage.database import Database
from csv_pipeline.storage.order import are_members

CANNOT_GO = (OSError, SetupError, StoreUnavailableError)
"""What system and store say of a file that cannot be moved or removed now."""

_TO_ARCHIVE = (ArrivalStatus.IMPORTED, ArrivalStatus.DUPLICATE, ArrivalStatus.UNPACKED)
_SETTLED = (*_TO_ARCHIVE, ArrivalStatus.REFUSED)
_NAMES_TRIED = 5
_AT_ONCE = 500
log = structlog.get_logger()
_arrival = tables.arrival


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """A file that lies by itself, its row locked, with those of the files in it."""

    file: Any
    members: Sequence[Any]

    @property
    def source(self) -> Location:
        return location_of(self.file.moved_to or self.file.location)

    @property
    def target(self) -> Location | None:
        """Where a move that was begun was to bring it."""
        return None if self.file.moving_to is None else location_of(self.file.moving_to)

    @property
    def settled(self) -> bool:
        return all(row.status in _SETTLED for row in (self.file, *self.members))

    @property
    def moved(self) -> bool:
        return all(row.moved_at is not None for row in (self.file, *self.members))

    def is_at(self, location: Location) -> bool:
        file, moving = self.file, location != self.source
        moved = moving or file.moved_to is not None
        etag = "" if moving else file.moved_etag if moved else file.etag
        return is_unchanged(location, file.size_bytes, file.modified_at, etag, moved=moved)


def archive_file(database: Database, settings: Settings, arrival_id: int) -> None:
    """Move the file of a settled arrival where it belongs, unless it is there already.

    Raises:
        CANNOT_GO: It cannot be moved now; the ledger remembers that it is to be.
    """
    for _ in range(_NAMES_TRIED):
        with database.begin() as connection:
            held = _hold(connection, arrival_id)
            target = _plan(connection, settings, held, _Names(connection)) if held else None
            if held is None or target is None:
                return
            _promise(connection, [(held, target)])
        with database.begin() as connection:
            held = _hold(connection, arrival_id)
            moved = _carry_out(connection, held) if held else _Move()
            if held and moved.target:
                _arrived(connection, [(held, moved.target)])
            if not moved.again:
                return


def archive_files(database: Database, settings: Settings, arrival_ids: Sequence[int]) -> None:
    """Do so for files of one account and feed, none of them in an archive, all in one go.

    What cannot be moved is logged and stays.
    """
    with database.begin() as connection:
        names, promised = _Names(connection), []
        with _what_cannot_go_stays():  # a store that does not answer is asked no further
            for held in _hold_all(connection, arrival_ids):
                with _what_cannot_go_stays((OSError,)):
                    if (target := _plan(connection, settings, held, names)) is not None:
                        promised.append((held, target))
        _promise(connection, promised)
    with database.begin() as connection:
        arrived = []
        with _what_cannot_go_stays():
            for held in _hold_all(connection, arrival_ids):
                with _what_cannot_go_stays((OSError,)):
                    if (target := _carry_out(connection, held).target) is not None:
                        arrived.append((held, target))
        _arrived(connection, arrived)


def archive_due(database: Database, settings: Settings, seconds: float) -> None:
    """Move what workers that were killed, or met a full disk, did not; stop after so many seconds.

    What cannot be moved is logged and stays. The order is random, so that processes do not wait for
    one another.
    """
    deadline = time.monotonic() + seconds
    waiting = (
        sa.select(_arrival.c.arrival_id)
        .where(_arrival.c.moved_at.is_(None), _arrival.c.status.in_(_SETTLED))
        .order_by(sa.func.random())
        .limit(_AT_ONCE)
    )
    with database.begin() as connection:
        arrival_ids = connection.scalars(waiting).all()
    for arrival_id in arrival_ids:
        if time.monotonic() > deadline:
            break
        with _what_cannot_go_stays():
            archive_file(database, settings, arrival_id)


def let_returned_wait(connection: sa.Connection, found: Iterable[FoundFile]) -> None:
    """Let files wait again that were moved away and that somebody has put back since."""
    names = ("account", "feed", "location", "size_bytes", "modified_at", "etag")
    key = sa.tuple_(*(_arrival.c[name] for name in names))
    keys = [(file.account, file.feed, *file.identity) for file in found]
    for some in _chunks(keys, _AT_ONCE):
        moved = connection.execute(
            sa.select(_arrival)
            .where(
                key.in_(some),
                _arrival.c.moved_to.is_not(None),
                _arrival.c.status != ArrivalStatus.CLAIMED,
            )
            .with_for_update(skip_locked=True)
        )
        # Only now no other process moves it: what is there was put there.
        back = [
            row.arrival_id
            for row in moved
            if is_unchanged(location_of(row.location), row.size_bytes, row.modified_at, row.etag)
        ]
        _change(
            connection,
            back,
            status=ArrivalStatus.WAITING,
            problem=None,
            moved_to=None,
            moving_to=None,
            moved_at=None,
            removed_at=None,
            moved_etag="",
            position=None,  # it arrives anew
        )


@contextlib.contextmanager
def _what_cannot_go_stays(errors: tuple[type[Exception], ...] = CANNOT_GO) -> Iterator[None]:
    """Log what system or store do not allow, and let it be tried again another time."""
    try:
        yield
    except errors as error:
        log.warning("file stays", because=str(error))


def _plan(
    connection: sa.Connection, settings: Settings, held: _Held, names: "_Names"
) -> Location | None:
    """Return where a file is to be moved; None if it stays."""
    if held.moved or not held.settled:
        return None
    to_archive = held.file.status in _TO_ARCHIVE
    area = settings.archive_location if to_archive else settings.quarantine_location
    target = held.target
    if target and not held.is_at(held.source) and held.is_at(target):
        _arrived(connection, [(held, target)])  # whoever moved it was killed before saying so
        if is_below(target, area):
            return None
        _change(connection, [held.file.arrival_id], moved_at=None)
        again = _hold(connection, held.file.arrival_id)
        return _plan(connection, settings, again, names) if again else None
    if not _is_to_go(settings, held, area):
        _leave(connection, held)
        return None
    if target is not None and is_below(target, area):
        return target
    return None if is_being_written(held.source) else names.free_for(held.file, area)


def _is_to_go(settings: Settings, held: _Held, area: Location) -> bool:
    """Return whether a file is ours to move, and is elsewhere, and is the one that was imported."""
    ours = (settings.landing_location, settings.archive_location, settings.quarantine_location)
    return (
        settings.archive
        and any(is_below(held.source, one) for one in ours)
        and not is_below(held.source, area)
        and held.is_at(held.source)
    )


class _Names:
    """The places to which files of an account and feed may go, and are on their way."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._promised: set[str] | None = None

    def free_for(self, file: Any, area: Location) -> Location:
        """Return a place that no file has and none is on its way to, and promise it."""
        if self._promised is None:
            self._promised = self._all_promised(file)
        promised = self._promised
        now = datetime.now(UTC)
        folder: Location = area / file.account / file.feed / f"{now:%Y-%m-%d}"

        def is_taken(location: Location) -> bool:
            return str(location) in promised or exists(location)

        free = free_name(folder, file.name, now, is_taken)
        promised.add(str(free))
        return free

    def _all_promised(self, file: Any) -> set[str]:
        """Keep others from promising places until the transaction ends; return those promised."""
        account = tables.account
        mine = sa.select(account.c.account).where(account.c.account == file.account)
        self._connection.execute(mine.with_for_update(key_share=True))
        query = sa.select(_arrival.c.moving_to).where(
            _arrival.c.account == file.account,
            _arrival.c.feed == file.feed,
            _arrival.c.moving_to.is_not(None),
        )
        return set(self._connection.scalars(query))


@dataclass(frozen=True, slots=True)
class _Move:
    """What came of moving a file: where it is now, if it was moved, and whether to plan again."""

    target: Location | None = None
    again: bool = False


def _carry_out(connection: sa.Connection, held: _Held) -> _Move:
    """Move a file as planned; what comes of it is yet to be written down if it arrived."""
    if held.target is None or not held.settled:
        return _Move()
    target = held.target
    if held.is_at(held.source):
        try:
            move(held.source, target)
        except FileExistsError:
            _change(connection, [held.file.arrival_id], moving_to=None)
            return _Move(again=True)
        if not held.is_at(target) and not exists(held.source):
            move(target, held.source)  # it was written to in this very moment
            _leave(connection, held)
            return _Move()
    elif not held.is_at(target):
        _leave(connection, held)
        return _Move()
    return _Move(target)


def _hold(connection: sa.Connection, arrival_id: int) -> _Held | None:
    """Lock an arrival, or the archive it is in, with all files in it; None if any is busy."""
    row = connection.execute(
        sa.select(_arrival).where(_arrival.c.arrival_id == arrival_id)
    ).one_or_none()
    if row is not None and row.location.endswith(f"!{row.name}"):
        # An archive that was replaced may have kept its time: a file is of the last one before it.
        row = connection.execute(
            sa.select(_arrival)
            .where(
                _arrival.c.account == row.account,
                _arrival.c.feed == row.feed,
                _arrival.c.location == row.location.removesuffix(f"!{row.name}"),
                _arrival.c.modified_at == row.modified_at,
                _arrival.c.etag == row.etag,
                _arrival.c.arrival_id < row.arrival_id,
            )
            .order_by(_arrival.c.arrival_id.desc())
            .limit(1)
        ).one_or_none()
    if row is None:
        return None
    wanted = [row.arrival_id]
    if row.status == ArrivalStatus.UNPACKED:
        wanted += connection.scalars(sa.select(_arrival.c.arrival_id).where(are_members(row)))
    locked = connection.execute(
        sa.select(_arrival)
        .where(_arrival.c.arrival_id.in_(wanted))
        .order_by(_arrival.c.arrival_id)
        .with_for_update(skip_locked=True)
    ).all()
    if len(locked) != len(wanted):
        return None
    file = next(one for one in locked if one.arrival_id == row.arrival_id)
    return _Held(file=file, members=[one for one in locked if one is not file])


def _hold_all(connection: sa.Connection, arrival_ids: Sequence[int]) -> list[_Held]:
    """Lock arrivals that are in no archive and return those that no other process has locked."""
    locked = connection.execute(
        sa.select(_arrival)
        .where(_arrival.c.arrival_id.in_(arrival_ids))
        .order_by(_arrival.c.arrival_id)
        .with_for_update(skip_locked=True)
    )
    return [_Held(file=row, members=()) for row in locked]


def _leave(connection: sa.Connection, held: _Held) -> None:
    """Write down that a file stays where it is."""
    rows = [held.file, *held.members]
    everyone = [row.arrival_id for row in rows]
    _change(connection, everyone, moving_to=None, moved_at=sa.func.now())


def _promise(connection: sa.Connection, planned: Sequence[tuple[_Held, Location]]) -> None:
    """Write down where files are to go."""
    _change_each(
        connection, [{"of": held.file.arrival_id, "moving_to": str(to)} for held, to in planned]
    )


def _arrived(connection: sa.Connection, moved: Sequence[tuple[_Held, Location]]) -> None:
    """Write down that files are where they were to go, and so are those in them."""
    done = {"moving_to": None, "moved_at": sa.func.now(), "removed_at": None}
    facts = []
    for held, target in moved:
        since = {"moved_etag": etag_of(target)}
        facts.append({"of": held.file.arrival_id, "moved_to": str(target), **since})
        members = [row.arrival_id for row in held.members]
        in_it = sa.literal(f"{target}!") + _arrival.c.name
        _change(connection, members, moved_to=in_it, **since, **done)
    _change_each(connection, facts, **done)
    _record(connection, [_line_of(held, target) for held, target in moved])


def _change(connection: sa.Connection, arrival_ids: Sequence[int], **values: Any) -> None:
    if arrival_ids:
        connection.execute(
            sa.update(_arrival).where(_arrival.c.arrival_id.in_(arrival_ids)).values(values)
        )


def _change_each(
    connection: sa.Connection, facts: Sequence[Mapping[str, Any]], **values: Any
) -> None:
    """Change arrivals, each `of` a number, by facts of their own and by these values."""
    if facts:
        own: dict[str, Any] = {name: sa.bindparam(f"its_{name}") for name in facts[0]}
        mine = _arrival.c.arrival_id == own.pop("of")
        statement = sa.update(_arrival).where(mine).values(own | values)
        connection.execute(
            statement, [{f"its_{name}": fact for name, fact in its.items()} for its in facts]
        )


def _record(connection: sa.Connection, lines: Sequence[Mapping[str, Any]]) -> None:
    if lines:
        connection.execute(sa.insert(tables.file_move), lines)


def _line_of(held: _Held, target: Location | None) -> dict[str, Any]:
    file = held.file
    return _line(file.account, file.feed, file.arrival_id, held.source, target)


def _line(
    account: str, feed: str, arrival_id: int | None, source: Location, target: Location | None
) -> dict[str, Any]:
    """Return a line of the record."""
    return {
        "account": account,
        "feed": feed,
        "arrival_id": arrival_id,
        "source": str(source),
        "target": None if target is None else str(target),
    }


def _chunks(items: list[Any], size: int) -> Iterable[list[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))
