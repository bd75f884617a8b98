"""Whatever is killed, and whenever: every file is imported exactly once, and soon.

Real processes are killed against a real server. After each blow the same is asked: the rows, the
history, the rejects and the ledger are as if nothing had happened.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from csv_pipeline.engine.importer import Import
from csv_pipeline.engine.lease_renewer import LeaseRenewer
from csv_pipeline.engine.pipeline import Pipeline, open_pipeline
from csv_pipeline.engine.workspace import Stage
from csv_pipeline.errors import DatabaseUnavailableError, LostClaimError
from csv_pipeline.files.landing import found_file
from csv_pipeline.location import location_of
from csv_pipeline.model import Claim, ImportReport, Outcome
from csv_pipeline.settings import Settings
from csv_pipeline.storage import arrivals, imports, lane_lock, leases, tables
from csv_pipeline.storage.worker import is_gone, is_zombie, this_worker
from csv_pipeline_tests.conftest import Desk, ingest, settled
from csv_pipeline_tests.feeds import TEST_FEEDS
from csv_pipeline_tests.workers import Orders, Worker, orders_for

BEFORE = "ID,Name,Amount\n1,Ann,1.00\n2,Bob,2.00\n"
# 1 unchanged, 2 updated, 3 rejected, 4 superseded and inserted
FILE = "ID,Name,Amount\n1,Ann,1.00\n2,Rob,2.00\n3,Cid,x\n4,Dee,4.00\n4,Dee,5.00\n"
AFTER = [("1", "Ann"), ("2", "Rob"), ("4", "Dee")]
SOON_SECONDS = 60
BOUNDARIES = [f"{side} {stage}" for stage in Stage for side in ("before", "after")]
IN_THE_LOAD = ["copy", "upsert", "settle"]


class Scene:
    """An account with rows stored and a file that waits; workers that are to import it."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.pipeline, self.account = desk, desk.pipeline, desk.account
        self.workers: list[Worker] = []
        self.blocker: sa.Connection | None = None

    def drop(self, content: str, name: str, feed: str = "people") -> None:
        """Let a file arrive."""
        path = self.desk.folder / name
        path.write_text(content)
        with self.pipeline.database.begin() as connection:
            arrivals.register(connection, [found_file(location_of(path), self.account, feed)])

    def worker(self, **how: Any) -> Worker:
        worker = Worker(orders_for(self.pipeline, self.account, **how))
        self.workers.append(worker)
        return worker

    def worker_at(self, moment: str, **how: Any) -> Worker:
        """Return a worker that has come to a moment of its import and waits there."""
        if moment != "upsert":
            worker = self.worker(stops=(moment,), **how)
            worker.comes_to(moment)
            return worker
        self.blocker = self.pipeline.database.engine.connect()
        row = sa.text(
            "SELECT FROM data.people WHERE account = :account AND person_id = '2' FOR UPDATE"
        )
        self.blocker.execute(row, {"account": self.account})
        worker = self.worker(**how)
        wait_for(lambda: self.loads(waiting=True) != [])
        return worker

    def unblock(self) -> None:
        """Release the row that an upsert waits for."""
        if self.blocker is not None:
            self.blocker.invalidate()
            self.blocker.close()
            self.blocker = None

    def loads(self, *, waiting: bool = False) -> list[int]:
        """Return the server's processes that load for this account."""
        query = sa.text(
            "SELECT pid FROM pg_stat_activity JOIN csv_pipeline.arrival ON application_name = "
            "'csv-pipeline load ' || arrival_id || '-' || attempt WHERE account = :account "
            "AND (NOT :waiting OR wait_event_type = 'Lock')"
        )
        with self.pipeline.database.begin() as connection:
            facts = {"account": self.account, "waiting": waiting}
            return list(connection.scalars(query, facts))

    def cut(self) -> None:
        """Cut the connections that load for this account."""
        with self.pipeline.database.begin() as connection:
            for pid in self.loads():
                connection.execute(sa.select(sa.func.pg_terminate_backend(pid)))

    def recover(self) -> list[ImportReport]:
        """Import what can be claimed, as the next worker does, and return the reports."""
        claims = self.pipeline.claim(self.account, "people")
        return [ingest(self.pipeline, claim) for claim in claims]

    def is_due(self) -> bool:
        """Return whether the nightly schedule asks for a run over the account."""
        most = self.pipeline.settings.max_failures
        with self.pipeline.database.begin() as connection:
            lanes = arrivals.backlog(connection, with_failed=True, max_failures=most)
        return self.account in {lane.account for lane in lanes}

    def try_all(self) -> list[ImportReport]:
        """Import what waits or failed, and record what fails, as a run does."""
        reports = []
        for claim in self.pipeline.claim(self.account, "people"):
            import_ = Import(self.pipeline, claim)
            try:
                reports.append(settled(import_))
            except ZeroDivisionError as error:
                import_.fail(error)
                reports.append(settled(import_))
        return reports

    def imports(self) -> list[ImportReport]:
        with self.pipeline.database.begin() as connection:
            reports = imports.newest(connection, account=self.account, limit=1_000)
        return [report for report, _ in reversed(reports)]

    def statuses(self) -> list[str]:
        with self.pipeline.database.begin() as connection:
            rows = arrivals.find(connection, account=self.account)
        return [str(arrival.status) for arrival in rows]

    def assert_imported_once(self) -> None:
        """Assert that all is as if nothing had happened."""
        first, second = self.imports()
        assert [str(status) for status in self.statuses()] == ["imported", "imported"]
        rows = self.desk.rows(columns="person_id, name, amount", order="person_id")
        assert [tuple(row)[:2] for row in rows] == AFTER
        assert str(rows[2].amount) == "5.00"
        history = self.desk.rows("people_history", "name, _import_id, _replaced_by_import_id")
        assert [tuple(row) for row in history] == [("Bob", first.import_id, second.import_id)]
        c = second.counts
        assert (c.read, c.unchanged, c.updated, c.rejected, c.superseded, c.inserted) == (
            5, 1, 1, 1, 1, 1,
        )  # fmt: skip
        assert [reject.row_number for reject in self.desk.rejects(second)] == [4]
        assert self.desk.superseded(second) == [(5, 6)]
        assert self.all_rejects() == 1

    def all_rejects(self) -> int:
        """Return how many rejects there are of this account's arrivals, whatever their import."""
        table = tables.reject
        mine = sa.select(tables.import_.c.import_id).where(tables.import_.c.account == self.account)
        query = sa.select(sa.func.count()).where(table.c.import_id.in_(mine))
        with self.pipeline.database.begin() as connection:
            return connection.scalar(query) or 0

    def lease_ends_at(self) -> datetime:
        """Return when the lease of this account's only claim ends."""
        table = tables.arrival
        mine = sa.select(sa.func.max(table.c.lease_expires_at)).where(
            table.c.account == self.account
        )
        with self.pipeline.database.begin() as connection:
            ends_at: datetime = connection.execute(mine).scalar_one()
        return ends_at

    def close(self) -> None:
        for worker in self.workers:
            if worker.process.is_alive():
                worker.resume()
                worker.kill()
        self.unblock()


def wait_for(done: Callable[[], bool], seconds: float = SOON_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def scene(desk: Desk) -> Iterator[Scene]:
    scene = Scene(desk)
    desk.bring(BEFORE)
    scene.drop(FILE, "people.csv")
    yield scene
    scene.close()


@pytest.mark.parametrize("moment", BOUNDARIES)
def test_a_worker_killed_between_two_stages_leaves_all_or_nothing(
    scene: Scene, moment: str
) -> None:
    worker = scene.worker_at(moment)
    worker.kill()
    before = BOUNDARIES.index(moment) <= BOUNDARIES.index("before load")
    assert len(scene.recover()) == before
    scene.assert_imported_once()


@pytest.mark.parametrize("moment", IN_THE_LOAD)
def test_a_worker_killed_in_the_load_leaves_nothing(scene: Scene, moment: str) -> None:
    worker = scene.worker_at(moment)
    worker.kill()
    scene.unblock()
    wait_for(lambda: bool(scene.recover()))  # the server may take a moment to release the row
    scene.assert_imported_once()


@pytest.mark.parametrize("moment", IN_THE_LOAD)
def test_a_worker_whose_connection_is_cut_tries_again_and_succeeds(
    scene: Scene, moment: str
) -> None:
    worker = scene.worker_at(moment, retries=5)
    scene.cut()
    scene.unblock()
    if moment != "upsert":
        worker.go_on()
    worker.comes_to("silence")
    worker.comes_to("done")
    scene.assert_imported_once()


def test_a_commit_whose_answer_got_lost_is_found_again(scene: Scene) -> None:
    worker = scene.worker_at("committed", retries=1)
    worker.go_on()
    worker.comes_to("silence")
    worker.comes_to("done")
    assert not [told for told in worker.told if told.startswith("LostClaimError")]
    scene.assert_imported_once()


def test_of_two_workers_at_once_one_gets_the_file(scene: Scene) -> None:
    stops = ("claimed people.csv",)
    both = [scene.worker(stops=stops), scene.worker(stops=stops)]
    for worker in both:
        worker.comes_to("ready")
    told = []
    for worker in both:
        worker.pipe.poll(30)
        told.append(worker.pipe.recv())
        if told[-1] != "done":
            worker.go_on()
    assert sorted(told) == ["claimed people.csv", "done"]
    both[told.index("claimed people.csv")].comes_to("done")
    scene.assert_imported_once()


def test_a_long_load_keeps_its_lease(scene: Scene) -> None:
    worker = scene.worker_at("copy", lease_seconds=1)
    first_ends_at = scene.lease_ends_at()
    while datetime.now(UTC) < first_ends_at:
        assert scene.recover() == []
    assert scene.recover() == []
    worker.go_on()
    worker.comes_to("done")
    scene.assert_imported_once()


@pytest.mark.parametrize("moment", ["after validate", "copy"])
def test_a_worker_that_was_suspended_commits_nothing_and_is_not_waited_for(
    scene: Scene, moment: str
) -> None:
    worker = scene.worker_at(moment, lease_seconds=1, retries=5)
    worker.pause()
    wait_for(lambda: bool(scene.recover()), 20)
    scene.assert_imported_once()
    worker.resume()
    worker.go_on()
    worker.comes_to("LostClaimError", 20)
    scene.assert_imported_once()


def test_a_worker_suspended_while_it_renews_a_lease_holds_up_nobody(scene: Scene) -> None:
    (claim,) = scene.pipeline.claim(scene.account, "people")

    def renew_and_be_suspended() -> None:
        with scene.pipeline.database.begin() as connection:
            leases.renew_all(connection, {(claim.arrival_id, claim.attempt)}, 0.5)
            time.sleep(1.5)

    with pytest.raises(DatabaseUnavailableError):
        renew_and_be_suspended()


def test_workers_side_by_side_import_each_file_once(scene: Scene) -> None:
    scene.recover()
    names = [f"side-{n}.csv" for n in range(12)]
    for name in names:
        scene.drop(f"ID,Name\n{name},x\nshared,{name}\n", name)
    workers = [scene.worker(files_at_once=1) for _ in range(2)]
    for worker in workers:
        worker.comes_to("done")
    reports = [report for report in scene.imports() if report.name in names]
    assert sorted(report.name for report in reports) == sorted(names)
    assert {report.outcome for report in reports} == {Outcome.IMPORTED}
    assert len(scene.desk.rows()) == len(AFTER) + len(names) + 1
    history = scene.desk.rows("people_history", "person_id")
    replaced = [row.person_id for row in history].count("shared")
    overtaken = sum(report.counts.kept for report in reports)
    assert replaced + overtaken == len(names) - 1
    rows = scene.desk.rows(columns="person_id, name")
    shared = [row.name for row in rows if row.person_id == "shared"]
    assert shared == [names[-1]]  # whichever worker was the quicker


def kill_at_random_moments(scene: Scene, times: int) -> None:
    """Kill a worker many times, new files arriving each time, and ask for every row of all.

    One file of each time has a bad row; the two others go together.
    """
    chance = random.Random(4)  # noqa: S311  # moments, not secrets
    settings = scene.pipeline.settings.model_copy(update={"max_failures": 2 * times})
    scene.pipeline = replace(scene.pipeline, settings=settings)
    scene.recover()
    began = time.monotonic()
    drop_three(scene, 0)
    scene.worker().comes_to("done")
    longest = (time.monotonic() - began) * 1.2
    for number in range(1, times + 1):
        drop_three(scene, number)
        worker = scene.worker(max_failures=2 * times)
        time.sleep(chance.uniform(0, longest))
        worker.kill()
    scene.recover()
    reports = [report for report in scene.imports() if report.name.startswith("kill-")]
    names = {f"kill-{n}{letter}.csv" for n in range(times + 1) for letter in "abc"}
    assert {report.name for report in reports} == names
    assert len(reports) == len(names)
    assert all(report.counts.inserted == 500 for report in reports)
    assert scene.statuses() == ["imported"] * (len(names) + 2)
    rows = scene.desk.rows(columns="name, _import_id", order="person_id")
    stored = [(row.name, row._import_id) for row in rows if row.name.startswith("kill-")]
    assert len(stored) == 500 * len(names)
    assert set(stored) == {(r.name.removesuffix(".csv"), r.import_id) for r in reports}
    assert scene.all_rejects() == 1 + times + 1


def drop_three(scene: Scene, number: int) -> None:
    for letter, bad in (("a", f"bad,kill-{number},x\n"), ("b", ""), ("c", "")):
        mark = f"{number}{letter}"
        rows = "".join(f"{mark}-{row},kill-{mark},1.00\n" for row in range(500))
        scene.drop(f"ID,Name,Amount\n{rows}{bad}", f"kill-{mark}.csv")


def test_a_worker_killed_at_random_moments_loses_and_doubles_nothing(scene: Scene) -> None:
    kill_at_random_moments(scene, 3)


@pytest.mark.slow
def test_a_worker_killed_at_a_hundred_random_moments_loses_and_doubles_nothing(
    scene: Scene,
) -> None:
    kill_at_random_moments(scene, 100)


def test_a_file_that_every_worker_dies_over_fails_and_those_beside_it_go_on(scene: Scene) -> None:
    scene.drop("ID,Name\n9,Zoe\n", "zoe.csv")
    for _ in range(3):
        scene.worker_at("claimed people.csv").kill()
    assert scene.recover() == []
    (report,) = scene.recover()
    assert (report.name, report.outcome) == ("zoe.csv", Outcome.IMPORTED)
    assert scene.statuses() == ["imported", "failed", "imported"]
    failed = scene.imports()[1]
    assert (failed.name, failed.problem_code) == ("people.csv", "worker_died")
    assert failed.problem is not None
    assert "its worker died, or stopped answering, 3 times in a row" in failed.problem
    assert not scene.is_due()
    assert scene.recover() == []


def test_a_file_that_workers_died_over_is_imported_by_name(scene: Scene) -> None:
    for _ in range(3):
        scene.worker_at("claimed people.csv").kill()
    assert scene.recover() == []
    file = found_file(location_of(scene.desk.folder / "people.csv"), scene.account, "people")
    claim = scene.pipeline.claim_file(file)
    assert claim is not None
    assert ingest(scene.pipeline, claim).outcome is Outcome.IMPORTED
    with scene.pipeline.database.begin() as connection:
        assert arrivals.of_file(connection, file).deaths == 0


def test_two_dead_workers_do_not_keep_a_file_from_the_third(scene: Scene) -> None:
    for _ in range(2):
        scene.worker_at("copy").kill()
    wait_for(lambda: bool(scene.recover()))
    scene.assert_imported_once()


# What a worker leaves


def test_a_worker_that_is_told_to_end_gives_its_claim_back(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = scene.pipeline
    url = pipeline.database.engine.url.render_as_string(hide_password=False)
    monkeypatch.setenv("CSV_PIPELINE_DATABASE_URL", url)
    monkeypatch.setenv("CSV_PIPELINE_HOME", str(scene.desk.folder))
    file = scene.desk.folder / "list.csv"
    file.write_text("Customer ID,Name\nC1,Ann\n")
    program = str(Path(sys.executable).with_name("csv-pipeline"))
    command = [program, "import", str(file), "-a", scene.account, "-f", "customers"]
    with pipeline.database.engine.connect() as blocker:
        lane_lock.enter_lanes(blocker, {(scene.account, "customers")})
        blocker.commit()
        assert lane_lock.try_lane(blocker, scene.account, "customers")
        with subprocess.Popen(command) as cli:  # noqa: S603
            try:
                wait_for(lambda: scene.loads() != [])
                cli.terminate()
                cli.wait(timeout=30)
            finally:
                cli.kill()
        blocker.invalidate()
    assert scene.statuses()[0] == "waiting"


def test_a_claim_that_a_block_drops_runs_out_and_one_that_is_cut_off_is_free(scene: Scene) -> None:
    pipeline = scene.pipeline
    (claim,) = pipeline.claim(scene.account, "people")
    with suppress(ValueError), pipeline.leases.working_on([claim]):
        raise ValueError
    assert scene.statuses()[0] == "claimed"
    with suppress(KeyboardInterrupt), pipeline.leases.working_on([claim]):
        raise KeyboardInterrupt
    assert scene.statuses()[0] == "waiting"


def test_what_a_process_holds_when_it_is_told_to_end_is_given_back(scene: Scene) -> None:
    leases = LeaseRenewer(scene.pipeline.database, 60)
    leases.hold(scene.pipeline.claim(scene.account, "people"))
    leases.give_all_back()
    assert scene.statuses()[0] == "waiting"


def test_a_worker_is_known_by_its_start_and_not_by_its_number_alone() -> None:
    me = this_worker()
    assert me is not None
    position, _, started = me.rpartition("/")
    assert not is_gone(me)
    assert is_gone(f"{position}/{int(started) - 1}")


def test_of_a_worker_elsewhere_nothing_is_known() -> None:
    me = this_worker()
    assert me is not None
    assert not is_gone(f"elsewhere/{me}")


def test_two_processes_do_not_work_on_one_claim(scene: Scene) -> None:
    worker = scene.worker_at("after read")
    with scene.pipeline.database.begin() as connection:
        row = connection.execute(
            sa.select(tables.arrival).where(tables.arrival.c.account == scene.account)
            .order_by(tables.arrival.c.arrival_id.desc()).limit(1)
        ).one()  # fmt: skip
    claim = Claim(**{f.name: getattr(row, f.name) for f in fields(Claim) if f.name in row._fields})
    with pytest.raises(LostClaimError):
        ingest(scene.pipeline, claim)
    worker.kill()
    assert ingest(scene.pipeline, claim).outcome is Outcome.IMPORTED
    scene.assert_imported_once()


def test_a_file_that_failed_three_times_is_tried_by_name_only(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("csv_pipeline.engine.loader.load", _broken)
    scene = Scene(desk)
    scene.drop(BEFORE, "people.csv")
    for attempt in range(3):
        assert scene.is_due() and len(scene.try_all()) == 1, attempt  # noqa: PT018
    assert not scene.is_due()
    assert scene.try_all() == []
    with scene.pipeline.database.begin() as connection:
        (arrival,) = arrivals.find(connection, account=scene.account)
    assert arrival.problem.splitlines()[0] == (
        "people.csv: failed 3 times, so it is no longer tried by itself; name it, in a run's "
        "config or to csv-pipeline import, to try it again"
    )
    assert "ZeroDivisionError: a bug" in arrival.problem
    monkeypatch.undo()
    (claim,) = scene.pipeline.claim(desk.account, "people", arrival_ids=[arrival.arrival_id])
    assert ingest(scene.pipeline, claim).outcome is Outcome.IMPORTED


def _broken(*_: Any) -> None:
    raise ZeroDivisionError("a bug")


# Disk


LARGE = "ID,Name\n" + "".join(f"L{n},name of {n}\n" for n in range(20_000))


def test_a_disk_that_takes_no_more_fails_the_file_and_says_so(scene: Scene) -> None:
    scene.recover()
    scene.drop(LARGE, "large.csv")
    worker = scene.worker(largest_file=100_000)
    worker.comes_to("done")
    report = scene.imports()[-1]
    assert (report.outcome, report.counts.inserted) == (Outcome.FAILED, 0)
    assert report.problem is not None
    assert report.problem.splitlines()[-1].startswith("OSError: [Errno 27] File too large")
    assert len(scene.desk.rows()) == len(AFTER)
    (again,) = scene.recover()
    assert (again.outcome, again.counts.inserted) == (Outcome.IMPORTED, 20_000)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte; only root may make one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if subprocess.run(made, capture_output=True, check=False).returncode:  # noqa: S603
        pytest.skip("no file system may be mounted here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)  # noqa: S603, S607


def test_a_full_disk_leaves_a_failed_file_and_no_scratch_in_the_way_of_the_next(
    scene: Scene, small_disk: Path
) -> None:
    url = scene.pipeline.database.engine.url.render_as_string(hide_password=False)
    scene.recover()
    scene.drop(LARGE, "large.csv")
    worker = scene.worker(home=small_disk, database_url=url)
    worker.comes_to("done")
    report = scene.imports()[-1]
    assert report.outcome is Outcome.FAILED
    assert report.problem is not None
    assert "No space left on device" in report.problem.splitlines()[-1]
    assert len(scene.desk.rows()) == len(AFTER)
    scene.drop("ID,Name\n9,small\n", "small.csv")
    scene.worker(home=small_disk, database_url=url).comes_to("done")
    assert scene.imports()[-1].counts.inserted == 1


# Database


class Server:
    """The embedded server of a pipeline that nobody else needs."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.home = pipeline.settings.home
        self.lock = pipeline.settings.postgres_area / "postmaster.pid"

    def die(self, how: signal.Signals) -> None:
        """Let it crash: killed (SIGKILL), or by its immediate stop (SIGQUIT)."""
        postmaster = int(self.lock.read_text().split()[0])
        os.kill(postmaster, how)
        wait_for(lambda: is_zombie(postmaster) or not Path(f"/proc/{postmaster}").exists())

    def start(self) -> None:
        """Start it again, as the first process that needs it does."""
        Worker(Orders(home=self.home, account="nobody")).comes_to("done")


@pytest.fixture(scope="module")
def mortal() -> Iterator[tuple[Pipeline, Server]]:
    """A pipeline on a server of its own."""
    with tempfile.TemporaryDirectory(prefix="csv-pipeline-", ignore_cleanup_errors=True) as home:
        pipeline = open_pipeline(Settings(home=Path(home)), TEST_FEEDS)
        server = Server(pipeline)
        yield pipeline, server
        pipeline.close()
        server.die(signal.SIGQUIT)  # a worker started it, which did not stay to stop it


@pytest.mark.parametrize(
    "how",
    [
        pytest.param(signal.SIGKILL, id="killed"),
        pytest.param(signal.SIGQUIT, id="stopped", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("moment", IN_THE_LOAD)
def test_a_database_that_crashes_in_the_load_is_asked_again_until_it_is_back(
    mortal: tuple[Pipeline, Server], account: str, tmp_path: Path, moment: str, how: signal.Signals
) -> None:
    pipeline, server = mortal
    scene = Scene(Desk(pipeline, account, tmp_path))
    scene.desk.bring(BEFORE)
    scene.drop(FILE, "people.csv")
    try:
        worker = scene.worker_at(moment, retries=100)
        server.die(how)
        scene.unblock()
        if moment != "upsert":
            worker.go_on()
        worker.comes_to("silence: database postgresql")
        server.start()
        worker.comes_to("done")
        scene.assert_imported_once()
    finally:
        scene.close()


def test_everything_killed_at_once_is_imported_soon_after_the_restart(
    mortal: tuple[Pipeline, Server], account: str, tmp_path: Path
) -> None:
    pipeline, server = mortal
    scene = Scene(Desk(pipeline, account, tmp_path))
    scene.desk.bring(BEFORE)
    scene.drop(FILE, "people.csv")
    worker = scene.worker_at("copy")
    server.die(signal.SIGKILL)
    worker.kill()
    with pytest.raises(DatabaseUnavailableError):
        scene.recover()
    server.start()
    began = time.monotonic()
    assert len(scene.recover()) == 1
    assert time.monotonic() - began < SOON_SECONDS
    scene.assert_imported_once()
