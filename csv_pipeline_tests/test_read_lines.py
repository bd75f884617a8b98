"""Blocks are taken at once where that is sure, and what is taken at once is what a walk gives."""

import random
import time
from pathlib import Path

import pytest

from csv_pipeline.batches import scan
from csv_pipeline.errors import LimitExceededError
from csv_pipeline.handover import TextFile
from csv_pipeline.spec.contract import heading
from csv_pipeline.stages.read import ReadHints, read
from csv_pipeline.stages.read.blocks import Block
from csv_pipeline.stages.read.encoding import as_utf8
from csv_pipeline.stages.read.grammar import Grammar
from csv_pipeline.stages.read.lines import lined
from csv_pipeline.stages.read.looks import Looks
from csv_pipeline.stages.read.records import Cutter
from csv_pipeline_tests.conftest import declares

KNOWN = frozenset(map(heading, ["id", "name", "note"]))
PIECES = [
    *('"', '"', '""', ",", ",", "a", "b c", " ", "\n", "\n", "\r\n", "1,2,3\n", ",,\n", "\n\n"),
    *('"q",b,c\n', '"m\nn",b,c\n', 'k,"l,m\n', '5" p,b,c\n', '"a",5" p,c\n', "a,b,c,\n", "\ufeff"),
]


def reading(folder: Path, content: str, **hints: object) -> TextFile:
    source = folder / "file.csv"
    source.write_bytes(content.encode())
    return read(source, folder, ReadHints(name="file.csv", headings=KNOWN, **hints))  # type: ignore[arg-type]


def cells(text: TextFile) -> list[tuple[str | None, ...]]:
    return scan(text.rows).select("0", "1", "2").collect().rows()


@pytest.mark.parametrize("seed", range(300))
def test_lines_taken_at_once_are_those_of_a_walk(seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311  # the same cases every time
    data = "".join(draw.choices(PIECES, k=draw.randint(1, 30))).encode()
    grammar = Grammar()
    found = lined(Block(data, 7, final=True), grammar, 3)
    if found is None:
        return
    cut, lines, used = Cutter(grammar, 3, 1000, Looks).cut(data, 7, final=True)
    assert (lines, used) == (found.records.height, len(data))
    for column in ("text", "fields", "stray", "line", "offset", "length"):
        assert found.records[column].to_list() == cut[column].to_list(), column


@pytest.mark.parametrize("first", ["", "a", "a,b,c,d"], ids=["blank", "short", "long"])
def test_a_block_whose_first_line_is_no_row_is_taken_at_once(first: str) -> None:
    found = lined(Block(f"{first}\n1,2,3\n".encode(), 0, final=True), Grammar(), 3)
    assert found is not None
    assert found.cells.row(1) == ("1", "2", "3")


@pytest.mark.parametrize("seed", range(300))
def test_what_is_told_of_a_native_grammar_is_what_the_patterns_of_any_tell(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(seed)  # noqa: S311
    data = "".join(draw.choices(PIECES, k=draw.randint(1, 30))).encode()
    cut, lines, used = Cutter(Grammar(), 3, 1000, Looks).cut(data, 0, final=True)
    monkeypatch.setattr(Grammar, "is_native", property(lambda _: False))
    again, *same = Cutter(Grammar(), 3, 1000, Looks).cut(data, 0, final=True)
    assert same == [lines, used]
    for column in ("text", "fields", "stray", "line", "offset", "length"):
        assert again[column].to_list() == cut[column].to_list(), column


def test_a_bare_quote_stays_in_its_cell_in_a_block_with_stray_ones(tmp_path: Path) -> None:
    rows = '1,5" pipe,\n2,a,b\n3,"a,b\n4,"c",d\n5,,"x" y\n6,e,f\n7,7" 8",9\n'
    text = reading(tmp_path, f"id,name,note\n{rows}")
    assert cells(text) == [
        ("1", '5" pipe', None),
        ("2", "a", "b"),
        ("4", "c", "d"),
        ("6", "e", "f"),
        ("7", '7" 8"', "9"),
    ]
    assert scan(text.rejects).collect()["line_number"].to_list() == [4, 6]


def test_a_mark_at_the_beginning_of_a_record_stays(tmp_path: Path) -> None:
    text = reading(tmp_path, 'id,name,note\n1,"a,b\n\ufeff2,a,b\n')
    assert cells(text) == [("\ufeff2", "a", "b")]


def test_one_short_line_costs_itself_in_a_block_that_is_parsed_at_once(tmp_path: Path) -> None:
    text = reading(tmp_path, 'id,name,note\n1,"a,b",""\n2,a\n3,"",\n4,a,b,\n5,a,b,c\n')
    assert cells(text) == [("1", "a,b", ""), ("3", "", None)]
    rejects = scan(text.rejects).select("line_number", "rule").collect().rows()
    assert rejects == [(3, "row.too_short"), (5, "row.too_long"), (6, "row.too_long")]


@pytest.mark.parametrize("between", ["\r", " "], ids=["CR", "one-line"])
def test_bytes_without_line_feeds_are_weighed_in_pieces(tmp_path: Path, between: str) -> None:
    words = ["id,name,note", *(f"{n},Müller,Größe und Höhe" for n in range(40_000))]
    source = tmp_path / "file.csv"
    source.write_bytes(between.join(words).encode("cp1252"))
    began = time.process_time()
    text, _ = as_utf8(source, tmp_path / "text.csv", ReadHints(name="file.csv"))
    assert text.encoding == "cp1252"
    assert time.process_time() - began < 5  # weighed whole, half a minute and more


def test_in_a_file_in_carriage_returns_bad_bytes_cost_their_line(tmp_path: Path) -> None:
    rows = "".join(f"{n},Müller,Größe\r" for n in range(30)).encode("cp1252")
    source = tmp_path / "file.csv"
    source.write_bytes(b"id,name,note\r" + rows + b"30,\x81,b\r" + rows)
    hints = ReadHints(name="file.csv", headings=KNOWN, account=declares("cp1252"))
    text = read(source, tmp_path, hints)
    rejects = scan(text.rejects).select("line_number", "rule").collect().rows()
    assert (text.records, rejects) == (61, [(32, "row.undecodable")])


def test_a_line_longer_than_allowed_is_refused_with_its_number(tmp_path: Path) -> None:
    with pytest.raises(LimitExceededError, match=r"at most 500 bytes were allowed; line 4 has 90"):
        reading(
            tmp_path,
            f"id,name,note\n1,a,b\n2,a,b\n{'x' * 900}\n",
            max_record_bytes=500,
            block_bytes=20,
        )


def test_a_cell_of_thousands_of_lines_is_read_in_a_file_of_blanks(tmp_path: Path) -> None:
    cell = "\n".join(f"the words of line {n}" for n in range(5_000))
    text = reading(tmp_path, f'id name note\n1 a "{cell}"\n2 b c\n')
    assert cells(text) == [("1", "a", cell), ("2", "b", "c")]


@pytest.mark.parametrize("begin", ["", '5" pipes\n', '5" and 6"\n', '\n5" a\n'])
def test_a_return_inside_a_cell_stays_one_whatever_quotes_stand_before(
    tmp_path: Path, begin: str
) -> None:
    content = f'{begin}id,name,note\nk0,,"\r"\nk1,"a\rb","\n"\n'
    assert cells(reading(tmp_path, content)) == [("k0", None, "\r"), ("k1", "a\rb", "\n")]


def test_feeds_inside_cells_end_no_line_of_a_file_of_returns(tmp_path: Path) -> None:
    content = 'id,name,"no\nte"\rk0,a,"b\nc"\rk1,5" by 6","d"\r'
    found = cells(reading(tmp_path, content))
    assert [row[0] for row in found] == ["k0", "k1"]
    assert found[0][2] == "b\nc"


def test_cr_that_ends_the_first_line_ends_all_however_many_lf_stand_in_cells(
    tmp_path: Path,
) -> None:
    content = 'id,name,note\rk0,a,"b\nc\nd"\rk1,,"f\ng\nh"\r'
    found = cells(reading(tmp_path, content))
    assert found == [("k0", "a", "b\nc\nd"), ("k1", None, "f\ng\nh")]


@pytest.mark.parametrize("others", [1, 2, 300])
def test_a_word_in_apostrophes_among_other_words_keeps_them(tmp_path: Path, others: int) -> None:
    rows = "".join(f"k{row},lamp,\n" for row in range(others))
    found = cells(reading(tmp_path, f"id,name,note\n{rows}x,'new',\n"))
    assert found[others:] == [("x", "'new'", None)]


@pytest.mark.parametrize(
    ("cell", "value"),
    [("'b, c'", "b, c"), ("'it''s'", "it's"), ("'b\\'''", "b\\'"), ("'b\nc'", "b\nc")],
)
def test_apostrophes_that_a_cell_needs_are_quotes(tmp_path: Path, cell: str, value: str) -> None:
    found = cells(reading(tmp_path, f"id,name,note\nx,{cell},'new'\ny,b,c\nz,b,c\nu,b,c\n"))
    assert found == [("x", value, "new"), *((key, "b", "c") for key in "yzu")]


@pytest.mark.parametrize("end", ["'", "\\'"])
def test_two_cells_of_a_row_with_one_apostrophe_each_are_two_cells(
    tmp_path: Path, end: str
) -> None:
    found = cells(reading(tmp_path, f"id,name,note\nx,'tis,dogs{end}\ny,b,c\nz,b,c\n"))
    assert found == [("x", "'tis", f"dogs{end}"), ("y", "b", "c"), ("z", "b", "c")]


@pytest.mark.parametrize("header", ["id,name,note", "'id','name','note'"])
def test_apostrophes_are_quotes_where_most_lines_have_them_or_the_header_nothing_else(
    tmp_path: Path, header: str
) -> None:
    rows = "x,'b',\n" * (5 if header.startswith("i") else 1)
    found = cells(reading(tmp_path, f"{header}\n{rows}y,c,\nz,d,\n"))
    assert (found[0], found[-1]) == (("x", "b", None), ("z", "d", None))


@pytest.mark.parametrize(
    ("grammar", "text", "cells"),
    [
        (Grammar(), "a,,c\r", ["a", None, "c"]),
        (Grammar(), "", [None]),
        (Grammar("||"), "a|||b||", ["a", "|b", None]),
        (Grammar(", ", ""), '"a, b"', ['"a', 'b"']),
        (Grammar(",", '"', "backslash"), r"a\,b", ["a\\", "b"]),
        (Grammar(",", "'"), "it's,'a,b'", ["it's", "a,b"]),
    ],
)
def test_delimiters_alone_part_the_cells_of_a_text_without_quotes(
    grammar: Grammar, text: str, cells: list[str | None]
) -> None:
    assert grammar.cells(text) == cells
    assert grammar.is_record(text)
