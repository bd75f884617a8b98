"""Sum up what the stages found, for the report."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from csv_pipeline.account import Account
from csv_pipeline.batches import scan
from csv_pipeline.errors import (
    MissingColumnError,
    MixedCurrenciesError,
    NoGoodRowError,
    ThresholdExceededError,
    WrongFeedError,
)
from csv_pipeline.handover import NON_DATA, WHOLE, TextFile, ValidFile
from csv_pipeline.model import Counts, ImportReport, NonDataLine, Reject, ReportWarning
from csv_pipeline.rejects.faults import MASK
from csv_pipeline.spec.feed import SHARE_FROM_ROWS, Feed

MAY_BE_DECLARED = frozenset(
    error.code
    for error in (
        MissingColumnError,
        MixedCurrenciesError,
        NoGoodRowError,
        ThresholdExceededError,
        WrongFeedError,
    )
)
"""Why files are refused that a wrong setting of their account may also be the reason of."""

_LINES_KEPT = 100
_LINES_NAMED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class NonData:
    """What the lines of a file show that are no data.

    `first` are as many of them as a report holds. `undeclared` counts those that no pattern of the
    feed declares and that have two cells or more, as a row has; `positions` are where the first of
    these are. `below` counts the undeclared ones with text below the header.
    """

    first: tuple[NonDataLine, ...] = ()
    undeclared: int = 0
    positions: tuple[int, ...] = ()
    below: int = 0


def non_data_in(text: TextFile) -> NonData:
    """Sum up the lines of a file that are neither header nor record, nor blank."""
    if text.non_data_lines is None:
        return NonData()
    lines = scan(text.non_data_lines, NON_DATA)
    first = lines.head(_LINES_KEPT).collect()
    if first.is_empty():
        return NonData()
    wide = pl.col("cells") > 1
    undeclared = lines.filter(~pl.col("declared"))
    counted = undeclared.select(
        wide.sum().alias("wide"),
        pl.col("line_number").filter(wide).head(_LINES_NAMED).implode().alias("positions"),
        ((pl.col("line_number") > text.header_line) & (pl.col("cells") > 0)).sum().alias("below"),
    ).collect()
    found, positions, below = counted.row(0)
    return NonData(
        first=tuple(NonDataLine(**line) for line in first.iter_rows(named=True)),
        undeclared=found,
        positions=tuple(positions),
        below=below,
    )


def settings_at_fault(account: Account, report: ImportReport) -> str:
    """Return which settings of the account rejects or a header that is unknown may be due to.

    With the commands to take them back; "" if there are none.
    """
    rules = {rule.rpartition(".")[2] for rule in report.rejects_by_rule}
    by_letters = "undecodable" in rules or not all(name.isascii() for name in report.header)
    may_be = {
        "encoding": by_letters,
        "date_order": "date" in rules,
        "decimal_mark": bool(rules & {"decimal", "integer"}),
        "max_rejected_rows": report.problem_code == ThresholdExceededError.code,
        "max_rejected_share": report.problem_code == ThresholdExceededError.code,
        "currency": "currency" in rules or report.problem_code == MixedCurrenciesError.code,
    }
    settings = [account.setting(name) for name, is_it in may_be.items() if is_it]
    found = [setting for setting in settings if setting.value is not None]
    if not found:
        return ""
    shown = " and the ".join(f"{setting} {setting.value}" for setting in found)
    commands = ", ".join(setting.forget for setting in found)
    who = f"account {account.account!r}"
    return f"; {who} declares the {shown}, which may be why; to take it back: {commands}"


def warnings_of(
    counts: Counts, non_data: NonData, settings_at_fault: str
) -> tuple[ReportWarning, ...]:
    """Return what a person should look at although the file is imported."""
    found = []
    if counts.read and counts.rejected == counts.read:
        rows = "the only row" if counts.read == 1 else f"each of the {counts.read:,} rows"
        found.append(
            ReportWarning(
                code="rows.all_rejected",
                message=f"{rows} was rejected, so nothing of the file is stored{settings_at_fault}",
                count=counts.read,
            )
        )
    if not counts.read and non_data.below:
        found.append(
            ReportWarning(
                code="rows.none_read",
                message=f"{non_data.below:,} lines with text stand below the header, and none of "
                "them is a row",
                count=non_data.below,
                line_numbers=tuple(
                    line.line_number for line in non_data.first if not line.declared
                )[:_LINES_NAMED],
            )
        )
    if non_data.undeclared:
        found.append(
            ReportWarning(
                code="lines.undeclared",
                message=f"{non_data.undeclared:,} lines with two cells or more were not taken for "
                "rows, and no pattern of the feed declares them",
                count=non_data.undeclared,
                line_numbers=non_data.positions,
            )
        )
    return tuple(found)


def refuse_without_good_row(
    feed: Feed, read: int, rejected: int, non_data: NonData, *, name: str
) -> None:
    """Refuse a file with so many lines below its header and no row that can be stored.

    Raises:
        NoGoodRowError: All of at least `SHARE_FROM_ROWS` rows are rejected, or there are as many
            undeclared lines and no row; or the feed needs a row and there is none.
    """
    needed = "a row that can be stored was needed"
    if rejected == read and (read >= SHARE_FROM_ROWS or feed.needs_good_row):
        found = f"each of its {read:,} rows was rejected" if read else "the file has no row"
        raise NoGoodRowError(name, needed, found)
    if not read and non_data.below >= SHARE_FROM_ROWS:
        found = f"{non_data.below:,} lines with text stand below the header, and none is a row"
        raise NoGoodRowError(name, needed, found)


def count_rejects(faults: pl.LazyFrame) -> tuple[dict[str, int], dict[str, int]]:
    """Return how many faults broke each rule and how many are in each column, the most first.

    Faults of a whole record count under the column "(record)".
    """
    counted = (
        faults.select("rule", pl.col("column").fill_null("(record)"))
        .group_by("rule", "column")
        .len()
        .collect(engine="streaming")
    )
    return _totals(counted, "rule"), _totals(counted, "column")


def count_rows(faults: pl.LazyFrame) -> int:
    """Return how many rows have a fault."""
    return int(faults.select(pl.col("row_number").n_unique()).collect().item())


def first_rejects(import_id: int, text: Path, faults: pl.LazyFrame, limit: int) -> list[Reject]:
    """Return the first faults in the order of the file, before or without their being stored.

    `text` is the file as UTF-8, which the faults' offsets count in.
    """
    order = ("row_number", "line_number", "column")
    first = faults.sort(order).head(limit).collect(engine="streaming")
    found = []
    with text.open("rb") as file:
        for fault in first.iter_rows(named=True):
            file.seek(fault.pop("offset"))
            raw = file.read(fault.pop("length")).decode().removesuffix("\r")
            found.append(Reject.of({"import_id": import_id, "raw": raw, **fault}))
    return found


def first_rows(valid: ValidFile | None, feed: Feed, limit: int) -> pl.DataFrame:
    """Return the first rows without a fault as they are stored, protected values masked."""
    if valid is None:
        return pl.DataFrame()
    rows = scan(valid.rows)
    held = set(rows.collect_schema().names())  # a file need not have every column
    columns = [column for column in feed.columns if column.name in held]
    shown = [column.name for column in columns]
    masked = [c.name for c in columns if c.protected or feed.confidential]
    if valid.part != WHOLE:
        rows = rows.filter(
            pl.col("_row_number").is_between(valid.part.rows_up + 1, valid.part.last)
        )
    first = rows.bottom_k(limit, by="_row_number").sort("_row_number")
    return (
        first.select("_row_number", *shown)
        .with_columns(pl.lit(MASK).alias(n) for n in masked)
        .collect(engine="streaming")
    )


def _totals(counted: pl.DataFrame, by: str) -> dict[str, int]:
    totals = counted.group_by(by).agg(pl.col("len").sum()).sort("len", by, descending=[True, False])
    return dict(totals.iter_rows())
