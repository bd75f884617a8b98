"""What a person should look at is said, and nothing bad ends like something good."""

import csv
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from csv_pipeline.cli import commands
from csv_pipeline.defs.checks import lines_accounted, nothing_to_look_at
from csv_pipeline.defs.metadata import table_metadata
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.model import ImportReport, NonDataLine, Outcome, ReportWarning
from csv_pipeline.stages.read.blocks import Block
from csv_pipeline.stages.read.tally import Tally
from csv_pipeline_tests.conftest import Desk

BAD = "ID,Amount\n" + "".join(f"{n},lots\n" for n in range(19))


def warned(report: ImportReport) -> list[str]:
    return [warning.code for warning in report.warnings]


@pytest.fixture
def call(pipeline: Pipeline, account: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.setattr(commands, "_pipeline", lambda: pipeline)
    path = tmp_path / "list.csv"

    def importing(content: str, *options: str):  # type: ignore[no-untyped-def]
        path.write_text(content)
        words = ["import", str(path), "-a", account, "-f", "people", *options]
        return CliRunner().invoke(commands.app, words)

    return importing


def test_a_small_file_of_rejects_only_is_imported_with_a_warning(desk: Desk) -> None:
    report = desk.bring(BAD)
    assert (report.outcome, report.counts.rejected) == (Outcome.IMPORTED, 19)
    assert warned(report) == ["rows.all_rejected"]


def test_a_larger_file_of_rejects_only_is_refused_and_its_rejects_are_kept(desk: Desk) -> None:
    report = desk.bring(BAD + "19,much\n")
    assert (report.outcome, report.problem_code) == (Outcome.REFUSED, "no_good_row")
    assert "each of its 20 rows was rejected" in str(report.problem)
    assert len(desk.rejects(report)) == 20


def test_one_good_row_among_many_bad_ones_needs_no_refusal(desk: Desk) -> None:
    report = desk.bring(BAD + "19,\n")
    assert (report.outcome, report.counts.inserted, warned(report)) == (Outcome.IMPORTED, 1, [])


def test_lines_below_a_header_of_which_none_is_a_row_are_a_warning(desk: Desk) -> None:
    report = desk.bring("ID,Name\n" * 20)
    assert (report.outcome, report.counts.read) == (Outcome.IMPORTED, 0)
    (warning,) = (one for one in report.warnings if one.code == "rows.none_read")
    assert (warning.count, warning.line_numbers[:2]) == (19, (2, 3))


def test_twenty_lines_below_a_header_and_no_row_refuse_the_file(desk: Desk) -> None:
    report = desk.bring("ID,Name\n" * 21)
    assert (report.outcome, report.problem_code) == (Outcome.REFUSED, "no_good_row")
    assert "20 lines with text stand below the header, and none is a row" in str(report.problem)


def test_a_header_and_nothing_else_is_a_success_without_a_warning(call) -> None:  # type: ignore[no-untyped-def]
    said = call("ID,Name\n", "--strict", "--json")
    assert (said.exit_code, json.loads(said.stdout)["warnings"]) == (0, [])


def test_a_warning_costs_the_exit_code_only_where_that_is_asked_for(call) -> None:  # type: ignore[no-untyped-def]
    assert call(BAD).exit_code == 0
    assert call(BAD.replace("lots", "many"), "--strict").exit_code == 1


def test_a_warning_costs_the_exit_code_of_a_replay_too(call, tmp_path) -> None:  # type: ignore[no-untyped-def]
    for code, options in enumerate(((), ("--strict",))):
        first = json.loads(call(f"ID,Amount\n1,5\n2,lots{code}\n", "--json").stdout)
        path = str(tmp_path / "corrected.csv")
        CliRunner().invoke(commands.app, ["rejects", str(first["import_id"]), "--out", path])
        said = CliRunner().invoke(commands.app, ["replay", path, "--json", *options])
        assert [one["code"] for one in json.loads(said.stdout)["warnings"]] == ["rows.all_rejected"]
        assert said.exit_code == code


def test_import_prints_its_warnings_and_where_every_line_is(call) -> None:  # type: ignore[no-untyped-def]
    shown = " ".join(call(BAD).stdout.split())
    assert "Warning: each of the 19 rows was rejected" in shown


def test_undeclared_lines_of_several_cells_are_a_warning(desk: Desk) -> None:
    table = "ID,Name,Amount\n1,Ann,2.50\n"
    report = desk.bring(f"Report,May\nby the till\n{table}")
    (warning,) = report.warnings
    assert (warning.code, warning.count, warning.line_numbers) == ("lines.undeclared", 1, (1,))
    assert not warned(desk.bring(f"by the till\n{table}"))


def test_declared_lines_of_several_cells_are_no_warning(desk: Desk) -> None:
    header = "Sales Record Number,Order Number,Item Title,Quantity,Sold For,Sale Date"
    report = desk.bring(
        f"{header}\n1,11-10000-00001,Cup,1,2.50,2026-09-01\n"
        "1,record(s) downloaded,from Sep-01-26 to Sep-30-26\n",
        "ebay_orders",
    )
    assert (report.counts.non_data, "lines.undeclared" in warned(report)) == (1, False)


def test_the_first_hundred_lines_that_are_no_data_are_shown_and_all_are_kept(call) -> None:  # type: ignore[no-untyped-def]
    content = "ID,Name\n1,Ann\n" + ",\n" * 130
    told = json.loads(call(content, "--json").stdout)
    assert (len(told["non_data_lines"]), told["lines"]["non_data"]) == (100, 130)
    with Path(told["results"]).open(encoding="utf-8-sig") as file:
        kept = [line for line in csv.DictReader(file) if line["_outcome"] == "non-data"]
    assert [line["_line_number"] for line in kept] == [str(n) for n in range(3, 133)]
    shown = call(content.replace("Ann", "Bob")).stdout
    assert "Lines that are no data" in shown
    assert "more; the result file has all of them" in shown


@pytest.mark.parametrize(
    ("noticed_by", "said"),
    [("read", "the lines do not add up"), ("load", "2 lines accounted for were needed; 3 were")],
)
def test_lines_that_do_not_add_up_leave_nothing_visible(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, noticed_by: str, said: str
) -> None:
    counted = Tally.take_in

    def one_more(tally: Tally, block: Block) -> None:
        counted(tally, block)
        tally.pass_over(1)

    monkeypatch.setattr(Tally, "take_in", one_more)
    if noticed_by == "load":
        monkeypatch.setattr(Tally, "check", lambda _: None)
    report = desk.bring("ID,Name\n1,Ann\n")
    assert (report.outcome, report.problem_code) == (Outcome.FAILED, "AccountingError")
    assert said in str(report.problem)
    assert desk.rows() == []


def _report(**facts: object) -> ImportReport:
    names = {"import_id": 1, "arrival_id": 1, "account": "a", "feed": "people", "name": "f.csv"}
    return ImportReport(**names, outcome=Outcome.IMPORTED, **facts)  # type: ignore[arg-type]


UNDECLARED = ReportWarning(code="lines.undeclared", message="…", count=2, line_numbers=(7, 9))


def test_undeclared_lines_with_cells_make_their_check_warn(desk: Desk) -> None:
    feed = desk.pipeline.feed("people")
    assert not lines_accounted(feed, [_report(warnings=(UNDECLARED,))]).passed
    assert lines_accounted(feed, [_report()]).passed


def test_any_other_warning_makes_its_check_warn(desk: Desk) -> None:
    feed = desk.pipeline.feed("people")
    other = ReportWarning(code="rows.all_rejected", message="…")
    assert not nothing_to_look_at(feed, [_report(warnings=(other,))]).passed
    assert nothing_to_look_at(feed, [_report(warnings=(UNDECLARED,))]).passed


def test_metadata_of_a_run_hold_lines_that_are_no_data_but_not_what_may_be_a_row() -> None:
    lines = (
        NonDataLine(line_number=1, text="Report of May", reason="preamble"),
        NonDataLine(line_number=9, text="7,Ann,secret", reason="footer", cells=3),
    )
    shown = table_metadata([_report(non_data_lines=lines)], 0)["lines that are no data"]
    assert [record.data["text"] for record in shown.records] == ["Report of May", "3 cells"]


def test_blank_lines_are_counted_alike_wherever_they_stand(desk: Desk) -> None:
    report = desk.bring("\nID,Name\n1,Ann\n\n2,Bob\n")
    assert (report.counts.blank, report.lines.blank) == (2, 2)


@pytest.mark.parametrize("word", ["Zo\u00eb", "Stra\u00dfe", "\u00e9"])
def test_a_lone_letter_of_an_older_encoding_is_a_warning_until_its_encoding_is_declared(
    desk: Desk, word: str
) -> None:
    content = f"ID,Name\n1,{word}\n".encode("cp1252")
    report = desk.bring(content)
    (warning,) = (one for one in report.warnings if one.code == "encoding.not_proven")
    assert warning.message.endswith(
        f": csv-pipeline account {desk.account} --feed people --encoding cp1252"
    )
    desk.declare(encoding="cp1252")
    assert warned(desk.bring(content, again=True)) == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_an_encoding_that_the_bytes_prove_is_no_warning(desk: Desk, encoding: str) -> None:
    assert warned(desk.bring("ID,Name\n1,Stra\u00dfe\n".encode(encoding))) == []


@pytest.mark.parametrize(
    ("feed", "content", "values"),
    [
        (
            "customers",
            "customer_id,first_order_on\n1,25/12/2025\n2,12/25/2025\n",
            "'25/12/2025' in row 2 is day first, '12/25/2025' in row 3 is month first",
        ),
        (
            "products",
            'sku,cost\nA,2.50\nB,"2,50"\n',
            "'2.50' in row 2 is point, '2,50' in row 3 is comma",
        ),
    ],
)
def test_a_column_written_in_two_ways_is_a_warning(
    desk: Desk, feed: str, content: str, values: str
) -> None:
    report = desk.bring(content, feed)
    (warning,) = report.warnings
    assert (warning.code, report.counts.inserted) == ("column.styles_differ", 2)
    assert values in warning.message


def test_a_column_written_in_one_way_is_no_warning(desk: Desk) -> None:
    content = "customer_id,first_order_on\n1,25/12/2025\n2,05/12/2025\n3,2025-12-13\n4,3 May 2025\n"
    assert desk.bring(content, "customers").warnings == ()
