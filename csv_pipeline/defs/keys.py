"""What a feed's assets are called in Dagster, and whose they are."""

from collections.abc import Iterable

import dagster as dg

from csv_pipeline.engine.import_requests import asset_name, asset_names
from csv_pipeline.spec.feed import Feed

LANDING_AREA = dg.AssetKey("landing_area")
"""The key of where files of all feeds arrive."""


def asset_keys(feed: Feed) -> list[dg.AssetKey]:
    """Return the keys of a feed's table, of its rejects and of what is derived from it."""
    return [dg.AssetKey.from_user_string(name) for name in asset_names(feed)]


def asset_key(feed: Feed, name: str) -> dg.AssetKey:
    """Return the key of one of a feed's assets."""
    return dg.AssetKey.from_user_string(asset_name(feed, name))


def tags_of(feed: Feed) -> dict[str, str]:
    """Return the tags of each of a feed's assets."""
    return {**feed.catalog.tags, "csv_pipeline/feed": feed.name}


def derived_key(feeds: Iterable[Feed], table: str) -> dg.AssetKey:
    """Return the key of a table that one of these feeds declares as derived."""
    (feed,) = (one for one in feeds if table in {its.name for its in one.derived})
    return asset_key(feed, table)


def landing_key(feed: Feed) -> dg.AssetKey:
    """Return the key of a feed's files as they arrive, which no run makes."""
    return asset_key(feed, f"{feed.name}_files")
