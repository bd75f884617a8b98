"""What the stages of an import hand to one another: batches of rows, and facts about them.

All of it is scratch: whoever finds it missing does the stage before again.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import polars as pl
from pydantic import TypeAdapter

from csv_pipeline.batches import Batches
from csv_pipeline.model import Evidence, FileFacts, LineCounts, NonDataLine, ReportWarning

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

    Of an archive with several files it is the archive itself, and `members` says what is in it; of
    one with a single file `inner_name` is the name there.
    """

    path: Path
    size_bytes: int
    fingerprint: str
    members: tuple[Member, ...] = ()
    inner_name: str | None = None
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TextFile:
    """What `read` gives: every well-formed record as text.

    `rows` has a text column for each name of the header, called "0", "1", …, and `ORIGIN`; an
    absent value is null, a quoted empty one is "". `records` counts rows and malformed records
    together, `repaired` the rows that the reader repaired. `non_data` are the lines that a pattern
    of the feed declared to be none, `non_data_lines` all of them, as `NON_DATA`.
    Rows of several `sections` have a header each.
    """

    text: Path
    rows: Batches
    rejects: Batches
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
    non_data_lines: Batches | None = None
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

    rows: Batches
    rejects: Batches
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

    rows: Batches
    rejects: Batches
    superseded_rows: Batches
    occurrences: Batches
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
    rows: Batches


OUTCOMES = pl.Schema({"row_number": pl.Int64, "outcome": pl.String})
"""What became of rows in the database; a row that is not among them was inserted."""

SUPERSEDED = pl.Schema({"row_number": pl.Int64, "by_row_number": pl.Int64})
"""Rows of a key that comes again in the file, and the row that wins."""

PAIRS = pl.Schema({"row_number": pl.Int64, "repairs_row_number": pl.Int64})
"""The shape of `Replay.rows`."""


# What turns a dataclass into JSON and back; to make one takes milliseconds.
_adapter: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)


def save(path: Path, facts: object) -> None:
    """Write a dataclass as JSON, whole or not at all, and its batches beside it."""
    _spill(facts)
    partial = path.with_suffix(PARTIAL)
    partial.write_bytes(_adapter(type(facts)).dump_json(facts))
    partial.replace(path)
    _remember(path, path.stat(), facts)


def _spill(facts: object) -> None:
    if isinstance(facts, Batches):
        facts.spill()
    elif is_dataclass(facts):
        for one in fields(facts):
            _spill(getattr(facts, one.name))


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
