"""What is known of the lines of a block that have quotes, and what comes of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Before:
    """What the last line with a quote or the header's width, before some others, leaves open.

    `broken` says that a cell may go on, `stray` that the quotes of the line itself do not close,
    and `may_open` that a quote may open a cell just before; `bare` says in which cells of a whole
    row quotes are text.
    """

    broken: bool = False
    stray: bool = False
    may_open: bool = False
    bare: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Marked:
    """What is known of the lines of a block, place by place.

    `fields` counts fields by delimiters alone, `widths` those outside quotes; `quotes` says whether
    there are any. The others are of the `positions` where a quote does not stand around a cell of
    its line: whether the line is a `record`, has an `odd` number of quotes, and `closes` a cell
    that was opened before it. `stops` are the lines with quotes or the header's width that may
    matter to one another: between two of them are sound rows, if anything.
    """

    lines: Sequence[str]
    fields: Sequence[int]
    widths: Sequence[int]
    quotes: Sequence[bool]
    positions: Sequence[int]
    record: Sequence[bool]
    odd: Sequence[bool]
    closes: Sequence[bool]
    stops: Sequence[int]
    width: int

    def anchor(self, position: int, step: int) -> int | None:
        """Return the next line with quotes or the header's width, before or after a place."""
        position += step
        while 0 <= position < len(self.lines):
            if self.quotes[position] or self.fields[position] == self.width:
                return position
            position += step
        return None

    def size(self, first: int) -> int:
        """Return how many characters the lines from the first on have."""
        return sum(len(line) + 1 for line in self.lines[first:])


@dataclass(slots=True)
class Told:
    """Lines told apart: the first and the last of those that make up one record, and the strays.

    A record of several lines that is `unsure` is a reject as a whole. Only the first `used` lines
    are told; the others wait for those that follow.
    """

    used: int
    groups: list[tuple[int, int]] = field(default_factory=list)
    unsure: set[int] = field(default_factory=set)
    strays: set[int] = field(default_factory=set)
    before: Before = Before()
