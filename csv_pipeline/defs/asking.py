"""When the watcher asks the sensor again, because files wait that no run was asked for yet.

Their lane has a run, or there are as many runs as may be. To answer, the sensor looks at the ledger
and at all runs, so that it is asked at once only if its last answer brought runs, or if a run has
ended since, which takes one query to see. Else it is asked every few seconds.
"""

import time
from collections.abc import Set as AbstractSet

import dagster as dg

from csv_pipeline.defs.sensors import UNFINISHED

_LOOK_SECONDS = 0.5
_ASK_SECONDS = 2.0


class Asking:
    """Whether files wait, and when the sensor is to be asked for them."""

    def __init__(self) -> None:
        self._more = False
        self._look_at = self._ask_at = 0.0
        self._going: AbstractSet[str] = frozenset()

    def asked(self, going: AbstractSet[str], *, more: bool, requested: bool) -> None:
        """Note that the sensor was asked: whether it has `more` files, and `requested` runs.

        What was `going` are the unfinished runs before that: one may have ended meanwhile.
        """
        now = time.monotonic()
        self._more, self._going = more, going
        self._look_at = now + _LOOK_SECONDS
        self._ask_at = now + (_LOOK_SECONDS if requested else _ASK_SECONDS)

    def is_time(self) -> bool:
        """Return whether to look if it is to be asked."""
        return self._more and time.monotonic() >= self._look_at

    def is_due(self, instance: dg.DagsterInstance) -> bool:
        """Return whether it is to be asked now."""
        now = time.monotonic()
        self._look_at = now + _LOOK_SECONDS
        return now >= self._ask_at or bool(self._going - unfinished(instance))


def unfinished(instance: dg.DagsterInstance) -> AbstractSet[str]:
    """Return the ids of the runs that have not ended."""
    return set(instance.get_run_ids(dg.RunsFilter(statuses=UNFINISHED)))
