"""A postal code that a spreadsheet made a number of is seen, and one of four digits is no fault."""

import pytest

from csv_pipeline_tests.conftest import Desk

HEADER = "Customer ID,Postal Code,Country\n"


def warned(desk: Desk, rows: str, header: str = HEADER) -> list[tuple[int, tuple[int, ...]]]:
    report = desk.bring(header + rows.replace(" ", "\n"), "customers")
    assert report.counts.rejected == 0
    return [(w.count, w.line_numbers) for w in report.warnings if w.code == "cells.zeros_lost"]


@pytest.mark.parametrize("country", ["US", "usa", "United States", "Deutschland", "FR"])
def test_codes_too_short_for_their_country_are_a_warning_and_stored(
    desk: Desk, country: str
) -> None:
    rows = f"1,2139,{country}\n2,501,{country}\n3,2139-1234,{country}\n4,02139,{country}"
    report = desk.bring(HEADER + rows, "customers")
    (warning,) = (one for one in report.warnings if one.code == "cells.zeros_lost")
    assert (warning.count, warning.line_numbers) == (3, (2, 3, 4))
    assert desk.rows("customers", "postal_code", "customer_id")[0].postal_code == "2139"


@pytest.mark.parametrize("country", ["AT", "CH", "Australia", "DK", "NO"])
def test_codes_of_four_digits_are_right_in_other_countries(desk: Desk, country: str) -> None:
    rows = "".join(f"{n},80331,DE\n" for n in range(20))
    assert warned(desk, f"{rows}x,1010,{country}") == []


def test_without_a_country_nine_in_ten_have_to_have_five_digits(desk: Desk) -> None:
    rows = [f"{n},0213{n}" for n in range(9)]
    header = HEADER.replace(",Country", "")
    assert warned(desk, " ".join([*rows, "x,2139"]), header) == [(1, (11,))]
    assert warned(desk, " ".join([*rows[1:], "x,2139"]), header) == []


@pytest.mark.parametrize(
    ("feed", "content"),
    [
        (
            "ebay_orders",
            "Sales Record Number,Order Number,Item Title,Quantity,Sold For,Sale Date,Ship To Zip,"
            "Ship To Country\n1,11-10000-00001,Cup,1,2.50,2026-09-01,2139,United States\n",
        ),
        (
            "ebay_transactions",
            "Transaction creation date,Type,Order number,Net amount,Ship to zip,Ship to country\n"
            "Aug-02-2026,Order,12-34567-89012,9.50,501,US\n",
        ),
    ],
)
def test_reports_of_ebay_are_looked_at_as_well(desk: Desk, feed: str, content: str) -> None:
    report = desk.bring(content, feed)
    assert "cells.zeros_lost" in {warning.code for warning in report.warnings}
