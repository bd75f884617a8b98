"""A changed declaration shows what it does to stored rows, and a command does it, or says how."""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from csv_pipeline.cli import commands, opening
from csv_pipeline.engine.feed_changes import apply as apply_changes
from csv_pipeline.engine.feed_changes import diff as changes_of
from csv_pipeline.engine.pipeline import Pipeline, open_pipeline
from csv_pipeline.errors import DatabaseUnavailableError, SetupError, UndoError
from csv_pipeline.files.landing import found_file
from csv_pipeline.files.local import path_of
from csv_pipeline.location import location_of
from csv_pipeline.model import ImportReport
from csv_pipeline.spec.declared import feed_in
from csv_pipeline.spec.derived import DerivedColumn, DerivedTable
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.snapshot import Missing, Snapshot
from csv_pipeline.spec.worklist import Worklist
from csv_pipeline.storage import arrivals, changes, imports
from csv_pipeline_tests.conftest import ingest, own_settings

ROWS = "id,code,price,seen\n1,7,1.25,2025-01-02\n2,x8,2.00,2025-02-03\n3,09,,\n"
FIELDS = {
    "id": "{name: id}",
    "code": "{name: code}",
    "price": "{name: price, type: number, csv_pipeline: {precision: 10, scale: 2}}",
    "seen": "{name: seen, type: date}",
}


class Shelf:
    """A feed that changes, its rows, and the pipeline of each of its declarations."""

    def __init__(self, pipeline: Pipeline, name: str, folder: Path) -> None:
        self.database, self.settings = pipeline.database, pipeline.settings
        self.name, self.folder = name, folder
        self.files = 0

    def feed(self, key: str | None = "id", **fields: str) -> Feed:
        """Return the feed with some fields changed, added, or left out if they are empty."""
        listed = [one for one in (FIELDS | fields).values() if one]
        text = "fields:\n" + "".join(f"  - {one}\n" for one in listed)
        text += f"primaryKey: {key}\n" if key else ""
        text += f"csv_pipeline: {{views: {{{self.name}_view: SELECT * FROM data.{self.name}}}}}\n"  # noqa: S608
        return feed_in(text.encode(), "x.yaml", self.name)

    def open(self, feed: Feed) -> Pipeline:
        return open_pipeline(self.settings, [feed])

    def bring(self, feed: Feed, content: str = ROWS, account: str = "acme") -> ImportReport:
        """Import a file for a declaration of the feed."""
        pipeline = self.open(feed)
        self.files += 1
        path = self.folder / f"file-{self.files}.csv"
        path.write_text(content)
        with pipeline.database.begin() as connection:
            arrivals.register(connection, [found_file(location_of(path), account, self.name)])
        (claim,) = pipeline.claim(account, self.name)
        report = ingest(pipeline, claim)
        pipeline.close()
        assert report.problem is None
        return report

    def rows(self, columns: str, table: str = "") -> list[Any]:
        query = f"SELECT {columns} FROM data.{self.name}{table} ORDER BY id, account"  # noqa: S608
        with self.database.begin() as connection:
            return [tuple(row) for row in connection.execute(sa.text(query))]


@pytest.fixture(scope="module")
def pipeline() -> Iterator[Pipeline]:
    with own_settings(settle_seconds=0) as settings:
        opened = open_pipeline(settings, [])
        yield opened
        opened.close()


@pytest.fixture
def shelf(pipeline: Pipeline, request: pytest.FixtureRequest, tmp_path: Path) -> Shelf:
    made = Shelf(pipeline, f"shelf_{abs(hash(request.node.name)) % 10**9}", tmp_path)
    made.bring(made.feed())
    return made


def test_what_has_not_changed_has_no_changes(shelf: Shelf) -> None:
    assert changes_of(shelf.database, shelf.feed()) == []


def test_a_wider_type_keeps_all_values_and_what_is_imported_again_is_unchanged(
    shelf: Shelf,
) -> None:
    wider = "{name: price, type: number, csv_pipeline: {precision: 18, scale: 4}}"
    feed = shelf.feed(price=wider)
    with pytest.raises(SetupError, match=rf"see `csv-pipeline feeds diff {shelf.name}`"):
        shelf.open(feed)
    (change,) = changes_of(shelf.database, feed)
    assert (change.before, change.after) == ("numeric(10,2)", "numeric(18,4)")
    assert (change.rows, change.unfit) == (2, 0)
    with pytest.raises(SetupError):
        shelf.open(feed)  # to look has changed nothing
    apply_changes(shelf.database, feed)
    assert shelf.rows("price") == [(Decimal("1.2500"),), (Decimal("2.0000"),), (None,)]
    again = shelf.bring(feed, ROWS + "4,x,1.2345,\n")
    assert (again.counts.unchanged, again.counts.inserted) == (3, 1)


def test_values_that_do_not_fit_are_shown_and_refused_and_can_be_set_aside(shelf: Shelf) -> None:
    feed = shelf.feed(code="{name: code, type: integer}")
    (change,) = changes_of(shelf.database, feed)
    assert (change.rows, change.unfit, change.examples) == (3, 2, ("09", "x8"))
    with pytest.raises(SetupError, match=r"2 of 3 do not, such as '09', 'x8'.*--set-aside or"):
        apply_changes(shelf.database, feed)
    assert shelf.rows("code") == [("7",), ("x8",), ("09",)]
    apply_changes(shelf.database, feed, set_aside=True)
    assert shelf.rows("code, _extra") == [(7, None), (None, {"code": "x8"}), (None, {"code": "09"})]
    assert shelf.rows("code", "_view") == [(7,), (None,), (None,)]
    shelf.open(feed).close()


def test_digits_that_would_be_rounded_do_not_fit(shelf: Shelf) -> None:
    narrow = "{name: price, type: number, csv_pipeline: {precision: 10, scale: 1}}"
    (change,) = changes_of(shelf.database, shelf.feed(price=narrow))
    assert (change.unfit, change.examples) == (1, ("1.25",))


def test_json_with_a_key_twice_does_not_fit(shelf: Shelf) -> None:
    twice, once = '{"a":[{"b":1,"b":2}]}', '{"b":[{"a":1},{"a":2}]}'
    quoted = (one.replace('"', '""') for one in (twice, once))
    shelf.bring(shelf.feed(), 'id,code\n2,"{}"\n3,"{}"\n'.format(*quoted))
    (change,) = changes_of(shelf.database, shelf.feed(code="{name: code, type: any}"))
    assert change.examples == ("09", "x8", twice)  # the others are in the history


def test_a_date_is_no_moment(shelf: Shelf) -> None:
    feed = shelf.feed(seen="{name: seen, type: datetime, csv_pipeline: {zone: Europe/Berlin}}")
    (change,) = changes_of(shelf.database, feed)
    assert (change.rows, change.unfit) == (2, 2)


def test_rows_of_the_history_are_converted_as_well(shelf: Shelf) -> None:
    shelf.bring(shelf.feed(), ROWS.replace("1.25", "9.75"))
    feed = shelf.feed(price="{name: price}")
    apply_changes(shelf.database, feed)
    assert shelf.rows("price", "_history") == [("1.25",)]
    assert shelf.rows("price")[0] == ("9.75",)


def test_an_import_can_be_undone_after_a_change(shelf: Shelf) -> None:
    changed = shelf.bring(shelf.feed(), ROWS.replace("1.25", "9.75"))
    feed = shelf.feed(price="{name: price}")
    apply_changes(shelf.database, feed)
    pipeline = shelf.open(feed)
    pipeline.undo(changed.import_id)
    pipeline.close()
    assert shelf.rows("price")[0] == ("1.25",)


def test_values_of_the_history_that_do_not_fit_are_refused_as_well(shelf: Shelf) -> None:
    changed = shelf.bring(shelf.feed(), ROWS.replace("x8", "8").replace("09", "9"))
    feed = shelf.feed(code="{name: code, type: integer}")
    (change,) = changes_of(shelf.database, feed)
    assert (change.rows, change.unfit, change.examples) == (5, 2, ("09", "x8"))
    with pytest.raises(SetupError, match="2 of 5 do not"):
        apply_changes(shelf.database, feed)
    apply_changes(shelf.database, feed, set_aside=True)
    pipeline = shelf.open(feed)
    pipeline.undo(changed.import_id)
    pipeline.close()
    assert shelf.rows("code, _extra")[1] == (None, {"code": "x8"})


def test_a_key_that_only_the_history_has_is_shown_and_put_away_with_it(shelf: Shelf) -> None:
    added = shelf.bring(shelf.feed(), "id\nx\n")
    pipeline = shelf.open(shelf.feed())
    pipeline.undo(added.import_id)
    pipeline.close()
    feed = shelf.feed(id="{name: id, type: integer}")
    with pytest.raises(SetupError, match=r"column id: .* 1 of 4 do not, such as 'x'.*--set-aside"):
        apply_changes(shelf.database, feed)
    found = apply_changes(shelf.database, feed, set_aside=True)
    assert "history" in {one.column for one in found}
    assert shelf.rows("id", "_history_before_1") == [("x",)]
    assert shelf.bring(feed, ROWS.replace("\n", "\r\n")).counts.unchanged == 3
    later = shelf.bring(feed, "id,code\n1,z\n")
    pipeline = shelf.open(feed)
    pipeline.undo(later.import_id)
    with pytest.raises(UndoError, match="because the feed was changed"):
        pipeline.undo(added.import_id + 1)
    pipeline.close()
    assert shelf.rows("code")[0] == ("7",)


def test_a_key_of_a_stored_row_that_does_not_fit_is_not_set_aside(shelf: Shelf) -> None:
    shelf.bring(shelf.feed(), "id\nx\n")
    with pytest.raises(SetupError, match=r"column id: .* 1 of 4 do not"):
        apply_changes(shelf.database, shelf.feed(id="{name: id, type: integer}"), set_aside=True)
    assert len(shelf.rows("id")) == 4


@pytest.mark.parametrize(
    ("key", "shown"),
    [("seen", ("no value of acme",)), ("price", ("2.00 of acme", "2.00 of acme"))],
    ids=["no value", "twice"],
)
def test_rows_that_a_new_key_does_not_fit_are_shown(
    key: str, shown: tuple[str, ...], shelf: Shelf
) -> None:
    shelf.bring(shelf.feed(), "id,price\n3,2.00\n")
    (change,) = (one for one in changes_of(shelf.database, shelf.feed(key=key)) if not one.column)
    assert (change.unfit, change.examples) == (len(shown), shown)
    with pytest.raises(SetupError, match=f"such as '{shown[0]}'"):
        apply_changes(shelf.database, shelf.feed(key=key))


def test_no_value_of_a_confidential_feed_is_shown(shelf: Shelf) -> None:
    feed = shelf.feed(code="{name: code, type: integer}")
    (change,) = changes_of(shelf.database, replace(feed, confidential=True))
    assert (change.unfit, change.examples) == (2, ())


def test_no_import_stores_a_value_between_the_look_and_the_conversion(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = shelf.feed(code="{name: code, type: integer}")
    hold, waited = changes._hold_to_fit, []  # noqa: SLF001

    def meanwhile(*given: Any, **how: Any) -> None:
        hold(*given, **how)
        late = f"SET LOCAL lock_timeout = '50ms'; UPDATE data.{shelf.name} SET code = 'late'"  # noqa: S608
        with pytest.raises(DatabaseUnavailableError), shelf.database.begin() as other:
            other.exec_driver_sql(late)
        waited.append(True)

    monkeypatch.setattr(changes, "_hold_to_fit", meanwhile)
    apply_changes(shelf.database, feed, set_aside=True)
    assert waited


def test_what_an_import_changed_under_another_key_cannot_be_undone_and_what_it_added_can(
    shelf: Shelf,
) -> None:
    changed = shelf.bring(shelf.feed(), ROWS.replace("x8", "y8"))
    added = shelf.bring(shelf.feed(), "id,code\n4,44\n")
    feed = shelf.feed(key="code")
    apply_changes(shelf.database, feed)
    assert shelf.rows("id, code", "_history_before_1") == [("2", "x8")]
    pipeline = shelf.open(feed)
    with pytest.raises(UndoError, match="because the feed was changed"):
        pipeline.undo(changed.import_id)
    pipeline.undo(added.import_id)
    later = shelf.bring(feed, "id,code\n20,y8\n")
    pipeline.undo(later.import_id)
    pipeline.close()
    assert shelf.rows("id, code") == [("1", "7"), ("2", "y8"), ("3", "09")]


@pytest.mark.parametrize("before", ["id", None], ids=["another key", "no key"])
def test_rows_of_a_new_key_need_nothing_of_the_key_before(before: str | None, shelf: Shelf) -> None:
    apply_changes(shelf.database, shelf.feed(key=before), fresh=True)
    shelf.bring(shelf.feed(key=before), "id,code\n4,44\n")
    feed = shelf.feed(key="code")
    apply_changes(shelf.database, feed)
    assert shelf.bring(feed, "id,code\n,55\n").counts.inserted == 1


def test_a_column_that_joins_the_key_may_have_been_empty_before(shelf: Shelf) -> None:
    shelf.bring(shelf.feed(), ROWS.replace("3,09,,", "3,09,,2025-03-04"))
    feed = shelf.feed(key="seen")
    apply_changes(shelf.database, feed)
    assert shelf.bring(feed, "id,code,seen\n3,10,2025-03-04\n").counts.updated == 1


def test_nothing_of_an_import_whose_rows_are_put_away_can_be_undone(shelf: Shelf) -> None:
    undone = shelf.bring(shelf.feed(), "id,code\n4,44\n")
    pipeline = shelf.open(shelf.feed())
    undo = pipeline.undo(undone.import_id)
    pipeline.close()
    feed = shelf.feed()
    apply_changes(shelf.database, feed, fresh=True)
    pipeline = shelf.open(feed)
    for import_id in (undone.import_id - 1, undo.import_id):
        with pytest.raises(UndoError, match="because the feed was changed"):
            pipeline.undo(import_id)
    pipeline.close()
    shelf.bring(feed, "id,code\n5,55\n")
    with shelf.database.begin() as connection:
        assert imports.rows_stored(connection, "acme", shelf.name) == 1


def test_what_is_derived_from_a_changed_feed_is_computed_anew(shelf: Shelf) -> None:
    def derives(feed: Feed) -> Feed:
        return replace(feed, derived=(_codes(shelf.name),))

    shelf.bring(derives(shelf.feed()), "id,code\n4,44\n")
    feed = derives(shelf.feed(code="{name: code, type: integer}"))
    apply_changes(shelf.database, feed, set_aside=True)
    shelf.bring(feed, "id,code\n5,55\n")
    codes = [("1", "7"), ("2", None), ("3", None), ("4", "44"), ("5", "55")]
    assert shelf.rows("id, code", "_codes") == codes
    apply_changes(shelf.database, feed, fresh=True)
    shelf.bring(feed, "id,code\n6,66\n")
    assert shelf.rows("id, code", "_codes") == [("6", "66")]


def _codes(feed: str) -> DerivedTable:
    return DerivedTable(
        name=f"{feed}_codes",
        description="The code of each row.",
        columns=tuple(DerivedColumn(name=n, type="text", description=n) for n in ("id", "code")),
        key=("id",),
        scope=("id",),
        touched={feed: "SELECT id FROM {touched} AS touched"},
        select=f"SELECT id, code::text AS code FROM {{{feed}}} AS its",  # noqa: S608
    )


def test_a_new_column_is_added_and_one_that_is_left_out_stays(shelf: Shelf) -> None:
    feed = shelf.feed(code="", more="{name: more, type: boolean}")
    found = {one.column: (one.before, one.after) for one in changes_of(shelf.database, feed)}
    assert found == {"more": ("", "boolean"), "code": ("text", "")}
    shelf.bring(feed, "id,more\n1,yes\n")
    assert shelf.rows("code, more")[0] == ("7", True)


def test_flags_of_a_feed_that_flags_no_more_are_shown_and_cleared(shelf: Shelf) -> None:
    flagging = replace(shelf.feed(), snapshot=Snapshot(missing=Missing.FLAG))
    shelf.bring(flagging, "id,code\n1,7\n2,x8\n")
    assert shelf.rows("id", " WHERE _missing_since IS NOT NULL") == [("3",)]
    (change,) = changes_of(shelf.database, shelf.feed())
    assert (change.column, change.rows) == ("_missing_since", 1)
    apply_changes(shelf.database, shelf.feed())
    assert shelf.rows("id", " WHERE _missing_since IS NOT NULL") == []
    assert changes_of(shelf.database, shelf.feed()) == []


def test_a_row_that_a_snapshot_flagged_is_no_work_and_counts_in_nothing_derived(
    shelf: Shelf,
) -> None:
    listed = Worklist(description="All.", where="true", columns=("id",))
    feed = replace(
        shelf.feed(),
        snapshot=Snapshot(missing=Missing.FLAG),
        worklist=listed,
        derived=(_codes(shelf.name),),
    )
    flags = shelf.bring(feed, "id,code\n1,7\n2,x8\n")
    pipeline = shelf.open(feed)
    written = pipeline.write_worklist("acme", shelf.name)
    assert (written.rows, shelf.rows("id", "_codes")) == (2, [("1",), ("2",)])
    pipeline.undo(flags.import_id)
    assert path_of(written.location).read_text().count("\n") == 4
    assert shelf.rows("id", "_codes") == [("1",), ("2",), ("3",)]
    pipeline.close()


def test_a_new_key_by_which_all_rows_differ_is_taken(shelf: Shelf) -> None:
    feed = shelf.feed(key="[id, code]")
    change, reading = changes_of(shelf.database, feed)
    assert (reading.column, reading.after, reading.unfit) == (
        "code",
        "identifier: in one spelling",
        0,
    )
    assert (change.column, change.before, change.after) == (None, "id", "id, code")
    assert change.unfit == 0
    apply_changes(shelf.database, feed)
    assert (
        shelf.bring(feed, "id,code,price,seen\n1,8,,\n1,7,1.25,2025-01-02\n").counts.inserted == 1
    )


@pytest.mark.parametrize("key", ["seen", None, "[id, other]"], ids=["null", "none", "new column"])
def test_a_key_that_rows_cannot_have_begins_with_empty_tables(
    key: str | None, shelf: Shelf
) -> None:
    feed = shelf.feed(key=key, other="{name: other}")
    with pytest.raises(SetupError, match="takes --fresh"):
        apply_changes(shelf.database, feed, set_aside=True)
    for number in (1, 2):
        apply_changes(shelf.database, feed, fresh=True)
        assert shelf.rows("id") == []
        assert len(shelf.rows("id", f"_before_{number}")) == (3 if number == 1 else 0)
    assert shelf.bring(feed, "id,seen,other\n1,2025-01-02,x\n").counts.inserted == 1


@pytest.mark.parametrize("key", ["code", "[id, other]", None], ids=["other", "new", "none"])
def test_a_feed_that_no_row_is_stored_of_is_edited_freely(
    key: str | None, pipeline: Pipeline, tmp_path: Path
) -> None:
    shelf = Shelf(pipeline, f"bare_{len(key or '')}", tmp_path)
    shelf.open(shelf.feed()).close()
    feed = shelf.feed(key=key, price="{name: price}", other="{name: other}", seen="")
    shelf.open(feed).close()
    assert changes_of(shelf.database, feed) == []
    assert shelf.bring(feed, "id,code,price,other\n1,a,x,y\n").counts.inserted == 1


def test_an_empty_table_that_a_view_of_somebody_reads_is_not_dropped(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    shelf = Shelf(pipeline, "bare_viewed", tmp_path)
    shelf.open(shelf.feed()).close()
    with shelf.database.begin() as connection:
        connection.exec_driver_sql(
            "CREATE VIEW public.theirs AS SELECT price FROM data.bare_viewed"
        )
    with pytest.raises(SetupError, match="feeds diff bare_viewed"):
        shelf.open(shelf.feed(price="{name: price}"))
    with shelf.database.begin() as connection:
        connection.exec_driver_sql("DROP VIEW public.theirs")


def test_a_key_of_a_new_column_is_given_to_a_table_that_only_its_history_has_rows_of(
    shelf: Shelf,
) -> None:
    shelf.bring(shelf.feed(), "id,code,price,seen\n1,8,,\n")
    with shelf.database.begin() as connection:
        connection.exec_driver_sql(f"DELETE FROM data.{shelf.name}")  # noqa: S608
    feed = shelf.feed(key="[id, other]", other="{name: other}")
    apply_changes(shelf.database, feed)
    assert shelf.bring(feed, "id,code,price,seen,other\n1,8,,,x\n").counts.inserted == 1


def test_the_commands_show_and_apply(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = shelf.feed(code="{name: code, type: integer}")
    monkeypatch.setattr(opening, "feed", lambda _: feed)
    monkeypatch.setattr(opening, "database", lambda: nullcontext(shelf.database))

    def call(*words: str) -> Any:
        return CliRunner().invoke(commands.app, ["feeds", *words])

    said = call("diff", shelf.name)
    assert (said.exit_code, "2: 09, x8" in said.stdout) == (0, True)
    assert "It refuses what does not fit" in said.stdout
    refused = call("apply", shelf.name)
    assert (refused.exit_code, "takes --set-aside or --fresh" in refused.stderr) == (2, True)
    done = call("apply", shelf.name, "--set-aside")
    assert (done.exit_code, "code: text → bigint" in done.stdout) == (0, True)
    assert "The stored rows are what feed" in call("diff", shelf.name).stdout
