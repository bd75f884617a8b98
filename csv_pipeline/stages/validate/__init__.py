"""Check every typed row against the contract, and find repeated keys in the file.

Pandera checks each batch lazily, as an eager frame: all faults of all rows at once. A fault that a
cast has reported already is not reported again as a missing value.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import cast

import pandera.polars as pa
import polars as pl

from csv_pipeline.casts import labels
from csv_pipeline.errors import ThresholdExceededError
from csv_pipeline.handover import (
    REJECTS,
    SUPERSEDED,
    BatchWriter,
    Replay,
    TextFile,
    TypedFile,
    ValidFile,
    batch_files,
    batches,
    in_order,
    scan,
)
from csv_pipeline.rejects.faults import record_faults
from csv_pipeline.spec.feed import SHARE_FROM_ROWS, Feed
from csv_pipeline.spec.header import sources_in
from csv_pipeline.stages.validate.keys import (
    key_columns,
    key_hash,
    occurrences_of,
    reject_repeated,
    repeated_hashes,
    repeated_rows,
    rows_known_by,
    superseded_rows,
    warnings_of_differing,
    with_origin,
)
from csv_pipeline.stages.validate.rules import OwnCells, contract_faults, schema_of_feed

LONGEST_KEY = 2_500
"""Bytes of a key: an entry of a B-tree has 2,704 at most, the account and what PostgreSQL adds."""

_ROWS_OF_LABELS = 3  # right below the header


def validate(
    typed: TypedFile, text: TextFile, work: Path, feed: Feed, replay: Replay | None = None
) -> ValidFile:
    """Write the rows without fault to `work`, batch by batch in the order of their key.

    The faults of `typed` and those found here, which show cells as they are in `text`, come
    together in `rejects`. Of rows with the same key all but the one that the feed chooses are
    superseded, or all are rejected. Corrected rows may have been sorted: the feed chooses by where
    they were in the file that they repair.
    """
    schema = schema_of_feed(feed, typed.columns)
    rows, rejects = BatchWriter(work / "valid", main=True), BatchWriter(work / "rejects")
    keys = BatchWriter(work / "keys")
    identity = rows_known_by(feed.contract, typed.columns, typed.extras, keyed=bool(feed.key))
    files, positions = batch_files(text.rows), sources_in(text.header, feed)[0]

    def check(
        numbered: tuple[int, tuple[pl.DataFrame, pl.DataFrame]],
    ) -> tuple[int, dict[str, list[int]]]:
        number, (batch, known) = numbered
        cells = OwnCells(files[number], positions)
        good, faults = _checked(batch, known, schema, feed, typed, cells)
        good = good.hstack(identity.of(good)).sort(key_columns(feed))
        rows.write(good, number)
        rejects.write(faults, number)
        keys.write(good.select(key_hash(feed)), number)
        return batch.height - good.height, _odd_lines(good, feed)

    pairs = zip(batches(typed.rows), batches(typed.rejects), strict=True)
    rejected, odd = 0, dict[str, list[int]]()
    for number, lines in in_order(check, enumerate(pairs)):
        rejected += number
        odd = {code: odd.get(code, []) + lines.get(code, []) for code in odd | lines}
    warnings = [labels.warning(code, lines) for code, lines in odd.items()]
    superseded, occurrences = BatchWriter(work / "superseded"), BatchWriter(work / "occurrences")
    repeated = repeated_rows(rows.directory, repeated_hashes(keys), feed)
    if not feed.key:
        occurrences.write(occurrences_of(repeated), 0)
    elif repeated.is_empty():
        pass
    elif (winner := feed.duplicates.winner()) is not None:
        pairs_of_rows = superseded_rows(repeated, feed, winner, replay)
        superseded.write(pairs_of_rows, 0)
        warnings += warnings_of_differing(pairs_of_rows, repeated)
    else:
        rejected += reject_repeated(repeated, feed, rows, rejects)
    return ValidFile(
        rows=rows.directory,
        rejects=rejects.directory,
        superseded_rows=superseded.directory,
        occurrences=occurrences.directory,
        valid=rows.rows,
        rejected=rejected,
        superseded=superseded.rows,
        warnings=tuple(warnings),
    )


def rows_not_plain(valid: ValidFile, feed: Feed, firsts: Sequence[int]) -> pl.Series:
    """Return the numbers of rows of which a report would tell.

    They have a fault, or their key or content comes again, or they may be no records. `firsts` are
    the first rows of the files whose rows these are.
    """
    pairs = scan(valid.superseded_rows, SUPERSEDED).collect()
    again = scan(valid.occurrences, pl.Schema({"_row_number": pl.Int64})).collect()
    faults = scan(valid.rejects, REJECTS).select("row_number").collect()
    odd = (_odd(batch, feed, firsts) for batch in batches(valid.rows))
    numbers = (
        *pairs.get_columns(),
        again["_row_number"],
        faults["row_number"],
        *(rows["_row_number"] for found in odd for rows in found.values()),
    )
    return pl.concat([series.alias("row_number").cast(pl.Int64) for series in numbers]).unique()


def hold_to_threshold(
    feed: Feed, rejected: int, read: int, *, name: str, so_far: bool = False
) -> None:
    """Judge the whole file by its rejected rows, all or `so_far`, before any of it is visible.

    Raises:
        ThresholdExceededError: They are more than the feed allows.
    """
    most, share = feed.max_rejected_rows, feed.max_rejected_share
    over = None
    if most is not None and rejected > most:
        over = f"{most:,} rejected rows"
    elif share is not None and read >= SHARE_FROM_ROWS and rejected > share * read:
        over = f"{100 * share:.4g}% of the rows rejected"
    if over:
        raise ThresholdExceededError(name, feed.name, over, rejected, read, so_far=so_far)


def _checked(  # noqa: PLR0913, PLR0917  # a batch, and what is known of it
    batch: pl.DataFrame,
    known: pl.DataFrame,
    schema: pa.DataFrameSchema,
    feed: Feed,
    typed: TypedFile,
    cells: OwnCells,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows without fault, and all faults."""
    found = [*contract_faults(batch, schema, feed, typed.headings, cells), *_too_long(batch, feed)]
    if not found and known.is_empty():
        return batch, known
    new = pl.concat([pl.DataFrame(schema=REJECTS), *found])
    faults = pl.concat([known, new.join(known, on=["row_number", "column"], how="anti")])
    bad = batch["_row_number"].is_in(faults["row_number"].implode())
    return batch.filter(~bad), faults.sort("row_number", maintain_order=True)


def _too_long(batch: pl.DataFrame, feed: Feed) -> Iterator[pl.DataFrame]:
    """Give the faults of keys that the table's index cannot hold, if there are any."""
    texts = [name for name in feed.key if batch.schema[name] == pl.String]
    longest = batch.select(pl.col(texts).str.len_bytes().max()).row(0) if texts else ()
    if sum(size or 0 for size in longest) <= LONGEST_KEY:
        return
    size = pl.sum_horizontal(pl.col(name).str.len_bytes() for name in texts)
    rows = with_origin(batch.filter(size > LONGEST_KEY), size.alias("size"))
    found = pl.format(
        "a {} of at most {} bytes was needed, as it is the key of the table; it is {} bytes long",
        pl.lit(" + ".join(feed.key)),
        pl.lit(f"{LONGEST_KEY:,}"),
        pl.col("size"),
    )
    yield record_faults(rows, pl.lit("key.too_long"), found)


def _odd_lines(rows: pl.DataFrame, feed: Feed) -> dict[str, list[int]]:
    """Return by warning the lines of rows that may be no records."""
    return {code: some["_line_number"].to_list() for code, some in _odd(rows, feed).items()}


def _odd(rows: pl.DataFrame, feed: Feed, firsts: Sequence[int] = (2,)) -> dict[str, pl.DataFrame]:
    """Return by warning the rows that may be no records; their first key of text tells.

    Labels are in the first rows only.
    """
    names = feed.key or tuple(column.name for column in feed.columns)
    name = next((name for name in names if rows.schema.get(name) == pl.String), None)
    if name is None:
        return {}
    found = {}
    keys, numbers = rows[name], rows["_row_number"]
    if (total := labels.is_total(keys)).any():
        found[labels.TOTALS] = rows.filter(total)
    few = {first + more for first in firsts for more in range(_ROWS_OF_LABELS)}
    if rows.height and cast("int", numbers.min()) <= max(few):
        positions = [position for position, number in enumerate(numbers.to_list()) if number in few]
        headings = _key_headings(feed)
        if label := [
            position for position in positions if labels.is_label(keys[position], headings)
        ]:
            found[labels.LABELS] = rows[label]
    return found


@lru_cache(maxsize=100)
def _key_headings(feed: Feed) -> frozenset[str]:
    keys = (c.headings for c in feed.columns if c.identifier or c.name in feed.key)
    return frozenset().union(*keys)
