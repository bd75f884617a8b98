"""The places of files: whether the landing area can be read, and all of them be written to."""

import os
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path

from csv_pipeline.engine.health.check import Check
from csv_pipeline.errors import PipelineError
from csv_pipeline.files.stores import store_of
from csv_pipeline.location import Location, location_of
from csv_pipeline.settings import Settings

_PROBE = f".csv-pipeline-doctor-{os.getpid()}"  # hidden, so that no scan takes it for a file


def areas(settings: Settings) -> Iterator[Check]:
    """Give a check for each area that files are read from or moved to."""
    for area in settings.landing_areas:
        yield landing(area)
    for name, area in (
        *settings.kept_by_kind,
        ("results", settings.results_area),
        ("rejects", settings.rejects_area),
        ("worklists", settings.worklists_area),
    ):
        yield _writable(f"{name} folder", area, _first_folder(area))


def landing(area: Location) -> Check:
    """Look whether files that arrive can be seen, and be moved away."""
    name, path = "landing area", store_of(area).on_disk(area)
    if path is not None and not path.is_dir():
        found = "no folder" if path.exists() else "nothing there"
        repair = f"mkdir -p {shlex.quote(str(path))}"
        return Check.failed(name, f"a folder {path}", found, repair)
    return _writable(name, area, area)


def _first_folder(area: Location) -> Location:
    """Return the folder that the area would be made in; the area itself in an object store."""
    path = store_of(area).on_disk(area)
    if path is None:
        return area
    return location_of(next(one for one in (path, *path.parents) if os.path.lexists(one)))


def _writable(name: str, area: Location, folder: Location) -> Check:
    needed = f"{area}, readable and writable"
    store, probe = store_of(folder), folder / _PROBE
    try:
        path = store.on_disk(folder)
        if path is None:
            next(store.listing(folder), None)
        else:
            os.listdir(path)  # noqa: PTH208  # whether it may be read
        with tempfile.TemporaryDirectory() as scratch:
            source = Path(scratch) / "probe"
            source.touch()
            store.put(source, probe)
        store.remove(probe)
    except (PipelineError, OSError) as error:
        return Check.failed(name, needed, str(error), _repair(area, path_known=folder.root == ""))
    return Check.passed(name, needed, str(area))


def _repair(area: Location, *, path_known: bool) -> str:
    if path_known:
        return f"sudo chown {os.geteuid()} {shlex.quote(str(area))}, or name another folder"
    return (
        "make the bucket, give rights to read, write, list and delete in it, and set the variables "
        "of its store (docs/reference.md, Object stores)"
    )
