"""What the pipeline says of itself while it runs and in the end: its ledger, tables and events."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.soaking.model import Arrived, Lane, Row, digest_of
from benchmarks.soaking.processes import running

_COLUMNS = {
    "customers": "customer_key, name, city",
    "products": "sku, title, quantity::text",
    "visits": "id, pages::text, page",
}
_OPEN = "('waiting', 'claimed')"
_DEATHS = "SELECT coalesce(max(deaths), 0) FROM csv_pipeline.arrival WHERE worker LIKE %s"
_COUNTS = f"""
    SELECT count(*), count(*) FILTER (WHERE status NOT IN {_OPEN}),
        count(*) FILTER (WHERE status = 'imported')
    FROM csv_pipeline.arrival
"""
_EVENTS = """
    SELECT (SELECT count(*) FROM dagster.event_logs), (SELECT count(*) FROM dagster.runs),
        (SELECT count(*) FROM dagster.job_ticks),
        (SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c
            JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = 'dagster' AND c.relkind = 'r')::bigint,
        (SELECT count(*) FROM dagster.runs
            WHERE status NOT IN ('SUCCESS', 'FAILURE', 'CANCELED')),
        (SELECT count(*) FROM dagster.runs WHERE status = 'FAILURE')
"""
_LEDGER = """
    SELECT a.account, a.feed, a.location, a.size_bytes, a.modified_at, a.status,
        coalesce(a.problem, ''),
        count(i.*) FILTER (WHERE i.outcome = 'imported'),
        coalesce(sum(i.read) FILTER (WHERE i.outcome = 'imported'), 0)::bigint,
        coalesce(sum(i.rejected) FILTER (WHERE i.outcome = 'imported'), 0)::bigint,
        extract(epoch FROM max(i.finished_at))::float8, coalesce(a.moved_to, a.location),
        (SELECT count(DISTINCT (r.import_id, r.row_number)) FROM csv_pipeline.reject r
            JOIN csv_pipeline.import USING (import_id) WHERE arrival_id = a.arrival_id)
    FROM csv_pipeline.arrival a LEFT JOIN csv_pipeline.import i USING (arrival_id)
    GROUP BY a.arrival_id ORDER BY a.arrival_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The state at one moment, `at` seconds from the beginning; None while it is not known.

    `memory_mb` is anonymous memory, the largest of the processes that do the same, by what they do;
    `pids` are theirs.
    """

    at: float
    dropped: int
    arrivals: int | None = None
    settled: int | None = None
    imported: int | None = None
    events: int | None = None
    runs: int | None = None
    ticks: int | None = None
    dagster_bytes: int | None = None
    unfinished_runs: int | None = None
    failed_runs: int | None = None
    memory_mb: dict[str, float]
    pids: dict[str, int]

    def facts(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Observer:
    """Looks at the pipeline in a folder, and starts and keeps nothing by it."""

    folder: Path

    @contextmanager
    def connected(self) -> Iterator[psycopg.Connection[Any]]:
        """Give a connection to the embedded server, if it runs.

        Raises:
            psycopg.OperationalError: It does not.
        """
        try:
            facts = (self.folder / "data/postgres/postmaster.pid").read_text().splitlines()
            address = f"host={facts[4]} port={facts[3]} user=postgres dbname=postgres"
        except (OSError, IndexError) as error:
            raise psycopg.OperationalError("no server runs") from error
        with psycopg.connect(address, autocommit=True, connect_timeout=5) as connection:
            yield connection

    def sample(self, at: float, dropped: int) -> Sample:
        """Return how it stands."""
        found = running(self.folder)
        memory: dict[str, float] = {}
        pids: dict[str, int] = {}
        for one in sorted(found, key=lambda one: one.memory_mb):
            memory[one.role], pids[one.role] = round(one.memory_mb, 1), one.pid
        counts: tuple[Any, ...] = (None,) * 3
        events: tuple[Any, ...] = (None,) * 6
        try:
            with self.connected() as connection:
                counts = connection.execute(_COUNTS).fetchone() or counts
                events = connection.execute(_EVENTS).fetchone() or events
        except psycopg.Error:  # it was killed just now, say
            pass
        return Sample(
            at=at, dropped=dropped, memory_mb=memory, pids=pids,
            arrivals=counts[0], settled=counts[1], imported=counts[2],
            events=events[0], runs=events[1], ticks=events[2], dagster_bytes=events[3],
            unfinished_runs=events[4], failed_runs=events[5],
        )  # fmt: skip

    def has_died_over(self, pid: int) -> bool:
        """Return whether workers died over what a process works on; if nobody knows, too."""
        try:
            with self.connected() as connection:
                row = connection.execute(_DEATHS, (f"%/{pid}/%",)).fetchone()
        except psycopg.Error:
            return True
        return row is None or bool(row[0])

    def ledger(self) -> list[Arrived]:
        """Return every arrival; `settled_at` is in seconds since 1970."""
        with self.connected() as connection:
            return [
                Arrived(
                    lane=(row[0], row[1]),
                    identity=(row[2], row[3], row[4]),
                    status=row[5],
                    problem=row[6],
                    imports=row[7],
                    read=row[8],
                    rejected=row[9],
                    settled_at=row[10],
                    digest=_digest(Path(row[11])),
                    rejects=row[12],
                )
                for row in connection.execute(_LEDGER)
            ]

    def tables(self) -> dict[Lane, list[Row]]:
        """Return the stored rows of each account and feed."""
        stored: dict[Lane, list[Row]] = {}
        with self.connected() as connection:
            for feed, columns in _COLUMNS.items():
                for account, *row in connection.execute(
                    f"SELECT account, {columns} FROM data.{feed}"
                ):
                    stored.setdefault((account, feed), []).append(tuple(row))
        return stored

    def left_in_landing(self) -> list[Path]:
        """Return the files that still lie in the landing area."""
        return [path for path in (self.folder / "data/landing").rglob("*") if path.is_file()]


def _digest(path: Path) -> str | None:
    try:
        return digest_of(path.read_bytes())
    except OSError:
        return None
