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
    *,
    moved: bool = False,
    moved_modified_at: datetime | None = None,
) -> bool:
    """Return whether a file is there that has this size, None being any, and modification time.

    In a store one that was `moved` has a new time: `moved_modified_at`, or any if that is not
    known yet.
    """
    if not isinstance(location, ObjectLocation):
        return local.is_unchanged(location, size_bytes, at, moved=moved)
    found, wanted = objects.status(location), moved_modified_at if moved else at
    if found is None or size_bytes not in {None, found.size_bytes}:
        return False
    return wanted is None or found.modified_at == wanted


def moved_modified_at(location: Location) -> datetime | None:
    """Return the time that a file got by being moved to a place; None where it keeps its own."""
    found = objects.status(location) if isinstance(location, ObjectLocation) else None
    return found.modified_at if found else None


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
