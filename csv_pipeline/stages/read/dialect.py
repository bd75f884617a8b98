"""Find where the header stands and what separates its cells.

For a known feed the header's names are the strongest evidence there is: the record that holds the
most of them, under the delimiter that shows the most of them, is the header.
"""

import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from csv_pipeline.contract import heading
from csv_pipeline.errors import EmptyFileError
from csv_pipeline.model import Evidence, FurniturePattern

_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
_SAMPLE_BYTES = 1024**2
_HEADER_WITHIN = 60  # records; banners are a dozen lines at most in every layout on record


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadHints:
    """What is known of a file before it is read; `name` is used in messages only.

    `headings` are names of columns the header may hold, reduced by `contract.heading`; `encoding`
    is what the account declares, `encodings` what the feed expects of files that are not Unicode.
    """

    name: str
    headings: frozenset[str] = frozenset()
    encoding: str | None = None
    encodings: tuple[str, ...] = ("cp1252",)
    furniture: tuple[FurniturePattern, ...] = ()
    max_bytes: int = 2 * 1024**3
    max_columns: int = 4_096
    block_bytes: int = 8 * 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """UTF-8 text: the file and the byte after its byte order mark."""

    path: Path
    start: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How the records of a text are written.

    `data_offset` is the byte and `data_line` the physical line after the header record;
    `header_text` is the header as it stands in the file, without its line end.
    """

    delimiter: str
    header: tuple[str, ...]
    header_text: str
    header_line: int
    data_offset: int
    data_line: int
    preamble: int
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    delimiter: str
    known: int
    header: tuple[str, ...]
    first_line: int
    last_line: int


def find_dialect(text: Text, hints: ReadHints) -> Dialect:
    """Return the dialect that shows the most known column names, or the widest, steadiest table.

    Raises:
        EmptyFileError: The file has nothing but blank lines.
    """
    with text.path.open("rb") as file:
        file.seek(text.start)
        sample = file.read(_SAMPLE_BYTES)
    lines = list(io.StringIO(sample.decode("utf-8", errors="ignore"), newline="\n"))
    candidates = [_candidate(lines, delimiter, hints.headings) for delimiter in _DELIMITERS]
    found = [candidate for candidate in candidates if candidate is not None]
    if not found:
        size = text.path.stat().st_size - text.start
        raise EmptyFileError(
            hints.name, "a header was needed", f"the file has {size:,} bytes and no text in them"
        )
    best = max(found, key=lambda c: (c.known, len(c.header)))
    before = lines[: best.first_line - 1]
    header_lines = lines[best.first_line - 1 : best.last_line]
    return Dialect(
        delimiter=best.delimiter,
        header=best.header,
        header_text="".join(header_lines).rstrip("\r\n"),
        header_line=best.first_line,
        data_offset=text.start + sum(len(line.encode()) for line in (*before, *header_lines)),
        data_line=best.last_line + 1,
        preamble=sum(1 for line in before if line.strip()),
        evidence=_evidence(best),
    )


def _candidate(lines: list[str], delimiter: str, headings: frozenset[str]) -> _Candidate | None:
    """Return the likeliest header under `delimiter`, or None if all lines are blank."""
    records = _records(lines, delimiter)
    filled = [record for record in records if any(cell.strip() for cell in record[1])]
    if not filled:
        return None
    widths = Counter(len(cells) for _, cells, _ in filled)

    def score(record: tuple[int, list[str], int]) -> tuple[int, int, int]:
        first_line, cells, _ = record
        known = len({heading(cell) for cell in cells} & headings)
        return known, 0 if headings and known else widths[len(cells)] * len(cells), -first_line

    first, cells, last = max(filled, key=score)
    known = len({heading(cell) for cell in cells} & headings)
    header = tuple(cell.strip().strip("\ufeff") for cell in cells)
    return _Candidate(
        delimiter=delimiter, known=known, header=header, first_line=first, last_line=last
    )


def _records(lines: list[str], delimiter: str) -> list[tuple[int, list[str], int]]:
    """Return first line, cells and last line of the first records."""
    reader = csv.reader(lines, delimiter=delimiter)
    records = []
    first = 1
    try:
        for cells in reader:
            records.append((first, cells, reader.line_num))
            first = reader.line_num + 1
            if len(records) == _HEADER_WITHIN:
                break
    except csv.Error:  # a cell beyond csv.field_size_limit: what was seen before it must do
        pass
    return records


def _evidence(best: _Candidate) -> tuple[Evidence, Evidence]:
    name = _DELIMITERS[best.delimiter]
    seen = f"{best.known} of its {len(best.header)} names are known to the feed"
    return (
        Evidence(
            subject="delimiter",
            decision=name,
            because=f"it splits line {best.first_line} into {len(best.header)} names",
        ),
        Evidence(subject="header", decision=f"line {best.first_line}", because=seen),
    )
