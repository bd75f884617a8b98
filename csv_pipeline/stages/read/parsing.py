"""Take the cells out of the records that are rows, and make rejects of the malformed ones."""

from codecs import BOM_UTF8
from dataclasses import dataclass
from typing import NamedTuple

import polars as pl

from csv_pipeline.errors import AccountingError
from csv_pipeline.handover import ORIGIN, REJECTS
from csv_pipeline.rejects.faults import record_faults
from csv_pipeline.stages.read.blocks import Block
from csv_pipeline.stages.read.grammar import Grammar
from csv_pipeline.stages.read.kinds import DATA
from csv_pipeline.stages.read.lines import Lined, parsed
from csv_pipeline.stages.read.sections import Section

_NEEDED = {
    "row.stray_quote": "quotes that open and close where a cell does were needed; these do not, or "
    "they may hide where a cell ends",
    "row.nul_byte": "text without NUL bytes was needed; a torn write may have left these",
    "row.undecodable": "text in the file's encoding was needed, which the evidence names, and who "
    "declared it; the line's bytes are no such text",
}
_NO_REJECTS = REJECTS.to_frame()


class Parsed(NamedTuple):
    """A block's well-formed records as text columns, its malformed ones as `handover.REJECTS`."""

    rows: pl.DataFrame
    rejects: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Reader:
    """Read the records under one header; `name` is the file's, for messages."""

    grammar: Grammar
    section: Section
    name: str
    returns_only: bool

    def untouched(self, found: Lined, row: int, line: int) -> Parsed:
        """Return the rows of a block of plain lines, the first of which has these numbers."""
        height = found.cells.height
        number = pl.int_range(row, row + height, eager=True).alias("row_number")
        place = pl.int_range(line, line + height, eager=True).alias("line_number")
        position = [number, place, *found.records]
        return Parsed(self.section.laid_out(found.cells).hstack(position), _NO_REJECTS)

    def picked(self, frame: pl.DataFrame, cells: pl.DataFrame) -> Parsed:
        """Take the rows out of cells that are parsed, and parse those that were corrected."""
        good = (frame["kind"] == DATA) & frame["fault"].is_null()
        as_they_are = good & (frame["fields"] == cells.width)
        rows = self._placed(cells, frame).filter(as_they_are)
        if (others := good & ~as_they_are).any():
            corrected = frame.filter(others)
            rows = pl.concat([rows, self._placed(self._parsed(corrected), corrected)]).sort(
                "row_number"
            )
        return Parsed(rows, self._faults(frame))

    def read(self, frame: pl.DataFrame, block: Block) -> Parsed:
        """Parse the rows of a block and make rejects of the malformed records."""
        good = frame.filter((pl.col("kind") == DATA) & pl.col("fault").is_null())
        plain = good["cells"].null_count() == good.height == frame.height
        if self.grammar.is_native and plain and good["written"].equals(good["text"]):
            end = 0 if frame.is_empty() else frame["offset"][-1] + frame["length"][-1]
            rows = self._by_polars(block.data[: max(0, end - block.offset)], good.height)
        else:
            rows = self._parsed(good)
        if self.returns_only:  # what breaks a line inside a cell was a CR, too
            rows = rows.with_columns(pl.all().str.replace_all("\n", "\r", literal=True))
        return Parsed(self._placed(rows, good), self._faults(frame))

    def apart(self, frame: pl.DataFrame) -> Parsed:
        """Return records none of which is a row."""
        return Parsed(self._placed(self._by_polars(b"", 0), frame.clear()), self._faults(frame))

    def _placed(self, cells: pl.DataFrame, frame: pl.DataFrame) -> pl.DataFrame:
        return self.section.laid_out(cells).hstack([frame[name] for name in ORIGIN])

    def _parsed(self, good: pl.DataFrame) -> pl.DataFrame:
        """Return the cells of records one by one, in which something may be corrected."""
        plain = good["cells"].null_count() == good.height
        if self.grammar.is_native and (plain or self.grammar.quote):
            return self._by_polars(_lines(self._rewritten(good)), good.height)
        return self._by_lists(good)

    def _by_polars(self, data: bytes, height: int) -> pl.DataFrame:
        width = self.section.width
        if not height:
            return pl.DataFrame(schema={str(position): pl.String for position in range(width)})
        mark = BOM_UTF8 if data.startswith(BOM_UTF8) else b""  # Polars takes one off
        frame = parsed(mark + data, self.grammar, width)
        if frame.height != height:  # Polars drops rows of some malformed files with a mere warning
            raise AccountingError(
                f"{self.name}: {height:,} records were to be parsed; {frame.height:,} were"
            )
        return frame

    def _by_lists(self, good: pl.DataFrame) -> pl.DataFrame:
        """Split records that have no quotes at the delimiter, however many characters it has."""
        names = [str(position) for position in range(self.section.width)]
        split = pl.col("written").str.strip_suffix("\r").str.split(self.grammar.delimiter)
        split = split.list.eval(pl.when(pl.element() != "").then(pl.element()))
        cells = pl.coalesce("cells", split).list.to_struct(fields=names)
        return good.select(cells.alias("cells")).unnest("cells").cast(pl.String)

    def _rewritten(self, good: pl.DataFrame) -> pl.DataFrame:
        """Write records whose cells were told apart so that Polars tells them apart alike."""
        if good["cells"].null_count() == good.height:
            return good
        texts = [
            text if cells is None else self.grammar.written(cells)
            for text, cells in zip(good["written"], good["cells"].to_list(), strict=True)
        ]
        return good.with_columns(written=pl.Series(texts, dtype=pl.String))

    def _faults(self, frame: pl.DataFrame) -> pl.DataFrame:
        if frame["fault"].null_count() == frame.height:
            return _NO_REJECTS
        bad, width = frame.filter(pl.col("fault").is_not_null()), self.section.width
        so = "as in the header" if self.section.is_named else "as the feed declares"
        counted = pl.format(f"{width} fields were needed, {so}; found {{}}", "fields")
        what = pl.col("fault").replace_strict(_NEEDED, default=counted, return_dtype=pl.String)
        return record_faults(bad, pl.col("fault"), what)


def _lines(good: pl.DataFrame) -> bytes:
    return "\n".join(good["written"]).encode() + b"\n"
