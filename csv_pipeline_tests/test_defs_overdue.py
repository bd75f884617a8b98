"""The files of each feed have a check that names overdue accounts; no run is needed for it."""

import dagster as dg
import pytest

from csv_pipeline.account import Account
from csv_pipeline.defs.assembly import assemble
from csv_pipeline.defs.overdue import CHECK, overdue_accounts
from csv_pipeline.defs.resource import Engine
from csv_pipeline.engine.accounts import declare
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline_tests.conftest import Desk
from csv_pipeline_tests.test_overdue import came

FILES = dg.AssetKey("people_files")


@pytest.fixture
def pipeline(uncrowded_pipeline: Pipeline) -> Pipeline:
    return uncrowded_pipeline


class Sensor:
    """The sensor, and what it reported of the check of the files of `people`."""

    def __init__(self, pipeline: Pipeline, instance: dg.DagsterInstance) -> None:
        self.engine, self.instance = Engine(lambda: pipeline), instance
        self.cursor: str | None = None

    def tick(self) -> list[dg.AssetCheckEvaluation]:
        told = overdue_accounts(
            dg.build_sensor_context(
                instance=self.instance, resources={"engine": self.engine}, cursor=self.cursor
            )
        )
        assert isinstance(told, dg.SensorResult)
        self.cursor = told.cursor
        found = [one for one in told.asset_events if isinstance(one, dg.AssetCheckEvaluation)]
        for one in found:
            self.instance.report_runless_asset_event(one)
        return [one for one in found if one.asset_key == FILES]


def test_the_check_names_who_is_overdue_until_a_file_comes_and_is_told_when_it_changes(
    desk: Desk,
) -> None:
    desk.bring("ID,Name\n1,Ann\n")
    feed = desk.pipeline.feed("people")
    with dg.DagsterInstance.ephemeral() as instance:
        sensor = Sensor(desk.pipeline, instance)
        assert [one.passed for one in sensor.tick()] == [True]
        declare(desk.pipeline, Account(account=desk.account), {"expected_every": "1h"})
        with desk.pipeline.database.begin() as connection:
            connection.exec_driver_sql(
                "UPDATE csv_pipeline.arrival SET seen_at = seen_at - interval '2 hours'"
            )
        (late,) = sensor.tick()
        assert (late.passed, late.metadata["accounts"].value) == (False, 1)
        assert desk.account in str(late.metadata["overdue"].value)
        assert sensor.tick() == []
        defs = assemble([feed], sensor.engine)
        job = defs.resolve_implicit_global_asset_job_def().get_subset(
            asset_selection=set(), asset_check_selection={dg.AssetCheckKey(FILES, CHECK)}
        )
        (now,) = job.execute_in_process(instance=instance).get_asset_check_evaluations()
        assert (now.check_name, now.passed) == (CHECK, False)
        came(desk, 0)
        assert [one.passed for one in sensor.tick()] == [True]
