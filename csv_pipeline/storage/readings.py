"""How the columns of stored rows were read, so that none is stored twice by another reading.

Readings are kept with the definition of a target table. What a feed declares of columns that
nothing is stored of is taken over when the pipeline opens; so is all of a feed of an earlier
release. Another reading of a column by which rows are known keeps files from being imported, until
`changes` has settled it.
"""

from collections.abc import Iterable, Iterator

import sqlalchemy as sa

from csv_pipeline.account import Account
from csv_pipeline.errors import SetupError
from csv_pipeline.spec.contract import heading
from csv_pipeline.spec.feed import Feed, as_declared
from csv_pipeline.spec.names import EXTRA
from csv_pipeline.spec.readings import ChangedReading, Readings, readings_of
from csv_pipeline.storage import accounts, tables

_target = tables.target


def keep_up(connection: sa.Connection, feeds: Iterable[Feed]) -> None:
    """Take over what feeds declare of columns that nothing is stored of."""
    kept = {
        row.feed: row.readings and Readings.of_json(row.readings)
        for row in connection.execute(sa.select(_target.c.feed, _target.c.readings))
    }
    for feed in feeds:
        before, now = kept.get(feed.name), readings_of(feed)
        if before is None or not before.covers(now):
            _take_over(connection, feed)


def stored(connection: sa.Connection, feed: Feed, *, to_change: bool = False) -> Readings | None:
    """Return how stored rows of a feed were read, if it is known.

    Until the transaction ends nobody changes that, or knows it `to_change` it.
    """
    query = sa.select(_target.c.readings).where(_target.c.feed == feed.name)
    found = connection.scalar(query.with_for_update(read=not to_change))
    return None if found is None else Readings.of_json(found)


def changed(connection: sa.Connection, feed: Feed) -> list[ChangedReading]:
    """Return what a feed reads in another way than its stored rows were read."""
    before = stored(connection, feed)
    return [] if before is None else before.changed(feed, readings_of(feed))


def hold(connection: sa.Connection, feed: Feed) -> list[ChangedReading]:
    """Return what a feed reads in another way than before, where that stores no row twice.

    Raises:
        SetupError: Rows are known by such a column.
    """
    found = changed(connection, feed)
    for one in found:
        if one.identifies:
            raise SetupError(
                f"feed {feed.name!r}, {one.column}: the reading of the stored rows was needed, as "
                f"rows are known by it ({one.before}); the feed declares another ({one.now}), by "
                "which rows that come again would be stored a second time: see "
                f"`csv-pipeline feeds diff {feed.name}`"
            )
    return found


def settle(connection: sa.Connection, feed: Feed) -> None:
    """Keep what a feed declares as the reading of its rows, with that of columns it left out."""
    before, now = stored(connection, feed, to_change=True), readings_of(feed)
    known = before.columns if before else {}
    _keep(connection, feed, Readings({**known, **now.columns}, now.counted))


def _take_over(connection: sa.Connection, feed: Feed) -> None:
    before, now = stored(connection, feed, to_change=True), readings_of(feed)
    if before is None or not has_rows(connection, feed):
        _keep(connection, feed, now)
        return
    joined = before.joined(now)
    if before.counted != now.counted and not _identity_changed(connection, feed, before, now):
        joined = Readings(joined.columns, now.counted)
    if joined != before:
        _keep(connection, feed, joined)


def _identity_changed(
    connection: sa.Connection, feed: Feed, before: Readings, now: Readings
) -> bool:
    """Return whether rows without a key may be known by something else than before.

    A column without a value counts like one that is not there.
    """
    more = set(now.counted) - set(before.counted)
    if not set(before.counted) <= set(now.counted) or more & before.columns.keys():
        return True
    return any(more & columns.keys() for columns in columns_in_extra(connection, feed).values())


def columns_in_extra(connection: sa.Connection, feed: Feed) -> dict[str, dict[str, list[str]]]:
    """Return by account and column which names in `_extra` of stored rows are those of the column.

    They are by what the feed declares, and by the aliases that the account does.
    """
    query = " UNION ".join(
        f'SELECT account, jsonb_object_keys({EXTRA}) AS name FROM data."{table}"'  # noqa: S608
        for table in (feed.name, f"{feed.name}_history")
    )
    by_account: dict[str, list[str]] = {}
    for account, name in sorted(map(tuple, connection.exec_driver_sql(query))):
        by_account.setdefault(account, []).append(name)
    return {
        account: dict(_columns_named(feed, accounts.named(connection, account, feed.name), names))
        for account, names in by_account.items()
    }


def _columns_named(
    feed: Feed, account: Account, names: Iterable[str]
) -> Iterator[tuple[str, list[str]]]:
    for column in as_declared(feed, account).columns:
        mine = [name for name in names if heading(name) in column.headings]
        if mine and not column.derived and column.gathers is None:
            yield column.name, mine


def rows_with_extra(
    connection: sa.Connection, feed: str, account: str, titles: Iterable[str]
) -> dict[str, int]:
    """Return how many stored rows of an account have a cell in `_extra` under each of the titles.

    Case, spaces, punctuation and accents do not matter; a title of none is left out.
    """
    if connection.scalar(sa.select(sa.func.to_regclass(f'data."{feed}"'))) is None:
        return {}
    query = sa.text(
        f'SELECT cell.title, count(*) FROM data."{feed}" AS kept '  # noqa: S608
        f"CROSS JOIN jsonb_object_keys(kept.{EXTRA}) AS cell (title) "
        f"WHERE kept.account = :account AND kept.{EXTRA} ->> cell.title IS NOT NULL GROUP BY 1"
    )
    counts = connection.execute(query, {"account": account}).all()
    found = {
        title: sum(many for name, many in counts if heading(name) == heading(title))
        for title in titles
    }
    return {title: many for title, many in found.items() if many}


def has_rows(connection: sa.Connection, feed: Feed) -> bool:
    """Return whether a row of a feed is stored, or was."""
    tables_of = (feed.name, f"{feed.name}_history")
    some = " OR ".join(f'EXISTS (SELECT FROM data."{name}")' for name in tables_of)
    return bool(connection.exec_driver_sql(f"SELECT {some}").scalar())


def _keep(connection: sa.Connection, feed: Feed, readings: Readings) -> None:
    change = sa.update(_target).where(_target.c.feed == feed.name)
    connection.execute(change.values(readings=readings.as_json()))
