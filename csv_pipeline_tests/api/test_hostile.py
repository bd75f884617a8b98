"""A service in a process of its own, told to end, killed, and stalled: no byte kept is lost."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest

from csv_pipeline.access import Scope
from csv_pipeline.client import BrokenUploadError, Client
from csv_pipeline.engine.pipeline import Pipeline, open_pipeline
from csv_pipeline.feeds import FEEDS
from csv_pipeline.storage import accounts, tokens
from csv_pipeline_tests.conftest import own_settings

pytestmark = pytest.mark.slow
LISTENERS = 100
CONTENT = "Customer ID,Name,Email\n" + "".join(
    f"C{n},{'name' * 20}{n},a{n}@example.org\n" for n in range(100_000)
)


@dataclass
class Served:
    """A service that is started again on the same port."""

    pipeline: Pipeline
    port: int
    token: str
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def start(self) -> None:
        self.process = started(self.pipeline, self.port)


def started(pipeline: Pipeline, port: int) -> "subprocess.Popen[bytes]":
    home = pipeline.settings.home
    environment = {k: v for k, v in os.environ.items() if not k.startswith("CSV_PIPELINE_")}
    environment |= {
        "CSV_PIPELINE_HOME": str(home),
        "CSV_PIPELINE_DAGSTER_URL": "http://127.0.0.1:9",
        "CSV_PIPELINE_REQUESTS_PER_MINUTE": "100000",
    }
    if (given := pipeline.settings.database_url) is not None:
        environment["CSV_PIPELINE_DATABASE_URL"] = getattr(
            given, "get_secret_value", lambda: str(given)
        )()
    command = [sys.executable, "-m", "csv_pipeline.cli", "serve", "--alone", "--port", str(port)]
    with Path(home, "serve.log").open("ab") as out:
        process = subprocess.Popen(  # noqa: S603  # our own command
            command, cwd=home, env=environment, stdout=out, stderr=out
        )
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(httpx2.HTTPError):
            if httpx2.get(f"http://127.0.0.1:{port}/health/live", timeout=2).is_success:
                return process
        time.sleep(0.1)
    raise AssertionError(Path(home, "serve.log").read_text())


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """A service for an account, with a token."""
    with own_settings(settle_seconds=0) as settings:
        pipeline = open_pipeline(settings, FEEDS)
        with pipeline.database.begin() as connection:
            accounts.add(connection, "acme")
            token, _ = tokens.make(connection, "t", account="acme", scopes=list(Scope))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        one = Served(pipeline, port, token, started(pipeline, port))
        yield one
        one.process.kill()
        one.process.wait()
        pipeline.close()


def stalled_patch(served: Served, stack: ExitStack, sent: bytes, length: int) -> tuple[str, int]:
    """Begin an upload whose body stops in the middle, and return its path and number."""
    said = {"Tus-Resumable": "1.0.0", "Upload-Length": f"{length}"}
    said["Upload-Metadata"] = "filename Yy5jc3Y=,feed Y3VzdG9tZXJz"
    begun = httpx2.post(f"{served.url}/api/v1/tus", headers=served.headers | said)
    path = urlsplit(begun.headers["Location"]).path
    open_ = stack.enter_context(socket.create_connection(("127.0.0.1", served.port)))
    head = (
        f"PATCH {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {served.token}\r\n"
        "Tus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n"
        f"Content-Type: application/offset+octet-stream\r\nContent-Length: {length}\r\n\r\n"
    )
    open_.sendall(head.encode() + sent)
    return path, int(path.rpartition("/")[2])


def offset(served: Served, path: str) -> int:
    answer = httpx2.head(f"{served.url}{path}", headers=served.headers | {"Tus-Resumable": "1.0.0"})
    return int(answer.headers["Upload-Offset"])


def listen(served: Served, stack: ExitStack) -> None:
    """Listen to all events, and wait until that is so."""
    open_ = stack.enter_context(socket.create_connection(("127.0.0.1", served.port)))
    open_.settimeout(30)
    head = f"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {served.token}"
    open_.sendall(f"{head}\r\n\r\n".encode())
    assert b"200" in open_.recv(1_000)


def test_it_ends_within_5_seconds_for_100_listeners_and_keeps_what_came(served: Served) -> None:
    data = CONTENT.encode()
    half = len(data) // 2
    with ExitStack() as stack:
        for _ in range(LISTENERS):
            listen(served, stack)
        path, number = stalled_patch(served, stack, data[:half], len(data))
        time.sleep(3)  # the last two seconds may be lost to a kill, and nothing to this
        since = time.monotonic()
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(timeout=30) in {0, -signal.SIGTERM}
        assert time.monotonic() - since < 5
    served.start()
    assert offset(served, path) == half
    file = served.pipeline.settings.home / "c.csv"
    file.write_bytes(data)
    with Client(served.url, served.token) as client:
        client.upload(file, number=number)
    landed = next(served.pipeline.settings.home.glob(f"landing/acme/customers/**/*{file.name}"))
    assert landed.read_bytes() == data


@pytest.mark.parametrize(
    ("method", "path", "kind", "start"),
    [
        pytest.param("PUT", "/acme/put.csv?feed=customers", "text/csv", "", id="plain"),
        pytest.param(
            *("POST", "", "multipart/form-data; boundary=b"),
            '--b\r\nContent-Disposition: form-data; name="account"\r\n\r\nacme\r\n'
            '--b\r\nContent-Disposition: form-data; name="feed"\r\n\r\ncustomers\r\n'
            '--b\r\nContent-Disposition: form-data; name="file"; filename="form.csv"\r\n\r\n',
            id="form",
        ),
    ],
)
def test_an_upload_in_one_request_is_answered_and_leaves_nothing_when_the_service_ends(
    served: Served, method: str, path: str, kind: str, start: str
) -> None:
    with socket.create_connection(("127.0.0.1", served.port)) as open_:
        open_.settimeout(30)
        head = (
            f"{method} /api/v1/uploads{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: Bearer {served.token}\r\nContent-Type: {kind}\r\n"
            "Content-Length: 50000000\r\n\r\n"
        )
        open_.sendall((head + start + CONTENT).encode())
        uploads = served.pipeline.settings.uploads_area
        while not any(uploads.rglob("*")):
            time.sleep(0.05)
        served.process.send_signal(signal.SIGINT)  # as when feeds have changed
        answer = open_.recv(10_000)
    served.process.wait(timeout=30)
    assert answer.startswith(b"HTTP/1.1 503")
    assert b'"code":"unavailable"' in answer
    assert [one for one in uploads.rglob("*") if one.is_file()] == []
    landing = served.pipeline.settings.landing_folder
    assert not [*landing.rglob("*put.csv"), *landing.rglob("*form.csv")]
    served.start()


def test_an_upload_goes_on_byte_for_byte_though_the_service_is_killed(served: Served) -> None:
    file = served.pipeline.settings.home / "killed.csv"
    data = CONTENT.replace("name", "kill").encode()
    file.write_bytes(data)
    kills = 3

    def kill() -> None:
        for _ in range(kills):
            time.sleep(0.4)
            served.process.kill()
            served.process.wait()
            served.start()

    killer = threading.Thread(target=kill)
    with Client(served.url, served.token, piece_bytes=300_000, transport=Slow()) as client:
        killer.start()
        number = send_at_last(client, file)
        killer.join()
        assert client.progress(number).status in {"arrived", "queued"}
    landed = next(served.pipeline.settings.home.glob("landing/acme/customers/**/*killed.csv"))
    assert landed.read_bytes() == data


def send_at_last(client: Client, file: Path) -> int:
    """Send a file, going on for as long as it takes."""
    number: int | None = None
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            return client.upload(file, account="acme", feed="customers", number=number)
        except BrokenUploadError as broken:
            number = broken.number
        except httpx2.TransportError:
            time.sleep(0.2)
    raise AssertionError("it was not sent")


class Slow(httpx2.HTTPTransport):
    """A connection on which a piece takes a while."""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "PATCH":
            time.sleep(0.05)
        return super().handle_request(request)


def test_stalled_uploads_slow_no_other_request(served: Served) -> None:
    def times(count: int) -> list[float]:
        found = []
        with httpx2.Client(base_url=served.url, headers=served.headers) as reader:
            for _ in range(count):
                since = time.monotonic()
                assert reader.get("/api/v1/imports?limit=20").is_success
                found.append(time.monotonic() - since)
        return sorted(found)

    before = times(20)[10]
    with ExitStack() as stack:
        for _ in range(40):
            stalled_patch(served, stack, b"Customer ID,Name\n", 10_000_000)
        meanwhile = times(20)[10]
        assert meanwhile < 3 * before + 0.05
