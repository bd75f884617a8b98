"""Objects in the buckets of a service.

An object appears whole or not at all, so none is ever half written. It is replaced as a whole, too,
which its ETag shows. A store does not move: the object is copied inside the store, the copy is held
against the original, and only then does the original go, if it is still the one that was copied.
"""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import assert_never

from csv_pipeline.errors import SetupError, StoreDeniedError, StoreUnavailableError
from csv_pipeline.files.object_service import Answer, Meaning, ObjectService, Patience
from csv_pipeline.files.store import FileStatus, FileStore, Listed
from csv_pipeline.location import Location, parts_below, storable

_CONNECT_SECONDS = 5
_READ_SECONDS, _LOOK_SECONDS = 60, 15  # a copy may take long, and a tick of the sensor may not
_ATTEMPTS = 3
"""How often a request is sent before the store counts as silent, each time after a longer wait."""


class ObjectStore(FileStore):
    """Buckets; an object is moved by a copy, which has a time of its own."""

    def __init__(self, kind: type[ObjectService]) -> None:
        self._kind = kind
        self._open: dict[int, ObjectService] = {}

    def forget(self) -> None:
        """Read the environment anew for the next request."""
        self._open.clear()

    def listing(
        self,
        area: Location,
        start_at: str = "",
        ignored: Callable[[str], bool] = lambda _: False,
        only: str = "",
    ) -> Iterator[Listed]:
        """Give the objects in order of their keys, those after the key `start_at` first.

        A key that ends in a slash is a folder that some programs show, and no file.
        """
        folder = area / only if only else area
        before = self._objects(folder, until=start_at) if start_at else ()
        at = start_at
        for location, status in chain(self._objects(folder, after=start_at), before):
            if location.name and not any(map(ignored, parts_below(location, area) or ())):
                yield Listed(location=location, status=status, at=at)
            at = storable(location.key.removeprefix(area.prefix))

    def _objects(
        self, area: Location, after: str = "", until: str | None = None
    ) -> Iterator[tuple[Location, FileStatus]]:
        """Give the objects below an area in order, from `after` on up to `until`."""
        with self._requests(area, _LOOK_SECONDS) as service:
            for key, status in service.objects(area, f"{area.prefix}{after}"):
                if until is not None and key > f"{area.prefix}{until}":
                    return
                yield Location(area.root, key), status

    def status(self, location: Location) -> FileStatus:
        """Return what an object is."""
        with self._requests(location, _LOOK_SECONDS) as service:
            return service.status(location)

    def read(self, location: Location, wanted: FileStatus) -> Iterator[bytes]:
        """Give the bytes of an object; they are those of the one `wanted`, or none come."""
        with self._requests(location) as service:
            yield from service.read(location, wanted.etag)

    def put(self, source: Path, target: Location) -> None:
        """Put an object, a large one in parts."""
        with self._requests(target) as service:
            service.put(source, target)

    def create(self, target: Location) -> None:
        """Put an empty object if there is none."""
        try:
            with self._requests(target) as service:
                service.create(target)
        except FileNotFoundError as error:  # the condition did not hold
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error

    def transfer(self, source: Location, original: FileStatus, target: Location) -> None:
        """Copy an object, and remove the original if it is still the one that was copied."""
        with self._requests(source) as service:
            made = service.copy(source, original.etag, target)
        copy = self.status(target)
        if not copy.proves(original) and (
            self.digest(target, copy) != self.digest(source, original)
        ):
            self.remove(target, replace(copy, etag=made))
            raise OSError(errno.EIO, "the copy is not what was to be copied", str(target))
        self.remove(source, original)

    def remove(
        self,
        location: Location,
        wanted: FileStatus | None = None,
        *,
        folder: bool = False,  # there are none
    ) -> None:
        """Remove an object if it is the one `wanted`."""
        with suppress(FileNotFoundError), self._requests(location) as service:
            service.remove(location, None if wanted is None else wanted.etag)

    @contextmanager
    def _requests(
        self, location: Location, read_seconds: int = _READ_SECONDS
    ) -> Iterator[ObjectService]:
        """Give what sends requests, and say what its answers, or none, mean to whoever asks.

        Raises:
            FileNotFoundError: There is no such object, or not the one asked for.
            StoreDeniedError: The bucket is not there, or not for us.
            StoreUnavailableError: The store does not answer, or cannot now.
            OSError: It refuses for another reason.
        """
        service = self._service(location, read_seconds)
        try:
            yield service
        except service.errors as error:
            raise self._told(location, service, service.answer(error)) from error

    def _service(self, location: Location, read_seconds: int = _READ_SECONDS) -> ObjectService:
        """Return the service that the environment describes.

        Raises:
            SetupError: Its package is not installed.
            StoreDeniedError: The environment describes none.
        """
        if (opened := self._open.get(read_seconds)) is not None:
            return opened
        patience = Patience(
            connect_seconds=_CONNECT_SECONDS, read_seconds=read_seconds, attempts=_ATTEMPTS
        )
        kind = self._kind
        try:
            return self._open.setdefault(read_seconds, kind(patience))
        except ModuleNotFoundError as error:
            raise SetupError(
                f"{kind.scheme}://…: {kind.package} was needed for this store; it is not installed "
                f"(pip install 'csv-pipeline[{kind.extra}]')"
            ) from error
        except ValueError as error:
            found = f"{error}; {self._environment()}"
            raise StoreDeniedError(
                str(location), location.root, f"requests in {location.root}", found
            ) from error

    def _told(self, location: Location, service: ObjectService, answer: Answer) -> Exception:
        said, where = answer.said, (str(location), location.root)
        match answer.meaning:
            case Meaning.GONE:
                return FileNotFoundError(errno.ENOENT, said, str(location))
            case Meaning.DENIED | Meaning.ONE_DENIED:
                of_all = answer.meaning is Meaning.DENIED
                if of_all:
                    self.forget()
                asked = f"{answer.asked} in {location.root} at {service.address}"
                found = f"the store says {said}; {self._environment()}"
                return StoreDeniedError(*where, asked, found, of_all=of_all)
            case Meaning.LATER:
                found = f"the object store cannot do it now; it says {said}"
                return StoreUnavailableError(*where, found)
            case Meaning.SILENT:
                return StoreUnavailableError(*where, f"the object store does not answer; {said}")
            case Meaning.REFUSED:
                return OSError(errno.EIO, said, str(location))
            case _:
                assert_never(answer.meaning)

    def _environment(self) -> str:
        variables = self._kind.variables
        there = [name for name in variables if name in os.environ]
        return (
            f"they are read from {', '.join(variables)} or {self._kind.elsewhere}; of these "
            f"variables are set: {', '.join(there) or 'none'}"
        )
