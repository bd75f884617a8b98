"""Checks say what needs a person as the ledger has it; no run is needed for that."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from csv_pipeline.account import Account
from csv_pipeline.defs.assembly import assemble
from csv_pipeline.defs.attention import OF_A_FEED, OF_NONE, needs_attention
from csv_pipeline.defs.keys import LANDING_AREA
from csv_pipeline.defs.resource import Engine
from csv_pipeline.engine.accounts import declare
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.spec.feed import BrokenFeed
from csv_pipeline.storage import attention, silent_stores
from csv_pipeline_tests.conftest import Desk, ingest
from csv_pipeline_tests.test_attention import GOOD, MESSY, WRONG
from csv_pipeline_tests.test_overdue import TOLD, came

FILES = dg.AssetKey("people_files")


@pytest.fixture
def pipeline(uncrowded_pipeline: Pipeline) -> Pipeline:
    return uncrowded_pipeline


class Sensor:
    """The sensor, and what it reported of the checks of the files of `people`, and of the area."""

    def __init__(self, pipeline: Pipeline, instance: dg.DagsterInstance) -> None:
        self.pipeline, self.instance = pipeline, instance
        self.cursor: str | None = None
        self.told: dict[str, dg.AssetCheckEvaluation] = {}
        self.tick()
        self.told.clear()

    def tick(self) -> dict[str, bool]:
        """Return which checks changed, and whether they pass now."""
        result = needs_attention(
            dg.build_sensor_context(
                instance=self.instance,
                resources={"engine": Engine(lambda: self.pipeline)},
                cursor=self.cursor,
            )
        )
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        found = [one for one in result.asset_events if isinstance(one, dg.AssetCheckEvaluation)]
        for one in found:
            self.instance.report_runless_asset_event(one)
        ours = [one for one in found if one.asset_key in {FILES, LANDING_AREA}]
        self.told |= {one.check_name: one for one in ours}
        return {one.check_name: one.passed for one in ours}

    def lines(self, check: str) -> list[dict[str, Any]]:
        """Return what a check named when it was reported last."""
        table = self.told[check].metadata["what needs a person"]
        assert isinstance(table, dg.TableMetadataValue)
        return [dict(record.data) for record in table.records]

    def set_back(self, days: float) -> None:
        """Let all files have come so many days earlier."""
        with self.pipeline.database.begin() as connection:
            its = sa.text(
                "UPDATE csv_pipeline.arrival SET seen_at = seen_at - CAST(:ago AS interval)"
            )
            connection.execute(its, {"ago": f"{days} days"})


def arrive(desk: Desk, feed: str) -> Path:
    """Let a file arrive in a folder of the landing area."""
    path = in_place(desk, feed)
    path.write_text(GOOD)
    desk.pipeline.scan(seconds=10)
    return path


def in_place(desk: Desk, feed: str) -> Path:
    folder = desk.pipeline.settings.landing_folder / desk.account / feed
    folder.mkdir(parents=True)
    return folder / "a.csv"


def take_all(desk: Desk) -> None:
    """Import all that waits."""
    for claim in desk.pipeline.claim(desk.account, "people"):
        ingest(desk.pipeline, claim)


@pytest.fixture
def sensor(pipeline: Pipeline) -> Iterator[Sensor]:
    # Nothing that another test left needs anybody, nor what its files would be entered as.
    shutil.rmtree(pipeline.settings.landing_folder, ignore_errors=True)
    with pipeline.database.begin() as connection:
        connection.execute(sa.text("TRUNCATE csv_pipeline.arrival, csv_pipeline.import CASCADE"))
    with dg.DagsterInstance.ephemeral() as instance:
        yield Sensor(pipeline, instance)


def test_at_first_every_check_is_told_and_then_those_that_change(
    sensor: Sensor, desk: Desk
) -> None:
    sensor.cursor = None
    assert sensor.tick() == dict.fromkeys([*OF_A_FEED, *OF_NONE], True)
    assert sensor.tick() == {}
    for files in (1, 2):
        desk.bring(WRONG)
        assert sensor.tick() == {"files_accepted": False}
        assert sensor.told["files_accepted"].metadata["needing"].value == files
        assert sensor.tick() == {}


def test_a_refused_file_is_told_until_one_of_its_name_is_imported(
    sensor: Sensor, desk: Desk
) -> None:
    refused = desk.bring(WRONG, name="a.csv")
    assert sensor.tick() == {"files_accepted": False}
    (line,) = sensor.lines("files_accepted")
    assert (line["account"], line["file"], line["state"]) == (desk.account, "a.csv", "refused")
    assert line["what helps"].startswith(f"csv-pipeline suggest {refused.import_id}; or correct")
    desk.bring(GOOD, name="b.csv")
    assert sensor.tick() == {}
    desk.bring(GOOD.replace("Ann", "Eve"), name="a.csv")
    assert sensor.tick() == {"files_accepted": True}


def test_a_person_who_dismisses_it_ends_it_without_a_run(sensor: Sensor, desk: Desk) -> None:
    found = [desk.bring(WRONG, name="a.csv"), desk.bring(MESSY, name="b.csv")]
    assert sensor.tick() == {"files_accepted": False, "rows_accepted": False}
    with desk.pipeline.database.begin() as connection:
        for report in found:
            attention.dismiss(connection, report.import_id)
    assert sensor.tick() == {"files_accepted": True, "rows_accepted": True}


def test_a_misplaced_file_is_told_of_the_landing_area_until_it_is_moved(
    sensor: Sensor, desk: Desk
) -> None:
    lost = arrive(desk, "peopel")
    assert sensor.tick() == {"files_in_place": False}
    (line,) = sensor.lines("files_in_place")
    assert "did you mean" in line["problem"]
    lost.rename(in_place(desk, "people"))
    desk.pipeline.scan(seconds=10)
    assert sensor.tick() == {"files_in_place": True}
    take_all(desk)


def test_a_file_that_does_not_go_on_is_told_until_it_does(sensor: Sensor, desk: Desk) -> None:
    arrive(desk, "people")
    assert sensor.tick() == {}
    sensor.set_back(0.5)
    assert sensor.tick() == {"files_go_on": False}
    take_all(desk)
    assert sensor.tick() == {"files_go_on": True}


def test_a_silent_store_is_told_of_the_landing_area_until_it_answers(
    sensor: Sensor, pipeline: Pipeline
) -> None:
    with pipeline.database.begin() as connection:
        silent_stores.note(connection, "s3://bucket", "no route to host", listing=True)
    assert sensor.tick() == {"stores_answer": False}
    assert "asked again by itself" in sensor.lines("stores_answer")[0]["what helps"]
    with pipeline.database.begin() as connection:
        silent_stores.answered(connection, ["s3://bucket"])
    assert sensor.tick() == {"stores_answer": True}


def test_a_broken_feed_is_told_of_the_landing_area_until_it_is_corrected(
    sensor: Sensor, pipeline: Pipeline
) -> None:
    sensor.pipeline = replace(pipeline, broken=(BrokenFeed(name="sales", why="no key"),))
    assert sensor.tick() == {"feeds_usable": False}
    (line,) = sensor.lines("feeds_usable")
    assert (line["file"], line["problem"]) == ("sales", "no key")
    assert sensor.tick() == {}
    sensor.pipeline = pipeline
    assert sensor.tick() == {"feeds_usable": True}


def test_who_is_overdue_is_told_of_the_feed_or_of_none_until_a_file_comes(
    sensor: Sensor, desk: Desk
) -> None:
    desk.bring(GOOD)
    declare(desk.pipeline, Account(account=desk.account, feed="people"), {"expected_every": "1h"})
    sensor.set_back(0.5)
    assert sensor.tick() == {"accounts_on_time": False}
    assert sensor.told["accounts_on_time"].asset_key == FILES
    with desk.pipeline.database.begin() as connection:  # for alerts
        assert len(connection.execute(TOLD, {"account": desk.account}).all()) == 1
    declare(desk.pipeline, Account(account=desk.account), {"expected_every": "1h"})
    assert sensor.tick() == {"accounts_on_time": False}
    assert sensor.told["accounts_on_time"].asset_key == LANDING_AREA
    came(desk, 0)
    assert sensor.tick() == {"accounts_on_time": True}


def test_a_person_may_have_them_evaluated_at_any_time(sensor: Sensor, desk: Desk) -> None:
    desk.bring(WRONG)
    defs = assemble([desk.pipeline.feed("people")], Engine(lambda: desk.pipeline))
    wanted = {dg.AssetCheckKey(FILES, name) for name in ("files_accepted", "rows_accepted")}
    job = defs.resolve_implicit_global_asset_job_def().get_subset(
        asset_selection=set(), asset_check_selection=wanted
    )
    found = job.execute_in_process(instance=sensor.instance).get_asset_check_evaluations()
    assert {one.check_name: one.passed for one in found} == {
        "files_accepted": False,
        "rows_accepted": True,
    }
