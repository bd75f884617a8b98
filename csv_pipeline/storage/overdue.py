"""Overdue accounts: those that a file was to come from by now.

How often one is to come is declared, for an account or for its files of a feed; or else learnt for
a lane (account, feed) from a regular rhythm of its deliveries, which are files that came within an
hour. An account is overdue until a file comes, or until something else is declared. What is learnt
can be wrong in two ways: who stops for good after a regular start is missed until `never` is
declared, and who is late by less than the longest gap so far is not missed.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise, takewhile
from math import ceil
from statistics import median

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from csv_pipeline.account import Version
from csv_pipeline.storage import accounts, tables

NEVER = "never"
KIND = "overdue"
"""The kind of its messages in the outbox."""
_LEAST_DELIVERIES = 5
_SURE_AFTER = timedelta(days=14)  # by then a rhythm has had its weekends
_UNSURE = timedelta(days=3)
_MOST_DELIVERIES = 20
_SOONEST = min(_UNSURE, 2 * _SURE_AFTER / (_MOST_DELIVERIES - 1))
"""No rhythm makes a lane overdue sooner: the longest of its gaps is a nineteenth of their sum."""
_UNEVEN = 1.5
_UNITS = {"h": "hours", "d": "days"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """No file came `since`; one was to come until `due_at`, as the `evidence` says.

    It is about files of a `feed`, or of any if that is "". `came` is false if none ever did.
    """

    account: str
    feed: str
    since: datetime
    due_at: datetime
    evidence: str
    came: bool = True

    @property
    def problem(self) -> str:
        """Say it in a sentence."""
        came = f"no file since {self.since:%Y-%m-%d %H:%M %Z}" if self.came else "no file yet"
        return f"{came}; {self.evidence}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lane:
    """When files came from a lane last: the newest delivery first.

    If it is too new for the lane to be overdue by any rhythm, it stands alone.
    """

    account: str
    feed: str
    deliveries: Sequence[datetime]


def find(
    connection: sa.Connection, account: str | None = None, feed: str | None = None
) -> list[Overdue]:
    """Return which accounts, or whether one and its feed, are overdue now."""
    now = connection.execute(sa.select(sa.func.now())).scalar_one()
    facts = {"account": account, "most": _MOST_DELIVERIES, "soonest": _SOONEST}
    lanes = [_Lane(**row._mapping) for row in connection.execute(_LANES, facts)]
    of_account = defaultdict[str, list[_Lane]](list)
    for lane in lanes:
        of_account[lane.account].append(lane)
    said = [
        one
        for one in accounts.latest(connection, account)
        if one.facts.expected_every and not one.facts.header
    ]
    scopes = {(one.facts.account, one.facts.feed) for one in said}
    found = [
        *(
            one
            for version in said
            if (one := _declared(connection, version, of_account[version.facts.account]))
        ),
        *(
            one
            for lane in lanes
            if not scopes & {(lane.account, ""), (lane.account, lane.feed)}
            and (one := _learnt(lane))
        ),
    ]
    return [one for one in found if one.due_at < now and feed in {None, one.feed}]


def notice(connection: sa.Connection) -> list[Overdue]:
    """Put a message into the outbox for each account that was not overdue before; return all."""
    found, table = find(connection), tables.overdue
    key = (table.c.account, table.c.feed, table.c.since)
    known = {tuple(row) for row in connection.execute(sa.select(*key))}
    still = {(one.account, one.feed, one.since): one for one in found}
    if over := known - still.keys():
        connection.execute(sa.delete(table).where(sa.tuple_(*key).in_(over)))
    for one in (still[new] for new in still.keys() - known):
        entry = {"account": one.account, "feed": one.feed, "since": one.since}
        new = insert(table).values(entry).on_conflict_do_nothing().returning(table.c.account)
        if connection.execute(new).one_or_none() is not None:
            told = entry | {
                "feed": one.feed or None,
                "since": one.since.isoformat(),
                "due_at": one.due_at.isoformat(),
                "problem": one.problem,
            }
            connection.execute(sa.insert(tables.outbox).values(kind=KIND, payload=told))
    return found


def _declared(
    connection: sa.Connection, version: Version, lanes: Sequence[_Lane]
) -> Overdue | None:
    facts = version.facts
    every = facts.expected_every or NEVER
    if every == NEVER:
        return None
    of_feed = f" of feed {facts.feed!r}" if facts.feed else ""
    its = [lane for lane in lanes if facts.feed in {"", lane.feed}]
    came = [lane.deliveries[0] for lane in its if lane.deliveries]
    since = max(came, default=None) or _declared_at(connection, version)
    return Overdue(
        account=facts.account,
        feed=facts.feed,
        since=since,
        due_at=since + timedelta(**{_UNITS[every[-1]]: int(every[:-1])}),
        evidence=f"declared: a file{of_feed} every {every}",
        came=bool(came),
    )


def _declared_at(connection: sa.Connection, version: Version) -> datetime:
    """Return since when a scope declares that files come, however often."""
    facts = version.facts
    of_scope: Iterator[Version] = (
        one
        for one in accounts.history(connection, facts.account)
        if (one.facts.feed, one.facts.header) == (facts.feed, "")
    )
    said = takewhile(lambda one: one.facts.expected_every not in {None, NEVER}, of_scope)
    return min(one.declared_at for one in said)


def _learnt(lane: _Lane) -> Overdue | None:
    """Return when a lane is overdue, if its deliveries have a rhythm."""
    gaps = [later - earlier for later, earlier in pairwise(lane.deliveries)]
    if len(lane.deliveries) < _LEAST_DELIVERIES or not _is_regular(gaps):
        return None
    since, longest = lane.deliveries[0], max(gaps)
    margin = longest if sum(gaps, timedelta()) >= _SURE_AFTER else max(longest, _UNSURE)
    return Overdue(
        account=lane.account,
        feed=lane.feed,
        since=since,
        due_at=since + longest + margin,
        evidence=(
            f"learnt: of its last {len(lane.deliveries)} deliveries none came later than "
            f"{_in_words(longest)} after the one before"
        ),
    )


def _is_regular(gaps: Sequence[timedelta]) -> bool:
    """Return whether three in four gaps are not much longer than the middle one."""
    seconds = sorted(gap.total_seconds() for gap in gaps)
    return seconds[ceil(len(seconds) * 0.75) - 1] <= median(seconds) * _UNEVEN


def _in_words(gap: timedelta) -> str:
    hours = gap.total_seconds() / 3_600
    return f"{hours:.0f} hours" if hours < 48 else f"{hours / 24:.1f} days"


# Both walks go from one entry of an index to the next, so that they read no more than they give.
# Most lanes had a file of late: of these the newest delivery is all that is looked at.
_LANES = sa.text("""
WITH RECURSIVE lane AS (
    (
        SELECT account, feed FROM csv_pipeline.arrival
        WHERE status <> 'misplaced' AND (CAST(:account AS text) IS NULL OR account = :account)
        ORDER BY account, feed LIMIT 1
    )
    UNION ALL
    SELECT following.* FROM lane, LATERAL (
        SELECT account, feed FROM csv_pipeline.arrival
        WHERE status <> 'misplaced' AND (CAST(:account AS text) IS NULL OR account = :account)
            AND (account, feed) > (lane.account, lane.feed)
        ORDER BY account, feed LIMIT 1
    ) AS following
)
SELECT account, feed, ARRAY(
    WITH RECURSIVE delivery AS (
        SELECT max(seen_at) AS at, 1 AS number FROM csv_pipeline.arrival
        WHERE account = lane.account AND feed = lane.feed AND status <> 'misplaced'
        UNION ALL
        SELECT (
            SELECT max(seen_at) FROM csv_pipeline.arrival
            WHERE account = lane.account AND feed = lane.feed AND status <> 'misplaced'
                AND seen_at < delivery.at - interval '1 hour'
        ), number + 1
        FROM delivery WHERE at < now() - CAST(:soonest AS interval) AND number < :most
    )
    SELECT at FROM delivery WHERE at IS NOT NULL ORDER BY at DESC
) AS deliveries
FROM lane
""")
