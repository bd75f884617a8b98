"""Have Dagster show imports and undos that none of its runs did, as those of the command line.

A command does not tell Dagster itself: it may run where Dagster is not known, and may be killed
after its commit. The ledger has what it did, and a sensor finds it there. A run shows it, because
Dagster keeps one result of a check and partition that is of no run.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby

import dagster as dg

from csv_pipeline.defs.keys import asset_keys, derived_key
from csv_pipeline.defs.resource import Engine
from csv_pipeline.defs.sensors import new_partitions
from csv_pipeline.engine.import_requests import ACCOUNT, JOB, LANE, lane_name
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.model import ImportReport, Outcome
from csv_pipeline.storage.settled import Position, settled

_IN_A_TICK = 200


@dg.sensor(
    job_name=JOB,
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks for runs that show what commands imported and undid, so that what is "
    "downstream follows.",
)
def outside_runs(
    context: dg.SensorEvaluationContext, engine: dg.ResourceParam[Engine]
) -> dg.SensorResult:
    """Request a run for each account and feed that no run of Dagster changed."""
    pipeline = engine.pipeline()
    after = Position.of(context.cursor)
    with pipeline.database.begin() as connection:
        found, now = settled(connection, after, _IN_A_TICK, outside=True)
    known = [its.report for its in found if its.report.feed in pipeline.feeds]
    requests = [
        _request(pipeline, some)
        for _, of_lane in groupby(sorted(known, key=_lane), _lane)
        for some in _apart(of_lane)
    ]
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=None if requests else "No command imported or undid anything.",
        dynamic_partitions_requests=new_partitions(pipeline, context.instance) if found else [],
        cursor=str(now),
    )


def _lane(report: ImportReport) -> tuple[str, str]:
    return report.account, report.feed


def _apart(reports: Iterator[ImportReport]) -> Iterator[Sequence[ImportReport]]:
    """Give what one run shows: imports together, an undo alone, in the order they were done."""
    for is_undo, found in groupby(reports, lambda report: report.outcome is Outcome.UNDO):
        some = list(found)
        yield from [[one] for one in some] if is_undo else [some]


def _request(pipeline: Pipeline, reports: Sequence[ImportReport]) -> dg.RunRequest:
    account, feed = reports[0].account, pipeline.feed(reports[0].feed)
    numbers = [report.import_id for report in reports]
    feeds = pipeline.feeds.values()
    derived = [name for name, table in pipeline.derived.items() if feed.name in table.touched]
    keys = [*asset_keys(feed), *(derived_key(feeds, name) for name in derived)]
    return dg.RunRequest(
        run_key=f"{lane_name(account, feed.name)}/settled/{numbers[-1]}",
        partition_key=account,
        asset_selection=list(dict.fromkeys(keys)),
        run_config={"ops": {feed.name: {"config": {"settled": numbers}}}},
        tags={LANE: lane_name(account, feed.name), ACCOUNT: account},
    )
