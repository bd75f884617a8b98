"""The first records of a text as a grammar reads them, for whoever decides what they are."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from csv_pipeline.stages.read.grammar import Grammar

SAMPLE_RECORDS = 200
LETTER = re.compile(r"[^\W_]|[#%€$£]")
_SEPARATOR_LINE = re.compile(r"\W*sep=\S{0,3}\W*", re.IGNORECASE)  # by which Excel is told


class Record(NamedTuple):
    """A record of the sample: its raw text, its cells and the lines it stands on, from 1.

    `is_blank` says that no cell has text; `is_aside` that it is hardly a header or a row: blank, a
    comment, or the line by which Excel is told the delimiter.
    """

    text: str
    cells: list[str | None]
    first: int
    last: int
    sound: bool
    is_blank: bool
    is_aside: bool

    @property
    def width(self) -> int:
        """How many cells it has."""
        return len(self.cells)

    @property
    def names(self) -> tuple[str, ...]:
        """The cells as names."""
        return as_names(self.cells)

    @property
    def filled(self) -> int:
        """How many cells hold a letter or a digit."""
        return sum(1 for cell in self.cells if cell and LETTER.search(cell))

    @property
    def is_comment(self) -> bool:
        """Whether it begins as a comment does, be it one or not."""
        return self.text.startswith("#")

    @property
    def tells_delimiter(self) -> bool:
        """Whether it is the line by which Excel is told the delimiter."""
        return _SEPARATOR_LINE.fullmatch(self.text) is not None

    def has_quotes(self, grammar: Grammar) -> bool:
        """Return whether quotes may hide delimiters in its cells."""
        return bool(grammar.quote) and grammar.quote in self.text

    def reach(self, grammar: Grammar) -> int:
        """Return how many cells it may have; stray quotes may hide some."""
        return self.width if self.sound else max(self.width, len(unquoted(self.text, grammar)))


def as_names(cells: Sequence[str | None]) -> tuple[str, ...]:
    """Return cells as names; NUL, which no table and no JSON takes, shows as ␀."""
    names = [(cell or "").strip().strip("\ufeff").strip() for cell in cells]
    return tuple([name.replace("\0", "\u2400") for name in names])


def unquoted(text: str, grammar: Grammar) -> list[str | None]:
    """Return what is between the delimiters of a text, as if nothing in it were quoted."""
    cells = text.removesuffix("\r").split(grammar.delimiter)
    return [cell.strip(grammar.quote) if grammar.quote else cell for cell in cells]


def sampled(lines: list[str], grammar: Grammar) -> list[Record]:
    """Return the first records; a line whose quotes do not close is one by itself."""
    records = [_record(lines, at, end, grammar) for at, end in _spans(lines, grammar)]
    if any(record.first != record.last for record in records):
        width = usual_width(records)
        records = [part for record in records for part in _apart(record, lines, width, grammar)]
    return _with_hash_signs(records)


def may_be_as_wide(lines: list[str], grammar: Grammar, width: int) -> bool:
    """Return whether any of the first records may have so many cells, by its delimiters alone."""
    spans, parts = _spans(lines, grammar), width - 1
    return any("".join(lines[at:end]).count(grammar.delimiter) >= parts for at, end in spans)


def _spans(lines: list[str], grammar: Grammar) -> Iterator[tuple[int, int]]:
    """Give where the first records begin, and the line after each."""
    at = 0
    for _ in range(SAMPLE_RECORDS):
        if at == len(lines):
            return
        end = _end(lines, at, grammar)
        yield at, end
        at = end


def _with_hash_signs(records: list[Record]) -> list[Record]:
    """Return records that begin with # as records like others if most do so, as in #101 and #102.

    A comment rather has a blank behind its sign, or one cell.
    """
    filled = [record for record in records if not record.is_blank]
    signed = [r for r in filled if r.is_comment and r.width > 1 and r.text[1:2].isalnum()]
    if 2 * len(signed) <= len(filled) or len({record.width for record in signed}) > 1:
        return records
    return [r._replace(is_aside=False) if r in signed else r for r in records]


def usual_width(records: Sequence[Record]) -> int:
    """Return the width of most records; one cell alone counts for little."""
    widths = Counter(record.width for record in records if not record.is_aside)
    return max(widths, key=lambda width: (widths[width] * min(width, 2), width), default=1)


def _record(lines: list[str], at: int, end: int, grammar: Grammar) -> Record:
    text = "".join(lines[at:end]).removesuffix("\n").removesuffix("\r")
    cells, sound = grammar.cells(text), grammar.is_record(text)
    blank = not any(map(str.strip, filter(None, cells)))
    aside = blank or text.startswith("#") or _SEPARATOR_LINE.fullmatch(text) is not None
    return Record(text, cells, at + 1, end, sound, blank, aside)


def _end(lines: list[str], at: int, grammar: Grammar) -> int:
    """Return the line after the record that begins at line `at`."""
    quotes = grammar.count_quotes(lines[at])
    if quotes % 2 == 0 or grammar.is_record(lines[at].rstrip("\r\n")):
        return at + 1
    for end in range(at + 1, min(len(lines), at + SAMPLE_RECORDS)):
        quotes += grammar.count_quotes(lines[end])
        if quotes % 2 == 0:
            whole = "".join(lines[at : end + 1]).removesuffix("\n")
            return end + 1 if grammar.is_record(whole) else at + 1
    return at + 1


def _apart(record: Record, lines: list[str], width: int, grammar: Grammar) -> Iterator[Record]:
    """Give the lines of a record that only stray quotes join: some are whole by themselves."""
    inner = range(record.first - 1, record.last)
    if record.width == width:
        inner = inner[1:-1]
    if width > 1 and any(len(unquoted(lines[at], grammar)) == width for at in inner):
        for at in range(record.first - 1, record.last):
            yield _record(lines, at, at + 1, grammar)
    else:
        yield record
