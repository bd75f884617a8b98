"""An S3 server over the same buckets as the tests' other one, which answers as a test tells it."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import pytest
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import make_server

from csv_pipeline_tests.file_stores import named


@dataclass(frozen=True)
class Refusal:
    """An error as S3 answers it; one to a request for a head has no words."""

    status: str
    code: str


@dataclass(frozen=True)
class Slowly:
    """The answer of the store, after so many seconds."""

    seconds: float


@dataclass(frozen=True)
class CutOff:
    """The answer of the store, whose body ends after so many bytes."""

    size_bytes: int


Fault = Refusal | Slowly | CutOff | None


@dataclass
class FaultyStore:
    """What the server does to a request, by its method and its path with the query."""

    fault: Callable[[str, str], Fault] = lambda *_: None
    requests: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._app = DomainDispatcherApplication(create_backend_app)

    def refuse(self, status: str, code: str, times: int = 1_000_000) -> None:
        """Refuse so many requests from now on."""
        left = iter(range(times))
        self.fault = lambda *_: None if next(left, None) is None else Refusal(status, code)

    def __call__(self, environ: WSGIEnvironment, begin: StartResponse) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        self.requests.append(f"{method} {path}?{environ['QUERY_STRING']}")
        match self.fault(method, f"{path}?{environ['QUERY_STRING']}"):
            case Refusal(status, code):
                words = f"<Error><Code>{code}</Code><Message>As told.</Message></Error>".encode()
                body = b"" if method == "HEAD" else words
                begin(status, [("Content-Length", str(len(body)))])
                return [body]
            case Slowly(seconds):
                time.sleep(seconds)
            case CutOff(size_bytes):
                return self._cut_off(environ, begin, size_bytes)
        return self._app(environ, begin)  # type: ignore[no-any-return]

    def _cut_off(
        self, environ: WSGIEnvironment, begin: StartResponse, size_bytes: int
    ) -> Iterator[bytes]:
        whole: bytes = b"".join(self._app(environ, begin))
        yield whole[:size_bytes]
        raise ConnectionError("the test cuts the connection")


@contextmanager
def faulty_store() -> Iterator[FaultyStore]:
    """Start the server and let the environment name it."""
    store = FaultyStore()
    server = make_server("127.0.0.1", 0, store, threaded=True, request_handler=_Quiet)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        with named(f"http://127.0.0.1:{server.server_port}"):
            yield store
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Quiet(MotoRequestHandler):
    def log(self, *_: Any) -> None:
        """Print nothing, also of a connection that is cut."""


@pytest.fixture
def faulty() -> Iterator[FaultyStore]:
    """A server as above, for one test."""
    with faulty_store() as store:
        yield store
