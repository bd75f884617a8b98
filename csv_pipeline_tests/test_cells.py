"""Whether any cell is odd is asked of all columns together first, and must miss none."""

from collections.abc import Callable

import polars as pl
import pytest

from csv_pipeline.casts import cells
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
