"""Dagster: whether its daemon lives, looks at the landing area and keeps up with its queue."""

import os
import shlex
import sys
from collections.abc import Iterator

import sqlalchemy as sa

from csv_pipeline.engine.health.check import Check
from csv_pipeline.files.stores import store_of
from csv_pipeline.settings import Settings
from csv_pipeline.storage.dagster_records import WATCHER, Scheduling, scheduling

_START = "csv-pipeline dev"
_OURS = "-m csv_pipeline.definitions"
_DAEMONS = ("SENSOR", "SCHEDULER", "QUEUED_RUN_COORDINATOR")
_SILENT_SECONDS = 120.0  # a daemon tells of itself every 30 s
_LATE_SECONDS = 60.0  # a tick comes every 5 s and takes at most some 20 s
_QUEUED_SECONDS = 600.0
_AHEAD_SECONDS = 10.0  # the clocks of two machines may differ by as much


def checks(connection: sa.Connection, settings: Settings) -> Iterator[Check]:
    """Give the checks of what Dagster's tables tell; where there are none, that is a warning."""
    found = scheduling(connection)
    if found is None:
        yield Check.warned("daemon", "Dagster's daemon", "Dagster never ran here", _START)
        return
    home = _home(settings)
    yield daemon(found, home)
    if any(store_of(area).on_disk(area) is not None for area in settings.landing_areas):
        yield watcher(found, home)
    yield sensor(found, home)
    yield queue(found)


def daemon(found: Scheduling, home: str | None) -> Check:
    """Look whether each of the daemons was heard of lately."""
    needed = f"the daemon, heard of within {_SILENT_SECONDS:.0f} s"
    silent = [name for name in _DAEMONS if _silence(found, name) > _SILENT_SECONDS]
    if silent:
        return Check.failed("daemon", needed, _all_ago(found, silent), _start(home))
    ahead = [name for name in _DAEMONS if _silence(found, name) < -_AHEAD_SECONDS]
    if ahead:
        return Check.warned("daemon", needed, _all_ago(found, ahead), _later(home))
    return Check.passed("daemon", needed, _ago(found, "SENSOR"))


def watcher(found: Scheduling, home: str | None) -> Check:
    """Look whether files are heard of at once, not by the next tick only."""
    needed = f"the watcher, heard of within {_SILENT_SECONDS:.0f} s"
    if _silence(found, WATCHER) > _SILENT_SECONDS:
        repair = f"in place of dagster-daemon run: {_start(home)}"
        return Check.warned("watcher", needed, _ago(found, WATCHER), repair)
    if _silence(found, WATCHER) < -_AHEAD_SECONDS:
        return Check.warned("watcher", needed, _ago(found, WATCHER), _later(home))
    return Check.passed("watcher", needed, _ago(found, WATCHER))


def sensor(found: Scheduling, home: str | None) -> Check:
    """Look whether the landing sensor ticks."""
    needed, lag = (
        f"a tick of the sensor landing within {_LATE_SECONDS:.0f} s",
        found.sensor_lag_seconds,
    )
    if lag is None:
        repair = f"{_START}, and switch landing on in its page, under Automation"
        if home is not None:
            repair = f"{home}{_python()} -m dagster sensor start landing {_OURS}"
        return Check.failed("sensor", needed, "it is stopped, or never ran", repair)
    shown = f"the last one {_since(lag)}"
    if lag > _LATE_SECONDS:
        return Check.failed("sensor", needed, shown, _start(home))
    if lag < -_AHEAD_SECONDS:
        return Check.warned("sensor", needed, shown, _later(home))
    return Check.passed("sensor", needed, shown)


def queue(found: Scheduling) -> Check:
    """Look whether runs start soon after they are requested."""
    needed = f"no run queued for {_QUEUED_SECONDS:.0f} s"
    shown = f"{found.queued:,} queued, the oldest for {found.oldest_queued_seconds:,.0f} s"
    if found.oldest_queued_seconds > _QUEUED_SECONDS:
        repair = "raise run_queue.max_concurrent_runs in dagster.yaml, or end the runs in its way"
        return Check.warned("queue", needed, shown, repair)
    return Check.passed("queue", needed, shown)


def _home(settings: Settings) -> str | None:
    """Return what a command needs before it for Dagster's home; None where it has none yet."""
    if os.environ.get("DAGSTER_HOME"):
        return ""
    home = settings.dagster_area
    found = (home / "dagster.yaml").is_file()  # `dev` writes it
    return f"DAGSTER_HOME={shlex.quote(str(home))} " if found else None


def _start(home: str | None) -> str:
    if home is None:
        return _START
    return (
        f"{_START}, or the daemon alone: {home}{_python()} -m csv_pipeline.defs.daemon run {_OURS}"
    )


def _later(home: str | None) -> str:
    """Return what to do where a clock was set back; what lives tells of itself soon."""
    return f"look again in a minute; if nothing changed, {_start(home)}"


def _python() -> str:
    return shlex.quote(sys.executable)


def _all_ago(found: Scheduling, names: list[str]) -> str:
    return ", ".join(f"{name} {_ago(found, name)}" for name in names)


def _since(seconds: float) -> str:
    """Return an age in words; the clock was set back since what is younger than nothing."""
    if seconds < -_AHEAD_SECONDS:
        return f"{-seconds:,.0f} s ahead of the database's clock"
    return f"{max(seconds, 0):,.0f} s ago"


def _silence(found: Scheduling, name: str) -> float:
    return found.heartbeats.get(name, float("inf"))


def _ago(found: Scheduling, name: str) -> str:
    seconds = found.heartbeats.get(name)
    return "never heard of" if seconds is None else f"heard of {_since(seconds)}"
