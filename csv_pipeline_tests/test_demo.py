"""The demo tells its story: good, messy, bad, repeated, late and misplaced files, by Dagster."""

from collections.abc import Iterator
from decimal import Decimal

import dagster as dg
import pytest

from csv_pipeline.cli import show_demo
from csv_pipeline.demo.run import DemoResult, run_demo
from csv_pipeline.demo.story import deliveries
from csv_pipeline.engine.pipeline import Pipeline, open_pipeline
from csv_pipeline.feeds import FEEDS
from csv_pipeline.model import Counts, Outcome
from csv_pipeline_tests.conftest import own_settings


@pytest.fixture(scope="module")
def stage() -> Iterator[Pipeline]:
    """A database of the demo's own, so that nothing else waits for its sensor."""
    with own_settings() as settings:
        opened = open_pipeline(settings, FEEDS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture(scope="module")
def result(stage: Pipeline, instance: dg.DagsterInstance) -> DemoResult:
    return run_demo(stage, instance, on_step=lambda _: None)


def told(result: DemoResult, part: str) -> tuple[Outcome | None, Counts, str]:
    """Return outcome, counts and problem of the one file whose name has this part."""
    (one,) = [one for one in result.told if part in f"{one.delivery.account}/{one.delivery.name}"]
    if one.report is None:
        return None, Counts(), one.problem
    return one.report.outcome, one.report.counts, one.report.problem or ""


def test_the_same_files_are_written_every_time() -> None:
    assert deliveries() == deliveries()


@pytest.mark.parametrize(
    ("part", "counts"),
    [
        pytest.param(
            "11334292920.csv", Counts(read=237, inserted=237, blank=1, non_data=4), id="good"
        ),
        pytest.param("11333104417", Counts(read=233, inserted=233, blank=1, non_data=4), id="late"),
        pytest.param(
            "11335310448.csv",
            Counts(
                read=324, inserted=233, updated=39, unchanged=44, rejected=8, blank=1, non_data=4
            ),
            id="messy",
        ),
        pytest.param(
            "Bestellungen-01", Counts(read=182, inserted=182, blank=1, non_data=4), id="german"
        ),
        pytest.param(
            "kunden.csv", Counts(read=93, inserted=88, superseded=3, rejected=2), id="twice"
        ),
        pytest.param(
            "11335390001", Counts(read=3994, inserted=3994, blank=1, non_data=4), id="british"
        ),
        pytest.param(
            "own-list", Counts(read=63, inserted=59, superseded=1, rejected=3), id="by hand"
        ),
        pytest.param("acorn/customers.csv", Counts(read=240, inserted=240), id="customers"),
        pytest.param("customers-export", Counts(), id="header only"),
        pytest.param("listings-report", Counts(read=60, inserted=59, rejected=1), id="listings"),
        pytest.param("report-Sep-08", Counts(read=14, inserted=14, non_data=7), id="transactions"),
        pytest.param(
            "report-Sep-14",
            Counts(read=20, inserted=6, updated=9, unchanged=5, non_data=7),
            id="transactions that overlap",
        ),
        pytest.param("acorn/products.csv", Counts(read=30, inserted=29, rejected=1), id="products"),
    ],
)
def test_every_row_of_an_imported_file_has_its_outcome(
    result: DemoResult, part: str, counts: Counts
) -> None:
    assert told(result, part)[:2] == (Outcome.IMPORTED, counts)


@pytest.mark.parametrize(
    ("part", "outcome", "why"),
    [
        pytest.param("11335310911", Outcome.REFUSED, "names 'maple_toys'", id="seller"),
        pytest.param("Bestellungen-08", Outcome.REFUSED, "40 sales records", id="cut off"),
        pytest.param("eigene-liste", Outcome.REFUSED, "could be either", id="undecidable"),
        pytest.param("takings", Outcome.REFUSED, "needs the columns 'Order Number'", id="columns"),
        pytest.param("upload-failed", Outcome.REFUSED, "a header was needed", id="empty"),
        pytest.param("(1).csv", Outcome.DUPLICATE, "brought the same bytes", id="repeated"),
        pytest.param("11335390442", None, "did you mean 'ebay_orders'?", id="misplaced"),
    ],
)
def test_a_file_that_brings_no_rows_says_why(
    result: DemoResult, part: str, outcome: Outcome | None, why: str
) -> None:
    found, _, problem = told(result, part)
    assert found is outcome
    assert why in problem


def test_revenue_counts_no_order_twice(result: DemoResult) -> None:
    german = next(one for one in result.revenue if one.account == "bergwerk")
    assert (german.currency, german.orders, german.unpaid) == ("EUR", 140, 3)
    assert german.revenue == Decimal("19601.89")


def test_the_runs_are_in_dagsters_history(result: DemoResult, instance: dg.DagsterInstance) -> None:
    assert result.runs == 10
    assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.SUCCESS] * 10


def test_a_second_demo_adds_nothing(
    result: DemoResult, stage: Pipeline, instance: dg.DagsterInstance
) -> None:
    again = run_demo(stage, instance, on_step=lambda _: None)
    assert again.runs == 0
    assert again.told == result.told


def test_the_demo_shows_every_file_and_how_to_settle_what_is_open(
    result: DemoResult, stage: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    show_demo.demo(result, stage.settings)
    shown = capsys.readouterr().out
    assert all(one.delivery.shows[:30] in shown for one in result.told)
    assert "csv-pipeline account bergwerk --date-order day-first" in shown
