"""Files of which rows are stored, in the order in which they arrived."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import distinct_on

from csv_pipeline.model import FoundFile, Outcome
from csv_pipeline.storage import tables

_arrival, _import = tables.arrival, tables.import_


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile(FoundFile):
    """A file, and the last import that stored rows of it: `feed_version` and what else it had."""

    arrival_id: int
    seen_at: datetime
    removed_at: datetime | None
    import_id: int
    feed_version: str | None
    settings_version: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """Of which accounts and feeds, or all; that arrived from `since` on, and before `until`."""

    accounts: Sequence[str] = ()
    feeds: Sequence[str] = ()
    since: datetime | None = None
    until: datetime | None = None


def stored_files(connection: sa.Connection, which: Which) -> list[StoredFile]:
    """Return files of which rows are stored, of each account and feed in their order.

    Imports that were undone do not count, and neither do corrected rows.
    """
    report = _import.c.report
    last = (
        sa.select(
            _import.c.arrival_id,
            _import.c.import_id,
            _import.c.position,
            report["feed_version"].astext.label("feed_version"),
            report["settings_version"].astext.cast(sa.Integer).label("settings_version"),
        )
        .where(
            _import.c.outcome == Outcome.IMPORTED,
            _import.c.undone_by_import_id.is_(None),
            _import.c.repairs_import_id.is_(None),
        )
        .ext(distinct_on(_import.c.arrival_id))
        .order_by(_import.c.arrival_id, _import.c.import_id.desc())
        .subquery("last")
    )
    of_arrival = (field.name for field in fields(StoredFile) if field.name not in _OF_IMPORT)
    query = (
        sa.select(
            *(_arrival.c[name] for name in of_arrival), *(last.c[name] for name in _OF_IMPORT)
        )
        .join(last, last.c.arrival_id == _arrival.c.arrival_id)
        .order_by(
            _arrival.c.account, _arrival.c.feed, last.c.position.nulls_first(), last.c.import_id
        )
    )
    if which.accounts:
        query = query.where(_arrival.c.account.in_(which.accounts))
    if which.feeds:
        query = query.where(_arrival.c.feed.in_(which.feeds))
    if which.since is not None:
        query = query.where(_arrival.c.seen_at >= which.since)
    if which.until is not None:
        query = query.where(_arrival.c.seen_at < which.until)
    return [StoredFile(**row._mapping) for row in connection.execute(query)]


_OF_IMPORT = ("import_id", "feed_version", "settings_version")
