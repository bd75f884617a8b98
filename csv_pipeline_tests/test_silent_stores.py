"""What becomes of files whose object store does not answer, or does not let us in: they wait."""

from collections.abc import Callable, Iterator

import dagster as dg
import pytest

from csv_pipeline.defs.assembly import assemble
from csv_pipeline.defs.resource import Engine
from csv_pipeline.engine import run
from csv_pipeline.engine.import_requests import ACCOUNTS, JOB
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.errors import StoreDeniedError, StoreUnavailableError
from csv_pipeline.files import objects
from csv_pipeline.model import Outcome
from csv_pipeline.storage import arrivals
from csv_pipeline_tests.conftest import ingest
from csv_pipeline_tests.file_stores import Bucket, named
from csv_pipeline_tests.landings import GOOD, OTHER, Landing
from csv_pipeline_tests.store_faults import CutOff, FaultyStore

DENIED = [
    pytest.param("403 Forbidden", "InvalidAccessKeyId", id="unknown key"),
    pytest.param("400 Bad Request", "ExpiredToken", id="expired token"),
    pytest.param("403 Forbidden", "AccessDenied", id="no right"),
]


@pytest.fixture
def landing(pipeline: Pipeline, account: str, bucket: Bucket) -> Landing:
    return Landing(pipeline, account, bucket)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ask a store once; a wait of half a minute is no better than none here."""
    monkeypatch.setattr(objects, "_ATTEMPTS", 1)
    yield
    objects._client.cache_clear()  # noqa: SLF001  # it has the number of attempts


def state(landing: Landing, name: str = "a.csv") -> tuple[str, int, int, str | None]:
    row = landing.arrivals()[name]
    return row.status, row.failures, row.deaths, row.worker


def offered(landing: Landing) -> list[int]:
    """Return the arrivals that a sensor would ask a run for."""
    with landing.pipeline.database.begin() as connection:
        lanes = arrivals.backlog(connection, unasked_seconds=30)
    return [one for lane in lanes if lane.account == landing.account for one in lane.arrival_ids]


def test_a_store_that_is_silent_for_four_runs_costs_no_file(landing: Landing) -> None:
    landing.drop("a.csv")
    landing.pipeline.scan(seconds=10)
    for times in range(1, 5):
        (claim,) = landing.pipeline.claim(landing.account, "people", run_id=f"run {times}")
        with (
            named("http://127.0.0.1:9"),
            pytest.raises(StoreUnavailableError, match=r"s3://.*a\.csv: an answer of s3://bucket-"),
        ):
            ingest(landing.pipeline, claim)
        assert state(landing) == ("waiting", 0, 0, None)
        row = landing.arrivals()["a.csv"]
        assert (row.postponed, "does not answer" in row.problem) == (times, True)
    assert offered(landing) == []
    landing.set(not_before=None)
    assert offered(landing) == [row.arrival_id]
    assert landing.bring()[0].outcome is Outcome.IMPORTED
    row = landing.arrivals()["a.csv"]
    assert (row.status, row.postponed, row.problem) == ("imported", 0, None)


@pytest.mark.parametrize(("status", "code"), DENIED)
def test_credentials_that_are_refused_cost_no_file_and_are_told_clearly(
    landing: Landing, faulty: FaultyStore, status: str, code: str
) -> None:
    landing.drop("a.csv")
    landing.pipeline.scan(seconds=10)
    faulty.refuse(status, code)
    for _ in range(2):
        (claim,) = landing.pipeline.claim(landing.account, "people")
        with pytest.raises(StoreDeniedError) as told:
            ingest(landing.pipeline, claim)
        assert state(landing) == ("waiting", 0, 0, None)
    said = str(told.value)
    assert f"HeadObject in {claim.lies_at.root} at http://127.0.0.1:" in said
    assert f"the store says {code}: As told." in said
    assert "AWS_SESSION_TOKEN" in said
    assert "are set: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL" in said
    assert "something" not in said
    faulty.fault = lambda *_: None
    assert landing.bring()[0].outcome is Outcome.IMPORTED


def test_new_credentials_are_taken_without_a_restart(
    landing: Landing, faulty: FaultyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty.refuse("403 Forbidden", "InvalidAccessKeyId")
    before = objects._client()  # noqa: SLF001
    with pytest.raises(StoreDeniedError):
        landing.pipeline.scan(seconds=10)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody else")
    now = objects._client()  # noqa: SLF001
    keys = (one._request_signer._credentials.access_key for one in (before, now))  # noqa: SLF001
    assert list(keys) == ["somebody", "somebody else"]


def test_a_bucket_that_is_gone_costs_no_file(landing: Landing, bucket: Bucket) -> None:
    landing.drop("a.csv")
    landing.pipeline.scan(seconds=10)
    bucket.delete(landing.key("a.csv"))
    bucket.client.delete_bucket(Bucket=bucket.name)
    (claim,) = landing.pipeline.claim(landing.account, "people")
    with pytest.raises(StoreDeniedError, match="NoSuchBucket"):
        ingest(landing.pipeline, claim)
    assert state(landing) == ("waiting", 0, 0, None)


def test_of_a_store_that_falls_silent_the_files_that_came_are_imported(
    landing: Landing, faulty: FaultyStore
) -> None:
    for number in range(9):
        landing.drop(f"{number}.csv", f"ID,Name\n{number},Ann\n")
    landing.pipeline.scan(seconds=10)
    claims = landing.pipeline.claim(landing.account, "people")
    cut = claims[0].lies_at.key
    faulty.fault = lambda method, path: CutOff(3) if method == "GET" and cut not in path else None
    reports = run.run(landing.pipeline, claims)
    assert [(report.name, report.outcome) for report in reports] == [("0.csv", Outcome.IMPORTED)]
    rest = [state(landing, f"{number}.csv") for number in range(1, 9)]
    assert rest == [("waiting", 0, 0, None)] * 8
    # A few are read at once, and of a store that is silent no further file is asked for.
    assert 1 < len({one for one in faulty.requests if one.startswith("GET") and ".csv" in one}) < 6
    faulty.fault = lambda *_: None
    assert len(landing.bring()) == 8


def job(landing: Landing) -> Callable[[dg.DagsterInstance], dg.ExecuteInProcessResult]:
    engine = Engine(lambda: landing.pipeline)
    asked = assemble([landing.pipeline.feed("people")], engine).resolve_job_def(JOB)

    def executed(instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
        instance.add_dynamic_partitions(ACCOUNTS, [landing.account])
        return asked.execute_in_process(
            instance=instance,
            partition_key=landing.account,
            asset_selection=[dg.AssetKey("people"), dg.AssetKey("people_rejects")],
            raise_on_error=False,
        )

    return executed


def test_a_run_whose_files_all_wait_fails_once_and_the_next_imports_them(
    landing: Landing, faulty: FaultyStore
) -> None:
    landing.drop("a.csv")
    landing.drop("b.csv", OTHER)
    faulty.fault = lambda method, path: CutOff(3) if method == "GET" and "csv" in path else None
    with dg.DagsterInstance.ephemeral() as instance:
        execute = job(landing)
        failed = execute(instance)
        assert not failed.success
        (why,) = [event for event in failed.all_events if event.is_step_failure]
        assert "every file waits: a.csv: " in str(why.step_failure_data.error)
        assert not [event for event in failed.all_events if event.is_step_up_for_retry]
        assert {state(landing, name) for name in ("a.csv", "b.csv")} == {("waiting", 0, 0, None)}
        faulty.fault = lambda *_: None
        assert execute(instance).success
    assert {row.status for row in landing.arrivals().values()} == {"imported"}


def test_a_dry_run_of_a_file_in_a_silent_store_leaves_it_as_it_was(landing: Landing) -> None:
    landing.drop("a.csv")
    landing.pipeline.scan(seconds=10)
    (claim,) = landing.pipeline.claim(landing.account, "people", dry_run=True)
    with named("http://127.0.0.1:9"), pytest.raises(StoreUnavailableError):
        ingest(landing.pipeline, claim)
    assert state(landing) == ("waiting", 0, 0, None)
    assert landing.bring()[0].outcome is Outcome.IMPORTED


def test_what_was_imported_is_told_though_its_result_file_cannot_be_seen(landing: Landing) -> None:
    landing.drop("a.csv", GOOD)
    (report,) = landing.bring()
    assert landing.pipeline.results_of(report) is not None
    with named("http://127.0.0.1:9"):
        assert landing.pipeline.results_of(report) is None
