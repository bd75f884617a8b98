"""Make rejects of rows, in the one form that all stages write them."""

import polars as pl

from csv_pipeline.handover import REJECTS
from csv_pipeline.spec.contract import Column

MASK = "•••"
_MOST_SHOWN = 1_000  # characters of a value in its message; the reject has all of it besides


def fault_rows(  # noqa: PLR0913, PLR0917  # the parts of a message
    rows: pl.DataFrame,
    failed: pl.Series,
    column: Column,
    heading: str,
    rule: str,
    needed: str | pl.Expr,
) -> pl.DataFrame:
    """Return one fault for each row under the mask `failed`.

    Shape: as `REJECTS`. `rows` has `TYPED_ORIGIN` and the column's values; those of a protected
    column stay out of the message, which reads *column: what was found, the rule, what was needed*.
    """
    value = pl.col(column.name).cast(pl.String)
    short = pl.when(value.str.len_chars() > _MOST_SHOWN).then(
        pl.format("{}…", value.str.slice(0, _MOST_SHOWN))
    )
    shown = pl.lit(MASK) if column.protected else pl.format("'{}'", short.otherwise(value))
    known_as = f" ({heading!r})" if heading and heading != column.name else ""
    if isinstance(needed, str):
        needs = pl.lit(f" ({needed})" if needed else "")
    else:
        needs = pl.format(" ({})", needed)
    message = pl.format(
        "column {}: {} breaks rule {}{}",
        pl.lit(f"{column.name}{known_as}"),
        pl.when(value.is_null()).then(pl.lit("an empty cell")).otherwise(shown),
        pl.lit(f"{column.name}.{rule}"),
        needs,
    )
    return (
        rows.filter(failed)
        .select(
            *_place("row_number", "line_number"),
            pl.lit(column.name).alias("column"),
            pl.lit(f"{column.name}.{rule}").alias("rule"),
            value.alias("value"),
            message.alias("message"),
            *_place("offset", "length"),
        )
        .cast(REJECTS)
    )


def record_faults(rows: pl.DataFrame, rule: pl.Expr, message: pl.Expr) -> pl.DataFrame:
    """Return one fault of the whole record for each row, which has `ORIGIN`; shape: `REJECTS`."""
    return rows.select(
        *("row_number", "line_number"),
        pl.lit(None, pl.String).alias("column"),
        rule.alias("rule"),
        pl.lit(None, pl.String).alias("value"),
        message.alias("message"),
        *("offset", "length"),
    ).cast(REJECTS)


def _place(*names: str) -> list[pl.Expr]:
    return [pl.col(f"_{name}").alias(name) for name in names]
