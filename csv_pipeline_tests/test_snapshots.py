"""A file that brings every row of a scope, and the stored rows that are not in it."""

import csv
import io
import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from csv_pipeline.cli import commands, opening
from csv_pipeline.cli.importing import import_file
from csv_pipeline.defs.assembly import assemble
from csv_pipeline.defs.resource import Engine
from csv_pipeline.engine.import_requests import ACCOUNTS, JOB
from csv_pipeline.engine.pipeline import open_pipeline
from csv_pipeline.errors import SetupError, UndoError
from csv_pipeline.files.local import path_of
from csv_pipeline.location import location_of
from csv_pipeline.model import ImportReport, Outcome
from csv_pipeline.rejects.faults import MASK
from csv_pipeline.scope import Missing, ScopeCounts
from csv_pipeline.spec.conflict import LaterWins
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.snapshot import Snapshot
from csv_pipeline.storage.undo_records import prune_history
from csv_pipeline_tests.conftest import Desk, ingest, own_settings
from csv_pipeline_tests.feeds import Version
from csv_pipeline_tests.snapshot_feeds import SNAPSHOT_FEEDS
from csv_pipeline_tests.test_order import Lane

HEADER = "SKU,Warehouse,Units\n"
FLAGGED, DELETED = "stock_flagged", "stock_deleted"
BOTH = pytest.mark.parametrize("feed", [FLAGGED, DELETED])


def bring(desk: Desk, feed: str, rows: str, **how: Any) -> ImportReport:
    """Import a stock list of these rows, separated by blanks."""
    return desk.bring(HEADER + rows.replace(" ", "\n") + "\n" * bool(rows), feed, **how)


def stored(desk: Desk, feed: str) -> dict[str, int]:
    """Return the units of the rows that are stored and not flagged."""
    flag = "_missing_since" if "flagged" in feed or "kept" in feed else "NULL"
    rows = desk.rows(feed, f"sku, units, {flag} AS flag")
    return {row.sku: row.units for row in rows if row.flag is None}


def scope_of(report: ImportReport) -> ScopeCounts:
    assert report.scope is not None
    return report.scope


def codes(report: ImportReport) -> list[str]:
    return [warning.code for warning in report.warnings]


def execute(desk: Desk, statement: str) -> None:
    with desk.pipeline.database.begin() as connection:
        connection.execute(sa.text(statement), {"account": desk.account})


def lines(count: int, first: int = 0) -> str:
    return " ".join(f"s{number},N,1" for number in range(first, first + count))


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        ({"scope": ("month",)}, "a column of the contract was needed; found 'month'"),
        ({"scope": ("value",)}, "'value' may be null and has none"),
        ({"scope": ("key", "key")}, "each column of the scope once"),
        ({"max_missing_rows": -1}, "found -1 and 0.2"),
        ({"max_missing_share": 20}, "max_missing_share from 0 to 1 were needed; found None and 20"),
    ],
)
def test_a_wrong_snapshot_is_refused_when_it_is_declared(wrong: dict[str, Any], found: str) -> None:
    with pytest.raises(SetupError, match=found):
        Feed(
            name="versions",
            description="Versions.",
            contract=Version,
            key=("key",),
            snapshot=Snapshot(**wrong),
        )


@pytest.mark.parametrize(
    ("missing", "scope"), [(Missing.DELETE, ()), (Missing.FLAG, ("key",)), (Missing.KEEP, ())]
)
def test_a_snapshot_that_marks_rows_goes_by_arrival_only(
    missing: Missing, scope: tuple[str, ...]
) -> None:
    feed = partial(
        Feed,
        name="x",
        description="",
        contract=Version,
        key=("key",),
        conflict=LaterWins("version"),
    )
    snapshot = Snapshot(missing=missing, scope=scope)
    if missing is Missing.KEEP:
        assert feed(snapshot=snapshot).snapshot == snapshot
    else:
        with pytest.raises(SetupError, match="a scope that has 'version' was needed"):
            feed(snapshot=snapshot)


def test_rows_that_the_file_lacks_stay_unless_the_feed_says_otherwise(desk: Desk) -> None:
    bring(desk, "stock_listed", "a,N,1 b,N,1")
    report = bring(desk, "stock_listed", "a,N,2")
    assert stored(desk, "stock_listed") == {"a": 2, "b": 1}
    assert (report.counts.missing, scope_of(report).absent) == (0, 1)
    assert report.warnings == ()


def test_they_are_flagged_with_the_time_of_the_import_until_they_come_again(desk: Desk) -> None:
    first = bring(desk, FLAGGED, "a,N,1 b,N,1")
    second = bring(desk, FLAGGED, "a,N,1")
    flag = "SELECT finished_at - _missing_since FROM data.stock_flagged JOIN csv_pipeline.import "
    flag += "USING (account) WHERE account = :account AND import_id = _import_id AND sku = 'b'"
    with desk.pipeline.database.begin() as connection:
        passed = connection.scalar(sa.text(flag), {"account": desk.account})
    assert 0 <= passed.total_seconds() < 60
    (row,) = desk.rows(FLAGGED, "*", "sku")[1:]
    lineage = (row._import_id, row._created_import_id, row._row_number)
    assert lineage == (second.import_id, first.import_id, 0)
    assert (second.counts.unchanged, second.counts.missing) == (1, 1)
    third = bring(desk, FLAGGED, "b,N,1 a,N,1")
    assert (third.counts.updated, third.counts.unchanged, third.counts.missing) == (1, 1, 0)
    assert stored(desk, FLAGGED) == {"a": 1, "b": 1}


def test_a_flag_keeps_the_time_of_the_first_snapshot_that_lacked_the_row(desk: Desk) -> None:
    bring(desk, FLAGGED, "a,N,1 b,N,1")
    bring(desk, FLAGGED, "a,N,1")
    flagged = desk.rows(FLAGGED, order="sku")
    report = bring(desk, FLAGGED, "a,N,1 c,N,1")
    assert report.counts.missing == 0
    assert desk.rows(FLAGGED, order="sku")[:2] == flagged


def test_they_are_deleted_and_stay_in_the_history(desk: Desk) -> None:
    first = bring(desk, DELETED, "a,N,1 b,N,7")
    second = bring(desk, DELETED, "a,N,1")
    assert stored(desk, DELETED) == {"a": 1}
    query = "sku, units, _import_id, _replaced_by_import_id AS by, _deleted"
    assert [tuple(row) for row in desk.rows("stock_deleted_history", query, "_import_id")] == [
        ("b", 7, first.import_id, second.import_id, None),
        ("b", 7, second.import_id, 0, True),
    ]


@BOTH
def test_the_rows_of_the_scope_add_up(desk: Desk, feed: str) -> None:
    bring(desk, feed, "a,N,1 b,N,1 c,N,1")
    report = bring(desk, feed, "a,N,2 d,N,1 e,N,1")
    scope = scope_of(report)
    assert (scope.before, scope.entered, scope.left, scope.missing, scope.after) == (3, 2, 0, 2, 3)
    assert scope.balance
    assert report.counts.balance


@pytest.mark.parametrize("feed", ["warehouse_flagged", "warehouse_deleted"])
def test_only_rows_with_values_that_the_file_has_can_be_missing(desk: Desk, feed: str) -> None:
    bring(desk, feed, "a,N,1 b,N,1 c,S,1 d,W,1")
    report = bring(desk, feed, "a,N,1 d,W,2")
    assert stored(desk, feed) == {"a": 1, "c": 1, "d": 2}
    assert (scope_of(report).before, report.counts.missing) == (3, 1)


@pytest.mark.parametrize("feed", ["warehouse_flagged", "warehouse_deleted"])
def test_a_row_that_goes_over_to_another_scope_is_not_missing(desk: Desk, feed: str) -> None:
    bring(desk, feed, "a,N,1 b,N,1 c,S,1")
    report = bring(desk, feed, "a,S,1 c,S,1")
    assert stored(desk, feed) == {"a": 1, "b": 1, "c": 1}
    scope = scope_of(report)
    assert (scope.before, scope.entered, scope.left, scope.after) == (1, 1, 0, 2)
    back = scope_of(bring(desk, feed, "b,N,1 a,S,1 c,N,1"))
    assert (back.before, back.entered, back.left, back.after) == (3, 0, 0, 3)


def test_a_deleted_row_that_comes_again_in_another_scope_is_inserted(desk: Desk) -> None:
    bring(desk, "warehouse_deleted", "a,N,1 b,N,1 c,S,1")
    bring(desk, "warehouse_deleted", "a,N,1")
    scope = scope_of(bring(desk, "warehouse_deleted", "b,S,1 c,S,2"))
    assert (scope.before, scope.entered, scope.after) == (1, 1, 2)


def test_the_day_in_the_name_of_a_file_can_be_its_scope(desk: Desk) -> None:
    for day, rows in (("2026-03-01", "a,1\nb,1\n"), ("2026-03-02", "a,2\nb,2\n")):
        desk.bring(f"SKU,Price\n{rows}", "days_deleted", name=f"day_{day}.csv")
    report = desk.bring("SKU,Price\na,3\nx,\n", "days_deleted", name="day_2026-3-01.csv")
    assert report.counts.missing == 1
    assert [(row.sku, int(row.price)) for row in desk.rows("days_deleted", order="day, sku")] == [
        ("a", 3),
        ("a", 2),
        ("b", 2),
    ]


@BOTH
def test_rows_of_another_account_are_never_missing(desk: Desk, feed: str) -> None:
    other = Desk(desk.pipeline, f"{desk.account}-2", desk.folder)
    bring(other, feed, "a,N,1 b,N,1")
    before = other.rows(feed, order="sku")
    bring(desk, feed, "a,N,1 b,N,1")
    assert bring(desk, feed, "b,N,1").counts.missing == 1
    assert other.rows(feed, order="sku") == before


@BOTH
def test_a_rejected_row_whose_key_is_read_is_not_missing(desk: Desk, feed: str) -> None:
    bring(desk, feed, "a,N,1 b,N,1 c,N,1")
    report = bring(desk, feed, "a,N,1 b,N,-5")
    assert (report.counts.rejected, report.counts.missing) == (1, 1)
    assert stored(desk, feed) == {"a": 1, "b": 1}


@BOTH
@pytest.mark.parametrize("bad", [",N,1", "4.51E+12,N,1", "b,N", "b,N,1,2,3"])
def test_nothing_is_missing_if_the_key_of_a_rejected_row_cannot_be_read(
    desk: Desk, feed: str, bad: str
) -> None:
    bring(desk, feed, "a,N,1 b,N,1 c,N,1")
    before = desk.rows(feed, order="sku")
    report = bring(desk, feed, f"a,N,1 {bad}")
    assert (report.outcome, report.counts.rejected, report.counts.missing) == (
        Outcome.IMPORTED,
        1,
        0,
    )
    (warning,) = (w for w in report.warnings if w.code == "snapshot.not_marked")
    assert warning.message == (
        "2 of 3 stored rows of the snapshot's scope are not known to be in the file; none of them "
        "is marked as missing, because the key of 1 rejected row cannot be read"
    )
    assert desk.rows(feed, order="sku") == before


def test_a_rejected_row_alone_says_nothing_of_its_scope(desk: Desk) -> None:
    bring(desk, "warehouse_deleted", "a,N,1 b,S,1 c,S,1")
    report = bring(desk, "warehouse_deleted", "a,N,1 b,S,-5")
    assert report.counts.missing == 0
    assert stored(desk, "warehouse_deleted") == {"a": 1, "b": 1, "c": 1}


def test_a_key_that_is_made_of_cells_is_not_read_in_a_rejected_row(desk: Desk) -> None:
    header = "Maker,Number,Size\n"
    desk.bring(f"{header}A,1,1\nA,2,1\nB,1,1\n", "articles_deleted")
    report = desk.bring(f"{header}A,1,1\nA,x,1\n", "articles_deleted")
    assert (report.counts.missing, codes(report)) == (0, ["snapshot.not_marked"])
    report = desk.bring(f"{header}A,1,1\nA,2,1\n", "articles_deleted")
    assert report.counts.missing == 1


@BOTH
def test_a_superseded_row_is_in_the_file(desk: Desk, feed: str) -> None:
    bring(desk, feed, "a,N,1 b,N,1")
    report = bring(desk, feed, "b,N,2 a,N,1 b,N,3")
    assert (report.counts.superseded, report.counts.missing) == (1, 0)


def test_a_row_that_the_policy_keeps_is_in_the_file_and_comes_again(desk: Desk) -> None:
    bring(desk, "stock_kept", "a,N,1 b,N,1")
    assert bring(desk, "stock_kept", "a,N,9").counts.missing == 1
    report = bring(desk, "stock_kept", "a,N,9 b,N,9")
    assert (report.counts.kept, report.counts.updated) == (1, 1)
    assert stored(desk, "stock_kept") == {"a": 1, "b": 1}
    assert bring(desk, "stock_kept", "a,N,9 b,N,9 c,N,1").counts.kept == 2


@BOTH
def test_columns_that_the_feed_does_not_know_make_no_row_another(desk: Desk, feed: str) -> None:
    bring(desk, feed, "a,N,1 b,N,1")
    report = desk.bring("SKU,Warehouse,Units,Shelf\na,N,1,x\n", feed)
    assert (report.counts.updated, report.counts.missing) == (1, 1)
    report = bring(desk, feed, "a,N,1 b,N,1")
    assert stored(desk, feed) == {"a": 1, "b": 1}


@BOTH
def test_the_same_file_again_is_a_duplicate_only_if_it_lacks_nothing(desk: Desk, feed: str) -> None:
    first = bring(desk, feed, "a,N,1")
    again = bring(desk, feed, "a,N,1")
    assert (again.outcome, again.same_as) == (Outcome.DUPLICATE, first.import_id)
    bring(desk, feed, "a,N,1 b,N,1")
    third = bring(desk, feed, "a,N,1")
    assert (third.outcome, third.counts.missing) == (Outcome.IMPORTED, 1)


@BOTH
def test_files_that_wait_together_go_one_by_one(desk: Desk, feed: str) -> None:
    lane = Lane(desk, feed)
    for number, rows in enumerate(("a,N,1 b,N,1", "b,N,1 c,N,1", "c,N,2")):
        path = lane.drop(f"{number}.csv", "x,N,1")
        path.write_text(HEADER + rows.replace(" ", "\n") + "\n")
    lane.pipeline.scan(seconds=20)
    reports = lane.import_all()
    assert [report.counts.missing for report in reports[-3:]] == [0, 1, 1]
    assert stored(desk, feed) == {"c": 2}


def test_rows_without_a_key_are_missing_by_what_they_hold(desk: Desk) -> None:
    feed = "stock_keyless"
    bring(desk, feed, "a,N,1 a,N,1 a,N,1 b,N,1")
    report = bring(desk, feed, "a,N,1 b,N,1 a,N,1")
    assert (report.counts.unchanged, report.counts.missing) == (3, 1)
    report = bring(desk, feed, "a,N,1 b,N,-1")
    assert (report.counts.missing, codes(report)) == (0, ["snapshot.not_marked"])
    assert len(desk.rows(feed)) == 3
    report = bring(desk, feed, "b,N,1")
    assert [line["_outcome"] for line in results(desk, report)] == ["unchanged", *2 * ["missing"]]
    desk.pipeline.undo(report.import_id)
    assert len(desk.rows(feed)) == 3


# Limits


@pytest.mark.parametrize(
    ("file", "lacks"),
    [
        (lines(50), "allows a snapshot to lack at most 30 rows stored in its scope"),
        (lines(75), "at most 20% of the rows stored in its scope"),
        ("", "at most 30 rows"),
    ],
)
def test_a_file_that_lacks_too_many_rows_is_refused(desk: Desk, file: str, lacks: str) -> None:
    bring(desk, "stock_bounded", lines(100))
    before = desk.rows("stock_bounded", order="sku")
    report = bring(desk, "stock_bounded", file)
    absent = 100 - len(file.split())
    assert (report.outcome, report.problem_code) == (Outcome.REFUSED, "too_many_missing")
    assert lacks in str(report.problem)
    assert f"it lacks {absent} of 100 rows ({absent}.0%)" in str(report.problem)
    assert f"--max-missing {absent} (in a run's config max_missing: {absent})" in str(
        report.problem
    )
    assert desk.rows("stock_bounded", order="sku") == before


def test_a_file_at_the_limit_is_imported(desk: Desk) -> None:
    bring(desk, "stock_bounded", lines(100))
    assert bring(desk, "stock_bounded", lines(80)).counts.missing == 20


def test_of_few_rows_less_than_half_are_never_too_many_and_half_are(desk: Desk) -> None:
    bring(desk, "stock_bounded", lines(10))
    assert bring(desk, "stock_bounded", lines(6)).counts.missing == 4
    before = desk.rows("stock_bounded", order="sku")
    for file in (lines(3), lines(1), "z,N,1", ""):
        report = bring(desk, "stock_bounded", file)
        assert (report.outcome, report.problem_code) == (Outcome.REFUSED, "too_many_missing")
    assert desk.rows("stock_bounded", order="sku") == before
    assert bring(desk, "stock_bounded", lines(4)).counts.missing == 2


def test_an_empty_file_empties_the_table_of_a_feed_without_limits(desk: Desk) -> None:
    bring(desk, DELETED, "a,N,1 b,N,1")
    assert bring(desk, DELETED, "").counts.missing == 2
    assert desk.rows(DELETED) == []


def test_an_empty_file_has_no_scope_where_columns_say_it(desk: Desk) -> None:
    bring(desk, "warehouse_deleted", "a,N,1 b,N,1")
    assert bring(desk, "warehouse_deleted", "").counts.missing == 0


def test_a_person_allows_as_many_rows_for_one_import_as_the_message_says(desk: Desk) -> None:
    bring(desk, "stock_bounded", lines(100))
    refused = bring(desk, "stock_bounded", lines(40))
    path = location_of(desk.folder / refused.name)
    for allowed, outcome in ((59, Outcome.REFUSED), (60, Outcome.IMPORTED)):
        found = import_file(
            desk.pipeline, path, desk.account, "stock_bounded", dry_run=False, max_missing=allowed
        )
        assert found.report.outcome is outcome
    assert "at most 59 rows, as this import was told" in str(_first_problem(desk, refused))
    assert len(desk.rows("stock_bounded", order="sku")) == 40
    assert bring(desk, "stock_bounded", lines(1)).outcome is Outcome.REFUSED


def _first_problem(desk: Desk, refused: ImportReport) -> object:
    query = sa.text(
        "SELECT problem FROM csv_pipeline.import WHERE account = :account AND name = :name "
        "AND problem LIKE '%as this import was told%'"
    )
    with desk.pipeline.database.begin() as connection:
        facts = {"account": desk.account, "name": refused.name}
        return connection.scalar(query, facts)


def test_a_dry_run_tells_how_many_and_the_first_keys_without_protected_values(desk: Desk) -> None:
    rows = [f"Ann {n:02},19{n + 10}-01-02\n" for n in range(20)]
    desk.bring("Name,Born\n" + "".join(rows), "people_bounded")
    before = desk.rows("people_bounded", order="born_on")
    report = desk.bring("Name,Born\n" + "".join(rows[2:]), "people_bounded", dry_run=True)
    assert report.outcome is Outcome.DRY_RUN
    assert report.counts.missing == 2
    assert scope_of(report).first_absent == (f"{MASK} + 1910-01-02", f"{MASK} + 1911-01-02")
    assert desk.rows("people_bounded", order="born_on") == before


def test_a_stored_report_has_no_keys(desk: Desk) -> None:
    bring(desk, DELETED, "a,N,1 b,N,1")
    assert scope_of(bring(desk, DELETED, "a,N,1")).first_absent == ()


def results(desk: Desk, report: ImportReport) -> list[Mapping[str, str]]:
    path = path_of(desk.pipeline.settings.results_file(desk.account, report.feed, report.import_id))
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"))))


@BOTH
def test_the_result_file_lists_the_rows_that_are_missing(desk: Desk, feed: str) -> None:
    bring(desk, feed, "a,N,1 =b,N,1 c,N,1")
    report = bring(desk, feed, "c,N,1 d,N,x")
    told = [(line["_row_number"], line["_outcome"], line["sku"]) for line in results(desk, report)]
    assert told == [
        ("2", "unchanged", "c"),
        ("3", "rejected", "d"),
        ("", "missing", "'=b"),
        ("", "missing", "a"),
    ]


def test_protected_keys_of_missing_rows_are_masked_in_the_result_file(desk: Desk) -> None:
    stay = "Bob,2001-02-04\nCid,2001-02-05\n"
    desk.bring(f"Name,Born\nAnn,2001-02-03\n{stay}", "people_bounded")
    report = desk.bring(f"Name,Born\n{stay}", "people_bounded")
    assert results(desk, report)[2] == {
        "_row_number": "",
        "_line_number": "",
        "_outcome": "missing",
        "name": MASK,
        "born_on": "2001-02-03",
        "_errors": "",
    }


# Undo


@BOTH
def test_an_undo_brings_rows_back_to_the_last_value(desk: Desk, feed: str) -> None:
    bring(desk, feed, "a,N,1 b,N,1")
    bring(desk, feed, "a,N,1 b,S,2")
    before = desk.rows(feed, order="sku")
    report = bring(desk, feed, "a,N,3")
    undo = desk.pipeline.undo(report.import_id)
    assert desk.rows(feed, order="sku") == before
    redo = desk.pipeline.undo(undo.import_id)
    assert stored(desk, feed) == {"a": 3}
    desk.pipeline.undo(redo.import_id)
    assert desk.rows(feed, order="sku") == before


@BOTH
def test_a_row_that_came_again_since_stays_and_is_reported(desk: Desk, feed: str) -> None:
    bring(desk, feed, "a,N,1 b,N,1 c,N,1")
    second = bring(desk, feed, "a,N,1")
    third = bring(desk, feed, "a,N,1 b,N,5")
    undo = desk.pipeline.undo(second.import_id).undo
    assert undo is not None
    assert (undo.restored, undo.kept, undo.gone) == (1, {third.import_id: 1}, 0)
    assert stored(desk, feed) == {"a": 1, "b": 5, "c": 1}
    desk.pipeline.undo(third.import_id)
    assert stored(desk, feed) == {"a": 1, "b": 1, "c": 1}


def test_deleted_rows_cannot_come_back_once_their_history_is_dropped(desk: Desk) -> None:
    bring(desk, DELETED, "a,N,1 b,N,1")
    second = bring(desk, DELETED, "a,N,1")
    execute(
        desk,
        "UPDATE csv_pipeline.import SET finished_at = now() - interval '9 days' "
        "WHERE account = :account",
    )
    prune_history(desk.pipeline.database, [desk.pipeline.feed(DELETED)], 5)
    assert desk.rows(f"{DELETED}_history") == []
    with pytest.raises(UndoError, match="history of what it changed"):
        desk.pipeline.undo(second.import_id)
    third = bring(desk, DELETED, "a,N,1 b,N,2")
    desk.pipeline.undo(third.import_id)
    assert stored(desk, DELETED) == {"a": 1}


def test_an_import_that_deleted_rows_is_not_undone_for_a_feed_without_snapshots(desk: Desk) -> None:
    bring(desk, DELETED, "a,N,1 b,N,1")
    second = bring(desk, DELETED, "a,N,1")
    plain = replace(desk.pipeline.feed(DELETED), snapshot=None)
    pipeline = replace(desk.pipeline, feeds={DELETED: plain})
    with pytest.raises(UndoError, match="a feed of snapshots was needed"):
        pipeline.undo(second.import_id)


def test_a_row_stored_while_the_feed_was_no_snapshot_is_kept_by_an_undo() -> None:
    deletes = next(feed for feed in SNAPSHOT_FEEDS if feed.name == DELETED)
    with own_settings(settle_seconds=0) as settings:
        imports = []
        with ExitStack() as opened:
            for feed, rows in (
                (deletes, "a,N,1 b,N,2"),
                (deletes, "a,N,1"),
                (replace(deletes, snapshot=None), "a,N,1 b,N,7"),
                (replace(deletes, snapshot=None), "a,N,1 b,N,8"),
            ):
                desk = Desk(open_pipeline(settings, [feed]), "acme", settings.home)
                opened.callback(desk.pipeline.close)
                imports.append(bring(desk, DELETED, rows).import_id)
            desk = Desk(open_pipeline(settings, [deletes]), "acme", settings.home)
            opened.callback(desk.pipeline.close)
            _, deletion, stored_anew, changed = imports
            undone = desk.pipeline.undo(deletion).undo
            assert undone is not None
            assert (undone.reversed, undone.kept) == (0, {changed: 1})
            assert desk.rows(DELETED, "sku, units") == [("a", 1), ("b", 8)]
            desk.pipeline.undo(changed)
            assert desk.rows(DELETED, "sku, units") == [("a", 1), ("b", 7)]
            desk.pipeline.undo(stored_anew)
            assert desk.rows(DELETED, "sku, units") == [("a", 1), ("b", 2)]


@BOTH
def test_a_rule_of_the_table_that_is_against_it_refuses_the_file(desk: Desk, feed: str) -> None:
    bring(desk, feed, "a,N,1 held,N,1")
    event = "DELETE" if feed == DELETED else "UPDATE"
    execute(
        desk,
        f"CREATE FUNCTION data.hold_{feed}() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'row % is held', OLD.sku; END $$",
    )
    execute(
        desk,
        f"CREATE TRIGGER hold BEFORE {event} ON data.{feed} FOR EACH ROW "
        f"WHEN (OLD.sku = 'held') EXECUTE FUNCTION data.hold_{feed}()",
    )
    try:
        report = bring(desk, feed, "a,N,2")
    finally:
        execute(desk, f"DROP FUNCTION data.hold_{feed}() CASCADE")
    assert (report.outcome, report.problem_code) == (Outcome.REFUSED, "missing_refused")
    assert "held" not in str(report.problem)
    assert stored(desk, feed) == {"a": 1, "held": 1}


# Corrected rows

VERSIONS = ["versions_flagged", "versions_deleted"]


def correct(desk: Desk, first: ImportReport, **cells: str) -> ImportReport:
    path = desk.folder / f"import-{first.import_id}.csv"
    desk.pipeline.write_rejects(first.import_id, path)
    text = path.read_text("utf-8-sig")
    for old, new in cells.items():
        text = text.replace(f",{old},", f",{new},")
    return desk.bring(text, first.feed)


def versions(desk: Desk, feed: str, rows: str) -> ImportReport:
    return desk.bring("Key,Value,Version\n" + rows.replace(" ", "\n") + "\n", feed)


def values(desk: Desk, feed: str) -> dict[str, str]:
    flag = "AND _missing_since IS NULL" if "flagged" in feed else ""
    query = f"SELECT key, value FROM data.{feed} WHERE account = :account {flag}"  # noqa: S608
    with desk.pipeline.database.begin() as connection:
        rows = connection.execute(sa.text(query), {"account": desk.account})
        return {row.key: row.value for row in rows}


@pytest.mark.parametrize("feed", VERSIONS)
def test_corrected_rows_are_no_snapshot(desk: Desk, feed: str) -> None:
    versions(desk, feed, "a,x,1 b,x,1")
    first = versions(desk, feed, "a,x,1 b,bad,?")
    report = correct(desk, first, **{"?": "2"})
    assert (report.counts.updated, report.counts.missing, report.scope) == (1, 0, None)
    assert values(desk, feed) == {"a": "x", "b": "bad"}


@pytest.mark.parametrize("feed", VERSIONS)
def test_a_row_whose_key_is_corrected_comes_again(desk: Desk, feed: str) -> None:
    versions(desk, feed, "a,x,1 b,x,1")
    first = versions(desk, feed, "a,x,1 wrong,y,?")
    assert values(desk, feed) == {"a": "x"}
    report = correct(desk, first, wrong="b", **{"?": "2"})
    assert report.repairs == first.import_id
    assert values(desk, feed) == {"a": "x", "b": "y"}
    desk.pipeline.undo(report.import_id)
    assert values(desk, feed) == {"a": "x"}
    desk.pipeline.undo(first.import_id)
    assert values(desk, feed) == {"a": "x", "b": "x"}


@pytest.mark.parametrize("feed", VERSIONS)
def test_a_corrected_row_that_a_later_snapshot_lacks_is_not_stored(desk: Desk, feed: str) -> None:
    first = versions(desk, feed, "a,x,1 b,y,?")
    versions(desk, feed, "a,x,1 c,x,1")
    report = correct(desk, first, **{"?": "2"})
    assert (report.counts.kept, report.counts.inserted) == (1, 0)
    assert codes(report) == ["snapshot.overtaken"]
    assert values(desk, feed) == {"a": "x", "c": "x"}
    assert [reject.repaired_by_import_id for reject in desk.rejects(first)] == [report.import_id]


@pytest.mark.parametrize("feed", VERSIONS)
def test_an_older_snapshot_that_comes_late_does_not_mark_corrected_rows(
    desk: Desk, feed: str
) -> None:
    lane = Lane(desk, feed)
    lane.bring("1.csv", "a,x,1")
    late = lane.fail("2.csv", "a,x,1")
    first = lane.bring("3.csv", "a,x,1 b,y,?")
    correct(desk, first, **{"?": "2"})
    (claim,) = lane.claim(late)
    assert ingest(lane.pipeline, claim).counts.missing == 0
    assert values(desk, feed) == {"a": "x", "b": "y"}


# Files that come late


@pytest.mark.parametrize("feed", VERSIONS)
def test_an_older_file_marks_no_row_of_a_newer_one_and_brings_none_back(
    desk: Desk, feed: str
) -> None:
    lane = Lane(desk, feed)
    lane.bring("1.csv", "a,x,1 gone,x,1")
    late = lane.fail("2.csv", "a,old,1 gone,old,1 only,old,1")
    lane.bring("3.csv", "a,new,1 b,new,1")
    (claim,) = lane.claim(late)
    report = ingest(lane.pipeline, claim)
    assert values(desk, feed) == {"a": "new", "b": "new"}
    assert (report.counts.missing, report.counts.inserted, report.counts.updated) == (0, 0, 0)
    assert report.counts.kept == 3
    assert set(codes(report)) == {"snapshot.not_marked", "snapshot.overtaken"}


def test_an_older_file_of_another_scope_brings_its_rows_and_marks_none(desk: Desk) -> None:
    feed = "warehouse_deleted"
    lane = Lane(desk, feed)
    bring(desk, feed, "a,N,1 b,N,1 c,S,1")
    path = lane.drop("late.csv", "")
    path.write_text(f"{HEADER}a,N,2\nd,N,1\n")
    lane.pipeline.scan(seconds=20)
    late = lane.claim()[-1]
    newer = bring(desk, feed, "c,S,2")
    assert newer.counts.missing == 0
    report = ingest(lane.pipeline, late)
    assert (report.counts.inserted, report.counts.updated, report.counts.missing) == (1, 1, 0)
    assert codes(report) == ["snapshot.not_marked"]
    assert stored(desk, feed) == {"a": 2, "b": 1, "c": 2, "d": 1}


def test_a_later_snapshot_that_is_undone_keeps_no_row_out(desk: Desk) -> None:
    lane = Lane(desk, "versions_deleted")
    lane.bring("1.csv", "a,x,1")
    late = lane.fail("2.csv", "a,x,1 only,old,1")
    desk.pipeline.undo(lane.bring("3.csv", "a,new,1").import_id)
    (claim,) = lane.claim(late)
    ingest(lane.pipeline, claim)
    assert values(desk, "versions_deleted") == {"a": "x", "only": "old"}


def test_a_later_snapshot_that_marked_nothing_keeps_no_row_out(desk: Desk) -> None:
    lane = Lane(desk, "versions_deleted")
    lane.bring("1.csv", "a,x,1")
    late = lane.fail("2.csv", "a,x,1 only,old,1")
    lane.bring("3.csv", "a,new,1 ,broken,1")
    (claim,) = lane.claim(late)
    assert ingest(lane.pipeline, claim).counts.inserted == 1


# Many rows


@BOTH
def test_rows_of_a_large_file_are_missing_and_come_again(desk: Desk, feed: str) -> None:
    """Such a file's unchanged rows are known by their hash, and never sent."""
    bring(desk, feed, lines(6_000))
    report = bring(desk, feed, lines(5_990, first=5))
    assert (report.counts.unchanged, report.counts.missing) == (5_990, 10)
    report = bring(desk, feed, lines(6_000))
    assert (report.counts.updated + report.counts.inserted, report.counts.missing) == (10, 0)
    assert len(stored(desk, feed)) == 6_000


def test_the_policies_of_the_docs_are_those_there_are() -> None:
    assert [policy.value for policy in Missing] == ["keep", "flag", "delete"]


# How it is shown


def test_the_command_shows_the_scope_and_takes_what_a_person_allows(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "pipeline", lambda: desk.pipeline)
    bring(desk, "stock_bounded", lines(100))
    path = desk.folder / "half.csv"
    path.write_text(HEADER + lines(50).replace(" ", "\n") + "\n")

    def call(*options: str) -> tuple[int, str]:
        words = ("import", str(path), "-a", desk.account, "-f", "stock_bounded", *options)
        result = CliRunner().invoke(commands.app, words)
        return result.exit_code, " ".join(result.output.split())

    assert call()[0] == 1
    code, shown = call("--max-missing", "50", "--dry-run")
    assert code == 0
    assert "Rows stored of the account before 100 - missing, deleted 50 = after 50" in shown
    assert "Not in the file: s50, s51, s52, s53, s54, s55, s56, s57, s58, s59, …" in shown
    assert call("--max-missing", "50")[0] == 0
    told = CliRunner().invoke(commands.app, ["imports", "-a", desk.account, "--json"])
    newest = json.loads(told.output)[0]
    assert newest["counts"]["missing"] == 50
    assert (newest["scope"]["before"], newest["scope"]["after"]) == (100, 50)
    table = CliRunner().invoke(commands.app, ["imports", "-a", desk.account])
    assert "50 missing" in " ".join(table.output.split())


def test_a_run_takes_what_a_person_allows_and_shows_the_scope(desk: Desk) -> None:
    feed = desk.pipeline.feed("stock_bounded")
    bring(desk, feed.name, lines(100))
    path = desk.pipeline.settings.landing_folder / desk.account / feed.name / "half.csv"
    path.parent.mkdir(parents=True)
    path.write_text(HEADER + lines(50).replace(" ", "\n") + "\n")
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(ACCOUNTS, [desk.account])
        job = assemble([feed], Engine(lambda: desk.pipeline)).resolve_job_def(JOB)

        def run(**config: Any) -> dg.ExecuteInProcessResult:
            return job.execute_in_process(
                instance=instance,
                partition_key=desk.account,
                run_config={"ops": {feed.name: {"config": config}}},
                raise_on_error=False,
            )

        assert not run(max_missing=50).success
        run(files=["half.csv"])
        assert len(desk.rows(feed.name)) == 100
        done = run(files=["half.csv"], max_missing=50)
    facts: Any = done.asset_materializations_for_node(f"{feed.name}.report")[0].metadata
    assert facts["missing"].value == 50
    (line,) = (record.data for record in facts["snapshots"].records)
    assert (line["before"], line["missing"], line["after"]) == (100, 50, 50)
    assert facts["dagster/partition_row_count"].value == 50
