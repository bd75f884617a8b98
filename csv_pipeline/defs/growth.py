"""Keep Dagster's own records from growing for ever: runs that ended long ago, and their events.

Ticks are removed by Dagster itself, see `retention` in dagster.yaml.
"""

import shutil
from pathlib import Path

import dagster as dg
from pydantic import Field

from csv_pipeline.defs.resource import Engine
from csv_pipeline.storage import dagster_records


class RetentionConfig(dg.Config):
    """Whether to remove anything."""

    dry_run: bool = Field(default=False, description="Say what would be removed; remove nothing.")


@dg.op(description="Remove runs that ended long ago, with their events and what they printed.")
def remove_runs(
    context: dg.OpExecutionContext, config: RetentionConfig, engine: dg.ResourceParam[Engine]
) -> dg.Output[int]:
    """Remove runs that are kept no longer; of each partition of an asset the newest run stays."""
    pipeline = engine.pipeline()
    days = pipeline.settings.keep_runs_days
    with pipeline.database.begin() as connection:
        found = [] if days is None else dagster_records.old_runs(connection, days)
    if not config.dry_run:
        for run_id in found:
            _remove(context.instance, run_id)
    done = "would be removed" if config.dry_run else "are removed"
    context.log.info("%s runs that ended more than %s days ago %s.", len(found), days, done)
    return dg.Output(len(found), metadata={"runs": len(found), "dry run": config.dry_run})


@dg.job(
    description="Removes runs that ended more than CSV_PIPELINE_KEEP_RUNS_DAYS ago with their "
    "events, save the newest of each partition; `dry_run` only counts them."
)
def retention() -> None:
    """Remove runs."""
    remove_runs()


nightly_retention = dg.ScheduleDefinition(
    name="nightly_retention",
    job=retention,
    cron_schedule="0 3 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Removes runs of Dagster that are kept no longer.",
)


def _remove(instance: dg.DagsterInstance, run_id: str) -> None:
    """Remove what a run left, and the run last of all: what is broken off is found again."""
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    shutil.rmtree(Path(instance.storage_directory()) / run_id, ignore_errors=True)
    instance.event_log_storage.delete_events(run_id)
    instance.delete_run(run_id)
