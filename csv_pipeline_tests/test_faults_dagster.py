"""Dagster killed, reloaded and started twice: no run stays STARTED, and no living one is ended."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from csv_pipeline.engine.pipeline import Pipeline, open_pipeline
from csv_pipeline.feeds import FEEDS
from csv_pipeline.settings import Settings
from csv_pipeline.storage import arrivals, imports, lane_lock
from csv_pipeline_tests.test_defs_dev import CUSTOMERS, LONG_SECONDS, ROOT, Ui, wait_for

pytestmark = pytest.mark.slow
SOON_SECONDS = 60
RELOAD = "mutation { reloadWorkspace { __typename } }"
TICKS = """{ workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError {
    ... on RepositoryLocation { repositories { sensors {
        name sensorState { ticks(limit: 20) { timestamp endTimestamp } }
    } } }
} } } } }"""
OVER = {"SUCCESS", "FAILURE", "CANCELED"}


class House:
    """A home, its database, and as many `dagster dev` over it as a test starts."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.pipeline: Pipeline = open_pipeline(Settings(home=home), FEEDS)
        self.blocker: sa.Connection | None = None
        self.started: list[subprocess.Popen[bytes]] = []

    def start(self) -> Ui:
        """Start `dagster dev` and return its page when it is up."""
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = free.getsockname()[1]
        ours = ("CSV_PIPELINE_", "DAGSTER_")
        environment = {n: value for n, value in os.environ.items() if not n.startswith(ours)}
        environment |= {"CSV_PIPELINE_HOME": str(self.home)}
        with (self.home / f"dev-{port}.log").open("w") as output:
            self.started.append(
                subprocess.Popen(  # noqa: S603
                    [sys.executable, "-m", "dagster", "dev", "--port", str(port)],
                    cwd=ROOT,
                    env=environment,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            )
        ui = Ui(port)
        wait_for(ui.is_up, LONG_SECONDS)
        return ui

    def kill_everything(self) -> None:
        """Kill all of Dagster and the database at once."""
        postmaster = (self.home / "postgres" / "postmaster.pid").read_text().split()[0]
        for dev in self.started:
            os.killpg(dev.pid, signal.SIGKILL)
        os.kill(int(postmaster), signal.SIGKILL)
        for dev in self.started:
            dev.wait(timeout=LONG_SECONDS)
        self.started.clear()
        self.unblock()

    def drop(self, account: str, name: str) -> None:
        folder = self.home / "landing" / account / "customers"
        folder.mkdir(parents=True, exist_ok=True)
        # As others do who are not to be caught half-way: under another name first.
        (folder / f".{name}").write_text(CUSTOMERS.replace("C1", name))
        (folder / f".{name}").rename(folder / name)

    def block(self, account: str) -> None:
        """Let loads for an account wait."""
        self.blocker = self.pipeline.database.engine.connect()
        lane_lock.enter_lanes(self.blocker, {(account, "customers")})
        self.blocker.commit()
        assert lane_lock.try_lane(self.blocker, account, "customers")

    def unblock(self) -> None:
        if self.blocker is not None:
            self.blocker.invalidate()
            self.blocker.close()
            self.blocker = None

    def is_loading(self) -> bool:
        query = (
            "SELECT count(*) FROM pg_stat_activity WHERE application_name ~ '^csv-pipeline load'"
        )
        with self.pipeline.database.begin() as connection:
            return bool(connection.scalar(sa.text(query)))

    def statuses(self) -> list[str]:
        """Return where each file stands; nothing while the database is silent."""
        with self.pipeline.database.begin() as connection:
            return [str(arrival.status) for arrival in arrivals.find(connection)]

    def imported(self) -> list[str]:
        """Return the files imported, in order, as often as they were."""
        with self.pipeline.database.begin() as connection:
            reports = imports.newest(connection, limit=1_000)
        return sorted(report.name for report, _ in reports if report.outcome == "imported")

    def stop(self) -> None:
        self.unblock()
        for dev in self.started:
            os.killpg(dev.pid, signal.SIGINT)
        for dev in self.started:
            dev.wait(timeout=LONG_SECONDS)
        self.pipeline.close()


@pytest.fixture
def house() -> Iterator[House]:
    with tempfile.TemporaryDirectory(prefix="csv-pipeline-", ignore_cleanup_errors=True) as home:
        house = House(Path(home))
        try:
            yield house
        finally:
            house.stop()


def statuses(ui: Ui) -> list[str]:
    return sorted(run["status"] for run in ui.runs())


def test_everything_killed_and_restarted_goes_on_within_60_seconds(house: House) -> None:
    house.start()
    house.block("acme")
    house.drop("acme", "one.csv")
    wait_for(house.is_loading, SOON_SECONDS)
    house.drop("acme", "two.csv")
    house.kill_everything()
    began = time.monotonic()
    ui = house.start()
    wait_for(lambda: house.statuses() == ["imported"] * 2, SOON_SECONDS)
    print(f"imported {time.monotonic() - began:.0f} s after the restart began")  # noqa: T201
    wait_for(lambda: set(statuses(ui)) <= OVER, SOON_SECONDS)
    assert statuses(ui).count("FAILURE") == 1
    assert house.imported() == ["one.csv", "two.csv"]


def test_a_reload_of_the_code_ends_no_run_that_lives(house: House) -> None:
    ui = house.start()
    house.block("acme")
    house.drop("acme", "one.csv")
    wait_for(house.is_loading, SOON_SECONDS)
    ask(ui, RELOAD)
    reloaded_at = time.time()
    wait_for(lambda: looks_for_dead_workers(ui, reloaded_at) >= 2, SOON_SECONDS)
    assert statuses(ui) == ["STARTED"]
    house.unblock()
    wait_for(lambda: statuses(ui) == ["SUCCESS"], SOON_SECONDS)
    assert house.imported() == ["one.csv"]


def test_a_run_that_is_terminated_ends_and_gives_its_file_to_the_next(house: House) -> None:
    ui = house.start()
    house.block("acme")
    house.drop("acme", "one.csv")
    wait_for(house.is_loading, SOON_SECONDS)
    runs = ask(ui, "{ runsOrError { ... on Runs { results { runId } } } }")["runsOrError"]
    (run,) = runs["results"]
    ask(ui, f'mutation {{ terminateRun(runId: "{run["runId"]}") {{ __typename }} }}')
    wait_for(lambda: "waiting" in house.statuses(), SOON_SECONDS)
    house.unblock()
    wait_for(lambda: statuses(ui) == ["CANCELED", "SUCCESS"], SOON_SECONDS)
    assert house.imported() == ["one.csv"]


def test_two_daemons_at_once_import_each_file_once(house: House) -> None:
    uis = [house.start(), house.start()]
    names = [f"{letter}.csv" for letter in "abcdef"]
    for number, name in enumerate(names):
        house.drop(f"account-{number % 3}", name)
        time.sleep(1)
    wait_for(lambda: house.statuses() == ["imported"] * len(names), 3 * SOON_SECONDS)
    assert house.imported() == names
    wait_for(lambda: set(statuses(uis[0])) <= OVER, SOON_SECONDS)


def looks_for_dead_workers(ui: Ui, since: float) -> int:
    """Return how often the sensor for dead workers has run from its beginning to its end."""
    entries = ask(ui, TICKS)["workspaceOrError"]["locationEntries"]
    locations = (entry["locationOrLoadError"] or {} for entry in entries)
    repositories = (one for location in locations for one in location.get("repositories", ()))
    sensors = (sensor for one in repositories for sensor in one["sensors"])
    ticks = (t for s in sensors if s["name"] == "stalled_runs" for t in s["sensorState"]["ticks"])
    return sum(tick["timestamp"] > since and tick["endTimestamp"] is not None for tick in ticks)


def ask(ui: Ui, query: str) -> Any:
    body = json.dumps({"query": query}).encode()
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"{ui.url}/graphql", body, headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        return json.load(answer)["data"]
