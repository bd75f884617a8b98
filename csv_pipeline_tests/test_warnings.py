"""What a person should look at is said, and nothing bad ends like something good."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from csv_pipeline.cli import commands
from csv_pipeline.defs.checks import lines_accounted, nothing_to_look_at
from csv_pipeline.defs.metadata import table_metadata
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.model import ImportReport, NonDataLine, Outcome, ReportWarning
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


def test_a_header_and_nothing_else_is_a_success_without_a_warning(call) -> None:  # type: ignore[no-untyped-def]
    said = call("ID,Name\n", "--strict", "--json")
    assert (said.exit_code, json.loads(said.stdout)["warnings"]) == (0, [])


def test_a_warning_costs_the_exit_code_only_where_that_is_asked_for(call) -> None:  # type: ignore[no-untyped-def]
    assert call(BAD).exit_code == 0
    assert call(BAD.replace("lots", "many"), "--strict").exit_code == 1


def test_import_prints_its_warnings_and_where_every_line_is(call) -> None:  # type: ignore[no-untyped-def]
    shown = " ".join(call(BAD).stdout.split())
    assert "Warning: each of the 19 rows was rejected" in shown


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
