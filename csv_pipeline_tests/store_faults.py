"""A server over the same buckets as the tests' other one, which answers as a test tells it."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import pytest
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from csv_pipeline_tests.file_stores import named
from csv_pipeline_tests.object_servers import serving


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


@dataclass(frozen=True)
class Instead:
    """An answer of the test's own, which the store is not asked for."""

    body: bytes


Fault = Refusal | Instead | Slowly | CutOff | None


@dataclass
class FaultyStore:
    """What the server does to a request, by its method and its path with the query."""

    scheme: str = "s3"
    app: WSGIApplication = field(
        default_factory=lambda: DomainDispatcherApplication(create_backend_app)
    )
    fault: Callable[[str, str], Fault] = lambda *_: None
    requests: list[str] = field(default_factory=list)
    callers: list[str] = field(default_factory=list)
    """By the key that each request was signed with."""

    def refuse(self, status: str, code: str, times: int = 1_000_000) -> None:
        """Refuse so many requests from now on."""
        left = iter(range(times))
        self.fault = lambda *_: None if next(left, None) is None else Refusal(status, code)

    def __call__(self, environ: WSGIEnvironment, begin: StartResponse) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        self.requests.append(f"{method} {path}?{environ['QUERY_STRING']}")
        signed = environ.get("HTTP_AUTHORIZATION", "")
        self.callers.append(signed.partition("Credential=")[2].partition("/")[0])
        match self.fault(method, f"{path}?{environ['QUERY_STRING']}"):
            case Refusal(status, code):
                words = _google if self.scheme == "gs" else _amazon
                body = b"" if method == "HEAD" else words(status, code).encode()
                begin(status, [("Content-Length", str(len(body))), ("x-ms-error-code", code)])
                return [body]
            case Instead(body):
                begin("200 OK", [("Content-Length", str(len(body)))])
                return [body]
            case Slowly(seconds):
                time.sleep(seconds)
            case CutOff(size_bytes):
                return self._cut_off(environ, begin, size_bytes)
        return self.app(environ, begin)

    def _cut_off(
        self, environ: WSGIEnvironment, begin: StartResponse, size_bytes: int
    ) -> Iterator[bytes]:
        whole = b"".join(self.app(environ, begin))
        yield whole[:size_bytes]
        raise ConnectionError("the test cuts the connection")


def _amazon(_: str, code: str) -> str:
    """Return a refusal in the words of Amazon, and of Azure."""
    return f"<Error><Code>{code}</Code><Message>As told.</Message></Error>"


def _google(status: str, code: str) -> str:
    return json.dumps({"error": {"code": int(status[:3]), "message": f"{code}: As told."}})


@contextmanager
def faulty_store(store: FaultyStore | None = None) -> Iterator[FaultyStore]:
    """Start the server and let the environment name it."""
    store = store or FaultyStore()
    with serving(store) as address, named(address, store.scheme):
        yield store


@pytest.fixture
def faulty() -> Iterator[FaultyStore]:
    """A server as above, for one test."""
    with faulty_store() as store:
        yield store
