"""Once a night, ask for a run over everything that still waits or failed."""

from collections.abc import Iterator

import dagster as dg

from csv_pipeline.defs.lanes import JOB, request_all
from csv_pipeline.defs.partitions import ACCOUNTS
from csv_pipeline.defs.resource import Engine
from csv_pipeline.storage import arrivals


@dg.schedule(
    job_name=JOB,
    cron_schedule="0 2 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Asks for one run for each account and feed with failed or waiting files.",
)
def nightly(
    context: dg.ScheduleEvaluationContext, engine: dg.ResourceParam[Engine]
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Request runs for files that failed or still wait, and remove files kept no longer."""
    pipeline = engine.pipeline()
    pipeline.remove_all_expired(pipeline.settings.tick_seconds)
    with pipeline.database.begin() as connection:
        backlog = arrivals.backlog(
            connection, with_failed=True, max_failures=pipeline.settings.max_failures
        )
    lanes = [lane for lane in backlog if lane.feed in pipeline.feeds]
    # A schedule cannot request partitions, and an account may be newer than the last sensor tick.
    context.instance.add_dynamic_partitions(ACCOUNTS, sorted({lane.account for lane in lanes}))
    night = f"nightly {context.scheduled_execution_time:%Y-%m-%d %H:%M}"
    yield from (request_all(lane, night) for lane in lanes)
    if not lanes:
        yield dg.SkipReason("No file waits and none failed.")
