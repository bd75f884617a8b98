"""The result file of an import: what became of every record of its file, and every other line.

The batches that the stages wrote are joined here, one at a time, so that memory grows by one byte a
row only. Values of protected columns stay out, and no cell is one that a spreadsheet would run as a
formula.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import polars as pl

from csv_pipeline.batches import Batches, batches, in_order
from csv_pipeline.handover import TextFile, TypedFile, ValidFile
from csv_pipeline.parts import Files, by_part
from csv_pipeline.rejects.faults import MASK
from csv_pipeline.rejects.rejects_file import neutralised

ROW_NUMBER, LINE_NUMBER, OUTCOME, ERRORS = "_row_number", "_line_number", "_outcome", "_errors"
REFUSED = "refused"
"""The outcome of a row without fault in a file that was refused for its other rows."""
NON_DATA_LINE = "non-data"
"""The outcome of a line with text that is neither header nor record."""
MISSING = "missing"
"""The outcome of a stored row that a snapshot lacks."""

_REJECTED = "rejected"
# A row that nothing was noted about was inserted.
_CODES = ("inserted", "superseded", "updated", "unchanged", "kept")
_OUTCOMES = pl.Enum([*_CODES, _REJECTED, REFUSED])


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What the stages decided about files.

    `outcomes` has `row_number` and `outcome` of the rows that met a stored one; `late` the faults
    that only the database found, as `handover.REJECTS`; `missing` the keys of stored rows that a
    snapshot lacks, as text. `key` are the feed's key columns,
    `protected` those of them that are masked.
    """

    files: Files
    typed: TypedFile
    valid: ValidFile
    outcomes: Batches
    late: Batches
    missing: Batches
    key: tuple[str, ...]
    protected: frozenset[str]
    refused: bool = False


def result_lines(decided: Decided) -> Iterator[tuple[int, pl.DataFrame]]:
    """Give a line for every record in the order of the files, each batch with its file's position.

    The lines of a file with text that are no data follow, with the outcome `non-data` and why they
    are none, and the stored rows that it lacks as a snapshot, with the outcome `missing`.

    Shape: `_row_number`, `_line_number`, `_outcome`, the key columns as they are stored, `_errors`,
    where several faults are separated by " | ".
    """
    parts = decided.files.parts
    for frame in in_order(_Lines(decided).of, _numbered(decided.files)):
        for at, some in by_part(frame, parts, ROW_NUMBER):
            up = parts[at].rows_up
            yield at, some.with_columns(some[ROW_NUMBER] - up) if up else some
    for at, text in enumerate(decided.files.texts):
        for frame in _non_data(text, decided.key):
            yield at, frame
    for batch in batches(decided.missing):  # of a file that goes alone
        yield 0, _missing(batch, decided)


def write_lines(out: BinaryIO, frame: pl.DataFrame, *, first: bool) -> None:
    """Write lines of a result file, the `first` of it under the names of the columns.

    UTF-8 with a byte order mark, commas, CRLF.
    """
    frame.write_csv(out, include_header=first, include_bom=first, line_terminator="\r\n")


def _non_data(text: TextFile, key: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Give the lines that are no data, shaped as those of records."""
    if text.non_data_lines is None:
        return
    said = pl.format("{}: {}", "reason", pl.col("text").str.strip_chars_end("\r"))
    for batch in batches(text.non_data_lines):
        yield batch.select(
            pl.lit(None, pl.Int64).alias(ROW_NUMBER),
            pl.col("line_number").alias(LINE_NUMBER),
            pl.lit(NON_DATA_LINE).alias(OUTCOME),
            *(pl.lit(None, pl.String).alias(name) for name in key),
            neutralised(said).alias(ERRORS),
        )


def _missing(keys: pl.DataFrame, decided: Decided) -> pl.DataFrame:
    """Return the stored rows that a snapshot lacks, shaped as records."""
    shown = (
        pl.lit(MASK).alias(name) if name in decided.protected else neutralised(pl.col(name))
        for name in decided.key
    )
    return keys.with_columns(
        *(pl.lit(None, pl.Int64).alias(name) for name in (ROW_NUMBER, LINE_NUMBER)),
        *shown,
        pl.lit(MISSING).alias(OUTCOME),
        pl.lit(None, pl.String).alias(ERRORS),
    ).select(ROW_NUMBER, LINE_NUMBER, OUTCOME, *decided.key, ERRORS)


def _numbered(files: Files) -> Iterator[tuple[pl.DataFrame | None, pl.DataFrame | None]]:
    """Give the batches of well-formed records, each with that of malformed ones beside it."""
    rows, faults = set(files.rows.numbers), set(files.rejects.numbers)
    for number in sorted(rows | faults):
        records = files.rows.read(number, _POSITION) if number in rows else None
        yield records, files.rejects.read(number) if number in faults else None


class _Lines:
    """Make the lines of one batch after another."""

    def __init__(self, decided: Decided) -> None:
        self.decided = decided
        self.valid = _Pile(decided.valid.rows, ROW_NUMBER)
        self.typed = _Pile(decided.typed.rows, ROW_NUMBER)
        self.faults = (_Pile(decided.valid.rejects), _Pile(decided.late))
        self.codes = _codes(decided)

    def of(self, batch: tuple[pl.DataFrame | None, pl.DataFrame | None]) -> pl.DataFrame:
        rows, shapeless = batch
        parts = [] if rows is None else [rows]
        if shapeless is not None and shapeless.height:
            parts.append(shapeless.select(_POSITION).unique())
        records = pl.concat(parts).rename(_OURS)
        if len(parts) > 1:
            records = records.sort(ROW_NUMBER, LINE_NUMBER)
        if records.is_empty():
            return self._finished(records, records.select(ROW_NUMBER).clear(), None)
        low, high = records[ROW_NUMBER].min(), records[ROW_NUMBER].max()
        assert isinstance(low, int)  # noqa: S101  # the numbers of rows are
        assert isinstance(high, int)  # noqa: S101
        found = [faults for pile in self.faults for faults in pile.between(low, high, _FAULT)]
        if shapeless is not None and shapeless.height:
            found.append(shapeless.select(_FAULT))
        errors = _joined(pl.concat(found)) if found else None
        return self._finished(records, self._keys(low, high, errors), errors)

    def _keys(self, low: int, high: int, errors: pl.DataFrame | None) -> pl.DataFrame:
        """Return the key of every row: as it was stored, or else as it was read."""
        wanted = (ROW_NUMBER, *self.decided.key)
        keys = self.valid.between(low, high, wanted)
        if errors is not None:
            # A row that only the database rejected has its key already.
            known = [frame[ROW_NUMBER] for frame in keys]
            bad = errors.select(ROW_NUMBER)
            bad = bad.remove(pl.col(ROW_NUMBER).is_in(pl.concat(known).implode())) if known else bad
            of_bad = self.typed.between(low, high, wanted)
            keys += [frame.join(bad, on=ROW_NUMBER, how="semi") for frame in of_bad]
        if not keys:
            return pl.DataFrame(schema={ROW_NUMBER: pl.Int64})
        return pl.concat(keys)

    def _finished(
        self, records: pl.DataFrame, keys: pl.DataFrame, errors: pl.DataFrame | None
    ) -> pl.DataFrame:
        decided = self.decided
        outcome = self.codes.gather(records[ROW_NUMBER]).cat.to(_OUTCOMES)
        if decided.refused:
            outcome = pl.repeat(REFUSED, records.height, dtype=_OUTCOMES, eager=True)
        lines = _with(records.with_columns(outcome.alias(OUTCOME)), keys)
        if errors is not None:
            lines = _with(lines, errors)
            rejected = pl.lit(_REJECTED, _OUTCOMES)
            has_errors = pl.col(ERRORS).is_not_null()
            lines = lines.with_columns(
                pl.when(has_errors).then(rejected).otherwise(OUTCOME).alias(OUTCOME)
            )
        return lines.select(
            ROW_NUMBER,
            LINE_NUMBER,
            OUTCOME,
            *(self._shown(name, lines.schema.get(name)) for name in decided.key),
            pl.lit(None, pl.String).alias(ERRORS)
            if errors is None
            else neutralised(pl.col(ERRORS)),
        )

    def _shown(self, name: str, dtype: pl.DataType | None) -> pl.Expr:
        if dtype is None:
            return pl.lit(None, pl.String).alias(name)
        if name in self.decided.protected:
            return pl.when(pl.col(name).is_not_null()).then(pl.lit(MASK)).alias(name)
        return neutralised(pl.col(name)) if dtype == pl.String else pl.col(name)


_POSITION = ("row_number", "line_number")
_FAULT = ("row_number", "line_number", "message")
_OURS = {"row_number": ROW_NUMBER, "line_number": LINE_NUMBER}


class _Pile:
    """Some batches, and which rows each of them is about; `row` has their numbers."""

    def __init__(self, of: Batches, row: str = "row_number") -> None:
        self._of, self._row = of, row
        self._ranges: list[tuple[int, int, int]] = []
        self._columns: list[str] = []
        for number in of.numbers:
            numbers = of.read(number, [row])[row]
            if len(numbers):
                self._columns = self._columns or of.read(number).columns  # all batches have them
                self._ranges.append((number, numbers.min(), numbers.max()))  # type: ignore[arg-type]

    def between(self, low: int, high: int, columns: Iterable[str]) -> list[pl.DataFrame]:
        """Return the rows in a range with those of `columns` that they have."""
        found = []
        wanted = [name for name in columns if name in self._columns]
        for number, first, last in self._ranges:
            if first <= high and last >= low:
                frame = self._of.read(number, wanted)
                if first < low or last > high:
                    frame = frame.filter(pl.col(self._row).is_between(low, high))
                found.append(frame)
        return found


def _codes(decided: Decided) -> pl.Series:
    """Return a code for every row number: its place in `_CODES`."""
    last = 0
    for some in (decided.files.rows, decided.files.rejects):
        for batch in batches(some, ["row_number"]):
            last = max(last, *batch["row_number"].tail(1).to_list(), 0)
    codes = pl.zeros(last + 1, dtype=pl.UInt8, eager=True)
    for outcomes in batches(decided.outcomes):
        noted = outcomes.filter(pl.col("row_number") <= last)
        code = noted["outcome"].replace_strict(
            {name: number for number, name in enumerate(_CODES)}, return_dtype=pl.UInt8
        )
        codes = codes.scatter(noted["row_number"], code)
    for losers in batches(decided.valid.superseded_rows, ["row_number"]):
        codes = codes.scatter(losers["row_number"], _CODES.index("superseded"))
    return codes


def _with(lines: pl.DataFrame, facts: pl.DataFrame) -> pl.DataFrame:
    """Return lines with what is known of their rows; at once if that is one fact of each in order.

    So it is where every row is bad.
    """
    if facts[ROW_NUMBER].equals(lines[ROW_NUMBER]):
        return lines.hstack(facts.drop(ROW_NUMBER))
    return lines.join(facts, on=ROW_NUMBER, how="left", maintain_order="left")


def _joined(faults: pl.DataFrame) -> pl.DataFrame:
    """Return the messages of each row as one."""
    messages = faults.select(
        pl.col("row_number").alias(ROW_NUMBER), pl.col("message").alias(ERRORS)
    )
    if not messages[ROW_NUMBER].is_duplicated().any():
        return messages
    return (
        messages.group_by(ROW_NUMBER, maintain_order=True)
        .agg(ERRORS)
        .with_columns(pl.col(ERRORS).list.join(" | "))  # ten times as fast as joining in `agg`
    )
