"""Notice overdue accounts every minute, and say so in a check of the files of each feed.

The check is of the ledger, not of a run: what is overdue has no run. The sensor reports it whenever
it changes; a person may evaluate it at any time.
"""

import json
from collections.abc import Iterator, Sequence

import dagster as dg

from csv_pipeline.defs.keys import landing_key
from csv_pipeline.defs.metadata import Line, Metadata, table
from csv_pipeline.defs.resource import Engine
from csv_pipeline.spec.feed import Feed
from csv_pipeline.storage import overdue
from csv_pipeline.storage.overdue import Overdue

CHECK = "accounts_on_time"
_WARN = dg.AssetCheckSeverity.WARN


def overdue_check(feed: Feed) -> dg.AssetChecksDefinition:
    """Return the check that no account is overdue with files of a feed."""

    @dg.asset_check(
        asset=landing_key(feed),
        name=CHECK,
        description="No account is overdue with files of this feed.",
    )
    def accounts_on_time(engine: dg.ResourceParam[Engine]) -> dg.AssetCheckResult:
        with engine.pipeline().database.begin() as connection:
            late = _late(feed, overdue.find(connection))
        return dg.AssetCheckResult(passed=not late, severity=_WARN, metadata=_facts(late))

    return accounts_on_time


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Notices overdue accounts, for alerts, webhooks and the checks of tables.",
)
def overdue_accounts(
    context: dg.SensorEvaluationContext, engine: dg.ResourceParam[Engine]
) -> dg.SensorResult:
    """Put messages about accounts newly overdue into the outbox, and report checks that change."""
    pipeline = engine.pipeline()
    with pipeline.database.begin() as connection:
        found = overdue.notice(connection)
    late = {name: _late(feed, found) for name, feed in pipeline.feeds.items()}
    now = {name: [f"{one.account} {one.since}" for one in its] for name, its in late.items()}
    told = json.loads(context.cursor) if context.cursor else {}
    return dg.SensorResult(
        skip_reason=f"{len(found)} accounts are overdue.",
        asset_events=[
            _evaluation(pipeline.feeds[name], its)
            for name, its in late.items()
            if told.get(name) != now[name]
        ],
        cursor=json.dumps(now),
    )


def _late(feed: Feed, found: Sequence[Overdue]) -> list[Overdue]:
    return [one for one in found if feed.name in one.feeds]


def _evaluation(feed: Feed, late: Sequence[Overdue]) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=landing_key(feed),
        check_name=CHECK,
        passed=not late,
        severity=_WARN,
        metadata=_facts(late),
    )


def _facts(late: Sequence[Overdue]) -> Metadata:
    lines: Iterator[Line] = (
        {"account": one.account, "due (UTC)": f"{one.due_at:%Y-%m-%d %H:%M}", "why": one.problem}
        for one in late
    )
    return {"accounts": len(late), **table("overdue", lines)}
