"""Recompute the derived tables once an import or an undo has changed rows that they come from.

What is stored stays stored if that breaks: the table is recomputed with the next import, by the
sensor, or by whoever asks for it.
"""

from collections.abc import Mapping

import structlog

from csv_pipeline.engine.events import OnEvent, RecomputeBroke, TableRecomputed
from csv_pipeline.errors import SetupError
from csv_pipeline.spec.derived import DerivedTable
from csv_pipeline.spec.feed import Feed
from csv_pipeline.storage.database import Database
from csv_pipeline.storage.recompute import Recomputed
from csv_pipeline.storage.recompute import recompute as recompute_table

log = structlog.get_logger()


def derived_tables(feeds: Mapping[str, Feed]) -> dict[str, DerivedTable]:
    """Return the derived tables that the feeds declare, by name.

    Raises:
        SetupError: One is derived from a feed that is none of these.
    """
    tables = {table.name: table for feed in feeds.values() for table in feed.derived}
    for table in tables.values():
        if unknown := sorted(table.touched.keys() - feeds.keys()):
            raise SetupError(
                f"derived table {table.name!r}: feeds that are declared were needed to derive it "
                f"from; {', '.join(map(repr, unknown))} is none"
            )
    return tables


def recompute(
    database: Database,
    feeds: Mapping[str, Feed],
    derived: DerivedTable,
    account: str,
    *,
    everything: bool = False,
) -> Recomputed:
    """Recompute a derived table for an account, as far as its rows changed, or all of it."""
    sources = [feeds[feed] for feed in derived.touched]
    return recompute_table(database, derived, sources, account, everything=everything)


def recompute_touched(
    database: Database, feeds: Mapping[str, Feed], account: str, feed: str, on_event: OnEvent
) -> None:
    """Recompute all that comes from a feed, for an account, and tell what could not be."""
    for name, table in derived_tables(feeds).items():
        if feed not in table.touched:
            continue
        try:
            done = recompute(database, feeds, table, account)
        except Exception as error:  # noqa: BLE001  # whatever it is, what is stored stays stored
            log.warning("not recomputed", derived=name, account=account, because=str(error))
            on_event(RecomputeBroke(derived=name, account=account, error=error))
        else:
            on_event(TableRecomputed(recomputed=done))
