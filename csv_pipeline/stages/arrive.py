"""Find files in the landing area and bring one of them, whole, to this machine.

The landing area is `{root}/{account}/{feed}/…`, folders below the feed allowed. A file is new if
its location, size and modification time together were never seen; no clock and no high-water mark
is compared. Listing hashes nothing and opens nothing.
"""

import difflib
import hashlib
import os
import stat
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from csv_pipeline.errors import InvalidAccountError, LimitExceededError, SourceChangedError
from csv_pipeline.model import Claim, FoundFile, StoredText, account_slug
from csv_pipeline.storage.files import is_unchanged, modified_at

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
    stopped_at = None
    landing.mkdir(parents=True, exist_ok=True)
    for folder in _in_turn(sorted(p for p in landing.iterdir() if not _ignored(p.name)), start_at):
        for file, fault in _files(folder, landing):
            if time.monotonic() > deadline:
                stopped_at = folder.name
                break
            if (file.location, file.size_bytes, file.modified_at) in known:
                continue
            if (why := fault or _misplaced(file, feeds)) is not None:
                misplaced.append((file, why))
            elif _age(file) < settle_seconds:
                young.append(file)
            else:
                found.append(file)
        if stopped_at is not None:
            break
    if young:
        # A file of the future, by a clock that is wrong, waits no longer than one of just now.
        time.sleep(max(0.0, min(settle_seconds, deadline - time.monotonic())))
    settled = [file for file in young if _unchanged(file)]
    return Look(
        found=(*found, *settled),
        misplaced=tuple(misplaced),
        growing=len(young) - len(settled),
        stopped_at=stopped_at,
    )


def found_file(path: Path, account: str, feed: str) -> FoundFile:
    """Return a file, wherever it lies, as a listing of the landing area would show it.

    Raises:
        InvalidAccountError: The account is not a slug.
        FileNotFoundError: There is no such file.
    """
    status = path.stat()
    return _found(path, status, account_slug(account), feed)


def fetch(claim: Claim, work: Path, max_bytes: int) -> StoredText:
    """Copy the claimed file to the work directory and return its SHA-256, taken on the way.

    A zip is not copied for each file in it: it is returned where it lies, without a SHA-256.

    Raises:
        SourceChangedError: The file is gone, or is not as it was when it arrived.
        LimitExceededError: It has more than `max_bytes`.
    """
    source, target = claim.path, work / "source"
    digest = hashlib.sha256()
    try:
        if (size := _regular(source).stat().st_size) > max_bytes:
            allowed = f"at most {max_bytes:,} bytes were allowed"
            raise LimitExceededError(claim.name, allowed, f"the file has {size:,}")
        if claim.member is not None:
            refuse_changed(claim)
            return StoredText(path=source, size_bytes=size, fingerprint="")
        with source.open("rb") as file, target.open("wb") as copy:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                copy.write(chunk)
    except FileNotFoundError as error:
        raise _gone(claim) from error
    refuse_changed(claim)
    return StoredText(path=target, size_bytes=target.stat().st_size, fingerprint=digest.hexdigest())


def refuse_changed(claim: Claim) -> None:
    """Hold the claimed file, or the archive it is in, against what arrived.

    Raises:
        SourceChangedError: It is gone, or is not as it was.
    """
    try:
        size = claim.path.stat().st_size
    except FileNotFoundError as error:
        raise _gone(claim) from error
    # Of an archive nobody noted the size beside the file in it.
    wanted = size if claim.member is not None else claim.size_bytes
    if is_unchanged(claim.path, wanted, claim.modified_at, moved=claim.moved_to is not None):
        return
    if claim.member is not None:
        raise SourceChangedError(
            claim.name,
            "the archive that arrived was needed",
            f"{claim.path} was changed since; it counts as a new arrival",
        )
    raise SourceChangedError(
        claim.name,
        f"the {claim.size_bytes:,} bytes that arrived were needed",
        f"the file was changed since and has {size:,}; it counts as a new arrival",
    )


def _gone(claim: Claim) -> SourceChangedError:
    return SourceChangedError(
        claim.name, "the file that arrived was needed", f"{claim.path} is gone"
    )


def _regular(path: Path) -> Path:
    """Return the path of a file; a link or a pipe in its place is none."""
    if not stat.S_ISREG(path.lstat().st_mode):
        raise FileNotFoundError(path)
    return path


def _in_turn(folders: list[Path], start_at: str | None) -> list[Path]:
    """Return the folders beginning with `start_at`, so that none is always last."""
    later = [folder for folder in folders if start_at is not None and folder.name >= start_at]
    return later + [folder for folder in folders if folder not in set(later)]


def _files(folder: Path, landing: Path) -> Iterator[tuple[FoundFile, str | None]]:
    """Give every file of an account's folder, with the reason if it can never be imported."""
    if not folder.is_dir():
        yield from _entry(folder, landing)
        return
    for directory, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _ignored(name))
        for name in sorted(names):
            if not _ignored(name):
                yield from _entry(Path(directory, name), landing)


def _entry(path: Path, landing: Path) -> Iterator[tuple[FoundFile, str | None]]:
    """Give one entry of a folder; nothing if it was moved away since the listing."""
    parts = path.relative_to(landing).parts
    account, feed = parts[0] if len(parts) > 1 else "", parts[1] if len(parts) > 2 else ""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return
    file = _found(path, status, _text(account), _text(feed))
    if not stat.S_ISREG(status.st_mode):
        # A link could lead into another account's folder, and a pipe never ends.
        yield file, f"{file.location}: a file was needed; it is a link or something else"
    elif not os.access(path, os.R_OK):
        if not os.path.lexists(path):
            return
        yield file, f"{file.location}: a file that can be read was needed; access is denied"
    elif str(path) != _text(str(path)):
        yield file, f"{file.location}: a name in UTF-8 was needed; it has other bytes"
    else:
        yield file, None


def _text(name: str) -> str:
    """Return a name from the file system as text that can be stored."""
    return os.fsencode(name).decode(errors="backslashreplace")


def _found(path: Path, status: os.stat_result, account: str, feed: str) -> FoundFile:
    return FoundFile(
        location=_text(str(path.absolute())),
        account=account,
        feed=feed,
        name=_text(path.name),
        size_bytes=status.st_size,
        modified_at=modified_at(status),
    )


def _age(file: FoundFile) -> float:
    return time.time() - file.modified_at.timestamp()


def _unchanged(file: FoundFile) -> bool:
    return is_unchanged(Path(file.location), file.size_bytes, file.modified_at)


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
