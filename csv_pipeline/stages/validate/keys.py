"""Find the rows of a file whose key comes several times, and what their policy makes of them."""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import polars as pl

from csv_pipeline.batches import Batches, BatchWriter, batches, scan
from csv_pipeline.handover import ORIGIN, TYPED_ORIGIN, Part, Replay
from csv_pipeline.model import ReportWarning
from csv_pipeline.parts import parts_of
from csv_pipeline.rejects.faults import record_faults
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.row_hash import CONTENT, HASH, OCCURRENCE, KnownBy, known_by


@lru_cache(maxsize=100)
def rows_known_by(feed: Feed, present: tuple[str, ...], extras: tuple[str, ...]) -> KnownBy:
    """Return how rows are known: by the hash of their values, and by content without a key."""
    columns = (column for column in feed.columns if column.name in present)
    return known_by(columns, keyed=bool(feed.key), extras=extras, counted=feed.counted)


def key_columns(feed: Feed) -> tuple[str, ...]:
    """Return the columns by which rows are the same: the key, or what they hold."""
    return feed.key or (CONTENT,)


def key_hash(feed: Feed) -> pl.Expr:
    """Return a hash of the key, by which candidates for the same key are found."""
    return pl.struct(key_columns(feed)).hash().alias("hash")


def repeated_hashes(keys: BatchWriter) -> pl.Series:
    """Return the hashes that come several times, looking at a million or so at once."""
    parts = keys.rows // _HASHES_AT_ONCE + 1
    found = [pl.Series("hash", [], pl.UInt64)]
    for part in range(parts):
        mine = pl.col("hash") % parts == part
        some = [batch.filter(mine)["hash"] for batch in batches(keys.batches)]
        seen = pl.concat([pl.Series("hash", [], pl.UInt64), *some])
        if seen.n_unique() < len(seen):
            found.append(seen.filter(seen.is_duplicated()).unique())
    return pl.concat(found)


def repeated_rows(
    rows: Batches, repeated: pl.Series, feed: Feed, parts: Sequence[Part]
) -> pl.DataFrame:
    """Return rows whose key comes several times: key, `TYPED_ORIGIN` and what their policy sees.

    Hashes find the few candidates, so that memory does not grow with the width of the key; the keys
    themselves decide. `_part` is the position of a row's file, `_number` the row's number in it.
    """
    if repeated.is_empty():
        return pl.DataFrame()
    key = key_columns(feed)
    wanted = (*key, *TYPED_ORIGIN, *feed.duplicates.columns, *HASH)
    candidate = key_hash(feed).is_in(repeated.implode())
    candidates = pl.concat([batch.filter(candidate) for batch in batches(rows, wanted)])
    again = candidates.filter(pl.len().over(key) > 1).cast({"_row_number": pl.Int64})
    position = parts_of(again["_row_number"], parts)
    ups = pl.Series([part.rows_up for part in parts]).gather(position)
    number = again["_row_number"] - ups
    return again.with_columns(position.alias("_part"), number.alias("_number"))


def met_before(
    repeated: pl.DataFrame, feed: Feed, parts: Sequence[Part]
) -> Iterator[tuple[int, int]]:
    """Give the files with a key that a file before them has, and the last row before that does."""
    if len(parts) == 1 or repeated.is_empty():
        return
    before = repeated.sort("_row_number").select(
        "_part",
        *(
            pl.col(name).shift(1).over(key_columns(feed)).alias(f"{name}_before")
            for name in ("_part", "_row_number")
        ),
    )
    met = before.filter(pl.col("_part_before") < pl.col("_part"))
    yield from met.group_by("_part").agg(pl.col("_row_number_before").max()).iter_rows()


def repeated_in_file(repeated: pl.DataFrame, feed: Feed) -> pl.DataFrame:
    """Return those of the rows whose key comes several times in their file."""
    if repeated.is_empty():
        return repeated
    return repeated.filter(pl.len().over(*by_file(feed)) > 1)


def by_file(feed: Feed) -> tuple[str, ...]:
    """Return the columns by which rows are the same in one file."""
    return (*key_columns(feed), "_part")


def superseded_rows(
    repeated: pl.DataFrame, feed: Feed, winner: pl.Expr, replay: Replay | None
) -> pl.DataFrame:
    """Return the row numbers of rows that lose against another, each with that of the other."""
    rows, position = repeated, pl.col("_row_number")
    if replay is not None:
        numbers = repeated.select(row_number=position)
        pairs = scan(replay.rows).collect().join(numbers, on="row_number", how="semi")
        now, then = pairs["row_number"], pairs["repairs_row_number"]
        rows = repeated.with_columns(position.replace_strict(now, then))
    found = rows.select(
        position.alias("row_number"), winner.over(by_file(feed)).alias("by_row_number")
    ).filter(pl.col("row_number") != pl.col("by_row_number"))
    if replay is not None:
        found = found.with_columns(pl.all().replace_strict(then, now))
    return found.sort("row_number")


def warnings_of_differing(superseded: pl.DataFrame, repeated: pl.DataFrame) -> list[ReportWarning]:
    """Return the warning of rows that lose against another and hold something else."""
    rows = repeated.select(pl.col("_row_number").alias("row_number"), "_line_number", *HASH)
    pairs = superseded.join(rows, on="row_number").join(
        rows, left_on="by_row_number", right_on="row_number", suffix="_by"
    )
    differ = pairs.filter(pl.any_horizontal(pl.col(h) != pl.col(f"{h}_by") for h in HASH))
    if differ.is_empty():
        return []
    return [
        ReportWarning(
            code="rows.superseded_differ",
            message=f"{differ.height:,} of {superseded.height:,} superseded rows differ from the "
            "row that won",
            count=differ.height,
            line_numbers=tuple(differ["_line_number"].sort().head(_MOST_LINES)),
        )
    ]


def occurrences_of(repeated: pl.DataFrame) -> pl.DataFrame:
    """Number the rows of the same content in the order of the file, from 1."""
    if repeated.is_empty():
        return pl.DataFrame(schema={"_row_number": pl.Int64, OCCURRENCE: pl.Int64})
    number = pl.col("_row_number").rank("ordinal").over(CONTENT, "_part").cast(pl.Int64)
    return repeated.select("_row_number", number.alias(OCCURRENCE))


def reject_repeated(
    repeated: pl.DataFrame, feed: Feed, rows: BatchWriter, rejects: BatchWriter
) -> pl.DataFrame:
    """Take the rows of repeated keys out of the batches they are in, and return their faults."""
    faults = _repeated_faults(repeated, feed)
    for number, (good, known) in enumerate(
        zip(batches(rows.batches), batches(rejects.batches), strict=True)
    ):
        more = faults.filter(faults["row_number"].is_in(good["_row_number"].implode()))
        if more.height:
            rows.write(
                good.filter(~good["_row_number"].is_in(more["row_number"].implode())), number
            )
            both = pl.concat([known, more]).sort("row_number", maintain_order=True)
            rejects.write(both, number)
    return faults


def _repeated_faults(repeated: pl.DataFrame, feed: Feed) -> pl.DataFrame:
    same = by_file(feed)
    others = pl.col("_number").sort().head(_MOST_SHOWN).cast(pl.String).str.join(", ").over(same)
    more = (pl.len().cast(pl.Int64) - _MOST_SHOWN).over(same)
    found = pl.format(
        "a {} that is in one row of the file only was needed; it is in rows {}{}",
        pl.lit(" + ".join(feed.key)),
        others,
        pl.when(more > 0).then(pl.format(" and {} more", more)).otherwise(pl.lit("")),
    )
    faults = with_origin(repeated, found.alias("found"))
    return record_faults(faults, pl.lit("key.duplicate"), pl.col("found"))


_MOST_SHOWN = 5


_MOST_LINES = 20


_HASHES_AT_ONCE = 1_000_000


def with_origin(rows: pl.DataFrame, *others: pl.Expr) -> pl.DataFrame:
    """Return where rows are, as `ORIGIN`, beside other expressions."""
    positions = zip(TYPED_ORIGIN, ORIGIN, strict=True)
    return rows.select(*(pl.col(typed).alias(name) for typed, name in positions), *others)
