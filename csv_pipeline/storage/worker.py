"""Identify this process, so that another one on the same host can tell whether it still lives.

A process id alone is not enough: after a while it belongs to another process. With the time its
process started, the boot and the process namespace it was counted in, it means one process for
ever. All of it is in Linux's /proc (man 5 proc); elsewhere workers have no name, and only
their leases tell.
"""

import os
import socket
from pathlib import Path

_PROC = Path("/proc")
_STATE, _STARTED = 0, 19  # fields 3 and 22 of /proc/PID/stat, counted after the name
_ENDED = {"Z", "X"}  # a zombie waits for its parent only


def this_worker() -> str | None:
    """Return this process's name as `host/boot/namespace/pid/start`; None where there is no /proc.

    The start is in clock ticks since boot.
    """
    return worker_named(os.getpid())


def worker_named(pid: int) -> str | None:
    """Return the name of a process in this one's namespace; None if it ended."""
    place, facts = this_place(), _facts(pid)
    return f"{place}/{pid}/{facts[_STARTED]}" if place and facts else None


def pid_of(worker: str) -> int:
    """Return the process id in a worker's name."""
    return int(worker.rsplit("/", 2)[1])


def is_here(worker: str | None) -> bool:
    """Return whether a worker's process id can be looked up by this process."""
    return worker is not None and worker.rpartition("/")[0].rpartition("/")[0] == this_place()


def is_gone(worker: str | None) -> bool:
    """Return whether a worker is known to be dead; of one elsewhere nothing is known."""
    if worker is None or not is_here(worker):
        return False
    pid, started = pid_of(worker), worker.rpartition("/")[2]
    facts = _facts(pid)
    if facts is None:
        return not exists(pid)
    return facts[_STATE] in _ENDED or facts[_STARTED] != started


def is_zombie(pid: int) -> bool:
    """Return whether a process is dead and only its parent has not asked how it ended."""
    facts = _facts(pid)
    return facts is not None and facts[_STATE] in _ENDED


def this_place() -> str | None:
    """Return the host, its boot and the namespace that this process's id belongs to."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        namespace = (_PROC / "self/ns/pid").readlink().name
    except OSError:
        return None
    return f"{socket.gethostname()}/{boot}/{namespace}"


def _facts(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat behind the name, which may hold blanks and brackets."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (OSError, UnicodeDecodeError):
        return None


def exists(pid: int) -> bool:
    """Return whether there is such a process, even one whose /proc is hidden from this user."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
