"""Move files where they belong once the ledger has settled them.

The ledger's status of an arrival decides in which area its file belongs. First the ledger records
where it will be (`moving_to`), best in the transaction that settles it; then it is moved; then the
ledger records that it is there (`moved_to`, `moved_at`, a row in `file_move`). Whoever finds an
unfinished move finishes it. The arrival's row is locked meanwhile, so that no other process claims
the file.

A member is moved with its archive, once all members are settled. A file that changed since it was
imported, or lies outside of our areas, is not moved.
"""

import contextlib
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
import structlog

from csv_pipeline.engine import silence
from csv_pipeline.errors import SetupError
from csv_pipeline.files.store import FileStatus
from csv_pipeline.files.stores import CANNOT, free_name, move, store_of, unchanged
from csv_pipeline.location import Location, is_below, location_of
from csv_pipeline.model import ArrivalStatus, Claim, FoundFile
from csv_pipeline.settings import Settings
from csv_pipeline.storage import moves, silent_stores
from csv_pipeline.storage.database import Database
from csv_pipeline.storage.moves import SETTLED, TO_ARCHIVE, HeldFile, Moved

_NAMES_TRIED = 5
log = structlog.get_logger()


def plan(settings: Settings, settled: Iterable[tuple[Claim, ArrivalStatus]]) -> dict[int, Location]:
    """Return where the files of arrivals are to be moved, for the transaction that settles them.

    Arrivals whose files stay, or go with the archive they are in, are left out; so are those of a
    store that does not answer.
    """
    targets: dict[int, Location] = {}
    with what_cannot_go_stays():
        for claim, status in settled:
            alone = claim.member is None and status is not ArrivalStatus.UNPACKED
            if alone and status in SETTLED and _is_to_go(settings, claim.lies_at, claim, status):
                area, taken = _area(settings, claim, status), targets.values()
                targets[claim.arrival_id] = _free(area, claim, taken)
    return targets


def archive(
    database: Database,
    settings: Settings,
    arrival_ids: Collection[int],
    silent: Collection[str] = (),
) -> list[silence.Silence]:
    """Move the files of settled arrivals where they belong, unless they are there already.

    Where no target is planned, one is planned first. What cannot be moved is logged and stays; the
    ledger remembers that it is to be moved. Stores that are `silent` are not asked; returns what
    others said that are.
    """
    taken: set[Location] = set()
    errors: list[silence.Silence] = []
    for _ in range(_NAMES_TRIED):
        with database.begin() as connection:
            work = _Moves(settings, taken, {*silent})
            work.do(moves.hold(connection, arrival_ids))
            moves.arrived(connection, work.arrived)
            moves.promise(connection, work.promised)
            moves.leave(connection, work.left)
        errors += work.errors
        arrival_ids = work.promised.keys() | work.to_move_on
        if not arrival_ids or errors:
            break
    silence.note(database, settings, (), errors)
    return errors


def archive_due(database: Database, settings: Settings, seconds: float) -> None:
    """Move what killed workers, or a full disk, left; stop after so many seconds."""
    deadline = time.monotonic() + seconds
    with database.begin() as connection:
        arrival_ids = moves.due(connection)
        silent = {one.store for one in silent_stores.find(connection)}
    for arrival_id in arrival_ids:
        if time.monotonic() > deadline:
            break
        errors = archive(database, settings, [arrival_id], silent)
        silent |= {silence.store_named(settings, location_of(one.location)) for one in errors}


def let_returned_wait(connection: sa.Connection, found: Iterable[FoundFile]) -> None:
    """Let files wait again that were moved away and that somebody has put back since."""
    rows = moves.moved_away(connection, found)
    # Only now no other process moves it: what is there was put there.
    back = [
        row
        for row in rows
        if unchanged(location_of(row.location), row.size_bytes, row.modified_at, row.etag)
    ]
    moves.wait_again(connection, back)


@contextlib.contextmanager
def what_cannot_go_stays(errors: tuple[type[Exception], ...] = CANNOT) -> Iterator[None]:
    """Log what system or store do not allow, and let it be tried again another time."""
    try:
        yield
    except errors as error:
        log.warning("file stays", because=str(error))


def found_at(held: HeldFile, location: Location) -> FileStatus | None:
    """Return what a file is where it is known to be, or is to be; None if it is not there."""
    row, moving = held.row, location != held.source
    moved = moving or row.moved_to is not None
    etag = "" if moving else row.moved_etag if moved else row.etag
    return unchanged(location, row.size_bytes, row.modified_at, etag, moved=moved)


class _Moves:
    """One go over files: what is moved, and what is yet to be written down."""

    def __init__(self, settings: Settings, taken: set[Location], silent: set[str]) -> None:
        self.errors: list[silence.Silence] = []
        self.arrived: list[Moved] = []
        self.promised: dict[int, Location] = {}
        self.left: list[HeldFile] = []
        self.to_move_on: set[int] = set()
        self._settings = settings
        self._taken, self._silent = taken, silent

    def do(self, files: Sequence[HeldFile]) -> None:
        """Move files, or plan where they go; a store that does not answer is asked no further."""
        for held in files:
            stores = {
                silence.store_named(self._settings, location)
                for location in (held.source, _area(self._settings, held.row, held.row.status))
            }
            if not held.is_settled or held.is_done or stores & self._silent:
                continue
            try:
                with what_cannot_go_stays((OSError,)):
                    self._do(held)
            except silence.SILENT as error:
                log.warning("file stays", because=str(error))
                self.errors.append(error)
                self._silent |= stores
            except SetupError as error:
                log.warning("files stay", because=str(error))
                return

    def _do(self, held: HeldFile) -> None:
        row, source, target = held.row, held.source, held.target
        area = _area(self._settings, row, row.status)
        if not found_at(held, source):
            # Whoever moved it was killed before saying so, or it is gone, or another one.
            found = None if target is None or row.taken else found_at(held, target)
            self._arrive(held, target, found)
        elif not _is_to_go(self._settings, source, row, row.status):
            self.left.append(held)
        elif store_of(source).is_being_written(source):
            pass  # until it is closed
        elif target is None or not is_below(target, area):
            self._promise(held)
        elif row.taken or row.promised:
            self._taken.add(target)
            self._promise(held)
        else:
            self._move(held, target)

    def _promise(self, held: HeldFile) -> None:
        area, taken = _area(self._settings, held.row, held.row.status), self._taken
        free = _free(area, held.row, (*taken, *self.promised.values()))
        self.promised[held.row.arrival_id] = free

    def _move(self, held: HeldFile, target: Location) -> None:
        try:
            move(held.source, target)
        except FileExistsError:
            self._taken.add(target)
            self._promise(held)
            return
        found = found_at(held, target)
        if found is None and store_of(held.source).exists(held.source):
            found = store_of(target).status(target)
        elif found is None:
            move(target, held.source)  # it was written to in this very moment
        self._arrive(held, target, found)

    def _arrive(self, held: HeldFile, target: Location | None, found: FileStatus | None) -> None:
        """Note that a file is where it was to be moved, or, if it is not found there, stays."""
        if target is None or found is None:
            self.left.append(held)
            return
        belongs = is_below(target, _area(self._settings, held.row, held.row.status))
        if not belongs:
            self.to_move_on.add(held.row.arrival_id)
        self.arrived.append(Moved(held, target, found.etag, belongs))


def _area(settings: Settings, file: Claim | sa.Row[Any], status: str) -> Location:
    """Return where a file is kept by its status, beside the landing area that it came by."""
    landing = settings.landing_of(location_of(file.location))
    kept = settings.archive_area if status in TO_ARCHIVE else settings.refused_area
    return kept(landing)


def _is_to_go(settings: Settings, source: Location, file: Claim | sa.Row[Any], status: str) -> bool:
    """Return whether a file is ours to move, and is elsewhere than it belongs."""
    ours = (*settings.landing_areas, *settings.kept_areas)
    return (
        settings.archive
        and any(is_below(source, one) for one in ours)
        and not is_below(source, _area(settings, file, status))
    )


def _free(area: Location, file: Claim | sa.Row[Any], taken: Collection[Location]) -> Location:
    """Return a location that no file has."""
    now = datetime.now(UTC)
    folder = area / file.account / file.feed / f"{now:%Y-%m-%d}"
    return free_name(folder, file.name, now, taken)
