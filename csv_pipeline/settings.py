"""Turn the environment into one frozen object, read once.

Every variable is named `CSV_PIPELINE_` plus the field's name in capitals. Nothing is read at import
time: the edges (Dagster definitions, CLI) call `settings()` and hand the object down.
"""

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from csv_pipeline.errors import SetupError
from csv_pipeline.location import Location, ObjectLocation, is_below, location_of


def _folder_or_bucket(given: Any) -> Any:
    """Return text as the place it names."""
    try:
        location = location_of(given) if isinstance(given, str) else given
    except SetupError as error:
        raise ValueError(str(error)) from error
    if isinstance(location, ObjectLocation):
        return ObjectLocation(location.bucket, location.key.strip("/"))
    return location


_Area = Annotated[Location | None, NoDecode, BeforeValidator(_folder_or_bucket)]


class Settings(BaseSettings):
    """Say where things live and how much of everything is allowed."""

    model_config = SettingsConfigDict(env_prefix="CSV_PIPELINE_", frozen=True, extra="forbid")

    home: Path = Field(Path("data"), description="where everything below lives unless set apart")
    landing: _Area = Field(
        None, description="landing area, a folder or s3://bucket/prefix; `home`/landing if not set"
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
    quarantine_folder: _Area = Field(
        None, description="where refused files are kept; quarantine in `home` or beside the prefix"
    )
    keep_files: PositiveInt | None = Field(
        None, description="files kept of an account and feed, of each kind; all if not set"
    )
    keep_days: PositiveInt | None = Field(
        None, description="days that files are kept; for ever if not set"
    )
    result_files: bool = Field(
        True, description="write what became of every row into a file of its own"
    )
    settle_seconds: float = Field(
        2.0, ge=0, description="a file younger than this may still be growing and waits"
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
    runs_per_tick: PositiveInt = Field(40, description="runs the sensor requests in one tick")
    tick_seconds: PositiveFloat = Field(20.0, description="time the sensor takes for one tick")

    @model_validator(mode="after")
    def _apart(self) -> Self:
        landing = self.landing_location
        for area in (self.archive_location, self.quarantine_location):
            if type(area) is not type(landing):
                raise ValueError(
                    f"folders only or buckets only were needed; found {landing} and {area}"
                )
            if is_below(area, landing):
                raise ValueError(
                    f"a folder outside the landing area {landing} was needed for files "
                    f"that are done with; found {area}"
                )
        return self

    @property
    def landing_location(self) -> Location:
        """Where files arrive, as `{account}/{feed}/…`."""
        return _absolute(self.landing or self.home / "landing")

    @property
    def archive_location(self) -> Location:
        """Where imported files are kept, as `{account}/{feed}/{date}/…`."""
        return self._kept(self.archive_folder, "archive")

    @property
    def quarantine_location(self) -> Location:
        """Where refused files are kept, as `{account}/{feed}/{date}/…`."""
        return self._kept(self.quarantine_folder, "quarantine")

    def _kept(self, given: Location | None, name: str) -> Location:
        landing = self.landing_location
        if given is None and isinstance(landing, ObjectLocation):
            return landing.parent / name
        return _absolute(given or self.home / name)

    @property
    def landing_area(self) -> Path:
        """The landing area as a folder of this machine.

        Raises:
            SetupError: It is in a bucket.
        """
        return _folder(self.landing_location)

    @property
    def archive_area(self) -> Path:
        """The archive as a folder, or a `SetupError` as above."""
        return _folder(self.archive_location)

    @property
    def results_area(self) -> Path:
        """Where every import leaves what became of each row."""
        return (self.home / "results").absolute()

    def results_file(self, account: str, feed: str, import_id: int) -> Path:
        """Where one import leaves what became of each row."""
        return self.results_area / account / feed / f"import-{import_id}.csv"

    @property
    def work_area(self) -> Path:
        """Scratch space: one directory an import, removed when it is settled."""
        return (self.home / "work").absolute()

    @property
    def rejects_area(self) -> Path:
        """Where runs leave the rejected rows of their files, for people to correct."""
        return (self.home / "rejects").absolute()

    @property
    def postgres_area(self) -> Path:
        """Where the embedded server keeps its data."""
        return (self.home / "postgres").absolute()

    @property
    def dagster_area(self) -> Path:
        """Where Dagster keeps what its steps print and hand to one another."""
        return (self.home / "dagster").absolute()


def _absolute(location: Location) -> Location:
    return location.absolute() if isinstance(location, Path) else location


def _folder(location: Location) -> Path:
    if isinstance(location, Path):
        return location
    raise SetupError(f"{location}: a folder of this machine was needed; it is in a bucket")


@cache
def settings() -> Settings:
    """Read the environment once and return what it says."""
    return Settings()
