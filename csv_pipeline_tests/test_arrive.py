"""Files are found, or wait, or are misplaced; and are taken whole or not at all."""

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.files.landing import ScanResult, found_file, scan_landing
from csv_pipeline.files.local import LocalStore
from csv_pipeline.location import location_of
from csv_pipeline.model import ImportReport, Outcome
from csv_pipeline.storage import arrivals, claims
from csv_pipeline.storage.records import Record, record_imports
from csv_pipeline_tests.conftest import Desk, ingest
from csv_pipeline_tests.test_attention import needs


def drop(landing: Path, location: str, content: str = "ID\n1\n", age: float = 60) -> Path:
    path = landing / location
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    os.utime(path, (time.time() - age, time.time() - age))
    return path


def looking(landing: Path, **how: object) -> ScanResult:
    bounds = {"known": set(), "settle_seconds": 0.2, "deadline": time.monotonic() + 10}
    return scan_landing(location_of(landing), {"people", "versions"}, **(bounds | how))  # type: ignore[arg-type]


def test_a_file_in_its_place_is_found(tmp_path: Path) -> None:
    drop(tmp_path, "acme/people/2026/a.csv")
    found = looking(tmp_path).found
    assert [(file.account, file.feed, file.name) for file in found] == [("acme", "people", "a.csv")]


def test_a_known_file_is_not_found_again(tmp_path: Path) -> None:
    drop(tmp_path, "acme/people/a.csv")
    known = {file.identity for file in looking(tmp_path).found}
    assert looking(tmp_path, known=known).found == ()


def test_the_same_name_with_new_content_is_found_again(tmp_path: Path) -> None:
    drop(tmp_path, "acme/people/a.csv")
    known = {file.identity for file in looking(tmp_path).found}
    drop(tmp_path, "acme/people/a.csv", "ID\n1\n2\n", age=3600)
    assert len(looking(tmp_path, known=known).found) == 1


@pytest.mark.parametrize("name", [".hidden.csv", "a.csv.part", "a.tmp", "~a.csv", ".git/a.csv"])
def test_unfinished_names_wait(tmp_path: Path, name: str) -> None:
    drop(tmp_path, f"acme/people/{name}")
    assert looking(tmp_path).found == ()


def test_a_file_that_grows_between_two_looks_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = drop(tmp_path, "acme/people/a.csv", age=0)
    monkeypatch.setattr(
        "csv_pipeline.files.landing.time.sleep", lambda _: path.write_text("ID\n1\n2\n")
    )
    seen = looking(tmp_path, settle_seconds=5)
    assert (seen.found, seen.growing) == ((), 1)


def test_a_file_that_is_written_to_waits_though_its_time_is_of_a_clock_that_is_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = drop(tmp_path, "acme/people/a.csv", age=3600)
    with path.open("a") as writer, monkeypatch.context() as during:
        during.setattr(
            "csv_pipeline.files.landing.time.sleep", lambda _: print("2", file=writer, flush=True)
        )
        seen = looking(tmp_path)
    assert (seen.found, seen.growing) == ((), 1)
    assert len(looking(tmp_path).found) == 1


def test_a_file_that_a_program_keeps_open_and_writes_nothing_to_is_found(tmp_path: Path) -> None:
    with drop(tmp_path, "acme/people/a.csv", age=3600).open("a"):
        assert len(looking(tmp_path).found) == 1


@pytest.mark.parametrize(("kind", "told"), [("ext4", True), ("nfs4", None), ("fuse.sshfs", None)])
def test_a_lease_that_a_network_s_file_system_refuses_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, told: bool | None
) -> None:
    path, device = drop(tmp_path, "area/a.csv"), os.stat(tmp_path).st_dev  # noqa: PTH116
    (tmp_path / "mounts").write_text(
        f"1 0 0:0 / /proc rw - proc proc rw\n"
        f"36 35 {os.major(device)}:{os.minor(device)} / / rw shared:1 - {kind} /dev/x rw\n"
    )
    monkeypatch.setattr("csv_pipeline.files.local._MOUNTS", tmp_path / "mounts")
    with path.open("a"):
        assert LocalStore().is_being_written(location_of(path)) is told


def test_a_file_whose_transfer_stalls_waits_for_a_minute(tmp_path: Path) -> None:
    with drop(tmp_path, "acme/people/a.csv", age=30).open("a"):
        seen = looking(tmp_path)
        assert (seen.found, seen.growing) == ((), 1)
    assert len(looking(tmp_path).found) == 1


def test_a_young_file_waits_where_the_listing_leaves_no_time_for_a_second_look(
    tmp_path: Path,
) -> None:
    drop(tmp_path, "acme/people/old.csv")
    drop(tmp_path, "acme/people/young.csv", age=0)
    seen = looking(tmp_path, settle_seconds=2, deadline=time.monotonic() + 0.4)
    assert [file.name for file in seen.found] == ["old.csv"]
    assert seen.growing == 1


def test_a_young_file_that_stays_as_it_is_is_found(tmp_path: Path) -> None:
    drop(tmp_path, "acme/people/a.csv", age=0)
    assert len(looking(tmp_path).found) == 1


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("acme/poeple/a.csv", "found 'poeple' (did you mean 'people'?); the feeds are people"),
        ("acme/PEOPLE/a.csv", "found 'PEOPLE' (did you mean 'people'?)"),
        ("Acme Inc/people/a.csv", "account 'Acme Inc': small letters, digits"),
        ("acme/a.csv", "found none below the account's; the feeds are people, versions"),
        ("a.csv", "account/feed/file was needed"),
    ],
)
def test_a_file_in_no_feed_s_place_is_misplaced(tmp_path: Path, location: str, why: str) -> None:
    drop(tmp_path, location)
    seen = looking(tmp_path)
    assert seen.found == ()
    assert why in seen.misplaced[0][1]


def test_a_file_of_the_future_holds_up_nobody(tmp_path: Path) -> None:
    drop(tmp_path, "acme/people/a.csv", age=-4_000_000_000)
    began = time.monotonic()
    assert len(looking(tmp_path).found) == 1
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("folder", "said"),
    [
        ("Small3", "did you mean 'small3'? csv-pipeline account small3 --folder Small3 takes"),
        ("Small3", "an account of a similar name is 'small2')"),
        ("SMALL2", "account small2 --folder SMALL2 takes the files of this folder for it)"),
        ("My Shop", "did you mean 'my-shop'? csv-pipeline account my-shop --folder 'My Shop'"),
        ("\u0430cme", "(an account of a similar name is 'acme')"),  # a Cyrillic letter
        ("Small3\n", "(an account of a similar name is 'small2')"),
    ],
)
def test_a_command_takes_a_folder_for_the_account_of_its_own_name_alone(
    tmp_path: Path, folder: str, said: str
) -> None:
    drop(tmp_path, f"{folder}/people/a.csv")
    ((_, why),) = looking(tmp_path, accounts=["small2", "acme"]).misplaced
    assert said in why


def test_links_pipes_and_names_of_other_bytes_are_misplaced(tmp_path: Path) -> None:
    folder = drop(tmp_path, "acme/people/a.csv").parent
    (folder / "link.csv").symlink_to(folder / "a.csv")
    (folder / "loop.csv").symlink_to(folder / "loop.csv")
    os.mkfifo(folder / "pipe.csv")
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.csv")).write_text("ID\n1\n")
    seen = looking(tmp_path)
    assert [file.name for file in seen.found] == ["a.csv"]
    assert {file.name for file, _ in seen.misplaced} == {
        "link.csv",
        "loop.csv",
        "pipe.csv",
        r"caf\xe9.csv",
    }


def test_links_to_folders_are_told_wherever_they_lead(tmp_path: Path) -> None:
    outside = drop(tmp_path / "other", "b.csv").parent
    landing = tmp_path / "landing"
    folder = drop(landing, "acme/people/a.csv").parent
    (folder / "more").symlink_to(outside)
    (folder.parent / "products").symlink_to(outside)
    (landing / "beta").mkdir()
    (landing / "beta" / "gone").symlink_to(tmp_path / "nowhere")
    (landing / "aaa").symlink_to(landing / "acme")
    seen = looking(landing)
    assert [(file.account, file.name) for file in seen.found] == [("acme", "a.csv")]
    told = {file.name: why for file, why in seen.misplaced}
    assert set(told) == {"aaa", "more", "products", "gone"}
    assert all("it is a symbolic link" in why for why in told.values())


def test_a_look_out_of_time_at_a_name_of_other_bytes_goes_on_there(tmp_path: Path) -> None:
    drop(tmp_path, "a/people/1.csv")
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9/people"))
    odd.mkdir(parents=True)
    (odd / "1.csv").write_text("ID\n1\n")
    drop(tmp_path, "z/people/1.csv")
    stopped = scan_landing(
        location_of(tmp_path),
        ["people"],
        known=(),
        settle_seconds=0,
        deadline=time.monotonic() - 1,
        start_at=r"caf\xe9",
    ).stopped_at
    assert stopped == r"caf\xe9"
    stopped.encode()


def test_a_look_out_of_time_says_where_to_go_on(tmp_path: Path) -> None:
    drop(tmp_path, "a/people/a.csv")
    drop(tmp_path, "b/people/b.csv")
    assert looking(tmp_path, deadline=time.monotonic() - 1).stopped_at == "a"
    assert [f.account for f in looking(tmp_path, start_at="b").found] == ["b", "a"]


def test_what_a_look_finds_can_be_claimed(pipeline: Pipeline, account: str) -> None:
    drop(pipeline.settings.landing_folder, f"{account}/people/a.csv")
    pipeline.scan(seconds=10)
    claims = pipeline.claim(account, "people")
    assert [ingest(pipeline, claim).outcome for claim in claims] == [Outcome.IMPORTED]


def test_a_misplaced_file_waits_once_its_feed_is_known(pipeline: Pipeline, account: str) -> None:
    path = drop(pipeline.settings.landing_folder, f"{account}/people/a.csv")
    found = looking(pipeline.settings.landing_folder).found
    mine = next(file for file in found if file.location == str(path))
    with pipeline.database.begin() as connection:
        arrivals.register(connection, [], [(mine, "no such feed yet")])
    assert pipeline.claim(account, "people") == []
    pipeline.scan(seconds=10)
    assert len(pipeline.claim(account, "people")) == 1


def test_a_misplaced_file_is_forgotten_once_a_whole_look_does_not_find_it(desk: Desk) -> None:
    landing = desk.pipeline.settings.landing_folder
    gone, replaced = (drop(landing, f"{desk.account}/peopel/{name}.csv") for name in "ab")
    desk.pipeline.scan(seconds=10)
    gone.unlink()
    drop(landing, f"{desk.account}/peopel/b.csv", "ID\n1\n2\n")
    assert desk.pipeline.scan(seconds=0).stopped_at is not None
    desk.pipeline.scan(seconds=10, complete=[location_of(replaced)])
    desk.pipeline.scan(seconds=10, account="somebody-else")
    assert sorted(one.name for one in needs(desk)) == ["a.csv", "b.csv", "b.csv"]
    desk.pipeline.scan(seconds=10)
    assert [one.name for one in needs(desk)] == ["b.csv"]
    assert replaced.exists()


def test_a_misplaced_file_that_another_look_enters_meanwhile_stays(desk: Desk) -> None:
    landing = desk.pipeline.settings.landing_folder
    under = f"{landing / desk.account}/"
    with desk.pipeline.database.begin() as connection:
        known = arrivals.misplaced_files(connection, under)
    lost = drop(landing, f"{desk.account}/peopel/a.csv")
    desk.pipeline.scan(seconds=10, complete=[location_of(lost)])
    with desk.pipeline.database.begin() as connection:
        arrivals.forget_misplaced(connection, known, [])
    assert [one.name for one in needs(desk)] == ["a.csv"]


def test_a_file_changed_since_it_arrived_is_refused(desk: Desk) -> None:
    path = drop(desk.pipeline.settings.landing_folder, f"{desk.account}/people/a.csv")
    desk.pipeline.scan(seconds=10)
    path.write_text("ID\n1\n2\n3\n")
    report = ingest(desk.pipeline, desk.pipeline.claim(desk.account, "people")[0])
    assert report.problem_code == "source_changed"
    assert report.problem is not None
    assert "it counts as a new arrival" in report.problem


def test_a_file_that_is_gone_is_refused(desk: Desk) -> None:
    path = drop(desk.pipeline.settings.landing_folder, f"{desk.account}/people/a.csv")
    desk.pipeline.scan(seconds=10)
    path.unlink()
    report = ingest(desk.pipeline, desk.pipeline.claim(desk.account, "people")[0])
    assert report.problem_code == "source_changed"


def test_a_claimed_file_is_not_claimed_twice(desk: Desk) -> None:
    drop(desk.pipeline.settings.landing_folder, f"{desk.account}/people/a.csv")
    desk.pipeline.scan(seconds=10)
    assert len(desk.pipeline.claim(desk.account, "people")) == 1
    assert desk.pipeline.claim(desk.account, "people") == []


@pytest.mark.parametrize("files", [10, 400])
def test_imports_are_numbered_in_the_order_of_arrival(desk: Desk, files: int) -> None:
    found = found_file(location_of(drop(desk.folder, "a.csv")), desk.account, "people")
    with desk.pipeline.database.engine.connect() as connection:  # nothing is committed
        arrivals.register(
            connection, [replace(found, location=f"{found.location}-{n}") for n in range(files)]
        )
        first = claims.take(connection, desk.account, "people", lease_seconds=60)
        for claim in reversed(first):  # so that the table has them in this order
            claims.release(connection, claim)
        again = claims.take(connection, desk.account, "people", lease_seconds=60)
    assert [claim.arrival_id for claim in again] == sorted(claim.arrival_id for claim in first)
    numbers = [claim.import_id for claim in (*first, *again)]
    assert numbers == sorted(numbers)


def test_a_failed_file_waits_for_the_nightly_run_only(desk: Desk) -> None:
    drop(desk.pipeline.settings.landing_folder, f"{desk.account}/people/a.csv")
    desk.pipeline.scan(seconds=10)
    claim = desk.pipeline.claim(desk.account, "people")[0]
    with desk.pipeline.database.begin() as connection:
        failed = ImportReport.of(claim, Outcome.FAILED)
        record_imports(connection, [Record(report=failed, claim=claim)])

    def lanes(*, with_failed: bool) -> set[str]:
        with desk.pipeline.database.begin() as connection:
            return {lane.account for lane in arrivals.backlog(connection, with_failed=with_failed)}

    assert desk.account not in lanes(with_failed=False)
    assert desk.account in lanes(with_failed=True)
