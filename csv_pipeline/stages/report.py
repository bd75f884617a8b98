"""Sum up what the stages found, for the report."""

from collections.abc import Iterable
from pathlib import Path

import polars as pl

from csv_pipeline.model import Reject
from csv_pipeline.storage.work import REJECTS, scan


def count_rejects(rejects: Iterable[Path]) -> tuple[dict[str, int], dict[str, int]]:
    """Return how many faults broke each rule and how many stood in each column, the most first.

    Faults of a whole record count under the column "(record)".
    """
    faults = pl.concat([scan(directory, REJECTS) for directory in rejects])
    counted = (
        faults.select("rule", pl.col("column").fill_null("(record)"))
        .group_by("rule", "column")
        .len()
        .collect(engine="streaming")
    )
    return _totals(counted, "rule"), _totals(counted, "column")


def count_rows(rejects: Path) -> int:
    """Return how many rows have a fault."""
    return int(scan(rejects, REJECTS).select(pl.col("row_number").n_unique()).collect().item())


def first_rejects(import_id: int, text: Path, rejects: Iterable[Path], limit: int) -> list[Reject]:
    """Return the first faults in the order of the file, before or without their being stored.

    `text` is the file as UTF-8, which the faults' offsets count in.
    """
    faults = pl.concat([scan(directory, REJECTS) for directory in rejects])
    order = ("row_number", "line_number", "column")
    first = faults.sort(order).head(limit).collect(engine="streaming")
    found = []
    with text.open("rb") as file:
        for fault in first.iter_rows(named=True):
            file.seek(fault.pop("offset"))
            raw = file.read(fault.pop("length")).decode()
            found.append(Reject.of({"import_id": import_id, "raw": raw, **fault}))
    return found


def _totals(counted: pl.DataFrame, by: str) -> dict[str, int]:
    totals = counted.group_by(by).agg(pl.col("len").sum()).sort("len", by, descending=[True, False])
    return dict(totals.iter_rows())
