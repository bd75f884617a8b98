"""Sales by day: each order once, on its day, in its currency; what is not known has a name."""

from decimal import Decimal
from typing import Any

from csv_pipeline_tests.conftest import Desk
from csv_pipeline_tests.test_ebay_totals import HUB, OWN

HEADER = (
    "Sales Record Number,Order Number,Buyer Username,Item Number,Transaction ID,Quantity,Sold For,"
    "Total Price,Sale Date,Paid On Date\n"
)


def sales(desk: Desk) -> dict[tuple[str, str], tuple[Any, ...]]:
    columns = "day, currency, orders, items, revenue, unpaid_orders, orders_without_amount"
    return {tuple(row[:2]): tuple(row[2:]) for row in desk.rows("sales_by_day", columns)}


def test_an_order_of_several_items_counts_once(desk: Desk) -> None:
    """Its summary row has the sum of the items: whoever adds up all rows has 68.00 of that day."""
    desk.bring(HUB, "ebay_orders")
    assert sales(desk) == {
        ("2026-05-18", "$"): (2, 3, Decimal("38.00"), 0, 0),
        ("2026-05-19", "$"): (1, 1, Decimal("4.00"), 0, 0),
    }


def test_a_list_of_one_s_own_adds_only_the_orders_that_the_report_lacks(desk: Desk) -> None:
    desk.bring(OWN, "ebay_orders")
    assert sales(desk)["2026-05-18", "$"] == (2, 2, Decimal("44.50"), 0, 0)
    desk.bring(HUB, "ebay_orders")
    assert sales(desk) == {
        ("2026-05-18", "$"): (2, 3, Decimal("38.00"), 0, 0),
        ("2026-05-19", "$"): (1, 1, Decimal("4.00"), 0, 0),
        ("2026-05-20", "$"): (1, 1, Decimal("7.00"), 0, 0),
    }


def test_the_quantity_counts_in_the_revenue(desk: Desk) -> None:
    row = "74,53-00000-00009,bob,255600000003,3009,3,$4.00,$15.50,May-19-26,May-19-26\n"
    desk.bring(HEADER + row, "ebay_orders")
    assert sales(desk)["2026-05-19", "$"][:3] == (1, 1, Decimal("12.00"))


def test_pieces_are_counted_by_quantity_and_items_by_line(desk: Desk) -> None:
    desk.bring(HUB, "ebay_orders")
    days = desk.rows("sales_by_day", "day, items, pieces")
    assert [tuple(day) for day in days] == [("2026-05-18", 3, 4), ("2026-05-19", 1, 1)]
    desk.bring(OWN, "ebay_orders")  # an own list adds none to the orders of the report
    assert tuple(desk.rows("sales_by_day", "day, items, pieces")[0]) == ("2026-05-18", 3, 4)


def test_a_sale_whose_transaction_is_known_only_when_it_is_paid_counts_once(desk: Desk) -> None:
    """Unpaid it is of its record number alone; another item of that number is another sale."""
    unpaid = "73,,bob,255600000003,,2,$4.00,$9.50,May-18-26,--\n"
    desk.bring(HEADER + unpaid + unpaid.replace("003,", "004,"), "ebay_orders")
    paid = desk.bring(
        HEADER + "73,53-00000-00003,bob,255600000003,3004,2,$4.00,$9.50,May-19-26,May-20-26\n",
        "ebay_orders",
    )
    assert sales(desk) == {
        ("2026-05-18", "$"): (1, 1, Decimal("8.00"), 1, 0),
        ("2026-05-19", "$"): (1, 1, Decimal("8.00"), 0, 0),
    }
    totals = desk.rows("ebay_order_totals", "order_key, revenue", "order_key DESC")
    assert [tuple(row) for row in totals] == [
        ("73", Decimal("8.00")),
        ("53-00000-00003", Decimal("8.00")),
    ]
    desk.pipeline.undo(paid.import_id)
    assert sales(desk) == {("2026-05-18", "$"): (1, 2, Decimal("16.00"), 1, 0)}


def test_orders_without_a_day_or_a_currency_are_counted_under_unknown(desk: Desk) -> None:
    desk.bring(
        HEADER + "74,53-00000-00008,bob,255600000003,3008,1,4.00,5.50,--,--\n"
        "75,53-00000-00009,bob,255600000003,3009,1,--,--,May-19-26,--\n",
        "ebay_orders",
    )
    assert sales(desk) == {
        ("unknown", "unknown"): (1, 1, Decimal("4.00"), 0, 0),
        ("2026-05-19", "unknown"): (1, 1, Decimal(0), 0, 1),
    }


def test_a_sale_counts_once_before_and_after_it_is_paid_though_its_day_is_another_then(
    desk: Desk,
) -> None:
    """The unpaid row stays in the table; it is of another order, and of another day."""
    desk.bring(HEADER + "73,,bob,255600000003,3004,1,$4.00,$5.50,May-18-26,--\n", "ebay_orders")
    assert sales(desk) == {("2026-05-18", "$"): (1, 1, Decimal("4.00"), 1, 0)}
    paid = desk.bring(
        HEADER + "73,53-00000-00003,bob,255600000003,3004,1,$4.00,$5.50,May-19-26,May-20-26\n",
        "ebay_orders",
    )
    assert sales(desk) == {("2026-05-19", "$"): (1, 1, Decimal("4.00"), 0, 0)}
    desk.pipeline.undo(paid.import_id)
    assert sales(desk) == {("2026-05-18", "$"): (1, 1, Decimal("4.00"), 1, 0)}


def test_an_order_whose_rows_are_of_two_days_counts_on_the_last_one(desk: Desk) -> None:
    first, second = (
        f"71,53-00000-00001,ann,25560000000{n},300{n},1,$10.00,$12.00,May-1{n}-26,--\n"
        for n in (1, 2)
    )
    desk.bring(HEADER + first, "ebay_orders")
    later = desk.bring(HEADER + second, "ebay_orders")
    assert sales(desk) == {("2026-05-12", "$"): (1, 2, Decimal("20.00"), 0, 0)}
    desk.pipeline.undo(later.import_id)
    assert sales(desk) == {("2026-05-11", "$"): (1, 1, Decimal("10.00"), 0, 0)}


def test_currencies_are_not_added_up(desk: Desk) -> None:
    row = "{n},53-00000-0000{n},bob,255600000003,300{n},1,{money}4.00,{money}5.50,May-19-26,--\n"
    for n, money in enumerate(("$", "EUR ", "£")):
        desk.bring(HEADER + row.format(n=n, money=money), "ebay_orders")
    assert {key[1]: value[2] for key, value in sales(desk).items()} == dict.fromkeys(
        ("$", "EUR", "GBP"), Decimal("4.00")
    )
