"""Drop the demo's files and let Dagster import them, as its sensor asks.

The runs are executed here instead of by the daemon, one after another, on the same instance: their
pages are there when Dagster's web page is opened later.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
import sqlalchemy as sa

from csv_pipeline.defs.assembly import assemble
from csv_pipeline.defs.resource import Engine
from csv_pipeline.defs.sensors import landing as landing_sensor
from csv_pipeline.demo.story import ACCOUNTS, Delivery, deliveries
from csv_pipeline.demo.topics import Found, look
from csv_pipeline.engine.import_requests import JOB, LANE
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.engine.worklist import Written
from csv_pipeline.model import ArrivalStatus, ImportReport
from csv_pipeline.storage import accounts, arrivals, imports

_UNSETTLED = {ArrivalStatus.WAITING, ArrivalStatus.CLAIMED}
_PATIENCE_SECONDS = 60
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What became of one file; a file that got no report has its status in the ledger and why."""

    delivery: Delivery
    report: ImportReport | None
    status: str
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """What became of all files, in the order they came, and how many runs that took now.

    `found` are rows of the tables, `worklists` what remains to be done, by account.
    """

    told: tuple[Told, ...]
    found: tuple[Found, ...]
    worklists: Mapping[str, Written]
    runs: int


def run_demo(
    pipeline: Pipeline, instance: dg.DagsterInstance, *, on_step: Callable[[str], None]
) -> DemoResult:
    """Let Dagster import the demo's files, once, and return what became of each."""
    with pipeline.database.begin() as connection:
        for account in ACCOUNTS:
            accounts.declare(connection, account)
    landing, runs = pipeline.settings.landing_folder, 0
    lots = deliveries()
    engine = Engine(lambda: pipeline)
    defs = assemble(tuple(pipeline.feeds.values()), engine)
    for lot in lots:
        on_step(f"{len(lot)} files arrive in {landing}")
        for delivery in _new(pipeline, lot):
            delivery.drop(landing)
        for request in _look(engine, instance):
            on_step(f"Dagster imports the files of {request.tags[LANE]}")
            _execute(defs, instance, request)
            runs += 1
        _wait_for_others(pipeline, lot)
    told = _told(pipeline, [delivery for lot in lots for delivery in lot])
    with pipeline.database.begin() as connection:
        found = look(connection)
    return DemoResult(told=told, found=found, worklists=_worklists(pipeline, told), runs=runs)


def _new(pipeline: Pipeline, lot: Sequence[Delivery]) -> list[Delivery]:
    """Return the files that never arrived; the others may be in the archive by now."""
    with pipeline.database.begin() as connection:
        arrived = {row.location for row in arrivals.find(connection)}
    landing = pipeline.settings.landing_folder
    return [delivery for delivery in lot if str(delivery.path(landing)) not in arrived]


def _look(engine: Engine, instance: dg.DagsterInstance) -> Sequence[dg.RunRequest]:
    """Let the sensor look at the landing area as the daemon would, and return what it asks for."""
    with dg.build_sensor_context(instance=instance, resources={"engine": engine}) as context:
        tick = landing_sensor(context)
    assert isinstance(tick, dg.SensorResult)  # noqa: S101  # a sensor may give other things, too
    for request in tick.dynamic_partitions_requests or ():
        instance.add_dynamic_partitions(request.partitions_def_name, request.partition_keys)
    return tick.run_requests or ()


def _execute(defs: dg.Definitions, instance: dg.DagsterInstance, request: dg.RunRequest) -> None:
    job = defs.resolve_job_def(JOB)
    job.execute_in_process(
        instance=instance,
        partition_key=request.partition_key,
        asset_selection=list(request.asset_selection or ()),
        run_config={**request.run_config, **_QUIET},
        tags=dict(request.tags),
        raise_on_error=False,
    )


def _wait_for_others(pipeline: Pipeline, lot: Sequence[Delivery]) -> None:
    """Wait for files that a daemon took, which may be running beside the demo."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < end:
        if not {told.status for told in _told(pipeline, lot)} & _UNSETTLED:
            return
        time.sleep(0.5)


def _told(pipeline: Pipeline, dropped: Sequence[Delivery]) -> tuple[Told, ...]:
    landing = pipeline.settings.landing_folder
    with pipeline.database.begin() as connection:
        by_location = {row.location: row for row in reversed(arrivals.find(connection))}
        return tuple(
            _tell(connection, delivery, by_location[str(delivery.path(landing))])
            for delivery in dropped
        )


def _tell(connection: sa.Connection, delivery: Delivery, arrival: Any) -> Told:
    if arrival.status in _UNSETTLED or arrival.import_id is None:
        problem = (arrival.problem or "").removeprefix(f"{arrival.location}: ")
        return Told(delivery=delivery, report=None, status=arrival.status, problem=problem)
    report = imports.report_of(connection, arrival.import_id)
    return Told(delivery=delivery, report=report, status=arrival.status)


def _worklists(pipeline: Pipeline, told: Sequence[Told]) -> dict[str, Written]:
    """Return the work that remains, by account; the runs wrote it, and it is not written again."""
    return {
        one.delivery.account: pipeline.write_worklist(one.delivery.account, one.delivery.feed)
        for one in told
        if one.delivery.feed in pipeline.feeds and pipeline.feed(one.delivery.feed).worklist
    }
