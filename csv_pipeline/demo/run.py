"""Drop the demo's files and let Dagster import them, as its sensor asks.

The runs are executed here instead of by the daemon, one after another, on the same instance: their
pages are there when Dagster's web page is opened later.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from csv_pipeline.defs.lanes import JOB
from csv_pipeline.demo.story import ACCOUNTS, Delivery, deliveries
from csv_pipeline.ingest import Pipeline
from csv_pipeline.model import ArrivalStatus, ImportReport
from csv_pipeline.storage import ledger

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What became of one file; `problem` is set if it never got as far as an import."""

    delivery: Delivery
    report: ImportReport | None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """What became of all files, in the order they came, and how many runs that took now."""

    told: tuple[Told, ...]
    runs: int


def run_demo(
    pipeline: Pipeline, dagster_home: Path, *, on_step: Callable[[str], None]
) -> DemoResult:
    """Import the demo's files by Dagster and return what became of each; a second time adds nothing."""
    with pipeline.database.begin() as connection:
        for account in ACCOUNTS:
            ledger.declare(connection, account)
    landing, runs = pipeline.settings.landing_area, 0
    lots = deliveries()
    with dg.DagsterInstance.from_config(str(dagster_home)) as instance:
        for number, lot in enumerate(lots, 1):
            later = "" if number == 1 else ", later ones"
            on_step(f"{len(lot)} files arrive in {landing}{later}")
            for delivery in lot:
                delivery.drop(landing)
            runs += _import_what_arrived(instance, on_step)
    return DemoResult(told=_told(pipeline, [d for lot in lots for d in lot]), runs=runs)


def _import_what_arrived(instance: dg.DagsterInstance, on_step: Callable[[str], None]) -> int:
    from csv_pipeline.definitions import defs  # noqa: PLC0415  # it reads the environment

    repository = defs.get_repository_def()
    with dg.build_sensor_context(
        instance=instance, repository_def=repository, sensor_name="landing"
    ) as context:
        tick = repository.get_sensor_def("landing").evaluate_tick(context)
    for request in tick.dynamic_partitions_requests or ():
        instance.add_dynamic_partitions(request.partitions_def_name, request.partition_keys)
    for request in tick.run_requests or ():
        on_step(f"Dagster imports the files of {request.tags['csv_pipeline/lane']}")
        _execute(defs, instance, request)
    return len(tick.run_requests or ())


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


def _told(pipeline: Pipeline, dropped: Sequence[Delivery]) -> tuple[Told, ...]:
    landing = pipeline.settings.landing_area
    with pipeline.database.begin() as connection:
        arrivals = {row.location: row for row in reversed(ledger.arrivals(connection))}
        return tuple(
            _tell(connection, delivery, arrivals[str(delivery.path(landing))])
            for delivery in dropped
        )


def _tell(connection: Any, delivery: Delivery, arrival: Any) -> Told:
    if arrival.import_id is None:
        return Told(delivery=delivery, report=None, problem=arrival.problem or arrival.status)
    return Told(delivery=delivery, report=ledger.report_of(connection, arrival.import_id))
