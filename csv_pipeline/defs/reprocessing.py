"""A job that imports stored files of accounts once more: a backfill over their partitions."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

import dagster as dg
from pydantic import Field

from csv_pipeline.account import account_slug
from csv_pipeline.defs.checks import is_blocking
from csv_pipeline.defs.downstream import Downstream
from csv_pipeline.defs.metadata import MOST_LINES, files_tag, table
from csv_pipeline.defs.ops import PATIENCE, step
from csv_pipeline.defs.outcome import imported, outcome_tag
from csv_pipeline.defs.partitions import account_partitions
from csv_pipeline.defs.resource import Engine
from csv_pipeline.engine.import_requests import ACCOUNT, FILES, OUTCOME
from csv_pipeline.engine.moments import end_of, moment_of
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.engine.reprocess import Chosen, choose, reprocess
from csv_pipeline.engine.worklist import rewrite_worklist
from csv_pipeline.errors import SetupError
from csv_pipeline.model import ImportReport
from csv_pipeline.storage.stored_files import Which


class ReprocessConfig(dg.Config):
    """Which stored files; without any of it, those that a changed feed or setting affects."""

    feeds: list[str] = Field(default=[], description="Only files of these feeds; none: of all.")
    since: str = Field(
        default="", description="Only files that arrived from then on: a date, a time, or `2d`."
    )
    until: str = Field(
        default="", description="Only files that arrived before its end: a date, a time, or `2d`."
    )
    changed: bool = Field(
        default=True,
        description="Only files whose feed or settings changed since, or may have; else all.",
    )
    dry_run: bool = Field(
        default=False, description="List the files that would be imported; import nothing."
    )


@dg.op(
    retry_policy=PATIENCE,
    description="Import stored files of the account once more, in the order they arrived.",
)
def import_once_more(
    context: dg.OpExecutionContext, config: ReprocessConfig, engine: dg.ResourceParam[Engine]
) -> Iterator[Any]:
    """Import them, show what became of them on the assets, and fail if any could not be."""
    account = account_slug(context.partition_key)
    downstream, reports, faults = Downstream(context.log), list[ImportReport](), list[str]()
    with step(context, engine) as pipeline:
        files = _chosen(pipeline, account, config)
        tags = {ACCOUNT: account, FILES: files_tag([one.file.name for one in files]) or "none"}
        context.instance.add_run_tags(context.run.run_id, tags)
        for done in reprocess(
            pipeline, [] if config.dry_run else files, downstream, context.run.run_id
        ):
            reports += done.reports
            faults += (f"{done.account}/{done.feed}: {fault}" for fault in done.faults)
        outcome = "dry run" if config.dry_run else outcome_tag(reports)
        context.instance.add_run_tags(context.run.run_id, {OUTCOME: outcome})
        events = list(_shown(pipeline, account, reports, downstream))
    yield from events
    facts = {"files": len(files), "imported": len(reports), "dry run": config.dry_run}
    yield dg.Output(len(reports), metadata={**facts, **table("first files", _lines(files))})
    if faults:
        for fault in faults:
            context.log.error("%s", fault)
        shown = "; ".join(faults[:MOST_LINES])
        raise dg.Failure(f"{len(faults)} faults: {shown}", allow_retries=False)


@dg.job(
    partitions_def=account_partitions,
    description="Imports stored files of accounts once more, where they arrived: those that a "
    "changed feed or setting affects, or as its config says. Rows of later files stay.",
)
def reprocess_accounts() -> None:
    """Reprocess."""
    import_once_more()


def _chosen(pipeline: Pipeline, account: str, config: ReprocessConfig) -> Sequence[Chosen]:
    which = Which(
        accounts=[account],
        feeds=config.feeds,
        since=_moment("since", config.since),
        until=_moment("until", config.until),
    )
    choice = choose(pipeline, which, changed=config.changed)
    if choice.unknown:
        raise SetupError("; ".join(choice.unknown))
    return choice.files


def _moment(name: str, text: str) -> datetime | None:
    try:
        return (moment_of if name == "since" else end_of)(text) if text else None
    except ValueError as error:
        raise SetupError(f"config {name!r}: {error}") from error


def _lines(files: Sequence[Chosen]) -> Iterator[dict[str, str | int]]:
    for one in files:
        yield {
            "feed": one.file.feed,
            "file": one.file.name,
            "import": one.file.import_id,
            "arrived": f"{one.file.seen_at:%Y-%m-%d %H:%M:%S}",
            "why": one.why or "asked for",
            "what hinders": one.fault or "",
        }


def _shown(
    pipeline: Pipeline, account: str, reports: Sequence[ImportReport], downstream: Downstream
) -> Iterator[dg.AssetMaterialization | dg.AssetCheckEvaluation]:
    """Give what the imports of each feed, which come together, did to its assets."""
    for name, of_feed in groupby(reports, lambda report: report.feed):
        feed = pipeline.feed(name)
        for result in imported(pipeline, account, feed, list(of_feed)):
            assert result.asset_key is not None  # noqa: S101  # ours all say what they are of
            yield dg.AssetMaterialization(
                result.asset_key,
                description="Imported once more.",
                partition=account,
                metadata=result.metadata,
            )
            yield from (_evaluation(check, account) for check in result.check_results or ())
        rewrite_worklist(pipeline.settings, pipeline.database, feed, account, downstream)
    yield from downstream.materialisations(pipeline)


def _evaluation(check: dg.AssetCheckResult, account: str) -> dg.AssetCheckEvaluation:
    assert check.asset_key is not None  # noqa: S101
    assert check.check_name is not None  # noqa: S101
    return dg.AssetCheckEvaluation(
        asset_key=check.asset_key,
        check_name=check.check_name,
        passed=check.passed,
        metadata=check.metadata,
        severity=check.severity,
        blocking=is_blocking(check.check_name),
        partition=account,
    )
