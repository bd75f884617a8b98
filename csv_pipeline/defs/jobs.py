"""Jobs about one import: undo it, or write its rejected rows to a file. A form asks which."""

from collections.abc import Iterator

import dagster as dg
from pydantic import Field

from csv_pipeline.defs.derived import recompute_facts
from csv_pipeline.defs.keys import asset_key, derived_key
from csv_pipeline.defs.metadata import Metadata, undo_metadata
from csv_pipeline.defs.resource import Engine
from csv_pipeline.engine.events import (
    Event,
    RecomputeBroke,
    TableRecomputed,
    WorklistBroke,
    WorklistWritten,
)
from csv_pipeline.engine.import_requests import ACCOUNT, OUTCOME
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.errors import PipelineError, SetupError
from csv_pipeline.model import ImportReport
from csv_pipeline.storage import imports
from csv_pipeline.storage.recompute import Recomputed


class UndoConfig(dg.Config):
    """Which import to undo."""

    import_id: int = Field(description="The number of the import; of an undo, to have it undone.")
    dry_run: bool = Field(default=False, description="Say what would happen; change nothing.")


@dg.op(description="Take back all that one import wrote, in one transaction.")
def undo(
    context: dg.OpExecutionContext, config: UndoConfig, engine: dg.ResourceParam[Engine]
) -> Iterator[dg.AssetMaterialization | dg.Output[int]]:
    """Undo one import and show what became of its rows, here and on the feed's asset."""
    pipeline = engine.pipeline()
    pipeline.leases.work_on(context.run.run_id, whole=True)
    recomputed: list[Recomputed] = []
    worklists: list[WorklistWritten] = []

    def on_event(event: Event) -> None:
        match event:
            case TableRecomputed(recomputed=done):
                recomputed.append(done)
            case RecomputeBroke(derived=name, error=error):
                context.log.error("%s: not recomputed; %s", name, error)
            case WorklistWritten():
                worklists.append(event)
            case WorklistBroke(feed=name, error=error):
                context.log.error("%s: no worklist written; %s", name, error)

    try:
        report = pipeline.undo(config.import_id, dry_run=config.dry_run, on_event=on_event)
    except PipelineError as error:
        unforeseen = None if isinstance(error, SetupError) else error
        raise dg.Failure(str(error), allow_retries=False) from unforeseen
    facts = undo_metadata(report)
    done = "would be undone" if config.dry_run else f"is undone by import {report.import_id}"
    context.log.info("Import %s %s; what became of its rows is below.", config.import_id, done)
    told_in_short = f"import {config.import_id} {done}"
    context.instance.add_run_tags(
        context.run.run_id, {ACCOUNT: report.account, OUTCOME: told_in_short}
    )
    if not config.dry_run:
        yield from _after_undo(pipeline, report, told_in_short, facts)
    for its in recomputed:
        told = recompute_facts(pipeline, its)
        key = derived_key(pipeline.feeds.values(), its.derived)
        yield dg.AssetMaterialization(key, partition=its.account, metadata=told)
    for one in worklists:
        key = asset_key(pipeline.feed(one.feed), f"{one.feed}_worklist")
        yield dg.AssetMaterialization(key, partition=one.account, metadata=one.facts)
    yield dg.Output(report.import_id, metadata=facts)


def _after_undo(
    pipeline: Pipeline, report: ImportReport, description: str, facts: Metadata
) -> Iterator[dg.AssetMaterialization]:
    """Give the table as the undo left it, so that what is downstream follows."""
    lane = report.account, report.feed
    with pipeline.database.begin() as connection:
        rows = imports.rows_stored(connection, *lane)
    yield dg.AssetMaterialization(
        asset_key(pipeline.feed(report.feed), report.feed),
        description=description,
        partition=report.account,
        metadata={"dagster/partition_row_count": rows, **facts},
    )


@dg.job(
    description="Takes back what one import wrote: add the line `import_id: …`, with its number, "
    "below `dry_run` in the form."
)
def undo_import() -> None:
    """Undo one import."""
    undo()


class RejectsConfig(dg.Config):
    """Whose rejected rows to write."""

    import_id: int = Field(description="The number of the import.")


@dg.op(description="Write the open rejected rows of one import to a file, to be corrected.")
def rejects(
    context: dg.OpExecutionContext, config: RejectsConfig, engine: dg.ResourceParam[Engine]
) -> dg.Output[str]:
    """Write the rejected rows that none has repaired yet, and say where they are."""
    try:
        path = str(engine.pipeline().leave_rejects(config.import_id) or "")
    except PipelineError as error:
        raise dg.Failure(str(error), allow_retries=False) from None
    context.log.info("Rows to correct: %s", path or "none is open")
    return dg.Output(path, metadata={"to correct": path} if path else {})


@dg.job(description="Writes the rejected rows of the import `import_id: …` to a file, to correct.")
def export_rejects() -> None:
    """Write rejected rows."""
    rejects()
