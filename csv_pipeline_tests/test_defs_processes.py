"""A run whose steps have a process each keeps its claims from the first to the last."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from csv_pipeline.defs.assembly import assemble
from csv_pipeline.defs.keys import asset_keys
from csv_pipeline.defs.resource import Engine
from csv_pipeline.engine.import_requests import ACCOUNTS, JOB
from csv_pipeline.engine.lease_renewer import LeaseRenewer
from csv_pipeline.engine.pipeline import Pipeline, open_pipeline
from csv_pipeline.files.landing import found_file
from csv_pipeline.location import location_of
from csv_pipeline.model import Outcome
from csv_pipeline.settings import Settings
from csv_pipeline.storage import arrivals, imports, tables
from csv_pipeline_tests.conftest import Desk, settled
from csv_pipeline_tests.feeds import TEST_FEEDS

ELSEWHERE = "host/boot/namespace/1/2"
FILES = {
    "one.csv": "ID,Name,Amount\n1,Ann,5.00\n2,Bob,6.00\n",
    "two.csv": "ID,Name,Amount\n3,Cid,7.00\n4,Dee,abc\n",
    "bad.csv": "Colour,Size\nred,3\n",
}


def job() -> dg.JobDefinition:
    """Return the real job, as a process of its own finds it by its environment."""
    made = assemble(TEST_FEEDS, Engine(lambda: open_pipeline(Settings(), TEST_FEEDS)))
    apart = dg.Definitions(
        assets=made.assets,
        jobs=made.jobs,
        resources=made.resources,
        executor=dg.multiprocess_executor.configured({"max_concurrent": 2}),
    )
    return apart.resolve_job_def(JOB)


@pytest.fixture
def instance(
    pipeline: Pipeline, account: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    url = pipeline.database.engine.url.render_as_string(hide_password=False)
    monkeypatch.setenv("CSV_PIPELINE_DATABASE_URL", url)
    monkeypatch.setenv("CSV_PIPELINE_HOME", str(pipeline.settings.home))
    monkeypatch.setenv("CSV_PIPELINE_LEASE_SECONDS", "2")
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        instance.add_dynamic_partitions(ACCOUNTS, [account])
        yield instance


@pytest.mark.slow
def test_all_files_of_a_run_with_a_process_for_each_step_are_imported_once(
    pipeline: Pipeline, account: str, instance: dg.DagsterInstance
) -> None:
    landing = pipeline.settings.landing_folder / account / "people"
    landing.mkdir(parents=True)
    for name, content in FILES.items():
        (landing / name).write_text(content)
    pipeline.scan(seconds=10)
    with (
        others_that_would_take_them(pipeline, account) as taken,
        dg.execute_job(
            dg.reconstructable(job),
            instance,
            tags={"dagster/partition": account},
            asset_selection=asset_keys(pipeline.feed("people")),
        ) as result,
    ):
        assert result.success
        run_id = result.run_id
        steps = {event.step_key for event in result.all_events if event.is_step_success}
        assert len(steps) == 6
    assert taken == []
    rows = {row.name: row for row in arrivals_of(pipeline, account)}
    assert {name: str(row.status) for name, row in rows.items()} == {
        "one.csv": "imported", "two.csv": "imported", "bad.csv": "refused",
    }  # fmt: skip
    assert {(row.attempt, row.deaths, row.failures) for row in rows.values()} == {(1, 0, 0)}
    with pipeline.database.begin() as connection:
        reports = [report for report, _ in imports.newest(connection, account=account)]
    assert sorted(report.name for report in reports) == sorted(FILES)
    assert sum(report.counts.inserted for report in reports) == 3
    said = [line.user_message for line in instance.all_logs(run_id)]
    assert [line for line in said if "dropped" in line] == []


@contextmanager
def others_that_would_take_them(pipeline: Pipeline, account: str) -> Iterator[list[Any]]:
    """Give what another worker could take of an account after the first of its files is claimed."""
    taken: list[Any] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.2):
            with pipeline.database.begin() as connection:
                claimed = [
                    row.name
                    for row in arrivals.find(connection, account=account)
                    if row.status == "claimed"
                ]
                lanes = arrivals.backlog(connection)
            if claimed:
                taken.extend(lane for lane in lanes if lane.account == account)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield taken
    finally:
        over.set()
        looking.join()


def arrivals_of(pipeline: Pipeline, account: str) -> list[Any]:
    with pipeline.database.begin() as connection:
        return arrivals.find(connection, account=account)


def test_between_two_steps_the_claims_of_a_run_belong_to_no_process(desk: Desk) -> None:
    import_ = desk.claimed(FILES["one.csv"], run_id="run")
    desk.pipeline.leases.drop(import_.claim)
    ending, going_on = (LeaseRenewer(desk.pipeline.database, 60) for _ in range(2))
    ending.work_on("run", whole=False)
    ending.hold([import_.claim])
    ending.hand_over()
    ending.renew()
    (row,) = arrivals_of(desk.pipeline, desk.account)
    assert (row.status, row.worker, ending.holds(import_.claim)) == ("claimed", None, False)
    assert desk.pipeline.claim(desk.account, "people") == []
    going_on.hold([import_.claim])
    going_on.renew()
    assert going_on.holds(import_.claim)
    assert settled(import_).outcome is Outcome.IMPORTED
    for leases in (ending, going_on):
        leases.stop()


def test_a_step_that_ends_leaves_a_claim_that_another_process_works_on_to_it(desk: Desk) -> None:
    claim = desk.claimed(FILES["one.csv"], run_id="run").claim
    desk.pipeline.leases.drop(claim)
    leases = LeaseRenewer(desk.pipeline.database, 60)
    leases.hold([claim])
    mine = tables.arrival.c.arrival_id == claim.arrival_id
    with desk.pipeline.database.begin() as connection:
        connection.execute(sa.update(tables.arrival).where(mine).values(worker=ELSEWHERE))
    leases.hand_over()
    (row,) = arrivals_of(desk.pipeline, desk.account)
    assert row.worker == ELSEWHERE
    leases.stop()


CLAIMS_AND_ENDS = """
from csv_pipeline.engine.pipeline import open_pipeline
from csv_pipeline.settings import Settings
from csv_pipeline_tests.feeds import TEST_FEEDS

pipeline = open_pipeline(Settings(), TEST_FEEDS)
pipeline.claim({account!r}, "people", run_id="run")
pipeline.claim({account!r}, "limited")
"""


def test_a_process_that_ends_gives_back_only_what_it_claimed_for_no_run(
    desk: Desk, instance: dg.DagsterInstance
) -> None:
    for feed in ("people", "limited"):
        path = desk.folder / f"{feed}.csv"
        path.write_text("ID,Key\n1,1\n")
        with desk.pipeline.database.begin() as connection:
            arrivals.register(connection, [found_file(location_of(path), desk.account, feed)])
    code = CLAIMS_AND_ENDS.format(account=desk.account)
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603
    rows = {row.feed: row for row in arrivals_of(desk.pipeline, desk.account)}
    assert {feed: str(row.status) for feed, row in rows.items()} == {
        "people": "claimed", "limited": "waiting",
    }  # fmt: skip
    assert rows["people"].worker is None
