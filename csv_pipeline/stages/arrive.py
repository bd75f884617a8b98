"""Find files in the landing area and bring one of them, whole, to this machine.

The landing area is `{root}/{account}/{feed}/…`, folders below the feed allowed. A file is new if
its location, size and modification time together were never seen; no clock and no high-water mark
is compared. Listing hashes nothing and opens nothing.
"""

import difflib
import hashlib
import os
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from csv_pipeline.errors import InvalidAccountError, SourceChangedError
from csv_pipeline.model import Claim, FoundFile, StoredText, account_slug

_CHUNK = 4 * 1024**2
_UNFINISHED = (".part", ".tmp", ".crdownload", ".filepart")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look at the landing area found.

    `found` files are complete, new and in a place of their own; `misplaced` ones lie where no feed
    or account can be, with the reason; `growing` ones wait. `stopped_at` is the first account's
    folder that the time did not suffice for.
    """

    found: tuple[FoundFile, ...]
    misplaced: tuple[tuple[FoundFile, str], ...]
    growing: int
    stopped_at: str | None = None


def look(  # noqa: PLR0913  # where, for what, what is known, and three bounds in time
    landing: Path,
    feeds: Collection[str],
    *,
    known: Collection[tuple[str, int, datetime]],
    settle_seconds: float,
    deadline: float,
    start_at: str | None = None,
) -> Look:
    """Return the files that are new, account by account until `deadline` (`time.monotonic`).

    A file modified within the last `settle_seconds` may still be growing: it is looked at again
    after that time and waits unless size and modification time stayed as they were.
    """
    found: list[FoundFile] = []
    misplaced: list[tuple[FoundFile, str]] = []
    young: list[FoundFile] = []
    growing, stopped_at = 0, None
    landing.mkdir(parents=True, exist_ok=True)
    for folder in _in_turn(sorted(p for p in landing.iterdir() if not _ignored(p.name)), start_at):
        if time.monotonic() > deadline:
            stopped_at = folder.name
            break
        for file in _files(folder, landing):
            if (file.location, file.size_bytes, file.modified_at) in known:
                continue
            if (why := _misplaced(file, feeds)) is not None:
                misplaced.append((file, why))
            elif _age(file) < settle_seconds:
                young.append(file)
            else:
                found.append(file)
    if young:
        time.sleep(max(0.0, settle_seconds - min(map(_age, young))))
        settled = [file for file in young if _unchanged(file)]
        growing = len(young) - len(settled)
        found += settled
    return Look(
        found=tuple(found), misplaced=tuple(misplaced), growing=growing, stopped_at=stopped_at
    )


def found_file(path: Path, account: str, feed: str) -> FoundFile:
    """Return a file, wherever it lies, as a listing of the landing area would show it.

    Raises:
        InvalidAccountError: The account is not a slug.
        FileNotFoundError: There is no such file.
    """
    status = path.stat()
    return _found(path, status, account_slug(account), feed)


def fetch(claim: Claim, work: Path) -> StoredText:
    """Copy the claimed file to the work directory and return its SHA-256, taken on the way.

    Raises:
        SourceChangedError: The file is gone, or is not as it was when it arrived.
    """
    source, target = Path(claim.location), work / "source"
    digest = hashlib.sha256()
    try:
        with source.open("rb") as file, target.open("wb") as copy:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                copy.write(chunk)
        status = source.stat()
    except FileNotFoundError as error:
        raise SourceChangedError(
            claim.name, "the file that arrived was needed", f"{claim.location} is gone"
        ) from error
    if (status.st_size, _modified_at(status)) != (claim.size_bytes, claim.modified_at):
        raise SourceChangedError(
            claim.name,
            f"the {claim.size_bytes:,} bytes that arrived were needed",
            f"the file was changed since and has {status.st_size:,}; it counts as a new arrival",
        )
    return StoredText(path=target, size_bytes=status.st_size, fingerprint=digest.hexdigest())


def _in_turn(folders: list[Path], start_at: str | None) -> list[Path]:
    """Return the folders beginning with `start_at`, so that none is always last."""
    later = [folder for folder in folders if start_at is not None and folder.name >= start_at]
    return later + [folder for folder in folders if folder not in set(later)]


def _files(folder: Path, landing: Path) -> Iterator[FoundFile]:
    if folder.is_file():
        yield _found(folder, folder.stat(), "", "")
        return
    for directory, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _ignored(name))
        for name in sorted(names):
            path = Path(directory, name)
            if _ignored(name):
                continue
            try:
                status = path.stat()
            except FileNotFoundError:
                continue  # moved away between the listing and this look
            parts = path.relative_to(landing).parts
            yield _found(path, status, parts[0], parts[1] if len(parts) > 2 else "")


def _found(path: Path, status: os.stat_result, account: str, feed: str) -> FoundFile:
    return FoundFile(
        location=str(path.absolute()),
        account=account,
        feed=feed,
        name=path.name,
        size_bytes=status.st_size,
        modified_at=_modified_at(status),
    )


def _modified_at(status: os.stat_result) -> datetime:
    """Return the modification time in microseconds, as PostgreSQL keeps it."""
    return datetime.fromtimestamp(status.st_mtime_ns // 1_000 / 1_000_000, UTC)


def _age(file: FoundFile) -> float:
    return time.time() - file.modified_at.timestamp()


def _unchanged(file: FoundFile) -> bool:
    try:
        status = Path(file.location).stat()
    except FileNotFoundError:
        return False
    return (status.st_size, _modified_at(status)) == (file.size_bytes, file.modified_at)


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
