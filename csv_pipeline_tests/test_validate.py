"""A contract's checks are asked all at once first; Pandera must say the same of every frame."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandera.errors import SchemaErrors

from csv_pipeline.spec.contract import columns_of
from csv_pipeline.spec.names import EXTRA
from csv_pipeline.spec.row_hash import known_by
from csv_pipeline.stages.validate.rules import _may_fail
from csv_pipeline_tests.feeds import Person

WELL = {
    "person_id": "p1",
    "name": "Ann",
    "amount": Decimal("1.50"),
    "born_on": date(1990, 1, 2),
    "seen_on": None,
    "secret": "123",
}
SCHEMA = Person.to_schema()
DTYPES = {name: column.dtype.type for name, column in SCHEMA.columns.items()}


def people(*rows: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame([WELL | row for row in rows], schema=DTYPES)


@pytest.mark.parametrize(
    ("row", "may_fail"),
    [
        pytest.param({}, [], id="well"),
        pytest.param({"amount": Decimal("-1.00")}, ["amount"], id="a built-in check"),
        pytest.param({"name": None}, ["amount"], id="a check of the contract's own"),
        pytest.param({"person_id": None}, ["person_id"], id="a missing value"),
        pytest.param({"secret": None}, [], id="a null that a check passes over"),
        pytest.param({"secret": "12x"}, ["secret"], id="a pattern"),
    ],
)
def test_one_bad_row_is_found_among_good_ones(row: dict[str, object], may_fail: list[str]) -> None:
    assert _may_fail(people({}, row, {}), SCHEMA) == may_fail


def test_a_frame_of_other_types_is_left_to_pandera() -> None:
    frame = people({}).with_columns(pl.col("amount").cast(pl.Float64))
    assert _may_fail(frame, SCHEMA) == list(DTYPES)


ROWS = st.fixed_dictionaries(
    {
        "person_id": st.sampled_from(["p1", "p2", None]),
        "name": st.sampled_from(["Ann", None]),
        "amount": st.sampled_from([None, Decimal("0.00"), Decimal("-0.01"), Decimal("7.00")]),
        "secret": st.sampled_from([None, "1", "", "x"]),
    }
)


@settings(deadline=None)  # the first frame compiles patterns
@given(st.lists(ROWS, max_size=4))
def test_a_column_may_fail_exactly_where_pandera_finds_it_bad(
    rows: list[dict[str, object]],
) -> None:
    frame = people(*rows)
    found: set[object] = set()
    try:
        SCHEMA.validate(frame, lazy=True)
    except SchemaErrors as error:
        found = set(error.failure_cases["column"])
    assert set(_may_fail(frame, SCHEMA)) == found


def test_rows_are_known_again_by_the_numbers_that_are_stored_of_them() -> None:
    rows = people({}, {"name": None}).with_columns(pl.Series(EXTRA, ['{"a":"b"}', None], pl.String))
    assert known_by(columns_of(Person), keyed=False).of(rows).rows() == [
        (2439484737225289488, 3288562086406458258, "af062fbb1880d04f3b70a1838b61b836"),
        (-3121289466393158391, 1265018197050276403, "bbee9fe7087652e0d36778a26232ac19"),
    ]


def test_all_checks_of_a_batch_are_asked_in_one_query(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[pl.LazyFrame] = []
    collect: Callable[..., pl.DataFrame] = pl.LazyFrame.collect

    def noted(frame: pl.LazyFrame, **how: Any) -> pl.DataFrame:
        asked.append(frame)
        return collect(frame, **how)

    monkeypatch.setattr(pl.LazyFrame, "collect", noted)
    assert sum(len(column.checks) for column in SCHEMA.columns.values()) == 3
    assert _may_fail(people({}, {}), SCHEMA) == []
    assert len(asked) == 1
