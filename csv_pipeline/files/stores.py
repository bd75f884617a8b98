"""The stores there are, and what is done to files in any of them, so that none is lost.

A name is taken before anything is moved to it: by an empty file, which whoever finds it there again
knows for his own. Only a file that is proved to hold the same bytes lets its original go.
"""

import errno
import hashlib
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from csv_pipeline.errors import SetupError, StoreUnavailableError
from csv_pipeline.files.az import AzureBlobs
from csv_pipeline.files.gs import GoogleStorage
from csv_pipeline.files.local import LocalStore
from csv_pipeline.files.objects import ObjectStore
from csv_pipeline.files.s3 import S3
from csv_pipeline.files.store import FileStatus, FileStore
from csv_pipeline.location import Location

_OBJECTS = {kind.scheme: ObjectStore(kind) for kind in (S3, GoogleStorage, AzureBlobs)}
_STORES: Mapping[str, FileStore] = {"": LocalStore(), **_OBJECTS}
"""By the scheme of their URLs; paths have none."""

CANNOT = (OSError, SetupError, StoreUnavailableError)
"""What stores raise that cannot read, write, move or remove a file now."""

_LONGEST_NAME = 255


def store_of(location: Location) -> FileStore:
    """Return the store that a location is in.

    Raises:
        SetupError: There is no such store.
    """
    if location.scheme not in _STORES:
        known = ", ".join(f"{scheme}://" for scheme in _STORES if scheme)
        raise SetupError(f"{location}: a path or a URL with {known} was needed")
    return _STORES[location.scheme]


def unchanged(
    location: Location,
    size_bytes: int | None,
    modified_at: datetime,
    etag: str,
    *,
    moved: bool = False,
) -> FileStatus | None:
    """Return what a file is that has this size, if any, this time, and this ETag, if any.

    One that was `moved` may have another time, as far as its store does that. None: no such file.
    """
    store = store_of(location)
    try:
        found = store.status(location)
    except FileNotFoundError:
        return None
    same_time = abs(found.modified_at - modified_at) <= (
        store.moved_within if moved else timedelta(0)
    )
    same = size_bytes in {None, found.size_bytes} and etag in {"", found.etag} and same_time
    return found if same else None


def fetch(location: Location, wanted: FileStatus, target: Path) -> str:
    """Copy a file to this machine and return its SHA-256.

    Raises:
        FileNotFoundError: It is gone, or is not the one `wanted`, or changed meanwhile.
    """
    digest = hashlib.sha256()
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as copy:
        for chunk in store_of(location).read(location, wanted):
            digest.update(chunk)
            copy.write(chunk)
    return digest.hexdigest()


@contextmanager
def written_to(target: Location, work: Path) -> Iterator[Path]:
    """Give a path in a work directory; the file that is written there is put to its target.

    At once and whole; nothing is put if it was not written to its end, or removed. On this machine
    only the owner may read it.
    """
    work.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=work) as folder:
        path = Path(folder, "file")
        path.touch(mode=0o600)
        yield path
        if path.exists():
            store_of(target).put(path, target)


def move(source: Location, target: Location) -> None:
    """Move a file to a name that is free, or that a move of the same file took and never finished.

    Raises:
        FileExistsError: Another file has the name.
        FileNotFoundError: The source is gone, or was replaced in this moment.
        OSError: A store does not let it go, or take it; then it is where it was.
    """
    original = store_of(source).status(source)
    if not _take(target):
        if not _is_same(source, original, target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
        store_of(source).remove(source, original)  # it was copied, and the process ended then
        return
    try:
        if store_of(source) is store_of(target):
            store_of(source).transfer(source, original, target)
        else:
            _transfer_between(source, original, target)
    except BaseException:
        with suppress(*CANNOT):
            _give_back(target)
        raise


def free_name(
    folder: Location, name: str, at: datetime, taken: Collection[Location] = ()
) -> Location:
    """Return the location for a file of this name; where one is there, one with the time in it.

    >>> free_name(location_of("/a"), "orders.csv", datetime(2026, 7, 22, 10, 15), taken)
    Location("", "/a/orders-20260722T101500Z.csv")
    """
    number, location = 0, folder / name
    while location in taken or store_of(location).exists(location):
        number += 1
        mark = f"-{at:%Y%m%dT%H%M%SZ}" + (f"-{number}" if number > 1 else "")
        location = folder / _marked(name, mark)
    return location


def _take(target: Location) -> bool:
    """Take a name; return whether nothing is under it but, perhaps, the mark of having taken it."""
    try:
        store_of(target).create(target)
    except FileExistsError:
        return store_of(target).status(target).size_bytes == 0
    return True


def _give_back(target: Location) -> None:
    """Remove the mark; never a copy: another worker may have ended the move in the meantime."""
    there = store_of(target).status(target)
    if there.size_bytes == 0:
        store_of(target).remove(target, there)


def _transfer_between(source: Location, original: FileStatus, target: Location) -> None:
    with TemporaryDirectory() as folder:
        copy = Path(folder, "copy")
        fetch(source, original, copy)
        os.utime(copy, (original.modified_at.timestamp(),) * 2)
        store_of(target).put(copy, target)
    if not _is_same(source, original, target):
        store_of(target).remove(target)
        raise OSError(errno.EIO, "the copy is not what was to be copied", str(target))
    store_of(source).remove(source, original)


def _is_same(source: Location, original: FileStatus, target: Location) -> bool:
    """Return whether two files hold the same bytes.

    Where no store can say so, the bytes decide.
    """
    copy = store_of(target).status(target)
    if copy.size_bytes != original.size_bytes:
        return False
    if copy.proves(original):
        return True
    digests = store_of(source).digest(source, original), store_of(target).digest(target, copy)
    return digests[0] == digests[1]


def _marked(name: str, mark: str) -> str:
    """Return a name with a mark before its suffix, cut to what a file system takes.

    >>> _marked("orders.csv", "-2")
    'orders-2.csv'
    """
    path = Path(name)
    suffix = path.suffix if len(path.suffix.encode()) <= 32 else ""
    stem = name.removesuffix(suffix).encode()
    room = _LONGEST_NAME - len(f"{mark}{suffix}".encode())
    return f"{stem[:room].decode(errors='ignore')}{mark}{suffix}"
