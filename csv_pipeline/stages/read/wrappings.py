"""Take off what a spreadsheet wrapped around every line: quotes, or separators hung to its end.

Such a line is one cell that holds a whole line, or its last cell ends in `;;`. Where all lines of a
file are alike in that, and are whole records without it, there is no other reading. Where only most
of them are, the file is refused. Each line stays a line, so that line numbers hold.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from csv_pipeline.batches import created
from csv_pipeline.errors import UndecidableError
from csv_pipeline.model import Evidence
from csv_pipeline.stages.read.delimiters import Lines, best_reading
from csv_pipeline.stages.read.dialect import ReadHints, Text, first_lines
from csv_pipeline.stages.read.likeness import kind_of
from csv_pipeline.stages.read.readings import Reading
from csv_pipeline.stages.read.sampling import SAMPLE_RECORDS

_LINES_LOOKED_AT = 5
_HEAD_BYTES = 64 * 1024
_SEPARATORS = ",;\t|"
_WHOLE = re.compile(r'"((?:[^"]|"")*)"')
_PROSE = re.compile(rf"[{_SEPARATORS}](?! )")
_NUMBER = re.compile(r"-?\d+,\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wrapping:
    """What is around each line: what is taken off, what that is, and how the rest is read."""

    off: Callable[[str], str | None]
    name: str
    because: str
    reading: Reading

    def inner(self, line: str) -> str | None:
        """Return a line without its wrapping; None if it is no record like the header then."""
        if not line.strip():
            return line
        inner, grammar = self.off(line), self.reading.grammar
        if inner is None or not inner.strip():
            return inner
        whole = grammar.is_record(inner) and len(grammar.cells(inner)) == len(
            self.reading.header.names
        )
        return inner if whole or self.name != "quotes" else None


def without_wrappings(
    text: Text, target: Path, hints: ReadHints
) -> tuple[Text, tuple[Evidence, ...]]:
    """Return a text without what is around each of its lines, written to `target`, if anything is.

    Raises:
        UndecidableError: It is around most lines, but not around all.
    """
    evidence: list[Evidence] = []
    some = _first(text)
    for may_apply, find in ((_may_hang, _hung), (_may_be_quoted, _quoted)):
        wrapping = find(first_lines(text, hints)) if may_apply(some) else None
        if wrapping is not None:
            path = target.with_suffix(f".{wrapping.name}")
            _unwrap(text, path, wrapping, hints.name)
            text = replace(text, path=path, start=0)
            some = _first(text)
            decision = f"without the {wrapping.name} around each"
            evidence.append(Evidence(subject="lines", decision=decision, because=wrapping.because))
    return text, tuple(evidence)


def _first(text: Text) -> list[str]:
    """Return the first lines with text, without what ends them."""
    with text.path.open("rb") as file:
        file.seek(text.start)
        head = file.read(_HEAD_BYTES).decode("utf-8", errors="ignore")
    lines = head.split("\n", SAMPLE_RECORDS)[:SAMPLE_RECORDS]
    return [line.removesuffix("\r") for line in lines if line.strip()]


def _unwrap(text: Text, target: Path, wrapping: _Wrapping, name: str) -> None:
    with text.path.open("rb") as file, created(target) as out:
        file.seek(text.start)
        for number, line in enumerate(file, start=1):
            bare = line.rstrip(b"\r\n")
            inner = wrapping.inner(bare.decode())
            if inner is None:
                found = f"{wrapping.because}, but not line {number:,}"
                raise UndecidableError(name, "lines that are written alike were needed", found)
            out.write(inner.encode() + line[len(bare) :])


# ---- lines that are quoted as a whole


def _may_be_quoted(some: list[str]) -> bool:
    first = some[:_LINES_LOOKED_AT]
    return any(line[0] == '"' == line[-1] and _has_cells(_off_quotes(line)) for line in first)


def _has_cells(line: str | None) -> bool:
    return line is not None and any(mark in line for mark in _SEPARATORS)


def _off_quotes(line: str) -> str | None:
    whole = _WHOLE.fullmatch(line)
    return whole[1].replace('""', '"') if whole else None


def _quoted(lines: Lines) -> _Wrapping | None:
    """Return how lines are read that are each quoted as a whole, if most are.

    One column of texts with separators is quoted so, too. But then its name has none, or blanks
    follow the separators as in sentences.
    """
    some = [line.rstrip("\r\n") for line in lines.lines if line.strip()]
    inner = [whole for whole in map(_off_quotes, some) if whole is not None]
    if 2 * len(inner) <= len(some) or all(map(_is_one_value, inner[1:])):
        return None
    reading = best_reading(replace(lines, lines=[line + "\n" for line in inner]))
    names, grammar = reading.header.names, reading.grammar
    if len(names) < 2 or reading.is_one_column:
        return None
    first = _off_quotes(some[0])
    as_wide = first is not None and len(grammar.cells(first)) == len(names)
    prose = not any(map(_PROSE.search, inner))
    if reading.header.known < 2 and (prose or not as_wide):
        return None
    because = "the lines are each quoted as a whole"
    return _Wrapping(off=_off_quotes, name="quotes", because=because, reading=reading)


# ---- separators hung to the end of each line


def _may_hang(some: list[str]) -> bool:
    return sum(line[-1] in _SEPARATORS for line in some) > 1 and any(map(_hangs, some))


def _hangs(line: str) -> bool:
    """Return whether a line ends in separators of a kind that does not part its cells."""
    mark = line[-1]
    rest = line.rstrip(mark)
    return mark in _SEPARATORS and mark not in rest and _has_cells(rest)


def _hung(lines: Lines) -> _Wrapping | None:
    """Return how lines are read that end in separators of which the header has no other."""
    some = [line.rstrip("\r\n") for line in lines.lines if line.strip()]
    reading = best_reading(lines)
    header = reading.header.records[-1].text if reading.header.records else some[0]
    if not _hangs(header):
        return None
    mark = header[-1]
    hung = mark * (len(header) - len(header.rstrip(mark)))

    def off(line: str) -> str | None:
        rest = line.removesuffix(hung)
        return None if rest == line or rest.endswith(mark) else rest

    inner = [rest for rest in map(off, some) if rest is not None]
    if len(inner) < 2 or all(_is_one_value(rest) for rest in inner[1:]):
        return None
    bare = best_reading(replace(lines, lines=[line + "\n" for line in inner]))
    if len(bare.header.names) < 2 or bare.is_one_column or bare.header.known < reading.header.known:
        return None
    because = f"the lines each end in {hung!r}"
    return _Wrapping(off=off, name="separators", because=because, reading=bare)


def _is_one_value(text: str) -> bool:
    return kind_of(text) is not None or _NUMBER.fullmatch(text) is not None
