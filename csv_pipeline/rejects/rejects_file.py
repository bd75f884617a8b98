"""The rejects file: what a person gets to correct, and sends back.

It has the columns of the file that was imported, under its own headings, and beside them these
columns of ours. `_import_id` comes first, and not only so that errors stand where they are seen:
spreadsheets take a file that begins with `ID` for another format.

Cells that a spreadsheet would run as formulas get an apostrophe in front (OWASP, CSV Injection),
and those that it would rewrite: `007`, a number of twenty digits, a date. So does what stands
behind a separator or a line end within a cell, because a program that takes another delimiter than
ours lets a cell begin there. Other numbers stay as they are.
"""

import csv
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TextIO

import polars as pl

from csv_pipeline.rejects.faults import MASK

IMPORT_ID = "_import_id"
ROW_NUMBER = "_row_number"
ERRORS = "_errors"
RAW = "_raw"
VERBATIM = "_verbatim"
OURS = frozenset({IMPORT_ID, ROW_NUMBER, ERRORS, RAW, VERBATIM})
"""`_raw` holds the record only where its cells could not be told apart for certain; `_verbatim` is
there if no apostrophe was put anywhere."""

_SEPARATOR = r"[,;|\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]"
"""What a cell may begin after, if a program takes another delimiter or line end than ours."""

_IGNORED = (
    r"[\x00-\x08\x0e-\x1b \"'\x7f-\x84\x86-\xa0\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890"
    r"\u0891\u08e2\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200f\u202a-\u202f\u205f-\u206f\u2800"
    r"\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""What a program may take off before it looks: blanks, signs without width, controls, quotes."""

_SIGN = (
    r"[=+\-@\u207a-\u207c\u208a-\u208c\u2212\u2a75\u2a76\ufb29\ufe62\ufe63\ufe66\ufe6b\uff0b\uff0d\uff1d"
    r"\uff20]"
)
"""What a formula begins with, in any width and height."""

_DIGIT, _LETTER = r"[0-9\uff10-\uff19]", r"[A-Za-z\u00c0-\u1fff\u2c00-\u2fff\u3040-\ud7ff]"
_SIGNED_NUMBER = rf"[-+][.,]?{_DIGIT}(?:{_DIGIT}|[.,])*"
_REWRITTEN = (
    rf"(?:0{_DIGIT}+|{_DIGIT}{{16,}}|{_DIGIT}+(?:[.,]{_DIGIT}+)?[eE][-+]?{_DIGIT}+"
    rf"|{_DIGIT}{{1,4}}[-/]{_DIGIT}{{1,2}}(?:[-/]{_DIGIT}{{1,4}})?"
    rf"|{_DIGIT}{{1,4}}\.{_DIGIT}{{1,2}}\.{_DIGIT}{{1,4}}"
    rf"|{_DIGIT}{{1,2}}[-. ]+{_LETTER}{{3,9}}\.?[-. ]+{_DIGIT}{{2,4}}"
    rf"|{_LETTER}{{3,9}}\.?[-. ]+{_DIGIT}{{1,2}}[-, ]+{_DIGIT}{{2,4}})"
)
"""What a spreadsheet takes for a number or a date, and writes back in another way: 7 for 007, the
first 15 digits, 1e5."""

# Each guard is an apostrophe in front of what it finds, with any apostrophes that stand there, so
# that taking one off again gives back every text. Python and Polars read these patterns alike.
_RUN = rf"(^|{_SEPARATOR})({_IGNORED}*{_SIGN})"
_RUN_GUARDED = rf"(^|{_SEPARATOR})'({_IGNORED}*{_SIGN})"
_ODD = r"^('*[|\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029])"
_ODD_GUARDED = r"^'('*[|\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029])"
_WRITTEN_ANEW_GUARDED = rf"^'('*{_REWRITTEN})$"


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedRow:
    """One rejected row with all its faults.

    `import_id` and `row_number` say which row of which file it is, through any number of repairs;
    a row that was added to a rejects file by hand has no number. Without `cells` the record had not
    the header's shape.
    """

    import_id: int
    row_number: int | None
    cells: tuple[str | None, ...] | None
    raw: str
    errors: tuple[str, ...]


def write_rejects(  # noqa: PLR0913  # what to write, and how
    out: TextIO,
    header: Sequence[str],
    rows: Iterable[RejectedRow],
    *,
    delimiter: str,
    split: Callable[[str], Sequence[str | None]],
    verbatim: bool = False,
    confidential: bool = False,
) -> int:
    """Write a line for each row and return their number.

    What `split` tells apart of a malformed record is shown under the columns in their order. If
    they are `confidential`, cells are masked, and of a malformed record there are none.
    """
    show = _as_it_is if verbatim else kept
    show_cell = _mask if confidential else show
    if confidential:
        split = _no_cells
    separator = delimiter if len(delimiter) == 1 else ","
    writer = csv.writer(out, delimiter=separator, lineterminator="\r\n")
    ours = (VERBATIM,) if verbatim else ()
    writer.writerow([IMPORT_ID, ROW_NUMBER, ERRORS, *map(show, header), RAW, *ours])
    written = 0
    for written, row in enumerate(rows, 1):  # noqa: B007  # the last number is the count
        told = row.cells if row.cells is not None else split(row.raw)[: len(header)]
        cells = [*told, *[None] * (len(header) - len(told))]
        facts = (row.import_id, row.row_number, show(" | ".join(row.errors)))
        raw = "" if row.cells is not None else show_cell(row.raw)
        marks = ("yes",) if verbatim else ()
        writer.writerow([*facts, *(show_cell(cell or "") for cell in cells), raw, *marks])
    return written


def is_rejects_file(header: Iterable[str]) -> bool:
    """Return whether a header is that of rejected rows sent back."""
    names = set(header)
    return ROW_NUMBER in names and bool({IMPORT_ID, ERRORS} & names)


def neutral(cell: str) -> str:
    """Return the cell as no spreadsheet runs it, whatever it takes for a delimiter.

    >>> neutral("=1+1"), neutral("-12,50"), neutral("'=a"), neutral("'tis"), neutral("x; =a")
    ("'=1+1", '-12,50', "''=a", "'tis", "x;' =a")
    """
    if re.fullmatch(_SIGNED_NUMBER, cell):
        return cell
    return re.sub(_ODD, r"'\1", re.sub(_RUN, r"\1'\2", cell))


def kept(cell: str) -> str:
    """Return the cell as spreadsheets neither run nor rewrite it.

    >>> kept("=1+1"), kept("007"), kept("3/4/2025"), kept("'007"), kept("12.50")
    ("'=1+1", "'007", "'3/4/2025", "''007", '12.50')
    """
    shown = neutral(cell)
    return f"'{shown}" if re.fullmatch(f"'*{_REWRITTEN}", shown) else shown


def neutralised(cells: pl.Expr) -> pl.Expr:
    """Return cells as `neutral` does, a column at a time."""
    guarded = cells.str.replace_all(_RUN, "${1}'${2}").str.replace(_ODD, "'${1}")
    return pl.when(cells.str.contains(f"^{_SIGNED_NUMBER}$")).then(cells).otherwise(guarded)


def restored(cells: pl.Expr) -> pl.Expr:
    """Return cells without the apostrophes that `kept` put on."""
    shown = cells.str.replace(_WRITTEN_ANEW_GUARDED, "${1}").str.replace(_ODD_GUARDED, "${1}")
    return shown.str.replace_all(_RUN_GUARDED, "${1}${2}")


def _as_it_is(cell: str) -> str:
    return cell


def _mask(cell: str) -> str:
    return MASK if cell else ""


def _no_cells(_: str) -> tuple[str, ...]:
    return ()
