"""Let Dagster's daemons go on when the machine's clock is set back.

Dagster has a sensor wait until its interval is over since its last tick, by the clock: after a step
back by an hour no sensor would tick for an hour. A tick that is of the future says nothing here.
Its daemons wait between two looks by the clock, too: here some count by a clock that is never
stepped, and none waits longer than a minute.
"""

import threading
import time
from types import SimpleNamespace
from typing import Any

from dagster._core.scheduler.instigation import InstigatorState
from dagster._daemon import daemon, sensor
from dagster._daemon.daemon import DaemonIterator, DagsterDaemon

_LONGEST_WAIT_SECONDS = 60.0  # as long as Dagster waits, for the next minute of a schedule
_by_the_clock = sensor.get_elapsed


def go_on_when_it_is_set_back() -> None:
    """Let sensors and daemons of this process go on, from now on."""
    sensor.get_elapsed = _elapsed
    daemon.time = SimpleNamespace(time=time.monotonic, sleep=time.sleep)  # type: ignore[attr-defined, assignment]


def without_long_waits(one: DagsterDaemon[Any]) -> DagsterDaemon[Any]:
    """Return a daemon that waits a minute at most, however long its loop would."""
    loop = one.core_loop

    def core_loop(
        workspace_process_context: Any, shutdown_event: threading.Event
    ) -> DaemonIterator:
        return loop(workspace_process_context, _ShortWaits(shutdown_event))

    one.core_loop = core_loop  # type: ignore[method-assign]
    return one


class _ShortWaits(threading.Event):
    """An event that is set when another is, and waited for a minute at most."""

    def __init__(self, event: threading.Event) -> None:
        super().__init__()
        self._event = event

    def is_set(self) -> bool:
        return self._event.is_set()

    def wait(self, timeout: float | None = None) -> bool:
        longest = _LONGEST_WAIT_SECONDS
        return self._event.wait(longest if timeout is None else min(timeout, longest))


def _elapsed(state: InstigatorState) -> float | None:
    seconds = _by_the_clock(state)
    return None if seconds is None or seconds < 0 else seconds
