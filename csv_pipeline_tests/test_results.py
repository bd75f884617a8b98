"""The result file has one line for every record, with the outcome that the report counts."""

import csv
import io
import os
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csv_pipeline.batches import Batches, BatchWriter
from csv_pipeline.engine.housekeeping import sweep
from csv_pipeline.engine.workspace import Stage
from csv_pipeline.files.local import path_of
from csv_pipeline.handover import REJECTS, SUPERSEDED, TextFile, TypedFile, ValidFile
from csv_pipeline.model import Counts, ImportReport, Outcome
from csv_pipeline.parts import together
from csv_pipeline.rejects.rejects_file import neutral, neutralised
from csv_pipeline.stages.results import Decided, result_lines, write_lines
from csv_pipeline_tests.conftest import Desk, advance, settled


def results(desk: Desk, report: ImportReport) -> list[dict[str, str]]:
    path = path_of(desk.pipeline.settings.results_file(desk.account, report.feed, report.import_id))
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"))))


class Left:
    """What the stages of an import may have left, batch by batch."""

    def __init__(self, work: Path, batches: int, size: int) -> None:
        self.work, self.records = work, batches * size
        self.numbers = [range(2 + n * size, 2 + (n + 1) * size) for n in range(batches)]
        self.put("text", [self.places(some) for some in self.numbers])
        self.put("typed", [self.keyed(some) for some in self.numbers])
        self.put("valid", [self.keyed(some).sort("key") for some in self.numbers])
        for name in ("malformed", "rejects"):
            self.put(name, [pl.DataFrame(schema=REJECTS) for _ in self.numbers])
        self.put("superseded", [pl.DataFrame(schema=SUPERSEDED)])

    def put(self, name: str, frames: Iterable[pl.DataFrame]) -> None:
        writer = BatchWriter(self.work / name)
        for number, frame in enumerate(frames):
            writer.write(frame, number)
        writer.batches.spill()

    def left(self, name: str) -> Batches:
        return Batches(self.work / name)

    @staticmethod
    def places(rows: Iterable[int]) -> pl.DataFrame:
        row = pl.Series("row_number", list(rows), pl.Int64)
        return pl.DataFrame([row, row.alias("line_number")])

    def keyed(self, rows: Iterable[int]) -> pl.DataFrame:
        numbered = self.places(rows).rename("_{}".format)
        backwards = pl.format("k{}", 1_000 - pl.col("_row_number"))
        return numbered.with_columns(key=backwards, secret=pl.lit("hush"))

    def faults(self, rows: Iterable[int], what: str) -> pl.DataFrame:
        return (
            self.places(rows)
            .with_columns(
                pl.lit(None, pl.String).alias("column"),
                pl.lit("a.rule").alias("rule"),
                pl.lit("x").alias("value"),
                pl.lit(f"column a: {what}").alias("message"),
                pl.lit(0).alias("offset"),
                pl.lit(0).alias("length"),
            )
            .cast(REJECTS)
        )

    def lines(self, **how: Any) -> list[dict[str, str]]:
        text = TextFile(
            text=self.work / "text.csv", rows=self.left("text"), rejects=self.left("malformed"),
            encoding="utf-8", delimiter=",", quote='"', escape="doubled", header=("key",),
            header_line=1, records=self.records, malformed=0, repaired=0, blank=0, non_data=(),
            non_data_count=0, evidence=(),
        )  # fmt: skip
        typed = TypedFile(
            rows=self.left("typed"), rejects=self.left("none"), rows_at_fault=0, columns=("key",),
            headings={}, layout="", styles={}, evidence=(),
        )  # fmt: skip
        valid = ValidFile(
            rows=self.left("valid"), rejects=self.left("rejects"), valid=0, rejected=0,
            superseded_rows=self.left("superseded"), superseded=0, occurrences=self.left("none"),
        )  # fmt: skip
        facts = {"key": ("key",), "protected": frozenset()} | how
        out, work = io.BytesIO(), self.work
        decided = Decided(
            files=together([text], ["file.csv"], work),
            typed=typed,
            valid=valid,
            outcomes=self.left("outcomes"),
            late=self.left("late"),
            missing=self.left("missing"),
            **facts,
        )
        for number, (_, frame) in enumerate(result_lines(decided)):
            write_lines(out, frame, first=number == 0)
        return list(csv.DictReader(io.StringIO(out.getvalue().decode("utf-8-sig"))))


@pytest.fixture
def left(tmp_path: Path) -> Left:
    return Left(tmp_path, batches=3, size=4)


def outcomes(lines: Iterable[dict[str, str]]) -> dict[int, str]:
    return {int(line["_row_number"]): line["_outcome"] for line in lines}


def test_every_record_has_a_line_in_the_order_of_the_file(left: Left) -> None:
    lines = left.lines()
    assert [int(line["_row_number"]) for line in lines] == list(range(2, 14))
    assert {line["_outcome"] for line in lines} == {"inserted"}
    assert [line["key"] for line in lines] == [f"k{1_000 - row}" for row in range(2, 14)]


def test_outcomes_come_from_batches_in_any_order(left: Left) -> None:
    found = {13: "kept", 2: "updated", 5: "unchanged", 9: "updated"}
    frame = pl.DataFrame({"row_number": list(found), "outcome": list(found.values())})
    left.put("outcomes", [frame.head(3), frame.clear(), frame.tail(1)])
    left.put("superseded", [pl.DataFrame([(4, 7)], SUPERSEDED, orient="row")])
    told = outcomes(left.lines())
    assert {row: told[row] for row in found} == found
    assert told[4] == "superseded"
    assert list(told.values()).count("inserted") == 7


def test_faults_of_a_row_stand_together_without_its_place(left: Left) -> None:
    some = [left.faults([3, 3], "bad"), pl.DataFrame(schema=REJECTS), left.faults([12], "worse")]
    left.put("rejects", some)
    left.put("valid", [left.keyed([2, 4, 5]), left.keyed(range(6, 10)), left.keyed([10, 11, 13])])
    lines = {int(line["_row_number"]): line for line in left.lines()}
    assert lines[3]["_errors"] == "column a: bad | column a: bad"
    assert [row for row, line in lines.items() if line["_outcome"] == "rejected"] == [3, 12]
    assert lines[3]["key"] == "k997"


def test_a_row_that_only_the_database_rejected_is_rejected_once(left: Left) -> None:
    left.put("late", [left.faults([3, 13], "taken")])
    lines = left.lines()
    assert len(lines) == 12
    assert [row for row, told in outcomes(lines).items() if told == "rejected"] == [3, 13]
    assert lines[1]["key"] == "k997"


def test_a_malformed_record_stands_among_the_rows(left: Left) -> None:
    left.put("text", [left.places([2, 4, 5]), left.places(range(6, 10)), left.places([])])
    malformed = [left.faults([3], "short"), left.faults([], ""), left.faults(range(10, 14), "long")]
    left.put("malformed", malformed)
    left.put("typed", [left.keyed([2, 4, 5]), left.keyed(range(6, 10)), left.keyed([])])
    left.put("valid", [left.keyed([2, 4, 5]), left.keyed(range(6, 10)), left.keyed([])])
    lines = left.lines()
    assert [int(line["_row_number"]) for line in lines] == list(range(2, 14))
    assert (lines[1]["_outcome"], lines[1]["key"]) == ("rejected", "")


def test_a_protected_key_is_masked(left: Left) -> None:
    lines = left.lines(key=("key", "secret"), protected=frozenset({"secret"}))
    assert {line["secret"] for line in lines} == {"•••"}


@settings(max_examples=200, deadline=None)
@given(cell=st.text(st.sampled_from("'=+-@\t\r\n0123456789.,a\uff1d"), max_size=6))
def test_a_column_is_neutralised_as_a_cell_is(cell: str) -> None:
    shown = pl.select(neutralised(pl.lit(cell))).item()
    assert shown == neutral(cell)


def test_an_import_leaves_a_line_for_every_row(desk: Desk) -> None:
    report = desk.bring("ID,Name,Amount\n1,Ann,5.00\n=2,Bob,6\n2,Cid,x\n1,Eve,7.00\n3\n")
    lines = results(desk, report)
    assert [tuple(line.values()) for line in lines] == [
        ("2", "2", "superseded", "1", ""),
        ("3", "3", "inserted", "'=2", ""),
        ("4", "4", "rejected", "2", lines[2]["_errors"]),
        ("5", "5", "inserted", "1", ""),
        ("6", "6", "rejected", "", lines[4]["_errors"]),
    ]
    assert "'x' breaks rule amount.decimal" in lines[2]["_errors"]
    assert "row 4" not in lines[2]["_errors"]


def test_rows_that_meet_stored_ones_have_their_own_outcome(desk: Desk) -> None:
    desk.bring("Key,Value,Version\na,old,2\nb,old,2\nc,old,2\n", "versions")
    report = desk.bring("Key,Value,Version\na,new,3\nb,new,1\nc,old,2\nd,new,1\n", "versions")
    told = {line["key"]: line["_outcome"] for line in results(desk, report)}
    assert told == {"a": "updated", "b": "kept", "c": "unchanged", "d": "inserted"}


def test_the_same_rows_again_are_all_told_to_be_unchanged(desk: Desk) -> None:
    rows = "".join(f"{n},Ann\n" for n in range(50))
    desk.bring(f"ID,Name\n{rows}")
    report = desk.bring(f"ID,Name\n{rows}50,Bob\n")
    told = [line["_outcome"] for line in results(desk, report)]
    assert (told.count("unchanged"), told.count("inserted")) == (50, 1)


def test_a_row_that_contradicts_the_stored_one_is_rejected_in_its_line(desk: Desk) -> None:
    desk.bring("Key,Value,Version\na,old,2\nb,old,2\n", "without_conflict")
    report = desk.bring("Key,Value,Version\na,new,2\nb,old,2\nc,new,1\n", "without_conflict")
    lines = results(desk, report)
    assert [line["_outcome"] for line in lines] == ["rejected", "unchanged", "inserted"]
    assert (lines[0]["key"], bool(lines[0]["_errors"])) == ("a", True)


def test_a_file_without_rows_has_results_of_none(desk: Desk) -> None:
    assert results(desk, desk.bring("ID,Name\n")) == []


def test_nobody_else_may_read_a_result_file(desk: Desk) -> None:
    report = desk.bring("ID,Name\n1,Ann\n")
    path = path_of(desk.pipeline.settings.results_file(desk.account, "people", report.import_id))
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_file_refused_for_too_many_rejects_tells_good_rows_from_bad(desk: Desk) -> None:
    rows = "".join(f"{n},v,{'x' if n < 4 else n}\n" for n in range(8))
    report = desk.bring(f"Key,Value,Version\n{rows}", "limited")
    assert report.outcome is Outcome.REFUSED
    told = [line["_outcome"] for line in results(desk, report)]
    assert told == ["rejected"] * 4 + ["refused"] * 4


def test_a_file_whose_rows_were_never_judged_has_no_results(desk: Desk) -> None:
    report = desk.bring("Colour,Size\nred,3\n")
    path = path_of(desk.pipeline.settings.results_file(desk.account, "people", report.import_id))
    assert not path.exists()


def test_results_that_contradict_the_report_are_not_left(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "csv_pipeline.engine.result_files._counts", lambda _: Counts(read=3, inserted=3)
    )
    report = desk.bring("ID,Name\n1,Ann\n")
    path = path_of(desk.pipeline.settings.results_file(desk.account, "people", report.import_id))
    assert (report.outcome, path.exists()) == (Outcome.IMPORTED, False)


def test_an_import_killed_after_its_commit_gets_its_results_from_the_sweep(desk: Desk) -> None:
    import_ = desk.claimed("ID,Name\n1,Ann\n2,Bob\n")
    report = settled(import_)
    pipeline = desk.pipeline
    work = pipeline.settings.work_area / f"{import_.claim.import_id}-1"
    os.utime(work, (0, 0))
    sweep(pipeline.settings, pipeline.database, pipeline.feeds)
    assert not work.exists()
    assert len(results(desk, report)) == 2


def test_what_a_killed_writer_of_rejects_left_in_the_work_area_is_swept(desk: Desk) -> None:
    pipeline = desk.pipeline
    folders = [pipeline.settings.work_area / name for name in ("tmp-old", "tmp-new")]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "file").write_text("x")
    os.utime(folders[0], (0, 0))  # somebody writes the other one right now
    sweep(pipeline.settings, pipeline.database, pipeline.feeds)
    assert [folder.exists() for folder in folders] == [False, True]


@pytest.fixture
def small_disk(desk: Desk) -> Iterator[Path]:
    """A disk of 64 KiB where the account's result files go; only root may make one."""
    folder = path_of(desk.pipeline.settings.results_area / desk.account / "people")
    folder.mkdir(parents=True)
    made = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if subprocess.run(made, capture_output=True, check=False).returncode:  # noqa: S603
        pytest.skip("no file system may be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)  # noqa: S603, S607


@pytest.mark.parametrize("many", [1, 10**9], ids=["while the server loads", "in the end"])
def test_a_result_file_that_a_full_disk_cuts_off_is_removed_and_costs_no_row(
    desk: Desk, small_disk: Path, many: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("csv_pipeline.stages.load.faults._MANY", many)
    report = desk.bring("ID,Name,Amount\nx,X,bad\n" + "".join(f"{n},Ann,\n" for n in range(9_000)))
    assert (report.outcome, report.counts.inserted) == (Outcome.IMPORTED, 9_000)
    assert list(small_disk.iterdir()) == []
    small = desk.bring("ID,Name\nsmall,Ann\n")
    assert len(results(desk, small)) == 1


def test_no_result_file_is_written_if_the_setting_says_so(desk: Desk) -> None:
    settings = desk.pipeline.settings.model_copy(update={"result_files": False})
    without = Desk(replace(desk.pipeline, settings=settings), desk.account, desk.folder)
    report = without.bring("ID,Name\n1,Ann\n")
    assert not path_of(settings.results_file(desk.account, "people", report.import_id)).exists()


def test_the_results_of_many_rejects_are_written_while_the_server_takes_them(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("csv_pipeline.stages.load.faults._MANY", 1)
    import_ = desk.claimed("ID,Name,Amount\n1,Ann,x\n2,Bob,2.00\n")
    advance(import_, Stage.LOAD)
    monkeypatch.delattr("csv_pipeline.engine.result_files._draft")  # nobody writes them again
    advance(import_, Stage.REPORT)
    told = [line["_outcome"] for line in results(desk, settled(import_))]
    assert told == ["rejected", "inserted"]


def test_results_written_too_early_for_a_refused_file_are_written_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("csv_pipeline.stages.load.faults._MANY", 1)
    too_long = "".join(chr(97 + (n * n) % 26) + str(n) for n in range(20_000))
    rows = "".join(f"{n},v,{'x' if n < 3 else n}\n" for n in range(7))
    report = desk.bring(f"Key,Value,Version\n{rows}{too_long},v,7\n", "limited")
    assert report.outcome is Outcome.REFUSED
    told = [line["_outcome"] for line in results(desk, report)]
    assert told == ["rejected"] * 3 + ["refused"] * 4 + ["rejected"]
