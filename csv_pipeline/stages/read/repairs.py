"""Repair records that have one possible reading, and no others.

A separator too many may stand anywhere in its record. That it is the last one is proven if every
other reading contradicts what all rows have in common.
"""

import re

import polars as pl

from csv_pipeline.stages.read.grammar import Grammar
from csv_pipeline.stages.read.looks import ENOUGH, Looks

VARIANTS = (",", ";", "\t", "|")
_MOST_EXTRA = 64


def repaired(frame: pl.DataFrame, grammar: Grammar, width: int, looks: Looks) -> pl.DataFrame:
    """Return records without the fault of those that could be repaired."""
    frame = _without_empty_cells(frame, grammar, width, looks)
    return _other_delimiter(frame, grammar, width, looks)


def other_readings(text: str, grammar: Grammar, width: int) -> list[list[str | None]]:
    """Return the cells of a record by each other delimiter that gives enough of them."""
    found = []
    for variant in VARIANTS:
        if variant != grammar.delimiter and text.count(variant) >= width - 1:
            own = Grammar(variant, grammar.quote, grammar.escape)
            cells = own.cells(text)
            if len(cells) == width and own.is_record(text):
                found.append(cells)
    return found


def _without_empty_cells(
    frame: pl.DataFrame, grammar: Grammar, width: int, looks: Looks
) -> pl.DataFrame:
    """Drop the empty cells at the end of a record by which it is longer than the header."""
    delimiter, quote = re.escape(grammar.delimiter), re.escape(grammar.quote)
    empty = f"(?:{delimiter}(?:{quote}{quote})?)"
    too_long = frame.filter(pl.col("fault") == "row.too_long")
    extra = (too_long["fields"] - width).unique()
    for count in extra.filter(extra <= _MOST_EXTRA).to_list():
        pattern = rf"{empty}{{{count}}}\r?$"
        repairable = (frame["fault"] == "row.too_long") & (frame["fields"] == width + count)
        repairable &= frame["text"].str.contains(pattern)
        if looks.extra != count:
            repairable = _proven(frame, repairable, grammar, looks, count)
        frame = frame.with_columns(
            written=pl.when(repairable)
            .then(pl.col("written").str.replace(pattern, ""))
            .otherwise("written"),
            cells=pl.when(repairable & pl.col("cells").is_not_null())
            .then(pl.col("cells").list.head(width))
            .otherwise("cells"),
            fault=pl.when(~repairable).then("fault"),
        )
    return frame


def _proven(
    frame: pl.DataFrame, repairable: pl.Series, grammar: Grammar, looks: Looks, count: int
) -> pl.Series:
    """Return which records can be read in no other way."""
    positions = repairable.arg_true().to_list()
    texts = frame["text"].gather(positions).to_list()
    proven = [_is_proven(grammar.cells(text), looks, count) for text in texts]
    return repairable.scatter(positions, proven)


def _is_proven(cells: list[str | None], looks: Looks, count: int) -> bool:
    width = len(cells) - count
    if looks.rows < ENOUGH:
        return False
    if looks.filled[-1] and cells[width - 1]:  # else the last column would be empty for once
        return not looks.deny(cells[:width])
    if count > 1:
        return False
    readings = {tuple(_merged(cells, at)) for at in range(width)}
    possible = [reading for reading in readings if not looks.deny(reading)]
    return possible == [tuple(cells[:width])]


def _merged(cells: list[str | None], at: int) -> list[str | None]:
    """Return cells with one and the next as one; where both have text they stay apart by a mark."""
    one, other = cells[at], cells[at + 1]
    both = f"{one}\0{other}" if one and other else one or other
    return [*cells[:at], both, *cells[at + 2 :]]


def _other_delimiter(
    frame: pl.DataFrame, grammar: Grammar, width: int, looks: Looks
) -> pl.DataFrame:
    """Read a record by its own delimiter, if it has one field but by that exactly enough."""
    short = (frame["fault"] == "row.too_short") & (frame["fields"] == 1)
    if width < 3 or not short.any():
        return frame
    cells, faults = frame["cells"].to_list(), frame["fault"].to_list()
    positions = short.arg_true().to_list()
    for position, text in zip(positions, frame["text"].gather(positions).to_list(), strict=True):
        readings = other_readings(text, grammar, width)
        if len(readings) == 1 and looks.know(readings[0]):
            cells[position], faults[position] = readings[0], None
    return frame.with_columns(
        cells=pl.Series(cells, dtype=pl.List(pl.String)), fault=pl.Series(faults, dtype=pl.String)
    )
