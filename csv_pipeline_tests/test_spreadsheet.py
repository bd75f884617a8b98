"""Rejects files that LibreOffice Calc 7.4 really wrote come back as they were corrected in it.

`corpus/spreadsheet/` holds what it made of the rejects file of `FAULTY`: opened, kept as a workbook
in which the amounts were corrected, and written as CSV again in two ways; and opened in the wrong
encoding.
"""

import re
from decimal import Decimal
from pathlib import Path

import pytest

from csv_pipeline.errors import UnreadableFileError
from csv_pipeline.model import Outcome
from csv_pipeline.stages.read import ReadHints, read
from csv_pipeline_tests.conftest import Desk

WRITTEN = Path(__file__).parent / "corpus" / "spreadsheet"
FAULTY = (
    'ID,Name,Amount,Shoe\n1,Ann,5.00,38\n2,"Zoë ""Z"" Ł, €",six,007\n'
    '3,=1+1,seven,12345678901234567890\n4,"two\nlines",eight,2026-01-02\n'
    "5,-5,nine,+49 30 1234\n6,'quoted,ten,1e5\n"
)


def written(name: str, encoding: str, import_id: int) -> bytes:
    """Return what LibreOffice wrote, with the number that the import has in this database."""
    text = (WRITTEN / f"{name}.csv").read_bytes().decode(encoding)
    return re.sub(r"(?m)^1(?=[,;]\d[,;])", str(import_id), text).encode(encoding)


@pytest.mark.parametrize(
    ("name", "encoding"), [("comma_utf8", "utf-8"), ("semicolon_utf16", "utf-16")]
)
def test_rows_corrected_in_libreoffice_arrive(desk: Desk, name: str, encoding: str) -> None:
    first = desk.bring(FAULTY)
    second = desk.bring(written(name, encoding, first.import_id))
    assert (second.outcome, second.repairs) == (Outcome.IMPORTED, first.import_id)
    assert (second.counts.read, second.counts.inserted) == (5, 5)
    assert [tuple(row) for row in desk.rows(columns="person_id, name, amount")] == [
        ("1", "Ann", Decimal("5.00")),
        ("2", 'Zoë "Z" Ł, €', Decimal("6.00")),
        ("3", "=1+1", Decimal("7.50")),
        ("4", "two\nlines", Decimal("8.00")),
        ("5", "-5", Decimal("9.25")),
        ("6", "'quoted", Decimal("10.00")),
    ]
    shoes = [row._extra["Shoe"] for row in desk.rows(columns="_extra", order="person_id")]
    assert shoes == ["38", "007", "12345678901234567890", "2026-01-02", "+49 30 1234", "1e5"]
    assert {reject.repaired_by_import_id for reject in desk.rejects(first)} == {second.import_id}


def test_text_that_was_opened_in_the_wrong_encoding_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match="UTF-8 that was opened as Windows-1252"):
        read(WRITTEN / "opened_as_cp1252.csv", tmp_path, ReadHints(name="corrected.csv"))
