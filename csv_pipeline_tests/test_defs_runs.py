"""A run as Dagster sees it: what it imports, what it shows, and when it fails."""

import os
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from csv_pipeline.defs.assembly import assemble
from csv_pipeline.defs.checks import CHECKS
from csv_pipeline.defs.jobs import export_rejects, undo_import
from csv_pipeline.defs.metadata import MOST_LINES
from csv_pipeline.defs.resource import Engine
from csv_pipeline.engine import group, importer, loader
from csv_pipeline.engine.import_requests import ACCOUNTS, JOB
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.errors import AccountingError, DatabaseUnavailableError
from csv_pipeline.files.local import path_of
from csv_pipeline.model import ImportReport
from csv_pipeline.parts import Files
from csv_pipeline.stages.load import Incoming
from csv_pipeline.storage import arrivals, attention, imports

GOOD = "ID,Name,Amount\n1,Ann,5.00\n2,Bob,6.00\n"
MESSY = "ID,Name,Amount\n3,Cid,7.00\n4,Dee,abc\n"
WRONG = "Colour,Size\nred,3\n"
FEEDS = ("people", "limited")  # to put them all together takes Dagster longer


class Dagster:
    """Runs the real job for the test's account in this process."""

    def __init__(self, pipeline: Pipeline, account: str, instance: dg.DagsterInstance) -> None:
        self.pipeline, self.account, self.instance = pipeline, account, instance
        feeds = [pipeline.feed(name) for name in FEEDS]
        self.job = assemble(feeds, Engine(lambda: pipeline)).resolve_job_def(JOB)
        instance.add_dynamic_partitions(ACCOUNTS, [account])

    def drop(self, name: str, content: str) -> str:
        """Put a file into the landing area and return its location."""
        path = self.pipeline.settings.landing_folder / self.account / "people" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return str(path)

    def run(self, feed: str = "people", **config: Any) -> dg.ExecuteInProcessResult:
        """Import files as the sensor or somebody at the launchpad asks for it."""
        return self.job.execute_in_process(
            instance=self.instance,
            partition_key=self.account,
            asset_selection=[dg.AssetKey(feed), dg.AssetKey(f"{feed}_rejects")],
            run_config={"ops": {feed: {"config": config}}} if config else None,
            raise_on_error=False,
        )

    def report(self, import_id: int) -> ImportReport:
        """Return what became of one file, as the ledger has it."""
        with self.pipeline.database.begin() as connection:
            return imports.report_of(connection, import_id)

    def statuses(self) -> dict[str, str]:
        """Return where each of the account's files stands."""
        with self.pipeline.database.begin() as connection:
            rows = arrivals.find(connection, account=self.account)
        return {arrival.name: str(arrival.status) for arrival in rows}


@pytest.fixture
def dagster(pipeline: Pipeline, account: str) -> Iterator[Dagster]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Dagster(pipeline, account, instance)


@pytest.fixture
def break_load(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let the load stage raise for files whose name begins with "bad"."""

    def broken(error: Exception) -> None:
        load = vars(loader)["load"]

        def raising(connection: Any, incoming: Incoming, *rest: Any) -> Any:
            if any(claim.name.startswith("bad") for claim in incoming.claims):
                raise error
            return load(connection, incoming, *rest)

        monkeypatch.setattr(loader, "load", raising)

    return broken


def metadata(events: dg.ExecuteInProcessResult, asset: str = "people") -> dict[str, Any]:
    """Return what the materialisation shows, tables as lists of dicts."""
    (event,) = [
        event.materialization
        for event in events.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey(asset)
    ]
    return {name: plain(value) for name, value in event.metadata.items()}


def plain(value: dg.MetadataValue[Any]) -> Any:
    if isinstance(value, dg.TableMetadataValue):
        return [dict(record.data) for record in value.records]
    return value.value


def check_table(result: dg.ExecuteInProcessResult, check: str, name: str) -> Any:
    (found,) = [one for one in result.get_asset_check_evaluations() if one.check_name == check]
    return plain(found.metadata[name])


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {check.check_name: check.passed for check in result.get_asset_check_evaluations()}


def test_the_files_of_an_archive_wait_for_the_next_run(dagster: Dagster) -> None:
    with zipfile.ZipFile(dagster.drop("all.zip", ""), "w") as archive:
        archive.writestr("one.csv", GOOD)
        archive.writestr("two.csv", MESSY)
    assert dagster.run().success
    assert dagster.statuses() == {
        "all.zip": "unpacked", "one.csv": "waiting", "two.csv": "waiting",
    }  # fmt: skip
    assert dagster.run().success
    assert set(dagster.statuses().values()) == {"unpacked", "imported"}


def test_a_run_without_config_imports_every_file_that_lies_there(dagster: Dagster) -> None:
    dagster.drop("one.csv", GOOD)
    dagster.drop("two.csv", MESSY)
    assert dagster.run().success
    assert dagster.statuses() == {"one.csv": "imported", "two.csv": "imported"}


def test_a_run_shows_what_became_of_every_row(dagster: Dagster) -> None:
    dagster.drop("one.csv", GOOD)
    dagster.drop("two.csv", MESSY)
    shown = metadata(dagster.run())
    assert (shown["read"], shown["inserted"], shown["rejected"]) == (4, 3, 1)
    assert shown["dagster/partition_row_count"] == 3
    assert [line["file"] for line in shown["per file"]] == ["one.csv", "two.csv"]
    assert all(dagster.report(line["import"]).name == line["file"] for line in shown["per file"])
    assert shown["rejects by rule"] == [{"rule": "amount.decimal", "faults": 1}]
    assert shown["rejects by column"] == [{"column": "amount", "faults": 1}]
    assert {"encoding", "delimiter", "header"} <= {line["subject"] for line in shown["evidence"]}
    assert "load" in {line["stage"] for line in shown["stage seconds"]}
    assert shown["outcomes"].startswith("![What became of 4 rows](data:image/svg+xml;base64,")


def test_a_table_says_how_many_more_lines_there_are(dagster: Dagster) -> None:
    for number in range(MOST_LINES + 3):
        dagster.drop(f"{number}.csv", f"ID\n{number}\n")
    shown = metadata(dagster.run())
    assert len(shown["per file"]) == MOST_LINES + 1
    assert shown["per file"][-1]["file"] == "… 3 more"
    assert "superseded" not in shown["per file"][0]  # a column for nothing makes it wider


def test_a_problem_does_not_repeat_the_name_of_its_file(dagster: Dagster) -> None:
    dagster.drop("wrong.csv", WRONG)
    (line,) = metadata(dagster.run())["problems"]
    assert line["file"] == "wrong.csv"
    assert line["problem"].startswith("feed 'people' needs the column 'ID'")


def test_a_run_shows_where_the_files_are_now(dagster: Dagster) -> None:
    dagster.drop("one.csv", GOOD)
    dagster.drop("wrong.csv", WRONG)
    facts = metadata(dagster.run())
    locations = {line["file"]: line["is now"] for line in facts["where they are"]}
    assert "/archive/" in locations["one.csv"]
    assert "/refused/" in locations["wrong.csv"]
    (outcomes,) = facts["each row's outcome"]
    assert Path(outcomes["is in"]).read_text("utf-8-sig").count("inserted") == 2


def test_a_refused_file_is_named_by_the_location_it_was_moved_to(dagster: Dagster) -> None:
    dagster.drop("wrong.csv", WRONG)
    dagster.run()
    with dagster.pipeline.database.begin() as connection:
        (arrival,) = arrivals.find(connection, account=dagster.account)
    assert dagster.run(files=[arrival.moved_to]).success
    with dagster.pipeline.database.begin() as connection:
        assert len(imports.newest(connection, account=dagster.account)) == 2


def test_the_rejects_asset_shows_the_faults_themselves(dagster: Dagster) -> None:
    dagster.drop("two.csv", MESSY)
    shown = metadata(dagster.run(), "people_rejects")
    assert shown["dagster/partition_row_count"] == 1
    (line,) = shown["first rejects"]
    assert line["file"] == "two.csv"
    assert line["reject"].startswith("row 3 (line 3), column amount")


def test_the_rejects_asset_names_each_file_to_correct_whichever_run_had_it(
    dagster: Dagster,
) -> None:
    dagster.drop("two.csv", MESSY)
    dagster.run()
    number = only_import(dagster)
    dagster.drop("one.csv", GOOD)
    shown = metadata(dagster.run(), "people_rejects")
    assert (shown["dagster/partition_row_count"], shown["rejected"]) == (1, 0)
    (told,) = shown["to correct"]
    assert (told["file"], told["rows"]) == ("two.csv", "1")
    assert told["what helps"].startswith(f"csv-pipeline rejects {number} --out FILE")


def test_no_word_of_a_line_that_is_no_data_is_wider_than_the_page(dagster: Dagster) -> None:
    dagster.drop("one.csv", f"{',' * 90}\n{GOOD}")
    (line,) = metadata(dagster.run())["lines that are no data"]
    assert (line["line"], line["text"]) == (1, f"{',' * 29}…")


def only_import(dagster: Dagster) -> int:
    with dagster.pipeline.database.begin() as connection:
        ((report, _),) = imports.newest(connection, account=dagster.account)
    return report.import_id


def test_a_run_without_files_overwrites_nothing_that_is_shown(dagster: Dagster) -> None:
    dagster.drop("two.csv", MESSY)
    dagster.run()
    idle = dagster.run()
    assert idle.success
    assert idle.get_asset_materialization_events() == []
    assert idle.get_asset_observation_events() == []
    assert checks(idle) == {}


def test_files_that_a_run_leaves_for_one_that_workers_died_over_are_asked_for_at_once(
    dagster: Dagster,
) -> None:
    for n, name in enumerate(("a.csv", "b.csv", "c.csv")):
        dagster.drop(name, GOOD.replace("Ann", f"Ann{n}"))
    dagster.pipeline.scan(seconds=10)
    died = sa.text(
        "UPDATE csv_pipeline.arrival SET status = 'claimed', worker = 'elsewhere/b/n/1/1', "
        "deaths = 1, lease_expires_at = now() - interval '1 hour', requested_at = now() "
        "WHERE account = :account RETURNING arrival_id"
    )
    with dagster.pipeline.database.begin() as connection:
        asked = list(connection.scalars(died, {"account": dagster.account}))
    dagster.run(arrival_ids=asked)
    assert sorted(dagster.statuses().values()) == ["claimed", "claimed", "imported"]
    with dagster.pipeline.database.begin() as connection:
        lanes = arrivals.backlog(connection, unasked_seconds=30)
    assert [len(lane.arrival_ids) for lane in lanes if lane.account == dagster.account] == [2]


def test_every_op_shows_its_files_rows_and_seconds(dagster: Dagster) -> None:
    dagster.drop("two.csv", MESSY)
    result = dagster.run()
    outputs = {
        event.step_key: event.step_output_data.metadata
        for event in result.filter_events(lambda e: e.is_successful_output)
        if event.step_output_data.output_name == "result"
    }
    assert list(outputs) == [
        f"people.{op}" for op in ("claim", "read", "transform", "validate", "load")
    ]
    (line,) = plain(outputs["people.validate"]["per file"])
    assert (line["file"], line["rows"], line["rejects"]) == ("two.csv", 1, 1)
    assert line["seconds"] > 0


def test_ops_hand_over_claims_as_plain_json(dagster: Dagster) -> None:
    dagster.drop("one.csv", GOOD)
    batch = dagster.run().output_for_node("people.validate")
    assert batch["account"] == dagster.account
    assert [claim["name"] for claim in batch["claims"]] == ["one.csv"]
    assert isinstance(batch["claims"][0]["modified_at"], str)


def test_every_check_is_evaluated_for_the_account(dagster: Dagster) -> None:
    dagster.drop("one.csv", GOOD)
    evaluations = dagster.run().get_asset_check_evaluations()
    assert {check.check_name for check in evaluations} == set(CHECKS)
    assert {check.partition for check in evaluations} == {dagster.account}
    assert all(check.passed for check in evaluations)


def test_many_rejects_warn_and_the_run_succeeds(dagster: Dagster) -> None:
    dagster.drop("two.csv", MESSY)
    result = dagster.run()
    assert result.success
    assert checks(result)["reject_rate"] is False


def test_a_header_nobody_knows_all_of_is_drift(dagster: Dagster) -> None:
    dagster.drop("one.csv", "ID,Name,Shoe Size\n1,Ann,38\n")
    result = dagster.run()
    assert result.success
    assert checks(result)["header_drift"] is False


def test_a_refused_file_is_shown_and_the_others_go_on(dagster: Dagster) -> None:
    dagster.drop("one.csv", GOOD)
    dagster.drop("wrong.csv", WRONG)
    result = dagster.run()
    assert result.success
    assert dagster.statuses() == {"one.csv": "imported", "wrong.csv": "refused"}
    (told,) = check_table(result, "nothing_to_look_at", "warnings")
    assert (told["file"], told["warning"]) == ("wrong.csv", "refused")
    assert [line["file"] for line in metadata(result)["problems"]] == ["wrong.csv"]
    assert metadata(result)["read"] == 2


def test_a_run_of_refused_files_only_succeeds(dagster: Dagster) -> None:
    dagster.drop("wrong.csv", WRONG)
    assert dagster.run().success


def test_a_run_with_nothing_to_import_succeeds_and_says_so(
    dagster: Dagster, capfd: pytest.CaptureFixture[str]
) -> None:
    result = dagster.run()
    assert result.success
    assert result.get_asset_materialization_events() == []
    assert f"Nothing to import for {dagster.account}/people." in capfd.readouterr().err


def test_a_file_that_breaks_the_code_fails_alone(
    dagster: Dagster, break_load: Callable[..., None]
) -> None:
    dagster.drop("bad.csv", GOOD)
    dagster.drop("one.csv", MESSY)
    break_load(ZeroDivisionError("a bug"))
    result = dagster.run()
    assert result.success
    assert dagster.statuses() == {"bad.csv": "failed", "one.csv": "imported"}
    (problem,) = metadata(result)["problems"]
    assert problem == {"file": "bad.csv", "problem": "ZeroDivisionError: a bug"}


def test_a_run_in_which_every_file_fails_fails_after_all_is_recorded(
    dagster: Dagster, break_load: Callable[..., None]
) -> None:
    dagster.drop("bad.csv", GOOD)
    break_load(ZeroDivisionError("a bug"))
    result = dagster.run()
    assert not result.success
    assert dagster.statuses() == {"bad.csv": "failed"}
    assert metadata(result)["files"] == 1
    assert checks(result)["nothing_to_look_at"] is False
    assert result.retry_attempts_for_node("people.report") == 0


def test_counts_that_do_not_add_up_fail_the_blocking_check(
    dagster: Dagster, break_load: Callable[..., None]
) -> None:
    dagster.drop("bad.csv", GOOD)
    dagster.drop("one.csv", MESSY)
    break_load(AccountingError("2 rows read, 1 settled"))
    result = dagster.run()
    assert not result.success
    assert checks(result)["accounting_balances"] is False
    assert result.retry_attempts_for_node("people.report") == 0


def test_a_run_that_is_interrupted_gives_its_files_back_and_is_not_retried(
    dagster: Dagster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(loader, "load", interrupted)
    dagster.drop("one.csv", GOOD)
    result = dagster.run()
    assert not result.success
    assert not [event for event in result.all_events if event.is_step_up_for_retry]
    assert dagster.statuses() == {"one.csv": "waiting"}


def test_a_failure_that_cannot_be_recorded_fails_the_run_and_no_other_file(
    dagster: Dagster, break_load: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    dagster.drop("bad.csv", GOOD)
    dagster.drop("one.csv", MESSY)
    break_load(ZeroDivisionError("a bug"))
    record = vars(loader)["record_imports"]

    def full(connection: Any, records: Any, *rest: Any) -> None:
        if records[0].claim.name == "bad.csv":
            raise ValueError("no room")
        record(connection, records, *rest)

    monkeypatch.setattr(loader, "record_imports", full)
    result = dagster.run()
    assert not result.success
    assert dagster.statuses() == {"bad.csv": "claimed", "one.csv": "imported"}
    assert metadata(result)["inserted"] == 1


def test_a_failed_file_is_tried_again_by_the_next_run(
    dagster: Dagster, break_load: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    dagster.drop("bad.csv", GOOD)
    break_load(ZeroDivisionError("a bug"))
    dagster.run()
    monkeypatch.undo()
    assert dagster.run().success
    assert dagster.statuses() == {"bad.csv": "imported"}


@pytest.mark.parametrize("step", ["fetch", "transform", "load"])
def test_a_silent_database_is_waited_for(
    dagster: Dagster, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    answers = iter([DatabaseUnavailableError("database x: an answer was needed; none came")])
    module = {"fetch": importer, "transform": group, "load": loader}[step]
    does = vars(module)[step]

    def silent_once(*arguments: Any, **options: Any) -> Any:
        for error in answers:
            raise error
        return does(*arguments, **options)

    monkeypatch.setattr(module, step, silent_once)
    dagster.drop("one.csv", GOOD)
    result = dagster.run()
    assert result.success
    assert metadata(result)["inserted"] == 2


def test_rejected_rows_are_written_only_if_somebody_asks(dagster: Dagster) -> None:
    dagster.drop("two.csv", MESSY)
    assert dagster.run().success
    folder = path_of(dagster.pipeline.settings.rejects_area / dagster.account / "people")
    assert not folder.exists()
    with dagster.pipeline.database.begin() as connection:
        ((report, _),) = imports.newest(connection, account=dagster.account)
    written = export_rejects.execute_in_process(
        run_config={"ops": {"rejects": {"config": {"import_id": report.import_id}}}},
        resources={"engine": Engine(lambda: dagster.pipeline)},
        instance=dagster.instance,
    )
    path = Path(written.output_for_node("rejects"))
    assert list(folder.iterdir()) == [path]
    dagster.drop("corrected.csv", path.read_text().replace("abc", "8.00"))
    assert metadata(dagster.run())["inserted"] == 1


def test_a_run_looks_into_the_folder_of_its_own_account_only(
    dagster: Dagster, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Dagster(dagster.pipeline, f"{dagster.account}-2", dagster.instance)
    dagster.drop("one.csv", GOOD)
    other.drop("two.csv", GOOD)
    looked, walk = [], os.walk

    def noted(top: Any, **how: Any) -> Any:
        looked.append(Path(top).name)
        return walk(top, **how)

    monkeypatch.setattr(os, "walk", noted)
    assert dagster.run().success
    assert looked == [dagster.account]
    assert (dagster.statuses(), other.statuses()) == ({"one.csv": "imported"}, {})


def test_a_run_that_names_no_file_takes_as_many_as_one_of_the_sensors(dagster: Dagster) -> None:
    settings = dagster.pipeline.settings.model_copy(update={"files_per_run": 2})
    small = Dagster(replace(dagster.pipeline, settings=settings), dagster.account, dagster.instance)
    for number in range(3):
        small.drop(f"{number}.csv", f"ID,Name\n{number},Ann\n")
    small.run()
    assert small.statuses() == {"0.csv": "imported", "1.csv": "imported", "2.csv": "waiting"}
    small.run()
    assert small.statuses()["2.csv"] == "imported"


def test_a_header_that_changed_is_shown_and_warned_of(dagster: Dagster) -> None:
    dagster.drop("one.csv", GOOD)
    dagster.run()
    dagster.drop("two.csv", "ID,Amount,Name,Shoe\n7,1.00,Gus,38\n")
    result = dagster.run()
    assert checks(result)["header_drift"] is False
    (check,) = [c for c in result.get_asset_check_evaluations() if c.check_name == "header_drift"]
    (line,) = plain(check.metadata["headers"])
    assert (line["unknown"], line["reordered"]) == ("Shoe", "Amount")


def test_a_file_over_its_threshold_shows_its_rejects(dagster: Dagster) -> None:
    dagster.drop("good.csv", GOOD)
    dagster.drop("limited.csv", MESSY)
    feed = replace(dagster.pipeline.feed("people"), max_rejected_rows=0)
    dagster.pipeline = replace(dagster.pipeline, feeds={**dagster.pipeline.feeds, "people": feed})
    again = Dagster(dagster.pipeline, dagster.account, dagster.instance)
    result = again.run()
    assert checks(result)["nothing_to_look_at"] is False
    assert metadata(result, "people_rejects")["first rejects"][0]["file"] == "limited.csv"


def test_a_file_claimed_by_another_worker_meanwhile_is_dropped(
    dagster: Dagster, break_load: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    dagster.drop("one.csv", GOOD)
    dagster.drop("two.csv", MESSY)
    transform = vars(group)["transform"]

    def overtaken(files: Files, *rest: Any) -> Any:
        if "one.csv" in files.names:
            _claim_anew(dagster)
        return transform(files, *rest)

    monkeypatch.setattr(group, "transform", overtaken)
    result = dagster.run()
    assert result.success
    assert [line["file"] for line in metadata(result)["per file"]] == ["two.csv"]
    assert dagster.statuses() == {"one.csv": "claimed", "two.csv": "imported"}


def _claim_anew(dagster: Dagster) -> None:
    """Let a second worker take the account's first file, as it may when the claim ran out."""
    (run,) = dagster.instance.get_runs()
    with dagster.pipeline.database.begin() as connection:
        first = min(a.arrival_id for a in arrivals.find(connection, account=dagster.account))
    dagster.pipeline.claim(dagster.account, "people", arrival_ids=[first], run_id=run.run_id)


@pytest.mark.parametrize("by", ["name", "location", "id"])
def test_config_can_name_the_files(dagster: Dagster, by: str) -> None:
    location = dagster.drop("one.csv", GOOD)
    dagster.drop("two.csv", MESSY)
    dagster.pipeline.scan(seconds=10)
    with dagster.pipeline.database.begin() as connection:
        rows = arrivals.find(connection, account=dagster.account)
    one = next(arrival for arrival in rows if arrival.name == "one.csv")
    named: dict[str, Any] = {
        "name": {"files": ["one.csv"]},
        "location": {"files": [location]},
        "id": {"arrival_ids": [one.arrival_id]},
    }[by]
    assert dagster.run(**named).success
    assert dagster.statuses() == {"one.csv": "imported", "two.csv": "waiting"}


def test_a_number_names_a_file_and_not_an_arrival(dagster: Dagster) -> None:
    dagster.drop("one.csv", GOOD)
    dagster.pipeline.scan(seconds=10)
    with dagster.pipeline.database.begin() as connection:
        (one,) = arrivals.find(connection, account=dagster.account)
    number = str(one.arrival_id)
    result = dagster.run(files=[number])
    (failure,) = result.get_step_failure_events()
    assert failure.step_failure_data.error is not None
    assert f"of '{number}' as a file's name; the number" in failure.step_failure_data.error.message
    dagster.drop(number, "ID,Name\nx,X\n")
    assert dagster.run(files=[number]).success
    assert dagster.statuses() == {"one.csv": "waiting", number: "imported"}


def test_a_file_is_imported_again_by_config(dagster: Dagster) -> None:
    dagster.drop("one.csv", GOOD)
    dagster.run()
    batch = dagster.run(files=["one.csv"]).output_for_node("people.claim")
    assert batch["claims"] == []
    result = dagster.run(files=["one.csv"], again=True)
    assert metadata(result)["unchanged"] == 2
    result = dagster.run(again=True)
    (failure,) = result.get_step_failure_events()
    assert failure.step_failure_data.error is not None
    assert "config 'again': files or arrival_ids" in failure.step_failure_data.error.message


def test_a_named_file_that_never_arrived_fails_the_run_at_once(dagster: Dagster) -> None:
    result = dagster.run(files=["nowhere.csv"])
    (failure,) = result.get_step_failure_events()
    error = failure.step_failure_data.error
    assert error is not None
    assert "nothing is known of 'nowhere.csv'" in error.message
    assert (error.cause, error.context) == (None, None)  # the message says it all
    assert result.retry_attempts_for_node("people.claim") == 0


def test_a_dry_run_shows_the_outcome_and_changes_nothing(dagster: Dagster) -> None:
    dagster.drop("one.csv", GOOD)
    result = dagster.run(dry_run=True)
    (event,) = result.get_asset_observation_events()
    facts = event.asset_observation_data.asset_observation.metadata
    assert (facts["inserted"].value, facts["dagster/partition_row_count"].value) == (2, 0)
    assert facts["dry run"].value is True
    assert "Dry run" in str(event.asset_observation_data.asset_observation.description)
    assert tags(dagster, result)["csv_pipeline/outcome"] == "dry run"
    assert result.get_asset_materialization_events() == []
    assert dagster.statuses() == {"one.csv": "waiting"}


def test_a_run_carries_account_files_and_outcome_as_tags(dagster: Dagster) -> None:
    dagster.drop("one.csv", GOOD)
    only = tags(dagster, dagster.run())
    assert only["csv_pipeline/account"] == dagster.account
    assert (only["csv_pipeline/files"], only["csv_pipeline/outcome"]) == ("one.csv", "imported")
    dagster.drop("wrong.csv", WRONG)
    for number in range(4):
        dagster.drop(f"{number}.csv", f"ID,Name\n{number},Ann\n")
    some = tags(dagster, dagster.run())
    assert some["csv_pipeline/files"] == "wrong.csv, 0.csv, 1.csv and 2 more"
    assert some["csv_pipeline/outcome"] == "1 refused, 4 imported"
    assert tags(dagster, dagster.run())["csv_pipeline/outcome"] == "nothing to import"


def tags(dagster: Dagster, result: dg.ExecuteInProcessResult) -> dict[str, str]:
    (run,) = dagster.instance.get_runs(dg.RunsFilter(run_ids=[result.run_id]))
    return dict(run.tags)


def test_an_undo_says_what_it_is_and_leaves_counts_that_are_true(dagster: Dagster) -> None:
    dagster.drop("two.csv", MESSY)
    (line,) = metadata(dagster.run())["per file"]

    def undo(*, dry_run: bool) -> dg.ExecuteInProcessResult:
        return undo_import.execute_in_process(
            run_config={
                "ops": {"undo": {"config": {"import_id": line["import"], "dry_run": dry_run}}}
            },
            resources={"engine": Engine(lambda: dagster.pipeline)},
            instance=dagster.instance,
        )

    tried = undo(dry_run=True)
    assert tried.get_asset_materialization_events() == []
    assert "would be undone" in tags(dagster, tried)["csv_pipeline/outcome"]
    done = undo(dry_run=False)
    assert f"import {line['import']} is undone" in tags(dagster, done)["csv_pipeline/outcome"]
    assert metadata(done)["dagster/partition_row_count"] == 0
    assert metadata(done, "people_rejects")["dagster/partition_row_count"] == 0


def test_the_rejects_asset_counts_the_rows_that_are_to_be_corrected(dagster: Dagster) -> None:
    def rows_open(result: dg.ExecuteInProcessResult) -> int:
        count: int = metadata(result, "people_rejects")["dagster/partition_row_count"]
        return count

    dagster.drop("two.csv", MESSY)
    assert rows_open(dagster.run()) == 1
    dagster.drop("bad.csv", "ID,Name,Amount\n5,Eve,x\n6,,y\n")
    assert rows_open(dagster.run()) == 3
    with dagster.pipeline.database.begin() as connection:
        ((newest, _), (oldest, _)) = imports.newest(connection, account=dagster.account)
        attention.dismiss(connection, newest.import_id)
    dagster.drop("one.csv", GOOD)
    assert rows_open(dagster.run()) == 1
    corrected = Path(dagster.drop("fixed.csv", ""))
    dagster.pipeline.write_rejects(oldest.import_id, corrected)
    corrected.write_text(corrected.read_text("utf-8-sig").replace("abc", "8.00"))
    assert rows_open(dagster.run()) == 0


def test_the_scratch_files_are_gone_after_a_run(dagster: Dagster) -> None:
    dagster.drop("one.csv", GOOD)
    batch = dagster.run().output_for_node("people.claim")
    import_id = batch["claims"][0]["import_id"]
    assert list(dagster.pipeline.settings.work_area.glob(f"{import_id}-*")) == []


def test_files_wait_for_another_run_where_the_database_is_silent_for_too_long(
    dagster: Dagster, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    delay_of = dg.RetryPolicy.calculate_delay

    def at_once(policy: dg.RetryPolicy, attempt: int) -> float:
        pauses.append(delay_of(policy, attempt))
        return 0.0

    def silent(*_: Any) -> None:
        raise DatabaseUnavailableError("database x: an answer was needed; none came")

    monkeypatch.setattr(dg.RetryPolicy, "calculate_delay", at_once)
    monkeypatch.setattr(loader, "load", silent)
    dagster.drop("one.csv", GOOD)
    result = dagster.run()
    assert not result.success
    assert result.retry_attempts_for_node("people.load") == 5
    assert pauses[:5] == [pytest.approx(seconds, abs=1) for seconds in (1, 3, 7, 15, 31)]
    assert dagster.statuses() == {"one.csv": "waiting"}
    monkeypatch.undo()
    assert metadata(dagster.run())["inserted"] == 2
