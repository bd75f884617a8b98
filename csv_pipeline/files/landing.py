"""Find files in the landing area.

The landing area is `{area}/{account}/{feed}/…`, folders below the feed allowed, in any store. A
file is new if its location, size, modification time and ETag together were never seen; no clock and
no high-water mark is compared. Listing hashes nothing and reads no file.
"""

import difflib
import re
import shlex
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType

from csv_pipeline.account import account_slug
from csv_pipeline.errors import InvalidAccountError
from csv_pipeline.files.store import FileStatus, Listed
from csv_pipeline.files.stores import store_of, unchanged
from csv_pipeline.location import Location, location_of, parts_below, storable
from csv_pipeline.model import FileIdentity, FoundFile

_NO_FOLDERS: Mapping[str, str] = MappingProxyType({})
_UNFINISHED = (".part", ".tmp", ".crdownload", ".filepart")
_SHORTEST_WAIT_SECONDS = 0.5  # between two looks at a file, where there is time for so little
_STALLED_SECONDS = 60.0  # after which a file that a program keeps open is taken as it is


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanResult:
    """What one look at the landing area found.

    `found` files are complete, new and in the folder of a feed; `misplaced` ones lie where no feed
    or account can be, with the reason; `growing` ones wait, and so do `held` ones, whose feed is
    broken. `stopped_at` is where to go on if the time did not suffice. `silent` areas could not be
    looked at, and why.
    """

    found: tuple[FoundFile, ...]
    misplaced: tuple[tuple[FoundFile, str], ...]
    growing: int
    held: int = 0
    stopped_at: str | None = None
    silent: Mapping[str, str] = field(default_factory=dict)


def scan_landing(  # noqa: PLR0913  # where, for what, what is known, and three bounds in time
    landing: Location,
    feeds: Collection[str],
    *,
    known: Collection[FileIdentity],
    settle_seconds: float,
    deadline: float,
    start_at: str | None = None,
    account: str | None = None,
    broken: Collection[str] = (),
    complete: Collection[Location] | None = None,
    folders: Mapping[str, str] = _NO_FOLDERS,
    accounts: Collection[str] = (),
) -> ScanResult:
    """Return the files that are new, account by account until `deadline` (`time.monotonic`).

    Only the folder of this name is looked at if an `account` is named. A file modified within the
    last `settle_seconds` may still be growing, and so may an older one unless it is sure that no
    program writes to it, as its time may be of another clock than this machine's: it is looked at
    again after that time and waits unless size and modification time stayed as they were; for a
    minute also if it is sure that a program has it open for writing, as a transfer that stalls
    does. Stores that show whole files only have no such files.
    One of a feed that is `broken` waits, unknown to the ledger, until a look that has the feed.
    If somebody knows which files are `complete`, these are looked at and no others, at once.
    `folders` says which are an account's besides the one of its name; of a file in another folder
    that cannot be one it is said which of the `accounts` may be meant.
    """
    found: list[FoundFile] = []
    misplaced: list[tuple[FoundFile, str]] = []
    young: list[FoundFile] = []
    held, stopped_at = 0, None
    store = store_of(landing)
    # What may grow is to be looked at twice, however long the listing takes.
    wait = 0.0 if store.whole else min(settle_seconds, (deadline - time.monotonic()) / 2)
    store.prepare(landing)
    listing = (
        store.listing(landing, start_at or "", is_ignored, only=account or "")
        if complete is None
        else _listing_of(complete, landing)
    )
    for listed in listing:
        if time.monotonic() > deadline - wait:
            stopped_at = listed.at
            break
        file, fault = _of_listing(listed, landing, folders)
        # The ETag of an object that an earlier release entered is not known.
        if file.identity in known or (*file.identity[:3], "") in known:
            continue
        if fault is None and file.feed in broken and file.feed not in feeds:
            held += 1
        elif (why := fault or _misplaced(file, feeds, accounts)) is not None:
            misplaced.append((file, why))
        elif complete is None and _may_grow(file, listed.location, settle_seconds):
            young.append(file)
        else:
            found.append(file)
    settled: list[FoundFile] = []
    if young and wait >= min(settle_seconds, _SHORTEST_WAIT_SECONDS):
        # A file of the future, by a clock that is wrong, waits no longer than one of just now.
        time.sleep(wait)
        settled = [file for file in young if _is_settled(file, location_of(file.location))]
    return ScanResult(
        found=(*found, *settled),
        misplaced=tuple(misplaced),
        growing=len(young) - len(settled),
        held=held,
        stopped_at=stopped_at,
    )


def found_file(location: Location, account: str, feed: str) -> FoundFile:
    """Return a file, wherever it lies, as a listing of the landing area would show it.

    Raises:
        InvalidAccountError: The account is not a slug.
        FileNotFoundError: There is no such file.
    """
    return _found(location, store_of(location).status(location), account_slug(account), feed)


def _listing_of(complete: Collection[Location], landing: Location) -> Iterator[Listed]:
    """Give files as a listing does, without those that are gone or written to."""
    store = store_of(landing)
    for location in complete:
        with suppress(OSError):
            status, fault = store.status(location), store.fault(location, landing)
            if not store.is_being_written(location):
                yield Listed(location=location, status=status, at="", fault=fault)


def _of_listing(
    listed: Listed, landing: Location, folders: Mapping[str, str]
) -> tuple[FoundFile, str | None]:
    """Return a file with the account and feed of its folder, and why it can never be imported."""
    parts = parts_below(listed.location, landing) or ()
    account, feed = parts[0] if len(parts) > 1 else "", parts[1] if len(parts) > 2 else ""
    account = folders.get(storable(account), storable(account))
    file = _found(listed.location, listed.status, account, storable(feed))
    if listed.fault is None and file.location != str(listed.location):
        return file, f"{file.location}: a name in UTF-8 without NUL was needed; it has other bytes"
    return file, listed.fault


def _found(location: Location, status: FileStatus, account: str, feed: str) -> FoundFile:
    return FoundFile(
        location=storable(str(location)),
        account=account,
        feed=feed,
        name=storable(location.name),
        size_bytes=status.size_bytes,
        modified_at=status.modified_at,
        etag=status.etag,
    )


def _may_grow(file: FoundFile, location: Location, settle_seconds: float) -> bool:
    store = store_of(location)
    if store.whole:
        return False
    if _age(file) < settle_seconds:
        return True
    return _is_open(location) is not False


def _is_settled(file: FoundFile, location: Location) -> bool:
    """Return whether a file is as it was, and no program is known to be in the midst of it."""
    still = unchanged(location, *file.identity[1:]) is not None
    return still and (_age(file) > _STALLED_SECONDS or not _is_open(location))


def _is_open(location: Location) -> bool | None:
    with suppress(OSError):  # it is gone, or its owner lets nobody know
        return store_of(location).is_being_written(location)
    return None


def _age(file: FoundFile) -> float:
    return time.time() - file.modified_at.timestamp()


def is_ignored(name: str) -> bool:
    """Return whether what has this name is hidden, or not finished, and waits."""
    return name.startswith((".", "~")) or name.casefold().endswith(_UNFINISHED)


def _misplaced(file: FoundFile, feeds: Collection[str], accounts: Collection[str]) -> str | None:
    """Return why a file can belong to no account and feed, or None if it does."""
    if not file.account:
        return f"{file.location}: account/feed/file was needed; no folder is around it"
    try:
        account_slug(file.account)
    except InvalidAccountError as error:
        return f"{file.location}: {error}{_meant(file.account, accounts)}"
    if file.feed in feeds:
        return None
    found = repr(file.feed) if file.feed else "none below the account's"
    slug = re.sub(r"[^a-z0-9]+", "_", file.feed.casefold()).strip("_")
    near = difflib.get_close_matches(slug, feeds, 1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return (
        f"{file.location}: a folder named after a feed was needed; found {found}{hint}; "
        f"the feeds are {', '.join(sorted(feeds))}"
    )


def _meant(folder: str, accounts: Collection[str]) -> str:
    """Return which account a folder may be of, and the command that says so; "" if any may be.

    The command is for the folder's own name as an account has it: files of one of a similar name
    are somebody else's, as those of `small3` are beside `small2`.
    """
    slug = re.sub(r"[^a-z0-9]+", "-", folder.casefold()).strip("-")
    similar = [name for name in difflib.get_close_matches(slug, accounts, 1) if name != slug]
    found = [
        f"an account of a similar name is {name!r}" for name in similar if slug not in accounts
    ]
    if slug and folder.isascii() and folder.isprintable():
        command = f"csv-pipeline account {slug} --folder {shlex.quote(folder)}"
        mine = f"did you mean {slug!r}? {command} takes the files of this folder for it"
        found.insert(0, mine)
    return f" ({'; '.join(found)})" if found else ""
