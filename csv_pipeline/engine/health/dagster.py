"""Dagster: whether its daemon lives, looks at the landing area and keeps up with its queue."""

from collections.abc import Iterator

import sqlalchemy as sa

from csv_pipeline.engine.health.check import Check
from csv_pipeline.files.stores import store_of
from csv_pipeline.settings import Settings
from csv_pipeline.storage.dagster_records import WATCHER, Scheduling, scheduling

_START = "csv-pipeline dev, or python -m csv_pipeline.defs.daemon run"
_DAEMONS = ("SENSOR", "SCHEDULER", "QUEUED_RUN_COORDINATOR")
_SILENT_SECONDS = 120.0  # a daemon tells of itself every 30 s
_LATE_SECONDS = 60.0  # a tick comes every 5 s and takes at most some 20 s
_QUEUED_SECONDS = 600.0


def checks(connection: sa.Connection, settings: Settings) -> Iterator[Check]:
    """Give the checks of what Dagster's tables tell; where there are none, that is a warning."""
    found = scheduling(connection)
    if found is None:
        yield Check.warned("daemon", "Dagster's daemon", "Dagster never ran here", _START)
        return
    yield daemon(found)
    if any(store_of(area).on_disk(area) is not None for area in settings.landing_areas):
        yield watcher(found)
    yield sensor(found)
    yield queue(found)


def daemon(found: Scheduling) -> Check:
    """Look whether each of the daemons was heard of lately."""
    needed = f"the daemon, heard of within {_SILENT_SECONDS:.0f} s"
    silent = [name for name in _DAEMONS if _silence(found, name) > _SILENT_SECONDS]
    if silent:
        shown = ", ".join(f"{name} {_ago(found, name)}" for name in silent)
        return Check.failed("daemon", needed, shown, _START)
    return Check.passed("daemon", needed, _ago(found, "SENSOR"))


def watcher(found: Scheduling) -> Check:
    """Look whether files are heard of at once, not by the next tick only."""
    needed = f"the watcher, heard of within {_SILENT_SECONDS:.0f} s"
    if _silence(found, WATCHER) > _SILENT_SECONDS:
        repair = "python -m csv_pipeline.defs.daemon run, in place of dagster-daemon run"
        return Check.warned("watcher", needed, _ago(found, WATCHER), repair)
    return Check.passed("watcher", needed, _ago(found, WATCHER))


def sensor(found: Scheduling) -> Check:
    """Look whether the landing sensor ticks."""
    needed, lag = (
        f"a tick of the sensor landing within {_LATE_SECONDS:.0f} s",
        found.sensor_lag_seconds,
    )
    repair = "dagster sensor start landing -m csv_pipeline.definitions"
    if lag is None:
        return Check.failed("sensor", needed, "it is stopped, or never ran", repair)
    if lag > _LATE_SECONDS:
        return Check.failed("sensor", needed, f"the last one {lag:,.0f} s ago", _START)
    return Check.passed("sensor", needed, f"the last one {lag:,.0f} s ago")


def queue(found: Scheduling) -> Check:
    """Look whether runs start soon after they are requested."""
    needed = f"no run queued for {_QUEUED_SECONDS:.0f} s"
    shown = f"{found.queued:,} queued, the oldest for {found.oldest_queued_seconds:,.0f} s"
    if found.oldest_queued_seconds > _QUEUED_SECONDS:
        repair = "raise run_queue.max_concurrent_runs in dagster.yaml, or end the runs in its way"
        return Check.warned("queue", needed, shown, repair)
    return Check.passed("queue", needed, shown)


def _silence(found: Scheduling, name: str) -> float:
    return found.heartbeats.get(name, float("inf"))


def _ago(found: Scheduling, name: str) -> str:
    seconds = found.heartbeats.get(name)
    return "never heard of" if seconds is None else f"heard of {seconds:,.0f} s ago"
