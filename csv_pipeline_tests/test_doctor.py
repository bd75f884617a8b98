"""`doctor` says what is wrong, with the command that repairs it, and changes nothing."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from csv_pipeline.cli import commands
from csv_pipeline.engine.health import Check, Verdict, dagster, examine, ledger, machine, places
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.feeds import FEEDS
from csv_pipeline.files.landing import found_file
from csv_pipeline.location import location_of
from csv_pipeline.settings import Settings, settings
from csv_pipeline.spec.feed import BrokenFeed
from csv_pipeline.storage import arrivals
from csv_pipeline_tests.file_stores import Bucket
from csv_pipeline_tests.test_defs_instance import given_server
from csv_pipeline_tests.test_doctor_dagster import opened

__all__ = ["given_server", "opened"]


def address(pipeline: Pipeline) -> str:
    return pipeline.database.engine.url.render_as_string(hide_password=False)


@pytest.fixture
def sound(pipeline: Pipeline, tmp_path: Path) -> Settings:
    """Settings of a place where nothing is wrong."""
    (tmp_path / "landing").mkdir()
    return Settings(home=tmp_path, database_url=address(pipeline), max_file_bytes=1)


def checked(given: Settings) -> dict[str, Check]:
    return {check.name: check for check in examine(given, FEEDS)}


def test_nothing_fails_where_all_is_as_it_should_be(sound: Settings) -> None:
    found = checked(sound)
    assert {name for name, check in found.items() if check.verdict is Verdict.FAIL} <= {
        *("daemon", "sensor", "claims", "queue")  # of which other tests leave some
    }
    for name in ("versions", "disk", "landing area", "archive folder", "database", "migrations"):
        assert found[name].verdict is Verdict.OK, found[name]
    assert found["readers"].verdict is Verdict.OK, found["readers"]
    assert found["feeds"].verdict is Verdict.OK, found["feeds"]


def test_nothing_is_left_in_the_places_that_are_looked_at(sound: Settings) -> None:
    checked(sound)
    assert [path.name for path in sound.home.rglob("*")] == ["landing"]


def test_an_older_package_than_ours_needs_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "polars-0.1.dist-info"
    old.mkdir()
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: polars\nVersion: 0.1\n")
    monkeypatch.syspath_prepend(tmp_path)
    check = machine.versions()
    assert (check.verdict, check.found) == (Verdict.FAIL, "polars 0.1, not >=2.1")
    assert check.repair == "pip install --upgrade csv-pipeline"


def test_a_disk_without_room_fails_and_one_too_small_for_the_largest_file_warns(
    sound: Settings,
) -> None:
    full = machine.disk(sound.model_copy(update={"home": Path("/proc/self")}))  # of 0 bytes
    assert full.verdict is Verdict.FAIL
    small = machine.disk(sound.model_copy(update={"max_file_bytes": 2**60}))
    assert small.verdict is Verdict.WARN
    assert "1,073,741,824.0 GiB free" in small.needed


def test_more_folders_than_watches_are_a_warning(
    sound: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = sound.home / "limit"
    limit.write_text("0")
    monkeypatch.setattr(machine, "_LIMIT", limit)
    (sound.home / "landing" / "acme" / "people").mkdir(parents=True)
    check = machine.watches(sound)
    assert check.verdict is Verdict.WARN
    assert check.needed.startswith("3 free inotify watches")
    assert check.repair == "sysctl fs.inotify.max_user_watches=6"


def test_a_landing_area_that_is_not_there_fails(sound: Settings) -> None:
    shutil.rmtree(sound.home / "landing")
    check = places.landing(sound.landing_area)
    assert check.verdict is Verdict.FAIL
    assert check.repair == f"mkdir -p {sound.home}/landing"
    assert not (sound.home / "landing").exists()


def test_a_landing_area_that_cannot_be_written_to_fails() -> None:
    check = places.landing(location_of("/proc/sys"))  # where not even root makes a file
    assert check.verdict is Verdict.FAIL
    assert "chown" in check.repair


def test_an_archive_below_a_file_fails(sound: Settings) -> None:
    (sound.home / "archive").write_text("in the way")
    check = checked(sound)["archive folder"]
    assert check.verdict is Verdict.FAIL
    assert str(sound.home / "archive") in check.found


def test_a_bucket_that_is_not_there_fails_and_one_that_is_passes(bucket: Bucket) -> None:
    assert places.landing(bucket.location("landing")).verdict is Verdict.OK
    assert bucket.keys() == []
    check = places.landing(location_of("s3://no-such-bucket-here/landing"))
    assert check.verdict is Verdict.FAIL
    assert "AWS_ACCESS_KEY_ID" in check.found
    assert "rights to read, write, list and delete" in check.repair


def test_a_database_that_does_not_answer_fails_and_keeps_its_password(sound: Settings) -> None:
    given = Settings(home=sound.home, database_url="postgresql://me:geheim@127.0.0.1:9/x")
    check = checked(given)["database"]
    assert check.verdict is Verdict.FAIL
    assert "geheim" not in str(check)


def test_a_database_of_its_own_is_not_made(tmp_path: Path) -> None:
    check = checked(Settings(home=tmp_path))["database"]
    assert check.verdict is Verdict.FAIL
    assert "csv-pipeline dev makes it" in check.repair
    assert not (tmp_path / "postgres").exists()


@pytest.fixture
def passing(pipeline: Pipeline) -> Iterator[sa.Connection]:
    """A connection whose changes are taken back."""
    with pipeline.database.engine.connect() as connection:
        yield connection
        connection.rollback()


def test_an_old_server_fails(passing: sa.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ledger.server(passing).verdict is Verdict.OK
    monkeypatch.setattr(ledger, "OLDEST_SERVER", 99)
    assert ledger.server(passing).verdict is Verdict.FAIL


UPGRADE = "pip install --upgrade csv-pipeline"


@pytest.mark.parametrize(
    ("revision", "oldest_code", "verdict", "told"),
    [
        ("0001", "0000", Verdict.FAIL, ("revision 0001", "csv-pipeline imports")),
        ("9999", "9998", Verdict.FAIL, ("revision 9999 of a newer release", UPGRADE)),
        ("9999", "0030", Verdict.WARN, ("newer release, which this one works with", UPGRADE)),
    ],
)
def test_state_tables_of_another_release_are_told(
    passing: sa.Connection, revision: str, oldest_code: str, verdict: Verdict, told: tuple[str, str]
) -> None:
    change = "UPDATE csv_pipeline.alembic_version SET version_num = :revision"
    passing.execute(sa.text(change), {"revision": revision})
    passing.execute(sa.text(f"COMMENT ON TABLE csv_pipeline.alembic_version IS '{oldest_code}'"))
    check = ledger.state_tables(passing)
    assert check.verdict is verdict
    assert told[0] in check.found
    assert check.repair.startswith(told[1])


def test_a_table_whose_rows_anybody_may_read_fails_with_what_hides_them(
    passing: sa.Connection,
) -> None:
    passing.execute(sa.text("ALTER TABLE data.people DISABLE ROW LEVEL SECURITY"))
    check = ledger.readers(passing)
    assert check.verdict is Verdict.FAIL
    assert check.repair == 'psql -c "ALTER TABLE data.people ENABLE ROW LEVEL SECURITY"'
    passing.execute(sa.text(check.repair.removeprefix('psql -c "').rstrip('"')))
    assert ledger.readers(passing).verdict is Verdict.OK


def test_readers_who_may_not_read_are_a_warning(passing: sa.Connection) -> None:
    passing.execute(sa.text("REVOKE SELECT ON csv_pipeline.arrival FROM csv_pipeline_reader"))
    check = ledger.readers(passing)
    assert (check.verdict, check.found) == (
        Verdict.WARN,
        "GRANT SELECT ON csv_pipeline.arrival TO csv_pipeline_reader",
    )


def test_a_claim_whose_lease_is_over_is_a_warning(
    pipeline: Pipeline, account: str, tmp_path: Path
) -> None:
    (tmp_path / "people.csv").write_text("ID\n1\n")
    with pipeline.database.begin() as connection:
        file = found_file(location_of(tmp_path / "people.csv"), account, "people")
        arrivals.register(connection, [file])
    pipeline.claim(account, "people")
    with pipeline.database.engine.connect() as connection:
        connection.execute(
            sa.text(
                "UPDATE csv_pipeline.arrival SET lease_expires_at = now() - interval '1 hour' "
                "WHERE account = :account"
            ),
            {"account": account},
        )
        check = ledger.stuck_claims(connection)
        connection.rollback()
    assert check.verdict is Verdict.WARN
    assert f"{account}/people (1)" in check.found


def test_a_feed_that_is_declared_wrongly_fails(passing: sa.Connection) -> None:
    broken = BrokenFeed(name="sales", why="sales.yaml: a key was needed")
    check = ledger.usable_feeds(passing, [*FEEDS, broken])
    assert check.verdict is Verdict.FAIL
    assert check.found == "sales: sales.yaml: a key was needed"


def test_a_feed_that_is_held_back_fails_with_what_shows_why(
    pipeline: Pipeline, passing: sa.Connection
) -> None:
    passing.execute(
        sa.text(
            "UPDATE csv_pipeline.target SET readings = "
            "jsonb_set(readings, '{columns,person_id,0,kind}', '\"integer\"') WHERE feed = 'people'"
        )
    )
    check = ledger.usable_feeds(passing, [pipeline.feed("people")])
    assert check.verdict is Verdict.FAIL, check
    assert check.repair == "csv-pipeline feeds diff people"


def test_dagster_that_never_ran_is_a_warning(passing: sa.Connection, sound: Settings) -> None:
    passing.execute(sa.text("DROP SCHEMA IF EXISTS dagster CASCADE"))
    (check,) = dagster.checks(passing, sound)
    assert (check.verdict, check.found) == (Verdict.WARN, "Dagster never ran here")
    assert check.repair == "csv-pipeline dev"


def doctor(*options: str) -> Any:
    return CliRunner().invoke(commands.app, ["doctor", *options])


def test_the_command_prints_a_line_for_each_check_and_exits_with_1_if_one_fails(
    opened: dg.DagsterInstance, tmp_path: Path
) -> None:
    said = doctor()
    assert said.exit_code == 1
    assert f"mkdir -p {tmp_path}/landing" in said.stdout
    assert len(said.stdout.splitlines()) == len(json.loads(doctor("--json").stdout))
    (tmp_path / "landing").mkdir()
    said = doctor("--json")
    assert said.exit_code == 0, said.stdout
    assert {check["verdict"] for check in json.loads(said.stdout)} <= {"ok", "warn"}


@pytest.mark.usefixtures("opened")
def test_settings_that_cannot_be_read_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CSV_PIPELINE_MAX_FILE_BYTES", "many")
    settings.cache_clear()
    said = doctor()
    assert said.exit_code == 1
    assert said.stdout.startswith("FAIL  settings")
    assert "CSV_PIPELINE_MAX_FILE_BYTES" in said.stdout
