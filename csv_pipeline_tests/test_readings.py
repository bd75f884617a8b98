"""A cell that would be stored as another value than before never stores its row twice, silently."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from csv_pipeline.account import Account
from csv_pipeline.engine import feed_changes, run
from csv_pipeline.engine.accounts import Decided, declare
from csv_pipeline.engine.pipeline import Pipeline, open_pipeline
from csv_pipeline.errors import SetupError
from csv_pipeline.files.landing import found_file
from csv_pipeline.location import location_of
from csv_pipeline.model import Outcome
from csv_pipeline.spec.contract import Contract, column
from csv_pipeline.spec.feed import Feed
from csv_pipeline.storage import arrivals
from csv_pipeline_tests.conftest import own_settings
from csv_pipeline_tests.test_feed_changes import Shelf


@pytest.fixture(scope="module")
def pipeline() -> Iterator[Pipeline]:
    with own_settings(settle_seconds=0) as settings:
        opened = open_pipeline(settings, [])
        yield opened
        opened.close()


@pytest.fixture
def shelf(pipeline: Pipeline, request: pytest.FixtureRequest, tmp_path: Path) -> Shelf:
    return Shelf(pipeline, f"shelf_{abs(hash(request.node.name)) % 10**9}", tmp_path)


def key(words: str = "", more: str = "") -> dict[str, str]:
    """Return the field `id` with words of the pipeline's own, and of the standard."""
    return {"id": f"{{name: id, {more or 'title: id'}, csv_pipeline: {{{words}}}}}"}


def file_of(*cells: str) -> str:
    return "id,code\n" + "".join(f"{cell},{number}\n" for number, cell in enumerate(cells))


def hold_up(shelf: Shelf, feed: Feed, match: str = "") -> None:
    """Have no file of a changed feed imported; all of them wait."""
    pipeline = shelf.open(feed)
    with pytest.raises(SetupError, match=match or rf"see `csv-pipeline feeds diff {shelf.name}`"):
        pipeline.claim("acme", shelf.name)
    pipeline.close()


def once_more(content: str) -> str:
    """Return the same rows in other bytes, which are no duplicate."""
    return content.replace("\n", "\r\n")


def again(shelf: Shelf, feed: Feed, content: str, **allowed: Any) -> tuple[int, int]:
    """Apply a changed feed; return how many rows of a known file are inserted, and unchanged."""
    feed_changes.apply(shelf.database, feed, **allowed)
    counts = shelf.bring(feed, once_more(content)).counts
    return counts.inserted, counts.unchanged


STORED_TELLS = {
    "zeros": (key(), key("pad: 4"), ("7", "X8"), ["0007", "X8"]),
    "more zeros": (key("pad: 2"), key("pad: 4"), ("7", "X8"), ["0007", "X8"]),
    "case": (key(), key("fold_case: true"), ("7", "X8"), ["7", "x8"]),
    "letters": (key(), key("normalise: [upper]"), ("7", "x8"), ["7", "X8"]),
    "blanks": (
        key("normalise: [upper]"),
        key("normalise: [upper, blanks]"),
        ("7", "a  b"),
        ["7", "A B"],
    ),
    "substitute": (key("substitute: ''"), key("substitute: none"), ("7", ""), ["7", "none"]),
    "no value": (
        key("substitute: ''"),
        key("substitute: ''", "missingValues: [open]"),
        ("7", "open"),
        ["", "7"],
    ),
    "stored words": (
        key(more="categories: [new, old]"),
        key("values: {old: used}", "categories: [new, used]"),
        ("new", "OLD"),
        ["new", "used"],
    ),
}


@pytest.mark.parametrize(
    ("before", "now", "cells", "stored"), STORED_TELLS.values(), ids=STORED_TELLS
)
def test_rows_are_read_again_where_what_is_stored_tells_the_cells(
    before: dict[str, str], now: dict[str, str], cells: Any, stored: list[str], shelf: Shelf
) -> None:
    content, feed = file_of(*cells), shelf.feed(**now)
    shelf.bring(shelf.feed(**before), content)
    hold_up(shelf, feed)
    (change,) = feed_changes.diff(shelf.database, feed)
    assert (change.column, change.rows, change.unfit, change.read_again) == ("id", 2, 0, True)
    assert again(shelf, feed, content) == (0, 2)
    assert shelf.rows("id") == [(one,) for one in stored]
    assert feed_changes.diff(shelf.database, feed) == []


MOMENT, SHARE = "type: datetime", "type: number"
STORED_DOES_NOT_TELL = {
    "fewer zeros": (key("pad: 4"), key("pad: 2"), "7"),
    "case": (key("fold_case: true"), key(), "X"),
    "letters": (key("normalise: [upper]"), key("normalise: [lower]"), "x"),
    "substitute": (key("substitute: x"), key("substitute: y"), ""),
    "no value": (key("substitute: ''", "missingValues: [open]"), key("substitute: ''"), "open"),
    "zone": (
        key("zone: Europe/Berlin", MOMENT),
        key("zone: Asia/Tokyo", MOMENT),
        "2025-01-02 03:04",
    ),
    "unit": (key("unit: s", MOMENT), key("unit: ms", MOMENT), "1700000000"),
    "share": (key("kind: percent", SHARE), key("kind: percent, stored_as: fraction", SHARE), "12%"),
    "bare share": (
        key("kind: percent, bare_as: percent", SHARE),
        key("kind: percent, bare_as: fraction", SHARE),
        "0.5",
    ),
    "order": (
        key(more='type: date, format: "%d/%m/%Y"'),
        key(more='type: date, format: "%m/%d/%Y"'),
        "03/04/2025",
    ),
    "mark": (
        key(more='type: number, decimalChar: ","'),
        key(more='type: number, decimalChar: "."'),
        "1.234",
    ),
    "words": (
        key("values: {x: new, y: old}", "categories: [new, old]"),
        key("values: {x: old, y: new}", "categories: [new, old]"),
        "x",
    ),
    "number to text": (key(more="type: number"), key(), "1.50"),
}


@pytest.mark.parametrize(
    ("before", "now", "cell"), STORED_DOES_NOT_TELL.values(), ids=STORED_DOES_NOT_TELL
)
def test_rows_stay_as_they_are_only_if_somebody_says_so(
    before: dict[str, str], now: dict[str, str], cell: str, shelf: Shelf
) -> None:
    content, feed = file_of(cell), shelf.feed(**now)
    shelf.bring(shelf.feed(**before), content)
    stored = shelf.rows("id::text")
    with pytest.raises(SetupError, match=f"feeds diff {shelf.name}"):
        shelf.open(feed).claim("acme", shelf.name)
    with pytest.raises(SetupError, match="takes --fresh, or --accept-reading id, by which rows"):
        feed_changes.apply(shelf.database, feed)
    feed_changes.apply(shelf.database, feed, readings=("id",), by="ann")
    assert shelf.rows("id::text") == stored
    assert shelf.bring(feed, once_more(content)).counts.inserted == 1
    with shelf.database.begin() as connection:
        query = "SELECT decided_by, read_again FROM csv_pipeline.reading_change WHERE feed = :feed"
        assert connection.execute(sa.text(query), {"feed": shelf.name}).all() == [("ann", False)]


def test_rows_that_would_be_one_are_shown_and_refused(shelf: Shelf) -> None:
    content, feed = file_of("A", "a", "b"), shelf.feed(**key("fold_case: true"))
    shelf.bring(shelf.feed(), content)
    (change,) = feed_changes.diff(shelf.database, feed)
    assert (change.unfit, change.examples) == (1, ("'A' and 'a' of acme",))
    with pytest.raises(SetupError, match="1 of the stored keys or values cannot be: 'A' and 'a'"):
        feed_changes.apply(shelf.database, feed)
    assert shelf.rows("id") == [("A",), ("a",), ("b",)]
    assert again(shelf, feed, content, fresh=True) == (2, 0)


def test_a_key_of_the_history_is_not_taken_for_another_row(shelf: Shelf) -> None:
    shelf.bring(shelf.feed(), file_of("A"))
    added = shelf.bring(shelf.feed(), file_of("a"))
    pipeline = shelf.open(shelf.feed())
    pipeline.undo(added.import_id)
    pipeline.close()
    with pytest.raises(SetupError, match="'A' and 'a'"):
        feed_changes.apply(shelf.database, shelf.feed(**key("fold_case: true")))
    feed_changes.apply(shelf.database, shelf.feed(**key("fold_case: true")), set_aside=True)
    assert shelf.rows("id") == [("a",)]
    assert shelf.rows("id", "_history_before_1") == [("a",)]


def test_an_import_can_be_undone_after_its_rows_were_read_again(shelf: Shelf) -> None:
    feed = shelf.feed(**key("pad: 4"))
    shelf.bring(shelf.feed(), "id,code\n7,old\n")
    changed = shelf.bring(shelf.feed(), "id,code\n7,new\n")
    feed_changes.apply(shelf.database, feed)
    pipeline = shelf.open(feed)
    pipeline.undo(changed.import_id)
    pipeline.close()
    assert shelf.rows("id, code") == [("0007", "old")]


def test_rows_in_one_anothers_way_are_read_again_at_once(shelf: Shelf) -> None:
    def feed(x: str, y: str) -> Feed:
        class Row(Contract):
            id: str = column(choices={"x": x, "y": y})
            code: str = column()

        return Feed(name=shelf.name, description="", contract=Row, key=("id",))

    shelf.bring(feed("new", "old"), file_of("x", "y"))
    assert again(shelf, feed("old", "new"), file_of("x", "y")) == (0, 2)
    assert shelf.rows("id, code") == [("new", "1"), ("old", "0")]


def test_what_is_read_the_same_is_not_refused(shelf: Shelf) -> None:
    shelf.bring(shelf.feed(**key("pad: 4, fold_case: true")), file_of("7"))
    same = shelf.feed(
        **key("fold_case: true, pad: 4", 'description: Which., constraints: {pattern: ".*"}'),
        code="{name: code, title: Other}",
        price="",
    )
    assert shelf.bring(same, once_more(file_of("7"))).warnings == ()


def test_a_word_more_is_no_other_reading(shelf: Shelf) -> None:
    words = key("values: {x: new}", "categories: [new]")
    more = key("values: {x: new, y: new}", "categories: [new]")
    other = key("values: {y: old}", "categories: [new, old]")
    shelf.bring(shelf.feed(**words), file_of("x"))
    assert shelf.bring(shelf.feed(**more), file_of("y", "x")).counts.inserted == 0
    hold_up(shelf, shelf.feed(**other), r"word 'y': new.*word 'y': old")


def test_another_reading_of_a_column_beside_the_key_is_a_warning_until_it_is_applied(
    shelf: Shelf,
) -> None:
    shelf.bring(shelf.feed(), "id,code\n1,7\n")
    feed = shelf.feed(code="{name: code, csv_pipeline: {pad: 4}}")
    report = shelf.bring(feed, "id,code\n2,7\n")
    assert [warning.code for warning in report.warnings] == ["column.reading_changed"]
    (change,) = feed_changes.diff(shelf.database, feed)
    assert (change.column, change.unfit, change.identifies) == ("code", 0, False)
    feed_changes.apply(shelf.database, feed)
    assert shelf.rows("id, code") == [("1", "7"), ("2", "0007")]
    assert shelf.bring(feed, "id,code\n3,7\n").warnings == ()


def test_rows_without_a_key_are_known_by_all_that_is_counted(shelf: Shelf) -> None:
    shelf.bring(shelf.feed(None), file_of("7"))
    for other in (
        shelf.feed(None, **key("pad: 4")),
        shelf.feed(None, code="{name: code, csv_pipeline: {pad: 4}}"),
        shelf.feed(None, code=""),
        replace(shelf.feed(None), counted=("id",)),
    ):
        hold_up(shelf, other)
        with pytest.raises(SetupError, match=r"--accept-reading (id|code|counted), by which"):
            feed_changes.apply(shelf.database, other)


def test_a_column_more_is_another_row_only_where_files_had_it_before(shelf: Shelf) -> None:
    shelf.bring(shelf.feed(None), "id,code,more\n7,a,x\n")
    other = shelf.feed(None, other="{name: other}")
    assert shelf.bring(other, "id,code,more\r\n7,a,x\r\n").counts.inserted == 0
    more = shelf.feed(None, other="{name: other}", more="{name: more}")
    hold_up(shelf, more, "known by code, id, more, other, price, seen")


def test_a_feed_without_rows_is_read_as_it_is_declared(shelf: Shelf) -> None:
    shelf.open(shelf.feed()).close()
    assert shelf.bring(shelf.feed(**key("pad: 4")), file_of("7")).counts.inserted == 1
    assert shelf.rows("id") == [("0007",)]


def test_rows_of_an_earlier_release_are_taken_to_be_read_as_declared(shelf: Shelf) -> None:
    shelf.bring(shelf.feed(), file_of("7"))
    with shelf.database.begin() as connection:
        connection.execute(sa.text("UPDATE csv_pipeline.target SET readings = NULL"))
    assert shelf.bring(shelf.feed(), file_of("8")).counts.inserted == 1
    hold_up(shelf, shelf.feed(**key("pad: 4")))


OF_ACCOUNT = {
    "words": (
        key(more="categories: [new, old]"),
        {"maps": ("id:neu=new",)},
        "neu",
        {"maps": ("id:neu=old",)},
    ),
    "zone": (
        key(more=MOMENT),
        {"time_zone": "Europe/Berlin"},
        "2025-01-02 03:04",
        {"time_zone": "Asia/Tokyo"},
    ),
    "order": (
        key(more="type: date"),
        {"date_order": "day-first"},
        "03/04/2025",
        {"date_order": "month-first"},
    ),
    "mark": (key(more=SHARE), {"decimal_mark": "comma"}, "1.234", {"decimal_mark": "point"}),
}


@pytest.mark.parametrize(("fields", "first", "cell", "other"), OF_ACCOUNT.values(), ids=OF_ACCOUNT)
def test_an_account_does_not_change_what_its_rows_are_known_by(
    fields: dict[str, str], first: dict[str, Any], cell: str, other: dict[str, Any], shelf: Shelf
) -> None:
    feed = shelf.feed(**fields)
    pipeline, scope = shelf.open(feed), Account(account="acme", feed=shelf.name)
    declare(pipeline, scope, first)
    shelf.bring(feed, file_of(cell))
    declare(pipeline, scope, {}, [next(iter(first)).replace("_", "-")])
    with pytest.raises(SetupError, match=r"known by it .* --accept-reading declares it"):
        declare(pipeline, scope, other)
    declare(pipeline, scope, first)
    declare(pipeline, scope, other, decided=Decided(by="ann", accept_reading=True))
    declare(pipeline, scope, {}, [next(iter(first)).replace("_", "-")])
    pipeline.close()


def test_an_account_gives_no_text_that_rows_are_known_by_another_word(shelf: Shelf) -> None:
    feed = shelf.feed(**key())
    pipeline, scope = shelf.open(feed), Account(account="acme", feed=shelf.name)
    shelf.bring(feed, file_of("1x"))
    mapped = {"maps": (f"{next(iter(feed.key))}:1x=9",)}
    with pytest.raises(SetupError, match=r"known by it .* --accept-reading declares it"):
        declare(pipeline, scope, mapped)
    declare(pipeline, scope, mapped, decided=Decided(by="ann", accept_reading=True))
    pipeline.close()


def test_an_account_may_settle_what_its_files_left_open(shelf: Shelf) -> None:
    feed = shelf.feed(**key(more="type: date"))
    shelf.bring(feed, file_of("2025-04-03"))
    pipeline = shelf.open(feed)
    declare(pipeline, Account(account="acme", feed=shelf.name), {"date_order": "day-first"})
    pipeline.close()
    assert shelf.bring(feed, file_of("03/04/2025")).counts.inserted == 0


def test_a_process_that_knows_the_earlier_declaration_stores_nothing_any_more(shelf: Shelf) -> None:
    shelf.bring(shelf.feed(), file_of("7"))
    earlier = shelf.open(shelf.feed())
    path = shelf.folder / "late.csv"
    path.write_text(file_of("9"))
    with earlier.database.begin() as connection:
        arrivals.register(connection, [found_file(location_of(path), "acme", shelf.name)])
    claims = earlier.claim("acme", shelf.name)
    feed_changes.apply(shelf.database, shelf.feed(**key("pad: 4")))
    (report,) = run.run(earlier, claims)
    earlier.close()
    assert (report.outcome, report.problem_code) == (Outcome.FAILED, "SetupError")
    assert shelf.rows("id") == [("0007",)]
