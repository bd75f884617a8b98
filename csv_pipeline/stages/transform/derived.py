"""Make the columns that a feed derives, and check the file as a whole."""

from collections.abc import Callable, Collection

import polars as pl
from polars.exceptions import ColumnNotFoundError

from csv_pipeline.batches import scan
from csv_pipeline.errors import SetupError
from csv_pipeline.handover import NON_DATA, TYPED_ORIGIN, TextFile
from csv_pipeline.model import Evidence, ReportWarning
from csv_pipeline.parts import Files
from csv_pipeline.spec.feed import Feed, WholeFile, takes_facts
from csv_pipeline.spec.names import EXTRA
from csv_pipeline.stages.transform.plan import Plan


def with_derived(typed: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """Add what the feed derives; the columns that the file lacks are there to derive from only."""
    rows = typed.lazy().with_columns(*_absent(plan, typed.columns))
    for derive in plan.feed.transforms:
        make: Callable[..., pl.LazyFrame] = derive
        rows = make(rows, plan.facts) if takes_facts(derive) else make(rows)
    try:
        made = rows.select(*plan.columns(), EXTRA, *TYPED_ORIGIN).collect()
    except ColumnNotFoundError as error:
        raise SetupError(
            f"feed {plan.feed.name!r}: transforms that make the derived columns and keep the "
            f"others were needed; {_first_line(error)}"
        ) from error
    return _in_order_of(typed, made, plan.feed)


def _absent(plan: Plan, present: Collection[str]) -> list[pl.Expr]:
    """Return the columns of the contract that rows lack, as the value that each row has there."""
    return [
        pl.lit(plan.told.get(column.name, column.substitute), column.dtype).alias(column.name)
        for column in plan.feed.columns
        if column.name not in present
    ]


def _in_order_of(typed: pl.DataFrame, made: pl.DataFrame, feed: Feed) -> pl.DataFrame:
    """Return the rows in the order of the file; a transform may have sorted them.

    Raises:
        SetupError: They are not the rows that it was given.
    """
    number = TYPED_ORIGIN[0]
    if made[number].equals(typed[number]):
        return made
    ordered = made.sort(number)
    if ordered[number].equals(typed[number]):
        return ordered
    raise SetupError(
        f"feed {feed.name!r}: transforms that give each row back once were needed, as "
        f"{typed.height:,} rows; {made.height:,} came back, with other row numbers"
    )


def _above(text: TextFile) -> tuple[str, ...]:
    if text.non_data_lines is None:
        return ()
    lines = scan(text.non_data_lines, NON_DATA)
    above = lines.filter(pl.col("line_number") < text.header_line).head(_MOST_ABOVE)
    return tuple(above.select("text").collect()["text"])


_MOST_ABOVE = 20


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def check_file(
    files: Files, at: int, rows: pl.LazyFrame, plan: Plan
) -> list[Evidence | ReportWarning]:
    """Return the evidence and the warnings that the feed's file checks give of one of the files.

    Raises:
        ContradictionError: The file says of itself what is not so.
    """
    text = files.texts[at]
    whole = WholeFile(
        name=files.names[at],
        layout=plan.layout.name,
        account=plan.account,
        rows=rows.with_columns(*_absent(plan, plan.columns())),
        malformed=scan(text.rejects).select("line_number"),
        non_data=text.non_data,
        preamble=_above(text),
    )
    found = (check(whole) for check in plan.feed.file_checks)
    return [one for one in found if one is not None]
