"""The reader takes what is there, exactly, or says precisely what it could not take."""

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from csv_pipeline.batches import scan
from csv_pipeline.errors import EmptyFileError, LimitExceededError, UnreadableFileError
from csv_pipeline.handover import TextFile
from csv_pipeline.spec.contract import heading
from csv_pipeline.spec.feed import NonDataPattern
from csv_pipeline.stages.read import ReadHints, read
from csv_pipeline_tests.conftest import declares

KNOWN = frozenset(map(heading, ["id", "name", "note"]))


def reading(folder: Path, content: str | bytes, **hints: object) -> TextFile:
    source = folder / "file.csv"
    source.write_bytes(content.encode() if isinstance(content, str) else content)
    return read(source, folder, ReadHints(name="file.csv", **({"headings": KNOWN} | hints)))  # type: ignore[arg-type]


def cells(text: TextFile) -> list[tuple[str | None, ...]]:
    names = [str(position) for position in range(len(text.header))]
    return scan(text.rows).select(names).collect().rows()


def faults(text: TextFile) -> list[tuple[int, int, str]]:
    return scan(text.rejects).select("row_number", "line_number", "rule").collect().rows()


def test_an_absent_value_is_null_and_a_quoted_empty_one_is_not(tmp_path: Path) -> None:
    assert cells(reading(tmp_path, 'id,name,note\n1,,""\n')) == [("1", None, "")]


def test_a_quoted_cell_keeps_its_line_breaks_delimiters_and_quotes(tmp_path: Path) -> None:
    text = reading(tmp_path, 'id,name,note\r\n1,"a,b","x ""y""\r\nz"\r\n2,c,d\r\n')
    assert cells(text) == [("1", "a,b", 'x "y"\r\nz'), ("2", "c", "d")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_one_that_shows_the_known_names(
    tmp_path: Path, delimiter: str
) -> None:
    text = reading(tmp_path, "id,name,note\n1,a.b,c\n".replace(",", delimiter))
    assert cells(text) == [("1", "a.b", "c")]


def test_a_banner_above_the_header_is_non_data(tmp_path: Path) -> None:
    text = reading(tmp_path, "Export of 2026\n,,\nid,name,note\n1,a,b\n")
    assert (text.header_line, text.non_data_count, cells(text)) == (3, 2, [("1", "a", "b")])


@pytest.mark.parametrize(
    ("record", "rule"),
    [
        pytest.param("1,a", "row.too_short", id="too-short"),
        pytest.param("1,a,b,c", "row.too_long", id="too-long"),
        pytest.param('1,"a,b', "row.stray_quote", id="unclosed-quote"),
        pytest.param('1,"a"b,c', "row.stray_quote", id="text-after-quote"),
        pytest.param("1,a\0,b", "row.nul_byte", id="nul-byte"),
    ],
)
def test_a_malformed_record_costs_itself_only(tmp_path: Path, record: str, rule: str) -> None:
    text = reading(tmp_path, f'id,name,note\n0,"x",y\n{record}\n2,"y\nz",x\n')
    assert faults(text) == [(3, 3, rule)]
    assert cells(text) == [("0", "x", "y"), ("2", "y\nz", "x")]


def test_an_unquoted_quote_stays_in_its_cell(tmp_path: Path) -> None:
    text = reading(tmp_path, 'id,name,note\n1,5" pipe,a\n2,b,"c"\n')
    assert cells(text) == [("1", '5" pipe', "a"), ("2", "b", "c")]


def test_an_unclosed_quote_on_the_last_line_loses_no_row(tmp_path: Path) -> None:
    text = reading(tmp_path, 'id,name,note\n1,a,b\n2,"a,b\n3,c,d')
    assert (faults(text), cells(text)) == (
        [(3, 3, "row.stray_quote")],
        [("1", "a", "b"), ("3", "c", "d")],
    )


def test_rows_are_numbered_as_a_spreadsheet_shows_them(tmp_path: Path) -> None:
    text = reading(tmp_path, 'banner\nid,name,note\n,,\n1,"a\nb",c\n\n2,d,e\n')
    numbers = scan(text.rows).select("row_number", "line_number").collect().rows()
    assert numbers == [(2, 4), (4, 7)]


def test_blank_lines_padding_and_repeated_headers_are_no_rows(tmp_path: Path) -> None:
    text = reading(tmp_path, "id,name,note\n1,a,b\n\n,,\nid,name,note\n2,c,d\n  \n")
    assert (text.records, text.blank, text.non_data_count) == (2, 2, 2)


def test_a_footer_is_kept_as_a_fact_wherever_it_stands(tmp_path: Path) -> None:
    pattern = NonDataPattern(name="count", pattern=r"^(\d+),records")
    text = reading(
        tmp_path, "id,name,note\n1,a,b\n1,records,\n2,c,d\n1,records\n", non_data=(pattern,)
    )
    assert [(f.line_number, f.facts) for f in text.non_data] == [(3, ("1",)), (5, ("1",))]
    assert text.records == 2


@pytest.mark.parametrize(
    ("last", "malformed"),
    [("made 2026-05-02; by till 3; a", 0), ("kg;m;s\nx;3;y\nz;4;y", 3), ("3\ta\tb\tc", 1)],
    ids=["footer", "other-delimiter", "more-cells"],
)
def test_rows_by_another_delimiter_are_no_footer(tmp_path: Path, last: str, malformed: int) -> None:
    text = reading(tmp_path, f"id,name,note,city\n1,a,b,c\n2,c,d,e\n\n{last}\n")
    assert (text.malformed, text.non_data_count) == (malformed, 0 if malformed else 1)


def test_a_file_with_only_a_header_has_no_rows(tmp_path: Path) -> None:
    text = reading(tmp_path, "id,name,note\n")
    assert (text.records, cells(text)) == (0, [])


@pytest.mark.parametrize("content", ["", "\n\n  \n", "\ufeff"], ids=["empty", "blank", "mark"])
def test_a_file_without_text_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(EmptyFileError, match=r"file\.csv: a header was needed"):
        reading(tmp_path, content)


@pytest.mark.parametrize(
    ("encoding", "decided"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-16-le"),
        ("utf-32", "utf-32-le"),
        ("cp1252", "cp1252"),
    ],
)
def test_the_encoding_is_decided_over_all_bytes(
    tmp_path: Path, encoding: str, decided: str
) -> None:
    rows = "".join(f"{n},plain,text\n" for n in range(2_000))
    text = reading(tmp_path, f"id,name,note\n{rows}2000,Zoë,Größe\n".encode(encoding))
    assert cells(text)[-1] == ("2000", "Zoë", "Größe")
    assert text.evidence[0].decision == decided


def test_lines_may_end_in_carriage_returns_alone(tmp_path: Path) -> None:
    assert cells(reading(tmp_path, "id,name,note\r1,a,b\r2,c,d\r")) == [
        ("1", "a", "b"),
        ("2", "c", "d"),
    ]


@pytest.mark.parametrize(
    "content",
    [
        "id,name,note\r1,a,b\r2,c,d\n",
        'id,name,note\r1,a,b\r\n2,c,d\n3,e,"f\rg"\r4,a,b\r5,a,b\r',
        'id,name,note\r\r\n1,a,b\r\r\n2,c,d\r\r\n3,e,"f\rg"\r\r\n',
    ],
    ids=["line-feed-at-the-end", "mixed", "doubled"],
)
def test_lines_that_end_in_several_ways_are_lines(tmp_path: Path, content: str) -> None:
    found = cells(reading(tmp_path, content))
    assert found[:3] == [("1", "a", "b"), ("2", "c", "d"), ("3", "e", "f\rg")][: len(found)]
    assert (
        len(found)
        == content.replace('"f\rg"', "")
        .replace("\r\r\n", "\r")
        .replace("\r\n", "\r")
        .replace("\n", "\r")
        .count("\r")
        - 1
    )


def test_a_line_feed_in_a_cell_that_nobody_quoted_costs_its_record(tmp_path: Path) -> None:
    text = reading(tmp_path, "id,name,note\r1,a,b\r2,c\nd,e\r3,f,g\r")
    assert cells(text) == [("1", "a", "b"), ("3", "f", "g")]
    assert text.malformed == 2


def test_returns_inside_the_cells_of_a_text_in_line_feeds_stay(tmp_path: Path) -> None:
    text = reading(tmp_path, "id,name,note\n1,a\rb\rc\rd,b\n2,c,d\n")
    assert cells(text) == [("1", "a\rb\rc\rd", "b"), ("2", "c", "d")]


def test_bytes_that_are_no_text_are_refused_with_their_place(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError, match=r"not utf-8 \(byte 15, 0xff\)"):
        reading(tmp_path, b"id,name,note\n1,\xff\x81\x8d\xb5\x9d,\x8f\x90\xb2z\xae\n")


def test_the_account_s_encoding_overrules(tmp_path: Path) -> None:
    text = reading(tmp_path, "id,name,note\n1,Жук,b\n".encode("cp1251"), account=declares("cp1251"))
    assert cells(text) == [("1", "Жук", "b")]


@pytest.mark.parametrize(
    ("hints", "message"),
    [
        ({"max_bytes": 10}, "at most 10 bytes were allowed; the file has 19"),
        ({"max_columns": 2}, "at most 2 columns were allowed; the header on line 1 has 3"),
    ],
)
def test_a_file_over_a_limit_is_refused(
    tmp_path: Path, hints: dict[str, int], message: str
) -> None:
    with pytest.raises(LimitExceededError, match=message):
        reading(tmp_path, "id,name,note\n1,a,b\n", **hints)


def test_a_header_without_end_is_refused(tmp_path: Path) -> None:
    names = ",".join(f"a quite long name of column {n}" for n in range(40_000))
    with pytest.raises(LimitExceededError, match="a header within the first 1,048,576 bytes"):
        reading(tmp_path, f"id,name,note,{names}\n", max_columns=100_000)


_CELL = st.one_of(st.none(), st.text(st.sampled_from("ab1 ,;\"'\n\réß\u2028€|\t"), max_size=8))
_TABLE = st.lists(st.tuples(_CELL, _CELL, _CELL), max_size=12)


def _written(table: list[tuple[str | None, ...]], line_end: str) -> str:
    """Write every cell in quotes, an absent one as nothing."""
    return "".join(",".join(map(_quoted, row)) + line_end for row in table)


def _no_row(cell: str | None) -> str | None:
    """Return a cell none of whose lines could be a row, with which it would be in doubt."""
    return cell.replace(",", "") if cell and "\n" in cell else cell


def _quoted(cell: str | None) -> str:
    return "" if cell is None else '"' + cell.replace('"', '""') + '"'


@settings(max_examples=60, deadline=None)
@given(table=_TABLE, block=st.integers(20, 400), line_end=st.sampled_from(["\n", "\r\n"]))
def test_any_table_comes_back_exactly_whatever_the_block_size(
    tmp_path_factory: pytest.TempPathFactory,
    table: list[tuple[str | None, ...]],
    block: int,
    line_end: str,
) -> None:
    table = [(f"k{index}", *map(_no_row, row[1:])) for index, row in enumerate(table)]
    content = f"id,name,note{line_end}" + _written(table, line_end)
    text = reading(tmp_path_factory.mktemp("t"), content, block_bytes=block)
    assert cells(text) == table


@settings(max_examples=80, deadline=None)
@given(content=st.binary(max_size=200), block=st.integers(5, 100))
def test_every_line_of_any_bytes_is_accounted_for(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, block: int
) -> None:
    folder = tmp_path_factory.mktemp("t")
    try:
        text = reading(folder, b"id,name,note\n" + content, block_bytes=block)
    except UnreadableFileError:
        return
    assert text.records == len(cells(text)) + len(faults(text))
    lines = text.text.read_bytes().count(b"\n")
    assert text.records + text.blank + text.non_data_count <= lines + 1


@settings(max_examples=80, deadline=None)
@given(content=st.text(st.sampled_from('ab",\n\r'), max_size=80), block=st.integers(5, 60))
@example(content='""\n"\n"', block=10)
@example(content='""a\n"b"', block=6)
@example(content='"\n,b"\n"', block=5)
@example(content='"\na"\n"\n"b\n\n', block=6)
@example(content='"x\n",,,",b,c\ny"\n1,a,b\n"a"b,c,d\n', block=24)
def test_the_block_size_never_changes_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, content: str, block: int
) -> None:
    folder = tmp_path_factory.mktemp("t")
    whole = reading(folder, "id,name,note\n1,a,b\n" + content)
    seen = cells(whole), faults(whole), whole.blank, whole.non_data_count
    cut = reading(folder, "id,name,note\n1,a,b\n" + content, block_bytes=block)
    assert (cells(cut), faults(cut), cut.blank, cut.non_data_count) == seen
