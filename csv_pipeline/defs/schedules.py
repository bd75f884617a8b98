"""Once a night, ask for runs over everything that still waits or failed."""

from collections.abc import Iterator

import dagster as dg

from csv_pipeline.defs.derived import request_recomputes
from csv_pipeline.defs.lanes import request_runs, waiting_lanes
from csv_pipeline.defs.resource import Engine
from csv_pipeline.engine.import_requests import ACCOUNTS, JOB


@dg.schedule(
    job_name=JOB,
    cron_schedule="0 2 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Asks for runs over failed and waiting files, in order, and derived tables.",
)
def nightly(
    context: dg.ScheduleEvaluationContext, engine: dg.ResourceParam[Engine]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Request runs for files that failed or still wait."""
    pipeline = engine.pipeline()
    requests = request_runs(pipeline, waiting_lanes(pipeline, night=True), all_files=True)
    requests += request_recomputes(pipeline, again=f"{context.scheduled_execution_time:%Y-%m-%d}")
    # A schedule cannot request partitions, and an account may be newer than the last sensor tick.
    added = sorted({str(request.partition_key) for request in requests})
    context.instance.add_dynamic_partitions(ACCOUNTS, added)
    yield from requests
    if not requests:
        yield dg.SkipReason("No file waits, none failed, and no derived table is behind.")
