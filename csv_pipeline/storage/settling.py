"""How a claimed import is entered as settled, and what that makes of its arrival."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from csv_pipeline.errors import LostClaimError
from csv_pipeline.model import (
    ArrivalStatus,
    Claim,
    ImportReport,
    Outcome,
)
from csv_pipeline.storage import imports, order, tables
from csv_pipeline.storage.claims import are_held, end_claim, keys_of


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a claimed arrival, and the fingerprint of its bytes, if they were read."""

    claim: Claim
    report: ImportReport
    fingerprint: str | None = None


def settle(
    connection: sa.Connection, settled: Sequence[Settled], max_failures: int | None = None
) -> None:
    """Write the entries of imports of one account and feed, and end their claims.

    Of a file that failed for the last time the arrival says that it is not tried any more.

    Raises:
        LostClaimError: One of the claims is no longer the current one.
    """
    stored = [one for one in settled if one.report.outcome is Outcome.IMPORTED]
    if stored:
        _end_stored(connection, [one.claim for one in stored])
    for one in settled:
        if one.report.outcome is not Outcome.IMPORTED:
            _end_others(connection, one, max_failures)
    imports.enter_reports(
        connection,
        [
            (
                one.report,
                {
                    "fingerprint": one.fingerprint,
                    "run_id": one.claim.run_id,
                    "position": _position(connection, one),
                },
            )
            for one in settled
        ],
    )
    order.forget_confirmed(connection, settled[0].claim)


def _position(connection: sa.Connection, one: Settled) -> int | None:
    """Return where an import counts among others: rejected rows count as their own file does."""
    if one.report.repairs is None:
        return one.claim.position
    return order.position_of(connection, one.report.repairs)


def _end_stored(connection: sa.Connection, claims: Sequence[Claim]) -> None:
    """End the claims of imports that stored their rows."""
    keys = keys_of(claims)
    ended = connection.execute(
        sa.update(tables.arrival)
        .where(are_held(keys))
        .values(
            status=ArrivalStatus.IMPORTED,
            lease_expires_at=None,
            worker=None,
            problem=None,
            failures=0,
            deaths=0,
            moved_at=None,
            again=False,
        )
    )
    if ended.rowcount != len(keys):
        raise LostClaimError(*keys[0])


def _end_others(connection: sa.Connection, one: Settled, max_failures: int | None) -> None:
    """End the claim of an import that stored no rows."""
    failures, problem = 0, one.report.problem
    if one.report.outcome is Outcome.FAILED:
        failures = 1 + _failures(connection, one.claim)
        if max_failures is not None and failures >= max_failures:
            problem = (
                f"{one.claim.name}: failed {failures} times, so it is no longer tried by itself; "
                f"name it, in a run's config or to csv-pipeline import, to try it again\n{problem}"
            )
    end_claim(
        connection,
        one.claim,
        status=ArrivalStatus(one.report.outcome.value),
        problem=problem,
        failures=failures,
        moved_at=None,
        again=False,
    )


def _failures(connection: sa.Connection, claim: Claim) -> int:
    table = tables.arrival
    query = sa.select(table.c.failures).where(table.c.arrival_id == claim.arrival_id)
    return connection.scalar(query) or 0
