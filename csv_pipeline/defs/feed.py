"""One feed, as Dagster sees it: a table and its rejects, made by the six ops, with their checks.

The graph is the same for all feeds. Feeds are declared in `csv_pipeline.feeds`; how a file is
imported in `csv_pipeline.stages`; neither belongs here.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from csv_pipeline.defs.checks import CHECKS, check_specs
from csv_pipeline.defs.keys import LANDING_AREA, asset_key, landing_key, tags_of
from csv_pipeline.defs.metadata import table_definition
from csv_pipeline.defs.ops import ImportConfig, claim, load, read, report, transform, validate
from csv_pipeline.defs.partitions import account_partitions
from csv_pipeline.spec.catalog import EAGER
from csv_pipeline.spec.feed import Feed

_CHOSEN = ImportConfig.to_config_schema()  # made once: it takes a third of the time of a feed


def feed_definitions(feed: Feed) -> dg.Definitions:
    """Return the assets, ops and checks of one feed; they need the resource `engine`."""

    @dg.graph_multi_asset(
        name=feed.name,
        ins={"files": dg.AssetIn(landing_key(feed), dagster_type=dg.Nothing)},
        outs={"table": _table(feed), "rejects": _rejects(feed)},
        partitions_def=account_partitions,
        group_name=feed.group,
        check_specs=check_specs(feed),
        config=_config(feed),
    )
    def path_of_the_files(files: Any) -> dict[str, Any]:
        outs = report(load(validate(transform(read(claim(files))))))
        table = asset_key(feed, feed.name).to_python_identifier()
        results = {f"{table}_{name}": getattr(outs, name) for name in CHECKS}
        return {"table": outs.table, "rejects": outs.rejects, **results}

    return dg.Definitions(assets=[path_of_the_files])


def _automation(feed: Feed) -> dg.AutomationCondition[Any] | None:
    """Return when Dagster asks for a run of its own accord.

    For a cron expression it does not: that would be a run of every account, also if nothing waits;
    see `csv_pipeline.defs.schedules`.
    """
    return dg.AutomationCondition.eager() if feed.catalog.automation == EAGER else None


def outside(feeds: Sequence[Feed]) -> list[dg.AssetSpec]:
    """Return what is before the pipeline: who writes files, and where they arrive, for each feed.

    Nothing here makes them; they show in the graph where rows come from.
    """
    written: dict[str, list[str]] = {}
    for feed in feeds:
        written.setdefault(feed.group, []).append(feed.name)
    sources = [
        dg.AssetSpec(
            _source_key(group),
            description=f"The systems and people who write the files of {', '.join(names)}.",
            group_name=group,
        )
        for group, names in written.items()
    ]
    area = dg.AssetSpec(
        LANDING_AREA,
        description="The folders and buckets in which files arrive, {account}/{feed}/name.csv.",
        group_name="landing",
        kinds={"file"},
    )
    return [*sources, area, *map(_landing, feeds)]


def _source_key(group: str) -> dg.AssetKey:
    return dg.AssetKey(f"{group}_source")


def _landing(feed: Feed) -> dg.AssetSpec:
    return dg.AssetSpec(
        landing_key(feed),
        deps=[_source_key(feed.group), LANDING_AREA],
        description=f"Files of {feed.name} as they arrive in the landing area, in the folder "
        f"{{account}}/{feed.name}. A complete file is imported within seconds.",
        group_name=feed.group,
        kinds={"csv", "file"},
        owners=list(feed.catalog.owners),
        tags=tags_of(feed),
    )


def _table(feed: Feed) -> dg.AssetOut:
    return dg.AssetOut(
        key=asset_key(feed, feed.name),
        description=feed.description,
        kinds={"postgres", "polars", "csv"},
        owners=list(feed.catalog.owners),
        tags=tags_of(feed),
        metadata=table_definition(feed),
        automation_condition=_automation(feed),
        is_required=False,
    )


def _rejects(feed: Feed) -> dg.AssetOut:
    return dg.AssetOut(
        key=asset_key(feed, f"{feed.name}_rejects"),
        description=f"Rows of {feed.name} files that broke a rule, each with every fault it has.",
        kinds={"postgres", "csv"},
        owners=list(feed.catalog.owners),
        tags=tags_of(feed),
        metadata={"table": "csv_pipeline.reject"},  # Dagster links assets of one table_name
        is_required=False,
    )


def _config(feed: Feed) -> dg.ConfigMapping:
    def for_claim(chosen: dict[str, Any]) -> dict[str, Any]:
        return {"claim": {"config": {"feed": feed.name, **chosen}}}

    return dg.ConfigMapping(for_claim, config_schema=_CHOSEN)
