"""Take back what one import wrote, as an import record of its own."""

from collections.abc import Callable
from dataclasses import asdict
from typing import TypedDict, Unpack

import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from csv_pipeline.errors import UndoError
from csv_pipeline.model import ImportReport, Outcome
from csv_pipeline.spec.feed import Feed
from csv_pipeline.stages.load.writing import is_of_a_row
from csv_pipeline.stages.undo import Versions
from csv_pipeline.storage import imports, undo_records
from csv_pipeline.storage.database import Database
from csv_pipeline.storage.lane_lock import lock_lane

log = structlog.get_logger()


class Undoing(TypedDict, total=False):
    """How to undo: only say what would happen; and in which run of Dagster, if in one."""

    dry_run: bool
    run_id: str | None


def undo(
    database: Database, feed_of: Callable[[str], Feed], import_id: int, **how: Unpack[Undoing]
) -> ImportReport:
    """Take back what an import wrote, or bring back what an undo took, and report it.

    Rows that a later import changed stay. The undo is an import record of its own, and can be
    undone. A dry run says what would happen, and its report has no number: import 0.

    Raises:
        UnknownImportError: The ledger has no such import.
        UndoError: It stored nothing, was undone before, its history is not kept any more, or
            the database refuses the earlier rows.
    """
    dry_run = how.get("dry_run", False)
    with database.begin() as connection:
        lock_lane(connection, imports.report_of(connection, import_id))
        found = undo_records.undoable(connection, import_id)
        subject = found.subject
        feed = feed_of(subject.feed)
        if subject.scope and subject.scope.deleted and feed.snapshot is None:
            raise UndoError(
                import_id,
                "a feed of snapshots",
                f"it deleted {subject.scope.deleted:,} rows, and feed {feed.name!r} declares no "
                "snapshot by now",
            )
        versions = Versions(connection, feed, subject.account)
        number = imports.next_import_id(connection)
        connection.execute(text("SET CONSTRAINTS ALL IMMEDIATE"))
        attempt = connection.begin_nested()
        try:
            if found.redo:
                done = versions.redo(subject, undone_by=import_id)
            else:
                done = versions.undo(subject, by=number)
        except DBAPIError as error:
            if not is_of_a_row(error):
                raise
            said = getattr(error.orig, "diag", None)
            refused_by = said.constraint_name if said else None
            raise UndoError(  # without its cause, which quotes the row
                import_id,
                "earlier rows that the database takes",
                f"{refused_by or 'a trigger'} refuses them",
            ) from None
        goes = not found.redo and done.reversed
        warning = undo_records.also_brought(connection, subject) if goes else None
        report = ImportReport(
            import_id=0 if dry_run else number,
            arrival_id=subject.arrival_id,
            account=subject.account,
            feed=subject.feed,
            name=subject.name,
            outcome=Outcome.DRY_RUN if dry_run else Outcome.UNDO,
            undo=done,
            warnings=(warning,) if warning else (),
        )
        if dry_run:
            attempt.rollback()
        else:
            undo_records.settle(connection, report, found, how.get("run_id"))
    if not dry_run:
        log.info("undone", named=import_id, by=number, **asdict(done))
    return report
