"""The driver says what it does while it does it, and what became of every file."""

from dataclasses import replace

import pytest

from csv_pipeline.engine import events as kinds
from csv_pipeline.engine import run
from csv_pipeline.engine.workspace import Stage
from csv_pipeline.errors import LostClaimError
from csv_pipeline.files.landing import found_file
from csv_pipeline.location import location_of
from csv_pipeline.model import Claim, Outcome
from csv_pipeline.parts import Files
from csv_pipeline.storage import arrivals, claims
from csv_pipeline_tests.conftest import Desk

FILE = "ID,Name\n" + "".join(f"{n},Ann {n}\n" for n in range(30_000))


def claimed(desk: Desk, *contents: str) -> list[Claim]:
    with desk.pipeline.database.begin() as connection:
        for number, content in enumerate(contents):
            path = desk.folder / f"file-{number}.csv"
            path.write_text(content)
            arrivals.register(connection, [found_file(location_of(path), desk.account, "people")])
    return desk.pipeline.claim(desk.account, "people")


def test_each_step_begins_and_ends_once_and_the_import_is_settled(desk: Desk) -> None:
    events: list[kinds.Event] = []
    (report,) = run.run(desk.pipeline, claimed(desk, "ID,Name\n1,Ann\n"), events.append)
    begun = [event.stage for event in events if isinstance(event, kinds.StepStarted)]
    ended = [event.progress.stage for event in events if isinstance(event, kinds.StepDone)]
    assert begun == ended == list(Stage)
    assert isinstance(events[-1], kinds.ImportSettled)
    assert events[-1].report == report


def test_a_long_step_says_how_many_rows_are_done(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "_TELL_SECONDS", 0.002)
    events: list[kinds.Event] = []
    run.run(desk.pipeline, claimed(desk, FILE), events.append)
    done = [event for event in events if isinstance(event, kinds.RowsDone)]
    for stage in (Stage.READ, Stage.TRANSFORM, Stage.VALIDATE, Stage.LOAD):
        rows = [event.rows for event in done if event.stage is stage]
        assert rows == sorted(rows)
        assert max(rows, default=0) <= 30_000
    loaded = [event for event in done if event.stage is Stage.LOAD]
    assert loaded[-1].rows == 30_000
    assert loaded[-1].size_bytes > 30_000


def test_small_files_that_are_read_together_say_how_many_rows_are_done(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "_TELL_SECONDS", 0.002)
    events: list[kinds.Event] = []
    contents = [f"ID,Name\n{n}-1,Ann\n{n}-2,Bob\n" for n in range(20)]
    run.run(desk.pipeline, claimed(desk, *contents), events.append)
    done = [event for event in events if isinstance(event, kinds.RowsDone)]
    rows = [event.rows for event in done if event.stage is Stage.READ]
    assert rows == sorted(rows)
    assert 0 < max(rows) <= 40


def test_an_error_nobody_foresaw_is_told_once_and_is_the_outcome_of_its_file(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(files: Files, *_: object) -> None:
        raise ZeroDivisionError(files.names[0])

    events: list[kinds.Event] = []
    waiting = claimed(desk, "ID,Name\n1,Ann\n")
    monkeypatch.setattr("csv_pipeline.engine.group.transform", broken)
    reports = run.run(desk.pipeline, waiting, events.append)
    assert [report.outcome for report in reports] == [Outcome.FAILED]
    (broke,) = [event for event in events if isinstance(event, kinds.StepBroke)]
    assert (broke.stage, broke.recorded, str(broke.error)) == (Stage.TRANSFORM, True, "file-0.csv")


def test_a_lost_claim_drops_its_file(desk: Desk) -> None:
    events: list[kinds.Event] = []
    (claim,) = claimed(desk, "ID,Name\n1,Ann\n")
    desk.pipeline.leases.drop(claim)
    with desk.pipeline.database.begin() as connection:
        claims.release(connection, claim)
    with pytest.raises(LostClaimError):
        run.run(desk.pipeline, [claim], events.append)
    assert [type(event) for event in events if isinstance(event, kinds.ClaimLost)] == [
        kinds.ClaimLost
    ]
    assert desk.rows() == []


def test_a_consumer_of_the_pipeline_is_told_and_one_that_breaks_stops_nothing(desk: Desk) -> None:
    def broken(_: kinds.Event) -> None:
        raise ZeroDivisionError

    heard: list[kinds.Event] = []
    told = replace(desk.pipeline, consumers=(broken, heard.append))
    (report,) = run.run(told, claimed(desk, "ID,Name\n1,Ann\n"))
    assert report.outcome is Outcome.IMPORTED
    assert [event.report for event in heard if isinstance(event, kinds.ImportSettled)] == [report]
