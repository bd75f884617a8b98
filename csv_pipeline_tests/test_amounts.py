"""Amounts and whole numbers keep their sign, currency and every digit, or they are rejects."""
# ruff: noqa: RUF001  # signs that look like others are what this is about

import sys
from decimal import Decimal

import polars as pl
import pytest

from csv_pipeline.account import Account, DecimalMark
from csv_pipeline.casts import decimals, integers
from csv_pipeline.casts.currencies import stated
from csv_pipeline.casts.signs import digits
from csv_pipeline.engine.accounts import declare
from csv_pipeline.errors import SetupError
from csv_pipeline_tests.conftest import Desk

MONEY = pl.Decimal(18, 2)


def money(text: str, mark: str | None = None) -> Decimal | None:
    return decimals.cast(pl.Series([text]), MONEY, mark).item()  # type: ignore[no-any-return]


def currency(text: str) -> str | None:
    return decimals.currency(pl.Series([text])).item()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [
        ("$(18.40)", "-18.40", "$"),
        ("($18.40)", "-18.40", "$"),
        ("(EUR 5,00)", "-5.00", "EUR"),
        ("( 5,00 € )", "-5.00", "EUR"),
        ("$+75.00", "75.00", "$"),
        ("€-5,00", "-5.00", "EUR"),
        ("18.40-", "-18.40", None),
        ("5.00 USD-", "-5.00", "USD"),
        ("–6.10", "-6.10", None),
        ("CHF 12.–", "12.00", "CHF"),
        ("12,-", "12.00", None),
        ("100:-", "100.00", None),
        ("1'234'567.80", "1234567.80", None),
        ("Fr. 1’234.50", "1234.50", "CHF"),
        ("₹ 2,00,000.00", "200000.00", "INR"),
        ("1,23,456.78", "123456.78", None),
        ("￥１，２３４．５０", "1234.50", "¥"),
        ("١٬٢٣٤٫٥٠", "1234.50", None),
        ("48,00 zł", "48.00", "PLN"),
        ("120,50 kr", "120.50", "kr"),
        ("kr. 1 200,50", "1200.50", "kr"),
        ("R$ 1.234,56", "1234.56", "BRL"),
        ("5,50 руб.", "5.50", "RUB"),
        ("$5.00 CAD", "5.00", "CAD"),
        ("\u200e$5.00", "5.00", "$"),
        ("\u3000EUR\u2009 1\u202f234,50", "1234.50", "EUR"),
        (".5", "0.50", None),
        ("$.50", "0.50", "$"),
        ("Rs. 500/-", "500.00", "Rs"),
        ("₹1,20,000.50/-", "120000.50", "INR"),
        ("KES 500/=", "500.00", "KES"),
        ("500 /-", "500.00", None),
        ("$ -", "0.00", "$"),
        ("$-", "0.00", "$"),
        ("-   €", "0.00", "EUR"),
        ("CHF –", "0.00", "CHF"),
        ("kr. -", "0.00", "kr"),
    ],
)
def test_an_amount_with_one_reading_is_read(text: str, amount: str, unit: str | None) -> None:
    assert (money(text.strip()), currency(text.strip())) == (Decimal(amount), unit)


def test_a_dash_with_a_currency_is_nought_and_said_to_be(desk: Desk) -> None:
    report = desk.bring('ID|Name|Amount\n1|A|$ -\n2|B|"$ 1,200.00"\n3|C| $-   \n4|D|-\n')
    found = [row.amount for row in desk.rows(columns="amount, person_id", order="2")]
    assert found == [Decimal(0), Decimal("1200.00"), Decimal(0), None]
    (said,) = [one for one in report.evidence if one.subject == "a dash in Amount"]
    assert said.decision == "0"
    assert "'$ -' in row 2, like 1 more" in said.because


@pytest.mark.parametrize("declared", [None, "INR", "PKR"])
def test_rupees_are_those_that_the_account_declares(desk: Desk, declared: str | None) -> None:
    desk.declare(currency=declared)
    desk.bring(
        "Order ID,Buyer Name,Order Total,Order Date\n21-50500-00001,A,Rs. 500/-,2026-05-01\n",
        "ebay_orders",
    )
    (row,) = desk.rows("ebay_orders", "total_price, currency")
    assert tuple(row) == (Decimal(500), declared or "Rs")


@pytest.mark.parametrize(
    "text",
    [
        *("-(5.00)", "(5.00)-", "(-5)", "+-5", "(5", "5)", "5-6", "$5 EUR", "EUR 5 USD", "5 R"),
        *("Fr. -.50", "75 kr.-", "12:50 kr", "12²", "½", "①", "5 %", "0,5 l", "1.2.3", "1,2345"),
        *("1 23", "1  234", "1'23", "1,234'567", "0.5 BTC", "1e3", "NaN", "5.00 CR", "A1B2", "$"),
        *("abc -", "$ - €", "-$-", "$ --", "5-/-", "/-", "$/-", "1/2", "5 -/", "$ -.-", "($ -)"),
    ],
)
@pytest.mark.parametrize("mark", [None, *DecimalMark])
def test_an_amount_with_none_or_two_readings_is_none(text: str, mark: str | None) -> None:
    assert money(text, mark) is None


def test_a_nought_before_a_comma_groups_no_thousands() -> None:
    assert money("0,123", DecimalMark.POINT) is None


@pytest.mark.parametrize(
    ("around", "code"),
    [
        ("us $|", "USD"),
        ("|EURO", "EUR"),
        ("Kč|", "CZK"),
        ("R|", "ZAR"),
        ("|R", None),
        ("pcs|", None),
        ("VED|", "VED"),
        ("|XAD", "XAD"),
        ("CHW|", "CHW"),
        ("|RUR", "RUR"),
        ("|VEB", "VEB"),
        ("XXX|", None),
        ("|XTS", None),
    ],
)
def test_a_currency_is_known_by_code_sign_or_word(around: str, code: str | None) -> None:
    assert stated(around) == code


def test_an_amount_too_large_is_called_so(desk: Desk) -> None:
    report = desk.bring(f"ID,Name,Amount\n1,A,{'9' * 17}\n2,B,1.555\n3,C,1.50\n")
    large, exact = desk.rejects(report)
    assert large.rule == "amount.too_large"
    assert "larger than an amount can be here; 16 digits" in large.message
    assert exact.rule == "amount.decimal"


def test_a_number_with_a_power_of_ten_is_called_so(desk: Desk) -> None:
    people = desk.bring("ID,Name,Amount\n1,A,7e1\n2,B,1.2E+03\n3,C,1.50\n")
    watched = desk.bring("Key,Version\na,7e1\nb,1\n", "watched")
    found = [*desk.rejects(people), *desk.rejects(watched)]
    assert [one.rule for one in found] == ["amount.decimal", "amount.decimal", "version.integer"]
    assert all("writes E for a power of ten" in one.message for one in found)


@pytest.mark.parametrize(
    ("text", "mark", "number"),
    [
        ("1,200", DecimalMark.POINT, 1200),
        ("1.200", DecimalMark.COMMA, 1200),
        ("1,234", None, 1234),
        ("3,0", None, 3),
        ("3.00", DecimalMark.POINT, 3),
        ("+5", None, 5),
        ("1 234", None, 1234),
        ("1’234", None, 1234),
        ("(5)", None, -5),
        ("９", None, 9),
        ("9223372036854775807", None, 2**63 - 1),
        ("-9223372036854775808", None, -(2**63)),
        ("1.5", None, None),
        ("1.5", DecimalMark.COMMA, None),
        ("1,234", DecimalMark.COMMA, None),
        ("$5", None, None),
        ("5 pcs", None, None),
        ("1e3", None, None),
        ("0x1F", None, None),
        ("9223372036854775808", None, None),
    ],
)
def test_a_whole_number_is_read_or_it_is_none(
    text: str, mark: str | None, number: int | None
) -> None:
    assert integers.cast(pl.Series([text]), mark).item() == number


def versions(desk: Desk, rows: str) -> list[int]:
    report = desk.bring(f"Key,Version\n{rows}", "watched")
    assert report.counts.inserted, report.problem
    return [row.version for row in desk.rows("watched", "version, key", order="2")]


def test_whole_numbers_settle_each_other(desk: Desk) -> None:
    assert versions(desk, 'a,"1,000"\nb,"1,234"\n') == [1000, 1234]


def test_a_whole_number_that_may_be_1_or_1000_refuses_the_file(desk: Desk) -> None:
    assert desk.bring('Key,Version\na,"1,000"\n', "watched").problem_code == "undecidable"


def test_the_account_says_what_the_mark_in_a_whole_number_is(desk: Desk) -> None:
    desk.declare(decimal_mark=DecimalMark.COMMA)
    assert versions(desk, 'a,"1.000"\nb,"1,000"\n') == [1000, 1]


@pytest.mark.parametrize("declared", [True, False])
def test_a_whole_number_that_may_be_1_or_1000_refuses_a_file_that_says_both(
    desk: Desk, *, declared: bool
) -> None:
    if declared:
        desk.declare(decimal_mark=DecimalMark.POINT)
    report = desk.bring("Shift,Break,Pay\na,1.000,12.50\nb,1.234,3.99\n", "shifts")
    assert (report.problem_code, desk.rows("shifts")) == ("contradiction", [])
    assert "'1.234' in row 3 can only be comma" in (report.problem or "")


def test_a_part_of_a_number_is_a_reject_where_none_may_be_1_or_1000(desk: Desk) -> None:
    report = desk.bring("Shift,Break,Pay\na,1,12.50\nb,2.500,3.99\n", "shifts")
    assert [reject.line_number for reject in desk.rejects(report)] == [3]


def test_a_whole_number_too_large_is_called_so(desk: Desk) -> None:
    report = desk.bring("Key,Version\na,9223372036854775808\nb,1\n", "watched")
    (reject,) = desk.rejects(report)
    assert reject.rule == "version.too_large"
    assert "larger than a whole number can be here" in reject.message


ORDERS = "Order ID;Buyer Name;Order Total;Shipping And Handling;Order Date\n"


@pytest.mark.parametrize(
    ("total", "shipping", "stored"),
    [
        ("EUR 40,00", "5,00 €", "EUR"),
        ("EUR 40,00", "5,00", "EUR"),
        ("40,00", "kr 5,00", "kr"),
        ("$40.00", "USD 5.00", "USD"),
        ("SEK 40.00", "5.00 kr", "SEK"),
    ],
)
def test_a_row_has_the_currency_that_any_of_its_amounts_states(
    desk: Desk, total: str, shipping: str, stored: str
) -> None:
    desk.bring(f"{ORDERS}12-34567-00001;Ann;{total};{shipping};2026-05-26\n", "ebay_orders")
    assert [row.currency for row in desk.rows("ebay_orders", "currency")] == [stored]


@pytest.mark.parametrize(
    ("total", "shipping"),
    [("EUR 40,00", "$5,00"), ("$40.00", "AU $5.00"), ("kr 4,00", "€ 5,00"), ("40 zł", "5 Kč")],
)
def test_two_currencies_in_a_row_are_a_reject(desk: Desk, total: str, shipping: str) -> None:
    rows = f"1;Ann;{total};{shipping};2026-05-26\n12-34567-00002;Ben;4,00 €;1,00 €;2026-05-26\n"
    report = desk.bring(f"{ORDERS}12-34567-0000{rows}", "ebay_orders")
    (reject,) = desk.rejects(report)
    assert (report.counts.inserted, reject.line_number) == (1, 2)
    assert reject.rule in {"shipping_and_handling.currency", "total_price.currency"}


def test_a_bare_sign_is_the_currency_that_the_account_declares(desk: Desk) -> None:
    desk.declare(currency="CAD")
    desk.bring(f"{ORDERS}12-34567-00001;Ann;$40.00;CA $5.00;2026-05-26\n", "ebay_orders")
    assert desk.rows("ebay_orders", "currency")[0].currency == "CAD"


def test_a_currency_that_a_sign_cannot_be_does_not_replace_it(desk: Desk) -> None:
    desk.declare(currency="EUR")
    desk.bring(f"{ORDERS}12-34567-00001;Ann;$40.00;5.00;2026-05-26\n", "ebay_orders")
    assert desk.rows("ebay_orders", "currency")[0].currency == "$"


def test_what_is_no_currency_is_declared_by_nobody(desk: Desk) -> None:
    with pytest.raises(SetupError, match="found 'DOLLAR'"):
        declare(desk.pipeline, Account(account=desk.account), {"currency": "dollar"})


def test_a_declared_currency_is_kept_by_its_code(desk: Desk) -> None:
    declare(desk.pipeline, Account(account=desk.account), {"currency": "sek"})
    assert desk.pipeline.account(desk.account).currency == "SEK"


def test_two_currencies_in_a_column_without_one_for_them_refuse_the_file(desk: Desk) -> None:
    report = desk.bring("ID,Name,Amount\n1,A,$5.00\n2,B,£6.00\n3,C,$7.00\n", name="p.csv")
    assert report.problem_code == "mixed_currencies"
    assert report.problem == (
        "p.csv: column 'Amount' needs amounts in one currency, as feed 'people' has no column that "
        "says in which they are; they state $ in 2 (the first in row 2), GBP in 1 (the first in "
        "row 3)"
    )


def test_one_currency_in_a_column_without_one_for_it_is_told(desk: Desk) -> None:
    report = desk.bring("ID,Name,Amount\n1,A,€5.00\n2,B,6.00\n")
    assert report.counts.inserted == 2
    (told,) = (one for one in report.evidence if one.subject == "currency of Amount")
    assert told.decision == "EUR"
    assert "stores them without" in told.because


ORDER = "Order ID,Buyer Name,Order Date,Order Total,Currency\n"


def test_a_currency_in_a_column_of_its_own_is_that_of_the_row(desk: Desk) -> None:
    rows = "11-22222-00001,A,2026-01-13,$1.20,USD\n11-22222-00002,B,2026-01-13,1.20,EUR\n"
    report = desk.bring(ORDER + rows, "ebay_orders")
    assert (report.counts.inserted, report.drift.added) == (2, ())
    found = desk.rows("ebay_orders", "order_id, currency")
    assert [tuple(row) for row in found] == [("11-22222-00001", "USD"), ("11-22222-00002", "EUR")]


def test_an_amount_in_another_currency_than_its_column_says_is_a_reject(desk: Desk) -> None:
    report = desk.bring(ORDER + "11-22222-00001,A,2026-01-13,£1.20,EUR\n", "ebay_orders")
    assert [fault.rule for fault in desk.rejects(report)] == ["total_price.currency"]


def test_two_columns_of_one_amount_that_differ_contest_the_amount_only(desk: Desk) -> None:
    header = "Order ID,Buyer Name,Order Date,Order Total,Order Total\n"
    row = "11-22222-00001,A,2026-01-13,1.23,1.24\n"
    report = desk.bring(header + row, "ebay_orders")
    assert [fault.rule for fault in desk.rejects(report)] == ["total_price.contested"]


def test_the_digits_of_every_script_are_known() -> None:
    every = (chr(code) for code in range(0x80, sys.maxunicode + 1))
    assert {sign for sign in every if sign.isdecimal()} == digits().keys()
