"""Stored files are imported once more where they arrived: an old one overwrites nothing newer."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.engine.reprocess import Choice, choose, reprocess
from csv_pipeline.model import ImportReport, Outcome
from csv_pipeline.spec.catalog import Catalog
from csv_pipeline.spec.contract import Contract, Money, column
from csv_pipeline.spec.feed import Feed
from csv_pipeline.storage.stored_files import Which
from csv_pipeline_tests.conftest import Desk, ingest
from csv_pipeline_tests.feeds import Person

HEADER = "Key,Value,Version\n"


class Shouted(Contract):
    """A value with a version, in capitals."""

    key: str = column("Key")
    value: str = column("Value", nullable=True, normalise=["upper"])
    version: int = column("Version", nullable=True)


class Place:
    """A test's own account, whose feed may change."""

    def __init__(self, desk: Desk, feed: str) -> None:
        self.desk, self.feed = desk, feed

    def bring(self, *rows: str) -> ImportReport:
        report = self.desk.bring(HEADER + "\n".join(rows) + "\n", self.feed)
        assert report.outcome is Outcome.IMPORTED
        return report

    def choose(self, *, changed: bool = False, **which: Any) -> Choice:
        mine = Which(accounts=[self.desk.account], **which)
        return choose(self.desk.pipeline, mine, changed=changed)

    def reprocess(self, *, changed: bool = False) -> list[ImportReport]:
        done = list(reprocess(self.desk.pipeline, self.choose(changed=changed).files))
        assert not [fault for one in done for fault in one.faults]
        return [report for one in done for report in one.reports]

    def reprocess_only(self, report: ImportReport) -> ImportReport:
        files = [one for one in self.choose().files if one.file.arrival_id == report.arrival_id]
        ((again,),) = (one.reports for one in reprocess(self.desk.pipeline, files))
        return again

    def change_feed(self) -> None:
        """Let the feed declare that values are in capitals."""
        feed = replace(self.desk.pipeline.feed(self.feed), contract=Shouted)
        feeds = {**self.desk.pipeline.feeds, self.feed: feed}
        self.desk.pipeline = replace(self.desk.pipeline, feeds=feeds)

    def values(self) -> dict[str, str]:
        return {row.key: row.value for row in self.desk.rows(self.feed, "key, value")}

    def undo(self, report: ImportReport) -> None:
        self.desk.pipeline.undo(report.import_id)


@pytest.fixture(params=["overwritten", "versions", "later", "kept", "without_conflict"])
def place(request: pytest.FixtureRequest, desk: Desk) -> Place:
    """A place of each conflict policy that is not of single values."""
    return Place(desk, request.param)


@pytest.fixture
def by_arrival(desk: Desk) -> Place:
    return Place(desk, "overwritten")


def changes(report: ImportReport) -> tuple[int, int, int]:
    return report.counts.inserted, report.counts.updated, report.counts.rejected


def bring_three(place: Place) -> dict[str, str]:
    rows = ["a,x1,1", "b,x1,1"], ["a,x2,2", "c,x2,2"], ["d,x3,3"]
    differs = {"a,x2,2"} if place.feed == "without_conflict" else set()  # which rejects it
    for one in rows:
        place.bring(*(row for row in one if row not in differs))
    return place.values()


def test_nothing_changes_where_nothing_has_changed(place: Place) -> None:
    before = bring_three(place)
    reports = place.reprocess()
    assert len(reports) == 3
    assert {changes(report) for report in reports} == {(0, 0, 0)}
    assert place.values() == before
    assert {changes(report) for report in place.reprocess()} == {(0, 0, 0)}


def test_an_old_file_alone_overwrites_nothing_newer(place: Place) -> None:
    first = place.bring("a,x1,1", "b,x1,1")
    if place.feed != "without_conflict":
        place.bring("a,x2,2")
    before = place.values()
    assert changes(place.reprocess_only(first)) == (0, 0, 0)
    assert place.values() == before


def test_a_changed_contract_makes_of_each_row_what_it_now_says(place: Place) -> None:
    before = bring_three(place)
    place.change_feed()
    reports = place.reprocess()
    assert {report.outcome for report in reports} == {Outcome.IMPORTED}
    assert place.values() == {key: value.upper() for key, value in before.items()}
    assert {changes(report) for report in place.reprocess()} == {(0, 0, 0)}


def test_each_of_them_can_be_undone(place: Place) -> None:
    before = bring_three(place)
    place.change_feed()
    reports = place.reprocess()
    for report in reversed(reports):
        place.undo(report)
    assert place.values() == before


def test_an_old_file_that_is_read_anew_changes_what_is_left_of_it_alone(by_arrival: Place) -> None:
    first = by_arrival.bring("a,x1,1", "b,x1,1")
    second = by_arrival.bring("a,x2,2")
    by_arrival.change_feed()
    again = by_arrival.reprocess_only(first)
    assert by_arrival.values() == {"a": "x2", "b": "X1"}
    assert (again.counts.updated, again.counts.kept) == (1, 1)
    by_arrival.undo(second)
    assert by_arrival.values() == {"a": "x1", "b": "X1"}
    by_arrival.undo(again)
    assert by_arrival.values() == {"a": "x1", "b": "x1"}


def test_an_undone_file_stays_undone(by_arrival: Place) -> None:
    by_arrival.bring("a,x1,1")
    by_arrival.undo(by_arrival.bring("a,x2,2"))
    (report,) = by_arrival.reprocess()
    assert changes(report) == (0, 0, 0)
    assert by_arrival.values() == {"a": "x1"}


def test_a_file_whose_second_import_was_undone_is_as_old_as_its_rows(by_arrival: Place) -> None:
    first = by_arrival.bring("a,x1,1")
    by_arrival.bring("a,x2,2")
    pipeline, account = by_arrival.desk.pipeline, by_arrival.desk.account
    claims = pipeline.claim(account, "overwritten", arrival_ids=[first.arrival_id], again=True)
    by_arrival.undo(ingest(pipeline, claims[0]))
    assert changes(by_arrival.reprocess_only(first)) == (0, 0, 0)
    assert by_arrival.values() == {"a": "x2"}


def test_a_persons_correction_stays_though_the_feed_now_takes_the_row(desk: Desk) -> None:
    first = desk.bring("ID,Name,Amount\n1,Ann,-1\n2,Bob,2\n")
    path = desk.folder / "corrected.csv"
    desk.pipeline.write_rejects(first.import_id, path)
    corrected = path.read_text("utf-8-sig").replace("-1", "7").replace("'7", "7")
    assert desk.bring(corrected).counts.inserted == 1
    person = desk.pipeline.feed("people")
    taking = replace(person, contract=_taking_all())
    desk.pipeline = replace(desk.pipeline, feeds={**desk.pipeline.feeds, "people": taking})
    place = Place(desk, "people")
    (again,) = place.reprocess()
    assert (again.counts.kept, again.counts.unchanged, again.counts.rejected) == (1, 1, 0)
    assert [str(row.amount) for row in desk.rows(columns="amount, person_id", order="2")] == [
        "7.00",
        "2.00",
    ]


def _taking_all() -> type[Contract]:
    class Anybody(Person):
        """A person with any amount."""

        amount: Money = column("Amount", nullable=True)

    return Anybody


def test_only_what_a_changed_contract_affects_is_chosen(by_arrival: Place) -> None:
    by_arrival.bring("a,x1,1")
    assert by_arrival.choose(changed=True).files == ()
    by_arrival.change_feed()
    by_arrival.bring("b,x2,1")
    (old,) = by_arrival.choose(changed=True).files
    assert old.why == "the feed has changed"
    assert len(by_arrival.reprocess(changed=True)) == 1
    assert by_arrival.reprocess(changed=True) == []


def test_a_file_is_affected_by_what_its_account_has_declared_since(by_arrival: Place) -> None:
    by_arrival.bring("a,x1,1")
    by_arrival.desk.declare(feed="people", null_words=("none",))
    assert by_arrival.choose(changed=True).files == ()
    by_arrival.desk.declare(null_words=("x1",))
    (old,) = by_arrival.choose(changed=True).files
    assert old.why == "the account's settings have changed"


def test_a_file_of_an_earlier_release_is_chosen_as_nothing_is_known(by_arrival: Place) -> None:
    report = by_arrival.bring("a,x1,1")
    forgotten = (
        "UPDATE csv_pipeline.import SET report = report - 'feed_version' WHERE import_id = :id"
    )
    with by_arrival.desk.pipeline.database.begin() as connection:
        connection.execute(sa.text(forgotten), {"id": report.import_id})
    (old,) = by_arrival.choose(changed=True).files
    assert old.why == "its feed's version is not known"


def test_files_are_chosen_by_when_they_arrived(by_arrival: Place) -> None:
    by_arrival.bring("a,x1,1")
    now = datetime.now(UTC)
    day = timedelta(days=1)
    assert len(by_arrival.choose(since=now - day, until=now + day).files) == 1
    assert by_arrival.choose(since=now + day).files == ()
    assert by_arrival.choose(until=now - day).files == ()


def test_a_file_that_is_gone_is_told_and_the_others_go_on(by_arrival: Place) -> None:
    by_arrival.bring("a,x1,1")
    by_arrival.bring("b,x2,1")
    gone, other = by_arrival.choose().files
    Path(gone.file.location).unlink()
    found = by_arrival.choose().files
    assert "is gone" in str(found[0].fault)
    done = list(reprocess(by_arrival.desk.pipeline, found))
    assert [fault for one in done for fault in one.faults] == [found[0].fault]
    assert [r.arrival_id for one in done for r in one.reports] == [other.file.arrival_id]
    assert by_arrival.values() == {"a": "x1", "b": "x2"}


def test_names_that_nothing_has_are_told_and_the_others_go_on(by_arrival: Place) -> None:
    by_arrival.bring("a,x1,1")
    names = [by_arrival.desk.account, "nobody"]
    choice = choose(by_arrival.desk.pipeline, Which(accounts=names, feeds=["overwritten", "no"]))
    assert [text.split(":")[0] for text in choice.unknown] == ["account 'nobody'", "feed 'no'"]
    assert len(choice.files) == 1


def test_the_version_of_a_feed_is_that_of_what_makes_rows(pipeline: Pipeline) -> None:
    feed: Feed = pipeline.feed("overwritten")
    assert replace(feed, description="in other words", group="other").version == feed.version
    assert replace(feed, catalog=Catalog(owners=("team:other",))).version == feed.version
    assert replace(feed, contract=Shouted).version != feed.version
    assert replace(feed, nulls=frozenset({"-"})).version != feed.version
    assert replace(feed, conflict=pipeline.feed("kept").conflict).version != feed.version
