"""Remove files that are kept no longer: archived, refused, results and rejects."""

import contextlib
import random
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa

from csv_pipeline.engine.archive import (
    _SETTLED,
    _arrival,
    _change,
    _hold,
    _line,
    _line_of,
    _record,
    _what_cannot_go_stays,
    log,
)
from csv_pipeline.files.areas import (
    exists,
    remove,
)
from csv_pipeline.location import Location, is_below
from csv_pipeline.settings import Settings
from csv_pipeline.storage import tables
from csv_pipeline.storage.database import Database


def remove_expired(database: Database, settings: Settings, account: str, feed: str) -> None:
    """Remove what is older, or more, than the settings let us keep of an account and feed.

    Counted apart: archived files, refused ones, files of results and files of rejects. A file that
    may still be imported stays, and so does one that is not as it was.
    """
    if settings.keep_files is None and settings.keep_days is None:
        return
    for area in (settings.archive_location, settings.quarantine_location):
        with database.begin() as connection:
            query = _too_many(settings, account, feed, area)
            arrival_ids = connection.scalars(query).all()
        for arrival_id in arrival_ids:
            with _what_cannot_go_stays(), database.begin() as connection:
                _remove(connection, arrival_id, area)
    for area in (settings.results_area, settings.rejects_area):
        for path in _old_leaves(settings, area / account / feed):
            with _what_cannot_go_stays(), database.begin() as connection:
                path.unlink(missing_ok=True)
                _record(connection, [_line(account, feed, None, path, None)])


def remove_all_expired(database: Database, settings: Settings, seconds: float) -> None:
    """Do so for every account and feed, in random order, and stop after so many seconds."""
    if settings.keep_files is None and settings.keep_days is None:
        return
    deadline = time.monotonic() + seconds
    with database.begin() as connection:
        found = connection.execute(sa.select(tables.lane))
        lanes = [(row.account, row.feed) for row in found]
    random.shuffle(lanes)
    for account, feed in lanes:
        if time.monotonic() > deadline:
            break
        remove_expired(database, settings, account, feed)


def _too_many(settings: Settings, account: str, feed: str, area: Location) -> sa.Select[int]:
    """Ask for the settled files of an area that are too many, or too old."""
    name = _arrival.c.name
    in_order = sa.func.row_number().over(
        order_by=(_arrival.c.moved_at.desc(), _arrival.c.arrival_id.desc())
    )
    columns = (_arrival.c.arrival_id, _arrival.c.moved_at, _arrival.c.status)
    query = sa.select(*columns, in_order.label("rank")).where(
        _arrival.c.account == account,
        _arrival.c.feed == feed,
        _arrival.c.moved_to.startswith(f"{area}/", autoescape=True),
        _arrival.c.removed_at.is_(None),
        sa.func.right(_arrival.c.moved_to, sa.func.length(name) + 1) != sa.literal("!") + name,
    )
    listed = query.subquery()
    over: list[sa.ColumnElement[bool]] = [sa.false()]
    if settings.keep_files is not None:
        over.append(listed.c.rank > settings.keep_files)
    if settings.keep_days is not None:
        over.append(listed.c.moved_at < sa.func.now() - timedelta(days=settings.keep_days))
    return sa.select(listed.c.arrival_id).where(listed.c.status.in_(_SETTLED), sa.or_(*over))


def _remove(connection: sa.Connection, arrival_id: int, area: Location) -> None:
    """Remove a file that is kept no longer, unless it is wanted, and write that down."""
    held = _hold(connection, arrival_id)
    if held is None or not (held.settled and held.moved and is_below(held.source, area)):
        return
    if exists(held.source) and not held.is_at(held.source):
        log.warning("file stays", because=f"{held.source} was changed since")
        return
    remove(held.source)
    everyone = [row.arrival_id for row in (held.file, *held.members)]
    _change(connection, everyone, removed_at=sa.func.now())
    _record(connection, [_line_of(held, None)])


def _old_leaves(settings: Settings, folder: Path) -> Iterator[Path]:
    """Give the files that imports left in a folder and that are too many, or too old."""
    by_import = {
        int(path.stem.removeprefix("import-")): path
        for path in folder.glob("import-*.csv")
        if path.stem.removeprefix("import-").isdecimal()
    }
    newest_first = sorted(by_import, reverse=True)
    oldest = None if settings.keep_days is None else time.time() - settings.keep_days * 86_400
    for location_, number in enumerate(newest_first):
        too_many = settings.keep_files is not None and location_ >= settings.keep_files
        path = by_import[number]
        with contextlib.suppress(FileNotFoundError):
            if too_many or (oldest is not None and path.stat().st_mtime < oldest):
                yield path
