"""Bring valid rows into their table, in the caller's transaction, and count what became of each.

Rows travel through COPY into a staging table and are resolved there, set by set: every
staged row whose key is stored is classed by one join; the others are inserted. Each statement
counts the rows it touched, and the counts must meet. Two short cuts lead to the same: the first
rows of an account, which can meet none, are copied where they belong, and rows that are stored to
the last value are known by their hash and never sent.
"""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import polars as pl
import psycopg
import sqlalchemy as sa

from csv_pipeline.batches import ROWS_DONE, BatchWriter, batches, scan
from csv_pipeline.errors import FileRefusedError
from csv_pipeline.handover import OUTCOMES, OWN, PAIRS, Replay
from csv_pipeline.model import Counts, Difference, ReportWarning
from csv_pipeline.scope import ScopeCounts
from csv_pipeline.spec.row_hash import OCCURRENCE
from csv_pipeline.stages.load.copying import StoredHashes, copy
from csv_pipeline.stages.load.differences import first_differences
from csv_pipeline.stages.load.faults import store_rejects, write_refused
from csv_pipeline.stages.load.incoming import Incoming
from csv_pipeline.stages.load.outcomes import copy_superseded, counts_of, write_outcomes
from csv_pipeline.stages.load.resolution import Resolution
from csv_pipeline.stages.load.snapshot import SnapshotLoad, revive
from csv_pipeline.stages.load.staged import OUTCOME, check
from csv_pipeline.stages.load.writing import RowRefusedError, is_of_a_row, write
from csv_pipeline.storage import imports, order
from csv_pipeline.storage.database import affected
from csv_pipeline.storage.quarantine import mark_repaired

__all__ = ["Found", "Incoming", "Loaded", "RowRefusedError", "clear", "load", "store_rejects"]

_FEW_ROWS = 5_000
_TIMES_AS_MANY = 4
_MOST_HASHES = 12_000_000  # of 16 bytes each in memory


@dataclass(frozen=True, slots=True)
class Found:
    """What a load finds out: `outcomes` of rows that were not inserted, and `late` faults.

    As `handover.OUTCOMES` and `handover.REJECTS`. `missing` are keys, as text, of the rows that a
    snapshot lacks.
    """

    outcomes: BatchWriter
    late: BatchWriter
    missing: BatchWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What became of the rows of one file, of a dry run the first values that would change."""

    counts: Counts
    scope: ScopeCounts | None = None
    differences: tuple[Difference, ...] = ()
    warnings: tuple[ReportWarning, ...] = ()


def load(
    connection: sa.Connection,
    incoming: Incoming,
    found: "Found",
    hold: Callable[[int], None],
    meanwhile: Callable[[], object] | None = None,
) -> list[Loaded]:
    """Store rows, history, rejects and superseded rows, and return what became of each file.

    No two files may have rows of one key. `found` gets what became of each row that was not
    inserted, and the faults that the database finds. Rows that repair rejected ones count as of
    the import that rejected them. Where the order of arrivals decides, rows of a file that goes
    alone lose against those of a later arrival that are stored. `hold` is told how many rows the
    table refuses so far, and raises if they are too many. `meanwhile` is called once all that is
    there, if the server has many rejects yet to take.

    Raises:
        FileRefusedError: The table refuses too many rows; `found` has the faults so far.
        AccountingError: A row would be without an outcome, or with two, or a line of a file is
            nowhere.
    """
    claim, replay = incoming.claim, incoming.replay
    resolution = Resolution(incoming)
    snapshot = _snapshot(connection, resolution)
    try:
        done = _bring(connection, resolution, found.outcomes, hold)
    except FileRefusedError:
        write_refused(connection, resolution, found.late)
        raise
    if done.refused:
        write_refused(connection, resolution, found.late)
    scope, warnings = None, _order_warnings(connection, resolution, done)
    if snapshot is not None:
        written = Counts(inserted=done.inserted, updated=done.updated)
        scope, more = snapshot.mark(written, found.missing)
        warnings += more
    rejected = store_rejects(connection, incoming, found.late.batches, meanwhile)
    if replay is not None:
        if done.refused and resolution.corrected:
            connection.execute(resolution.corrected.forget_refused_repairs())
        mark_repaired(connection, claim.import_id, replay.import_id, resolution.repaired)
    superseded = copy_superseded(connection, incoming)
    counts = counts_of(incoming, found.outcomes, found.late, rejected)
    for name in ("inserted", "updated", "unchanged", "kept"):
        counted = sum(getattr(its, name) for its in counts)
        check(claim, f"rows {name}", getattr(done, name), counted)
    check(claim, "valid rows", incoming.expected, done.rows)
    check(claim, "rows superseded", superseded, sum(its.superseded for its in counts))
    for its, of, text in zip(counts, incoming.claims, incoming.files.texts, strict=True):
        check(of, "rows with an outcome", its.read, its.settled)
        check(of, "lines accounted for", text.lines.total, text.lines.accounted)
    if scope is not None:
        came, went = scope.before + scope.entered, scope.left + scope.missing
        check(claim, "rows of the scope", came - went, scope.after)
        counts = [replace(its, missing=scope.missing) for its in counts]
    return [
        Loaded(counts=its, scope=scope, differences=done.differences, warnings=warnings)
        for its in counts
    ]


def _snapshot(connection: sa.Connection, resolution: Resolution) -> SnapshotLoad | None:
    """Return what a file does as a snapshot, begun; corrected rows are none."""
    declared = resolution.feed.snapshot
    if declared is None or resolution.replay is not None:
        return None
    snapshot = SnapshotLoad(connection, resolution, declared)
    snapshot.begin()
    return snapshot


def clear(connection: sa.Connection) -> None:
    """Drop the tables of a load, so that another one may follow in the transaction."""
    connection.execute(sa.text("DROP TABLE IF EXISTS staging, matched, refused, repaired"))


def _order_warnings(
    connection: sa.Connection, resolution: Resolution, done: "_Done"
) -> tuple[ReportWarning, ...]:
    behind, claim = resolution.incoming.behind, resolution.claim
    if done.kept_out:
        message = (
            f"{done.kept_out:,} rows are not stored, because snapshots that arrived later do not "
            "have them"
        )
        return (ReportWarning(code="snapshot.overtaken", message=message, count=done.kept_out),)
    if not done.updated or behind is None or resolution.replay is not None:
        return ()
    if not order.may_have_been_confirmed(connection, claim, behind):
        return ()
    message = (
        f"{done.updated:,} stored rows were changed by a file that arrived before others which are "
        "imported; whether those had found the rows as they were is not known, because this file "
        "was refused then: compare, and import the newest file again if they had"
    )
    return (ReportWarning(code="rows.order_not_known", message=message, count=done.updated),)


def _bring(
    connection: sa.Connection,
    resolution: Resolution,
    outcomes: BatchWriter,
    hold: Callable[[int], None],
) -> "_Done":
    """Write the valid rows by the shortest path there is."""
    connection.exec_driver_sql(resolution.preparation)
    incoming, declared = resolution.incoming, resolution.feed.snapshot
    late = declared is not None and incoming.behind is not None
    done = None
    if incoming.replay is None and not incoming.any_stored and not late:
        done = _copy_first(connection, resolution)
    if done is None:
        done = _resolve(connection, resolution, outcomes, hold)
    if declared is not None and done.inserted:
        revive(connection, resolution)
    return done


def _known(connection: sa.Connection, resolution: Resolution) -> StoredHashes | None:
    """Return the hashes of the account's stored rows, if a look at all of them saves time.

    A small file into a large table never reads the table.
    """
    incoming, claim = resolution.incoming, resolution.claim
    if incoming.replay is not None or incoming.expected < _FEW_ROWS:
        return None
    stored = imports.rows_stored(connection, claim.account, claim.feed)
    if stored > min(_TIMES_AS_MANY * incoming.expected, _MOST_HASHES):
        return None
    return StoredHashes(connection, resolution.target, claim.account)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    """What became of the valid rows."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    kept: int = 0
    refused: int = 0
    kept_out: int = 0
    differences: tuple[Difference, ...] = ()

    @property
    def rows(self) -> int:
        return self.inserted + self.updated + self.unchanged + self.kept + self.refused


def _copy_first(connection: sa.Connection, resolution: Resolution) -> _Done | None:
    """Copy the first rows of an account, which meet none stored; None if the table takes not all.

    COPY says of one row at the most that it is refused, and stops there.
    """
    incoming, target = resolution.incoming, resolution.target
    import_id, row_number = pl.lit(incoming.claim.import_id), pl.col("_row_number")
    if incoming.moved:
        import_id, row_number = (pl.col(name) for name in OWN)
    lineage = {
        "account": pl.lit(incoming.claim.account),
        "_import_id": import_id,
        "_created_import_id": import_id,
        "_row_number": row_number,
        "_updated_at": pl.lit(datetime.now(UTC)),
    }
    names = [*lineage, *resolution.sent]
    # The index of the key takes rows that are near one another in less time.
    ordered = (rows.sort(resolution.key) for rows in _rows(incoming))
    frames = (rows.with_columns(**lineage).select(names) for rows in ordered)
    try:
        with connection.begin_nested() if incoming.careful else nullcontext():
            return _Done(inserted=copy(connection, target, names, frames))
    except psycopg.Error as error:
        if not is_of_a_row(error):
            raise
        if not incoming.careful:
            raise RowRefusedError from error
        return None


def _resolve(
    connection: sa.Connection,
    resolution: Resolution,
    outcomes: BatchWriter,
    hold: Callable[[int], None],
) -> _Done:
    """Stage the rows, class those whose key is stored, and write what changes.

    Rows that stay as they are are noted if a file that arrived earlier is yet to be imported.
    """
    incoming = resolution.incoming
    claim, replay = incoming.claim, incoming.replay
    confirms = resolution.by_arrival and incoming.is_awaited
    known = None if confirms else _known(connection, resolution)
    names = [column.name for column in resolution.staging.columns]
    frames = (rows.select(names) for rows in _unknown(_rows(incoming), known, outcomes))
    staged = copy(connection, resolution.staging, names, frames)
    same = outcomes.rows
    if replay is not None:
        _stage_repaired(connection, resolution, replay)
    if staged > _FEW_ROWS:
        # Without statistics the planner takes a temporary table for small, and nests loops over it.
        joined = ", ".join(f'"{name}"' for name in ("_row_number", *resolution.key))
        connection.execute(sa.text(f"ANALYZE staging ({joined})"))
    if resolution.corrected and not resolution.feed.key:
        # By merging it would hold rows of the same content, be they thousands, against each other.
        connection.execute(sa.text("SET LOCAL enable_mergejoin = off"))
        connection.execute(resolution.corrected.count_on())
        connection.execute(sa.text("SET LOCAL enable_mergejoin = DEFAULT"))
    differences: tuple[Difference, ...] = ()
    classes, kept_out = _matched(connection, resolution)
    if confirms:
        connection.execute(resolution.confirm())
    if "rejected" in classes:
        resolution.refused.create(connection)
        for statement in resolution.refuse_conflicts():
            connection.execute(statement)
    if "updated" in classes and claim.dry_run:
        differences = first_differences(connection, resolution)
    differing = classes.get("rejected", 0)
    written = write(
        connection,
        resolution,
        lambda refused: hold(differing + refused),
        updates="updated" in classes,
    )
    if written.refused:
        classes = _classes(connection, resolution)
    check(claim, "rows saved to history", written.saved, written.updated)
    check(claim, "rows updated", classes.get("updated", 0), written.updated)
    check(claim, "rows inserted", staged - sum(classes.values()), written.inserted)
    if classes:
        write_outcomes(connection, resolution, outcomes)
    return _Done(
        inserted=written.inserted,
        updated=written.updated,
        unchanged=classes.get("unchanged", 0) + same,
        kept=classes.get("kept", 0),
        refused=classes.get("rejected", 0),
        kept_out=kept_out,
        differences=differences,
    )


def _rows(incoming: Incoming) -> Iterator[pl.DataFrame]:
    """Give the rows to be stored, batch by batch, and say which are done."""
    done = ROWS_DONE.get()  # asked here, as another thread takes the rows
    return incoming.rows() if done is None else _noted(incoming.rows(), done)


def _noted(
    frames: Iterator[pl.DataFrame], done: Callable[[pl.DataFrame], object]
) -> Iterator[pl.DataFrame]:
    for rows in frames:
        yield rows
        done(rows)


def _unknown(
    frames: Iterator[pl.DataFrame], known: StoredHashes | None, outcomes: BatchWriter
) -> Iterator[pl.DataFrame]:
    """Give the rows that are not stored to the last value; the others are unchanged."""
    if known is None:
        yield from frames
        return
    for number, rows in enumerate(frames):
        stored = known.hold(rows)
        if OCCURRENCE in rows.columns:  # of rows without a key only the first hashes are known
            stored &= rows[OCCURRENCE] == 1
        same = rows.filter(stored).select(
            pl.col("_row_number").alias("row_number"), pl.lit("unchanged").alias(OUTCOME)
        )
        outcomes.write(same.cast(OUTCOMES), number)
        yield rows.filter(~stored)


def _matched(connection: sa.Connection, resolution: Resolution) -> tuple[dict[str, int], int]:
    """Class the staged rows whose key is stored, and return how many there are of each class.

    Returns also how many are kept out, because a later snapshot lacks them.
    """
    matched, kept_out = affected(connection, resolution.match()), 0
    if resolution.feed.snapshot is not None and resolution.incoming.behind is not None:
        kept_out = affected(connection, resolution.keep_out())
    if not matched + kept_out:
        return {}, 0
    if matched > _FEW_ROWS:
        connection.execute(sa.text("ANALYZE matched"))
    return _classes(connection, resolution), kept_out


def _classes(connection: sa.Connection, resolution: Resolution) -> dict[str, int]:
    """Return how many staged rows there are of each class, those to be inserted apart."""
    outcome = resolution.matched.c[OUTCOME]
    query = sa.select(outcome, sa.func.count()).group_by(outcome)
    return {row[0]: row[1] for row in connection.execute(query)}


def _stage_repaired(connection: sa.Connection, resolution: Resolution, replay: Replay) -> None:
    """Say which rejected row each valid one repairs."""
    resolution.repaired.create(connection)
    good = scan(resolution.incoming.valid[0].rows).select(row_number="_row_number").collect()
    pairs = (batch.join(good, on="row_number", how="semi") for batch in batches(replay.rows))
    copy(connection, resolution.repaired, list(PAIRS), pairs)
    connection.execute(sa.text("CREATE INDEX ON repaired (row_number)"))
    connection.execute(sa.text("ANALYZE repaired"))
