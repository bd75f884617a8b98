"""Give ops, sensors and schedules the engine, opened when the first of them asks."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, Self

import dagster as dg
from pydantic import Field, PositiveFloat, PositiveInt, PrivateAttr

from csv_pipeline.engine.pipeline import Pipeline


class Engine(dg.ConfigurableResource[Any]):
    """Open the pipeline once a process.

    Opening inside the op, not when Dagster sets the resource up, lets the op's retry policy wait
    for a database that does not answer yet. An asset of your own takes it as `engine: Engine`.
    """

    files_per_run: PositiveInt | None = Field(
        default=None, description="Files that one run imports; else the setting's."
    )
    bytes_per_run: PositiveInt | None = Field(
        default=None, description="Bytes that one run imports; else the setting's."
    )
    runs_per_tick: PositiveInt | None = Field(
        default=None, description="Runs that a tick of the sensor requests; else the setting's."
    )
    tick_seconds: PositiveFloat | None = Field(
        default=None, description="Time that a tick of the sensor takes; else the setting's."
    )
    _opened: Callable[[], Pipeline] = PrivateAttr()

    def __init__(self, open_: Callable[[], Pipeline], **limits: Any) -> None:
        super().__init__(**limits)
        self._opened = cache(open_)

    def _with_updated_values(self, values: Mapping[str, Any] | None) -> Self:
        """Return what Dagster hands to a run, with its config; it shares the open pipeline."""
        told = {**self._limits(), **(values or {})}
        return type(self)(self._opened, **told)

    def pipeline(self) -> Pipeline:
        """Return the pipeline; the same each time."""
        pipeline, limits = self._opened(), self._limits()
        if not limits:
            return pipeline
        return replace(pipeline, settings=pipeline.settings.model_copy(update=limits))

    def _limits(self) -> dict[str, Any]:
        return {name: its for name in type(self).model_fields if (its := getattr(self, name))}
