"""What arrived last has the last word, whenever it is imported."""

import os
import random
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from csv_pipeline.engine import run
from csv_pipeline.engine.workspace import Stage
from csv_pipeline.files.landing import found_file
from csv_pipeline.location import location_of
from csv_pipeline.model import Claim, ImportReport, Outcome
from csv_pipeline.storage import arrivals, claims
from csv_pipeline.storage.records import Record, record_imports
from csv_pipeline_tests.conftest import Desk, ingest

HEADER = "Key,Value,Version\n"
FEED = "overwritten"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp()


class Lane:
    """The landing area of a test's account, for one feed."""

    def __init__(self, desk: Desk, feed: str = FEED) -> None:
        self.desk, self.feed, self.pipeline = desk, feed, desk.pipeline
        self.folder = self.pipeline.settings.landing_folder / desk.account / feed

    def drop(self, name: str, rows: str, at: float = NOON) -> Path:
        """Put a file there, and let it be seen."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(HEADER + rows.replace(" ", "\n") + "\n")
        os.utime(path, (at, at))
        self.pipeline.scan(seconds=20)
        return path

    def claim(self, *arrival_ids: int, again: bool = False) -> list[Claim]:
        return self.pipeline.claim(
            self.desk.account, self.feed, arrival_ids=arrival_ids or None, again=again
        )

    def import_all(self) -> list[ImportReport]:
        return [ingest(self.pipeline, claim) for claim in self.claim()]

    def fail(self, name: str, rows: str) -> int:
        """Let a file arrive whose import fails, and return its arrival."""
        self.drop(name, rows)
        (claim,) = self.claim_waiting()
        with self.pipeline.database.begin() as connection:
            failed = ImportReport.of(claim, Outcome.FAILED)
            record_imports(connection, [Record(report=failed, claim=claim)])
        return claim.arrival_id

    def bring(self, name: str, rows: str) -> ImportReport:
        self.drop(name, rows)
        claims = [claim for claim in self.claim_waiting() if claim.name == name]
        return ingest(self.pipeline, claims[0])

    def claim_waiting(self) -> list[Claim]:
        with self.pipeline.database.begin() as connection:
            (lane,) = (
                lane
                for lane in arrivals.backlog(connection)
                if (lane.account, lane.feed) == (self.desk.account, self.feed)
            )
        return self.claim(*lane.arrival_ids)

    def values(self) -> dict[str, str]:
        return {row.key: row.value for row in self.desk.rows(self.feed, "key, value")}


@pytest.fixture
def lane(desk: Desk) -> Lane:
    """The lane of the test's own account."""
    return Lane(desk)


def test_files_that_wait_go_by_time_then_natural_name_then_arrival(lane: Lane) -> None:
    names = ("b_10.csv", "b_9.csv", "B_011.csv", "sub/b_9.csv")
    for name in names:
        lane.drop(name, "a,x,1")
    lane.drop("a_newer.csv", "a,x,1", NOON + 1)
    lane.drop("z_older.csv", "a,x,1", NOON - 1)
    wanted = ["z_older.csv", "b_9.csv", "b_9.csv", "b_10.csv", "B_011.csv", "a_newer.csv"]
    with lane.pipeline.database.begin() as connection:
        (waiting,) = (
            found for found in arrivals.backlog(connection) if found.account == lane.desk.account
        )
        rows = arrivals.find(connection, arrival_ids=waiting.arrival_ids)
    by_id = {row.arrival_id: row.name for row in rows}
    assert [by_id[number] for number in waiting.arrival_ids] == wanted
    claims = lane.claim()
    assert [claim.name for claim in claims] == wanted
    assert [claim.import_id for claim in claims] == sorted(claim.import_id for claim in claims)
    assert claims[1].location < claims[2].location  # the one that arrived first


@pytest.mark.parametrize(
    "names",
    [
        ["x_9.csv", "x_10.csv"],
        ["x_2026-3-2.csv", "x_2026-03-10.csv"],
        ["9", "10", "a"],
        ["x_1_20.csv", "x_2_3.csv"],
        [f"x_{'9' * 19}.csv", f"x_1{'0' * 19}.csv"],
        ["Ä 2.csv", "ä 12.csv"],
    ],
)
def test_numbers_in_names_are_numbers(lane: Lane, names: list[str]) -> None:
    for name in reversed(names):
        lane.drop(name, "a,x,1")
    assert [claim.name for claim in lane.claim()] == names


def test_a_file_that_failed_and_is_tried_again_does_not_replace_what_came_after(lane: Lane) -> None:
    lane.bring("sunday.csv", "a,10,1 b,10,1 c,10,1")
    lane.fail("monday.csv", "a,11,1 b,11,1 d,11,1")
    lane.bring("tuesday.csv", "a,12,1")
    (monday,) = lane.import_all()
    assert (monday.counts.inserted, monday.counts.updated, monday.counts.kept) == (1, 1, 1)
    assert lane.values() == {"a": "12", "b": "11", "c": "10", "d": "11"}


def test_a_row_that_a_later_file_found_unchanged_is_its_row(lane: Lane) -> None:
    lane.bring("sunday.csv", "a,10,1 b,10,1")
    lane.fail("monday.csv", "a,11,1 b,11,1")
    tuesday = lane.bring("tuesday.csv", "a,10,1 c,1,1")
    assert tuesday.counts.unchanged == 1
    (monday,) = lane.import_all()
    assert (monday.counts.kept, monday.counts.updated) == (1, 1)
    assert lane.values() == {"a": "10", "b": "11", "c": "1"}
    assert confirmed(lane) == 0  # nobody waits for them any more


def test_a_row_found_unchanged_by_an_import_that_was_undone_is_nobodys(lane: Lane) -> None:
    lane.bring("sunday.csv", "a,10,1")
    lane.fail("monday.csv", "a,11,1")
    tuesday = lane.bring("tuesday.csv", "a,10,1 c,1,1")
    lane.pipeline.undo(tuesday.import_id)
    (monday,) = lane.import_all()
    assert (monday.counts.updated, lane.values()) == (1, {"a": "11"})


def test_many_rows_found_unchanged_are_noted_too(lane: Lane) -> None:
    rows = " ".join(f"k{n},10,1" for n in range(6_000))  # known by their hashes otherwise
    lane.bring("sunday.csv", rows)
    lane.fail("monday.csv", "k7,11,1")
    tuesday = lane.bring("tuesday.csv", rows + " other,1,1")
    assert tuesday.counts.unchanged == 6_000
    (monday,) = lane.import_all()
    assert (monday.counts.kept, monday.counts.updated) == (1, 0)


def test_small_files_that_go_together_note_rows_they_found_unchanged(lane: Lane) -> None:
    lane.bring("sunday.csv", "a,10,1 b,10,1")
    lane.fail("monday.csv", "a,11,1 b,11,1")
    lane.drop("tuesday.csv", "a,10,1")
    lane.drop("wednesday.csv", "b,10,1")
    together(lane, lane.claim_waiting())
    (monday,) = lane.import_all()
    assert (monday.counts.kept, lane.values()) == (2, {"a": "10", "b": "10"})


def test_small_files_that_go_together_are_behind_later_ones_too(lane: Lane) -> None:
    monday = lane.fail("monday_1.csv", "a,11,1"), lane.fail("monday_2.csv", "b,11,1")
    lane.bring("tuesday.csv", "a,12,1 b,12,1")
    reports = together(lane, lane.claim(*monday))
    assert [report.counts.kept for report in reports] == [1, 1]
    assert lane.values() == {"a": "12", "b": "12"}


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 20))]
)
def test_rows_end_as_if_every_file_had_been_imported_when_it_arrived(lane: Lane, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311  # the same sequence every time
    brought: dict[int, dict[str, str]] = {}
    failed: list[int] = []
    for number in range(14):
        rows = {key: chance.choice("xy") for key in chance.sample("abcdef", chance.randint(1, 4))}
        text = " ".join(f"{key},{value},1" for key, value in rows.items())
        arrival = lane.fail(f"{number}.csv", f"{text} own{number},1,1")
        brought[arrival] = rows | {f"own{number}": "1"}
        failed.append(arrival)
        while failed and chance.random() < 0.4:
            arrivals = chance.sample(failed, chance.randint(1, len(failed)))
            bring = together if chance.random() < 0.5 else one_by_one
            bring(lane, lane.claim(*arrivals))
            failed = [one for one in failed if one not in arrivals]
    if failed:
        one_by_one(lane, lane.claim(*failed))
    assert lane.values() == {
        k: v for arrival in sorted(brought) for k, v in brought[arrival].items()
    }
    assert confirmed(lane) == 0


def test_policies_that_look_at_values_do_not_ask_what_came_first(desk: Desk) -> None:
    lane = Lane(desk, "greatest")
    lane.bring("sunday.csv", "a,10,1")
    lane.fail("monday.csv", "a,30,1")
    lane.bring("tuesday.csv", "a,20,1")
    lane.import_all()
    assert lane.values() == {"a": "30"}


def test_a_refused_file_that_is_let_in_later_keeps_its_place_and_warns(lane: Lane) -> None:
    lane.bring("sunday.csv", "a,10,1 b,10,1")
    lane.drop("monday.csv", "a,11,1 b,11,1")
    (claim,) = lane.claim()
    with lane.pipeline.database.begin() as connection:
        refused = ImportReport(
            import_id=claim.import_id,
            arrival_id=claim.arrival_id,
            account=claim.account,
            feed=claim.feed,
            name=claim.name,
            outcome=Outcome.REFUSED,
        )
        record_imports(connection, [Record(claim=claim, report=refused)])
    lane.bring("tuesday.csv", "a,12,1 b,10,1")
    (claim,) = lane.claim(claim.arrival_id)
    monday = ingest(lane.pipeline, claim)
    assert (monday.counts.kept, monday.counts.updated) == (1, 1)
    assert [(warning.code, warning.count) for warning in monday.warnings] == [
        ("rows.order_not_known", 1)
    ]
    assert lane.values()["a"] == "12"


def test_files_of_an_archive_arrived_with_it_in_natural_order(lane: Lane) -> None:
    lane.folder.mkdir(parents=True)
    with zipfile.ZipFile(lane.folder / "monday.zip", "w") as archive:
        for number in (10, 9):
            archive.writestr(f"part_{number}.csv", f"{HEADER}a,part {number},1\nb,{number},1\n")
    os.utime(lane.folder / "monday.zip", (NOON, NOON))
    lane.pipeline.scan(seconds=20)
    (claim,) = lane.claim()
    tuesday = lane.bring("tuesday.csv", "b,tuesday,1")
    assert ingest(lane.pipeline, claim).outcome is Outcome.UNPACKED
    nine, ten = lane.import_all()
    assert (nine.name, ten.name) == ("part_9.csv", "part_10.csv")
    assert claim.import_id < tuesday.import_id
    assert lane.values() == {"a": "part 10", "b": "tuesday"}


def test_a_file_that_a_person_names_arrives_now(lane: Lane) -> None:
    lane.drop("waiting.csv", "a,11,1")
    path = lane.desk.folder / "older.csv"
    path.write_text(f"{HEADER}a,12,1\n")
    os.utime(path, (NOON - 1e6, NOON - 1e6))
    claim = lane.pipeline.claim_file(found_file(location_of(path), lane.desk.account, FEED))
    assert claim is not None
    ingest(lane.pipeline, claim)
    (waiting,) = lane.import_all()
    assert (waiting.counts.kept, lane.values()) == (1, {"a": "12"})


TEN, TWELVE = "price,10,1 other,1,1", "price,12,1"


def test_bytes_whose_rows_were_changed_since_are_imported_again(lane: Lane) -> None:
    lane.bring("monday.csv", TEN)
    lane.bring("tuesday.csv", TWELVE)
    wednesday = lane.bring("wednesday.csv", TEN)
    assert (wednesday.outcome, wednesday.counts.updated) == (Outcome.IMPORTED, 1)
    assert lane.values() == {"price": "10", "other": "1"}
    thursday = lane.bring("thursday.csv", TEN)
    assert (thursday.outcome, thursday.same_as) == (Outcome.DUPLICATE, wednesday.import_id)


@pytest.mark.parametrize(
    "since",
    [pytest.param("more,1,1", id="rows added"), pytest.param("early,2,1", id="other rows changed")],
)
def test_bytes_whose_rows_stand_are_a_duplicate_whatever_became_of_others(
    lane: Lane, since: str
) -> None:
    lane.bring("sunday.csv", "early,1,1")
    monday = lane.bring("monday.csv", TEN)
    lane.bring("tuesday.csv", since)
    wednesday = lane.bring("wednesday.csv", TEN)
    assert (wednesday.outcome, wednesday.same_as) == (Outcome.DUPLICATE, monday.import_id)
    assert (wednesday.counts.read, wednesday.header, wednesday.rejects_by_rule) == (0, (), {})


def test_bytes_whose_rows_another_file_had_brought_and_a_third_changed_are_imported_again(
    lane: Lane,
) -> None:
    lane.bring("sunday.csv", "price,10,1")
    lane.bring("monday.csv", TEN)  # finds the price as it is
    lane.bring("tuesday.csv", TWELVE)
    assert lane.bring("wednesday.csv", TEN).outcome is Outcome.IMPORTED
    assert lane.values()["price"] == "10"


def test_bytes_whose_rows_an_undo_changed_are_imported_again(lane: Lane) -> None:
    lane.bring("saturday.csv", "price,9,1")
    sunday = lane.bring("sunday.csv", "price,10,1")
    lane.bring("monday.csv", TEN)
    lane.pipeline.undo(sunday.import_id)
    assert lane.values()["price"] == "9"
    assert lane.bring("tuesday.csv", TEN).counts.updated == 1
    assert lane.values()["price"] == "10"


def test_imports_of_the_same_bytes_are_undone_one_by_one(lane: Lane) -> None:
    lane.bring("monday.csv", TEN)
    lane.bring("tuesday.csv", TWELVE)
    wednesday = lane.bring("wednesday.csv", TEN)
    taken = lane.pipeline.undo(wednesday.import_id)
    assert lane.values()["price"] == "12"
    lane.pipeline.undo(taken.import_id)
    assert lane.values()["price"] == "10"


def test_the_same_file_is_imported_again_at_a_persons_word(lane: Lane) -> None:
    lane.bring("monday.csv", TEN)
    lane.bring("tuesday.csv", TWELVE)
    with lane.pipeline.database.begin() as connection:
        monday = arrivals.find(connection, account=lane.desk.account)[-1]
    assert lane.claim(monday.arrival_id) == []
    (claim,) = lane.claim(monday.arrival_id, again=True)
    assert ingest(lane.pipeline, claim).counts.updated == 1
    assert lane.values()["price"] == "10"


@pytest.mark.parametrize("end", [claims.release, lambda *_: None], ids=["released", "died"])
def test_a_file_to_come_again_whose_worker_ended_is_what_it_was_or_comes_again(
    lane: Lane, end: Callable[..., None]
) -> None:
    lane.bring("monday.csv", TEN)
    with lane.pipeline.database.begin() as connection:
        (monday,) = arrivals.find(connection, account=lane.desk.account)
    (claim,) = lane.pipeline.claim(
        lane.desk.account, FEED, arrival_ids=[monday.arrival_id], again=True, run_id="run"
    )
    with lane.pipeline.database.begin() as connection:
        end(connection, claim)
    anew = lane.pipeline.claim(lane.desk.account, FEED, run_id="run")
    assert [one.again for one in anew] == ([] if end is claims.release else [True])


def test_a_file_put_back_arrives_anew(lane: Lane) -> None:
    path = lane.drop("monday.csv", TEN)
    lane.import_all()
    lane.bring("tuesday.csv", TWELVE)
    assert not path.exists()  # it was archived
    lane.drop("monday.csv", TEN)
    assert [report.counts.updated for report in lane.import_all()] == [1]
    assert lane.values()["price"] == "10"


def confirmed(lane: Lane) -> int:
    query = sa.text("SELECT count(*) FROM csv_pipeline.confirmed_row WHERE account = :account")
    with lane.pipeline.database.begin() as connection:
        return connection.scalar(query, {"account": lane.desk.account}) or 0


def one_by_one(lane: Lane, claims: list[Claim]) -> list[ImportReport]:
    return [ingest(lane.pipeline, claim) for claim in claims]


def together(lane: Lane, claims: list[Claim]) -> list[ImportReport]:
    for stage in Stage:
        run.advance(lane.pipeline, claims, stage)
    return run.settled(lane.pipeline, claims)
