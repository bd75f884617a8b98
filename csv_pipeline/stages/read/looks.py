"""What the rows of a text look like, by its first ones: evidence where a line alone gives none.

A line may be read in several ways, as a row or as part of a cell, as one cell or as the next. What
all rows before it have in common tells some of these apart: a column that always holds a date holds
no name. A handful of rows proves nothing, and then no reading is ruled out.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import polars as pl

from csv_pipeline.stages.read.dialect import Dialect, Text
from csv_pipeline.stages.read.grammar import Grammar
from csv_pipeline.stages.read.likeness import shape

Cells = Sequence[str | None]

ENOUGH = 20
"""Sound rows from which on what they have in common is evidence."""

_SAMPLE_BYTES = 256 * 1024
_MOST_ROWS = 1_000
_MOST_SHAPES = 4  # of a column that is regular: `9.9`, `-9.9`, `9,9.9` and `9`
_LARGEST_PATTERN = 1_000  # cells
_SOME = 3  # rows with inches in the same columns: more than two stray quotes


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """What the first sound rows have in common.

    `filled` says of each column whether it never was empty, `shapes` what its values reduce to if
    they are regular and hold digits. `extra` counts the empty cells that every record has at its
    end beyond the header. `inches` counts rows by the columns in which they have a quote as a mark
    behind a number. If they are `quoted`, each begins with a quote; `some_quoted` says
    that there are quoted cells at all, `some_blank` cells that begin with a blank. `doubts`
    counts cells of several lines some of which might be rows.
    """

    rows: int = 0
    filled: tuple[bool, ...] = ()
    shapes: tuple[frozenset[str], ...] = ()
    extra: int = 0
    begin_with_hash: bool = False
    quoted: bool = False
    some_quoted: bool = False
    some_blank: bool = False
    doubts: int = 0
    inches: Counter[tuple[int, ...]] = field(default_factory=Counter)

    def deny(self, cells: Cells) -> bool:
        """Return whether these cells are no row, by what every row has."""
        if self.rows < ENOUGH:
            return False
        if not self.some_blank and any(cell and cell[0].isspace() for cell in cells):
            return True
        facts = zip(cells, self.filled, self.shapes, strict=True)
        return any(
            filled if not cell else bool(shapes) and shape(cell) not in shapes
            for cell, filled, shapes in facts
        )

    @property
    def are_quoted(self) -> bool:
        """Whether every row begins with a quote."""
        return self.quoted and self.rows >= _SOME

    def know(self, cells: Cells) -> bool:
        """Return whether these cells have what every row has, and that is something."""
        regular = any(cell and shapes for cell, shapes in zip(cells, self.shapes, strict=False))
        return self.rows >= ENOUGH and regular and not self.deny(cells)

    def begin_like(self, cell: str, *, torn: bool) -> bool:
        """Return whether a row may begin with this cell, or with what is left of it if `torn`."""
        known = self.shapes[0] if self.shapes else frozenset[str]()
        if not known or self.rows < _SOME:
            return torn
        found = shape(cell)
        return any(one.startswith(found) if torn else one == found for one in known)

    def are_inches(self, text: pl.Series, grammar: Grammar, width: int) -> pl.Series:
        """Return which lines surely have quotes behind numbers only, in columns where it is usual.

        Of the others some may have, too.
        """
        usual = [columns for columns, count in self.inches.items() if count >= _SOME]
        some = usual if len(grammar.delimiter) == 1 and grammar.escape == "doubled" else []
        if not some or width * len(some) > _LARGEST_PATTERN:
            return pl.Series([False]).new_from_index(0, len(text))
        return text.str.contains("|".join(grammar.inches(columns, width) for columns in some))

    @property
    def have_cells_like_rows(self) -> bool:
        """Whether cells of several lines often look like rows: too often for stray quotes."""
        return self.doubts >= _SOME

    def have_inches(self, columns: Sequence[int]) -> bool:
        """Return whether a quote behind a number is usual in these columns."""
        return self.inches[tuple(columns)] >= _SOME


def looks_of(text: Text, dialect: Dialect) -> Looks:
    """Return what the first rows below the header look like."""
    with text.path.open("rb") as file:
        file.seek(dialect.data_offset)
        sample = file.read(_SAMPLE_BYTES)
    lines = sample.decode("utf-8", errors="replace").split("\n")
    if len(sample) == _SAMPLE_BYTES:
        lines.pop()
    return _looks(lines[:_MOST_ROWS], dialect.grammar, len(dialect.header))


def _looks(lines: list[str], grammar: Grammar, width: int) -> Looks:
    several = list(_several(lines, grammar))
    inside = {position for first, last in several for position in range(first, last + 1)}
    alone = [line for position, line in enumerate(lines) if position not in inside]
    records = [(line, grammar.cells(line)) for line in alone if grammar.is_sound(line)]
    filled = [(line, cells) for line, cells in records if any(c and c.strip() for c in cells)]
    rows = [cells for _, cells in filled if len(cells) == width]
    columns = list(zip(*rows, strict=True))
    quoted = bool(rows) and bool(grammar.quote)
    return Looks(
        rows=len(rows),
        filled=tuple(all(column) for column in columns),
        shapes=tuple(_shapes(column) for column in columns),
        extra=0 if rows else _extra([cells for _, cells in filled], width),
        begin_with_hash=any((cells[0] or "").startswith("#") for cells in rows),
        quoted=quoted and all(x.startswith(grammar.quote) for x, c in filled if len(c) == width),
        some_blank=any(cell and cell[0].isspace() for cells in rows for cell in cells),
        some_quoted=quoted and any(grammar.quote in line for line, _ in filled),
        doubts=sum(is_doubtful(lines[a : b + 1], grammar, width) for a, b in several),
        inches=_inches(lines, grammar, width),
    )


def _shapes(column: Iterable[str | None]) -> frozenset[str]:
    found = {shape(cell) for cell in column if cell}
    regular = len(found) <= _MOST_SHAPES and all("9" in one for one in found)
    return frozenset(found) if regular else frozenset()


def _extra(records: list[list[str | None]], width: int) -> int:
    """Return how many cells too many all records have, if these are empty and last."""
    widths = {len(cells) for cells in records}
    if len(records) < _SOME or len(widths) > 1:
        return 0
    more = widths.pop() - width
    return more if more > 0 and not any(any(cells[width:]) for cells in records) else 0


def _inches(lines: list[str], grammar: Grammar, width: int) -> Counter[tuple[int, ...]]:
    found: Counter[tuple[int, ...]] = Counter()
    within = False
    for line in lines:
        if within or not grammar.is_record(line):
            within = not (within and grammar.closes_in(line))
        elif grammar.mark in line:
            bare = grammar.bare(line)
            if bare.fields == width and bare.odd and bare.inches:
                found[bare.odd] += 1
    return found


def _several(lines: list[str], grammar: Grammar) -> Iterator[tuple[int, int]]:
    """Give the first and the last line of what may be a record of several lines."""
    opened = None
    for position, line in enumerate(lines):
        if not grammar.quote or grammar.count_quotes(line) % 2 == 0:
            continue
        if opened is not None and grammar.is_sound("\n".join(lines[opened : position + 1])):
            yield opened, position
            opened = None
        else:
            opened = position


def is_doubtful(lines: list[str], grammar: Grammar, width: int) -> bool:
    """Return whether a record of several lines holds what may be rows."""
    rows = any(len(grammar.cells(line)) == width for line in lines[1:-1])
    return rows or len(ends_of(lines, grammar, width)) == 2


def ends_anew(lines: Sequence[str], grammar: Grammar, width: int) -> bool:
    """Return whether the last line of a record is a row, too, with a key like the record's own."""
    first, *_ = grammar.cells("\n".join(lines))
    key = shape(first or "")
    found = [cells[0] or "" for cells in ends_of(lines, grammar, width)[-1:]]
    return "9" in key and first not in found and key in map(shape, found)


def ends_of(lines: Sequence[str], grammar: Grammar, width: int) -> list[Cells]:
    """Return the cells of the first and the last line if, but for its quote, it is a row.

    The first line opens a cell, and the last one closes it.
    """
    *before, opened = grammar.cells(lines[0])
    first = [*before, *(opened or "").split(grammar.delimiter)]
    closing = grammar.closing(lines[-1]) or 0
    within, after = lines[-1][:closing], lines[-1][closing:]
    last: list[str | None] = [*within.split(grammar.delimiter)]
    if after.startswith(grammar.delimiter):
        last += grammar.cells(after[len(grammar.delimiter) :])
    return [cells for cells in (first, last) if len(cells) == width]
