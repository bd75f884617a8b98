"""The worklist of a feed, as Dagster sees it: a file downstream of the feed's table."""

import dagster as dg

from csv_pipeline.account import account_slug
from csv_pipeline.defs.keys import asset_key, tags_of
from csv_pipeline.defs.ops import PATIENCE, step
from csv_pipeline.defs.partitions import account_partitions
from csv_pipeline.defs.resource import Engine
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.worklist import Worklist


def worklist_asset(feed: Feed, worklist: Worklist) -> dg.AssetsDefinition:
    """Return the asset that the run which imports files writes as its last step."""

    @dg.asset(
        key=asset_key(feed, f"{feed.name}_worklist"),
        deps=[asset_key(feed, feed.name)],
        description=f"{worklist.description} Written after each import and undo of {feed.name}.",
        group_name=feed.group,
        kinds={"csv", "file"},
        owners=list(feed.catalog.owners),
        tags=tags_of(feed),
        partitions_def=account_partitions,
        retry_policy=PATIENCE,
    )
    def write(
        context: dg.AssetExecutionContext, engine: dg.ResourceParam[Engine]
    ) -> dg.MaterializeResult[None]:
        with step(context.op_execution_context, engine) as pipeline:
            written = pipeline.write_worklist(account_slug(context.partition_key), feed.name)
            facts = {name: fact for name, fact in written.facts().items() if fact is not None}
            return dg.MaterializeResult(metadata=facts)

    return write
