"""Remove what is kept no longer, kind by kind: the same for the command, the job and a dry run.

Each kind has its own setting. The ledger itself (`arrival`, `import`), rows of feeds and what an
import needs to happen exactly once are kept for ever.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import sqlalchemy as sa

from csv_pipeline.engine import expired_files
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.storage import dagster_records, expiry, undo_records
from csv_pipeline.storage.expiry import Amount

_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Going:
    """What goes of one kind, by a setting: rows, files or runs, and their bytes.

    `then` says what cannot be done any more once it is gone.
    """

    kind: str
    setting: str
    items: int
    size_bytes: int
    then: str = ""


def look(pipeline: Pipeline) -> list[Going]:
    """Return what is kept no longer; nothing is removed."""
    with pipeline.database.begin() as connection:
        return list(_look(connection, pipeline))


def apply(
    pipeline: Pipeline, seconds: float, remove_run: Callable[[str], None] | None
) -> list[Going]:
    """Remove what is kept no longer and return what went.

    After so many seconds no further run or file is removed. `remove_run` removes a run of Dagster;
    without it runs stay.
    """
    deadline, settings = time.monotonic() + seconds, pipeline.settings
    before = look(pipeline)
    if settings.history_days is not None:
        feeds = pipeline.feeds.values()
        undo_records.prune_history(pipeline.database, feeds, settings.history_days)
    if settings.keep_rejects_days is not None:
        _remove_rejects(pipeline, settings.keep_rejects_days)
    for table, days in _logs(pipeline).items():
        if days is not None:
            with pipeline.database.begin() as connection:
                expiry.remove_entries(connection, table, days)
    if settings.keep_runs_days is not None and remove_run is not None:
        with pipeline.database.begin() as connection:
            run_ids = dagster_records.old_runs(connection, settings.keep_runs_days)
            dagster_records.forget_checks(connection, settings.keep_runs_days)
        for run_id in run_ids:
            if time.monotonic() < deadline:
                remove_run(run_id)
    left = max(0.0, deadline - time.monotonic())
    expired_files.remove_all_expired(pipeline.database, settings, left)
    return [_went(was, now) for was, now in zip(before, look(pipeline), strict=True)]


def _look(connection: sa.Connection, pipeline: Pipeline) -> Iterator[Going]:
    settings = pipeline.settings
    history = rejects = runs = Amount()
    if settings.history_days is not None:
        history = expiry.old_history(connection, pipeline.feeds, settings.history_days)
    yield _going("history", "history_days", history, "undo")
    if settings.keep_rejects_days is not None:
        rejects = expiry.old_rejects(connection, settings.keep_rejects_days)
    kept = "replay of rejected rows, undo of what repaired them"
    yield _going("rejected rows", "keep_rejects_days", rejects, kept)
    for table, days in _logs(pipeline).items():
        entries = Amount() if days is None else expiry.old_entries(connection, table, days)
        yield _going(*_NAMES[table], entries)
    if settings.keep_runs_days is not None:
        runs = expiry.old_runs(connection, settings.keep_runs_days)
    yield _going("runs of Dagster", "keep_runs_days", runs)
    for name, amount in expired_files.expired(connection, settings).items():
        once_more = "import once more" if name in {"archive", "refused"} else ""
        yield _going(f"files in {name}", "keep_days", amount, once_more)


_NAMES = {
    "file_move": ("moves of files", "keep_moves_days"),
    "audit": ("audit log", "keep_audit_days"),
}


def _logs(pipeline: Pipeline) -> dict[str, int | None]:
    return {table: getattr(pipeline.settings, setting) for table, (_, setting) in _NAMES.items()}


def _going(kind: str, setting: str, amount: Amount, no_more: str = "") -> Going:
    then = ""
    if no_more and amount.import_ids:
        numbers = ", ".join(map(str, amount.import_ids[:_SHOWN]))
        more = len(amount.import_ids) - _SHOWN
        then = f"no {no_more}: import {numbers}" + (f" and {more:,} more" if more > 0 else "")
    items, size_bytes = amount.items, amount.size_bytes
    return Going(kind=kind, setting=setting, items=items, size_bytes=size_bytes, then=then)


def _went(was: Going, now: Going) -> Going:
    """Return what went between two looks; something may have grown old in between."""
    items = max(0, was.items - now.items)
    return replace(was, items=items, size_bytes=max(0, was.size_bytes - now.size_bytes))


def _remove_rejects(pipeline: Pipeline, days: int) -> None:
    """Remove rejected rows, an import at a time, so that nobody waits for long."""
    with pipeline.database.begin() as connection:
        import_ids = expiry.old_rejects(connection, days).import_ids
    for import_id in import_ids:
        with pipeline.database.begin() as connection:
            expiry.remove_rejects(connection, [import_id])
