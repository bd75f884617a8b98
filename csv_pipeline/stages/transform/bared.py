"""Count the cells of text that are stored without what stands around them.

Blanks and line ends are no part of a value, nor is the guard of a spreadsheet, `="00417"`. So no
warning is due; but who needs to know finds in the evidence how many cells had any, and where.
"""

from collections.abc import Iterator, Mapping, Sequence

import polars as pl

from csv_pipeline.casts import cells, spreadsheets
from csv_pipeline.casts.evidence import Sightings
from csv_pipeline.handover import TYPED_ORIGIN
from csv_pipeline.model import Evidence
from csv_pipeline.parts import Files, by_part
from csv_pipeline.spec.contract import Column
from csv_pipeline.spec.kinds import Kind

BLANKS, GUARDS = "blanks around text", 'guards ="…" of text'
_SUBJECTS = (BLANKS, GUARDS)
_MOST_COLUMNS = 5
Found = dict[tuple[str, str], Sightings]
"""By subject and column."""


def bared(
    batch: pl.DataFrame,
    trimmed: pl.DataFrame,
    columns: Sequence[Column],
    positions: Mapping[str, int],
    odd: Mapping[str, cells.Oddities],
) -> pl.DataFrame:
    """Return the rows of a batch that have any, by the number of the row.

    Shape: the number, and for each subject a list of columns. The sums of two lengths, which cost
    next to nothing, tell of most columns that no cell has any.
    """
    number = TYPED_ORIGIN[0]
    texts = [column.name for column in columns if column.kind is Kind.TEXT]
    if not texts:
        return trimmed.select(number).clear()
    size = pl.all().str.len_bytes().sum()
    raw = batch.select(pl.col(str(positions[name])).alias(name) for name in texts)
    sizes = zip(raw.select(size).row(0), trimmed.select(texts).select(size).row(0), strict=True)
    blank = [name for name, (before, now) in zip(texts, sizes, strict=True) if before != now]
    guarded = [name for name in texts if odd[name].cell]
    found = trimmed.select(
        number,
        *(
            ((pl.col(name) != raw[name]) & (pl.col(name) != "")).alias(f"0 {name}")
            for name in blank
        ),
        *(pl.col(name).str.contains(spreadsheets.GUARDED).alias(f"1 {name}") for name in guarded),
    )
    return found.filter(pl.any_horizontal(pl.all().exclude(number).fill_null(value=False)))


def add(to: Sequence[Found], rows: pl.DataFrame, files: Files) -> None:
    """Add the rows of a batch that have any to what is found of each file."""
    number, *names = rows.columns
    for at, some in by_part(rows, files.parts, number) if names else ():
        numbers = some[number] - files.parts[at].rows_up
        for name in names:
            subject, _, column = name.partition(" ")
            sightings = to[at].setdefault((_SUBJECTS[int(subject)], column), Sightings())
            sightings.add(some[name], some[name], numbers)


def evidence(found: Found, headings: Mapping[str, str]) -> Iterator[Evidence]:
    """Give how many cells had any, of which columns, and the first row of each."""
    for subject in _SUBJECTS:
        its = [(col, one) for (what, col), one in found.items() if what == subject and one.count]
        told = [
            f"{one.count:,} of {headings[column]!r}, the first in row {one.row_number}"
            for column, one in its[:_MOST_COLUMNS]
        ]
        if len(its) > _MOST_COLUMNS:
            told.append(f"the others of {len(its) - _MOST_COLUMNS} more columns")
        if told:
            many = sum(one.count for _, one in its)
            because = f"{many:,} cells had any: {'; '.join(told)}"
            yield Evidence(subject=subject, decision="left out", because=because)
