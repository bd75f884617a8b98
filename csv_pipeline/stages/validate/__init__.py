"""Check every typed row against the contract, and find repeated keys in the file.

Pandera checks each batch lazily, as an eager frame: all faults of all rows at once. A fault that a
cast has reported already is not reported again as a missing value.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import starmap
from typing import cast

import polars as pl

from csv_pipeline.batches import BatchWriter, batches, in_order
from csv_pipeline.casts import labels
from csv_pipeline.errors import ThresholdExceededError
from csv_pipeline.handover import REJECTS, TYPED_ORIGIN, Part, TypedFile, ValidFile
from csv_pipeline.model import ReportWarning
from csv_pipeline.parts import Files, by_part
from csv_pipeline.rejects.faults import record_faults
from csv_pipeline.spec.feed import SHARE_FROM_ROWS, Feed
from csv_pipeline.spec.header import sources_in
from csv_pipeline.stages.validate.keys import (
    key_columns,
    key_hash,
    met_before,
    occurrences_of,
    reject_repeated,
    repeated_hashes,
    repeated_in_file,
    repeated_rows,
    rows_known_by,
    superseded_rows,
    warnings_of_differing,
    with_origin,
)
from csv_pipeline.stages.validate.rules import OwnCells, Rules, contract_faults, rules_of

LONGEST_KEY = 2_500
"""Bytes of a key: an entry of a B-tree has 2,704 at most, the account and what PostgreSQL adds."""

_ROWS_OF_LABELS = 3  # right below the header


def validate(files: Files, typed: Sequence[TypedFile], feed: Feed) -> list[ValidFile]:
    """Write the rows without fault, batch by batch in the order of their key.

    The faults of `typed` and those found here, which show cells as they are in the text, come
    together in `rejects`. Of rows of a file with the same key all but the one that the feed chooses
    are superseded, or all are rejected. Corrected rows may have been sorted: the feed chooses by
    where they were in the file that they repair.
    """
    first = typed[0]  # all have the same columns
    rules = rules_of(feed, first.columns, first.headings)
    rows = BatchWriter(files.work / "valid", main=True)
    rejects, keys = BatchWriter(files.work / "rejects"), BatchWriter(files.work / "keys")
    identity = rows_known_by(feed, first.columns, first.extras)
    numbers, positions = files.rows.numbers, sources_in(files.header, feed)[0]
    found = [_Found() for _ in files.parts]

    def check(
        numbered: tuple[int, tuple[pl.DataFrame, pl.DataFrame]],
    ) -> tuple[pl.DataFrame, pl.DataFrame, dict[str, pl.DataFrame]]:
        number, (batch, known) = numbered
        cells = OwnCells(partial(files.rows.read, numbers[number]), positions)
        good, faults = _checked(batch, known, rules, cells)
        good = good.hstack(identity.of(good)).sort(key_columns(feed))
        rows.write(good, number)
        rejects.write(faults, number)
        keys.write(good.select(key_hash(feed)), number)
        bad = faults.select(pl.col("row_number").unique())
        return good.select(TYPED_ORIGIN[0]), bad, _odd(good, feed, files.parts)

    pairs = zip(batches(first.rows), batches(first.rejects), strict=True)
    for good, bad, odd in in_order(check, enumerate(pairs)):
        _count(found, files, good, bad)
        for code, its in odd.items():
            for at, some in by_part(its, files.parts, TYPED_ORIGIN[0]):
                found[at].odd.setdefault(code, []).extend(some[TYPED_ORIGIN[1]])
    superseded = BatchWriter(files.work / "superseded")
    occurrences = BatchWriter(files.work / "occurrences")
    repeated = repeated_rows(rows.batches, repeated_hashes(keys), feed, files.parts)
    for at, row in met_before(repeated, feed, files.parts):
        found[at].meets = row
    repeated = repeated_in_file(repeated, feed)
    if not feed.key:
        occurrences.write(occurrences_of(repeated), 0)
    elif feed.duplicates.winner() is not None:
        _supersede(repeated, feed, files, superseded, found)
    elif repeated.height:
        faults = reject_repeated(repeated, feed, rows, rejects).select("row_number")
        _count(found, files, faults.select(_row_number="row_number"), faults, sign=-1)
    return [
        ValidFile(
            rows=rows.batches,
            rejects=rejects.batches,
            superseded_rows=superseded.batches,
            occurrences=occurrences.batches,
            part=part,
            valid=its.valid,
            rejected=its.rejected,
            superseded=its.superseded,
            warnings=(*starmap(labels.warning, its.odd.items()), *its.warnings),
            meets=its.meets,
        )
        for part, its in zip(files.parts, found, strict=True)
    ]


@dataclass(slots=True)
class _Found:
    """What is found about the rows of one file."""

    valid: int = 0
    rejected: int = 0
    superseded: int = 0
    meets: int = 0
    odd: dict[str, list[int]] = field(default_factory=dict)
    warnings: list[ReportWarning] = field(default_factory=list)


def _count(
    found: Sequence[_Found], files: Files, good: pl.DataFrame, bad: pl.DataFrame, sign: int = 1
) -> None:
    for at, some in by_part(good, files.parts, TYPED_ORIGIN[0]):
        found[at].valid += sign * some.height
    for at, some in by_part(bad, files.parts):
        found[at].rejected += some.height


def _supersede(
    repeated: pl.DataFrame,
    feed: Feed,
    files: Files,
    superseded: BatchWriter,
    found: Sequence[_Found],
) -> None:
    """Write which rows lose against another of their file."""
    winner = feed.duplicates.winner()
    if winner is None or repeated.is_empty():
        return
    pairs = superseded_rows(repeated, feed, winner, files.replay)
    superseded.write(pairs, 0)
    for at, some in by_part(pairs, files.parts):
        found[at].superseded = some.height
        found[at].warnings = warnings_of_differing(some, repeated)


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


def _checked(
    batch: pl.DataFrame, known: pl.DataFrame, rules: Rules, cells: OwnCells
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows without fault, and all faults."""
    found = [*contract_faults(batch, rules, cells), *_too_long(batch, rules.feed)]
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


def _odd(rows: pl.DataFrame, feed: Feed, parts: Sequence[Part]) -> dict[str, pl.DataFrame]:
    """Return by warning the rows that may be no records; their first key of text tells.

    Labels are in the first rows of a file only.
    """
    names = feed.key or tuple(column.name for column in feed.columns)
    name = next((name for name in names if rows.schema.get(name) == pl.String), None)
    if name is None:
        return {}
    found = {}
    keys, numbers = rows[name], rows["_row_number"]
    if (total := labels.is_total(keys)).any():
        found[labels.TOTALS] = rows.filter(total)
    few = {part.rows_up + 2 + more for part in parts for more in range(_ROWS_OF_LABELS)}
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
