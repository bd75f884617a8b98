"""Whether any cell is odd is asked of all columns together first, and must miss none."""

from collections.abc import Callable
from types import SimpleNamespace

import polars as pl
import pytest

from csv_pipeline.casts import cells
from csv_pipeline.handover import WHOLE
from csv_pipeline.model import ImportReport
from csv_pipeline.stages.transform import bared
from csv_pipeline_tests.conftest import Desk

PLAIN = {"id": ["A1", None], "name": ["Ann", "1"]}


@pytest.mark.parametrize(
    ("column", "cell"),
    [
        *(("name", "#REF!"), ("name", '="1"'), ("name", "Err:502"), ("name", ""), ("name", "none")),
        *(("id", "4E+12"), ("id", "ä"), ("id", "'00417"), ("id", "1234567890123450")),
    ],
)
def test_an_odd_cell_is_odd_among_others(column: str, cell: str) -> None:
    frame = pl.DataFrame(PLAIN | {column: ["x", cell]})
    assert cells.any_odd(frame, {"none", ""}, ["id"])
    assert not cells.any_odd(pl.DataFrame(PLAIN), {"none", ""}, ["id"])


def test_a_small_file_of_plain_cells_is_not_asked_column_by_column(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    before: Callable[..., tuple[pl.Expr, ...]] = cells.asked

    def noted(*of: object, **how: object) -> tuple[pl.Expr, ...]:
        asked.append(of)
        return before(*of, **how)

    monkeypatch.setattr(cells, "asked", noted)
    desk.bring("ID,Name,Amount\n1,Ann,5.00\n2,Bob,6.00\n")
    assert asked == []
    desk.bring("ID,Name,Amount\n3,#REF!,5.00\n")
    assert asked


def left_out(report: ImportReport) -> dict[str, str]:
    return {one.subject: one.because for one in report.evidence if one.decision == "left out"}


@pytest.mark.parametrize("rows", [1, 5_000])  # one look for all columns, and one for each
@pytest.mark.parametrize(
    ("cell", "stored", "subject"),
    [
        ('"  a "', "a", "blanks around text"),
        (" a", "a", "blanks around text"),
        ('"a\n"', "a", "blanks around text"),
        ("\N{NO-BREAK SPACE}a", "a", "blanks around text"),
        ('"=""00417"""', "00417", 'guards ="…" of text'),
    ],
)
def test_what_is_left_out_around_a_text_is_counted_in_the_evidence(
    desk: Desk, cell: str, stored: str, subject: str, rows: int
) -> None:
    more = "".join(f"n{n},Ann,\n" for n in range(rows))
    report = desk.bring(f"ID,Name,Amount\n{more}x,{cell},1\ny,{cell},2\n")
    assert report.warnings == ()
    told = f"2 cells had any: 2 of 'Name', the first in row {rows + 2}"
    assert left_out(report) == {subject: told}
    names = {row.name for row in desk.rows(columns="name, person_id") if row.name != "Ann"}
    assert names == {stored}


def test_of_cells_with_nothing_to_leave_out_nothing_is_said(desk: Desk) -> None:
    report = desk.bring('ID,Name,Amount\n1,"a  b", 5 \n2,"  ",6\n3,"=1+2",7\n4,\'x,8\n')
    assert left_out(report) == {}


def test_of_many_columns_with_blanks_the_first_are_named() -> None:
    names = [f"t{n}" for n in range(8)]
    cells = pl.DataFrame({name: [" a"] for name in names})
    found: list[bared.Found] = [{}]
    rows = cells.select(pl.lit(2).alias("_row_number"), pl.all().is_not_null().name.prefix("0 "))
    part = SimpleNamespace(parts=(WHOLE,))
    bared.add(found, rows, part)  # type: ignore[arg-type]
    (one,) = bared.evidence(found[0], {name: name for name in names})
    assert one.because.startswith("8 cells had any: 1 of 't0', the first in row 2; ")
    assert one.because.endswith("; the others of 3 more columns")
