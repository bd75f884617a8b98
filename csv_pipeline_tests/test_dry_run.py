"""A dry run tells what would happen and leaves no trace, in no table and in no folder."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from csv_pipeline.cli.importing import import_file
from csv_pipeline.cli.importing import replay as replay_file
from csv_pipeline.defs.jobs import undo_import
from csv_pipeline.engine.importer import Import
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.engine.workspace import Stage
from csv_pipeline.location import location_of
from csv_pipeline.model import ArrivalStatus, Claim, ImportReport, Outcome
from csv_pipeline.storage import arrivals
from csv_pipeline.storage.tables import arrival as arrival_table
from csv_pipeline_tests import conftest
from csv_pipeline_tests.conftest import Desk, advance
from csv_pipeline_tests.test_defs_runs import Dagster, plain
from csv_pipeline_tests.test_undo import OpenEngine
from csv_pipeline_tests.test_unpack import zipped

FEED = "limited"
OLD = "Key,Value,Version\na,old,1\n"
NEW = "Key,Value,Version\na,new,2\nb,x,y\nc,z,3\n"
BAD = "Key,Value,Version\n" + "".join(f"k{n},x,bad\n" for n in range(9))
PEOPLE = "ID,Name\n1,Ann\n"


@pytest.fixture
def pipeline(uncrowded_pipeline: Pipeline) -> Pipeline:
    """One with few rows, all of which are looked at."""
    return uncrowded_pipeline


@pytest.fixture
def leaves_no_trace(pipeline: Pipeline) -> Iterator[Callable[[], None]]:
    """Give what to call when all is ready; from then on nothing may change."""
    found: list[Any] = []
    yield lambda: found.append((tables(pipeline), folders(pipeline)))
    assert [(tables(pipeline), folders(pipeline))] == found


def tables(pipeline: Pipeline) -> dict[str, Any]:
    """Return what stands for all rows of every table.

    But for the fencing tokens of claims, for leases, which are renewed for other tests,
    and for which process works on which run.
    """
    query = sa.text(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname "
        "IN ('csv_pipeline', 'data') AND tablename <> 'worker'"
    )
    row = "(to_jsonb(t) - '{attempt,lease_expires_at}'::text[])::text"
    with pipeline.database.begin() as connection:
        return {
            name: connection.scalar(
                sa.text(f"SELECT sum(hashtextextended({row}, 0)) FROM {name} t")  # noqa: S608
            )
            for name in connection.scalars(query)
        }


def folders(pipeline: Pipeline) -> dict[str, int]:
    """Return all files of the pipeline and their sizes, but for those of the server."""
    home = pipeline.settings.home
    return {
        str(path.relative_to(home)): path.stat().st_size
        for area in home.iterdir()
        if area != pipeline.settings.postgres_area
        for path in (area, *area.rglob("*"))
        if path.is_file()
    }


def dropped(desk: Desk, content: str | bytes, feed: str = FEED) -> None:
    """Put a file into the landing area, and enter it as the sensor does."""
    path = desk.pipeline.settings.landing_folder / desk.account / feed / "dry.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    desk.pipeline.scan(seconds=10)


def imported(desk: Desk, claim: Claim) -> ImportReport:
    import_ = Import(desk.pipeline, claim)
    advance(import_, Stage.REPORT)
    report = conftest.settled(import_)
    import_.finish()
    return report


def arrival(desk: Desk) -> Any:
    with desk.pipeline.database.begin() as connection:
        return arrivals.find(connection, account=desk.account)[0]


def failed(desk: Desk) -> None:
    dropped(desk, NEW)
    for _ in range(desk.pipeline.settings.max_failures):
        import_ = Import(desk.pipeline, desk.pipeline.claim(desk.account, FEED)[0])
        import_.fail(ValueError("a bug"))
        advance(import_, Stage.REPORT)
        import_.finish()


def undone(desk: Desk) -> None:
    dropped(desk, NEW)
    (claim,) = desk.pipeline.claim(desk.account, FEED)
    desk.pipeline.undo(imported(desk, claim).import_id)


def settled(desk: Desk, content: str) -> None:
    dropped(desk, content)
    (claim,) = desk.pipeline.claim(desk.account, FEED)
    imported(desk, claim)


def put_back(desk: Desk) -> None:
    settled(desk, BAD)
    Path(arrival(desk).moved_to).rename(arrival(desk).location)
    desk.pipeline.scan(seconds=10)
    assert arrival(desk).status == ArrivalStatus.WAITING


@pytest.mark.parametrize(
    "before",
    [
        pytest.param(lambda desk: dropped(desk, NEW), id="new"),
        pytest.param(lambda desk: dropped(desk, BAD), id="to be refused"),
        pytest.param(lambda desk: settled(desk, BAD), id="refused"),
        pytest.param(lambda desk: settled(desk, OLD), id="duplicate"),
        pytest.param(put_back, id="put back"),
        pytest.param(failed, id="failed"),
        pytest.param(undone, id="undone"),
    ],
)
def test_an_arrival_is_as_it_was(
    desk: Desk, before: Callable[[Desk], None], leaves_no_trace: Callable[[], None]
) -> None:
    desk.bring(OLD, FEED)
    before(desk)
    leaves_no_trace()
    (claim,) = desk.pipeline.claim(
        desk.account, FEED, arrival_ids=[arrival(desk).arrival_id], run_id="dry", dry_run=True
    )
    imported(desk, claim)


def test_a_dry_run_forgets_no_dead_worker(desk: Desk, leaves_no_trace: Callable[[], None]) -> None:
    dropped(desk, NEW)
    with desk.pipeline.database.begin() as connection:
        mine = arrival_table.c.account == desk.account
        connection.execute(sa.update(arrival_table).where(mine).values(deaths=2))
    leaves_no_trace()
    (claim,) = desk.pipeline.claim(desk.account, FEED, dry_run=True)
    assert imported(desk, claim).outcome is Outcome.DRY_RUN


@pytest.fixture
def strict(pipeline: Pipeline, account: str, tmp_path: Path) -> Desk:
    """A desk with an imported file too many to be kept, and its results and rejects."""
    settings = pipeline.settings.model_copy(update={"keep_files": 1})
    for content in (OLD, NEW):
        desk = Desk(pipeline, account, tmp_path)
        settled(desk, content)
        pipeline.leave_rejects(arrival(desk).import_id)
    return Desk(replace(pipeline, settings=settings), account, tmp_path)


def test_the_command_changes_and_removes_nothing(
    strict: Desk, tmp_path: Path, leaves_no_trace: Callable[[], None]
) -> None:
    file = tmp_path / "dry.csv"
    file.write_text("Key,Value,Version\na,newer,3\n")
    leaves_no_trace()
    done = import_file(strict.pipeline, location_of(file), strict.account, FEED, dry_run=True)
    assert (done.report.outcome, done.report.counts.updated) == (Outcome.DRY_RUN, 1)


def test_the_command_to_replay_changes_and_removes_nothing(
    strict: Desk, tmp_path: Path, leaves_no_trace: Callable[[], None]
) -> None:
    file = tmp_path / "corrected.csv"
    strict.pipeline.write_rejects(arrival(strict).import_id, file)
    file.write_text(file.read_text("utf-8-sig").replace("x,y", "x,1"))
    leaves_no_trace()
    done = replay_file(strict.pipeline, file, None, dry_run=True)
    assert (done.report.outcome, done.report.counts.inserted) == (Outcome.DRY_RUN, 1)


def test_the_command_to_undo_changes_and_removes_nothing(
    strict: Desk, leaves_no_trace: Callable[[], None]
) -> None:
    import_id = arrival(strict).import_id
    leaves_no_trace()
    report = strict.pipeline.undo(import_id, dry_run=True)
    assert report.undo is not None
    assert (report.undo.restored, report.undo.deleted) == (1, 1)


def test_dagsters_undo_changes_and_removes_nothing(
    strict: Desk, leaves_no_trace: Callable[[], None]
) -> None:
    facts = {"import_id": arrival(strict).import_id, "dry_run": True}
    leaves_no_trace()
    result = undo_import.execute_in_process(
        run_config={"ops": {"undo": {"config": facts}}}, resources={"engine": OpenEngine(strict)}
    )
    assert result.success


@pytest.fixture
def dagster(strict: Desk) -> Iterator[Dagster]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Dagster(strict.pipeline, strict.account, instance)


def test_a_run_changes_and_removes_nothing(
    strict: Desk, dagster: Dagster, leaves_no_trace: Callable[[], None]
) -> None:
    dropped(strict, NEW + "d,4,4\n")
    leaves_no_trace()
    result = dagster.run(FEED, dry_run=True)
    assert result.success
    assert observed(result)["inserted"] == 1


def test_a_dry_run_tries_each_file_of_an_archive(
    strict: Desk, dagster: Dagster, leaves_no_trace: Callable[[], None]
) -> None:
    faulty = "ID,Name,Amount\n2,Bob,six\n3,Cid,7.00\n"
    dropped(strict, zipped({"one.csv": PEOPLE, "two.csv": faulty}), "people")
    leaves_no_trace()
    shown = observed(dagster.run(dry_run=True))
    assert (shown["read"], shown["inserted"], shown["rejected"]) == (3, 2, 1)
    assert [(line["file"], line["outcome"]) for line in shown["per file"]] == [
        ("dry.csv", "unpacked"), ("one.csv", "dry run"), ("two.csv", "dry run"),
    ]  # fmt: skip


def test_a_run_evaluates_no_check_and_misses_none(strict: Desk, dagster: Dagster) -> None:
    dropped(strict, PEOPLE, "people")
    result = dagster.run(dry_run=True)
    assert result.get_asset_check_evaluations() == []
    said = [line.user_message for line in dagster.instance.all_logs(result.run_id)]
    assert [line for line in said if "expected outputs" in line] == []


def observed(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (event,) = result.get_asset_observation_events()
    facts = event.asset_observation_data.asset_observation.metadata
    return {name: plain(value) for name, value in facts.items()}
