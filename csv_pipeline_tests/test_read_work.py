"""Rows that are plain cost no second look: what is done one by one is counted, not timed."""

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from csv_pipeline.handover import TextFile
from csv_pipeline.spec.contract import heading
from csv_pipeline.stages.read import ReadHints, read, records
from csv_pipeline.stages.read.dialect import Text, find_dialect
from csv_pipeline.stages.read.grammar import Grammar
from csv_pipeline.stages.read.looks import Looks
from csv_pipeline.stages.read.neighbours import Neighbours
from csv_pipeline.stages.read.records import Cutter
from csv_pipeline.stages.read.sections import Headers
from csv_pipeline.stages.read.strays import Teller
from csv_pipeline_tests.test_read_lines import PIECES

HINTS = ReadHints(name="file.csv", headings=frozenset(map(heading, ["id", "name", "note"])))


def reading(folder: Path, content: str) -> TextFile:
    source = folder / "file.csv"
    source.write_text(content)
    return read(source, folder / "work", HINTS)


def counted(monkeypatch: pytest.MonkeyPatch, kind: type, name: str) -> list[object]:
    """Return what a method is called with from now on."""
    calls: list[object] = []
    before: Callable[..., object] = getattr(kind, name)

    def noted(*arguments: object) -> object:
        calls.append(arguments[1:])
        return before(*arguments)

    monkeypatch.setattr(kind, name, noted)
    return calls


def headers(folder: Path) -> Headers:
    source = folder / "file.csv"
    source.write_text("id,name,note\na,b,c\n")
    dialect = find_dialect(Text(path=source, start=0, encoding="utf-8"), HINTS)
    return Headers(dialect, HINTS, dialect.header)


def test_rows_of_words_need_no_look_whether_they_are_a_header(tmp_path: Path) -> None:
    text = pl.Series(["ann,boyd,a tall chair", "x,name,blue", '"ann, idle",nobody knows', ",,"])
    assert not text.str.contains(headers(tmp_path).beginning).any()


@pytest.mark.parametrize(
    "line",
    [
        *(
            "id,name,note",
            "NOTE;Name;Id",
            " 'N.a.m.e' ,note,x",
            '"#id"|"note"',
            "x,\uff29\uff24,name",
        ),
        *("x,ñote,name", "Id 1,Name 2,x", "a,name,note\r"),
    ],
)
def test_names_without_digits_get_a_look_however_they_are_spelled(
    tmp_path: Path, line: str
) -> None:
    assert headers(tmp_path).perhaps(pl.Series([line])).to_list() == [0]


def test_a_text_of_inches_is_taken_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut = counted(monkeypatch, Cutter, "cut")
    text = reading(tmp_path, "id,name,note\n" + '1,5" pipe,a\n2,b,c\n3,2" x 3" x 4",\n' * 300)
    assert (text.records, text.malformed, cut) == (900, 0, [])


def test_inches_that_are_usual_are_not_weighed_line_by_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weighed = counted(monkeypatch, Neighbours, "_quoted")
    text = reading(tmp_path, "id,name,note\n" + '1,5" pipe,a\n2,"b",c\n' * 500)
    assert (text.records, text.malformed, len(weighed)) == (1_000, 0, 1)


@pytest.mark.parametrize("bad", ['1,"a,b\n', "1,a\n"], ids=["stray", "short"])
def test_of_a_file_of_bad_records_only_the_first_are_cut_into_cells_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: str
) -> None:
    methods = ((Grammar, "cells"), (Grammar, "bare"), (Grammar, "is_sound"), (Teller, "judged"))
    calls = [counted(monkeypatch, kind, name) for kind, name in methods]
    text = reading(tmp_path, 'id,name,note\n0,"a",b\n' + bad * 20_000)
    assert (text.records, text.malformed) == (20_001, 20_000)
    assert sum(map(len, calls)) < 5_000  # the sample is


@pytest.mark.parametrize("cell", ['5"a', 'a"', '"5', '5" "', '5"6"', "5", 'ä"'])
def test_a_quote_that_is_no_inch_is_none_in_a_column_of_inches(cell: str) -> None:
    looks = Looks(rows=100, inches=Counter({(1,): 100}))
    text = pl.Series([f'1,{inches},2" x 4"' for inches in ('5"', 'a 5" x', cell)])
    assert looks.are_inches(text, Grammar(), 3).to_list() == [True, True, False]


def test_cells_that_usually_look_like_rows_are_not_judged_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = counted(monkeypatch, Teller, "judged")
    text = reading(tmp_path, "id,name,note\n" + '1,a,"b\nc,d,e\nf"\n' * 500)
    assert (text.records, text.malformed, judged) == (500, 0, [])


@pytest.mark.parametrize(
    "seed", [*range(100), *(pytest.param(n, marks=pytest.mark.slow) for n in range(100, 300))]
)
def test_sound_rows_that_are_passed_over_change_nothing(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(seed)  # noqa: S311  # the same cases every time
    grammar = draw.choice([Grammar(), Grammar(quote="")])
    blocks = ["".join(draw.choices(PIECES, k=30)).encode() + b"\n" for _ in range(3)]

    def cut() -> list[tuple[pl.DataFrame, int, int]]:
        cutter = Cutter(grammar, 3, 1_000, Looks)
        return [cutter.cut(block, 0, final=False) for block in blocks]

    some = cut()
    monkeypatch.setattr(records, "_stops", lambda odd, sound: (odd | sound).arg_true().to_list())
    for (frame, *used), (walked, *same) in zip(some, cut(), strict=True):
        assert used == same
        assert frame.equals(walked)
