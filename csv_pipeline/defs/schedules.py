"""Once a night, or when a feed says so, ask for runs over everything that still waits or failed."""

from collections.abc import Iterator, Sequence

import dagster as dg

from csv_pipeline.defs.derived import request_recomputes
from csv_pipeline.defs.lanes import request_runs, waiting_lanes
from csv_pipeline.defs.resource import Engine
from csv_pipeline.defs.sensors import busy_lanes
from csv_pipeline.engine.import_requests import ACCOUNTS, JOB, lane_name
from csv_pipeline.spec.catalog import EAGER
from csv_pipeline.spec.feed import Feed


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
    yield from _with_partitions(context, requests)
    if not requests:
        yield dg.SkipReason("No file waits, none failed, and no derived table is behind.")


def schedules_of(feeds: Sequence[Feed]) -> list[dg.ScheduleDefinition]:
    """Return a schedule for each feed whose catalog has a cron expression as automation."""
    return [
        _schedule(feed, cron)
        for feed in feeds
        if (cron := feed.catalog.automation) and cron != EAGER
    ]


def _schedule(feed: Feed, cron: str) -> dg.ScheduleDefinition:
    @dg.schedule(
        name=f"{feed.name}_automation",
        job_name=JOB,
        cron_schedule=cron,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Asks for runs over failed and waiting files of {feed.name}, in order.",
    )
    def automation(
        context: dg.ScheduleEvaluationContext, engine: dg.ResourceParam[Engine]
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        """Request runs for files of a feed that failed or wait, where no run has them already."""
        pipeline, busy = engine.pipeline(), busy_lanes(context.instance)
        lanes = [
            lane
            for lane in waiting_lanes(pipeline, night=True)
            if lane.feed == feed.name and lane_name(lane.account, lane.feed) not in busy
        ]
        requests = request_runs(pipeline, lanes, busy, all_files=True)
        yield from _with_partitions(context, requests)
        if not requests:
            yield dg.SkipReason("No file of the feed waits, and none failed.")

    return automation


def _with_partitions(
    context: dg.ScheduleEvaluationContext, requests: Sequence[dg.RunRequest]
) -> Sequence[dg.RunRequest]:
    """Add the partitions of requests, which a schedule cannot request, and return these.

    An account may be newer than the last tick of the sensor.
    """
    added = sorted({str(request.partition_key) for request in requests})
    context.instance.add_dynamic_partitions(ACCOUNTS, added)
    return requests
