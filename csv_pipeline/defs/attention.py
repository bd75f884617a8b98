"""Say in asset checks what needs a person, as the ledger has it: no run is needed for that.

What is of a feed shows at the feed's files, all else at the landing area. A check fails
until what it names is done with; neither another file nor a run without files makes it pass.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256

import dagster as dg

from csv_pipeline.defs.keys import LANDING_AREA, landing_key
from csv_pipeline.defs.metadata import Line, Metadata, in_short, table
from csv_pipeline.defs.resource import Engine
from csv_pipeline.engine.help import help_against
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.spec.feed import Feed
from csv_pipeline.storage import attention, overdue
from csv_pipeline.storage.attention import Need
from csv_pipeline.storage.overdue import Overdue

OF_A_FEED = {
    "files_accepted": "No refused or failed file waits for a person.",
    "rows_accepted": "No rejected row waits to be corrected.",
    "files_go_on": "No file waits for longer than it should.",
    "accounts_on_time": "No account is overdue.",
}
OF_NONE = {
    **{
        name: f"{promise} Here: of no feed, or not of one here."
        for name, promise in OF_A_FEED.items()
    },
    "files_in_place": "No file lies where no feed or account can be.",
    "stores_answer": "No store of a landing area is silent.",
    "feeds_usable": "No feed is left out because of what declares it, so that its files wait.",
}
_CHECK_OF = {
    "refused": "files_accepted",
    "failed": "files_accepted",
    attention.POISON: "files_accepted",
    "to correct": "rows_accepted",
    "waiting": "files_go_on",
    "misplaced": "files_in_place",
    attention.SILENT: "stores_answer",
    attention.BROKEN: "feeds_usable",
    overdue.KIND: "accounts_on_time",
}
"""Which check each state of a `Need` belongs to."""
_MOST = 100
_ANY_TIME = datetime.min.replace(tzinfo=UTC)
_WARN = dg.AssetCheckSeverity.WARN

Needs = Mapping[dg.AssetCheckKey, Sequence[Need]]


def attention_checks(feeds: Sequence[Feed]) -> list[dg.AssetChecksDefinition]:
    """Return the checks of the landing area and of each feed's files, for who wants them now."""
    return [_checks(LANDING_AREA, OF_NONE), *(_checks(landing_key(f), OF_A_FEED) for f in feeds)]


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Says in checks what needs a person, and notices overdue accounts for alerts.",
)
def needs_attention(
    context: dg.SensorEvaluationContext, engine: dg.ResourceParam[Engine]
) -> dg.SensorResult:
    """Put messages about accounts newly overdue into the outbox, and report checks that change."""
    pipeline = engine.pipeline()
    with pipeline.database.begin() as connection:
        missed = overdue.notice(connection)
    found = _needs(pipeline, missed)
    known = json.loads(context.cursor) if context.cursor else {}
    digests = {str(key): _digest(its) for key, its in found.items()}
    failing = sum(1 for its in found.values() if its)
    return dg.SensorResult(
        skip_reason=f"{failing} of {len(found)} checks name what needs a person.",
        asset_events=[
            dg.AssetCheckEvaluation(
                asset_key=key.asset_key,
                check_name=key.name,
                passed=not its,
                severity=_WARN,
                metadata=_facts(its),
            )
            for key, its in found.items()
            if known.get(str(key)) != digests[str(key)]
        ],
        cursor=json.dumps(digests),
    )


def _checks(asset: dg.AssetKey, checks: Mapping[str, str]) -> dg.AssetChecksDefinition:
    specs = [dg.AssetCheckSpec(name, asset=asset, description=checks[name]) for name in checks]

    @dg.multi_asset_check(name=f"{asset.path[-1]}_checks", specs=specs, can_subset=True)
    def look(
        context: dg.AssetCheckExecutionContext, engine: dg.ResourceParam[Engine]
    ) -> Iterator[dg.AssetCheckResult]:
        pipeline = engine.pipeline()
        with pipeline.database.begin() as connection:
            missed = overdue.find(connection)
        found = _needs(pipeline, missed)
        for key in context.selected_asset_check_keys:
            yield dg.AssetCheckResult(
                asset_key=key.asset_key,
                check_name=key.name,
                passed=not found[key],
                severity=_WARN,
                metadata=_facts(found[key]),
            )

    return look


def _needs(pipeline: Pipeline, missed: Sequence[Overdue]) -> Needs:
    """Return what needs a person now by the check that it belongs to; of most, nothing does."""
    most = pipeline.settings.max_failures
    with pipeline.database.begin() as connection:
        found = attention.by_feed(connection, pipeline.feeds, missed, _MOST, most)
        found[None] += attention.left_out(connection, pipeline.broken)
    of_check = dict[dg.AssetCheckKey, list[Need]]()
    for feed, needs in found.items():
        asset = LANDING_AREA if feed is None else landing_key(pipeline.feed(feed))
        for name in OF_NONE if feed is None else OF_A_FEED:
            of_check[dg.AssetCheckKey(asset, name)] = []
        for need in needs:
            # When a silent store is asked again changes at each attempt, and says nothing new.
            its = replace(need, next_attempt_at=None)
            of_check[dg.AssetCheckKey(asset, _CHECK_OF[need.state])] += [its]
    return of_check


def _digest(needs: Sequence[Need]) -> str:
    """Return what tells these from others, whenever they were seen."""
    found = [replace(one, at=_ANY_TIME) for one in needs]
    return sha256(repr(found).encode()).hexdigest()[:16]


def _facts(needs: Sequence[Need]) -> Metadata:
    lines: Iterator[Line] = (
        {
            "account": one.account,
            "file": one.name or one.feed or "",
            "import": (one.number if one.dismissible else None) or "",
            "state": one.state,
            "since (UTC)": f"{one.at:%Y-%m-%d %H:%M}",
            "problem": in_short(one.problem, one.name) or _rows(one),
            "what helps": help_against(one),
        }
        for one in needs
    )
    more = {"more": "csv-pipeline status"} if len(needs) >= _MOST else {}
    return {"needing": len(needs), **more, **table("what needs a person", lines)}


def _rows(need: Need) -> str:
    return f"rows not imported: {need.rows:,}{need.or_more}" if need.rows else ""
