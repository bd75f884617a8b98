"""Move files so that none is lost, overwritten or half there, whatever happens in between.

Within a file system a move is a rename. Between two it is a copy, flushed to the disk and compared
by SHA-256 with what was read, before the original goes. A name is taken before anything is moved to
it: by an empty file, which whoever finds it there again knows for his own.
"""

import errno
import hashlib
import os
import shutil
import signal
import stat
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol, Self, TypeVar

_CHUNK = 4 * 1024**2
_LONGEST_NAME = 255
# Not every file system keeps a time as exactly as the one the file came from; FAT, to two seconds.
_COARSE = timedelta(seconds=2)


class Folder(Protocol):
    """What names are put below: a `Path`, or a prefix in a bucket."""

    def __truediv__(self, name: str, /) -> Self: ...


P = TypeVar("P", bound=Folder)


def text_of(name: str) -> str:
    r"""Return a name from the file system as text that can be stored and shown.

    >>> text_of("caf\udce9.csv")
    'caf\\xe9.csv'
    """
    return os.fsencode(name).decode(errors="backslashreplace")


def modified_at(status: os.stat_result) -> datetime:
    """Return the modification time in microseconds, as PostgreSQL keeps it."""
    return datetime.fromtimestamp(status.st_mtime_ns // 1_000 / 1_000_000, UTC)


def is_unchanged(path: Path, size_bytes: int | None, at: datetime, *, moved: bool = False) -> bool:
    """Return whether a regular file is there that has this size, None being any, and time.

    One that was `moved` may have lost some of the exactness of its time.
    """
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    apart = abs(modified_at(status) - at)
    same_time = apart <= (_COARSE if moved else timedelta(0))
    same_size = size_bytes is None or status.st_size == size_bytes
    return stat.S_ISREG(status.st_mode) and same_size and same_time


def is_being_written(path: Path) -> bool:
    """Return whether a program has the file open for writing; False where this is not known.

    Linux gives a lease for reading only on a file that no process writes to, and only to its owner
    or root: fcntl(2), F_SETLEASE.
    """
    if sys.platform != "linux":
        return False
    import fcntl  # noqa: PLC0415  # other systems have none, or another one

    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        # Whoever opens the file now makes the system send a signal; SIGIO would end this process.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    finally:
        os.close(descriptor)
    return False


def free_name(folder: P, name: str, at: datetime, is_taken: Callable[[P], bool]) -> P:
    """Return the place for a file of this name; where it is taken, one with the time in it.

    >>> free_name(Path("a"), "orders.csv", datetime(2026, 7, 22, 10, 15, tzinfo=UTC), taken_once)
    Path("a/orders-20260722T101500Z.csv")
    """
    number, path = 0, folder / name
    while is_taken(path) or (isinstance(path, Path) and os.path.lexists(path)):
        number += 1
        mark = f"-{at:%Y%m%dT%H%M%SZ}" + (f"-{number}" if number > 1 else "")
        path = folder / _marked(name, mark)
    return path


def move(source: Path, target: Path) -> None:
    """Move a file to a name that is free, or that a move of the same file took and never finished.

    Raises:
        FileExistsError: Another file has the name.
        OSError: The system does not let it go, or take it; then it is where it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if not _take(target):
        if _digest(source) != _digest(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
        source.unlink()  # it was copied, and the process ended before this
        return
    try:
        try:
            source.replace(target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _move_by_copy(source, target)
    except BaseException:
        _give_back(target)
        raise


def _take(target: Path) -> bool:
    """Take a name; return whether nothing is under it but, perhaps, the mark of having taken it."""
    try:
        with target.open("xb"):
            return True
    except FileExistsError:
        return target.stat().st_size == 0


def _give_back(target: Path) -> None:
    if target.exists() and target.stat().st_size == 0:
        target.unlink()


def _move_by_copy(source: Path, target: Path) -> None:
    part = target.with_name(f".{hashlib.sha256(target.name.encode()).hexdigest()[:32]}.part")
    try:
        _copy(source, part)
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _flush(target.parent)
    source.unlink()


def _copy(source: Path, part: Path) -> None:
    """Copy a file with its times, and hold the copy against what was read.

    Raises:
        OSError: The disk is full, or gives back something else; or the file was written to.
    """
    before, digest = source.stat(), hashlib.sha256()
    with source.open("rb") as file, part.open("wb") as copy:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            copy.write(chunk)
        copy.flush()
        os.fsync(copy.fileno())
    shutil.copystat(source, part)
    if _digest(part) != digest.hexdigest():
        raise OSError(errno.EIO, "the copy is not what was read", str(part))
    after = source.stat()
    if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise OSError(errno.EBUSY, "the file was written to while it was copied", str(source))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(folder: Path) -> None:
    """Let the disk have a folder's names."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
