"""Rows that are hardly records, and superseded rows, are reported."""

import polars as pl
import pytest

from csv_pipeline.casts.labels import is_total
from csv_pipeline.model import ImportReport
from csv_pipeline.stages.validate import LONGEST_KEY
from csv_pipeline_tests.conftest import Desk

HEADER = "Customer ID,Name,City\n"


def told(report: ImportReport) -> list[tuple[str, int, tuple[int, ...]]]:
    assert report.counts.read, report.problem
    return [(one.code, one.count, one.line_numbers) for one in report.warnings]


@pytest.mark.parametrize(
    "word",
    [
        *(
            "Total",
            "TOTALS:",
            "Grand Total",
            "** Total **",
            "Summe",
            "Gesamt:",
            "Sous-total",
            "合計",
        ),
        *("Итого:", "Total général", "Subtotal (3)", "Totale", "Razem", "Összesen", "Total: 3"),
    ],
)
def test_a_row_whose_key_is_a_word_for_a_sum_is_stored_with_a_warning(
    desk: Desk, word: str
) -> None:
    report = desk.bring(f"{HEADER}A,Ann,Ayr\n{word},2 customers,\nB,Ben,Bute\n", "customers")
    assert (report.counts.inserted, told(report)) == (3, [("rows.look_like_totals", 1, (3,))])


@pytest.mark.parametrize("times", [1, 1_000], ids=["few", "many"])
def test_a_key_with_a_sum_in_it_is_a_key(times: int) -> None:
    keys = ["TotalEnergies", "SUM-001", "Summers", "total123", "Anna Total", None, "TOTAL:"]
    assert is_total(pl.Series(keys * times)).to_list() == [*[False] * 6, True] * times


@pytest.mark.parametrize("label", ["string", "VARCHAR(50)", "[id]", "Customer Number"])
def test_a_row_of_labels_below_the_header_is_stored_with_a_warning(desk: Desk, label: str) -> None:
    report = desk.bring(f"{HEADER}{label},string,text\nA,Ann,Ayr\n", "customers")
    assert (report.counts.inserted, told(report)) == (2, [("rows.look_like_labels", 1, (2,))])


def test_a_key_like_a_label_further_down_is_a_key(desk: Desk) -> None:
    rows = "".join(f"A{number},Ann,Ayr\n" for number in range(5))
    assert told(desk.bring(f"{HEADER}{rows}string,Ann,Ayr\n", "customers")) == []


def test_rows_that_differ_and_supersede_each_other_are_a_warning(desk: Desk) -> None:
    report = desk.bring(f"{HEADER}A,Ann,Ayr\nB,Ben,Bute\nA,Ann,Bute\nB,Ben,Bute\n", "customers")
    assert report.counts.superseded == 2
    assert told(report) == [("rows.superseded_differ", 1, (2,))]


def test_a_key_as_long_as_the_index_can_hold_is_stored(desk: Desk) -> None:
    most = LONGEST_KEY - len("customer_id")  # which is of the key as well
    longest = ("a1b" * most)[: most - 2] + "ü"
    report = desk.bring(f"{HEADER}{longest},Ann,Ayr\n{longest}b,Ben,Ayr\n", "customers")
    (reject,) = desk.rejects(report)
    assert (report.counts.inserted, reject.rule, reject.line_number) == (1, "key.too_long", 3)
    assert reject.message == (
        "row 3 (line 3): a customer_key + known_by of at most 2,500 bytes was needed, as it is the "
        "key of the table; it is 2501 bytes long"
    )


def test_a_key_of_several_columns_is_as_long_as_they_are_together(desk: Desk) -> None:
    header = "Order Number,Sold For,Item Number,Transaction ID\n"
    half = "7" * (LONGEST_KEY // 2)
    rows = f"12-34567-00001,$5.00,{half},{half}\n12-34567-00002,$5.00,{half},1\n"
    report = desk.bring(header + rows, "ebay_orders")
    assert [reject.rule for reject in desk.rejects(report)] == ["key.too_long"]
