"""The sweep takes the work of the dead, however it looks, and never that of a living dry run."""

import errno
import fcntl
import os
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from csv_pipeline.engine import dry_runs
from csv_pipeline.engine.housekeeping import sweep
from csv_pipeline.engine.importer import Import
from csv_pipeline.engine.pipeline import Pipeline, open_pipeline
from csv_pipeline.engine.workspace import Stage
from csv_pipeline.files.landing import found_file
from csv_pipeline.location import location_of
from csv_pipeline.model import Outcome
from csv_pipeline.settings import Settings
from csv_pipeline_tests.conftest import Desk, advance, settled
from csv_pipeline_tests.feeds import TEST_FEEDS
from csv_pipeline_tests.workers import context

PEOPLE = "ID,Name\n1,Ann\n"


@pytest.fixture(autouse=True)
def on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no file be small enough to stay in memory."""
    monkeypatch.setattr("csv_pipeline.engine.workspace.MOST_BYTES_OF_ONE", -1)


def dry(desk: Desk) -> Import:
    """Return a dry run that nobody entered into the ledger, read so far."""
    path = desk.folder / "list.csv"
    path.write_text(PEOPLE)
    claim = desk.pipeline.claim_file(
        found_file(location_of(path), desk.account, "people"), dry_run=True
    )
    assert claim is not None
    import_ = Import(desk.pipeline, claim)
    advance(import_, Stage.READ)
    return import_


def sweep_later(pipeline: Pipeline, work: Path) -> None:
    """Sweep as if nothing had been written there for a day."""
    os.utime(work, (0, 0))
    sweep(pipeline.settings, pipeline.database, pipeline.feeds)


def test_a_dry_run_that_takes_longer_than_the_sweep_waits_goes_on(desk: Desk) -> None:
    import_ = dry(desk)
    sweep_later(desk.pipeline, import_.work)
    assert (import_.work / "progress-read.json").exists()
    assert settled(import_).outcome is Outcome.DRY_RUN
    import_.finish()
    assert not import_.work.exists()


def test_a_dry_run_of_a_waiting_file_keeps_its_work_after_its_claim(desk: Desk) -> None:
    import_ = desk.claimed(PEOPLE, dry_run=True)
    advance(import_, Stage.LOAD)
    sweep_later(desk.pipeline, import_.work)
    assert import_.work.exists()
    import_.finish()


def _dry_run(home: Path, url: str, account: str, folder: Path, pipe: Connection) -> None:
    settings = Settings(home=home, database_url=url, settle_seconds=0)
    pipeline = open_pipeline(settings, TEST_FEEDS)
    import_ = dry(Desk(pipeline, account, folder))
    pipe.send(import_.work)
    pipe.recv()
    pipe.send(settled(import_).outcome)


@pytest.mark.parametrize("dies", [False, True])
def test_the_work_of_another_process_goes_only_when_it_is_dead(desk: Desk, dies: bool) -> None:
    pipe, theirs = context.Pipe()
    url = desk.pipeline.database.engine.url.render_as_string(hide_password=False)
    home = desk.pipeline.settings.home
    process = context.Process(target=_dry_run, args=(home, url, desk.account, desk.folder, theirs))
    process.start()
    assert pipe.poll(60)
    work = pipe.recv()
    if dies:
        process.kill()
        process.join()
    sweep_later(desk.pipeline, work)
    assert work.exists() is not dies
    if not dies:
        pipe.send("go on")
        assert pipe.poll(60)
        assert pipe.recv() is Outcome.DRY_RUN
    process.join()
    sweep_later(desk.pipeline, work) if work.exists() else None
    assert not work.exists()


def test_a_folder_of_somebody_else_in_the_work_area_is_left_alone(desk: Desk) -> None:
    other = desk.pipeline.settings.work_area / "not-ours"
    other.mkdir(parents=True)
    sweep_later(desk.pipeline, other)
    assert other.exists()
    other.rmdir()


def test_the_work_of_this_process_is_kept_where_there_are_no_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", _no_locks)
    dry_runs.keep(tmp_path)
    with dry_runs.unless_kept(tmp_path) as free:
        assert not free
    dry_runs.drop(tmp_path)
    with dry_runs.unless_kept(tmp_path) as free:
        assert free


def _no_locks(*_: object) -> None:
    raise OSError(errno.ENOLCK, "no locks available")
