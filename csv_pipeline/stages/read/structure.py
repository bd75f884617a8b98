r"""Cut a text into records and set apart those that do not have the header's shape.

The text is handled in blocks of whole lines. Counting quotes per line tells, vectorised, where
records begin: a line begins one if the quotes before it are even in number. Records with quotes are
then held against a pattern of what RFC 4180 allows. Where a block passes, Polars parses it as it
is; where it does not, a slower walk over its lines decides record by record, so that a stray quote
costs the line it stands in and no other.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import polars as pl

from csv_pipeline.errors import AccountingError, LimitExceededError
from csv_pipeline.model import Furniture
from csv_pipeline.stages.read.dialect import Dialect, ReadHints, Text
from csv_pipeline.storage.work import REJECTS

_MAX_RECORD_BYTES = 8 * 1024**2  # an unclosed quote is given up after this much
_MAX_FURNITURE = 10_000  # facts kept; a file made of footers is counted to the end all the same
_CONTENT = r'[^\s"{delimiter}]'
_BLANK, _FURNITURE, _HEADER, _DATA = "blank", "furniture", "header", "data"


@dataclass(slots=True)
class Structure:
    """The scan of one text, with what it counts on its way."""

    dialect: Dialect
    hints: ReadHints
    blank: int = 0
    furniture_count: int = 0
    resyncs: int = 0
    furniture: list[Furniture] = field(default_factory=list)
    _numbered: int = 0
    _line: int = 0
    _width: int = 0
    _strict: str = ""
    _lenient: re.Pattern[str] = field(init=False)
    _cells: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        d = re.escape(self.dialect.delimiter)
        quoted, bare = r'"(?:[^"]|"")*"', rf'[^"{d}]*'
        loose = rf'[^"{d}][^{d}]*'
        self._strict = rf"^(?:{quoted}|{bare})(?:{d}(?:{quoted}|{bare}))*\r?$"
        cell = rf"(?:{quoted}|{loose}|)"
        self._lenient = re.compile(rf"{cell}(?:{d}{cell})*\r?")
        self._cells = re.compile(rf"({quoted}|{loose}|)(?:{d}|\Z)")
        self._width = len(self.dialect.header)
        self._line = self.dialect.data_line
        self.furniture_count = self.dialect.preamble

    def scan(self, text: Text) -> Iterator[Callable[[], tuple[pl.DataFrame, pl.DataFrame]]]:
        """Give, block by block, a call that returns well-formed records as text and malformed ones.

        Where a block ends is known before it is parsed, so that the calls may run side by side.
        Shape: columns "0", "1", … and `work.PLACE`; the other frame is as `work.REJECTS`.
        """
        with text.path.open("rb") as file:
            offset = self.dialect.data_offset
            file.seek(offset)
            rest, given = b"", False
            while True:
                chunk = file.read(self.hints.block_bytes)
                data = rest + chunk
                end = data.rfind(b"\n") + 1 if chunk else len(data)
                if chunk and not end:
                    self._refuse_endless_line(data)
                    rest = data
                    continue
                used = 0
                if end or not given:
                    used, frame = self._block(data[:end], offset, final=not chunk)
                    yield partial(self._outcome, frame, data[:end], offset)
                    given = True
                rest, offset = data[used:], offset + used
                if not chunk:
                    break
            if rest:
                raise AccountingError(f"{self.hints.name}: {len(rest):,} bytes were never read")

    def _refuse_endless_line(self, data: bytes) -> None:
        if len(data) > _MAX_RECORD_BYTES:
            raise LimitExceededError(
                self.hints.name,
                f"lines of at most {_MAX_RECORD_BYTES:,} bytes were allowed",
                f"line {self._line} has {len(data):,} and does not end there",
            )

    def _block(self, block: bytes, offset: int, *, final: bool) -> tuple[int, pl.DataFrame]:
        """Return the bytes used and the records of a block of whole lines."""
        lines = block.decode().split("\n")
        if not lines[-1]:
            lines.pop()  # the block ends with a line end
        lined = _Lines(pl.Series("line", lines, pl.String), offset)
        records = self._fast(lined, final=final) or self._walk(lined, lines, final=final)
        used = lined.bytes_before(records.lines_used, len(block))
        return used, self._named(records)

    def _fast(self, lined: "_Lines", *, final: bool) -> "_Records | None":
        """Return the records of a block in which every quote is where it may be, else None."""
        quotes = lined.text.str.count_matches('"', literal=True).cast(pl.Int64)
        if not quotes.sum():
            return _Records.of_lines(lined, self.dialect.delimiter)
        before = quotes.cum_sum() - quotes
        begins = before % 2 == 0
        if quotes.sum() % 2:  # the last record goes on in the next block, or a quote is stray
            whole = 0 if final else int(begins.arg_true()[-1])
            if not whole:
                return None
            lined, quotes, begins = lined.head(whole), quotes.head(whole), begins.head(whole)
        if begins.all():
            records = _Records.of_lines(lined, self.dialect.delimiter, quotes)
        else:
            records = _Records.joined(lined, begins, quotes, self.dialect.delimiter)
        quoted = records.frame.filter(pl.col("quotes") > 0)
        in_order = quoted["text"].str.contains(self._strict).all()
        joined = quoted.filter(pl.col("text").str.contains("\n", literal=True))
        return records if in_order and joined["fields"].eq(self._width).all() else None

    def _walk(self, lined: "_Lines", lines: list[str], *, final: bool) -> "_Records":
        """Decide line by line: a record ends where its quotes close in a way that is allowed."""
        texts: list[str] = []
        first: list[int] = []
        strays: list[bool] = []
        parsed: list[list[str | None] | None] = []
        at = 0
        while at < len(lines):
            end, cells, stray = at + 1, None, False
            if '"' in lines[at]:
                closed, cells = self._record(lines, at)
                if closed is None and not final:
                    break
                end, stray = closed or at + 1, cells is None
            texts.append("\n".join(lines[at:end]))
            first.append(at)
            strays.append(stray)
            parsed.append(cells)
            at = end
        self.resyncs += sum(strays)
        return _Records.walked(lined, texts, first, strays, parsed, at, self.dialect.delimiter)

    def _record(self, lines: list[str], at: int) -> tuple[int | None, list[str | None] | None]:
        """Return the end and the cells of the record that begins at line `at`.

        Without cells the line's quotes are stray; without an end the record may go on in the next
        block, where the lines are too few to tell.
        """
        if self._lenient.fullmatch(lines[at]):
            return at + 1, self._split(lines[at])
        quotes, size = 0, 0
        for end in range(at, len(lines)):
            quotes += lines[end].count('"')
            size += len(lines[end])
            if size > _MAX_RECORD_BYTES:
                return at + 1, None
            if quotes % 2 == 0:
                text = "\n".join(lines[at : end + 1])
                cells = self._split(text) if self._lenient.fullmatch(text) else []
                return (end + 1, cells) if len(cells) == self._width else (at + 1, None)
        return None, None

    def _split(self, text: str) -> list[str | None]:
        """Return the cells of a record that `_lenient` matches."""
        cells: list[str | None] = []
        text, at = text.removesuffix("\r"), 0
        while match := self._cells.match(text, at):
            cell = match.group(1)
            quoted = cell.startswith('"')
            cells.append(cell[1:-1].replace('""', '"') if quoted else cell or None)
            if match.end(1) == match.end():
                return cells
            at = match.end()
        raise AccountingError(f"{self.hints.name}: a record did not split as it matched")

    def _named(self, records: "_Records") -> pl.DataFrame:
        """Say of each record if it is data, blank, furniture or the header again; number it."""
        content = _CONTENT.format(delimiter=re.escape(self.dialect.delimiter))
        text = pl.col("text")
        kind = (
            pl.when(~text.str.contains(r"\S"))
            .then(pl.lit(_BLANK))
            .when(~text.str.contains(content))
            .then(pl.lit(_FURNITURE))
            .when(text.is_in([self.dialect.header_text, f"{self.dialect.header_text}\r"]))
            .then(pl.lit(_HEADER))
        )
        for index, pattern in enumerate(self.hints.furniture):
            kind = kind.when(text.str.contains(pattern.pattern)).then(pl.lit(f"{index}"))
        frame = records.frame.with_columns(
            kind=kind.otherwise(pl.lit(_DATA)), line_number=pl.col("line") + self._line
        )
        self._line += records.lines_used
        self._count(frame)
        return self._number(frame)

    def _count(self, frame: pl.DataFrame) -> None:
        other = frame.filter(pl.col("kind") != _DATA)
        if other.is_empty():
            return
        blank = other.filter(pl.col("kind") == _BLANK).height
        self.blank += blank
        self.furniture_count += other.height - blank
        named = other.filter(pl.col("kind").str.contains(r"^\d+$"))
        for row in named.iter_rows(named=True):
            if len(self.furniture) == _MAX_FURNITURE:
                break
            pattern = self.hints.furniture[int(row["kind"])]
            match = re.search(pattern.pattern, row["text"])
            facts = tuple(group or "" for group in match.groups()) if match else ()
            self.furniture.append(
                Furniture(name=pattern.name, line_number=row["line_number"], facts=facts)
            )

    def _number(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Give row 2 to the first data record and count every record from there on."""
        if not self._numbered:
            first = frame["kind"].eq(_DATA).arg_max()
            if first is None or frame["kind"][first] != _DATA:
                return frame.with_columns(row_number=pl.lit(0, pl.Int64))
            self._numbered = 2 - first
        start = self._numbered
        self._numbered += frame.height
        return frame.with_columns(row_number=pl.int_range(pl.len(), dtype=pl.Int64) + start)

    def _outcome(
        self, frame: pl.DataFrame, block: bytes, offset: int
    ) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Parse the good records of a block and make rejects of the malformed ones."""
        fault = (
            pl.when(pl.col("stray"))
            .then(pl.lit("row.stray_quote"))
            .when(pl.col("fields") < self._width)
            .then(pl.lit("row.too_short"))
            .when(pl.col("fields") > self._width)
            .then(pl.lit("row.too_long"))
            .when(pl.col("text").str.contains("\0", literal=True))
            .then(pl.lit("row.nul_byte"))
        )
        data = frame.filter(pl.col("kind") == _DATA).with_columns(fault=fault)
        good = data.filter(pl.col("fault").is_null())
        if good.height == frame.height and good["cells"].null_count() == good.height:
            parsed = self._parsed(block[: _end(good, offset)], good.height)
        else:
            parsed = self._parsed(_rewritten(good, self.dialect.delimiter), good.height)
        place = good.select("row_number", "line_number", "offset", "length")
        return pl.concat([parsed, place], how="horizontal"), self._faults(data)

    def _parsed(self, data: bytes, height: int) -> pl.DataFrame:
        schema = {str(index): pl.String for index in range(self._width)}
        if not height:
            return pl.DataFrame(schema=schema)
        frame = pl.read_csv(
            data,
            has_header=False,
            separator=self.dialect.delimiter,
            schema=schema,
            infer_schema=False,
        )
        if frame.height != height:  # Polars drops rows of some malformed files with a mere warning
            raise AccountingError(
                f"{self.hints.name}: {height:,} records were to be parsed; {frame.height:,} were"
            )
        return frame

    def _faults(self, data: pl.DataFrame) -> pl.DataFrame:
        bad = data.filter(pl.col("fault").is_not_null())
        where = pl.format("row {} (line {}): ", "row_number", "line_number")
        stray = "its quotes do not close in a way that gives a record"
        what = (
            pl.when(pl.col("fault") == "row.stray_quote")
            .then(pl.lit(stray))
            .when(pl.col("fault") == "row.nul_byte")
            .then(pl.lit("text without NUL bytes was needed; the record holds some"))
            .otherwise(
                pl.format(
                    f"{self._width} fields were needed, as in the header; found {{}}", "fields"
                )
            )
        )
        return bad.select(
            "row_number",
            "line_number",
            pl.lit(None, pl.String).alias("column"),
            pl.col("fault").alias("rule"),
            pl.lit(None, pl.String).alias("value"),
            (where + what).alias("message"),
            "offset",
            "length",
        ).cast(REJECTS)


@dataclass(slots=True)
class _Lines:
    """The physical lines of a block and the byte at which each begins."""

    text: pl.Series
    offset: int

    def head(self, count: int) -> "_Lines":
        """Return the first lines."""
        return _Lines(self.text.head(count), self.offset)

    def starts(self) -> pl.Series:
        """Return the byte offsets of the lines in the file."""
        sizes = self.text.str.len_bytes().cast(pl.Int64) + 1
        return sizes.cum_sum() - sizes + self.offset

    def bytes_before(self, line: int, block_bytes: int) -> int:
        """Return how many bytes of the block stand before a line; all, if there is none such."""
        return block_bytes if line == len(self.text) else int(self.starts()[line]) - self.offset


@dataclass(slots=True)
class _Records:
    """Records of a block: text, first line, place in the file, quotes and number of fields."""

    frame: pl.DataFrame
    lines_used: int

    @classmethod
    def of_lines(cls, lined: _Lines, delimiter: str, quotes: pl.Series | None = None) -> "_Records":
        """Return every line as a record of its own."""
        frame = pl.DataFrame({"text": lined.text, "offset": lined.starts()}).with_columns(
            line=pl.int_range(pl.len(), dtype=pl.Int64),
            quotes=pl.lit(0, pl.Int64) if quotes is None else quotes,
        )
        return cls._counted(frame, delimiter, len(lined.text))

    @classmethod
    def joined(
        cls, lined: _Lines, begins: pl.Series, quotes: pl.Series, delimiter: str
    ) -> "_Records":
        """Return records of one or several lines, a new one wherever `begins` is true."""
        frame = (
            pl.DataFrame({"text": lined.text, "offset": lined.starts(), "quotes": quotes})
            .with_columns(line=pl.int_range(pl.len(), dtype=pl.Int64), record=begins.cum_sum())
            .group_by("record", maintain_order=True)
            .agg(
                pl.col("text").str.join("\n"),
                pl.col("offset").first(),
                pl.col("line").first(),
                pl.col("quotes").sum(),
            )
        )
        return cls._counted(frame, delimiter, len(lined.text))

    @classmethod
    def walked(  # noqa: PLR0913, PLR0917  # the walk's lists, one a column
        cls,
        lined: _Lines,
        texts: list[str],
        first: list[int],
        strays: list[bool],
        parsed: list[list[str | None] | None],
        lines_used: int,
        delimiter: str,
    ) -> "_Records":
        """Return the records that the slow walk found."""
        frame = pl.DataFrame(
            {
                "text": pl.Series(texts, dtype=pl.String),
                "line": pl.Series(first, dtype=pl.Int64),
                "stray": pl.Series(strays, dtype=pl.Boolean),
                "cells": pl.Series(parsed, dtype=pl.List(pl.String)),
            }
        ).with_columns(
            offset=lined.starts().gather(first),
            quotes=pl.col("text").str.count_matches('"', literal=True).cast(pl.Int64),
        )
        return cls._counted(frame, delimiter, lines_used)

    @classmethod
    def _counted(cls, frame: pl.DataFrame, delimiter: str, lines_used: int) -> "_Records":
        """Add the number of fields: delimiters outside quotes and one more."""
        if "cells" not in frame.columns:
            frame = frame.with_columns(
                stray=pl.lit(value=False), cells=pl.lit(None, pl.List(pl.String))
            )
        fields = frame["text"].str.count_matches(delimiter, literal=True).cast(pl.Int64) + 1
        quoted = (frame["quotes"] > 0).arg_true()
        if not quoted.is_empty():
            bare = frame["text"].gather(quoted).str.replace_all('"[^"]*"', "")
            outside = bare.str.count_matches(delimiter, literal=True).cast(pl.Int64) + 1
            fields = fields.scatter(quoted, outside)
        return cls(
            frame.with_columns(
                fields=pl.col("cells").list.len().cast(pl.Int64).fill_null(fields),
                length=pl.col("text").str.len_bytes().cast(pl.Int64),
            ),
            lines_used,
        )


def _end(good: pl.DataFrame, offset: int) -> int:
    return int(good["offset"][-1] + good["length"][-1] - offset) if good.height else 0


def _rewritten(good: pl.DataFrame, delimiter: str) -> bytes:
    """Return good records as CSV that Polars reads: those that were walked are quoted anew."""
    if good["cells"].null_count() == good.height:
        return "\n".join(good["text"]).encode() + b"\n"
    texts = [
        text if cells is None else delimiter.join(map(_quoted, cells))
        for text, cells in zip(good["text"], good["cells"].to_list(), strict=True)
    ]
    return "\n".join(texts).encode() + b"\n"


def _quoted(cell: str | None) -> str:
    return "" if cell is None else '"' + cell.replace('"', '""') + '"'
