"""What the stages of an import hand to one another: batches of rows, and facts about them.

A stage's rows are a directory of numbered Arrow IPC files, one a batch, so that every stage streams
and memory does not grow with the file. A stage's facts are one JSON file beside them. All of it is
scratch: whoever finds it missing does the stage before again.
"""

import os
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from itertools import chain, islice
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import polars as pl
from polars.io.plugins import register_io_source
from pydantic import TypeAdapter

from csv_pipeline.model import Evidence, FileFacts, LineCounts, NonDataLine, ReportWarning

S = TypeVar("S")
T = TypeVar("T")

PARTIAL = ".part"
"""How the name of a file ends that is not yet written to its end."""

REJECTS = pl.Schema(
    {
        "row_number": pl.Int64,
        "line_number": pl.Int64,
        "column": pl.String,
        "rule": pl.String,
        "value": pl.String,
        "message": pl.String,
        "offset": pl.Int64,
        "length": pl.Int64,
    }
)
"""One fault a row; the record's raw text is `length` bytes at `offset` of the UTF-8 text.

The message does not repeat the place; `model.Reject` does.
"""

NON_DATA = pl.Schema(
    {
        "line_number": pl.Int64,
        "text": pl.String,
        "reason": pl.String,
        "cells": pl.Int64,
        "lines": pl.Int64,
        "declared": pl.Boolean,
    }
)
"""A line with text that is neither header nor record, as `model.NonDataLine`."""


OWN = ("_own_import_id", "_own_row_number")
"""The import that a row belongs to and its number there, where rows of several go as one."""

ORIGIN = ("row_number", "line_number", "offset", "length")
"""The columns that say where in the file a row is, beside its text."""

TYPED_ORIGIN = tuple(f"_{name}" for name in ORIGIN)
"""The same beside its values, of which one may be called `length`: no column of a contract begins
with `_`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A file in an archive."""

    name: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainFile:
    """What `unpack` gives: the file decompressed, and the SHA-256 of its content.

    Of an archive with several files it is the archive itself, and `members` says what is in it.
    """

    path: Path
    size_bytes: int
    fingerprint: str
    members: tuple[Member, ...] = ()
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFile:
    """What `read` gives: every well-formed record as text.

    `rows` has a text column for each name of the header, called "0", "1", …, and `ORIGIN`; an
    absent value is null, a quoted empty one is "". `records` counts rows and malformed records
    together, `repaired` the rows that the reader repaired. `non_data` are the lines that a pattern
    of the feed declared to be none, `non_data_lines` a directory of all of them, as `NON_DATA`.
    Rows of several `sections` have a header each.
    """

    text: Path
    rows: Path
    rejects: Path
    encoding: str
    delimiter: str
    quote: str
    escape: str
    header: tuple[str, ...]
    header_line: int
    records: int
    malformed: int
    repaired: int
    blank: int
    non_data: tuple[NonDataLine, ...]
    non_data_count: int
    evidence: tuple[Evidence, ...]
    lines: LineCounts = field(default_factory=LineCounts)
    non_data_lines: Path | None = None
    sections: int = 1
    warnings: tuple[ReportWarning, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether a record of one line gives its cells again, by delimiter and double quotes."""
        one = len(self.delimiter) == 1 and self.delimiter.isascii()
        as_written = not self.repaired and self.sections == 1
        return one and self.quote in {"", '"'} and self.escape == "doubled" and as_written


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The share of one file of rows that several may have.

    Its rows are numbered on from those of the files before it: the file's row `n` is row
    `n + rows_up` of them all, and no number of it is above `last`.
    """

    rows_up: int = 0
    last: int = 2**62


WHOLE = Part()
"""The share of a file that goes alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedFile:
    """What `transform` gives: `columns` of the contract, typed, with nulls where a cast failed.

    The columns that the file lacks are left out; `rows` has `EXTRA` and `TYPED_ORIGIN` besides. The
    batch of the same number in `rejects` holds the faults of a batch's rows. `headings` says what
    the file calls a column, `styles` how its amounts or dates are read, `extras` which columns the
    feed does not know, and `facts` what transforms were told of the whole file. `part` are its own
    rows, if others go with them.
    """

    rows: Path
    rejects: Path
    rows_at_fault: int
    columns: tuple[str, ...]
    headings: dict[str, str]
    layout: str
    styles: dict[str, str | None]
    evidence: tuple[Evidence, ...]
    extras: tuple[str, ...] = ()
    facts: FileFacts | None = None
    warnings: tuple[ReportWarning, ...] = ()
    part: Part = WHOLE


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidFile:
    """What `validate` gives: the rows without any fault, each batch sorted by key.

    `rejected` counts rows, not faults; `superseded_rows` holds pairs of row numbers. Rows without a
    key have their content; `occurrences` numbers those of them whose content comes again. `part`
    are the rows of the file, and `meets` the highest number of a row in another file before it that
    has the key or the content of any of them.
    """

    rows: Path
    rejects: Path
    superseded_rows: Path
    occurrences: Path
    valid: int
    rejected: int
    superseded: int
    warnings: tuple[ReportWarning, ...] = ()
    part: Part = WHOLE
    meets: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What `replay` gives: the import whose rejected rows these are, and which row is which.

    `text` has the rows under the header of that import; `rows` pairs their row numbers with those
    in that import's file.
    """

    import_id: int
    text: TextFile
    rows: Path


OUTCOMES = pl.Schema({"row_number": pl.Int64, "outcome": pl.String})
"""What became of rows in the database; a row that is not among them was inserted."""

SUPERSEDED = pl.Schema({"row_number": pl.Int64, "by_row_number": pl.Int64})
"""Rows of a key that comes again in the file, and the row that wins."""

PAIRS = pl.Schema({"row_number": pl.Int64, "repairs_row_number": pl.Int64})
"""The shape of `Replay.rows`."""


# What turns a dataclass into JSON and back; to make one takes milliseconds.
_adapter: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)


# Arrow has two forms. Polars reads and writes one, the file, by its streaming engine, which is the
# faster way for many rows; for a hundred it takes ten times as long as the other, the stream.
_FEW_ROWS = 5_000
_FILE_BEGINS = b"ARROW1"


ROWS_DONE: ContextVar[Callable[[pl.DataFrame], object] | None] = ContextVar(
    "ROWS_DONE", default=None
)
"""Told of each batch of rows that a stage is done with, by whichever thread; None: nobody is."""


class BatchWriter:
    """Write batches to a directory, emptied first, as `000000.arrow`, `000001.arrow` and so on.

    Several threads may write at once, each the batch of a number of its own. Where no batch is
    written there is no directory, which is read like an empty one. The batches of the writer that
    has the `main` output of a stage are its progress.
    """

    def __init__(self, directory: Path, *, main: bool = False) -> None:
        shutil.rmtree(directory, ignore_errors=True)
        self.directory = directory
        self._heights: dict[int, int] = {}
        self._done = ROWS_DONE.get() if main else None

    @property
    def rows(self) -> int:
        """The number of rows written."""
        return sum(self._heights.values())

    @property
    def batches(self) -> int:
        """The number of batches written."""
        return len(self._heights)

    def write(self, batch: pl.DataFrame, number: int) -> None:
        """Write one batch, an empty one too, so that numbers of two directories agree."""
        self.directory.mkdir(parents=True, exist_ok=True)
        write = batch.write_ipc_stream if batch.height < _FEW_ROWS else batch.write_ipc
        write(self.directory / f"{number:06}.arrow", compression="uncompressed")
        self._heights[number] = batch.height
        if self._done is not None:
            self._done(batch)


def batches(directory: Path, columns: Iterable[str] | None = None) -> Iterator[pl.DataFrame]:
    """Give the batches of a directory in order, all columns or those named."""
    wanted = None if columns is None else list(dict.fromkeys(columns))
    for path in batch_files(directory):
        yield read_batch(path, wanted)


def batch_files(directory: Path) -> list[Path]:
    """Return the files of a directory's batches in order; none if it is missing."""
    return sorted(directory.glob("*.arrow"))


def read_batch(path: Path, columns: list[str] | None = None) -> pl.DataFrame:
    """Return one batch, all columns or those named."""
    with path.open("rb") as file:
        is_file = file.read(len(_FILE_BEGINS)) == _FILE_BEGINS
    return (pl.read_ipc if is_file else pl.read_ipc_stream)(path, columns=columns)


def in_order(do: Callable[[S], T], items: Iterable[S], threads: int = 2) -> Iterator[T]:
    """Do something with every item, a few at a time, and give the results in the items' order.

    Polars leaves the interpreter while it works, so that threads use the cores that one frame
    cannot. What an item raises is raised here. A single item, which most files are, is done without
    a thread.
    """
    coming = iter(items)
    first = list(islice(coming, 2))
    if len(first) == 1:
        yield do(first[0])
        return
    with ThreadPoolExecutor(threads) as pool:
        pending: deque[Future[T]] = deque()
        for item in chain(first, coming):
            pending.append(pool.submit(do, item))
            if len(pending) > threads:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def scan(directory: Path, schema: pl.Schema | None = None) -> pl.LazyFrame:
    """Return all batches of a directory as one lazy frame; an empty one of `schema` if none."""
    paths = batch_files(directory)
    if not paths:
        return pl.LazyFrame(schema=schema)

    def read(
        columns: list[str] | None, predicate: pl.Expr | None, limit: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        for path in paths:
            batch = read_batch(path, columns)
            if limit is not None:
                batch = batch.head(limit)
                limit -= batch.height
            yield batch if predicate is None else batch.filter(predicate)

    return register_io_source(read, schema=read_batch(paths[0]).schema)


def save(path: Path, facts: object) -> None:
    """Write a dataclass as JSON, whole or not at all."""
    partial = path.with_suffix(PARTIAL)
    partial.write_bytes(_adapter(type(facts)).dump_json(facts))
    partial.replace(path)
    _remember(path, path.stat(), facts)


def saved(path: Path, kind: type[T]) -> T | None:
    """Return the dataclass written at `path`, or None if there is none."""
    try:
        status = path.stat()
        known = _known.get(path)
        if known is not None and known[0] == _signature(status) and isinstance(known[1], kind):
            return known[1]
        found: T = _adapter(kind).validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    _remember(path, status, found)
    return found


# What was last written or read here, so that a stage that asks for the facts of others reads none
# twice. The file decides: another process may have written it anew, or removed it.
_known: dict[Path, tuple[tuple[int, ...], object]] = {}
_MOST_KNOWN = 2_000  # several for each file of a run
_remembering = Lock()


def _remember(path: Path, status: os.stat_result, facts: object) -> None:
    with _remembering:
        _known.pop(path, None)
        _known[path] = (_signature(status), facts)
        if len(_known) > _MOST_KNOWN:
            del _known[next(iter(_known))]


def _signature(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_ino, status.st_mtime_ns, status.st_size)
