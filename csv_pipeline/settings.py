"""Turn the environment into one frozen object, read once.

Every variable is named `CSV_PIPELINE_` plus the field's name in capitals. Nothing is read at import
time: the edges (Dagster definitions, CLI) call `settings()` and hand the object down.
"""

import difflib
import json
import os
import re
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Self

import structlog
from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from csv_pipeline.errors import SetupError
from csv_pipeline.files.local import path_of
from csv_pipeline.files.stores import store_of
from csv_pipeline.location import Location, is_below, location_of

_EARLIER_NAMES = {"CSV_PIPELINE_QUARANTINE_FOLDER": "refused_folder"}
"""Variables of the last release, and the settings they are."""
_OF_TESTS = ("CSV_PIPELINE_TEST_", "CSV_PIPELINE_PG_BIN")
"""How the variables begin that only the tests read."""
# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_OF_KUBERNETES = re.compile(
    r"CSV_PIPELINE\w*_(SERVICE_HOST|SERVICE_PORT\w*|PORT_\d+_(TCP|UDP|SCTP)\w*)=.*"
    r"|CSV_PIPELINE\w*_PORT=(tcp|udp|sctp)://.*"
)
"""What a pod is told of a service whose name begins with `csv-pipeline`."""

log = structlog.get_logger()


class LogFormat(StrEnum):
    """How a line of the log is written: for a person, or for a program."""

    CONSOLE = "console"
    JSON = "json"


def _area(given: Any) -> Any:
    """Return text as the folder or prefix it names."""
    if not isinstance(given, str | Path):
        return given
    try:
        location = location_of(given)
        store_of(location)
    except SetupError as error:
        raise ValueError(str(error)) from error
    return location


def _parted(given: Any) -> Any:
    """Return text with commas as its parts."""
    if not isinstance(given, str):
        return given
    return tuple(part for part in map(str.strip, given.split(",")) if part)


def _landing(given: Any) -> Any:
    """Return text as the areas it names: with commas, or as a JSON list where a path has one."""
    if isinstance(given, str) and given.startswith('["'):
        try:
            given = json.loads(given)
        except ValueError as error:
            raise ValueError(f"a JSON list of paths and URLs was needed; {error}") from error
    if (areas := _parted(given)) is None:
        return None
    return tuple(map(_area, areas if isinstance(areas, tuple | list) else (areas,)))


_Area = Annotated[Location | None, NoDecode, BeforeValidator(_area)]
_Areas = Annotated[tuple[Location, ...] | None, NoDecode, BeforeValidator(_landing)]


class Settings(BaseSettings):
    """Say where things live and how much of everything is allowed."""

    model_config = SettingsConfigDict(
        env_prefix="CSV_PIPELINE_", frozen=True, extra="forbid", hide_input_in_errors=True
    )

    home: Path = Field(Path("data"), description="where everything below lives unless set apart")
    landing: _Areas = Field(
        None,
        description="landing areas, each a folder, s3://bucket/prefix, gs://… or az://…, with "
        "commas or as a JSON list; `home`/landing if not set",
    )
    feeds: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_parted)] = Field(
        (), description="folders of YAML feeds, or module:NAME of feeds in Python, with commas"
    )
    database_url: SecretStr | None = Field(
        None, description="PostgreSQL 15 or newer; not set: an embedded server in `home`/postgres"
    )
    max_file_bytes: PositiveInt = Field(2 * 1024**3, description="larger files are refused")
    max_compressed_bytes: PositiveInt = Field(
        100 * 1024**2, description="larger files are refused if they are compressed"
    )
    max_ratio: PositiveInt = Field(
        200, description="archives that grow to more times their size are refused"
    )
    max_members: PositiveInt = Field(1_000, description="archives of more entries are refused")
    max_columns: PositiveInt = Field(4_096, description="wider headers are refused")
    max_record_bytes: PositiveInt = Field(
        8 * 1024**2, description="files with longer lines are refused"
    )
    max_records: PositiveInt = Field(100_000_000, description="files of more records are refused")
    block_bytes: PositiveInt = Field(
        4 * 1024**2, description="text handled at a time while reading"
    )
    archive: bool = Field(
        True, description="move files out of the landing area once they are settled"
    )
    archive_folder: _Area = Field(
        None, description="where imported files are kept; archive in `home` or beside the prefix"
    )
    refused_folder: _Area = Field(
        None, description="where refused files are kept; refused in `home` or beside the prefix"
    )
    results_folder: _Area = Field(
        None, description="where result files are left; results in `home` or beside the prefix"
    )
    rejects_folder: _Area = Field(
        None, description="where rejects files are left; rejects in `home` or beside the prefix"
    )
    worklists_folder: _Area = Field(
        None, description="where worklists are left; worklists in `home` or beside the prefix"
    )
    worklist_backups: NonNegativeInt = Field(
        10, description="earlier worklists kept beside each account's and feed's"
    )
    keep_files: PositiveInt | None = Field(
        None, description="files kept of an account and feed, of each kind; all if not set"
    )
    keep_days: PositiveInt | None = Field(
        None, description="days that files are kept; for ever if not set"
    )
    keep_runs_days: PositiveInt | None = Field(
        30, description="days that Dagster's runs and their events are kept after they ended"
    )
    keep_rejects_days: PositiveInt | None = Field(
        None,
        description="days that rejected rows are kept that are all repaired, or of an import that "
        "was undone or dismissed; for ever if not set",
    )
    keep_moves_days: PositiveInt | None = Field(
        365, description="days that the ledger keeps where each file was moved from"
    )
    keep_audit_days: PositiveInt | None = Field(
        None, description="days that the audit log of the API is kept; for ever if not set"
    )
    result_files: bool = Field(
        True, description="write what became of every row into a file of its own"
    )
    settle_seconds: float = Field(
        2.0, ge=0, description="a file younger than this may still be growing and waits"
    )
    closed_seconds: NonNegativeFloat | None = Field(
        None,
        description="the same of one that its writer closed, where the area is watched; 0.2, or "
        "`settle_seconds` where that is set",
    )
    lease_seconds: PositiveFloat = Field(
        60.0, description="a claim not renewed for so long is free for the next worker"
    )
    max_failures: PositiveInt = Field(
        3, description="a file that failed so often is tried again by name only"
    )
    history_days: PositiveInt | None = Field(
        None, description="how long an import can be undone that changed rows; for ever if not set"
    )
    files_per_run: PositiveInt = Field(200, description="files the sensor puts in one run")
    bytes_per_run: PositiveInt = Field(
        512 * 1024**2, description="bytes the sensor puts in one run"
    )
    run_memory_bytes: int = Field(
        2 * 1024**3,
        ge=512 * 1024**2,
        description="memory that a forked run may hold; it is killed if it takes more",
    )
    runs_per_tick: PositiveInt = Field(40, description="runs the sensor requests in one tick")
    requests_per_minute: PositiveInt = Field(
        600, description="requests that a token may send, or an address without one"
    )
    upload_hours: PositiveFloat = Field(
        24.0, description="hours that an upload waits for its next byte, or for a person"
    )
    dagster_url: str = Field(
        "http://127.0.0.1:3000", description="where Dagster's web server answers the API"
    )
    page_url: str | None = Field(
        None, description="where people reach the import page, for the links in alerts"
    )
    embed_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_parted)] = Field(
        (), description="sites whose pages may send files, as `https://shop.example`"
    )
    log_format: LogFormat | None = Field(
        None,
        description="`console` or `json`; not set: lines on a terminal and for commands, else JSON",
    )
    tick_seconds: PositiveFloat = Field(20.0, description="time the sensor takes for one tick")

    @model_validator(mode="before")
    @classmethod
    def _hold_to_names(cls, given: dict[str, Any]) -> dict[str, Any]:
        known = {*map(_variable, cls.model_fields), *_EARLIER_NAMES}
        for name, value in sorted(os.environ.items()):
            ours = name.upper().startswith("CSV_PIPELINE_") and not name.startswith(_OF_TESTS)
            ours = ours and not _OF_KUBERNETES.fullmatch(f"{name}={value}")
            if ours and name.upper() not in known:
                near = difflib.get_close_matches(name.upper(), known, 1, cutoff=0)
                raise ValueError(f"the name of a setting was needed, as {near[0]}; found {name}")
        return given

    @model_validator(mode="before")
    @classmethod
    def _take_earlier_names(cls, given: dict[str, Any]) -> dict[str, Any]:
        for earlier, name in _EARLIER_NAMES.items():
            if (value := os.environ.get(earlier)) is not None and name not in given:
                log.warning("setting has a new name", found=earlier, wanted=_variable(name))
                given = {**given, name: value}
        return given

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if not self.landing_areas:
            raise ValueError("a landing area was needed; none is named")
        for number, landing in enumerate(self.landing_areas):
            for other in self.landing_areas[number + 1 :]:
                if is_below(other, landing) or is_below(landing, other):
                    raise ValueError(
                        f"landing areas apart from one another were needed; found {landing} and "
                        f"{other}"
                    )
            for area in self.areas[len(self.landing_areas) :]:
                if is_below(area, landing):
                    raise ValueError(
                        f"a folder outside the landing area {landing} was needed for files that "
                        f"are done with; found {area}"
                    )
        return self

    @property
    def closed_or_settle_seconds(self) -> float:
        """How long a file that its writer closed waits for more."""
        if self.closed_seconds is not None:
            return self.closed_seconds
        return self.settle_seconds if "settle_seconds" in self.model_fields_set else 0.2

    @property
    def feed_folders(self) -> tuple[Path, ...]:
        """Where feeds are declared besides `feeds`, in `home` and where the command is called."""
        return self.home / "feeds.d", Path("feeds.d")

    @property
    def landing_area(self) -> Location:
        """The first landing area, which takes what is uploaded or reported."""
        return self.landing_areas[0]

    @property
    def landing_areas(self) -> tuple[Location, ...]:
        """Where files arrive, as `{account}/{feed}/…`."""
        return (location_of(self.home / "landing"),) if self.landing is None else self.landing

    def landing_of(self, location: Location) -> Location | None:
        """Return the landing area that a location is in, if it is in one."""
        return next((area for area in self.landing_areas if is_below(location, area)), None)

    @property
    def areas(self) -> tuple[Location, ...]:
        """All areas that files lie in: where they arrive, and where they are left or kept."""
        left = self.results_area, self.rejects_area, self.worklists_area
        return *self.landing_areas, *self.kept_areas, *left

    @property
    def landing_folder(self) -> Path:
        """The first landing area as a folder of this machine.

        Raises:
            SetupError: It is in another store.
        """
        return path_of(self.landing_area)

    def archive_area(self, landing: Location | None = None) -> Location:
        """Where imported files of a landing area are kept, as `{account}/{feed}/{date}/…`."""
        return self.archive_folder or self._beside("archive", landing)

    def refused_area(self, landing: Location | None = None) -> Location:
        """Where refused files of a landing area are kept, as `{account}/{feed}/{date}/…`."""
        return self.refused_folder or self._beside("refused", landing)

    @property
    def kept_by_kind(self) -> tuple[tuple[str, Location], ...]:
        """The areas of imported and of refused files, with the names of their kinds."""
        kinds = {"archive": self.archive_area, "refused": self.refused_area}
        areas = ((kind, area(at)) for at in self.landing_areas for kind, area in kinds.items())
        return tuple(dict.fromkeys(areas))

    @property
    def kept_areas(self) -> tuple[Location, ...]:
        """Where files are kept that were moved; releases before kept refused ones in quarantine."""
        before = (self._beside("quarantine", landing) for landing in self.landing_areas)
        return tuple(dict.fromkeys([*(area for _, area in self.kept_by_kind), *before]))

    @property
    def results_area(self) -> Location:
        """Where every import leaves what became of each row, as `{account}/{feed}/…`."""
        return self.results_folder or self._beside("results")

    @property
    def rejects_area(self) -> Location:
        """Where runs leave the rejected rows of their files, for people to correct."""
        return self.rejects_folder or self._beside("rejects")

    @property
    def worklists_area(self) -> Location:
        """Where the remaining work of each account and feed is listed."""
        return self.worklists_folder or self._beside("worklists")

    def worklist_file(self, account: str, feed: str) -> Location:
        """Where the remaining work of one account and feed is listed."""
        return self.worklists_area / account / f"{feed}.csv"

    def results_file(self, account: str, feed: str, import_id: int) -> Location:
        """Where one import leaves what became of each row."""
        return self.results_area / account / feed / f"import-{import_id}.csv"

    def rejects_file(self, account: str, feed: str, import_id: int) -> Location:
        """Where a run leaves the rejected rows of one import."""
        return self.rejects_area / account / feed / f"import-{import_id}.csv"

    def _beside(self, name: str, landing: Location | None = None) -> Location:
        """Return a folder in `home`, or beside a landing area that this machine does not have."""
        area = landing or self.landing_area
        if store_of(area).on_disk(area) is None:
            return area.parent / name
        return location_of(self.home / name)

    @property
    def work_area(self) -> Path:
        """Scratch space: one directory an import, removed when it is settled."""
        return (self.home / "work").absolute()

    @property
    def uploads_area(self) -> Path:
        """Where files lie that are uploaded, until they go into the landing area."""
        return (self.home / "uploads").absolute()

    @property
    def postgres_area(self) -> Path:
        """Where the embedded server keeps its data."""
        return (self.home / "postgres").absolute()

    @property
    def dagster_area(self) -> Path:
        """Where Dagster keeps what its steps print and hand to one another."""
        return (self.home / "dagster").absolute()


def _variable(name: str) -> str:
    return f"CSV_PIPELINE_{name.upper()}"


@cache
def settings() -> Settings:
    """Read the environment once and return what it says."""
    return Settings()
