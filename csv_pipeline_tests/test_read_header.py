"""The header keeps its names, no row is taken for one, and what is in doubt refuses the file."""

import re
from pathlib import Path

import pytest

from csv_pipeline.batches import scan
from csv_pipeline.errors import UndecidableError
from csv_pipeline.handover import REJECTS, TextFile
from csv_pipeline.spec.contract import heading
from csv_pipeline.stages.read import ReadHints, read
from csv_pipeline.stages.read.dialect import Text, find_dialect

Rows = list[tuple[str | None, ...]]


def reading(folder: Path, content: str, *names: str) -> TextFile:
    """Read a file for a feed of these names, or for none."""
    source = folder / "file.csv"
    source.write_text(content)
    hints = ReadHints(name="file.csv", headings=frozenset(map(heading, names)))
    return read(source, folder / "work", hints)


def rows(text: TextFile) -> Rows:
    names = [str(position) for position in range(len(text.header))]
    return scan(text.rows).select(names).collect().rows()


def rejected(text: TextFile) -> list[int]:
    return scan(text.rejects, REJECTS).select("line_number").collect().to_series().to_list()


def proven(text: TextFile, subject: str) -> bool:
    return all(one.proven for one in text.evidence if one.subject == subject)


# ---- the header of a feed


@pytest.mark.parametrize("mark", [";", ":", " "])
def test_a_header_by_another_delimiter_keeps_its_names(tmp_path: Path, mark: str) -> None:
    content = f"{mark.join(['id', 'name'])}\nA 1,Ann: x\nA 2,Bob y\n"
    text = reading(tmp_path, content, "id", "name")
    assert (text.header, rows(text)) == (("id", "name"), [("A 1", "Ann: x"), ("A 2", "Bob y")])


@pytest.mark.parametrize(
    "content",
    [
        "id:name\nk0:a;b\nk1:c;d\n",
        "id name\nk0 Lee,Ann\nk1 Ray,Bob\n",
        'id:name\nk:"say \\"no\\": go"\nk0:";\n0;\n"\nk1:";\\""\n',
    ],
)
def test_a_colon_or_blank_that_parts_all_lines_is_in_doubt_beside_another_delimiter(
    tmp_path: Path, content: str
) -> None:
    with pytest.raises(UndecidableError, match=r"'[;,]' most of these as well"):
        reading(tmp_path, content, "id", "name")


def test_blanks_that_part_a_header_do_not_part_rows_that_have_a_delimiter(tmp_path: Path) -> None:
    with pytest.raises(UndecidableError, match="line 1 has several in one cell"):
        reading(tmp_path, "id name\nk0;a b;1\na, b;x;2\nk3;;3\n", "id", "name")


@pytest.mark.parametrize(
    ("content", "found"),
    [
        pytest.param(
            "id|name|note\n,x\nk1,\n7,\n,a|a|1\n", "'|' parts line 1, ',' most", id="rows"
        ),
        pytest.param("id,name;note\nk0;;\nk1;a,b;\nk2;c,d;\n", "'name;note'", id="name"),
        pytest.param("idname|note\nk0|||\nk1||\nk2||\n", "has 2 of them", id="two-signs"),
    ],
)
def test_a_header_and_rows_by_two_delimiters_refuse_the_file(
    tmp_path: Path, content: str, found: str
) -> None:
    with pytest.raises(UndecidableError, match=re.escape(found)):
        reading(tmp_path, content, "id", "name", "note")


def test_a_stray_quote_and_another_delimiter_lose_no_name(tmp_path: Path) -> None:
    text = reading(tmp_path, '"id|name\n,x\nk1,\n7,\n,aa|1\n', "id", "name")
    assert (text.header, rows(text)[3]) == (("id", "name"), (None, "aa|1"))


def test_one_name_alone_that_is_two_of_the_feed_is_a_name(tmp_path: Path) -> None:
    text = reading(tmp_path, "idname\nk0\nk1\n", "id", "name", "idname")
    assert (text.header, len(rows(text))) == (("idname",), 2)


def test_a_name_that_is_two_names_of_the_feed_with_a_blank_between_is_one(tmp_path: Path) -> None:
    text = reading(tmp_path, "id name\nAnn Lee\nBob Ray\n", "id", "name", "id name")
    assert (text.header, rows(text)) == (("id name",), [("Ann Lee",), ("Bob Ray",)])


@pytest.mark.parametrize(
    "content",
    [
        "1,Ann,Rome\n2,Bob,Bath\nid,name,city\n",
        "1;Ann;Rome\nid;name;city\n2;Bob;Bath\n",
        "Report\n1\tAnn\tRome\nid\tname\tcity\n",
        'x,"y,z\nid,name,city\n1,Ann,Rome\n',
        "1,,,Ann,,\n2,,,Bob,,\nid,a,b,name,c,d\n",
    ],
    ids=["last", "middle", "below-a-title", "malformed", "rows-with-few-values"],
)
def test_a_full_line_above_the_header_refuses_the_file(tmp_path: Path, content: str) -> None:
    line = content.split("id", maxsplit=1)[0].count("\n") + 1
    with pytest.raises(UndecidableError, match=f"rows stand above the header on line {line}: "):
        reading(tmp_path, content, "id", "name", "city", "a")


def test_a_second_wider_header_swallows_no_row_above_it(tmp_path: Path) -> None:
    text = reading(tmp_path, "id,name\n1,Ann\nid,name,city\n2,Bob,Bath\n", "id", "name", "city")
    assert text.header_line == 1
    assert rows(text)[0][:2] == ("1", "Ann")


def test_a_line_of_the_header_s_own_names_above_it_is_no_row(tmp_path: Path) -> None:
    text = reading(tmp_path, "Fields:,id,name\nid,name,city\n1,Ann,Rome\n", "id", "name", "city")
    assert (text.header_line, rows(text)) == (2, [("1", "Ann", "Rome")])


@pytest.mark.parametrize(
    ("header", "found"),
    [
        pytest.param("id,namecity", "line 1 has 2 of them, the rows below it have 3", id="few"),
        pytest.param("id,na,me,city", "line 1 has 'name' in two cells", id="many"),
        pytest.param("id,namecity,", "line 1 has two in one cell, 'namecity'", id="both"),
        pytest.param("idnamecity", "line 1 has several in one cell, 'idnamecity'", id="none"),
        pytest.param('"id""name""city"', "line 1 has several in one cell", id="none-quoted"),
        pytest.param("id,,name,,city", "line 1 has 5 of them", id="doubled"),
    ],
)
def test_a_damaged_header_whose_names_are_not_certain_refuses_the_file(
    tmp_path: Path, header: str, found: str
) -> None:
    content = f"{header}\n1,Ann,Rome\n2,Bob,Bath\n3,Cem,Bern\n"
    with pytest.raises(UndecidableError, match=found):
        reading(tmp_path, content, "id", "name", "city")


@pytest.mark.parametrize(
    "header",
    ['"id,name,city', 'id,na"me",city', "id;name;city", "id\tname\tcity", '"id,name,city"'],
    ids=["stray-quote", "quote-inside", "semicolons", "tabs", "quoted-whole"],
)
def test_a_damaged_header_whose_names_are_certain_keeps_them(tmp_path: Path, header: str) -> None:
    text = reading(tmp_path, f"{header}\n1,Ann,Rome\n2,Bob,Bath\n", "id", "name", "city")
    assert [heading(name) for name in text.header] == ["id", "name", "city"]
    assert rows(text) == [("1", "Ann", "Rome"), ("2", "Bob", "Bath")]


@pytest.mark.parametrize(
    ("content", "header"),
    [
        pytest.param("id;name;\n1;Ann\n2;Bob\n", ("id", "name"), id="wider"),
        pytest.param("id,name,,\n1,Ann\n2,Bob\n", ("id", "name"), id="much-wider"),
        pytest.param("id|name\n1|Ann|\n2|Bob|\n", ("id", "name", ""), id="narrower"),
        pytest.param(",id,name\n0,1,Ann\n1,2,Bob\n", ("", "id", "name"), id="index"),
        pytest.param("id,,name\n1,Ann\n2,Bob\n", ("id", "name"), id="separator-too-many"),
    ],
)
def test_a_column_without_name_is_no_reason_to_lose_the_others(
    tmp_path: Path, content: str, header: tuple[str, ...]
) -> None:
    for names in (("id", "name"), ()):
        if names or "id,,name" not in content:
            text = reading(tmp_path, content, *names)
            assert (text.header, rejected(text)) == (header, [])
            assert len(rows(text)) == 2


def test_one_row_that_is_too_long_does_not_put_a_known_header_in_doubt(tmp_path: Path) -> None:
    text = reading(tmp_path, "id,name\n1,Ann, Dr\n", "id", "name")
    assert (text.header, rejected(text)) == (("id", "name"), [2])


def test_names_over_three_lines_are_joined_if_the_feed_knows_them_joined(tmp_path: Path) -> None:
    content = "Buyer,Order,Order\n,,Ship\nName,Number,Date\nAnn,1,x\n"
    text = reading(tmp_path, content, "Buyer Name", "Order Number", "Order Ship Date")
    assert text.header == ("Buyer Name", "Order Number", "Order Ship Date")
    assert rows(text) == [("Ann", "1", "x")]


def test_what_stands_above_the_header_is_kept_with_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    path.write_text('"Sales\nof 2026";;\n\n# by till 3\n;;\nid;name;city\n1;Ann;Rome\n')
    hints = ReadHints(name="file.csv", headings=frozenset({"id", "name", "city"}))
    dialect = find_dialect(Text(path=path, start=0, encoding="utf-8"), hints)
    assert [(one.line_number, one.lines, one.reason) for one in dialect.preamble] == [
        (1, 2, "preamble"), (4, 1, "comment"), (5, 1, "padding"),
    ]  # fmt: skip
    assert (dialect.blank_above, dialect.header_line, dialect.header_lines) == (1, 6, 1)


# ---- the header of a file that no feed knows


@pytest.mark.parametrize(
    ("content", "header"),
    [
        pytest.param("day;kg\nTBD;none\n2026-01-01;3\n2026-01-02;4\n", ("day", "kg"), id="words"),
        pytest.param("a|b||\n1|2||\nx|y|z|w\n3|4||\n", ("a", "b", "", ""), id="fuller-row"),
        pytest.param("# made by x\nname\tn\nAnn\t1\nBob\t2\n", ("name", "n"), id="comment"),
        pytest.param("#id,n\n1,2\n2,3\n", ("#id", "n"), id="behind-a-sign"),
        pytest.param("# x,y\n0.5,1.5\n0.7,1.1\n", ("x", "y"), id="as-numpy-writes"),
        pytest.param("c1,c2,c3\na1,b2,c3\na2,b3,c4\n", ("c1", "c2", "c3"), id="numbered-names"),
    ],
)
def test_the_first_full_line_names_the_columns(
    tmp_path: Path, content: str, header: tuple[str, ...]
) -> None:
    text = reading(tmp_path, content)
    assert text.header == header
    assert len(rows(text)) == content.count("\n") - text.header_line


@pytest.mark.parametrize(
    "content",
    [
        "0;100\n0.5;99.1\n1.0;98.2\n",
        "2026-01-01\t5\n2026-1-2\t6.5\n",
        "a@b.org,3\nc@d.org,4\n",
        "A-1,Ann\nB-2,Bob\nC-3,Cem\n",
        "Ann,Rome,Italy\nBob,Rome,Italy\nCem,Oslo,Norway\n",
    ],
    ids=["numbers", "dates", "addresses", "codes", "words-that-recur"],
)
def test_a_first_row_is_no_header(tmp_path: Path, content: str) -> None:
    text = reading(tmp_path, content)
    assert text.header_line == 0
    assert text.header == tuple(f"column_{n + 1}" for n in range(len(text.header)))
    assert len(rows(text)) == content.count("\n")


@pytest.mark.parametrize("first", ['1;"x y;3', "x y", "1;2;3;4"], ids=["quote", "short", "long"])
def test_without_a_header_malformed_first_rows_are_rejects(tmp_path: Path, first: str) -> None:
    text = reading(tmp_path, f"{first}\n2;b;3\n3;c;4\n4;d;5\n")
    assert (text.header_line, rejected(text), len(rows(text))) == (0, [1], 3)


@pytest.mark.parametrize(
    "header",
    ["name,agecity", "name,age,city,zip,day", "na,me,age,city", "name;age;city,zip"],
    ids=["few", "more", "parted", "mixed"],
)
def test_names_that_do_not_fit_the_rows_are_never_replaced_by_numbers(
    tmp_path: Path, header: str
) -> None:
    with pytest.raises(UndecidableError):
        reading(tmp_path, f"{header}\nAnn,30,Rome\nBob,41,Bath\nCem,52,Bern\n")


@pytest.mark.parametrize(
    "content",
    [
        "name,,,\nAnn,5,6,7\nBob,6,7,8\n",
        ",,total\nAnn,5,6\nBob,6,7\n",
        "name;\nAnn;x\nBob;y\n",
        "a,b,c,d\n" + "1,2,3,4\n" * 30 + "1,2,3\n" * 90,
        "a,b,c\n" + "1,2,3\n" * 30 + "1,2,3,4\n" * 90,
        "a,b\n" + "1,2\n" * 30 + "c,d,e\n" + "1,2,3\n" * 90,
    ],
    ids=["one-name", "last-name", "half", "wider", "narrower", "other-table"],
)
def test_a_header_of_other_rows_or_of_few_names_is_no_row_and_no_title(
    tmp_path: Path, content: str
) -> None:
    with pytest.raises(UndecidableError, match=r"line 1 has|stand above the header"):
        reading(tmp_path, content)


@pytest.mark.parametrize(
    "content",
    [
        "Report,Sales\nFrom,2026-01-01\nTo,2026-01-31\n\nid,n,kg\n1,2,3\n4,5,6\n",
        "Customers,,\nname,city,zip\nAnn,Rome,a\nBob,Bath,b\n",
        "Sales,May,,\nid,n,kg,x\n1,2,3,4\n4,5,6,7\n",
    ],
    ids=["settings", "title", "half-title"],
)
def test_a_title_above_a_header_is_a_title(tmp_path: Path, content: str) -> None:
    assert len(rows(reading(tmp_path, content))) == 2


@pytest.mark.parametrize(
    ("content", "header"),
    [
        ("#,title\n#101,Pan\n#102,Pot\n", ("#", "title")),
        ("#;title\n101;Pan\n102;Pot\n", ("#", "title")),
        ("#101\tPan\n#102\tPot\n#103\tPan\n", ("column_1", "column_2")),
        ("name,%\nAnn,5\nBob,6\n", ("name", "%")),
        ("weight (kg)\n#42\n#88\n", ("weight (kg)",)),
        ("Sale Date\n", ("Sale Date",)),
    ],
    ids=["rows", "name", "no-header", "percent", "one-column", "header-only"],
)
def test_a_sign_is_a_name_and_rows_that_begin_with_one_are_no_comments(
    tmp_path: Path, content: str, header: tuple[str, ...]
) -> None:
    text = reading(tmp_path, content)
    assert text.header == header
    assert len(rows(text)) == content.count("\n") - text.header_line
    assert text.non_data_count == 0


def test_rows_that_equal_a_first_line_that_may_be_one_are_rows(tmp_path: Path) -> None:
    text = reading(tmp_path, "yes;no\nno;yes\nyes;no\nno;no\n")
    assert len(rows(text)) >= 3
    assert text.non_data_count == 0
    assert not proven(text, "header")


def test_the_header_again_is_told_where_the_header_is_sure(tmp_path: Path) -> None:
    assert len(rows(reading(tmp_path, "name,n\nAnn,1\nname,n\nBob,2\n"))) == 2


def test_two_lines_of_names_are_joined_where_the_first_repeats_some(tmp_path: Path) -> None:
    content = "Order,Order,Ship\nNumber,Date,To\n1,2026-01-03,9\n2,2026-01-04,8\n"
    assert reading(tmp_path, content).header == ("Order Number", "Order Date", "Ship To")


@pytest.mark.parametrize(
    "content",
    [
        "name,name,total\nAnn,Lee,Ray\nBob,Ray,3\nCid,Low,4\nDee,Fay,5\n",
        "code;price;price\nspare;free;n/a\nA1;3;4\nB2;5;6\nC3;7;8\n",
    ],
)
def test_a_row_of_words_is_not_joined_to_names_that_repeat(tmp_path: Path, content: str) -> None:
    assert len(rows(reading(tmp_path, content))) == content.count("\n") - 1


@pytest.mark.parametrize("words", ["spare,free,none yet", "sort,net,gross"])
def test_words_below_names_that_repeat_may_be_names_or_a_row(tmp_path: Path, words: str) -> None:
    content = f"code,price,price\n{words}\nA1,3,4\nB2,5,6\nC3,7,8\n"
    with pytest.raises(UndecidableError, match="line 2 may be the second of its lines, or a row"):
        reading(tmp_path, content)


@pytest.mark.parametrize(
    "content",
    [
        "Report of sales, all shops\nid,name\n1,A\n2,B\n",
        "Report of sales, all shops\n\nid,name\n1,A\n",
        "Sales, all shops, 2026\nBy clerk, day, and shop\nid,name,city\n1,A,Ulm\n2,B,Hof\n",
    ],
)
def test_a_title_with_as_many_commas_as_the_header_is_not_taken_for_it(
    tmp_path: Path, content: str
) -> None:
    with pytest.raises(UndecidableError, match="line 1 may be it, or a title above the header on"):
        reading(tmp_path, content)


@pytest.mark.parametrize(
    "content",
    ["id, name\n1,A\n2,B\n", "id, full name, n\nx,Ann,1\ny,Bob,2\n", "id, n\n1, 5\n2, 6\n"],
)
def test_names_behind_blanks_are_a_header(tmp_path: Path, content: str) -> None:
    assert len(rows(reading(tmp_path, content))) == 2


# ---- the delimiter


@pytest.mark.parametrize(
    "content",
    [
        "time\n05:40\n21:30\n09:15\n",
        "05:40:10\n21:30:20\n09:15:30\n",
        "url\nhttp://a.b/c?x,y\nhttp://a.b/d?x,z\n",
        "full name\nAnn Lee\nBob Roe\nCem Day\n",
        "name\nLee, Ann\nRoe, Bob\nDay, Cem\n",
        "price\n1,50\n2,75\n12,00\n",
        "2026-01-02 12:00\n2026-01-03 13:00\n",
        "tags\nred;green\nblue;red\n",
    ],
)
def test_one_column_stays_one(tmp_path: Path, content: str) -> None:
    text = reading(tmp_path, content)
    assert len(text.header) == 1
    assert [cell for row in rows(text) for cell in row] == content.splitlines()[text.header_line :]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_some_ragged_rows_do_not_change_the_delimiter(tmp_path: Path, delimiter: str) -> None:
    content = "name,age,day\nann lee,3,2026-01-01\nbob roe,4,2026-01-02,x\ncy,5\ndee,6,2026-01-03\n"
    text = reading(tmp_path, content.replace(",", delimiter))
    assert (text.delimiter, text.header) == (delimiter, ("name", "age", "day"))
    assert rejected(text) == [3, 4]


@pytest.mark.parametrize(
    "content",
    [
        "4711;12,50;03.01.2026\n4712;3,00;04.01.2026\n",
        "amount;price;sum\n1,50;2,50;4,00\n2,25;1,00;3,25\n",
        "name;place;note\nLee, Ann;Rome;a\nRoe, Bob;Bath;b\n",
    ],
    ids=["without-header", "amounts", "names"],
)
def test_commas_inside_cells_are_no_delimiter(tmp_path: Path, content: str) -> None:
    assert len(reading(tmp_path, content).header) == 3


def test_what_stands_in_quotes_is_no_delimiter(tmp_path: Path) -> None:
    content = """id,name,note\n"1",,";"\n"2",",'","'\n"\n"""
    text = reading(tmp_path, content, "id", "name", "note")
    assert rows(text) == [("1", None, ";"), ("2", ",'", "'\n")]


# ---- quotes


@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
def test_quotes_are_text_where_no_cell_is_quoted(tmp_path: Path, delimiter: str) -> None:
    content = 'id,name,n\n1,"Best" lamp,5\n2,Old 5" lamp,6\n3,New,7\n'.replace(",", delimiter)
    text = reading(tmp_path, content, "id", "name", "n")
    assert [row[1] for row in rows(text)] == ['"Best" lamp', 'Old 5" lamp', "New"]


@pytest.mark.parametrize("delimiter", ["\t", ",", ";"])
@pytest.mark.parametrize("whole", [0, 9, 18])
def test_quotes_are_text_where_most_rows_begin_a_cell_with_a_quoted_word(
    tmp_path: Path, delimiter: str, whole: int
) -> None:
    names = [f'"Best" lamp {n}' for n in range(20)]
    names[whole] = '"whole"'
    lines = "".join(f"{n},{name},{n}.5\n" for n, name in enumerate(names))
    text = reading(tmp_path, f"id,name,price\n{lines}".replace(",", delimiter))
    assert [row[1] for row in rows(text)] == names


def test_words_in_quotes_that_begin_the_lines_of_a_quoted_cell_are_not_text(tmp_path: Path) -> None:
    lines = '""Bye"" he said\n' * 20
    text = reading(tmp_path, f'id,said\n1,"""Hi"" she said\n{lines}"\n2,"none"\n')
    assert [row[0] for row in rows(text)] == ["1", "2"]


def test_a_quoted_cell_far_below_makes_quotes_of_all(tmp_path: Path) -> None:
    many = "".join(f"{n},lamp,5\n" for n in range(60_000))
    text = reading(tmp_path, f'id,name,n\n1,"Best" lamp,5\n{many}2,"a, b"\n3,"c, d",6\n', "id", "n")
    assert rejected(text) == [2, 60_003]
    assert rows(text)[-1] == ("3", "c, d", "6")


# ---- what a spreadsheet put around every line


def test_lines_that_are_each_quoted_as_a_whole_are_unwrapped(tmp_path: Path) -> None:
    content = '"id;name;city"\n\n"1;""Lee; Ann"";Rome"\n"2;Bob;Bath"\n'
    for names in (("id", "name", "city"), ()):
        text = reading(tmp_path, content, *names)
        assert text.header == ("id", "name", "city")
        assert rows(text) == [("1", "Lee; Ann", "Rome"), ("2", "Bob", "Bath")]
        assert ("lines", "without the quotes around each") in [
            (one.subject, one.decision) for one in text.evidence
        ]


@pytest.mark.parametrize("odd", ['1,Ann,"Rome"', '"1,Ann"', '"1,Ann,Ro"me"'])
def test_lines_quoted_as_a_whole_but_one_refuse_the_file(tmp_path: Path, odd: str) -> None:
    content = f'"id,name,city"\n"2,Bob,Bath"\n{odd}\n"3,Cem,Bern"\n'
    with pytest.raises(UndecidableError, match="quoted as a whole, but not line 3"):
        reading(tmp_path, content, "id", "name", "city")


@pytest.mark.parametrize(
    "content",
    [
        '"note"\n"a,b"\n"c,d"\n',
        '"name, first"\n"Lee, Ann"\n"Roe, Bob"\n',
        '"id","n"\n"1","2"\n',
        '"1,5"\n"2,5"\n',
    ],
    ids=["lists", "sentences", "cells", "amounts"],
)
def test_quoted_cells_are_not_taken_for_quoted_lines(tmp_path: Path, content: str) -> None:
    text = reading(tmp_path, content)
    assert "lines" not in [one.subject for one in text.evidence]


@pytest.mark.parametrize(("delimiter", "hung"), [(",", ";;"), (";", ",,,"), ("\t", ";")])
def test_separators_hung_to_every_line_belong_to_no_cell(
    tmp_path: Path, delimiter: str, hung: str
) -> None:
    lines = "id,name,city\n1,Ann,Rome\n2,Bob,\n".replace(",", delimiter)
    for names in (("id", "name", "city"), ()):
        text = reading(tmp_path, lines.replace("\n", hung + "\n"), *names)
        assert (text.header, rows(text)) == (
            ("id", "name", "city"), [("1", "Ann", "Rome"), ("2", "Bob", None)],
        )  # fmt: skip


def test_separators_hung_to_some_lines_refuse_the_file(tmp_path: Path) -> None:
    with pytest.raises(UndecidableError, match="each end in ';;', but not line 3"):
        reading(tmp_path, "id,name;;\n1,Ann;;\n2,Bob\n", "id", "name")


@pytest.mark.parametrize(
    "content",
    ["Betrag;Tag;\n1,50;x;\n2,75;y;\n", "id,tags\n1,a;b;\n2,c;\n", "Preis, EUR;\n12,50;\n3,00;\n"],
    ids=["last-column-without-name", "lists", "one-column"],
)
def test_separators_that_end_cells_or_lists_are_kept(tmp_path: Path, content: str) -> None:
    text = reading(tmp_path, content)
    assert "lines" not in [one.subject for one in text.evidence]
