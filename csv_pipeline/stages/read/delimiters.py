"""Choose the delimiter and the quotes by what the records look like under each.

A feed's names decide, if they show. Else the delimiter that the first line has and that cuts most
lines into as many cells wins; colons and blanks part cells only where nothing else does and every
record agrees. What no delimiter explains is one column.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from csv_pipeline.spec.contract import heading
from csv_pipeline.stages.read.grammar import Grammar
from csv_pipeline.stages.read.headers import DELIMITERS, LOOSE, Header, IsDeclared, Sample, has_mark
from csv_pipeline.stages.read.known_headers import by_names
from csv_pipeline.stages.read.likely_headers import by_likeness
from csv_pipeline.stages.read.likeness import Likeness, is_parted
from csv_pipeline.stages.read.quoting import by_quote, by_this_quote, quotes_cells
from csv_pipeline.stages.read.readings import Reading, are_values, share, typed
from csv_pipeline.stages.read.sampling import (
    SAMPLE_RECORDS,
    Record,
    may_be_as_wide,
    sampled,
    usual_width,
)

_GROUPS = ((",", ";", "\t", "|", ", ", "||", "|~|"), ("::", "~", "^", "¦", "\x1f"), LOOSE)
_ONE_COLUMN = (",", "\t", ";", "|", "\x1f")
_MOST = 0.5
_SOME = 0.25
_COMPARED = 50  # records


@dataclass(frozen=True, kw_only=True)
class Lines:
    """The first lines of a text and what is known of it; `complete` if these are all."""

    lines: list[str]
    headings: frozenset[str]
    is_declared: IsDeclared
    complete: bool
    quoted: bool = False

    @cached_property
    def first(self) -> list[str]:
        """Some lines, without what ends them."""
        return [line.rstrip("\r\n") for line in self.lines[:SAMPLE_RECORDS]]


def best_reading(lines: Lines) -> Reading:
    """Return the reading that knows the most names; without any, the one that explains most."""
    readings: list[Reading] = []
    for group in _GROUPS:
        for grammar in _grammars(lines, group):
            most = max((reading.header.known for reading in readings), default=0)
            # No record shows more names than it has cells: most grammars are out before a look.
            if not most or may_be_as_wide(lines.lines, grammar, most):
                readings.append(_reading(lines, grammar, sampled(lines.lines, grammar)))
        if any(_has_names(r) if lines.headings else _is_meant(r, lines) for r in readings):
            break
    meant = [reading for reading in readings if _is_meant(reading, lines)]
    if meant:
        best = max(meant, key=_score) if len(meant) > 1 else meant[0]
        return _parted_twice(best, readings) or _doubted(best, readings)
    if readings and not any(reading.header.names for reading in readings):
        return readings[0]
    return _one_column(lines)


def reading_by(lines: Lines, delimiter: str, quote: str | None = None) -> Reading:
    """Return the best reading by a delimiter, and by a quote or none of it is told."""
    if quote is None:
        grammars = by_quote(lines.first, delimiter, quoted=lines.quoted)
    else:
        grammars = by_this_quote(lines.first, delimiter, quote)
    readings = [_reading(lines, one, sampled(lines.lines, one)) for one in grammars]
    return max(readings, key=_score)


def _has_names(reading: Reading) -> bool:
    """Return whether its delimiter parts a header with several names of the feed."""
    header = reading.header
    return header.known > 1 and header.records[0].width > 1


def _parted_twice(best: Reading, readings: list[Reading]) -> Reading | None:
    """Return a reading in doubt if a colon or blank parts the header and, as another, most rows."""
    fits = [r for r in readings if r.header.known > 1 and r.steady > _MOST]
    loose = [r for r in fits if r.grammar.delimiter in LOOSE and _has_names(r)]
    others = [r for r in fits if r.grammar.delimiter not in LOOSE]
    if not (loose and others):
        return None
    both, other = loose[0].grammar.delimiter, others[0].grammar.delimiter
    line = best.header.records[0].first
    said = f"{both!r} parts line {line:,} and most below it, {other!r} most of these as well"
    rival = other if best.grammar.delimiter == both else both
    return replace(_in_doubt(best, said), rival=rival)


def _in_doubt(reading: Reading, found: str) -> Reading:
    doubt = "one delimiter for the header and the rows was needed", found
    return replace(reading, header=replace(reading.header, doubt=doubt))


def _doubted(best: Reading, readings: list[Reading]) -> Reading:
    """Return a reading, in doubt if its header is parted by one delimiter and the rows by another.

    Then few rows have the header's width, and another delimiter gives most of them one width.
    """
    header = best.header
    if not header.records or header.doubt is not None or best.steady >= _MOST:
        return best
    last = header.records[-1].last
    first = next((record for record in best.filled if record.first > last), None)
    if first is None or (best.steady >= _SOME and first.width == len(header.names)):
        return best
    for other in readings:
        below = [record for record in other.filled if record.first > last]
        width = usual_width(below)
        mark, found = best.grammar.delimiter, other.grammar.delimiter
        several = width > 1 and len(below) > 1 and share(below, width) > _MOST
        if several and mark not in found and found not in mark:
            line = header.records[0].first
            return _in_doubt(best, f"{mark!r} parts line {line:,}, {found!r} most lines below it")
    return best


def _grammars(lines: Lines, delimiters: tuple[str, ...]) -> Iterator[Grammar]:
    """Give the grammars by these delimiters that the sample shows reason to try."""
    text = "\n".join(lines.first)
    for delimiter in delimiters:
        if delimiter in text:
            yield from by_quote(lines.first, delimiter, quoted=lines.quoted)


def _reading(lines: Lines, grammar: Grammar, records: list[Record]) -> Reading:
    filled = [record for record in records if not record.is_blank]
    if not filled:
        return Reading(grammar=grammar, records=records, header=Header())
    sample = Sample(
        records=filled, grammar=grammar, headings=lines.headings, is_declared=lines.is_declared
    )
    header = (by_names(sample) if lines.headings else None) or by_likeness(sample)
    last = header.records[-1].last if header.records else 0
    below = [record for record in filled if record.first > last and not record.is_aside]
    return Reading(
        grammar=grammar,
        records=records,
        header=header,
        steady=share(below, len(header.names)),
        quoted=bool(grammar.quote) and quotes_cells(lines.first, grammar.delimiter, grammar.quote),
    )


def _one_column(lines: Lines) -> Reading:
    """Return the reading as one column, by a delimiter that does not occur."""
    some = "\n".join(lines.first)
    delimiter = next((one for one in _ONE_COLUMN if one not in some), _ONE_COLUMN[-1])
    grammar = next(by_quote(lines.first, delimiter, quoted=lines.quoted))
    reading = _reading(lines, grammar, sampled(lines.lines, grammar))
    return replace(reading, is_one_column=True)


def _is_meant(reading: Reading, lines: Lines) -> bool:
    """Return whether a delimiter explains the sample."""
    header, filled = reading.header, reading.filled
    if lines.headings and header.known > 1:
        if reading.grammar.delimiter in LOOSE:
            return not _is_one_name(reading, lines) and _parts_alone(reading, filled)
        # Two signs may be one that was doubled in the header.
        return len(reading.grammar.delimiter) == 1 or reading.steady >= _MOST
    if len(header.names) < 2 or not filled:
        return False
    if reading.grammar.delimiter in LOOSE:
        return _parts_all(reading, filled)
    if filled[0].reach(reading.grammar) > 1 or filled[0] in header.records:
        parted = sum(record.width > 1 for record in filled)
        return parted >= _MOST * len(filled)
    return _stands_below_a_title(reading, filled)


def _stands_below_a_title(reading: Reading, filled: list[Record]) -> bool:
    """Return whether lines have a delimiter that the first one lacks, as below a title.

    Else the first is the name of one column, and the delimiter a part of its values.
    """
    header = reading.header
    if reading.covered < _MOST:
        return False
    if header.likeness is Likeness.NAMES:
        return True
    if _is_prose(reading.grammar.delimiter, filled) or are_values(filled):
        return False
    if not header.records:
        return len(header.names) > 2 and reading.has_values
    return header.likeness is Likeness.ROW or header.records[0].first > filled[0].last + 1


def _is_one_name(reading: Reading, lines: Lines) -> bool:
    """Return whether what blanks part is, taken as one, a name of the feed."""
    name = heading("".join(reading.header.names))
    return reading.grammar.delimiter == " " and name in lines.headings


def _parts_alone(reading: Reading, filled: list[Record]) -> bool:
    """Return whether a colon or a blank parts a header that is all known, and what is below.

    It parts every record alike, or no other delimiter is common in them.
    """
    header = reading.header
    table = [record for record in filled if record.first >= header.records[0].first]
    if _is_even(reading, table):
        return True
    marked = sum(has_mark(record.text) for record in table)
    return header.known == len(header.names) and 2 * marked < len(table)


def _is_even(reading: Reading, filled: list[Record]) -> bool:
    """Return whether all records are as wide as the header."""
    width = len(reading.header.names)
    return len(filled) > 1 and all(record.sound and record.width == width for record in filled)


def _parts_all(reading: Reading, filled: list[Record]) -> bool:
    """Return whether a colon or a blank parts every record alike, and is no part of a value."""
    if not _is_even(reading, filled):
        return False
    if are_values(filled) or _is_prose(reading.grammar.delimiter, filled):
        return False
    typed = reading.header.likeness is Likeness.NAMES or reading.has_values
    return typed or reading.quoted or reading.grammar.delimiter == ":"


def _is_prose(delimiter: str, records: list[Record]) -> bool:
    """Return whether a blank follows the delimiter wherever it stands, as it does in sentences."""
    text, mark = "\n".join(record.text for record in records), delimiter.strip(" ")
    return mark in {",", ";", ":"} and text.count(mark) == text.count(f"{mark} ")


def _score(reading: Reading) -> tuple[float, ...]:
    header = reading.header
    covered = reading.covered
    explained = round(covered * (1 + _atomic(reading)) / 2, 1)
    fits = header.known, reading.steady >= _MOST, _unwrapped(reading), explained
    table = header.doubt is None, header.likeness is Likeness.NAMES
    size = round(typed(reading), 1), len(reading.grammar.delimiter), len(header.names)
    return *fits, *table, *size, covered


def _atomic(reading: Reading) -> float:
    """Return the share of records in whose cells no other delimiter parts anything, but quoted."""
    width, grammar = len(reading.header.names), reading.grammar
    records = [r for r in reading.filled if r.width == width and not r.has_quotes(grammar)]
    some = records[:_COMPARED]
    parted = sum(
        any(cell and is_parted(cell, mark) for cell in record.cells for mark in DELIMITERS)
        for record in some
    )
    return 1 - parted / len(some) if some else 1.0


def _unwrapped(reading: Reading) -> bool:
    """Return whether quotes were taken off cells, and the other kind is not around most."""
    other = "'" if reading.grammar.quote == '"' else '"'
    cells = [cell for record in reading.records for cell in record.cells if cell]
    left = sum(1 for cell in cells if len(cell) > 1 and cell[0] == cell[-1] == other)
    return reading.quoted and 2 * left < len(cells)
