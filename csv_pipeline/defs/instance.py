"""Where Dagster keeps its own records, as `dagster.yaml` names it: beside the pipeline's data.

Dagster's YAML can hold an address or the name of a variable, but not "the embedded server, unless
another is given". These classes ask the pipeline's settings instead, so that `dagster dev` needs no
configuration and keeps its history.
"""

from typing import Any, Self

from dagster._core.storage.local_compute_log_manager import LocalComputeLogManager
from dagster._core.storage.root import LocalArtifactStorage
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage

from csv_pipeline.settings import settings
from csv_pipeline.storage.database import kept_engine, schema_url

Data = ConfigurableClassData | None


class _Unconfigured:
    """Ask for no configuration."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}


class Storage(_Unconfigured, DagsterPostgresStorage):
    """Runs, events and schedules, in the schema `dagster` of the pipeline's database.

    Dagster writes some sixty events of a run, each by a connection of its own and each waiting for
    the disk. Here a process keeps a connection, and a commit of Dagster's does not wait: a crash of
    the server may lose its last half second, which the pipeline's own records never depend on.
    """

    @classmethod
    def from_config_value(cls, inst_data: Data, config_value: Any) -> Self:
        """Return the storage on the embedded server or the one given."""
        # dagster-postgres speaks psycopg 2; SQLAlchemy's default for PostgreSQL is psycopg 3.
        url = schema_url(settings(), "dagster", synchronous_commit="off").set(
            drivername="postgresql+psycopg2"
        )
        storage = cls(url.render_as_string(hide_password=False), inst_data=inst_data)
        engine = kept_engine(url)
        for one in (storage._run_storage, storage._event_log_storage, storage._schedule_storage):
            one._engine = engine  # noqa: SLF001  # Dagster's own choice for its web server
        return storage


class Artifacts(_Unconfigured, LocalArtifactStorage):
    """What ops hand to one another."""

    @classmethod
    def from_config_value(cls, inst_data: Data, config_value: Any) -> Self:
        """Return the storage in the pipeline's home."""
        return cls(str(settings().dagster_area), inst_data=inst_data)


class ComputeLogs(_Unconfigured, LocalComputeLogManager):
    """What steps print."""

    @classmethod
    def from_config_value(cls, inst_data: Data, config_value: Any) -> Self:
        """Return the log manager in the pipeline's home."""
        return cls(str(settings().dagster_area / "logs"), inst_data=inst_data)
