"""Whose files are taken first, and when: what accounts declare of all their files or of a feed."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from csv_pipeline.spec.cron import last_moment

_EVER = datetime.min.replace(tzinfo=UTC)


class Turns:
    """What is declared, by account and feed, at a moment; "" is any feed."""

    def __init__(
        self, declared: Mapping[tuple[str, str], Mapping[str, Any]], now: datetime
    ) -> None:
        self._declared, self._now = declared, now.replace(second=0, microsecond=0)

    def priority(self, account: str, feed: str) -> int:
        """Return how much sooner runs over files of a lane go than those of others; 0 is usual."""
        return int(self._of(account, feed, "priority") or 0)

    def is_held(self, account: str, feed: str, since: datetime) -> bool:
        """Return whether what came `since` waits for the moment at which files are taken."""
        held_from = self.held_from(account, feed)
        return held_from is not None and held_from < since

    def held_from(self, account: str, feed: str) -> datetime | None:
        """Return after which moment files came that wait for the next one; None if none wait."""
        cron = self._of(account, feed, "import_at")
        return (last_moment(cron, self._now) or _EVER) if cron else None

    def _of(self, account: str, feed: str, name: str) -> Any:
        of_feed, of_any = (self._declared.get((account, one), {}) for one in (feed, ""))
        return of_feed.get(name, of_any.get(name))


def turns_of(connection: sa.Connection, accounts: Collection[str]) -> Turns:
    """Return what accounts declare."""
    now = connection.execute(sa.select(sa.func.now())).scalar_one()
    rows = connection.execute(_DECLARED, {"accounts": list(accounts)})
    return Turns({(row.account, row.feed): row.facts for row in rows}, now)


_DECLARED = sa.text("""
SELECT account, feed, facts
FROM (
    SELECT DISTINCT ON (account, feed) account, feed, facts
    FROM csv_pipeline.declaration
    WHERE header = '' AND account = ANY (:accounts)
    ORDER BY account, feed, version DESC
) AS latest
WHERE facts ?| ARRAY['priority', 'import_at']
""")
