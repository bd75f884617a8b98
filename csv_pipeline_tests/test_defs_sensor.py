"""Whom the landing sensor and the nightly schedule ask runs for, and how often."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import dagster as dg
import pytest
import sqlalchemy as sa

from csv_pipeline.defs import sensors
from csv_pipeline.defs.lanes import by_turns
from csv_pipeline.defs.resource import Engine
from csv_pipeline.defs.schedules import nightly
from csv_pipeline.defs.sensors import MORE, UNFINISHED, heard, landing
from csv_pipeline.engine.import_requests import ACCOUNTS, JOB, LANE, batches
from csv_pipeline.engine.importer import Import
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.engine.workspace import Stage
from csv_pipeline.errors import SetupError
from csv_pipeline.settings import Settings
from csv_pipeline.spec.feed import Feed
from csv_pipeline.storage import arrivals, readings, tables
from csv_pipeline.storage.arrivals import Backlog
from csv_pipeline_tests.conftest import advance, ingest

PEOPLE = "ID,Name\n1,Ann\n"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture(scope="module")
def night_instance() -> Iterator[dg.DagsterInstance]:
    """An instance that a schedule can open by itself."""
    with dg.instance_for_test() as instance:
        yield instance


class Landing:
    """The landing area of the test's account, and the sensor that looks at it."""

    def __init__(self, pipeline: Pipeline, account: str, instance: dg.DagsterInstance) -> None:
        self.pipeline, self.account, self.instance = pipeline, account, instance

    def drop(self, name: str, content: str = PEOPLE, feed: str = "people") -> Path:
        path = self.pipeline.settings.landing_folder / self.account / feed / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    def tick(self, cursor: str | None = None, **settings: Any) -> dg.SensorResult:
        changed = self.pipeline.settings.model_copy(update=settings)
        engine = Engine(lambda: replace(self.pipeline, settings=changed))
        context = dg.build_sensor_context(
            instance=self.instance, resources={"engine": engine}, cursor=cursor
        )
        result = landing(context)
        assert isinstance(result, dg.SensorResult)
        return result

    def requests(self, **settings: Any) -> list[dg.RunRequest]:
        """Return the requests of one tick for the test's own account."""
        requests = self.tick(**settings).run_requests or []
        return [request for request in requests if request.partition_key == self.account]

    def let_time_pass(self) -> None:
        """Let the runs that were asked for be ones that Dagster should know by now."""
        long_ago = datetime(2020, 1, 1, tzinfo=UTC)
        with self.pipeline.database.begin() as connection:
            connection.execute(sa.update(tables.arrival).values(requested_at=long_ago))

    def arrivals(self) -> dict[str, int]:
        with self.pipeline.database.begin() as connection:
            rows = arrivals.find(connection, account=self.account)
        return {arrival.name: arrival.arrival_id for arrival in rows}


@pytest.fixture
def area(pipeline: Pipeline, account: str, instance: dg.DagsterInstance) -> Landing:
    return Landing(pipeline, account, instance)


def test_a_new_file_is_asked_a_run_for(area: Landing) -> None:
    area.drop("one.csv")
    (request,) = area.requests()
    arrival_id = area.arrivals()["one.csv"]
    assert request.run_config == {"ops": {"people": {"config": {"arrival_ids": [arrival_id]}}}}
    assert request.asset_selection == [dg.AssetKey("people"), dg.AssetKey("people_rejects")]
    assert request.tags[LANE] == f"{area.account}/people"


def test_files_of_one_lane_share_a_run_and_lanes_do_not(area: Landing) -> None:
    area.drop("one.csv")
    area.drop("two.csv")
    area.drop("three.csv", "Key,Value\na,1\n", feed="versions")
    lanes = {request.tags[LANE]: request.run_config["ops"] for request in area.requests()}
    assert set(lanes) == {f"{area.account}/people", f"{area.account}/versions"}
    assert len(lanes[f"{area.account}/people"]["people"]["config"]["arrival_ids"]) == 2


def test_a_new_account_becomes_a_partition_in_the_same_tick(area: Landing) -> None:
    area.drop("one.csv")
    (added,) = area.tick().dynamic_partitions_requests or []
    assert added.partitions_def_name == ACCOUNTS
    assert area.account in added.partition_keys


def test_a_known_account_is_not_added_again(area: Landing) -> None:
    area.drop("one.csv")
    area.instance.add_dynamic_partitions(ACCOUNTS, [area.account])
    added = area.tick().dynamic_partitions_requests or []
    assert area.account not in [key for request in added for key in request.partition_keys]


def test_a_second_request_for_the_same_files_has_another_key(area: Landing) -> None:
    area.drop("one.csv")
    (first,) = area.requests()
    area.let_time_pass()
    (second,) = area.requests()
    assert first.run_config == second.run_config
    assert first.run_key != second.run_key


def test_a_second_lane_of_an_account_comes_after_first_lanes_of_others(area: Landing) -> None:
    area.drop("one.csv")
    area.drop("three.csv", "Key,Value\na,1\n", feed="versions")
    other = Landing(area.pipeline, f"{area.account}-other", area.instance)
    other.drop("one.csv")
    asked = area.tick().run_requests or []
    behind = {request.tags[LANE]: request.tags.get("dagster/priority") for request in asked}
    own = sorted(str(behind[f"{area.account}/{feed}"]) for feed in ("people", "versions"))
    assert own == ["-1", "None"]
    assert behind[f"{other.account}/people"] is None


def test_a_lane_comes_later_while_another_of_its_account_is_busy(area: Landing) -> None:
    _add_run(area, "START")
    area.drop("three.csv", "Key,Value\na,1\n", feed="versions")
    (request,) = area.requests()
    assert request.tags["dagster/priority"] == "-1"


def test_a_file_that_a_run_was_just_asked_for_is_asked_no_other_for(area: Landing) -> None:
    area.drop("one.csv")
    assert len(area.requests()) == 1
    assert area.requests() == []
    area.let_time_pass()
    assert len(area.requests()) == 1


def test_what_was_heard_to_be_complete_is_asked_a_run_for_at_once(
    area: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "_RUNS_AT_ONCE", 100_000)  # other tests leave files waiting
    whole, growing = area.drop("whole.csv"), area.drop("growing.csv")
    began = time.monotonic()
    asked = area.tick(cursor=heard([whole]), settle_seconds=60)
    assert time.monotonic() - began < 30
    assert area.account in {request.partition_key for request in asked.run_requests or ()}
    assert set(area.arrivals()) == {whole.name}
    assert growing.exists()


def test_what_was_heard_of_is_no_more_than_a_hint(area: Landing) -> None:
    gone, misplaced = area.drop("gone.csv"), area.drop("misplaced.csv", feed="peeple")
    open_still = area.drop("open.csv")
    gone.unlink()
    with open_still.open("a"):
        asked = area.tick(cursor=heard([gone, misplaced, open_still]))
    assert area.account not in {request.partition_key for request in asked.run_requests or ()}
    assert set(area.arrivals()) == {"misplaced.csv"}


def test_a_watch_is_told_that_files_wait_behind_a_run(area: Landing) -> None:
    path = area.drop("one.csv")
    _add_run(area, "START")
    asked = area.tick(cursor=heard([path]))
    assert area.account not in {request.partition_key for request in asked.run_requests or ()}
    assert asked.cursor == MORE
    assert area.tick().cursor == ""


def test_no_more_runs_are_asked_for_than_may_wait_at_once(area: Landing) -> None:
    area.drop("one.csv")
    other = area.instance.add_run(dg.DagsterRun(JOB, tags={LANE: "another/lane"}))
    begun = dg.DagsterEvent("PIPELINE_STARTING", job_name=JOB)
    area.instance.report_dagster_event(begun, other.run_id)
    assert not area.tick(runs_per_tick=1).run_requests
    assert len(area.requests(runs_per_tick=1_000)) == 1


@pytest.mark.parametrize("event", ["STARTING", "START", "CANCELING"])
def test_a_lane_with_an_unfinished_run_is_asked_no_other_for(area: Landing, event: str) -> None:
    area.drop("one.csv")
    _add_run(area, event)
    assert area.requests() == []


def test_a_queued_run_counts_as_unfinished() -> None:
    # Dagster lets only a code server's runs be queued, so none can be made here.
    assert dg.DagsterRunStatus.QUEUED in UNFINISHED


def test_a_lane_whose_run_has_ended_is_asked_for_again(area: Landing) -> None:
    area.drop("one.csv")
    _add_run(area, "FAILURE")
    assert len(area.requests()) == 1


def test_an_imported_file_is_never_asked_for_again(area: Landing) -> None:
    area.drop("one.csv")
    area.tick()
    for claim in area.pipeline.claim(area.account, "people"):
        ingest(area.pipeline, claim)
    assert area.requests() == []


def test_a_tick_asks_for_no_more_runs_than_the_settings_allow(area: Landing) -> None:
    area.drop("one.csv")
    area.drop("two.csv", "Key,Value\na,1\n", feed="versions")
    assert len(area.tick(runs_per_tick=1).run_requests or []) == 1


def test_a_tick_opens_no_file(area: Landing, monkeypatch: pytest.MonkeyPatch) -> None:
    area.drop("one.csv")
    opened, open_ = [], Path.open

    def noted(path: Path, *how: Any, **more: Any) -> Any:
        opened.append(path.name)
        return open_(path, *how, **more)

    monkeypatch.setattr(Path, "open", noted)
    assert len(area.requests()) == 1
    assert "one.csv" not in opened


def test_a_tick_out_of_time_goes_on_where_it_stopped(area: Landing) -> None:
    area.drop("one.csv")
    stopped = area.tick(tick_seconds=1e-9)
    assert stopped.cursor
    assert area.tick(cursor=stopped.cursor).cursor == ""


def test_a_tick_with_nothing_new_says_why(area: Landing) -> None:
    path = area.drop("one.csv", feed="peeple")
    area.tick(runs_per_tick=0)
    result = area.tick(runs_per_tick=0)  # a file that was told of lies there still
    assert result.run_requests == []
    assert f"Misplaced: {path}: a folder named after a feed was needed; found 'peeple' (did" in str(
        result.skip_reason
    )


def test_accounts_take_turns() -> None:
    lanes = [_lane("a", feed) for feed in ("x", "y", "z")] + [_lane("b", "x")]
    turns = [f"{lane.account}{lane.feed}" for lane in by_turns(lanes)]
    assert turns == ["ax", "bx", "ay", "az"]


@pytest.mark.parametrize(
    ("sizes", "runs"),
    [
        pytest.param([1, 1, 1, 1], [(0, 1, 2), (3,)], id="by count"),
        pytest.param([60, 40, 1], [(0, 1), (2,)], id="by bytes"),
        pytest.param([900, 1, 1], [(0,), (1, 2)], id="a large file goes alone"),
        pytest.param([], [], id="nothing waits"),
    ],
)
def test_a_run_takes_the_files_in_their_order_that_fit(
    sizes: list[int], runs: list[tuple[int, ...]]
) -> None:
    limits = Settings(files_per_run=3, bytes_per_run=100)
    assert list(batches(_lane("a", "x", sizes), limits)) == runs


def test_the_sensor_and_the_schedule_run_unless_somebody_stops_them(pipeline: Pipeline) -> None:
    assert landing.default_status is dg.DefaultSensorStatus.RUNNING
    assert landing.minimum_interval_seconds == 5
    assert nightly.default_status is dg.DefaultScheduleStatus.RUNNING


def test_the_night_asks_for_no_run_over_a_file_that_failed_three_times(
    area: Landing, night_instance: dg.DagsterInstance
) -> None:
    area.drop("bad.csv")
    area.tick()
    for nights in (1, 1, 0):
        (claim,) = area.pipeline.claim(area.account, "people")
        Import(area.pipeline, claim).fail(ZeroDivisionError("a bug"))
        ingest(area.pipeline, claim)
        assert len(_night(area, night_instance)) == nights


def test_the_night_asks_for_one_run_over_a_lanes_failed_and_waiting_files(
    area: Landing, night_instance: dg.DagsterInstance
) -> None:
    area.drop("bad.csv")
    area.tick()
    (claim,) = area.pipeline.claim(area.account, "people")
    Import(area.pipeline, claim).fail(ZeroDivisionError("a bug"))
    ingest(area.pipeline, claim)
    assert area.requests() == []
    area.drop("one.csv")
    area.tick()
    (request,) = _night(area, night_instance)
    known = area.arrivals()
    assert _arrivals_of(request) == [known["bad.csv"], known["one.csv"]]
    assert request.tags[LANE] == f"{area.account}/people"


def test_the_night_asks_for_runs_of_the_size_of_the_sensors_over_all_that_waits_in_order(
    area: Landing, night_instance: dg.DagsterInstance
) -> None:
    for number in range(7):
        area.drop(f"{number}.csv")
    settings = area.pipeline.settings.model_copy(update={"files_per_run": 3})
    area.pipeline.scan(seconds=10)
    small = Landing(replace(area.pipeline, settings=settings), area.account, area.instance)
    known = area.arrivals()
    requests = _night(small, night_instance)
    assert [_arrivals_of(request) for request in requests] == [
        [known[f"{number}.csv"] for number in numbers] for numbers in ((0, 1, 2), (3, 4, 5), (6,))
    ]
    assert len({request.run_key for request in requests}) == 3


def _arrivals_of(request: dg.RunRequest) -> list[int]:
    config = request.run_config["ops"]["people"]["config"]
    assert set(config) == {"arrival_ids"}
    return list(config["arrival_ids"])


def test_two_nights_ask_under_two_keys(area: Landing, night_instance: dg.DagsterInstance) -> None:
    area.drop("one.csv")
    area.tick()
    (first,), (second,) = (_night(area, night_instance, day=day) for day in (1, 2))
    assert first.run_key != second.run_key


def _night(area: Landing, instance: dg.DagsterInstance, day: int = 1) -> list[dg.RunRequest]:
    """Return what the night asks for; the account is a partition by then."""
    requested = [
        request
        for request in _all_of_a_night(area.pipeline, instance, day)
        if request.partition_key == area.account
    ]
    assert not requested or area.account in instance.get_dynamic_partitions(ACCOUNTS)
    return requested


def _all_of_a_night(
    pipeline: Pipeline, instance: dg.DagsterInstance, day: int = 1
) -> list[dg.RunRequest]:
    context = dg.build_schedule_context(
        instance=instance,
        scheduled_execution_time=datetime(2026, 1, day, 2, tzinfo=UTC),
        resources={"engine": Engine(lambda: pipeline)},
    )
    requests = cast("Iterator[dg.RunRequest | dg.SkipReason]", nightly(context))
    return [request for request in requests if isinstance(request, dg.RunRequest)]


def _add_run(area: Landing, event: str) -> None:
    """Let the lane have a run to which this happened last."""
    run = area.instance.add_run(dg.DagsterRun(JOB, tags={LANE: f"{area.account}/people"}))
    happened = dg.DagsterEvent(f"PIPELINE_{event}", job_name=JOB)
    area.instance.report_dagster_event(happened, run.run_id)


def _lane(account: str, feed: str, sizes: list[int] | None = None) -> Backlog:
    sizes = [1] if sizes is None else sizes
    return Backlog(
        account=account,
        feed=feed,
        arrival_ids=tuple(range(len(sizes))),
        sizes=tuple(sizes),
        requests=0,
    )


def test_a_tick_puts_away_what_a_killed_worker_left(area: Landing) -> None:
    path = area.drop("one.csv")
    area.tick()
    (claim,) = area.pipeline.claim(area.account, "people")
    advance(Import(area.pipeline, claim), Stage.LOAD)
    assert path.exists()
    area.tick()
    assert not path.exists()


def test_no_run_is_asked_for_a_feed_that_is_held_back_and_its_files_wait(
    area: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hold(_: object, feed: Feed) -> list[object]:
        if feed.name == "people":
            raise SetupError("people: another reading")
        return []

    area.drop("people.csv")
    area.drop("customers.csv", "Customer ID,Name\nC1,Ann\n", feed="customers")
    with monkeypatch.context() as held:
        held.setattr(readings, "hold", hold)
        for _ in range(2):
            asked = {str(request.tags[LANE]) for request in area.requests()}
            area.let_time_pass()
            assert asked == {f"{area.account}/customers"}
    assert {str(r.tags[LANE]) for r in area.requests()} >= {f"{area.account}/people"}
