"""Cut a block of whole lines into records.

Counting quotes per line tells, vectorised, where records begin: a line begins one if the quotes
before it are even in number. Records with quotes are then held against the strict pattern of the
grammar. A block that does not pass is walked line by line, so that a stray quote costs the line it
stands in and no other.
"""

from dataclasses import dataclass

import polars as pl

from csv_pipeline.stages.read.grammar import Grammar
from csv_pipeline.stages.read.lines import counted_fields, is_parsed_as_it_is


@dataclass(frozen=True, slots=True)
class Cutter:
    """Cut blocks of one text; `width` is the header's number of fields."""

    grammar: Grammar
    width: int
    max_record_bytes: int

    def cut(self, block: bytes, offset: int, *, final: bool) -> tuple[pl.DataFrame, int, int]:
        """Return the records of a block and how many of its lines and bytes they take up.

        Shape: a record's `text`, its first `line` in the block, its `offset` and `length` in bytes,
        its number of `fields`, whether its quotes are `stray`, and its `cells` where these had to
        be told apart one by one. The last record is left for the next block if it may go on there,
        which it cannot in the `final` one.
        """
        lines = block.decode().split("\n")
        if not lines[-1]:
            lines.pop()  # the block ends with a line end
        lined = _lined(lines, offset)
        found = self._at_once(lined, final=final) if is_parsed_as_it_is(block) else None
        frame, used = found if found is not None else self._walk(lined, lines, final=final)
        whole = used == len(lines)
        return frame, used, len(block) if whole else lined["offset"][used] - offset

    def _at_once(self, lined: pl.DataFrame, *, final: bool) -> tuple[pl.DataFrame, int] | None:
        """Return the records if every quote of the block is where it may be, else None."""
        quote, text = self.grammar.quote, pl.col("text")
        quotes = text.str.count_matches(quote, literal=True) if quote else pl.lit(0)
        fields = text.str.count_matches(self.grammar.delimiter, literal=True) + 1
        frame = lined.with_columns(
            quotes=quotes.cast(pl.Int64),
            fields=fields.cast(pl.Int64),
            length=text.str.len_bytes().cast(pl.Int64),
            stray=pl.lit(value=False),
            cells=pl.lit(None, pl.List(pl.String)),
        )
        total = frame["quotes"].sum()
        if not total:
            return frame, frame.height
        if not self.grammar.is_native:
            return None
        begins = (frame["quotes"].cum_sum() - frame["quotes"]) % 2 == 0
        whole = frame.height
        if total % 2:  # the last record goes on in the next block, or a quote is stray
            whole = 0 if final else int(begins.arg_true()[-1])
        if not whole:
            return None
        frame = frame.with_columns(record=begins.cum_sum()).head(whole)
        records = self._with_quotes(frame if begins.head(whole).all() else _joined(frame))
        return None if records is None else (records, whole)

    def _with_quotes(self, records: pl.DataFrame) -> pl.DataFrame | None:
        """Return the records with their fields counted outside quotes; None if a quote is stray."""
        places = (records["quotes"] > 0).arg_true()
        text = records["text"].gather(places)
        quoted = pl.DataFrame(
            {
                "in_order": text.str.contains(self.grammar.strict),
                "several": text.str.contains("\n", literal=True),
                "fields": counted_fields(text, self.grammar),
            }
        )
        several = quoted.filter(pl.col("several"))["fields"]
        if not (quoted["in_order"].all() and several.eq(self.width).all()):
            return None
        return records.with_columns(fields=records["fields"].scatter(places, quoted["fields"]))

    def _walk(
        self, lined: pl.DataFrame, lines: list[str], *, final: bool
    ) -> tuple[pl.DataFrame, int]:
        """Decide line by line: a record ends where its quotes close in a way that is allowed."""
        ends: list[int] = []
        parsed: list[list[str | None] | None] = []
        at = 0
        while at < len(lines):
            end, cells = self._record(lines, at)
            if end is None and not final:
                break
            ends.append(end or at + 1)
            parsed.append(cells)
            at = ends[-1]
        first = [0, *ends[:-1]] if ends else []
        texts = ["\n".join(lines[a:b]) for a, b in zip(first, ends, strict=True)]
        cells_of = pl.Series("cells", parsed, dtype=pl.List(pl.String))
        return pl.DataFrame(
            {
                "text": pl.Series(texts, dtype=pl.String),
                "line": pl.Series(first, dtype=pl.Int64),
                "offset": lined["offset"].gather(first),
                "length": pl.Series([len(text.encode()) for text in texts], dtype=pl.Int64),
                "fields": cells_of.list.len().cast(pl.Int64).fill_null(0),
                "stray": cells_of.is_null(),
                "cells": cells_of,
            }
        ), at

    def _record(self, lines: list[str], at: int) -> tuple[int | None, list[str | None] | None]:
        """Return the end and the cells of the record that begins at line `at`.

        Without cells the line's quotes are stray; without an end the record may go on in the next
        block, where the lines are too few to tell.
        """
        if self.grammar.is_record(lines[at]):
            return at + 1, self.grammar.cells(lines[at])
        quotes, size = 0, 0
        for end in range(at + 1, len(lines) + 1):
            quotes += self.grammar.count_quotes(lines[end - 1])
            size += len(lines[end - 1])
            if size > self.max_record_bytes:
                return at + 1, None
            if quotes % 2 == 0:
                cells = self._cells_over(lines[at:end])
                return (at + 1, None) if cells is None else (end, cells)
        return None, None

    def _cells_over(self, lines: list[str]) -> list[str | None] | None:
        """Return the cells of a record over several lines, or None if a stray quote joins them.

        Lines in between that have the header's width by themselves are rows, not part of a cell.
        """
        text = "\n".join(lines)
        if len(lines) == 1 or not self.grammar.is_record(text):
            return None
        cells = self.grammar.cells(text)
        if len(cells) == self.width:
            return cells
        between = [len(self.grammar.cells(line)) == self.width for line in lines[1:-1]]
        return None if sum(between) > len(between) / 2 else cells


def _lined(lines: list[str], offset: int) -> pl.DataFrame:
    """Return the lines of a block with their numbers in it and their offsets in the file."""
    text = pl.Series("text", lines, pl.String)
    sizes = text.str.len_bytes().cast(pl.Int64) + 1
    return pl.DataFrame({"text": text, "offset": sizes.cum_sum() - sizes + offset}).with_columns(
        line=pl.int_range(pl.len(), dtype=pl.Int64)
    )


def _joined(frame: pl.DataFrame) -> pl.DataFrame:
    """Join the lines of each record."""
    return frame.group_by("record", maintain_order=True).agg(
        pl.col("text").str.join("\n"),
        pl.col("offset").first(),
        pl.col("line").first(),
        pl.col("quotes").sum(),
        pl.col("length").sum() + pl.len().cast(pl.Int64) - 1,
        pl.col("fields").sum() - pl.len().cast(pl.Int64) + 1,
        pl.col("stray", "cells").first(),
    )
