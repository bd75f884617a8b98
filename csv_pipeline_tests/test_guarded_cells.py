"""No reading that a program may take of a file for people lets a formula run, and none is lost."""

import csv
import io
import re
import sys
import unicodedata
from collections.abc import Iterator

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from csv_pipeline.rejects.rejects_file import (
    RejectedRow,
    kept,
    neutral,
    neutralised,
    restored,
    write_rejects,
)

SIGNS = "=+-@"
TRAPS = [
    "=cmd|' /C calc'!A0", "x;=cmd", "x\t=1", "x,+cmd|'/C calc'!A0", "a|@SUM(1)", "a\n=1", "a\r=1",
    "a\x0b=1", "a\x0c-1+1", "\x0b=1", "\0=1", "\u200b=1", "\ufeff=1", "\u00a0=1", "\u3000+1+1",
    "\u2003\u2060=1", "\u202e=1", '"=1', 'x;"=1";y', 'x;""=1', "' =1", "\uff1d1", "\uff0b1+1",
    "\uff0d1+1", "\uff20x", "\u2028=1", "x\u2029=1", "x\x85=1", ";;=1", "; ;\t=1", "-5;-6",
    "=1;=2;=3", "\t=1", "|=1", "\r\n=1", "\ufe661", "\u207c1", "\u22121+1", "x;\u00ad=1",
]  # fmt: skip
HARMLESS = ["-5", "+3,50", "-.5", "Tom - Jerry", "a=b", "x-y", "A-1", "a@b.example", "x; y", "1+1"]


def starts(cell: str) -> str:
    """Return a cell without what a program may take off, and its signs in one form."""
    plain = re.sub(r"^[\s\"\x00-\x1f\x7f-\xa0]+", "", unicodedata.normalize("NFKC", cell))
    while plain and unicodedata.category(plain[0]) in {"Cc", "Cf", "Zs", "Zl", "Zp"}:
        plain = plain[1:].lstrip(' "')
    return plain.replace("\u2212", "-")


def is_number(cell: str) -> bool:
    return re.fullmatch(r"[-+][.,]?\d[\d.,]*", cell.strip('"')) is not None


def readings(text: str) -> Iterator[str]:
    """Give the cells of a file by any delimiter, with quotes and without."""
    for delimiter in ",;\t|":
        for lines in (io.StringIO(text, newline=""), text.splitlines(), re.split("[\r\n]", text)):
            for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_NONE):
                rows = csv.reader(lines, delimiter=delimiter, quoting=quoting)
                if isinstance(lines, io.StringIO):
                    lines.seek(0)
                for row in rows:
                    yield from row


def written(*cells: str) -> str:
    out = io.StringIO()
    header = tuple(f"c{number}" for number in range(len(cells)))
    row = RejectedRow(import_id=1, row_number=2, cells=cells, raw="", errors=cells)
    write_rejects(out, header, [row], delimiter=",", split=lambda raw: [raw])
    return out.getvalue()


@pytest.mark.parametrize("cell", TRAPS)
def test_no_reading_of_a_rejects_file_lets_a_formula_run(cell: str) -> None:
    found = [one for one in readings(written(cell, "x", f"x{cell}")) if starts(one)[:1] in [*SIGNS]]
    assert [one for one in found if not is_number(one)] == []


@pytest.mark.parametrize("cell", HARMLESS)
def test_text_that_runs_nowhere_is_written_as_it_is(cell: str) -> None:
    assert neutral(cell) == kept(cell) == cell


CELLS = st.lists(
    st.sampled_from([*SIGNS, "'", '"', " ", ",", ";", "\t", "|", "\r", "\n", "\v", "\0", "\u200b",
                     "\uff1d", "a", "0", "5", ".", "e", "\u2028", "\u00a0", "Sep", "12",
                     "/", "\u0301"]),
    max_size=8,
).map("".join)  # fmt: skip


@given(st.text() | CELLS)
@example("Jan 5,-26")
@example("'Jan 5,-26")
@example("3 ⅫⅫⅫ 2026")
@example("\u0660\u0667")
@example("'-5")
@settings(max_examples=500, deadline=None)
def test_every_cell_comes_back_exactly(cell: str) -> None:
    back = pl.select(restored(pl.lit(kept(cell)))).item()
    assert back == cell


@given(st.lists(CELLS, min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_no_text_runs_in_any_reading(cells: list[str]) -> None:
    for one in readings(written(*(cell.replace("\0", "␀") for cell in cells))):
        assert starts(one)[:1] not in [*SIGNS] or is_number(one), one


@given(st.lists(st.text() | CELLS, min_size=1))
@settings(deadline=None)
def test_a_column_is_guarded_as_each_of_its_cells(cells: list[str]) -> None:
    column = pl.DataFrame({"cell": cells}, schema={"cell": pl.String})
    shown = column.select(neutralised(pl.col("cell"))).to_series().to_list()
    assert shown == [neutral(cell) for cell in cells]


def test_every_blank_and_every_sign_without_width_is_looked_through() -> None:
    unseen = [
        char
        for char in map(chr, range(sys.maxunicode + 1))
        if unicodedata.category(char) in {"Cc", "Cf", "Zs", "Zl", "Zp"}
        and "'" not in neutral(f"{char}=1")
    ]
    assert unseen == []


def test_every_form_of_a_sign_is_one() -> None:
    forms = [
        char
        for char in map(chr, range(sys.maxunicode + 1))
        if unicodedata.normalize("NFKC", char)[:1] in [*SIGNS] and neutral(f"{char}a")[0] != "'"
    ]
    assert forms == []
