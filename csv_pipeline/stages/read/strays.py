"""Decide of lines with quotes which are records, which make up one, and which hold a stray quote.

A line is a record if its quotes close. One that leaves a quote open goes on to the line that closes
it, unless what is in between shows that these are two stray quotes: lines with the header's width
are rows. A quote inside an unquoted cell is text, as in 5" pipe, unless it may be one end of a
quoted cell whose separator was lost: then what it hides is not known, and the line is a reject.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import pairwise

from csv_pipeline.stages.read.grammar import Bare, Grammar
from csv_pipeline.stages.read.looks import Looks, ends_of

_MOST_ROWS = 5  # lines that may be rows, from which on a cell that holds mostly such is in doubt


class _Verdict(Enum):
    CELL = auto()  # a record of several lines
    ONE = auto()  # a record that may hold rows: nobody can tell, all of it is one reject
    STRAYS = auto()  # two stray quotes, and rows in between
    NONE = auto()  # the line that opens is not closed by the other


@dataclass(frozen=True, slots=True)
class Before:
    """What the last line with a quote or the header's width, before some others, leaves open.

    `broken` says that a cell may go on, `bare` in which cells of a whole row quotes are text.
    """

    broken: bool = False
    bare: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Marked:
    """What is known of the lines of a block, place by place.

    `fields` counts fields by delimiters alone, `quotes` says whether there are any. The others are
    of the `places` where some quote does not stand around a cell of its line: whether the line is a
    `record`, has an `odd` number of quotes, and `closes` a cell that was opened before it.
    """

    lines: Sequence[str]
    fields: Sequence[int]
    quotes: Sequence[bool]
    places: Sequence[int]
    record: Sequence[bool]
    odd: Sequence[bool]
    closes: Sequence[bool]


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
        self._opened(marked, told, final=final)
        _Neighbours(self, marked, told).weigh(before, final=final)
        return told

    def _opened(self, marked: Marked, told: Told, *, final: bool) -> None:
        """Find the lines that belong together, and those whose quotes do not close."""
        odd = [at for at, is_odd in enumerate(marked.odd) if is_odd]
        following = dict(pairwise(odd))
        at = 0
        while at < len(marked.places):
            place = marked.places[at]
            if marked.record[at]:
                at += 1
            elif not marked.odd[at]:
                told.strays.add(place)
                at += 1
            elif (end := following.get(at)) is None:
                if not final and not self.is_endless(marked.lines[place:]):
                    told.used = place
                    return
                told.strays.add(place)
                at += 1
            else:
                verdict = self._verdict(marked, following, at, end)
                undecided = verdict is _Verdict.CELL and not marked.record[end]
                if undecided and not final and following.get(end) is None:
                    told.used = place
                    return
                at = self._closed(marked, told, at, end, verdict)

    def _verdict(self, marked: Marked, following: Mapping[int, int], at: int, end: int) -> _Verdict:
        """Return what two lines with an odd number of quotes are with those in between."""
        if not marked.closes[end]:
            return _Verdict.NONE
        verdict = self.judged(marked.lines[marked.places[at] : marked.places[end] + 1])
        if verdict is not _Verdict.CELL or marked.record[end]:
            return verdict
        # The line that closes may as well open a cell; then it belongs to those that follow.
        then = following.get(end)
        if then is None or not self._is_sound(marked, following, end, self.width):
            return verdict
        if marked.record[then]:
            return _Verdict.ONE
        return verdict if self._is_sound(marked, following, then) else _Verdict.NONE

    def _is_sound(
        self, marked: Marked, following: Mapping[int, int], at: int, width: int = 0
    ) -> bool:
        """Return whether a line and the next with an odd number of quotes make up a record."""
        end = following.get(at)
        if end is None or not marked.closes[end]:
            return False
        text = "\n".join(marked.lines[marked.places[at] : marked.places[end] + 1])
        sound = len(text) <= self.max_record_bytes and self.grammar.is_sound(text)
        return sound and (not width or len(self.grammar.cells(text)) == width)

    def _closed(self, marked: Marked, told: Told, at: int, end: int, verdict: _Verdict) -> int:
        """Take in what two lines with an odd number of quotes are, and return what is next."""
        first, last = marked.places[at], marked.places[end]
        if verdict in {_Verdict.CELL, _Verdict.ONE}:
            told.groups.append((first, last))
            if verdict is _Verdict.ONE:
                told.unsure.add(first)
            return end + 1
        told.strays.add(first)
        if verdict is _Verdict.STRAYS:
            told.strays.add(last)
            told.strays.update(self._between(marked, at, end))
            return end + 1
        return at + 1

    def _between(self, marked: Marked, at: int, end: int) -> Iterator[int]:
        for place in range(at + 1, end):
            if not marked.record[place]:
                yield marked.places[place]

    def is_endless(self, lines: Sequence[str]) -> bool:
        """Return whether lines are more than a record may have."""
        return sum(len(line) + 1 for line in lines) > self.max_record_bytes

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
        if self.width > 1 and len(ends) == 2:
            usual = len(rows) < _MOST_ROWS and self.looks().have_cells_like_rows
            if usual or self._are_denied(lines, [*rows, *ends]):
                return _Verdict.CELL
            return _Verdict.STRAYS if most else _Verdict.ONE
        return _Verdict.CELL if self._is_likely(lines, between, rows) else _Verdict.ONE

    def _is_likely(
        self, lines: Sequence[str], between: list[str], rows: list[list[str | None]]
    ) -> bool:
        """Return whether lines are one cell of which some might be rows by themselves.

        As two stray quotes they would have come with separators lost at one end or at both.
        """
        looks = self.looks()
        if self.width == 1:  # then any line has enough cells
            return looks.some_quoted
        many = len(rows) >= _MOST_ROWS and 2 * len(rows) > len(between)
        are_rows = many or any(map(looks.know, rows))
        return not are_rows or self._are_denied(lines, rows)

    def _are_denied(self, lines: Sequence[str], perhaps: list[list[str | None]]) -> bool:
        """Return whether what all rows have in common shows that these are none."""
        looks = self.looks()
        begin = any(line.startswith(self.grammar.quote) for line in lines[1:])
        return all(map(looks.deny, perhaps)) or (looks.are_quoted and not begin)

    def _row(self, line: str) -> list[str | None] | None:
        """Return the cells of a line that is a row by itself."""
        if not self.grammar.is_record(line):
            return None
        cells = self.grammar.cells(line)
        return cells if len(cells) == self.width and any(cells) else None


@dataclass(slots=True)
class _Neighbours:
    """Quotes inside unquoted cells, and what the lines around them say of these."""

    teller: Teller
    marked: Marked
    told: Told
    _bare: dict[int, Bare] = field(default_factory=dict)
    _broken: set[int] = field(default_factory=set)
    _closing: set[int] = field(default_factory=set)

    def weigh(self, before: Before, *, final: bool) -> None:
        """Add to the strays the lines whose quotes may hide a separator."""
        self._broken.update(self.told.strays)
        grammar, width = self.teller.grammar, self.teller.width
        for first, last in self.told.groups:
            cells = grammar.cells("\n".join(self.marked.lines[first : last + 1]))
            if first in self.told.unsure or len(cells) != width:
                self._broken.update((first, last))
        self._look_at_each()
        if not final:
            self._wait_for_more()
        self._look_back(before)
        self._look_ahead()
        self.told.strays = {place for place in self.told.strays if place < self.told.used}
        self.told.before = self._left_open(before)

    def _look_at_each(self) -> None:
        """Find quotes that by themselves may hide a separator, in records of one line."""
        marked, inside = self.marked, -1
        lasts = dict(self.told.groups)
        for at, place in enumerate(marked.places):
            inside = max(inside, lasts.get(place, -1))
            if not marked.record[at] or place <= inside or place in self.told.strays:
                continue
            if marked.closes[at]:
                self._closing.add(place)
            bare = self._bare[place] = self.teller.grammar.bare(marked.lines[place])
            doubtful = len(bare.odd) > 1 or (bare.odd and bare.beside)
            if doubtful and not self._are_inches(bare):
                self.told.strays.add(place)
                self._broken.add(place)
            elif bare.fields != self.teller.width:
                self._broken.add(place)

    def _are_inches(self, bare: Bare) -> bool:
        return bare.inches and self.teller.looks().have_inches(bare.odd)

    def _wait_for_more(self) -> None:
        """Leave the last line with quotes or the header's width if what follows may concern it."""
        last = self._anchor(self.told.used, -1)
        bare = None if last is None or last in self.told.strays else self._bare.get(last)
        if last is None or bare is None:
            return
        if not self.teller.is_endless(self.marked.lines[last:]):
            self.told.used = last

    def _anchor(self, place: int, step: int) -> int | None:
        """Return the next line with quotes or the header's width, before or after a place."""
        place += step
        while 0 <= place < len(self.marked.lines):
            if self.marked.quotes[place] or self.marked.fields[place] == self.teller.width:
                return place
            place += step
        return None

    def _whole(self) -> list[int]:
        """Return where the quotes of a record are text, so far."""
        return [place for place in self._bare if place not in self.told.strays]

    def _look_back(self, before: Before) -> None:
        """Doubt a line that may close, or go on with, a cell that was opened before it."""
        for place in self._whole():
            if place in self.told.strays:
                continue
            at = self._anchor(place, -1)
            earlier = before if at is None else self._as_before(at)
            bare = self._bare[place]
            if earlier.broken:
                self.told.strays.add(place)
                if bare.odd:
                    self._broken.discard(place)
                else:
                    self._broken.add(place)
            elif self._may_close(place, earlier, at):
                self.told.strays.update({place} if at is None else {place, at})

    def _as_before(self, at: int) -> Before:
        bare = self._bare.get(at)
        whole = bare is not None and bare.fields == self.teller.width
        return Before(at in self._broken, bare.cells if bare is not None and whole else ())

    def _may_close(self, place: int, earlier: Before, at: int | None) -> bool:
        """Return whether a quoted cell may begin in a row and end here, its separator lost."""
        bare = self._bare[place]
        if place not in self._closing or len(bare.odd) != 1 or bare.fields != self.teller.width:
            return False
        if bare.odd[0] - 1 not in earlier.bare:
            return False
        other = None if at is None else self._bare.get(at)
        known = self._are_inches(bare) and (other is None or self._are_inches(other))
        return not known

    def _look_ahead(self) -> None:
        """Doubt a line whose quote may open a cell that goes on in a line that is broken."""
        for place in reversed(self._whole()):
            at = self._anchor(place, 1)
            if self._bare[place].odd and at is not None and at in self._broken:
                self.told.strays.add(place)

    def _left_open(self, before: Before) -> Before:
        last = self._anchor(self.told.used, -1)
        return before if last is None else self._as_before(last)
