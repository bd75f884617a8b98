"""Where a file or a folder lies, as a name; nothing is opened here.

The ledger keeps a location as text, `str(location)`, and `location_of` reads it back. What is done
to files there is in `csv_pipeline.files`.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from csv_pipeline.errors import SetupError

_URL = re.compile(r"([a-z][a-z0-9+.-]*)://([^/]*)/?(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Location:
    """A file or a folder in a store: `root` is `s3://bucket`, or empty for paths of this machine.

    A key is taken as it is: in a bucket it may hold `//`, `.` or `..`, which mean nothing.
    """

    root: str
    key: str = ""

    def __str__(self) -> str:
        return f"{self.root}/{self.key}" if self.root and self.key else self.root or self.key

    def __truediv__(self, name: str) -> Self:
        return type(self)(self.root, f"{self.prefix}{name}")

    @property
    def scheme(self) -> str:
        """The kind of store, such as `s3`; empty for paths of this machine."""
        return self.root.partition("://")[0]

    @property
    def bucket(self) -> str:
        """The bucket, or container; empty for paths of this machine."""
        return self.root.partition("://")[2]

    @property
    def name(self) -> str:
        """What comes after the last slash."""
        return self.key.rpartition("/")[2]

    @property
    def parent(self) -> Self:
        """What the last slash ends."""
        return type(self)(self.root, self.key.rpartition("/")[0])

    @property
    def prefix(self) -> str:
        """What every key below begins with."""
        return f"{self.key}/" if self.key else ""


def location_of(given: str | Path) -> Location:
    """Return the location that a URL like `s3://bucket/key` names, or else a path, made absolute.

    Raises:
        SetupError: The URL names no bucket.
    """
    found = None if isinstance(given, Path) else _URL.fullmatch(given)
    if found is None:
        return Location("", os.path.abspath(given))  # noqa: PTH100  # which resolves no links
    scheme, bucket, key = found.groups()
    if not bucket:
        raise SetupError(f"{given!r}: a location like {scheme}://bucket/prefix was needed")
    return Location(f"{scheme}://{bucket}", key.rstrip("/"))


def parts_below(location: Location, area: Location) -> tuple[str, ...] | None:
    """Return the names that lead from an area to a location below it; None if it is not below."""
    if location.root != area.root or not f"{location.key}/".startswith(area.prefix):
        return None
    rest = location.key[len(area.prefix) :]
    return tuple(rest.split("/")) if rest else ()


def is_below(location: Location, area: Location) -> bool:
    """Return whether a location is an area, or below it."""
    return parts_below(location, area) is not None


def storable(name: str) -> str:
    r"""Return a name as text that can be stored and shown, whatever bytes it has.

    >>> storable("caf\udce9.csv")
    'caf\\xe9.csv'
    """
    return os.fsencode(name).decode(errors="backslashreplace").replace("\0", r"\x00")
