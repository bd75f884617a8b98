"""Jobs about one import: undo it, or write its rejected rows to a file. A form asks which."""

from collections.abc import Iterator

import dagster as dg
from pydantic import Field

from csv_pipeline.defs.downstream import Downstream
from csv_pipeline.defs.metadata import undo_metadata
from csv_pipeline.defs.outcome import undone, undone_in_short
from csv_pipeline.defs.resource import Engine
from csv_pipeline.engine.import_requests import ACCOUNT, OUTCOME
from csv_pipeline.errors import PipelineError, SetupError


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
    downstream = Downstream(context.log)
    try:
        report = pipeline.undo(
            config.import_id, on_event=downstream, dry_run=config.dry_run, run_id=context.run.run_id
        )
    except PipelineError as error:
        unforeseen = None if isinstance(error, SetupError) else error
        raise dg.Failure(str(error), allow_retries=False) from unforeseen
    told = undone_in_short(report)
    context.log.info("%s; what became of its rows is below.", told.capitalize())
    context.instance.add_run_tags(context.run.run_id, {ACCOUNT: report.account, OUTCOME: told})
    for key, facts in ({} if config.dry_run else undone(pipeline, report)).items():
        yield dg.AssetMaterialization(
            key, description=told, partition=report.account, metadata=facts
        )
    yield from downstream.materialisations(pipeline)
    yield dg.Output(report.import_id, metadata=undo_metadata(report))


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
    pipeline = engine.pipeline()
    pipeline.leases.work_on(context.run.run_id, whole=True)
    try:
        path = str(pipeline.leave_rejects(config.import_id) or "")
    except PipelineError as error:
        raise dg.Failure(str(error), allow_retries=False) from None
    context.log.info("Rows to correct: %s", path or "none is open")
    return dg.Output(path, metadata={"to correct": path} if path else {})


@dg.job(description="Writes the rejected rows of the import `import_id: …` to a file, to correct.")
def export_rejects() -> None:
    """Write rejected rows."""
    rejects()
