"""Look at the landing area every few seconds and ask for runs over what arrived."""

from collections.abc import Sequence

import dagster as dg

from csv_pipeline.defs.lanes import request_runs
from csv_pipeline.defs.partitions import account_partitions
from csv_pipeline.defs.resource import Engine
from csv_pipeline.engine.import_requests import ACCOUNTS, JOB, LANE
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.files.landing import ScanResult
from csv_pipeline.storage import accounts

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@dg.sensor(
    job_name=JOB,
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Enters new files into the ledger and asks for one run an account and feed.",
)
def landing(
    context: dg.SensorEvaluationContext, engine: dg.ResourceParam[Engine]
) -> dg.SensorResult:
    """Request runs for what waits, and partitions for accounts never seen."""
    pipeline = engine.pipeline()
    # Half the time is for looking, a quarter for files that a crash left behind.
    seconds = pipeline.settings.tick_seconds / 2
    for one in pipeline.broken:
        context.log.error(
            "Feed %s is left out, and its files wait; reload the definitions once it is corrected. "
            "%s",
            one.name,
            one.why,
        )
    seen = pipeline.scan(seconds=seconds, start_at=context.cursor or None)
    pipeline.put_away(seconds / 2)
    requests = request_runs(pipeline, busy_lanes(context.instance))
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=None if requests else _why_not(seen),
        dynamic_partitions_requests=new_partitions(pipeline, context.instance),
        cursor=seen.stopped_at or "",
    )


def busy_lanes(instance: dg.DagsterInstance) -> set[str]:
    """Return the lanes that have a run already; what waits there now is for the next one."""
    runs = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    return {run.tags[LANE] for run in runs if LANE in run.tags}


def new_partitions(
    pipeline: Pipeline, instance: dg.DagsterInstance
) -> Sequence[dg.AddDynamicPartitionsRequest]:
    """Return the request for partitions of accounts that Dagster does not know yet."""
    known = set(instance.get_dynamic_partitions(ACCOUNTS))
    with pipeline.database.begin() as connection:
        new = [name for name in accounts.names(connection) if name not in known]
    return [account_partitions.build_add_request(new)] if new else []


def _why_not(seen: ScanResult) -> str:
    return (
        f"No file to ask a run for; {seen.growing} still growing, "
        f"{len(seen.misplaced)} where no account or feed can be, {seen.held} of broken feeds."
    )
