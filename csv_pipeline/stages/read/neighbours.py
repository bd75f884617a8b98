"""Judge quotes that may be one end of a quoted cell by the lines around them.

A quote inside an unquoted cell is text, and a line that closes a cell of several lines may as well
open one. Where a separator was lost or a quote strayed in, the lines of a cell look like records
with such quotes. So they are in doubt if no sound row stands between them and a line that is
broken, or if two of them fit one another as the ends of a cell do.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from csv_pipeline.stages.read.grammar import Bare, Grammar
from csv_pipeline.stages.read.looks import Looks
from csv_pipeline.stages.read.marks import Before, Marked, Told


class _Kind(Enum):
    SOUND = auto()  # a row, or a record of several lines, that nothing near it can change
    OPEN = auto()  # a record that is in doubt beside a broken one
    BROKEN = auto()  # quotes that are stray, or in a record of another width than the header's


_SOUND, _BROKEN, _TORN = Before(), Before(broken=True), Before(broken=True, may_open=True)


@dataclass(slots=True)  # not frozen: there may be one for each line
class _Record:
    """A record with quotes or the header's width; `bare` says where its quotes are text.

    `before` is what the one before it leaves open.
    """

    first: int
    last: int
    kind: _Kind
    closes: bool = False
    may_open: bool = False
    quoted: bool = False
    bare: Bare | None = None
    before: Before = _SOUND


@dataclass(slots=True)
class Neighbours:
    """Lines that were told apart, before they are weighed by one another."""

    grammar: Grammar
    width: int
    looks: Callable[[], Looks]
    marked: Marked
    told: Told
    _at: dict[int, int] = field(default_factory=dict)  # where a line is among the marked

    def weigh(self, before: Before, max_record_bytes: int, *, final: bool) -> None:
        """Add to the strays, and to what is unsure, the lines whose quotes may hide a separator.

        Unless they are the `final` ones, lines that those to come may change are left to wait.
        """
        told = self.told
        self._at = {position: at for at, position in enumerate(self.marked.positions)}
        undecided: list[_Record] = []
        earlier, last = before, None
        broken = before.broken
        for record in self._records(told.used):
            record.before = earlier
            self._weigh_pair(last, record)
            if record.kind is _Kind.OPEN:
                undecided.append(record)
            elif record.kind is _Kind.BROKEN:
                broken = True
            else:
                self._end(undecided, broken=broken)
                undecided, broken = [], False
            earlier, last = self._left_by(record), record
        self._end(undecided, broken=broken)
        waiting = [] if broken else undecided
        if last is not None and self._may_doubt(last):
            waiting = [*waiting, last]
        if waiting and not final and self.marked.size(waiting[0].first) <= max_record_bytes:
            told.used, earlier = waiting[0].first, waiting[0].before
        elif last is not None and last.kind is not _Kind.SOUND:
            earlier = replace(earlier, broken=broken or earlier.broken)
        told.groups = [group for group in told.groups if group[0] < told.used]
        told.strays = {position for position in told.strays if position < told.used}
        told.before = earlier

    def _records(self, end: int) -> Iterator[_Record]:
        """Give the records of the lines before one, of sound rows only the first of several."""
        lasts, end_of_last = dict(self.told.groups), -1
        for position in self.marked.stops:
            if position >= end:
                return
            if position <= end_of_last:
                continue
            if position in lasts:
                yield self._several(position, lasts[position])
                end_of_last = lasts[position]
            elif self.marked.quotes[position]:
                yield self._quoted(position)
            else:
                yield _Record(position, position, _Kind.SOUND)

    def _several(self, first: int, last: int) -> _Record:
        line = self.marked.lines[last]
        may_open = not self.grammar.is_record(line)
        width = len(self.grammar.cells("\n".join(self.marked.lines[first : last + 1])))
        kind = _Kind.OPEN if may_open else _Kind.SOUND
        if first in self.told.unsure or width != self.width:
            kind = _Kind.BROKEN
        bare = None if may_open else self.grammar.bare(line)
        return _Record(first, last, kind, may_open=may_open, quoted=True, bare=bare)

    def _quoted(self, position: int) -> _Record:
        """Return what is known of a line with quotes that is a record, or has some that stray."""
        line, at = self.marked.lines[position], self._at.get(position)
        if at is None:
            kind = _Kind.SOUND if self.marked.widths[position] == self.width else _Kind.BROKEN
            return _Record(position, position, kind, quoted=True)
        closes = self.marked.closes[at] and self.marked.odd[at]
        if not self.marked.record[at]:
            torn = self.marked.fields[position] < self.width
            return _Record(position, position, _Kind.BROKEN, closes, may_open=torn)
        bare = self.grammar.bare(line)
        inches = bare.inches and self.looks().have_inches(bare.odd)
        kind = _Kind.SOUND if bare.odd and inches else _Kind.OPEN
        if bare.odd and (len(bare.cells) > 1 or bare.beside) and not inches:
            self.told.strays.add(position)
        if position in self.told.strays or bare.fields != self.width:
            kind = _Kind.BROKEN
        return _Record(position, position, kind, closes, bare=bare)

    def _left_by(self, record: _Record) -> Before:
        """Return what a record leaves open for the next."""
        if record.kind is _Kind.BROKEN:
            return _TORN if record.may_open else _BROKEN
        return Before(bare=record.bare.cells) if record.bare is not None else _SOUND

    def _may_doubt(self, record: _Record) -> bool:
        """Return whether the next record may put this one, the last, in doubt, and none has yet."""
        can = record.first != record.last or record.bare is not None
        return can and record.first not in self.told.unsure | self.told.strays

    def _weigh_pair(self, last: _Record | None, record: _Record) -> None:
        """Doubt a record by the one before it."""
        several = last is not None and last.first != last.last
        if record.before.may_open and record.quoted:
            self._doubt(record)
        if several and last and record.kind is _Kind.BROKEN and record.closes:
            self._doubt(last)
        bare = record.bare
        if record.first != record.last or bare is None or record.kind is not _Kind.OPEN:
            return
        fits = record.closes and len(bare.odd) == 1 and bare.odd[0] - 1 in record.before.bare
        if fits:
            self._doubt(record)
            if last is not None:
                self._doubt(last)

    def _end(self, undecided: list[_Record], *, broken: bool) -> None:
        """Doubt all that no sound row parts from what is broken."""
        for record in undecided if broken else ():
            self._doubt(record)

    def _doubt(self, record: _Record) -> None:
        if record.first == record.last:
            self.told.strays.add(record.first)
        else:
            self.told.unsure.add(record.first)
