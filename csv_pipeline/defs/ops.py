"""The ops of every feed's graph, one a stage of the engine: claim, read, …, report.

Each op handles all files of its run and hands the batch on as JSON. A bad file never stops the
others: this is the outermost edge, so whatever goes wrong with one file is caught here, logged with
its traceback and recorded as that file's outcome. Files of an object store that does not answer
wait for another run. Only a database that does not answer stops the op; its retry policy waits and
tries again, and what is done for a file stays done.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import dagster as dg
from pydantic import Field

from csv_pipeline.account import account_slug
from csv_pipeline.defs.batch import Batch, arrivals_named, batch_from, first_batch, settled_reports
from csv_pipeline.defs.checks import CHECKS
from csv_pipeline.defs.keys import asset_key
from csv_pipeline.defs.metadata import MOST_LINES, files_tag, progress_metadata
from csv_pipeline.defs.outcome import imported, outcome_tag, table_facts, undone
from csv_pipeline.defs.resource import Engine
from csv_pipeline.engine import run
from csv_pipeline.engine.events import ClaimLost, Event, FileWaits, StepBroke, StepDone
from csv_pipeline.engine.import_requests import ACCOUNT, FILES, OUTCOME
from csv_pipeline.engine.importer import imports_of
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.engine.workspace import Progress, Stage
from csv_pipeline.errors import SetupError, UnavailableError
from csv_pipeline.model import Claim, ImportReport, Outcome
from csv_pipeline.storage import arrivals

PATIENCE = dg.RetryPolicy(
    max_retries=5, delay=1, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS
)
_BATCH = dg.Out(dict[str, Any], description="the files of this run, as JSON")
_OPTIONAL = dg.Out(dg.Nothing, is_required=False)
_IN_PROCESS = {dg.in_process_executor.name, "execute_in_process_executor"}


class ImportConfig(dg.Config):
    """What to import; without any of it, the first files that wait or failed, a run's worth."""

    files: list[str] = Field(
        default=[],
        description="Names or locations of files in the landing area; a file named here is tried "
        "again even if it was refused. No file and no arrival: the first files that wait or "
        "failed, as many as fit in one run.",
    )
    arrival_ids: list[int] = Field(
        default=[], description="The same by the numbers that the ledger gave the files."
    )
    dry_run: bool = Field(
        default=False, description="Do everything but commit, and show what would become of it."
    )
    again: bool = Field(
        default=False,
        description="Import the files named though they, or their bytes, were imported before: "
        "they count as the newest.",
    )
    max_missing: int | None = Field(
        default=None,
        ge=0,
        description="How many stored rows each of the files named may lack as a snapshot, whatever "
        "the feed allows.",
    )
    settled: list[int] = Field(
        default=[],
        description="Imports, or one undo, that are done, as by a command: show what became of "
        "them, and import nothing.",
    )


class ClaimConfig(ImportConfig):
    """The same, and of which feed."""

    feed: str


@dg.op(
    out=_BATCH,
    retry_policy=PATIENCE,
    ins={"files": dg.In(dg.Nothing, description="the landing area")},
    description="Take the right to import what waits, and bring each file to this machine.",
)
def claim(
    context: dg.OpExecutionContext, config: ClaimConfig, engine: dg.ResourceParam[Engine]
) -> dg.Output[dict[str, Any]]:
    """Claim the account's files of one feed and fetch them."""
    with step(context, engine) as pipeline:
        batch = _claim(context, config, pipeline)
        names = [claim.name for claim in batch.claims]
        names += [report.name for report in settled_reports(pipeline, batch)]
        _tag(context, {ACCOUNT: batch.account, FILES: files_tag(names) if names else "none"})
        if not names:
            context.log.info("Nothing to import for %s/%s.", batch.account, batch.feed)
        arrived = _advance_all(context, pipeline, batch, Stage.ARRIVE)
        if not batch.dry_run:
            return arrived
        batch = _with_members(pipeline, batch_from(arrived.value))
        return _advance_all(context, pipeline, batch, Stage.ARRIVE)


def _stage_op(stage: Stage, description: str) -> dg.OpDefinition:
    @dg.op(name=stage.value, out=_BATCH, retry_policy=PATIENCE, description=description)
    def advance(
        context: dg.OpExecutionContext, engine: dg.ResourceParam[Engine], batch: dict[str, Any]
    ) -> dg.Output[dict[str, Any]]:
        with step(context, engine) as pipeline:
            return _advance_all(context, pipeline, batch_from(batch), stage)

    return advance


read = _stage_op(Stage.READ, "Decide encoding and dialect; give every whole record as text.")
transform = _stage_op(Stage.TRANSFORM, "Name the columns as the feed does and type every value.")
validate = _stage_op(Stage.VALIDATE, "Hold every row to the feed's contract; find repeated keys.")
load = _stage_op(Stage.LOAD, "Commit rows, rejects and ledger entry together, file by file.")


@dg.op(
    out={"table": _OPTIONAL, "rejects": _OPTIONAL} | dict.fromkeys(CHECKS, _OPTIONAL),
    retry_policy=PATIENCE,
    description="Say what became of every row, in metadata and checks; remove the scratch files.",
)
def report(
    context: dg.OpExecutionContext, engine: dg.ResourceParam[Engine], batch: dict[str, Any]
) -> Iterator[Any]:
    """Report on all files of the run; only then fail it, if there is reason to."""
    with step(context, engine) as pipeline:
        told = batch_from(_advance_all(context, pipeline, batch_from(batch), Stage.REPORT).value)
        reports = run.settled(pipeline, told.claims) + settled_reports(pipeline, told)
        results = list(_results(pipeline, told, reports))
        _tag(context, {OUTCOME: outcome_tag(reports)})
    yield from results
    run.finish(pipeline, told.claims)
    if not told.dry_run:
        pipeline.remove_expired(told.account, told.feed)
    _fail_if_due(told, reports)


def _claim(context: dg.OpExecutionContext, config: ClaimConfig, pipeline: Pipeline) -> Batch:
    account = account_slug(context.partition_key)
    if config.settled:
        return Batch(account=account, feed=config.feed, claims=(), settled=tuple(config.settled))
    if config.files or config.arrival_ids:
        wanted = arrivals_named(pipeline, account, config.feed, config.files, config.arrival_ids)
    elif config.again:
        raise SetupError("config 'again': files or arrival_ids were needed; none is named")
    elif config.max_missing is not None:
        raise SetupError("config 'max_missing': files or arrival_ids were needed; none is named")
    else:
        wanted = first_batch(pipeline, account, config.feed, context.run.run_id)
    claims = pipeline.claim(
        account,
        config.feed,
        arrival_ids=wanted,
        run_id=context.run.run_id,
        dry_run=config.dry_run,
        again=config.again,
    )
    left = sorted(set(wanted) - {claim.arrival_id for claim in claims})
    if left and not config.dry_run:
        with pipeline.database.begin() as connection:  # as of one that is poison, taken alone
            arrivals.forget_request(connection, left)
    claims = [replace(claim, max_missing=config.max_missing) for claim in claims]
    return Batch(account=account, feed=config.feed, claims=tuple(claims), dry_run=config.dry_run)


def _with_members(pipeline: Pipeline, batch: Batch) -> Batch:
    """Return the batch with the files of each archive after it, as claims for a dry run.

    An import enters them as arrivals of their own instead, and they wait for the next run.
    """
    claims: list[Claim | None] = []
    for import_ in imports_of(pipeline, batch.claims):
        again = import_.claim.again
        members = (
            pipeline.claim_file(member, dry_run=True, again=again) for member in import_.members
        )
        allowed = import_.claim.max_missing
        claims.append(import_.claim)
        claims += [replace(its, max_missing=allowed) for its in members if its is not None]
    return replace(batch, claims=tuple(filter(None, claims)))


def _advance_all(
    context: dg.OpExecutionContext, pipeline: Pipeline, batch: Batch, stage: Stage
) -> dg.Output[dict[str, Any]]:
    """Do one stage for every file and return the files that go on."""
    done: list[Progress] = []

    def on_event(event: Event) -> None:
        match event:
            case StepDone(progress=progress):
                done.append(progress)
            case ClaimLost(claim=claim, error=error):
                context.log.warning("%s: dropped; %s", claim.name, error)
            case FileWaits(claim=claim, error=error):
                context.log.warning("%s: it waits and is tried again; %s", claim.name, error)
            case StepBroke(claim=claim, error=error, recorded=recorded):
                but = "" if recorded else " and cannot be recorded"
                context.log.error("%s: %s failed%s", claim.name, stage, but, exc_info=error)

    result = run.advance(pipeline, batch.claims, stage, on_event)
    left = replace(
        batch,
        claims=result.claims,
        waiting=(*batch.waiting, *(f"{one.claim.name}: {one.error}" for one in result.waiting)),
        unrecorded=(*batch.unrecorded, *(broke.claim.name for broke in result.unrecorded)),
    )
    return dg.Output(left.to_json(), metadata=progress_metadata(done))


def _results(pipeline: Pipeline, batch: Batch, reports: list[ImportReport]) -> Iterator[Any]:
    """Give the materialisations and checks; a dry run, which changes nothing, is an observation.

    A run without files leaves all that is shown of earlier ones, and so does an undo the checks.
    """
    feed = pipeline.feed(batch.feed)
    if batch.dry_run:
        yield dg.AssetObservation(
            asset_key(feed, feed.name),
            description="Dry run: nothing of it is stored.",
            partition=batch.account,
            metadata={"dry run": True, **table_facts(pipeline, batch.account, feed, reports)},
        )
        yield from (dg.Output(None, check) for check in CHECKS)
    elif reports and reports[0].outcome is not Outcome.UNDO:
        yield from imported(pipeline, batch.account, feed, reports)
    else:
        for key, facts in (undone(pipeline, reports[0]) if reports else {}).items():
            yield dg.MaterializeResult(asset_key=key, metadata=facts)
        yield from (dg.Output(None, check) for check in CHECKS)


def _tag(context: dg.OpExecutionContext, tags: Mapping[str, str]) -> None:
    """Say on the run what it does: the list of runs shows neither its config nor its results."""
    context.instance.add_run_tags(context.run.run_id, tags)


def _fail_if_due(batch: Batch, reports: list[ImportReport]) -> None:
    """Fail the run if every file failed or waits, or if a failure is unknown to the ledger."""
    failed = [report.name for report in reports if report.outcome is Outcome.FAILED]
    if failed and len(failed) == len(reports):
        names = ", ".join(failed[:MOST_LINES])
        raise dg.Failure(f"every file failed: {names}", allow_retries=False)
    if batch.waiting and not reports:
        raise dg.Failure(f"every file waits: {batch.waiting[0]}", allow_retries=False)
    if batch.unrecorded:
        names = ", ".join(batch.unrecorded[:MOST_LINES])
        raise dg.Failure(f"failed and could not be recorded: {names}", allow_retries=False)


@contextmanager
def step(context: dg.OpExecutionContext, engine: Engine) -> Iterator[Pipeline]:
    """Give the pipeline to do one step of a run with, and leave the run's claims to the next step.

    It is let known which process works on the run; see `csv_pipeline.defs.stalled`. Where each step
    has a process of its own, this one ends, and holds nothing from here on.

    The retry policy sees only a database that does not answer; every other error would come again.
    After its last attempt the files wait for another run.
    Dagster retries a step that was interrupted too, if it has a policy: a run that somebody
    terminates would go on.
    """
    one_process = context.job_def.executor_def.name in _IN_PROCESS
    leases = None
    try:
        pipeline = engine.pipeline()
        leases = pipeline.leases
        leases.work_on(context.run.run_id, whole=one_process)
        yield pipeline
        if not one_process:
            leases.hand_over()
    except UnavailableError:
        if leases is not None and context.retry_number >= PATIENCE.max_retries:
            leases.give_all_back()  # if the database answers by now; else the leases run out
        raise
    except SetupError as error:  # a person has to correct it, and no traceback helps with that
        raise dg.Failure(str(error), allow_retries=False) from None
    except (dg.DagsterExecutionInterruptedError, KeyboardInterrupt):
        if leases is not None:
            leases.give_all_back()
        # Where it was at that moment helps nobody.
        raise dg.Failure("the run was told to end", allow_retries=False) from None
    except Exception as error:  # Dagster records it with its traceback
        raise dg.Failure(str(error), allow_retries=False) from error
