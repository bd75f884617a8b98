"""Derived tables in Dagster: recomputed by the run that imports, by hand, and by a sensor."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from csv_pipeline.defs.assembly import assemble
from csv_pipeline.defs.chart import line_svg
from csv_pipeline.defs.derived import derived_tables
from csv_pipeline.defs.jobs import undo_import
from csv_pipeline.defs.keys import asset_keys
from csv_pipeline.defs.resource import Engine
from csv_pipeline.engine import run
from csv_pipeline.engine.import_requests import ACCOUNTS, JOB, LANE
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.storage import recompute
from csv_pipeline_tests.conftest import Desk

VISITS = "Visit,Day,Spent\n"
TABLE = dg.AssetKey("visits_by_day")


class Dagster:
    """Runs the real jobs for the test's account in this process."""

    def __init__(self, pipeline: Pipeline, account: str, instance: dg.DagsterInstance) -> None:
        self.pipeline, self.account, self.instance = pipeline, account, instance
        self.feed, self.engine = pipeline.feed("visits"), Engine(lambda: pipeline)
        self.job = assemble([self.feed], self.engine).resolve_job_def(JOB)
        instance.add_dynamic_partitions(ACCOUNTS, [account])

    def drop(self, rows: str) -> None:
        folder = Path(self.pipeline.settings.landing_folder) / self.account / "visits"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{abs(hash(rows))}.csv").write_text(VISITS + rows)

    def run(
        self, *keys: dg.AssetKey, config: dict[str, Any] | None = None
    ) -> dg.ExecuteInProcessResult:
        return self.job.execute_in_process(
            instance=self.instance,
            partition_key=self.account,
            asset_selection=list(keys or asset_keys(self.feed)),
            run_config=config,
            raise_on_error=False,
        )

    def requests(self) -> list[dg.RunRequest]:
        context = dg.build_sensor_context(instance=self.instance, resources={"engine": self.engine})
        result = derived_tables(context)
        assert isinstance(result, dg.SensorResult)
        return [r for r in result.run_requests or () if r.partition_key == self.account]


@pytest.fixture
def dagster(pipeline: Pipeline, account: str) -> Any:
    with dg.instance_for_test() as instance:
        yield Dagster(pipeline, account, instance)


def told_of(result: dg.ExecuteInProcessResult, key: dg.AssetKey = TABLE) -> dict[str, Any]:
    (event,) = [e for e in result.get_asset_materialization_events() if e.asset_key == key]
    return {name: value.value for name, value in event.materialization.metadata.items()}


def test_the_run_that_imports_recomputes_what_is_derived(dagster: Dagster, desk: Desk) -> None:
    dagster.drop("a,2026-05-01,5\nb,2026-05-01,7\nc,,1\n")
    told = told_of(dagster.run())
    assert told["dagster/partition_row_count"] == 2
    assert (told["rows"], told["scopes recomputed"], told["rows recomputed"]) == (3, 2, 2)
    assert told["first rows"].records[0].data == {"day": "2026-05-01", "rows": 2, "spent": "12"}
    assert len(desk.rows("visits_by_day")) == 2


def test_a_dry_run_leaves_it_out(dagster: Dagster, desk: Desk) -> None:
    dagster.drop("a,2026-05-01,5\n")
    result = dagster.run(config={"ops": {"visits": {"config": {"dry_run": True}}}})
    assert result.success
    assert desk.rows("visits_by_day") == []


def test_it_is_recomputed_by_hand_without_an_import(
    dagster: Dagster, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "recompute_touched", lambda *_: None)
    desk.bring(VISITS + "a,2026-05-01,5\n", "visits")
    assert told_of(dagster.run(TABLE))["imports since the last time"] == 1
    everything = {"ops": {"visits_by_day": {"config": {"everything": True}}}}
    assert told_of(dagster.run(TABLE, config=everything))["everything"]


def test_a_run_whose_recompute_fails_says_so_and_keeps_what_it_imported(
    dagster: Dagster, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> int:
        raise ZeroDivisionError

    dagster.drop("a,2026-05-01,5\n")
    with monkeypatch.context() as patched:
        patched.setattr(recompute._Recompute, "_insert", broken)  # noqa: SLF001
        result = dagster.run()
    failed = [event.step_key for event in result.get_step_failure_events()]
    assert failed == ["visits_by_day"]
    assert len(desk.rows("visits")) == 1
    (request,) = dagster.requests()
    assert request.asset_selection == [TABLE]
    assert dagster.run(TABLE).success
    assert len(desk.rows("visits_by_day")) == 1
    assert dagster.requests() == []


def test_the_sensor_leaves_a_lane_alone_whose_run_will_recompute_it(
    dagster: Dagster, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "recompute_touched", lambda *_: None)
    desk.bring(VISITS + "a,2026-05-01,5\n", "visits")
    assert len(dagster.requests()) == 1
    tags = {LANE: f"{dagster.account}/visits"}
    dagster.instance.create_run_for_job(dagster.job, tags=tags, status=dg.DagsterRunStatus.STARTED)
    assert dagster.requests() == []


def test_the_job_that_undoes_an_import_recomputes_what_is_derived(
    dagster: Dagster, desk: Desk
) -> None:
    report = desk.bring(VISITS + "a,2026-05-01,5\n", "visits")
    result = undo_import.execute_in_process(
        instance=dagster.instance,
        resources={"engine": dagster.engine},
        run_config={"ops": {"undo": {"config": {"import_id": report.import_id}}}},
    )
    assert told_of(result)["rows before"] == 1
    assert desk.rows("visits_by_day") == []


def test_the_graph_goes_from_the_source_to_what_is_derived(dagster: Dagster) -> None:
    graph = assemble([dagster.feed], dagster.engine).resolve_asset_graph()
    path = ("default_source", "visits_files", "visits", "visits_by_day")
    for before, after in pairwise(path):
        assert graph.get(dg.AssetKey(after)).parent_keys == {dg.AssetKey(before)}
    assert graph.get(dg.AssetKey("visits_rejects")).parent_keys == {dg.AssetKey("visits_files")}
    assert all(graph.get(dg.AssetKey(name)).description for name in path)


def test_a_line_goes_from_the_first_to_the_last_point_up_to_the_highest() -> None:
    picture = line_svg(["orders", "items"], [("<a>", 1, None), ("b", 4, 2), ("c", 0, 4)])
    assert 'points="0.0,90.0 140.0,0.0 280.0,120.0"' in picture
    assert 'points="0.0,120.0 140.0,60.0 280.0,0.0"' in picture
    assert "&lt;a&gt; … c" in picture
    assert "orders: 5 in all" in picture


def test_a_single_point_is_a_line_and_no_point_is_none() -> None:
    assert 'points="0.0,0.0 280.0,0.0"' in line_svg(["orders"], [("a", 7)])
    assert "no rows" in line_svg(["orders"], [])
