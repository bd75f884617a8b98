"""The two orders files that the product is judged by first."""

from decimal import Decimal

import pytest

from csv_pipeline.model import Outcome
from csv_pipeline_tests.conftest import SAMPLES, Desk

REPORT = SAMPLES / "eBay-OrdersReport-Sep-30-2026-23_07_00-0700-11334292920.csv"
SEED = SAMPLES / "seed_orders.csv"


def test_the_seller_hub_report_gives_all_its_rows_and_no_reject(desk: Desk) -> None:
    report = desk.bring(REPORT, "ebay_orders")
    counts = report.counts
    assert (counts.read, counts.inserted, counts.rejected) == (6, 6, 0)
    assert (counts.non_data, counts.blank) == (4, 1)


def test_the_seller_hub_report_tells_summary_item_and_single_rows(desk: Desk) -> None:
    desk.bring(REPORT, "ebay_orders")
    lines = desk.rows("ebay_orders", "sales_record_number, line_kind", order="_row_number")
    assert [tuple(line) for line in lines] == [
        ("1501", "single"),
        ("1499", "single"),
        ("1498", "summary"),
        ("1498", "item"),
        ("1498", "item"),
        ("1497", "single"),
    ]


def test_the_seller_hub_report_keeps_zips_and_tracking_numbers_as_text(desk: Desk) -> None:
    desk.bring(REPORT, "ebay_orders")
    first = desk.rows("ebay_orders", "ship_to_zip, tracking_number", order="_row_number")[0]
    assert tuple(first) == ("02139", "9400100000000000000001")


def test_order_totals_count_revenue_once(desk: Desk) -> None:
    desk.bring(REPORT, "ebay_orders")
    totals = desk.rows("ebay_order_totals", "order_key, revenue, total, items, is_unpaid")
    assert [tuple(total) for total in totals] == [
        ("11-10000-00001", Decimal("90.00"), Decimal("97.99"), 1, False),
        ("11-10000-00003", Decimal("28.00"), Decimal("35.05"), 2, False),
        ("11-10000-00004", Decimal("3066.75"), Decimal("3075.75"), 1, False),
        ("1499", Decimal("50.00"), Decimal("50.00"), 1, True),
    ]
    assert sum(total.revenue for total in totals) == Decimal("3234.75")


def test_an_unpaid_order_counts_once_after_it_was_paid(desk: Desk) -> None:
    desk.bring(REPORT, "ebay_orders")
    paid = REPORT.read_text().replace('"1499","",', '"1499","11-10000-00002",')
    desk.bring(paid, "ebay_orders")
    totals = desk.rows("ebay_order_totals", "order_key, revenue")
    assert sum(total.revenue for total in totals) == Decimal("3234.75")


def test_the_same_report_again_adds_nothing(desk: Desk) -> None:
    first = desk.bring(REPORT, "ebay_orders")
    again = desk.bring(REPORT.read_bytes(), "ebay_orders", name="again.csv")
    assert (again.outcome, again.same_as) == (Outcome.DUPLICATE, first.import_id)
    assert len(desk.rows("ebay_orders")) == 6


def test_the_same_rows_in_other_bytes_are_unchanged(desk: Desk) -> None:
    desk.bring(REPORT, "ebay_orders")
    again = desk.bring(REPORT.read_bytes() + b"\n", "ebay_orders")
    assert (again.counts.unchanged, again.counts.inserted, again.counts.updated) == (6, 0, 0)


def test_the_seed_file_rejects_its_five_bad_rows_with_every_fault(desk: Desk) -> None:
    report = desk.bring(SEED, "ebay_orders")
    faults = [(reject.row_number, reject.rule, reject.value) for reject in desk.rejects(report)]
    assert faults == [
        (5, "buyer_email.matches", "not-an-email"),
        (5, "sold_on.date", "2025-02-30"),
        (6, "order_id.matches", "123456789012345678"),
        (8, "buyer_name.required", None),
        (8, "order_status.choice", "refunded"),
        (9, "total_price.decimal", "NaN"),
        (10, "total_price.decimal", "1e3"),
    ]


def test_the_seed_file_reads_a_date_by_what_another_row_proves(desk: Desk) -> None:
    report = desk.bring(SEED, "ebay_orders")
    dated = desk.rows("ebay_orders", "order_id, sold_on::text")
    assert ("1234567890123456790", "2025-04-03") in [tuple(row) for row in dated]
    evidence = next(e for e in report.evidence if e.subject == "date order of order_date")
    assert evidence.decision == "day first"
    assert evidence.because == (
        "'25/12/2025' in row 4 can be nothing else; it decides 1 that could be either"
    )


def test_the_seed_file_reports_its_first_row_as_superseded(desk: Desk) -> None:
    report = desk.bring(SEED, "ebay_orders")
    assert desk.superseded(report) == [(2, 7)]
    assert (report.counts.read, report.counts.inserted, report.counts.superseded) == (9, 3, 1)


def test_the_seed_file_maps_completed_to_delivered(desk: Desk) -> None:
    desk.bring(SEED, "ebay_orders")
    statuses = desk.rows("ebay_orders", "order_status", order="_row_number")
    assert [row.order_status for row in statuses] == ["DELIVERED", "PENDING", "DELIVERED"]


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("order_status", "pending processing shipped delivered cancelled returned completed"),
        ("payment_status", "pending paid failed refunded"),
        ("shipping_status", "not_shipped processing shipped delivered returned"),
    ],
)
@pytest.mark.parametrize("order_id", ["ORDER_ID", "order id", "OrderId"])
def test_each_status_of_a_seed_file_is_stored_and_an_unknown_one_is_a_reject(
    desk: Desk, column: str, words: str, order_id: str
) -> None:
    header = f"{order_id},Buyer_Name,ORDER TOTAL,orderdate,{column.upper()}\n"
    rows = [
        f"11-10000-{n:05},Ann,5.00,2026-05-18,{word}\n"
        for n, word in enumerate((*words.split(), "lost", "PENDING?"))
    ]
    report = desk.bring(header + "".join(rows), "ebay_orders")
    assert report.rejects_by_rule == {f"{column}.choice": 2}
    stored = desk.rows("ebay_orders", column, order="_row_number")
    wanted = ["DELIVERED" if word == "completed" else word.upper() for word in words.split()]
    assert [row[0] for row in stored] == wanted


def test_a_reject_keeps_the_record_as_it_stands_in_the_file(desk: Desk) -> None:
    report = desk.bring(SEED, "ebay_orders")
    assert desk.rejects(report)[0].raw == (
        "1234567890123456792,Dee D,not-an-email,10.00,2025-02-30,pending,,,,,,"
    )


def test_a_protected_value_stays_out_of_the_message(desk: Desk) -> None:
    report = desk.bring(SEED, "ebay_orders")
    assert desk.rejects(report)[0].message == (
        "row 5 (line 5), column buyer_email: ••• breaks rule buyer_email.matches "
        "(an address such as name@example.com)"
    )
