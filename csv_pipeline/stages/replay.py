"""Take rejected rows back: turn a mended rejects file into rows of the file they came from.

What has been through a spreadsheet may have lost its byte order mark, have another delimiter, its
columns in another order and rows deleted; the reader and the names of the columns see to that. Each
row is known by its number in the import that it repairs. A row that is none of its open rejects is
a reject itself, and nothing is imported twice.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from csv_pipeline.errors import ReplayError
from csv_pipeline.storage.rejects import record_faults
from csv_pipeline.storage.rejects_file import (
    IMPORT_ID,
    OURS,
    RAW,
    ROW_NUMBER,
    VERBATIM,
    restored,
)
from csv_pipeline.storage.work import (
    PAIRS,
    PLACE,
    BatchWriter,
    Replay,
    TextFile,
    batches,
)

_IN_NAME = re.compile(r"import-(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """The import whose rejected rows come back; `states` is as `quarantine.states` gives it."""

    import_id: int
    header: tuple[str, ...]
    states: pl.DataFrame


def named_import(text: TextFile, name: str, told: int | None = None) -> int:
    """Return the import that a rejects file belongs to: as told, by its column, or by its name.

    Raises:
        ReplayError: It names none, or several, or another than was told.
    """
    named = _numbers_in(text, IMPORT_ID)
    if not named and told is None and (in_name := _IN_NAME.search(name)):
        named = {in_name.group(1)}
    wanted = {str(told)} if told is not None else named
    if len(wanted) != 1 or named - wanted or not all(n.isdigit() for n in wanted):
        found = f"it names {', '.join(sorted(named)[:5])}" if named else "it names none"
        raise ReplayError(
            name,
            f"the rejected rows of import {told} were needed"
            if told is not None
            else f"rejected rows of one import, named in {IMPORT_ID} or the file's name, were "
            "needed",
            found,
        )
    return int(wanted.pop())


def take_back(text: TextFile, work: Path, repaired: Repaired, *, name: str) -> Replay:
    """Write the rows under the header of the import they repair, and return which row is which.

    Raises:
        ReplayError: A column of that header is gone.
    """
    header, places = _places(text.header, repaired, name)
    rows, rejects = BatchWriter(work / "replay-text"), BatchWriter(work / "replay-rejects")
    known = BatchWriter(work / "replay-rows")
    verbatim = VERBATIM in text.header
    seen = pl.Series("repairs", [], pl.Int64)
    pairs = zip(batches(text.rows), batches(text.rejects), strict=True)
    for number, (batch, malformed) in enumerate(pairs):
        judged = _judged(batch, text.header, repaired, seen)
        seen = pl.concat([seen, judged["repairs"].drop_nulls()])
        cells = [pl.col(str(place)) for place in places]
        good = judged.filter(pl.col("rule").is_null()).select(
            *(
                (cell if verbatim else restored(cell)).alias(str(index))
                for index, cell in enumerate(cells)
            ),
            *PLACE,
        )
        rows.write(good, number)
        rejects.write(pl.concat([malformed, _faults(judged, repaired)]), number)
        known.write(
            judged.filter(pl.col("malformed").is_not_null())
            .select("row_number", pl.col("repairs").alias("repairs_row_number"))
            .cast(PAIRS),
            number,
        )
    back = replace(
        text,
        rows=rows.directory,
        rejects=rejects.directory,
        header=header,
        malformed=rejects.rows,
    )
    return Replay(import_id=repaired.import_id, text=back, rows=known.directory)


def _numbers_in(text: TextFile, column: str) -> set[str]:
    if column not in text.header:
        return set()
    place = str(text.header.index(column))
    found = (_number(batch[place]).drop_nulls().unique() for batch in batches(text.rows, [place]))
    return {value for series in found for value in series if value}


def _number(cells: pl.Series) -> pl.Series:
    """Return whole numbers as text, as spreadsheets may have written them."""
    return cells.str.strip_chars("' \t").str.replace(r"[.,]0+$", "")


def _places(
    found: Sequence[str], repaired: Repaired, name: str
) -> tuple[tuple[str, ...], list[int]]:
    """Return the header of the repaired import, with names added since, and the place of each."""
    names = pl.Series(found, dtype=pl.String)
    if VERBATIM not in found:
        names = names.to_frame("name").select(restored(pl.col("name"))).to_series()
    by_name = {named: place for place, named in enumerate(_counted(names))}
    ours = {by_name[(one, 1)] for one in OURS if (one, 1) in by_name}
    wanted = list(_counted(repaired.header))
    if gone := [one for one, nth in wanted if (one, nth) not in by_name]:
        raise ReplayError(
            name,
            f"all columns of import {repaired.import_id} were needed",
            f"the header lacks {', '.join(map(repr, gone))}",
        )
    added = {by_name[key]: key[0] for key in by_name if key not in set(wanted)}
    more = {place: named for place, named in added.items() if place not in ours}
    header = (*repaired.header, *more.values())
    return header, [*(by_name[key] for key in wanted), *more]


def _counted(names: Iterable[str]) -> list[tuple[str, int]]:
    """Return each name and which of its kind it is, the first being 1."""
    count: Counter[str] = Counter()
    counted = []
    for name in names:
        count[name] += 1
        counted.append((name, count[name]))
    return counted


def _judged(
    batch: pl.DataFrame, header: Sequence[str], repaired: Repaired, seen: pl.Series
) -> pl.DataFrame:
    """Return the rows with the number each repairs, its state, and the rule it breaks, if any."""
    number = batch[str(header.index(ROW_NUMBER))]
    shows_raw = pl.lit(value=True)
    if RAW in header:
        shows_raw = pl.col(str(header.index(RAW))).str.strip_chars().fill_null("") != ""
    repairs = _number(number).cast(pl.Int64, strict=False).alias("repairs")
    rows = batch.with_columns(repairs, number.alias("number"))
    rows = rows.join(repaired.states, on="repairs", how="left", maintain_order="left")
    again = pl.col("repairs").is_in(seen.implode()) | ~pl.col("repairs").is_first_distinct()
    return rows.with_columns(
        rule=pl.when(pl.col("malformed").is_null())
        .then(pl.lit("row.not_rejected"))
        .when(pl.col("repaired_by").is_not_null())
        .then(pl.lit("row.repaired_before"))
        .when(again)
        .then(pl.lit("row.repeated"))
        .when(pl.col("malformed") & shows_raw)
        .then(pl.lit("row.not_mended"))
    )


def _faults(judged: pl.DataFrame, repaired: Repaired) -> pl.DataFrame:
    bad = judged.filter(pl.col("rule").is_not_null())
    repairs = f"import {repaired.import_id}"
    what = {
        "row.not_rejected": pl.format(
            f"the {ROW_NUMBER} of a row that {repairs} rejected was needed; found {{}}",
            pl.when(pl.col("number").fill_null("") == "")
            .then(pl.lit("an empty cell"))
            .otherwise(pl.format("'{}'", "number")),
        ),
        "row.repaired_before": pl.format(
            f"an open reject was needed; row {{}} of {repairs} was repaired by import {{}}",
            "repairs",
            "repaired_by",
        ),
        "row.repeated": pl.format(
            f"each row once was needed; row {{}} of {repairs} stands further up", "repairs"
        ),
        "row.not_mended": pl.lit(
            f"its cells mended and {RAW} emptied were needed; {RAW} still holds the record, whose "
            "cells could not be told apart"
        ),
    }
    message = pl.coalesce(pl.when(pl.col("rule") == rule).then(text) for rule, text in what.items())
    return record_faults(bad, pl.col("rule"), message)
