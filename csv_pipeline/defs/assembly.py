"""Join the definitions of all feeds with what they share: executor, engine, sensor, schedule."""

from collections.abc import Sequence

import dagster as dg

from csv_pipeline.defs.attention import attention_checks, needs_attention
from csv_pipeline.defs.derived import derived_asset, derived_tables
from csv_pipeline.defs.feed import feed_definitions, outside
from csv_pipeline.defs.growth import nightly_retention, retention
from csv_pipeline.defs.jobs import export_rejects, undo_import
from csv_pipeline.defs.keys import asset_keys
from csv_pipeline.defs.lineage import lineage_sensors
from csv_pipeline.defs.outside import outside_runs
from csv_pipeline.defs.reprocessing import reprocess_accounts
from csv_pipeline.defs.resource import Engine
from csv_pipeline.defs.schedules import nightly, schedules_of
from csv_pipeline.defs.sensors import landing
from csv_pipeline.defs.stalled import stalled_runs
from csv_pipeline.defs.uploads import check_upload
from csv_pipeline.defs.webhooks import webhook_messages
from csv_pipeline.defs.worklists import worklist_asset
from csv_pipeline.engine.fitting import prepare
from csv_pipeline.engine.import_requests import JOB
from csv_pipeline.spec.catalog import EAGER
from csv_pipeline.spec.feed import Feed


def assemble(feeds: Sequence[Feed], engine: Engine) -> dg.Definitions:
    """Return everything Dagster needs to import these feeds.

    All steps of a run share one process: a process each would take 2 seconds more a step.
    """
    prepare(feeds)
    job = dg.define_asset_job(
        JOB,
        selection=[key for feed in feeds for key in asset_keys(feed)],
        description="Imports files of one account.",
    )
    shared = dg.Definitions(
        jobs=[job, reprocess_accounts, undo_import, export_rejects, check_upload, retention],
        sensors=[
            *(landing, outside_runs, derived_tables, stalled_runs),
            *(needs_attention, webhook_messages),
            *_automation(feeds),
            *lineage_sensors(),
        ],
        schedules=[nightly, nightly_retention, *schedules_of(feeds)],
        asset_checks=attention_checks(feeds),
        resources={"engine": engine},
        executor=dg.in_process_executor,
    )
    named = {feed.name: feed for feed in feeds}
    derived = [derived_asset(table, feed, named) for feed in feeds for table in feed.derived]
    worklists = [worklist_asset(feed, feed.worklist) for feed in feeds if feed.worklist]
    tables = dg.Definitions(assets=[*outside(feeds), *derived, *worklists])
    return dg.Definitions.merge(shared, *map(feed_definitions, feeds), tables)


def _automation(feeds: Sequence[Feed]) -> list[dg.AutomationConditionSensorDefinition]:
    """Return the sensor that looks at what feeds declare as automation, if any does."""
    if not any(feed.catalog.automation == EAGER for feed in feeds):
        return []
    declared = dg.AutomationConditionSensorDefinition(
        "automation",
        target=dg.AssetSelection.all(),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Asks for runs when a feed's own automation says so.",
    )
    return [declared]
