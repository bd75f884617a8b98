"""Count the lines of a text by kind, and keep the non-data lines."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import polars as pl

from csv_pipeline.batches import Batches, BatchWriter
from csv_pipeline.errors import AccountingError
from csv_pipeline.handover import NON_DATA
from csv_pipeline.model import LineCounts, NonDataLine, ReportWarning
from csv_pipeline.rejects.faults import MASK
from csv_pipeline.stages.read.blocks import Block
from csv_pipeline.stages.read.dialect import Dialect, ReadHints
from csv_pipeline.stages.read.kinds import BLANK, DATA, PADDING, non_data_line
from csv_pipeline.stages.read.looks import ends_anew, is_doubtful

_LINES_NAMED = 20
_MOST_DECLARED = 10_000  # facts kept; a file made of footers is counted to the end all the same


@dataclass
class Tally:
    """The lines of one text so far, and those that are neither rows nor blank."""

    dialect: Dialect
    hints: ReadHints
    directory: Path
    blank: int = 0
    non_data: int = 0
    declared: list[NonDataLine] = field(default_factory=list)
    _total: int = field(init=False)
    _records: int = 0
    _blank_lines: int = 0
    _non_data_lines: int = 0
    _like_rows: int = 0
    _first_like_rows: list[int] = field(default_factory=list)
    _writer: BatchWriter = field(init=False)

    def __post_init__(self) -> None:
        self._total = self.dialect.data_line - 1
        self._blank_lines = self.dialect.blank_above
        self._writer = BatchWriter(self.directory)
        self._keep(self.dialect.preamble)

    @property
    def batches(self) -> Batches:
        """The lines that are neither header nor records, nor blank, as `handover.NON_DATA`."""
        return self._writer.batches

    @property
    def lines(self) -> LineCounts:
        """Where every line is."""
        return LineCounts(
            total=self._total,
            header=self.dialect.header_lines,
            records=self._records,
            blank=self._blank_lines,
            non_data=self._non_data_lines,
        )

    def take_in(self, block: Block) -> None:
        """Count the lines of a block whatever they are."""
        self._total += block.data.count(b"\n")
        self._total += block.final and bool(block.data) and not block.data.endswith(b"\n")

    def pass_over(self, height: int) -> None:
        """Count rows of one line each."""
        self._records += height

    def count(self, frame: pl.DataFrame) -> None:
        """Count records by their `kind`, and keep those that are none."""
        if frame.is_empty():
            return
        lines = frame["text"].str.count_matches("\n", literal=True).cast(pl.Int64) + 1
        is_data, is_blank = frame["kind"] == DATA, frame["kind"] == BLANK
        several = is_data & (lines > 1) & frame["fault"].is_null()
        if several.any():
            self._doubt(frame.filter(several))
        self._records += int(lines.filter(is_data).sum())
        self.blank += int(is_blank.sum())
        self._blank_lines += int(lines.filter(is_blank).sum())
        is_padding = frame["kind"] == PADDING
        if is_padding.any():
            self._keep_padding(frame.filter(is_padding))
        if (is_other := ~(is_data | is_blank | is_padding)).any():
            rest, patterns = frame.filter(is_other).iter_rows(named=True), self.hints.non_data
            self._keep([non_data_line(line, patterns, self.dialect.grammar) for line in rest])

    @property
    def warnings(self) -> tuple[ReportWarning, ...]:
        """What a person should look at."""
        if not self._like_rows:
            return ()
        message = (
            f"{self._like_rows:,} rows have a quoted cell with lines that could be rows, had two "
            "quotes strayed in; it is read as a cell, as its quotes stand where those of one do"
        )
        return (
            ReportWarning(
                code="cells.like_rows",
                message=message,
                count=self._like_rows,
                line_numbers=tuple(self._first_like_rows),
            ),
        )

    def check(self) -> None:
        """Hold the lines that were told apart against those that the text has.

        Raises:
            AccountingError: Some are missing, or were counted twice.
        """
        if self.lines.total != self.lines.accounted:
            raise AccountingError(f"{self.hints.name}: the lines do not add up: {self.lines}")

    def _doubt(self, frame: pl.DataFrame) -> None:
        """Count rows of several lines some of which, but for the quotes, would be rows."""
        grammar, width = self.dialect.grammar, len(self.dialect.header)
        delimiters = frame["text"].str.count_matches(grammar.delimiter, literal=True)
        many = (delimiters >= width) | (width == 1)
        for line, text in frame.filter(many).select("line_number", "text").iter_rows():
            parts = text.split("\n")
            if is_doubtful(parts, grammar, width) or ends_anew(parts, grammar, width):
                self._like_rows += 1
                self._first_like_rows += [line] if self._like_rows <= _LINES_NAMED else []

    def _keep(self, lines: Iterable[NonDataLine]) -> None:
        kept = list(lines)
        if not kept:
            return
        declared = [line for line in kept if line.declared]
        self.declared += declared[: max(0, _MOST_DECLARED - len(self.declared))]
        rows = [{k: v for k, v in asdict(line).items() if k != "facts"} for line in kept]
        self._write(pl.DataFrame(rows, schema=NON_DATA))

    def _keep_padding(self, frame: pl.DataFrame) -> None:
        self._write(
            frame.select(
                "line_number",
                pl.col("text").str.strip_suffix("\r"),
                pl.col("kind").alias("reason"),
                cells=pl.lit(0, pl.Int64),
                lines=pl.lit(1, pl.Int64),
                declared=pl.lit(value=False),
            )
        )

    def _write(self, batch: pl.DataFrame) -> None:
        if self.hints.confidential:
            batch = batch.with_columns(text=pl.lit(MASK))
        self.non_data += batch.height
        self._non_data_lines += int(batch["lines"].sum())
        self._writer.write(batch, self._writer.count)
