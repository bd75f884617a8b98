"""Let sensors tick on when the machine's clock is set back.

Dagster has a sensor wait until its interval is over since its last tick, by the clock: after a step
back by an hour no sensor would tick for an hour. A tick that is of the future says nothing here.
"""

from dagster._core.scheduler.instigation import InstigatorState
from dagster._daemon import sensor

_by_the_clock = sensor.get_elapsed


def ignore_ticks_of_the_future() -> None:
    """Let sensors of this process tick whose last tick is of the future, from now on."""
    sensor.get_elapsed = _elapsed


def _elapsed(state: InstigatorState) -> float | None:
    seconds = _by_the_clock(state)
    return None if seconds is None or seconds < 0 else seconds
