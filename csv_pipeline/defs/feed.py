"""One feed, as Dagster sees it: a table and its rejects, made by the six ops, with their checks.

The graph is the same for all feeds. Feeds are declared in `csv_pipeline.feeds`; how a file is
imported in `csv_pipeline.stages`; neither belongs here.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from csv_pipeline.defs.checks import CHECKS, check_specs
from csv_pipeline.defs.metadata import table_definition
from csv_pipeline.defs.ops import ImportConfig, claim, load, read, report, transform, validate
from csv_pipeline.defs.partitions import account_partitions
from csv_pipeline.engine.import_requests import asset_names, worklist_name
from csv_pipeline.spec.feed import Feed

OWNERS = ["team:imports"]
_CHOSEN = ImportConfig.to_config_schema()  # made once: it takes a third of the time of a feed


def feed_definitions(feed: Feed) -> dg.Definitions:
    """Return the assets, ops and checks of one feed; they need the resource `engine`."""

    @dg.graph_multi_asset(
        name=feed.name,
        ins={"files": dg.AssetIn(_landing_key(feed), dagster_type=dg.Nothing)},
        outs={"table": _table(feed), "rejects": _rejects(feed)},
        partitions_def=account_partitions,
        group_name=feed.group,
        check_specs=check_specs(feed),
        config=_config(feed),
    )
    def path_of_the_files(files: Any) -> dict[str, Any]:
        outs = report(load(validate(transform(read(claim(files))))))
        results = {f"{feed.name}_{name}": getattr(outs, name) for name in CHECKS}
        return {"table": outs.table, "rejects": outs.rejects, **results}

    return dg.Definitions(assets=[path_of_the_files])


def asset_keys(feed: Feed) -> list[dg.AssetKey]:
    """Return the keys of a feed's table, of its rejects and of what is derived from it."""
    return [dg.AssetKey(name) for name in asset_names(feed)]


def worklist_key(feed: Feed) -> dg.AssetKey:
    """Return the key of the list of a feed's work that remains."""
    return dg.AssetKey(worklist_name(feed))


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
    return [*sources, *map(_landing, feeds)]


def _source_key(group: str) -> dg.AssetKey:
    return dg.AssetKey(f"{group}_source")


def _landing_key(feed: Feed) -> dg.AssetKey:
    return dg.AssetKey(f"{feed.name}_files")


def _landing(feed: Feed) -> dg.AssetSpec:
    return dg.AssetSpec(
        _landing_key(feed),
        deps=[_source_key(feed.group)],
        description=f"Files of {feed.name} as they arrive in the landing area, in the folder "
        f"{{account}}/{feed.name}. A complete file is imported within seconds.",
        group_name=feed.group,
        kinds={"csv", "file"},
        owners=OWNERS,
        tags={"csv_pipeline/feed": feed.name},
    )


def _table(feed: Feed) -> dg.AssetOut:
    return dg.AssetOut(
        key=feed.name,
        description=feed.description,
        kinds={"postgres", "polars", "csv"},
        owners=OWNERS,
        tags={"csv_pipeline/feed": feed.name},
        metadata=table_definition(feed),
        is_required=False,
    )


def _rejects(feed: Feed) -> dg.AssetOut:
    return dg.AssetOut(
        key=f"{feed.name}_rejects",
        description=f"Rows of {feed.name} files that broke a rule, each with every fault it has.",
        kinds={"postgres", "csv"},
        owners=OWNERS,
        tags={"csv_pipeline/feed": feed.name},
        metadata={"table": "csv_pipeline.reject"},  # Dagster links assets of one table_name
        is_required=False,
    )


def _config(feed: Feed) -> dg.ConfigMapping:
    def for_claim(chosen: dict[str, Any]) -> dict[str, Any]:
        return {"claim": {"config": {"feed": feed.name, **chosen}}}

    return dg.ConfigMapping(for_claim, config_schema=_CHOSEN)
