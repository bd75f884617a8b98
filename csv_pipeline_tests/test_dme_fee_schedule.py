"""Medicare's fee schedule for medical equipment: a grid with two columns a state."""

from decimal import Decimal

import pytest

from csv_pipeline.model import ImportReport, Outcome
from csv_pipeline_tests.conftest import Desk

FEED, NAME = "dme_fee_schedule", "DMEPOS24_JAN.csv"
PREAMBLE = (
    '"2024 DMEPOS Fee Schedule, January update",,,,,,,,,,\n'
    '"CPT codes, descriptions and other data are copyright 2023 AMA.",,,,,,,,,,\n'
    ",,,,,,,,,,\n"
)
HEADER = "HCPCS,Mod,Mod2,JURIS,CATG,Ceiling,Floor,AL (NR),AL (R),AK (NR),AK (R),Description\n"
ROW = "E0601,RR,,D,CR,120.00,80.50,91.2,0.00,105.30,,Cont airway pressure device\n"


def bring(desk: Desk, rows: str = ROW, *, above: str = PREAMBLE, name: str = NAME) -> ImportReport:
    return desk.bring(above + HEADER + rows, FEED, name=name)


def test_the_fees_of_all_states_are_one_column(desk: Desk) -> None:
    report = bring(desk)
    assert (report.counts.inserted, report.drift.added) == (1, ())
    (row,) = desk.rows(FEED, "hcpcs_code, modifier, modifier_2, ceiling::text, fees, _extra")
    assert tuple(row) == (
        "E0601", "RR", "", "120.00",
        {"AL": {"NR": "91.20", "R": "0.00"}, "AK": {"NR": "105.30", "R": None}},
        None,
    )  # fmt: skip


def test_a_fee_of_0_is_no_price_in_the_view(desk: Desk) -> None:
    bring(desk)
    assert desk.rows("dme_fees", "state, is_rural, fee", order="state, is_rural") == [
        ("AK", False, Decimal("105.30")),
        ("AK", True, None),
        ("AL", False, Decimal("91.20")),
        ("AL", True, None),
    ]


@pytest.mark.parametrize("lines", [2, 3, 4, 5])
def test_two_to_five_lines_precede_the_header(desk: Desk, lines: int) -> None:
    above = "2024 DMEPOS Fee Schedule,,,\n" + "".join(f"Note {n},,,\n" for n in range(1, lines))
    report = bring(desk, ROW * 1 + ROW.replace("RR", "NU"), above=above)
    assert (report.counts.inserted, report.counts.non_data) == (2, lines)


def test_ceiling_and_floor_may_be_missing(desk: Desk) -> None:
    header = HEADER.replace("Ceiling,Floor,", "")
    report = desk.bring(header + "E0601,RR,,D,CR,1.00,2.00,3.00,4.00,x\n", FEED, name=NAME)
    assert report.counts.inserted == 1


@pytest.mark.parametrize("cell", ["n/c", "12.345", "1e3", "12,34"])
def test_a_cell_of_a_state_that_is_no_amount_is_a_reject_that_names_it(
    desk: Desk, cell: str
) -> None:
    report = bring(desk, ROW.replace("91.2,", f'"{cell}",') + ROW.replace("RR", "NU"))
    assert report.counts.inserted == 1
    (reject,) = desk.rejects(report)
    assert (reject.row_number, reject.rule, reject.value) == (2, "fees.decimal", cell)
    assert reject.message.startswith(f"row 2 (line 5), column fees ('AL (NR)'): '{cell}' breaks")


@pytest.mark.parametrize(
    ("cell", "stored"),
    [('"1,234.50"', "1234.50"), ("$12.30", "12.30"), ("0", "0.00"), ("N/A", None), ("", None)],
)
def test_amounts_are_stored_in_one_spelling(desk: Desk, cell: str, stored: str | None) -> None:
    bring(desk, ROW.replace("91.2,", f"{cell},"))
    assert desk.rows(FEED, "fees->'AL'->>'NR'") == [(stored,)]


def test_the_same_amount_in_another_spelling_is_unchanged(desk: Desk) -> None:
    bring(desk)
    report = bring(desk, ROW.replace("91.2,", "$91.20,"), name="dmepos24_jan (2).csv")
    assert report.counts.unchanged == 1


def test_a_row_without_any_fee_is_rejected(desk: Desk) -> None:
    report = bring(desk, "E0601,RR,,D,CR,,,,,,,x\n" + ROW.replace("RR", "NU"))
    assert report.rejects_by_rule == {"fees.required": 1}


def test_a_file_without_any_state_is_refused(desk: Desk) -> None:
    report = desk.bring("HCPCS,Mod,Mod2,JURIS,CATG\nE0601,RR,,D,CR\n", FEED, name=NAME)
    assert (report.outcome, report.problem_code) == (Outcome.REFUSED, "missing_column")


def test_a_new_state_is_no_drift_and_another_column_is(desk: Desk) -> None:
    header = HEADER.replace("AL (NR)", "PR (NR)").replace("AK (R)", "Puerto Rico (R)")
    report = desk.bring(header + ROW, FEED, name=NAME)
    assert report.drift.added == ("Puerto Rico (R)",)
    (row,) = desk.rows(FEED, "fees, _extra")
    assert row.fees == {"PR": {"NR": "91.20"}, "AL": {"R": "0.00"}, "AK": {"NR": "105.30"}}


def test_a_code_has_a_row_for_each_pair_of_modifiers_and_period(desk: Desk) -> None:
    rows = ROW + ROW.replace("RR,", "RR,KH") + ROW.replace("RR", "")
    assert bring(desk, rows).counts.inserted == 3
    assert bring(desk, rows, above="", name="DMEPOS24_APR.csv").counts.inserted == 3
    again = bring(desk, ROW.replace("91.2,", "92.00,"), name="DME24-A.csv")
    assert again.counts.updated == 1


@pytest.mark.parametrize(
    ("name", "period"),
    [
        ("DMEPOS24_JAN.csv", "2024-01"),
        ("dmepos_2024_jul.csv", "2024-07"),
        ("DME24-D.csv", "2024-10"),
        ("DMEPOS_2024-04 final.csv", "2024-04"),
        ("CMS dmepos 2024 Q3.csv", "2024-07"),
        ("dme_fee_schedule_2024_oct.csv", "2024-10"),
        ("DMEPOS_JUL_2024.csv", "2024-07"),
        ("DMEPOS Apr24.csv", "2024-04"),
        ("DMEPOS_Q1-2024_v2.csv", "2024-01"),
    ],
)
def test_the_period_is_told_by_the_name(desk: Desk, name: str, period: str) -> None:
    bring(desk, above="2024 DMEPOS Fee Schedule,,,\nNote,,,\n", name=name)
    assert desk.rows(FEED, "schedule_period") == [(period,)]


@pytest.mark.parametrize(
    "name",
    [
        "fees.csv",
        "DMEPOS24.csv",
        "DMEPOS_JAN.csv",
        "DMEPOS24_FEB.csv",
        "DMEPOS24_JANUS.csv",
        "dme 2024-04-15.csv",
        "dme_major24.csv",
    ],
)
def test_a_name_without_period_is_refused_and_nothing_guessed(desk: Desk, name: str) -> None:
    report = bring(desk, name=name)
    assert (report.outcome, report.problem_code) == (Outcome.REFUSED, "file_name")
    assert "DMEPOS<YY>_<JAN|APR|JUL|OCT>.csv" in str(report.problem)


def test_a_title_of_another_year_contradicts_the_name(desk: Desk) -> None:
    report = bring(desk, name="DMEPOS23_JAN.csv")
    assert (report.outcome, report.problem_code) == (Outcome.REFUSED, "contradiction")
    assert "the title above the header is of 2024" in str(report.problem)


@pytest.mark.parametrize(
    ("title", "refused"),
    [
        ("2024 DMEPOS Fee Schedule, April update", True),
        ("DMEPOS Fee Schedule - Oct 2024", True),
        ("April 2024 DMEPOS Fee Schedule; replaces that of January", False),
        ("DMEPOS Fee Schedule, released in March 2024", False),
        ("Rows were marked on April 2 by the office", False),  # this is no title
    ],
)
def test_a_title_of_another_month_only_contradicts_the_name(
    desk: Desk, title: str, *, refused: bool
) -> None:
    report = bring(desk, above=f"{title},,,\nNote,,,\n")
    assert (report.problem_code == "contradiction") == refused, report.problem
    assert report.counts.inserted == (not refused)


@pytest.mark.parametrize(
    ("cell", "rule"),
    [
        ("-91.20", "fees.ge"),
        ("($91.20)", "fees.ge"),
        ("€91.20", "fees.currency"),
        ("91.20 CAD", "fees.currency"),
        ("91.20 USD", None),
        ("US $91.20", None),
    ],
)
def test_a_fee_is_in_dollars_of_the_united_states_and_not_below_0(
    desk: Desk, cell: str, rule: str | None
) -> None:
    report = bring(desk, ROW.replace("91.2,", f"{cell},") + ROW.replace("RR", "NU"))
    assert report.rejects_by_rule == ({rule: 1} if rule else {})
    assert report.counts.inserted == (1 if rule else 2)


def test_a_corrected_row_brings_all_its_states(desk: Desk) -> None:
    report = bring(desk, ROW.replace("91.2,", "n/c,") + ROW.replace("RR", "NU"))
    path = desk.folder / "rejects.csv"
    desk.pipeline.write_rejects(report.import_id, path)
    back = desk.bring(path.read_text("utf-8-sig").replace("n/c", "93.00"), FEED)
    assert back.counts.inserted == 1
    assert desk.rows(FEED, "fees->'AL'->>'NR', schedule_period", order="modifier DESC")[0] == (
        "93.00",
        "2024-01",
    )


@pytest.mark.parametrize("modifier", ["rr", "R", "1", "RRX"])
def test_a_modifier_that_is_none_is_rejected_and_no_second_fee(desk: Desk, modifier: str) -> None:
    report = bring(desk, ROW + ROW.replace("RR", modifier))
    assert [reject.rule for reject in desk.rejects(report)] == ["modifier.matches"]
    assert len(desk.rows(FEED)) == 1
