"""Find files in the landing area.

The landing area is `{root}/{account}/{feed}/…`, folders below the feed allowed, in a folder or in a
bucket. A file is new if its location, size and modification time together were never seen; no clock
and no high-water mark is compared. Listing hashes nothing and opens nothing.
"""

import difflib
import os
import stat
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from csv_pipeline.account import account_slug
from csv_pipeline.errors import InvalidAccountError
from csv_pipeline.files import objects
from csv_pipeline.files.areas import is_unchanged
from csv_pipeline.files.local import modified_at, text_of
from csv_pipeline.location import Location, ObjectLocation, parts_below
from csv_pipeline.model import FileIdentity, FoundFile

_UNFINISHED = (".part", ".tmp", ".crdownload", ".filepart")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanResult:
    """What one look at the landing area found.

    `found` files are complete, new and in a place of their own; `misplaced` ones lie where no feed
    or account can be, with the reason; `growing` ones wait. `stopped_at` is where to go on if the
    time did not suffice: the first account's folder left out, or the last key seen of a bucket.
    """

    found: tuple[FoundFile, ...]
    misplaced: tuple[tuple[FoundFile, str], ...]
    growing: int
    stopped_at: str | None = None


def scan_landing(  # noqa: PLR0913  # where, for what, what is known, and three bounds in time
    landing: Location,
    feeds: Collection[str],
    *,
    known: Collection[FileIdentity],
    settle_seconds: float,
    deadline: float,
    start_at: str | None = None,
    account: str | None = None,
) -> ScanResult:
    """Return the files that are new, account by account until `deadline` (`time.monotonic`).

    The folders of other accounts are not looked at if one `account` is named.
    A file modified within the last `settle_seconds` may still be growing: it is looked at again
    after that time and waits unless size and modification time stayed as they were. An object of a
    store is whole from the moment it is seen.
    """
    found: list[FoundFile] = []
    misplaced: list[tuple[FoundFile, str]] = []
    young: list[FoundFile] = []
    stopped_at = None
    whole = isinstance(landing, ObjectLocation)
    for at, file, fault in _entries(landing, start_at, account):
        if time.monotonic() > deadline:
            stopped_at = at
            break
        # The ETag of an object that an earlier release entered is not known.
        if file.identity in known or (*file.identity[:3], "") in known:
            continue
        if (why := fault or _misplaced(file, feeds)) is not None:
            misplaced.append((file, why))
        elif not whole and _age(file) < settle_seconds:
            young.append(file)
        else:
            found.append(file)
    if young:
        # A file of the future, by a clock that is wrong, waits no longer than one of just now.
        time.sleep(max(0.0, min(settle_seconds, deadline - time.monotonic())))
    settled = [file for file in young if _unchanged(file)]
    return ScanResult(
        found=(*found, *settled),
        misplaced=tuple(misplaced),
        growing=len(young) - len(settled),
        stopped_at=stopped_at,
    )


def found_file(location: Location, account: str, feed: str) -> FoundFile:
    """Return a file, wherever it lies, as a listing of the landing area would show it.

    Raises:
        InvalidAccountError: The account is not a slug.
        FileNotFoundError: There is no such file.
    """
    if isinstance(location, Path):
        return _found(location, location.stat(), account_slug(account), feed)
    return _found_object(location, objects.found(location), account_slug(account), feed)


def _entries(
    landing: Location, start_at: str | None, account: str | None
) -> Iterator[tuple[str, FoundFile, str | None]]:
    """Give every file with where to go on from it, and the reason if it can never be imported."""
    if isinstance(landing, ObjectLocation):
        yield from _objects(landing, start_at or "", account)
        return
    landing.mkdir(parents=True, exist_ok=True)
    if account is not None:
        folders = [landing / account] if (landing / account).exists() else []
    else:
        folders = sorted(p for p in landing.iterdir() if not _ignored(p.name))
    for folder in _in_turn(folders, start_at):
        for file, fault in _files(folder, landing):
            yield text_of(folder.name), file, fault


def _objects(
    landing: ObjectLocation, start_at: str, account: str | None
) -> Iterator[tuple[str, FoundFile, str | None]]:
    """Give every object after the key `start_at`, and then those up to it; none is always last."""
    area = landing if account is None else landing / account
    before = objects.listing(area, until=start_at) if start_at else ()
    at = start_at
    for location, status in chain(objects.listing(area, after=start_at), before):
        parts = parts_below(location, landing) or ()
        if location.name and not any(map(_ignored, parts)):
            account, feed = parts[0] if len(parts) > 1 else "", parts[1] if len(parts) > 2 else ""
            file = _found_object(location, status, _storable(account), _storable(feed))
            fault = None
            if "\0" in location.key:
                fault = f"{file.location}: a name without NUL was needed; it has one"
            yield at, file, fault
        at = _storable(location.key.removeprefix(landing.prefix))


def _in_turn(folders: list[Path], start_at: str | None) -> list[Path]:
    """Return the folders beginning with `start_at`, so that none is always last."""
    later = [f for f in folders if start_at is not None and text_of(f.name) >= start_at]
    return later + [folder for folder in folders if folder not in set(later)]


def _files(folder: Path, landing: Path) -> Iterator[tuple[FoundFile, str | None]]:
    """Give every file of an account's folder, with the reason if it can never be imported.

    A link to a folder is such a file, and so is a folder that cannot be listed.
    """
    if not folder.is_dir():
        yield from _entry(folder, landing)
        return
    closed: list[OSError] = []
    for directory, folders, names in os.walk(folder, onerror=closed.append):
        folders[:] = sorted(name for name in folders if not _ignored(name))
        links = [name for name in folders if Path(directory, name).is_symlink()]
        for name in sorted((*names, *links)):
            if not _ignored(name):
                yield from _entry(Path(directory, name), landing)
    for error in closed:
        yield from _entry(Path(error.filename), landing)


def _entry(path: Path, landing: Path) -> Iterator[tuple[FoundFile, str | None]]:
    """Give one entry of a folder; nothing if it was moved away since the listing."""
    parts = path.relative_to(landing).parts
    account, feed = parts[0] if len(parts) > 1 else "", parts[1] if len(parts) > 2 else ""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    file = _found(path, status, text_of(account), text_of(feed))
    if stat.S_ISDIR(status.st_mode):
        yield file, f"{file.location}: a folder that can be listed was needed; access is denied"
    elif stat.S_ISLNK(status.st_mode):  # it could lead into another account's folder
        yield file, f"{file.location}: a file or folder itself was needed; it is a symbolic link"
    elif not stat.S_ISREG(status.st_mode):  # a pipe never ends
        yield file, f"{file.location}: a file was needed; it is a pipe, a socket or a device"
    elif not os.access(path, os.R_OK):
        if not os.path.lexists(path):
            return
        yield file, f"{file.location}: a file that can be read was needed; access is denied"
    elif str(path) != text_of(str(path)):
        yield file, f"{file.location}: a name in UTF-8 was needed; it has other bytes"
    else:
        yield file, None


def _found(path: Path, status: os.stat_result, account: str, feed: str) -> FoundFile:
    return FoundFile(
        location=text_of(str(path.absolute())),
        account=account,
        feed=feed,
        name=text_of(path.name),
        size_bytes=status.st_size,
        modified_at=modified_at(status),
    )


def _found_object(
    location: ObjectLocation, status: objects.ObjectStatus, account: str, feed: str
) -> FoundFile:
    return FoundFile(
        location=_storable(str(location)),
        account=account,
        feed=feed,
        name=_storable(location.name),
        size_bytes=status.size_bytes,
        modified_at=status.modified_at,
        etag=status.etag,
    )


def _storable(key: str) -> str:
    """Return a key as text that PostgreSQL stores."""
    return key.replace("\0", r"\x00")


def _age(file: FoundFile) -> float:
    return time.time() - file.modified_at.timestamp()


def _unchanged(file: FoundFile) -> bool:
    return is_unchanged(Path(file.location), file.size_bytes, file.modified_at, file.etag)


def _ignored(name: str) -> bool:
    return name.startswith((".", "~")) or name.casefold().endswith(_UNFINISHED)


def _misplaced(file: FoundFile, feeds: Collection[str]) -> str | None:
    """Return why a file can belong to no account and feed, or None if it does."""
    if not file.account:
        return f"{file.location}: a place like account/feed/file was needed; no folder is around it"
    try:
        account_slug(file.account)
    except InvalidAccountError as error:
        return f"{file.location}: {error}"
    if file.feed in feeds:
        return None
    near = difflib.get_close_matches(file.feed, feeds, 1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return (
        f"{file.location}: a folder named after a feed was needed, one of "
        f"{', '.join(sorted(feeds))}; found {file.feed!r}{hint}"
    )
