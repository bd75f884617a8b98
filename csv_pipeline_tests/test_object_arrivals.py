"""Objects that come late, slowly, in parts, in versions or in great number; over HTTP."""

import time

import pytest

from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.files.landing import scan_landing
from csv_pipeline.location import Location
from csv_pipeline.model import Outcome
from csv_pipeline.storage import silent_stores
from csv_pipeline_tests.conftest import ingest
from csv_pipeline_tests.file_stores import Bucket
from csv_pipeline_tests.landings import GOOD, OTHER, Landing
from csv_pipeline_tests.store_faults import FaultyStore, Refusal, Slowly

SOME = "ID,Name\n3,Cid\n"


@pytest.fixture
def landing(pipeline: Pipeline, account: str, bucket: Bucket) -> Landing:
    return Landing(pipeline, account, bucket)


def reports_of(landing: Landing) -> list[tuple[str | None, int]]:
    return [(report.problem_code, report.counts.inserted) for report in landing.bring()]


def test_an_upload_with_parts_is_no_file_until_it_is_completed(
    landing: Landing, bucket: Bucket
) -> None:
    where = {"Bucket": bucket.name, "Key": landing.key("a.csv")}
    upload = {**where, "UploadId": bucket.client.create_multipart_upload(**where)["UploadId"]}
    part = bucket.client.upload_part(**upload, PartNumber=1, Body=GOOD.encode())
    assert landing.bring() == []
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    bucket.client.complete_multipart_upload(**upload, MultipartUpload=parts)
    assert reports_of(landing) == [(None, 1)]


def test_each_version_that_is_seen_is_an_arrival_and_one_replaced_before_is_refused(
    landing: Landing, bucket: Bucket
) -> None:
    versions = {"Status": "Enabled"}
    bucket.client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration=versions)
    landing.drop("a.csv")
    assert reports_of(landing) == [(None, 1)]
    landing.drop("a.csv", OTHER)
    landing.pipeline.scan(seconds=10)
    landing.drop("a.csv", SOME)  # before the run
    assert reports_of(landing) == [("source_changed", 0), (None, 1)]


def test_an_object_deleted_before_its_run_is_imported_once_it_is_back(
    landing: Landing, bucket: Bucket
) -> None:
    versions = {"Status": "Enabled"}
    bucket.client.put_bucket_versioning(Bucket=bucket.name, VersioningConfiguration=versions)
    landing.drop("a.csv")
    landing.pipeline.scan(seconds=10)
    where = {"Bucket": bucket.name, "Key": landing.key("a.csv")}
    marker = bucket.client.delete_object(**where)["VersionId"]
    assert reports_of(landing) == [("source_changed", 0)]
    assert landing.bring() == []
    bucket.client.delete_object(**where, VersionId=marker)
    assert reports_of(landing) == [(None, 1)]
    assert landing.arrivals()["a.csv"].status == "imported"


def test_an_object_replaced_while_it_is_read_is_refused_and_the_new_one_imported(
    landing: Landing, faulty: FaultyStore
) -> None:
    landing.drop("a.csv")
    replaced = iter([OTHER])

    def replace(method: str, path: str) -> None:
        if method == "GET" and path.endswith("/a.csv?") and (new := next(replaced, None)):
            landing.drop("a.csv", new)  # between the look and the read

    faulty.fault = replace
    assert reports_of(landing) == [("source_changed", 0)]
    assert reports_of(landing) == [(None, 1)]


def test_throttled_requests_are_sent_again(landing: Landing, faulty: FaultyStore) -> None:
    landing.drop("a.csv")
    landing.pipeline.scan(seconds=10)
    (claim,) = landing.pipeline.claim(landing.account, "people")
    faulty.requests.clear()
    faulty.refuse("503 Slow Down", "SlowDown", times=2)
    began = time.monotonic()
    assert ingest(landing.pipeline, claim).outcome is Outcome.IMPORTED
    assert time.monotonic() - began > 0.05  # the waits are by chance
    assert faulty.requests[0] == faulty.requests[1] == faulty.requests[2]


def test_a_store_that_answers_slowly_is_waited_for(landing: Landing, faulty: FaultyStore) -> None:
    landing.drop("a.csv")
    faulty.fault = lambda method, path: (
        Slowly(2) if method == "GET" and ("list-type" in path or "landing" in path) else None
    )
    began = time.monotonic()
    assert reports_of(landing) == [(None, 1)]
    assert time.monotonic() - began > 4


def test_a_listing_that_breaks_off_between_pages_enters_nothing_and_is_asked_again(
    landing: Landing, bucket: Bucket, faulty: FaultyStore
) -> None:
    bucket.fill(landing.key(f"{number:05}.csv") for number in range(1_500))
    faulty.fault = lambda _, path: (
        Refusal("403 Forbidden", "ExpiredToken") if "continuation-token" in path else None
    )
    seen = landing.pipeline.scan(seconds=10)
    assert (seen.found, len(seen.silent)) == ((), 1)
    assert landing.arrivals() == {}
    landing.let_time_pass()
    faulty.fault = lambda *_: None
    assert _all_of(bucket.location("in/landing")) == 1_500
    with landing.pipeline.database.begin() as connection:
        silent_stores.answered(connection, list(seen.silent))


@pytest.mark.slow
def test_20_000_objects_are_listed_page_by_page_within_a_tick(
    landing: Landing, bucket: Bucket, faulty: FaultyStore
) -> None:
    bucket.fill(landing.key(f"{number:05}.csv") for number in range(20_000))
    began = time.thread_time()  # without the server's, which sorts all of them for each page
    assert _all_of(bucket.location("in/landing")) == 20_000
    assert time.thread_time() - began < landing.pipeline.settings.tick_seconds / 2
    assert len(faulty.requests) == 20


def _all_of(area: Location) -> int:
    bounds = {"known": set(), "settle_seconds": 0, "deadline": time.monotonic() + 300}
    return len(scan_landing(area, {"people"}, **bounds).found)  # type: ignore[arg-type]
