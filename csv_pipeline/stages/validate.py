"""Check every typed row against the contract, and find repeated keys in the file.

Pandera checks each batch lazily, as an eager frame: all faults of all rows at once. A fault that a
cast has reported already is not reported again as a missing value.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, cast

import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData
from pandera.backends.polars.register import register_polars_backends
from pandera.errors import SchemaErrors

from csv_pipeline.casts import labels
from csv_pipeline.errors import SetupError, ThresholdExceededError
from csv_pipeline.model import ReportWarning
from csv_pipeline.rejects.faults import fault_rows, record_faults
from csv_pipeline.spec.contract import Column, Contract, Kind, asked_by, columns_of
from csv_pipeline.spec.feed import SHARE_FROM_ROWS, Feed
from csv_pipeline.spec.header import sources_in
from csv_pipeline.spec.row_hash import CONTENT, HASH, OCCURRENCE, KnownBy, known_by
from csv_pipeline.workspace import (
    ORIGIN,
    REJECTS,
    SUPERSEDED,
    TYPED_ORIGIN,
    BatchWriter,
    Replay,
    TextFile,
    TypedFile,
    ValidFile,
    batch_files,
    batches,
    in_order,
    read_batch,
    scan,
)

LONGEST_KEY = 2_500
"""Bytes of a key: an entry of a B-tree has 2,704 at most, the account and what PostgreSQL adds."""

_MOST_SHOWN = 5
_MOST_LINES = 20
_ROWS_OF_LABELS = 3  # right below the header
_HASHES_AT_ONCE = 1_000_000
_ANSWER = pl.Schema({"count": pl.UInt32, "passed": pl.Boolean})
_RULES = {
    "not_nullable": "required",
    "str_matches": "matches",
    "str_contains": "contains",
    "str_startswith": "startswith",
    "str_endswith": "endswith",
    "str_length": "length",
    "greater_than": "gt",
    "greater_than_or_equal_to": "ge",
    "less_than": "lt",
    "less_than_or_equal_to": "le",
    "in_range": "in_range",
    "isin": "isin",
}


def validate(
    typed: TypedFile, text: TextFile, work: Path, feed: Feed, replay: Replay | None = None
) -> ValidFile:
    """Write the rows without fault to `work`, batch by batch in the order of their key.

    The faults of `typed` and those found here, which show cells as they are in `text`, come
    together in `rejects`. Of rows with the same key all but the one that the feed chooses are
    superseded, or all are rejected. Corrected rows may have been sorted: the feed chooses by where
    they were in the file that they repair.
    """
    schema = _schema(feed, typed.columns)
    rows, rejects = BatchWriter(work / "valid"), BatchWriter(work / "rejects")
    keys = BatchWriter(work / "keys")
    identity = _known_by(feed.contract, typed.columns, typed.extras, keyed=bool(feed.key))
    files, positions = batch_files(text.rows), sources_in(text.header, feed)[0]

    def check(
        numbered: tuple[int, tuple[pl.DataFrame, pl.DataFrame]],
    ) -> tuple[int, dict[str, list[int]]]:
        number, (batch, known) = numbered
        cells = _Cells(files[number], positions)
        good, faults = _checked(batch, known, schema, feed, typed, cells)
        good = good.hstack(identity.of(good)).sort(_key(feed))
        rows.write(good, number)
        rejects.write(faults, number)
        keys.write(good.select(_key_hash(feed)), number)
        return batch.height - good.height, _odd_lines(good, feed)

    pairs = zip(batches(typed.rows), batches(typed.rejects), strict=True)
    rejected, odd = 0, dict[str, list[int]]()
    for number, lines in in_order(check, enumerate(pairs)):
        rejected += number
        odd = {code: odd.get(code, []) + lines.get(code, []) for code in odd | lines}
    warnings = [labels.warning(code, lines) for code, lines in odd.items()]
    superseded, occurrences = BatchWriter(work / "superseded"), BatchWriter(work / "occurrences")
    repeated = _repeated(rows.directory, _repeated_hashes(keys), feed)
    if not feed.key:
        occurrences.write(_occurrences(repeated), 0)
    elif repeated.is_empty():
        pass
    elif (winner := feed.duplicates.winner()) is not None:
        pairs_of_rows = _superseded(repeated, feed, winner, replay)
        superseded.write(pairs_of_rows, 0)
        warnings += _differ(pairs_of_rows, repeated)
    else:
        rejected += _reject_repeated(repeated, feed, rows, rejects)
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


@cache
def has_own_rules(contract: type[Contract]) -> bool:
    """Return whether a contract has rules that are not Pandera's and may look at several rows."""
    schema = contract.to_schema()
    checks = (check for column in schema.columns.values() for check in column.checks)
    return bool(schema.checks) or any(check.name not in _RULES for check in checks)


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


@dataclass(frozen=True, slots=True)
class _Cells:
    """The cells of a batch as they are in the file; read only if there is a fault to show."""

    path: Path
    positions: Mapping[str, int]

    def shown_in(self, batch: pl.DataFrame, column: Column) -> pl.DataFrame:
        """Return the batch with a column's values as they are written: `-1`, and not `-1.00`."""
        if column.kind is Kind.TEXT or column.name not in self.positions:
            return batch
        position = str(self.positions[column.name])
        written = read_batch(self.path, [position]).to_series().str.strip_chars()
        value = pl.when(pl.col(column.name).is_not_null()).then(written)
        return batch.with_columns(value.alias(column.name))


def _checked(  # noqa: PLR0913, PLR0917  # a batch, and what is known of it
    batch: pl.DataFrame,
    known: pl.DataFrame,
    schema: pa.DataFrameSchema,
    feed: Feed,
    typed: TypedFile,
    cells: _Cells,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return the rows without fault, and all faults."""
    found = [*_faults(batch, schema, feed, typed.headings, cells), *_too_long(batch, feed)]
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
    rows = _placed(batch.filter(size > LONGEST_KEY), size.alias("size"))
    found = pl.format(
        "a {} of at most {} bytes was needed, as it is the key of the table; it is {} bytes long",
        pl.lit(" + ".join(feed.key)),
        pl.lit(f"{LONGEST_KEY:,}"),
        pl.col("size"),
    )
    yield record_faults(rows, pl.lit("key.too_long"), found)


def _placed(rows: pl.DataFrame, *others: pl.Expr) -> pl.DataFrame:
    """Return where rows are, as `ORIGIN`, beside other expressions."""
    positions = zip(TYPED_ORIGIN, ORIGIN, strict=True)
    return rows.select(*(pl.col(typed).alias(name) for typed, name in positions), *others)


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


def _schema(feed: Feed, present: tuple[str, ...]) -> pa.DataFrameSchema:
    """Return the contract for the columns present.

    Where a contract has rules of its own, these see the whole frame, so that columns that the file
    lacks stay in it, as nulls.
    """
    return _schema_of(feed.contract, present)


@lru_cache(maxsize=100)  # to leave columns out is to copy the others, checks and all
def _schema_of(contract: type[Contract], present: tuple[str, ...]) -> pa.DataFrameSchema:
    register_polars_backends()  # which Pandera itself does when it first validates
    schema = contract.to_schema()
    own = has_own_rules(contract)
    absent = [] if own else [name for name in schema.columns if name not in present]
    return schema.remove_columns(absent)


def _faults(
    batch: pl.DataFrame,
    schema: pa.DataFrameSchema,
    feed: Feed,
    headings: dict[str, str],
    cells: _Cells,
) -> list[pl.DataFrame]:
    """Return the contract's faults in a batch, those of each check together."""
    faults: list[pl.DataFrame] = []
    columns = {column.name: column for column in feed.columns}
    absent = [
        pl.lit(None, columns[name].dtype).alias(name)
        for name in schema.columns
        if name not in batch.columns
    ]
    whole = (batch.with_columns(absent) if absent else batch)[list(schema.columns)]
    may_fail = _may_fail(whole, schema)
    if not may_fail:
        return faults
    looked_at = schema.select_columns(may_fail)
    looked_at.strict = False  # checks of the contract's own may see the other columns
    try:
        looked_at.validate(whole, lazy=True)
    except SchemaErrors as error:
        cases = error.failure_cases
        _refuse_whole_frame(cases, feed)
        for (name, check), some in cases.group_by("column", "check", maintain_order=True):
            failed = pl.Series([False]).new_from_index(0, batch.height)
            failed = failed.scatter(some["index"].unique(), values=True)
            column = columns[str(name)]
            rule, needed = _rule(str(check), column, schema)
            heading = headings.get(column.name, "")
            shown = cells.shown_in(batch, column)
            faults.append(fault_rows(shown, failed, column, heading, rule, needed))
    return faults


def _may_fail(whole: pl.DataFrame, schema: pa.DataFrameSchema) -> list[str]:
    """Return the columns of which any check of the contract fails.

    Pandera would say which rows are bad of each check, which is most of the time that a small file
    takes; that is left to it where any are. The checks are its own, and so is how nulls count.

    Raises:
        SetupError: A check does not answer for each row.
    """
    every = list(schema.columns)
    expected = {name: column.dtype.type for name, column in schema.columns.items()}
    if whole.schema != expected:
        return every
    rows = whole.lazy()
    checks = [(name, check) for name, one in schema.columns.items() for check in one.checks]
    checks += [("*", check) for check in schema.checks]
    answers = [_answer(rows, name, check) for name, check in checks]
    found = pl.concat(answers).collect(engine="in-memory").rows() if answers else []
    failed = set()
    for (name, check), (count, passed) in zip(checks, found, strict=True):
        if count != whole.height:
            raise SetupError(
                f"contract {schema.name!r}, check {check.name!r}: an answer for each row was "
                "needed, because a check sees some rows of a file at a time; it answers "
                f"{count or 1:,} times for {whole.height:,} rows"
            )
        failed |= set() if passed else {name}
    if schema.checks:
        return every
    required = (name for name, column in schema.columns.items() if not column.nullable)
    failed |= {name for name in required if whole[name].null_count()}
    return [name for name in every if name in failed]


def _answer(rows: pl.LazyFrame, name: str, check: Any) -> pl.LazyFrame:
    """Return how often a check answers for some rows, null if for all at once, and if all pass."""
    answer: pl.LazyFrame | bool = check.get_backend(rows)(check).apply(PolarsData(rows, name))
    if isinstance(answer, bool):
        return pl.LazyFrame({"count": [None], "passed": [answer]}, schema=_ANSWER)
    passed = pl.all().fill_null(check.ignore_na).all().alias("passed")
    return answer.select(pl.len().alias("count"), passed)


def _refuse_whole_frame(cases: pl.DataFrame, feed: Feed) -> None:
    """A fault without a row is the feed's, not the file's."""
    whole = cases.filter(pl.col("index").is_null())
    if whole.height:
        case = whole.row(0, named=True)
        raise SetupError(
            f"feed {feed.name!r}: rows as its contract declares were needed; "
            f"{case['check']} fails for {case['column'] or case['failure_case']!r}"
        )


def _rule(check: str, column: Column, schema: pa.DataFrameSchema) -> tuple[str, str]:
    """Return a check's short name and what it needs."""
    name, _, arguments = check.partition("(")
    if name == "not_nullable":
        return "required", column.description or "a value in each row"
    rule = _RULES.get(name, name)
    by_name = {c.name: c for c in schema.columns[column.name].checks}
    words = asked_by(by_name[name]) if name in by_name else f"{rule} {arguments.rstrip(')')}"
    return rule, column.needs or words.strip()


@lru_cache(maxsize=100)
def _known_by(
    contract: type[Contract], present: tuple[str, ...], extras: tuple[str, ...], *, keyed: bool
) -> KnownBy:
    columns = (column for column in columns_of(contract) if column.name in present)
    return known_by(columns, keyed=keyed, extras=extras)


def _key(feed: Feed) -> tuple[str, ...]:
    return feed.key or (CONTENT,)


def _key_hash(feed: Feed) -> pl.Expr:
    return pl.struct(_key(feed)).hash().alias("hash")


def _repeated_hashes(keys: BatchWriter) -> pl.Series:
    """Return the hashes that come several times, looking at a million or so at once."""
    parts = keys.rows // _HASHES_AT_ONCE + 1
    found = [pl.Series("hash", [], pl.UInt64)]
    for part in range(parts):
        mine = pl.col("hash") % parts == part
        some = [batch.filter(mine)["hash"] for batch in batches(keys.directory)]
        seen = pl.concat([pl.Series("hash", [], pl.UInt64), *some])
        if seen.n_unique() < len(seen):
            found.append(seen.filter(seen.is_duplicated()).unique())
    return pl.concat(found)


def _repeated(rows: Path, repeated: pl.Series, feed: Feed) -> pl.DataFrame:
    """Return rows whose key comes several times: key, `TYPED_ORIGIN` and what their policy sees.

    Hashes find the few candidates, so that memory does not grow with the width of the key; the keys
    themselves decide.
    """
    if repeated.is_empty():
        return pl.DataFrame()
    key = _key(feed)
    wanted = (*key, *TYPED_ORIGIN, *feed.duplicates.columns, *HASH)
    candidate = _key_hash(feed).is_in(repeated.implode())
    candidates = pl.concat([batch.filter(candidate) for batch in batches(rows, wanted)])
    return candidates.filter(pl.len().over(key) > 1).cast({"_row_number": pl.Int64})


def _superseded(
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
        position.alias("row_number"), winner.over(feed.key).alias("by_row_number")
    ).filter(pl.col("row_number") != pl.col("by_row_number"))
    if replay is not None:
        found = found.with_columns(pl.all().replace_strict(then, now))
    return found.sort("row_number")


def _differ(superseded: pl.DataFrame, repeated: pl.DataFrame) -> list[ReportWarning]:
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


def _occurrences(repeated: pl.DataFrame) -> pl.DataFrame:
    """Number the rows of the same content in the order of the file, from 1."""
    if repeated.is_empty():
        return pl.DataFrame(schema={"_row_number": pl.Int64, OCCURRENCE: pl.Int64})
    number = pl.col("_row_number").rank("ordinal").over(CONTENT).cast(pl.Int64)
    return repeated.select("_row_number", number.alias(OCCURRENCE))


def _reject_repeated(
    repeated: pl.DataFrame, feed: Feed, rows: BatchWriter, rejects: BatchWriter
) -> int:
    """Take the rows of repeated keys out of the batches they are in, and return their number."""
    rejected = 0
    faults = _repeated_faults(repeated, feed)
    for number, (good, known) in enumerate(
        zip(batches(rows.directory), batches(rejects.directory), strict=True)
    ):
        more = faults.filter(faults["row_number"].is_in(good["_row_number"].implode()))
        if more.height:
            rejected += more.height
            rows.write(
                good.filter(~good["_row_number"].is_in(more["row_number"].implode())), number
            )
            both = pl.concat([known, more]).sort("row_number", maintain_order=True)
            rejects.write(both, number)
    return rejected


def _repeated_faults(repeated: pl.DataFrame, feed: Feed) -> pl.DataFrame:
    others = pl.col("_row_number").sort().head(_MOST_SHOWN).cast(pl.String).str.join(", ")
    more = pl.len().cast(pl.Int64) - _MOST_SHOWN
    found = pl.format(
        "a {} that is in one row of the file only was needed; it is in rows {}{}",
        pl.lit(" + ".join(feed.key)),
        others.over(feed.key),
        pl.when(more.over(feed.key) > 0)
        .then(pl.format(" and {} more", more.over(feed.key)))
        .otherwise(pl.lit("")),
    )
    faults = _placed(repeated, found.alias("found"))
    return record_faults(faults, pl.lit("key.duplicate"), pl.col("found"))
