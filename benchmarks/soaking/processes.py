"""The processes of a `csv-pipeline dev`, by what they do; found by the folder they work in."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_PARENT, _SESSION = 1, 3  # fields 4 and 6 of /proc/PID/stat, counted after the name
_ROLES = (
    ("csv_pipeline.defs.code_server", "code server"),
    ("dagster api grpc", "code"),
    ("csv_pipeline.defs.daemon", "daemon"),
    ("csv_pipeline.defs.preforked", "run"),  # or what runs are forked from, see below
    ("dagster_webserver", "web server"),
    ("csv_pipeline.cli serve", "import page"),
    ("bin/postgres -D", "database"),
    ("postgres: ", "session"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A process, what it does, and its anonymous memory in MB."""

    pid: int
    role: str
    memory_mb: float


def running(folder: Path) -> list[Running]:
    """Return the processes that work in a folder or below it, other than this one."""
    found = []
    for process in _PROC.glob("[0-9]*"):
        with suppress(OSError, ValueError):
            pid = int(process.name)
            if pid != os.getpid() and (process / "cwd").readlink().is_relative_to(folder):
                role = _role(pid, (process / "cmdline").read_text().replace("\0", " "))
                found.append(Running(pid=pid, role=role, memory_mb=_memory(process)))
    return found


def _role(pid: int, command: str) -> str:
    role = next((role for mark, role in _ROLES if mark in command), "other")
    if role == "run":
        facts = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        # A run leads a session of its own.
        return "run" if int(facts[_SESSION]) == pid else "runs' source"
    if role == "session" and "[local]" not in command:
        return "database's own"
    return role


def _memory(process: Path) -> float:
    lines = (process / "status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024
