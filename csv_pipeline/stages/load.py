"""Bring valid rows into their table, in the caller's transaction, and count what became of each.

Rows travel as CSV text through COPY into a staging table and are resolved there, set by set: every
staged row whose key is stored is classed as unchanged, updated or kept by one join; the others are
inserted. The first rows of an account, which can meet none, are copied where they belong. Each
statement counts the rows it touched, and the counts must meet.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from csv_pipeline.errors import AccountingError
from csv_pipeline.model import Claim, Counts, Feed
from csv_pipeline.storage import tables
from csv_pipeline.storage.quarantine import mark_repaired
from csv_pipeline.storage.targets import history_table, target_table
from csv_pipeline.storage.work import (
    EXTRA,
    PAIRS,
    Replay,
    TextFile,
    TypedFile,
    ValidFile,
    batches,
    scan,
)

_OUTCOME = "outcome"


def load(  # noqa: PLR0913, PLR0917  # the stages before, each with its own facts
    connection: sa.Connection,
    feed: Feed,
    claim: Claim,
    text: TextFile,
    typed: TypedFile,
    valid: ValidFile,
    replay: Replay | None = None,
) -> Counts:
    """Store rows, history, rejects and superseded rows of one import and return the counts.

    Rows that repair rejected ones stand for the import that rejected them: where the order of
    imports decides, they lose against what was stored later.

    Raises:
        AccountingError: A row would be without an outcome, or with two.
    """
    upsert = _Upsert(feed, claim, typed.columns, replay)
    connection.execute(sa.text("SET LOCAL jit = off"))  # a wide INSERT takes longer to compile
    matched: dict[str, int] = {}
    if replay is None and not connection.scalar(upsert.any_stored()):
        staged = inserted = _copy_first(connection, upsert, valid)
    else:
        staged = _stage(connection, upsert, valid)
        if replay is not None:
            _stage_repaired(connection, upsert, valid, replay)
        matched = _match(connection, upsert)
        inserted = _affected(connection, upsert.insert())
    updated = 0
    if matched.get("updated"):
        saved = _affected(connection, upsert.save_history())
        updated = _affected(connection, upsert.update())
        _check(claim, "rows saved to history", saved, updated)
        _check(claim, "rows updated", matched["updated"], updated)
    rejected = store_rejects(connection, claim, text, valid, replay)
    if replay is not None:
        mark_repaired(connection, claim.import_id, replay.import_id, upsert.repaired)
    superseded = _copy_superseded(connection, claim, valid)
    counts = Counts(
        read=text.records,
        inserted=inserted,
        updated=updated,
        unchanged=matched.get("unchanged", 0),
        kept=matched.get("kept", 0),
        superseded=superseded,
        rejected=rejected,
        blank=text.blank,
        furniture=text.furniture_count,
    )
    _check(claim, "rows staged", valid.valid - superseded, staged)
    _check(claim, "rows with an outcome", counts.read, counts.settled)
    return counts


class _Upsert:
    """The statements that resolve staged rows against the stored ones.

    Only columns that the file has are compared and written: a file of an older layout leaves the
    other columns of a stored row alone. `staging` holds this import's rows, `matched` the outcome
    of those whose key is stored; both are temporary.
    """

    def __init__(
        self, feed: Feed, claim: Claim, present: tuple[str, ...], replay: Replay | None
    ) -> None:
        self.feed, self.claim, self.present, self.replay = feed, claim, present, replay
        self.target, self.history = target_table(feed), history_table(feed)
        types = {name: self.target.columns[name].type for name in (*present, EXTRA)}
        self.staging = _temporary("staging", {"_row_number": sa.BigInteger()} | types)
        self.matched = _temporary("matched", {"_row_number": sa.BigInteger(), _OUTCOME: sa.Text()})
        self.repaired = _temporary(
            "repaired", {"row_number": sa.BigInteger(), "repairs_row_number": sa.BigInteger()}
        )

    def match(self) -> sa.Insert:
        """Class every staged row whose key is stored."""
        staging, target, matched = self.staging, self.target, self.matched
        differs = sa.or_(
            *(target.c[name].is_distinct_from(staging.c[name]) for name in self._values()),
            ~sa.func.coalesce(target.c[EXTRA], _EMPTY).contains(
                sa.func.coalesce(staging.c[EXTRA], _EMPTY)
            ),
        )
        outcome = sa.case(
            (~differs, "unchanged"),
            (self._came_later(), "kept"),
            (self.feed.conflict.replaces(target, staging), "updated"),
            else_="kept",
        )
        query = sa.select(staging.c._row_number, outcome).where(self._same_key(staging, target))
        return sa.insert(matched).from_select(["_row_number", _OUTCOME], query)

    def _came_later(self) -> sa.ColumnElement[bool]:
        """Return whether the stored row arrived after the rejected one that the staged repairs."""
        if self.replay is None or not self.feed.conflict.by_arrival:
            return sa.false()
        target, repaired = self.target, self.repaired
        stood_at = (
            sa.select(repaired.c.repairs_row_number)
            .where(repaired.c.row_number == self.staging.c._row_number)
            .scalar_subquery()
        )
        return (target.c._import_id > self.replay.import_id) | (
            (target.c._import_id == self.replay.import_id) & (target.c._row_number > stood_at)
        )

    def any_stored(self) -> sa.Select[tuple[bool]]:
        """Ask whether the account has any row."""
        return sa.select(sa.exists().where(self.target.c.account == self.claim.account))

    def insert(self) -> sa.Insert:
        """Insert the staged rows whose key is not stored."""
        staging, matched = self.staging, self.matched
        names = (*self.present, EXTRA)
        stored = sa.exists().where(matched.c._row_number == staging.c._row_number)
        query = sa.select(
            sa.literal(self.claim.account),
            *(staging.c[name] for name in names),
            *self._lineage(staging),
            sa.literal(self.claim.import_id),
        ).where(~stored)
        return sa.insert(self.target).from_select(
            ["account", *names, *_LINEAGE, "_created_import_id"], query
        )

    def save_history(self) -> sa.Insert:
        """Copy stored rows that are about to change, as they are."""
        target = self.target
        names = [column.name for column in target.columns]
        query = sa.select(
            sa.literal(self.claim.import_id), *(target.c[name] for name in names)
        ).where(*self._updated())
        return sa.insert(self.history).from_select(["_replaced_by_import_id", *names], query)

    def update(self) -> sa.Update:
        """Write the values of the staged rows that replace stored ones."""
        staging, target = self.staging, self.target
        merged = sa.func.coalesce(target.c[EXTRA], _EMPTY).concat(staging.c[EXTRA])
        extra = sa.case((staging.c[EXTRA].is_(None), target.c[EXTRA]), else_=merged)
        lineage = dict(zip(_LINEAGE, self._lineage(staging), strict=True))
        return (
            sa.update(target)
            .values({name: staging.c[name] for name in self._values()} | lineage | {EXTRA: extra})
            .where(*self._updated())
        )

    def _updated(self) -> tuple[sa.ColumnElement[bool], ...]:
        staging, matched = self.staging, self.matched
        return (
            matched.c._row_number == staging.c._row_number,
            matched.c[_OUTCOME] == "updated",
            self._same_key(staging, self.target),
        )

    def _same_key(self, staging: sa.Table, target: sa.Table) -> sa.ColumnElement[bool]:
        same = (target.c[name] == staging.c[name] for name in self.feed.key)
        return sa.and_(target.c.account == self.claim.account, *same)

    def _values(self) -> tuple[str, ...]:
        return tuple(name for name in self.present if name not in self.feed.key)

    def _lineage(self, staging: sa.Table) -> tuple[sa.ColumnElement[Any], ...]:
        return (
            sa.literal(self.claim.import_id),
            staging.c._row_number,
            sa.literal(datetime.now(UTC), sa.DateTime(timezone=True)),
        )


def _temporary(name: str, columns: dict[str, Any]) -> sa.Table:
    return sa.Table(
        name,
        sa.MetaData(),
        *(sa.Column(column, kind) for column, kind in columns.items()),
        prefixes=["TEMPORARY"],
        postgresql_on_commit="DROP",
    )


_LINEAGE = ("_import_id", "_row_number", "_updated_at")
_EMPTY = sa.literal({}, pg.JSONB)


def _rows(valid: ValidFile) -> Iterator[pl.DataFrame]:
    """Give the valid rows but the superseded ones, batch by batch."""
    losers = scan(valid.superseded_rows).select("row_number").collect()
    for batch in batches(valid.rows):
        winners = batch.join(losers, on="row_number", how="anti", maintain_order="left")
        yield winners.rename({"row_number": "_row_number"})


def _copy_first(connection: sa.Connection, upsert: _Upsert, valid: ValidFile) -> int:
    """Copy the first rows of an account, which meet none stored, and return their number."""
    lineage = {
        "account": upsert.claim.account,
        "_import_id": upsert.claim.import_id,
        "_created_import_id": upsert.claim.import_id,
        "_updated_at": datetime.now(UTC).isoformat(),
    }
    names = [*lineage, "_row_number", *upsert.present, EXTRA]
    constants = [pl.lit(value).alias(name) for name, value in lineage.items()]
    frames = (rows.with_columns(constants).select(names) for rows in _rows(valid))
    return _copy(connection, f'{upsert.target.schema}."{upsert.target.name}"', names, frames)


def _stage(connection: sa.Connection, upsert: _Upsert, valid: ValidFile) -> int:
    """Fill the staging table and return the number of its rows."""
    upsert.staging.create(connection)
    upsert.matched.create(connection)
    names = [column.name for column in upsert.staging.columns]
    frames = (rows.select(names) for rows in _rows(valid))
    return _copy(connection, "staging", names, frames)


def _match(connection: sa.Connection, upsert: _Upsert) -> dict[str, int]:
    """Class the staged rows whose key is stored and return how many of each outcome there are."""
    # Without statistics the planner takes a temporary table for small, and nests loops over it.
    keys = ", ".join(f'"{name}"' for name in upsert.feed.key)
    connection.execute(sa.text(f"ANALYZE staging ({keys})"))
    matched = _affected(connection, upsert.match())
    if not matched:
        return {}
    connection.execute(sa.text("ANALYZE matched"))
    table = upsert.matched
    query = sa.select(table.c[_OUTCOME], sa.func.count()).group_by(table.c[_OUTCOME])
    return {row[0]: row[1] for row in connection.execute(query)}


def store_rejects(
    connection: sa.Connection,
    claim: Claim,
    text: TextFile,
    valid: ValidFile,
    replay: Replay | None = None,
) -> int:
    """Store the faults with their records and cells and return how many rows have any."""
    columns = tables.reject.columns
    names = [c.name for c in columns if c.name != "repaired_by_import_id"]
    stood_at = (scan(replay.rows) if replay else pl.LazyFrame(schema=PAIRS)).collect()
    rejected = 0

    def frames() -> Iterator[pl.DataFrame]:
        nonlocal rejected
        for faults, rows in _faults_by_batch(text, valid):
            if faults.height:
                rejected += faults["row_number"].n_unique()
                yield (
                    faults.with_columns(
                        pl.lit(claim.import_id).alias("import_id"), _raw(text.text, faults)
                    )
                    .join(_cells(rows, faults, text), on="row_number", how="left")
                    .join(stood_at, on="row_number", how="left")
                    .select(names)
                )

    _copy(connection, "csv_pipeline.reject", names, frames())
    return rejected


def _faults_by_batch(
    text: TextFile, valid: ValidFile
) -> Iterator[tuple[pl.DataFrame, Path | None]]:
    """Give the faults of malformed records, then those of rows with where the rows' cells are."""
    for faults in batches(text.rejects):
        yield faults, None
    rows = sorted(text.rows.glob("*.arrow"))
    for faults, path in zip(batches(valid.rejects), rows, strict=True):
        yield faults, path


def _cells(rows: Path | None, faults: pl.DataFrame, text: TextFile) -> pl.DataFrame:
    """Return the cells of rejected rows as JSON arrays; a malformed record has none."""
    if rows is None:
        return pl.DataFrame(schema={"row_number": pl.Int64, "cells": pl.String})
    names = [str(place) for place in range(len(text.header))]
    batch = pl.read_ipc(rows, columns=["row_number", *names])
    bad = batch.filter(pl.col("row_number").is_in(faults["row_number"].unique().implode()))
    shown = pl.concat_list(pl.col(names).str.replace_all("\0", "\u2400", literal=True))
    as_json = pl.struct(cells=shown).struct.json_encode()
    return bad.select(
        pl.col("row_number").cast(pl.Int64),
        as_json.str.strip_prefix('{"cells":').str.strip_suffix("}").alias("cells"),
    )


def _stage_repaired(
    connection: sa.Connection, upsert: _Upsert, valid: ValidFile, replay: Replay
) -> None:
    """Say which rejected row each valid one repairs."""
    upsert.repaired.create(connection)
    good = scan(valid.rows).select("row_number").collect()
    pairs = (batch.join(good, on="row_number", how="semi") for batch in batches(replay.rows))
    _copy(connection, "repaired", list(PAIRS), pairs)
    connection.execute(sa.text("ANALYZE repaired"))


def _copy_superseded(connection: sa.Connection, claim: Claim, valid: ValidFile) -> int:
    names = [column.name for column in tables.superseded.columns]
    frames = (
        batch.with_columns(pl.lit(claim.import_id).alias("import_id")).select(names)
        for batch in batches(valid.superseded_rows)
    )
    return _copy(connection, "csv_pipeline.superseded", names, frames)


def _raw(text: Path, faults: pl.DataFrame) -> pl.Series:
    """Return each fault's record as it stands in the file; NUL, which no table takes, as ␀."""
    raw = []
    with text.open("rb") as file:
        for offset, length in faults.select("offset", "length").iter_rows():
            file.seek(offset)
            raw.append(file.read(length).decode().replace("\0", "\u2400").removesuffix("\r"))
    return pl.Series("raw", raw, pl.String)


def _copy(
    connection: sa.Connection, table: str, names: list[str], frames: Iterator[pl.DataFrame]
) -> int:
    """Copy frames into a table and return how many rows the server took.

    One frame is written as text in a thread while the one before travels.
    """
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)  # noqa: S101  # the engine is psycopg's
    columns = ", ".join(f'"{name}"' for name in names)
    with ThreadPoolExecutor(1) as ahead, driver.cursor() as cursor:
        with cursor.copy(f"COPY {table} ({columns}) FROM STDIN (FORMAT csv)") as copy:
            pending = ahead.submit(_next_text, frames)
            while (data := pending.result()) is not None:
                pending = ahead.submit(_next_text, frames)
                copy.write(data)
        return cursor.rowcount


def _next_text(frames: Iterator[pl.DataFrame]) -> bytes | None:
    frame = next(frames, None)
    if frame is None:
        return None
    out = BytesIO()
    frame.write_csv(out, include_header=False)
    return out.getvalue()


def _affected(connection: sa.Connection, statement: sa.Insert | sa.Update) -> int:
    """Execute a statement and return how many rows the server says it touched."""
    # SQLAlchemy forgets the count of an INSERT unless told not to.
    return connection.execute(statement, execution_options={"preserve_rowcount": True}).rowcount


def _check(claim: Claim, what: str, needed: int, found: int) -> None:
    if needed != found:
        raise AccountingError(
            f"{claim.name}, import {claim.import_id}: {needed:,} {what} were needed; {found:,} "
            "were counted, so nothing of it is stored"
        )
