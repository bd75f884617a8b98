"""The files of an account are of one seller, unless the account declares several."""

import pytest

from csv_pipeline.engine import run
from csv_pipeline.files.landing import found_file
from csv_pipeline.location import location_of
from csv_pipeline.model import ImportReport, Outcome
from csv_pipeline.storage import arrivals
from csv_pipeline_tests.conftest import Desk
from csv_pipeline_tests.test_ebay_orders import HEADER, ROW, footer
from csv_pipeline_tests.test_ebay_transactions import FEE, ORDER, PREAMBLE, text
from csv_pipeline_tests.test_ebay_transactions import bring as bring_money
from csv_pipeline_tests.test_replay import sent_out


def of_seller(desk: Desk, seller: str, number: int = 1, name: str | None = None) -> ImportReport:
    row = ROW.replace("00001", f"{number:05}").replace("$6.00", f"${number}.00")
    return desk.bring(f"{HEADER}\n{row}\n{footer(1, seller)}", "ebay_orders", name)


def test_a_file_of_another_seller_is_refused_and_says_how_to_allow_both(desk: Desk) -> None:
    first = of_seller(desk, "acorn")
    other = of_seller(desk, "Maple", 2, "other.csv")
    command = f"csv-pipeline account {desk.account} --seller-id"
    assert (other.outcome, other.problem) == (
        Outcome.REFUSED,
        f"other.csv: a file of the seller 'acorn' was needed, whose rows import {first.import_id} "
        f"stored for account {desk.account!r}, which declares no seller; it names 'Maple'; if the "
        f"account is of both: {command} acorn,Maple; if only of this one: undo what is of the "
        f"other, and {command} Maple",
    )
    assert len(desk.rows("ebay_orders")) == 1
    desk.declare(seller_id="acorn, Maple")
    assert of_seller(desk, "maple", 2).outcome is Outcome.IMPORTED
    assert of_seller(desk, "acorn", 3).outcome is Outcome.IMPORTED
    assert of_seller(desk, "oak", 4).outcome is Outcome.REFUSED


def test_a_seller_whose_only_import_was_undone_is_forgotten(desk: Desk) -> None:
    first = of_seller(desk, "acorn")
    desk.pipeline.undo(first.import_id)
    assert of_seller(desk, "maple", 2).outcome is Outcome.IMPORTED
    assert of_seller(desk, "acorn", 3).outcome is Outcome.REFUSED


@pytest.mark.parametrize("before", ["refused", "rejected", "declared", "without"])
def test_what_stored_no_row_that_names_a_seller_binds_nobody(desk: Desk, before: str) -> None:
    row = ROW.replace("$5.00", "five") if before == "rejected" else ROW
    if before == "refused":
        report = desk.bring(f"{HEADER}\n{ROW}\n{footer(5, 'acorn')}", "ebay_orders")
        assert report.outcome is Outcome.REFUSED
    elif before == "declared":
        desk.declare(seller_id="acorn")
        assert desk.bring(f"{HEADER}\n{ROW}\n", "ebay_orders").outcome is Outcome.IMPORTED
        desk.declare()
    else:
        end = footer(1, "acorn") if before == "rejected" else ""
        assert desk.bring(f"{HEADER}\n{row}\n{end}", "ebay_orders").outcome is Outcome.IMPORTED
    assert of_seller(desk, "maple", 2).outcome is Outcome.IMPORTED


def test_a_file_that_names_no_seller_binds_nobody_and_is_held_to_nobody(desk: Desk) -> None:
    of_seller(desk, "acorn")
    assert desk.bring(f"{HEADER}\n{ROW}\n", "ebay_orders").outcome is Outcome.IMPORTED
    assert of_seller(desk, "maple", 2).outcome is Outcome.REFUSED
    assert of_seller(desk, "ACORN", 3).outcome is Outcome.IMPORTED


def test_corrected_rows_come_back_whichever_seller_came_between(desk: Desk) -> None:
    report = bring_money(desk, ORDER, FEE | {"Transaction creation date": "Aug-40-2026"})
    corrected = sent_out(desk, report).replace("Aug-40", "Aug-02")
    desk.pipeline.undo(bring_money(desk, ORDER, ORDER | {"Item ID": "1"}).import_id)
    assert desk.bring(corrected, "ebay_transactions").counts.inserted == 1
    other = bring_money(desk, FEE, preamble=PREAMBLE.replace("test.seller", "maple"))
    assert "'test.seller'" in (other.problem or "")


def test_of_files_that_wait_together_the_first_seller_is_the_account_s(desk: Desk) -> None:
    for number, seller in enumerate(("acorn", "maple")):
        path = desk.folder / f"report-{number}.csv"
        path.write_text(text(FEE, preamble=PREAMBLE.replace("test.seller", seller)))
        with desk.pipeline.database.begin() as connection:
            found = found_file(location_of(path), desk.account, "ebay_transactions")
            arrivals.register(connection, [found])
    reports = run.run(desk.pipeline, desk.pipeline.claim(desk.account, "ebay_transactions"))
    assert [report.outcome for report in reports] == [Outcome.IMPORTED, Outcome.REFUSED]
    assert f"import {reports[0].import_id} stored" in (reports[1].problem or "")


def test_another_account_s_seller_is_its_own(desk: Desk) -> None:
    of_seller(desk, "acorn")
    other = Desk(desk.pipeline, f"{desk.account}-b", desk.folder)
    assert of_seller(other, "maple").outcome is Outcome.IMPORTED
