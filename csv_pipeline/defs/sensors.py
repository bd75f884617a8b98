"""Look at the landing area every few seconds and ask for runs over what arrived."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import dagster as dg

from csv_pipeline.defs.lanes import files_asked_for, request_runs, waiting_lanes
from csv_pipeline.defs.partitions import account_partitions
from csv_pipeline.defs.resource import Engine
from csv_pipeline.engine.import_requests import ACCOUNTS, JOB, LANE, lane_name
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.files.landing import ScanResult
from csv_pipeline.location import location_of
from csv_pipeline.storage import accounts, attention

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


_HEARD = "/heard/"
"""How a cursor begins that says what a watch heard; no folder, which one names else, begins so."""
MORE = "/more/"
"""The cursor that says to a watch that files wait which no run was asked for yet."""
_MOST_MISPLACED = 3
_RUNS_AT_ONCE = 10
"""How many runs a watch is told to submit, which takes it half a second each, before it asks on."""


def heard(complete: Iterable[Path]) -> str:
    """Return the cursor by which the sensor looks at files that are complete, and no others."""
    return _HEARD + json.dumps([str(path) for path in complete])


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
    cursor, most = context.cursor or "", pipeline.settings.runs_per_tick
    watched = cursor.startswith(_HEARD)
    if watched:
        complete = [location_of(path) for path in json.loads(cursor.removeprefix(_HEARD))]
        seen = pipeline.scan(seconds=pipeline.settings.tick_seconds, complete=complete)
    else:
        seen = _scan(context, pipeline, cursor)
    lanes, busy = waiting_lanes(pipeline), busy_lanes(context.instance)
    free = [lane for lane in lanes if lane_name(lane.account, lane.feed) not in busy]
    room = min(max(0, most - len(busy)), _RUNS_AT_ONCE if watched else most)
    requests = request_runs(pipeline, free[:room], busy)
    waiting = sum(len(lane.arrival_ids) for lane in lanes)
    more = MORE if watched and files_asked_for(requests) < waiting else ""
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=None if requests else _why_not(pipeline, seen),
        dynamic_partitions_requests=new_partitions(pipeline, context.instance),
        cursor=more or seen.stopped_at or "",
    )


def _scan(context: dg.SensorEvaluationContext, pipeline: Pipeline, start_at: str) -> ScanResult:
    """Look at all of the landing area, from where the time of the last tick ended."""
    # Half the time is for looking, a quarter for files that a crash left behind.
    seconds = pipeline.settings.tick_seconds / 2
    for one in pipeline.broken:
        context.log.error(
            "Feed %s is left out, and its files wait; reload the definitions once that is settled. "
            "%s",
            one.name,
            one.why,
        )
    seen = pipeline.scan(seconds=seconds, start_at=start_at or None)
    for name, why in seen.silent.items():
        context.log.error("Landing area %s is silent, and asked again after a while. %s", name, why)
    pipeline.put_away(seconds / 2)
    return seen


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


def _why_not(pipeline: Pipeline, seen: ScanResult) -> str:
    silent = f" Silent: {', '.join(seen.silent)}." if seen.silent else ""
    with pipeline.database.begin() as connection:
        away = attention.misplaced(connection, _MOST_MISPLACED + 1)
    shown = [f"{one.problem}." for one in away[:_MOST_MISPLACED]]
    more = " And more: csv-pipeline status." if len(away) > _MOST_MISPLACED else ""
    lost = f" Misplaced: {' '.join(shown)}{more}" if shown else ""
    return (
        f"No file to ask a run for; {seen.growing} still growing, {seen.held} of broken feeds."
        f"{silent}{lost}"
    )
