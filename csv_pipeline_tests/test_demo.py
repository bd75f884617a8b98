"""The demo tells its story: files of every feed, good, faulty, repeated and late, by Dagster."""

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from csv_pipeline.cli import commands, show_demo
from csv_pipeline.demo.run import DemoResult, run_demo
from csv_pipeline.demo.story import ACCOUNTS, YAML_FEED, declare_feed, deliveries
from csv_pipeline.engine.pipeline import Pipeline, open_pipeline
from csv_pipeline.feeds import FEEDS
from csv_pipeline.feeds.sources import all_feeds
from csv_pipeline.model import Counts, Outcome
from csv_pipeline.settings import Settings
from csv_pipeline_tests.conftest import own_settings
from csv_pipeline_tests.test_house import ROOT


@pytest.fixture(scope="module")
def stage() -> Iterator[Pipeline]:
    """A database of the demo's own, so that nothing else waits for its sensor."""
    with own_settings() as settings:
        declare_feed(settings)
        opened = open_pipeline(settings, all_feeds(settings))
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


def rows_of(result: DemoResult, table: str) -> list[dict[str, Any]]:
    """Return the rows that are shown of a table."""
    (found,) = [found for found in result.found if found.topic.table == table]
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


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
        pytest.param("dy24_supr", Counts(read=9, inserted=8, rejected=1), id="services"),
        pytest.param("DMEPOS26_JUL", Counts(read=4, inserted=4, non_data=2), id="fees"),
        pytest.param("equipment.csv", Counts(read=12, inserted=11, rejected=1), id="equipment"),
        pytest.param("worker-1", Counts(read=5, inserted=4, rejected=1), id="orders"),
        pytest.param(
            "worker-2", Counts(read=3, inserted=1, updated=1, kept=1), id="orders of before"
        ),
        pytest.param("invoices.csv", Counts(read=6, inserted=5, rejected=1), id="YAML"),
        pytest.param(
            "FirstConstituencyContractDemo1111111_2024-09-06_0800",
            Counts(read=9, inserted=8, rejected=1),
            id="dump",
        ),
        pytest.param(
            "SecondConstituencyContractDemo111111", Counts(read=4, inserted=4), id="cp1251"
        ),
        pytest.param("_0900-1000", Counts(read=2, inserted=1, unchanged=1), id="next hour"),
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
        pytest.param("dump.csv", Outcome.REFUSED, "a name like <contract id>", id="name"),
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
    (german,) = [
        one for one in rows_of(result, "ebay_order_totals") if one["account"] == "bergwerk"
    ]
    assert (german["currency"], german["orders"], german["unpaid"]) == ("EUR", 140, 3)
    assert (german["revenue"], german["with_summary_rows_added"]) == (
        Decimal("19601.89"), Decimal("22398.60"),
    )  # fmt: skip


def test_the_derived_tables_have_what_was_imported(result: DemoResult) -> None:
    days = rows_of(result, "sales_by_day")
    assert Counter(day["account"] for day in days) == {"acorn": 2, "bergwerk": 2, "cove": 2}
    differing, *others = rows_of(result, "listing_stock")
    assert (differing["state"], differing["difference"]) == ("differs", 4)
    assert {other["state"] for other in others} == {"agrees"}
    assert [
        (hour["constituency"], hour["votes_cast"], hour["votes_accepted"], hour["turnout"])
        for hour in rows_of(result, "constituency_metrics")
    ] == [
        ("Округ 1", 3, 1, Decimal("0.3333")),
        ("Округ 1", 1, 1, Decimal("0.6667")),
        ("Округ 2", 1, 1, Decimal("0.5000")),
    ]


def test_an_older_report_that_comes_later_changes_nothing(result: DemoResult) -> None:
    orders = {one["po_number"]: one for one in rows_of(result, "coupa_purchase_orders")}
    assert orders["PO15262984"]["status"] == "COMPLETED"
    assert orders["PM15327452"]["status"] == "COMPLETED"


def test_the_runs_wrote_the_worklist(result: DemoResult) -> None:
    (written,) = result.worklists.values()
    assert (written.rows, written.changed) == (3, False)
    text = Path(str(written.location)).read_text(encoding="utf-8-sig")
    assert [line.partition(",")[0] for line in text.splitlines()[1:]] == [
        "PO15362783", "PO15400001", "PO15500002",
    ]  # fmt: skip


def test_words_of_the_yaml_feed_are_read(result: DemoResult) -> None:
    assert [one["status"] for one in rows_of(result, YAML_FEED.stem)] == ["paid", "open", "paid"]


def test_a_feed_that_is_declared_already_stays_as_it_is(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    declared = declare_feed(settings)
    declared.write_text("description: changed")
    assert declare_feed(settings).read_text() == "description: changed"
    assert [path.name for path in declared.parent.iterdir()] == [YAML_FEED.name]


def test_every_shipped_feed_has_rows_and_is_named(
    result: DemoResult, stage: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    show_demo.demo(result, stage.settings)
    shown = " ".join(capsys.readouterr().out.split())
    named = ", ".join(feed.name for feed in FEEDS)
    assert f"{len(FEEDS)} of {len(FEEDS)} shipped ones: {named}" in shown
    assert f"declared in {stage.settings.feed_folders[0]}: {YAML_FEED.stem}" in shown


def test_no_patient_is_shown(
    result: DemoResult, stage: Pipeline, capsys: pytest.CaptureFixture[str]
) -> None:
    show_demo.demo(result, stage.settings)
    assert "P-00" not in capsys.readouterr().out


@pytest.mark.parametrize("text", ["README.md", "Makefile", "demo --help"])
def test_what_is_said_of_the_demo_is_so(text: str) -> None:
    files = sum(map(len, deliveries()))
    said = commands.demo.__doc__ if text == "demo --help" else (ROOT / text).read_text()
    assert f"{files} files of {len(ACCOUNTS)} accounts" in " ".join((said or "").split())


def test_the_runs_are_in_dagsters_history(result: DemoResult, instance: dg.DagsterInstance) -> None:
    assert result.runs == 16
    assert [run.status for run in instance.get_runs()] == [dg.DagsterRunStatus.SUCCESS] * 16


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
