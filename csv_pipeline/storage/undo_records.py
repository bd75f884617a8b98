"""Which imports can be undone, and what an undo changes in the ledger."""

import shlex
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

import sqlalchemy as sa

from csv_pipeline.errors import UndoError
from csv_pipeline.model import ArrivalStatus, ImportReport, Outcome, ReportWarning
from csv_pipeline.spec.feed import Feed
from csv_pipeline.storage import imports, order, quarantine, tables
from csv_pipeline.storage.database import Database
from csv_pipeline.storage.lane_lock import try_lane
from csv_pipeline.storage.records import Record, record_imports
from csv_pipeline.storage.situation import same_content
from csv_pipeline.storage.targets import history_table, is_tombstone

_SHOWN = 5
_HAS_HISTORY = (
    (tables.import_.c.updated > 0)
    | (tables.import_.c.missing > 0)
    | (tables.import_.c.outcome == Outcome.UNDO)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Undoable:
    """An import that can be undone, and what undoing it means.

    `subject` is the import whose rows it is about: the one that was named, or, if that is an undo,
    the import that it undid. `redo` says that its rows come back.
    """

    named: ImportReport
    subject: ImportReport
    redo: bool


def undoable(connection: sa.Connection, import_id: int) -> Undoable:
    """Return what undoing an import means; the lane must be locked.

    Raises:
        UnknownImportError: The ledger has no such import.
        UndoError: It stored nothing, was undone before, or its history is not kept any more.
    """
    named = imports.report_of(connection, import_id)
    if named.outcome not in {Outcome.IMPORTED, Outcome.UNDO}:
        raise UndoError(import_id, "an import that stored rows", f"it was {named.outcome}")
    if named.undone_by is not None:
        raise UndoError(
            import_id,
            "an import that is not undone",
            f"import {named.undone_by} undid it; to have it back, undo that one",
        )
    subject, redo = named, False
    if named.undo is not None:
        subject, redo = imports.report_of(connection, named.undo.import_id), not named.undo.redone
    by = import_id if redo else None
    if subject.undone_by != by:
        now = "is not undone" if subject.undone_by is None else f"is undone by {subject.undone_by}"
        raise UndoError(import_id, "what it did", f"by now import {subject.import_id} {now}")
    table = tables.import_
    needed = import_id if redo else subject.import_id
    facts = connection.execute(sa.select(table).where(table.c.import_id == needed)).one()
    if facts.history_pruned_at is not None:
        raise UndoError(
            import_id,
            "the history of what it changed",
            f"it was dropped on {facts.history_pruned_at:%Y-%m-%d}, by the setting history_days or "
            "because the feed was changed",
        )
    _hold_to_rejects(connection, import_id, subject, redo=redo)
    if redo:
        again = _same_content_since(connection, subject, import_id)
        if again is not None:
            raise UndoError(
                import_id, "content that no other import brought", f"import {again} has by now"
            )
    return Undoable(named=named, subject=subject, redo=redo)


def _hold_to_rejects(
    connection: sa.Connection, import_id: int, subject: ImportReport, *, redo: bool
) -> None:
    """Refuse an undo that opens rejected rows which are not kept any more, or brings them back."""
    rejected_by = subject.import_id if redo else subject.repairs
    if rejected_by is not None and quarantine.are_removed(connection, rejected_by):
        raise UndoError(
            import_id,
            f"the rejected rows of import {rejected_by}, which would be open again",
            "they were removed, by the setting keep_rejects_days",
        )


def also_brought(connection: sa.Connection, subject: ImportReport) -> ReportWarning | None:
    """Return the later imports that may have brought rows of an import, and how they come again.

    An import that finds a row as it is stored leaves nothing of it in the table, and how many rows
    it found so in its report: which those are is not kept.
    """
    import_, arrival = tables.import_, tables.arrival
    turn = sa.select(import_.c.turn).where(import_.c.import_id == subject.import_id)
    file = sa.func.coalesce(arrival.c.moved_to, arrival.c.location)
    found = connection.execute(
        sa.select(import_.c.import_id, import_.c.unchanged + import_.c.kept, file)
        .join(arrival, arrival.c.arrival_id == import_.c.arrival_id)
        .where(
            *order.standing(subject),
            import_.c.turn > turn.scalar_subquery(),
            import_.c.unchanged + import_.c.kept > 0,
        )
        .order_by(import_.c.turn)
    ).all()
    if not found:
        return None
    numbers = ", ".join(f"{number} ({rows:,})" for number, rows, _ in found[-_SHOWN:])
    more = f" and {len(found) - _SHOWN:,} before" if len(found) > _SHOWN else ""
    again = (
        f"csv-pipeline import {shlex.quote(path)} --account {subject.account} "
        f"--feed {subject.feed} --again"
        for *_, path in found[-_SHOWN:]
    )
    message = (
        f"rows that import {subject.import_id} wrote go although imports stored since may have "
        f"brought them, too: {numbers}{more} found rows as they were stored. To have back what "
        f"these files have, import them once more: {'; '.join(again)}"
    )
    return ReportWarning(code="rows.also_brought", message=message, count=len(found))


def settle(
    connection: sa.Connection, report: ImportReport, undone: Undoable, run_id: str | None
) -> None:
    """Enter an undo into the ledger, with the Dagster run that did it, and mark what it undid.

    The file of an undone import can be imported again, but only when somebody asks for it.
    """
    subject, undo = undone.subject, report.import_id
    _mark(connection, undone.named, undo)
    if undone.named is not subject:
        _mark(connection, subject, None if undone.redo else undo)
    before, after = ArrivalStatus.IMPORTED, ArrivalStatus.UNDONE
    if undone.redo:
        before, after = after, before
    arrival = tables.arrival
    connection.execute(
        sa.update(arrival)
        .where(
            arrival.c.arrival_id == subject.arrival_id,
            arrival.c.import_id == subject.import_id,
            arrival.c.status == before,
        )
        .values(status=after)
    )
    _mark_repairs(connection, subject.import_id, redo=undone.redo)
    record = Record(report=report, undoes=undone.named.import_id, run_id=run_id)
    record_imports(connection, [record])


def prune_history(database: Database, feeds: Iterable[Feed], days: int) -> int:
    """Drop what imports older than `days` changed, and return how many rows of history that was.

    Such an import cannot be undone any more; one that is undone has no history, its undo has it.
    Where something is loaded or undone right now, it is left for another time. Nobody waits for
    longer than one account and feed takes.
    """
    table, old = tables.import_, _has_old_changes(days)
    by_name = {feed.name: feed for feed in feeds}
    query = sa.select(table.c.account, table.c.feed).where(old, table.c.feed.in_(by_name))
    with database.begin() as connection:
        lanes = connection.execute(query.distinct()).all()
    dropped = 0
    for account, name in lanes:
        with database.begin() as connection:
            if not try_lane(connection, account, name):
                continue
            pruned = connection.execute(
                sa.update(table)
                .where(old, table.c.account == account, table.c.feed == name)
                .values(history_pruned_at=sa.func.now())
                .returning(table.c.import_id)
            )
            if ids := list(pruned.scalars()):
                history, scope = history_table(by_name[name]), tables.snapshot_scope
                last = is_tombstone(history) & history.c._import_id.in_(ids)
                gone = sa.delete(history).where(history.c._replaced_by_import_id.in_(ids) | last)
                dropped += connection.execute(gone).rowcount
                connection.execute(sa.delete(scope).where(scope.c.import_id.in_(ids)))
    return dropped


def old_changes(feeds: Collection[str], days: int) -> sa.Select[int, str]:
    """Ask for the imports of feeds whose history `prune_history` drops."""
    table = tables.import_
    return sa.select(table.c.import_id, table.c.feed).where(
        _has_old_changes(days), table.c.feed.in_(feeds)
    )


def _has_old_changes(days: int) -> sa.ColumnElement[bool]:
    its = tables.import_.c
    return (
        (its.finished_at < sa.func.now() - timedelta(days=days))
        & its.history_pruned_at.is_(None)
        & its.undone_by_import_id.is_(None)
        & _HAS_HISTORY
    )


def history_is_put_away(connection: sa.Connection, feed: Feed, *, with_rows: bool) -> None:
    """Note that the history of a feed is put away, of all accounts, or that its rows are, too.

    What an import changed cannot be undone then. If its rows are put away, nothing of it can.
    """
    import_, scope, confirmed = tables.import_, tables.snapshot_scope, tables.confirmed_row
    of_feed = (import_.c.feed == feed.name, import_.c.outcome.in_((Outcome.IMPORTED, Outcome.UNDO)))
    lost = sa.update(import_).where(*of_feed, import_.c.history_pruned_at.is_(None))
    connection.execute(
        (lost if with_rows else lost.where(_HAS_HISTORY)).values(history_pruned_at=sa.func.now())
    )
    connection.execute(sa.delete(confirmed).where(confirmed.c.feed == feed.name))
    if with_rows:
        connection.execute(sa.update(import_).where(*of_feed).values(rows_stored=0))
        connection.execute(sa.delete(scope).where(scope.c.feed == feed.name))


def _same_content_since(connection: sa.Connection, subject: ImportReport, undo: int) -> int | None:
    """Return the import that brought the same bytes since an undo, if any."""
    table = tables.import_
    fingerprint = connection.scalar(
        sa.select(table.c.fingerprint).where(table.c.import_id == subject.import_id)
    )
    same = same_content(connection, subject, fingerprint)
    return same.import_id if same is not None and same.import_id > undo else None


def _mark(connection: sa.Connection, report: ImportReport, undone_by: int | None) -> None:
    imports.mark_undone(connection, replace(report, undone_by=undone_by))


def _mark_repairs(connection: sa.Connection, import_id: int, *, redo: bool) -> None:
    """Open the rejects that an undone import repaired, or mark them repaired again."""
    table = tables.reject
    done, undone = table.c.repaired_by_import_id, table.c.repair_undone_import_id
    if redo:
        statement = sa.update(table).where(undone == import_id, done.is_(None))
        connection.execute(
            statement.values(repaired_by_import_id=import_id, repair_undone_import_id=None)
        )
    else:
        connection.execute(
            sa.update(table)
            .where(done == import_id)
            .values(repaired_by_import_id=None, repair_undone_import_id=import_id)
        )
