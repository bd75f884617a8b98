"""Decide of lines with quotes which are records, which make up one, and which hold a stray quote.

A line is a record if its quotes close. One that leaves a quote open goes on to the line that closes
it, unless what is in between shows that these are two stray quotes: lines with the header's width
are rows. A quote inside an unquoted cell is text, as in 5" pipe, unless it may be one end of a
quoted cell whose separator was lost: then what it hides is not known, and the line is a reject.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from itertools import pairwise

from csv_pipeline.stages.read.grammar import Grammar
from csv_pipeline.stages.read.looks import Cells, Looks, ends_of
from csv_pipeline.stages.read.marks import Before, Marked, Told
from csv_pipeline.stages.read.neighbours import Neighbours

MOST_ROWS = 5
"""So many lines that may be rows are usual in no cell."""


class _Verdict(Enum):
    CELL = auto()  # a record of several lines
    ONE = auto()  # a record that may hold rows: undecidable, all of it is one reject
    STRAYS = auto()  # two stray quotes, and rows in between
    NONE = auto()  # the line that opens is not closed by the other


@dataclass(slots=True)
class Teller:
    """Tell the lines of one text apart; `width` is the header's number of fields."""

    grammar: Grammar
    width: int
    max_record_bytes: int
    looks: Callable[[], Looks]

    def told(self, marked: Marked, before: Before, *, final: bool) -> Told:
        """Return what each line is; without any more to come if they are the `final` ones."""
        told = Told(used=len(marked.lines))
        broken = self._opened(marked, told, before, final=final)
        neighbours = Neighbours(self.grammar, self.width, self.looks, marked, told)
        neighbours.weigh(before, self.max_record_bytes, final=final)
        stray = self._follows(marked, told.used, before, broken)
        told.before = replace(told.before, stray=stray)
        return told

    def _opened(self, marked: Marked, told: Told, before: Before, *, final: bool) -> set[int]:
        """Find the lines that belong together, and return the last of each whose quotes stray."""
        odd = [at for at, is_odd in enumerate(marked.odd) if is_odd]
        following = dict(pairwise(odd))
        at, broken = 0, set[int]()
        while at < len(marked.positions):
            position = marked.positions[at]
            if marked.record[at]:
                at += 1
                continue
            end = following.get(at)
            in_doubt = marked.closes[at] and self._follows(marked, position, before, broken)
            if not marked.odd[at] or in_doubt:
                verdict = _Verdict.NONE
            elif not final and self._is_open(marked, following, at):
                told.used = position
                return broken
            else:
                verdict = self._verdict(marked, following, at, end)
            at = self._closed(marked, told, at, end, verdict)
            if verdict is not _Verdict.CELL:
                broken.add(marked.positions[at - 1])
        return broken

    def _follows(self, marked: Marked, position: int, before: Before, broken: set[int]) -> bool:
        """Return whether the last line that may matter to one is broken."""
        earlier = marked.anchor(position, -1)
        return before.stray if earlier is None else earlier in broken

    def _is_open(self, marked: Marked, following: Mapping[int, int], at: int) -> bool:
        """Return whether lines that are yet to come may change what begins at a line."""
        for _ in range(3):  # the line that closes it may open a cell, and so may that one's
            end = following.get(at)
            if end is None:
                return marked.size(marked.positions[at]) <= self.max_record_bytes
            if marked.record[end]:
                return False
            at = end
        return False

    def _verdict(
        self, marked: Marked, following: Mapping[int, int], at: int, end: int | None
    ) -> _Verdict:
        """Return what two lines with an odd number of quotes are with those in between."""
        if end is None or not marked.closes[end]:
            return _Verdict.NONE
        verdict = self.judged(marked.lines[marked.positions[at] : marked.positions[end] + 1])
        if verdict is not _Verdict.CELL or marked.record[end]:
            return verdict
        # The line that closes may as well open a cell: then it belongs to those that follow. Which
        # of the two holds is told by whether those that follow are sound without it.
        then = following.get(end)
        if then is None or not self._is_sound(marked, following, end):
            return verdict
        sound = not marked.record[then] and self._is_sound(marked, following, then)
        return verdict if sound else _Verdict.ONE

    def _is_sound(self, marked: Marked, following: Mapping[int, int], at: int) -> bool:
        """Return whether a line and the next with an odd number of quotes make up a record."""
        end = following.get(at)
        if end is None or not marked.closes[end]:
            return False
        text = "\n".join(marked.lines[marked.positions[at] : marked.positions[end] + 1])
        return len(text) <= self.max_record_bytes and self.grammar.is_sound(text)

    def _closed(
        self, marked: Marked, told: Told, at: int, end: int | None, verdict: _Verdict
    ) -> int:
        """Take in what two lines with an odd number of quotes are, and return what is next."""
        if end is None or verdict is _Verdict.NONE:
            told.strays.add(marked.positions[at])
            return at + 1
        first, last = marked.positions[at], marked.positions[end]
        if verdict in {_Verdict.CELL, _Verdict.ONE}:
            told.groups.append((first, last))
            if verdict is _Verdict.ONE:
                told.unsure.add(first)
            return end + 1
        between = (marked.positions[n] for n in range(at + 1, end) if not marked.record[n])
        told.strays.update((first, last, *between))
        return end + 1

    @property
    def are_usual(self) -> bool:
        """Whether a cell of the header's width with less than `MOST_ROWS` rows in it is one."""
        return self.width > 1 and self.looks().have_cells_like_rows

    def is_cell(self, lines: Sequence[str]) -> bool:
        """Return whether lines whose quotes are sound are one record, and hold no rows."""
        return self.judged(lines) is _Verdict.CELL

    def judged(self, lines: Sequence[str]) -> _Verdict:
        """Return what lines are of which the first opens a cell and the last closes one."""
        text = "\n".join(lines)
        if len(text) > self.max_record_bytes or not self.grammar.is_sound(text):
            return _Verdict.NONE
        between = [line for line in lines[1:-1] if line.strip()]
        rows = [cells for cells in map(self._row, between) if cells]
        ends = ends_of(lines, self.grammar, self.width)
        if not rows and len(ends) < 2:
            return _Verdict.CELL
        most = 2 * len(rows) >= len(between)
        if len(self.grammar.cells(text)) != self.width:
            return _Verdict.STRAYS if most and ends else _Verdict.ONE
        if self._is_known(lines, rows, ends):
            return _Verdict.CELL
        two = self.width > 1 and len(ends) == 2 and most
        return _Verdict.STRAYS if two else _Verdict.ONE

    def _is_known(self, lines: Sequence[str], rows: list[Cells], ends: list[Cells]) -> bool:
        """Return whether what the text is like shows that lines are a cell, though some fit."""
        if self.width == 1:  # then any line has enough cells
            return self.looks().some_quoted
        usual = len(rows) < MOST_ROWS and self.are_usual
        return usual or self._are_denied(lines, [*rows, *(ends if len(ends) == 2 else ())])

    def _are_denied(self, lines: Sequence[str], perhaps: list[Cells]) -> bool:
        """Return whether what all rows have in common shows that these are none."""
        looks = self.looks()
        begin = any(line.startswith(self.grammar.quote) for line in lines[1:])
        return all(map(looks.deny, perhaps)) or (looks.are_quoted and not begin)

    def _row(self, line: str) -> Cells | None:
        """Return the cells of a line that is a row by itself."""
        if not self.grammar.is_record(line):
            return None
        cells = self.grammar.cells(line)
        return cells if len(cells) == self.width and any(cells) else None
