"""The one driver of imports: the order of the steps, and what happens when one of them breaks.

Whoever imports files calls it: the Dagster ops one step at a time, the command line all steps in
one call. A file that is refused has an outcome like any other. An unforeseen error becomes
the outcome of its file, and the others go on. A claim that is lost drops its file. Files of an
object store that does not answer, or does not let us in, wait: their claims are given back. A
database that does not answer stops the run; what is done stays done, and the claims run out.
"""

import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import polars as pl
import structlog

from csv_pipeline.batches import ROWS_DONE
from csv_pipeline.engine import silence
from csv_pipeline.engine.derive import recompute_touched
from csv_pipeline.engine.events import (
    ClaimLost,
    FileWaits,
    ImportSettled,
    OnEvent,
    RowsDone,
    StepBroke,
    StepDone,
    StepStarted,
    nobody,
    told,
)
from csv_pipeline.engine.findings import first_rows
from csv_pipeline.engine.group import Group
from csv_pipeline.engine.grouping import groups_of
from csv_pipeline.engine.importer import Import, imports_of, remove_work
from csv_pipeline.engine.loader import NotTogetherError
from csv_pipeline.engine.logs import about
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.engine.workspace import Progress, Stage
from csv_pipeline.errors import (
    FileRefusedError,
    LostClaimError,
    StoreDeniedError,
    StoreUnavailableError,
    UnavailableError,
)
from csv_pipeline.model import Claim, ImportReport, Outcome
from csv_pipeline.stages.load import RowRefusedError
from csv_pipeline.storage import claims as ledger

_TELL_SECONDS = 0.4
_Silence = StoreUnavailableError | StoreDeniedError
log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """The files that go on after a step, and those that do not.

    These are lost, or wait for their store, or their failure could not be recorded.
    """

    claims: tuple[Claim, ...]
    waiting: tuple[FileWaits, ...] = ()
    lost: tuple[LostClaimError, ...] = ()
    unrecorded: tuple[StepBroke, ...] = ()


def run(
    pipeline: Pipeline, claims: Sequence[Claim], on_event: OnEvent = nobody
) -> list[ImportReport]:
    """Import claimed files of one account and feed and return what became of each.

    Then what is derived from the feed is recomputed. An interrupt gives all claims back.

    Raises:
        DatabaseUnavailableError: The database does not answer; the claims run out and the files
            are picked up again.
        StoreUnavailableError, StoreDeniedError: All of the files wait for their store.
        LostClaimError: Other workers have all of the files by now.
        Exception: The ledger took neither the import of a file nor its failure.
    """
    tell = told(pipeline.consumers, on_event)
    reports: list[ImportReport] = []
    lost: list[LostClaimError | _Silence] = []
    try:
        with pipeline.leases.working_on(claims):
            going = imports_of(pipeline, claims)
            for stage in Stage:
                result = _advance_all(going, stage, tell)
                lost += (*result.lost, *(waits.error for waits in result.waiting))
                if result.unrecorded:
                    raise result.unrecorded[0].error
                on = {claim.import_id for claim in result.claims}
                going = [import_ for import_ in going if import_.claim.import_id in on]
            reports = [_settled(import_, tell) for import_ in going]
    finally:
        finish(pipeline, claims)
    if any(report.outcome is Outcome.IMPORTED for report in reports):
        lane = claims[0].account, claims[0].feed
        recompute_touched(pipeline.database, pipeline.feeds, *lane, tell)
    if lost and not reports:
        raise lost[0]
    return reports


def advance(
    pipeline: Pipeline, claims: Sequence[Claim], stage: Stage, on_event: OnEvent = nobody
) -> StepResult:
    """Do one step for files of one account and feed and return which of them go on.

    Raises:
        DatabaseUnavailableError: The database does not answer.
    """
    tell = told(pipeline.consumers, on_event)
    return _advance_all(imports_of(pipeline, claims), stage, tell)


def _advance_all(imports: Sequence[Import], stage: Stage, on_event: OnEvent) -> StepResult:
    on_event(StepStarted(stage=stage, files=len(imports)))
    going: list[Claim] = []
    lost: list[LostClaimError] = []
    waiting: list[FileWaits] = []
    unrecorded: list[StepBroke] = []
    silent: dict[str, _Silence] = {}
    for group in groups_of(imports, stage):
        for claim, done in _advance(group, stage, silent, on_event):
            match done:
                case Progress():
                    on_event(StepDone(progress=done))
                    going.append(claim)
                case LostClaimError():
                    on_event(ClaimLost(claim=claim, error=done))
                    lost.append(done)
                case FileWaits():
                    on_event(done)
                    waiting.append(done)
                case _:
                    on_event(done)
                    unrecorded.append(done)
    if imports:
        its = imports[0].pipeline
        came = {claim.lies_at for claim in going} if stage is Stage.ARRIVE else set()
        silence.note(its.database, its.settings, came, [one.error for one in waiting])
    return StepResult(
        claims=tuple(going), waiting=tuple(waiting), lost=tuple(lost), unrecorded=tuple(unrecorded)
    )


_Done = Progress | LostClaimError | FileWaits | StepBroke


def _advance(
    group: Group, stage: Stage, silent: dict[str, _Silence], on_event: OnEvent
) -> Iterator[tuple[Claim, _Done]]:
    """Do one step for files that go together, or for each alone where they cannot.

    Stores that are `silent` are asked for no further file.
    """
    try:
        with about(group.claims), _telling_rows(group.claims, stage, on_event):
            _ask_no_silent_store(group, silent)
            done = group.advance(stage)
    except (StoreUnavailableError, StoreDeniedError) as error:
        if isinstance(error, StoreUnavailableError) or error.of_all:
            silent.setdefault(error.store, error)
        for alone in group.apart() if len(group.claims) > 1 else ():
            yield from _advance(alone, stage, silent, on_event)
        if len(group.claims) == 1:
            yield group.claims[0], _waits(group, error)
    except UnavailableError:
        raise
    except Exception as error:  # noqa: BLE001  # the outermost edge: the other files go on
        if len(group.claims) > 1:
            with about(group.claims):
                _tell_apart(stage, error)
            for alone in group.apart():
                yield from _advance(alone, stage, silent, on_event)
        else:
            yield group.claims[0], _broke(group, stage, error, on_event)
    else:
        yield from zip(group.claims, done, strict=True)


def _ask_no_silent_store(group: Group, silent: dict[str, _Silence]) -> None:
    for import_ in group.imports:
        error = silent.get(import_.claim.lies_at.root)
        if error is not None and import_.workspace.stored is None:
            raise error


def _waits(group: Group, error: _Silence) -> FileWaits:
    """Give back the claim of a file whose store does not answer."""
    (import_,) = group.imports
    with import_.pipeline.database.begin() as connection:
        ledger.postpone(connection, import_.claim, str(error))
    import_.pipeline.leases.drop(import_.claim)
    import_.finish()
    return FileWaits(claim=import_.claim, error=error)


def _tell_apart(stage: Stage, error: Exception) -> None:
    because = type(error).__name__
    if isinstance(error, FileRefusedError | LostClaimError | NotTogetherError | RowRefusedError):
        log.info("files go one by one", stage=stage, because=because)
        return
    trace = "".join(traceback.format_tb(error.__traceback__))  # its words may quote values
    log.error("files go one by one", stage=stage, because=because, trace=trace)


def _broke(group: Group, stage: Stage, error: Exception, on_event: OnEvent) -> _Done:
    """Let the outcome of a file whose step broke be that it failed."""
    (import_,) = group.imports
    if isinstance(error, LostClaimError):
        return error
    try:
        import_.fail(error)
        (progress,) = group.advance(stage)
    except UnavailableError:
        raise
    except LostClaimError as lost:
        return lost
    except Exception as worse:  # noqa: BLE001  # the outermost edge
        return StepBroke(claim=import_.claim, stage=stage, error=worse, recorded=False)
    on_event(StepBroke(claim=import_.claim, stage=stage, error=error, recorded=True))
    return progress


@contextmanager
def _telling_rows(claims: tuple[Claim, ...], stage: Stage, on_event: OnEvent) -> Iterator[None]:
    """Send `RowsDone` while a step goes on; nothing is counted if nobody listens."""
    if on_event is nobody:
        yield
        return
    rows = size_bytes = 0
    over, lock = threading.Event(), threading.Lock()

    def done(batch: pl.DataFrame) -> None:
        nonlocal rows, size_bytes
        with lock:
            rows, size_bytes = rows + batch.height, size_bytes + int(batch.estimated_size())

    def tell() -> None:
        while not over.wait(_TELL_SECONDS):
            on_event(RowsDone(claims=claims, stage=stage, rows=rows, size_bytes=size_bytes))

    token = ROWS_DONE.set(done)
    teller = threading.Thread(target=tell, name="rows done", daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()
        ROWS_DONE.reset(token)


def settled(
    pipeline: Pipeline, claims: Sequence[Claim], on_event: OnEvent = nobody
) -> list[ImportReport]:
    """Return what became of files whose last step is done."""
    tell = told(pipeline.consumers, on_event)
    return [_settled(import_, tell) for import_ in imports_of(pipeline, claims)]


def _settled(import_: Import, on_event: OnEvent) -> ImportReport:
    if (report := import_.workspace.report) is None:
        Group([import_]).advance(Stage.LOAD)
        report = import_.workspace.report
    assert report is not None  # noqa: S101  # the load has settled it
    on_event(
        ImportSettled(
            report=report,
            first_rejects=import_.first_rejects,
            first_rows=partial(first_rows, import_.workspace.valid, import_.feed),
            members=import_.members,
        )
    )
    return report


def finish(pipeline: Pipeline, claims: Sequence[Claim]) -> None:
    """Remove the scratch files of imports that nobody works on any more."""
    for claim in claims:
        remove_work(pipeline.settings, claim)
