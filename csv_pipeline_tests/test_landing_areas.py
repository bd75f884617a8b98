"""Several landing areas at once, in folders and buckets: none of them stops the others."""

import json
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import dagster as dg
import pytest
from pydantic import ValidationError

from csv_pipeline.defs.watcher import Watcher, Workspace
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.engine.scanning import Feeds, scan
from csv_pipeline.files.watching import Waits
from csv_pipeline.location import Location, location_of
from csv_pipeline.model import Outcome
from csv_pipeline.settings import Settings
from csv_pipeline.storage import silent_stores
from csv_pipeline_tests.file_stores import Bucket, Folder, named
from csv_pipeline_tests.landings import GOOD, OTHER, TODAY, Landing

SOME = "ID,Name\n3,Cid\n"


class Areas:
    """Two folders and a bucket in which files arrive for one account."""

    def __init__(self, pipeline: Pipeline, account: str, folder: Path, bucket: Bucket) -> None:
        self.one, self.two, self.bucket = Folder(folder / "one"), Folder(folder / "two"), bucket
        landing = tuple(own.location("in/landing") for own in (self.one, self.two, self.bucket))
        unset = ("archive_folder", "refused_folder", "results_folder", "rejects_folder")
        self.landing = Landing(
            pipeline,
            account,
            self.one,
            home=folder / "home",
            landing=landing,
            **dict.fromkeys(unset),
        )
        self.settings = self.landing.pipeline.settings

    def drop(self) -> None:
        for own, content in ((self.one, GOOD), (self.two, OTHER), (self.bucket, SOME)):
            own.put(self.landing.key("a.csv"), content)


@pytest.fixture
def areas(pipeline: Pipeline, account: str, tmp_path: Path, bucket: Bucket) -> Areas:
    return Areas(pipeline, account, tmp_path, bucket)


def test_files_of_every_area_are_imported_and_kept_beside_it(areas: Areas) -> None:
    areas.drop()
    reports = areas.landing.bring()
    assert [report.outcome for report in reports] == [Outcome.IMPORTED] * 3
    kept = f"{areas.landing.lane}/{TODAY}/a"
    assert len(Folder(areas.settings.home / "archive").keys(kept)) == 2
    assert areas.bucket.keys() == [f"in/archive/{kept}.csv"]
    assert [own.keys("in/landing/") for own in (areas.one, areas.two)] == [[], []]
    assert areas.landing.bring() == []


def test_a_silent_bucket_and_a_folder_that_is_none_stop_no_other_area(areas: Areas) -> None:
    areas.drop()
    areas.two.path.joinpath("in/landing").rename(areas.two.path / "away")
    areas.two.path.joinpath("in/landing").write_text("no folder")
    with named("http://127.0.0.1:9"):
        seen = areas.landing.pipeline.scan(seconds=30)
        again = areas.landing.pipeline.scan(seconds=30)
    two, bucket = map(str, areas.settings.landing_areas[1:])
    assert [file.location for file in seen.found] == [
        str(areas.one.location(areas.landing.key("a.csv")))
    ]
    assert set(seen.silent) == set(again.silent) == {two, bucket}
    assert "an answer of s3://" in seen.silent[bucket]
    assert len(areas.landing.bring()) == 1
    with areas.landing.pipeline.database.begin() as connection:
        silent_stores.answered(connection, [two, bucket])


def test_a_look_that_is_out_of_time_goes_on_in_each_area(areas: Areas) -> None:
    for own in (areas.one, areas.two):
        for account in ("b", "c"):
            own.put(f"in/landing/{account}/people/a.csv", GOOD)
    pipeline = areas.landing.pipeline
    settings = areas.settings.model_copy(update={"landing": areas.settings.landing_areas[:2]})
    seen = scan(pipeline.database, settings, Feeds({"people"}, ()), seconds=-1)
    assert seen.stopped_at is not None
    assert json.loads(seen.stopped_at) == dict.fromkeys(map(str, settings.landing_areas), "b")
    at = json.dumps(dict.fromkeys(map(str, settings.landing_areas), "c"))
    began = time.monotonic()
    seen = scan(pipeline.database, settings, Feeds({"people"}, ()), seconds=10, start_at=at)
    assert time.monotonic() - began < 10
    assert [file.account for file in seen.found] == ["c", "b", "c", "b"]


def test_areas_are_named_with_commas_or_as_a_list(tmp_path: Path) -> None:
    def of(landing: str) -> list[str]:
        found = Settings.model_validate({"home": tmp_path, "landing": landing})
        return [str(area) for area in found.landing_areas]

    assert of("/in, s3://box/in") == ["/in", "s3://box/in"]
    assert of('["/in, and out", "s3://box/in"]') == ["/in, and out", "s3://box/in"]
    assert of("/in") == ["/in"]


@pytest.mark.parametrize(
    ("landing", "why"),
    [
        ("/in,/in/deeper", "apart from one another"),
        ("/in,/in", "apart from one another"),
        ("/in,s3://box,s3://box/in", "apart from one another"),
        (",", "a landing area was needed; none is named"),
        ('["/in"', "a JSON list of paths and URLs was needed"),
        ("/in,ftp://box/in", "a path or a URL with s3://"),
        ("s3://box/in,/in/x,s3://box/archive", "outside the landing area s3://box/archive"),
    ],
)
def test_areas_that_do_not_go_together_are_refused(tmp_path: Path, landing: str, why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Settings.model_validate({"home": tmp_path, "landing": landing})


def test_uploads_go_into_the_first_area() -> None:
    found = Settings.model_validate({"landing": "s3://box/in,/in"})
    assert found.landing_area == Location("s3://box", "in")
    assert found.landing_of(location_of("/in/acme/people/a.csv")) == location_of("/in")
    assert found.landing_of(location_of("/out/acme/people/a.csv")) is None


def test_the_watcher_hears_of_files_in_every_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    places = [*map(location_of, folders), Location("s3://box", "in")]
    watcher = Watcher(places, Waits(closed=0.05, unknown=1), threading.Event())
    told: set[str] = set()

    def ask(_: Workspace, cursor: str | None, __: threading.Event) -> tuple[bool, bool]:
        told.update(json.loads(cursor.removeprefix("/heard/")) if cursor else ())
        return False, False

    monkeypatch.setattr(watcher, "_ask", ask)
    shutdown, end = threading.Event(), time.monotonic() + 20
    paths = [str(folder / "a.csv") for folder in folders]
    with dg.DagsterInstance.ephemeral() as instance:
        workspace = cast(Workspace, SimpleNamespace(instance=instance))
        looks = watcher.core_loop(workspace, shutdown)
        for look in looks:
            if look is None and not folders[0].joinpath("a.csv").exists():
                for path in paths:
                    Path(path).write_text(GOOD)
            if len(told) == 2 or time.monotonic() > end:
                shutdown.set()
    assert sorted(told) == paths
