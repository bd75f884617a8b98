"""Limits of requests, shared by all processes that serve them.

The generic cell rate algorithm (ITU-T I.371, as in "virtual scheduling"): of each key one moment is
kept, up to which its requests are paid for. A request pays for its share of the period; one that
would be paid for later than a whole period from now is too many. Where more than that is kept, the
database's clock was set back since, and nothing is owed.
"""

from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from csv_pipeline.storage.api_tables import rate_limit as table


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in a period; as many may come at once after a pause."""

    requests: int
    period: timedelta = timedelta(minutes=1)


def seconds_to_wait(connection: sa.Connection, key: str, rate: Rate) -> float:
    """Count a request and return 0; or return in how many seconds it may come again.

    The transaction does not wait for the disk: what a machine that breaks down forgets is a count.
    """
    share = rate.period / rate.requests
    facts = {"key": key, "share": share, "period": rate.period}
    if connection.execute(_PAY, facts).one_or_none() is not None:
        return 0.0
    return float(connection.scalar(_WAIT, facts) or 0.0)


def forget_paid(connection: sa.Connection) -> None:
    """Forget keys that nothing is owed for."""
    connection.execute(sa.delete(table).where(table.c.paid_until < sa.func.clock_timestamp()))


_OWED = """
    CASE WHEN kept.paid_until <= clock_timestamp() + CAST(:period AS interval)
        THEN greatest(kept.paid_until, clock_timestamp()) ELSE clock_timestamp() END
"""
_PAY = sa.text(f"""
    INSERT INTO csv_pipeline.rate_limit AS kept (key, paid_until)
    VALUES (:key, clock_timestamp() + :share)
    ON CONFLICT (key) DO UPDATE
        SET paid_until = {_OWED} + :share
        WHERE {_OWED} + :share <= clock_timestamp() + CAST(:period AS interval)
    RETURNING set_config('synchronous_commit', 'off', true)
""")  # noqa: S608
_WAIT = sa.text("""
    SELECT extract(epoch FROM
        paid_until + CAST(:share AS interval) - CAST(:period AS interval) - clock_timestamp())
    FROM csv_pipeline.rate_limit WHERE key = :key
""")
