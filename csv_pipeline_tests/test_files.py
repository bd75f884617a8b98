"""Files go where their outcome belongs, once, whatever happens in between; none is lost."""

import os
import shutil
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import ValidationError

from csv_pipeline.engine import archive
from csv_pipeline.engine.importer import Import
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.engine.workspace import Stage
from csv_pipeline.errors import SetupError
from csv_pipeline.files import local
from csv_pipeline.model import ImportReport, Outcome
from csv_pipeline.settings import Settings
from csv_pipeline.storage import arrivals, tables
from csv_pipeline_tests.conftest import Desk, ingest

GOOD = "ID,Name\n1,Ann\n"
WRONG = "Colour,Size\nred,3\n"
_OTHER_FILE_SYSTEM = Path("/dev/shm")  # noqa: S108  # the one that Linux mounts beside the disk


class Landing:
    """The test's part of the landing area, and where its files go from there."""

    def __init__(self, pipeline: Pipeline, account: str) -> None:
        self.pipeline, self.account = pipeline, account
        self.folder = pipeline.settings.landing_area / account / "people"

    def drop(self, name: str, content: str = GOOD, age: float = 60) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        os.utime(path, (time.time() - age,) * 2)
        return path

    def zip(self, name: str, **members: str) -> Path:
        path = self.drop(name)
        with zipfile.ZipFile(path, "w") as packed:
            for member, content in members.items():
                packed.writestr(f"{member}.csv", content)
        return path

    def claimed(self, *arrival_ids: int) -> list[Import]:
        self.pipeline.scan(seconds=10)
        named = {"arrival_ids": arrival_ids} if arrival_ids else {}
        claims = self.pipeline.claim(self.account, "people", **named)  # type: ignore[arg-type]
        return [Import(self.pipeline, claim) for claim in claims]

    def bring(self, *arrival_ids: int) -> list[ImportReport]:
        return [ingest(self.pipeline, one.claim) for one in self.claimed(*arrival_ids)]

    def killed_after_commit(self) -> None:
        for import_ in self.claimed():
            import_.advance(Stage.LOAD)

    def arrivals(self) -> dict[str, Any]:
        with self.pipeline.database.begin() as connection:
            return {row.name: row for row in arrivals.find(connection, account=self.account)}

    def moves(self) -> list[tuple[str, str | None]]:
        table = tables.file_move
        query = sa.select(table).where(table.c.account == self.account)
        with self.pipeline.database.begin() as connection:
            rows = connection.execute(query.order_by(table.c.file_move_id)).all()
        return [(row.source, row.target) for row in rows]

    def set(self, **values: Any) -> None:
        table = tables.arrival
        with self.pipeline.database.begin() as connection:
            connection.execute(
                sa.update(table).where(table.c.account == self.account).values(values)
            )

    def lying(self, kind: str) -> list[str]:
        settings = self.pipeline.settings
        tops = {
            "landing": settings.landing_location,
            "archive": settings.archive_location,
            "quarantine": settings.quarantine_location,
            "results": settings.results_area,
            "rejects": settings.rejects_area,
        }
        area = Path(str(tops[kind]), self.account, "people")
        return sorted(str(p.relative_to(area)) for p in area.rglob("*") if p.is_file())


TODAY = f"{datetime.now(UTC):%Y-%m-%d}"


@pytest.fixture
def landing(pipeline: Pipeline, account: str) -> Landing:
    return Landing(pipeline, account)


@pytest.fixture
def across(pipeline: Pipeline, account: str) -> Iterator[Landing]:
    """A landing whose archive and quarantine lie in another file system."""
    if not _OTHER_FILE_SYSTEM.is_dir():
        pytest.skip("no other file system is mounted here")
    with TemporaryDirectory(dir=_OTHER_FILE_SYSTEM) as folder:
        elsewhere = {
            "archive_folder": Path(folder, "archive"),
            "quarantine_folder": Path(folder, "quarantine"),
        }
        settings = pipeline.settings.model_copy(update=elsewhere)
        yield Landing(replace(pipeline, settings=settings), account)


def keeping(landing: Landing, **how: Any) -> Landing:
    settings = landing.pipeline.settings.model_copy(update=how)
    return Landing(replace(landing.pipeline, settings=settings), landing.account)


def test_an_imported_file_goes_to_the_archive_by_account_feed_and_date(landing: Landing) -> None:
    path = landing.drop("2026/a.csv")
    landing.bring()
    target = landing.pipeline.settings.archive_area / landing.account / "people" / TODAY / "a.csv"
    assert (path.exists(), target.read_text()) == (False, GOOD)
    assert landing.arrivals()["a.csv"].moved_to == str(target)
    assert landing.moves() == [(str(path), str(target))]


@pytest.mark.parametrize(
    ("content", "outcome", "kind"),
    [
        (GOOD, Outcome.IMPORTED, "archive"),
        (WRONG, Outcome.REFUSED, "quarantine"),
        ("", Outcome.REFUSED, "quarantine"),
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
    path = landing.drop("a.csv")
    (import_,) = landing.claimed()
    import_.fail(ZeroDivisionError())
    import_.advance(Stage.LOAD)
    import_.advance(Stage.REPORT)
    landing.pipeline.put_away(10)
    assert path.exists()
    assert landing.moves() == []


def test_a_file_from_elsewhere_is_never_moved(desk: Desk) -> None:
    desk.bring(GOOD, name="a.csv")
    desk.pipeline.put_away(10)
    assert (desk.folder / "a.csv").exists()


def test_nothing_is_moved_if_the_setting_says_so(landing: Landing) -> None:
    path = landing.drop("a.csv")
    keeping(landing, archive=False).bring()
    landing.pipeline.put_away(10)
    assert path.exists()


def test_a_dry_run_moves_nothing(landing: Landing) -> None:
    path = landing.drop("a.csv")
    landing.pipeline.scan(seconds=10)
    (claim,) = landing.pipeline.claim(landing.account, "people", dry_run=True)
    ingest(landing.pipeline, claim)
    landing.pipeline.put_away(10)
    assert path.exists()


def test_an_earlier_file_of_the_same_name_is_never_overwritten(landing: Landing) -> None:
    for number in range(3):
        landing.drop("a.csv", f"ID,Name\n{number},Ann\n", age=60 + number)
        landing.bring()
    names = landing.lying("archive")
    assert len(names) == 3
    assert f"{TODAY}/a.csv" in names
    marked = [name for name in names if name != f"{TODAY}/a.csv"]
    assert all(name.startswith(f"{TODAY}/a-{TODAY.replace('-', '')}T") for name in marked)
    area = landing.pipeline.settings.archive_area / landing.account / "people"
    assert {(area / name).read_text()[8] for name in names} == {"0", "1", "2"}


def test_files_of_one_name_in_several_folders_all_arrive(landing: Landing) -> None:
    for number in range(3):
        landing.drop(f"{number}/a.csv", f"ID,Name\n{number},Ann\n")
    landing.bring()
    assert len(landing.lying("archive")) == 3


def test_the_longest_name_gets_its_mark_too(tmp_path: Path) -> None:
    name = "é" * 125 + ".csv"
    (tmp_path / name).touch()
    free = local.free_name(tmp_path, name, datetime.now(UTC), lambda _: False)
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

    def killed(source: Path, target: Path) -> None:
        if moment == "after":
            local.move(source, target)
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
    path = across.drop("a.csv")
    modified_ns = path.stat().st_mtime_ns
    path.chmod(0o640)
    across.bring()
    moved = Path(across.arrivals()["a.csv"].moved_to)
    assert moved.is_relative_to(_OTHER_FILE_SYSTEM)
    assert (path.exists(), moved.read_text()) == (False, GOOD)
    assert moved.stat().st_mtime_ns == modified_ns
    assert moved.stat().st_mode & 0o777 == 0o640
    assert [p.name for p in moved.parent.iterdir()] == ["a.csv"]


def test_a_copy_that_was_not_followed_by_its_removal_is_ended(across: Landing) -> None:
    path = across.drop("a.csv")
    across.killed_after_commit()
    target = across.pipeline.settings.archive_area / across.account / "people" / TODAY / "a.csv"
    target.parent.mkdir(parents=True)
    shutil.copy2(path, target)
    across.set(moving_to=str(target))
    across.pipeline.put_away(10)
    assert (across.lying("landing"), across.lying("archive")) == ([], [f"{TODAY}/a.csv"])


def test_a_copy_that_differs_leaves_the_original(
    across: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = across.drop("a.csv")
    monkeypatch.setattr(local, "_digest", lambda _: "of other bytes")
    assert across.bring()[0].outcome is Outcome.IMPORTED
    assert path.read_text() == GOOD
    assert across.lying("archive") == []


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


def test_a_file_that_changed_meanwhile_stays_and_is_a_new_arrival(landing: Landing) -> None:
    landing.drop("a.csv")
    landing.killed_after_commit()
    landing.drop("a.csv", "ID,Name\n2,Bob\n3,Cid\n")
    landing.pipeline.put_away(10)
    assert landing.lying("landing") == ["a.csv"]
    assert landing.bring()[0].counts.inserted == 2
    assert landing.lying("archive") == [f"{TODAY}/a.csv"]


def test_a_file_that_somebody_still_writes_to_stays_until_it_is_closed(landing: Landing) -> None:
    path = landing.drop("a.csv")
    with path.open("a") as file:
        landing.bring()
        assert path.exists()
        file.write("2,Bob\n")
    assert landing.bring()[0].counts.inserted == 1
    assert landing.lying("landing") == []


def test_a_refused_file_that_is_imported_at_last_leaves_the_quarantine(landing: Landing) -> None:
    path = landing.drop("a.csv", "ID,Born\n1,03/04/2025\n")
    (refused,) = landing.bring()
    Desk(landing.pipeline, landing.account, path.parent).declare(date_order="day first")
    (report,) = landing.bring(refused.arrival_id)
    assert report.outcome is Outcome.IMPORTED
    assert (landing.lying("quarantine"), landing.lying("archive")) == ([], [f"{TODAY}/a.csv"])
    assert len(landing.moves()) == 2


def test_a_refused_file_put_back_into_the_landing_area_is_tried_again(landing: Landing) -> None:
    path = landing.drop("a.csv", "ID,Born\n1,03/04/2025\n")
    (refused,) = landing.bring()
    Desk(landing.pipeline, landing.account, path.parent).declare(date_order="day first")
    shutil.move(landing.arrivals()["a.csv"].moved_to, path)
    (report,) = landing.bring()
    assert (report.outcome, report.arrival_id) == (Outcome.IMPORTED, refused.arrival_id)
    assert landing.lying("landing") == []


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
    from csv_pipeline.files.landing import scan_landing  # noqa: PLC0415

    area, deadline = landing.pipeline.settings.landing_area, time.monotonic() + 10
    return scan_landing(area, {"people"}, known=set(), settle_seconds=0, deadline=deadline).found


@pytest.mark.parametrize("location", ["old", "new"])
def test_a_file_is_found_by_its_old_place_and_its_new_one(landing: Landing, location: str) -> None:
    path = landing.drop("a.csv", WRONG)
    (refused,) = landing.bring()
    where = path if location == "old" else Path(landing.arrivals()["a.csv"].moved_to)
    found = landing.pipeline.find(where, landing.account, "people")
    claim = landing.pipeline.claim_file(found)
    assert claim is not None
    assert claim.arrival_id == refused.arrival_id
    assert Path(str(claim.lies_at)).read_text() == WRONG
    dry = landing.pipeline.claim_file(found, dry_run=True)
    assert dry is not None
    assert dry.lies_at == claim.lies_at


def test_a_file_that_never_was_is_named(landing: Landing) -> None:
    with pytest.raises(SetupError, match=r"nothing\.csv: a file was needed; there is none"):
        landing.pipeline.find(landing.folder / "nothing.csv", landing.account, "people")


def test_the_archive_of_another_account_is_no_place_to_import_from(landing: Landing) -> None:
    landing.drop("a.csv", WRONG)
    landing.bring()
    moved = Path(landing.arrivals()["a.csv"].moved_to)
    file = landing.pipeline.find(moved, "another", "people")
    with pytest.raises(SetupError, match=f"it lies in {landing.account}/people"):
        landing.pipeline.claim_file(file)


def test_a_zip_waits_for_all_files_in_it(landing: Landing) -> None:
    path = landing.zip("all.zip", one=GOOD, two=WRONG)
    landing.bring()
    landing.pipeline.put_away(10)
    assert path.exists()
    first, second = landing.claimed()
    ingest(landing.pipeline, first.claim)
    assert path.exists()
    ingest(landing.pipeline, second.claim)
    assert landing.lying("archive") == [f"{TODAY}/all.zip"]
    moved = landing.arrivals()
    assert moved["two.csv"].moved_to == f"{moved['all.zip'].moved_to}!two.csv"


def test_a_file_of_a_moved_zip_can_be_named_again(landing: Landing) -> None:
    landing.zip("all.zip", one=GOOD, two="ID,Born\n1,03/04/2025\n")
    landing.bring()
    landing.bring()
    refused = landing.arrivals()["two.csv"]
    assert refused.status == "refused"
    Desk(landing.pipeline, landing.account, landing.folder).declare(date_order="day first")
    assert landing.bring(refused.arrival_id)[0].outcome is Outcome.IMPORTED
    assert landing.lying("archive") == [f"{TODAY}/all.zip"]


def test_a_zip_is_not_copied_for_the_files_in_it(landing: Landing) -> None:
    landing.zip("all.zip", one=GOOD, two="ID,Name\n2,Bob\n")
    landing.bring()
    first, second = landing.claimed()
    first.advance(Stage.READ)
    work = landing.pipeline.settings.work_area / f"{first.claim.import_id}-1"
    assert not (work / "source").exists()
    assert {one.settled().counts.inserted for one in (first, second)} == {1}


def test_a_zip_changed_while_a_file_comes_out_of_it_is_noticed(
    landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = landing.zip("all.zip", one=GOOD, two=WRONG)
    landing.bring()
    first = landing.claimed()[0]
    unpack = vars(__import__("csv_pipeline.engine.importer", fromlist=["unpack"]))["unpack"]

    def meanwhile(*args: Any, **how: Any) -> Any:
        plain = unpack(*args, **how)
        os.utime(path)
        return plain

    monkeypatch.setattr("csv_pipeline.engine.importer.unpack", meanwhile)
    assert first.settled().problem_code == "source_changed"


def test_a_zip_replaced_by_another_of_its_time_is_put_away(landing: Landing) -> None:
    path = landing.zip("all.zip", one=GOOD, two=WRONG)
    os.utime(path, (1_750_000_000,) * 2)
    landing.bring()
    landing.zip("all.zip", one=GOOD, two="ID,Name\n2,Bob\n3,Cid\n4,Dee\n5,Eve\n")
    os.utime(path, (1_750_000_000,) * 2)
    landing.bring()
    landing.bring()
    landing.pipeline.put_away(10)
    assert (landing.lying("landing"), landing.lying("archive")) == ([], [f"{TODAY}/all.zip"])


def test_only_the_newest_files_are_kept(landing: Landing) -> None:
    for number in range(4):
        landing.drop(f"{number}.csv", f"ID,Name\n{number},Ann\n")
        landing.bring()
    keeping(landing, keep_files=2).pipeline.remove_expired(landing.account, "people")
    assert landing.lying("archive") == [f"{TODAY}/2.csv", f"{TODAY}/3.csv"]
    gone = landing.arrivals()["0.csv"]
    assert gone.removed_at is not None
    assert (gone.moved_to, None) in landing.moves()


def test_only_files_young_enough_are_kept(uncrowded_pipeline: Pipeline, account: str) -> None:
    landing = Landing(uncrowded_pipeline, account)
    landing.drop("old.csv")
    landing.bring()
    landing.set(moved_at=sa.func.now() - sa.text("interval '31 days'"))
    landing.drop("new.csv", "ID,Name\n2,Bob\n")
    landing.bring()
    keeping(landing, keep_days=30).pipeline.remove_all_expired(30)
    assert landing.lying("archive") == [f"{TODAY}/new.csv"]


@pytest.mark.parametrize("status", ["claimed", "waiting", "failed", "undone"])
def test_a_file_that_may_still_be_imported_is_kept(landing: Landing, status: str) -> None:
    landing.drop("a.csv")
    landing.bring()
    landing.set(status=status, moved_at=sa.func.now() - sa.text("interval '31 days'"))
    keeping(landing, keep_days=30).pipeline.remove_expired(landing.account, "people")
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
    keeping(landing, keep_days=30).pipeline.remove_expired(landing.account, "people")
    assert landing.lying("archive") == [f"{TODAY}/all.zip"]
    with landing.pipeline.database.begin() as connection:
        connection.execute(failed.values(status="imported"))
    keeping(landing, keep_days=30).pipeline.remove_expired(landing.account, "people")
    assert landing.lying("archive") == []
    assert landing.arrivals()["two.csv"].removed_at is not None


def test_a_kept_file_that_somebody_changed_is_not_removed(landing: Landing) -> None:
    landing.drop("a.csv")
    landing.bring()
    Path(landing.arrivals()["a.csv"].moved_to).write_text("mine now")
    landing.set(moved_at=sa.func.now() - sa.text("interval '31 days'"))
    keeping(landing, keep_days=30).pipeline.remove_expired(landing.account, "people")
    assert landing.lying("archive") == [f"{TODAY}/a.csv"]


def test_results_and_rejects_are_kept_no_longer_either(landing: Landing) -> None:
    ids = []
    for number in range(3):
        landing.drop(f"{number}.csv", f"ID,Name,Amount\n{number},Ann,x\n")
        (report,) = landing.bring()
        landing.pipeline.leave_rejects(report.import_id)
        ids.append(report.import_id)
    keeping(landing, keep_files=1).pipeline.remove_expired(landing.account, "people")
    kept = [f"import-{ids[-1]}.csv"]
    assert (landing.lying("results"), landing.lying("rejects")) == (kept, kept)
    removed = [source for source, target in landing.moves() if target is None]
    assert len([source for source in removed if "/results/" in source]) == 2
    assert len([source for source in removed if "/rejects/" in source]) == 2


def test_what_cannot_be_removed_stops_nothing(
    landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing.drop("a.csv")
    landing.bring()
    landing.set(moved_at=datetime(2000, 1, 1, tzinfo=UTC))

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", denied)
        keeping(landing, keep_days=30).pipeline.remove_expired(landing.account, "people")
    assert landing.arrivals()["a.csv"].removed_at is None
    keeping(landing, keep_days=30).pipeline.remove_expired(landing.account, "people")
    assert landing.lying("archive") == []


def test_nothing_is_removed_unless_a_setting_says_so(landing: Landing) -> None:
    landing.drop("a.csv")
    landing.bring()
    landing.set(moved_at=datetime(2000, 1, 1, tzinfo=UTC))
    landing.pipeline.remove_all_expired(30)
    assert landing.lying("archive") == [f"{TODAY}/a.csv"]


def test_an_archive_inside_the_landing_area_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="a folder outside the landing area"):
        Settings(home=tmp_path, archive_folder=tmp_path / "landing" / "done")
