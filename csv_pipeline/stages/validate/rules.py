"""Hold the rows of a batch to the checks of their contract, all in one query."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData
from pandera.backends.polars.register import register_polars_backends
from pandera.errors import SchemaErrors

from csv_pipeline.errors import SetupError
from csv_pipeline.rejects.faults import fault_rows
from csv_pipeline.spec.contract import Column, Contract, asked_by
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.kinds import Kind

RULES = {
    "not_nullable": "required",
    "str_matches": "matches",
    "str_contains": "contains",
    "str_startswith": "startswith",
    "str_endswith": "endswith",
    "str_length": "length",
    "greater_than": "gt",
    "greater_than_or_equal_to": "ge",
    "less_than": "lt",
    "less_than_or_equal_to": "le",
    "in_range": "in_range",
    "isin": "isin",
}


@dataclass(frozen=True, slots=True)
class OwnCells:
    """The cells of a batch as they are in the file; read only if there is a fault to show."""

    read: Callable[[list[str]], pl.DataFrame]
    positions: Mapping[str, int]

    def shown_in(self, batch: pl.DataFrame, column: Column) -> pl.DataFrame:
        """Return the batch with a column's values as they are written: `-1`, and not `-1.00`."""
        if column.kind is Kind.TEXT or column.name not in self.positions:
            return batch
        position = str(self.positions[column.name])
        text = self.read(["row_number", position])
        if text.height != batch.height:  # rows of files that are refused are not typed
            text = text.filter(text["row_number"].is_in(batch["_row_number"].implode()))
        written = text[position].str.strip_chars()
        value = pl.when(pl.col(column.name).is_not_null()).then(written)
        return batch.with_columns(value.alias(column.name))


@dataclass(frozen=True, slots=True)
class Rules:
    """What rows are held to, and what the file calls the columns."""

    schema: pa.DataFrameSchema
    feed: Feed
    headings: Mapping[str, str]


def rules_of(feed: Feed, present: tuple[str, ...], headings: Mapping[str, str]) -> Rules:
    """Return the contract for the columns present.

    Where a contract has rules of its own, these see the whole frame, so that columns that the file
    lacks stay in it, as nulls.
    """
    return Rules(_schema_of(feed.contract, present), feed, headings)


@lru_cache(maxsize=100)  # to leave columns out is to copy the others, checks and all
def _schema_of(contract: type[Contract], present: tuple[str, ...]) -> pa.DataFrameSchema:
    register_polars_backends()  # which Pandera itself does when it first validates
    schema = contract.to_schema()
    own = has_own_rules(contract)
    absent = [] if own else [name for name in schema.columns if name not in present]
    return schema.remove_columns(absent)


def contract_faults(batch: pl.DataFrame, rules: Rules, cells: OwnCells) -> list[pl.DataFrame]:
    """Return the contract's faults in a batch, those of each check together."""
    faults: list[pl.DataFrame] = []
    feed, schema = rules.feed, rules.schema
    columns = {column.name: column for column in feed.columns}
    absent = [
        pl.lit(None, columns[name].dtype).alias(name)
        for name in schema.columns
        if name not in batch.columns
    ]
    whole = (batch.with_columns(absent) if absent else batch)[list(schema.columns)]
    may_fail = _may_fail(whole, schema)
    if not may_fail:
        return faults
    looked_at = schema.select_columns(may_fail)
    looked_at.strict = False  # checks of the contract's own may see the other columns
    try:
        looked_at.validate(whole, lazy=True)
    except SchemaErrors as error:
        cases = error.failure_cases
        _refuse_whole_frame(cases, feed)
        for (name, check), some in cases.group_by("column", "check", maintain_order=True):
            failed = pl.Series([False]).new_from_index(0, batch.height)
            failed = failed.scatter(some["index"].unique(), values=True)
            column = columns[str(name)]
            rule, needed = _rule(str(check), column, schema)
            heading = rules.headings.get(column.name, "")
            shown = cells.shown_in(batch, column)
            faults.append(fault_rows(shown, failed, column, heading, rule, needed))
    return faults


def _may_fail(whole: pl.DataFrame, schema: pa.DataFrameSchema) -> list[str]:
    """Return the columns of which any check of the contract fails.

    Pandera would say which rows are bad of each check, which is most of the time that a small file
    takes; that is left to it where any are. The checks are its own, and so is how nulls count.

    Raises:
        SetupError: A check does not answer for each row.
    """
    every = list(schema.columns)
    expected = {name: column.dtype.type for name, column in schema.columns.items()}
    if whole.schema != expected:
        return every
    rows = whole.lazy()
    checks = [(name, check) for name, one in schema.columns.items() for check in one.checks]
    checks += [("*", check) for check in schema.checks]
    answers = [_answer(rows, name, check) for name, check in checks]
    found = pl.concat(answers).collect(engine="in-memory").rows() if answers else []
    failed = set()
    for (name, check), (count, passed) in zip(checks, found, strict=True):
        if count != whole.height:
            raise SetupError(
                f"contract {schema.name!r}, check {check.name!r}: an answer for each row was "
                "needed, because a check sees some rows of a file at a time; it answers "
                f"{count or 1:,} times for {whole.height:,} rows"
            )
        failed |= set() if passed else {name}
    if schema.checks:
        return every
    required = (name for name, column in schema.columns.items() if not column.nullable)
    failed |= {name for name in required if whole[name].null_count()}
    return [name for name in every if name in failed]


def _answer(rows: pl.LazyFrame, name: str, check: Any) -> pl.LazyFrame:
    """Return how often a check answers for some rows, null if for all at once, and if all pass."""
    answer: pl.LazyFrame | bool = check.get_backend(rows)(check).apply(PolarsData(rows, name))
    if isinstance(answer, bool):
        return pl.LazyFrame({"count": [None], "passed": [answer]}, schema=_ANSWER)
    passed = pl.all().fill_null(check.ignore_na).all().alias("passed")
    return answer.select(pl.len().alias("count"), passed)


def unmet(contract: type[Contract], name: str, value: str) -> str | None:
    """Return what a check of a column of texts asks for and one does not meet; None: it meets all.

    Checks that look at other columns of the row are not asked.
    """
    register_polars_backends()
    rows = pl.LazyFrame({name: [value]})
    for check in contract.to_schema().columns[name].checks:
        try:
            passed = _answer(rows, name, check).collect()["passed"].item()
        except pl.exceptions.ColumnNotFoundError:
            continue
        if not passed:
            return asked_by(check)
    return None


def are_met(contract: type[Contract], values: pl.Series) -> pl.Series:
    """Return which values of a column meet all its checks, as far as these look at nothing else.

    Where one looks at other columns, or the contract has checks of whole rows, none is said to.
    """
    register_polars_backends()
    schema, rows = contract.to_schema(), values.to_frame().lazy()
    met = pl.repeat(not schema.checks, values.len(), dtype=pl.Boolean, eager=True)
    for check in schema.columns[values.name].checks:
        try:
            answer = check.get_backend(rows)(check).apply(PolarsData(rows, values.name))
            if isinstance(answer, bool):
                met &= answer
            else:
                met &= answer.select(pl.all().fill_null(check.ignore_na)).collect().to_series()
        except pl.exceptions.ColumnNotFoundError:
            met &= False
    return met


def _refuse_whole_frame(cases: pl.DataFrame, feed: Feed) -> None:
    """A fault without a row is the feed's, not the file's."""
    whole = cases.filter(pl.col("index").is_null())
    if whole.height:
        case = whole.row(0, named=True)
        raise SetupError(
            f"feed {feed.name!r}: rows as its contract declares were needed; "
            f"{case['check']} fails for {case['column'] or case['failure_case']!r}"
        )


def _rule(check: str, column: Column, schema: pa.DataFrameSchema) -> tuple[str, str]:
    """Return a check's short name and what it needs."""
    name, _, arguments = check.partition("(")
    if name == "not_nullable":
        return "required", column.description or "a value in each row"
    rule = RULES.get(name, name)
    by_name = {c.name: c for c in schema.columns[column.name].checks}
    words = asked_by(by_name[name]) if name in by_name else f"{rule} {arguments.rstrip(')')}"
    return rule, column.needs or words.strip()


_ANSWER = pl.Schema({"count": pl.UInt32, "passed": pl.Boolean})


@cache
def has_own_rules(contract: type[Contract]) -> bool:
    """Return whether a contract has rules that are not Pandera's and may look at several rows."""
    schema = contract.to_schema()
    checks = (check for column in schema.columns.values() for check in column.checks)
    return bool(schema.checks) or any(check.name not in RULES for check in checks)
