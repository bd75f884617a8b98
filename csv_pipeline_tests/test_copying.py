"""Values that are copied to the server come back as they were, whatever their type."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

import polars as pl
import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql as pg

from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.spec.kinds import MOMENT, TYPES
from csv_pipeline.stages.load.copying import copy
from csv_pipeline.stages.load.staged import temporary

Row = dict[str, Any]


def decimals(digits: int, scale: int) -> st.SearchStrategy[Decimal]:
    """Return all numbers of so many digits, some of them after the point."""
    most = 10**digits - 1
    return st.integers(-most, most).map(lambda its: Decimal(f"{its}E-{scale}"))


WHOLE = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=9)
COLUMNS: dict[str, tuple[sa.types.TypeEngine[Any], Any, st.SearchStrategy[Any]]] = {
    "text": (sa.Text(), pl.String, TEXT),
    "whole": (sa.BigInteger(), pl.Int64, WHOLE),
    "small": (sa.BigInteger(), pl.Int32, st.integers(-(2**31), 2**31 - 1)),
    "money": (sa.Numeric(18, 2), pl.Decimal(18, 2), decimals(18, 2)),
    "long": (sa.Numeric(38, 10), pl.Decimal(38, 10), decimals(38, 10)),
    "tiny": (sa.Numeric(30, 30), pl.Decimal(30, 30), decimals(30, 30)),
    "round": (sa.Numeric(20, 0), pl.Decimal(20, 0), decimals(20, 0)),
    "flag": (sa.Boolean(), pl.Boolean, st.booleans()),
    "day": (sa.Date(), pl.Date, st.dates()),
    "clock": (sa.Time(), pl.Time, st.times()),
    "moment": (sa.DateTime(timezone=True), MOMENT, st.datetimes(timezones=st.just(UTC))),
    "id": (sa.Uuid(), pl.String, st.uuids()),
    "document": (pg.JSONB(), pl.String, st.dictionaries(TEXT, TEXT | WHOLE, max_size=2)),
}
FRAME = {name: dtype for name, (_, dtype, _) in COLUMNS.items()}
TABLE = temporary("copied", {name: its for name, (its, _, _) in COLUMNS.items()})
ROWS = st.lists(
    st.fixed_dictionaries({name: st.none() | values for name, (*_, values) in COLUMNS.items()}),
    max_size=3,
)


def in_a_frame(row: Row) -> Row:
    """Return a row as frames have it: ids and documents as text."""
    told: dict[type, Callable[[Any], Any]] = {
        UUID: str,
        dict: lambda its: json.dumps(its, ensure_ascii=False),
    }
    return {name: told.get(type(value), lambda its: its)(value) for name, value in row.items()}


def copied(pipeline: Pipeline, frames: list[list[Row]]) -> tuple[int, list[Row]]:
    """Return how many rows the server says it took, and what it then has."""
    made = (
        pl.DataFrame([in_a_frame(row) for row in rows], schema=FRAME, orient="row")
        for rows in frames
    )
    with pipeline.database.begin() as connection:
        TABLE.create(connection, checkfirst=False)
        count = copy(connection, TABLE, list(FRAME), made)
        return count, [row._asdict() for row in connection.execute(sa.select(TABLE))]


def row(**values: Any) -> Row:
    return dict.fromkeys(FRAME) | values


@given(frames=st.lists(ROWS, max_size=2))
@example(frames=[])
@example(frames=[[], [row(text="")], []])
@example(frames=[[row(text='\x1f "quoted"\r\n\t\\N \\. \N{GRINNING FACE}')]])
@example(frames=[[row(money=Decimal("-0.10"), long=Decimal("10000.0000000001"))]])
@example(frames=[[row(day=date(1, 1, 1), moment=datetime(9999, 12, 31, 23, 59, tzinfo=UTC))]])
@example(frames=[[row(clock=time(23, 59, 59, 999_999)), row(clock=time(0))]])
def test_what_is_copied_comes_back_as_it_was(pipeline: Pipeline, frames: list[list[Row]]) -> None:
    count, stored = copied(pipeline, frames)
    sent = [row for rows in frames for row in rows]
    assert count == len(sent)
    assert stored == sent


def test_each_type_of_a_column_is_among_those_copied_here() -> None:
    makers = {
        type(its.table(its.frame(18, 2) if its.frame is pl.Decimal else None))
        for its in TYPES.values()
    }
    assert makers == {type(its) for its, *_ in COLUMNS.values()}


def test_a_row_that_the_table_refuses_is_said_to_be_one_of_its_rows(pipeline: Pipeline) -> None:
    short = temporary("short", {"money": sa.Numeric(3, 2)})
    few = temporary("short", {"money": sa.Numeric(18, 2)})
    with pipeline.database.begin() as connection:
        short.create(connection)
        frames = iter([pl.DataFrame({"money": [Decimal("1.00"), Decimal("100.00")]})])
        with pytest.raises(psycopg.errors.NumericValueOutOfRange):
            copy(connection, few, ["money"], frames)
