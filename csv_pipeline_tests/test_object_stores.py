"""Files in a bucket arrive, are imported and put away as those in a folder are; none is lost."""

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from pydantic import ValidationError
from typer.testing import CliRunner

from csv_pipeline.cli import commands
from csv_pipeline.defs.assembly import assemble
from csv_pipeline.defs.lanes import JOB
from csv_pipeline.defs.partitions import ACCOUNTS
from csv_pipeline.defs.resource import Engine
from csv_pipeline.defs.sensors import landing as landing_sensor
from csv_pipeline.engine import archive
from csv_pipeline.engine.importer import Import
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.engine.workspace import Stage
from csv_pipeline.errors import SetupError, StoreUnavailableError
from csv_pipeline.files import objects
from csv_pipeline.files.landing import ScanResult, scan_landing
from csv_pipeline.location import ObjectLocation
from csv_pipeline.model import ImportReport, Outcome
from csv_pipeline.settings import Settings
from csv_pipeline.stages import fetch
from csv_pipeline.storage import arrivals, tables
from csv_pipeline_tests.conftest import Desk, ingest
from csv_pipeline_tests.object_store import Bucket, named, running_store

GOOD = "ID,Name\n1,Ann\n"
OTHER = "ID,Name\n2,Bob\n"
WRONG = "Colour,Size\nred,3\n"
TODAY = f"{datetime.now(UTC):%Y-%m-%d}"
_NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    with running_store() as found:
        yield found


@pytest.fixture
def bucket(address: str) -> Bucket:
    return Bucket(address, f"bucket-{next(_NUMBERS)}")


class Landing:
    """The test's part of a landing area in a bucket, and where its objects go from there."""

    def __init__(self, pipeline: Pipeline, account: str, bucket: Bucket, **how: Any) -> None:
        there = {"landing": ObjectLocation(bucket.name, "in/landing")}
        settings = pipeline.settings.model_copy(update=there | how)
        self.pipeline, self.account = replace(pipeline, settings=settings), account
        self.bucket, self.lane = bucket, f"{account}/people"

    def keeping(self, **how: Any) -> "Landing":
        return Landing(self.pipeline, self.account, self.bucket, **how)

    def key(self, name: str) -> str:
        return f"in/landing/{self.lane}/{name}"

    def url(self, key: str) -> str:
        return f"s3://{self.bucket.name}/{key}"

    def drop(self, name: str, content: str = GOOD) -> str:
        self.bucket.put(self.key(name), content)
        return self.key(name)

    def claimed(self, *arrival_ids: int) -> list[Import]:
        self.pipeline.scan(seconds=10)
        asked = {"arrival_ids": arrival_ids} if arrival_ids else {}
        claims = self.pipeline.claim(self.account, "people", **asked)  # type: ignore[arg-type]
        return [Import(self.pipeline, claim) for claim in claims]

    def bring(self, *arrival_ids: int) -> list[ImportReport]:
        return [ingest(self.pipeline, one.claim) for one in self.claimed(*arrival_ids)]

    def killed_after_commit(self) -> None:
        for import_ in self.claimed():
            import_.advance(Stage.LOAD)

    def arrivals(self) -> dict[str, Any]:
        with self.pipeline.database.begin() as connection:
            return {row.name: row for row in arrivals.find(connection, account=self.account)}

    def statuses(self) -> dict[str, str]:
        return {name: str(row.status) for name, row in self.arrivals().items()}

    def moves(self) -> list[tuple[str, str | None]]:
        table = tables.file_move
        query = sa.select(table).where(table.c.account == self.account)
        with self.pipeline.database.begin() as connection:
            rows = connection.execute(query.order_by(table.c.file_move_id)).all()
        return [(row.source, row.target) for row in rows]

    def set(self, **values: Any) -> None:
        table = tables.arrival
        with self.pipeline.database.begin() as connection:
            connection.execute(
                sa.update(table).where(table.c.account == self.account).values(values)
            )

    def lying(self, kind: str) -> list[str]:
        """Return what lies in the landing area, the archive or the quarantine."""
        prefix = f"in/{kind}/{self.lane}/"
        return [key.removeprefix(prefix) for key in self.bucket.keys(prefix)]


@pytest.fixture
def landing(pipeline: Pipeline, account: str, bucket: Bucket) -> Landing:
    return Landing(pipeline, account, bucket)


class KilledError(BaseException):
    """What a kill looks like from inside, to a test."""


def test_an_object_is_imported_archived_and_recorded(landing: Landing, desk: Desk) -> None:
    key = landing.drop("2026/a b%20é+#.csv")
    (report,) = landing.bring()
    assert (report.outcome, report.counts.inserted) == (Outcome.IMPORTED, 1)
    assert [(row.person_id, row.name) for row in desk.rows()] == [("1", "Ann")]
    target = f"in/archive/{landing.lane}/{TODAY}/a b%20é+#.csv"
    assert landing.bucket.keys() == [target]
    assert landing.bucket.get(target) == GOOD
    assert landing.moves() == [(landing.url(key), landing.url(target))]
    assert landing.arrivals()["a b%20é+#.csv"].moved_to == landing.url(target)


@pytest.mark.parametrize("content", [WRONG, ""])
def test_a_refused_object_goes_to_the_quarantine(landing: Landing, content: str) -> None:
    landing.drop("a.csv", content)
    assert landing.bring()[0].outcome is Outcome.REFUSED
    assert (landing.lying("landing"), landing.lying("quarantine")) == ([], [f"{TODAY}/a.csv"])


def test_archive_and_quarantine_may_be_other_buckets(landing: Landing, address: str) -> None:
    cold = Bucket(address, f"{landing.bucket.name}-cold")
    landing.drop("a.csv")
    landing.keeping(archive_folder=ObjectLocation(cold.name)).bring()
    assert cold.keys() == [f"{landing.lane}/{TODAY}/a.csv"]
    assert landing.bucket.keys() == []


def looking(landing: Landing, **how: Any) -> ScanResult:
    bounds = {"known": set(), "settle_seconds": 60, "deadline": time.monotonic() + 10}
    area = landing.pipeline.settings.landing_location
    return scan_landing(area, {"people"}, **(bounds | how))  # type: ignore[arg-type]


def test_an_object_is_whole_and_waits_for_nothing(landing: Landing) -> None:
    landing.drop("a.csv")
    began = time.monotonic()
    assert [file.name for file in looking(landing).found] == ["a.csv"]
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("name", ["a.csv.part", ".hidden.csv", "b/", ".git/a.csv", ""])
def test_folders_and_unfinished_names_are_passed_over(landing: Landing, name: str) -> None:
    landing.drop(name)
    seen = looking(landing)
    assert (seen.found, seen.misplaced) == ((), ())


def test_an_upload_in_parts_is_seen_when_it_is_done(landing: Landing) -> None:
    where = {"Bucket": landing.bucket.name, "Key": landing.key("a.csv")}
    landing.bucket.client.create_multipart_upload(**where)
    assert looking(landing).found == ()


def test_odd_keys_are_misplaced_and_hold_up_nobody(landing: Landing) -> None:
    for key in (
        f"{landing.account}//a.csv",
        "a\1b/people/b.csv",
        "c.csv",
        f"{landing.lane}/d\0.csv",
    ):
        landing.bucket.put(f"in/landing/{key}", GOOD)
    landing.drop("good.csv")
    landing.drop("x//y.csv", OTHER)
    seen = looking(landing)
    assert [file.name for file in seen.found] == ["good.csv", "y.csv"]
    assert {file.name for file, _ in seen.misplaced} == {"a.csv", "b.csv", "c.csv", r"d\x00.csv"}
    assert {report.outcome for report in landing.bring()} == {Outcome.IMPORTED}


def test_thousands_of_objects_are_listed(landing: Landing) -> None:
    landing.bucket.fill(landing.key(f"{number:04}.csv") for number in range(1_005))
    assert len(looking(landing).found) == 1_005


def test_a_look_out_of_time_goes_on_where_it_stopped(landing: Landing) -> None:
    for account in "abc":
        landing.bucket.put(f"in/landing/{account}/people/a.csv", GOOD)
    seen = looking(landing, start_at="a/people/a.csv", deadline=time.monotonic() - 1)
    assert seen.stopped_at == "a/people/a.csv"
    accounts = [file.account for file in looking(landing, start_at=seen.stopped_at).found]
    assert accounts == ["b", "c", "a"]


def test_an_object_replaced_within_the_second_by_as_many_bytes_is_new(landing: Landing) -> None:
    time.sleep(1 - time.time() % 1)  # a second begins
    landing.drop("a.csv")
    (before,) = looking(landing).found
    landing.drop("a.csv", OTHER)
    known = {before.identity}
    (after,) = looking(landing, known=known).found
    assert (after.modified_at, after.etag != before.etag) == (before.modified_at, True)


def test_the_same_object_is_not_found_twice(landing: Landing) -> None:
    landing.drop("a.csv")
    assert len(landing.keeping(archive=False).bring()) == 1
    assert landing.keeping(archive=False).bring() == []


def test_an_object_whose_etag_an_earlier_release_did_not_keep_is_not_new(landing: Landing) -> None:
    landing.drop("a.csv")
    landing.keeping(archive=False).bring()
    landing.set(etag="")
    assert landing.bring() == []


def test_an_object_replaced_before_it_is_fetched_is_refused_and_arrives_anew(
    landing: Landing,
) -> None:
    landing.drop("a.csv")
    (claimed,) = landing.claimed()
    landing.drop("a.csv", "ID,Name\n2,Bob\n3,Cid\n")
    assert ingest(landing.pipeline, claimed.claim).problem_code == "source_changed"
    assert landing.lying("landing") == ["a.csv"]
    assert landing.bring()[0].counts.inserted == 2


def test_an_object_replaced_in_the_very_moment_of_the_fetch_is_refused(
    landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing.drop("a.csv")
    (claimed,) = landing.claimed()
    fetch = objects.fetch

    def meanwhile(*args: Any) -> str:
        landing.drop("a.csv", OTHER)
        return fetch(*args)

    monkeypatch.setattr(objects, "fetch", meanwhile)
    report = ingest(landing.pipeline, claimed.claim)
    assert report.problem_code == "source_changed"
    assert "it counts as a new arrival" in str(report.problem)


def test_an_object_that_is_gone_is_refused(landing: Landing) -> None:
    key = landing.drop("a.csv")
    (claimed,) = landing.claimed()
    landing.bucket.delete(key)
    report = ingest(landing.pipeline, claimed.claim)
    assert report.problem == f"a.csv: the file that arrived was needed; {landing.url(key)} is gone"


def test_an_object_too_large_is_not_fetched(
    landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing.drop("a.csv", GOOD * 100)
    monkeypatch.setattr(objects, "fetch", lambda *_: pytest.fail("it was fetched"))
    (report,) = landing.keeping(max_file_bytes=100).bring()
    assert report.problem_code == "limit"


def _raise(*_: object, **__: object) -> None:
    raise KilledError


@pytest.mark.parametrize("moment", ["before", "taken", "copied", "removed"])
def test_a_move_that_was_killed_is_ended_once_by_whoever_comes_next(
    landing: Landing, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing.drop("a.csv")
    landing.killed_after_commit()

    def moved_and_killed(source: Any, target: Any) -> None:
        objects.move(source, target)
        raise KilledError

    with monkeypatch.context() as patch:
        match moment:
            case "before":
                patch.setattr(archive, "move", _raise)
            case "taken":
                patch.setattr(objects, "_copy", _raise)
                patch.setattr(
                    objects, "_give_back", lambda _: None
                )  # a kill leaves no time to tidy
            case "copied":
                patch.setattr(objects, "_remove", _raise)
            case _:
                patch.setattr(archive, "move", moved_and_killed)
        with pytest.raises(KilledError):
            landing.pipeline.put_away(10)
    at_kill = (len(landing.lying("landing")), len(landing.lying("archive")))
    assert (
        at_kill == {"before": (1, 0), "taken": (1, 1), "copied": (1, 1), "removed": (0, 1)}[moment]
    )
    landing.pipeline.put_away(10)
    assert (landing.lying("landing"), landing.lying("archive")) == ([], [f"{TODAY}/a.csv"])
    assert landing.bucket.get(f"in/archive/{landing.lane}/{TODAY}/a.csv") == GOOD
    assert len(landing.moves()) == 1


def test_a_worker_that_wakes_up_after_another_ended_its_move_takes_nothing_away(
    landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing.drop("a.csv")
    landing.killed_after_commit()
    copy = objects._copy  # noqa: SLF001

    def after_another(source: Any, original: Any, target: Any) -> None:
        with monkeypatch.context() as other:
            other.setattr(objects, "_copy", copy)
            objects.move(source, target)
        copy(source, original, target)

    with monkeypatch.context() as patch:
        patch.setattr(objects, "_copy", after_another)
        landing.pipeline.put_away(10)
    landing.pipeline.put_away(10)
    assert landing.bucket.get(f"in/archive/{landing.lane}/{TODAY}/a.csv") == GOOD
    assert landing.arrivals()["a.csv"].moved_to is not None


def test_an_object_of_the_same_name_is_never_overwritten(landing: Landing) -> None:
    for number in range(3):
        landing.drop("a.csv", f"ID,Name\n{number},Ann\n")
        landing.bring()
    names = landing.lying("archive")
    assert len(names) == 3
    assert f"{TODAY}/a.csv" in names
    kept = {landing.bucket.get(f"in/archive/{landing.lane}/{name}")[8] for name in names}
    assert kept == {"0", "1", "2"}


def test_a_name_taken_in_the_very_moment_is_left_alone(
    landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing.drop("a.csv")
    landing.killed_after_commit()
    target = f"in/archive/{landing.lane}/{TODAY}/a.csv"
    move = vars(archive)["move"]

    def meanwhile(source: Any, to: Any) -> None:
        landing.bucket.put(target, OTHER)
        move(source, to)

    monkeypatch.setattr(archive, "move", meanwhile)
    landing.pipeline.put_away(10)
    assert landing.bucket.get(target) == OTHER
    assert (len(landing.lying("archive")), landing.lying("landing")) == (2, [])


def test_an_object_put_in_parts_is_moved_by_its_bytes(landing: Landing) -> None:
    landing.bucket.put_in_parts(landing.key("a.csv"), GOOD)
    landing.bring()
    assert (landing.lying("landing"), landing.lying("archive")) == ([], [f"{TODAY}/a.csv"])


def test_a_copy_that_differs_leaves_the_original_and_goes(
    landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing.bucket.put_in_parts(landing.key("a.csv"), GOOD)
    digests = map(str, itertools.count())
    monkeypatch.setattr(objects, "_digest", lambda *_: next(digests))
    assert landing.bring()[0].outcome is Outcome.IMPORTED
    assert (landing.lying("landing"), landing.lying("archive")) == (["a.csv"], [])


def test_an_object_replaced_while_it_is_moved_stays_and_arrives_anew(
    landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing.drop("a.csv")
    landing.killed_after_commit()
    copy = objects._copy  # noqa: SLF001

    def meanwhile(*args: Any) -> None:
        copy(*args)
        landing.drop("a.csv", OTHER)

    with monkeypatch.context() as patch:
        patch.setattr(objects, "_copy", meanwhile)
        landing.pipeline.put_away(10)
    assert landing.bucket.get(landing.key("a.csv")) == OTHER
    assert landing.bucket.get(f"in/archive/{landing.lane}/{TODAY}/a.csv") == GOOD
    assert landing.bring()[0].counts.inserted == 1
    assert (landing.lying("landing"), len(landing.lying("archive"))) == ([], 2)


def test_a_refused_object_is_imported_from_the_quarantine(landing: Landing, desk: Desk) -> None:
    landing.drop("a.csv", "ID,Born\n1,03/04/2025\n")
    (refused,) = landing.bring()
    desk.declare(date_order="day first")
    (report,) = landing.bring(refused.arrival_id)
    assert report.outcome is Outcome.IMPORTED
    assert (landing.lying("quarantine"), landing.lying("archive")) == ([], [f"{TODAY}/a.csv"])
    assert len(landing.moves()) == 2


def test_a_quarantined_object_that_somebody_changed_is_refused(landing: Landing) -> None:
    landing.drop("a.csv", WRONG)
    (refused,) = landing.bring()
    landing.bucket.put(f"in/quarantine/{landing.lane}/{TODAY}/a.csv", "Colour,Size\nblue,3\n")
    assert landing.bring(refused.arrival_id)[0].problem_code == "source_changed"


def test_the_files_of_a_zip_are_imported_and_it_goes_when_all_are(landing: Landing) -> None:
    landing.bucket.put_zip(landing.key("all.zip"), one=GOOD, two=OTHER)
    assert landing.bring()[0].outcome is Outcome.UNPACKED
    assert landing.lying("landing") == ["all.zip"]
    assert [report.counts.inserted for report in landing.bring()] == [1, 1]
    assert (landing.lying("landing"), landing.lying("archive")) == ([], [f"{TODAY}/all.zip"])
    target = landing.url(f"in/archive/{landing.lane}/{TODAY}/all.zip")
    assert landing.arrivals()["two.csv"].moved_to == f"{target}!two.csv"


def test_a_file_of_an_archived_zip_is_imported_again(landing: Landing) -> None:
    landing.bucket.put_zip(landing.key("all.zip"), one=GOOD, two=OTHER)
    landing.bring()
    report = landing.bring()[1]
    landing.pipeline.undo(report.import_id)
    assert landing.bring(report.arrival_id)[0].counts.inserted == 1


def test_a_file_of_a_zip_that_was_replaced_is_refused(landing: Landing) -> None:
    landing.bucket.put_zip(landing.key("all.zip"), one=GOOD, two=OTHER)
    landing.bring()
    claimed = landing.claimed()
    landing.bucket.put_zip(landing.key("all.zip"), one=GOOD, two=WRONG)
    codes = {ingest(landing.pipeline, one.claim).problem_code for one in claimed}
    assert codes == {"source_changed"}


def test_only_the_newest_objects_are_kept(landing: Landing) -> None:
    for number in range(4):
        landing.drop(f"{number}.csv", f"ID,Name\n{number},Ann\n")
        landing.bring()
    landing.keeping(keep_files=2).pipeline.remove_expired(landing.account, "people")
    assert landing.lying("archive") == [f"{TODAY}/2.csv", f"{TODAY}/3.csv"]
    gone = landing.arrivals()["0.csv"]
    assert gone.removed_at is not None
    assert (gone.moved_to, None) in landing.moves()


def test_a_kept_object_that_somebody_changed_is_not_removed(landing: Landing) -> None:
    landing.drop("a.csv")
    landing.bring()
    landing.bucket.put(f"in/archive/{landing.lane}/{TODAY}/a.csv", OTHER)
    landing.set(moved_at=datetime(2000, 1, 1, tzinfo=UTC))
    landing.keeping(keep_days=30).pipeline.remove_expired(landing.account, "people")
    assert landing.lying("archive") == [f"{TODAY}/a.csv"]


@pytest.fixture
def silence(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """Let no store answer for a while, at an address where nothing listens."""
    monkeypatch.setattr(objects, "_ATTEMPTS", 1)
    return lambda: named("http://127.0.0.1:9")


def test_a_store_that_does_not_answer_costs_no_file(
    landing: Landing, silence: Callable[[], Any]
) -> None:
    landing.drop("a.csv")
    (claimed,) = landing.claimed()
    with silence():
        with pytest.raises(
            StoreUnavailableError, match=r"s3://.*a\.csv: the object store does not"
        ):
            ingest(landing.pipeline, claimed.claim)
        with pytest.raises(StoreUnavailableError, match="does not answer"):
            landing.pipeline.scan(seconds=5)
    arrival = landing.arrivals()["a.csv"]
    assert (arrival.status, arrival.failures) == ("claimed", 0)
    landing.set(lease_expires_at=sa.func.now() - sa.text("interval '1 second'"))
    assert landing.bring()[0].outcome is Outcome.IMPORTED


def test_a_store_that_falls_silent_after_the_commit_fails_no_import(
    landing: Landing, silence: Callable[[], Any]
) -> None:
    landing.drop("a.csv")
    (import_,) = landing.claimed()
    import_.advance(Stage.LOAD)
    with silence():
        import_.advance(Stage.REPORT)
    assert landing.statuses() == {"a.csv": "imported"}
    assert landing.lying("landing") == ["a.csv"]
    landing.pipeline.put_away(10)
    assert landing.lying("archive") == [f"{TODAY}/a.csv"]


def test_a_bucket_that_is_not_there_is_a_wrong_setting(landing: Landing) -> None:
    nowhere = landing.keeping(landing=ObjectLocation("nowhere-at-all", "in"))
    with pytest.raises(SetupError, match=r"s3://nowhere-at-all/in: .*NoSuchBucket"):
        nowhere.pipeline.scan(seconds=5)


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
    assert landing.statuses() == {"a.csv": "imported", "b.csv": "imported"}
    assert landing.lying("archive") == [f"{TODAY}/a.csv", f"{TODAY}/b.csv"]


def test_a_run_waits_for_a_store_that_is_silent_for_a_moment(
    landing: Landing, silence: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    landing.drop("a.csv")
    times = iter([silence])

    def silent_once(*args: Any) -> Any:
        with next(times, nullcontext)():
            return fetch.fetch(*args)

    monkeypatch.setattr("csv_pipeline.engine.importer.fetch", silent_once)
    with dg.DagsterInstance.ephemeral() as instance:
        assert run(landing, instance)
    assert next(times, None) is None
    assert landing.statuses() == {"a.csv": "imported"}


@pytest.fixture
def call(landing: Landing, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setattr(commands, "_pipeline", lambda: landing.pipeline)

    def called(*words: str) -> Any:
        return CliRunner().invoke(commands.app, words)

    return called


def test_a_url_is_imported_by_name_from_its_old_place_and_its_new_one(
    landing: Landing, call: Callable[..., Any]
) -> None:
    url, whose = landing.url(landing.drop("a.csv")), ("-a", landing.account, "-f", "people")
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
    landing.bucket.put("elsewhere/a.csv", GOOD)
    url, whose = landing.url("elsewhere/a.csv"), ("-a", landing.account, "-f", "people")
    assert call("import", url, *whose).exit_code == 0
    assert landing.bucket.keys() == ["elsewhere/a.csv"]


def test_a_url_of_nothing_or_of_another_account_is_refused(
    landing: Landing, call: Callable[..., Any]
) -> None:
    said = call("import", landing.url("no.csv"), "-a", landing.account, "-f", "people")
    assert (said.exit_code, "there is none" in said.stderr) == (2, True)
    url = landing.url(landing.drop("a.csv"))
    said = call("import", url, "-a", "another", "-f", "people")
    assert (said.exit_code, f"it lies in {landing.lane}" in said.stderr) == (2, True)


def test_a_url_in_the_environment_is_a_bucket_and_its_neighbours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CSV_PIPELINE_LANDING", "s3://box/some/landing/")
    found = Settings()
    locations = (found.landing_location, found.archive_location, found.quarantine_location)
    assert [str(location) for location in locations] == [
        "s3://box/some/landing",
        "s3://box/some/archive",
        "s3://box/some/quarantine",
    ]
    with pytest.raises(SetupError, match="it is in a bucket"):
        _ = found.landing_area


@pytest.mark.parametrize(
    ("landing", "archive_folder", "why"),
    [
        ("s3://box/in", "s3://box/in/done", "outside the landing area"),
        ("s3://box", None, "outside the landing area"),
        ("s3://box/in", "done", "folders only or buckets only"),
        ("in", "s3://box/done", "folders only or buckets only"),
        ("s3://", None, "a place like s3://bucket/prefix"),
    ],
)
def test_areas_that_do_not_go_together_are_refused(
    tmp_path: Path, landing: str, archive_folder: str | None, why: str
) -> None:
    with pytest.raises(ValidationError, match=why):
        Settings.model_validate(
            {"home": tmp_path, "landing": landing, "archive_folder": archive_folder}
        )
