"""Tell other processes which dry runs still work; the ledger does not know them.

A process locks a byte of one file for each, at the number of the import. The system releases the
locks of a process that ends, however it ends (POSIX record locks, fcntl(2)). A process does not see
its own locks, so these are remembered beside them. Where the file system has no locks, only the
work of this process is known.
"""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LIVING = "living"
_lock = threading.Lock()
_areas: dict[Path, tuple[int, set[int]]] = {}  # the open file, which must not be closed, and ours
_of_process = [os.getpid()]


def prepare(area: Path) -> None:
    """Make the file, so that what is kept later leaves no trace."""
    with _lock:
        _opened(area)


def keep(area: Path, import_id: int) -> None:
    """Let it be known, until `drop` or the end of this process, that it works on an import."""
    with _lock:
        file, ours = _opened(area)
        if import_id not in ours:
            with suppress(OSError):
                fcntl.lockf(file, fcntl.LOCK_EX, 1, import_id)
            ours.add(import_id)


def drop(area: Path, import_id: int) -> None:
    """Work on an import no longer."""
    with _lock:
        file, ours = _opened(area)
        if import_id in ours:
            ours.remove(import_id)
            with suppress(OSError):
                fcntl.lockf(file, fcntl.LOCK_UN, 1, import_id)


@contextmanager
def unless_kept(area: Path, import_id: int) -> Iterator[bool]:
    """Give whether no process works on an import; none begins to during the block."""
    with _lock:
        file, ours = _opened(area)
        if import_id in ours:
            yield False
            return
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, import_id)
        except (BlockingIOError, PermissionError):
            yield False
            return
        except OSError:
            yield True
            return
        try:
            yield True
        finally:
            fcntl.lockf(file, fcntl.LOCK_UN, 1, import_id)


def _opened(area: Path) -> tuple[int, set[int]]:
    if os.getpid() != _of_process[0]:  # a fork has the files, and none of the locks
        _of_process[0] = os.getpid()
        for place, (file, _) in _areas.items():
            _areas[place] = (file, set())
    if area not in _areas or not _is_there(area, _areas[area][0]):
        area.mkdir(parents=True, exist_ok=True)
        file = os.open(area / _LIVING, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        _areas[area] = (file, set())
    return _areas[area]


def _is_there(area: Path, file: int) -> bool:
    """Return whether it is still the area's file that is open: somebody may have cleaned up."""
    try:
        return os.path.samestat(os.fstat(file), (area / _LIVING).stat())
    except FileNotFoundError:
        return False
