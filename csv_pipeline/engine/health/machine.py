"""The machine: what is installed on it, its disk, and how many folders can be watched."""

import os
import platform
import shutil
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from csv_pipeline.engine.health.check import Check
from csv_pipeline.files.landing import is_ignored
from csv_pipeline.files.stores import store_of
from csv_pipeline.settings import Settings

_PACKAGE = "csv-pipeline"
_SHOWN = ("dagster", "polars", "pandera")
_LEAST_FREE = 256 * 1024**2
_LIMIT = Path("/proc/sys/fs/inotify/max_user_watches")


def versions() -> Check:
    """Hold Python and every package to what ours declares of it."""
    name, python = "versions", platform.python_version()
    faults = []
    wanted_python = metadata(_PACKAGE)["Requires-Python"]
    if not SpecifierSet(wanted_python).contains(python, prereleases=True):
        faults.append(f"python {python}, not {wanted_python}")
    for line in requires(_PACKAGE) or ():
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate({"extra": ""}):
            continue
        try:
            installed = version(wanted.name)
        except PackageNotFoundError:
            faults.append(f"{wanted.name} is not installed")
            continue
        if not wanted.specifier.contains(installed, prereleases=True):
            faults.append(f"{wanted.name} {installed}, not {wanted.specifier}")
    needed = "the packages that csv-pipeline declares"
    if faults:
        return Check.failed(name, needed, "; ".join(faults), f"pip install --upgrade {_PACKAGE}")
    shown = ", ".join(f"{one} {version(one)}" for one in _SHOWN)
    return Check.passed(name, needed, f"Python {python}, {shown}")


def disk(settings: Settings) -> Check:
    """Look for room for the largest file that is imported, where its scratch space is."""
    name, largest = "disk", settings.max_file_bytes
    folder = _existing(settings.work_area)
    free = shutil.disk_usage(folder).free
    needed = f"{_size(largest)} free at {folder} for the largest file"
    found, repair = f"{_size(free)} free", "free the disk, or set CSV_PIPELINE_KEEP_DAYS"
    if free < _LEAST_FREE:
        return Check.failed(name, needed, found, repair)
    if free < largest:
        return Check.warned(name, needed, found, repair)
    return Check.passed(name, needed, found)


def watches(settings: Settings) -> Check:
    """Look for a free inotify watch for each folder of a local landing area."""
    found = (store_of(area).on_disk(area) for area in settings.landing_areas)
    name, areas = "watches", [area for area in found if area is not None]
    if not areas or not _LIMIT.exists():
        return Check.passed(name, "none: files are found by the sensor", "none")
    folders = len(areas) + sum(
        not is_ignored(one) for area in areas for _, names, _ in os.walk(area) for one in names
    )
    limit = int(_LIMIT.read_text())
    free = limit - _watches_in_use()
    needed = f"{folders} free inotify watches, one for each folder of {', '.join(map(str, areas))}"
    if free < folders:
        repair = f"sysctl fs.inotify.max_user_watches={limit + 2 * folders}"
        return Check.warned(name, needed, f"{free} of {limit}", repair)
    return Check.passed(name, needed, f"{free} of {limit}")


def _watches_in_use() -> int:
    """Count the inotify watches of this user's processes, as far as they may be looked at."""
    used = 0
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if process.stat().st_uid != os.geteuid():
                continue
            for handle in (process / "fd").iterdir():
                with suppress(OSError):
                    if str(handle.readlink()) == "anon_inode:inotify":
                        used += (process / "fdinfo" / handle.name).read_text().count("inotify wd:")
    return used


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.is_dir())


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1024**3:,.1f} GiB"
