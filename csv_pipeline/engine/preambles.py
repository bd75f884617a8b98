"""Find lines above the header that a feed can declare, so that only others are warned about."""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from csv_pipeline.batches import scan
from csv_pipeline.handover import NON_DATA
from csv_pipeline.parts import Files

_MOST, _LONGEST = 20, 1_000
_LABEL = re.compile(r"[^\W\d_]")


@dataclass(frozen=True, slots=True)
class LineAbove:
    """A line above the header: its `pattern`, where it is, and whether that `takes_no_row`.

    A pattern is for lines below the header, too, where a row may have as many cells, or its word.
    """

    pattern: str
    because: str
    takes_no_row: bool


def lines_above(files: Sequence[Files]) -> list[LineAbove]:
    """Return the lines that are warned about: with text in two cells or more, a word first.

    What is written behind the word may differ from file to file, and so may the numbers in it.
    """
    found: dict[str, LineAbove] = {}
    for file in files:
        for one in _lines_of(file):
            found.setdefault(one.pattern, one)
    return list(found.values())[:_MOST]


def _lines_of(files: Files) -> Iterator[LineAbove]:
    (text,) = files.texts
    if text.non_data_lines is None:
        return
    lines = scan(text.non_data_lines, NON_DATA).filter(
        pl.col("line_number") < text.header_line,
        pl.col("cells") > 1,
        pl.col("lines") == 1,
        pl.col("text").str.len_chars() <= _LONGEST,
        ~pl.col("declared"),
    )
    for line in lines.head(_MOST).collect().iter_rows(named=True):
        cells = _cells(line["text"], text.delimiter, text.quote)
        first = next(at for at, cell in enumerate(cells) if cell)
        if not _LABEL.search(cells[first]):
            continue
        word = "[0-9]+".join(map(_literal, re.split("[0-9]+", cells[first])))
        starts = pl.col(str(first)).str.contains(rf"^\s*{word}\s*$")
        alike = len(cells) >= len(text.header) or (
            scan(files.rows).select(starts.any()).collect().item()
        )
        yield LineAbove(
            _pattern(cells, first, word, text.delimiter),
            f"line {line['line_number']} of {files.names[0]}, above the header: a word, then what "
            "is said of the file",
            takes_no_row=not alike,
        )


def _cells(text: str, delimiter: str, quote: str) -> list[str]:
    """Return the cells of a line, without empty ones at its end."""
    plain = text.replace("\r", " ")
    (cells,) = csv.reader([plain], delimiter=delimiter, quotechar=quote or '"')
    filled = [cell.strip() for cell in cells]
    while not filled[-1]:
        filled.pop()
    return filled


def _pattern(cells: Sequence[str], first: int, word: str, delimiter: str) -> str:
    """Return a pattern of lines with the same first word, and text in the same cells."""
    mark = _literal(delimiter)
    value = f'(?:"[^"]*"|[^"{mark}]+)'
    behind = (value if cell else '(?:"")?' for cell in cells[first + 1 :])
    return mark.join((*[""] * first, rf'"?{word}"?', *behind))


def _literal(text: str) -> str:
    return re.escape(text).replace(r"\ ", " ")
