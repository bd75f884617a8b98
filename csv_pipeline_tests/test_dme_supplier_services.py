"""Medicare's services of suppliers, as CMS writes them."""

from collections.abc import Mapping
from decimal import Decimal

import pytest

from csv_pipeline.model import ImportReport
from csv_pipeline_tests.conftest import Desk

FEED = "dme_supplier_services"
HEADER = (
    "Suplr_NPI,Suplr_Prvdr_Last_Name_Org,Suplr_Prvdr_First_Name,Suplr_Prvdr_MI,Suplr_Prvdr_Crdntls,"
    "Suplr_Prvdr_Ent_Cd,Suplr_Prvdr_St1,Suplr_Prvdr_St2,Suplr_Prvdr_City,Suplr_Prvdr_State_Abrvtn,"
    "Suplr_Prvdr_State_FIPS,Suplr_Prvdr_Zip5,Suplr_Prvdr_RUCA_Cat,Suplr_Prvdr_RUCA,"
    "Suplr_Prvdr_RUCA_Desc,Suplr_Prvdr_Cntry,Suplr_Prvdr_Spclty_Cd,Suplr_Prvdr_Spclty_Desc,"
    "Suplr_Prvdr_Spclty_Srce,RBCS_Lvl,RBCS_Id,RBCS_Desc,HCPCS_Cd,HCPCS_Desc,Suplr_Rentl_Ind,"
    "Tot_Suplr_Benes,Tot_Suplr_Clms,Tot_Suplr_Srvcs,Avg_Suplr_Sbmtd_Chrg,Avg_Suplr_Mdcr_Alowd_Amt,"
    "Avg_Suplr_Mdcr_Pymt_Amt,Avg_Suplr_Mdcr_Stdzd_Amt"
)
ROW = {
    "Suplr_NPI": "1234567893",
    "Suplr_Prvdr_Last_Name_Org": '"Acme Home Care, Inc."',
    "Suplr_Prvdr_Ent_Cd": "O",
    "Suplr_Prvdr_State_Abrvtn": "CA",
    "Suplr_Prvdr_State_FIPS": "06",
    "Suplr_Prvdr_Zip5": "02139",
    "Suplr_Prvdr_RUCA": "10.1",
    "HCPCS_Cd": "E0601",
    "Suplr_Rentl_Ind": "Y",
    "Tot_Suplr_Benes": "25",
    "Tot_Suplr_Clms": "120",
    "Tot_Suplr_Srvcs": "131",
    "Avg_Suplr_Sbmtd_Chrg": "108.1234567891",
    "Avg_Suplr_Mdcr_Alowd_Amt": "92.5",
    "Avg_Suplr_Mdcr_Pymt_Amt": "71",
    "Avg_Suplr_Mdcr_Stdzd_Amt": "70.07",
}


def line(**cells: str) -> str:
    row: Mapping[str, str] = ROW | cells
    return ",".join(row.get(name, "") for name in HEADER.split(","))


def bring(desk: Desk, *lines: str) -> ImportReport:
    return desk.bring("\n".join([HEADER, *lines, ""]), FEED)


def rules(desk: Desk, report: ImportReport) -> list[tuple[int, str]]:
    return [(reject.row_number, reject.rule) for reject in desk.rejects(report)]


def test_a_row_of_cms_is_stored_in_all_its_32_columns(desk: Desk) -> None:
    report = bring(desk, line())
    assert len(report.header) == 32
    assert (report.counts.inserted, report.drift.added) == (1, ())
    (row,) = desk.rows(
        FEED, "supplier_state_fips, supplier_zip, supplier_ruca, hcpcs_code, beneficiaries"
    )
    assert tuple(row) == ("06", "02139", "10.1", "E0601", 25)


def test_averages_of_ten_decimals_are_kept_exactly(desk: Desk) -> None:
    bring(desk, line(Avg_Suplr_Mdcr_Pymt_Amt="123456789012345678.0000000001"))
    (row,) = desk.rows(FEED, "average_submitted_charge, average_payment_amount")
    assert tuple(row) == (Decimal("108.1234567891"), Decimal("123456789012345678.0000000001"))


def test_an_average_of_more_decimals_is_rejected_and_not_rounded(desk: Desk) -> None:
    report = bring(desk, line(Avg_Suplr_Mdcr_Pymt_Amt="1.00000000001"))
    assert rules(desk, report) == [(2, "average_payment_amount.decimal")]


def test_medicare_may_pay_more_than_all_of_what_was_allowed_or_charged(desk: Desk) -> None:
    """The shares of the averages are above 1 then; none of the 32 columns is a share itself."""
    report = bring(
        desk,
        line(
            Avg_Suplr_Sbmtd_Chrg="50",
            Avg_Suplr_Mdcr_Alowd_Amt="60.5",
            Avg_Suplr_Mdcr_Pymt_Amt="75.25",
            Avg_Suplr_Mdcr_Stdzd_Amt="90",
        ),
    )
    assert (report.counts.inserted, report.warnings) == (1, ())
    share = "average_payment_amount / average_allowed_amount > 1.2"
    assert desk.rows(FEED, f"{share}, average_submitted_charge") == [(True, Decimal(50))]


def test_a_percentage_above_one_that_a_file_adds_is_kept_as_it_is_written(desk: Desk) -> None:
    report = desk.bring(f"{HEADER},Bene_Dual_Pct\n{line()},1.25\n", FEED)
    assert report.drift.added == ("Bene_Dual_Pct",)
    assert desk.rows(FEED, "_extra") == [({"Bene_Dual_Pct": "1.25"},)]


@pytest.mark.parametrize("suppressed", ["", "*", "#", " * "])
def test_a_suppressed_count_is_null_and_never_0(desk: Desk, suppressed: str) -> None:
    report = bring(desk, line(Tot_Suplr_Benes=suppressed), line(HCPCS_Cd="K0001"))
    assert report.counts.inserted == 2
    assert desk.rows(FEED, "hcpcs_code, beneficiaries") == [("E0601", None), ("K0001", 25)]


@pytest.mark.parametrize("suppressed", ["", "*", "#"])
def test_every_number_of_a_row_may_be_suppressed(desk: Desk, suppressed: str) -> None:
    numbers = [name for name in HEADER.split(",") if name.startswith(("Tot_", "Avg_"))]
    report = bring(desk, line(**dict.fromkeys(numbers, suppressed)), line(Suplr_Rentl_Ind="N"))
    assert report.counts.inserted == 2
    columns = "rental, num_nulls(beneficiaries, claims, services, average_submitted_charge,"
    columns += "average_allowed_amount, average_payment_amount, average_standardized_amount)"
    assert desk.rows(FEED, columns) == [("N", 0), ("Y", len(numbers))]


def test_a_sign_of_suppression_is_a_value_elsewhere(desk: Desk) -> None:
    report = bring(desk, line(HCPCS_Cd="*"), line(HCPCS_Desc="#"))
    assert rules(desk, report) == [(2, "hcpcs_code.matches")]
    assert desk.rows(FEED, "hcpcs_description") == [("#",)]


def test_the_same_code_rented_and_bought_is_two_rows(desk: Desk) -> None:
    report = bring(desk, line(), line(Suplr_Rentl_Ind="N"))
    assert report.counts.inserted == 2
    assert desk.rows(FEED, "rental") == [("N",), ("Y",)]


def test_a_row_needs_to_say_if_it_was_rented(desk: Desk) -> None:
    assert rules(desk, bring(desk, line(Suplr_Rentl_Ind=""))) == [(2, "rental.required")]


@pytest.mark.parametrize(
    ("npi", "rule"),
    [
        pytest.param("1234567893", None, id="example of CMS"),
        pytest.param("1003000126", None, id="zeros"),
        pytest.param("1234567894", "check_digit", id="check digit"),
        pytest.param("1234567839", "check_digit", id="two digits changed about"),
        # Its check digit is right by Luhn without the prefix 80840, and only so.
        pytest.param("1234567897", "check_digit", id="without prefix"),
        pytest.param("123456789", "matches", id="nine digits"),
        pytest.param("01234567893", "matches", id="eleven digits"),
        pytest.param("1.23457E+09", "spreadsheet_number", id="a spreadsheet's"),
        pytest.param("1234567893.0", "matches", id="a number"),
    ],
)
def test_an_npi_is_held_to_its_check_digit(desk: Desk, npi: str, rule: str | None) -> None:
    found = rules(desk, bring(desk, line(Suplr_NPI=npi)))
    assert [name for _, name in found][:1] == ([f"supplier_npi.{rule}"] if rule else [])


@pytest.mark.parametrize(
    "code", ["0601", "99213", "E060", "E06011", "EE601", "6.01E+02", "E\u0660601"]
)
def test_a_code_is_a_letter_and_four_digits(desk: Desk, code: str) -> None:
    assert bring(desk, line(HCPCS_Cd=code)).counts.rejected == 1


def test_codes_are_not_read_as_numbers(desk: Desk) -> None:
    bring(desk, *(line(HCPCS_Cd=code) for code in ("E0601", "E0001", "A4253")))
    assert [code for (code,) in desk.rows(FEED, "hcpcs_code")] == ["A4253", "E0001", "E0601"]


def test_the_decimals_of_a_small_file_are_no_thousands(desk: Desk) -> None:
    report = bring(desk, line(Avg_Suplr_Mdcr_Pymt_Amt="71.123"))
    assert report.problem is None
    assert desk.rows(FEED, "average_payment_amount") == [(Decimal("71.123"),)]


def test_zeros_that_a_spreadsheet_took_from_codes_of_fixed_length_are_put_back(desk: Desk) -> None:
    bring(desk, line(Suplr_Prvdr_State_FIPS="6", Suplr_Prvdr_Zip5="2139"))
    columns = "supplier_state_fips, supplier_zip"
    assert [tuple(row) for row in desk.rows(FEED, columns)] == [("06", "02139")]
