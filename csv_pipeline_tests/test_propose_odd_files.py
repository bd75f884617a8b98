"""What is proposed for files with a header of two lines, a name twice, or a few odd values."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from csv_pipeline.engine.proposing import propose, to_decide
from csv_pipeline.errors import UndecidableError
from csv_pipeline.settings import Settings

Proposed = Callable[..., str]
ROWS = "A1,10.00,11.90\nA2,20.00,23.80\nA3,1.00,1.19\n"


@pytest.fixture
def proposed(tmp_path: Path) -> Proposed:
    def of(*texts: str) -> str:
        paths = [tmp_path / f"file-{at}.csv" for at in range(len(texts))]
        for path, text in zip(paths, texts, strict=True):
            path.write_text(text)
        return propose(paths, Settings(home=tmp_path))

    return of


def fields(text: str) -> dict[str, str]:
    """Return the type of each field, by its title in headers."""
    found = yaml.safe_load(text)["fields"]
    return {its.get("title", its["name"]): its.get("type", "string") for its in found}


@pytest.mark.parametrize("header", ["Item,Price,Price", "Item,Price,"])
def test_names_below_a_group_of_columns_are_joined_to_its_name(
    proposed: Proposed, header: str
) -> None:
    found = proposed(f"{header}\n,net,gross\n{ROWS}")
    assert "# file-0.csv: 3 rows, no rejects" in found
    assert fields(found) == {"Item": "string", "Price net": "number", "Price gross": "number"}


def test_two_groups_that_are_parted_alike_have_names_of_their_own(proposed: Proposed) -> None:
    rows = "".join(f"{line},1,2\n" for line in ROWS.splitlines())
    found = proposed(f"Item,Price,,Cost,\n,net,gross,net,gross\n{rows}")
    assert "# file-0.csv: 3 rows, no rejects" in found
    assert [*fields(found)] == ["Item", "Price net", "Price gross", "Cost net", "Cost gross"]


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (f"Item,Price,Price\nNo,net,gross\n{ROWS}", "Price net"),
        ("Item,Note,Note\n,opening,balance\nA1,x,y\nA2,y,x\nA3,z,u\n", "Note opening"),
    ],
)
def test_a_second_line_that_may_be_a_row_is_refused_with_what_settles_it(
    proposed: Proposed, content: str, name: str
) -> None:
    with pytest.raises(UndecidableError, match=f"joined, such as '{name}', reads them as one"):
        proposed(content)


def test_a_row_of_values_below_a_group_of_columns_is_a_row(proposed: Proposed) -> None:
    assert "4 rows" in proposed(f"Item,Price,\n,7.50,9.00\n{ROWS}")


def test_a_name_that_comes_twice_is_told_where_the_cells_differ(proposed: Proposed) -> None:
    told = "columns 2 and 3 are both called 'Price'; rows where they differ are rejected"
    assert any(told in line for line in to_decide(proposed(f"Item,Price,Price\n{ROWS}")))
    assert told not in proposed("Item,Price,Price\nA1,1.00,1.00\nA2,2.00,\n")


def test_a_few_values_among_thousands_keep_no_type_back_and_are_told(proposed: Proposed) -> None:
    odd = {7: "abc", 2_900: "n/k"}
    rows = [f"x{n},{odd.get(n, n)},{'' if n == 9 else n % 2}" for n in range(3_000)]
    found = proposed("\n".join(["name,size,flag", *rows]))
    assert "# file-0.csv: 3,000 rows, 2 × size.integer" in found
    assert fields(found)["size"] == "integer"
    told = "2 values are not a number, and their rows are rejected: line 9 'abc', line 2,902 'n/k'"
    assert any(told in line for line in to_decide(found))


def test_odd_values_of_several_files_are_told_by_file_and_those_of_people_not_shown(
    proposed: Proposed,
) -> None:
    days = [f"2026-01-{n % 28 + 1:02d}" for n in range(300)]
    found = proposed("\n".join(["birthday", *days]), "\n".join(["birthday", *days, "1.1.?"]))
    assert fields(found) == {"birthday": "date"}
    assert "a value is not a date, and its row is rejected: line 302 of file-1.csv\n" in found


@pytest.mark.parametrize("odd", [["abc"] * 2, [f"x{n}" for n in range(11)]], ids=["word", "many"])
def test_words_that_come_again_and_more_than_a_few_are_no_exceptions(
    proposed: Proposed, odd: list[str]
) -> None:
    values = [str(n % 4) for n in range(4_000)] + odd
    assert fields(proposed("\n".join(["size", *values]))) == {"size": "string"}


def test_rows_without_a_header_are_numbered_from_1(proposed: Proposed) -> None:
    found = proposed("7001,12.5\n7002,x3.5\n7003,4.5\n")
    assert "a number in 2 of 3 values; row 2 'x3.5' is none" in found


def test_what_a_spreadsheet_guards_is_proposed_as_the_text_that_is_imported(
    proposed: Proposed,
) -> None:
    rows = [f'{n},"=""{n}""",{word}' for n in range(10, 40) for word in ('"=""7 a"""', "b")]
    found = proposed("\n".join(["count,code_of,word", *rows]))
    its = {field["name"]: field for field in yaml.safe_load(found)["fields"]}
    assert its["word"]["categories"] == ["7 a", "b"]
    assert "type" not in its["code_of"]
    assert its["code_of"]["csv_pipeline"] == {"identifier": True}
    assert its["count"]["type"] == "integer"


def test_numbers_that_may_be_versions_are_to_be_checked(proposed: Proposed) -> None:
    versions, sizes = ("1.1", "1.10", "1.2"), ("1.10", "1.25", "2.00")
    for values, checked in ((versions, True), (sizes, False)):
        found = proposed("\n".join(["release", *values]))
        assert any("check: as numbers, 1.10 is 1.1;" in its for its in to_decide(found)) is checked


def test_a_telephone_is_no_key(proposed: Proposed) -> None:
    rows = [f"{n % 7},030 {n:05d}" for n in range(60)]
    found = yaml.safe_load(proposed("\n".join(["Kunde,Telefon", *rows])))
    assert "primaryKey" not in found
