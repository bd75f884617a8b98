"""A process that has imported everything and forks one child for each run that it is told of.

The launcher, `csv_pipeline.defs.launcher`, starts it with the module of the definitions. It says
READY, reads a line for each run, which are the arguments of Dagster's `execute_run` as Dagster
writes them, and answers with the child's process id. It ends when its input does; the runs of its
children go on.

Polars may be imported before a fork, but must not have run: a child would wait for threads that it
does not have. So the process looks at its threads before each fork, and ends rather than fork then.
"""

import gc
import os
import re
import signal
import sys
import threading
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path

import structlog

from csv_pipeline.errors import SetupError
from csv_pipeline.settings import settings
from csv_pipeline.storage import embedded
from csv_pipeline.storage.database import leave_database

READY = "ready"
_OF_A_RUN = (
    "dagster._cli.api",
    "dagster._core.execution.plan.active",
    "dagster._core.executor.in_process",
    "dagster._core.storage.sqlite_storage",
    "dagster._core.workspace.autodiscovery",
    "dagster._daemon.controller",
    "alembic.autogenerate",
    "alembic.script",
    "csv_pipeline.defs.instance",
)
"""What is loaded otherwise when the first run needs it."""
_TASKS = Path("/proc/self/task")
_OF_A_POOL = ("polars-0", "tokio-rt", "async-exec")
_STATUS = Path("/proc/self/status")
_LOOK_SECONDS = 0.5
log = structlog.get_logger()


def main() -> int:
    """Fork a child for each line of the input, until it ends."""
    prepare(sys.argv[1])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for those who end this process
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children are not waited for
    _say(READY)
    for line in sys.stdin:
        if threads := running_pools():
            print(f"not forking: {', '.join(threads)} run", file=sys.stderr)  # noqa: T201
            return 1
        pid = os.fork()
        if pid == 0:
            _execute(line)
        _say(str(pid))
    return 0


def prepare(module: str) -> None:
    """Import what a run needs, and build a module's definitions, without running Polars.

    The database is left alone: an embedded server counts the processes that use it.
    """
    for name in _OF_A_RUN:  # here, so that the launcher does not load them
        import_module(name)
    with suppress(SetupError):  # it is optional
        embedded.module()
    import_module(module).defs.get_repository_def().get_all_jobs()
    gc.collect()
    gc.freeze()  # a child's collector need not touch, and so copy, what was there before it


def running_pools() -> list[str]:
    """Return the names of threads that a child would miss; without /proc none are known."""
    if not _TASKS.exists():
        return []
    names = [(task / "comm").read_text().strip() for task in _TASKS.iterdir()]
    return [name for name in names if name.startswith(_OF_A_POOL)]


def bound_memory(most: int) -> None:
    """Kill this process once it holds more bytes of memory than `most`, as the kernel would.

    So it takes none from the database and from other runs. Its file is tried again, and is set
    aside as poison when that ends the same way. Without /proc there is no bound.
    """
    if _STATUS.exists():
        threading.Thread(target=_watch_memory, args=(most,), daemon=True).start()


def _watch_memory(most: int) -> None:
    while (held := _held_bytes()) <= most:
        time.sleep(_LOOK_SECONDS)
    log.error(
        "run is killed: it holds more memory than CSV_PIPELINE_RUN_MEMORY_BYTES",
        held=held,
        most=most,
    )
    sys.stderr.flush()
    os.kill(os.getpid(), signal.SIGKILL)


def _held_bytes() -> int:
    """Return the bytes that are in memory and in no file, with those that a fork shares."""
    found = re.search(r"^RssAnon:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
    return int(found[1]) * 1_024 if found else 0


def _execute(arguments: str) -> None:
    """Execute a run as `dagster api execute_run` does, and end this process."""
    from dagster._cli.api import execute_run_command  # noqa: PLC0415

    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()  # what ends the process that forked does not end the run
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(2, 1)  # what a run prints does not go to the launcher
    code = 1
    try:
        bound_memory(settings().run_memory_bytes)
        execute_run_command.main([arguments.strip()], standalone_mode=False)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        with suppress(Exception):
            leave_database(settings())
        sys.stderr.flush()
        os._exit(code)


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201  # the launcher reads it


if __name__ == "__main__":
    sys.exit(main())
