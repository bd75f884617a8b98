"""Below the header a record of its width is a row; what is none is named, and nothing moves."""

from pathlib import Path
from typing import Any

import pytest

from csv_pipeline.batches import scan
from csv_pipeline.errors import UndecidableError
from csv_pipeline.feeds.customers import CUSTOMERS
from csv_pipeline.feeds.ebay_orders import EBAY_ORDERS
from csv_pipeline.handover import NON_DATA, TextFile
from csv_pipeline.spec.contract import heading
from csv_pipeline.spec.feed import Feed, NonDataPattern
from csv_pipeline.stages.read import ReadHints, read

CASES = Path(__file__).parent / "corpus" / "cases"
KINDS = Path(__file__).parent / "corpus" / "kinds"
HEADER = "Customer ID,Name,City\n"


def reading(folder: Path, content: str, feed: Feed | None = CUSTOMERS, **more: Any) -> TextFile:
    source = folder / "list.csv"
    source.write_bytes(content.encode())
    known = {} if feed is None else {"headings": feed.headings, "meanings": feed.meanings}
    return read(source, folder / "work", ReadHints(name="list.csv", **(known | more)))


def cells(text: TextFile) -> list[tuple[str | None, ...]]:
    names = [str(position) for position in range(len(text.header))]
    return scan(text.rows).select(names).collect().rows()


def rejects(text: TextFile) -> list[tuple[int, str]]:
    return scan(text.rejects).select("line_number", "rule").collect().rows()


def apart(text: TextFile) -> list[tuple[int, str]]:
    assert text.non_data_lines is not None
    found = scan(text.non_data_lines, NON_DATA).select("line_number", "reason").collect()
    return found.sort("line_number").rows()


# ---- the header again


@pytest.mark.parametrize(
    "again",
    [
        "CUSTOMER-ID, name ,City.",
        '"customer id";NAME;city',
        "customer_id\tName\tCity",
        "Customer ID,,Name,City,,",
        "Customer IDName,City",
    ],
)
def test_the_header_again_is_none_of_the_rows_in_any_spelling(tmp_path: Path, again: str) -> None:
    text = reading(tmp_path, f"{HEADER}A-1,Ann,Ulm\n{again}\nA-2,Bob,Hof\n")
    assert cells(text) == [("A-1", "Ann", "Ulm"), ("A-2", "Bob", "Hof")]
    assert apart(text) == [(3, "header")]


@pytest.mark.parametrize("again", ["Customer ID,City,,Name", "NameCustomer ID,City"])
def test_a_later_header_that_is_damaged_refuses_the_file(tmp_path: Path, again: str) -> None:
    with pytest.raises(UndecidableError, match=r"header on line 1 .* line 3 looks like another"):
        reading(tmp_path, f"{HEADER}A-1,Ann,Ulm\n{again}\nA-2,Bob,Hof\n")


def test_rows_stand_under_the_header_above_them_by_name(tmp_path: Path) -> None:
    text = reading(
        tmp_path,
        f"{HEADER}A-1,Ann,Ulm\nCity,Customer ID\nHof,A-2\nName,City,Phone,Customer ID\n"
        "Cid,Bern,555,A-3\nCustomer ID,Name,City\nA-4,Dee,Rome\n",
    )
    assert [heading(name) for name in text.header] == ["customerid", "name", "city", "phone"]
    assert cells(text) == [
        ("A-1", "Ann", "Ulm", None),
        ("A-2", None, "Hof", None),
        ("A-3", "Cid", "Bern", "555"),
        ("A-4", "Dee", "Rome", None),
    ]


def test_a_header_in_another_language_names_the_same_columns(tmp_path: Path) -> None:
    one = "Sales Record Number,Order Number,Item Title\n1,11-10000-00001,Cup\n"
    other = "Angebotstitel,Verkaufsprotokollnummer,Bestellnummer\nTasse,2,11-10000-00002\n"
    text = reading(tmp_path, one + other, EBAY_ORDERS)
    assert cells(text) == [("1", "11-10000-00001", "Cup"), ("2", "11-10000-00002", "Tasse")]


def test_a_section_is_the_same_across_blocks(tmp_path: Path) -> None:
    rows = "".join(f"A-{n},Ann,Ulm\n" for n in range(300))
    other = "".join(f"Hof,B-{n}\n" for n in range(300))
    text = reading(tmp_path, f"{HEADER}{rows}City,Customer ID\n{other}", block_bytes=256)
    assert cells(text)[299:301] == [("A-299", "Ann", "Ulm"), ("B-0", None, "Hof")]
    assert (text.records, text.malformed) == (600, 0)


@pytest.mark.parametrize(
    "row", ["A-2,Name,Hof", "A-2,name,City", "Name,Bob,Hof", "A-2,Customer ID,Hof", ",Name,Hof"]
)
def test_a_row_may_hold_the_names_of_columns(tmp_path: Path, row: str) -> None:
    text = reading(tmp_path, f"{HEADER}A-1,Ann,Ulm\n{row}\nA-3,Cid,Bern\n")
    assert (text.records, text.malformed, text.sections) == (3, 0, 1)


def test_a_later_header_with_a_name_nobody_knows_refuses_the_file(tmp_path: Path) -> None:
    with pytest.raises(UndecidableError, match=r"header on line 1 .* line 3 looks like another"):
        reading(tmp_path, f"{HEADER}A-1,Ann,Ulm\nCustomer ID,Shoe size,Name\nA-2,9,Bob\n")


def test_without_a_feed_another_order_of_names_refuses_the_file(tmp_path: Path) -> None:
    rows = "".join(f"{n},w{n},2026-01-0{n}\n" for n in range(1, 9))
    with pytest.raises(UndecidableError, match="line 10 looks like another header"):
        reading(tmp_path, f"room,wing,day\n{rows}wing,room,day\nn,9,2026-01-01\n", None)


# ---- lines that are no data


def test_footers_of_one_cell_are_named_and_lines_of_more_are_rejects(tmp_path: Path) -> None:
    text = reading(tmp_path, f"{HEADER}A-1,Ann,Ulm\n\n(1 row)\nTotal,1\nThe end\n")
    assert apart(text) == [(4, "footer"), (6, "footer")]
    assert rejects(text) == [(5, "row.too_short")]


def test_a_short_line_between_rows_is_a_reject(tmp_path: Path) -> None:
    text = reading(tmp_path, f"{HEADER}A-1,Ann,Ulm\n(moved)\nA-2,Bob,Hof\n", block_bytes=40)
    assert (rejects(text), apart(text)) == ([(3, "row.too_short")], [])


def test_a_torn_last_row_is_a_reject_even_if_one_cell_is_left_of_it(tmp_path: Path) -> None:
    rows = "".join(f"A-{n},Ann,Ulm\n" for n in range(30))
    assert rejects(reading(tmp_path, f"{HEADER}{rows}A-3")) == [(32, "row.too_short")]
    assert rejects(reading(tmp_path, f"{HEADER}{rows}A-31\n")) == [(32, "row.too_short")]
    assert apart(reading(tmp_path, f"{HEADER}{rows}30 rows\n")) == [(32, "footer")]


def test_rows_by_another_delimiter_at_the_end_are_rejects_and_no_footer(tmp_path: Path) -> None:
    rows = "".join(f"A-{n},Ann,Ulm\n" for n in range(9))
    text = reading(tmp_path, f"{HEADER}{rows}B-2;Bob;Hof\nB-3;Cid;Bern\n")
    assert rejects(text) == [(11, "row.too_short"), (12, "row.too_short")]


def test_many_short_lines_at_the_end_are_rejects_and_no_footer(tmp_path: Path) -> None:
    text = reading(tmp_path, f"{HEADER}A-1,Ann,Ulm\n" + "word\n" * 50, block_bytes=64)
    assert (text.malformed, text.non_data_count) == (50, 0)


def test_lines_below_a_header_without_any_row_are_rejects(tmp_path: Path) -> None:
    assert rejects(reading(tmp_path, f"{HEADER}nothing today\n")) == [(2, "row.too_short")]


def test_a_declared_line_explains_all_of_its_record(tmp_path: Path) -> None:
    pattern = NonDataPattern(name="count", pattern=r"^(\d+) rows$|^end of (\w+)$")
    text = reading(
        tmp_path,
        f"{HEADER}A-1,Ann,Ulm\n3 rows,,\n3 rows,Bob,Hof\nend of list\nend of list,x,y\n",
        non_data=(pattern,),
    )
    assert [(line.line_number, line.facts) for line in text.non_data] == [
        (3, ("3", "")),
        (5, ("", "list")),
    ]
    assert cells(text)[1:] == [("3 rows", "Bob", "Hof"), ("end of list", "x", "y")]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("5,record(s) downloaded,from Sep-01-26 to Sep-30-26", "record count"),
        ('"1,234","Datensätze heruntergeladen","vom 01-Sep-26 bis 30-Sep-26",,,', "record count"),
        ("3;enregistrement(s) téléchargé(s);du 01-sept.-26 au 30-sept.-26", "record count"),
        ("3,registros descargados,desde Sep-01-26 hasta Sep-30-26", "record count"),
        ("Verkäufer-ID: shop,,,,,", "seller"),
        ('"ID du vendeur : shop"', "seller"),
    ],
)
def test_the_footers_of_a_report_are_declared(tmp_path: Path, line: str, reason: str) -> None:
    header = "Sales Record Number,Order Number,Item Title,Quantity,Sold For,Sale Date\n"
    text = reading(
        tmp_path,
        f"{header}1,11-10000-00001,Cup,1,2.50,2026-09-01\n{line}\n",
        EBAY_ORDERS,
        non_data=EBAY_ORDERS.non_data,
    )
    assert apart(text) == [(3, reason)]


@pytest.mark.parametrize(
    "row",
    [
        "2001,record player,22-60600-00001,1,2.50,2026-09-01",
        "2001,records downloaded,22-60600-00001,1,2.50,2026-09-01",
        "Seller ID : shop,22-60600-00001,Cup,1,2.50,2026-09-01",
        "7,Datensatz,,1,2.50,2026-09-01",
    ],
)
def test_no_row_is_taken_for_the_footer_of_a_report(tmp_path: Path, row: str) -> None:
    header = "Sales Record Number,Order Number,Item Title,Quantity,Sold For,Sale Date\n"
    non_data = EBAY_ORDERS.non_data
    text = reading(tmp_path, f"{header}{row}\n", EBAY_ORDERS, non_data=non_data)
    assert (text.records, text.non_data_count) == (1, 0)


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_every_line_is_counted_once(tmp_path: Path, line_end: str) -> None:
    lines = [
        "# by the till",
        "",
        "Customer ID,Name,City",
        ",,",
        'A-1,"Ann',
        'Foss",Ulm',
        "  ",
        "A-2,x",
        "end",
        "",
    ]
    counts = reading(tmp_path, line_end.join(lines)).lines
    assert (counts.total, counts.header, counts.records, counts.blank, counts.non_data) == (
        9,
        1,
        3,
        2,
        3,
    )


# ---- quotes


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("between", [0, 1, 400])
def test_two_stray_quotes_cost_their_rows_however_far_apart(
    tmp_path: Path, mark: str, between: int
) -> None:
    rows = "".join(f"B-{n},Bo,Hof\n" for n in range(between))
    content = f'{HEADER}A-1,Ann,Ulm\nA-2,"Ole,Bonn\n{rows}A-3,Gus",Rome\nA-4,Eve,Bern\n'
    text = reading(tmp_path, content.replace(",", mark), block_bytes=512)
    assert rejects(text) == [(3, "row.stray_quote"), (4 + between, "row.stray_quote")]
    assert text.records == between + 4


@pytest.mark.parametrize(
    "cell", ["Main St 5\nUlm", "Main St 5, 2nd floor\nUlm", "a, b, c\nd", "x\n\ny", "x\n"]
)
def test_a_cell_of_several_lines_stays_one(tmp_path: Path, cell: str) -> None:
    text = reading(tmp_path, f'{HEADER}A-1,"{cell}",Ulm\nA-2,Bob,Hof\n')
    assert cells(text) == [("A-1", cell, "Ulm"), ("A-2", "Bob", "Hof")]


def test_lines_of_a_cell_that_fit_no_column_are_no_rows(tmp_path: Path) -> None:
    rows = "".join(f"A-{n},Ann,2026-01-01\n" for n in range(25))
    note = "they sent:\nred, green, blue\nwhich is all"
    text = reading(tmp_path, f'Customer ID,Notes,First Order\n{rows}A-90,"{note}",2026-01-02\n')
    assert cells(text)[-1] == ("A-90", note, "2026-01-02")


def test_addresses_of_two_lines_in_a_list_of_two_columns_are_cells(tmp_path: Path) -> None:
    rows = "".join(f'Ann {n},"Main St {n}\nUlm, Germany"\n' for n in range(9))
    text = reading(tmp_path, f"Name,City\n{rows}")
    assert (text.records, text.malformed) == (9, 0)


ADDRESSES = [(f"Ann {n}", f"Main St {n}\nUlm, Germany") for n in range(9)]
NOTES = [("A-1", "they sent:\nred, green, blue\nwhich is all", "2026-01-02")]
DATED = [(f"B-{n}", "Ann", "2026-01-01") for n in range(25)]


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize(
    ("rows", "lines"),
    [
        pytest.param(ADDRESSES, (2, 4, 6, 8, 10, 12, 14, 16, 18), id="usual"),
        pytest.param([*DATED, *NOTES], (27,), id="unlike all rows"),
        pytest.param([("a",), ("b\nc",), ("d",), ("e\nf",)], (3, 6), id="one column"),
    ],
)
def test_cells_with_lines_that_may_be_rows_are_told(
    tmp_path: Path, rows: list[tuple[str, ...]], lines: tuple[int, ...], mark: str
) -> None:
    width = len(rows[0])
    quoted = [",".join(f'"{c}"' if "\n" in c or width == 1 else c for c in row) for row in rows]
    header = ",".join(["Notes", "Name", "City"][:width])
    content = "\n".join([header, *quoted, ""])
    text = reading(tmp_path, content.replace(",", mark), block_bytes=512)
    assert text.malformed == 0
    (warning,) = text.warnings
    assert (warning.code, warning.count, warning.line_numbers) == (
        "cells.like_rows",
        len(lines),
        lines,
    )


@pytest.mark.parametrize("row", ['2,"c\n3,d",e', '2,"c\nx\n\n3,d",e'])
def test_a_cell_that_ends_as_a_row_with_a_key_does_is_told(tmp_path: Path, row: str) -> None:
    text = reading(tmp_path, f"{HEADER}1,a,b\n{row}\n4,f,g\n")
    assert [row[0] for row in cells(text)] == ["1", "2", "4"]
    assert [(w.code, w.line_numbers) for w in text.warnings] == [("cells.like_rows", (3,))]


@pytest.mark.parametrize("cell", ["a\nb", "a, b\nc", "a\n\nb,", "a, b, c\nd", "1 St\nUlm, D"])
def test_cells_of_several_lines_that_hold_no_rows_need_no_look(tmp_path: Path, cell: str) -> None:
    rows = "".join(f'A-{n},"{cell}",Ulm\n' for n in range(9))
    text = reading(tmp_path, HEADER + rows)
    assert (text.malformed, text.warnings) == (0, ())


def test_quotes_behind_numbers_are_inches(tmp_path: Path) -> None:
    rows = "".join(f'A-{n},5",7"\n' for n in range(9))
    assert (reading(tmp_path, HEADER + rows).malformed) == 0
    text = reading(tmp_path, f'{HEADER}A-1,5" pipe,Ulm\nA-2,12",Hof\nA-3,x "y" z,Bern\n')
    assert text.malformed == 0


@pytest.mark.parametrize("row", ['A-2"Lamp, tall",used', 'A-2,"a",x"c', 'A-2,a"b,c"d', 'A-2,5",7"'])
def test_a_quote_that_may_hide_a_separator_is_a_reject(tmp_path: Path, row: str) -> None:
    text = reading(tmp_path, f'{HEADER}A-1,"Ann, Dr",Ulm\n{row}\nA-3,Cid,Bern\n')
    assert rejects(text) == [(3, "row.stray_quote")]


# ---- repairs


@pytest.mark.parametrize(
    "extra", ["A-90,,Bob,Hof", "A-90,Bob,,Hof", "A-90,Bob,Hof,", "A-90,Bob, Jr.,"]
)
def test_a_separator_too_many_is_a_reject_where_it_may_stand_anywhere(
    tmp_path: Path, extra: str
) -> None:
    rows = "".join(f"A-{n},Ann,{'Ulm' if n % 2 else ''}\n" for n in range(40))
    text = reading(tmp_path, f"{HEADER}{rows}{extra}\n")
    assert (rejects(text), text.repaired) == ([(42, "row.too_long")], 0)


def test_a_separator_too_many_is_dropped_where_every_row_fills_the_last_column(
    tmp_path: Path,
) -> None:
    rows = "".join(f"A-{n},Ann,2026-01-01\n" for n in range(25))
    header = "Customer ID,Name,First Order\n"
    text = reading(tmp_path, f"{header}{rows}A-90,Bob,2026-01-02,\nA-91,Bob, Jr.,\n")
    assert cells(text)[-1] == ("A-90", "Bob", "2026-01-02")
    assert (rejects(text), text.repaired) == ([(28, "row.too_long")], 1)


def test_a_line_of_a_quoted_cell_counts_no_inches(tmp_path: Path) -> None:
    text = reading(tmp_path, 'id,name\nk,a\n""1\n1",\n' + '"1\n1",b\n' * 3)
    assert [row[0] for row in cells(text)] == ["k", *["1\n1"] * 3]
    assert text.malformed == 2


def test_what_follows_on_a_torn_line_is_no_row_of_several_lines(tmp_path: Path) -> None:
    rows = "k0,,a\nk1,,b\nk2,,c\n"
    text = reading(tmp_path, f'id,name,note\n{rows}"two\nlines,,"two\nlines"\n')
    assert [row[0] for row in cells(text)] == ["k0", "k1", "k2"]
    assert text.malformed == 2
