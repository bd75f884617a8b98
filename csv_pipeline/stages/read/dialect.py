"""Find what separates and quotes the cells, and where the header is.

For a known feed the header's names are the strongest evidence there is: the first record whose
cells are such names, under the grammar that shows the most of them, is the header. Without a feed
the grammar wins that explains most of the file, and the header is the first full record, unless it
looks like the rows below it. Where that is in doubt, the file is refused.
"""

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from csv_pipeline.account import Account, Setting, delimiter_name
from csv_pipeline.errors import (
    ContradictionError,
    EmptyFileError,
    LimitExceededError,
    UndecidableError,
)
from csv_pipeline.model import Evidence, NonDataLine
from csv_pipeline.spec.dialect import TableDialect
from csv_pipeline.spec.feed import Feed, NonDataPattern
from csv_pipeline.spec.header import header_fingerprint
from csv_pipeline.stages.read.delimiters import Lines, best_reading, reading_by
from csv_pipeline.stages.read.grammar import Grammar
from csv_pipeline.stages.read.kinds import line_above
from csv_pipeline.stages.read.quoting import begin_with_words, quotes_anywhere
from csv_pipeline.stages.read.readings import Reading
from csv_pipeline.stages.read.sampling import Record

_SAMPLE_BYTES = 1024**2
_PADDING = " \r\n,;\t|"  # empty cells at the end of a line, by any delimiter


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What is declared of files, as a message and a report say by whom; `setting` overrules it."""

    value: str
    because: str
    evidence: str
    setting: Setting

    def way_out(self, found: str) -> str:
        """Return, for a message, the command by which files with what was `found` are read."""
        if self.setting.value is not None:
            return f"; to let each file tell: {self.setting.forget}"
        return f"; to read such files of this account: {self.setting.declare(found)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadHints:
    """What is known of a file before it is read; `name` is used in messages only.

    `headings` are names of columns the header may hold, reduced by `contract.heading`; without any
    the file is taken as it is. `meanings` says of each what it names; some name the same.
    `account` is what the account declares, `delimiters` what was settled for files of the `feed`
    with a header, by its fingerprint; `encodings` is what the feed expects of files that are not
    Unicode. `repair` allows the repairs that are certain. The `dialect` is as the feed declares it,
    and of files without a header so are the `columns` in their order. Of a `confidential` feed's
    file no line is kept to be shown, and no cell of one that `has_protected` columns.
    """

    name: str
    headings: frozenset[str] = frozenset()
    meanings: Mapping[str, str] = field(default_factory=dict)
    feed: str = ""
    account: Account = field(default_factory=lambda: Account(account="ACCOUNT"))
    delimiters: Mapping[str, Setting] = field(default_factory=dict)
    encodings: tuple[str, ...] = ("cp1252",)
    non_data: tuple[NonDataPattern, ...] = ()
    repair: bool = True
    dialect: TableDialect | None = None
    columns: tuple[str, ...] = ()
    confidential: bool = False
    has_protected: bool = False
    max_bytes: int = 2 * 1024**3
    max_columns: int = 4_096
    max_record_bytes: int = 8 * 1024**2
    max_records: int = 100_000_000
    block_bytes: int = 4 * 1024**2

    def declared(self, name: str, header: str = "") -> Fact | None:
        """Return the delimiter or encoding that the account declares, or else the feed.

        The account may have settled it for files with a `header`, of this fingerprint.
        """
        setting: Setting = self.account.setting(name)
        if setting.value is None and name == "delimiter":
            setting = self.delimiters.get(header, setting)
        if setting.value is not None:
            return Fact(
                value=setting.value,
                because=setting.because,
                evidence=setting.evidence,
                setting=setting,
            )
        if value := getattr(self.dialect, name, None):
            because = f"feed {self.feed!r} declares it"
            return Fact(
                value=value,
                because=because,
                evidence="the feed declares it",
                setting=replace(setting, feed=self.feed),
            )
        return None

    @property
    def see_feed(self) -> str:
        """For a message, where to see what the feed declares of how its files are written."""
        return f"; see `csv-pipeline feeds {self.feed}` for what it declares"

    def of_feed(self, feed: Feed) -> "ReadHints":
        """Return what is known of a file of a feed besides."""
        return replace(
            self,
            headings=feed.headings,
            meanings=feed.meanings,
            encodings=feed.encodings,
            non_data=feed.non_data,
            confidential=feed.confidential,
            has_protected=any(column.protected for column in feed.columns),
            feed=feed.name,
            dialect=feed.dialect,
            columns=tuple(c.name for c in feed.columns if not (c.derived or c.local_of)),
        )


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
    `header_texts` are the records of the header as they are in the file, without their line
    ends. Only if the header `is_sure` may a line below that equals it be the header again; else it
    may be a row as the first line may be. `preamble` holds the lines with text above the header,
    `blank_above` counts those without. If the feed declares it (`is_declared`),
    every line with text is a record.
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
    is_declared: bool = False


def find_dialect(text: Text, hints: ReadHints) -> Dialect:
    """Return the dialect that shows the most known column names, or else explains the file best.

    Raises:
        EmptyFileError: The file has nothing but blank lines.
        LimitExceededError: The header does not end within the first MiB.
        UndecidableError: Rows are above the header, or its names cannot all be told.
    """
    lines = first_lines(text, hints)
    refuse_without_text(text, lines, "a header", hints.name)
    best, declared = _held_to_declared(best_reading(lines), lines, hints)
    delimiter = best.grammar.delimiter
    open_ = hints.dialect is None or hints.dialect.quote is None
    perhaps = open_ and not best.grammar.quote and not begin_with_words(lines.lines, delimiter)
    if perhaps and quotes_anywhere(text.path, text.start, delimiter):
        lines = replace(lines, quoted=True)
        best, declared = _held_to_declared(best_reading(lines), lines, hints)
    _refuse(best, lines, hints)
    return _dialect(best, lines.lines, text.start, hints, declared)


def _held_to_declared(best: Reading, lines: Lines, hints: ReadHints) -> tuple[Reading, Fact | None]:
    """Return the reading by the delimiter and the quote that are declared, and the delimiter's.

    Raises:
        ContradictionError: The file shows more of the feed's names by another delimiter, or its
            cells are in another quote.
    """
    fact = hints.declared("delimiter", _fingerprint(best, hints))
    quote = hints.dialect.quote if hints.dialect else None
    if fact is None and quote is None:
        return best, None
    mark = fact.value if fact else best.grammar.delimiter
    if mark == best.grammar.delimiter and best.header.doubt is None:
        own = best
    else:
        own = reading_by(lines, mark)
    if best.is_one_column and own.header.known <= best.header.known:
        own, fact = best, None
    if fact is not None and own.header.known < best.header.known:
        raise _other_delimiter(best, own, fact, hints)
    return (own if quote is None else _in_quotes(own, lines, quote, hints)), fact


def _other_delimiter(
    best: Reading, own: Reading, fact: Fact, hints: ReadHints
) -> ContradictionError:
    told, other = delimiter_name(fact.value), delimiter_name(best.grammar.delimiter)
    line, known = best.header.records[0].first, own.header.known
    needed = f"cells by the delimiter {told} were needed, as {fact.because}"
    found = f"line {line:,} has {best.header.known} names of the feed by the {other}, {known} by"
    way_out = fact.way_out(best.grammar.delimiter)
    return ContradictionError(hints.name, needed, f"{found} the other{way_out}")


def _in_quotes(best: Reading, lines: Lines, quote: str, hints: ReadHints) -> Reading:
    """Return the reading by the quote that the feed declares, or by none.

    Raises:
        ContradictionError: By another quote cells of the header are quoted, more names are known
            or more records have their width; and by the one declared no cell is.
    """
    own = reading_by(lines, best.grammar.delimiter, quote)
    own = replace(own, is_one_column=best.is_one_column)
    other = best.grammar.quote
    if not best.quoted or other == quote or own.quoted:
        return own
    of_header = any(other in record.text for record in best.header.records)
    worse = (own.header.known, own.steady) < (best.header.known, best.steady)
    if quote or of_header or worse:
        needed = f"cells in {quote!r} were needed" if quote else "cells without quotes were needed"
        found = f"by the file's own evidence they are in {other!r}"
        told = f"{needed}, as feed {hints.feed!r} declares it"
        raise ContradictionError(hints.name, told, f"{found}{hints.see_feed}")
    return own


def _fingerprint(best: Reading, hints: ReadHints) -> str:
    return header_fingerprint(best.header.names, hints.feed)


def refuse_without_text(text: Text, lines: Lines, needed: str, name: str) -> None:
    """Refuse a file of blank lines.

    Raises:
        EmptyFileError: It is one.
    """
    if not any(line.strip() for line in lines.lines):
        size = text.path.stat().st_size - text.start
        found = f"the file has {size:,} bytes and no text in them"
        raise EmptyFileError(name, f"{needed} was needed", found)


def first_lines(text: Text, hints: ReadHints) -> Lines:
    """Return the lines that the dialect is found by."""
    with text.path.open("rb") as file:
        file.seek(text.start)
        sample = file.read(_SAMPLE_BYTES)
    return Lines(
        lines=list(io.StringIO(sample.decode("utf-8", errors="ignore"), newline="\n")),
        headings=hints.headings,
        is_declared=_declared_by(hints.non_data),
        complete=len(sample) < _SAMPLE_BYTES,
    )


def _declared_by(patterns: tuple[NonDataPattern, ...]) -> Callable[[str], bool]:
    return lambda text: any(re.search(one.pattern, text.rstrip(_PADDING)) for one in patterns)


def _refuse(best: Reading, lines: Lines, hints: ReadHints) -> None:
    """Refuse a file without names, without the end of its header, or with a header in doubt."""
    header, name = best.header, hints.name
    if not header.names:
        raise EmptyFileError(name, "a header was needed", "no line has more than delimiters")
    if not lines.complete and header.records and header.records[-1].last == len(lines.lines):
        raise LimitExceededError(
            name,
            f"a header within the first {_SAMPLE_BYTES:,} bytes was needed",
            f"the record on line {header.records[0].first} does not end there",
        )
    if header.doubt is not None:
        needed, found = header.doubt
        raise UndecidableError(name, needed, f"{found}{_way_out(best, hints)}")


def _way_out(best: Reading, hints: ReadHints) -> str:
    """Return how a row would be read by each of two delimiters, and what settles which it is."""
    if best.rival is None or not hints.feed:
        return ""
    marks, last = (best.grammar.delimiter, best.rival), best.header.records[-1].last
    row = next((one.text for one in best.filled if one.first > last), None)
    shown = ""
    if row is not None and not hints.has_protected:
        read = (f"{Grammar(mark).cells(row)} by the {delimiter_name(mark)}" for mark in marks)
        shown = f"; the first row is {' and '.join(read)}"
    scope = replace(hints.account, header=_fingerprint(best, hints))
    one, other = (scope.setting("delimiter").declare(mark) for mark in marks)
    return f"{shown}; to settle it: {one} or {other}"


def _dialect(
    best: Reading, lines: list[str], start: int, hints: ReadHints, declared: Fact | None
) -> Dialect:
    records, header = best.records, best.header
    above = [r for r in records if header.records and r.first < header.records[0].first]
    if not header.records and records[0].tells_delimiter:
        above = records[:1]
    before = above[-1].last if above else 0
    after = header.records[-1].last if header.records else before
    return Dialect(
        grammar=best.grammar,
        header=header.names,
        header_texts=tuple(record.text for record in header.records),
        header_line=header.records[0].first if header.records else 0,
        header_lines=after - before,
        is_sure=header.is_sure,
        data_offset=start + sum(len(line.encode()) for line in lines[:after]),
        data_line=after + 1,
        preamble=tuple(
            line_above(_non_data(record), hints.non_data, best.grammar)
            for record in above
            if record.text.strip()
        ),
        blank_above=sum(1 for record in above if not record.text.strip()),
        evidence=_evidence(best, declared, hints),
    )


def _non_data(record: Record) -> NonDataLine:
    """Return what a record above the header is."""
    reason = "comment" if record.is_comment else "padding" if record.is_blank else "preamble"
    return NonDataLine(
        line_number=record.first,
        text=record.text,
        reason=reason,
        cells=sum(1 for cell in record.cells if cell and cell.strip()),
        lines=record.last - record.first + 1,
    )


def _evidence(best: Reading, declared: Fact | None, hints: ReadHints) -> tuple[Evidence, ...]:
    grammar, columns = best.grammar, len(best.header.names)
    width = f"{columns} columns" if columns > 1 else "one column"
    name = delimiter_name(grammar.delimiter)
    because = f"{best.steady:.0%} of the first records have its {width}"
    if declared is not None:
        because = f"{declared.evidence}; {because}"
    if best.is_one_column:
        name, because = "none", "no delimiter cuts most lines into as many cells"
    proven = declared is not None or best.is_proven
    found = [Evidence(subject="delimiter", decision=name, because=because, proven=proven)]
    if hints.dialect is not None and hints.dialect.quote is not None:
        quote = repr(grammar.quote) if grammar.quote else "none"
        found.append(Evidence(subject="quote", decision=quote, because="the feed declares it"))
    elif grammar.quote != '"':
        none = "no cell is quoted whole, or hardly any of those that begin with a quote"
        because = "cells have it" if grammar.quote else none
        found.append(
            Evidence(subject="quote", decision=repr(grammar.quote or "none"), because=because)
        )
    if grammar.escape != "doubled":
        because = "with it more records have the table's width"
        found.append(Evidence(subject="escape", decision="backslash", because=because))
    return (*found, _header_evidence(best))


def _header_evidence(best: Reading) -> Evidence:
    header = best.header
    if not header.records:
        because = "the first record has values where the others have them"
        proven = len(best.filled) > 1 and best.has_values
        return Evidence(subject="header", decision="none", because=because, proven=proven)
    lines = " and ".join(str(record.first) for record in header.records)
    if header.known:
        because = f"{header.known} of its {len(header.names)} names are known to the feed"
    elif header.is_sure:
        because = "values stand below its names"
    else:
        because = "it is the first full record; nothing below it tells names from values"
    return Evidence(
        subject="header", decision=f"line {lines}", because=because, proven=header.is_sure
    )
