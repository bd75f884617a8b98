r"""Purchase orders as Coupa's handler writes them, in every layout and encoding on record."""

import datetime as dt

import pytest

from csv_pipeline.model import ImportReport
from csv_pipeline_tests.conftest import SAMPLES, Desk

FEED = "coupa_purchase_orders"
COMMA = (
    "PO_NUMBER,STATUS,SUPPLIER,ATTACHMENTS_FOUND,ATTACHMENTS_DOWNLOADED,LAST_PROCESSED,"
    "ERROR_MESSAGE,DOWNLOAD_FOLDER,COUPA_URL\n"
)
AT = "2025-07-28 12:43:11"


def bring(desk: Desk, *lines: str) -> ImportReport:
    """Import lines of number, status, attachments found and downloaded, time."""
    made = []
    for line in lines:
        number, status, found, downloaded, at = line.split(",")
        made.append(f"{number},{status},ACME,{found},{downloaded},{at},,,\n")
    return desk.bring(COMMA + "".join(made), FEED)


def rules(desk: Desk, report: ImportReport) -> list[tuple[int, str]]:
    return [(reject.row_number, reject.rule) for reject in desk.rejects(report)]


def test_the_handlers_file_is_read(desk: Desk) -> None:
    report = desk.bring(SAMPLES / "coupa_handler_output.csv", FEED)
    assert (report.counts.read, report.counts.inserted, report.counts.rejected) == (4, 3, 1)
    first, second, third = desk.rows(
        FEED,
        "po_number, supplier, attachment_names, download_folder, error_message, "
        "last_processed_local, _extra",
        order="_row_number",
    )
    assert tuple(first) == (
        "PO15262984", "ACME, Ltda", "invoice.pdf;receipt.pdf", "ACME\\2025\\", None,
        "2025-07-28 12:43:11", {"<|>": None, "Region": "LATAM"},
    )  # fmt: skip
    assert second.error_message == 'Timeout: "page" not loaded\nretry 3/3'
    assert (second.po_number, third.po_number) == ("PM15327452", "15362783")
    assert report.drift.added == ("<|>", "Region")
    assert rules(desk, report) == [(5, "attachments_found.integer"), (5, "po_number.matches")]


def test_lower_case_names_in_another_order_are_read(desk: Desk) -> None:
    desk.bring(
        "status,po_number,last_processed,attachments_downloaded,attachments_found\n"
        f"completed,PO123456,{AT},2,2\n",
        FEED,
    )
    (row,) = desk.rows(FEED, "status, attachments_found, last_processed")
    assert tuple(row) == ("COMPLETED", 2, dt.datetime(2025, 7, 28, 12, 43, 11, tzinfo=dt.UTC))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
def test_suppliers_are_read_in_every_encoding(desk: Desk, encoding: str) -> None:
    text = COMMA + f"PO123456,PENDING,Société Générale,,,{AT},,,\n"
    desk.bring(text.encode(encoding), FEED)
    assert desk.rows(FEED, "supplier") == [("Société Générale",)]


def test_a_column_behind_the_mark_is_the_accounts_own_whatever_its_name(desk: Desk) -> None:
    report = desk.bring(
        "PO_NUMBER;STATUS;<|>;Supplier;STATUS\nPO123456;PENDING;;Own Inc.;urgent\n", FEED
    )
    assert report.counts.inserted == 1
    (row,) = desk.rows(FEED, "status, supplier, _extra")
    assert (row.status, row.supplier) == ("PENDING", None)
    assert row._extra == {"<|>": None, "Supplier": "Own Inc.", "STATUS": "urgent"}


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        (" PO15262984 ", "PO15262984"),
        ("po15262984", "PO15262984"),
        ("pM123456", "PM123456"),
        ("000123", "000123"),
        ("PO12345678901234567890", "PO12345678901234567890"),
        ("PO12345", None),
        ("POABC", None),
        ("PR123456", None),
        ("PO 123456", None),
        ("PO123456A", None),
        ("1.5362783E+07", None),
        ("PO12345\u0666", None),
    ],
)
def test_a_number_has_six_digits_and_may_have_a_prefix(
    desk: Desk, written: str, stored: str | None
) -> None:
    report = bring(desk, f"{written},PENDING,,,", "999999,PENDING,,,")
    assert report.counts.rejected == (stored is None)
    assert {number for (number,) in desk.rows(FEED, "po_number")} - {"999999"} == {stored} - {None}


def test_two_spellings_are_one_order_and_two_prefixes_are_two(desk: Desk) -> None:
    bring(desk, f"PO123456,PENDING,,,{AT}")
    report = bring(desk, f" po123456,FAILED,,,{AT}.5", f"PM123456,FAILED,,,{AT}")
    assert (report.counts.updated, report.counts.inserted) == (1, 1)


@pytest.mark.parametrize(
    "status",
    [
        "PENDING", "COMPLETED", "FAILED", "NO_ATTACHMENTS", "SKIPPED", "PO_NOT_FOUND",
        "PR_NOT_ACCESSIBLE", "ERROR",
    ],
)  # fmt: skip
def test_a_status_is_one_of_nine(desk: Desk, status: str) -> None:
    assert bring(desk, f"PO123456,{status},,,", "PO123457,DONE,,,").rejects_by_rule == {
        "status.choice": 1
    }


@pytest.mark.parametrize(
    ("status", "found", "downloaded", "rule"),
    [
        ("PARTIAL", "3", "1", None),
        ("PARTIAL", "3", "3", "status.partial_if_some"),
        ("PARTIAL", "3", "0", "status.partial_if_some"),
        ("PARTIAL", "", "1", "status.partial_if_some"),
        ("PARTIAL", "", "", "status.partial_if_some"),
        ("COMPLETED", "3", "1", "status.partial_if_some"),
        ("FAILED", "3", "1", "status.partial_if_some"),
        ("COMPLETED", "3", "0", None),
        ("COMPLETED", "0", "0", None),
        ("COMPLETED", "", "1", None),
        ("COMPLETED", "1", "2", "attachments_downloaded.at_most_found"),
        ("COMPLETED", "-1", "-2", "attachments_found.ge"),
        ("COMPLETED", "3", "-1", "attachments_downloaded.ge"),
        ("COMPLETED", "1.5", "1", "attachments_found.integer"),
    ],
)
def test_counts_and_status_agree(
    desk: Desk, status: str, found: str, downloaded: str, rule: str | None
) -> None:
    report = bring(desk, f"PO123456,{status},{found},{downloaded},{AT}")
    assert (rule in report.rejects_by_rule) if rule else report.counts.inserted == 1


def test_both_forms_of_time_are_read_to_the_microsecond(desk: Desk) -> None:
    bring(desk, f"PO123456,PENDING,,,{AT}", "PO123457,PENDING,,,2025-07-28T12:43:22.123456")
    whole, fine = desk.rows(FEED, "last_processed, last_processed_local", order="po_number")
    assert tuple(whole) == (dt.datetime(2025, 7, 28, 12, 43, 11, tzinfo=dt.UTC), AT)
    assert fine.last_processed.microsecond == 123456


def test_an_hour_that_clocks_somewhere_skip_is_read(desk: Desk) -> None:
    assert bring(desk, "PO123456,PENDING,,,2025-03-30 02:30:00").counts.inserted == 1


@pytest.mark.parametrize(
    ("stored", "incoming", "outcome"),
    [
        (AT, f"{AT}.000001", "updated"),
        (f"{AT}.000001", AT, "kept"),
        (AT, AT, "kept"),
        (AT, "", "kept"),
        ("", AT, "updated"),
        ("", "", "kept"),
        ("2025-07-28 12:43:11", "2025-07-28T12:43:11", "kept"),
    ],
)
def test_an_older_report_never_replaces_a_newer_one(
    desk: Desk, stored: str, incoming: str, outcome: str
) -> None:
    bring(desk, f"PO123456,PENDING,,,{stored}")
    report = bring(desk, f"PO123456,FAILED,,,{incoming}")
    assert getattr(report.counts, outcome) == 1
    assert desk.rows(FEED, "status") == [("FAILED" if outcome == "updated" else "PENDING",)]


def test_the_newest_report_in_a_file_counts_wherever_it_is(desk: Desk) -> None:
    report = bring(
        desk, f"PO123456,COMPLETED,,,{AT}.2", f"PO123456,PENDING,,,{AT}", "PO123456,ERROR,,,"
    )
    assert report.counts.superseded == 2
    assert desk.rows(FEED, "status") == [("COMPLETED",)]


def test_an_order_that_a_later_file_lacks_stays(desk: Desk) -> None:
    bring(desk, f"PO123456,PENDING,,,{AT}", f"PO123457,PENDING,,,{AT}")
    bring(desk, f"PO123457,COMPLETED,,,{AT}.5")
    assert desk.rows(FEED, "po_number, status") == [
        ("PO123456", "PENDING"),
        ("PO123457", "COMPLETED"),
    ]
