"""Find what separates and quotes the cells, and where the header stands.

For a known feed the header's names are the strongest evidence there is: the record that shows the
most of them, under the grammar that shows the most of them, is the header. Without a feed the
grammar wins under which most records have the same width, and the header is the first full record
of that width, unless it looks like the rows below it.
"""

import io
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from csv_pipeline.contract import heading
from csv_pipeline.errors import EmptyFileError, LimitExceededError
from csv_pipeline.model import Evidence, NonDataLine, NonDataPattern
from csv_pipeline.stages.read.grammar import Grammar

# The likeliest first: those of a later group are looked at if none of an earlier one fits.
_DELIMITERS = ((",", ";", "\t", "|", ", ", "||", "|~|"), ("::", "~", "^", "¦", "\x1f"), (":", " "))
_NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe", ":": "colon", " ": "blank"}
_SAMPLE_BYTES = 1024**2
_SAMPLE_RECORDS = 200
_HEADER_WITHIN = 60  # records; banners are a dozen lines at most in every layout on record
_STEADY = 0.7  # share of records of one width from which on a delimiter is taken to be meant
_VALUE = re.compile(
    r"[-+$€£(]?\s*\d[\d.,:/\s%-]*\)?|\d{4}-\d\d-\d\d.*|[^@\s]+@[^@\s]+\.\w+|\d\S*\d"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadHints:
    """What is known of a file before it is read; `name` is used in messages only.

    `headings` are names of columns the header may hold, reduced by `contract.heading`; without any
    the file is taken as it is. `meanings` says of each what it names; some name the same.
    `encoding` is what the account declares, `encodings` what the feed expects of files that are not
    Unicode. `repair` allows the repairs that are certain.
    """

    name: str
    headings: frozenset[str] = frozenset()
    meanings: Mapping[str, str] = field(default_factory=dict)
    encoding: str | None = None
    encodings: tuple[str, ...] = ("cp1252",)
    non_data: tuple[NonDataPattern, ...] = ()
    repair: bool = True
    max_bytes: int = 2 * 1024**3
    max_columns: int = 4_096
    max_record_bytes: int = 8 * 1024**2
    max_records: int = 100_000_000
    block_bytes: int = 4 * 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """UTF-8 text: the file and the byte after its byte order mark.

    `returns_only` says that each of its line feeds was a CR in a file without any LF.
    """

    path: Path
    start: int
    encoding: str
    returns_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How the records of a text are written, and where they begin.

    `data_offset` is the byte and `data_line` the physical line after the header; a file without a
    header has `header_line` 0, and one with it takes up `header_lines` physical lines for it.
    `header_texts` are the records of the header as they stand in the file, without their line
    ends. Only if the header `is_sure` may a line below that equals it be the header again; else it
    may be a row as the first line may be. `preamble` holds the lines with text above the header,
    `blank_above` counts those without.
    """

    grammar: Grammar
    header: tuple[str, ...]
    header_texts: tuple[str, ...]
    header_line: int
    header_lines: int
    is_sure: bool
    data_offset: int
    data_line: int
    preamble: tuple[NonDataLine, ...]
    blank_above: int
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class _Record:
    """A record of the sample: its cells and the lines it stands on, the first being 1."""

    cells: list[str | None]
    first: int
    last: int
    sound: bool = True

    @property
    def width(self) -> int:
        return len(self.cells)

    @property
    def is_blank(self) -> bool:
        return not any(cell and cell.strip() for cell in self.cells)

    @property
    def names(self) -> tuple[str, ...]:
        """The cells as names; NUL, which no table and no JSON takes, shows as ␀."""
        names = ((cell or "").strip().strip("\ufeff").strip() for cell in self.cells)
        return tuple(name.replace("\0", "\u2400") for name in names)


@dataclass(frozen=True, slots=True)
class _Reading:
    """The sample as one grammar reads it: its header, if it has one, and how well that fits."""

    grammar: Grammar
    records: list[_Record]
    header: tuple[_Record, ...]
    names: tuple[str, ...]
    known: int
    steady: float
    covered: float
    quoted: bool


def find_dialect(text: Text, hints: ReadHints) -> Dialect:
    """Return the dialect that shows the most known column names, or else the steadiest table.

    Raises:
        EmptyFileError: The file has nothing but blank lines.
        LimitExceededError: The header does not end within the first MiB.
    """
    with text.path.open("rb") as file:
        file.seek(text.start)
        sample = file.read(_SAMPLE_BYTES)
    lines = list(io.StringIO(sample.decode("utf-8", errors="ignore"), newline="\n"))
    if not any(line.strip() for line in lines):
        size = text.path.stat().st_size - text.start
        raise EmptyFileError(
            hints.name, "a header was needed", f"the file has {size:,} bytes and no text in them"
        )
    best = _best(lines, hints.headings)
    if not best.names:
        raise EmptyFileError(hints.name, "a header was needed", "no line has more than delimiters")
    if len(sample) == _SAMPLE_BYTES and best.header and best.header[-1].last == len(lines):
        raise LimitExceededError(
            hints.name,
            f"a header within the first {_SAMPLE_BYTES:,} bytes was needed",
            f"the record on line {best.header[0].first} does not end there",
        )
    before = best.header[0].first - 1 if best.header else 0
    after = best.header[-1].last if best.header else _first_data(best) - 1
    skipped = lines[: before if best.header else after]
    return Dialect(
        grammar=best.grammar,
        header=best.names,
        header_texts=tuple(
            "".join(lines[record.first - 1 : record.last]).rstrip("\r\n") for record in best.header
        ),
        header_line=before + 1 if best.header else 0,
        data_offset=text.start + sum(len(line.encode()) for line in lines[:after]),
        data_line=after + 1,
        header_lines=after - before if best.header else 0,
        is_sure=bool(best.header),
        preamble=tuple(
            NonDataLine(line_number=number, text=line.rstrip("\r\n"), reason="preamble")
            for number, line in enumerate(skipped, start=1)
            if line.strip()
        ),
        blank_above=sum(1 for line in skipped if not line.strip()),
        evidence=_evidence(best),
    )


def _best(lines: list[str], headings: frozenset[str]) -> _Reading:
    """Return the reading that knows the most names; without any, the steadiest and widest."""
    readings: list[_Reading] = []
    for group in _DELIMITERS:
        for grammar in _grammars(lines, group):
            most = max((reading.known for reading in readings), default=0)
            records = list(_records(lines, grammar))
            # No record shows more names than it has cells: most grammars are out before a look.
            if not most or max(record.width for record in records) >= most:
                readings.append(_reading(lines, grammar, records, headings))
        if any(r.known > 1 if headings else _fits(r) for r in readings):
            break
    if len(readings) == 1:
        return readings[0]

    def score(reading: _Reading) -> tuple[float, ...]:
        table = _unwrapped(reading), round(reading.covered, 1), round(_typed(reading), 1)
        size = len(reading.grammar.delimiter), len(reading.names)
        return reading.known, _fits(reading), *table, *size, reading.covered

    return max(readings, key=score)


def _unwrapped(reading: _Reading) -> bool:
    """Return whether quotes were taken off cells, and the other kind is not around most."""
    other = "'" if reading.grammar.quote == '"' else '"'
    cells = [cell for record in reading.records for cell in record.cells if cell]
    left = sum(1 for cell in cells if len(cell) > 1 and cell[0] == cell[-1] == other)
    return reading.quoted and 2 * left < len(cells)


def _typed(reading: _Reading) -> float:
    """Return the share of columns that hold values throughout: numbers, dates, addresses."""
    rows = [r for r in reading.records if r.width == len(reading.names) and r not in reading.header]
    return _typed_columns(rows) / len(reading.names) if rows else 0.0


def _fits(reading: _Reading) -> bool:
    return reading.known > 1 or (len(reading.names) > 1 and reading.steady >= _STEADY)


def _grammars(lines: list[str], delimiters: tuple[str, ...]) -> Iterator[Grammar]:
    """Give the grammars by these delimiters that the sample shows reason to try."""
    some = [line.rstrip("\r\n") for line in lines[:_SAMPLE_RECORDS]]
    for delimiter in delimiters:
        if any(delimiter in line for line in some):
            yield from _by_quote(some, delimiter)
    if delimiters == _DELIMITERS[-1]:
        yield Grammar()


def _by_quote(lines: list[str], delimiter: str) -> Iterator[Grammar]:
    """Give the grammars by this delimiter with the quotes that open and close cells."""
    if _are_characters(lines, delimiter):
        yield Grammar(delimiter, "")
    else:
        yield Grammar(delimiter)
        if any('\\"' in line for line in lines):
            yield Grammar(delimiter, '"', "backslash")
    if _wraps(lines, delimiter, "'"):
        yield Grammar(delimiter, "'")
        if any("\\'" in line for line in lines):
            yield Grammar(delimiter, "'", "backslash")


def _edges(lines: list[str], delimiter: str, quote: str) -> bool:
    """Return whether the quote opens cells, and closes some."""
    edge = re.escape(delimiter)
    opens = re.compile(rf"(?:^|{edge}){quote}")
    closes = re.compile(rf"{quote}(?:{edge}|$)")
    return any(map(opens.search, lines)) and any(map(closes.search, lines))


def _wraps(lines: list[str], delimiter: str, quote: str) -> bool:
    """Return whether at least half of these quotes stand around cells."""
    edge, sample = re.escape(delimiter), "\n".join(lines)
    if quote not in sample:
        return False
    inner = rf"(?:[^{quote}\\]|\\.|{quote}{quote})*"
    around = rf"(?m)(?:^|{edge}){quote}{inner}{quote}(?={edge}|$)"
    wrapping = sum(match.group().count(quote) for match in re.finditer(around, sample))
    return sample.count(quote) <= 2 * wrapping


def _are_characters(lines: list[str], delimiter: str) -> bool:
    """Return whether double quotes are but characters: none opens a cell, or text follows them."""
    grammar, edge = Grammar(delimiter), re.escape(delimiter)
    quoted = [line for line in lines if '"' in line]
    if not any(re.search(rf'(?:^|{edge})"|"(?:{edge}|$)', line) for line in quoted):
        return bool(quoted)
    if any('\\"' in line for line in quoted):
        return False
    broken = [line for line in quoted if line.count('"') % 2 == 0 and not grammar.is_record(line)]
    wrapped = [line for line in quoted if re.search(rf'(?:^|{edge})"[^"]*"(?:{edge}|$)', line)]
    return len(broken) > len(wrapped) and 2 * len(broken) > sum(1 for line in lines if line.strip())


def _reading(
    lines: list[str], grammar: Grammar, records: list[_Record], headings: frozenset[str]
) -> _Reading:
    filled = [record for record in records if not record.is_blank]
    if not filled:
        return _Reading(grammar, records, (), (), 0, 0.0, 0.0, quoted=False)
    header = _known_header(filled[:_HEADER_WITHIN], headings) or _likely_header(filled)
    names = _joined(header) if header else _numbered(_usual_width(filled))
    below = [record for record in filled if not header or record.first > header[-1].last]
    return _Reading(
        grammar,
        records,
        header,
        names,
        known=_known(names, headings),
        steady=_share(below, len(names)),
        covered=_share(filled, len(names)),
        quoted=_edges([line.rstrip("\r\n") for line in lines], grammar.delimiter, grammar.quote)
        if grammar.quote
        else False,
    )


def _share(records: list[_Record], width: int) -> float:
    """Return the share of records that have the width, and no stray quotes."""
    return sum(r.sound and r.width == width for r in records) / len(records) if records else 1.0


def _records(lines: list[str], grammar: Grammar) -> Iterator[_Record]:
    """Give the first records of the sample; a line whose quotes do not close is one by itself."""
    at = given = 0
    while at < len(lines) and given < _SAMPLE_RECORDS:
        end = _end(lines, at, grammar)
        text = "".join(lines[at:end]).removesuffix("\n").removesuffix("\r")
        yield _Record(grammar.cells(text), at + 1, end, grammar.is_record(text))
        at, given = end, given + 1


def _end(lines: list[str], at: int, grammar: Grammar) -> int:
    """Return the line after the record that begins at line `at`."""
    if grammar.is_record(lines[at].rstrip("\r\n")):
        return at + 1
    quotes = 0
    for end in range(at, min(len(lines), at + _SAMPLE_RECORDS)):
        quotes += grammar.count_quotes(lines[end])
        if quotes % 2 == 0:
            whole = "".join(lines[at : end + 1]).removesuffix("\n")
            return end + 1 if grammar.is_record(whole) else at + 1
    return at + 1


def _known(names: tuple[str, ...], headings: frozenset[str]) -> int:
    return len({heading(name) for name in names} & headings)


def _known_header(records: list[_Record], headings: frozenset[str]) -> tuple[_Record, ...]:
    """Return the record that shows the most known names, or two that do so joined."""
    if not headings:
        return ()
    widest = max(record.width for record in records)
    for record in records:  # nothing shows more than all names of the widest record
        if record.width == widest > 1 and _known(record.names, headings) == widest:
            return (record,)
    pairs = [pair for pair in pairwise(records) if pair[0].width == pair[1].width]
    candidates: list[tuple[_Record, ...]] = [*((record,) for record in records), *pairs]
    best = max(
        candidates, key=lambda c: (_known(_joined(c), headings), -len(c), -c[0].first), default=()
    )
    return best if _known(_joined(best), headings) else ()


def _likely_header(records: list[_Record]) -> tuple[_Record, ...]:
    """Return the first full record of the usual width, unless it looks like the rows below it."""
    width = _usual_width(records)
    wide = [record for record in records if record.width == width]
    full = [r for r in wide[:_HEADER_WITHIN] if all(r.names[:-1])]
    first = full[0] if full else wide[0]
    below = [record for record in wide if record.first > first.last]
    if not below:
        return () if _values(first) else (first,)
    if _looks_like(first, below):
        return ()
    second = below[0]
    rows = below[1:]
    doubled = len(rows) > 1 and not _values(second) and all(second.names)
    if doubled and not _looks_like(second, rows) and _typed_columns(rows) > len(rows[0].cells) / 2:
        return (first, second)
    return (first,)


def _usual_width(records: list[_Record]) -> int:
    widths = Counter(record.width for record in records)
    return max(widths, key=lambda width: (widths[width] * min(width, 2), width))


def _values(record: _Record) -> list[int]:
    """Return the places of a record whose cells are numbers, dates or addresses, not names."""
    return [place for place, name in enumerate(record.names) if name and _VALUE.fullmatch(name)]


def _looks_like(record: _Record, rows: list[_Record]) -> bool:
    """Return whether a record has values where most rows have alike ones, and so is one of them."""
    names, some = record.names, [row.names for row in rows[:20]]
    return any(
        sum(_shape(row[place]) == _shape(names[place]) for row in some) > len(some) / 2
        for place in _values(record)
    )


def _shape(value: str) -> str:
    """Return a value with its numbers and words reduced to one sign each."""
    return re.sub(r"\d+", "9", re.sub(r"[^\W\d_]+", "a", value))


def _typed_columns(rows: list[_Record]) -> int:
    """Return how many columns hold values in all of the first rows."""
    return len(set.intersection(*(set(_values(row)) for row in rows[:20])))


def _joined(header: tuple[_Record, ...]) -> tuple[str, ...]:
    """Return the names of a header; those of several lines are joined by a blank."""
    return tuple(
        " ".join(filter(None, parts)) for parts in zip(*(r.names for r in header), strict=True)
    )


def _numbered(width: int) -> tuple[str, ...]:
    return tuple(f"column_{place}" for place in range(1, width + 1))


def _first_data(reading: _Reading) -> int:
    """Return the line of the first record that has the table's width."""
    fitting = (r.first for r in reading.records if r.width == len(reading.names) and not r.is_blank)
    return next(fitting, 1)


def _evidence(best: _Reading) -> tuple[Evidence, ...]:
    grammar = best.grammar
    width = f"{len(best.names)} columns" if len(best.names) > 1 else "one column"
    rows = f"{best.steady:.0%} of the first records have its {width}"
    found = [
        Evidence(
            subject="delimiter",
            decision=_NAMES.get(grammar.delimiter, repr(grammar.delimiter)),
            because=rows,
        )
    ]
    if grammar.quote != '"':
        because = (
            "no cell of the sample begins with a quote" if not grammar.quote else "cells have it"
        )
        found.append(
            Evidence(subject="quote", decision=repr(grammar.quote or "none"), because=because)
        )
    if grammar.escape != "doubled":
        because = "with it more records have the table's width"
        found.append(Evidence(subject="escape", decision="backslash", because=because))
    return (*found, _header_evidence(best))


def _header_evidence(best: _Reading) -> Evidence:
    if not best.header:
        because = "the first record has values where the others have them"
        return Evidence(subject="header", decision="none", because=because)
    lines = " and ".join(str(record.first) for record in best.header)
    known = f"{best.known} of its {len(best.names)} names are known to the feed"
    return Evidence(
        subject="header",
        decision=f"line {lines}",
        because=known if best.known else "it is the first full record of the usual width",
    )
