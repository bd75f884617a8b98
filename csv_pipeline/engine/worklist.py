"""Write the work that remains of an account and feed to a CSV file, for people and programs.

The file is replaced at once and whole. The one it replaces is kept beside it, under the time at
which it was replaced, and the oldest of these go. A process that is killed leaves the earlier file
or the new one, and at most one backup more.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import structlog

from csv_pipeline.engine.events import OnEvent, WorklistBroke, WorklistWritten
from csv_pipeline.errors import SetupError, UnknownAccountError
from csv_pipeline.files.stores import fetch, store_of, written_to
from csv_pipeline.location import Location
from csv_pipeline.rejects.rejects_file import neutral
from csv_pipeline.settings import Settings
from csv_pipeline.spec.contract import Column
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.header import title
from csv_pipeline.storage import accounts
from csv_pipeline.storage.database import Database
from csv_pipeline.storage.worklists import remaining

log = structlog.get_logger()
_BACKUP = re.compile(r"\d{8}T\d{6}\.\d{6}Z\.csv")


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A worklist that was written: where, how many rows it has, and the earlier one, if kept.

    `changed` is false if the file that is there says the same already; then it stays as it is.
    """

    location: Location
    rows: int
    backup: Location | None = None
    changed: bool = True

    def facts(self) -> dict[str, Any]:
        """Return it as JSON types."""
        backup = None if self.backup is None else str(self.backup)
        return {
            "file": str(self.location),
            "rows": self.rows,
            "backup": backup,
            "changed": self.changed,
        }


def write_worklist(
    settings: Settings, database: Database, feed: Feed, account: str, target: Location | None = None
) -> Written:
    """Write what remains to `target`, or where the settings say.

    UTF-8 with a byte order mark, commas, CRLF; no cell is one that a spreadsheet runs.

    Raises:
        SetupError: The feed declares no worklist.
        UnknownAccountError: There is no such account.
    """
    worklist = feed.worklist
    if worklist is None:
        raise SetupError(
            f"feed {feed.name!r}: a feed that declares a worklist was needed; it declares none"
        )
    with database.begin() as connection:
        known = accounts.names(connection)
    if account not in known:
        raise UnknownAccountError(account, known)
    location = target or settings.worklist_file(account, feed.name)
    columns = {column.name: column for column in feed.columns}
    shown = [columns[name] for name in worklist.columns]
    with database.begin() as connection, written_to(location, settings.work_area) as draft:
        rows = _write(draft, shown, remaining(connection, feed, worklist, account))
        with TemporaryDirectory(dir=settings.work_area) as work:
            earlier = Path(work, "earlier")
            if not _fetched(location, earlier):
                return Written(location=location, rows=rows)
            if earlier.read_bytes() == draft.read_bytes():
                draft.unlink()
                return Written(location=location, rows=rows, changed=False)
            backup = _kept(earlier, location, settings.worklist_backups)
        return Written(location=location, rows=rows, backup=backup)


def rewrite_worklist(
    settings: Settings, database: Database, feed: Feed, account: str, on_event: OnEvent
) -> None:
    """Write what remains after an undo, if the feed declares it, and tell if it could not be."""
    if feed.worklist is None:
        return
    try:
        written = write_worklist(settings, database, feed, account)
    except Exception as error:  # noqa: BLE001  # whatever it is, what is undone stays undone
        log.warning("no worklist", feed=feed.name, account=account, because=str(error))
        on_event(WorklistBroke(account=account, feed=feed.name, error=error))
    else:
        facts = {name: fact for name, fact in written.facts().items() if fact is not None}
        on_event(WorklistWritten(account=account, feed=feed.name, facts=facts))


def backups_of(location: Location) -> Location:
    """Return the folder in which the earlier ones of a worklist are."""
    return location.parent / f"{location.name}.backups"


def _write(path: Path, columns: Sequence[Column], rows: Iterable[Sequence[Any]]) -> int:
    written = 0
    with path.open("w", encoding="utf-8-sig", newline="") as out:
        writer = csv.writer(out)
        writer.writerow([neutral(title(column)) for column in columns])
        for written, row in enumerate(rows, 1):  # noqa: B007  # the last number is the count
            writer.writerow(["" if value is None else neutral(str(value)) for value in row])
    return written


def _fetched(location: Location, copy: Path) -> bool:
    """Copy the file that is there, if any, and return whether there is one."""
    try:
        fetch(location, store_of(location).status(location), copy)
    except FileNotFoundError:
        return False
    return True


def _kept(earlier: Path, location: Location, most: int) -> Location | None:
    """Keep the earlier file under the time of now, and of all that are kept the last ones."""
    folder = backups_of(location)
    backup = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.csv"
    store = store_of(location)
    if most:
        store.put(earlier, backup)
    listed = (one.location for one in store.listing(folder))
    kept = sorted((one for one in listed if _BACKUP.fullmatch(one.name)), key=lambda one: one.name)
    for one in kept[: max(0, len(kept) - most)]:
        store.remove(one)
    return backup if most else None
