"""Find the header of a file by the names that its feed knows.

It is the first record whose cells are such names, wherever it is, or several lines that are
when they are joined. A name in two cells, two names in one, or rows of another width put it in
doubt, unless there is but one way to take its names.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from csv_pipeline.spec.contract import heading
from csv_pipeline.stages.read.headers import (
    A_NAME_EACH,
    LOOSE,
    SOME_RECORDS,
    Header,
    Sample,
    fitted,
    full_above,
    has_mark,
    joined,
    misfit,
    other_names,
    rows_above,
    rows_below,
    spread,
)
from csv_pipeline.stages.read.likeness import Likeness, Names
from csv_pipeline.stages.read.sampling import Record, as_names, unquoted

_MOST_LINES = 3
_LONGEST_RUN = 2_000  # characters


def by_names(sample: Sample) -> Header | None:
    """Return the first record whose cells are names of the feed, or several joined."""
    found = _first_known(sample) or _best_joined(sample, sample.records[:SOME_RECORDS])
    if found is None:
        return _least_known(sample)
    above = [r for r in full_above(sample, found) if not _named(sample, r).is_known]
    settled = _settled(sample, found)
    return replace(settled, doubt=rows_above(found, above)) if above else settled


def _first_known(sample: Sample) -> Header | None:
    """Return the first record that is a header by its names.

    One below it with more of them is better, if no row of the first one stands in between.
    """
    records = sample.records
    for at, record in enumerate(records):
        first = _named(sample, record)
        if not first.is_known:
            continue
        best = first
        if first.known < len(first.names):
            around = records[max(0, at + 1 - _MOST_LINES) : at + _MOST_LINES]
            best = _best_joined(sample, around, more_than=first.known) or first
        return max([best, *_before_a_row(sample, best)], key=lambda one: one.known)
    return None


def _before_a_row(sample: Sample, header: Header) -> Iterator[Header]:
    """Give what is a header, too, and follows on another before any row of its width."""
    for record in sample.records:
        if record.first > header.records[-1].last:
            other = _named(sample, record)
            if other.is_known:
                yield other
            elif record.width == len(header.names):
                return


def _named(sample: Sample, record: Record) -> Header:
    """Return the names a record holds: as it is read, or as it may be without its damage.

    Damage is certain where several names are known without it.
    """
    readings = [*other_names(sample, record), *_loosely_parted(sample, record)]
    found = [(sample.known(names), names) for names in (record.names, *readings)]
    certain = [found[0], *(one for one in found[1:] if one[0] > 1)]
    known, names = max(certain, key=lambda one: one[0])
    return Header(records=(record,), names=names, known=known, likeness=Likeness.NAMES)


def _loosely_parted(sample: Sample, record: Record) -> Iterator[Names]:
    """Give what colons or blanks part, if it is a name of the feed for each column of most rows."""
    if record.width != 1 or sample.width <= 1:
        return
    rows = len(rows_below(sample, record))
    others = sum(other.first > record.last and not other.is_aside for other in sample.records)
    if 2 * rows > others:
        for delimiter in LOOSE:
            names = as_names(unquoted(record.text, replace(sample.grammar, delimiter=delimiter)))
            if len(names) == sample.width == sample.known(names):
                yield names


def _best_joined(sample: Sample, records: Sequence[Record], more_than: int = 0) -> Header | None:
    """Return the lines that, joined, are more names of the feed than each of them alone."""
    best: Header | None = None
    for count in range(2, _MOST_LINES + 1):
        for at in range(len(records) - count + 1):
            lines = tuple(records[at : at + count])
            if len({line.width for line in lines}) > 1 or lines[0].width < 2:
                continue
            first, *others = (line.names for line in lines)
            for names in (joined([first, *others]), joined([spread(first), *others])):
                known = sample.known(names)
                more = known > max(more_than, best.known if best else 0)
                if more and all(known > sample.known(line.names) for line in lines):
                    best = Header(records=lines, names=names, known=known, likeness=Likeness.NAMES)
    return best if best and best.is_known else None


def _least_known(sample: Sample) -> Header | None:
    """Return the record with the most names of the feed, unless it may be a row that has them."""
    some = [
        _named(sample, record) for record in sample.records[:SOME_RECORDS] if not record.is_aside
    ]
    best = max(some, key=lambda one: one.known, default=None)
    if best is None or not best.known:
        return _run_together(sample)
    return None if full_above(sample, best) else _settled(sample, best)


def _run_together(sample: Sample) -> Header | None:
    """Return, in doubt, the first line that is nothing but names of the feed, not parted."""
    for record in sample.records[:SOME_RECORDS]:
        if not record.is_aside and _is_run(heading(record.text), sample.headings):
            found = f"line {record.first:,} has several in one cell, {record.text!r}"
            return Header(records=(record,), names=record.names, doubt=(A_NAME_EACH, found))
    return None


def _is_run(text: str, headings: frozenset[str]) -> bool:
    """Return whether a text is two headings or more, one behind the other."""
    counts = {0: 0}  # how many headings end at a place
    for end in range(1, min(len(text), _LONGEST_RUN) + 1):
        starts = [start for start in counts if text[start:end] in headings]
        if starts:
            counts[end] = 1 + max(counts[start] for start in starts)
    return counts.get(len(text), 0) > 1


def _settled(sample: Sample, found: Header) -> Header:
    """Return a header with a name for each cell of the rows, or in doubt.

    One whose names are all known is whole, and rows of another width are at fault.
    """
    rows, line = _rows_of(sample, found), f"line {found.records[0].first:,}"
    if name := _parted_name(found.names, sample.headings):
        return replace(found, doubt=(A_NAME_EACH, f"{line} has {name!r} in two cells"))
    doubtful = found.names if not found.names[-1] else tuple(filter(has_mark, found.names))
    if name := _merged_name(doubtful, sample.headings):
        return replace(found, doubt=(A_NAME_EACH, f"{line} has two in one cell, {name!r}"))
    widths = Counter(row.width for row in rows)
    own = widths[len(found.names)]
    usual, count = max(widths.items(), key=lambda w: (w[1], w[0]), default=(0, 0))
    if count < own or count < 1 or usual == len(found.names):
        return found
    alike = [row for row in rows if row.width == usual]
    all_known = found.known == sum(1 for name in found.names if name)
    enough = count > own and (all_known or count > 1)
    names = fitted(found.names, alike, all_known=all_known and not own) if enough else None
    merged = names and len(names) > len(found.names) and _merged_name(names, sample.headings)
    if names is not None and not merged:
        return replace(found, names=names)
    if found.known == len(found.names) or (count == 1 and not own):
        return found
    return replace(found, doubt=misfit(found, usual))


def _parted_name(names: Names, headings: frozenset[str]) -> str | None:
    """Return a name of the feed that a delimiter too many parts in two, neither of them known."""
    known = [heading(name) in headings for name in names]
    for at, (one, other) in enumerate(pairwise(names)):
        parted = one and other and not known[at] and not known[at + 1]
        if parted and heading(one + other) in headings:
            return one + other
    return None


def _merged_name(names: Names, headings: frozenset[str]) -> str | None:
    """Return a name that is two names of the feed, between which a delimiter is missing."""
    for name in names:
        both = heading(name)
        if both and both not in headings:
            parts = ((both[:at], both[at:]) for at in range(1, len(both)))
            if any(one in headings and other in headings for one, other in parts):
                return name
    return None


def _rows_of(sample: Sample, header: Header) -> list[Record]:
    """Return what is below a header, up to a blank line if that leaves some rows."""
    last, width = header.records[-1].last, len(header.names)
    below = [
        record
        for record in sample.records
        if record.first > last
        and record.sound
        and not (record.is_comment and record.width != width)
        and not (record.width != width and sample.is_declared(record.text))
    ]
    gap = next((at for at, (a, b) in enumerate(pairwise(below), 1) if a.last + 1 < b.first), 0)
    return below[:gap] if gap > 1 else below
