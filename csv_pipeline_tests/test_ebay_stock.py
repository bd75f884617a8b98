"""The stock of listings: a parent row is held against its variations, and never added to them."""

from typing import Any

import pytest

from csv_pipeline_tests.conftest import Desk

HEADER = "Item number,Title,Variation details,Custom label (SKU),Available quantity,Sold quantity\n"


def bring(desk: Desk, *rows: str) -> Any:
    return desk.bring(HEADER + "".join(f"{row}\n" for row in rows), "ebay_listings")


def stock(desk: Desk) -> dict[str, tuple[Any, ...]]:
    columns = "item_number, state, available, available_of_parent, difference, sold, variations"
    return {row[0]: tuple(row[1:]) for row in desk.rows("listing_stock", columns)}


def test_the_parent_and_its_variations_are_one_stock(desk: Desk) -> None:
    """Whoever adds up all rows has 10 pieces of the listing, of which there are 5."""
    bring(desk, "1,Hat,Color=Red;Blue,,5,3", "1,Hat,Color=Red,R,2,1", "1,Hat,Color=Blue,B,3,2")
    assert stock(desk) == {"1": ("agrees", 5, 5, 0, 3, 2)}


def test_a_parent_that_says_another_number_is_told(desk: Desk) -> None:
    bring(desk, "1,Hat,Color=Red;Blue,,9,3", "1,Hat,Color=Red,R,2,1", "1,Hat,Color=Blue,B,3,2")
    assert stock(desk) == {"1": ("differs", 5, 9, 4, 3, 2)}


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (["1,Hat,,H,4,1"], ("single", 4, None, None, 1, 0)),
        (["1,Hat,Color=Red,R,2,1", "1,Hat,Color=Blue,B,3,"], ("no parent", 5, None, None, 1, 2)),
        (["1,Hat,Color=Red;Blue,,9,3"], ("no variations", 9, 9, None, 3, 0)),
        (["1,Hat,Color=Red;Blue,,,3", "1,Hat,Color=Red,R,2,1"], ("not known", 2, None, None, 1, 1)),
        (["1,Hat,Color=Red;Blue,,5,3", "1,Hat,Color=Red,R,,1"], ("not known", 5, 5, None, 1, 1)),
    ],
)
def test_what_is_not_there_is_said(desk: Desk, rows: list[str], told: tuple[Any, ...]) -> None:
    bring(desk, *rows)
    assert stock(desk) == {"1": told}


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        # A parent of one value has the details of its variation.
        (["1,Hat,Color=Red,,5,1", "1,Hat,Color=Red,R,5,1"], ("doubtful", 5, None, None, 1, 1)),
        # The second parent may be a variation whose value has a semicolon, or of an older report.
        (
            ["1,Hat,A=x;y,,5,1", "1,Hat,A=x;y;z,,7,1", "1,Hat,A=x,R,5,1"],
            ("doubtful", 5, 7, 2, 1, 1),
        ),
        # The number of the seller's own changed: the row of the older report is still there.
        (["1,Hat,,H,4,1", "1,Hat,,H2,3,1"], ("doubtful", 4, None, None, 1, 0)),
        # A listing that has variations since.
        (["1,Hat,,H,4,1", "1,Hat,Color=Red,R,3,1"], ("doubtful", 3, None, None, 1, 1)),
    ],
)
def test_rows_that_cannot_be_told_apart_count_once_and_are_told(
    desk: Desk, rows: list[str], told: tuple[Any, ...]
) -> None:
    bring(desk, *rows)
    assert stock(desk) == {"1": told}


def test_only_the_listings_of_a_report_are_recomputed(desk: Desk) -> None:
    bring(desk, "1,Hat,,H,4,1", "2,Cap,,C,1,0")
    done = bring(desk, "2,Cap,,C,3,0")
    assert {item: told[1] for item, told in stock(desk).items()} == {"1": 4, "2": 3}
    desk.pipeline.undo(done.import_id)
    assert {item: told[1] for item, told in stock(desk).items()} == {"1": 4, "2": 1}
