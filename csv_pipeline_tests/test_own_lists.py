"""The lists that sellers keep themselves: products and customers."""

from decimal import Decimal

import pytest

from csv_pipeline.feeds import FEEDS
from csv_pipeline.model import Outcome
from csv_pipeline.spec.feed import Feed
from csv_pipeline_tests.conftest import Desk

PRODUCTS = "sku,title,description,brand,category,cost,price,currency,quantity,barcode\n"
CUSTOMERS = (
    "customer_id,username,name,email,phone,address 1,address 2,city,state,postal code,country,"
    "first_order_on,notes\n"
)


def product(barcode: str, sku: str = "CUP") -> str:
    return f"{sku},Cup,A cup,Acme,Kitchen,2.00,5.00,USD,3,{barcode}\n"


def test_a_whole_list_of_products_is_kept(desk: Desk) -> None:
    report = desk.bring(PRODUCTS + product("012345678905"), "products")
    (row,) = desk.rows("products")
    assert (row.sku, row.brand, row.category, row.description) == (
        *("CUP", "Acme", "Kitchen", "A cup"),
    )
    assert (row.cost, row.price, row.currency) == (Decimal("2.00"), Decimal("5.00"), "USD")
    assert (row.quantity, row.barcode, report.drift.added) == (3, "012345678905", ())


@pytest.mark.parametrize(
    "barcode",
    [
        pytest.param("012345678905", id="UPC-A"),
        pytest.param("4006381333931", id="EAN-13"),
        pytest.param("96385074", id="EAN-8"),
        pytest.param("10614141000415", id="GTIN-14"),
        pytest.param("978-3-16-148410-0", id="ISBN with hyphens"),
        pytest.param("", id="none"),
        pytest.param("Does not apply", id="as eBay says none"),
    ],
)
def test_a_right_barcode_or_none_is_taken(desk: Desk, barcode: str) -> None:
    assert desk.bring(PRODUCTS + product(barcode), "products").counts.inserted == 1


@pytest.mark.parametrize(
    ("barcode", "rule"),
    [
        pytest.param("4006381333932", "check_digit", id="one digit mistyped"),
        pytest.param("4006381333913", "check_digit", id="two digits changed about"),
        pytest.param("12345678905", "matches", id="a spreadsheet took its zero"),
        pytest.param("4.00638E+12", "spreadsheet_number", id="a spreadsheet rounded it"),
        pytest.param("A-4711", "matches", id="no barcode"),
    ],
)
def test_a_wrong_barcode_rejects_its_row_alone(desk: Desk, barcode: str, rule: str) -> None:
    text = PRODUCTS + product(barcode) + product("4006381333931", sku="HAT")
    report = desk.bring(text, "products")
    assert report.counts.inserted == 1
    assert [reject.rule for reject in desk.rejects(report)] == [f"barcode.{rule}"]


@pytest.mark.parametrize("form", ["2{:012}", "02{:011}", "2{:011}", "4{:011}", "2{:07}"])
def test_numbers_for_use_in_house_need_no_check_digit(desk: Desk, form: str) -> None:
    rows = "".join(product(form.format(n), sku=f"S{n}") for n in range(25))
    assert desk.bring(PRODUCTS + rows, "products").counts.inserted == 25


def test_a_list_of_products_may_state_the_currency_with_the_price(desk: Desk) -> None:
    desk.bring("SKU;Preis;Einkaufspreis\nCUP;5,00 €;2,00 €\n", "products")
    row = desk.rows("products", "price, cost, currency")[0]
    assert tuple(row) == (Decimal("5.00"), Decimal("2.00"), "EUR")


def test_a_price_and_a_stock_below_zero_are_rejected(desk: Desk) -> None:
    report = desk.bring("SKU,Price,Quantity\nCUP,-5.00,-1\nHAT,0.00,0\n", "products")
    assert {reject.rule for reject in desk.rejects(report)} == {"price.ge", "quantity.ge"}


def test_skus_are_text(desk: Desk) -> None:
    desk.bring("SKU,Title\n007,Cup\n7,Hat\n", "products")
    assert [row.sku for row in desk.rows("products", "sku")] == ["007", "7"]


def test_a_whole_list_of_customers_is_kept(desk: Desk) -> None:
    line = (
        "C1,ann,Ann,ann@example.com,+1 555 0100,1 Main St,Apt 2,Boston,MA,02139,US,2025-01-31,x\n"
    )
    report = desk.bring(CUSTOMERS + line, "customers")
    (row,) = desk.rows("customers")
    assert (row.customer_key, row.known_by, row.postal_code) == ("C1", "customer_id", "02139")
    assert (row.phone, row.address_2, row.notes) == ("+1 555 0100", "Apt 2", "x")
    assert report.drift.added == ()


def test_a_customer_is_known_by_id_or_else_by_user_name(desk: Desk) -> None:
    report = desk.bring("Customer ID,Username,Name\nC1,ann,Ann\n,bob,Bob\n,,Cid\n", "customers")
    assert [reject.rule for reject in desk.rejects(report)] == ["customer_key.required"]
    rows = desk.rows("customers", "customer_key, known_by")
    assert [tuple(row) for row in rows] == [("C1", "customer_id"), ("bob", "username")]


def test_an_id_and_a_user_name_that_are_spelt_alike_are_two_customers(desk: Desk) -> None:
    report = desk.bring("Customer ID,Username,Name\nann,,Ann\n,ann,Another\n", "customers")
    assert (report.counts.inserted, report.counts.superseded) == (2, 0)
    by_name = desk.bring("Username,Name\nann,Anna\n", "customers")
    assert by_name.counts.updated == 1
    rows = desk.rows("customers", "known_by, name")
    assert [tuple(row) for row in rows] == [("customer_id", "Ann"), ("username", "Anna")]


def test_neither_names_nor_addresses_nor_notes_of_customers_leave_the_table(desk: Desk) -> None:
    desk.bring(CUSTOMERS + "C1,,Ann,,,1 Main St,,,,,,,early bird\n", "customers")
    report = desk.bring(
        CUSTOMERS + "C1,,Eve,,,2 Main St,,,,,,,late bird\n", "customers", dry_run=True
    )
    assert report.outcome is Outcome.DRY_RUN
    shown = {one.column: (one.before, one.after) for one in report.differences}
    assert set(shown) == {"name", "address_1", "notes"}
    assert not {"Ann", "Eve", "late bird", "2 Main St"} & {
        v for pair in shown.values() for v in pair
    }


@pytest.mark.parametrize("feed", [f for f in FEEDS if f.group == "ebay"], ids=lambda f: f.name)
def test_a_feed_of_ebay_is_described_limited_and_protects_the_reachable(feed: Feed) -> None:
    assert len(feed.description) > 30
    assert feed.max_rejected_share == 0.5
    named = ("email", "phone", "address_1", "address_2", "buyer_name", "ship_to_name", "notes")
    open_ = [c.name for c in feed.columns if c.name.endswith(named) and not c.protected]
    assert open_ in ([], ["private_notes"])
