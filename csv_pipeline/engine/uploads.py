"""Bring a file that somebody sends into the landing area, after a check if they want one.

An upload is written to the uploads area of this machine and goes into the landing area at once and
whole; from there on it is a file like any other. A check is a dry run of it before that.
"""

import shutil
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from csv_pipeline.account import account_slug
from csv_pipeline.engine.events import Event, ImportSettled, OnEvent
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.engine.run import run
from csv_pipeline.engine.views import import_facts
from csv_pipeline.errors import PipelineError, SetupError
from csv_pipeline.files.landing import found_file, is_ignored
from csv_pipeline.files.stores import written_to
from csv_pipeline.location import location_of, storable
from csv_pipeline.model import FoundFile, ImportReport, Outcome, Reject
from csv_pipeline.storage import accounts, arrivals, uploads
from csv_pipeline.storage.uploads import Upload, UploadState, UploadStateError

FIRST_ROWS = 20
FIRST_REJECTS = 10_000
_LONGEST_NAME = 200  # bytes; a file system takes 255, and names of results get longer


def begin(  # noqa: PLR0913  # all that is known of a file before its first byte
    pipeline: Pipeline,
    account: str,
    name: str,
    *,
    by: str,
    feed: str | None = None,
    size_bytes: int | None = None,
    check_first: bool = False,
) -> Upload:
    """Enter an upload; its bytes go to `path_of` it.

    Raises:
        InvalidAccountError: The account is not a slug.
        UnknownFeedError: There is no such feed.
        SetupError: No file can have this name.
    """
    account_slug(account)
    if feed is not None:
        pipeline.feed(feed)
    with pipeline.database.begin() as connection:
        accounts.add(connection, account)
        return uploads.begin(
            connection,
            account=account,
            feed=feed,
            name=file_name(name),
            size_bytes=size_bytes,
            check_first=check_first or feed is None,
            created_by=by,
            kept=timedelta(hours=pipeline.settings.upload_hours),
        )


def file_name(name: str) -> str:
    """Return a name that a file may have.

    Raises:
        SetupError: It leads elsewhere, would be ignored in the landing area, or cannot be written.
    """
    plain = name.strip()
    faults = {
        "one that is no path": not plain or "/" in plain or "\\" in plain or plain in {".", ".."},
        "one of printable signs": not plain.isprintable() or storable(plain) != plain,
        f"one of {_LONGEST_NAME} bytes": len(plain.encode(errors="replace")) > _LONGEST_NAME,
        "one that is not hidden or unfinished": is_ignored(plain),
    }
    for needed, is_so in faults.items():
        if is_so:
            raise SetupError(f"name {plain[:_LONGEST_NAME]!r}: {needed} was needed")
    return plain


def path_of(pipeline: Pipeline, upload: Upload) -> Path:
    """Return where the bytes of an upload are until it lies in the landing area."""
    return pipeline.settings.uploads_area / str(upload.upload_id) / upload.name


def place(pipeline: Pipeline, upload_id: int, *, feed: str | None = None) -> Upload:
    """Put an upload that is whole into the landing area and enter it into the ledger.

    Raises:
        UploadStateError: It is there already, was canceled, or is not whole.
        SetupError: Its feed is not known.
    """
    with pipeline.database.begin() as connection:
        upload = uploads.find(connection, upload_id, lock=True)
        hold_to_state(upload, UploadState.UPLOADING, UploadState.CHECKED, UploadState.FAILED)
        name = feed or upload.feed
        if name is None:
            raise SetupError(f"upload {upload_id}: a feed was needed, of which the file is")
        lane = pipeline.settings.landing_area / upload.account / pipeline.feed(name).name
        target = lane / f"upload-{upload_id}" / upload.name
        source = path_of(pipeline, upload)
        with written_to(target, pipeline.settings.work_area) as path:
            path.unlink(missing_ok=True)
            shutil.move(source, path)
        found = found_file(target, upload.account, name)
        arrival_id = arrivals.enter(connection, found, now=True)
        placed = uploads.change(
            connection,
            upload_id,
            feed=name,
            state=UploadState.ARRIVED,
            arrival_id=arrival_id,
            expires_at=None,
            run_id=None,
        )
    shutil.rmtree(source.parent, ignore_errors=True)
    return placed


def cancel(pipeline: Pipeline, upload_id: int) -> Upload:
    """Forget the bytes of an upload that does not lie in the landing area yet.

    Raises:
        UploadStateError: It lies there.
    """
    with pipeline.database.begin() as connection:
        upload = uploads.find(connection, upload_id, lock=True)
        if upload.state is UploadState.ARRIVED:
            raise UploadStateError(upload, "not in the landing area yet")
        uploads.store_rejects(connection, upload_id, [])
        canceled = uploads.change(
            connection, upload_id, state=UploadState.CANCELED, expires_at=None, report=None
        )
    shutil.rmtree(path_of(pipeline, upload).parent, ignore_errors=True)
    return canceled


def remove_expired(pipeline: Pipeline, limit: int = 100) -> int:
    """Cancel uploads that nobody went on with, and return how many those were."""
    with pipeline.database.begin() as connection:
        due = uploads.expired(connection, limit)
    for upload in due:
        cancel(pipeline, upload.upload_id)
    return len(due)


def hold_to_state(upload: Upload, *states: UploadState) -> None:
    """Let only an upload go on that is in one of these states.

    Raises:
        UploadStateError: It is in another one.
    """
    if upload.state not in states:
        raise UploadStateError(upload, " or ".join(states))


def check_failed(pipeline: Pipeline, upload_id: int, error: Exception) -> None:
    """Note that a check broke off, so that nobody waits for it."""
    known = isinstance(error, PipelineError)
    with pipeline.database.begin() as connection:
        upload = uploads.find(connection, upload_id, lock=True)
        if upload.state is UploadState.CHECKING:
            uploads.change(
                connection,
                upload_id,
                state=UploadState.FAILED,
                problem=str(error)
                if known
                else f"an error was not foreseen: {type(error).__name__}",
                problem_code=type(error).__name__,
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Checked:
    report: ImportReport
    rejects: tuple[Reject, ...]
    first_rows: pl.DataFrame
    members: tuple[FoundFile, ...]


def check(pipeline: Pipeline, upload_id: int, on_event: OnEvent) -> Upload:
    """Do everything for an upload but commit it, and store what would become of it.

    Raises:
        UploadStateError: It was not asked to be checked, or is not any more.
        SetupError: Its feed is not known.
    """
    with pipeline.database.begin() as connection:
        upload = uploads.find(connection, upload_id)
    hold_to_state(upload, UploadState.CHECKING)
    if upload.feed is None:
        raise SetupError(f"upload {upload_id}: a feed was needed, of which the file is")
    found = found_file(location_of(path_of(pipeline, upload)), upload.account, upload.feed)
    checked = _dry_run(pipeline, found, on_event)
    members = [_dry_run(pipeline, member, on_event) for member in checked.members]
    facts = _facts(checked) | {"members": [_facts(member) for member in members]}
    with pipeline.database.begin() as connection:
        uploads.store_rejects(connection, upload_id, checked.rejects)
        return uploads.change(
            connection,
            upload_id,
            state=UploadState.CHECKED,
            report=facts,
            problem=checked.report.problem,
            problem_code=checked.report.problem_code,
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


def _facts(checked: _Checked) -> dict[str, Any]:
    rows = checked.first_rows
    return import_facts(checked.report) | {
        "importable": checked.report.outcome not in {Outcome.REFUSED, Outcome.FAILED},
        "first_rows": [
            {name: None if value is None else str(value) for name, value in row.items()}
            for row in islice(rows.iter_rows(named=True), FIRST_ROWS)
        ],
    }
