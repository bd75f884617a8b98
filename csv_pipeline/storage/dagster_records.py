"""What Dagster's own tables tell of how it runs: in the schema `dagster`, if it ever ran here."""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

WATCHER = "CSV_PIPELINE_WATCHER"
"""The type of the daemon of ours that hears of files."""
WORKER = "csv_pipeline/worker"
"""The tag with a run's id and the process forked for it; a retry has the tags of another run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduling:
    """How long ago the daemons were heard of, by type, and the landing sensor; what is queued."""

    heartbeats: Mapping[str, float]
    sensor_lag_seconds: float | None
    queued: int
    oldest_queued_seconds: float


def scheduling(connection: sa.Connection) -> Scheduling | None:
    """Return what Dagster's tables tell; None where there are none."""
    if connection.scalar(sa.text("SELECT to_regclass('dagster.daemon_heartbeats')")) is None:
        return None
    heartbeats = {row.daemon_type: row.seconds for row in connection.execute(_HEARTBEATS)}
    lag = connection.scalar(_SENSOR_LAG)
    queue = connection.execute(_QUEUE).one()
    return Scheduling(
        heartbeats=heartbeats,
        sensor_lag_seconds=lag,
        queued=queue.runs,
        oldest_queued_seconds=queue.seconds,
    )


def workers(connection: sa.Connection) -> list[str]:
    """Return the processes that were forked for runs that have not ended."""
    if connection.scalar(sa.text("SELECT to_regclass('dagster.run_tags')")) is None:
        return []
    return list(connection.scalars(_WORKERS, {"tag": WORKER}))


def old_runs(connection: sa.Connection, days: int) -> list[str]:
    """Return the runs that ended so many days ago, the oldest first, and that nothing is shown of.

    What is shown of a partition of an asset is the newest of each kind of its events: that it was
    materialised, or observed, and that a run was to materialise it.
    """
    if connection.scalar(sa.text("SELECT to_regclass('dagster.event_logs')")) is None:
        return []
    return list(connection.scalars(_OLD_RUNS, {"days": days}))


def forget_checks(connection: sa.Connection, days: int) -> None:
    """Remove what checks said so many days ago and without a run, but the newest of each."""
    if connection.scalar(sa.text("SELECT to_regclass('dagster.event_logs')")) is not None:
        connection.execute(_FORGET_CHECKS, {"days": days})


_FORGET_CHECKS = sa.text("""
    WITH gone AS (
        DELETE FROM dagster.asset_check_executions AS its
        WHERE coalesce(run_id, '') = ''
            AND create_timestamp < now() AT TIME ZONE 'UTC' - make_interval(days => :days)
            AND id < (
                SELECT max(id) FROM dagster.asset_check_executions AS newer
                WHERE newer.asset_key = its.asset_key AND newer.check_name = its.check_name
            )
        RETURNING evaluation_event_storage_id
    )
    DELETE FROM dagster.event_logs
    WHERE id IN (SELECT evaluation_event_storage_id FROM gone) AND run_id = ''
""")
_OLD_RUNS = sa.text("""
    WITH shown AS (
        SELECT max(id) AS id FROM dagster.event_logs
        WHERE asset_key IS NOT NULL AND dagster_event_type IN
            ('ASSET_MATERIALIZATION', 'ASSET_MATERIALIZATION_PLANNED', 'ASSET_OBSERVATION')
        GROUP BY asset_key, dagster_event_type, partition
    )
    SELECT run_id FROM dagster.runs
    WHERE status IN ('SUCCESS', 'FAILURE', 'CANCELED')
        AND update_timestamp < now() AT TIME ZONE 'UTC' - make_interval(days => :days)
        AND NOT EXISTS (
            SELECT FROM dagster.event_logs e JOIN shown USING (id) WHERE e.run_id = runs.run_id
        )
    ORDER BY id
""")
_WORKERS = sa.text("""
    SELECT split_part(value, ' ', 2) FROM dagster.run_tags JOIN dagster.runs USING (run_id)
    WHERE key = :tag AND starts_with(value, run_id || ' ')
        AND status NOT IN ('SUCCESS', 'FAILURE', 'CANCELED')
""")
_HEARTBEATS = sa.text("""
    SELECT daemon_type, extract(epoch FROM now() - timestamp AT TIME ZONE 'UTC')::float8 AS seconds
    FROM dagster.daemon_heartbeats
""")
# A stopped sensor is late on purpose; one of a code location that is gone has an older tick.
_SENSOR_LAG = sa.text("""
    SELECT extract(epoch FROM now())::float8
        - max((instigator_body::json #>> '{job_specific_data,last_tick_timestamp}')::float8)
    FROM dagster.instigators
    WHERE instigator_type = 'SENSOR' AND status <> 'STOPPED'
        AND instigator_body::json #>> '{origin,job_name}' = 'landing'
""")
_QUEUE = sa.text("""
    SELECT count(*) AS runs,
        coalesce(extract(epoch FROM now() - min(create_timestamp) AT TIME ZONE 'UTC'), 0)::float8
            AS seconds
    FROM dagster.runs WHERE status = 'QUEUED'
""")
