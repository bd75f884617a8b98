"""Where Dagster keeps its own records, as `dagster.yaml` names it: beside the pipeline's data.

Dagster's YAML can hold an address or the name of a variable, but not "the embedded server, unless
another is given". These classes ask the pipeline's settings instead, so that `dagster dev` needs no
configuration and keeps its history.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self, TextIO

from dagster._core.execution.compute_logs import redirect_to_file
from dagster._core.storage.compute_log_manager import CapturedLogContext, ComputeIOType
from dagster._core.storage.local_compute_log_manager import (
    IO_TYPE_EXTENSION,
    LocalComputeLogManager,
)
from dagster._core.storage.root import LocalArtifactStorage
from dagster._serdes import ConfigurableClassData
from dagster._utils import ensure_file, touch_file
from dagster_postgres import DagsterPostgresStorage

from csv_pipeline.settings import settings
from csv_pipeline.storage.database import has_table, kept_engine, schema_url

Data = ConfigurableClassData | None
_LAST_TABLE = "jobs"
"""Of the last storage that Dagster makes; where it is, those of the others are."""


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
        engine = kept_engine(url)
        storage = cls(
            url.render_as_string(hide_password=False),
            should_autocreate_tables=not has_table(engine, _LAST_TABLE),
            inst_data=inst_data,
        )
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
    """What steps print; shown again where the process prints as soon as they end.

    Dagster starts four processes for each run to show it line by line.
    """

    @classmethod
    def from_config_value(cls, inst_data: Data, config_value: Any) -> Self:
        """Return the log manager in the pipeline's home."""
        return cls(str(settings().dagster_area / "logs"), inst_data=inst_data)

    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Iterator[CapturedLogContext]:
        """Keep what is printed in this process."""
        with ExitStack() as stack:
            for kind, stream in (
                (ComputeIOType.STDOUT, sys.stdout),
                (ComputeIOType.STDERR, sys.stderr),
            ):
                path = Path(self.get_captured_local_path(log_key, IO_TYPE_EXTENSION[kind]))
                ensure_file(str(path))
                stack.callback(_show, path, path.stat().st_size, stream)
                stack.enter_context(redirect_to_file(stream, str(path)))
            yield CapturedLogContext(log_key)
        touch_file(self.complete_artifact_path(log_key))  # type: ignore[no-untyped-call]


def _show(path: Path, start: int, stream: TextIO) -> None:
    with path.open("rb") as kept:
        kept.seek(start)
        stream.write(kept.read().decode(errors="replace"))
    stream.flush()
