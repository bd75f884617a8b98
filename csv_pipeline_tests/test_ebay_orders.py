"""Seller Hub reports of every age and language on record."""

import datetime as dt
from decimal import Decimal

import pytest

from csv_pipeline.model import Outcome
from csv_pipeline_tests.conftest import Desk

HEADER = (
    "Sales Record Number,Order Number,Item Number,Transaction ID,Sold For,Total Price,Sale Date"
)
ROW = "7,11-10000-00001,220,100,$5.00,$6.00,Sep-18-26"


def footer(records: int, seller: str = "shop") -> str:
    return f"\n{records},record(s) downloaded,from Sep-01-26 to Sep-30-26\nSeller ID : {seller}\n"


def test_a_german_report_is_read(desk: Desk) -> None:
    report = desk.bring(
        "\ufeff\nVerkaufsprotokollnummer;Bestellnummer;Artikelnummer;Angebotstitel;Anzahl;"
        "Verkauft für;Verpackung und Versand;Gesamtbetrag;Verkauft am;Nutzername des Käufers\n"
        ";;;;;;;;;\n"
        "7;11-10000-00001;220;Mütze;2;EUR 1.090,00;EUR 4,90;EUR 2.184,90;10-Dez-25;käufer\n",
        "ebay_orders",
    )
    row = desk.rows("ebay_orders", "sold_for, total_price, currency, sold_on, buyer_username")[0]
    assert tuple(row) == (
        Decimal("1090.00"),
        Decimal("2184.90"),
        "EUR",
        dt.date(2025, 12, 10),
        "käufer",
    )
    assert (report.counts.read, report.counts.non_data, report.counts.blank) == (1, 1, 1)


def test_a_british_report_is_read(desk: Desk) -> None:
    desk.bring(
        "Sales record number,Order number,Item number,Sold for,Postage and packaging,Total price,"
        "Sale date,Post to name,Post to postcode,Dispatched on date,Delivery service\n"
        '7,11-10000-00001,220,"£1,012.50",£2.50,"£1,015.00",26-May-26,Al,SW1A 1AA,27-May-26,Post\n',
        "ebay_orders",
    )
    row = desk.rows(
        "ebay_orders",
        "sold_for, shipping_and_handling, currency, ship_to_zip, shipped_on, shipping_service",
    )[0]
    assert tuple(row) == (
        Decimal("1012.50"),
        Decimal("2.50"),
        "GBP",
        "SW1A 1AA",
        dt.date(2026, 5, 27),
        "Post",
    )


def test_an_australian_report_is_read(desk: Desk) -> None:
    desk.bring(
        "Sales Record Number,Order Number,Item Number,Item Price,Postage And Handling,Order Date\n"
        '7,11-10000-00001,220,"AU $3,000.00",AU $0.00,26-May-26\n',
        "ebay_orders",
    )
    row = desk.rows("ebay_orders", "sold_for, currency, sold_on")[0]
    assert tuple(row) == (Decimal("3000.00"), "AUD", dt.date(2026, 5, 26))


def test_a_french_report_is_read(desk: Desk) -> None:
    desk.bring(
        "Numéro de vente;Numéro de commande;Numéro de l'objet;Pseudo de l’acheteur;Vendu pour;"
        "Date de vente\n"
        "7;11-10000-00001;220;acheteur;1\u202f234,50 €;05-oct.-26\n",
        "ebay_orders",
    )
    row = desk.rows("ebay_orders", "sold_for, currency, sold_on, buyer_username")[0]
    assert tuple(row) == (Decimal("1234.50"), "EUR", dt.date(2026, 10, 5), "acheteur")


def test_a_report_in_windows_1252_is_read_and_says_so(desk: Desk) -> None:
    text = f"{HEADER},Buyer Name\n{ROW},Zoë\n"
    report = desk.bring(text.encode("cp1252"), "ebay_orders")
    assert desk.rows("ebay_orders", "buyer_name")[0].buyer_name == "Zoë"
    assert report.evidence[0].decision == "cp1252"


def test_two_dashes_are_no_value(desk: Desk) -> None:
    desk.bring(f"{HEADER}\n7,11-10000-00001,220,100,--,$6.00,--\n", "ebay_orders")
    assert tuple(desk.rows("ebay_orders", "sold_for, sold_on")[0]) == (None, None)


def test_a_right_footer_is_non_data(desk: Desk) -> None:
    desk.declare(seller_id="Shop")
    report = desk.bring(f"{HEADER}\n{ROW}\n{footer(1)}", "ebay_orders")
    assert (report.counts.inserted, report.counts.non_data, report.counts.blank) == (1, 2, 1)


@pytest.mark.parametrize(
    "padded",
    [
        f'"1","record(s) downloaded","from Sep-01-26 to Sep-30-26"{"," * 4}',
        '"1,record(s) downloaded,from Sep-01-26 to Sep-30-26"',
        "1 record(s) downloaded",
    ],
    ids=["full width", "one cell", "no delimiter"],
)
def test_a_footer_may_be_padded_or_one_cell(desk: Desk, padded: str) -> None:
    report = desk.bring(f"{HEADER}\n{ROW}\n{padded}\nSeller ID : shop{',' * 6}\n", "ebay_orders")
    assert (report.counts.inserted, report.counts.non_data) == (1, 2)


def test_the_frame_of_a_report_is_non_data_however_it_is_quoted(desk: Desk) -> None:
    """Above the header bare commas behind the byte order mark, below it a row of empty cells."""
    empty = '"","","","","","",""'
    report = desk.bring(
        "\r\n".join(
            [
                f"\ufeff{',' * 6}",
                HEADER.replace("Order Number", '"Order Number"').replace("Sold For", '"Sold For"'),
                empty,
                ROW,
                empty,
                '"1","record(s) downloaded","from Sep-01-26 to Sep-30-26","","","",""',
                '"Seller ID : shop","","","","","",""',
                "",
            ]
        ),
        "ebay_orders",
    )
    counts = report.counts
    assert (counts.read, counts.inserted, counts.non_data, counts.blank) == (1, 1, 5, 0)
    assert (counts.rejected, report.warnings) == (0, ())


def test_a_footer_whose_count_differs_refuses_the_file(desk: Desk) -> None:
    report = desk.bring(f"{HEADER}\n{ROW}\n{footer(2)}", "ebay_orders", name="orders.csv")
    assert (report.outcome, report.problem) == (
        Outcome.REFUSED,
        "orders.csv: the 2 sales records of the footer on line 4 were needed; "
        "the rows above it hold 1",
    )


def test_a_malformed_record_may_be_one_that_the_footer_counts(desk: Desk) -> None:
    report = desk.bring(f"{HEADER}\n{ROW}\n8,11-10000-00002\n{footer(2)}", "ebay_orders")
    assert (report.counts.inserted, report.counts.rejected) == (1, 1)


def test_a_footer_of_another_seller_refuses_the_file(desk: Desk) -> None:
    desk.declare(seller_id="mine")
    report = desk.bring(f"{HEADER}\n{ROW}\n{footer(1)}", "ebay_orders", name="orders.csv")
    assert report.problem == (
        f"orders.csv: the seller 'mine' of account {desk.account!r} was needed; line 5 names 'shop'"
    )


@pytest.mark.parametrize("name", ["Seller ID : an other", "Vendor : other"])
def test_a_report_whose_seller_is_not_told_says_so(desk: Desk, name: str) -> None:
    desk.declare(seller_id="shop")
    text = f"{HEADER}\n{ROW}\n{footer(1)}".replace("Seller ID : shop", name)
    told = [one.told for one in desk.bring(text, "ebay_orders").evidence]
    assert "shop (not proven)" in told


@pytest.mark.parametrize(("other", "refused"), [("other", True), ("SHOP", False)])
def test_joined_reports_of_two_sellers_are_refused_whatever_is_declared(
    desk: Desk, other: str, *, refused: bool
) -> None:
    row = ROW.replace("7,11-10000-00001", "8,11-10000-00002")
    report = desk.bring(
        f"{HEADER}\n{ROW}\n{footer(1)}{HEADER}\n{row}\n{footer(1, other)}", "ebay_orders", "o.csv"
    )
    assert report.problem == (
        "o.csv: reports of one seller were needed; line 5 names 'shop' and line 10 'other'; bring "
        "each seller's by itself, for the account that it is of"
        if refused
        else None
    )
    told = [one.decision for one in report.evidence if one.subject == "seller"]
    assert told == ([] if refused else ["shop"])


def test_concatenated_reports_are_held_each_against_its_own_footer(desk: Desk) -> None:
    other = ROW.replace("7,11-10000-00001", "8,11-10000-00002")
    section = f"{HEADER}\n{ROW}\n{footer(1)}"
    report = desk.bring(
        section + f"{HEADER}\n{other}\n{ROW.replace('220', '221')}\n{footer(2)}", "ebay_orders"
    )
    assert (report.counts.read, report.counts.inserted, report.counts.non_data) == (3, 3, 5)


@pytest.mark.parametrize("mark", ["\ufeff\n", f"\ufeff{',' * 6}\n", "\ufeff"])
def test_the_byte_order_mark_of_a_report_that_was_joined_is_no_row(desk: Desk, mark: str) -> None:
    other = ROW.replace("7,11-10000-00001", "8,11-10000-00002")
    sections = (f"{mark}{HEADER}\n{row}\n{footer(1)}" for row in (ROW, other))
    report = desk.bring("".join(sections), "ebay_orders")
    assert (report.counts.read, report.counts.inserted) == (2, 2)


def test_a_footer_counts_orders_where_the_report_has_no_sales_records(desk: Desk) -> None:
    header, row = (line.split(",", 1)[1] for line in (HEADER, ROW))
    assert desk.bring(f"{header}\n{row}\n{footer(1)}", "ebay_orders").counts.inserted == 1


def test_a_report_of_another_feed_is_refused(desk: Desk) -> None:
    report = desk.bring(
        "Transaction creation date,Type,Order number,Item ID,Transaction ID,Net amount\n"
        "Aug-01-2026,Order,11-10000-00001,220,100,$5.00\n",
        "ebay_orders",
    )
    assert report.problem_code == "missing_column"


def test_a_row_without_any_number_is_rejected(desk: Desk) -> None:
    report = desk.bring(f"{HEADER}\n,,220,100,$5.00,$5.00,Sep-18-26\n", "ebay_orders")
    assert [reject.rule for reject in desk.rejects(report)] == ["order_key.required"]


def test_a_row_is_known_by_its_order_or_record_and_its_item_and_transaction(desk: Desk) -> None:
    unpaid = "9,,220,100,$5.00,$6.00,Sep-18-26"
    desk.bring(f"{HEADER}\n{ROW}\n{unpaid}\n", "ebay_orders")
    same = [ROW.replace("7,", "8,", 1).replace("$5.00", "$5.50"), unpaid.replace("$5", "$4")]
    other = {
        "order": ROW.replace("-00001", "-00002"),
        "item": ROW.replace("220", "0220"),
        "transaction": ROW.replace(",100,", ",101,"),
        "summary row": ROW.replace("220,100", ","),
        "unpaid sale": unpaid.replace("9,", "8,", 1),
    }
    report = desk.bring("\n".join([HEADER, *same, *other.values(), ""]), "ebay_orders")
    counts = report.counts
    assert (counts.updated, counts.inserted, counts.superseded) == (2, len(other), 0)


def test_a_list_of_one_s_own_needs_order_buyer_total_and_day(desk: Desk) -> None:
    names = ["order_id", "buyer_name", "order_total", "order_date"]
    cells = ["11-10000-00001", "Ann", "5.00", "2026-09-18"]
    header, row = ",".join(names), ",".join(cells)
    blank = [",".join(cell if n != at else "" for n, cell in enumerate(cells)) for at in range(4)]
    report = desk.bring("\n".join([header, row, *blank, ""]), "ebay_orders")
    assert report.counts.inserted == 1
    assert sorted({reject.rule for reject in desk.rejects(report)}) == [
        "buyer_name.required",
        "order_id.required",
        "order_key.required",
        "sold_on.required",
        "total_price.required",
    ]
    for at, name in enumerate(names):
        lacking = [",".join(part for n, part in enumerate(of) if n != at) for of in (names, cells)]
        report = desk.bring("\n".join([*lacking, ""]), "ebay_orders")
        assert (report.problem_code, name) == ("missing_column", name)


@pytest.mark.parametrize("word", ["Total", "Summe:", "1.5"])
def test_a_line_of_totals_is_no_unpaid_sale(desk: Desk, word: str) -> None:
    report = desk.bring(f"{HEADER}\n{ROW}\n{word},,,,$5.00,$6.00,\n", "ebay_orders")
    assert report.rejects_by_rule == {"sales_record_number.of_unpaid": 1}
    assert report.counts.inserted == 1


def test_an_order_row_of_several_items_counts_its_items_only(desk: Desk) -> None:
    desk.bring(
        f"{HEADER},Quantity\n"
        "7,11-10000-00001,,,$9.00,$12.00,Sep-18-26,2\n"
        "7,11-10000-00001,220,100,$4.00,,Sep-18-26,1\n"
        "7,11-10000-00001,221,101,$5.00,,Sep-18-26,1\n",
        "ebay_orders",
    )
    total = desk.rows("ebay_order_totals", "revenue, total, items")[0]
    assert tuple(total) == (Decimal("9.00"), Decimal("12.00"), 2)


def test_a_report_without_a_footer_says_that_it_may_be_cut_off(desk: Desk) -> None:
    report = desk.bring(f"{HEADER}\n{ROW}\n", "ebay_orders")
    assert report.evidence[-1].decision == "not proven"
    assert report.evidence[-1].because == ("the report has no footer that counts its sales records")


def test_a_report_without_totals_takes_orders_for_orders(desk: Desk) -> None:
    desk.bring(
        "Order ID,Item ID,Item Price,Order Date\n11-10000-00001,220,$5.00,Sep-18-26\n",
        "ebay_orders",
    )
    assert desk.rows("ebay_orders", "line_kind")[0].line_kind == "single"


def test_a_list_of_one_s_own_may_name_the_item(desk: Desk) -> None:
    report = desk.bring(
        "order_id,buyer_name,order_total,order_date,item_number\n"
        "11-10000-00001,Ann,5.00,2026-09-18,220\n",
        "ebay_orders",
    )
    assert report.counts.inserted == 1


def test_a_late_older_report_takes_no_payment_and_no_shipment_back(desk: Desk) -> None:
    header = (
        "Order Number,Buyer Name,Total Price,Sale Date,Paid On Date,Shipped On Date,Item Number"
    )
    newer = "12-34567-89012,Ann,5.00,2025-01-02,2025-01-03,2025-01-04,7"
    older = "12-34567-89012,Anna,5.00,2025-01-02,,,7"
    desk.bring(f"{header}\n{newer}\n", "ebay_orders")
    report = desk.bring(f"{header}\n{older}\n", "ebay_orders")
    assert report.counts.updated == 1, report.problem
    (row,) = desk.rows("ebay_orders", "buyer_name, paid_on::text, shipped_on::text")
    assert tuple(row) == ("Anna", "2025-01-03", "2025-01-04")


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("Sep-18-26", "2026-09-18"),
        ("26-May-26", "2026-05-26"),
        ("10-Dez-25", "2025-12-10"),
        ("01-Mär-26", "2026-03-01"),
        ("05-oct.-26", "2026-10-05"),
        ('"Aug 31, 2026"', "2026-08-31"),
        ("24-Feb-25", "2025-02-24"),
    ],
)
def test_a_day_of_each_language_and_age_is_read(desk: Desk, written: str, day: str) -> None:
    desk.bring(f"{HEADER}\n{ROW.replace('Sep-18-26', written)}\n", "ebay_orders")
    assert desk.rows("ebay_orders", "sold_on::text")[0][0] == day


@pytest.mark.parametrize(
    ("written", "amount", "currency"),
    [
        ('"$1,022.25"', "1022.25", "$"),
        ('"AU $3,000.00"', "3000.00", "AUD"),
        ('"EUR 90,00"', "90.00", "EUR"),
        ('"£1,012.50"', "1012.50", "GBP"),
        ('"1\u00a0234,50 €"', "1234.50", "EUR"),
        ('"1\u202f234,50\u00a0€"', "1234.50", "EUR"),
        ("($25.99)", "-25.99", "$"),
        ('"-3,666.78"', "-3666.78", None),
        ("65.0", "65.00", None),
    ],
)
def test_an_amount_of_each_country_is_read(
    desk: Desk, written: str, amount: str, currency: str | None
) -> None:
    desk.bring(f"Order Number,Sold For\n11-10000-00001,{written}\n", "ebay_orders")
    assert tuple(desk.rows("ebay_orders", "sold_for::text, currency")[0]) == (amount, currency)


@pytest.mark.parametrize("number", ["11-10000-00001", "1100000000000000001"])
def test_an_order_number_of_either_form_is_taken(desk: Desk, number: str) -> None:
    desk.bring(f"{HEADER}\n{ROW.replace('11-10000-00001', number)}\n", "ebay_orders")
    assert desk.rows("ebay_orders", "order_id")[0].order_id == number


@pytest.mark.parametrize("number", ["11-10000-0001", "110000000000000001", "11 10000 00001"])
def test_an_order_number_of_no_form_is_rejected(desk: Desk, number: str) -> None:
    report = desk.bring(f"{HEADER}\n{ROW.replace('11-10000-00001', number)}\n", "ebay_orders")
    assert [reject.rule for reject in desk.rejects(report)] == ["order_id.matches"]


def test_zips_and_tracking_numbers_are_text(desk: Desk) -> None:
    desk.bring(
        f"{HEADER},Ship To Zip,Buyer Zip,Tracking Number\n"
        f"{ROW},02139,00501,9400100000000000000001\n",
        "ebay_orders",
    )
    row = desk.rows("ebay_orders", "ship_to_zip, buyer_zip, tracking_number")[0]
    assert tuple(row) == ("02139", "00501", "9400100000000000000001")


@pytest.mark.parametrize("none", ["", '""', "--", '"--"'])
def test_what_says_that_there_is_no_value_is_null(desk: Desk, none: str) -> None:
    desk.bring(
        f"{HEADER},Buyer Name\n{ROW.replace('$5.00', none).replace('Sep-18-26', none)},{none}\n",
        "ebay_orders",
    )
    row = desk.rows("ebay_orders", "sold_for, sold_on, buyer_name")[0]
    assert tuple(row) == (None, None, None)


def test_items_keep_out_of_the_address_and_the_total_of_their_order(desk: Desk) -> None:
    desk.bring(
        f"{HEADER},Ship To City\n"
        "7,11-10000-00001,,,$9.00,$12.00,Sep-18-26,Boston\n"
        "7,11-10000-00001,220,100,$4.00,,Sep-18-26,\n"
        "7,11-10000-00001,221,101,$5.00,,Sep-18-26,\n",
        "ebay_orders",
    )
    columns = "item_number, line_kind, total_price::text, ship_to_city"
    assert [tuple(row) for row in desk.rows("ebay_orders", columns)] == [
        ("", "summary", "12.00", "Boston"),
        ("220", "item", None, None),
        ("221", "item", None, None),
    ]


@pytest.mark.parametrize(
    "name",
    [
        "eBay-OrdersReport-Sep-13-2026-23_07_00-0700-11334292920.csv",
        "ebay-all-orders-report-2026-09-13-12345685590.csv",
        "eBay-all-orders-report-2026-09-13-12345685590 (1).csv",
    ],
)
def test_a_report_is_read_under_each_name_that_ebay_gives(desk: Desk, name: str) -> None:
    report = desk.bring(f"{HEADER}\n{ROW}\n{footer(1)}", "ebay_orders", name)
    assert (report.name, report.counts.inserted) == (name, 1)


@pytest.mark.parametrize("written", ["NaN", "Infinity", "-Infinity", "inf", "1e3", "1E+3"])
@pytest.mark.parametrize("column", ["$5.00", "$6.00"])
def test_what_is_no_money_is_rejected(desk: Desk, written: str, column: str) -> None:
    other = ROW.replace("00001", "00002")
    report = desk.bring(f"{HEADER}\n{ROW.replace(column, written)}\n{other}\n", "ebay_orders")
    (reject,) = desk.rejects(report)
    assert (reject.rule.partition(".")[2], reject.value) == ("decimal", written)
