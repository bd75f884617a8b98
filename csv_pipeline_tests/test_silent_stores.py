"""What becomes of files whose object store does not answer, or does not let us in: they wait."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime

import dagster as dg
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from csv_pipeline.cli import commands, opening
from csv_pipeline.defs.assembly import assemble
from csv_pipeline.defs.resource import Engine
from csv_pipeline.engine import run
from csv_pipeline.engine.health import Verdict, ledger
from csv_pipeline.engine.import_requests import ACCOUNTS, JOB
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.errors import StoreDeniedError, StoreUnavailableError
from csv_pipeline.files import objects
from csv_pipeline.files.stores import store_of
from csv_pipeline.location import Location
from csv_pipeline.model import Outcome
from csv_pipeline.storage import arrivals, silent_stores, tables
from csv_pipeline.storage.silent_stores import SilentStore
from csv_pipeline_tests.conftest import ingest
from csv_pipeline_tests.file_stores import Bucket, named
from csv_pipeline_tests.landings import GOOD, OTHER, Landing
from csv_pipeline_tests.store_faults import CutOff, FaultyStore, Refusal

DENIED = [
    pytest.param("403 Forbidden", "InvalidAccessKeyId", id="unknown key"),
    pytest.param("400 Bad Request", "ExpiredToken", id="expired token"),
    pytest.param("403 Forbidden", "AccessDenied", id="no right"),
]


@pytest.fixture
def landing(pipeline: Pipeline, account: str, bucket: Bucket) -> Landing:
    return Landing(pipeline, account, bucket)


@pytest.fixture(autouse=True)
def impatient(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ask a store once; a wait of half a minute is no better than none here."""

    def forget() -> None:
        store_of(Location("s3://any")).forget()  # it has the number of attempts
        with pipeline.database.begin() as connection:
            connection.execute(sa.delete(tables.silent_store))

    monkeypatch.setattr(objects, "_ATTEMPTS", 1)
    forget()
    yield
    forget()


def state(landing: Landing, name: str = "a.csv") -> tuple[str, int, int, str | None]:
    row = landing.arrivals()[name]
    return row.status, row.failures, row.deaths, row.worker


def offered(landing: Landing) -> list[int]:
    """Return the arrivals that a sensor would ask a run for."""
    with landing.pipeline.database.begin() as connection:
        lanes = arrivals.backlog(connection, unasked_seconds=30)
    return [one for lane in lanes if lane.account == landing.account for one in lane.arrival_ids]


def silent(landing: Landing) -> list[SilentStore]:
    with landing.pipeline.database.begin() as connection:
        return silent_stores.find(connection)


def answers(landing: Landing) -> None:
    with landing.pipeline.database.begin() as connection:
        silent_stores.answered(connection, [one.store for one in silent_stores.find(connection)])


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
    assert offered(landing) == []  # as the store is silent
    answers(landing)
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
    assert landing.pipeline.scan(seconds=10).silent
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody else")
    with suppress(StoreDeniedError):
        store_of(landing.own.location("a.csv")).exists(landing.own.location("a.csv"))
    assert list(dict.fromkeys(faulty.callers)) == ["somebody", "somebody else"]


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


def test_a_silent_landing_area_is_asked_again_after_a_while_and_its_files_are_found(
    landing: Landing, faulty: FaultyStore
) -> None:
    landing.drop("a.csv")
    faulty.refuse("503 Service Unavailable", "SlowDown")
    area = str(landing.pipeline.settings.landing_area)
    for failures in (1, 2, 3):
        assert list(landing.pipeline.scan(seconds=10).silent) == [area]
        (one,) = silent(landing)
        assert (one.store, one.failures, one.listing) == (area, failures, True)
        wait = (one.next_attempt_at - datetime.now(UTC)).total_seconds()
        assert 3 * 2 ** (failures - 1) < wait < 7 * 2 ** (failures - 1)
        asked = len(faulty.requests)
        assert list(landing.pipeline.scan(seconds=10).silent) == [area]
        assert len(faulty.requests) == asked
        landing.let_time_pass()
    faulty.fault = lambda *_: None
    assert [file.name for file in landing.pipeline.scan(seconds=10).found] == ["a.csv"]
    assert silent(landing) == []


def test_a_silent_store_is_asked_again_by_one_at_a_time(landing: Landing) -> None:
    with landing.pipeline.database.begin() as connection:
        silent_stores.note(connection, "s3://box", "no answer", listing=False)
    landing.let_time_pass()
    with landing.pipeline.database.engine.connect() as one:
        assert [its.store for its in silent_stores.take(one)] == ["s3://box"]
        with landing.pipeline.database.begin() as other:
            assert silent_stores.take(other) == []
        one.commit()
    with landing.pipeline.database.begin() as later:
        assert silent_stores.take(later) == []


def test_no_run_is_asked_for_of_a_silent_store_until_a_file_of_it_is_seen(
    landing: Landing, faulty: FaultyStore
) -> None:
    for name in ("a.csv", "b.csv"):
        landing.drop(name)
    landing.pipeline.scan(seconds=10)
    faulty.fault = lambda method, path: (
        Refusal("503 Service Unavailable", "SlowDown") if ".csv" in path else None
    )
    with pytest.raises(StoreUnavailableError):
        run.run(landing.pipeline, landing.pipeline.claim(landing.account, "people"))
    for failures in (1, 2):
        landing.drop(f"{failures}.csv", f"ID,Name\n{failures},Cid\n")
        assert len(landing.pipeline.scan(seconds=10).found) == 1  # which is listed, and waits
        assert (silent(landing)[0].failures, silent(landing)[0].listing) == (failures, False)
        assert offered(landing) == []
        landing.let_time_pass()
        landing.pipeline.scan(seconds=10)
    faulty.fault = lambda *_: None
    landing.let_time_pass()
    landing.pipeline.scan(seconds=10)
    assert (silent(landing), len(offered(landing))) == ([], 4)


def test_one_object_that_is_denied_holds_up_no_other(landing: Landing, faulty: FaultyStore) -> None:
    for number in range(4):
        landing.drop(f"{number}.csv", f"ID,Name\n{number},Ann\n")
    landing.pipeline.scan(seconds=10)
    faulty.fault = lambda _, path: (
        Refusal("403 Forbidden", "AccessDenied") if "/1.csv" in path else None
    )
    reports = run.run(landing.pipeline, landing.pipeline.claim(landing.account, "people"))
    assert [report.name for report in reports] == ["0.csv", "2.csv", "3.csv"]
    assert (state(landing, "1.csv")[0], silent(landing)) == ("waiting", [])


def test_what_cannot_be_archived_is_tried_again_when_the_store_answers(
    landing: Landing, faulty: FaultyStore, bucket: Bucket
) -> None:
    for name, content in (("a.csv", GOOD), ("b.csv", OTHER)):
        landing.drop(name, content)
    landing.killed_after_commit()
    faulty.refuse("503 Service Unavailable", "SlowDown")
    landing.pipeline.put_away(10)
    stores = [one.store for one in silent(landing)]  # files of other tests may wait as well
    assert sum(store.startswith(f"s3://{bucket.name}/") for store in stores) == 1
    asked = len(faulty.requests)
    landing.pipeline.put_away(10)
    assert len(faulty.requests) == asked
    faulty.fault = lambda *_: None
    landing.let_time_pass()
    landing.pipeline.scan(seconds=10)
    landing.pipeline.put_away(10)
    assert (silent(landing), len(landing.lying("archive"))) == ([], 2)


def test_status_and_doctor_tell_of_a_silent_store(
    landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "pipeline", lambda: landing.pipeline)
    with landing.pipeline.database.begin() as connection:
        silent_stores.note(connection, "s3://box/in", "it is at lunch", listing=True)
        check = ledger.silent(connection)
        (one,) = silent_stores.find(connection)
    again = f"{one.next_attempt_at:%H:%M:%S}"
    said = CliRunner().invoke(commands.app, ["status", "--json"])
    (need,) = [need for need in json.loads(said.stdout) if need["state"] == "silent store"]
    assert (need["file"], need["problem"]) == ("s3://box/in", "it is at lunch")
    assert datetime.fromisoformat(need["next_attempt_at"]) == one.next_attempt_at
    assert f"asked again at {again} UTC" in need["help"]
    assert (check.verdict, "s3://box/in since 20" in check.found) == (Verdict.FAIL, True)
    assert f"next at {again}: it is at lunch" in check.found
