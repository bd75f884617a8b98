"""Turn a corrected rejects file into rows of the file they came from.

What has been through a spreadsheet may have lost its byte order mark, have another delimiter, its
columns in another order and rows deleted; the reader and the names of the columns allow for that.
Each row is known by its number in the import that it repairs, and by the cells that were well
there. A row that is none of its open rejects is a reject itself, and nothing is imported twice.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from csv_pipeline.batches import BatchWriter, batches
from csv_pipeline.errors import ReplayError
from csv_pipeline.handover import ORIGIN, PAIRS, Replay, TextFile
from csv_pipeline.rejects.faults import MASK, record_faults
from csv_pipeline.rejects.rejects_file import IMPORT_ID, OURS, RAW, ROW_NUMBER, VERBATIM, restored

_IN_NAME = re.compile(r"import-(\d+)")
_WHOLE_NUMBER = r"^'*[ \t]*([0-9]{1,18})(?:[.,]0)?[ \t]*$"  # a spreadsheet may add one decimal
_MOST_COMPARED = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """The import whose rejected rows come back.

    `states` is as `quarantine.states` gives it, `originals` gives the rows of some numbers as
    `quarantine.originals` does, and `columns` says which column each place of the header is. Cells
    of a `confidential` feed were sent out masked.
    """

    import_id: int
    header: tuple[str, ...]
    states: pl.DataFrame
    originals: Callable[[Sequence[int]], pl.DataFrame]
    columns: tuple[str | None, ...]
    confidential: bool = False


def named_import(text: TextFile, name: str, told: int | None = None) -> int:
    """Return the import that a rejects file belongs to: as told, by its column, or by its name.

    Malformed rows tell it too, if it is in their first cell, where no extra cell moves it.

    Raises:
        ReplayError: It names none, or several, or another than was told.
    """
    named = _numbers_in(text, IMPORT_ID) or _numbers_in_malformed(text, IMPORT_ID)
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


def under_own_header(text: TextFile, work: Path, repaired: Repaired, *, name: str) -> Replay:
    """Write the rows under the header of the import they repair, and return which row is which.

    Raises:
        ReplayError: A column of that header is gone.
    """
    header, positions = _positions(text.header, repaired, name)
    rows, rejects = BatchWriter(work / "replay-text"), BatchWriter(work / "replay-rejects")
    known = BatchWriter(work / "replay-rows")
    verbatim = VERBATIM in text.header
    seen = pl.Series("repairs", [], pl.Int64)
    pairs = zip(batches(text.rows), batches(text.rejects), strict=True)
    for number, (batch, malformed) in enumerate(pairs):
        judged = _judged(batch, text.header, repaired, seen)
        if repaired.confidential:
            judged = _unmasked(judged, positions[: len(repaired.header)], repaired)
        judged = _compared(judged, positions, repaired, verbatim=verbatim)
        seen = pl.concat([seen, judged["repairs"].drop_nulls()])
        good = judged.filter(pl.col("rule").is_null()).select(
            *(
                cell.alias(str(index))
                for index, cell in enumerate(_as_sent(judged, positions, verbatim=verbatim))
            ),
            *ORIGIN,
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
        text, rows=rows.batches, rejects=rejects.batches, header=header, malformed=rejects.rows
    )
    return Replay(import_id=repaired.import_id, text=back, rows=known.batches)


def _numbers_in(text: TextFile, column: str) -> set[str]:
    if column not in text.header:
        return set()
    position = str(text.header.index(column))
    found = (
        _number(batch[position]).drop_nulls().unique() for batch in batches(text.rows, [position])
    )
    return {value for series in found for value in series if value}


def _numbers_in_malformed(text: TextFile, column: str) -> set[str]:
    if text.header[:1] != (column,):
        return set()
    first = (record.partition(text.delimiter)[0] for record in _malformed(text))
    cells = pl.Series("cell", [cell.strip(text.quote or " ") for cell in first], pl.String)
    return set(_number(cells).unique()) - {""}


def _malformed(text: TextFile) -> Iterator[str]:
    """Give the malformed records as they are in the text."""
    with text.text.open("rb") as file:
        for faults in batches(text.rejects, ["offset", "length"]):
            for offset, length in faults.unique().iter_rows():
                file.seek(offset)
                yield file.read(length).decode(errors="replace")


def _number(cells: pl.Series) -> pl.Series:
    """Return whole numbers as text, as spreadsheets may have written them; others as they are.

    A mark of groups is none of that: `12,000` may be row 12 or row 12000.
    """
    return cells.str.replace(_WHOLE_NUMBER, "$1")


def _positions(
    found: Sequence[str], repaired: Repaired, name: str
) -> tuple[tuple[str, ...], list[int]]:
    """Return the header of the repaired import, with names added since, and the place of each."""
    names = pl.Series(found, dtype=pl.String)
    if VERBATIM not in found:
        names = names.to_frame("name").select(restored(pl.col("name"))).to_series()
    by_name = {named: position for position, named in enumerate(_counted(names))}
    ours = {by_name[(one, 1)] for one in OURS if (one, 1) in by_name}
    wanted = list(_counted(repaired.header))
    if gone := [one for one, nth in wanted if (one, nth) not in by_name]:
        raise ReplayError(
            name,
            f"all columns of import {repaired.import_id} were needed",
            f"the header lacks {', '.join(map(repr, gone))}",
        )
    added = {by_name[key]: key[0] for key in by_name if key not in set(wanted)}
    more = {position: named for position, named in added.items() if position not in ours}
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
    repairs = number.str.extract(_WHOLE_NUMBER).cast(pl.Int64).alias("repairs")
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
        .then(pl.lit("row.not_corrected"))
    )


def _unmasked(judged: pl.DataFrame, positions: Sequence[int], repaired: Repaired) -> pl.DataFrame:
    """Return the rows with what each mask hides as `hidden`; a mask that hides nothing is a fault.

    A malformed record has no cells, so that all of its cells have to be written anew.
    """
    masked = [_is_mask(position) for position in positions]
    wanted = judged.filter(pl.any_horizontal(masked) & pl.col("rule").is_null())["repairs"]
    cells = pl.col("cells").list
    frame = repaired.originals(wanted.to_list()).select(
        "repairs",
        *(
            cells.get(index, null_on_oob=True).alias(_hidden(position))
            for index, position in enumerate(positions)
        ),
    )
    rows = judged.join(frame, on="repairs", how="left", maintain_order="left")
    hides_nothing = pl.any_horizontal(
        mask & pl.col(_hidden(position)).is_null()
        for mask, position in zip(masked, positions, strict=True)
    )
    refused = pl.col("rule").is_null() & hides_nothing
    return rows.with_columns(
        rule=pl.when(refused).then(pl.lit("row.not_corrected")).otherwise("rule")
    )


def _is_mask(position: int) -> pl.Expr:
    return (pl.col(str(position)).str.strip_chars() == MASK).fill_null(value=False)


def _hidden(position: int) -> str:
    return f"hidden {position}"


def _as_sent(judged: pl.DataFrame, positions: Sequence[int], *, verbatim: bool) -> list[pl.Expr]:
    """Return the cells in the order of the repaired header, as they were before they were sent."""
    cells = []
    for position in positions:
        cell = pl.col(str(position)) if verbatim else restored(pl.col(str(position)))
        if _hidden(position) in judged.columns:
            cell = pl.when(_is_mask(position)).then(_hidden(position)).otherwise(cell)
        cells.append(cell)
    return cells


def _compared(
    judged: pl.DataFrame, positions: Sequence[int], repaired: Repaired, *, verbatim: bool
) -> pl.DataFrame:
    """Return the rows, those with the rule `row.not_the_same` whose cells are another row's.

    A cell of the rejected row *tells* which row it is if it was filled and without fault, and none
    of the rejected rows compared has the same there. A row that comes back needs one telling cell,
    or, if its rejected row has none, one that was filled and without fault, if there is any. So a
    person may correct everything but one such cell; and the rows of a file that was sorted without
    its row numbers are found out.
    """
    wanted = judged.filter(pl.col("rule").is_null() & ~pl.col("malformed"))["repairs"]
    if wanted.is_empty():
        return judged
    some = pl.concat([wanted, repaired.states["repairs"].head(_MOST_COMPARED)]).unique()
    frame = repaired.originals(some.to_list())
    names = [f"was {index}" for index in range(len(repaired.header))]
    frame = frame.select(
        "repairs",
        "faulty",
        *(
            pl.col("cells").list.get(index, null_on_oob=True).str.strip_chars().alias(name)
            for index, name in enumerate(names)
        ),
    )
    frame = frame.with_columns(pl.col(name).is_unique().alias(f"tells {name}") for name in names)
    rows = judged.join(frame, on="repairs", how="left", maintain_order="left")
    well, same, tells = [], [], []
    for name, sent, column in zip(
        names, _as_sent(judged, positions, verbatim=verbatim), repaired.columns, strict=False
    ):
        fault = pl.lit(column) if column is not None else pl.lit("")
        well.append((pl.col(name).fill_null("") != "") & ~pl.col("faulty").list.contains(fault))
        same.append(_alike(pl.col(name), sent.str.strip_chars()))
        tells.append(well[-1] & pl.col(f"tells {name}"))
    same_at = (
        pl.any_horizontal(a & b for a, b in zip(some_, same, strict=True))
        for some_ in (tells, well)
    )
    tells_same, well_same = same_at
    is_same = (
        pl.when(pl.any_horizontal(tells))
        .then(tells_same)
        .when(pl.any_horizontal(well))
        .then(well_same)
        .otherwise(pl.lit(value=True))
    )
    compared = pl.col("rule").is_null() & ~pl.col("malformed")
    rule = pl.when(compared & ~is_same).then(pl.lit("row.not_the_same")).otherwise("rule")
    return judged.with_columns(rows.select(rule.alias("rule")).to_series())


def _alike(was: pl.Expr, sent: pl.Expr) -> pl.Expr:
    """Return whether two cells are the same text, or the same number written in two ways."""
    numbers = (
        pl.when(cell.str.len_chars() <= 15).then(
            cell.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
        )
        for cell in (was, sent)
    )
    one, other = numbers
    return ((was == sent) | (one == other)).fill_null(value=False)


def _faults(judged: pl.DataFrame, repaired: Repaired) -> pl.DataFrame:
    bad = judged.filter(pl.col("rule").is_not_null())
    repairs = f"import {repaired.import_id}"
    what = {
        "row.not_rejected": pl.format(
            f"the {ROW_NUMBER} of a row that {repairs} rejected was needed; found {{}}",
            pl.when(pl.col("number").fill_null("") == "")
            .then(pl.lit("an empty cell"))
            .otherwise(pl.lit(MASK) if repaired.confidential else pl.format("'{}'", "number")),
        ),
        "row.repaired_before": pl.format(
            f"an open reject was needed; row {{}} of {repairs} was repaired by import {{}}",
            "repairs",
            "repaired_by",
        ),
        "row.repeated": pl.format(
            f"each row once was needed; row {{}} of {repairs} comes further up", "repairs"
        ),
        "row.not_the_same": pl.format(
            f"row {{}} of {repairs} was needed, with one cell at least as it was there; found the "
            "cells of another row: send them under their own number, or as a file of their own",
            "repairs",
        ),
        "row.not_corrected": pl.lit(
            f"its cells corrected and {RAW} emptied were needed; {RAW} still holds the record, "
            f"whose cells could not be told apart, or a cell {MASK}"
        ),
    }
    message = pl.coalesce(pl.when(pl.col("rule") == rule).then(text) for rule, text in what.items())
    return record_faults(bad, pl.col("rule"), message)
