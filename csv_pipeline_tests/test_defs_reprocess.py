"""A backfill in Dagster imports stored files of accounts once more, where they arrived."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from csv_pipeline.defs.assembly import assemble
from csv_pipeline.defs.checks import CHECKS
from csv_pipeline.defs.reprocessing import reprocess_accounts
from csv_pipeline.defs.resource import Engine
from csv_pipeline.engine.import_requests import ACCOUNTS
from csv_pipeline_tests.conftest import Desk
from csv_pipeline_tests.test_reprocess import Place

TABLE = dg.AssetKey("overwritten")


class Backfill:
    """Runs the real job for the partition of the test's account."""

    def __init__(self, place: Place, instance: dg.DagsterInstance) -> None:
        self.place, self.instance = place, instance
        self.account = place.desk.account
        feeds = [place.desk.pipeline.feed("overwritten")]
        self.job = assemble(feeds, Engine(lambda: place.desk.pipeline)).resolve_job_def(
            reprocess_accounts.name
        )
        instance.add_dynamic_partitions(ACCOUNTS, [self.account, "another"])

    def run(self, account: str | None = None, **config: Any) -> dg.ExecuteInProcessResult:
        return self.job.execute_in_process(
            instance=self.instance,
            partition_key=account or self.account,
            run_config={"ops": {"import_once_more": {"config": config}}} if config else None,
            raise_on_error=False,
        )


def imported(result: dg.ExecuteInProcessResult) -> int:
    assert result.success
    count: int = result.output_for_node("import_once_more")
    return count


def why(result: dg.ExecuteInProcessResult) -> str:
    (failure,) = result.get_step_failure_events()
    error = failure.step_failure_data.error
    assert error is not None
    return error.message


@pytest.fixture
def place(desk: Desk) -> Place:
    return Place(desk, "overwritten")


@pytest.fixture
def backfill(place: Place) -> Iterator[Backfill]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Backfill(place, instance)


def test_a_backfill_imports_what_a_changed_contract_affects_where_it_arrived(
    backfill: Backfill, place: Place
) -> None:
    place.bring("a,x1,1", "b,x1,1")
    place.bring("a,x2,2")
    place.change_feed()
    done = backfill.run()
    assert imported(done) == 2
    assert place.values() == {"a": "X2", "b": "X1"}
    run = backfill.instance.get_run_by_id(done.run_id)
    assert run is not None
    assert run.tags["csv_pipeline/account"] == backfill.account
    assert run.tags["csv_pipeline/outcome"] == "2 imported"
    shown = {event.asset_key: event for event in done.get_asset_materialization_events()}
    counts = shown[TABLE].step_materialization_data.materialization.metadata
    assert (counts["files"].value, counts["dagster/partition_row_count"].value) == (2, 2)
    assert {its.check_name for its in done.get_asset_check_evaluations()} == set(CHECKS)
    assert imported(backfill.run()) == 0  # of a second backfill nothing is left to do


def test_a_backfill_of_all_files_changes_no_row(backfill: Backfill, place: Place) -> None:
    place.bring("a,x1,1")
    place.bring("a,x2,2")
    assert imported(backfill.run(changed=False)) == 2
    assert place.values() == {"a": "x2"}


def test_a_backfill_takes_files_of_the_feeds_and_days_that_are_named_and_of_its_account(
    backfill: Backfill, place: Place
) -> None:
    place.bring("a,x1,1")
    assert imported(backfill.run(changed=False, feeds=["people"])) == 0
    assert imported(backfill.run(changed=False, until="2020-01-01")) == 0
    assert imported(backfill.run(changed=False, since="1d", feeds=["overwritten"])) == 1
    assert "account 'another'" in why(backfill.run("another", changed=False))


def test_a_dry_run_lists_the_files_and_imports_none(backfill: Backfill, place: Place) -> None:
    place.bring("a,x1,1")
    place.change_feed()
    done = backfill.run(dry_run=True)
    assert imported(done) == 0
    assert done.get_asset_materialization_events() == []
    assert place.values() == {"a": "x1"}
    (output,) = done.filter_events(lambda event: event.is_successful_output)
    shown = output.step_output_data.metadata["first files"]
    assert isinstance(shown, dg.TableMetadataValue)
    (line,) = shown.records
    assert line.data["why"] == "the feed has changed"


def test_what_cannot_be_imported_fails_the_run_after_the_others_are(
    backfill: Backfill, place: Place
) -> None:
    first = place.bring("a,x1,1")
    place.bring("b,x1,1")
    (place.desk.folder / first.name).unlink()
    place.change_feed()
    done = backfill.run()
    assert not done.success
    assert first.name in why(done)
    assert place.values() == {"a": "x1", "b": "X1"}


def test_a_name_or_a_date_that_is_none_is_told(backfill: Backfill, place: Place) -> None:
    place.bring("a,x1,1")
    assert "'peple'" in why(backfill.run(feeds=["peple"]))
    assert "config 'since': 2d, 6h, 30m, or a date was needed" in why(backfill.run(since="soon"))
