"""Say of each record what it is, set apart the malformed ones, and parse the others.

Below the header a record of its width is a row. One of another width is a reject, unless there is
one certain repair, and so is one whose quotes may hide a separator. Lines that are no rows are kept
with their reason.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import polars as pl

from csv_pipeline.batches import in_order
from csv_pipeline.errors import AccountingError, LimitExceededError
from csv_pipeline.stages.read.blocks import Block, blocks
from csv_pipeline.stages.read.declared import refuse_header
from csv_pipeline.stages.read.dialect import Dialect, ReadHints, Text
from csv_pipeline.stages.read.encoding import UNDECODABLE
from csv_pipeline.stages.read.footers import Tail
from csv_pipeline.stages.read.kinds import (
    COMMENT,
    DATA,
    HEADER,
    is_comment,
    kinds_of,
    none_patterns,
    odd_patterns,
)
from csv_pipeline.stages.read.lines import Lined, lined
from csv_pipeline.stages.read.looks import Looks, looks_of
from csv_pipeline.stages.read.parsing import Parsed, Reader
from csv_pipeline.stages.read.records import Cutter
from csv_pipeline.stages.read.repairs import repaired
from csv_pipeline.stages.read.sections import Headers, Section
from csv_pipeline.stages.read.tally import Tally


@dataclass
class Structure:
    """The scan of one text, with what it counts on its way; `columns` are all names of its table.

    These are the header's and those that only a later one has.
    """

    text: Text
    dialect: Dialect
    hints: ReadHints
    columns: tuple[str, ...]
    tally: Tally
    repaired: int = 0
    sections: list[int] = field(default_factory=list)
    _numbered: int = 0
    _records: int = 0
    _carried: bytes = b""

    def __post_init__(self) -> None:
        self._headers = Headers(self.dialect, self.hints, self.columns)
        self._line = self.dialect.data_line
        self._enter(self._headers.first)

    @cached_property
    def _looks(self) -> Looks:
        return looks_of(self.text, self.dialect)

    def _looks_of(self, section: Section) -> Callable[[], Looks]:
        return (lambda: self._looks) if section.first else Looks

    def _enter(self, section: Section) -> None:
        """Go on under a header."""
        self._section, looks = section, self._looks_of(section)
        size, grammar = self.hints.max_record_bytes, self.dialect.grammar
        self._cutter = Cutter(grammar, section.width, size, looks)
        self._tail = Tail(grammar, section.width, looks, not self.dialect.is_declared)
        returns_only = self.text.returns_only
        self._reader = Reader(grammar, section, self.hints.name, returns_only=returns_only)

    def scan(self) -> Iterator[Callable[[], Parsed]]:
        """Give, block by block, a call that returns well-formed records and malformed ones.

        Where a block ends is known before it is parsed, so that the calls may run side by side.
        Shape: columns "0", "1", … and `handover.ORIGIN`; the other frame is as `handover.REJECTS`.
        """
        self._carried = b""
        ahead = in_order(self._looked_at, blocks(self.text, self.dialect, self.hints))
        for block, found in ahead:
            self.tally.take_in(block)
            if self._carried:
                offset, data = block.offset - len(self._carried), self._carried + block.data
                yield from self._parses(Block(data, offset, block.final), None)
            else:
                known = self._section.first
                yield from self._parses(block, found if known else self._seen(block))
        if self._carried:
            raise AccountingError(
                f"{self.hints.name}: {len(self._carried):,} bytes were never read"
            )

    def _parses(self, block: Block, found: Lined | None) -> Iterator[Callable[[], Parsed]]:
        """Give the ways to the records of a block; what is left of it is carried to the next."""
        self._carried = b""
        parses, used, has_header = self._taken(block, found)
        yield from parses
        left = Block(block.data[used:], block.offset + used, block.final)
        if has_header and left.data:
            yield from self._parses(left, self._seen(left))
        else:
            self._carried = left.data

    def _looked_at(self, block: Block) -> tuple[Block, Lined | None]:
        """Return a block and its lines, if each is a record; this may be done ahead of its turn."""
        return block, self._seen(block, self._headers.first)

    def _seen(self, block: Block, section: Section | None = None) -> Lined | None:
        section = section or self._section
        found = lined(block, self.dialect.grammar, section.width, self._looks_of(section))
        if found is not None and self._is_plain(found.records, block, section.width):
            found = replace(found, records=found.records[["offset", "length"]], plain=True)
        return found

    def _is_plain(self, records: pl.DataFrame, block: Block, width: int) -> bool:
        """Return whether all records are data without a fault."""
        if b"\0" in block.data or (records["fields"] != width).any():
            return False
        odd = records["text"].str.contains(self._odd)
        return not (odd.any() and self._is_any_odd(records["text"].filter(odd)))

    @cached_property
    def _odd(self) -> str:
        """The pattern of a record of the header's width that may be no row."""
        patterns = odd_patterns(self.dialect.grammar, self.hints.non_data)
        return "|".join(filter(None, (*patterns, self._headers.beginning)))

    def _is_any_odd(self, text: pl.Series) -> bool:
        patterns = odd_patterns(self.dialect.grammar, self.hints.non_data)
        if text.str.contains("|".join(patterns)).any():
            return True
        return not self._headers.perhaps(text).is_empty()

    def _taken(
        self, block: Block, found: Lined | None
    ) -> tuple[list[Callable[[], Parsed]], int, bool]:
        """Return the ways to a block's records, the bytes they take up, and if a header is last."""
        if self._cutter.is_torn:
            found = None
        if found is not None:
            self._cutter.passed_by(None if found.plain else found.records)
        if found is not None and found.plain:
            row, line = self._passed_over(found.records.height)
            parse = partial(self._reader.untouched, found, row, line)
            return [*self._ended(self._tail.followed()), parse], len(block.data), False
        if found is None:
            frame, lines, used = self._cutter.cut(block.data, block.offset, final=block.final)
        else:
            frame, lines, used = found.records, found.records.height, len(block.data)
        frame, section = self._with_kinds(frame)
        if section is not None:
            end = frame.row(-1, named=True)
            used = min(end["offset"] + end["length"] + 1 - block.offset, len(block.data))
            lines = end["line"] + end["text"].count("\n") + 1
        frame = self._with_faults(frame, lines)
        at_end, torn = section is not None or block.final, not block.data.endswith(b"\n")
        torn_at = block.offset + len(block.data) if block.final and torn else None
        held, frame = self._tail.released(frame, at_end=at_end, torn_at=torn_at)
        parses = self._ended(held)
        self.tally.count(frame)
        if found is not None:
            parses.append(partial(self._reader.picked, frame, found.cells.head(frame.height)))
        else:
            parses.append(partial(self._reader.read, frame, block))
        if section is not None:
            self._enter(section)
        return parses, used, section is not None

    def _ended(self, held: pl.DataFrame | None) -> list[Callable[[], Parsed]]:
        """Return the way to records that were held back, none of which is a row."""
        if held is None:
            return []
        self.tally.count(held)
        return [partial(self._reader.apart, held)]

    def _with_kinds(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, Section | None]:
        """Say what each record is, up to a header under which others stand than before."""
        grammar, width = self.dialect.grammar, self._section.width
        perhaps = "|".join([*none_patterns(grammar), self._odd])
        odd = frame["text"].str.contains(perhaps).arg_true()
        some = frame[odd]
        kinds, text = kinds_of(some, grammar, width, self.hints.non_data).to_list(), some["text"]
        comments = [at for at, kind in enumerate(kinds) if kind == COMMENT]
        are_rows = self.dialect.is_declared or (
            bool(comments) and self._section.first and self._looks.begin_with_hash
        )
        for at in comments:
            if are_rows or not is_comment(text[at], grammar):
                kinds[at] = DATA
        last, new = frame.height, None
        for at, names in self._headers.again(text):
            line = self._line + some["line"][at]
            if self.dialect.is_declared:
                refuse_header(line, names, self.hints)
            section = self._headers.section(names, line)
            kinds[at] = HEADER
            if section != self._section:
                self.sections.append(line)
                last, new = odd[at] + 1, section
                break
        kind = pl.Series("kind", [DATA]).new_from_index(0, frame.height).scatter(odd, kinds)
        line_number = (frame["line"] + self._line).alias("line_number")
        return frame.hstack([kind, line_number]).head(last), new

    def _with_faults(self, frame: pl.DataFrame, lines: int) -> pl.DataFrame:
        """Return records with their numbers and faults, and correct those that can be corrected."""
        frame = frame.with_columns(row_number=self._row_numbers(frame), fault=self._fault())
        self._line += lines
        may_be = self.hints.repair and self._section.first and not self.dialect.is_declared
        if not (may_be and frame["fault"].count()):
            return frame
        grammar, before = self.dialect.grammar, frame["fault"].null_count()
        frame = repaired(frame, grammar, self._section.width, self._looks)
        self.repaired += frame["fault"].null_count() - before
        return frame

    def _row_numbers(self, frame: pl.DataFrame) -> pl.Series:
        """Give its number to the first data record and count every record from there on."""
        start = self._numbered
        if not start:
            first = next((at for at, kind in enumerate(frame["kind"]) if kind == DATA), None)
            if first is None:
                return pl.Series([0], dtype=pl.Int64).new_from_index(0, frame.height)
            start = self._first_number - first
        self._number(start + frame.height, int(frame["kind"].eq(DATA).sum()))
        return pl.int_range(start, start + frame.height, eager=True)

    @property
    def _first_number(self) -> int:
        """The number of the first row: as in a spreadsheet, where a header is row 1."""
        return 2 if self.dialect.header_line else 1

    def _number(self, following: int, records: int) -> None:
        """Note the number of the row to come, and how many records there are besides."""
        self._numbered = following
        self._records += records
        if self._records > self.hints.max_records:
            allowed = f"at most {self.hints.max_records:,} records were allowed"
            raise LimitExceededError(self.hints.name, allowed, "the file has more")

    def _fault(self) -> pl.Expr:
        text, width = pl.col("text"), self._section.width
        return (
            pl.when(pl.col("kind") != DATA)
            .then(pl.lit(None, pl.String))
            .when(text.str.contains(UNDECODABLE, literal=True))
            .then(pl.lit("row.undecodable"))
            .when(text.str.contains("\0", literal=True))
            .then(pl.lit("row.nul_byte"))
            .when("stray")
            .then(pl.lit("row.stray_quote"))
            .when(pl.col("fields") < width)
            .then(pl.lit("row.too_short"))
            .when(pl.col("fields") > width)
            .then(pl.lit("row.too_long"))
        )

    def _passed_over(self, height: int) -> tuple[int, int]:
        """Count plain records, and return the row and the line number of the first."""
        row, line = self._numbered or self._first_number, self._line
        self._line += height
        self._number(row + height, height)
        self.tally.pass_over(height)
        return row, line
