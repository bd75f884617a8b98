"""A derived table, as Dagster sees it: an asset downstream of feeds' tables, account by account.

The run that imports files recomputes it as its last step. What changed otherwise, as by the command
line in a process that was killed, a sensor finds within a minute.
"""

from collections.abc import Collection, Mapping

import dagster as dg
from pydantic import Field

from csv_pipeline.account import account_slug
from csv_pipeline.defs.keys import asset_key, derived_key, tags_of
from csv_pipeline.defs.metadata import MOST_LINES, Metadata, derived_definition, derived_metadata
from csv_pipeline.defs.ops import PATIENCE, step
from csv_pipeline.defs.partitions import account_partitions
from csv_pipeline.defs.resource import Engine
from csv_pipeline.defs.sensors import busy_lanes, new_partitions
from csv_pipeline.engine.import_requests import JOB, lane_name
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.spec.derived import DerivedTable
from csv_pipeline.spec.feed import Feed
from csv_pipeline.storage.derived import contents
from csv_pipeline.storage.recompute import Recomputed, behind


class RecomputeConfig(dg.Config):
    """How much to recompute."""

    everything: bool = Field(
        default=False,
        description="All of the account, as after rows were changed by hand; else what imports "
        "and undos changed since the last time.",
    )


def derived_asset(
    table: DerivedTable, feed: Feed, feeds: Mapping[str, Feed]
) -> dg.AssetsDefinition:
    """Return the asset of a table that a feed declares; `feeds` are all, by name."""

    @dg.asset(
        key=asset_key(feed, table.name),
        deps=[asset_key(feeds[name], name) for name in table.touched],
        description=table.description,
        group_name=table.group or feed.group,
        kinds={"postgres", "sql"},
        owners=list(feed.catalog.owners),
        tags=tags_of(feed),
        metadata=derived_definition(table),
        partitions_def=account_partitions,
        retry_policy=PATIENCE,
    )
    def recompute(
        context: dg.AssetExecutionContext, config: RecomputeConfig, engine: dg.ResourceParam[Engine]
    ) -> dg.MaterializeResult[None]:
        with step(context.op_execution_context, engine) as pipeline:
            account = account_slug(context.partition_key)
            done = pipeline.recompute(table.name, account, everything=config.everything)
            return dg.MaterializeResult(metadata=recompute_facts(pipeline, done))

    return recompute


def recompute_facts(pipeline: Pipeline, done: Recomputed) -> Metadata:
    """Return what was recomputed, and what the table has of the account since."""
    table = pipeline.derived[done.derived]
    with pipeline.database.begin() as connection:
        return derived_metadata(table, done, contents(connection, table, done.account, MOST_LINES))


@dg.sensor(
    job_name=JOB,
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Asks for runs over derived tables that lack what was imported or undone.",
)
def derived_tables(
    context: dg.SensorEvaluationContext, engine: dg.ResourceParam[Engine]
) -> dg.SensorResult:
    """Request a run for each account of a table that is behind, once for each of its imports."""
    pipeline = engine.pipeline()
    requests = request_recomputes(pipeline, busy_lanes(context.instance))
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=None if requests else "Every derived table has what was imported.",
        dynamic_partitions_requests=new_partitions(pipeline, context.instance),
    )


def request_recomputes(
    pipeline: Pipeline, busy: Collection[str] = (), again: str = ""
) -> list[dg.RunRequest]:
    """Return requests for what is behind, but for lanes whose runs recompute it themselves.

    None is requested twice, unless `again` is another text.
    """
    tables = pipeline.derived
    with pipeline.database.begin() as connection:
        late = behind(connection, tables.values())
    return [
        dg.RunRequest(
            run_key=f"{name}/{account}/{turn}/{again}",
            partition_key=account,
            asset_selection=[derived_key(pipeline.feeds.values(), name)],
        )
        for name, account, turn in late
        if not any(lane_name(account, feed) in busy for feed in tables[name].touched)
    ]
