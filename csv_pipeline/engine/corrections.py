"""Correct rejected rows cell by cell, and send them back as a file of corrected rows.

The file is written from the rows as they are stored and what was corrected since, in the form that
a replay reads. It goes into the landing area like any upload.
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from typing import Any

import sqlalchemy as sa

from csv_pipeline.engine import uploads
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.errors import SetupError
from csv_pipeline.model import ImportReport
from csv_pipeline.rejects.faults import MASK
from csv_pipeline.rejects.rejects_file import RejectedRow, write_rejects
from csv_pipeline.spec.feed import as_declared
from csv_pipeline.spec.header import header_fingerprint, sources_in
from csv_pipeline.stages.read.grammar import Grammar
from csv_pipeline.storage import accounts, corrections, imports, quarantine
from csv_pipeline.storage import uploads as stored
from csv_pipeline.storage.uploads import Upload

_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """The rejected rows of an import as a sheet of cells.

    `names` are those of its header, each once. Cells of columns that are `hidden` are not shown, by
    their place or by the column of the contract; of a `confidential` feed that is every one.
    """

    report: ImportReport
    names: tuple[str, ...]
    hidden: frozenset[int]
    hidden_columns: frozenset[str]
    confidential: bool
    split: Callable[[str], Sequence[str | None]]

    def cells(self, row: RejectedRow) -> list[str]:
        """Return the cells of a row as they came, as many as the header has."""
        told = row.cells
        if told is None:
            told = () if self.confidential else tuple(self.split(row.raw))
        cells = [cell or "" for cell in told[: len(self.names)]]
        return cells + [""] * (len(self.names) - len(cells))

    def shown(self, row: RejectedRow) -> dict[str, str]:
        """Return the cells of a row by name, the hidden ones masked."""
        some_hidden = row.cells is None and bool(self.hidden)  # no cell is where it belongs
        return {
            name: MASK if cell and (some_hidden or place in self.hidden) else cell
            for place, (name, cell) in enumerate(zip(self.names, self.cells(row), strict=True))
        }

    def corrected(self, row: RejectedRow, its: Mapping[str, str]) -> RejectedRow:
        """Return a row with its corrections, cells of a confidential feed masked otherwise."""
        as_sent = [
            its.get(name, MASK if cell and self.confidential else cell)
            for name, cell in zip(self.names, self.cells(row), strict=True)
        ]
        return replace(row, cells=tuple(as_sent))


def sheet_of(pipeline: Pipeline, connection: sa.Connection, report: ImportReport) -> Sheet:
    """Return the sheet of an import's rejected rows; of an unknown feed all is hidden.

    Raises:
        SetupError: They are not kept any more.
    """
    quarantine.hold_to_kept(connection, report.import_id)
    feed, header = pipeline.feeds.get(report.feed), report.header
    hidden, hidden_columns = frozenset(range(len(header))), frozenset[str]()
    confidential = feed is None or feed.confidential
    if feed is not None:
        declared = accounts.declared(connection, report.account, report.feed)
        feed = as_declared(feed, declared.of(header_fingerprint(header, feed.name)))
        protected = {one.name for one in feed.columns if one.protected or confidential}
        hidden_columns = frozenset(protected)
        if not confidential:
            sources, others = sources_in(header, feed)
            places = {place for name, place in sources.items() if name in protected}
            places |= {place for name in protected for place in others.get(name, ())}
            hidden = frozenset(places)
    return Sheet(
        report=report,
        names=_each_once(header),
        hidden=hidden,
        hidden_columns=hidden_columns,
        confidential=confidential,
        split=Grammar(report.delimiter, report.quote, report.escape).cells,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change: its number, unless it was only asked what it would do, and of how many cells.

    `first` are some of them, by row, column, and the values before and after.
    """

    change: int | None
    cells: int
    rows: int
    first: tuple[tuple[int, str, str, str], ...] = ()


def correct(
    pipeline: Pipeline, import_id: int, cells: Sequence[tuple[int, str, str]], *, by: str
) -> Change:
    """Write values into cells of open rejected rows, by row and column.

    Raises:
        UnknownImportError: The ledger has no such import.
        SetupError: A row is no open reject of it, a column is none of its header, or the database
            cannot store a value.
    """
    with pipeline.database.begin() as connection:
        report = imports.report_of(connection, import_id)
        names = set(_each_once(report.header))
        rows = {row for row, _, _ in cells}
        closed = sorted(rows - corrections.open_rows(connection, import_id, rows))
        if closed:
            said = ", ".join(map(str, closed[:5]))
            raise SetupError(f"row {said}: an open reject of import {import_id} was needed")
        for row, column, value in cells:
            if column not in names:
                raise SetupError(f"column {column[:100]!r}: one of the import's header was needed")
            if "\0" in value:
                raise SetupError(f"row {row}, column {column!r}: text without NUL was needed")
        change = corrections.store(connection, import_id, by, cells)
    return Change(change=change, cells=len(cells), rows=len(rows))


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacing:
    """What is looked for in the cells of a column, or of all that are shown, and put there."""

    find: str
    put: str
    column: str | None = None
    whole_cell: bool = True
    match_case: bool = True

    def __call__(self, cell: str) -> str:
        """Return a cell with what was found replaced."""
        pattern = re.escape(self.find)
        flags = re.NOFLAG if self.match_case else re.IGNORECASE
        if self.whole_cell:
            return self.put if re.fullmatch(pattern, cell, flags) else cell
        return re.sub(pattern, lambda _: self.put, cell, flags=flags) if self.find else cell


def replace_cells(
    pipeline: Pipeline, import_id: int, how: Replacing, *, by: str, dry_run: bool
) -> Change:
    """Replace a text in the cells of open rejected rows, or only say how many that would change.

    Cells that are not shown are not looked at.

    Raises:
        UnknownImportError: The ledger has no such import.
        SetupError: The column is none of its header, or is not shown.
    """
    with pipeline.database.begin() as connection:
        report = imports.report_of(connection, import_id)
        sheet = sheet_of(pipeline, connection, report)
        if how.column is not None and how.column not in sheet.names:
            raise SetupError(f"column {how.column[:100]!r}: one of the header was needed")
        places = [
            place
            for place, name in enumerate(sheet.names)
            if place not in sheet.hidden and how.column in {None, name}
        ]
        if not places:
            raise SetupError("column: one whose cells are shown was needed")
        tally = _Tally()
        found = tally.counted(_found(connection, sheet, how, places))
        change = None
        if dry_run:
            deque(found, maxlen=0)  # they are only counted
        else:
            cells = ((row, column, after) for row, column, _, after in found)
            change = corrections.store(connection, import_id, by, cells)
    return Change(
        change=change if tally.cells else None,
        cells=tally.cells,
        rows=tally.rows,
        first=tuple(tally.first),
    )


def take_back(pipeline: Pipeline, import_id: int, change: int | None = None) -> Change:
    """Take back a change of cells, or the last one.

    Raises:
        SetupError: There is no such change.
    """
    with pipeline.database.begin() as connection:
        done = corrections.take_back(connection, import_id, change)
    if done is None:
        raise SetupError(f"change {change or ''}: one of import {import_id} was needed".strip())
    return Change(change=done[0], cells=done[1], rows=0)


def send_corrected(pipeline: Pipeline, import_id: int, *, by: str) -> Upload:
    """Write the corrected rows of an import that are still open as an upload that is whole.

    Raises:
        UnknownImportError: The ledger has no such import.
        SetupError: No open row is corrected, or the import repairs another one of a confidential
            feed, by which a mask would have two meanings.
    """
    with pipeline.database.begin() as connection:
        report = imports.report_of(connection, import_id)
        sheet = sheet_of(pipeline, connection, report)
        if sheet.confidential and report.repairs is not None:
            raise SetupError(
                f"import {import_id}: the import that it repairs was needed, import "
                f"{report.repairs}, because cells of feed {report.feed!r} are not shown"
            )
        if not corrections.count_rows(connection, import_id):
            raise SetupError(f"import {import_id}: a corrected row that is open was needed")
        name = f"import-{import_id}-corrected.csv"
        upload = uploads.begin(pipeline, report.account, name, by=by, feed=report.feed)
        path = uploads.path_of(pipeline, upload)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as out:
            write_rejects(
                out,
                report.header,
                _corrected(connection, sheet),
                delimiter=report.delimiter,
                split=sheet.split,
                verbatim=True,
            )
    size = path.stat().st_size
    with pipeline.database.begin() as connection:
        return stored.change(connection, upload.upload_id, size_bytes=size, received_bytes=size)


_Cell = tuple[int, str, str, str]
"""A cell by row and column, and its value before and after."""


@dataclass(slots=True)
class _Tally:
    """How many cells went by, of how many rows; they come row by row."""

    cells: int = 0
    rows: int = 0
    first: list[_Cell] = field(default_factory=list)
    _row: int | None = None

    def counted(self, cells: Iterable[_Cell]) -> Iterator[_Cell]:
        for cell in cells:
            self.cells += 1
            self.rows += cell[0] != self._row
            self._row = cell[0]
            if len(self.first) < _SHOWN:
                self.first.append(cell)
            yield cell


def _corrected(connection: sa.Connection, sheet: Sheet) -> Iterator[RejectedRow]:
    for _, row, made in _open(connection, sheet):
        if made:
            yield sheet.corrected(row, made)


def _found(
    connection: sa.Connection, sheet: Sheet, how: Replacing, places: Sequence[int]
) -> Iterator[_Cell]:
    for number, row, its in _open(connection, sheet):
        if row.cells is None and sheet.hidden:
            continue  # no cell is where it belongs, so that none of it is shown
        cells = sheet.cells(row)
        for place in places:
            name = sheet.names[place]
            before = its.get(name, cells[place])
            after = how(before)
            if after != before:
                yield number, name, before, after


def _open(
    connection: sa.Connection, sheet: Sheet
) -> Iterator[tuple[int, RejectedRow, Mapping[str, str]]]:
    """Give open rejected rows with their numbers, and what holds of corrected cells of each.

    Both come from the database by and by, in the order of rows.
    """
    made = corrections.by_row(connection, sheet.report.import_id)
    at, its = next(made, _NO_MORE)
    for faults in quarantine.open_faults(connection, sheet.report.import_id):
        number = faults[0].row_number
        while at < number:
            at, its = next(made, _NO_MORE)
        row = quarantine.row_of(sheet.report, faults, sheet.split)
        yield number, row, its if at == number else {}


_NO_MORE: tuple[float, dict[str, str]] = (inf, {})


def _each_once(header: Sequence[str]) -> tuple[str, ...]:
    """Return the names of a header, those that come again with their count: `Note (2)`."""
    names: dict[str, Any] = {}
    for name in header:
        unique, count = name, 1
        while unique in names:
            count += 1
            unique = f"{name} ({count})"
        names[unique] = None
    return tuple(names)
