"""The lint of the Open Data Contract community finds nothing in what feeds are written as."""

import pytest
from datacontract.data_contract import DataContract
from datacontract.model.run import ResultEnum

from csv_pipeline.feeds import FEEDS
from csv_pipeline.spec.declared.forms import written
from csv_pipeline.spec.feed import Feed


@pytest.mark.parametrize("feed", FEEDS, ids=[feed.name for feed in FEEDS])
def test_a_feed_written_as_a_contract_passes_the_lint(feed: Feed) -> None:
    run = DataContract(data_contract_str=written(feed, "odcs")).lint()
    assert run.result == ResultEnum.passed, run.checks


def test_the_lint_can_fail() -> None:
    text = written(FEEDS[0], "odcs").replace("logicalType: integer", "logicalType: whole", 1)
    assert DataContract(data_contract_str=text).lint().result != ResultEnum.passed
