"""Dagster's own records: in the pipeline's database, where they outlive every process."""

import gc
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster_postgres import PostgresEventLogStorage

from csv_pipeline.engine.import_requests import LANE
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.settings import settings
from csv_pipeline.storage.database import schema_url
from csv_pipeline_tests.conftest import new_database

ROOT = Path(__file__).parents[1]


@pytest.fixture
def given_server(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Give the environment the test server's address, as an operator would."""
    url = pipeline.database.engine.url.render_as_string(hide_password=False)
    monkeypatch.setenv("CSV_PIPELINE_DATABASE_URL", url)
    monkeypatch.setenv("CSV_PIPELINE_HOME", str(tmp_path))
    settings.cache_clear()
    yield
    settings.cache_clear()


def instance() -> dg.DagsterInstance:
    return dg.DagsterInstance.from_config(str(ROOT))


@pytest.mark.usefixtures("given_server")
def test_a_run_is_still_there_for_the_next_process() -> None:
    with instance() as first:
        run_id = first.create_run_for_job(_nothing).run_id
    with instance() as second:
        assert second.get_run_by_id(run_id) is not None


@pytest.mark.usefixtures("given_server")
def test_a_process_that_opens_it_for_each_tick_keeps_nothing_of_that() -> None:
    def objects_after_opening_it() -> int:
        with instance() as opened:
            opened.get_run_records(limit=1)
        gc.collect()
        return len(gc.get_objects())

    counts = [objects_after_opening_it() for _ in range(5)]
    assert counts[-1] - counts[2] < 500  # it was 700 each time, and threads keep something


@pytest.mark.usefixtures("given_server")
def test_dagsters_tables_keep_to_their_own_schema(pipeline: Pipeline) -> None:
    with instance() as opened:
        opened.get_runs()
    inspector = sa.inspect(pipeline.database.engine)
    assert {"runs", "event_logs"} <= set(inspector.get_table_names(schema="dagster"))
    assert not inspector.get_table_names(schema="public")


@pytest.mark.usefixtures("given_server")
def test_logs_and_handovers_lie_in_the_pipelines_home(tmp_path: Path) -> None:
    with instance() as opened:
        assert Path(opened.storage_directory()).is_relative_to(tmp_path / "dagster")


@pytest.mark.usefixtures("given_server")
def test_a_lane_has_one_run_at_a_time_and_runs_wait_for_a_code_server_that_is_away() -> None:
    with instance() as opened:
        queue = opened.get_concurrency_config().run_queue_config
    assert queue is not None
    assert queue.max_user_code_failure_retries * queue.user_code_failure_retry_delay == 300
    (limit,) = queue.tag_concurrency_limits
    assert (limit["key"], limit["limit"]) == (LANE, 1)
    assert limit["value"] == {"applyLimitPerUniqueValue": True}


@pytest.mark.usefixtures("given_server")
def test_runs_that_no_process_takes_up_are_watched() -> None:
    with instance() as opened:
        assert opened.run_monitoring_enabled
        assert opened.run_monitoring_start_timeout_seconds == 180


@pytest.mark.usefixtures("given_server")
def test_a_run_prints_no_line_for_each_of_its_own_steps(capfd: pytest.CaptureFixture[str]) -> None:
    with instance() as opened:
        assert _nothing.execute_in_process(instance=opened).success
    assert "RUN_START" not in capfd.readouterr().err


def test_the_installed_package_has_the_same_dagster_yaml_and_it_says_each_thing_once() -> None:
    packaged = ROOT / "csv_pipeline" / "dagster.yaml"
    assert packaged.read_text() == (ROOT / "dagster.yaml").read_text()
    sections = re.findall(r"^\w+", packaged.read_text(), flags=re.MULTILINE)
    assert len(sections) == len(set(sections)) > 10


@dg.job
def _nothing() -> None:
    """Do nothing."""


def test_tables_that_another_process_is_still_making_are_not_taken_to_be_there(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with new_database(pipeline.database.engine.url) as url:
        monkeypatch.setenv("CSV_PIPELINE_DATABASE_URL", url)
        monkeypatch.setenv("CSV_PIPELINE_HOME", str(tmp_path))
        settings.cache_clear()
        try:
            begun = schema_url(settings(), "dagster").set(drivername="postgresql+psycopg2")
            PostgresEventLogStorage(begun.render_as_string(hide_password=False))
            with instance() as opened:
                assert not opened.get_runs()
        finally:
            settings.cache_clear()


@pytest.mark.usefixtures("given_server")
def test_what_a_run_prints_is_kept_and_shown_and_takes_no_process(tmp_path: Path) -> None:
    program = (
        "import dagster as dg, subprocess, sys\n"
        "def none(*_, **__): raise SystemExit('a process was started')\n"
        "with dg.DagsterInstance.from_config(sys.argv[1]) as instance:\n"
        "    subprocess.Popen = none\n"
        "    with instance.compute_log_manager.capture_logs(['run', 'compute_logs', 'key']):\n"
        "        print('said'); print('warned', file=sys.stderr)\n"
        "    print('after')\n"
    )
    command = [sys.executable, "-c", program, str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.split() == ["said", "after"]
    assert "warned" in done.stderr
    kept = {path.suffix: path.read_text() for path in tmp_path.rglob("key.*")}
    assert kept[".out"] == "said\n"
    assert "warned" in kept[".err"]
