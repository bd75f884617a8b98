"""Run a command beside a PostgreSQL of its own: `python -m csv_pipeline_tests.postgres pytest …`.

The tests then work on that server instead of the embedded one. The programs are those of
`CSV_PIPELINE_PG_BIN`, else the oldest that Debian's packages installed and the pipeline supports,
else those that `pg_config` names. The server lives in a temporary folder, listens on a socket in it
only, and ends with this process, however that ends.
"""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import psycopg

from csv_pipeline.storage.database import OLDEST_SERVER

ADDRESS = "CSV_PIPELINE_TEST_DATABASE_URL"
PROGRAMS = "CSV_PIPELINE_PG_BIN"
_DEBIAN = Path("/usr/lib/postgresql")
_START_SECONDS = 30
# Nothing in it is to outlive the run.
_CARELESS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
# The server ends when its input does, which the system closes if this process is killed.
_UNTIL_INPUT_ENDS = """
exec 3<&0
"$@" </dev/null 3<&- & server=$!
{ cat <&3 >/dev/null; kill -INT $server; } &
wait $server
rm -rf "$0"
"""


class NoServerError(Exception):
    """There is no PostgreSQL to start, or it does not start."""


@contextmanager
def server() -> Iterator[str]:
    """Give the address of a new server."""
    programs, rights = _programs(), _rights()
    folder = Path(tempfile.mkdtemp(prefix="csv-pipeline-pg-"))
    try:
        if rights:
            shutil.chown(folder, "postgres")
        data = folder / "data"
        # Names sort by a language's rules, as on most servers, so that byte order is no accident.
        _run(
            *(*rights, str(programs / "initdb"), "--pgdata", str(data), "--username=postgres"),
            *("--auth=trust", "--no-sync", "--encoding=UTF8", "--locale-provider=icu"),
            "--icu-locale=en-US",
        )
        options = [f"unix_socket_directories={folder}", "listen_addresses=", *_CARELESS]
        command = [str(programs / "postgres"), "-D", str(data)]
        for option in options:
            command += ["-c", option]
        with (
            Path(folder, "log").open("w+b") as log,
            subprocess.Popen(  # noqa: S603  # the programs are the developer's own
                [*rights, "/bin/sh", "-c", _UNTIL_INPUT_ENDS, str(folder), *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,  # Ctrl-C is for the tests; the server outlives them
            ) as shell,
        ):
            url = f"postgresql://postgres@/postgres?host={folder}"
            _wait_for(url, shell, log)
            yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main(arguments: Sequence[str]) -> int:
    """Run a module of Python with the address of a new server in its environment."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with server() as url, psycopg.connect(url) as connection:
            version = connection.info.parameter_status("server_version")
            sys.stderr.write(f"PostgreSQL {version}\n")
            command = [sys.executable, "-m", *arguments]
            return _until_done(command, os.environ | {ADDRESS: url})
    except NoServerError as error:
        sys.stderr.write(f"{error}\n")
        return 2


def _until_done(command: list[str], environment: dict[str, str]) -> int:
    with subprocess.Popen(command, env=environment) as child:  # noqa: S603  # the caller's own
        try:
            return child.wait()
        except KeyboardInterrupt:
            return child.wait()  # it got the same Ctrl-C and is about to end
        finally:
            child.terminate()


def _programs() -> Path:
    given = os.environ.get(PROGRAMS)
    debian = [path for path in _DEBIAN.glob("*/bin") if path.parent.name.isdigit()]
    found = [
        *([Path(given)] if given else sorted(debian, key=lambda path: int(path.parent.name))),
        *([] if given else _configured()),
    ]
    for programs in found:
        if all((programs / name).exists() for name in ("initdb", "postgres")) and (
            given or _version(programs) >= OLDEST_SERVER
        ):
            return programs
    looked = ", ".join(map(str, found)) or f"{_DEBIAN} and pg_config"
    raise NoServerError(
        f"PostgreSQL: initdb and postgres, {OLDEST_SERVER} or newer, were needed; none is in "
        f"{looked}. Install a server (Debian: apt-get install postgresql) or name its folder of "
        f"programs in {PROGRAMS}."
    )


def _configured() -> list[Path]:
    config = shutil.which("pg_config")
    return [] if config is None else [Path(_run(config, "--bindir").strip())]


def _version(programs: Path) -> int:
    """Return the major version of what `postgres --version` says, such as 'PostgreSQL 15.19'."""
    return int(_run(str(programs / "postgres"), "--version").split()[2].split(".")[0])


def _rights() -> list[str]:
    """Return what to put before a command so that the server does not run as root."""
    if os.geteuid() != 0:
        return []
    try:
        pwd.getpwnam("postgres")
    except KeyError as error:
        raise NoServerError(
            "PostgreSQL does not run as root: the system user 'postgres' was needed; there is none"
        ) from error
    runuser = shutil.which("runuser")
    if runuser is None:
        raise NoServerError("PostgreSQL does not run as root: the program runuser was needed")
    return [runuser, "-u", "postgres", "--"]


def _run(*command: str) -> str:
    done = subprocess.run(  # noqa: S603  # the programs are the developer's own
        command, capture_output=True, text=True, check=False, cwd="/"
    )
    if done.returncode:
        raise NoServerError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def _wait_for(url: str, shell: "subprocess.Popen[bytes]", log: BinaryIO) -> None:
    give_up_at = time.monotonic() + _START_SECONDS
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError as error:
            if shell.poll() is not None or time.monotonic() > give_up_at:
                log.seek(0)
                said = log.read().decode(errors="replace").strip()
                raise NoServerError(f"PostgreSQL did not start: {said or error}") from error
            time.sleep(0.1)
        else:
            return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
