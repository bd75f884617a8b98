"""What a service that keeps objects must be asked for, and what its answers mean.

A new service is a module beside this one, and a line in `stores`. It says in its own words what it
wants and answers; what a file store promises is made of that in `objects`, once for all of them.
"""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from pathlib import Path
from typing import ClassVar, Protocol

from csv_pipeline.files.store import FileStatus
from csv_pipeline.location import Location

CHUNK = 4 * 1024**2


class Meaning(Enum):
    """What an answer that is no success means to whoever asked."""

    GONE = auto()
    """There is no such object, or a condition does not hold."""
    DENIED = auto()
    """The bucket is not there, or not for us."""
    ONE_DENIED = auto()
    """The object is not for us; others may be."""
    LATER = auto()
    """The service cannot do it now."""
    SILENT = auto()
    """There is no answer."""
    REFUSED = auto()
    """It cannot be done, for another reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a service answered to the request `asked`, in its own words."""

    meaning: Meaning
    asked: str
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """For how long an answer is waited for, and how often a request is sent at most."""

    connect_seconds: int
    read_seconds: int
    attempts: int


class ObjectService(Protocol):
    """A service, spoken to as the environment describes it; opening it sends no request.

    A method raises one of `errors` if it does not succeed, and `answer` says what that means.
    """

    scheme: ClassVar[str]
    package: ClassVar[str]
    """What has to be installed for it, and by which extra of ours."""
    extra: ClassVar[str]
    variables: ClassVar[tuple[str, ...]]
    """What credentials are read from, besides what its package finds elsewhere."""
    elsewhere: ClassVar[str]
    errors: tuple[type[Exception], ...]
    address: str

    @abstractmethod
    def __init__(self, patience: Patience) -> None:
        """Open it.

        Raises:
            ModuleNotFoundError: Its package is not installed.
            ValueError: The environment does not describe it.
        """

    @abstractmethod
    def objects(self, area: Location, after: str) -> Iterator[tuple[str, FileStatus]]:
        """Give the objects below an area whose keys come after this one, in order of their keys."""

    @abstractmethod
    def status(self, location: Location) -> FileStatus:
        """Return what an object is."""

    @abstractmethod
    def read(self, location: Location, etag: str) -> Iterator[bytes]:
        """Give the bytes of an object that has this ETag."""

    @abstractmethod
    def put(self, source: Path, target: Location) -> None:
        """Put a file of any size, over what is there."""

    @abstractmethod
    def create(self, target: Location) -> None:
        """Put an empty object where none is; `GONE` if one is."""

    @abstractmethod
    def copy(self, source: Location, etag: str, target: Location) -> str:
        """Copy an object that has this ETag over what is there, and return the ETag of the copy."""

    @abstractmethod
    def remove(self, location: Location, etag: str | None) -> None:
        """Remove an object that has this ETag, if one is given."""

    @abstractmethod
    def answer(self, error: Exception) -> Answer:
        """Return what an error that a method raised says."""


def quoted(etag: str) -> str:
    """Return an ETag as conditions of HTTP have it."""
    return f'"{etag}"'


def usual_meaning(status: int) -> Meaning:
    """Return what a status of HTTP means where a service says no more."""
    match status:
        case HTTPStatus.NOT_FOUND | HTTPStatus.PRECONDITION_FAILED:
            return Meaning.GONE
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return Meaning.DENIED
        case HTTPStatus.REQUEST_TIMEOUT | HTTPStatus.CONFLICT | HTTPStatus.TOO_MANY_REQUESTS:
            return Meaning.LATER
        case _ if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return Meaning.LATER
        case _:
            return Meaning.REFUSED
