"""Let sensors tick on when the machine's clock is set back.

Dagster has a sensor wait until its interval is over since its last tick, by the clock: after a step
back by an hour no sensor would tick for an hour. A tick that is of the future says nothing, so such
a sensor ticks at each look, every five seconds, until the clock is there.
"""

from dagster._core.scheduler.instigation import InstigatorState
from dagster._daemon import sensor

_by_the_clock = sensor.get_elapsed


def tick_on_when_set_back() -> None:
    """Do so in this process from now on."""
    sensor.get_elapsed = _elapsed


def _elapsed(state: InstigatorState) -> float | None:
    seconds = _by_the_clock(state)
    return None if seconds is None or seconds < 0 else seconds
