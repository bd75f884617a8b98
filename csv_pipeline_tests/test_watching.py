"""Hear which files of a folder are complete; what is being written is not."""

import gc
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from dagster._core.errors import DagsterUserCodeUnreachableError
from watchdog.observers.inotify_c import InotifyEvent

from csv_pipeline.defs import sensors, watcher
from csv_pipeline.defs.watcher import Watcher
from csv_pipeline.files.landing import is_ignored
from csv_pipeline.files.local import LocalStore
from csv_pipeline.files.watching import Waits, Watch
from csv_pipeline.location import location_of
from csv_pipeline.settings import Settings

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells of closed files")
WAITS = Waits(closed=0.15, unknown=1.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "acme" / "people").mkdir(parents=True)
    return tmp_path / "acme" / "people"


@pytest.fixture
def watch(tmp_path: Path, folder: Path) -> Iterator[Watch]:
    watch = LocalStore().watch(location_of(tmp_path), WAITS, is_ignored)
    assert watch is not None
    yield watch
    watch.close()


def heard(watch: Watch, seconds: float = 5.0, *, until: int = 1) -> list[Path]:
    """Return the files that are heard of in this time, or as soon as they are so many."""
    found: list[Path] = []
    deadline = time.monotonic() + seconds
    while len(found) < until and time.monotonic() < deadline:
        found += watch.complete()
        time.sleep(0.02)
    return found


def _write(path: Path) -> None:
    path.write_text("ID\n1\n")


def _move_in(path: Path) -> None:
    part = path.with_name(f".{path.name}.part")
    _write(part)
    part.rename(path)


def _move_in_from_outside(path: Path) -> None:
    outside = path.parents[2].with_name(f"{path.parents[2].name}-outside")
    _write(outside)
    outside.rename(path)


@pytest.mark.parametrize("arrive", [_write, _move_in, _move_in_from_outside])
def test_a_file_is_complete_when_it_is_closed_or_moved_to_its_name(
    watch: Watch, folder: Path, arrive: Callable[[Path], None]
) -> None:
    arrive(folder / "one.csv")
    assert heard(watch) == [folder / "one.csv"]
    assert watch.complete() == []


def test_a_file_that_is_open_is_not_complete(watch: Watch, folder: Path) -> None:
    with (folder / "one.csv").open("w") as file:
        file.write("ID\n")
        file.flush()
        assert heard(watch, WAITS.unknown / 2) == []
    assert heard(watch) == [folder / "one.csv"]


def test_files_that_come_in_one_go_are_heard_of_together(watch: Watch, folder: Path) -> None:
    for number in range(20):
        _write(folder / f"{number}.csv")
    assert len(heard(watch)) == 20


@pytest.mark.parametrize("name", [".hidden.csv", "one.csv.part", "~one.csv"])
def test_what_a_scan_leaves_out_is_not_heard_of(watch: Watch, folder: Path, name: str) -> None:
    _write(folder / name)
    _write(folder / "seen.csv")
    assert heard(watch, 1.0, until=2) == [folder / "seen.csv"]


def test_a_file_that_is_gone_is_not_heard_of(watch: Watch, folder: Path) -> None:
    _write(folder / "one.csv")
    (folder / "one.csv").unlink()
    assert heard(watch, 0.5) == []


def test_a_file_in_a_folder_that_was_just_made_is_heard_of(watch: Watch, folder: Path) -> None:
    new = folder.parents[1] / "new" / "people"
    new.mkdir(parents=True)
    _write(new / "one.csv")
    assert heard(watch) == [new / "one.csv"]


def test_a_folder_that_is_moved_in_brings_its_files(
    watch: Watch, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    _write(outside / "one.csv")
    outside.rename(folder / "more")
    assert heard(watch) == [folder / "more" / "one.csv"]


def test_an_empty_file_waits_as_long_as_for_a_scan(watch: Watch, folder: Path) -> None:
    (folder / "one.csv").touch()
    assert heard(watch, WAITS.unknown / 2) == []
    assert heard(watch) == [folder / "one.csv"]


def test_a_file_in_a_new_folder_that_is_written_to_is_not_complete(
    watch: Watch, folder: Path
) -> None:
    new = folder.parents[1] / "new" / "people"
    new.mkdir(parents=True)
    with (new / "one.csv").open("w") as file:
        file.write("ID\n")
        file.flush()
        assert heard(watch, WAITS.unknown / 2) == []
    assert heard(watch) == [new / "one.csv"]


def test_a_reader_makes_no_file_complete(watch: Watch, folder: Path) -> None:
    _write(folder / "one.csv")
    assert len(heard(watch)) == 1
    (folder / "one.csv").read_text()
    assert heard(watch, 0.5) == []


def test_a_file_that_left_while_the_clock_was_ahead_keeps_no_other_waiting(
    watch: Watch, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    _write(folder / "one.csv")
    assert heard(watch) == [folder / "one.csv"]
    right = time.time
    with pytest.MonkeyPatch.context() as ahead:
        ahead.setattr(time, "time", lambda: right() + 15)
        (folder / "one.csv").rename(tmp_path_factory.mktemp("archive") / "one.csv")
        time.sleep(0.2)
    _write(folder / "two.csv")
    assert heard(watch, 2) == [folder / "two.csv"]


def test_files_that_left_are_not_kept_in_mind(
    folder: Path,
    watch: Watch,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    monkeypatch.setattr("csv_pipeline.files.watching._MOST_MOVES", 5)
    archive = tmp_path_factory.mktemp("archive")
    for number in range(40):
        _write(folder / f"{number}.csv")
        (folder / f"{number}.csv").rename(archive / f"{number}.csv")
        time.sleep(0.005)
    _write(folder / "last.csv")
    assert heard(watch) == [folder / "last.csv"]
    kept = [one for one in gc.get_objects() if isinstance(one, InotifyEvent) and one.is_moved_from]
    assert len(kept) < 20


def test_a_folder_that_goes_is_not_watched_any_more(watch: Watch, tmp_path: Path) -> None:
    assert watch.is_alive()
    tmp_path.rename(tmp_path.with_name(f"{tmp_path.name}-gone"))
    assert not watch.is_alive()
    tmp_path.mkdir()


def test_what_comes_into_a_folder_from_elsewhere_needs_another_watch(
    watch: Watch, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    outside.rename(folder.parents[1] / "moved")
    _wait_until_deaf(watch)


def test_a_folder_that_another_took_the_place_of_needs_another_watch(
    watch: Watch, tmp_path: Path
) -> None:
    tmp_path.rename(tmp_path.with_name(f"{tmp_path.name}-gone"))
    tmp_path.mkdir()
    _wait_until_deaf(watch)


def test_an_area_behind_a_link_is_heard_by_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    watch = LocalStore().watch(location_of(tmp_path / "link"), WAITS, is_ignored)
    assert watch is not None
    new = tmp_path / "link" / "acme" / "people"
    new.mkdir(parents=True)
    _write(new / "one.csv")
    assert heard(watch) == [new / "one.csv"]
    watch.close()


def test_a_closed_file_waits_for_more_as_long_as_somebody_set() -> None:
    assert Settings().closed_or_settle_seconds < 1
    assert Settings(settle_seconds=60).closed_or_settle_seconds == 60
    assert Settings(settle_seconds=60, closed_seconds=1).closed_or_settle_seconds == 1


def _wait_until_deaf(watch: Watch) -> None:
    deadline = time.monotonic() + 5
    while watch.is_alive():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Asked(Watcher):
    """The watcher, and what it asks the sensor for; as long as `away` nobody answers."""

    def __init__(self, folder: Path) -> None:
        super().__init__([location_of(folder)], WAITS, threading.Event())
        self.cursors: list[str | None] = []
        self.away = False

    def _ask(
        self, workspace: object, cursor: str | None, shutdown: threading.Event
    ) -> tuple[bool, bool]:
        self.cursors.append(cursor)
        if self.away:
            raise DagsterUserCodeUnreachableError
        return False, False


def test_what_came_unheard_is_looked_for_before_what_is_heard_of(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "_REOPEN_SECONDS", 0.3)
    monkeypatch.setattr(watcher, "unfinished", lambda _: frozenset())
    asked, over = Asked(tmp_path), threading.Event()
    loop = asked.core_loop(cast("watcher.Workspace", SimpleNamespace(instance=None)), over)

    def until(cursors: int) -> list[str | None]:
        while len(asked.cursors) < cursors:
            next(loop)
        return asked.cursors[-1:]

    _write(folder / "while no daemon ran.csv")
    assert until(1) == [None]
    _write(folder / "heard.csv")
    assert until(2) == [sensors.heard([folder / "heard.csv"])]
    asked.away = True
    _write(folder / "while nobody answered.csv")
    until(3)
    asked.away = False
    _write(folder / "later.csv")
    assert until(4) == [None]
    _write(folder / "last.csv")
    assert until(5) == [sensors.heard([folder / "last.csv"])]
    over.set()
    assert not [step for step in loop if step]
