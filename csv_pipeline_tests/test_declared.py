"""What an account declares wrongly is named where it costs rows, with the command to change it."""

from typing import Any

import pytest

from csv_pipeline.account import DateOrder, DecimalMark, Setting
from csv_pipeline_tests.conftest import Desk

COMMA, DAY = DecimalMark.COMMA, DateOrder.DAY_FIRST
NAMES = "ID;Name\n" + "".join(f"{n};Müller{n}\n" for n in range(1, 25))


def test_a_setting_is_declared_and_forgotten_by_a_command() -> None:
    setting = Setting(account="acme", name="date_order")
    assert setting.declare(DAY) == "csv-pipeline account acme --date-order day-first"
    assert setting.forget == "csv-pipeline account acme --forget date-order"


@pytest.mark.parametrize(
    ("declared", "content", "way_out"),
    [
        pytest.param(
            {"date_order": DAY}, "ID,Born\n1,12/25/2025\n", "--date-order month-first", id="days"
        ),
        pytest.param(
            {"decimal_mark": COMMA}, "ID,Amount\n1,1.50\n", "--decimal-mark point", id="mark"
        ),
        pytest.param(
            {"date_order": DAY}, "ID,Born\n1,12/25/2025\n2,25/12/2025\n", "--forget date-order",
            id="both ways",
        ),
        pytest.param({"encoding": "utf-16"}, NAMES, "--forget encoding", id="no UTF-16"),
        pytest.param({"encoding": "cp1252"}, NAMES, "--forget encoding", id="UTF-8"),
        pytest.param({"encoding": "ascii"}, NAMES.encode("cp1252"), "--forget encoding", id="rows"),
        pytest.param({"encoding": "cp037"}, "ID,Name\n1,A\n", "--forget encoding", id="header"),
        pytest.param(
            {"date_order": DAY}, "ID,Born\n" + "1,Mon 5/18/2026\n" * 20, "--forget date-order",
            id="rejects",
        ),
    ],
)  # fmt: skip
def test_a_refused_file_names_the_setting_the_account_and_the_way_out(
    desk: Desk, declared: dict[str, Any], content: str | bytes, way_out: str
) -> None:
    desk.declare(**declared)
    problem = str(desk.bring(content).problem)
    assert f"csv-pipeline account {desk.account} {way_out}" in problem
    for setting in declared:
        assert f"account {desk.account!r} declares" in problem
        assert setting.replace("_", " ") in problem


def test_a_file_that_proves_both_orders_is_told_no_setting_that_would_not_help(desk: Desk) -> None:
    report = desk.bring("ID,Born\n1,12/25/2025\n2,25/12/2025\n3,03/04/2025\n")
    assert "'25/12/2025' in row 3 can only be day first" in str(report.problem)
    assert "'12/25/2025' in row 2 only month first" in str(report.problem)
    assert "csv-pipeline account" not in str(report.problem)


@pytest.mark.parametrize(
    ("declared", "content", "said"),
    [
        ({"date_order": DAY}, "ID,Born\n1,Mon 5/18/2026\n", "date order day first"),
        ({"decimal_mark": COMMA}, "Key,Version\nA,1.0\nB,1\n", "decimal mark comma"),
    ],
)
def test_a_reject_names_the_setting_without_which_it_were_a_value(
    desk: Desk, declared: dict[str, Any], content: str, said: str
) -> None:
    desk.declare(**declared)
    report = desk.bring(content, "overwritten" if "Key" in content else "people")
    (reject,) = desk.rejects(report)
    assert f", by the {said}, as account {desk.account!r} declares it)" in reject.message


def test_a_reject_that_no_setting_made_names_none(desk: Desk) -> None:
    desk.declare(date_order=DAY)
    (reject,) = desk.rejects(desk.bring("ID,Born\n1,soon\n"))
    assert "declares" not in reject.message


def test_a_warning_that_every_row_was_rejected_names_the_setting(desk: Desk) -> None:
    desk.declare(date_order=DAY)
    (warning,) = desk.bring("ID,Born\n1,Mon 5/18/2026\n2,Tue 5/19/2026\n").warnings
    assert f"csv-pipeline account {desk.account} --forget date-order" in warning.message


def test_currencies_that_differ_by_what_a_sign_is_declared_to_be_name_the_setting(
    desk: Desk,
) -> None:
    desk.declare(currency="AUD")
    report = desk.bring("ID,Amount\n1,$5.00\n2,CAD 6.00\n")
    assert "AUD in 1 (the first, '$', in row 2)" in str(report.problem)
    assert f"csv-pipeline account {desk.account} --forget currency" in str(report.problem)


def test_a_missing_column_is_no_matter_of_the_encoding_that_is_declared(desk: Desk) -> None:
    desk.declare(encoding="cp1252")
    assert "encoding" not in str(desk.bring("Name,Born\nAnn,2025-01-31\n").problem)
