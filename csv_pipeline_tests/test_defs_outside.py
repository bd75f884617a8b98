"""What commands import and undo shows in Dagster, and what is downstream there follows."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from csv_pipeline.cli import opening
from csv_pipeline.cli.commands import app
from csv_pipeline.defs.assembly import assemble
from csv_pipeline.defs.checks import CHECKS
from csv_pipeline.defs.outside import outside_runs
from csv_pipeline.defs.resource import Engine
from csv_pipeline.engine.import_requests import ACCOUNTS, JOB
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.storage.settled import Position, settled
from csv_pipeline_tests.conftest import Desk
from csv_pipeline_tests.test_defs_runs import plain

TABLE, REJECTS = dg.AssetKey("people"), dg.AssetKey("people_rejects")
MESSY = "ID,Name,Amount\n1,Ann,5.00\n2,Bob,abc\n"


@dg.asset(
    deps=[TABLE],
    partitions_def=dg.DynamicPartitionsDefinition(name=ACCOUNTS),
    automation_condition=dg.AutomationCondition.eager(),
)
def somebodys_own() -> None:
    """Follow the table."""


class Dagster:
    """A real instance, whose daemon ticks when it is told to, and runs what is asked for."""

    def __init__(self, pipeline: Pipeline, account: str, instance: dg.DagsterInstance) -> None:
        self.pipeline, self.account, self.instance = pipeline, account, instance
        self.engine = Engine(lambda: pipeline)
        feeds = [pipeline.feed("people"), pipeline.feed("visits")]
        own = dg.Definitions(assets=[somebodys_own])
        self.defs = dg.Definitions.merge(assemble(feeds, self.engine), own)
        self.job = self.defs.resolve_job_def(JOB)
        self.cursor: str | None = None
        self.automation: Any = None

    def tick(self) -> list[dg.ExecuteInProcessResult]:
        """Run what the sensor asks for of the account, as often as it has more."""
        done = list[dg.ExecuteInProcessResult]()
        before: str | None = ""
        while before != self.cursor:
            context = dg.build_sensor_context(
                instance=self.instance, resources={"engine": self.engine}, cursor=self.cursor
            )
            result = outside_runs(context)
            assert isinstance(result, dg.SensorResult)
            for request in result.dynamic_partitions_requests or ():
                self.instance.add_dynamic_partitions(ACCOUNTS, list(request.partition_keys))
            of_account = (
                one for one in result.run_requests or () if one.partition_key == self.account
            )
            done += [self.run(request) for request in of_account]
            before, self.cursor = self.cursor, result.cursor
        return done

    def run(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        done = self.job.execute_in_process(
            instance=self.instance,
            partition_key=request.partition_key,
            asset_selection=request.asset_selection,
            run_config=request.run_config,
            tags=request.tags,
        )
        assert done.success
        return done

    def shown(self, key: dg.AssetKey = TABLE) -> list[dg.AssetMaterialization]:
        """Return the account's materialisations, the newest first."""
        of = dg.AssetRecordsFilter(key, asset_partitions=[self.account])
        records = self.instance.fetch_materializations(of, limit=10).records
        return [r.asset_materialization for r in records if r.asset_materialization]

    def follows(self) -> int:
        """Return how many runs automation asks for now."""
        result = dg.evaluate_automation_conditions(
            self.defs,
            self.instance,
            asset_selection=dg.AssetSelection.assets(somebodys_own),
            cursor=self.automation,
        )
        self.automation = result.cursor
        return result.get_num_requested(somebodys_own.key)


@pytest.fixture
def dagster(pipeline: Pipeline, account: str) -> Iterator[Dagster]:
    with dg.DagsterInstance.ephemeral() as instance:
        place = Dagster(pipeline, account, instance)
        place.tick()  # past what other tests did
        yield place


def facts(one: dg.AssetMaterialization) -> dict[str, Any]:
    return {name: plain(value) for name, value in one.metadata.items()}


@pytest.fixture
def command(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(opening, "pipeline", lambda: pipeline)

    def call(*arguments: object) -> None:
        done = CliRunner().invoke(app, [str(one) for one in arguments])
        assert done.exit_code == 0, done.output

    return call


def test_a_command_that_imports_replays_and_undoes_shows_what_a_run_would(
    dagster: Dagster, command: Any, desk: Desk
) -> None:
    file, fixed = desk.folder / "file.csv", desk.folder / "fixed.csv"
    file.write_text(MESSY)
    command("import", file, "-a", desk.account, "-f", "people")
    dagster.tick()
    (first,) = dagster.shown()
    assert facts(first)["inserted"] == 1
    assert facts(first)["dagster/partition_row_count"] == 1
    number = facts(first)["per file"][0]["import"]
    (rejects,) = dagster.shown(REJECTS)
    assert facts(rejects)["first rejects"][0]["file"] == "file.csv"
    assert facts(rejects)["dagster/partition_row_count"] == 1

    command("rejects", number, "--out", fixed)
    fixed.write_text(fixed.read_text("utf-8-sig").replace("abc", "6.00"))
    command("replay", fixed)
    dagster.tick()
    assert facts(dagster.shown(REJECTS)[0])["dagster/partition_row_count"] == 0
    command("undo", number)
    dagster.tick()
    undo, replay, _ = dagster.shown()
    assert facts(replay)["inserted"] == 1
    assert facts(undo)["undo"].startswith(f"import {number} is undone by import")
    assert facts(undo)["dagster/partition_row_count"] == 1  # the row that was replayed
    assert dagster.account in dagster.instance.get_dynamic_partitions(ACCOUNTS)


def test_a_run_says_whose_imports_it_shows_and_evaluates_each_check(
    dagster: Dagster, desk: Desk
) -> None:
    desk.bring("Colour,Size\nred,3\n", name="wrong.csv")
    desk.bring(MESSY, name="messy.csv")
    (run,) = dagster.tick()
    stored = dagster.instance.get_run_by_id(run.run_id)
    assert stored is not None
    assert stored.tags["csv_pipeline/account"] == desk.account
    assert stored.tags["csv_pipeline/files"] == "wrong.csv, messy.csv"
    assert stored.tags["csv_pipeline/outcome"] == "1 refused, 1 imported"
    evaluations = run.get_asset_check_evaluations()
    assert {its.check_name for its in evaluations} == set(CHECKS)
    assert {its.partition for its in evaluations} == {desk.account}
    failed = {its.check_name for its in evaluations if not its.passed}
    assert {"reject_rate", "nothing_to_look_at"} <= failed


def test_automation_of_somebodys_own_asset_follows_an_import_and_an_undo(
    dagster: Dagster, desk: Desk
) -> None:
    dagster.follows()
    report = desk.bring(MESSY)
    dagster.tick()
    assert dagster.follows() == 1
    assert dagster.follows() == 0
    desk.pipeline.undo(report.import_id)
    dagster.tick()
    assert dagster.follows() == 1


def test_what_is_derived_shows_its_counts(dagster: Dagster, desk: Desk) -> None:
    report = desk.bring("Visit,Day,Spent\na,2026-05-01,5\n", "visits")
    dagster.tick()
    desk.pipeline.undo(report.import_id)
    dagster.tick()
    shown = dagster.shown(dg.AssetKey("visits_by_day"))
    assert [facts(one)["dagster/partition_row_count"] for one in shown] == [0, 1]


def test_what_a_run_of_dagster_did_is_not_shown_once_more(dagster: Dagster, desk: Desk) -> None:
    report = desk.bring(MESSY, run_id="a-run")
    dagster.pipeline.undo(report.import_id, run_id="another-run")
    assert dagster.tick() == []


def test_nothing_is_shown_twice_and_nothing_that_commits_late_is_missed(
    dagster: Dagster, desk: Desk
) -> None:
    with dagster.pipeline.database.engine.connect() as late:
        late.execute(sa.text("SELECT pg_current_xact_id()"))  # began before, and is open
        desk.bring(MESSY)
        assert dagster.tick() == []
        late.rollback()
    assert len(dagster.tick()) == 1
    assert dagster.tick() == []


def test_a_run_shows_no_import_of_another_account(dagster: Dagster, desk: Desk) -> None:
    report = desk.bring(MESSY)
    dagster.instance.add_dynamic_partitions(ACCOUNTS, ["another"])
    done = dagster.job.execute_in_process(
        instance=dagster.instance,
        partition_key="another",
        asset_selection=[TABLE, REJECTS],
        run_config={"ops": {"people": {"config": {"settled": [report.import_id]}}}},
        raise_on_error=False,
    )
    assert not done.success
    assert done.get_asset_materialization_events() == []


def test_a_copy_of_the_database_on_another_server_begins_anew(pipeline: Pipeline) -> None:
    with pipeline.database.begin() as connection:
        far = Position(turn=2**62)
        _, now = settled(connection, far, 10)
    assert now.turn < far.turn
