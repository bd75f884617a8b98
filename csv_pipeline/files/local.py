"""Files in folders of this machine.

Within a file system a move is a rename. Between two it is a copy, flushed to the disk and compared
by SHA-256 with what was read, before the original goes.
"""

import errno
import hashlib
import os
import shutil
import signal
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from csv_pipeline.errors import SetupError
from csv_pipeline.files.store import FileStatus, FileStore, Listed
from csv_pipeline.files.watching import Waits, Watch
from csv_pipeline.location import Location, parts_below, storable

_CHUNK = 4 * 1024**2
_MOUNTS = Path("/proc/self/mountinfo")
_REMOTE = {"nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "lustre", "glusterfs"}


def path_of(location: Location) -> Path:
    """Return a location as a path of this machine.

    Raises:
        SetupError: It is in another store.
    """
    if location.root:
        raise SetupError(f"{location}: a folder of this machine was needed")
    return Path(location.key)


class LocalStore(FileStore):
    """Folders of this machine, or mounted by it, whose files may be there before they are whole."""

    whole = False
    # Not every file system keeps a time as exactly as the one the file came from; FAT, to 2 s.
    moved_within = timedelta(seconds=2)

    def listing(
        self,
        area: Location,
        start_at: str = "",
        ignored: Callable[[str], bool] = lambda _: False,
        only: str = "",
    ) -> Iterator[Listed]:
        """Give all files, the folders of the area in order of their names from `start_at` on."""
        with suppress(FileNotFoundError):
            all_names = [only] if only else os.listdir(path_of(area))  # noqa: PTH208
            names = sorted(name for name in all_names if not ignored(name))
            for name in sorted(names, key=lambda name: storable(name) < start_at):
                for path in _paths(path_of(area / name), ignored):
                    with suppress(FileNotFoundError):  # moved away since the listing
                        found = path.lstat()
                        yield Listed(
                            location=Location("", str(path)),
                            status=_status(found),
                            at=storable(name),
                            fault=_fault(path, found),
                        )

    def status(self, location: Location) -> FileStatus:
        """Return what a file is; a link, a folder or a pipe is none."""
        try:
            found = path_of(location).lstat()
        except NotADirectoryError as error:
            raise FileNotFoundError(*error.args, str(location)) from error
        if not stat.S_ISREG(found.st_mode):
            raise FileNotFoundError(errno.ENOENT, "not a file", str(location))
        return _status(found)

    def read(self, location: Location, wanted: FileStatus) -> Iterator[bytes]:
        """Give the bytes of a file that is, and in the end still is, the one `wanted`."""
        self._hold_to(location, wanted)
        with path_of(location).open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
        self._hold_to(location, wanted)

    def put(self, source: Path, target: Location) -> None:
        """Rename a file, or copy it beside its name and rename the copy."""
        path = path_of(target)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            source.replace(path)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _move_by_copy(source, path)

    def create(self, target: Location) -> None:
        """Create an empty file, and the folder it is in."""
        path = path_of(target)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("xb").close()

    def transfer(self, source: Location, original: FileStatus, target: Location) -> None:
        """Rename a file, or copy it to the other file system."""
        self._hold_to(source, original)
        self.put(path_of(source), target)

    def remove(
        self, location: Location, wanted: FileStatus | None = None, *, folder: bool = False
    ) -> None:
        """Remove a file if it is the one `wanted`, and with it a `folder` left empty."""
        with suppress(FileNotFoundError):
            if wanted is not None:
                self._hold_to(location, wanted)
            path_of(location).unlink()
        if folder:
            with suppress(OSError):
                path_of(location).parent.rmdir()

    def prepare(self, area: Location) -> None:
        """Make a folder."""
        path_of(area).mkdir(parents=True, exist_ok=True)

    def exists(self, location: Location) -> bool:
        """Return whether anything is there, a link that leads nowhere too."""
        return os.path.lexists(path_of(location))

    def fault(self, location: Location, area: Location) -> str | None:
        """Return why what is there cannot be imported, or that a link leads out of the area."""
        path, parts = path_of(location), parts_below(location, area)
        with suppress(FileNotFoundError, NotADirectoryError):
            if fault := _fault(path, path.lstat()):
                return fault
        if parts and path.resolve() != path_of(area).resolve().joinpath(*parts):
            return (
                f"{location}: a file in {area} itself was needed; a symbolic link leads out of it, "
                f"to {storable(str(path.resolve()))}"
            )
        return None

    def is_being_written(self, location: Location) -> bool | None:
        """Ask Linux, which leases a file for reading only if no process writes to it.

        And only to its owner or root: fcntl(2), F_SETLEASE. On a network's file system a lease
        depends on the server, which refuses it of a file that nobody writes to, too.
        """
        if sys.platform != "linux":
            return None
        import fcntl  # noqa: PLC0415  # other systems have none, or another one

        descriptor = os.open(path_of(location), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            # Whoever opens the file now makes the system send a signal; SIGIO would end us.
            fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        except OSError as error:
            open_here = error.errno == errno.EAGAIN and not _is_remote(os.fstat(descriptor).st_dev)
            return True if open_here else None
        finally:
            os.close(descriptor)
        return False

    def watch(self, area: Location, waits: Waits, ignored: Callable[[str], bool]) -> Watch | None:
        """Watch a folder where the system is Linux."""
        if sys.platform != "linux":
            return None

        def is_closed(path: Path) -> bool:
            return self.is_being_written(Location("", str(path))) is False

        return Watch.over(path_of(area), waits, ignored, is_closed)

    def on_disk(self, location: Location) -> Path | None:
        """Return the path."""
        return path_of(location)

    def _hold_to(self, location: Location, wanted: FileStatus) -> None:
        if self.status(location) != wanted:
            raise FileNotFoundError(errno.ESTALE, "it was changed since", str(location))


def _is_remote(device: int) -> bool:
    """Return whether a device is a network's file system: proc_pid_mountinfo(5)."""
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in _MOUNTS.read_text(errors="replace").splitlines():
        where, _, what = line.partition(" - ")
        if where.split()[2] == number:
            kind = what.split()[0]
            return kind in _REMOTE or kind.startswith("fuse")
    return False


def _paths(path: Path, ignored: Callable[[str], bool]) -> Iterator[Path]:
    """Give a file, or the files below a folder, with links and folders that cannot be listed."""
    if path.is_symlink() or not path.is_dir():
        yield path
        return
    closed: list[OSError] = []
    for directory, folders, names in os.walk(path, onerror=closed.append):
        folders[:] = sorted(name for name in folders if not ignored(name))
        links = [name for name in folders if Path(directory, name).is_symlink()]
        for name in sorted((*names, *links)):
            if not ignored(name):
                yield Path(directory, name)
    yield from (Path(error.filename) for error in closed)


def _status(found: os.stat_result) -> FileStatus:
    """Return a status with the time in microseconds, as PostgreSQL keeps it."""
    at = datetime.fromtimestamp(found.st_mtime_ns // 1_000 / 1_000_000, UTC)
    return FileStatus(size_bytes=found.st_size, modified_at=at)


def _fault(path: Path, found: os.stat_result) -> str | None:
    """Return why what is there can never be imported, if it cannot."""
    name = storable(str(path))
    if stat.S_ISDIR(found.st_mode):
        why = (
            "it is a folder: name one file in it"
            if os.access(path, os.R_OK | os.X_OK)
            else "access is denied"
        )
        return f"{name}: a file was needed; {why}"
    if stat.S_ISLNK(found.st_mode):  # it could lead into another account's folder
        to = storable(os.path.realpath(path))
        return (
            f"{name}: a file or folder itself was needed; it is a symbolic link: name the file it "
            f"leads to, {to}"
        )
    if not stat.S_ISREG(found.st_mode):  # a pipe never ends
        return f"{name}: a file was needed; it is a pipe, a socket or a device"
    if not os.access(path, os.R_OK) and os.path.lexists(path):
        return f"{name}: a file that can be read was needed; access is denied"
    return None


def _move_by_copy(source: Path, target: Path) -> None:
    part = target.with_name(f".{hashlib.sha256(target.name.encode()).hexdigest()[:32]}.part")
    try:
        _copy(source, part)
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    flush(target.parent)
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


def flush(folder: Path) -> None:
    """Let the disk have a folder's names."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
