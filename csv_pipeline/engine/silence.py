"""Note which stores are silent, and ask them again when it is time to."""

from collections.abc import Iterable

from csv_pipeline.errors import StoreDeniedError, StoreUnavailableError
from csv_pipeline.files.stores import store_of
from csv_pipeline.location import Location, is_below, location_of
from csv_pipeline.settings import Settings
from csv_pipeline.storage import silent_stores
from csv_pipeline.storage.database import Database
from csv_pipeline.storage.silent_stores import SilentStore

Silence = StoreUnavailableError | StoreDeniedError
SILENT = (StoreUnavailableError, StoreDeniedError)
"""What is raised of a store that does not answer, or does not let us in."""


def store_named(settings: Settings, location: Location) -> str:
    """Return the store that a location is in: one of our areas, or else its bucket."""
    areas = (area for area in settings.areas if is_below(location, area))
    return str(max(areas, key=lambda area: len(area.key), default=Location(location.root)))


def ask_again(database: Database, settings: Settings) -> dict[str, SilentStore]:
    """Ask silent stores for a file that waits, if it is time; return areas to be listed again.

    A file that is not there is an answer.
    """
    with database.begin() as connection:
        taken = {one.store: one for one in silent_stores.take(connection)}
    landing = {str(area) for area in settings.landing_areas}
    to_list = {name: one for name, one in taken.items() if one.listing and name in landing}
    for name in taken.keys() - to_list.keys():
        with database.begin() as connection:
            location = silent_stores.a_file_of(connection, name)
        problem = None
        if location is not None:
            try:
                store_of(location).exists(location)
            except (*SILENT, OSError) as error:
                problem = str(error)
        with database.begin() as connection:
            if problem is None:
                silent_stores.answered(connection, [name])
            else:
                silent_stores.note(connection, name, problem, listing=False, asked=True)
    return to_list


def note(
    database: Database, settings: Settings, came: Iterable[Location], errors: Iterable[Silence]
) -> None:
    """Note of which stores files `came`, and which are silent; one of which files came is not."""
    answered = {store_named(settings, location) for location in came if location.root}
    silent = {store_named(settings, location_of(error.location)): error for error in errors}
    if not answered and not silent:
        return
    with database.begin() as connection:
        silent_stores.answered(connection, answered)
        for name in sorted(silent.keys() - answered):
            silent_stores.note(connection, name, str(silent[name]), listing=False)
