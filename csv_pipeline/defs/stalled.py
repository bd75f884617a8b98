"""End runs whose worker died: Dagster's own launcher does not check its processes.

After a `kill -9` or a power cut such a run would stay STARTED for ever, and its lane would wait
behind it. Which process works on a run is recorded in the database
(`LeaseRenewer.work_on`): on this host the process table decides, elsewhere its
lease. The code server is not asked: after a reload it knows nothing of the runs that the one before
it started, and they go on.
"""

import json
import time
from collections.abc import Collection, Mapping, Set

import dagster as dg
import structlog
from dagster._core.events import JobFailureData, RunFailureReason

from csv_pipeline.defs.growth import retention
from csv_pipeline.defs.jobs import export_rejects, undo_import
from csv_pipeline.defs.keys import asset_keys
from csv_pipeline.defs.launcher import worker_of
from csv_pipeline.defs.reprocessing import reprocess_accounts
from csv_pipeline.defs.resource import Engine
from csv_pipeline.defs.uploads import check_upload
from csv_pipeline.engine import upload_checks
from csv_pipeline.engine.import_requests import JOB
from csv_pipeline.storage import leases
from csv_pipeline.storage.worker import is_gone, is_here, this_place

log = structlog.get_logger()
WORKED_ON = [
    dg.DagsterRunStatus.NOT_STARTED,  # it was made, and whoever made it ended before it was queued
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_JOBS = [undo_import, export_rejects, check_upload, reprocess_accounts, retention]
_SLOWEST_START_SECONDS = 120.0
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
) -> dg.SensorResult:
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
    here = this_place() or ""
    known, now = json.loads(context.cursor or "{}").get(here, {}), time.monotonic()
    seen = {record.dagster_run.run_id: _unchanged_since(record, known, now) for record in records}
    runs = [(record.dagster_run, now - seen[record.dagster_run.run_id][1]) for record in records]
    ended = [
        run
        for run, silent in runs
        if lost.get(run.run_id, _is_lost(run, silent > silence)) and _end(context.instance, run)
    ]
    upload_checks.end_lost(pipeline, lambda run_ids: _over(context.instance, run_ids))
    return dg.SensorResult(
        skip_reason=f"{len(records)} runs are worked on; {len(ended)} were, by dead workers.",
        cursor=json.dumps({here: seen}),
    )


def _over(instance: dg.DagsterInstance, run_ids: Collection[str]) -> list[str]:
    """Return which of these runs have ended, however they did."""
    runs = instance.get_runs(dg.RunsFilter(run_ids=list(run_ids)))
    return [run.run_id for run in runs if run.is_finished]


def _is_ours(run: dg.DagsterRun, ours: Set[dg.AssetKey]) -> bool:
    """Return whether all that a run does are our steps; others have no entry."""
    if run.asset_selection:
        return run.asset_selection <= ours
    return run.job_name in {JOB, *(job.name for job in _JOBS)}


def _is_lost(run: dg.DagsterRun, silent: bool) -> bool:
    """Return whether a run that no process signed on for is over, if it was `silent` for long.

    Of a process on this host that was forked for it, the process table tells.
    """
    worker = worker_of(run)
    return is_gone(worker) if is_here(worker) else silent


def _unchanged_since(
    record: dg.RunRecord, known: Mapping[str, tuple[str, float]], now: float
) -> tuple[str, float]:
    """Return when a run changed last, and since when it is seen so, in seconds since the boot.

    That clock is never stepped, as the time of day is after a sleep of the machine. What is `known`
    is what was seen before on this host, perhaps by an earlier code server.
    """
    changed, since = record.update_timestamp.isoformat(), now
    before = known.get(record.dagster_run.run_id)
    if before is not None and before[0] == changed:
        since = min(before[1], now)
    return changed, since


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
