"""What only objects have; `test_files` and `test_file_stores` hold what all files have."""

import itertools
import re
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from pydantic import ValidationError
from typer.testing import CliRunner

from csv_pipeline.cli import commands, opening
from csv_pipeline.defs.assembly import assemble
from csv_pipeline.defs.resource import Engine
from csv_pipeline.defs.sensors import landing as landing_sensor
from csv_pipeline.engine.import_requests import ACCOUNTS, JOB
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.engine.workspace import Stage
from csv_pipeline.errors import SetupError
from csv_pipeline.files import objects
from csv_pipeline.files.landing import ScanResult, scan_landing
from csv_pipeline.location import Location
from csv_pipeline.model import Outcome
from csv_pipeline.settings import Settings
from csv_pipeline.storage import tables
from csv_pipeline_tests.conftest import advance
from csv_pipeline_tests.file_stores import Bucket, named
from csv_pipeline_tests.landings import GOOD, OTHER, TODAY, Landing


@pytest.fixture
def landing(pipeline: Pipeline, account: str, bucket: Bucket) -> Iterator[Landing]:
    yield Landing(pipeline, account, bucket)
    with pipeline.database.begin() as connection:
        connection.execute(sa.delete(tables.silent_store))


def statuses(landing: Landing) -> dict[str, str]:
    return {name: str(row.status) for name, row in landing.arrivals().items()}


def looking(landing: Landing, **how: Any) -> ScanResult:
    bounds = {"known": set(), "settle_seconds": 60, "deadline": time.monotonic() + 10}
    area = landing.pipeline.settings.landing_area
    return scan_landing(area, {"people"}, **(bounds | how))  # type: ignore[arg-type]


def test_an_object_is_whole_and_waits_for_nothing(landing: Landing) -> None:
    landing.drop("a.csv")
    began = time.monotonic()
    assert [file.name for file in looking(landing).found] == ["a.csv"]
    assert time.monotonic() - began < 5


def test_an_upload_in_parts_is_seen_when_it_is_done(landing: Landing, bucket: Bucket) -> None:
    where = {"Bucket": bucket.name, "Key": landing.key("a.csv")}
    bucket.client.create_multipart_upload(**where)
    assert looking(landing).found == ()


def test_odd_keys_are_misplaced_and_hold_up_nobody(landing: Landing) -> None:
    for key in (
        f"{landing.account}//a.csv",
        "a\1b/people/b.csv",
        "c.csv",
        f"{landing.lane}/d\0.csv",
    ):
        landing.own.put(f"in/landing/{key}", GOOD)
    landing.drop("good.csv")
    landing.drop("x//y.csv", OTHER)
    seen = looking(landing)
    assert [file.name for file in seen.found] == ["good.csv", "y.csv"]
    assert {file.name for file, _ in seen.misplaced} == {"a.csv", "b.csv", "c.csv", r"d\x00.csv"}
    assert {report.outcome for report in landing.bring()} == {Outcome.IMPORTED}


def test_an_object_replaced_within_the_second_by_as_many_bytes_is_new(landing: Landing) -> None:
    time.sleep(1 - time.time() % 1)  # a second begins
    landing.drop("a.csv")
    (before,) = looking(landing).found
    landing.drop("a.csv", OTHER)
    known = {before.identity}
    (after,) = looking(landing, known=known).found
    assert (after.modified_at, after.etag != before.etag) == (before.modified_at, True)


def test_an_object_that_an_earlier_release_entered_gets_the_time_of_its_store(
    landing: Landing,
) -> None:
    landing.drop("a.csv")
    without = landing.keeping(archive=False)
    without.bring()
    at = landing.arrivals()["a.csv"].modified_at
    landing.set(etag="", modified_at=at + timedelta(microseconds=123_456))
    migration = import_module("csv_pipeline.storage.migrations.versions.0016_etag")
    with landing.pipeline.database.begin() as connection:
        connection.execute(sa.text(migration.TIMES_OF_STORES))
    assert landing.arrivals()["a.csv"].modified_at == at
    assert without.bring() == []


def test_an_object_whose_etag_an_earlier_release_did_not_keep_is_not_new(landing: Landing) -> None:
    landing.drop("a.csv")
    landing.keeping(archive=False).bring()
    landing.set(etag="")
    assert landing.bring() == []


def test_an_object_put_in_parts_is_moved_by_its_bytes(landing: Landing, bucket: Bucket) -> None:
    bucket.put_in_parts(landing.key("a.csv"), GOOD)
    landing.bring()
    assert (landing.lying("landing"), landing.lying("archive")) == ([], [f"{TODAY}/a.csv"])


def test_a_copy_that_differs_leaves_the_original_and_goes(
    landing: Landing, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put_in_parts(landing.key("a.csv"), GOOD)
    digests = map(str, itertools.count())
    monkeypatch.setattr(objects.ObjectStore, "digest", lambda *_: next(digests))
    assert landing.bring()[0].outcome is Outcome.IMPORTED
    assert (landing.lying("landing"), landing.lying("archive")) == (["a.csv"], [])


def test_an_object_replaced_while_it_is_moved_stays_and_arrives_anew(
    landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing.drop("a.csv")
    landing.killed_after_commit()
    remove = objects.ObjectStore.remove

    def meanwhile(*args: Any) -> None:
        landing.drop("a.csv", OTHER)
        remove(*args)

    with monkeypatch.context() as patch:
        patch.setattr(objects.ObjectStore, "remove", meanwhile)
        landing.pipeline.put_away(10)
    assert landing.own.get(landing.key("a.csv")) == OTHER
    assert landing.kept(f"{TODAY}/a.csv") == GOOD
    assert landing.bring()[0].counts.inserted == 1
    assert (landing.lying("landing"), len(landing.lying("archive"))) == ([], 2)


@pytest.fixture
def silence(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """Let no store answer for a while, at an address where nothing listens."""
    monkeypatch.setattr(objects, "_ATTEMPTS", 1)
    return lambda: named("http://127.0.0.1:9")


def test_a_store_that_falls_silent_after_the_commit_fails_no_import(
    landing: Landing, silence: Callable[[], Any]
) -> None:
    landing.drop("a.csv")
    (import_,) = landing.claimed()
    advance(import_, Stage.LOAD)
    with silence():
        advance(import_, Stage.REPORT)
    assert statuses(landing) == {"a.csv": "imported"}
    assert landing.lying("landing") == ["a.csv"]
    landing.let_time_pass()
    landing.pipeline.scan(seconds=10)
    landing.pipeline.put_away(10)
    assert landing.lying("archive") == [f"{TODAY}/a.csv"]


def test_a_bucket_that_is_not_there_is_silent(landing: Landing) -> None:
    nowhere = landing.keeping(landing=(Location("s3://nowhere-at-all", "in"),))
    (why,) = nowhere.pipeline.scan(seconds=5).silent.values()
    assert re.match(r"s3://nowhere-at-all/in: .*NoSuchBucket", why)


def test_a_profile_that_is_not_there_makes_the_bucket_silent(
    landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with named("http://127.0.0.1:9"):
        (why,) = landing.pipeline.scan(seconds=5).silent.values()
    assert "(nobody) could not be found" in why


def test_an_object_store_without_boto3_says_what_to_install(
    landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "boto3", None)
    with named("http://127.0.0.1:9"), pytest.raises(SetupError, match=r"csv-pipeline\[objects\]"):
        looking(landing)


def run(landing: Landing, instance: dg.DagsterInstance) -> bool:
    """Run what the sensor asks for, as the daemon would."""
    engine = Engine(lambda: landing.pipeline)
    job = assemble([landing.pipeline.feed("people")], engine).resolve_job_def(JOB)
    context = dg.build_sensor_context(instance=instance, resources={"engine": engine})
    result = landing_sensor(context)
    assert isinstance(result, dg.SensorResult)
    (request,) = [r for r in result.run_requests or () if r.partition_key == landing.account]
    instance.add_dynamic_partitions(ACCOUNTS, [landing.account])
    return job.execute_in_process(
        instance=instance,
        partition_key=landing.account,
        asset_selection=request.asset_selection,
        run_config=request.run_config,
        raise_on_error=False,
    ).success


def test_the_sensor_asks_for_a_run_that_imports_from_the_bucket(landing: Landing) -> None:
    landing.drop("a.csv")
    landing.drop("b.csv", OTHER)
    with dg.DagsterInstance.ephemeral() as instance:
        assert run(landing, instance)
    assert statuses(landing) == {"a.csv": "imported", "b.csv": "imported"}
    assert landing.lying("archive") == [f"{TODAY}/a.csv", f"{TODAY}/b.csv"]


@pytest.fixture
def call(landing: Landing, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setattr(opening, "pipeline", lambda: landing.pipeline)

    def called(*words: str) -> Any:
        return CliRunner().invoke(commands.app, words)

    return called


def test_a_url_is_imported_by_name_from_its_old_place_and_its_new_one(
    landing: Landing, call: Callable[..., Any]
) -> None:
    url, whose = str(landing.drop("a.csv")), ("-a", landing.account, "-f", "people")
    assert call("import", url, *whose).exit_code == 0
    moved = landing.arrivals()["a.csv"].moved_to
    assert landing.lying("archive") == [f"{TODAY}/a.csv"]
    for location in (url, moved):
        said = call("import", location, *whose, "--json")
        assert '"imported_before": true' in said.stdout
    assert moved in call("imports", "-a", landing.account, "--json").stdout


def test_a_url_outside_of_the_landing_area_is_imported_and_stays(
    landing: Landing, call: Callable[..., Any]
) -> None:
    landing.own.put("elsewhere/a.csv", GOOD)
    url, whose = (
        str(landing.own.location("elsewhere/a.csv")),
        ("-a", landing.account, "-f", "people"),
    )
    assert call("import", url, *whose).exit_code == 0
    assert landing.own.keys("elsewhere/") == ["elsewhere/a.csv"]


def test_a_url_of_nothing_or_of_another_account_is_refused(
    landing: Landing, call: Callable[..., Any]
) -> None:
    said = call(
        "import", str(landing.own.location("no.csv")), "-a", landing.account, "-f", "people"
    )
    assert (said.exit_code, "there is none" in said.stderr) == (2, True)
    url = str(landing.drop("a.csv"))
    said = call("import", url, "-a", "another", "-f", "people")
    assert (said.exit_code, f"it lies in {landing.lane}" in said.stderr) == (2, True)


def test_a_url_in_the_environment_is_a_bucket_and_its_neighbours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CSV_PIPELINE_LANDING", "s3://box/some/landing/")
    found = Settings()
    areas = (*found.landing_areas, *found.kept_areas, found.results_area, found.rejects_area)
    names = ("landing", "archive", "refused", "quarantine", "results", "rejects")
    assert [str(area) for area in areas] == [f"s3://box/some/{name}" for name in names]
    with pytest.raises(SetupError, match="a folder of this machine was needed"):
        _ = found.landing_folder


@pytest.mark.parametrize(
    ("landing", "archive_folder", "why"),
    [
        ("s3://box/in", "s3://box/in/done", "outside the landing area"),
        ("s3://box", None, "outside the landing area"),
        ("s3://", None, "a location like s3://bucket/prefix"),
        ("ftp://box/in", None, "a path or a URL with s3://, gs://, az:// was needed"),
    ],
)
def test_areas_that_do_not_go_together_are_refused(
    tmp_path: Path, landing: str, archive_folder: str | None, why: str
) -> None:
    with pytest.raises(ValidationError, match=why):
        Settings.model_validate(
            {"home": tmp_path, "landing": landing, "archive_folder": archive_folder}
        )
