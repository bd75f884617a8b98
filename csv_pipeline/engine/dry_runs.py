"""Tell other processes which dry runs still work; the ledger does not know them.

Each holds the lock of a file in its work directory. The system releases the locks of a process that
ends, however it ends (flock(2)). Where the file system has no locks, only the work of this process
is known.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LIVING = "living"
_kept: dict[Path, int] = {}  # the open files of this process, by work directory


def keep(work: Path) -> None:
    """Let it be known, until `drop` or the end of this process, that it works there."""
    if work not in _kept:
        work.mkdir(parents=True, exist_ok=True)
        _kept[work] = os.open(work / _LIVING, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        with suppress(OSError):
            fcntl.flock(_kept[work], fcntl.LOCK_EX)


def drop(work: Path) -> None:
    """Work there no longer."""
    if (file := _kept.pop(work, None)) is not None:
        os.close(file)


@contextmanager
def unless_kept(work: Path) -> Iterator[bool]:
    """Give whether no process works on a dry run there; none begins to during the block."""
    free = work not in _kept
    try:
        file = os.open(work / _LIVING, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        yield free
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:  # another one is no answer: there are no locks
        free = free and not isinstance(error, BlockingIOError)
    try:
        yield free
    finally:
        os.close(file)
