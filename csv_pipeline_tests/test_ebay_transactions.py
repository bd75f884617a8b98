"""The Seller Hub transaction report: what a row is when it comes again, and what stands above."""

import csv
import io
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from csv_pipeline.errors import SetupError
from csv_pipeline.feeds.ebay_transactions import EBAY_TRANSACTIONS
from csv_pipeline.files.landing import found_file
from csv_pipeline.location import location_of
from csv_pipeline.model import Claim, ImportReport, Outcome
from csv_pipeline.storage import arrivals
from csv_pipeline_tests.conftest import Desk, ingest
from csv_pipeline_tests.test_replay import sent_out

NAMES = (
    *("Transaction creation date", "Type", "Order number", "Legacy order ID", "Buyer username"),
    *("Buyer name", "Ship to city", "Ship to province/region/state", "Ship to zip"),
    *("Ship to country", "Net amount", "Payout currency", "Payout date", "Payout ID"),
    *("Payout method", "Payout status", "Reason for hold", "Item ID", "Transaction ID"),
    *("Item title", "Custom label", "Quantity", "Item subtotal", "Shipping and handling"),
    *("Seller collected tax", "eBay collected tax", "Final Value Fee - fixed"),
    *("Final Value Fee - variable", "Regulatory operating fee"),
    *('Very high "item not as described" fee', "Below standard performance fee"),
    *("International fee", "Charity donation", "Deposit processing fee"),
    *("Gross transaction amount", "Transaction currency", "Exchange rate", "Reference ID"),
    "Description",
)
PREAMBLE = """--,--,--,--,--
Notes,,,,
"All amounts are in USD, unless stated",,,,
Amounts before eBay's fees,,,,
Seller,test.seller,,,
Start date,Aug-01-2026 00:00:00 AM PDT,,,
End date,Aug-31-2026 23:59:59 PM PDT,,,
--,--,--,--,--
,,,,
"""
ITEM = {"Order number": "12-34567-89012", "Item ID": "2550", "Transaction ID": "3001"}


def line(kind: str, net: str, **cells: str) -> dict[str, str]:
    return {"Transaction creation date": "Aug-02-2026", "Type": kind, "Net amount": net, **cells}


ORDER = line("Order", "9.50") | ITEM
FEE = line("Other fee", "-1.00", Description="Store subscription")
PAYOUT = line("Payout", "-1,009.50") | {"Payout ID": "55", "Payout status": "In progress"}


def text(*rows: dict[str, str], preamble: str = PREAMBLE) -> str:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, NAMES, restval="--", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return preamble + out.getvalue()


def bring(
    desk: Desk, *rows: dict[str, str], preamble: str = PREAMBLE, name: str | None = None
) -> ImportReport:
    return desk.bring(text(*rows, preamble=preamble), "ebay_transactions", name=name)


def claimed(desk: Desk, *reports: tuple[dict[str, str], ...]) -> list[Claim]:
    """Let reports arrive one after the other and claim all of them."""
    for number, rows in enumerate(reports):
        path = desk.folder / f"report-{number}.csv"
        path.write_text(text(*rows))
        found = found_file(location_of(path), desk.account, "ebay_transactions")
        with desk.pipeline.database.begin() as connection:
            arrivals.register(connection, [found])
    return desk.pipeline.claim(desk.account, "ebay_transactions")


def stored(
    desk: Desk, columns: str = "type, net_amount::text, _occurrence"
) -> list[tuple[Any, ...]]:
    return sorted(tuple(row) for row in desk.rows("ebay_transactions", columns))


def told(report: ImportReport, subject: str) -> str:
    return next(one.decision for one in report.evidence if one.subject == subject)


def test_the_report_has_39_columns_and_each_is_known(desk: Desk) -> None:
    report = bring(desk, ORDER)
    assert (len(NAMES), report.drift.added, report.counts.inserted) == (39, (), 1)
    assert desk.rows("ebay_transactions", "_extra")[0][0] in ({}, None)


def test_what_stands_above_the_header_is_no_row_and_nothing_to_look_at(desk: Desk) -> None:
    report = bring(desk, ORDER, FEE)
    assert (report.counts.read, report.counts.non_data, report.warnings) == (2, 9, ())
    assert [line.reason for line in report.non_data_lines] == [
        *("rule", "preamble", "preamble", "preamble", "seller", "start", "end", "rule", "padding")
    ]


def test_a_refund_is_a_row_beside_its_order_and_comes_again_unchanged(desk: Desk) -> None:
    refund = line("Refund", "-9.50") | ITEM
    assert bring(desk, ORDER, refund).counts.inserted == 2
    again = bring(desk, ORDER, refund, FEE, name="later.csv")
    assert (again.counts.unchanged, again.counts.inserted) == (2, 1)


@pytest.mark.parametrize("currency", ["usd", "US$", "USX"])
def test_an_amount_in_no_currency_of_iso_4217_is_rejected(desk: Desk, currency: str) -> None:
    named = dict.fromkeys(("Transaction currency", "Payout currency"), currency)
    report = bring(desk, ORDER, FEE | named, FEE | dict.fromkeys(named, "HRK"))
    assert report.counts.inserted == 2
    assert [reject.rule for reject in desk.rejects(report)] == [
        "payout_currency.isin",
        "transaction_currency.isin",
    ]


def test_seller_and_period_of_the_preamble_are_evidence(desk: Desk) -> None:
    report = bring(desk, ORDER)
    assert told(report, "seller") == "test.seller"
    assert told(report, "period") == "Aug-01-2026 00:00:00 AM PDT to Aug-31-2026 23:59:59 PM PDT"


@pytest.mark.parametrize("seller", ["test.seller", "Test.Seller"])
def test_a_report_of_the_account_s_own_seller_is_imported(desk: Desk, seller: str) -> None:
    desk.declare(seller_id=seller)
    assert bring(desk, ORDER).outcome is Outcome.IMPORTED


@pytest.mark.parametrize("line", ["Seller,test.seller,,,", '"Seller","test.seller"'])
def test_a_report_of_another_seller_is_refused(desk: Desk, line: str) -> None:
    desk.declare(seller_id="test")
    preamble = PREAMBLE.replace("Seller,test.seller,,,", line)
    report = bring(desk, ORDER, preamble=preamble, name="money.csv")
    assert report.problem == (
        f"money.csv: the seller 'test' of account {desk.account!r} was needed; "
        "line 5 names 'test.seller'"
    )


def test_a_report_without_a_preamble_is_read_too(desk: Desk) -> None:
    desk.declare(seller_id="test")
    assert bring(desk, ORDER, preamble="").counts.inserted == 1


def test_two_identical_fees_stay_two_and_a_second_import_adds_none(desk: Desk) -> None:
    bring(desk, FEE, ORDER, FEE)
    assert stored(desk) == [
        ("Order", "9.50", 1),
        ("Other fee", "-1.00", 1),
        ("Other fee", "-1.00", 2),
    ]
    again = bring(desk, ORDER, FEE, FEE, preamble="")
    assert (again.counts.unchanged, again.counts.inserted, again.counts.superseded) == (3, 0, 0)


def test_a_report_of_a_longer_period_adds_what_is_new_only(desk: Desk) -> None:
    bring(desk, FEE)
    later = FEE | {"Transaction creation date": "Aug-03-2026"}
    report = bring(desk, later, FEE, FEE)
    assert (report.counts.unchanged, report.counts.inserted) == (1, 2)
    assert bring(desk, FEE, FEE, preamble="").counts.unchanged == 2


def test_a_hold_that_reuses_the_transaction_of_an_order_is_another_movement(desk: Desk) -> None:
    hold = line("Hold", "-9.50") | ITEM | {"Reason for hold": "New seller"}
    report = bring(desk, ORDER, hold, line("Hold", "9.50") | ITEM)
    assert (report.counts.inserted, report.counts.superseded) == (3, 0)
    total = desk.rows("ebay_transactions", "sum(net_amount)")[0][0]
    assert total == Decimal("9.50")


def test_a_payout_that_went_on_is_updated_and_counts_once(desk: Desk) -> None:
    bring(desk, ORDER, PAYOUT)
    paid_out = {"Payout ID": "55", "Payout date": "Aug-05-2026", "Payout status": "Funds sent"}
    report = bring(desk, ORDER | paid_out, PAYOUT | {"Payout status": "Funds sent"})
    assert (report.counts.updated, report.counts.inserted) == (2, 0)
    assert stored(desk, "type, payout_status, payout_id") == [
        ("Order", "Funds sent", "55"),
        ("Payout", "Funds sent", "55"),
    ]


def test_a_payout_that_the_bank_returned_later_is_beside_it(desk: Desk) -> None:
    bring(desk, PAYOUT)
    bring(desk, PAYOUT | {"Net amount": "1,009.50", "Payout status": "Returned"})
    assert stored(desk, "type, net_amount::text, payout_status") == [
        ("Payout", "-1009.50", "In progress"),
        ("Payout", "1009.50", "Returned"),
    ]


def test_a_later_payout_of_the_same_amount_is_another(desk: Desk) -> None:
    bring(desk, PAYOUT)
    report = bring(desk, PAYOUT | {"Payout ID": "56"})
    assert report.counts.inserted == 1
    assert stored(desk, "payout_id, _occurrence") == [("55", 1), ("56", 1)]


def test_fees_whose_texts_differ_in_where_a_bar_stands_are_two(desk: Desk) -> None:
    bring(desk, line("Other fee", "-1.00", **{"Reference ID": "a|b", "Description": "c\\"}))
    bring(desk, line("Other fee", "-1.00", **{"Reference ID": "a", "Description": "b|c\\"}))
    assert stored(desk, "reference_id, description") == [("a", "b|c\\"), ("a|b", "c\\")]


def test_a_report_with_few_columns_is_read(desk: Desk) -> None:
    report = desk.bring(
        "Transaction creation date,Type,Order number,Net amount\nAug-02-2026,Other fee,--,-1.00\n",
        "ebay_transactions",
    )
    assert (report.problem, report.counts.inserted) == (None, 1)


def test_an_older_report_that_is_imported_late_takes_no_payout_back(desk: Desk) -> None:
    sent = PAYOUT | {"Payout status": "Funds sent"}
    older, newer = claimed(desk, (PAYOUT, FEE), (sent, FEE))
    assert ingest(desk.pipeline, newer).counts.inserted == 2
    late = ingest(desk.pipeline, older)
    assert (late.counts.kept, late.counts.unchanged) == (1, 1)
    assert ("Payout", "Funds sent") in stored(desk, "type, payout_status")


def test_a_payout_that_a_later_report_found_unchanged_is_that_report_s(desk: Desk) -> None:
    sent = PAYOUT | {"Payout status": "Funds sent"}
    first, second, third = claimed(desk, (PAYOUT,), (sent,), (PAYOUT, FEE))
    assert ingest(desk.pipeline, first).counts.inserted == 1
    assert ingest(desk.pipeline, third).counts.unchanged == 1
    assert ingest(desk.pipeline, second).counts.kept == 1


def test_an_order_whose_fees_were_corrected_is_the_same_order(desk: Desk) -> None:
    bring(desk, ORDER)
    report = bring(desk, ORDER | {"Net amount": "9.40", "Final Value Fee - fixed": "-0.40"})
    assert (report.counts.updated, len(stored(desk))) == (1, 1)


def test_reports_that_overlap_and_were_joined_are_refused(desk: Desk) -> None:
    other = ORDER | {"Item ID": "2551"}
    report = bring(desk, ORDER, other, FEE, ORDER, other, FEE, name="both.csv")
    assert report.problem == (
        "both.csv: one Order row for item 2550 and transaction 3001 of order 12-34567-89012 was "
        "needed; lines 11 and 14 have it, as reports that overlap do once they are joined; bring "
        "each of them by itself"
    )


def test_reports_that_were_joined_with_what_stands_above_them_are_refused(desk: Desk) -> None:
    joined = text(ORDER, FEE) + text(line("Refund", "-9.50") | ITEM, FEE)
    report = desk.bring(joined, "ebay_transactions", name="both.csv")
    assert report.problem == (
        "both.csv: one report was needed; periods start on lines 6 and 18; bring each report by "
        "itself"
    )


def test_a_fee_that_was_rejected_and_comes_back_is_one_more_beside_its_like(desk: Desk) -> None:
    report = bring(desk, FEE, FEE | {"Transaction creation date": "Aug-40-2026"})
    assert [reject.rule for reject in desk.rejects(report)] == ["created_on.date"]
    corrected = sent_out(desk, report).replace("Aug-40", "Aug-02")
    assert desk.bring(corrected, "ebay_transactions").counts.inserted == 1
    assert bring(desk, FEE, FEE).counts.unchanged == 2


def test_an_order_that_was_rejected_and_came_with_another_report_is_there_once(desk: Desk) -> None:
    report = bring(desk, ORDER | {"Quantity": "x"})
    bring(desk, ORDER | {"Quantity": "1", "Payout ID": "55"})
    corrected = sent_out(desk, report).replace(",x,", ",1,")
    assert desk.bring(corrected, "ebay_transactions").counts.kept == 1
    assert stored(desk, "type, payout_id") == [("Order", "55")]


def test_a_wrong_declaration_of_what_is_counted_is_refused() -> None:
    with pytest.raises(SetupError, match="rows that have a key are not counted"):
        replace(EBAY_TRANSACTIONS, key=("movement",))
    with pytest.raises(SetupError, match="the contract has no 'fee'"):
        replace(EBAY_TRANSACTIONS, counted=("fee",))


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        ("($25.99)", "-25.99"),
        ("-1,009.50", "-1009.50"),
        ("AU $3,000.00", "3000.00"),
        ("65.0", "65.00"),
    ],
)
def test_amounts_are_read_as_the_report_writes_them(desk: Desk, written: str, amount: str) -> None:
    bring(desk, ORDER | {"Net amount": written})
    assert stored(desk, "net_amount::text") == [(amount,)]


@pytest.mark.parametrize("written", ["", "--"])
def test_a_movement_without_a_net_amount_is_rejected(desk: Desk, written: str) -> None:
    report = bring(desk, ORDER | {"Net amount": written}, FEE | {"Net amount": "0.00"})
    assert [reject.rule for reject in desk.rejects(report)] == ["net_amount.required"]
    assert report.counts.inserted == 1


@pytest.mark.parametrize("written", ["NaN", "1e3", "Infinity"])
def test_what_is_no_money_is_rejected(desk: Desk, written: str) -> None:
    report = bring(desk, ORDER | {"Net amount": written}, FEE)
    assert [reject.rule for reject in desk.rejects(report)] == ["net_amount.decimal"]


def test_zips_of_buyers_are_text(desk: Desk) -> None:
    bring(desk, ORDER | {"Ship to zip": "02139"}, FEE | {"Ship to zip": "00501"})
    assert stored(desk, "ship_to_zip") == [("00501",), ("02139",)]


def test_two_dashes_are_no_value_and_no_part_of_what_a_row_is_known_by(desk: Desk) -> None:
    bring(desk, FEE)
    report = bring(desk, {**dict.fromkeys(NAMES, ""), **FEE}, preamble="")
    assert report.counts.unchanged == 1


def test_an_orders_report_is_no_transaction_report(desk: Desk) -> None:
    report = desk.bring("Order number,Item ID,Sold For\n1,2,3\n", "ebay_transactions")
    assert report.problem_code == "missing_column"


def test_a_day_of_the_finance_reports_is_read(desk: Desk) -> None:
    bring(desk, ORDER | {"Transaction creation date": "24-Feb-25"})
    assert stored(desk, "created_on::text") == [("2025-02-24",)]


def test_no_movement_is_told_by_what_goes_on() -> None:
    changing = {"payout_on", "payout_id", "payout_method", "payout_status", "reason_for_hold"}
    assert EBAY_TRANSACTIONS.counted == ("movement",)
    assert changing < {column.name for column in EBAY_TRANSACTIONS.columns}


@pytest.mark.parametrize(
    ("cells", "needed"),
    [
        (
            {"Net amount": "AU $9.50", "Payout currency": "USD"},
            "net_amount.currency (an amount in USD",
        ),
        (
            {"Net amount": "$9.50", "Payout currency": "EUR"},
            "'$9.50' breaks rule net_amount.currency",
        ),
        (
            {"Item subtotal": "£9.50", "Payout currency": "USD", "Transaction currency": "CAD"},
            "'£9.50' breaks rule item_subtotal.currency (an amount in USD or CAD, as its row says)",
        ),
        (
            {
                "Gross transaction amount": "9.50 USD",
                "Payout currency": "USD",
                "Transaction currency": "CAD",
            },
            "gross_amount.currency (an amount in CAD",
        ),
    ],
)
def test_an_amount_in_another_currency_than_its_row_says_is_rejected(
    desk: Desk, cells: dict[str, str], needed: str
) -> None:
    report = bring(desk, ORDER | cells, FEE)
    (reject,) = desk.rejects(report)
    assert needed in reject.message


@pytest.mark.parametrize(
    "cells",
    [
        {"Net amount": "AU $9.50", "Payout currency": "AUD"},
        {"Net amount": "AU $9.50"},
        {"Net amount": "$9.50", "Payout currency": "CAD"},
        {"Item subtotal": "£8.00", "Payout currency": "USD", "Transaction currency": "GBP"},
        {"Item subtotal": "$8.00", "Payout currency": "USD", "Transaction currency": "GBP"},
    ],
)
def test_an_amount_in_a_currency_that_its_row_says_is_read(
    desk: Desk, cells: dict[str, str]
) -> None:
    assert bring(desk, ORDER | cells).counts.inserted == 1
