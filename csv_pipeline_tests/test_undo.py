"""One import can be taken back, and what was changed since stays."""

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from csv_pipeline.defs.jobs import undo_import
from csv_pipeline.defs.metadata import undo_metadata
from csv_pipeline.engine.pipeline import open_pipeline
from csv_pipeline.engine.workspace import Stage
from csv_pipeline.errors import UndoError, UnknownImportError
from csv_pipeline.model import ImportReport, Outcome, Undo
from csv_pipeline.storage import imports, undo_records
from csv_pipeline.storage.lane_lock import lock_lane
from csv_pipeline_tests.conftest import Desk, advance, ingest, settled

HEADER = "Key,Value,Version\n"
FEED = "overwritten"


@pytest.fixture
def bring(desk: Desk) -> Callable[[str], ImportReport]:
    def bring(rows: str) -> ImportReport:
        report = desk.bring(HEADER + rows.replace(" ", "\n"), FEED)
        assert report.outcome is Outcome.IMPORTED
        return report

    return bring


def rows(desk: Desk) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in desk.rows(FEED, "*", "key")]


def values(desk: Desk) -> dict[str, str]:
    return {row.key: row.value for row in desk.rows(FEED, "key, value")}


def undo(desk: Desk, report: ImportReport, *, dry_run: bool = False) -> ImportReport:
    return desk.pipeline.undo(report.import_id, dry_run=dry_run)


def test_rows_it_made_go_and_rows_it_changed_are_as_before_to_the_last_column(
    desk: Desk, bring: Callable[[str], ImportReport]
) -> None:
    bring("a,old,1 b,old,1 c,same,1")
    before = rows(desk)
    second = bring("a,new,2 b,new,2 c,same,1 d,made,1")
    report = undo(desk, second)
    assert rows(desk) == before
    assert report.outcome is Outcome.UNDO
    assert report.undo is not None
    assert (report.undo.deleted, report.undo.restored, report.undo.kept) == (1, 2, {})
    assert (report.undo.reversed, report.undo.gone) == (3, 0)


def test_rows_changed_since_stay_and_are_reported_with_the_import_that_changed_them(
    desk: Desk, bring: Callable[[str], ImportReport]
) -> None:
    bring("a,first,1 b,first,1")
    second = bring("a,second,1 b,second,1 c,second,1 d,second,1")
    third = bring("b,third,1 c,third,1")
    report = undo(desk, second)
    assert report.undo is not None
    assert report.undo.kept == {third.import_id: 2}
    assert report.undo.reversed == 2
    assert values(desk) == {"a": "first", "b": "third", "c": "third"}


def test_an_undo_can_be_undone_and_that_again(
    desk: Desk, bring: Callable[[str], ImportReport]
) -> None:
    bring("a,old,1 b,old,1")
    before = rows(desk)
    second = bring("a,new,2 c,made,1")
    after = rows(desk)
    first_undo = undo(desk, second)
    redo = undo(desk, first_undo)
    assert rows(desk) == after
    assert redo.undo is not None
    assert (redo.undo.redone, redo.undo.inserted, redo.undo.restored) == (True, 1, 1)
    second_undo = undo(desk, redo)
    assert rows(desk) == before
    undo(desk, second_undo)
    assert rows(desk) == after
    undo(desk, second)
    assert rows(desk) == before


def test_an_undo_names_the_imports_that_also_brought_its_rows_and_what_brings_them_back(
    desk: Desk, bring: Callable[[str], ImportReport]
) -> None:
    first = bring("a,x,1 b,x,1")
    bring("c,x,1")
    later = bring("a,x,1 c,x,1")
    dry, done = undo(desk, first, dry_run=True), undo(desk, first)
    assert list(values(desk)) == ["c"]
    assert dry.warnings == done.warnings
    (warning,) = done.warnings
    assert warning.code == "rows.also_brought"
    assert f"too: {later.import_id} (2) found rows" in warning.message
    command = shlex.split(warning.message.partition("csv-pipeline import ")[2])
    assert command[1:] == ["--account", desk.account, "--feed", FEED, "--again"]
    assert Path(command[0]).read_text() == HEADER + "a,x,1\nc,x,1"
    assert "what to look at" in undo_metadata(done)


def test_an_undo_of_rows_that_no_later_import_met_warns_of_nothing(
    desk: Desk, bring: Callable[[str], ImportReport]
) -> None:
    first = bring("a,x,1")
    again = bring("a,x,1 b,x,1")
    assert undo(desk, again).warnings == ()
    taken = undo(desk, first)
    assert taken.warnings == ()  # the other one is undone
    assert undo(desk, taken).warnings == ()


def test_undone_from_the_last_to_the_first_nothing_is_left(
    desk: Desk, bring: Callable[[str], ImportReport]
) -> None:
    reports = [bring(f"a,v{n},{n} k{n},x,1") for n in range(4)]
    for report in reversed(reports):
        undo(desk, report)
    assert rows(desk) == []


def test_undone_from_the_first_to_the_last_nothing_is_left_either(
    desk: Desk, bring: Callable[[str], ImportReport]
) -> None:
    reports = [bring(f"a,v{n},{n} k{n},x,1") for n in range(4)]
    for report in reports:
        undo(desk, report)
    assert rows(desk) == []


def test_bringing_back_leaves_rows_alone_that_came_meanwhile(
    desk: Desk, bring: Callable[[str], ImportReport]
) -> None:
    bring("a,old,1 b,old,1")
    second = bring("a,new,1 b,new,1 c,made,1 d,made,1")
    taken = undo(desk, second)
    later = bring("a,later,1 c,later,1")
    report = undo(desk, taken)
    assert report.undo is not None
    assert report.undo.kept == {later.import_id: 2}
    assert values(desk) == {"a": "later", "b": "new", "c": "later", "d": "made"}


def test_the_same_file_can_be_imported_again_after_an_undo(
    desk: Desk, bring: Callable[[str], ImportReport]
) -> None:
    first = bring("a,x,1 b,x,1")
    undo(desk, first)
    assert desk.pipeline.claim(desk.account, FEED) == []  # it does not come back by itself
    claims = desk.pipeline.claim(desk.account, FEED, arrival_ids=[first.arrival_id])
    report = ingest(desk.pipeline, claims[0])
    assert (report.outcome, report.counts.inserted) == (Outcome.IMPORTED, 2)
    assert report.import_id != first.import_id
    again = desk.bring(HEADER + "a,x,1\nb,x,1", FEED)
    assert again.same_as == report.import_id


def test_content_that_came_again_meanwhile_is_not_brought_back_twice(
    desk: Desk, bring: Callable[[str], ImportReport]
) -> None:
    first = bring("a,x,1")
    taken = undo(desk, first)
    second = bring("a,x,1")
    with pytest.raises(UndoError, match=f"import {second.import_id} has by now"):
        undo(desk, taken)


def test_an_undo_counts_rows_deleted_by_hand_as_gone(
    desk: Desk, bring: Callable[[str], ImportReport]
) -> None:
    first = bring("a,x,1 b,x,1")
    with desk.pipeline.database.begin() as connection:
        connection.execute(
            sa.text(f"DELETE FROM data.{FEED} WHERE key = 'a' AND account = :account"),  # noqa: S608
            {"account": desk.account},
        )
    report = undo(desk, first)
    assert report.undo is not None
    assert (report.undo.deleted, report.undo.gone) == (1, 1)


def test_a_dry_run_of_an_undo_changes_nothing(
    desk: Desk, bring: Callable[[str], ImportReport]
) -> None:
    first = bring("a,x,1")
    report = undo(desk, first, dry_run=True)
    assert (report.import_id, report.outcome) == (0, Outcome.DRY_RUN)
    assert report.undo == Undo(import_id=first.import_id, deleted=1)
    assert "import" not in undo_metadata(report)
    assert values(desk) == {"a": "x"}
    undo(desk, first)
    assert values(desk) == {}


def test_rows_corrected_by_an_undone_replay_are_rejects_again(desk: Desk, tmp_path: Path) -> None:
    first = desk.bring(HEADER + "a,one,x\nb,two,2\n", FEED)
    out = tmp_path / f"import-{first.import_id}.csv"
    desk.pipeline.write_rejects(first.import_id, out)
    corrected = desk.bring(out.read_text("utf-8-sig").replace(",x,", ",7,"), FEED)
    assert corrected.repairs == first.import_id
    assert desk.rejects(first)[0].repaired_by_import_id == corrected.import_id
    taken = undo(desk, corrected)
    assert desk.rejects(first)[0].repaired_by_import_id is None
    undo(desk, taken)
    assert desk.rejects(first)[0].repaired_by_import_id == corrected.import_id


def test_undoing_leaves_the_other_accounts_alone(
    desk: Desk, bring: Callable[[str], ImportReport]
) -> None:
    other = Desk(desk.pipeline, f"{desk.account}-other", desk.folder)
    other.bring(HEADER + "a,theirs,1", FEED)
    before = rows(other)
    bring("a,mine,1")
    undo(desk, bring("a,mine too,1 b,mine,1"))
    assert rows(other) == before


def test_what_cannot_be_undone_is_said(desk: Desk, bring: Callable[[str], ImportReport]) -> None:
    with pytest.raises(UnknownImportError):
        desk.pipeline.undo(10**9)
    bring("a,x,1")
    duplicate = desk.bring(HEADER + "a,x,1", FEED)
    with pytest.raises(UndoError, match="it was duplicate"):
        undo(desk, duplicate)
    second = bring("a,y,1")
    taken = undo(desk, second)
    with pytest.raises(UndoError, match=f"import {taken.import_id} undid it"):
        undo(desk, second)


def test_history_older_than_the_setting_is_dropped_and_undoing_says_so(
    desk: Desk, bring: Callable[[str], ImportReport]
) -> None:
    bring("a,old,1")
    second, third = bring("a,new,1"), bring("b,made,1")
    make_older(desk, second, third)
    keeping = desk.pipeline.settings.model_copy(update={"history_days": 7})
    open_pipeline(keeping, desk.pipeline.feeds.values()).close()
    assert desk.rows(f"{FEED}_history") == []
    with pytest.raises(UndoError, match="history_days"):
        undo(desk, second)
    undo(desk, third)  # it changed no row, so that it needs no history
    assert values(desk) == {"a": "new"}


def test_history_that_an_undo_of_a_later_import_needs_is_not_dropped_with_an_undone_one(
    desk: Desk, bring: Callable[[str], ImportReport]
) -> None:
    one, two, three = (bring(f"a,v{n},{n}") for n in (1, 2, 3))
    taken = undo(desk, two)
    make_older(desk, one, two)
    undo_records.prune_history(desk.pipeline.database, [desk.pipeline.feed(FEED)], days=7)
    assert undo(desk, three).undo == Undo(import_id=three.import_id, restored=1)
    assert values(desk) == {"a": "v1"}
    undo(desk, taken)
    assert values(desk) == {"a": "v2"}


def test_an_import_whose_rows_lie_in_dropped_history_is_counted_as_kept(
    desk: Desk, bring: Callable[[str], ImportReport]
) -> None:
    one, two, three = (bring(f"a,v{n},{n}") for n in (1, 2, 3))
    make_older(desk, one, two)
    undo_records.prune_history(desk.pipeline.database, [desk.pipeline.feed(FEED)], days=7)
    taken = undo(desk, one)
    kept = {three.import_id: 1}
    assert taken.undo == Undo(import_id=one.import_id, kept=kept)
    assert undo(desk, taken).undo == Undo(import_id=one.import_id, redone=True, kept=kept)


def make_older(desk: Desk, *reports: ImportReport) -> None:
    with desk.pipeline.database.begin() as connection:
        connection.execute(
            sa.text(
                "UPDATE csv_pipeline.import SET finished_at = now() - interval '8 days' "
                "WHERE import_id = ANY(:ids)"
            ),
            {"ids": [report.import_id for report in reports]},
        )


def test_history_that_somebody_may_be_reading_is_dropped_another_time(
    desk: Desk, bring: Callable[[str], ImportReport]
) -> None:
    bring("a,old,1")
    second = bring("a,new,1")
    make_older(desk, second)
    database, feeds = desk.pipeline.database, [desk.pipeline.feed(FEED)]
    with database.begin() as undoing:
        lock_lane(undoing, second)
        undo_records.prune_history(database, feeds, days=7)
    assert len(desk.rows(f"{FEED}_history")) == 1
    undo_records.prune_history(database, feeds, days=7)
    assert desk.rows(f"{FEED}_history") == []


def test_the_ledger_shows_undo_and_undone(desk: Desk, bring: Callable[[str], ImportReport]) -> None:
    first = bring("a,x,1")
    taken = undo(desk, first)
    with desk.pipeline.database.begin() as connection:
        found = imports.newest(connection, account=desk.account)
    (newest, _), (oldest, _) = found
    assert (newest.import_id, newest.outcome) == (taken.import_id, Outcome.UNDO)
    assert (oldest.import_id, oldest.undone_by) == (first.import_id, taken.import_id)


def test_the_dagster_job_undoes_an_import(desk: Desk, bring: Callable[[str], ImportReport]) -> None:
    first = bring("a,x,1")
    result = undo_import.execute_in_process(
        run_config={"ops": {"undo": {"config": {"import_id": first.import_id}}}},
        resources={"engine": OpenEngine(desk)},
    )
    assert result.success
    assert values(desk) == {}
    failed = undo_import.execute_in_process(
        run_config={"ops": {"undo": {"config": {"import_id": first.import_id}}}},
        resources={"engine": OpenEngine(desk)},
        raise_on_error=False,
    )
    (failure,) = failed.get_step_failure_events()
    error = failure.step_failure_data.error
    assert error is not None
    assert "undid it; to have it back, undo that one" in error.message
    assert (error.cause, error.context) == (None, None)  # the message says it all


class OpenEngine:
    """The pipeline of the tests in the place of Dagster's."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def pipeline(self) -> Any:
        return self._desk.pipeline


def test_an_import_is_undone_once_however_it_is_named(
    desk: Desk, bring: Callable[[str], ImportReport]
) -> None:
    first = bring("a,x,1")
    redo = undo(desk, undo(desk, first))
    undo(desk, first)
    with pytest.raises(UndoError, match=f"by now import {first.import_id} is undone"):
        undo(desk, redo)
    assert values(desk) == {}


def test_an_undo_between_the_load_and_the_report_of_a_run_is_not_forgotten(desk: Desk) -> None:
    import_ = desk.claimed("ID\n1\n")
    advance(import_, Stage.LOAD)
    taken = undo(desk, settled(import_))
    advance(import_, Stage.REPORT)
    with desk.pipeline.database.begin() as connection:
        report = imports.report_of(connection, import_.claim.import_id)
    assert report.undone_by == taken.import_id
    assert "load" in report.stage_seconds


def test_a_dry_run_of_an_undone_file_leaves_it_undone(
    desk: Desk, bring: Callable[[str], ImportReport]
) -> None:
    first = bring("a,x,1")
    undo(desk, first)
    named: dict[str, Any] = {"arrival_ids": [first.arrival_id], "dry_run": True}
    (claim,) = desk.pipeline.claim(desk.account, FEED, **named)
    assert ingest(desk.pipeline, claim).outcome is Outcome.DRY_RUN
    desk.pipeline.claim(desk.account, FEED, **named)  # and this worker dies
    with desk.pipeline.database.begin() as connection:
        connection.execute(
            sa.text(
                "UPDATE csv_pipeline.arrival SET lease_expires_at = now() - interval '1 hour' "
                "WHERE arrival_id = :id"
            ),
            {"id": first.arrival_id},
        )
    assert desk.pipeline.claim(desk.account, FEED) == []
    (claim,) = desk.pipeline.claim(desk.account, FEED, arrival_ids=[first.arrival_id])
    assert ingest(desk.pipeline, claim).outcome is Outcome.IMPORTED
