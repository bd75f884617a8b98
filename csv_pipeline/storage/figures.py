"""Figures of the ledger, for monitoring: counts and ages, asked of the database each time.

Counters in processes would be wrong as soon as there are several of them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from csv_pipeline.storage.dagster_records import scheduling


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its labels, by the name of what it measures."""

    name: str
    labels: dict[str, str]
    value: float


def figures(connection: sa.Connection) -> Iterator[Figure]:
    """Give imports and rows by lane and outcome, what waits, open rejects, steps, and the queue."""
    for row in connection.execute(_IMPORTS):
        lane = {"account": row.account, "feed": row.feed}
        yield Figure("imports", {**lane, "outcome": row.outcome}, row.imports)
        if row.outcome == "imported":
            for outcome in ("inserted", "updated", "unchanged", "kept", "superseded", "rejected"):
                yield Figure("rows", {**lane, "outcome": outcome}, getattr(row, outcome))
    for row in connection.execute(_ARRIVALS):
        lane = {"account": row.account, "feed": row.feed}
        yield Figure("arrivals", {**lane, "status": row.status}, row.arrivals)
        if row.status == "waiting":
            yield Figure("oldest_waiting_seconds", lane, row.oldest_seconds)
    for row in connection.execute(_REJECTS):
        yield Figure("open_rejects", {"account": row.account, "feed": row.feed}, row.rejects)
    for row in connection.execute(_STEPS):
        labels = {"account": row.account, "feed": row.feed, "step": row.step}
        yield Figure("step_seconds", labels, row.seconds)
    yield from _of_dagster(connection)


def _of_dagster(connection: sa.Connection) -> Iterator[Figure]:
    """Give what Dagster's own tables tell, if they are in this database."""
    found = scheduling(connection)
    if found is None:
        return
    yield Figure("queued_runs", {}, found.queued)
    yield Figure("oldest_queued_seconds", {}, found.oldest_queued_seconds)
    if found.sensor_lag_seconds is not None:
        yield Figure("sensor_lag_seconds", {}, found.sensor_lag_seconds)
    for daemon, seconds in found.heartbeats.items():
        yield Figure("daemon_silent_seconds", {"daemon": daemon}, seconds)


_IMPORTS = sa.text("""
    SELECT account, feed, outcome, count(*) AS imports,
        sum(inserted) AS inserted, sum(updated) AS updated, sum(unchanged) AS unchanged,
        sum(kept) AS kept, sum(superseded) AS superseded, sum(rejected) AS rejected
    FROM csv_pipeline.import GROUP BY account, feed, outcome
""")
_ARRIVALS = sa.text("""
    SELECT account, feed, status, count(*) AS arrivals,
        extract(epoch FROM now() - min(seen_at))::float8 AS oldest_seconds
    FROM csv_pipeline.arrival WHERE status IN ('waiting', 'claimed', 'failed', 'misplaced')
    GROUP BY account, feed, status
""")
_REJECTS = sa.text("""
    SELECT i.account, i.feed, count(*) AS rejects
    FROM csv_pipeline.reject r JOIN csv_pipeline.import i USING (import_id)
    WHERE r.repaired_by_import_id IS NULL AND i.outcome = 'imported'
        AND i.undone_by_import_id IS NULL AND i.repairs_import_id IS NULL
    GROUP BY i.account, i.feed
""")
_STEPS = sa.text("""
    SELECT account, feed, step, sum(seconds::float8) AS seconds
    FROM csv_pipeline.import, jsonb_each_text(report -> 'stage_seconds') AS of_step (step, seconds)
    WHERE finished_at > now() - interval '1 hour'
    GROUP BY account, feed, step
""")  # of the last hour: to read every report there ever was would take longer from day to day
