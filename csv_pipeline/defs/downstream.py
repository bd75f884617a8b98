"""What follows from a change of a table by a job: derived tables and worklists, as Dagster's."""

from collections.abc import Iterator
from logging import Logger

import dagster as dg

from csv_pipeline.defs.derived import recompute_facts
from csv_pipeline.defs.keys import asset_key, derived_key
from csv_pipeline.engine.events import (
    Event,
    RecomputeBroke,
    TableRecomputed,
    WorklistBroke,
    WorklistWritten,
)
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.storage.recompute import Recomputed


class Downstream:
    """Hears what was recomputed and written, and logs what could not be."""

    def __init__(self, log: Logger) -> None:
        self._log = log
        self._recomputed: dict[tuple[str, str], Recomputed] = {}
        self._worklists: dict[tuple[str, str], WorklistWritten] = {}

    def __call__(self, event: Event) -> None:
        """Hear an event; the last one of a table counts."""
        match event:
            case TableRecomputed(recomputed=done):
                self._recomputed[done.derived, done.account] = done
            case RecomputeBroke(derived=name, error=error):
                self._log.error("%s: not recomputed; %s", name, error)
            case WorklistWritten():
                self._worklists[event.feed, event.account] = event
            case WorklistBroke(feed=name, error=error):
                self._log.error("%s: no worklist written; %s", name, error)

    def materialisations(self, pipeline: Pipeline) -> Iterator[dg.AssetMaterialization]:
        """Give what was heard of."""
        for done in self._recomputed.values():
            key = derived_key(pipeline.feeds.values(), done.derived)
            facts = recompute_facts(pipeline, done)
            yield dg.AssetMaterialization(key, partition=done.account, metadata=facts)
        for one in self._worklists.values():
            key = asset_key(pipeline.feed(one.feed), f"{one.feed}_worklist")
            yield dg.AssetMaterialization(key, partition=one.account, metadata=one.facts)
