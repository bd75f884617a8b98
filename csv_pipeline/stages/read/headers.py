"""Find the header among the first records of a text, and say how sure that is.

With a feed's names the header is the first record whose cells are such names, wherever it stands.
Without them it is the first line that has as many cells as most records and most of them filled,
unless it looks like the rows below it. What stands above it must be narrower or mostly blank: a
full line there may be a row, and then the header is in doubt, as it is if its names cannot all be
told from one another. A doubtful header is told, never guessed.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

from csv_pipeline.contract import heading
from csv_pipeline.stages.read.grammar import Grammar
from csv_pipeline.stages.read.likeness import (
    Likeness,
    Names,
    is_parted,
    likeness,
    typed_columns,
    values_in,
)
from csv_pipeline.stages.read.sampling import (
    LETTER,
    Record,
    as_names,
    unquoted,
    usual_width,
)

IsDeclared = Callable[[str], bool]
"""Whether a feed declares a raw record to be no data."""

_WITHIN = 60  # records; a header of several lines stands behind some dozen lines at most
_MOST_LINES = 3
_DELIMITERS = (",", ";", "\t", "|")
_A_NAME_EACH = "a header with a name for each column was needed"


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
        others = [r for r in self.records if r.width == self.width and r.first != line]
        some = sorted(r.filled for r in others if r.first > line) or sorted(
            r.filled for r in others
        )
        return not some or 2 * filled > min(some[len(some) // 2], width)

    @cached_property
    def own_delimiters(self) -> list[str]:
        """The delimiters that a line may have of its own; none if one parts most other cells."""
        some, others = (
            self.records[:_WITHIN],
            [d for d in _DELIMITERS if d != self.grammar.delimiter],
        )
        for delimiter in others:
            if 2 * sum(_is_parted(record, delimiter) for record in some) > max(2, len(some)):
                return []
        return others


def _is_parted(record: Record, delimiter: str) -> bool:
    return any(cell and is_parted(cell, delimiter) for cell in record.cells)


def find_header(sample: Sample) -> Header:
    """Return the header of a sample, or the numbers of its columns if it has none."""
    found = _by_names(sample) if sample.headings else None
    return found or _by_likeness(sample)


def known_in(names: Names, headings: frozenset[str]) -> int:
    """Return how many of these headings the names are."""
    return len({heading(name) for name in names} & headings)


# ---- by the names that the feed knows


def _by_names(sample: Sample) -> Header | None:
    """Return the first record whose cells are names of the feed, or several joined."""
    found = _first_known(sample) or _best_joined(sample, sample.records[:_WITHIN])
    if found is None:
        return _least_known(sample)
    above = [r for r in _full_above(sample, found) if not _named(sample, r).is_known]
    settled = _settled(sample, found)
    return replace(settled, doubt=_rows_above(found, above)) if above else settled


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
    """Return the names a record holds: as it is read, or as it may be without its damage."""
    ways = [record.names, *_other_names(sample, record)]
    found = [(known_in(names, sample.headings), names) for names in ways]
    known, names = max(found, key=lambda one: one[0])
    return Header(records=(record,), names=names, known=known, likeness=Likeness.NAMES)


def _other_names(sample: Sample, record: Record) -> Iterator[Names]:
    """Give the cells of a record without quotes that are stray or around all of it.

    Or those by a delimiter of its own.
    """
    grammar, width = sample.grammar, sample.width
    if not record.sound:
        yield as_names(unquoted(record.text, grammar))
    elif record.width == 1 < width and record.cells[0]:
        quoted = [grammar.delimiter] if record.text.startswith(grammar.quote or "\n") else []
        for delimiter in (*quoted, *sample.own_delimiters):
            if record.text.count(delimiter) >= width - 1:
                cells = Grammar(delimiter, grammar.quote, grammar.escape).cells(record.cells[0])
                if len(cells) == width:
                    yield as_names(cells)


def _best_joined(sample: Sample, records: Sequence[Record], more_than: int = 0) -> Header | None:
    """Return the lines that, joined, are more names of the feed than each of them alone."""
    best: Header | None = None
    for count in range(2, _MOST_LINES + 1):
        for at in range(len(records) - count + 1):
            lines = tuple(records[at : at + count])
            if len({line.width for line in lines}) > 1 or lines[0].width < 2:
                continue
            names = _joined(lines)
            known = known_in(names, sample.headings)
            if known > max(more_than, best.known if best else 0, *map(_known_of(sample), lines)):
                best = Header(records=lines, names=names, known=known, likeness=Likeness.NAMES)
    return best if best and best.is_known else None


def _known_of(sample: Sample) -> Callable[[Record], int]:
    return lambda record: known_in(record.names, sample.headings)


def _least_known(sample: Sample) -> Header | None:
    """Return the record with the most names of the feed, unless it may be a row that has them."""
    some = [_named(sample, record) for record in sample.records[:_WITHIN] if not record.is_aside]
    best = max(some, key=lambda one: one.known, default=None)
    if best is None or not best.known or _full_above(sample, best):
        return None
    return _settled(sample, best)


def _settled(sample: Sample, found: Header) -> Header:
    """Return a header with a name for each cell of the rows, or in doubt.

    One whose names are all known is whole, and rows of another width are at fault.
    """
    rows, line = _rows_of(sample, found), f"line {found.records[0].first:,}"
    if name := _parted_name(found.names, sample.headings):
        return replace(found, doubt=(_A_NAME_EACH, f"{line} has {name!r} in two cells"))
    if not found.names[-1] and (name := _merged_name(found.names, sample.headings)):
        return replace(found, doubt=(_A_NAME_EACH, f"{line} has two in one cell, {name!r}"))
    widths = Counter(row.width for row in rows)
    own = widths[len(found.names)]
    usual, count = max(widths.items(), key=lambda w: (w[1], w[0]), default=(0, 0))
    if count < own or count < 1 or usual == len(found.names):
        return found
    alike = [row for row in rows if row.width == usual]
    all_known = found.known == sum(1 for name in found.names if name)
    enough = count > own and (all_known or count > 1)
    fitted = _fitted(found.names, alike, all_known=all_known and not own) if enough else None
    merged = fitted and len(fitted) > len(found.names) and _merged_name(fitted, sample.headings)
    if fitted is not None and not merged:
        return replace(found, names=fitted)
    if found.known == len(found.names) or (count == 1 and not own):
        return found
    return replace(found, doubt=_misfit(found, usual))


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
    """Return what stands below a header, up to a blank line if that leaves some rows."""
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


# ---- by what the rows look like


def _by_likeness(sample: Sample) -> Header:
    """Return the first full line of the usual width as the header, unless it is a row."""
    at, first = _first_full(sample)
    if first is None:
        return Header()
    rows = _rows_below(sample, first.records[0])
    first = replace(first, likeness=_likeness(first, rows))
    above = sample.records[at - 1] if at else None
    comment = _behind_a_sign(sample, above, first, rows) if above is not None else None
    if comment is not None:
        return comment
    doubt = _doubt(sample, first, sample.records[:at])
    if doubt is not None:
        return replace(first, doubt=doubt)
    if first.likeness is Likeness.ROW:
        return Header(names=_numbered(len(first.names)))
    return _with_second_line(sample, first, rows)


def _likeness(first: Header, rows: list[Record]) -> Likeness:
    """Return what the first full line is; where a name is missing, it is never sure.

    It may be the last one, or one in front of which a delimiter is missing.
    """
    what = likeness(first.names, [row.names for row in rows])
    unlike = first.records[0].width != len(first.names)
    if what is Likeness.NAMES and not first.names[-1]:
        unlike = unlike or 2 * sum(row.cells[-1] is not None for row in rows) > len(rows)
    return min(what, Likeness.LIKELY) if unlike else what


def _doubt(sample: Sample, first: Header, above: Sequence[Record]) -> tuple[str, str] | None:
    """Return why the first full line is neither surely a row nor surely the header, if so."""
    record, what = first.records[0], first.likeness
    if what is Likeness.OPEN or (not record.sound and what is Likeness.LIKELY):
        found = f"line {record.first} may hold names as well as values"
        return "a header, or rows of one kind without any, was needed", found
    damaged = next(
        (r for r in _right_above(above, record) if _may_be_damaged(sample, r, first)), None
    )
    if damaged is not None:
        return _misfit(Header(records=(damaged,), names=damaged.names), len(first.names))
    full = _full_above(sample, first) if what is not Likeness.ROW else []
    return _rows_above(first, full) if full else None


def _first_full(sample: Sample) -> tuple[int, Header | None]:
    """Return the first record that may hold a name for each column."""
    fallback: tuple[int, Header | None] = (0, None)
    for at, record in enumerate(sample.records):
        if record.is_aside:
            continue
        names = _names_for_all(sample, record)
        if names is None:
            continue
        found = at, Header(records=(record,), names=names)
        if not _is_title(sample, record, names):
            return found
        fallback = found if fallback[1] is None else fallback
    return fallback


def _names_for_all(sample: Sample, record: Record) -> Names | None:
    width = sample.width
    for names in (record.names, *_other_names(sample, record)):
        if len(names) == width:
            return names
    if 1 in {record.width, width} or not record.sound:
        return None
    return _fitted(record.names, _rows_below(sample, record))


def _is_title(sample: Sample, record: Record, names: Names) -> bool:
    """Return whether a line has one cell or few of those that rows fill, the others blank.

    Above an index it is no title, although its first name is missing.
    """
    filled = sum(1 for name in names if LETTER.search(name))
    has_index = len(names) == 2 and filled == 1 and not names[0]
    return not has_index and not sample.is_full(record.first, filled, len(names))


def _rows_below(sample: Sample, record: Record) -> list[Record]:
    width = sample.width
    return [
        other
        for other in sample.records
        if other.first > record.last and other.sound and other.width == width
    ]


def _behind_a_sign(
    sample: Sample, comment: Record, first: Header, rows: list[Record]
) -> Header | None:
    """Return the names of a line that begins with #, if it and not the one below is the header."""
    fits = comment.is_comment and comment.width == sample.width > 1
    if not fits or first.likeness is Likeness.NAMES:
        return None
    names = as_names([(comment.cells[0] or "").removeprefix("# "), *comment.cells[1:]])
    header = Header(records=(comment,), names=names, likeness=Likeness.LIKELY)
    if first.likeness is Likeness.ROW:
        below = [row.names for row in (*first.records, *rows)]
        return None if likeness(names, below) is Likeness.ROW else header
    if any((cell or "").startswith(("# ", " ")) for cell in comment.cells):
        return None
    found = f"line {comment.first} may be the header, or a comment above it"
    return replace(header, doubt=("one header was needed", found))


def _right_above(above: Sequence[Record], record: Record) -> Iterator[Record]:
    """Give the lines above a record, the nearest first, up to a blank line."""
    for one, other in pairwise([record, *reversed(above)]):
        if other.last + 1 != one.first:
            return
        yield other


def _may_be_damaged(sample: Sample, above: Record, first: Header) -> bool:
    """Return whether a line above the first full one may be the header, damaged.

    If that is a row, malformed rows may stand in between.
    """
    is_row, adjoins = first.likeness is Likeness.ROW, above.last + 1 == first.records[0].first
    if above.is_aside or first.likeness is Likeness.NAMES or not (is_row or adjoins):
        return False
    near = abs(above.reach(sample.grammar) - sample.width) == 1
    if values_in(above.names) or not (near or is_row):
        return False
    if near and is_row:
        return True
    if _is_title(sample, above, above.names):
        return False
    return above.width > 1 or (is_row and _has_own_delimiter(sample, above))


def _has_own_delimiter(sample: Sample, record: Record) -> bool:
    """Return whether another delimiter parts a record into about as many cells as most have."""
    most = max(record.text.count(delimiter) for delimiter in _DELIMITERS)
    return most >= max(1, sample.width - 2)


def _with_second_line(sample: Sample, first: Header, rows: list[Record]) -> Header:
    """Return a header of two lines if the first repeats names or has gaps, as over merged cells."""
    names, last = first.names, first.records[-1].last
    follows = next((record for record in sample.records if record.first > last), None)
    if len(rows) < 3 or rows[0] is not follows or len(set(names)) == len(names) or not names[0]:
        return first
    second, data = rows[0], [row.names for row in rows[1:]]
    if not all(second.names) or values_in(second.names):
        return first
    if typed_columns(data) <= len(names) / 2 or likeness(second.names, data) is not Likeness.NAMES:
        return first
    records = (*first.records, second)
    return replace(first, records=records, names=_joined(records))


# ---- what both need


def _fitted(names: Names, rows: Sequence[Record], *, all_known: bool = False) -> Names | None:
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


def _full_above(sample: Sample, header: Header) -> list[Record]:
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
    rows = [row.names for row in _rows_below(sample, header.records[-1])]
    return [
        record
        for record in above
        if record.width <= width
        or not rows
        or likeness(record.names[: len(rows[0])], rows) in {Likeness.ROW, Likeness.LIKELY}
    ]


def _rows_above(header: Header, rows: Sequence[Record]) -> tuple[str, str]:
    lines = ", ".join(f"{row.first:,}" for row in rows[:5]) + (", …" if len(rows) > 5 else "")
    found = f"rows stand above the header on line {header.records[0].first:,}: line {lines}"
    return "a header above all rows was needed", found


def _misfit(header: Header, width: int) -> tuple[str, str]:
    line, has = header.records[0].first, len(header.names)
    return _A_NAME_EACH, f"line {line:,} has {has} of them, the rows below it have {width} cells"


def _joined(records: Sequence[Record]) -> Names:
    """Return the names of a header; those of several lines are joined by a blank."""
    columns = zip(*(record.names for record in records), strict=True)
    return tuple(" ".join(filter(None, parts)) for parts in columns)


def _numbered(width: int) -> Names:
    return tuple(f"column_{place}" for place in range(1, width + 1))
