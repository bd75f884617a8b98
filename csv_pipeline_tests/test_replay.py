"""Rejected rows are corrected and come back: only they, once, and linked to what they repair."""

import csv
import io

import pytest

from csv_pipeline.engine.importer import Import
from csv_pipeline.engine.workspace import Stage
from csv_pipeline.files.landing import found_file
from csv_pipeline.location import location_of
from csv_pipeline.model import ImportReport, Outcome
from csv_pipeline.rejects.rejects_file import kept, neutral
from csv_pipeline.storage import arrivals, claims
from csv_pipeline_tests.conftest import Desk, advance, ingest, settled

FAULTY = "ID,Name,Amount\n1,Ann,5.00\n2,Bob,six\n3,Cid,7.00\n4,Dee,eight\n"


def sent_out(desk: Desk, report: ImportReport, **how: bool) -> str:
    """Return the rejects file of an import as text."""
    path = desk.folder / "out" / f"import-{report.import_id}.csv"
    desk.pipeline.write_rejects(report.import_id, path, **how)
    return path.read_bytes().decode()


def lines(text: str) -> list[dict[str, str]]:
    """Return the lines of a rejects file by column."""
    return list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))


def marks(desk: Desk, report: ImportReport) -> list[int | None]:
    return [reject.repaired_by_import_id for reject in desk.rejects(report)]


def names(desk: Desk) -> list[str]:
    return [row.name for row in desk.rows(columns="name", order="person_id")]


def test_a_corrected_row_is_in_the_table_and_its_reject_marked(desk: Desk) -> None:
    first = desk.bring(FAULTY)
    corrected = sent_out(desk, first).replace("six", "6.00").replace("eight", "8.00")
    second = desk.bring(corrected)
    assert (second.outcome, second.counts.read, second.counts.inserted) == (Outcome.IMPORTED, 2, 2)
    assert second.repairs == first.import_id
    assert names(desk) == ["Ann", "Bob", "Cid", "Dee"]
    assert marks(desk, first) == [second.import_id, second.import_id]


def test_a_rejects_file_has_the_columns_of_the_file_and_all_faults_of_a_row(desk: Desk) -> None:
    first = desk.bring("ID,Name,Amount,Shoe\n2,,-6.00,38\n")
    text = sent_out(desk, first)
    assert text.startswith("\ufeff_import_id,_row_number,_errors,ID,Name,Amount,Shoe,_raw\r\n")
    (line,) = lines(text)
    assert line["_errors"] == (
        "column amount ('Amount'): '-6.00' breaks rule amount.ge (at least 0) | "
        "column amount ('Amount'): '-6.00' breaks rule amount.named_people_only "
        "(an amount only beside a name)"
    )
    assert (line["_row_number"], line["Amount"], line["Shoe"], line["_raw"]) == (
        "2",
        "-6.00",
        "38",
        "",
    )


def test_a_protected_cell_is_there_to_be_corrected_and_masked_in_the_message(desk: Desk) -> None:
    first = desk.bring("ID,Secret\n1,hunter2\n")
    (line,) = lines(sent_out(desk, first))
    assert list(line.values())[4] == "hunter2"
    assert "hunter2" not in line["_errors"]


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda text: text.removeprefix("\ufeff"), id="without byte order mark"),
        pytest.param(lambda text: text.replace(",", ";"), id="semicolons"),
        pytest.param(lambda text: text.replace("\r\n", "\n"), id="line feeds"),
        pytest.param(
            lambda text: text.removeprefix("\ufeff").replace(",", ";").encode("cp1252"),
            id="semicolons in cp1252",
        ),
        pytest.param(lambda text: text.replace(",2,", ",2.0,"), id="a number with decimals"),
        pytest.param(lambda text: text + ",,,,,,\r\n" * 3, id="empty rows below"),
    ],
)
def test_a_rejects_file_survives_a_spreadsheet(desk: Desk, spoil: object) -> None:
    first = desk.bring("ID,Name,Amount\n2,Zoë,six\n")
    assert callable(spoil)
    second = desk.bring(spoil(sent_out(desk, first).replace("six", "6.00")))
    assert (second.counts.inserted, second.repairs) == (1, first.import_id)
    assert names(desk) == ["Zoë"]


def test_columns_in_another_order_and_deleted_rows_do_no_harm(desk: Desk) -> None:
    first = desk.bring(FAULTY)
    text = f"Amount,_row_number,Name,_errors,ID,_import_id\n8.00,5,Dee,,4,{first.import_id}\n"
    second = desk.bring(text)
    assert second.counts.inserted == 1
    assert marks(desk, first) == [None, second.import_id]


def test_columns_of_the_same_name_come_back_to_their_places(desk: Desk) -> None:
    first = desk.bring("ID,Secret,Shoe,,Shoe\n1,x,38,a,39\n")
    desk.bring(sent_out(desk, first).replace(",x,", ",1,"))
    extra = desk.rows(columns="_extra")[0]._extra
    assert extra == {"Shoe": "38", "column 4": "a", "Shoe (column 5)": "39"}


def test_the_name_of_the_file_tells_the_import_if_no_column_does(desk: Desk) -> None:
    first = desk.bring(FAULTY)
    text = "_row_number,_errors,ID,Name,Amount\n3,,2,Bob,6.00\n"
    second = desk.bring(text, name=f"corrected import-{first.import_id} (2).csv")
    assert (second.counts.inserted, second.repairs) == (1, first.import_id)


def test_a_file_that_names_no_import_is_refused(desk: Desk) -> None:
    desk.bring(FAULTY)
    report = desk.bring("_row_number,_errors,ID,Name,Amount\n3,,2,Bob,6.00\n", name="corrected.csv")
    assert (report.outcome, report.problem_code) == (Outcome.REFUSED, "replay")
    assert report.problem == (
        "corrected.csv: rejected rows of one import, named in _import_id or the file's name, were "
        "needed; it names none"
    )


def test_rejected_rows_of_another_account_are_refused(desk: Desk) -> None:
    other = Desk(desk.pipeline, f"{desk.account[:50]}-other", desk.folder)
    first = other.bring(FAULTY)
    report = desk.bring(sent_out(other, first))
    assert report.problem_code == "replay"
    assert desk.rows() == []


def test_a_rejects_file_without_one_of_its_columns_is_refused(desk: Desk) -> None:
    first = desk.bring(FAULTY)
    report = desk.bring(
        f"_import_id,_row_number,ID,Name\n{first.import_id},3,2,Bob\n", name="m.csv"
    )
    assert report.problem == (
        f"m.csv: all columns of import {first.import_id} were needed; the header lacks 'Amount'"
    )


def test_a_row_still_bad_is_a_reject_of_the_new_import_to_be_corrected_again(desk: Desk) -> None:
    first = desk.bring(FAULTY)
    second = desk.bring(sent_out(desk, first).replace("six", "6.00").replace("eight", "ate"))
    assert (second.counts.inserted, second.counts.rejected) == (1, 1)
    again = sent_out(desk, second)
    assert [line["_row_number"] for line in lines(again)] == ["5"]
    third = desk.bring(again.replace("ate", "8.00"))
    assert (third.counts.inserted, third.repairs) == (1, first.import_id)
    assert marks(desk, first) == [second.import_id, third.import_id]
    assert marks(desk, second) == [third.import_id]


def test_a_row_repaired_before_is_reported_and_not_imported_again(desk: Desk) -> None:
    first = desk.bring(FAULTY)
    text = sent_out(desk, first).replace("six", "6.00")
    second = desk.bring(text)
    third = desk.bring(text.replace("6.00", "9.00").replace("eight", "8.00"))
    assert (third.counts.inserted, third.counts.updated, third.counts.rejected) == (1, 0, 1)
    reject = desk.rejects(third)[0]
    assert (reject.rule, reject.message) == (
        "row.repaired_before",
        f"row 2 (line 2): an open reject was needed; row 3 of import {first.import_id} was "
        f"repaired by import {second.import_id}",
    )
    assert reject.repaired_by_import_id == second.import_id


def test_the_same_corrected_file_again_is_a_duplicate(desk: Desk) -> None:
    text = sent_out(desk, desk.bring(FAULTY)).replace("six", "6.00").replace("eight", "8.00")
    desk.bring(text)
    assert desk.bring(text).outcome is Outcome.DUPLICATE


def test_of_files_that_correct_a_row_at_once_each_is_judged_when_its_turn_comes(desk: Desk) -> None:
    first = desk.bring(FAULTY)
    text = sent_out(desk, first)
    imports = []
    for six, eight in (("6.00", "eight"), ("9.00", "8.00")):
        path = desk.folder / f"{six}.csv"
        path.write_bytes(text.replace("six", six).replace("eight", eight).encode())
        claim = desk.pipeline.claim_file(found_file(location_of(path), desk.account, "people"))
        assert claim is not None
        imports.append(Import(desk.pipeline, claim))
        advance(imports[-1], Stage.VALIDATE)
    one, other = (settled(import_) for import_ in imports)
    assert (one.counts.inserted, other.counts.inserted, other.counts.rejected) == (1, 1, 1)
    assert [reject.rule for reject in desk.rejects(other)] == ["row.repaired_before"]
    assert marks(desk, first) == [one.import_id, other.import_id]
    assert str(desk.rows(columns="amount", order="person_id")[1].amount) == "6.00"


def test_repaired_rows_are_not_sent_out_again(desk: Desk) -> None:
    first = desk.bring(FAULTY)
    desk.bring(sent_out(desk, first).replace("six", "6.00"))
    assert [line["ID"] for line in lines(sent_out(desk, first))] == ["4"]
    assert [line["ID"] for line in lines(sent_out(desk, first, repaired=True))] == ["2", "4"]


def test_rows_that_were_never_rejected_or_come_twice_are_rejects(desk: Desk) -> None:
    first = desk.bring(FAULTY)
    rows = [f"{first.import_id},{row},Bob,6.00\n" for row in ("3,2", "3,9", "2,8", ",7")]
    report = desk.bring("_import_id,_row_number,ID,Name,Amount\n" + "".join(rows))
    assert [reject.rule for reject in desk.rejects(report)] == [
        "row.repeated",
        "row.not_rejected",
        "row.not_rejected",
    ]
    assert names(desk) == ["Ann", "Bob", "Cid"]


TWELVE = "ID,Name,Amount\n" + "".join(f"k{n},Name {n},x\n" for n in range(2, 13)) + "z,Zoe,1\n"


@pytest.mark.parametrize(
    ("written", "row"), [("12", 12), ("12.0", 12), ("12,0", 12), ("'12", 12), (" 12 ", 12)]
)
def test_a_row_number_comes_back_as_a_spreadsheet_may_have_written_it(
    desk: Desk, written: str, row: int
) -> None:
    first = desk.bring(TWELVE)
    report = desk.bring(
        f"_import_id;_row_number;ID;Name;Amount\n{first.import_id};{written};k{row};N;3\n"
    )
    assert (report.repairs, report.counts.inserted) == (first.import_id, 1)


@pytest.mark.parametrize(
    "written",
    [
        "2,000",
        "2.000",
        "2'000",
        "2 000",
        "2.00",
        "2,5",
        "2e0",
        "+2",
        "-2",
        "\uff12",
        "1,234,567",
        "2x",
    ],
)
def test_a_row_number_that_may_be_another_repairs_none(desk: Desk, written: str) -> None:
    first = desk.bring(TWELVE)
    report = desk.bring(
        f"_import_id;_row_number;ID;Name;Amount\n{first.import_id};{written};k2;Name 2;3\n"
    )
    assert report.counts.inserted == 0
    (reject,) = desk.rejects(report)
    assert reject.rule == "row.not_rejected"
    assert f"found '{written}'" in reject.message


def test_an_import_number_with_marks_of_groups_is_refused(desk: Desk) -> None:
    desk.bring(TWELVE)
    report = desk.bring("_import_id;_row_number;ID;Name;Amount\n1,000;2;k2;N;3\n")
    assert (report.outcome, report.problem_code) == (Outcome.REFUSED, "replay")
    assert "it names 1,000" in str(report.problem)


def test_rows_that_were_sorted_without_their_numbers_are_found_out(desk: Desk) -> None:
    rows = "".join(f"k{n},Name {n},x,DE,open\n" for n in range(9)) + "z,Zoe,1,DE,open\n"
    first = desk.bring("ID,Name,Amount,Country,State\n" + rows)
    head, *out = sent_out(desk, first).replace(",x,", ",3,").splitlines()
    numbers = [line.split(",", 2)[:2] for line in out]
    cells = [line.split(",", 2)[2] for line in out]
    turned = [
        ",".join([*number, cell])
        for number, cell in zip(numbers, cells[1:] + cells[:1], strict=True)
    ]
    report = desk.bring("\n".join([head, *turned]) + "\n")
    assert (report.counts.inserted, report.counts.rejected) == (0, 9)
    assert {reject.rule for reject in desk.rejects(report)} == {"row.not_the_same"}


def test_a_row_under_the_number_of_another_is_found_out_when_it_comes_alone(desk: Desk) -> None:
    first = desk.bring("ID,Name,Amount,Country\na,Ann,x,DE\nb,Bob,x,DE\nc,Cid,1,DE\n")
    report = desk.bring(
        f"_import_id,_row_number,ID,Name,Amount,Country\n{first.import_id},3,a,Ann,5,DE\n"
    )
    assert [reject.rule for reject in desk.rejects(report)] == ["row.not_the_same"]


@pytest.mark.parametrize(
    "corrected",
    [
        pytest.param("22,Bob,6.00,1.5", id="the key, where another cell tells"),
        pytest.param("2,Robert,6.00,", id="all but the key"),
        pytest.param("x,X,6.00,1.50", id="all but a number, written in another way"),
    ],
)
def test_a_person_may_correct_all_cells_but_one_that_tells(desk: Desk, corrected: str) -> None:
    first = desk.bring("ID,Name,Amount,Rate\n2,Bob,six,1.5\n3,Cid,7,2.5\n")
    report = desk.bring(
        f"_import_id,_row_number,ID,Name,Amount,Rate\n{first.import_id},2,{corrected}\n"
    )
    assert (report.counts.inserted, report.repairs) == (1, first.import_id)


def test_a_cell_that_was_at_fault_need_not_come_back(desk: Desk) -> None:
    first = desk.bring("ID,Name,Amount\n,Bob,\n3,Cid,7\n,,\n,,x\n")
    report = desk.bring(
        "_import_id,_row_number,ID,Name,Amount\n"
        f"{first.import_id},2,2,Bob,6\n{first.import_id},5,5,Dee,8\n"
    )
    assert report.counts.inserted == 2


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_corrected_file_of_malformed_rows_alone_still_names_its_import(
    desk: Desk, delimiter: str
) -> None:
    first = desk.bring(FAULTY)
    text = sent_out(desk, first).replace(",", delimiter)
    text = text.replace("Bob", delimiter.join(["Bob", "Dr.", "Prof."]))
    text = text.replace(f"Dee{delimiter}eight{delimiter}", "Dee")
    report = desk.bring(text)
    assert (report.outcome, report.repairs) == (Outcome.IMPORTED, first.import_id)
    assert (report.counts.read, report.counts.rejected) == (2, 2)
    assert {reject.rule for reject in desk.rejects(report)} == {"row.too_long", "row.too_short"}


def test_a_corrected_row_does_not_replace_what_a_later_import_stored(desk: Desk) -> None:
    first = desk.bring(FAULTY)
    desk.bring("ID,Name,Amount\n2,Rob,60.00\n")
    second = desk.bring(sent_out(desk, first).replace("six", "6.00"))
    assert (second.counts.kept, second.counts.updated) == (1, 0)
    assert names(desk) == ["Ann", "Rob", "Cid"]


def test_a_corrected_row_does_not_replace_what_a_later_file_of_the_same_claim_brought(
    desk: Desk,
) -> None:
    later = "ID,Name,Amount\n2,Rob,60.00\n"
    with desk.pipeline.database.begin() as connection:
        for number, content in enumerate((FAULTY, *[later] * 9)):
            path = desk.folder / f"{number}.csv"
            path.write_text(content)
            arrivals.register(connection, [found_file(location_of(path), desk.account, "people")])
        for claim in reversed(claims.take(connection, desk.account, "people", lease_seconds=60)):
            claims.release(connection, claim)  # so that the table has them in this order
    first, *_ = [
        ingest(desk.pipeline, claim) for claim in desk.pipeline.claim(desk.account, "people")
    ]
    second = desk.bring(sent_out(desk, first).replace("six", "6.00"))
    assert (second.counts.kept, names(desk)) == (1, ["Ann", "Rob", "Cid"])


def test_a_corrected_row_does_not_replace_a_row_further_down_in_its_file(desk: Desk) -> None:
    first = desk.bring("ID,Name,Amount\n1,Old,x\n1,New,1.00\n")
    second = desk.bring(sent_out(desk, first).replace("x,", "2.00,"))
    assert (second.counts.kept, names(desk)) == (1, ["New"])


def test_a_corrected_row_replaces_what_was_stored_before_its_file_came(desk: Desk) -> None:
    desk.bring("ID,Name,Amount\n2,Rob,60.00\n")
    first = desk.bring(FAULTY)
    second = desk.bring(sent_out(desk, first).replace("six", "6.00"))
    assert (second.counts.updated, names(desk)) == (1, ["Ann", "Bob", "Cid"])


def test_a_corrected_row_of_a_newer_version_wins_whenever_it_comes(desk: Desk) -> None:
    first = desk.bring("Key,Value,Version\na,three,3rd\n", "versions")
    desk.bring("Key,Value,Version\na,two,2\n", "versions")
    desk.bring(sent_out(desk, first).replace("3rd", "3"), "versions")
    assert desk.rows("versions", "value")[0].value == "three"


VERSIONS = "Key,Value,Version\n"


@pytest.mark.parametrize(
    ("feed", "rows", "is_current"),
    [
        ("first_in_file", "a,first,1\na,second,x\n", "first"),
        ("first_in_file", "a,first,x\na,second,1\n", "first"),
        ("newest_in_file", "a,newest,5\na,older,x\n", "newest"),
        ("newest_in_file", "a,newer,x\na,old,1\n", "newer"),
        ("newest_in_file", "a,one,3\na,same,x\n", "same"),
        ("newest_in_file", "a,one,x\na,same,3\n", "same"),
        ("newest_in_file", "a,dated,x\na,undated,\n", "dated"),
        ("overwritten", "a,first,1\na,second,x\n", "second"),
        ("overwritten", "a,first,x\na,second,1\n", "second"),
        ("kept", "a,first,1\na,second,x\n", "second"),
        ("filled", "a,first,x\na,,1\n", None),
        ("filled", "a,first,\na,second,x\n", "second"),
        ("versions", "a,first,5\na,second,x\n", "second"),
        ("without_conflict", "a,first,1\na,second,x\n", "second"),
    ],
)
def test_a_corrected_row_ends_as_if_it_had_been_right_in_its_file(
    desk: Desk, feed: str, rows: str, is_current: str | None
) -> None:
    first = desk.bring(VERSIONS + rows, feed)
    desk.bring(sent_out(desk, first).replace(",x,", ",3,"), feed)
    other = Desk(desk.pipeline, f"right-{desk.account[-50:]}", desk.folder)
    other.bring(VERSIONS + rows.replace(",x", ",3"), feed)
    for one in (desk, other):
        assert [row.value for row in one.rows(feed, "value")] == [is_current]
    assert desk.rows(feed, "version") == other.rows(feed, "version")


@pytest.mark.parametrize("rows", ["a,one,1\na,two,x\n", "a,one,x\na,two,1\n", "a,1,1\na,1,x\n"])
def test_a_corrected_row_is_rejected_where_no_key_may_come_twice(desk: Desk, rows: str) -> None:
    first = desk.bring(VERSIONS + rows, "once_in_file")
    stored = desk.rows("once_in_file", "value, version")
    second = desk.bring(sent_out(desk, first).replace(",x,", ",1,"), "once_in_file")
    (reject,) = desk.rejects(second)
    assert (second.counts.rejected, reject.rule) == (1, "key.duplicate")
    assert reject.message.endswith(
        f"a key that is in one row of the file only was needed; row {2 if rows[-2] == 'x' else 3} "
        f"of import {first.import_id} has it too"
    )
    assert desk.rows("once_in_file", "value, version") == stored
    assert marks(desk, first) == [None]


def test_of_two_repairs_of_a_key_the_newest_stands_and_where_none_may_the_first(desk: Desk) -> None:
    for feed, is_current in (("newest_in_file", "newest"), ("once_in_file", "newest")):
        first = desk.bring(VERSIONS + "a,newest,x\na,older,y\n", feed)
        text = sent_out(desk, first)
        desk.bring(text.replace(",x,", ",5,"), feed)
        desk.bring(text.replace(",y,", ",3,"), feed)
        assert [row.value for row in desk.rows(feed, "value")] == [is_current]


@pytest.mark.parametrize(
    ("feed", "is_current"), [("overwritten", "low"), ("first_in_file", "high")]
)
def test_of_corrected_rows_that_were_sorted_the_order_of_their_file_counts(
    desk: Desk, feed: str, is_current: str
) -> None:
    first = desk.bring(VERSIONS + "a,high,x\na,mid,x\na,low,x\nb,other,1\n", feed)
    header, *rows = sent_out(desk, first).replace(",x,", ",1,").splitlines(keepends=True)
    second = desk.bring("".join([header, rows[1], rows[2], rows[0]]), feed)
    assert (second.counts.inserted, second.counts.superseded) == (1, 2)
    by = {"low": 3, "high": 4}[is_current]
    assert desk.superseded(second) == [(n, by) for n in (2, 3, 4) if n != by]
    assert desk.rows(feed, "value", "key")[0].value == is_current


def test_a_repair_that_replaced_a_row_of_its_file_can_be_undone(desk: Desk) -> None:
    first = desk.bring(VERSIONS + "a,first,1\na,second,x\n", "kept")
    second = desk.bring(sent_out(desk, first).replace(",x,", ",3,"), "kept")
    assert (second.counts.updated, second.counts.kept) == (1, 0)
    desk.pipeline.undo(second.import_id)
    assert [tuple(row) for row in desk.rows("kept", "value, version")] == [("first", 1)]


PAID = "Payer,Amount,Paid\n"
FIVE = "ann,5.00,2025-01-13\n"


def paid(desk: Desk) -> list[int]:
    """Return the occurrences of the stored payments."""
    return [row[0] for row in desk.rows("payments", "_occurrence")]


def test_a_corrected_row_without_a_key_is_one_more_beside_its_like(desk: Desk) -> None:
    first = desk.bring(f"{PAID}{FIVE}{FIVE}ann,x,2025-01-13\neve,y,\n", "payments")
    corrected = sent_out(desk, first).replace(",x,", ",5.00,").replace(",y,", ",1.00,")
    second = desk.bring(corrected, "payments")
    assert (second.counts.inserted, len(paid(desk))) == (2, 4)
    assert desk.bring(corrected, "payments").outcome is Outcome.DUPLICATE
    again = desk.bring(corrected + "\r\n", "payments")
    assert {reject.rule for reject in desk.rejects(again)} == {"row.repaired_before"}
    whole = desk.bring(f"{PAID}{FIVE}{FIVE}{FIVE}eve,1.00,\n", "payments")
    assert (whole.counts.unchanged, len(paid(desk))) == (4, 4)


def test_repairs_without_a_key_one_after_the_other_and_undone_add_up(desk: Desk) -> None:
    first = desk.bring(f"{PAID}{FIVE}ann,x,2025-01-13\nann,y,2025-01-13\n", "payments")
    text = sent_out(desk, first)
    second = desk.bring(text.replace(",x,", ",5.00,"), "payments")
    third = desk.bring(text.replace(",y,", ",5.00,"), "payments")
    assert (second.counts.inserted, third.counts.inserted, paid(desk)) == (1, 1, [1, 2, 3])
    desk.pipeline.undo(second.import_id)
    fourth = desk.bring(sent_out(desk, first).replace(",x,", ",5.00,"), "payments")
    assert (fourth.counts.inserted, paid(desk)) == (1, [1, 2, 3])
    assert desk.bring(PAID + FIVE * 3, "payments").counts.unchanged == 3


def test_a_corrected_row_that_another_file_brought_as_well_is_there_once(desk: Desk) -> None:
    first = desk.bring(f"{PAID}{FIVE}ann,x,2025-01-13\nann,y,2025-01-13\n", "payments")
    desk.bring(PAID + FIVE * 2, "payments")
    text = sent_out(desk, first).replace(",x,", ",5.00,").replace(",y,", ",5.00,")
    second = desk.bring(text, "payments")
    assert (second.counts.unchanged, second.counts.inserted, paid(desk)) == (1, 1, [1, 2, 3])


def test_a_row_of_two_files_in_a_row_that_both_are_corrected_is_there_once(desk: Desk) -> None:
    for day in ("", "eve,1.00,\n"):
        report = desk.bring(f"{PAID}{day}ann,x,2025-01-13\n", "payments")
        desk.bring(sent_out(desk, report).replace(",x,", ",5.00,"), "payments")
    assert len(desk.rows("payments")) == 2


def test_a_malformed_record_shows_what_can_be_told_apart_and_its_text(desk: Desk) -> None:
    first = desk.bring("ID,Name,Amount\n1,Ann,5.00\n2,Bob\n3,Cid,7.00,8.00\n")
    short, long = lines(sent_out(desk, first))
    assert (short["ID"], short["Name"], short["Amount"], short["_raw"]) == ("2", "Bob", "", "2,Bob")
    assert (long["Amount"], long["_raw"]) == ("7.00", "3,Cid,7.00,8.00")


def test_a_malformed_record_is_taken_once_its_text_is_emptied(desk: Desk) -> None:
    first = desk.bring("ID,Name,Amount\n1,Ann,5.00\n2,Bob\n3,Cid,7.00,8.00\n")
    text = sent_out(desk, first)
    second = desk.bring(text.replace('"2,Bob"', ""))
    assert [reject.rule for reject in desk.rejects(second)] == ["row.not_corrected"]
    assert names(desk) == ["Ann", "Bob"]


def test_the_dates_of_corrected_rows_are_read_as_those_of_their_file(desk: Desk) -> None:
    first = desk.bring("ID,Born,Secret\n1,25/12/2025,1\n2,03/04/2025,x\n")
    desk.bring(sent_out(desk, first).replace(",x,", ",2,"))
    born = [str(row.born_on) for row in desk.rows(columns="born_on", order="person_id")]
    assert born == ["2025-12-25", "2025-04-03"]


def test_an_encoding_that_the_account_declares_does_not_spoil_a_rejects_file(desk: Desk) -> None:
    desk.declare(encoding="cp1252")
    first = desk.bring("ID,Name,Amount\n2,Zoë,six\n".encode("cp1252"))
    desk.bring(sent_out(desk, first).replace("six", "6.00"))
    assert names(desk) == ["Zoë"]


REWRITTEN = [
    "007", "12345678901234567890", "1e5", "1.5E+3", "2026-01-02", "3/4", "03.04.2025", "Sep-03-26",
    "3 Sept 2026", "Sep 3, 2026", "3. März 2026", "'007", "12.50", "1234", "0.5", "A-1",
    "12-34567-89012",
]  # fmt: skip
FORMULAS = ["=1+1", "+cmd", "-a", "@x", "\tx", "'=a", "''=a", "'tis", "-12,50", "+3", "-.5", "＝1"]


def test_cells_come_back_exactly_through_either_variant(desk: Desk) -> None:
    out = io.StringIO()
    cells = [*FORMULAS, *REWRITTEN]
    rows = [[str(number), cell, "x"] for number, cell in enumerate(cells)]
    csv.writer(out).writerows([["ID", "Note", "Secret"], *rows, ["good", "plain", "1"]])
    for verbatim in (False, True):
        other = Desk(desk.pipeline, f"{desk.account[:40]}-{verbatim}".lower(), desk.folder)
        first = other.bring(out.getvalue())
        other.bring(sent_out(other, first, verbatim=verbatim).replace(",x,", ",1,"))
        notes = [row._extra["Note"] for row in other.rows(columns="_extra", order="_row_number")]
        assert notes == [*(cell.strip() for cell in cells), "plain"]


def test_cells_that_a_spreadsheet_would_run_are_neutralised_and_numbers_are_not() -> None:
    assert [neutral(cell) for cell in FORMULAS] == [
        "'=1+1", "'+cmd", "'-a", "'@x", "'\tx", "''=a", "'''=a", "'tis", "-12,50", "+3", "-.5",
        "'＝1",
    ]  # fmt: skip


def test_cells_that_a_spreadsheet_would_rewrite_are_kept_and_others_are_as_they_were() -> None:
    assert [cell for cell in REWRITTEN if kept(cell) == cell] == [
        "12.50", "1234", "0.5", "A-1", "12-34567-89012",
    ]  # fmt: skip
