"""A feed that gets a column reads the cells that its rows have kept of it, and drops none."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from typer.testing import CliRunner

from csv_pipeline.account import Account
from csv_pipeline.cli import commands, opening
from csv_pipeline.engine.accounts import declare
from csv_pipeline.engine.feed_changes import apply as apply_changes
from csv_pipeline.engine.feed_changes import diff as changes_of
from csv_pipeline.engine.pipeline import Pipeline, open_pipeline
from csv_pipeline.storage.differences import Change
from csv_pipeline_tests.conftest import own_settings
from csv_pipeline_tests.test_feed_changes import Shelf

ROWS = "id,code,Stock,Hue\n1,a,5,red\n2,b,many,\n3,c,,blue\n"
STOCK = "{name: stock, type: integer}"


@pytest.fixture(scope="module")
def pipeline() -> Iterator[Pipeline]:
    with own_settings(settle_seconds=0) as settings:
        opened = open_pipeline(settings, [])
        yield opened
        opened.close()


@pytest.fixture
def shelf(pipeline: Pipeline, request: pytest.FixtureRequest, tmp_path: Path) -> Shelf:
    return Shelf(pipeline, f"known_{abs(hash(request.node.name)) % 10**9}", tmp_path)


def of_extra(found: list[Change]) -> list[tuple[str | None, int, int]]:
    return [(one.column, one.rows, one.unfit) for one in found if one.from_extra]


def test_cells_of_a_column_that_became_known_are_shown_and_moved_and_none_is_dropped(
    shelf: Shelf,
) -> None:
    report = shelf.bring(shelf.feed(), ROWS)
    feed = shelf.feed(stock=STOCK, colour="{name: colour, title: Hue}")
    for opened in (False, True):  # before the columns are there, and after
        found = changes_of(shelf.database, feed)
        assert of_extra(found) == [("stock", 2, 1), ("colour", 2, 0)]
        (stock,) = (one for one in found if one.from_extra and one.column == "stock")
        assert stock.examples == (f"'many' in row 3 of import {report.import_id}",)
        if not opened:
            shelf.open(feed).close()
    apply_changes(shelf.database, feed)
    assert shelf.rows("stock, colour, _extra") == [
        (5, "red", None),
        (None, None, {"Hue": None, "Stock": "many"}),
        (None, "blue", None),
    ]
    assert of_extra(changes_of(shelf.database, feed)) == [("stock", 1, 1)]
    again = shelf.bring(feed, ROWS.replace("many", "7").replace("\n", "\r\n"))
    assert (again.counts.unchanged, again.counts.updated) == (2, 1)


def test_an_import_before_can_be_undone_to_what_it_had_found(shelf: Shelf) -> None:
    shelf.bring(shelf.feed(), ROWS)
    changed = shelf.bring(shelf.feed(), ROWS.replace("5,red", "6,red"))
    feed = shelf.feed(stock=STOCK)
    apply_changes(shelf.database, feed)
    assert shelf.rows("stock", "_history") == [(5,)]
    pipeline = shelf.open(feed)
    undone = pipeline.undo(changed.import_id)
    assert shelf.rows("stock")[0] == (5,)
    pipeline.undo(undone.import_id)
    assert shelf.rows("stock")[0] == (6,)
    pipeline.close()


def test_what_a_later_import_left_in_the_column_is_newer_than_the_cell(shelf: Shelf) -> None:
    shelf.bring(shelf.feed(), ROWS)
    feed = shelf.feed(stock=STOCK)
    shelf.bring(feed, "id,code,Stock\n1,z,\n2,b,9\n")
    apply_changes(shelf.database, feed)
    assert shelf.rows("stock") == [(None,), (9,), (None,)]
    assert shelf.rows("_extra")[0] == ({"Hue": "red", "Stock": "5"},)


def test_a_date_of_two_readings_is_moved_only_if_others_prove_its_order(shelf: Shelf) -> None:
    feed = shelf.feed(day="{name: day, type: date}")
    shelf.bring(shelf.feed(), "id,Day\n1,03/04/2025\n2,05/05/2025\n")
    assert of_extra(changes_of(shelf.database, feed)) == [("day", 2, 1)]
    shelf.bring(shelf.feed(), "id,Day\n3,25/12/2025\n")
    apply_changes(shelf.database, feed)
    assert [str(day) for (day,) in shelf.rows("day")] == ["2025-04-03", "2025-05-05", "2025-12-25"]


def test_what_the_account_declares_reads_its_cells(shelf: Shelf) -> None:
    amount = "{name: amount, type: number, csv_pipeline: {precision: 10, scale: 3}}"
    shelf.bring(shelf.feed(), 'id,Amount\n1,"1.234"\n')
    feed = shelf.feed(amount=amount)
    assert of_extra(changes_of(shelf.database, feed)) == [("amount", 1, 1)]
    pipeline = shelf.open(feed)
    declare(pipeline, Account(account="acme", feed=shelf.name), {"decimal_mark": "comma"})
    pipeline.close()
    apply_changes(shelf.database, feed)
    assert shelf.rows("amount::text") == [("1234.000",)]


def test_a_heading_that_only_an_account_declares_is_of_the_column_for_its_rows_alone(
    shelf: Shelf,
) -> None:
    content = "id,Hue,Farbe\n1,red,rot\n2,,blau\n"
    shelf.bring(shelf.feed(), content)
    shelf.bring(shelf.feed(), content, "other")
    feed = shelf.feed(colour="{name: colour, title: Hue}")
    assert of_extra(changes_of(shelf.database, feed)) == [("colour", 2, 0)]
    pipeline = shelf.open(feed)
    declare(pipeline, Account(account="acme", feed=shelf.name), {"aliases": ("Farbe=colour",)})
    pipeline.close()
    found = changes_of(shelf.database, feed)
    assert of_extra(found) == [("colour", 2, 0), ("colour", 1, 0), ("colour", 1, 1)]
    apply_changes(shelf.database, feed)
    assert shelf.rows("account, colour, _extra") == [
        ("acme", "rot", {"Hue": "red"}),
        ("other", "red", {"Farbe": "rot"}),
        ("acme", "blau", None),
        ("other", None, {"Hue": None, "Farbe": "blau"}),
    ]


@pytest.mark.parametrize(
    ("field", "cell"),
    [
        ("{name: more, type: integer, constraints: {minimum: 1}}", "0"),
        ("{name: more, type: string, constraints: {enum: [x, y]}}", "z"),
        ("{name: more, type: number}", "EUR 5.00"),
        ("{name: more, csv_pipeline: {identifier: true}}", "4.51E+12"),
        ("{name: more, type: datetime}", "2025-01-02 03:04"),
        ("{name: more, type: integer}", "n/a"),
    ],
)
def test_what_an_import_would_reject_or_decide_otherwise_stays(
    field: str, cell: str, shelf: Shelf
) -> None:
    shelf.bring(shelf.feed(), f"id,More\n1,{cell}\n")
    feed = shelf.feed(more=field)
    assert of_extra(changes_of(shelf.database, feed)) == [("more", 1, 1)]
    apply_changes(shelf.database, feed)
    assert shelf.rows("more, _extra") == [(None, {"More": cell})]


def test_of_two_headings_of_the_column_the_first_is_moved_and_the_other_stays(shelf: Shelf) -> None:
    shelf.bring(shelf.feed(), "id,Hue,Tint\n1,red,blue\n2,,green\n")
    feed = shelf.feed(colour="{name: colour, title: Hue, csv_pipeline: {aliases: [Tint]}}")
    assert of_extra(changes_of(shelf.database, feed)) == [("colour", 1, 0), ("colour", 2, 1)]
    apply_changes(shelf.database, feed)
    assert shelf.rows("colour, _extra") == [("red", {"Tint": "blue"}), ("green", None)]


def test_no_value_of_a_protected_column_is_shown(shelf: Shelf) -> None:
    shelf.bring(shelf.feed(), "id,More\n1,x\n")
    feed = shelf.feed(more="{name: more, type: integer, csv_pipeline: {protected: true}}")
    (found,) = (one for one in changes_of(shelf.database, feed) if one.from_extra)
    assert (found.unfit, found.examples) == (1, ())


def test_rows_that_are_known_by_all_their_values_keep_their_cells(shelf: Shelf) -> None:
    shelf.bring(shelf.feed(None), ROWS)
    assert of_extra(changes_of(shelf.database, shelf.feed(None, stock=STOCK))) == []


def test_the_command_says_how_many_cells_went_and_which_stay(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf.bring(shelf.feed(), ROWS)
    feed = shelf.feed(stock=STOCK)
    monkeypatch.setattr(opening, "feed", lambda _: feed)
    monkeypatch.setattr(opening, "database", lambda: nullcontext(shelf.database))
    done = CliRunner().invoke(commands.app, ["feeds", "apply", shelf.name])
    assert (
        "stock: _extra, as 'Stock' → bigint; 1 cells moved, 1 stay in _extra: 'many' in row 3"
        in " ".join(done.stdout.split())
    )
