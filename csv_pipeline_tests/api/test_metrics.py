"""Each number that the dashboard shows is there, and each that is there is shown."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families

from csv_pipeline.api.routes.metrics import HELP
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.storage.figures import figures
from csv_pipeline_tests.api.test_access import Api
from csv_pipeline_tests.conftest import Desk

DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana" / "csv_pipeline.json"
LABELS = {
    "imports": {"account", "feed", "outcome"},
    "rows": {"account", "feed", "outcome"},
    "arrivals": {"account", "feed", "status"},
    "oldest_waiting_seconds": {"account", "feed"},
    "open_rejects": {"account", "feed"},
    "step_seconds": {"account", "feed", "step"},
    "queued_runs": set(),
    "oldest_queued_seconds": set(),
    "sensor_lag_seconds": set(),
    "daemon_silent_seconds": {"daemon"},
}


def queries() -> list[dict[str, Any]]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target for panel in panels for target in panel["targets"]]


def test_the_dashboard_shows_every_metric_and_no_other() -> None:
    named = {name for one in queries() for name in re.findall(r"csv_pipeline_(\w+)", one["expr"])}
    assert named == set(HELP) == set(LABELS)


@pytest.mark.parametrize("query", queries(), ids=lambda one: one["expr"])
def test_a_query_groups_by_labels_that_its_metric_has(query: dict[str, str]) -> None:
    (name,) = re.findall(r"csv_pipeline_(\w+)", query["expr"])
    groups = {
        label for by in re.findall(r"by \(([^)]*)\)", query["expr"]) for label in by.split(", ")
    }
    asked = groups | set(re.findall(r"(\w+)=~?\"", query["expr"]))
    assert asked <= LABELS[name]
    assert set(re.findall(r"{{(\w+)}}", query["legendFormat"])) <= groups


def test_metrics_have_these_labels_and_count_what_was_imported(desk: Desk, api_of: Api) -> None:
    desk.bring("ID,Name,Amount\n1,Ann,5\n2,Bob,abc\n")
    found = {
        sample.name.removeprefix("csv_pipeline_"): sample
        for family in text_string_to_metric_families(api_of(None).get("/metrics").text)
        for sample in family.samples
        if sample.labels.get("account") == desk.account
        and sample.labels.get("outcome", "rejected") in {"rejected", "imported"}
        and sample.labels.get("step", "load") == "load"
    }
    for name, sample in found.items():
        assert set(sample.labels) == LABELS[name]
    assert found["rows"].value == 1
    assert found["open_rejects"].value == 1
    assert 0 < found["step_seconds"].value < 60


def test_what_dagster_knows_is_measured(pipeline: Pipeline) -> None:
    with pipeline.database.engine.connect() as connection:
        for statement in _DAGSTER:
            connection.execute(sa.text(statement))
        found = {
            one.name: one.value
            for one in figures(connection)
            if "account" not in one.labels and one.labels.get("daemon", "SENSOR") == "SENSOR"
        }
        connection.rollback()
    assert found == {
        "queued_runs": 1,
        "oldest_queued_seconds": 60,
        "sensor_lag_seconds": pytest.approx(7, abs=0.1),
        "daemon_silent_seconds": 30,
    }


_DAGSTER = (
    "DROP SCHEMA IF EXISTS dagster CASCADE",
    "CREATE SCHEMA dagster",
    "CREATE TABLE dagster.daemon_heartbeats AS SELECT 'SENSOR' AS daemon_type, "
    "now() AT TIME ZONE 'UTC' - interval '30 s' AS timestamp",
    "CREATE TABLE dagster.runs AS SELECT 'QUEUED' AS status, "
    "now() AT TIME ZONE 'UTC' - interval '60 s' AS create_timestamp",
    "CREATE TABLE dagster.instigators AS SELECT 'SENSOR' AS instigator_type, 'RUNNING' AS status, "
    "json_build_object('origin', json_build_object('job_name', 'landing'), 'job_specific_data', "
    "json_build_object('last_tick_timestamp', extract(epoch FROM now()) - 7))::text "
    "AS instigator_body",
)
