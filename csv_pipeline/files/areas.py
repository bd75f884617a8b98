"""What is done to files, wherever they lie: each function knows folders and buckets.

`csv_pipeline.files.local` does it to files of this machine, `csv_pipeline.files.objects` to
objects of a store.
"""

from contextlib import suppress
from datetime import datetime
from pathlib import Path

from csv_pipeline.files import local, objects
from csv_pipeline.location import Location, ObjectLocation


def exists(location: Location) -> bool:
    """Return whether anything lies there."""
    if isinstance(location, ObjectLocation):
        return objects.status(location) is not None
    return location.exists()


def is_file(location: Location) -> bool:
    """Return whether a file, or a link to one, lies there."""
    return (
        objects.status(location) is not None
        if isinstance(location, ObjectLocation)
        else location.is_file()
    )


def size_bytes(location: Location) -> int:
    """Return the size of a file.

    Raises:
        FileNotFoundError: There is none.
    """
    if isinstance(location, Path):
        return location.stat().st_size
    return objects.found(location).size_bytes


def is_unchanged(
    location: Location,
    size_bytes: int | None,
    at: datetime,
    etag: str,
    *,
    moved: bool = False,
) -> bool:
    """Return whether a file is there that has this size, None being any, time and ETag, if any.

    In a store one that was `moved` has a new time.
    """
    if not isinstance(location, ObjectLocation):
        return local.is_unchanged(location, size_bytes, at, moved=moved)
    found = objects.status(location)
    return (
        found is not None
        and size_bytes in {None, found.size_bytes}
        and etag in {"", found.etag}
        and (moved or found.modified_at == at)
    )


def etag_of(location: Location) -> str:
    """Return the ETag of a file; an empty one where there is none."""
    found = objects.status(location) if isinstance(location, ObjectLocation) else None
    return found.etag if found else ""


def is_being_written(location: Location) -> bool:
    """Return whether a program has the file open for writing; False where this is not known."""
    return isinstance(location, Path) and local.is_being_written(location)


def move(source: Location, target: Location) -> None:
    """Move a file to a name that is free, or that a move of the same file took and never finished.

    Raises:
        FileExistsError: Another file has the name.
        OSError: It cannot go; then it is where it was.
    """
    if isinstance(source, ObjectLocation) and isinstance(target, ObjectLocation):
        objects.move(source, target)
    elif isinstance(source, Path) and isinstance(target, Path):
        local.move(source, target)
    else:
        raise OSError(f"{source} does not go to {target}: folders only or buckets only were needed")


def remove(location: Location) -> None:
    """Remove a file, and its folder if that is empty now."""
    if isinstance(location, ObjectLocation):
        objects.remove(location)
        return
    location.unlink(missing_ok=True)
    with suppress(OSError):
        location.parent.rmdir()
