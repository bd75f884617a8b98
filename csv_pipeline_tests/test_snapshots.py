"""A file that brings every row of a scope, and the stored rows that are not in it."""

from typing import Any

import pytest

from csv_pipeline.errors import SetupError
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.snapshot import Snapshot
from csv_pipeline_tests.feeds import Version


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        ({"scope": ("month",)}, "a column of the contract was needed; found 'month'"),
        ({"scope": ("value",)}, "'value' may be null and has none"),
        ({"scope": ("key", "key")}, "each column of the scope once"),
        ({"max_missing_rows": -1}, "found -1 and 0.2"),
        ({"max_missing_share": 20}, "max_missing_share from 0 to 1 were needed; found None and 20"),
    ],
)
def test_a_wrong_snapshot_is_refused_when_it_is_declared(wrong: dict[str, Any], found: str) -> None:
    with pytest.raises(SetupError, match=found):
        Feed(
            name="versions",
            description="Versions.",
            contract=Version,
            key=("key",),
            snapshot=Snapshot(**wrong),
        )
