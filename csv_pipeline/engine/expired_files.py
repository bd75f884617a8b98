"""Remove files that are kept no longer: archived, refused, results and rejects."""

import random
import time
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from csv_pipeline.engine.archive import found_at, log, what_cannot_go_stays
from csv_pipeline.files.store import Listed
from csv_pipeline.files.stores import store_of
from csv_pipeline.location import Location, is_below
from csv_pipeline.settings import Settings
from csv_pipeline.storage import moves, tables
from csv_pipeline.storage.database import Database
from csv_pipeline.storage.expiry import Amount

_arrival = tables.arrival


def remove_expired(database: Database, settings: Settings, account: str, feed: str) -> None:
    """Remove what is older, or more, than the settings let us keep of an account and feed.

    Counted apart: archived files, refused ones, files of results and files of rejects. A file that
    may still be imported stays, and so does one that is not as it was.
    """
    if settings.keep_files is None and settings.keep_days is None:
        return
    for area in settings.kept_areas:
        with database.begin() as connection:
            query = _too_many(settings, account, feed, area)
            arrival_ids = connection.scalars(query).all()
        if arrival_ids:
            with database.begin() as connection:
                _remove(connection, arrival_ids, area)
    for area in (settings.results_area, settings.rejects_area):
        removed = []
        with what_cannot_go_stays():
            for listed in _old_leaves(settings, area / account / feed):
                store_of(listed.location).remove(listed.location)
                removed.append((account, feed, None, listed.location))
        with database.begin() as connection:
            moves.note_removed(connection, removed)


def expired(connection: sa.Connection, settings: Settings) -> dict[str, Amount]:
    """Return how many files are kept no longer, and their bytes, by the kind of their area."""
    leaves = {"results": settings.results_area, "rejects": settings.rejects_area}
    found = dict.fromkeys([*dict(settings.kept_by_kind), *leaves], Amount())
    if settings.keep_files is None and settings.keep_days is None:
        return found
    for account, feed in _lanes(connection):
        for kind, area in settings.kept_by_kind:
            ids = _too_many(settings, account, feed, area)
            query = sa.select(_arrival.c.import_id, _arrival.c.size_bytes).where(
                _arrival.c.arrival_id.in_(ids)
            )
            for row in connection.execute(query):
                numbers = () if row.import_id is None else (row.import_id,)
                found[kind] += Amount(items=1, size_bytes=row.size_bytes, import_ids=numbers)
        for kind, area in leaves.items():
            with what_cannot_go_stays():
                for listed in _old_leaves(settings, area / account / feed):
                    found[kind] += Amount(items=1, size_bytes=listed.status.size_bytes)
    return found


def remove_all_expired(database: Database, settings: Settings, seconds: float) -> None:
    """Do so for every account and feed, in random order, and stop after so many seconds."""
    if settings.keep_files is None and settings.keep_days is None:
        return
    deadline = time.monotonic() + seconds
    with database.begin() as connection:
        lanes = _lanes(connection)
    random.shuffle(lanes)
    for account, feed in lanes:
        if time.monotonic() > deadline:
            break
        remove_expired(database, settings, account, feed)


def _lanes(connection: sa.Connection) -> list[tuple[str, str]]:
    return [(row.account, row.feed) for row in connection.execute(sa.select(tables.lane))]


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
    return sa.select(listed.c.arrival_id).where(listed.c.status.in_(moves.SETTLED), sa.or_(*over))


def _remove(connection: sa.Connection, arrival_ids: Collection[int], area: Location) -> None:
    """Remove files that are kept no longer, unless they are wanted, and write that down."""
    removed = []
    with what_cannot_go_stays():
        for held in moves.hold(connection, arrival_ids):
            location, store = held.source, store_of(held.source)
            if not (held.is_settled and held.is_done and is_below(location, area)):
                continue
            if store.exists(location) and not found_at(held, location):
                log.warning("file stays", because=f"{location} was changed since")
                continue
            store.remove(location, folder=True)
            removed.append(held)
    moves.removed(connection, removed)


def _old_leaves(settings: Settings, folder: Location) -> Iterator[Listed]:
    """Give the files that imports left in a folder and that are too many, or too old."""
    by_import = {}
    for listed in store_of(folder).listing(folder):
        number = listed.location.name.removeprefix("import-").removesuffix(".csv")
        if number.isdecimal():
            by_import[int(number)] = listed
    days = settings.keep_days
    oldest = None if days is None else datetime.now(UTC) - timedelta(days=days)
    newest_first = [by_import[import_id] for import_id in sorted(by_import, reverse=True)]
    for newer, listed in enumerate(newest_first):
        too_many = settings.keep_files is not None and newer >= settings.keep_files
        if too_many or (oldest is not None and listed.status.modified_at < oldest):
            yield listed
