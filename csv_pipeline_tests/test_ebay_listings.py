"""The Seller Hub report of active listings, with parents and variations."""

import datetime as dt
from decimal import Decimal

import pytest

from csv_pipeline.model import ImportReport, Outcome
from csv_pipeline_tests.conftest import Desk

WHOLE = (
    "Item number,Title,Variation details,Custom label (SKU),Available quantity,Format,Currency,"
    "Start price,Auction Buy It Now price,Reserve price,Current price,Sold quantity,Watchers,Bids,"
    "Start date,End date,eBay category 1 name,eBay category 1 number,eBay category 2 name,"
    "eBay category 2 number,Condition,CD:Professional Grader - (ID: 27501),CDA:Grade,"
    "eBay Product ID(ePID),Listing site,P:UPC,P:EAN,P:ISBN"
)
HAT = (
    "2002,Hat,{details},{sku},{quantity},FIXED_PRICE,USD,9.00,,,9.00,1,4,,Apr-29-26 17:02:34 PDT,,"
    "Hats,52365,,,New,,,,US,012345678905,,"
)
HEADER = "Item number,Title,Variation details,Custom label (SKU),Available quantity"


def hat(details: str, sku: str, quantity: int) -> str:
    return HAT.format(details=details, sku=sku, quantity=quantity)


def kinds(desk: Desk) -> list[tuple[str, ...]]:
    columns = "variation_details, sku, line_kind"
    return [tuple(row) for row in desk.rows("ebay_listings", columns, "1, 2")]


def told(report: ImportReport) -> tuple[str, bool]:
    (found,) = (one for one in report.evidence if one.subject == "parents and variations")
    return found.because, found.proven


def test_every_column_of_the_report_but_those_of_its_categories_is_known(desk: Desk) -> None:
    line = hat("", "HAT", 3).replace("New,,,", "New,PSA,9,")
    report = desk.bring(f"\ufeff{WHOLE}\n{line}\n", "ebay_listings")
    (row,) = desk.rows("ebay_listings")
    assert row._extra == {"CD:Professional Grader - (ID: 27501)": "PSA", "CDA:Grade": "9"}
    assert (row.upc, row.category_1_number) == ("012345678905", "52365")
    assert (row.current_price, row.currency, row.sold_quantity) == (Decimal("9.00"), "USD", 1)
    assert report.counts.inserted == 1


def test_the_name_that_the_report_is_downloaded_under_is_taken(desk: Desk) -> None:
    name = "eBay-all-active-listings-report-2026-04-30-12315361660.csv"
    report = desk.bring(f"{WHOLE}\n{hat('', 'HAT', 3)}\n", "ebay_listings", name=name)
    assert (report.name, report.counts.inserted, report.warnings) == (name, 1, ())


def test_columns_that_depend_on_the_category_are_no_drift(desk: Desk) -> None:
    desk.bring(f"{WHOLE}\n{hat('', 'HAT', 3)}\n", "ebay_listings")
    other = WHOLE.replace("CDA:Grade", "CD:Card Condition").replace("CD:Prof", "CDA:Prof")
    report = desk.bring(f"{other}\n{hat('', 'HAT', 2)}\n", "ebay_listings")
    assert not report.drift
    assert desk.bring(f"{other},Cdx\n{hat('', 'HAT', 2)},1\n", "ebay_listings").drift.added == (
        "Cdx",
    )


def test_more_columns_of_categories_than_others_leave_the_header_a_header(desk: Desk) -> None:
    names = ",".join(f"CD:Aspect {number}" for number in range(60))
    blank = "," * 60
    report = desk.bring(f"{WHOLE},{names}\n{hat('', 'HAT', 3)}{blank}\n", "ebay_listings")
    assert (report.outcome, report.counts.inserted) == (Outcome.IMPORTED, 1)


def test_a_parent_is_told_from_its_variations_and_a_listing_without_any(desk: Desk) -> None:
    rows = [
        hat("Color=Red;Blue", "HAT", 5),
        hat("Color=Red", "HAT-R", 2),
        hat("Color=Blue", "HAT-B", 3),
        hat("", "CUP", 7).replace("2002", "2001"),
    ]
    report = desk.bring("\n".join([WHOLE, *rows, ""]), "ebay_listings")
    assert kinds(desk) == [
        ("", "CUP", "single"),
        ("Color=Blue", "HAT-B", "variation"),
        ("Color=Red", "HAT-R", "variation"),
        ("Color=Red;Blue", "HAT", "parent"),
    ]
    assert told(report) == (
        "each of 1 listings has one parent at most, and each variation once",
        True,
    )


def test_variations_of_a_listing_are_rows_of_their_own_when_it_comes_again(desk: Desk) -> None:
    rows = "\n".join(
        [hat("Color=Red;Blue", "", 5), hat("Color=Red", "", 2), hat("Color=Blue", "", 3)]
    )
    desk.bring(f"{WHOLE}\n{rows}\n", "ebay_listings")
    report = desk.bring(f"{WHOLE}\n{rows.replace(',3,FIXED', ',1,FIXED')}\n", "ebay_listings")
    assert (report.counts.unchanged, report.counts.updated, report.counts.superseded) == (2, 1, 0)


def test_a_parent_of_one_value_that_looks_as_its_variation_is_said_to_be_in_doubt(
    desk: Desk,
) -> None:
    rows = f"{hat('Color=Red', 'HAT', 2)}\n{hat('Color=Red', 'HAT-R', 2)}\n"
    report = desk.bring(f"{WHOLE}\n{rows}", "ebay_listings")
    assert told(report) == (
        "1 of 1 listings have a variation twice or several parents: 2002",
        False,
    )


def test_a_variation_whose_value_has_a_semicolon_is_said_to_be_in_doubt(desk: Desk) -> None:
    rows = f"{hat('For=A;B;C', 'CASE', 2)}\n{hat('For=A;B', 'CASE-1', 1)}\n{hat('For=C', 'C', 1)}\n"
    assert not told(desk.bring(f"{WHOLE}\n{rows}", "ebay_listings"))[1]


@pytest.mark.parametrize(
    ("written", "moment"),
    [
        pytest.param("Apr-29-26 17:02:34 PDT", "2026-04-30T00:02:34", id="summer"),
        pytest.param("Jan-29-26 17:02:34 PST", "2026-01-30T01:02:34", id="winter"),
        pytest.param("Sep-28-2026 16:31:55 PM PDT", "2026-09-28T23:31:55", id="24 hours and PM"),
        pytest.param("Sep-28-2026 00:31:55 AM PDT", "2026-09-28T07:31:55", id="24 hours and AM"),
    ],
)
def test_the_start_is_the_moment_of_its_zone(desk: Desk, written: str, moment: str) -> None:
    line = hat("", "HAT", 3).replace("Apr-29-26 17:02:34 PDT", written)
    desk.bring(f"{WHOLE}\n{line}\n", "ebay_listings")
    (row,) = desk.rows("ebay_listings", "started_at")
    assert row.started_at == dt.datetime.fromisoformat(f"{moment}+00:00")


def test_starts_without_a_zone_are_refused_for_nobody_knows_when_they_were(desk: Desk) -> None:
    line = hat("", "HAT", 3).replace(" PDT", "")
    report = desk.bring(f"{WHOLE}\n{line}\n", "ebay_listings")
    assert report.problem_code == "undecidable"
    assert "needs the time zone of its times" in str(report.problem)


def test_two_dashes_are_no_value_and_no_variation(desk: Desk) -> None:
    report = desk.bring(f"{WHOLE}\n{hat('--', '--', 3).replace(',,', ',--,')}\n", "ebay_listings")
    assert report.counts.inserted == 1
    columns = "variation_details, sku, line_kind, reserve_price, category_2_name, upc"
    assert desk.rows("ebay_listings", columns) == [("", "", "single", None, None, "012345678905")]


@pytest.mark.parametrize("code", ["012345678905", "0000000000017", "Does not apply"])
def test_product_codes_are_text(desk: Desk, code: str) -> None:
    desk.bring(f"{HEADER},P:UPC,P:EAN,P:ISBN\n1,Cup,,,3,{code},{code},{code}\n", "ebay_listings")
    assert tuple(desk.rows("ebay_listings", "upc, ean, isbn")[0]) == (code, code, code)


def test_an_orders_report_is_no_report_of_listings(desk: Desk) -> None:
    report = desk.bring("Item Number,Item Title,Order Number\n1,Cup,2\n", "ebay_listings")
    assert report.problem_code == "missing_column"


def test_a_quantity_below_zero_is_rejected(desk: Desk) -> None:
    report = desk.bring(f"{HEADER}\n1,Cup,,,-1\n2,Hat,,,1\n", "ebay_listings")
    assert [reject.rule for reject in desk.rejects(report)] == ["available_quantity.ge"]


@pytest.mark.parametrize("written", ["3+", "3 +", ">10", "10 or more", "\uff13\uff0b"])
def test_a_quantity_without_an_upper_end_is_rejected(desk: Desk, written: str) -> None:
    report = desk.bring(f"{HEADER}\n2001,Hat,,HAT,{written}\n2002,Cap,,CAP,+3\n", "ebay_listings")
    assert [reject.rule for reject in desk.rejects(report)] == ["available_quantity.integer"]
    assert [row.available_quantity for row in desk.rows("ebay_listings")] == [3]
