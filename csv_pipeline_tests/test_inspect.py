"""Any file can be looked into without a feed, and written out clean."""

import gzip
import json
import re
import shlex
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from csv_pipeline.batches import batches
from csv_pipeline.cli import commands, opening, show_inspection
from csv_pipeline.cli.terminal import out
from csv_pipeline.engine import inspection
from csv_pipeline.engine.inspection import inspect_file, write_clean
from csv_pipeline.errors import FileRefusedError
from csv_pipeline.handover import TextFile
from csv_pipeline.settings import Settings
from csv_pipeline.stages.read import ReadHints, read
from csv_pipeline_tests.feeds import TEST_FEEDS
from csv_pipeline_tests.test_cli import Said
from csv_pipeline_tests.test_corpus import CASES, NAMES

MESSY = 'Title of the report\n\nNr;Name;Note\r\n1;"Müller; Jürgen";""\r\n2;Bob\r\n3;Cid;\r\n'
CUSTOMERS = "Customer ID,Name,Shoe Size\nC1,Ann,38\nC2,Bob,44\n"
SAMPLE = 2 * 1024**2  # larger than all that is looked at of a beginning


@pytest.fixture(autouse=True)
def small_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is large can be small."""
    monkeypatch.setattr(inspection, "SAMPLE_BYTES", SAMPLE)


@pytest.fixture(autouse=True)
def no_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    """An inspection opens no database."""
    monkeypatch.delattr(opening, "pipeline")


def inspect(file: Path, *options: str | Path) -> Said:
    result = CliRunner().invoke(commands.app, ["inspect", str(file), *map(str, options)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Said(result.exit_code, result.stdout, result.stderr)


def written(folder: Path, content: str | bytes, name: str = "file.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def facts(file: Path, *options: str | Path) -> Any:
    return inspect(file, *options, "--json").json


def zipped(folder: Path, files: dict[str, str]) -> Path:
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return folder / "all.zip"


def large(folder: Path) -> Path:
    """A file more than twice as large as a sample, whose last line has a fault."""
    row = 'x,"several\nlines, ' + "y" * 80 + '"\n'
    return written(folder, "a,b\n" + row * (2 * SAMPLE // len(row) + 1) + "one,too,many\n")


def test_inspect_says_how_a_file_is_written(tmp_path: Path) -> None:
    found = facts(written(tmp_path, MESSY.encode("cp1252")))
    assert (found["encoding"], found["delimiter"], found["quote"]) == ("cp1252", ";", '"')
    assert found["line_ends"] == "mixed: 4 CRLF, 2 LF"
    assert (found["header"], found["header_line"]) == (["Nr", "Name", "Note"], 3)


def test_inspect_shows_the_first_rows_with_absent_and_empty_values_apart(tmp_path: Path) -> None:
    assert facts(written(tmp_path, MESSY))["first_rows"] == [
        {"row_number": 2, "values": ["1", "Müller; Jürgen", ""]},
        {"row_number": 4, "values": ["3", "Cid", None]},
    ]


def test_inspect_shows_the_faults_with_their_records(tmp_path: Path) -> None:
    found = facts(written(tmp_path, MESSY))
    assert (found["records"], found["rejected"]) == (3, 1)
    assert found["rejects_by_rule"] == {"row.too_short": 1}
    fault = found["first_rejects"][0]
    assert (fault["row_number"], fault["line_number"], fault["raw"].strip()) == (3, 5, "2;Bob")


def test_inspect_prints_all_of_it_for_people(tmp_path: Path) -> None:
    said = inspect(written(tmp_path, MESSY))
    assert said.exit_code == 0
    for shown in ("semicolon", "line 3", "Müller; Jürgen", "row.too_short", "2;Bob", "(none)"):
        assert shown in said.out


def test_inspect_proposes_the_feed_whose_names_the_header_has(tmp_path: Path) -> None:
    best = facts(written(tmp_path, CUSTOMERS))["feeds"][0]
    assert (best["feed"], best["known"], best["share"], best["fits"]) == (
        "customers", 2, 0.667, True,
    )  # fmt: skip
    assert "--feed customers" in inspect(tmp_path / "file.csv").out


def test_inspect_says_what_a_header_lacks_for_a_feed(tmp_path: Path) -> None:
    proposed = facts(written(tmp_path, "Order Number,Colour\n12-34567-89012,red\n"))["feeds"][0]
    assert (proposed["feed"], proposed["fits"]) == ("ebay_orders", False)
    assert "Sale Date" in proposed["missing"]


def test_inspect_finds_a_header_that_only_the_feed_s_names_show(tmp_path: Path) -> None:
    banner = "a,b\n1,2\n" * 10
    proposed = facts(written(tmp_path, banner + CUSTOMERS))["feeds"][0]
    assert (proposed["feed"], proposed["fits"], proposed["header_line"]) == ("customers", True, 21)


def test_inspect_for_a_feed_reads_as_an_import_does(tmp_path: Path) -> None:
    found = facts(written(tmp_path, "a,b\n1,2\n" * 10 + CUSTOMERS), "--feed", "customers")
    assert (found["header_line"], found["records"]) == (21, 2)


def test_a_file_that_no_feed_knows_is_said_to_be_so(tmp_path: Path) -> None:
    assert "No feed knows any of its columns" in inspect(written(tmp_path, "x,y\n1,2\n")).out


def test_an_unknown_feed_exits_with_2(tmp_path: Path) -> None:
    assert inspect(written(tmp_path, CUSTOMERS), "--feed", "orders").exit_code == 2


def test_what_is_no_text_exits_with_1(tmp_path: Path) -> None:
    said = inspect(written(tmp_path, b"%PDF-1.7\n\0\0\0"))
    assert said.exit_code == 1
    assert said.err == "csv-pipeline: file.csv: a CSV file was needed; it is a PDF document\n"


def test_cells_cannot_steer_the_terminal(tmp_path: Path) -> None:
    said = inspect(written(tmp_path, "a,b\n1,\x1b[31m[bold]red\n2,\x1b[31m,\n"))
    assert "\x1b" not in said.out


def test_the_clean_file_has_the_rows_exactly_as_read(tmp_path: Path) -> None:
    said = inspect(written(tmp_path, MESSY.encode("utf-16")), "--out", tmp_path / "clean.csv")
    clean = (tmp_path / "clean.csv").read_bytes()
    assert clean == 'Nr,Name,Note\n1,Müller; Jürgen,""\n3,Cid,\n'.encode()
    assert said.err.endswith("clean.csv: 2 rows written, 1 rejected: row.too_short 1\n")


def test_two_columns_of_one_name_stay_two(tmp_path: Path) -> None:
    inspect(written(tmp_path, "a;a;\n1;2;3\n"), "--out", tmp_path / "clean.csv")
    assert (tmp_path / "clean.csv").read_text() == 'a,a,""\n1,2,3\n'


def test_the_file_itself_is_never_written_to(tmp_path: Path) -> None:
    file = written(tmp_path, MESSY)
    said = inspect(file, "--out", tmp_path / "." / "file.csv")
    assert said.exit_code == 2
    assert file.read_bytes() == MESSY.encode()


def test_of_a_refused_file_nothing_is_written(tmp_path: Path) -> None:
    file = written(tmp_path, b"")
    assert inspect(file, "--out", tmp_path / "clean.csv").exit_code == 1
    assert list(tmp_path.iterdir()) == [file]


def _rows(text: TextFile) -> list[tuple[str | None, ...]]:
    width = len(text.header)
    return [
        row for batch in batches(text.rows) for row in batch.select(pl.nth(range(width))).rows()
    ]


def _records(clean: str) -> Iterator[tuple[str | None, ...]]:
    """Parse by RFC 4180 alone, an absent cell being None."""
    record: list[str | None] = []
    for cell, end in re.findall(r'("(?:[^"]|"")*"|[^",\n]*)([,\n])', clean):
        record.append(cell[1:-1].replace('""', '"') if cell[:1] == '"' else cell or None)
        if end == "\n":
            yield tuple(record)
            record = []


@pytest.mark.parametrize("name", NAMES)
def test_a_clean_file_holds_what_the_polluted_one_did(name: str, tmp_path: Path) -> None:
    try:
        text = read(CASES / f"{name}.csv", tmp_path, ReadHints(name="file.csv"))
    except FileRefusedError:
        return
    write_clean(text, tmp_path / "clean.csv")
    header, *rows = _records((tmp_path / "clean.csv").read_bytes().decode())
    assert tuple(name or "" for name in header) == text.header
    assert rows == _rows(text)


def test_a_large_file_is_judged_by_its_beginning_and_that_is_said(tmp_path: Path) -> None:
    file = large(tmp_path)
    found = facts(file)
    assert found["complete"] is False
    assert found["rejected"] == 0
    assert any("not yet all" in what for what in found["unverified"])
    lines = file.read_text().count("\n") // 2
    assert abs(found["records_about"] - lines) < lines / 100
    assert "Not verified yet; --full reads all of the file" in inspect(file).out


def test_all_of_a_large_file_is_read_when_asked_for(tmp_path: Path) -> None:
    found = facts(large(tmp_path), "--full")
    assert (found["complete"], found["rejects_by_rule"]) == (True, {"row.too_long": 1})


@pytest.mark.parametrize(
    ("encoding", "end"),
    [
        ("utf-8", "\n"),
        ("cp1252", "\r\n"),
        ("utf-16", "\n"),
        pytest.param("utf-8", "\r", marks=pytest.mark.slow),
        pytest.param("cp1252", "\r", marks=pytest.mark.slow),
        pytest.param("utf-16-be", "\r\n", marks=pytest.mark.slow),
    ],
)
def test_a_sample_cut_off_anywhere_has_no_faults(encoding: str, end: str, tmp_path: Path) -> None:
    row = f'ä{{0}};"Müller {{0}}";{"é" * 200}{end}'
    lines = "".join(row.format(n) for n in range(2 * SAMPLE // len(row.encode(encoding))))
    found = facts(written(tmp_path, f"a;b;c{end}{lines}".encode(encoding)))
    assert (found["complete"], found["rejected"]) == (False, 0)
    assert found["header"] == ["a", "b", "c"]
    assert "do not decode" not in json.dumps(found["evidence"])


def test_a_compressed_file_is_looked_into(tmp_path: Path) -> None:
    found = facts(written(tmp_path, gzip.compress(MESSY.encode())))
    assert found["records"] == 3
    assert found["evidence"][0]["decision"] == "gzip"


def test_of_a_large_compressed_file_only_the_beginning_is_unpacked(tmp_path: Path) -> None:
    found = facts(written(tmp_path, gzip.compress(large(tmp_path).read_bytes(), 1), "large.csv.gz"))
    assert (found["complete"], found["records_about"]) == (False, None)


def test_an_archive_of_several_files_is_listed(tmp_path: Path) -> None:
    archive = zipped(tmp_path, {"a.csv": MESSY, "b.csv": CUSTOMERS})
    assert [member["name"] for member in facts(archive)["members"]] == ["a.csv", "b.csv"]
    assert "Look into one by --member NAME" in inspect(archive).out


def test_one_file_of_an_archive_is_looked_into_by_name(tmp_path: Path) -> None:
    archive = zipped(tmp_path, {"a.csv": MESSY, "b.csv": CUSTOMERS})
    assert facts(archive, "--member", "b.csv")["header"] == ["Customer ID", "Name", "Shoe Size"]


def test_a_member_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    said = inspect(zipped(tmp_path, {"a.csv": MESSY, "b.csv": CUSTOMERS}), "--member", "c.csv")
    assert "the member 'c.csv' was needed; the archive has 'a.csv', 'b.csv'" in said.err


def test_of_several_files_none_is_written_until_one_is_named(tmp_path: Path) -> None:
    archive = zipped(tmp_path, {"a.csv": MESSY, "b.csv": CUSTOMERS})
    said = inspect(archive, "--out", tmp_path / "clean.csv")
    assert said.exit_code == 2
    assert "one of its files was needed (--member), of 'a.csv', 'b.csv'" in said.err


def test_where_feeds_fit_alike_the_command_for_each_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "of both.csv"
    path.write_text("SKU,Warehouse,Units\n1,A,2\n")
    both = [feed for feed in TEST_FEEDS if feed.name in {"stock_listed", "stock_flagged"}]
    with out.capture() as said:
        show_inspection.inspected(inspect_file(path, Settings(home=tmp_path), both))
    shown = said.get()
    assert shown.count("2 feeds fit alike: only you know which of them it is for.") == 1
    for feed in ("stock_listed", "stock_flagged"):
        assert f"import {shlex.quote(str(path))} --account ACCOUNT --feed {feed}" in shown
