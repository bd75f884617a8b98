"""No accepted row has a value in another column than it stood in, whatever damaged the file.

A table is written, and damaged in one or two places: a separator too many, one lost, another one in
its place, or a quote that strayed in. Whoever damaged it knows where each value belongs. Each row
that the reader accepts has to be a row of the table as it was, and no sound row may be lost without
a reject that covers it.
"""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from csv_pipeline.batches import scan
from csv_pipeline.errors import FileRefusedError
from csv_pipeline.handover import REJECTS, TextFile
from csv_pipeline.spec.contract import heading
from csv_pipeline.stages.read import ReadHints, read

HEADER = ("id", "name", "note", "city", "amount")
KNOWN = frozenset(map(heading, HEADER))
DELIMITERS = [",", ";", "\t", "|"]
EXTRA, LOST, WRONG, QUOTE = "extra", "lost", "wrong", "quote"
Row = tuple[str, ...]


@dataclass(slots=True)
class Line:
    """A record as it is written: its cells, and the separators between them."""

    cells: list[str]
    separators: list[str]

    @property
    def text(self) -> str:
        ends = [*self.separators, ""]
        return "".join(cell + end for cell, end in zip(self.cells, ends, strict=True))


@dataclass(slots=True)
class Written:
    """A table and the file that it became; row 0 is the header."""

    table: list[Row]
    lines: list[Line]
    delimiter: str
    line_end: str
    damaged: dict[int, list[str]]

    @property
    def content(self) -> bytes:
        return self.line_end.join([*(line.text for line in self.lines), ""]).encode()

    def starts(self) -> dict[int, int]:
        """Return the row that begins on each physical line."""
        found, number = {}, 1
        for row, line in enumerate(self.lines):
            found[number] = row
            number += line.text.count("\n") + 1
        return found


def quoted(cell: str, delimiter: str, *, always: bool) -> str:
    special = {delimiter, '"', "\n", "\r"}
    if always or not special.isdisjoint(cell):
        return '"' + cell.replace('"', '""') + '"'
    return cell


def written(table: list[Row], delimiter: str, line_end: str, *, always: bool) -> Written:
    width = len(table[0])
    lines = []
    for place, row in enumerate(table):
        cells = [quoted(cell, delimiter, always=always) for cell in row]
        if has_rows(delimiter.join(cells), delimiter, width):
            table[place] = tuple(cell.replace("\n", " ") for cell in row)
            cells = [quoted(cell, delimiter, always=always) for cell in table[place]]
        lines.append(Line(cells, [delimiter] * (width - 1)))
    return Written(table, lines, delimiter, line_end, {})


def has_rows(text: str, delimiter: str, width: int) -> bool:
    """Say if lines of a cell might be rows, so that nobody could tell it from two stray quotes."""
    full = [width - 1 in _separators(line, delimiter) for line in text.split("\n")]
    return len(full) > 1 and (any(full[1:-1]) or (full[0] and full[-1]))


def _separators(line: str, delimiter: str) -> set[int]:
    """Count the delimiters of a line: all, and those that no quotes enclose."""
    return {line.count(delimiter), sum(part.count(delimiter) for part in line.split('"')[::2])}


def damage(data: st.DataObject, file: Written, rows: list[int]) -> None:
    """Damage one or two places of the file."""
    for _ in range(data.draw(st.integers(1, 2), label="places")):
        row = data.draw(st.sampled_from(rows), label="row")
        how = data.draw(st.sampled_from([EXTRA, LOST, WRONG, QUOTE, QUOTE]), label="how")
        before = file.damaged.get(row, [])
        if before and "\n" in file.lines[row].text:
            continue  # a record that is torn at its line end may have any width
        parted = file.delimiter in file.lines[row].separators
        if _cancels(how, before) or (how in {LOST, WRONG} and not parted):
            how = QUOTE  # else the record would have its width again, and nobody could tell
        _damage(data, file.lines[row], how, file.delimiter)
        file.damaged[row] = [*before, how]


def _cancels(how: str, before: list[str]) -> bool:
    fewer, more = {LOST, WRONG}, {EXTRA}
    return any((how in fewer and b in more) or (how in more and b in fewer) for b in before)


def _damage(data: st.DataObject, line: Line, how: str, delimiter: str) -> None:
    structural = [at for at, mark in enumerate(line.separators) if mark == delimiter]
    if how == LOST:
        at = data.draw(st.sampled_from(structural), label="lost")
        line.cells[at : at + 2] = [line.cells[at] + line.cells[at + 1]]
        del line.separators[at]
    elif how == WRONG:
        at = data.draw(st.sampled_from(structural), label="wrong")
        others = [mark for mark in (*DELIMITERS, ":", " ") if mark != delimiter]
        line.separators[at] = data.draw(st.sampled_from(others), label="instead")
    else:
        cell = data.draw(st.integers(0, len(line.cells) - 1), label="cell")
        text = line.cells[cell]
        bare = how == QUOTE or '"' not in text
        places = st.integers(0, len(text)) if bare else st.sampled_from([0, len(text)])
        at = data.draw(places, label="at")
        line.cells[cell] = text[:at] + ('"' if how == QUOTE else delimiter) + text[at:]


def is_flawless(file: Written) -> bool:
    """Say if the damaged file is a sound table, only another one: then nobody can tell."""
    mark, width = re.escape(file.delimiter), len(file.table[0])
    cell = rf'(?:"(?:[^"]|"")*+"|[^"\r\n{mark}]*+)'
    record = rf"{cell}(?:{mark}{cell}){{{width - 1}}}\r?\n"
    return re.fullmatch(rf"(?:{record})*+", file.content.decode()) is not None


def held_to_its_rows(file: Written, block: int) -> None:
    if is_flawless(file):
        return
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source.csv"
        source.write_bytes(file.content)
        hints = ReadHints(name="source.csv", headings=KNOWN, block_bytes=block)
        try:
            text = read(source, Path(folder) / "work", hints)
        except FileRefusedError:
            return
        _hold(text, file)


def _hold(text: TextFile, file: Written) -> None:
    names = [heading(name) for name in text.header]
    cells: dict[str, Any] = {str(place): pl.String() for place in range(len(names))}
    schema = pl.Schema({**cells, "line_number": pl.Int64()})
    starts, seen = file.starts(), set[int]()
    for *values, number in scan(text.rows, schema).select(schema.names()).collect().iter_rows():
        assert number in starts, f"a row was made of line {number}: {values}"
        row = starts[number]
        seen.add(row)
        was = dict(zip(map(heading, file.table[0]), file.table[row], strict=True))
        now = {n: v or "" for n, v in zip(names, values, strict=True) if n in was}
        wanted = {name: was[name] for name in now}
        if QUOTE in file.damaged.get(row, ()) and any("\n" in cell for cell in wanted.values()):
            now, wanted = _first_lines(now), _first_lines(wanted)
        assert _bare(now) == _bare(wanted), f"line {number} was {wanted}"
    covered = scan(text.rejects, REJECTS).select("offset", "length").collect().rows()
    content = text.text.read_bytes()
    offset = 0
    for row, line in enumerate(file.lines):
        size = len((line.text + file.line_end).encode())
        if row and row not in seen and row not in file.damaged:
            inside = any(begin <= offset < begin + length for begin, length in covered)
            assert inside, f"row {row} was lost: {line.text!r} of {content!r}"
            quotes = any('"' in file.lines[other].text for other in file.damaged)
            assert quotes, f"row {row} was rejected: {line.text!r} of {content!r}"
        offset += size


def _bare(cells: dict[str, str]) -> dict[str, str]:
    """Return cells without quotes, which are text where they stand in a cell, and line ends."""
    return {name: cell.replace('"', "").replace("\r", "") for name, cell in cells.items()}


def _first_lines(cells: dict[str, str]) -> dict[str, str]:
    """Return cells up to a line end, where a quote that strayed into them may have closed them.

    What follows is a reject then; what is here stands in its own column.
    """
    return {name: cell.partition("\n")[0] for name, cell in cells.items()}


# ---- small tables of any text

# Cells do not begin or end with a delimiter or a line end: with such cells a single quote can make
# others of them that are as sound, and nobody could tell.
TEXT = st.one_of(
    st.just(""),
    st.text(st.sampled_from('ab1 .,;|\n"é'), max_size=6).map(lambda text: text.strip(",;|\n")),
    st.sampled_from(["x", "7", "2026-01-03", "a, b", 'say "x"', "two\nlines", "St 5\nB, C"]),
)


@st.composite
def small_tables(draw: st.DrawFn) -> Written:
    width = draw(st.integers(2, 5))
    keys = draw(st.booleans())
    rows = draw(st.lists(st.tuples(*[TEXT] * width), min_size=6, max_size=10))
    table = [HEADER[:width]]
    for number, row in enumerate(rows):
        filled = (f"k{number}", *row[1:]) if keys or not "".join(row).strip(' ,;|"\n.') else row
        table.append(filled)
    return written(
        table,
        draw(st.sampled_from(DELIMITERS)),
        draw(st.sampled_from(["\n", "\r\n"])),
        always=draw(st.booleans()),
    )


# ---- larger tables of columns that are regular, so that there is something to prove by

WORDS = ["Ann Foss", "Bo", "O'Brien, Pat", "Ærø & Co", 'Rock "n" roll', "Lamp 5", ""]


@st.composite
def regular_tables(draw: st.DrawFn) -> Written:
    count = draw(st.integers(22, 40))
    kinds = [
        [f"A-{number}" for number in range(count)],
        [f"{number}.50" for number in range(count)],
        [f"2026-03-{number % 28 + 1:02}" for number in range(count)],
        draw(st.lists(st.sampled_from(WORDS), min_size=count, max_size=count)),
        draw(st.lists(st.sampled_from(["x", "y z", "two\nlines"]), min_size=count, max_size=count)),
    ]
    chosen = draw(st.permutations(kinds))[: draw(st.integers(2, 5))]
    rows = [row for row in zip(*chosen, strict=True) if "".join(row)]
    return written(
        [HEADER[: len(chosen)], *rows],
        draw(st.sampled_from(DELIMITERS)),
        draw(st.sampled_from(["\n", "\r\n"])),
        always=draw(st.booleans()),
    )


TABLES = st.one_of(small_tables(), small_tables(), regular_tables())
BLOCKS = st.sampled_from([64, 300, 4 * 1024**2])


def _anywhere(data: st.DataObject, file: Written, block: int) -> None:
    damage(data, file, [0, 0, *range(len(file.lines))])
    held_to_its_rows(file, block)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), file=TABLES, block=BLOCKS)
def test_no_value_of_an_accepted_row_stands_in_another_column(
    data: st.DataObject, file: Written, block: int
) -> None:
    _anywhere(data, file, block)


@pytest.mark.slow
@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), file=TABLES, block=BLOCKS)
def test_no_value_of_ten_thousand_damaged_tables_stands_in_another_column(
    data: st.DataObject, file: Written, block: int
) -> None:
    _anywhere(data, file, block)
