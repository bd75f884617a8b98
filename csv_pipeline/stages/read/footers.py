"""Tell the footer of a report that no pattern declares from rows that are cut short.

A line of one cell, narrower than the header and below the last row, is taken for a footer. Whether
more rows follow is known at the end only: until then such lines are held back. A line that may be
the beginning of a row, or a row by another delimiter, is none.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from csv_pipeline.stages.read.grammar import Grammar
from csv_pipeline.stages.read.kinds import DATA, FOOTER
from csv_pipeline.stages.read.looks import Looks
from csv_pipeline.stages.read.repairs import VARIANTS, other_readings

_MOST_LINES = 20  # of a footer; more are rows that something went wrong with
_MOST_HELD = 1_000  # records, blank ones and rejects among them


@dataclass(slots=True)
class Tail:
    """What is below the last row so far, of those under one header."""

    grammar: Grammar
    width: int
    looks: Callable[[], Looks]
    may_be: bool = True
    _held: pl.DataFrame | None = None
    _count: int = 0
    _is_open: bool = False

    def followed(self) -> pl.DataFrame | None:
        """Return records that were held back, now that a row follows them."""
        before, self._held, self._count, self._is_open = self._held, None, 0, self.may_be
        return before

    def released(
        self, frame: pl.DataFrame, *, at_end: bool, torn_at: int | None = None
    ) -> tuple[pl.DataFrame | None, pl.DataFrame]:
        """Return records that were held back, and those of these that need not be.

        They are the last ones under their header if `at_end`; one that ends at byte `torn_at` has
        no line end.
        """
        before = None
        short = frame["fault"].eq_missing("row.too_short")
        rows = ((frame["kind"] == DATA) & ~short).arg_true()
        start = 0
        if not rows.is_empty():
            before, start = self.followed(), int(rows[-1]) + 1
        if not self._is_open or (self._held is None and not short.any()):
            return before, frame
        perhaps = self._perhaps(frame, short, start, torn_at)
        first = 0 if self._held is not None else next(iter(perhaps), frame.height)
        first = max(first, start)
        frame = frame.with_columns(footer=pl.Series([False]).new_from_index(0, frame.height))
        frame = frame.with_columns(footer=frame["footer"].scatter(perhaps, values=True))
        self._count += len(perhaps)
        size = frame.height - first + (0 if self._held is None else self._held.height)
        if self._count > _MOST_LINES or size > _MOST_HELD:
            self._is_open = False
            before, self._held = before if self._held is None else self._held, None
            return before, frame
        if at_end:
            before = before if self._held is None else _as_footers(self._held)
            self._held = None
            return before, _as_footers(frame)
        tail = frame.slice(first)
        if tail.height:
            held = self._held
            self._held = tail if held is None else pl.concat([held, tail.select(held.columns)])
        return before, frame.head(first)

    def _perhaps(
        self, frame: pl.DataFrame, short: pl.Series, start: int, torn_at: int | None
    ) -> list[int]:
        """Return the places of lines that are a footer if no row follows."""
        positions = [position for position in short.arg_true().to_list() if position >= start]
        found: list[int] = []
        for position in positions[: _MOST_LINES + 1]:
            text, offset, length = frame.select("text", "offset", "length").row(position)
            if self._is_footer(text, torn=offset + length == torn_at):
                found.append(position)
        return found

    def _is_footer(self, text: str, *, torn: bool) -> bool:
        cells = [cell.strip() for cell in self.grammar.cells(text) if cell and cell.strip()]
        if len(cells) != 1 or not self.grammar.is_sound(text):
            return False
        if other_readings(text, self.grammar, self.width) or _is_parted(cells[0]):
            return False
        return not self.looks().begin_like(cells[0], torn=torn)


def _is_parted(cell: str) -> bool:
    """Return whether a line of one cell may have several by another delimiter."""
    return any(len(re.findall(rf"{re.escape(one)}(?! )", cell)) > 1 for one in VARIANTS)


def _as_footers(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.with_columns(
        kind=pl.when("footer").then(pl.lit(FOOTER)).otherwise("kind"),
        fault=pl.when(~pl.col("footer")).then("fault"),
    )
