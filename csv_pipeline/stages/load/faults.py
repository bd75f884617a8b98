"""Store rejects: the faults with their records and cells, those found while loading among them."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import BinaryIO

import polars as pl
import sqlalchemy as sa

from csv_pipeline.batches import Batches, BatchWriter, batches, scan
from csv_pipeline.handover import ORIGIN, PAIRS, REJECTS, SUPERSEDED, TYPED_ORIGIN, TextFile
from csv_pipeline.parts import by_part
from csv_pipeline.stages.load.copying import copy
from csv_pipeline.stages.load.incoming import Incoming
from csv_pipeline.stages.load.resolution import Resolution
from csv_pipeline.storage import tables

_MANY = 50_000
_AT_ONCE = 1_000
_MOST_AT_ONCE = 4 * 1024**2
_LATER = {"repaired_by_import_id", "repair_undone_import_id"}


def store_rejects(
    connection: sa.Connection,
    incoming: Incoming,
    late: Batches,
    meanwhile: Callable[[], object] | None = None,
) -> list[int]:
    """Store the faults with their records and cells and return how many rows of each file have any.

    `late` are the faults that the database found. While the server takes them, `meanwhile` is
    called, if they are many. What it raises is lost.
    """
    columns = tables.reject.columns
    names = [c.name for c in columns if c.name not in _LATER]
    replay, files = incoming.replay, incoming.files
    stood_at = (scan(replay.rows) if replay else pl.LazyFrame(schema=PAIRS)).collect()
    rejected = [0] * len(files.parts)

    def frames() -> Iterator[pl.DataFrame]:
        for faults, number in _faults_by_batch(incoming, late):
            for at, some in by_part(faults, files.parts):
                rejected[at] += some["row_number"].n_unique()
                text, up = files.texts[at], files.parts[at].rows_up
                import_id = pl.lit(incoming.claims[at].import_id).alias("import_id")
                told = some.with_columns(import_id, _raw(text.text, some))
                batch = None if number is None else partial(files.rows.read, number)
                cells = _cells(batch, told, text, replayed=replay is not None)
                yield (
                    told.join(cells, on="row_number", how="left", maintain_order="left")
                    .with_columns(pl.col("row_number") - up)
                    .join(stood_at, on="row_number", how="left")
                    .select(names)
                )

    bad = sum(t.malformed + v.rejected for t, v in zip(files.texts, incoming.valid, strict=True))
    with ThreadPoolExecutor(1) as beside:
        if meanwhile is not None and bad >= _MANY:
            beside.submit(meanwhile)
        if bad or late.numbers:
            copy(connection, tables.reject, names, frames())
    return rejected


def write_refused(connection: sa.Connection, resolution: Resolution, late: BatchWriter) -> None:
    """Write the faults that the database found, batch by batch, with where their rows are."""
    table, valid = resolution.refused, resolution.incoming.valid[0]
    pairs = scan(valid.superseded_rows, SUPERSEDED).group_by(row_number="by_row_number")
    losers = pairs.agg(pl.len().alias("losers")).collect()
    for number, of_rows in enumerate(batches(valid.rows, TYPED_ORIGIN)):
        positions = of_rows.rename(dict(zip(TYPED_ORIGIN, ORIGIN, strict=True)))
        rows = positions["row_number"]
        query = (
            sa.select(table)
            .where(table.c._row_number.between(rows.min(), rows.max()))
            .order_by(table.c._row_number)
        )
        found = [tuple(row) for row in connection.execute(query)]
        faults = pl.DataFrame(found, schema=_REFUSED, orient="row")
        placed = faults.join(positions.cast({"row_number": pl.Int64}), on="row_number", how="inner")
        told = placed.join(losers, on="row_number", how="left", maintain_order="left")
        late.write(told.with_columns(_message()).select(*REJECTS).cast(REJECTS), number)


_REFUSED = {
    "row_number": pl.Int64,
    **dict.fromkeys(("column", "rule", "value", "message"), pl.String),
}


def _message() -> pl.Expr:
    column = pl.when(pl.col("column").is_not_null()).then(pl.format("column {}: ", "column"))
    more = pl.format("; rows of its key that it superseded stay out as well: {}", "losers")
    return pl.concat_str(column.fill_null(""), "message", more.fill_null("")).alias("message")


def _faults_by_batch(
    incoming: Incoming, late: Batches
) -> Iterator[tuple[pl.DataFrame, int | None]]:
    """Give the faults of malformed records, then those of rows with the number of their batch."""
    for faults in batches(incoming.files.rejects):
        yield faults, None
    rejects, numbers = incoming.valid[0].rejects, set(late.numbers)
    for number in rejects.numbers:
        found = [rejects.read(number), *(late.read(n) for n in numbers & {number})]
        yield pl.concat(found), number


def _cells(
    read: Callable[[list[str]], pl.DataFrame] | None,
    faults: pl.DataFrame,
    text: TextFile,
    *,
    replayed: bool,
) -> pl.DataFrame:
    """Return the cells of rejected rows as JSON arrays.

    A malformed record has none, and most others need none: their records give them again.
    """
    needed = faults
    if text.is_plain and not replayed:
        needed = faults.filter(pl.col("raw").str.contains("\n", literal=True))
    if read is None or needed.is_empty():
        return pl.DataFrame(schema={"row_number": pl.Int64, "cells": pl.String})
    names = [str(position) for position in range(len(text.header))]
    batch = read(["row_number", *names])
    bad = batch.filter(pl.col("row_number").is_in(needed["row_number"].unique().implode()))
    shown = pl.concat_list(pl.col(names).str.replace_all("\0", "\u2400", literal=True))
    as_json = pl.struct(cells=shown).struct.json_encode()
    return bad.select(
        pl.col("row_number").cast(pl.Int64),
        as_json.str.strip_prefix('{"cells":').str.strip_suffix("}").alias("cells"),
    )


def _raw(text: Path, faults: pl.DataFrame) -> pl.Series:
    """Return each fault's record as it is in the file; NUL, which no table takes, as ␀."""
    with text.open("rb") as file:
        records = [record.decode() for record in _records(file, faults)]
    raw = pl.Series("raw", records, pl.String)
    return raw.str.replace_all("\0", "\u2400", literal=True).str.strip_suffix("\r")


def _records(file: BinaryIO, faults: pl.DataFrame) -> Iterator[bytes]:
    """Give the bytes of each fault's record; adjacent faults are read at once."""
    positions = faults.select("offset", "length")
    for some in positions.iter_slices(_AT_ONCE):
        start = int(some["offset"].min() or 0)  # type: ignore[arg-type]
        end = int((some["offset"] + some["length"]).max() or 0)  # type: ignore[arg-type]
        if end - start > _MOST_AT_ONCE:
            for offset, length in some.iter_rows():
                file.seek(offset)
                yield file.read(length)
            continue
        file.seek(start)
        content = file.read(end - start)
        for offset, length in some.iter_rows():
            yield content[offset - start : offset - start + length]
