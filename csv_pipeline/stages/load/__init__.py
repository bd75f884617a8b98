"""Bring valid rows into their table, in the caller's transaction, and count what became of each.

Rows travel as CSV text through COPY into a staging table and are resolved there, set by set: every
staged row whose key is stored is classed by one join; the others are inserted. Each statement
counts the rows it touched, and the counts must meet. Two short cuts lead to the same: the first
rows of an account, which can meet none, are copied where they belong, and rows that are stored to
the last value are known by their hash and never sent.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import psycopg
import sqlalchemy as sa

from csv_pipeline.errors import AccountingError, FileRefusedError
from csv_pipeline.handover import (
    OUTCOMES,
    OWN,
    PAIRS,
    ROWS_DONE,
    SUPERSEDED,
    BatchWriter,
    Part,
    Replay,
    TextFile,
    TypedFile,
    ValidFile,
    batches,
    parts_of,
    scan,
)
from csv_pipeline.model import Claim, Counts, Difference, ReportWarning
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.row_hash import OCCURRENCE
from csv_pipeline.stages.load.copying import StoredHashes, copy
from csv_pipeline.stages.load.differences import first_differences
from csv_pipeline.stages.load.faults import store_rejects, write_refused
from csv_pipeline.stages.load.resolution import OUTCOME, PLAN, Resolution
from csv_pipeline.stages.load.writing import is_of_a_row, write
from csv_pipeline.storage import imports, order, tables
from csv_pipeline.storage.database import affected
from csv_pipeline.storage.quarantine import mark_repaired

__all__ = ["LATE", "load", "load_together", "store_rejects"]

LATE = "late"
"""Where in the work directory the faults are that the database found."""

_FEW_ROWS = 5_000
_TIMES_AS_MANY = 4
_MOST_HASHES = 12_000_000  # of 16 bytes each in memory
_SOME = 100_000


def load(  # noqa: PLR0913, PLR0917  # the stages before, each with its own facts
    connection: sa.Connection,
    feed: Feed,
    claim: Claim,
    work: Path,
    text: TextFile,
    typed: TypedFile,
    valid: ValidFile,
    replay: Replay | None = None,
    hold: Callable[[int], None] = lambda _: None,
    meanwhile: Callable[[], object] | None = None,
) -> tuple[Counts, tuple[Difference, ...], tuple[ReportWarning, ...]]:
    """Store rows, history, rejects and superseded rows of one import.

    Returns the counts, of a dry run the first values that would change, and warnings. `work` gets
    what became of each row that was not inserted, and the faults that the database found. Rows that
    repair rejected ones count as of the import that rejected them. Where the order of arrivals
    decides, rows lose against those of a later arrival that are stored. `hold` is told how many
    rows the database rejects so far, and raises if they are too many. `meanwhile` is called once
    all that is in `work`, if the server has many rejects yet to take.

    Raises:
        FileRefusedError: The database rejects too many rows; `work` has the faults found so far.
        AccountingError: A row would be without an outcome, or with two, or a line of the file is
            nowhere.
    """
    position = claim.position
    if replay is not None:
        position = order.position_of(connection, replay.import_id)
    overtaken = order.is_overtaken(connection, claim, position)
    resolution = Resolution(feed, claim, typed, replay, behind=position if overtaken else None)
    outcomes, late = BatchWriter(work / "outcomes"), BatchWriter(work / LATE)
    expected = valid.valid - valid.superseded
    try:
        done = _bring(connection, resolution, valid, outcomes, expected, hold)
    except FileRefusedError:
        write_refused(connection, resolution, valid, late)
        raise
    if done.refused:
        write_refused(connection, resolution, valid, late)
    rejected = store_rejects(connection, claim, text, valid, late.directory, replay, meanwhile)
    if replay is not None:
        if done.refused:
            connection.execute(resolution.forget_refused_repairs())
        mark_repaired(connection, claim.import_id, replay.import_id, resolution.repaired)
    superseded = _copy_superseded(connection, claim, valid)
    counts = Counts(
        read=text.records,
        inserted=done.inserted,
        updated=done.updated,
        unchanged=done.unchanged,
        kept=done.kept,
        superseded=superseded,
        rejected=rejected,
        blank=text.lines.blank,
        non_data=text.non_data_count,
    )
    _check(claim, "valid rows", expected, done.rows)
    _check(claim, "rows with an outcome", counts.read, counts.settled)
    _check(claim, "lines accounted for", text.lines.total, text.lines.accounted)
    return counts, done.differences, _order_warnings(connection, resolution, done)


def _order_warnings(
    connection: sa.Connection, resolution: Resolution, done: "_Done"
) -> tuple[ReportWarning, ...]:
    behind, claim = resolution.behind, resolution.claim
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


def load_together(  # noqa: PLR0913, PLR0917  # as `load`, for several
    connection: sa.Connection,
    feed: Feed,
    claim: Claim,
    work: Path,
    typed: TypedFile,
    valid: ValidFile,
    parts: Sequence[Part],
) -> list[Counts] | None:
    """Store the rows of several imports of an account and feed, none of which has a fault.

    No two have the key of another's row, and nothing of a later arrival is stored. `claim` is that
    of any of them; the rows of `valid` have `OWN`. Returns the counts of each part; None if the
    table refuses a row of any, or a policy does: then the caller takes everything back.

    Raises:
        AccountingError: A row would be without an outcome, or with two.
    """
    resolution = Resolution(feed, claim, typed, of_several=True)
    outcomes = BatchWriter(work / "outcomes")
    try:
        done = _bring(connection, resolution, valid, outcomes, valid.valid, _hold_to_none)
    except FileRefusedError:
        return None
    if done.refused:
        return None
    counts = _counts_by_part(parts, outcomes.directory)
    _check(claim, "valid rows", valid.valid, done.rows)
    for name in ("inserted", "updated", "unchanged", "kept"):
        _check(claim, f"rows {name}", getattr(done, name), sum(getattr(c, name) for c in counts))
    return counts


def _counts_by_part(parts: Sequence[Part], outcomes: Path) -> list[Counts]:
    """Return what became of the rows of each part; what nothing is noted of was inserted."""
    noted = scan(outcomes, OUTCOMES).collect()
    position = parts_of(noted["row_number"], parts)
    tally: list[dict[str, int]] = [{} for _ in parts]
    for number, outcome, rows in noted.group_by(position.alias("part"), OUTCOME).len().iter_rows():
        tally[number][outcome] = rows
    return [
        Counts(read=part.rows, inserted=part.rows - sum(found.values()), **found)
        for part, found in zip(parts, tally, strict=True)
    ]


def _hold_to_none(refused: int) -> None:
    if refused:
        raise FileRefusedError("these files", "rows without a reject were needed", f"{refused}")


def _bring(  # noqa: PLR0913, PLR0917  # as `load`, and what it has made
    connection: sa.Connection,
    resolution: Resolution,
    valid: ValidFile,
    outcomes: BatchWriter,
    expected: int,
    hold: Callable[[int], None],
) -> "_Done":
    """Write the valid rows by the shortest path there is."""
    connection.execute(sa.select(*(sa.func.set_config(*fact, True) for fact in PLAN.items())))
    connection.execute(sa.text("SET CONSTRAINTS ALL IMMEDIATE"))  # refuse a row where it is written
    claim, replay = resolution.claim, resolution.replay
    if replay is None and not connection.scalar(resolution.any_stored()):
        done = _copy_first(connection, resolution, valid)
        if done is not None:
            return done
    known = None
    confirms = resolution.by_arrival and order.is_awaited(connection, claim)
    if replay is None and not confirms and _are_worth_reading(connection, claim, expected):
        known = StoredHashes(connection, resolution.target, claim.account)
    return _resolve(connection, resolution, valid, known, outcomes, hold, confirms=confirms)


def _are_worth_reading(connection: sa.Connection, claim: Claim, expected: int) -> bool:
    """Return whether the account's stored rows are so few that a look at all of them saves time.

    A small file into a large table never reads the table.
    """
    if expected < _FEW_ROWS:
        return False
    return imports.rows_stored(connection, claim.account, claim.feed) <= min(
        _TIMES_AS_MANY * expected, _MOST_HASHES
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    """What became of the valid rows."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    kept: int = 0
    refused: int = 0
    differences: tuple[Difference, ...] = ()

    @property
    def rows(self) -> int:
        return self.inserted + self.updated + self.unchanged + self.kept + self.refused


def _copy_first(
    connection: sa.Connection, resolution: Resolution, valid: ValidFile
) -> _Done | None:
    """Copy the first rows of an account, which meet none stored; None if the table takes not all.

    COPY says of one row at the most that it is refused, and stops there.
    """
    claim, target = resolution.claim, resolution.target
    import_id, row_number = pl.lit(claim.import_id), pl.col("_row_number")
    if resolution.of_several:
        import_id, row_number = (pl.col(name) for name in OWN)
    lineage = {
        "account": pl.lit(claim.account),
        "_import_id": import_id,
        "_created_import_id": import_id,
        "_row_number": row_number,
        "_updated_at": pl.lit(datetime.now(UTC).isoformat()),
    }
    names = [*lineage, *resolution.sent]
    frames = (rows.with_columns(**lineage).select(names) for rows in _rows(valid))
    try:
        with connection.begin_nested():
            table = f'{target.schema}."{target.name}"'
            return _Done(inserted=copy(connection, table, names, frames))
    except psycopg.Error as error:
        if not is_of_a_row(error):
            raise
        return None


def _resolve(  # noqa: PLR0913, PLR0917  # as `load`, and what it has made
    connection: sa.Connection,
    resolution: Resolution,
    valid: ValidFile,
    known: StoredHashes | None,
    outcomes: BatchWriter,
    hold: Callable[[int], None],
    *,
    confirms: bool,
) -> _Done:
    """Stage the rows, class those whose key is stored, and write what changes.

    If it `confirms`, rows that stay as they are are noted for a file that arrived earlier and is
    yet to be imported.
    """
    claim, replay = resolution.claim, resolution.replay
    for table in (resolution.staging, resolution.matched):
        table.create(connection)
    names = [column.name for column in resolution.staging.columns]
    frames = (rows.select(names) for rows in _unknown(_rows(valid), known, outcomes))
    staged = copy(connection, "staging", names, frames)
    same = outcomes.rows
    if replay is not None:
        _stage_repaired(connection, resolution, valid, replay)
    # Without statistics the planner takes a temporary table for small, and nests loops over it.
    joined = ", ".join(f'"{name}"' for name in ("_row_number", *resolution.key))
    connection.execute(sa.text(f"ANALYZE staging ({joined})"))
    if replay is not None and not resolution.feed.key:
        # By merging it would hold rows of the same content, be they thousands, against each other.
        connection.execute(sa.text("SET LOCAL enable_mergejoin = off"))
        connection.execute(resolution.count_on())
        connection.execute(sa.text("SET LOCAL enable_mergejoin = DEFAULT"))
    differences: tuple[Difference, ...] = ()
    classes = _matched(connection, resolution)
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
    _check(claim, "rows saved to history", written.saved, written.updated)
    _check(claim, "rows updated", classes.get("updated", 0), written.updated)
    _check(claim, "rows inserted", staged - sum(classes.values()), written.inserted)
    if classes:
        _write_outcomes(connection, resolution, outcomes)
    return _Done(
        inserted=written.inserted,
        updated=written.updated,
        unchanged=classes.get("unchanged", 0) + same,
        kept=classes.get("kept", 0),
        refused=classes.get("rejected", 0),
        differences=differences,
    )


def _rows(valid: ValidFile) -> Iterator[pl.DataFrame]:
    """Give the valid rows but the superseded ones, batch by batch, and say which are done."""
    done = ROWS_DONE.get()  # asked here, as another thread takes the rows
    return _to_be_stored(valid) if done is None else _noted(_to_be_stored(valid), done)


def _noted(
    frames: Iterator[pl.DataFrame], done: Callable[[pl.DataFrame], object]
) -> Iterator[pl.DataFrame]:
    for rows in frames:
        yield rows
        done(rows)


def _to_be_stored(valid: ValidFile) -> Iterator[pl.DataFrame]:
    losers = (
        scan(valid.superseded_rows, SUPERSEDED).select(_row_number=pl.col("row_number")).collect()
    )
    counted = scan(valid.occurrences)
    repeated = counted.collect() if counted.collect_schema() else None
    for batch in batches(valid.rows):
        rows = batch
        if losers.height:
            rows = rows.join(losers, on="_row_number", how="anti", maintain_order="left")
        if repeated is not None:
            rows = rows.join(repeated, on="_row_number", how="left", maintain_order="left")
            rows = rows.with_columns(pl.col(OCCURRENCE).fill_null(1))
        yield rows


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


def _matched(connection: sa.Connection, resolution: Resolution) -> dict[str, int]:
    """Class the staged rows whose key is stored, and return how many there are of each class."""
    if not affected(connection, resolution.match()):
        return {}
    connection.execute(sa.text("ANALYZE matched"))
    return _classes(connection, resolution)


def _classes(connection: sa.Connection, resolution: Resolution) -> dict[str, int]:
    """Return how many staged rows there are of each class, those to be inserted apart."""
    outcome = resolution.matched.c[OUTCOME]
    query = sa.select(outcome, sa.func.count()).group_by(outcome)
    return {row[0]: row[1] for row in connection.execute(query)}


def _write_outcomes(
    connection: sa.Connection, resolution: Resolution, outcomes: BatchWriter
) -> None:
    matched = resolution.matched
    query = sa.select(*(matched.c[n] for n in ("_row_number", OUTCOME))).where(
        matched.c[OUTCOME] != "rejected"
    )
    found = connection.execute(query, execution_options={"yield_per": _SOME})
    for number, some in enumerate(found.partitions(_SOME), outcomes.batches):
        frame = pl.DataFrame([tuple(row) for row in some], schema=OUTCOMES, orient="row")
        outcomes.write(frame, number)


def _stage_repaired(
    connection: sa.Connection, resolution: Resolution, valid: ValidFile, replay: Replay
) -> None:
    """Say which rejected row each valid one repairs."""
    resolution.repaired.create(connection)
    good = scan(valid.rows).select(row_number=pl.col("_row_number")).collect()
    pairs = (batch.join(good, on="row_number", how="semi") for batch in batches(replay.rows))
    copy(connection, "repaired", list(PAIRS), pairs)
    connection.execute(sa.text("CREATE INDEX ON repaired (row_number)"))
    connection.execute(sa.text("ANALYZE repaired"))


def _copy_superseded(connection: sa.Connection, claim: Claim, valid: ValidFile) -> int:
    if not valid.superseded:
        return 0
    names = [column.name for column in tables.superseded.columns]
    frames = (
        batch.with_columns(pl.lit(claim.import_id).alias("import_id")).select(names)
        for batch in batches(valid.superseded_rows)
    )
    return copy(connection, "csv_pipeline.superseded", names, frames)


def _check(claim: Claim, what: str, needed: int, found: int) -> None:
    if needed != found:
        raise AccountingError(
            f"{claim.name}, import {claim.import_id}: {needed:,} {what} were needed; {found:,} "
            "were counted, so nothing of it is stored"
        )
