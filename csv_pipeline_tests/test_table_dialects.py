"""Files that are written as their feed declares, with and without a header, and held to it."""

import re
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from csv_pipeline.batches import scan
from csv_pipeline.engine.inspection import inspect_file
from csv_pipeline.engine.pipeline import Pipeline, open_pipeline
from csv_pipeline.errors import SetupError
from csv_pipeline.handover import REJECTS
from csv_pipeline.model import ImportReport, Outcome
from csv_pipeline.spec.declared import feed_in
from csv_pipeline.spec.declared.forms import written
from csv_pipeline.spec.dialect import TableDialect
from csv_pipeline.stages.read import ReadHints, read
from csv_pipeline_tests.conftest import Desk, own_settings
from csv_pipeline_tests.feeds import TEST_FEEDS
from csv_pipeline_tests.test_replay import sent_out

DIALECT = TableDialect(delimiter=";")


def brought(desk: Desk, content: str | bytes) -> ImportReport:
    return desk.bring(content, "entries")


def notes(desk: Desk) -> list[str]:
    return [row.note for row in desk.rows("entries", "note", "code")]


def rules(desk: Desk, report: ImportReport) -> list[tuple[int, str, str]]:
    return [(r.line_number, r.rule, r.raw) for r in desk.rejects(report)]


@pytest.mark.parametrize(
    "note",
    [
        '[{"key":"operation","stringValue":"vote"}]',
        r'{"a":"{\"title\":\"x\u003b y\"}"}',
        '"a"',
        '"open',
        'closed"',
        '12" nail',
        '"',
        '""',
        "it's, a\tlist|of",
        r"\N",
    ],
)
def test_quotes_and_backslashes_are_text(desk: Desk, note: str) -> None:
    report = brought(desk, f"a;{note};1.00\nb;x;2.00\nc;{note};3.00\n")
    assert (report.counts.read, report.counts.inserted) == (3, 3)
    assert notes(desk) == [note, "x", note]


def test_the_first_line_is_a_row_and_the_last_one_needs_no_end(desk: Desk) -> None:
    report = brought(desk, "a;x;1.00\r\nb;;\r\n\r\nc;y;2.00")
    assert (report.counts.inserted, report.lines.header, report.lines.blank) == (3, 0, 1)
    assert notes(desk) == ["x", None, "y"]
    decisions = {(one.subject, one.decision) for one in report.evidence}
    assert {("delimiter", "semicolon"), ("quote", "none"), ("header", "none")} <= decisions


def test_a_record_of_another_width_is_a_reject_whatever_it_looks_like(desk: Desk) -> None:
    odd = ["b;y", "c;z;3.00;", "# comment", "d,w,4.00", "e;v;5.00;;", "2 records downloaded"]
    report = brought(desk, "\n".join(["a;x;1.00", *odd, ""]))
    rule = ["row.too_short", "row.too_long", "row.too_short"]
    rule = [*rule, "row.too_short", "row.too_long", "row.too_short"]
    assert rules(desk, report) == [*zip(range(2, 8), rule, odd, strict=True)]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("code;note;amount\na;x;1.00\n", 1),
        ("Code;NOTE;Amount\na;x;1.00\n", 1),
        ("\ncode;note;amount\na;x;1.00\n", 2),
        ("a;x;1.00\nb;y;2.00\ncode;note;amount\nc;z;3.00\n", 3),
    ],
)
def test_a_header_is_neither_stored_nor_dropped(desk: Desk, content: str, line: int) -> None:
    report = brought(desk, content)
    assert (report.outcome, report.problem_code) == (Outcome.REFUSED, "contradiction")
    assert report.problem is not None
    assert f"line {line} holds names of columns: " in report.problem
    assert "the feed declares that its files have no header" in report.problem


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("a,x,1.00\nb,y,2.00\n", "none of its 2 has as many; by the file's own evidence they have"),
        ("a\tx\t1.00\nb\ty\t2.00\n", "3 by tab"),
        ("a;x\nb;y\n", "2 by semicolon"),
        ('"a";"x";"1.00"\n"b";"y;z";"2.00"\n', 'each line begins and ends with "'),
    ],
)
def test_a_declaration_that_the_bytes_disprove_refuses_the_file(
    desk: Desk, content: str, found: str
) -> None:
    report = brought(desk, content)
    assert report.problem_code == "contradiction"
    assert report.problem is not None
    assert "as the feed declares" in report.problem
    assert found in report.problem
    assert "see `csv-pipeline feeds " in report.problem


@pytest.mark.parametrize("content", ["", "\n\r\n  \n", "\ufeff"])
def test_a_file_without_text_is_refused(desk: Desk, content: str) -> None:
    report = brought(desk, content)
    assert (report.outcome, report.problem_code) == (Outcome.REFUSED, "empty")
    assert report.problem is not None
    assert "a record was needed" in report.problem


@pytest.mark.parametrize("content", ["a;x;one\n", ";x;1.00\n", ";;\n"])
def test_a_file_without_a_good_row_is_refused_however_short(desk: Desk, content: str) -> None:
    assert brought(desk, content).problem_code == "no_good_row"


def test_windows_1251_is_read_as_such(desk: Desk) -> None:
    text = "a;Выборы депутатов Законодательного собрания;1.00\nb;Пермский край, округ № 1;2.00\n"
    assert brought(desk, text.encode("cp1251")).outcome is Outcome.IMPORTED
    assert notes(desk)[1] == "Пермский край, округ № 1"


def test_corrected_rows_of_a_file_without_a_header_come_back(desk: Desk) -> None:
    note = '{"a":"\\"=1","b":"x,y"}'
    first = brought(desk, f'a;x;1.00\nb;{note};two\nc;"open;3.00;9\n')
    text = sent_out(desk, first)
    assert text.startswith("\ufeff_import_id;_row_number;_errors;code;note;amount;_raw\r\n")
    corrected = text.replace(";two;", ";2.00;")
    second = brought(desk, corrected)
    assert (second.outcome, second.repairs) == (Outcome.IMPORTED, first.import_id)
    assert (second.counts.inserted, second.counts.rejected) == (1, 1)
    assert notes(desk) == ["x", note]
    desk.pipeline.undo(second.import_id)
    desk.pipeline.undo(first.import_id)
    assert notes(desk) == []


def test_a_dry_run_shows_what_an_import_would_do(desk: Desk) -> None:
    report = desk.bring('a;"x;1.00\nb;y\n', "entries", dry_run=True)
    assert (report.outcome, report.counts.inserted, report.counts.rejected) == (
        Outcome.DRY_RUN,
        1,
        1,
    )
    assert notes(desk) == []


def test_an_inspection_reads_it_as_the_feed_and_finds_the_feed(desk: Desk) -> None:
    path = desk.folder / "list.csv"
    path.write_text('a;{"k":"v, w"};1.00\nb;"y;2.00\n')
    settings = desk.pipeline.settings
    found = inspect_file(path, settings, TEST_FEEDS, feed="entries")
    assert found.text is not None
    assert (found.text.header, found.text.header_line) == (("code", "note", "amount"), 0)
    assert found.first_rows[1] == (2, ("b", '"y', "2.00"))
    unasked = inspect_file(path, settings, TEST_FEEDS)
    assert [one.fit.feed for one in unasked.proposals if one.fits] == ["entries"]
    path.write_text("ID,Name\n1,Ann\n2,Bob\n")
    assert "entries" not in {p.fit.feed for p in inspect_file(path, settings, TEST_FEEDS).proposals}


CELLS = st.text(alphabet="a\"'\\{,\t# é\u2028\ufeff0", max_size=6)


@settings(max_examples=150, deadline=None)
@given(
    records=st.lists(st.lists(CELLS, min_size=1, max_size=4), min_size=1, max_size=12),
    end=st.sampled_from(["\n", "\r\n"]),
    block_bytes=st.integers(1, 64),
)
def test_each_line_is_split_at_each_delimiter_and_nowhere_else(
    tmp_path_factory: pytest.TempPathFactory, records: list[list[str]], end: str, block_bytes: int
) -> None:
    text = [";".join(cells) for cells in ([["k", "k", "k"], *records])]
    folder = tmp_path_factory.mktemp("read")
    path = Path(folder / "file.csv")
    path.write_bytes(end.join(text).encode())
    hints = ReadHints(
        name="file.csv", dialect=DIALECT, columns=("x", "y", "z"), block_bytes=block_bytes
    )
    found = read(path, folder / "work", hints)
    rows = scan(found.rows).select("0", "1", "2").collect().rows() if found.records else []
    wanted = [line.split(";") for line in text if line.strip() and line.strip(" ;")]
    assert rows == [tuple(c or None for c in cells) for cells in wanted if len(cells) == 3]
    bad = scan(found.rejects, REJECTS).select(pl.len()).collect().item()
    assert bad == sum(len(cells) != 3 for cells in wanted)


# ---- files with a header, whose dialect is declared in YAML


@pytest.fixture(scope="module")
def several() -> Iterator[Pipeline]:
    """A pipeline with a feed for each dialect."""
    with own_settings(settle_seconds=0) as own:
        feeds = [
            feed_in(f"{FIELDS}dialect: {{{its}}}\n".encode(), "x.yaml", name)
            for name, its in DECLARED.items()
        ]
        opened = open_pipeline(own, feeds)
        yield opened
        opened.close()


FIELDS = """\
fields: [{name: id}, {name: name}, {name: total, type: number, csv_pipeline: {scale: 2}}]
primaryKey: id
"""
DECLARED = {
    "semicolons": 'delimiter: ";"',
    "commas": "header: true, delimiter: ','",
    "marks": 'delimiter: "!"',
    "unicode": "encoding: utf-8",
    "cyrillic": "encoding: cp1251",
    "bare": 'quoteChar: ""',
    "single": 'quoteChar: "\'"',
    "double": "quoteChar: '\"'",
}


@pytest.fixture
def shop(several: Pipeline, account: str, tmp_path: Path) -> Desk:
    return Desk(several, account, tmp_path)


def names(shop: Desk, feed: str) -> list[str]:
    return [row.name for row in shop.rows(feed, "name", "id")]


@pytest.mark.parametrize(
    ("feed", "content", "stored"),
    [
        ("semicolons", "ID;Name;Total\n1;Ann, Bob;2,50\n2;Cy;3,00\n", ["Ann, Bob", "Cy"]),
        ("semicolons", "Total;ID;Name\n1,50;1;a,b\n2,50;2;c,d\n", ["a,b", "c,d"]),
        ("semicolons", "ID\n1\n2\n", [None, None]),
        (
            "commas",
            "ID,Name,Total\n1,Ann;Bob;Cy,2.50\n2,Di;Ed;Flo,3\n",
            ["Ann;Bob;Cy", "Di;Ed;Flo"],
        ),
        ("marks", "ID!Name!Total\n1!Ann!2.50\n2!Bob, Cy!3\n", ["Ann", "Bob, Cy"]),
        ("unicode", "ID,Name,Total\n1,Zoë,2\n", ["Zoë"]),
        ("cyrillic", "ID,Name,Total\n1,Жук,2\n".encode("cp1251"), ["Жук"]),
        ("bare", 'ID,Name,Total\n1,"a",2\n2,12" nail,3\n3,"open,4\n', ['"a"', '12" nail', '"open']),
        ("single", "ID,Name,Total\n1,'a,b',2\n2,\"c\",3\n3,d,4\n", ["a,b", '"c"', "d"]),
        ("double", 'ID,Name,Total\n1,"a,b",2\n2,it\'s,3\n', ["a,b", "it's"]),
        ("double", "ID,Name,Total\n1,a,2\n", ["a"]),
    ],
)
def test_a_file_with_a_header_is_read_as_its_feed_declares(
    feed: str, content: str | bytes, stored: list[str | None], shop: Desk
) -> None:
    shop.bring(content, feed)
    assert names(shop, feed) == stored


@pytest.mark.parametrize(
    ("feed", "content", "needed", "found"),
    [
        ("commas", "ID;Name;Total\n1;Ann;2\n", "delimiter comma", "3 names .* by the semicolon, 0"),
        ("semicolons", "ID,Name\n1,Ann\n", "delimiter semicolon", "2 names .* by the comma, 0"),
        ("marks", "ID,Name\n1,Ann\n", "delimiter '!'", "2 names .* by the comma, 0"),
        ("unicode", "ID,Name\n1,Zoë\n2,Jo\n".encode("cp1252"), "utf-8", "1 of 1 words .* byte 12"),
        ("unicode", "ID,Name\n1,Zoë\n".encode("utf-16"), "utf-8", "by its bytes it is UTF-16"),
        ("cyrillic", "ID,Name\n1,Жук\n".encode(), "cp1251", "by its bytes it is UTF-8"),
        ("bare", '"ID","Name"\n"1","Ann"\n', "cells without quotes", "they are in '\"'"),
        ("bare", 'ID,Name\n1,"Ann, Bob"\n2,"C, D"\n', "cells without quotes", "they are in '\"'"),
        ("single", 'ID,Name\n1,"Ann, Bob"\n2,"C, D"\n', 'cells in "\'"', "they are in '\"'"),
        ("double", "ID,Name\n1,'Ann, Bob'\n2,'C, D'\n", "cells in '\"'", 'they are in "\'"'),
    ],
)
def test_a_file_with_a_header_that_disproves_its_feed_is_refused_and_both_are_named(
    feed: str, content: str | bytes, needed: str, found: str, shop: Desk
) -> None:
    report = shop.bring(content, feed)
    assert (report.outcome, report.problem_code) == (Outcome.REFUSED, "contradiction")
    assert re.search(f"{needed}.* as feed '{feed}' declares it.*{found}", str(report.problem))
    overrule = f"csv-pipeline account {shop.account} --feed {feed} --(delimiter|encoding) "
    assert re.search(f"{overrule}|csv-pipeline feeds {feed}`", str(report.problem))


def test_the_command_that_a_refusal_names_lets_the_file_in(shop: Desk) -> None:
    content = "ID;Name;Total\n1;Ann;2\n"
    assert "--feed commas --delimiter semicolon" in str(shop.bring(content, "commas").problem)
    shop.declare(feed="commas", delimiter=";")
    assert shop.bring(f"{content}2;Bob;3\n", "commas").counts.inserted == 2


def test_what_either_of_two_delimiters_explains_is_read_by_the_declared_one(shop: Desk) -> None:
    both = "ID;a,Name;b,Total\n1;x,y;z,5\n2;x,y;z,5\n"
    assert shop.bring(both, "double").problem_code == "missing_column"  # by the comma
    report = shop.bring(both, "semicolons")
    assert (report.header, report.counts.inserted) == (("ID", "a,Name", "b,Total"), 2)


def test_what_the_account_declares_goes_before_its_feed(shop: Desk) -> None:
    shop.declare(feed="commas", delimiter=";", encoding="cp1252")
    report = shop.bring("ID;Name\n1;Zoë, Jo\n".encode("cp1252"), "commas")
    assert names(shop, "commas") == ["Zoë, Jo"]
    assert "the account declares it for this feed" in str(report.evidence)


def test_what_the_feed_declares_is_evidence(shop: Desk) -> None:
    report = shop.bring("ID;Name\n1;Ann\n", "semicolons")
    told = {(one.subject, one.decision): one for one in report.evidence}
    assert told["delimiter", "semicolon"].because.startswith("the feed declares it; ")
    assert told["delimiter", "semicolon"].proven


def test_corrected_rows_may_come_by_commas_where_the_feed_declares_semicolons(shop: Desk) -> None:
    first = shop.bring("ID;Name;Total\n1;Ann;abc\n2;Bob;5\n", "semicolons")
    fixed = f"_import_id,_row_number,_errors,ID,Name,Total\n{first.import_id},2,,1,Ann,7\n"
    second = shop.bring(fixed, "semicolons")
    assert (second.counts.inserted, second.repairs) == (1, first.import_id)


def test_corrected_rows_keep_quotes_that_are_declared_to_be_text(shop: Desk) -> None:
    first = shop.bring('ID,Name,Total\n1,"open,abc\n2,b,5\n', "bare")
    assert first.counts.rejected == 1
    second = shop.bring(sent_out(shop, first).replace("abc", "7"), "bare")
    assert second.repairs == first.import_id
    assert names(shop, "bare") == ['"open', "b"]


@pytest.mark.parametrize("form", ["table-schema", "odcs"])
@pytest.mark.parametrize("feed", [*DECLARED])
def test_a_declared_dialect_is_written_and_read_again(
    several: Pipeline, feed: str, form: str
) -> None:
    its = several.feed(feed)
    assert feed_in(written(its, form).encode(), "x.yaml", feed).dialect == its.dialect


def test_an_encoding_that_is_none_is_named() -> None:
    text = f"{FIELDS}dialect: {{encoding: utf-9}}\n".encode()
    with pytest.raises(SetupError, match=r"x\.yaml, line 3, column \d+: the name of an encoding"):
        feed_in(text, "x.yaml", "x")
