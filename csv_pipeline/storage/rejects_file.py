"""The rejects file: what a person gets to mend, and sends back.

It has the columns of the file that was imported, under its own headings, and beside them these
columns of ours. `_import_id` comes first, and not only so that errors stand where they are seen:
spreadsheets take a file that begins with `ID` for another format.

Cells that a spreadsheet would run as formulas get an apostrophe in front (OWASP, CSV Injection),
and those that it would rewrite: `007`, a number of twenty digits, a date. So does a cell that
begins with apostrophes before such a thing, so that taking one off again gives back every cell
exactly. Other numbers stay as they are.
"""

import csv
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TextIO

import polars as pl

IMPORT_ID = "_import_id"
ROW_NUMBER = "_row_number"
ERRORS = "_errors"
RAW = "_raw"
VERBATIM = "_verbatim"
OURS = frozenset({IMPORT_ID, ROW_NUMBER, ERRORS, RAW, VERBATIM})
"""`_raw` holds the record only where its cells could not be told apart for certain; `_verbatim` is
there if no apostrophe was put anywhere."""

_FORMULA = "[=+\\-@\t\r\n\uff0b\uff0d\uff1d\uff20]"  # the last four: their full-width forms
_RISKY = re.compile(f"'*{_FORMULA}")
_REWRITTEN = (
    r"(?:0\d+|\d{16,}|\d+(?:[.,]\d+)?[eE][-+]?\d+"  # 7 for 007; the first 15 digits; 1e5
    r"|\d{1,4}[-/]\d{1,2}(?:[-/]\d{1,4})?|\d{1,4}\.\d{1,2}\.\d{1,4}"
    r"|\d{1,2}[-. ]+\p{L}{3,9}\.?[-. ]+\d{2,4}|\p{L}{3,9}\.?[-. ]+\d{1,2}[-, ]+\d{2,4})"
)
"""What a spreadsheet takes for a number or a date, and writes back in another way."""
_REWRITABLE = re.compile("'*" + _REWRITTEN.replace(r"\p{L}", r"[^\W\d_]"))
_SIGNED_NUMBER = re.compile(r"[-+][.,]?\d[\d.,]*")


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
) -> int:
    """Write a line for each row and return their number.

    What `split` tells apart of a malformed record is shown under the columns in their order.
    """
    show = _as_it_is if verbatim else kept
    separator = delimiter if len(delimiter) == 1 else ","
    writer = csv.writer(out, delimiter=separator, lineterminator="\r\n")
    ours = (VERBATIM,) if verbatim else ()
    writer.writerow([IMPORT_ID, ROW_NUMBER, ERRORS, *map(show, header), RAW, *ours])
    written = 0
    for written, row in enumerate(rows, 1):  # noqa: B007  # the last number is the count
        told = row.cells if row.cells is not None else split(row.raw)[: len(header)]
        cells = [*told, *[None] * (len(header) - len(told))]
        facts = (row.import_id, row.row_number, show(" | ".join(row.errors)))
        raw = "" if row.cells is not None else show(row.raw)
        marks = ("yes",) if verbatim else ()
        writer.writerow([*facts, *(show(cell or "") for cell in cells), raw, *marks])
    return written


def is_rejects_file(header: Iterable[str]) -> bool:
    """Return whether a header is that of rejected rows sent back."""
    names = set(header)
    return ROW_NUMBER in names and bool({IMPORT_ID, ERRORS} & names)


def neutral(cell: str) -> str:
    """Return the cell as no spreadsheet runs it.

    >>> neutral("=1+1"), neutral("-12,50"), neutral("'=a"), neutral("'tis")
    ("'=1+1", '-12,50', "''=a", "'tis")
    """
    if _RISKY.match(cell) and not _SIGNED_NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def kept(cell: str) -> str:
    """Return the cell as spreadsheets neither run nor rewrite it.

    >>> kept("=1+1"), kept("007"), kept("3/4/2025"), kept("'007"), kept("12.50")
    ("'=1+1", "'007", "'3/4/2025", "''007", '12.50')
    """
    shown = neutral(cell)
    return f"'{cell}" if shown is cell and _REWRITABLE.fullmatch(cell) else shown


def neutralised(cells: pl.Expr) -> pl.Expr:
    """Return cells as `neutral` does, a column at a time."""
    risky = cells.str.contains(f"^'*{_FORMULA}")
    signed = cells.str.contains(f"^(?:{_SIGNED_NUMBER.pattern})$")
    return pl.when(~risky | signed).then(cells).otherwise(pl.concat_str(pl.lit("'"), cells))


def restored(cells: pl.Expr) -> pl.Expr:
    """Return cells without the apostrophe that `kept` put on."""
    put_on = cells.str.contains(f"^'+(?:{_FORMULA}|{_REWRITTEN}$)")
    return pl.when(put_on).then(cells.str.slice(1)).otherwise(cells)


def _as_it_is(cell: str) -> str:
    return cell
