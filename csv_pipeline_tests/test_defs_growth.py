"""Dagster's records are removed when nothing is shown of them any more."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.scheduler.instigation import InstigatorType, TickStatus

from csv_pipeline.defs.growth import nightly_retention, retention
from csv_pipeline.defs.resource import Engine
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.settings import Settings, settings
from csv_pipeline.storage import dagster_records
from csv_pipeline_tests.test_defs_instance import given_server, instance

__all__ = ["given_server"]


@dg.asset(partitions_def=dg.StaticPartitionsDefinition(["acme", "globex"]))
def _table(context: dg.AssetExecutionContext) -> int:
    print("a line of the step")  # noqa: T201
    return 1


@dg.op
def _fail() -> None:
    raise ValueError


@dg.job
def _failing() -> None:
    _fail()


class Place:
    """Dagster on a real server, with runs of any age."""

    def __init__(self, pipeline: Pipeline, opened: dg.DagsterInstance) -> None:
        self.pipeline, self.instance = pipeline, opened
        self.job = dg.Definitions(
            assets=[_table],
            jobs=[dg.define_asset_job("tables", [_table])],
            executor=dg.in_process_executor,
        ).resolve_job_def("tables")

    def run(self, partition: str) -> str:
        return self.job.execute_in_process(instance=self.instance, partition_key=partition).run_id

    def age(self, run_id: str, days: int) -> None:
        ended = (
            "UPDATE dagster.runs SET update_timestamp = now() AT TIME ZONE 'UTC' "
            "- make_interval(days => :days) WHERE run_id = :run_id"
        )
        with self.pipeline.database.begin() as connection:
            connection.execute(sa.text(ended), {"days": days, "run_id": run_id})

    def remove(self, *, days: int | None = 30, dry_run: bool = False) -> int:
        its = self.pipeline.settings.model_copy(update={"keep_runs_days": days})
        result = retention.execute_in_process(
            instance=self.instance,
            resources={"engine": Engine(lambda: replace(self.pipeline, settings=its))},
            run_config={"ops": {"remove_expired": {"config": {"dry_run": dry_run}}}},
        )
        removed: dict[str, int] = result.output_for_node("remove_expired")
        return removed["runs of Dagster"]

    def is_there(self, run_id: str) -> bool:
        return self.instance.get_run_by_id(run_id) is not None


@pytest.fixture
def place(
    given_server: None, uncrowded_pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    url = uncrowded_pipeline.database.engine.url.render_as_string(hide_password=False)
    monkeypatch.setenv("CSV_PIPELINE_DATABASE_URL", url)
    settings.cache_clear()
    with instance() as opened:
        yield Place(uncrowded_pipeline, opened)
        for run in opened.get_runs():
            opened.delete_run(run.run_id)


def test_an_old_run_goes_with_its_events_and_what_it_printed(place: Place) -> None:
    old, newest = place.run("acme"), place.run("acme")
    for run_id in (old, newest):
        place.age(run_id, 31)
    left = [Path(place.instance.storage_directory()) / old, settings().dagster_area / "logs" / old]
    assert any(path.exists() for path in left)
    assert place.remove() == 1
    assert not place.is_there(old)
    assert place.instance.all_logs(old) == []
    assert not any(path.exists() for path in left)
    assert place.remove() == 0


def test_the_newest_run_of_each_partition_stays_whatever_its_age(place: Place) -> None:
    newest = [place.run("acme"), place.run("globex")]
    for run_id in newest:
        place.age(run_id, 4_000)
    assert place.remove() == 0
    for run_id, partition in zip(newest, ("acme", "globex"), strict=True):
        assert place.instance.all_logs(run_id) != []
        shown = place.instance.fetch_materializations(
            dg.AssetRecordsFilter(_table.key, asset_partitions=[partition]), limit=1
        )
        assert shown.records[0].run_id == run_id


def test_of_checks_without_a_run_the_newest_answer_stays(place: Place) -> None:
    def answers() -> list[bool]:
        with place.pipeline.database.begin() as connection:
            query = "SELECT count(*) FROM dagster.event_logs WHERE run_id = ''"
            known = connection.scalar(sa.text(query))
        records = place.instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(_table.key, "fine"), limit=10
        )
        assert len(records) == known
        found = [one.event.dagster_event for one in records if one.event is not None]
        return [one.asset_check_evaluation_data.passed for one in found if one is not None]

    for passed in (False, True, False):
        place.instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(asset_key=_table.key, check_name="fine", passed=passed)
        )
    place.remove()
    assert answers() == [False, True, False]
    with place.pipeline.database.begin() as connection:
        past = "UPDATE dagster.asset_check_executions SET create_timestamp = '2026-01-01'"
        connection.execute(sa.text(past))
    place.remove()
    assert answers() == [False]


def test_a_young_run_and_one_that_has_not_ended_stay(place: Place) -> None:
    young, going, _ = place.run("acme"), place.run("acme"), place.run("acme")
    place.age(young, 29)
    place.age(going, 31)
    with place.pipeline.database.begin() as connection:
        started = "UPDATE dagster.runs SET status = 'STARTED' WHERE run_id = :run_id"
        connection.execute(sa.text(started), {"run_id": going})
    assert place.remove() == 0
    assert place.is_there(young)
    assert place.is_there(going)


def test_a_run_that_failed_goes_too(place: Place) -> None:
    failed = _failing.execute_in_process(instance=place.instance, raise_on_error=False).run_id
    place.age(failed, 31)
    assert place.remove() == 1
    assert not place.is_there(failed)


def test_a_dry_run_counts_and_removes_nothing(place: Place) -> None:
    old, newest = place.run("acme"), place.run("acme")
    place.age(old, 31)
    assert place.remove(dry_run=True) == 1
    assert place.is_there(old)
    assert place.is_there(newest)
    assert place.instance.all_logs(old) != []


def test_runs_are_kept_for_ever_if_nobody_says_for_how_long(place: Place) -> None:
    old, _ = place.run("acme"), place.run("acme")
    place.age(old, 4_000)
    assert place.remove(days=None) == 0
    assert place.is_there(old)


def test_it_holds_by_default(tmp_path: Path) -> None:
    assert Settings(home=tmp_path).keep_runs_days == 30
    assert nightly_retention.default_status is dg.DefaultScheduleStatus.RUNNING


def test_where_dagster_keeps_its_records_elsewhere_nothing_is_removed(pipeline: Pipeline) -> None:
    with pipeline.database.engine.connect() as connection:
        connection.execute(sa.text("DROP SCHEMA IF EXISTS dagster CASCADE"))
        assert dagster_records.old_runs(connection, 30) == []
        connection.rollback()


@pytest.mark.usefixtures("given_server")
def test_ticks_are_removed_by_dagster() -> None:
    with instance() as opened:
        kept = opened.get_tick_retention_settings(InstigatorType.SENSOR)
        assert kept[TickStatus.SKIPPED] == 1
        assert min(kept.values()) > 0
        assert set(opened.get_tick_retention_settings(InstigatorType.SCHEDULE).values()) == {30}
