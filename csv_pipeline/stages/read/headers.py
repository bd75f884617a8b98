"""What the header of a text is, and what is needed to find it among the first records.

With a feed's names the header is the first record whose cells are such names, wherever it is.
Without them it is the first line that has as many cells as most records and most of them filled,
unless it looks like the rows below it. What is above it must be narrower or mostly blank: a
full line there may be a row, and then the header is in doubt, as it is if its names cannot all be
told from one another. A doubtful header is reported, never guessed.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

from csv_pipeline.spec.contract import heading
from csv_pipeline.stages.read.grammar import Grammar
from csv_pipeline.stages.read.likeness import Likeness, Names, is_parted, likeness
from csv_pipeline.stages.read.sampling import Record, as_names, unquoted, usual_width

IsDeclared = Callable[[str], bool]
"""Whether a feed declares a raw record to be no data."""

SOME_RECORDS = 60
LOOSE = (":", " ")
"""What parts cells only where nothing else does: both are common in values."""
DELIMITERS = (",", ";", "\t", "|")
A_NAME_EACH = "a header with a name for each column was needed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The records that hold the names, if any do, and the names of all columns.

    `known` counts the names that the feed knows. `doubt` is what was needed and what was found if
    the header cannot be relied on.
    """

    records: tuple[Record, ...] = ()
    names: Names = ()
    known: int = 0
    likeness: Likeness = Likeness.ROW
    doubt: tuple[str, str] | None = None

    @property
    def is_sure(self) -> bool:
        """Whether a line that equals it is the header again, and no row."""
        return bool(self.records) and (self.known > 0 or self.likeness is Likeness.NAMES)

    @property
    def is_known(self) -> bool:
        """Whether at least half of its names are names of the feed."""
        filled = sum(1 for name in self.names if name)
        return 0 < filled <= 2 * self.known and (self.known > 1 or filled == 1)


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The records of a sample that hold text, by one grammar.

    `is_declared` says of a raw record whether the feed declares it to be no data.
    """

    records: Sequence[Record]
    grammar: Grammar
    headings: frozenset[str]
    is_declared: IsDeclared

    def known(self, names: Names) -> int:
        """Return how many names of the feed these are."""
        return len({heading(name) for name in names} & self.headings)

    @cached_property
    def width(self) -> int:
        """The width of most records."""
        return usual_width(self.records)

    def is_full(self, line: int, filled: int, width: int) -> bool:
        """Return whether a line has about as many filled cells as the rows below it.

        One filled cell among others is a title. Where no rows are below, those above are the usual.
        """
        if filled < 2:
            return width == 1
        others = [(at, count) for at, count in self._filled if at != line]
        below = [count for at, count in others if at > line]
        some = sorted(below or [count for _, count in others])
        return not some or 2 * filled > min(some[len(some) // 2], width)

    @cached_property
    def _filled(self) -> list[tuple[int, int]]:
        """The line of each record of the usual width, and how many cells it has filled."""
        return [(r.first, r.filled) for r in self.records if r.width == self.width]

    @cached_property
    def own_delimiters(self) -> list[str]:
        """The delimiters that a line may have of its own; none if one parts most other cells."""
        some = self.records[:SOME_RECORDS]
        others = [d for d in DELIMITERS if d not in self.grammar.delimiter]
        for delimiter in others:
            parted = sum(
                any(cell and is_parted(cell, delimiter) for cell in record.cells)
                for record in some
                if not record.has_quotes(self.grammar)
            )
            if 2 * parted > max(2, len(some)):
                return []
        return others


def has_mark(text: str) -> bool:
    """Return whether a usual delimiter stands in a text."""
    return any(delimiter in text for delimiter in DELIMITERS)


def other_names(sample: Sample, record: Record) -> Iterator[Names]:
    """Give the cells of a record without quotes that are stray or around all of it.

    Or those by a delimiter of its own.
    """
    grammar, width = sample.grammar, sample.width
    if not record.sound:
        for delimiter in (grammar.delimiter, *sample.own_delimiters):
            yield as_names(unquoted(record.text, replace(grammar, delimiter=delimiter)))
    elif record.width == 1 < width and record.cells[0]:
        quoted = [grammar.delimiter] if record.text.startswith(grammar.quote or "\n") else []
        for delimiter in (*quoted, *sample.own_delimiters):
            if record.text.count(delimiter) >= width - 1:
                cells = Grammar(delimiter, grammar.quote, grammar.escape).cells(record.cells[0])
                if len(cells) == width:
                    yield as_names(cells)


def rows_below(sample: Sample, record: Record) -> list[Record]:
    """Return the sound records of the usual width below a record."""
    width = sample.width
    return [
        other
        for other in sample.records
        if other.first > record.last and other.sound and other.width == width
    ]


def fitted(names: Names, rows: Sequence[Record], *, all_known: bool = False) -> Names | None:
    """Return the names for rows of another width, if there is one way to take them.

    A cell behind the last name belongs to a column without one, if all rows leave it empty; names
    that are blank at the end are none, unless the rows end as the header does. A name that is
    blank among others is a separator too many only if all those others are known.
    """
    if not rows:
        return None
    width = rows[0].width
    more = len(names) - width
    if more < 0:
        unnamed = more == -1 and names[-1] and all(not any(row.cells[more:]) for row in rows)
        return (*names, *[""] * -more) if unnamed else None
    if not any(names[width:]):
        return names[:width] if all_known or any(row.cells[-1] for row in rows) else None
    return tuple(filter(None, names)) if all_known and more == names.count("") == 1 else None


def full_above(sample: Sample, header: Header) -> list[Record]:
    """Return the lines above a header that are neither narrower nor mostly blank.

    Nor is one among them that has more cells than the header and other kinds than the rows.
    """
    width, first = len(header.names), header.records[0].first
    above = [
        record
        for record in sample.records
        if record.first < first
        and not record.is_aside
        and record.reach(sample.grammar) >= width
        and (not record.sound or sample.is_full(first, record.filled, record.width))
    ]
    if not above:
        return []
    rows = [row.names for row in rows_below(sample, header.records[-1])]
    return [
        record
        for record in above
        if record.width <= width
        or not rows
        or likeness(record.names[: len(rows[0])], rows) in {Likeness.ROW, Likeness.LIKELY}
    ]


def rows_above(header: Header, rows: Sequence[Record]) -> tuple[str, str]:
    """Return the doubt that lines above a header may be rows."""
    lines = ", ".join(f"{row.first:,}" for row in rows[:5]) + (", …" if len(rows) > 5 else "")
    found = f"rows stand above the header on line {header.records[0].first:,}: line {lines}"
    return "a header above all rows was needed", found


def misfit(header: Header, width: int) -> tuple[str, str]:
    """Return the doubt that a header has not a name for each cell of the rows."""
    line, names = header.records[0].first, header.names
    has = len(names) if len(names) != width else sum(1 for name in names if name)
    return A_NAME_EACH, f"line {line:,} has {has} of them, the rows below it have {width} cells"


def joined(lines: Sequence[Names]) -> Names:
    """Return the names of a header of several lines, those of a column joined by a blank."""
    return tuple(" ".join(filter(None, parts)) for parts in zip(*lines, strict=True))


def spread(names: Names) -> Names:
    """Return names, each repeated over the blank ones behind it, as over merged cells."""
    return tuple(accumulate(names, lambda before, name: name or before))
