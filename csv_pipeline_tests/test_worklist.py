"""A ledger of work: what remains of it, and what becomes of reports whose workers are killed."""

import contextlib
import csv
import io
import itertools
import multiprocessing
import random
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from multiprocessing.process import BaseProcess
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from csv_pipeline.cli import commands
from csv_pipeline.defs.assembly import assemble
from csv_pipeline.defs.jobs import undo_import
from csv_pipeline.defs.keys import asset_keys
from csv_pipeline.defs.resource import Engine
from csv_pipeline.engine import run, worklist
from csv_pipeline.engine.events import Event, WorklistBroke
from csv_pipeline.engine.import_requests import ACCOUNTS, JOB
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.engine.progress import Value, report_progress
from csv_pipeline.engine.worklist import Written, backups_of
from csv_pipeline.errors import SetupError
from csv_pipeline.feeds.coupa_purchase_orders import COUPA_PURCHASE_ORDERS
from csv_pipeline.files.local import path_of
from csv_pipeline.location import location_of
from csv_pipeline.settings import Settings
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.worklist import Worklist
from csv_pipeline.storage import arrivals
from csv_pipeline_tests.conftest import Desk
from csv_pipeline_tests.feeds import Person

FEED = COUPA_PURCHASE_ORDERS.name
HEADER = "PO_NUMBER,STATUS,SUPPLIER,ATTACHMENTS_FOUND,ATTACHMENTS_DOWNLOADED,LAST_PROCESSED\n"
LATER = f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%d %H:%M:%S}"


def listed(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"), newline="")))


def numbers(path: Path) -> list[str]:
    return [line["PO_NUMBER"] for line in listed(path)]


def write(desk: Desk, path: Path) -> Written:
    return desk.pipeline.write_worklist(desk.account, FEED, path)


def backups(path: Path) -> list[Path]:
    return sorted(path_of(backups_of(location_of(path))).iterdir())


def test_work_remains_until_it_is_completed_and_that_is_certain(desk: Desk, tmp_path: Path) -> None:
    desk.bring(
        HEADER + "PO100001,COMPLETED,A,2,2,2025-07-28 12:43:11\n"
        "PO100002,COMPLETED,A,,,2025-07-28 12:43:11\n"
        "PO100003,COMPLETED,A,0,0,2025-07-28 12:43:11\n"
        "PO200001,PENDING,A,,,\n"
        "PO200002,PARTIAL,A,2,1,2025-07-28 12:43:11\n"
        "PO200003,NO_ATTACHMENTS,A,0,0,2025-07-28 12:43:11\n"
        "PO200004,COMPLETED,A,2,2,\n"
        f"PO200005,COMPLETED,A,2,2,{LATER}\n"
        "PO200006,COMPLETED,A,2,0,2025-07-28 12:43:11\n"
        "PO200007,COMPLETED,A,2,,2025-07-28 12:43:11\n",
        FEED,
    )
    written = write(desk, tmp_path / "work.csv")
    assert (written.rows, written.backup, written.changed) == (7, None, True)
    assert numbers(tmp_path / "work.csv") == [f"PO20000{n}" for n in range(1, 8)]


def test_a_worklist_is_of_one_account(desk: Desk, pipeline: Pipeline, tmp_path: Path) -> None:
    desk.bring(HEADER, FEED)
    Desk(pipeline, f"{desk.account}-other", tmp_path).bring(HEADER + "PO100001,PENDING,,,,\n", FEED)
    assert write(desk, tmp_path / "work.csv").rows == 0


def test_a_worklist_can_be_read_as_a_file_of_its_feed(desk: Desk, tmp_path: Path) -> None:
    desk.bring(HEADER + "PO100001,FAILED,ACME,2,0,2025-07-28 12:43:11\n", FEED)
    write(desk, tmp_path / "work.csv")
    report = desk.bring((tmp_path / "work.csv").read_bytes(), FEED)
    assert report.counts.rejected == 0
    assert report.counts.kept + report.counts.unchanged == 1


def test_no_cell_of_a_worklist_is_a_formula(desk: Desk, tmp_path: Path) -> None:
    desk.bring(HEADER + 'PO100001,PENDING,"=HYPERLINK(""http://x"")",,,\n', FEED)
    write(desk, tmp_path / "work.csv")
    (line,) = listed(tmp_path / "work.csv")
    assert line["SUPPLIER"] == '\'=HYPERLINK("http://x")'


def test_the_earlier_worklist_is_kept_under_its_time(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "work.csv"
    desk.bring(HEADER + "PO100001,PENDING,,,,\n", FEED)
    write(desk, path)
    earlier = path.read_bytes()
    desk.bring(HEADER + "PO100002,PENDING,,,,\n", FEED)
    written = write(desk, path)
    assert numbers(path) == ["PO100001", "PO100002"]
    assert written.backup is not None
    assert [file.read_bytes() for file in backups(path)] == [earlier]
    assert abs(
        datetime.strptime(written.backup.name, "%Y%m%dT%H%M%S.%fZ.csv").replace(tzinfo=UTC)
        - datetime.now(UTC)
    ) < timedelta(minutes=1)


def test_a_worklist_that_says_the_same_stays(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "work.csv"
    desk.bring(HEADER + "PO100001,PENDING,,,,\n", FEED)
    write(desk, path)
    before = path.stat().st_mtime_ns
    assert not write(desk, path).changed
    assert path.stat().st_mtime_ns == before
    assert not path_of(backups_of(location_of(path))).exists()


def test_the_last_backups_are_kept_and_nothing_else_is_removed(
    desk: Desk, pipeline: Pipeline, tmp_path: Path
) -> None:
    path = tmp_path / "work.csv"
    settings = pipeline.settings.model_copy(update={"worklist_backups": 2})
    for number in range(5):
        desk.bring(HEADER + f"PO10000{number},PENDING,,,,\n", FEED)
        worklist.write_worklist(
            settings, pipeline.database, COUPA_PURCHASE_ORDERS, desk.account, location_of(path)
        )
        if number == 1:
            (backups(path)[0].parent / "mine.csv").write_text("a person's")
    *kept, mine = backups(path)
    assert [len(numbers(file)) for file in kept] == [3, 4]
    assert mine.name == "mine.csv"


def test_a_worklist_that_cannot_be_written_leaves_the_earlier_one(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "work.csv"
    desk.bring(HEADER + "PO100001,PENDING,,,,\n", FEED)
    write(desk, path)
    desk.bring(HEADER + "PO100002,PENDING,,,,\n", FEED)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(worklist, "_kept", full)
    with pytest.raises(OSError, match="No space"):
        write(desk, path)
    assert numbers(path) == ["PO100001"]


def test_a_feed_without_worklist_says_so(desk: Desk) -> None:
    with pytest.raises(SetupError, match="feed 'people': a feed that declares a worklist"):
        desk.pipeline.write_worklist(desk.account, "people")


def of_people(desk: Desk, where: str) -> Feed:
    columns = ("person_id", "name")
    worklist = Worklist(description="Some.", where=where, columns=columns)
    return replace(desk.pipeline.feed("people"), worklist=worklist)


def test_a_condition_is_sql_as_it_is_written(desk: Desk, tmp_path: Path) -> None:
    desk.bring("ID,Name\n1,a:b\n2,100%\n3,c\n")
    feed = of_people(desk, "name LIKE '%:b' OR name LIKE '100%' AND '1'::int = 1 OR false")
    location = location_of(tmp_path / "work.csv")
    worklist.write_worklist(
        desk.pipeline.settings, desk.pipeline.database, feed, desk.account, location
    )
    assert [line["ID"] for line in listed(tmp_path / "work.csv")] == ["1", "2"]


def test_a_condition_that_is_no_sql_says_whose_it_is(desk: Desk, tmp_path: Path) -> None:
    desk.bring("ID,Name\n1,a\n")
    feed, location = of_people(desk, "colour = 'red'"), location_of(tmp_path / "work.csv")
    with pytest.raises(SetupError, match=r'feed .people.: an SQL condition .* "colour"'):
        worklist.write_worklist(
            desk.pipeline.settings, desk.pipeline.database, feed, desk.account, location
        )
    assert not (tmp_path / "work.csv").exists()


@pytest.mark.parametrize("feed", ["dme_fee_schedule", "election_transactions"])
def test_a_file_that_is_more_than_a_row_is_no_report(desk: Desk, feed: str) -> None:
    with pytest.raises(SetupError, match="a feed was needed whose files may hold one row"):
        desk.pipeline.report_progress(desk.account, feed)


def test_the_command_says_how_much_remains_and_where(
    desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "_pipeline", lambda: desk.pipeline)
    desk.bring(HEADER + "PO100001,PENDING,,,,\n", FEED)
    words = ["worklist", FEED, "--account", desk.account]
    said = CliRunner().invoke(commands.app, words)
    path = path_of(desk.pipeline.settings.worklist_file(desk.account, FEED))
    assert "1 row remains" in said.stdout
    assert numbers(path) == ["PO100001"]
    assert path.stat().st_mode & 0o077 == 0


def test_a_run_of_dagster_writes_the_worklist_after_its_import(
    desk: Desk, pipeline: Pipeline
) -> None:
    folder = pipeline.settings.landing_folder / desk.account / FEED
    folder.mkdir(parents=True)
    (folder / "orders.csv").write_text(HEADER + "PO100001,PENDING,,,,\n")
    feed = COUPA_PURCHASE_ORDERS
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(ACCOUNTS, [desk.account])
        job = assemble([feed], Engine(lambda: pipeline)).resolve_job_def(JOB)
        result = job.execute_in_process(
            instance=instance, partition_key=desk.account, asset_selection=asset_keys(feed)
        )
    (event,) = result.asset_materializations_for_node(f"{FEED}_worklist")
    assert event.metadata["rows"].value == 1
    path = path_of(pipeline.settings.worklist_file(desk.account, FEED))
    assert numbers(path) == ["PO100001"]


def test_the_job_that_undoes_an_import_writes_the_worklist(desk: Desk, pipeline: Pipeline) -> None:
    first = desk.bring(HEADER + "PO100001,PENDING,,,,\n", FEED)
    path = path_of(pipeline.settings.worklist_file(desk.account, FEED))
    pipeline.write_worklist(desk.account, FEED)
    result = undo_import.execute_in_process(
        resources={"engine": Engine(lambda: pipeline)},
        run_config={"ops": {"undo": {"config": {"import_id": first.import_id}}}},
    )
    (event,) = [
        one
        for one in result.get_asset_materialization_events()
        if one.asset_key == dg.AssetKey(f"{FEED}_worklist")
    ]
    assert (event.partition, numbers(path)) == (desk.account, [])


def test_an_undo_is_done_though_the_worklist_cannot_be_written(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError("no room")

    first = desk.bring(HEADER + "PO100001,PENDING,,,,\n", FEED)
    monkeypatch.setattr(worklist, "write_worklist", fail)
    told: list[Event] = []
    desk.pipeline.undo(first.import_id, on_event=told.append)
    assert desk.rows(FEED) == []
    assert any(isinstance(one, WorklistBroke) for one in told)


def reported(desk: Desk) -> None:
    """Import what was reported of the test's account."""
    desk.pipeline.scan(seconds=10, account=desk.account)
    run.run(desk.pipeline, desk.pipeline.claim(desk.account, FEED))


def test_a_report_is_in_the_ledger_as_it_was_told(desk: Desk) -> None:
    desk.bring(HEADER + "PO100001,PENDING,ACME,,,\n", FEED)
    hostile = 'no "page"\nat C:\\new\\, =1+1; Größe\\'
    desk.pipeline.report_progress(
        desk.account,
        FEED,
        po_number="PO100001",
        status="PARTIAL",
        attachments_found=3,
        attachments_downloaded=1,
        error_message=hostile,
        download_folder="ACME\\2025\\",
    )
    reported(desk)
    (row,) = desk.rows(FEED)
    assert (row.status, row.supplier, row.attachments_found) == ("PARTIAL", "ACME", 3)
    assert (row.error_message, row.download_folder) == (hostile, "ACME\\2025\\")
    assert abs(row.last_processed - datetime.now(UTC)) < timedelta(minutes=1)


def test_reports_of_the_same_work_count_by_their_times(desk: Desk) -> None:
    at = datetime(2025, 7, 28, 12, 43, 11, tzinfo=UTC)
    for status, seconds in (("COMPLETED", 2), ("FAILED", 1)):
        desk.pipeline.report_progress(
            desk.account,
            FEED,
            po_number="PO100001",
            status=status,
            last_processed=at + timedelta(seconds=seconds),
        )
    reported(desk)
    assert desk.rows(FEED, "status") == [("COMPLETED",)]


@pytest.mark.parametrize(
    ("row", "found"),
    [({"po_number": "PO100001", "state": "x"}, "it has no state"), ({}, "po_number is not told")],
)
def test_a_report_of_no_column_is_refused(desk: Desk, row: dict[str, str], found: str) -> None:
    with pytest.raises(SetupError, match=found):
        desk.pipeline.report_progress(desk.account, FEED, **row)


def test_a_confidential_feed_has_no_worklist() -> None:
    with pytest.raises(SetupError, match="confidential"):
        Feed(
            name="secret",
            description="Secrets.",
            contract=Person,
            key=("person_id",),
            confidential=True,
            worklist=Worklist(description="All.", where="true", columns=("person_id",)),
        )


PAUSE = 0.4  # seconds that a worker needs at most for its work
ORDERS = [f"PO{number}" for number in range(100_000, 100_012)]
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([__name__])


def said(at: datetime, status: str) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f} {status}"


def work(settings: Settings, account: str, diary: Path, seed: int) -> None:
    """Report outcomes until killed; write down what is to be reported, and once it was."""
    chance = random.Random(seed)  # noqa: S311  # nothing is secret here
    with diary.open("a") as out:
        while True:
            number, at = chance.choice(ORDERS), datetime.now(UTC)
            status = chance.choice(["COMPLETED", "FAILED", "ERROR", "SKIPPED"])
            print("begun", number, said(at, status), sep="|", file=out, flush=True)
            row: dict[str, Value] = {"po_number": number, "status": status, "last_processed": at}
            report_progress(settings, COUPA_PURCHASE_ORDERS, account, row)
            print("done", number, said(at, status), sep="|", file=out, flush=True)
            time.sleep(chance.random() * PAUSE)


@contextlib.contextmanager
def killed_at_random(settings: Settings, account: str, folder: Path) -> Iterator[None]:
    """Keep eight workers at work and kill one after another; in the end kill them all."""
    chance, over, numbers = random.Random(), threading.Event(), itertools.count()  # noqa: S311

    def start() -> BaseProcess:
        number = next(numbers)
        arguments = (settings, account, folder / f"diary-{number}", number)
        worker = CONTEXT.Process(target=work, args=arguments)
        worker.start()
        return worker

    def kill(worker: BaseProcess) -> None:
        worker.kill()
        worker.join()
        assert worker.exitcode == -signal.SIGKILL

    def kill_some() -> None:
        while not over.wait(chance.random() / 5):
            kill(workers.pop(chance.randrange(len(workers))))
            workers.append(start())

    workers = [start() for _ in range(8)]
    killer = threading.Thread(target=kill_some)
    killer.start()
    try:
        yield
    finally:
        over.set()
        killer.join()
        for worker in workers:
            kill(worker)


def told(folder: Path, what: str) -> dict[str, list[str]]:
    """Return by order what workers wrote down as done, or as begun; the newest last."""
    found: dict[str, list[str]] = {number: [] for number in ORDERS}
    for diary in folder.glob("diary-*"):
        for line in diary.read_text().split("\n")[:-1]:
            kind, number, report = line.split("|", 2)
            if kind == what:
                found[number].append(report)
    return {number: sorted(reports) for number, reports in found.items()}


def hold_ledger(desk: Desk, folder: Path) -> int:
    """Hold the ledger to what the workers wrote down, and return how much was reported."""
    done, begun = told(folder, "done"), told(folder, "begun")
    rows = {row.po_number: said(row.last_processed, row.status) for row in desk.rows(FEED)}
    for number in ORDERS:
        newest = done[number][-1] if done[number] else ""
        # A worker that was killed may have reported without having written that down.
        may_be = {newest, *(one for one in begun[number] if one > newest)} - {""}
        assert rows.get(number, "") in may_be | (set() if newest else {""})
    return sum(map(len, done.values()))


def ledger_stays_right(desk: Desk, folder: Path, seconds: float) -> int:
    until = time.monotonic() + seconds
    with killed_at_random(desk.pipeline.settings, desk.account, folder):
        while time.monotonic() < until:
            reported(desk)
            time.sleep(0.2)
    reported(desk)
    with desk.pipeline.database.begin() as connection:
        found = arrivals.find(connection, account=desk.account)
    assert {str(arrival.status) for arrival in found} == {"imported"}
    return hold_ledger(desk, folder)


def test_the_ledger_stays_right_with_eight_workers_that_are_killed(
    desk: Desk, tmp_path: Path
) -> None:
    assert ledger_stays_right(desk, tmp_path, 3) > 2


@pytest.mark.slow
def test_the_ledger_stays_right_for_long(desk: Desk, tmp_path: Path) -> None:
    assert ledger_stays_right(desk, tmp_path, 20) > 100
