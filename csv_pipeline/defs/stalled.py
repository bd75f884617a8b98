"""End runs whose worker died: Dagster's own launcher does not check its processes.

After a `kill -9` or a power cut such a run would stay STARTED for ever, and its lane would wait
behind it. Which process works on a run is recorded in the database
(`LeaseRenewer.work_on`): on this host the process table decides, elsewhere its
lease. The code server is not asked: after a reload it knows nothing of the runs that the one before
it started, and they go on.
"""

import time
from collections.abc import Collection, Set
from datetime import datetime

import dagster as dg
import structlog
from dagster._core.events import JobFailureData, RunFailureReason

from csv_pipeline.defs.jobs import export_rejects, undo_import
from csv_pipeline.defs.keys import asset_keys
from csv_pipeline.defs.launcher import worker_of
from csv_pipeline.defs.resource import Engine
from csv_pipeline.defs.uploads import check_upload
from csv_pipeline.engine import upload_checks
from csv_pipeline.engine.import_requests import JOB
from csv_pipeline.storage import leases
from csv_pipeline.storage.worker import is_gone

log = structlog.get_logger()
WORKED_ON = [
    dg.DagsterRunStatus.NOT_STARTED,  # it was made, and whoever made it ended before it was queued
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_SLOWEST_START_SECONDS = 120.0
_seen = dict[str, tuple[datetime, float]]()
"""When each run changed last, and since when this process sees it so, in monotonic seconds."""
_WHY = (
    "The process that did this run's steps is gone, or was not heard of for a lease; "
    "its files are picked up by the next run."
)


@dg.sensor(
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Ends runs whose process was killed, so that the next one of their lane can start.",
)
def stalled_runs(
    context: dg.SensorEvaluationContext, engine: dg.ResourceParam[Engine]
) -> dg.SkipReason:
    """Report runs as failed, or as canceled if they were to be, when no process works on them."""
    pipeline = engine.pipeline()
    ours = {key for feed in pipeline.feeds.values() for key in asset_keys(feed)}
    records = [
        record
        for record in context.instance.get_run_records(dg.RunsFilter(statuses=WORKED_ON))
        if _is_ours(record.dagster_run, ours)
    ]
    with pipeline.database.begin() as connection:
        lost = leases.workers_lost(connection, [r.dagster_run.run_id for r in records])
        leases.sign_off(connection)
    silence = max(pipeline.settings.lease_seconds, _SLOWEST_START_SECONDS)
    for run_id in _seen.keys() - {record.dagster_run.run_id for record in records}:
        del _seen[run_id]
    ended = [
        record.dagster_run
        for record in records
        if lost.get(record.dagster_run.run_id, _never_began(record, silence))
        and _end(context.instance, record.dagster_run)
    ]
    upload_checks.end_lost(pipeline, lambda run_ids: _over(context.instance, run_ids))
    return dg.SkipReason(f"{len(records)} runs are worked on; {len(ended)} were, by dead workers.")


def _over(instance: dg.DagsterInstance, run_ids: Collection[str]) -> list[str]:
    """Return which of these runs have ended, however they did."""
    runs = instance.get_runs(dg.RunsFilter(run_ids=list(run_ids)))
    return [run.run_id for run in runs if run.is_finished]


def _is_ours(run: dg.DagsterRun, ours: Set[dg.AssetKey]) -> bool:
    """Return whether all that a run does are our steps; others have no entry."""
    if run.asset_selection:
        return run.asset_selection <= ours
    return run.job_name in {JOB, undo_import.name, export_rejects.name, check_upload.name}


def _never_began(record: dg.RunRecord, seconds: float) -> bool:
    """Return whether a run without a first step is lost: its process is gone, or silent so long.

    A clock that is stepped ahead, as after a sleep of the machine, ends no run that begins.
    """
    run, now = record.dagster_run, time.monotonic()
    changed, since = _seen.get(run.run_id, (None, now))
    if changed != record.update_timestamp:
        _seen[run.run_id], since = (record.update_timestamp, now), now
    return now - since > seconds or is_gone(worker_of(run))


def _end(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Report a run as over, unless it went on since it was looked at."""
    now = instance.get_run_by_id(run.run_id)
    if now is None or now.status is not run.status:
        return False
    if run.status is dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceled(run, _WHY)
    else:
        failure = JobFailureData(error=None, failure_reason=RunFailureReason.UNEXPECTED_TERMINATION)
        instance.report_run_failed(run, _WHY, failure)
    log.warning("run ended: its process is gone", run_id=run.run_id)
    return True
