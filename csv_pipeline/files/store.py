"""What a store of files must do. A new store is a module beside this one, and a line in `stores`.

The suite `test_file_stores.py` states each promise and runs over every store.
"""

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol, Self

from csv_pipeline.files.watching import Waits, Watch
from csv_pipeline.location import Location


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStatus:
    """What tells a file from another one at its location; `etag` is empty if a store has none.

    `checksum` is what the store computed of all bytes, empty if it did not.
    """

    size_bytes: int
    modified_at: datetime
    etag: str = ""
    checksum: str = field(default="", compare=False)

    def proves(self, other: Self) -> bool:
        """Return whether the store says of two files that they hold the same bytes."""
        return self.checksum == other.checksum != ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A file in a listing, and where to go on from it; `fault` is why it can never be imported."""

    location: Location
    status: FileStatus
    at: str
    fault: str | None = None


class FileStore(Protocol):
    """A store of files. Those of a method with a body are right for a store without folders.

    Every method raises `StoreUnavailableError` if the store does not answer, `StoreDeniedError` if
    it is not there or does not let us in, and `OSError` if it refuses.
    """

    whole: bool = True
    """Whether a file is there only when all of it is."""
    moved_within: timedelta = timedelta.max
    """How far the time of a moved file may be from the one it had."""

    @abstractmethod
    def listing(
        self,
        area: Location,
        start_at: str = "",
        ignored: Callable[[str], bool] = lambda _: False,
        only: str = "",
    ) -> Iterator[Listed]:
        """Give all files below an area, those after `start_at` first, so that none is always last.

        `start_at` is an `at` of an earlier listing. What lies under an `ignored` name is left out.
        `only` names the one folder of the area that is looked into.
        """

    @abstractmethod
    def status(self, location: Location) -> FileStatus:
        """Return what a file is.

        Raises:
            FileNotFoundError: There is none.
        """

    @abstractmethod
    def read(self, location: Location, wanted: FileStatus) -> Iterator[bytes]:
        """Give the bytes of a file.

        Raises:
            FileNotFoundError: It is gone, or is not, or in the end not any more, the one `wanted`.
        """

    @abstractmethod
    def put(self, source: Path, target: Location) -> None:
        """Put a file of this machine somewhere, at once and whole, over what is there.

        `source` may be gone afterwards. If it fails, nothing has changed.
        """

    @abstractmethod
    def create(self, target: Location) -> None:
        """Create an empty file.

        Raises:
            FileExistsError: Something is there.
        """

    @abstractmethod
    def transfer(self, source: Location, original: FileStatus, target: Location) -> None:
        """Move a file over an empty one in this store; what replaced it meanwhile stays.

        Raises:
            FileNotFoundError: The source is gone, or is not the `original`.
            OSError: It cannot go; then it is where it was.
        """

    @abstractmethod
    def remove(
        self, location: Location, wanted: FileStatus | None = None, *, folder: bool = False
    ) -> None:
        """Remove a file if it is the one `wanted`, if any, and with it a `folder` left empty."""

    def forget(self) -> None:
        """Read the credentials anew for what is asked next."""
        return

    def prepare(self, area: Location) -> None:
        """Make an area that others can put files into."""
        return

    def exists(self, location: Location) -> bool:
        """Return whether anything is there, a file or not."""
        try:
            self.status(location)
        except FileNotFoundError:
            return False
        return True

    def fault(self, location: Location, area: Location) -> str | None:
        """Return why what is there can never be imported, if it cannot; `area` may be around it."""
        return None

    def is_being_written(self, location: Location) -> bool | None:
        """Return whether a program has the file open for writing; None where this is not known."""
        return False if self.whole else None

    def watch(self, area: Location, waits: Waits, ignored: Callable[[str], bool]) -> Watch | None:
        """Return a watch over an area; None where the store tells nothing by itself."""
        return None

    def on_disk(self, location: Location) -> Path | None:
        """Return the path of a file of this machine; None where a copy is needed to have one."""
        return None

    def digest(self, location: Location, wanted: FileStatus) -> str:
        """Return the SHA-256 of a file; errors as of `read`."""
        digest = hashlib.sha256()
        for chunk in self.read(location, wanted):
            digest.update(chunk)
        return digest.hexdigest()
