"""Measure the API as those who use it see it: `python -m benchmarks.api`.

It prints how long lists take while clients send files and many listen, what memory the service has
then and while 1 GB comes, how fast an upload is by a bare copy over loopback, pages of 1,000,000
rejects, and a check of 1,000,000 rows by the engine's own dry run; and what processor time of the
service some take, which says more than the clock where the machine has other work. Dagster is not
there, so nothing is imported meanwhile.
"""

import json
import math
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from subprocess import PIPE
from typing import Any

import httpx2
import sqlalchemy as sa

from benchmarks.senders import body
from csv_pipeline.access import Scope
from csv_pipeline.engine import upload_checks, uploads
from csv_pipeline.engine.pipeline import Pipeline, open_pipeline
from csv_pipeline.engine.receiving import Receiver
from csv_pipeline.engine.run import run
from csv_pipeline.feeds import FEEDS
from csv_pipeline.files.landing import found_file
from csv_pipeline.location import location_of
from csv_pipeline.settings import Settings
from csv_pipeline.storage import accounts, arrivals, tokens

ACCOUNT, FEED = "acme", "customers"
LISTENERS, CLIENTS, UPLOAD_BYTES = 100, 20, 10 * 1024**2
_SECONDS_OF_SENDING = 10.0
_LARGE_BYTES = 500 * 1024**2
_HUGE_BYTES = 1024**3
_REJECTS = 1_000_000
_ROWS = 1_000_000
_READS = 21
_MORE_REJECTS = """
INSERT INTO csv_pipeline.reject (import_id, row_number, line_number, "column", rule, value, message,
                                 raw)
SELECT import_id, row_number + n, line_number + n, "column",
       CASE WHEN n % 100000 = 0 THEN 'rare' ELSE rule END, value || n, message, raw
FROM csv_pipeline.reject, generate_series(1, :more) AS n
WHERE import_id = :import_id AND row_number = :row_number
"""


@dataclass(frozen=True)
class Served:
    """A service in a process of its own."""

    url: str
    token: str
    pid: int

    @property
    def headers(self) -> dict[str, str]:
        """What every request brings."""
        return {"Authorization": f"Bearer {self.token}"}

    def cpu_seconds(self) -> float:
        """Return the processor time of the service so far."""
        user, system = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> int:
        """Return the memory that is the service's own now."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        (line,) = (one for one in status.splitlines() if one.startswith("RssAnon"))
        return int(line.split()[1]) // 1024


def main() -> None:
    """Print every measurement; the load of the machine beside them."""
    with tempfile.TemporaryDirectory(prefix="csv-pipeline-bench-api-") as folder:
        pipeline = open_pipeline(Settings(home=Path(folder)), FEEDS)
        try:
            import_id = _rejected(pipeline)
            with _served(pipeline) as served:
                print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
                for name, query in {
                    "first page": "",
                    "a rare rule": "?rule=rare",
                    "open": "?open=true",
                }.items():
                    path = f"/api/v1/imports/{import_id}/rejects{query}"
                    since = served.cpu_seconds()
                    seconds = _times(served, path, _READS)[_READS // 2]
                    spent = (served.cpu_seconds() - since) / _READS
                    print(
                        f"rejects of {_REJECTS:,}, {name}: {seconds * 1000:.0f} ms, "
                        f"{spent * 1000:.0f} ms of the processor"
                    )
                _checked(pipeline, served)
                _under_load(served)
                _throughput(served, Path(folder))
                _while_huge(served)
        finally:
            pipeline.close()


def _checked(pipeline: Pipeline, served: Served) -> None:
    """Compare the check of an upload to the engine's own dry run, in turns; then read its page."""
    path = pipeline.settings.home / "many.csv"
    path.write_bytes(b"".join(_many_rows(_ROWS)))
    found = found_file(location_of(path), ACCOUNT, FEED)

    def dry_run() -> None:
        claim = pipeline.claim_file(found, dry_run=True)
        assert claim is not None  # a dry run takes no claim from the ledger
        run(pipeline, [claim])

    size = path.stat().st_size
    facts: dict[str, Any] = {"by": "bench", "feed": FEED, "size_bytes": size, "check_first": True}
    sent = uploads.begin(pipeline, ACCOUNT, path.name, **facts)
    with Receiver.of(pipeline, sent) as receiver:
        receiver.write([path.read_bytes()])
        receiver.finish()

    def check() -> None:
        uploads.to_be_checked(pipeline, sent.upload_id)
        upload_checks.check(pipeline, sent.upload_id, lambda _: None)

    seconds: dict[Callable[[], None], float] = {}
    for do in (dry_run, check, check, dry_run):
        _vacuum(pipeline)  # what the one before took back is in the tables
        seconds[do] = min(_timed(do), seconds.get(do, math.inf))
    plain, checked = seconds[dry_run], seconds[check]
    print(
        f"check of {_ROWS:,} rows: {checked:.1f} s, {checked / plain:.2f} times the dry run of the "
        f"engine ({plain:.1f} s)"
    )
    for name, at in {
        "page": f"/imports/{sent.upload_id}/check",
        "rejects": f"/api/v1/imports/{sent.upload_id}/rejects",
    }.items():
        median = _times(served, at, _READS)[_READS // 2]
        print(f"check of {_ROWS:,} rows, its {name}: {median * 1000:.0f} ms")


def _many_rows(count: int) -> Iterator[bytes]:
    """Give a file of so many rows, of which one in a hundred is bad."""
    yield b"Customer ID,Name,Email\n"
    for number in range(count):
        host = "" if number % 100 == 0 else "@example.org"
        yield f"C{number},Ann Example,ann{number}{host}\n".encode()


def _under_load(served: Served) -> None:
    """Read lists while others send files, one after the other, and many listen."""
    asked = {
        "url": served.url,
        "headers": served.headers,
        "path": f"/api/v1/uploads/{ACCOUNT}/{{name}}?feed={FEED}",
        "clients": CLIENTS,
        "seconds": _SECONDS_OF_SENDING,
        "size_bytes": UPLOAD_BYTES,
    }
    found: list[float] = []
    peak = 0
    with ExitStack() as stack:
        for _ in range(LISTENERS):
            _listen(served, stack)
        command = [sys.executable, "-m", "benchmarks.senders"]
        sender = stack.enter_context(
            subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True)  # noqa: S603  # ours
        )
        assert sender.stdin is not None and sender.stdout is not None  # noqa: PT018
        with sender.stdin as said:
            json.dump(asked, said)
        sender.stdout.readline()
        since, spent = time.monotonic(), served.cpu_seconds()
        while sender.poll() is None:
            found += _times(served, "/api/v1/imports?limit=20", 5)
            peak = max(peak, served.memory_mb())
        done = json.loads(sender.stdout.read())
        seconds, spent = time.monotonic() - since, served.cpu_seconds() - spent
    found.sort()
    print(
        f"{CLIENTS} clients sent {done['taken']} files of {UPLOAD_BYTES // 1024**2} MB in "
        f"{seconds:.0f} s ({done['refused']} refused), {LISTENERS} listened: {len(found)} reads, "
        f"median {found[len(found) // 2] * 1000:.0f} ms, "
        f"p95 {found[int(len(found) * 0.95)] * 1000:.0f} ms; {spent:.1f} s of the processor; "
        f"memory {peak} MB"
    )


def _throughput(served: Served, folder: Path) -> None:
    """Compare an upload to a bare copy over loopback, in turns; the median of three ratios."""
    ratios, since = [], served.cpu_seconds()
    for number in range(3):
        bare = _timed(lambda: _copied(folder / "bare"))
        path = f"/api/v1/uploads/{ACCOUNT}/large{number}.csv?feed={FEED}"

        def put(path: str = path) -> None:
            to = HTTPConnection(served.url.removeprefix("http://"), timeout=300)
            headers = {**served.headers, "Content-Length": str(_LARGE_BYTES)}
            to.request("PUT", path, body(_LARGE_BYTES), headers)
            with to.getresponse() as answer:
                assert answer.status < HTTPStatus.BAD_REQUEST, answer.read()

        ratios.append(bare / _timed(put))
    spent = (served.cpu_seconds() - since) / 3
    print(
        f"PUT of {_LARGE_BYTES // 1024**2} MB: {sorted(ratios)[1]:.0%} of a bare copy, "
        f"{spent:.1f} s of the processor"
    )


def _while_huge(served: Served) -> None:
    """Look at the memory of the service while one large body is sent."""
    path = f"/api/v1/uploads/{ACCOUNT}/huge.csv?feed={FEED}"
    peak = 0
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(
            httpx2.put,
            served.url + path,
            headers=served.headers,
            content=body(_HUGE_BYTES),
            timeout=300,
        )
        while not sent.done():
            peak = max(peak, served.memory_mb())
            time.sleep(0.05)
    sent.result().raise_for_status()
    print(f"memory while {_HUGE_BYTES // 1024**2} MB come: {peak} MB")


def _copied(target: Path) -> None:
    """Send bytes to a socket whose other end writes them to a file, and to the disk."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def take() -> None:
            taken, _ = server.accept()
            with taken, target.open("wb") as file:
                while chunk := taken.recv(1024**2):
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())

        taker = threading.Thread(target=take)
        taker.start()
        with socket.create_connection(server.getsockname()) as sender:
            for chunk in body(_LARGE_BYTES):
                sender.sendall(chunk)
        taker.join()


def _timed(do: Callable[[], object]) -> float:
    since = time.perf_counter()
    do()
    return time.perf_counter() - since


def _times(served: Served, path: str, count: int) -> list[float]:
    with httpx2.Client(base_url=served.url, headers=served.headers, timeout=60) as reader:
        return sorted(_timed(lambda: reader.get(path).raise_for_status()) for _ in range(count))


def _listen(served: Served, stack: ExitStack) -> None:
    host, port = served.url.removeprefix("http://").split(":")
    listener = stack.enter_context(socket.create_connection((host, int(port))))
    head = f"GET /api/v1/events HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {served.token}"
    listener.sendall(f"{head}\r\n\r\n".encode())


def _rejected(pipeline: Pipeline) -> int:
    """Import a file with a bad row, and let it have many."""
    path = pipeline.settings.home / "bad.csv"
    path.write_text(
        "Customer ID,Name,Email\nC1,Ann,ann@example.org\nC2,Bob,none\nC3,Cid,c@example.org\n"
    )
    with pipeline.database.begin() as connection:
        accounts.add(connection, ACCOUNT)
        arrivals.register(connection, [found_file(location_of(path), ACCOUNT, FEED)])
    (report,) = run(pipeline, pipeline.claim(ACCOUNT, FEED))
    with pipeline.database.begin() as connection:
        first = connection.scalar(sa.text("SELECT min(row_number) FROM csv_pipeline.reject"))
        facts = {"more": _REJECTS - 1, "import_id": report.import_id, "row_number": first}
        connection.execute(sa.text(_MORE_REJECTS), facts)
    _vacuum(pipeline)
    import_id: int = report.import_id
    return import_id


def _vacuum(pipeline: Pipeline) -> None:
    with pipeline.database.engine.connect() as connection:
        own = connection.execution_options(isolation_level="AUTOCOMMIT")
        own.execute(sa.text("VACUUM (ANALYZE)"))


@contextmanager
def _served(pipeline: Pipeline) -> Iterator[Served]:
    with pipeline.database.begin() as connection:
        token, _ = tokens.make(connection, "bench", account=ACCOUNT, scopes=list(Scope))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home, url = pipeline.settings.home, f"http://127.0.0.1:{port}"
    environment = os.environ | {
        "CSV_PIPELINE_HOME": str(home),
        "CSV_PIPELINE_DAGSTER_URL": "http://127.0.0.1:9",
        "CSV_PIPELINE_REQUESTS_PER_MINUTE": "1000000",
    }
    command = [sys.executable, "-m", "csv_pipeline.cli", "serve", "--alone", "--port", str(port)]
    process = subprocess.Popen(command, env=environment)  # noqa: S603  # our own command
    try:
        for _ in range(600):
            with suppress(httpx2.HTTPError):
                if httpx2.get(f"{url}/health/live", timeout=2).is_success:
                    break
            time.sleep(0.1)
        yield Served(url, token, process.pid)
    finally:
        process.terminate()
        process.wait(timeout=30)


if __name__ == "__main__":
    main()
