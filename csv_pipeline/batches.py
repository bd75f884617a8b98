"""Batches of rows, in which every stage streams, so that memory does not grow with the file.

What is small stays in memory; else it is a directory of numbered Arrow IPC files, one a batch.
"""

import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from itertools import chain, islice
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, TypeVar

import polars as pl
from polars.io.plugins import register_io_source
from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

S = TypeVar("S")
T = TypeVar("T")

_FEW_ROWS = 5_000
_MOST_BYTES_HELD = 16 * 1024**2
_THREADS = 2
# Arrow has two forms. Polars reads and writes one, the file, by its streaming engine, which is the
# faster way for many rows; for a hundred it takes ten times as long as the other, the stream.
_FILE_BEGINS = b"ARROW1"


ROWS_DONE: ContextVar[Callable[[pl.DataFrame], object] | None] = ContextVar(
    "ROWS_DONE", default=None
)
"""Told of each batch of rows that a stage is done with, by whichever thread; None: nobody is."""


def created(path: Path) -> BinaryIO:
    """Open a file of a work directory for writing; the directory may be yet to be made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("wb")


class Batches:
    """The batches that a stage wrote: those `held` in memory by number, or those of a directory.

    A directory that is missing is read like an empty one.
    """

    def __init__(self, directory: Path, held: dict[int, pl.DataFrame] | None = None) -> None:
        self.directory, self._held = directory, held
        self._lock = Lock()

    @property
    def numbers(self) -> list[int]:
        """The numbers of the batches, in order."""
        if self._held is not None:
            return sorted(self._held)
        return sorted(int(path.stem) for path in self.directory.glob("*.arrow"))

    def read(self, number: int, columns: Iterable[str] | None = None) -> pl.DataFrame:
        """Return one batch, all columns or those named."""
        wanted = None if columns is None else list(dict.fromkeys(columns))
        if self._held is not None:
            batch = self._held[number]
            return batch if wanted is None else batch.select(wanted)
        path = _path(self.directory, number)
        with path.open("rb") as file:
            is_file = file.read(len(_FILE_BEGINS)) == _FILE_BEGINS
        return (pl.read_ipc if is_file else pl.read_ipc_stream)(path, columns=wanted)

    def put(self, batch: pl.DataFrame, number: int) -> None:
        """Add a batch, or replace the one of its number."""
        with self._lock:
            if self._held is not None:
                self._held[number] = batch.rechunk()
                return
        _write(self.directory, batch, number)

    def spill(self) -> None:
        """Write what is in memory to the directory, emptied first."""
        with self._lock:
            if self._held is None:
                return
            shutil.rmtree(self.directory, ignore_errors=True)
            for number, batch in self._held.items():
                _write(self.directory, batch, number)
            self._held = None

    @classmethod
    def __get_pydantic_core_schema__(cls, _: Any, __: GetCoreSchemaHandler) -> CoreSchema:
        """In JSON they are the directory, to which they must have been spilled."""
        return core_schema.no_info_plain_validator_function(
            lambda found: found if isinstance(found, cls) else cls(Path(found)),
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda batches: str(batches.directory)
            ),
        )


def nothing() -> Batches:
    """Return no batches."""
    return Batches(Path(), {})


class BatchWriter:
    """Write batches, in memory while they are small, else to a directory, emptied first.

    Several threads may write at once, each the batch of a number of its own. The batches of the
    writer that has the `main` output of a stage are its progress.
    """

    def __init__(self, directory: Path, *, main: bool = False) -> None:
        self.batches = Batches(directory, {})
        self._heights: dict[int, int] = {}
        self._size_bytes = 0.0
        self._done = ROWS_DONE.get() if main else None
        self._lock = Lock()

    @property
    def rows(self) -> int:
        """The number of rows written."""
        return sum(self._heights.values())

    @property
    def count(self) -> int:
        """The number of batches written."""
        return len(self._heights)

    def write(self, batch: pl.DataFrame, number: int) -> None:
        """Write one batch, an empty one too, so that numbers of two writers agree."""
        with self._lock:
            self._heights[number] = batch.height
            self._size_bytes += batch.estimated_size()
        if self._size_bytes > _MOST_BYTES_HELD:
            self.batches.spill()
        self.batches.put(batch, number)
        if self._done is not None:
            self._done(batch)


def _path(directory: Path, number: int) -> Path:
    return directory / f"{number:06}.arrow"


def _write(directory: Path, batch: pl.DataFrame, number: int) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    write = batch.write_ipc_stream if batch.height < _FEW_ROWS else batch.write_ipc
    write(_path(directory, number), compression="uncompressed")


def batches(of: Batches, columns: Iterable[str] | None = None) -> Iterator[pl.DataFrame]:
    """Give batches in order, all columns or those named."""
    wanted = None if columns is None else list(columns)
    for number in of.numbers:
        yield of.read(number, wanted)


def scan(of: Batches, schema: pl.Schema | None = None) -> pl.LazyFrame:
    """Return all batches as one lazy frame; an empty one of `schema` if there are none."""
    numbers = of.numbers
    if not numbers:
        return pl.LazyFrame(schema=schema)
    if len(numbers) == 1:
        return of.read(numbers[0]).lazy()

    def read(
        columns: list[str] | None, predicate: pl.Expr | None, limit: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        for number in numbers:
            batch = of.read(number, columns)
            if limit is not None:
                batch = batch.head(limit)
                limit -= batch.height
            yield batch if predicate is None else batch.filter(predicate)

    return register_io_source(read, schema=of.read(numbers[0]).schema)


def in_order(do: Callable[[S], T], items: Iterable[S]) -> Iterator[T]:
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
    with ThreadPoolExecutor(_THREADS) as pool:
        pending: deque[Future[T]] = deque()
        for item in chain(first, coming):
            pending.append(pool.submit(copy_context().run, do, item))  # so that `ROWS_DONE` is told
            if len(pending) > _THREADS:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
