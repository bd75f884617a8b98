"""Where a file lies: in a folder of this machine, or in a bucket of an object store.

These are names; nothing is opened here. The ledger keeps a place as text, `str(place)`, and
`location_of` reads it back.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from csv_pipeline.errors import SetupError

_SCHEME = "s3://"


@dataclass(frozen=True, slots=True)
class ObjectLocation:
    """An object, or a prefix of objects, by bucket and key; put together as a `Path` is.

    A key is taken as it is: unlike a path it may hold `//`, `.` or `..`, which mean nothing.
    """

    bucket: str
    key: str = ""

    def __str__(self) -> str:
        return f"{_SCHEME}{self.bucket}/{self.key}".removesuffix("/" if not self.key else "")

    def __truediv__(self, name: str) -> Self:
        return type(self)(self.bucket, f"{self.key}/{name}" if self.key else name)

    @property
    def name(self) -> str:
        """What comes after the last slash."""
        return self.key.rpartition("/")[2]

    @property
    def parent(self) -> Self:
        """The prefix that the last slash ends."""
        return type(self)(self.bucket, self.key.rpartition("/")[0])

    @property
    def prefix(self) -> str:
        """What every key below begins with."""
        return f"{self.key}/" if self.key else ""


Location = Path | ObjectLocation


def location_of(location: str) -> Location:
    """Return the place that a location names: an `s3://bucket/key`, or else a path.

    Raises:
        SetupError: It names no bucket.
    """
    if not location.startswith(_SCHEME):
        return Path(location)
    bucket, _, key = location.removeprefix(_SCHEME).partition("/")
    if not bucket:
        raise SetupError(f"{location!r}: a place like s3://bucket/prefix was needed")
    return ObjectLocation(bucket, key)


def parts_below(location: Location, area: Location) -> tuple[str, ...] | None:
    """Return the names that lead from an area to a place below it; None if it is not below."""
    if isinstance(location, Path) and isinstance(area, Path):
        return location.relative_to(area).parts if location.is_relative_to(area) else None
    if isinstance(location, Path) or isinstance(area, Path) or location.bucket != area.bucket:
        return None
    below = f"{location.key}/".startswith(area.prefix)
    return tuple(location.key[len(area.prefix) :].split("/")) if below else None


def is_below(location: Location, area: Location) -> bool:
    """Return whether a place is an area, or below it."""
    return parts_below(location, area) is not None
