"""Check an upload: do all but commit it, and store what a person needs to decide about it."""

import itertools
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import polars as pl
import sqlalchemy as sa

from csv_pipeline.engine.events import Event, ImportSettled, OnEvent
from csv_pipeline.engine.inspection import Inspection, inspect_file
from csv_pipeline.engine.mapping import mapping_of
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.engine.run import run
from csv_pipeline.engine.suggest import of_report
from csv_pipeline.engine.uploads import hold_to_state, path_of
from csv_pipeline.engine.views import import_facts
from csv_pipeline.errors import FileRefusedError, PipelineError, UnavailableError
from csv_pipeline.files.landing import found_file
from csv_pipeline.location import location_of
from csv_pipeline.model import FoundFile, ImportReport, Outcome, Reject
from csv_pipeline.rejects.faults import MASK
from csv_pipeline.spec.feed import Feed, as_declared
from csv_pipeline.spec.header import header_fingerprint
from csv_pipeline.storage import accounts, quarantine, uploads
from csv_pipeline.storage.uploads import Upload, UploadState

FIRST_ROWS = 20
FIRST_REJECTS = 10_000
_MEMBERS_LOOKED_AT = 20
_VALUES = 100
_NO_FEED = "no_feed"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checked:
    report: ImportReport
    rejects: tuple[Reject, ...]
    first_rows: pl.DataFrame
    members: tuple[FoundFile, ...]


def check(pipeline: Pipeline, upload_id: int, on_event: OnEvent) -> Upload:
    """Do everything for an upload but commit it, and store what would become of it.

    If nobody said of which feed it is, that is proposed from the file first.

    Raises:
        UploadStateError: It was not asked to be checked, or is not any more.
    """
    with pipeline.database.begin() as connection:
        upload = uploads.find(connection, upload_id)
    hold_to_state(upload, UploadState.CHECKING)
    facts: dict[str, Any] = {}
    feed = upload.feed
    if feed is None:
        facts["proposals"] = _proposals(pipeline, upload)
        feed = next((one["feed"] for one in facts["proposals"] if one["fits"]), None)
    if feed is None:
        problem = f"{upload.name}: a feed was needed, of which the file is; it fits none"
        facts |= {"importable": False, "problem": problem, "problem_code": _NO_FEED}
        return _store(pipeline, upload_id, facts, problem=problem, problem_code=_NO_FEED)
    found = found_file(location_of(path_of(pipeline, upload)), upload.account, feed)
    checked = _dry_run(pipeline, found, on_event)
    members = [_dry_run(pipeline, member, on_event) for member in checked.members]
    rejects = [*checked.rejects, *itertools.chain.from_iterable(one.rejects for one in members)]
    with pipeline.database.begin() as connection:
        facts |= _facts(connection, pipeline, upload_id, checked)
        facts["members"] = [_facts(connection, pipeline, upload_id, one) for one in members]
    if members:
        facts["importable"] = any(one["importable"] for one in facts["members"])
    if not facts["importable"] and "proposals" not in facts:
        facts["proposals"] = _proposals(pipeline, upload)
    return _store(
        pipeline,
        upload_id,
        facts,
        rejects=rejects,
        feed=feed,
        problem=checked.report.problem,
        problem_code=checked.report.problem_code,
    )


def check_failed(pipeline: Pipeline, upload_id: int, error: Exception, run_id: str) -> None:
    """Note that the check by a run broke off, so that nobody waits for it."""
    known = isinstance(error, PipelineError)
    said = str(error) if known else f"an error was not foreseen: {type(error).__name__}"
    with pipeline.database.begin() as connection:
        upload = uploads.find(connection, upload_id, lock=True)
        if upload.state is UploadState.CHECKING and upload.run_id in {None, run_id}:
            uploads.change(
                connection,
                upload_id,
                state=UploadState.FAILED,
                problem=said,
                problem_code=type(error).__name__,
            )


def end_lost(pipeline: Pipeline, over: Callable[[Collection[str]], Collection[str]]) -> None:
    """Note of checks whose run is over, as `over` tells of runs, that they broke off."""
    with pipeline.database.begin() as connection:
        going_on = uploads.checks(connection)
    lost = UnavailableError("the process that checked it was ended; have it checked again")
    for run_id in over(going_on) if going_on else ():
        check_failed(pipeline, going_on[run_id], lost, run_id)


def _store(
    pipeline: Pipeline,
    upload_id: int,
    report: dict[str, Any],
    *,
    rejects: list[Reject] | None = None,
    **facts: Any,
) -> Upload:
    """Store what a check told, unless the upload was canceled meanwhile."""
    with pipeline.database.begin() as connection:
        hold_to_state(uploads.find(connection, upload_id, lock=True), UploadState.CHECKING)
        uploads.store_rejects(connection, upload_id, rejects or [])
        return uploads.change(
            connection, upload_id, state=UploadState.CHECKED, report=report, **facts
        )


def _dry_run(pipeline: Pipeline, file: FoundFile, on_event: OnEvent) -> _Checked:
    told: list[ImportSettled] = []
    kept: list[tuple[tuple[Reject, ...], pl.DataFrame]] = []

    def listen(event: Event) -> None:
        on_event(event)
        if isinstance(event, ImportSettled):
            told.append(event)
            kept.append((tuple(event.first_rejects(FIRST_REJECTS)), event.first_rows(FIRST_ROWS)))

    claim = pipeline.claim_file(file, dry_run=True)
    assert claim is not None  # noqa: S101  # a dry run takes no claim from the ledger
    run(pipeline, [claim], listen)
    (rejects, rows), settled = kept[0], told[0]
    return _Checked(
        report=settled.report, rejects=rejects, first_rows=rows, members=settled.members
    )


def _facts(
    connection: sa.Connection, pipeline: Pipeline, upload_id: int, checked: _Checked
) -> dict[str, Any]:
    """Return what a person needs to decide: the facts, the mapping, the effect and the faults."""
    report = replace(checked.report, import_id=upload_id)
    feed = pipeline.feed(report.feed)
    declared = accounts.declared(connection, report.account, feed.name)
    account = declared.of(header_fingerprint(report.header, feed.name))
    uploads.store_rejects(connection, upload_id, checked.rejects)
    return import_facts(report) | {
        "importable": report.outcome not in {Outcome.REFUSED, Outcome.FAILED},
        "mapping": mapping_of(report, feed, account),
        "first_rows": [
            {name: _shown(value) for name, value in row.items()}
            for row in checked.first_rows.iter_rows(named=True)
        ],
        "values_at_fault": list(_values_at_fault(connection, upload_id, feed)),
        "suggestions": [asdict(one) for one in of_report(connection, pipeline, report)],
    }


def _shown(value: object) -> str | None:
    """Return a value in words; a flag as PostgreSQL and JSON write it."""
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


def _values_at_fault(
    connection: sa.Connection, upload_id: int, feed: Feed
) -> Iterator[dict[str, Any]]:
    protected = {column.name for column in feed.columns if column.protected or feed.confidential}
    for one in quarantine.values_at_fault(connection, upload_id, _VALUES):
        facts = asdict(one)
        yield facts | {"value": MASK} if one.column in protected else facts


def _proposals(pipeline: Pipeline, upload: Upload) -> list[dict[str, Any]]:
    """Return the feeds that the file may be of, the likeliest first, as the account reads them."""
    with pipeline.database.begin() as connection:
        feeds = [
            as_declared(feed, accounts.declared(connection, upload.account, feed.name).of())
            for feed in pipeline.feeds.values()
        ]
    path, settings = path_of(pipeline, upload), pipeline.settings
    try:
        found = inspect_file(path, settings, feeds)
        for member in found.members[:_MEMBERS_LOOKED_AT]:
            if any(one.fits for one in found.proposals):
                break
            found = inspect_file(path, settings, feeds, member=member.name)
    except FileRefusedError:
        return []  # the reason is told by whichever feed it is checked for
    return [_proposal(found, at) for at in range(len(found.proposals))]


def _proposal(found: Inspection, at: int) -> dict[str, Any]:
    one = found.proposals[at]
    names = len(found.text.header) if found.text else 0
    return {
        "feed": one.fit.feed,
        "fits": one.fits,
        "share": one.share,
        "missing": list(one.fit.missing),
        "because": f"knows {one.fit.known} of the {names} names in line {one.header_line}",
        "problem": one.problem,
    }
