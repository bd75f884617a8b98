"""A job for the API: check an upload, which is a dry run of a file that is not in its lane yet."""

import dagster as dg
from pydantic import Field

from csv_pipeline.defs.resource import Engine
from csv_pipeline.engine import upload_checks
from csv_pipeline.engine.live_progress import LiveProgress
from csv_pipeline.errors import PipelineError, UnavailableError


class CheckConfig(dg.Config):
    """Which upload to check."""

    upload_id: int = Field(description="The number of the upload.")


@dg.op(description="Do everything for an upload but commit it, and store what would become of it.")
def check(
    context: dg.OpExecutionContext, config: CheckConfig, engine: dg.ResourceParam[Engine]
) -> None:
    """Check one upload."""
    pipeline = engine.pipeline()
    pipeline.leases.work_on(context.run.run_id, whole=True)
    try:
        watched = LiveProgress(pipeline.database, of_upload=config.upload_id)
        upload_checks.check(pipeline, config.upload_id, watched)
    except PipelineError as error:
        upload_checks.check_failed(pipeline, config.upload_id, error, context.run.run_id)
        unforeseen = error if isinstance(error, UnavailableError) else None
        raise dg.Failure(str(error), allow_retries=False) from unforeseen
    except Exception as error:
        upload_checks.check_failed(pipeline, config.upload_id, error, context.run.run_id)
        raise


@dg.job(
    description="Shows what would become of the rows of an upload; the import page asks for it."
)
def check_upload() -> None:
    """Check one upload."""
    check()
