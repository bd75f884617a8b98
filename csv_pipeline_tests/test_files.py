"""Files go where their outcome belongs, once, whatever happens in between; none is lost."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import sqlalchemy as sa
import structlog
from pydantic import ValidationError

from csv_pipeline.account import DateOrder
from csv_pipeline.engine import archive
from csv_pipeline.engine.expired_files import remove_all_expired
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.engine.workspace import Stage
from csv_pipeline.errors import SetupError
from csv_pipeline.files import local, stores
from csv_pipeline.files.landing import scan_landing
from csv_pipeline.files.local import path_of
from csv_pipeline.files.stores import fetch, free_name, move
from csv_pipeline.location import Location, location_of
from csv_pipeline.model import ArrivalStatus, Outcome
from csv_pipeline.settings import Settings
from csv_pipeline.storage import arrivals, moves, tables
from csv_pipeline_tests.conftest import Desk, advance, ingest, settled
from csv_pipeline_tests.file_stores import OWN, Folder, Own
from csv_pipeline_tests.landings import GOOD, OTHER, TODAY, WRONG, Landing

_OTHER_FILE_SYSTEM = Path("/dev/shm")  # noqa: S108  # the one that Linux mounts beside the disk


@pytest.fixture(params=("", "s3"), ids=lambda scheme: scheme or "local")
def own(request: pytest.FixtureRequest) -> Own:
    """The test's own part of two stores: one that has folders, and one that has objects."""
    return OWN[request.param](request)


@pytest.fixture
def landing(pipeline: Pipeline, account: str, own: Own) -> Landing:
    return Landing(pipeline, account, own)


@pytest.fixture
def folder(pipeline: Pipeline, account: str, tmp_path: Path) -> Landing:
    """A landing area in a folder, for what only folders have."""
    return Landing(pipeline, account, Folder(tmp_path))


@pytest.fixture
def across(pipeline: Pipeline, account: str, tmp_path: Path) -> Iterator[Landing]:
    """A landing area in a folder whose archive lies in another file system."""
    if not _OTHER_FILE_SYSTEM.is_dir():
        pytest.skip("no other file system is mounted here")
    with TemporaryDirectory(dir=_OTHER_FILE_SYSTEM) as other:
        archive = location_of(Path(other, "archive"))
        yield Landing(pipeline, account, Folder(tmp_path), archive_folder=archive)


def test_an_imported_file_goes_to_the_archive_by_account_feed_and_date(landing: Landing) -> None:
    source = landing.drop("2026/a b%20é+#.csv")
    landing.bring()
    target = landing.own.location(landing.key(f"{TODAY}/a b%20é+#.csv", "archive"))
    assert (landing.lying("landing"), landing.kept(f"{TODAY}/a b%20é+#.csv")) == ([], GOOD)
    assert landing.arrivals()["a b%20é+#.csv"].moved_to == str(target)
    assert landing.moves() == [(str(source), str(target))]


@pytest.mark.parametrize(
    ("content", "outcome", "kind"),
    [
        (GOOD, Outcome.IMPORTED, "archive"),
        (WRONG, Outcome.REFUSED, "refused"),
        ("", Outcome.REFUSED, "refused"),
    ],
)
def test_the_outcome_decides_where_a_file_goes(
    landing: Landing, content: str, outcome: Outcome, kind: str
) -> None:
    landing.drop("a.csv", content)
    assert landing.bring()[0].outcome is outcome
    assert landing.lying(kind) == [f"{TODAY}/a.csv"]
    assert landing.lying("landing") == []


def test_a_duplicate_goes_to_the_archive(landing: Landing) -> None:
    landing.drop("a.csv")
    landing.drop("b.csv")
    assert {report.outcome for report in landing.bring()} == {Outcome.IMPORTED, Outcome.DUPLICATE}
    assert landing.lying("archive") == [f"{TODAY}/a.csv", f"{TODAY}/b.csv"]


def test_a_failed_file_stays_where_it_is(landing: Landing) -> None:
    landing.drop("a.csv")
    (import_,) = landing.claimed()
    import_.fail(ZeroDivisionError())
    advance(import_, Stage.LOAD)
    advance(import_, Stage.REPORT)
    landing.pipeline.put_away(10)
    assert (landing.lying("landing"), landing.moves()) == (["a.csv"], [])


def test_a_file_from_elsewhere_is_never_moved(desk: Desk) -> None:
    desk.bring(GOOD, name="a.csv")
    desk.pipeline.put_away(10)
    assert (desk.folder / "a.csv").exists()


def test_nothing_is_moved_if_the_setting_says_so(landing: Landing) -> None:
    landing.drop("a.csv")
    landing.keeping(archive=False).bring()
    landing.keeping(archive=False).pipeline.put_away(10)
    assert landing.lying("landing") == ["a.csv"]


def test_a_dry_run_moves_nothing(landing: Landing) -> None:
    landing.drop("a.csv")
    landing.pipeline.scan(seconds=10)
    (claim,) = landing.pipeline.claim(landing.account, "people", dry_run=True)
    ingest(landing.pipeline, claim)
    landing.pipeline.put_away(10)
    assert landing.lying("landing") == ["a.csv"]


def test_an_earlier_file_of_the_same_name_is_never_overwritten(landing: Landing) -> None:
    for number in range(3):
        landing.drop("a.csv", f"ID,Name\n{number},Ann\n", age=60 + number)
        landing.bring()
    names = landing.lying("archive")
    assert len(names) == 3
    assert f"{TODAY}/a.csv" in names
    marked = [name for name in names if name != f"{TODAY}/a.csv"]
    assert all(name.startswith(f"{TODAY}/a-{str(TODAY).replace('-', '')}T") for name in marked)
    assert {landing.kept(name)[8] for name in names} == {"0", "1", "2"}


def test_files_of_one_name_in_several_folders_all_arrive(landing: Landing) -> None:
    for number in range(3):
        landing.drop(f"{number}/a.csv", f"ID,Name\n{number},Ann\n")
    landing.bring()
    assert len(landing.lying("archive")) == 3


def test_the_longest_name_gets_its_mark_too(tmp_path: Path) -> None:
    name = "é" * 125 + ".csv"
    (tmp_path / name).touch()
    free = path_of(free_name(location_of(tmp_path), name, datetime.now(UTC)))
    free.touch()
    assert free.name != name
    assert free.suffix == ".csv"


def test_a_file_killed_between_commit_and_move_is_moved_by_whoever_comes_next(
    landing: Landing,
) -> None:
    landing.drop("a.csv")
    landing.killed_after_commit()
    assert landing.lying("archive") == []
    landing.pipeline.put_away(10)
    assert landing.lying("archive") == [f"{TODAY}/a.csv"]
    landing.pipeline.put_away(10)
    assert len(landing.moves()) == 1


class KilledError(BaseException):
    """What a kill looks like from inside, to a test."""


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_file_killed_beside_the_rename_is_moved_once(
    landing: Landing, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing.drop("a.csv")
    landing.killed_after_commit()

    def killed(source: Location, target: Location) -> None:
        if moment == "after":
            move(source, target)
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(archive, "move", killed)
        with pytest.raises(KilledError):
            landing.pipeline.put_away(10)
    landing.pipeline.put_away(10)
    assert landing.lying("archive") == [f"{TODAY}/a.csv"]
    assert len(landing.moves()) == 1
    assert landing.lying("landing") == []


def test_a_file_goes_to_another_file_system_whole_and_with_its_time(across: Landing) -> None:
    path = path_of(across.drop("a.csv"))
    modified_ns = path.stat().st_mtime_ns
    path.chmod(0o640)
    across.bring()
    moved = Path(across.arrivals()["a.csv"].moved_to)
    assert moved.is_relative_to(_OTHER_FILE_SYSTEM)
    assert (path.exists(), moved.read_text()) == (False, GOOD)
    assert moved.stat().st_mtime_ns == modified_ns
    assert moved.stat().st_mode & 0o777 == 0o640
    assert [p.name for p in moved.parent.iterdir()] == ["a.csv"]


def test_a_copy_that_was_not_followed_by_its_removal_is_ended(landing: Landing) -> None:
    landing.drop("a.csv")
    landing.killed_after_commit()
    target = landing.key(f"{TODAY}/a.csv", "archive")
    landing.own.put(target, GOOD)
    landing.set(moving_to=str(landing.own.location(target)))
    landing.pipeline.put_away(10)
    assert (landing.lying("landing"), landing.lying("archive")) == ([], [f"{TODAY}/a.csv"])


def test_a_copy_that_differs_leaves_the_original(
    across: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = path_of(across.drop("a.csv"))
    monkeypatch.setattr(local, "_digest", lambda _: "of other bytes")
    assert across.bring()[0].outcome is Outcome.IMPORTED
    assert path.read_text() == GOOD
    assert list(path_of(across.pipeline.settings.archive_area()).rglob("*.csv")) == []


def test_a_full_disk_fails_no_import_and_the_file_goes_later(
    landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing.drop("a.csv")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(archive, "move", full)
        assert landing.bring()[0].outcome is Outcome.IMPORTED
    assert landing.lying("landing") == ["a.csv"]
    landing.pipeline.put_away(10)
    assert landing.lying("archive") == [f"{TODAY}/a.csv"]


def test_a_name_taken_in_the_very_moment_is_left_alone(
    landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing.drop("a.csv")
    landing.killed_after_commit()
    target = landing.key(f"{TODAY}/a.csv", "archive")

    def meanwhile(source: Location, to: Location) -> None:
        landing.own.put(target, OTHER)
        move(source, to)

    monkeypatch.setattr(archive, "move", meanwhile)
    landing.pipeline.put_away(10)
    assert landing.own.get(target) == OTHER
    assert (len(landing.lying("archive")), landing.lying("landing")) == (2, [])


@pytest.mark.parametrize("second", [GOOD, OTHER], ids=["same content", "other content"])
def test_two_files_planned_to_get_one_name_both_get_one(landing: Landing, second: str) -> None:
    for number, content in enumerate((GOOD, second)):
        landing.drop(f"{number}/a.csv", content)
    landing.killed_after_commit()
    landing.set(moving_to=str(landing.own.location(landing.key(f"{TODAY}/a.csv", "archive"))))
    landing.pipeline.put_away(10)
    assert sorted(map(landing.kept, landing.lying("archive"))) == [GOOD, second]
    assert len({target for _, target in landing.moves()}) == 2


def test_a_file_is_not_moved_to_where_the_ledger_has_another(landing: Landing) -> None:
    landing.drop("a.csv")
    landing.bring()
    landing.own.delete(landing.key(f"{TODAY}/a.csv", "archive"))  # by hand
    landing.drop("a.csv", OTHER)
    landing.killed_after_commit()
    landing.pipeline.put_away(10)
    assert (landing.lying("landing"), len(landing.lying("archive"))) == ([], 1)
    assert len({target for _, target in landing.moves()}) == 2


def test_a_file_that_is_gone_is_not_taken_for_another_that_got_its_name(landing: Landing) -> None:
    landing.drop("0/a.csv")
    landing.bring()
    landing.drop("1/a.csv", OTHER)
    landing.killed_after_commit()
    landing.own.delete(landing.key("1/a.csv"))
    first, gone = (landing.row(f"{number}/a.csv") for number in range(2))
    landing.set(gone.arrival_id, moving_to=first.moved_to, modified_at=first.modified_at)
    landing.pipeline.put_away(10)
    assert (landing.row("1/a.csv").moved_to, len(landing.moves())) == (None, 1)


@contextmanager
def statements(pipeline: Pipeline) -> Iterator[list[str]]:
    """Give the statements and commits that the database gets meanwhile."""
    seen: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        seen.append(statement)

    def note_commit(_: object) -> None:
        seen.append("COMMIT")

    engine = pipeline.database.engine
    sa.event.listen(engine, "before_cursor_execute", note)
    sa.event.listen(engine, "commit", note_commit)
    try:
        yield seen
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
        sa.event.remove(engine, "commit", note_commit)


def planned(landing: Landing, files: int) -> list[int]:
    """Return arrivals that were settled with the targets of their files."""
    for number in range(files):
        landing.drop(f"{number}/a.csv", f"ID,Name\n{number},Ann\n")
    imports = landing.claimed()
    settled = [(import_.claim, ArrivalStatus.IMPORTED) for import_ in imports]
    for import_ in imports:
        advance(import_, Stage.LOAD)
    with landing.pipeline.database.begin() as connection:
        moves.promise(connection, archive.plan(landing.pipeline.settings, settled))
    return [import_.claim.arrival_id for import_ in imports]


def test_planned_files_are_moved_by_two_statements_and_one_commit(landing: Landing) -> None:
    arrival_ids = planned(landing, 3)
    with statements(landing.pipeline) as seen:
        archive.archive(landing.pipeline.database, landing.pipeline.settings, arrival_ids)
    assert (len(seen), seen.count("COMMIT")) == (3, 1)
    assert (landing.lying("landing"), len(landing.lying("archive"))) == ([], 3)
    assert len(landing.moves()) == 3


def test_a_plan_leaves_out_what_stays(landing: Landing) -> None:
    landing.drop("a.csv")
    landing.zip("all.zip", one=GOOD)
    claims = {import_.claim.name: import_.claim for import_ in landing.claimed()}
    settings, a, packed = landing.pipeline.settings, claims["a.csv"], claims["all.zip"]
    elsewhere = replace(a, location=str(landing.own.location("elsewhere/a.csv")))
    member = replace(packed, location=f"{packed.location}!one.csv", name="one.csv")
    assert archive.plan(settings, [(packed, ArrivalStatus.UNPACKED)]) == {}
    assert archive.plan(settings, [(member, ArrivalStatus.IMPORTED)]) == {}
    assert archive.plan(settings, [(elsewhere, ArrivalStatus.IMPORTED)]) == {}
    assert archive.plan(settings, [(a, ArrivalStatus.FAILED)]) == {}
    refused = landing.own.location(landing.key(f"{TODAY}/a.csv", "refused"))
    assert archive.plan(settings, [(a, ArrivalStatus.REFUSED)]) == {a.arrival_id: refused}


def test_a_file_replaced_before_it_is_fetched_is_refused_and_arrives_anew(landing: Landing) -> None:
    landing.drop("a.csv")
    (claimed,) = landing.claimed()
    landing.drop("a.csv", "ID,Name\n2,Bob\n3,Cid\n")
    assert ingest(landing.pipeline, claimed.claim).problem_code == "source_changed"
    assert landing.lying("landing") == ["a.csv"]
    assert landing.bring()[0].counts.inserted == 2


def test_a_file_replaced_in_the_very_moment_of_the_fetch_is_refused(
    landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing.drop("a.csv")
    (claimed,) = landing.claimed()

    def meanwhile(*args: Any) -> str:
        landing.drop("a.csv", OTHER, age=30)
        return fetch(*args)

    monkeypatch.setattr(stores, "fetch", meanwhile)
    report = ingest(landing.pipeline, claimed.claim)
    assert report.problem_code == "source_changed"
    assert "it counts as a new arrival" in str(report.problem)


def test_a_file_that_is_gone_is_refused(landing: Landing) -> None:
    location = landing.drop("a.csv")
    (claimed,) = landing.claimed()
    landing.own.delete(landing.key("a.csv"))
    report = ingest(landing.pipeline, claimed.claim)
    assert report.problem == f"a.csv: the file that arrived was needed; {location} is gone"


def test_a_file_too_large_is_not_fetched(landing: Landing, monkeypatch: pytest.MonkeyPatch) -> None:
    landing.drop("a.csv", GOOD * 100)
    monkeypatch.setattr(stores, "fetch", lambda *_: pytest.fail("it was fetched"))
    (report,) = landing.keeping(max_file_bytes=100).bring()
    assert report.problem_code == "limit"


@pytest.mark.parametrize("other", ["", "s3"], ids=lambda scheme: scheme or "local")
def test_what_is_kept_may_lie_in_another_store(
    landing: Landing, other: str, request: pytest.FixtureRequest
) -> None:
    kept = OWN[other](request)
    folders = {kind: kept.location(f"kept/{kind}") for kind in ("archive", "refused")}
    folders |= {kind: kept.location(f"kept/{kind}") for kind in ("results", "rejects")}
    there = landing.keeping(**{f"{kind}_folder": area for kind, area in folders.items()})
    landing.drop("good.csv", "ID,Name,Amount\n1,Ann,1.00\n2,Bob,x\n")
    landing.drop("wrong.csv", WRONG)
    reports = {report.name: report for report in there.bring()}
    number = reports["good.csv"].import_id
    assert there.pipeline.leave_rejects(reports["good.csv"].import_id) is not None
    below = f"{landing.account}/people"
    assert kept.keys("kept/") == [
        f"kept/archive/{below}/{TODAY}/good.csv",
        f"kept/refused/{below}/{TODAY}/wrong.csv",
        f"kept/rejects/{below}/import-{number}.csv",
        f"kept/results/{below}/import-{number}.csv",
    ]
    assert str(there.pipeline.results_of(reports["good.csv"])).endswith(f"import-{number}.csv")
    assert "2,Bob,x" in kept.get(f"kept/rejects/{below}/import-{number}.csv")
    assert landing.lying("landing") == []


def test_a_file_that_changed_meanwhile_stays_and_is_a_new_arrival(landing: Landing) -> None:
    landing.drop("a.csv")
    landing.killed_after_commit()
    landing.drop("a.csv", "ID,Name\n2,Bob\n3,Cid\n")
    landing.pipeline.put_away(10)
    assert landing.lying("landing") == ["a.csv"]
    assert landing.bring()[0].counts.inserted == 2
    assert landing.lying("archive") == [f"{TODAY}/a.csv"]


def test_a_file_that_somebody_still_writes_to_stays_until_it_is_closed(folder: Landing) -> None:
    path = path_of(folder.drop("a.csv"))
    with path.open("a") as file:
        folder.bring()
        assert path.exists()
        file.write("2,Bob\n")
    assert folder.bring()[0].counts.inserted == 1
    assert folder.lying("landing") == []


def test_a_refused_file_that_is_imported_at_last_goes_to_the_archive(landing: Landing) -> None:
    landing.drop("a.csv", "ID,Born\n1,03/04/2025\n")
    (refused,) = landing.bring()
    landing.declare(date_order=DateOrder.DAY_FIRST)
    (report,) = landing.bring(refused.arrival_id)
    assert report.outcome is Outcome.IMPORTED
    assert (landing.lying("refused"), landing.lying("archive")) == ([], [f"{TODAY}/a.csv"])
    assert len(landing.moves()) == 2


def test_a_refused_file_that_somebody_changed_is_refused(landing: Landing) -> None:
    landing.drop("a.csv", WRONG)
    (refused,) = landing.bring()
    landing.own.put(landing.key(f"{TODAY}/a.csv", "refused"), "Colour,Size\nblue,3\n")
    assert landing.bring(refused.arrival_id)[0].problem_code == "source_changed"


def test_a_refused_file_put_back_into_the_landing_area_is_tried_again(folder: Landing) -> None:
    path = path_of(folder.drop("a.csv", "ID,Born\n1,03/04/2025\n"))
    (refused,) = folder.bring()
    folder.declare(date_order=DateOrder.DAY_FIRST)
    shutil.move(folder.arrivals()["a.csv"].moved_to, path)
    (report,) = folder.bring()
    assert (report.outcome, report.arrival_id) == (Outcome.IMPORTED, refused.arrival_id)
    assert folder.lying("landing") == []


def test_a_refused_file_that_an_earlier_release_moved_is_imported_and_archived(
    landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing.drop("a.csv", "ID,Born\n1,03/04/2025\n")
    before = landing.own.location("in/quarantine")
    (refused,) = landing.keeping(refused_folder=before).bring()
    monkeypatch.setattr(Settings, "_beside", lambda *_: before)
    assert landing.lying("quarantine") == [f"{TODAY}/a.csv"]
    landing.declare(date_order=DateOrder.DAY_FIRST)
    assert landing.bring(refused.arrival_id)[0].outcome is Outcome.IMPORTED
    assert (landing.lying("quarantine"), landing.lying("archive")) == ([], [f"{TODAY}/a.csv"])


def test_an_undone_file_is_imported_again_from_the_archive(landing: Landing) -> None:
    landing.drop("a.csv")
    (report,) = landing.bring()
    landing.pipeline.undo(report.import_id)
    moved_to = landing.arrivals()["a.csv"].moved_to
    assert landing.arrivals()["a.csv"].status == "undone"
    (again,) = landing.bring(report.arrival_id)
    assert (again.outcome, again.counts.inserted) == (Outcome.IMPORTED, 1)
    assert landing.arrivals()["a.csv"].moved_to == moved_to
    assert landing.lying("archive") == [f"{TODAY}/a.csv"]


def test_a_look_of_before_the_move_does_not_bring_a_file_back(landing: Landing) -> None:
    landing.drop("a.csv")
    stale = [found for found in _found(landing) if found.account == landing.account]
    landing.bring()
    with landing.pipeline.database.begin() as connection:
        archive.let_returned_wait(connection, stale)
        arrivals.register(connection, stale)
    assert landing.arrivals()["a.csv"].status == "imported"


def _found(landing: Landing) -> Any:
    area, deadline = landing.pipeline.settings.landing_area, time.monotonic() + 10
    return scan_landing(area, {"people"}, known=set(), settle_seconds=0, deadline=deadline).found


@pytest.mark.parametrize("known_as", ["location", "moved_to"])
def test_a_file_is_found_where_it_lay_and_where_it_lies(landing: Landing, known_as: str) -> None:
    landing.drop("a.csv", WRONG)
    (refused,) = landing.bring()
    where = location_of(getattr(landing.arrivals()["a.csv"], known_as))
    found = landing.pipeline.find(where, landing.account, "people")
    claim = landing.pipeline.claim_file(found)
    assert claim is not None
    assert claim.arrival_id == refused.arrival_id
    assert str(claim.lies_at) == landing.arrivals()["a.csv"].moved_to
    dry = landing.pipeline.claim_file(found, dry_run=True)
    assert dry is not None
    assert dry.lies_at == claim.lies_at


def test_a_file_that_never_was_is_named(landing: Landing) -> None:
    nothing = landing.own.location(landing.key("nothing.csv"))
    with pytest.raises(SetupError, match=r"nothing\.csv: a file was needed; there is none"):
        landing.pipeline.find(nothing, landing.account, "people")


def test_the_archive_of_another_account_is_no_place_to_import_from(landing: Landing) -> None:
    landing.drop("a.csv", WRONG)
    landing.bring()
    moved = location_of(landing.arrivals()["a.csv"].moved_to)
    file = landing.pipeline.find(moved, "another", "people")
    with pytest.raises(SetupError, match=f"it lies in {landing.account}/people"):
        landing.pipeline.claim_file(file)


def test_a_zip_waits_for_all_files_in_it(landing: Landing) -> None:
    landing.zip("all.zip", one=GOOD, two=WRONG)
    assert landing.bring()[0].outcome is Outcome.UNPACKED
    landing.pipeline.put_away(10)
    assert landing.lying("landing") == ["all.zip"]
    first, second = landing.claimed()
    ingest(landing.pipeline, first.claim)
    assert landing.lying("landing") == ["all.zip"]
    ingest(landing.pipeline, second.claim)
    assert (landing.lying("landing"), landing.lying("archive")) == ([], [f"{TODAY}/all.zip"])
    moved = landing.arrivals()
    assert moved["two.csv"].moved_to == f"{moved['all.zip'].moved_to}!two.csv"


def test_a_file_of_a_moved_zip_can_be_named_again(landing: Landing) -> None:
    landing.zip("all.zip", one=GOOD, two="ID,Born\n1,03/04/2025\n")
    landing.bring()
    landing.bring()
    refused = landing.arrivals()["two.csv"]
    assert refused.status == "refused"
    landing.declare(date_order=DateOrder.DAY_FIRST)
    assert landing.bring(refused.arrival_id)[0].outcome is Outcome.IMPORTED
    assert landing.lying("archive") == [f"{TODAY}/all.zip"]


def test_a_zip_in_a_folder_is_not_copied_for_the_files_in_it(folder: Landing) -> None:
    folder.zip("all.zip", one=GOOD, two=OTHER)
    folder.bring()
    first, second = folder.claimed()
    advance(first, Stage.READ)
    assert not (first.work / "source").exists()
    assert {settled(one).counts.inserted for one in (first, second)} == {1}


def test_a_zip_changed_while_a_file_comes_out_of_it_is_noticed(
    landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing.zip("all.zip", one=GOOD, two=WRONG)
    landing.bring()
    first = landing.claimed()[0]
    unpack = vars(__import__("csv_pipeline.engine.importer", fromlist=["unpack"]))["unpack"]

    def meanwhile(*args: Any, **how: Any) -> Any:
        plain = unpack(*args, **how)
        landing.own.put(landing.key("all.zip"), b"another", age=30)
        return plain

    monkeypatch.setattr("csv_pipeline.engine.importer.unpack", meanwhile)
    assert settled(first).problem_code == "source_changed"


def test_a_file_of_a_zip_that_was_replaced_is_refused(landing: Landing) -> None:
    landing.zip("all.zip", one=GOOD, two=OTHER)
    landing.bring()
    claimed = landing.claimed()
    landing.zip("all.zip", one=GOOD, two=WRONG)
    codes = {ingest(landing.pipeline, one.claim).problem_code for one in claimed}
    assert codes == {"source_changed"}


def test_a_file_of_an_archived_zip_is_imported_again(landing: Landing) -> None:
    landing.zip("all.zip", one=GOOD, two=OTHER)
    landing.bring()
    report = landing.bring()[1]
    landing.pipeline.undo(report.import_id)
    assert landing.bring(report.arrival_id)[0].counts.inserted == 1


def test_a_zip_replaced_by_another_of_its_time_is_put_away(folder: Landing) -> None:
    path = path_of(folder.zip("all.zip", one=GOOD, two=WRONG))
    os.utime(path, (1_750_000_000,) * 2)
    folder.bring()
    folder.zip("all.zip", one=GOOD, two="ID,Name\n2,Bob\n3,Cid\n4,Dee\n5,Eve\n")
    os.utime(path, (1_750_000_000,) * 2)
    folder.bring()
    folder.bring()
    folder.pipeline.put_away(10)
    assert (folder.lying("landing"), folder.lying("archive")) == ([], [f"{TODAY}/all.zip"])


def test_only_the_newest_files_are_kept(landing: Landing) -> None:
    for number in range(4):
        landing.drop(f"{number}.csv", f"ID,Name\n{number},Ann\n")
        landing.bring()
    landing.keeping(keep_files=2).pipeline.remove_expired(landing.account, "people")
    assert landing.lying("archive") == [f"{TODAY}/2.csv", f"{TODAY}/3.csv"]
    gone = landing.arrivals()["0.csv"]
    assert gone.removed_at is not None
    assert (gone.moved_to, None) in landing.moves()


def test_only_files_young_enough_are_kept(
    uncrowded_pipeline: Pipeline, account: str, own: Own
) -> None:
    landing = Landing(uncrowded_pipeline, account, own)
    landing.drop("old.csv")
    landing.bring()
    landing.set(moved_at=sa.func.now() - sa.text("interval '31 days'"))
    landing.drop("new.csv", "ID,Name\n2,Bob\n")
    landing.bring()
    kept = landing.keeping(keep_days=30).pipeline
    remove_all_expired(kept.database, kept.settings, 30)
    assert landing.lying("archive") == [f"{TODAY}/new.csv"]


@pytest.mark.parametrize("status", ["claimed", "waiting", "failed", "undone"])
def test_a_file_that_may_still_be_imported_is_kept(landing: Landing, status: str) -> None:
    landing.drop("a.csv")
    landing.bring()
    landing.set(status=status, moved_at=sa.func.now() - sa.text("interval '31 days'"))
    landing.keeping(keep_days=30).pipeline.remove_expired(landing.account, "people")
    assert landing.lying("archive") == [f"{TODAY}/a.csv"]


def test_a_zip_is_kept_while_a_file_in_it_may_still_be_imported(landing: Landing) -> None:
    landing.zip("all.zip", one=GOOD, two="ID,Name\n2,Bob\n")
    landing.bring()
    landing.bring()
    landing.set(moved_at=sa.func.now() - sa.text("interval '31 days'"))
    table = tables.arrival
    one = landing.arrivals()["one.csv"].arrival_id
    with landing.pipeline.database.begin() as connection:
        failed = sa.update(table).where(table.c.arrival_id == one).values(status="failed")
        connection.execute(failed)
    landing.keeping(keep_days=30).pipeline.remove_expired(landing.account, "people")
    assert landing.lying("archive") == [f"{TODAY}/all.zip"]
    with landing.pipeline.database.begin() as connection:
        connection.execute(failed.values(status="imported"))
    landing.keeping(keep_days=30).pipeline.remove_expired(landing.account, "people")
    assert landing.lying("archive") == []
    assert landing.arrivals()["two.csv"].removed_at is not None


def test_a_kept_file_that_somebody_changed_is_not_removed(landing: Landing) -> None:
    landing.drop("a.csv")
    landing.bring()
    landing.own.put(landing.key(f"{TODAY}/a.csv", "archive"), "mine now")
    landing.set(moved_at=sa.func.now() - sa.text("interval '31 days'"))
    landing.keeping(keep_days=30).pipeline.remove_expired(landing.account, "people")
    assert landing.lying("archive") == [f"{TODAY}/a.csv"]


def test_results_and_rejects_are_kept_no_longer_either(landing: Landing) -> None:
    ids = []
    for number in range(3):
        landing.drop(f"{number}.csv", f"ID,Name,Amount\n{number},Ann,x\n")
        (report,) = landing.bring()
        landing.pipeline.leave_rejects(report.import_id)
        ids.append(report.import_id)
    landing.keeping(keep_files=1).pipeline.remove_expired(landing.account, "people")
    kept = [f"import-{ids[-1]}.csv"]
    assert (landing.lying("results"), landing.lying("rejects")) == (kept, kept)
    removed = [source for source, target in landing.moves() if target is None]
    assert len([source for source in removed if "/results/" in source]) == 2
    assert len([source for source in removed if "/rejects/" in source]) == 2


def test_what_cannot_be_removed_stops_nothing(
    folder: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.drop("a.csv")
    folder.bring()
    folder.set(moved_at=datetime(2000, 1, 1, tzinfo=UTC))

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", denied)
        folder.keeping(keep_days=30).pipeline.remove_expired(folder.account, "people")
    assert folder.arrivals()["a.csv"].removed_at is None
    folder.keeping(keep_days=30).pipeline.remove_expired(folder.account, "people")
    assert folder.lying("archive") == []


def test_nothing_is_removed_unless_a_setting_says_so(landing: Landing) -> None:
    landing.drop("a.csv")
    landing.bring()
    landing.set(moved_at=datetime(2000, 1, 1, tzinfo=UTC))
    remove_all_expired(landing.pipeline.database, landing.pipeline.settings, 30)
    assert landing.lying("archive") == [f"{TODAY}/a.csv"]


def test_an_archive_inside_the_landing_area_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="a folder outside the landing area"):
        Settings(home=tmp_path, archive_folder=location_of(tmp_path / "landing" / "done"))


def test_the_earlier_name_of_the_folder_of_refused_files_is_taken_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CSV_PIPELINE_QUARANTINE_FOLDER", str(tmp_path / "before"))
    log = structlog.testing.CapturingLogger()
    monkeypatch.setattr("csv_pipeline.settings.log", log)
    assert Settings(home=tmp_path / "home").refused_area() == location_of(tmp_path / "before")
    (call,) = log.calls
    assert (call.method_name, call.kwargs["wanted"]) == ("warning", "CSV_PIPELINE_REFUSED_FOLDER")
    monkeypatch.setenv("CSV_PIPELINE_REFUSED_FOLDER", str(tmp_path / "now"))
    assert Settings(home=tmp_path / "home").refused_area() == location_of(tmp_path / "now")
