"""Remove what the settings keep no longer, at night: see `csv_pipeline.engine.retention`.

Dagster's ticks are removed by Dagster itself, see `retention` in dagster.yaml.
"""

import shutil
from dataclasses import asdict
from pathlib import Path

import dagster as dg
from pydantic import Field

from csv_pipeline.defs.metadata import table
from csv_pipeline.defs.resource import Engine
from csv_pipeline.engine import retention as engine_retention

_SECONDS = 3_600.0


class RetentionConfig(dg.Config):
    """Whether to remove anything."""

    dry_run: bool = Field(default=False, description="Say what would be removed; remove nothing.")


@dg.op(description="Remove what is kept no longer, and say what that was.")
def remove_expired(
    context: dg.OpExecutionContext, config: RetentionConfig, engine: dg.ResourceParam[Engine]
) -> dg.Output[dict[str, int]]:
    """Remove it; of each partition of an asset the newest run of Dagster stays."""
    pipeline, instance = engine.pipeline(), context.instance
    pipeline.leases.work_on(context.run.run_id, whole=True)
    if config.dry_run:
        found = engine_retention.look(pipeline)
    else:
        found = engine_retention.apply(
            pipeline, _SECONDS, lambda run_id: remove_run(instance, run_id)
        )
    for one in found:
        if one.items:
            done = "would go" if config.dry_run else "went"
            context.log.info("%s: %s %s. %s", one.kind, f"{one.items:,}", done, one.then)
    counts = {one.kind: one.items for one in found}
    facts = {"dry run": config.dry_run, **counts}
    lines = (asdict(one) for one in found if one.items)
    return dg.Output(counts, metadata={**facts, **table("what went", lines)})


@dg.job(
    description="Removes what the settings keep no longer: histories, rejected rows, files, logs, "
    "and Dagster's runs with their events, save the newest of each partition; `dry_run` counts."
)
def retention() -> None:
    """Remove what is kept no longer."""
    remove_expired()


nightly_retention = dg.ScheduleDefinition(
    name="nightly_retention",
    job=retention,
    cron_schedule="0 3 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Removes what the settings keep no longer.",
)


def remove_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """Remove what a run left, and the run last of all: what is broken off is found again."""
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    shutil.rmtree(Path(instance.storage_directory()) / run_id, ignore_errors=True)
    instance.event_log_storage.delete_events(run_id)
    instance.delete_run(run_id)
