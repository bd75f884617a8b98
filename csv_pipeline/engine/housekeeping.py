"""Remove what is of no use any more: what workers left in the work area, and old messages."""

import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from csv_pipeline.engine import dry_runs
from csv_pipeline.engine.expired_uploads import remove_expired
from csv_pipeline.engine.result_files import leave_results
from csv_pipeline.engine.workspace import Workspace
from csv_pipeline.errors import UnknownImportError
from csv_pipeline.files.stores import CANNOT, store_of
from csv_pipeline.settings import Settings
from csv_pipeline.spec.feed import Feed
from csv_pipeline.storage import claims, idempotency, imports, rate_limits, webhooks
from csv_pipeline.storage.database import Database

_LEFT_SECONDS = 3_600.0  # after which no process reports on a settled import any more


def sweep(settings: Settings, database: Database, feeds: Mapping[str, Feed] | None = None) -> None:
    """Remove what workers left behind: untouched for long, and work directories not claimed.

    Old messages of the outbox, old keys, expired uploads and limits of requests that are paid for
    go, too. A dry run may have no claim; its work stays as long as its process lives. Where a
    worker was killed after its commit, the result file is put where it belongs first.
    """
    with database.begin() as connection:
        webhooks.prune_outbox(connection)
        idempotency.prune(connection)
        rate_limits.forget_paid(connection)
    remove_expired(settings, database)
    for left in settings.work_area.glob("[0-9]*-*"):
        if _is_left(left, settings):
            import_id, _, attempt = left.name.partition("-")
            with database.begin() as connection:
                held = claims.is_held(connection, int(import_id), int(attempt))
            with dry_runs.unless_kept(left) as free:
                if free and not held:
                    _leave_late_results(settings, database, left, int(import_id), feeds or {})
                    shutil.rmtree(left, ignore_errors=True)
    for left in settings.work_area.glob("tmp*"):
        if _is_left(left, settings):
            shutil.rmtree(left, ignore_errors=True)


def _is_left(path: Path, settings: Settings) -> bool:
    try:
        idle_seconds = time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return False
    return idle_seconds > max(settings.lease_seconds, _LEFT_SECONDS)


def _leave_late_results(
    settings: Settings, database: Database, work: Path, import_id: int, feeds: Mapping[str, Feed]
) -> None:
    with suppress(UnknownImportError, *CANNOT), database.begin() as connection:
        report = imports.report_of(connection, import_id)
        location = settings.results_file(report.account, report.feed, import_id)
        left = store_of(location).exists(location)
        if settings.result_files and report.feed in feeds and not left:
            leave_results(settings, Workspace(work), feeds[report.feed], report)
