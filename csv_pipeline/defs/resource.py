"""Give ops, sensors and schedules the engine, opened when the first of them asks."""

from collections.abc import Callable
from functools import cache

from csv_pipeline.engine.pipeline import Pipeline


class Engine:
    """Open the pipeline once a process.

    Opening inside the op, not when Dagster sets the resource up, lets the op's retry policy wait
    for a database that does not answer yet.
    """

    def __init__(self, open_: Callable[[], Pipeline]) -> None:
        self.pipeline = cache(open_)
