"""Find the header of a file that no feed knows by what the rows look like.

It is the first line that has as many cells as most records and most of them filled, unless it looks
like the rows below it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import dropwhile, pairwise

from csv_pipeline.stages.read.headers import (
    DELIMITERS,
    Header,
    Sample,
    fitted,
    full_above,
    joined,
    misfit,
    other_names,
    rows_above,
    rows_below,
    spread,
)
from csv_pipeline.stages.read.likeness import (
    Likeness,
    Names,
    hold_none,
    likeness,
    typed_columns,
    values_in,
)
from csv_pipeline.stages.read.sampling import LETTER, Record, as_names

_ONE_HEADER = "one header was needed"
_MOST_ABOVE = 20  # lines above a header like a table with a header of its own


def by_likeness(sample: Sample) -> Header:
    """Return the first full line of the usual width as the header, unless it is a row."""
    at, first = _first_full(sample)
    if first is None:
        return Header()
    rows = rows_below(sample, first.records[0])
    first = replace(first, likeness=_likeness(first, rows))
    above = sample.records[at - 1] if at else None
    comment = _behind_a_sign(sample, above, first, rows) if above is not None else None
    if comment is not None:
        return comment
    doubt = _doubt(sample, first, sample.records[:at]) or _below_a_title(sample, first, rows)
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
        return misfit(Header(records=(damaged,), names=damaged.names), len(first.names))
    top = _top_of_others(sample, first)
    if top is not None and what is Likeness.ROW:
        return misfit(Header(records=(top,), names=top.names), len(first.names))
    full = full_above(sample, first) if what is not Likeness.ROW else []
    if top is not None and not full:
        others = [r for r in above if r.first > top.last and not r.is_aside]
        full = others if len(others) > _MOST_ABOVE else []
    return rows_above(first, full) if full else None


def _top_of_others(sample: Sample, first: Header) -> Record | None:
    """Return the first line above a header if it is a header itself, of rows of another width."""
    top = next((r for r in sample.records if not r.is_aside), first.records[0])
    if top.first >= first.records[0].first or top.width in {1, len(first.names)}:
        return None
    rows = [r for r in sample.records if r.first > top.last and r.sound and r.width == top.width]
    several = len(rows) > 1 and likeness(top.names, [row.names for row in rows]) is Likeness.NAMES
    return top if several else None


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
    for names in (record.names, *other_names(sample, record)):
        if len(names) == width:
            return names
    if 1 in {record.width, width} or not record.sound:
        return None
    return fitted(record.names, rows_below(sample, record))


def _is_title(sample: Sample, record: Record, names: Names) -> bool:
    """Return whether a line has one cell or few of those that rows fill, the others blank.

    Above an index it is no title, although its first name is missing.
    """
    filled = sum(1 for name in names if LETTER.search(name))
    has_index = len(names) == 2 and filled == 1 and not names[0]
    return not has_index and not sample.is_full(record.first, filled, len(names))


def _behind_a_sign(
    sample: Sample, comment: Record, first: Header, rows: list[Record]
) -> Header | None:
    """Return the names of a line that begins with #, if it and not the one below is the header."""
    fits = comment.is_comment and comment.width == sample.width > 1
    if not fits or first.likeness is Likeness.NAMES:
        return None
    names = as_names([(comment.cells[0] or "").removeprefix("# "), *comment.cells[1:]])
    header = Header(records=(comment,), names=names, likeness=Likeness.LIKELY)
    if first.likeness is Likeness.ROW or comment.cells[0] == "#":
        below = [row.names for row in (*first.records, *rows)]
        return None if likeness(names, below) is Likeness.ROW else header
    if any((cell or "").startswith(("# ", " ")) for cell in comment.cells):
        return None
    found = f"line {comment.first} may be the header, or a comment above it"
    return replace(header, doubt=(_ONE_HEADER, found))


def _below_a_title(sample: Sample, first: Header, rows: list[Record]) -> tuple[str, str] | None:
    """Return why the first full line may be a title, as in `Report of sales, all shops`, if so.

    Its commas go before blanks and no others do, and below it stands what is a header for sure.
    """
    rest = list(dropwhile(_is_prose, rows))
    if sample.grammar.delimiter != "," or not _is_prose(first.records[0]) or not rest:
        return None
    second, data = rest[0], [row.names for row in rest[1:]]
    blank = any((cell or "").startswith(" ") for row in rest for cell in row.cells)
    if blank or not data or not _are_names(second.names, data):
        return None
    line, above = second.first, first.records[0].first
    return _ONE_HEADER, f"line {above} may be it, or a title above the header on line {line}"


def _is_prose(record: Record) -> bool:
    """Return whether each comma of a line goes before a blank."""
    return record.width > 1 and all((cell or "").startswith(" ") for cell in record.cells[1:])


def _are_names(names: Names, data: Sequence[Names]) -> bool:
    """Return whether a line below the first full one is of names for sure, none of them missing."""
    return all(names) and not values_in(names) and likeness(names, data) is Likeness.NAMES


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
    near, as_wide = (
        abs(above.reach(sample.grammar) - sample.width) == 1,
        above.width == sample.width,
    )
    if values_in(above.names) or not (near or as_wide or is_row):
        return False
    if (is_row and (near or as_wide)) or (as_wide and 2 * above.filled >= above.width):
        return True
    if _is_title(sample, above, above.names):
        return False
    return above.width > 1 or (is_row and _has_own_delimiter(sample, above))


def _has_own_delimiter(sample: Sample, record: Record) -> bool:
    """Return whether another delimiter parts a record into about as many cells as most have."""
    most = max(record.text.count(delimiter) for delimiter in DELIMITERS)
    return most >= max(1, sample.width - 2)


def _with_second_line(sample: Sample, first: Header, rows: list[Record]) -> Header:
    """Return a header of two lines if the first repeats names or has gaps, as over merged cells.

    Where the first has no gaps, and not all rows hold values in all columns, the second line may as
    well be a row of words; but not if it has names exactly where the first repeats one, or leaves
    one out, and values stand below these.
    """
    names, last = first.names, first.records[-1].last
    follows = next((record for record in sample.records if record.first > last), None)
    if len(rows) < 3 or rows[0] is not follows or not names[0]:
        return first
    second, data, whole = rows[0], [row.names for row in rows[1:]], spread(names)
    shared = [at for at, name in enumerate(whole) if whole.count(name) > 1]
    if shared and shared == [at for at, name in enumerate(second.names) if name]:
        return _with_names_below(first, second, shared, data)
    if len(set(names)) == len(names):
        return first
    typed = typed_columns(data)
    if typed <= len(names) / 2 or not _are_names(second.names, data) or hold_none(second.names):
        return first
    both = joined([names, second.names])
    if all(names) and typed < len(names):
        return _perhaps_with(first, second, both[shared[0]])
    return replace(first, records=(*first.records, second), names=both)


def _with_names_below(
    first: Header, second: Record, shared: Sequence[int], data: Sequence[Names]
) -> Header:
    """Return a header of two lines, the second of which parts what columns of the first share."""
    below = [tuple(row[at] for at in shared) for row in data]
    names = tuple(second.names[at] for at in shared)
    both = joined([spread(first.names), second.names])
    if values_in(names) or hold_none(names) or len(set(both)) < len(both):
        return first
    if typed_columns(below) < len(shared):
        return _perhaps_with(first, second, both[shared[0]])
    return replace(first, records=(*first.records, second), names=both)


def _perhaps_with(first: Header, second: Record, name: str) -> Header:
    found = (
        f"line {second.first} may be the second of its lines, or a row; a feed that has the names "
        f"of both joined, such as {name!r}, reads them as one header"
    )
    return replace(first, doubt=(_ONE_HEADER, found))


def _numbered(width: int) -> Names:
    return tuple(f"column_{position}" for position in range(1, width + 1))
