"""Ids that look the same are the same, and those that a spreadsheet has damaged are rejects."""
# ruff: noqa: RUF001  # signs that look like others are what this is about

import polars as pl
import pytest

from csv_pipeline.casts.cells import choices
from csv_pipeline.spec.contract import Contract, column
from csv_pipeline.spec.feed import Feed
from csv_pipeline_tests.conftest import Desk

HEADER = "Customer ID,Name,City\n"


def keys(desk: Desk) -> list[str]:
    rows = desk.rows("customers", "customer_key, _row_number", order="2")
    return [row.customer_key for row in rows]


def rules(desk: Desk, text: str, feed: str = "customers") -> list[tuple[int, str]]:
    report = desk.bring(text, feed)
    return [(reject.line_number, reject.rule) for reject in desk.rejects(report)]


@pytest.mark.parametrize(
    "written",
    [
        *(
            "\ufeffAB 1",
            "AB 1\u200b",
            "\u200eAB 1\u200f",
            "AB\u00a01",
            "\u3000AB 1\u202f",
            "A\u00adB 1",
        ),
        *("\u2066AB\u20091\u2069", '="AB 1"', '"=""AB 1"""'),
        *("AB\x08 1", "AB 1\x1a", "AB\t1", '"AB\n1"', "A\x7fB 1"),
    ],
)
def test_an_id_that_looks_the_same_is_the_same(desk: Desk, written: str) -> None:
    desk.bring(f"{HEADER}AB 1,Ann,Ayr\n", "customers")
    report = desk.bring(f"{HEADER}{written},Ann,Bute\n", "customers")
    assert (report.counts.updated, keys(desk)) == (1, ["AB 1"])


def test_an_id_is_the_same_in_composed_and_in_single_letters(desk: Desk) -> None:
    desk.bring(f"{HEADER}Caf\u00e9 \u1e691,Ann,Ayr\n", "customers")
    report = desk.bring(f"{HEADER}Cafe\u0301 s\u0307\u03231,Ann,Bute\n", "customers")
    assert (report.counts.updated, keys(desk)) == (1, ["Caf\u00e9 \u1e691"])


def test_letters_that_look_different_stay_ids_of_their_own(desk: Desk) -> None:
    desk.bring(
        f"{HEADER}AB1,Ann,Ayr\nab1,Ann,Ayr\n\uff21\uff221,Ann,Ayr\n01,Ann,Ayr\n1,Ann,Ayr\n",
        "customers",
    )
    assert len(keys(desk)) == 5


@pytest.mark.parametrize(
    ("written", "stored"),
    [("'00417", "00417"), ("'+49 30 1", "+49 30 1"), ("'t Hooft", "'t Hooft"), ("'90s", "'90s")],
)
def test_the_apostrophe_that_keeps_digits_as_text_is_no_part_of_an_id(
    desk: Desk, written: str, stored: str
) -> None:
    desk.bring(f"{HEADER}{stored},Ann,Ayr\n", "customers")
    report = desk.bring(f"{HEADER}{written},Ann,Bute\n", "customers")
    assert (report.counts.updated, keys(desk)) == (1, [stored])


def test_an_id_of_invisible_signs_only_is_none(desk: Desk) -> None:
    assert rules(desk, f"{HEADER}\u200b,Ann,Ayr\nA,Ann,Ayr\n") == [(2, "customer_key.required")]


def test_other_text_is_kept_as_it_is(desk: Desk) -> None:
    desk.bring(f"{HEADER}A,Zoe\u0308\u200d\u00a0K,#1 in town\nB,=A1,### \n", "customers")
    rows = desk.rows("customers", "name, city, customer_key", order="3")
    assert [tuple(row)[:2] for row in rows] == [
        ("Zoe\u0308\u200d\u00a0K", "#1 in town"),
        ("=A1", "###"),
    ]


@pytest.mark.parametrize("damaged", ["4.51E+12", '"4,51E+12"', "1E+15", "4.51e+16", "4.51E12"])
def test_an_id_that_became_a_number_is_a_reject(desk: Desk, damaged: str) -> None:
    assert rules(desk, f"{HEADER}{damaged},Ann,Ayr\nA,Ann,Ayr\n") == [
        (2, "customer_id.spreadsheet_number")
    ]


@pytest.mark.parametrize("fine", ["1E5", "12E10", "E+12", "4.51", "A4.51E+12", "1E-5"])
def test_an_id_with_an_e_in_it_is_an_id(desk: Desk, fine: str) -> None:
    assert rules(desk, f"{HEADER}{fine},Ann,Ayr\n") == []


def test_a_number_in_other_text_is_text(desk: Desk) -> None:
    assert rules(desk, f"{HEADER}A,4.51E+12,Ayr\n") == []


@pytest.mark.parametrize(
    "error",
    [
        *("#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NUM!", "#NULL!", "#N/A", "########", "####"),
        *("#BEZUG!", "#NV", "#VALEUR!", "#¡VALOR!", "#ССЫЛКА!", "Err:502", '="#REF!"'),
    ],
)
@pytest.mark.parametrize("row", ["{},Ann,Ayr", "A,{},Ayr"], ids=["in an id", "in text"])
def test_an_error_of_a_spreadsheet_is_a_reject(desk: Desk, error: str, row: str) -> None:
    ((line, rule),) = rules(desk, f"{HEADER}{row.format(error)}\nB,Ben,Ayr\n")
    assert (line, rule.partition(".")[2]) == (2, "spreadsheet_error")


@pytest.mark.parametrize("of", ["1,A,{},,", "1,A,,{},"], ids=["amount", "date"])
def test_an_error_of_a_spreadsheet_is_called_so_in_every_column(desk: Desk, of: str) -> None:
    text = f"ID,Name,Amount,Born,Secret\n{of.format('#DIV/0!')}\n2,B,,,\n"
    ((_, rule),) = rules(desk, text, "people")
    assert rule.endswith(".spreadsheet_error")


def warnings(desk: Desk, ids: list[str]) -> list[tuple[str, int, tuple[int, ...]]]:
    rows = "".join(f"{one},Ann,Ayr\n" for one in ids)
    report = desk.bring(HEADER + rows, "customers")
    assert report.counts.inserted, report.problem
    return [
        (one.code, one.count, one.line_numbers)
        for one in report.warnings
        if one.code.startswith("ids.")
    ]


def test_ids_that_a_spreadsheet_rounded_are_a_warning(desk: Desk) -> None:
    ids = ["8912345678901234567", "8912345678901230000", "8912345678901250000"]
    assert warnings(desk, ids) == [("ids.rounded_by_spreadsheet", 2, (3, 4))]


@pytest.mark.parametrize("made", ["12-Mar", "Mar-12", "1-Dez", "12. Mrz", "Okt 05"])
def test_ids_that_a_spreadsheet_made_dates_of_are_a_warning(desk: Desk, made: str) -> None:
    found = warnings(desk, ["CUP-1", made, "CUP-2"])
    assert found == [("ids.dates_by_spreadsheet", 1, (3,))]
    assert any(row.customer_id == made for row in desk.rows("customers"))


@pytest.mark.parametrize(
    "ids", [["Jan-24", "Feb-24", "X-1"], ["MARS-12", "A12-Mar", "X", "Y"], ["12-March-7", "X", "Y"]]
)
def test_ids_that_are_months_or_only_like_dates_are_no_warning(desk: Desk, ids: list[str]) -> None:
    assert warnings(desk, ids) == []


def test_ids_that_end_in_a_nought_as_often_as_chance_has_it_are_no_warning(desk: Desk) -> None:
    assert warnings(desk, [str(4_006_381_333_931_200 + n) for n in range(100)]) == []


@pytest.mark.parametrize("others", [[], ["\u200bX-1"]])
def test_case_and_zeros_are_alike_where_the_contract_says_so(desk: Desk, others: list[str]) -> None:
    ids = ["Ab", "AB", "417", "000417", "STRASSE", "stra\u00dfe", "1234567", *others]
    stored = ["000417", "1234567", "ab", "strasse", *(["x-1"] if others else [])]
    for numbers in (ids, ["Ab", "417"]):  # all plain, or not
        desk.bring("Number,Name\n" + "".join(f"{number},\n" for number in numbers), "parts")
        assert [row.number for row in desk.rows("parts", "number")] == stored


class Listing(Contract):
    """A listing whose state is one of some words."""

    sku: str = column("SKU")
    state: str = column("State", choices={"Große Straße": "street", "açık": "open"})


def test_choices_match_by_the_case_folding_they_are_declared_with() -> None:
    (_, state) = Feed(name="listings", description="L.", contract=Listing, key=("sku",)).columns
    values = pl.Series(
        ["GROSSE STRASSE", "große_straße", "AÇIK", "aÇık", "ＧＲＯＳＳＥ straße", "x", None]
    )
    assert choices(values, state).to_list() == [
        *("street", "street", "open", "open", "street", None, None)
    ]
