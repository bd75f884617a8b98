"""What Dagster knows before any file arrives."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.defs_state import base

from csv_pipeline.definitions import defs
from csv_pipeline.defs.attention import OF_A_FEED, OF_NONE
from csv_pipeline.defs.chart import outcome_svg
from csv_pipeline.defs.checks import CHECKS
from csv_pipeline.feeds import FEEDS
from csv_pipeline.model import Counts
from csv_pipeline.settings import settings
from csv_pipeline.spec.feed import Feed


@pytest.fixture(autouse=True)
def _no_instance_of_another_test() -> Iterator[None]:
    """Let definitions be loaded without the Dagster instance that another test has left behind."""
    with base.set_defs_state_storage(None):
        yield


def spec(key: str) -> dg.AssetSpec:
    return next(s for s in defs.resolve_all_asset_specs() if s.key == dg.AssetKey(key))


def test_the_definitions_load_without_settings_or_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CSV_PIPELINE_DATABASE_URL", "postgresql://nowhere:1/none")
    settings.cache_clear()
    dg.Definitions.validate_loadable(defs)
    assert settings.cache_info().currsize == 0


def test_an_asset_tells_its_columns_and_its_table() -> None:
    metadata: dict[str, Any] = dict(spec("ebay_orders").metadata)
    assert metadata["dagster/table_name"] == "data.ebay_orders"
    columns = {column.name: column for column in metadata["dagster/column_schema"].columns}
    assert columns["sold_for"].type == "decimal"
    assert columns["order_key"].constraints.other == ["key"]
    assert columns["buyer_email"].constraints.other == ["protected"]
    assert columns["order_id"].description.endswith("12-34567-89012, or 19 digits")
    assert columns["quantity"].description == "at least 1"


def test_an_asset_tells_whose_it_is_and_what_it_is_made_with() -> None:
    orders = spec("ebay_orders")
    assert (orders.group_name, orders.owners) == ("ebay", ["team:imports"])
    assert orders.kinds == {"csv", "polars", "postgres"}
    assert orders.tags["csv_pipeline/feed"] == "ebay_orders"


@pytest.mark.parametrize("feed", FEEDS, ids=[feed.name for feed in FEEDS])
def test_each_feed_is_a_described_line_from_its_source_to_what_follows(feed: Feed) -> None:
    after = [its.name for its in feed.derived] + [f"{feed.name}_worklist"] * bool(feed.worklist)
    parents = {
        f"{feed.name}_files": f"{feed.group}_source",
        feed.name: f"{feed.name}_files",
        f"{feed.name}_rejects": f"{feed.name}_files",
        **dict.fromkeys(after, feed.name),
    }
    for name, parent in parents.items():
        its = {dep.asset_key.to_user_string() for dep in spec(name).deps} - {"landing_area"}
        assert (its, spec(name).group_name) == ({parent}, feed.group)
    files = spec(f"{feed.name}_files")
    assert dg.AssetKey("landing_area") in {dep.asset_key for dep in files.deps}
    assert all(
        len(str(spec(name).description).split()) >= 6 for name in {*parents, *parents.values()}
    )


def test_no_two_feeds_rejects_are_taken_for_one_table() -> None:
    tables = [s.metadata.get("dagster/table_name") for s in defs.resolve_all_asset_specs()]
    named = [name for name in tables if name is not None]
    assert len(named) == len(set(named))


def test_the_form_of_an_undo_asks_for_the_number() -> None:
    job = defs.resolve_job_def("undo_import")
    assert job.run_config is None
    with pytest.raises(dg.DagsterInvalidConfigError, match='Missing required config entry "import'):
        dg.validate_run_config(job, {"ops": {"undo": {"config": {"dry_run": True}}}})


def test_only_the_accounting_check_blocks() -> None:
    graph = defs.resolve_asset_graph()
    checks = [graph.get_check_spec(key) for key in graph.asset_check_keys]
    assert {check.name for check in checks} == {*CHECKS, *OF_A_FEED, *OF_NONE}
    assert {check.name for check in checks if check.blocking} == {"accounting_balances"}


def test_the_chart_divides_its_bar_in_proportion() -> None:
    picture = outcome_svg(Counts(read=4, inserted=3, rejected=1))
    assert 'x="0.0" y="0" width="210.0"' in picture
    assert 'x="210.0" y="0" width="70.0"' in picture
    assert "rejected: 1 (25.0%)" in picture


def test_a_single_reject_among_a_million_rows_is_seen() -> None:
    picture = outcome_svg(Counts(read=1_000_000, inserted=999_999, rejected=1))
    assert 'x="277.0" y="0" width="3.0"' in picture
    assert "rejected: 1 (under 0.1%)" in picture


def test_the_chart_of_no_rows_says_so() -> None:
    assert "no rows" in outcome_svg(Counts())
