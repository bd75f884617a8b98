"""Give a text in blocks of whole lines, so that memory does not grow with the file."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from csv_pipeline.errors import LimitExceededError
from csv_pipeline.stages.read.dialect import Dialect, ReadHints, Text


@dataclass(frozen=True, slots=True)
class Block:
    """Some lines of a text; the `final` ones end where it ends."""

    data: bytes
    offset: int
    final: bool


def blocks(text: Text, dialect: Dialect, hints: ReadHints) -> Iterator[Block]:
    """Give what is below the header, one block even if that is nothing.

    Raises:
        LimitExceededError: A line is longer than a record may be.
    """
    with text.path.open("rb") as file:
        size = file.seek(0, 2)
        at, final = dialect.data_offset, False
        while not final:
            middle = min(at + hints.block_bytes, size)
            file.seek(middle)
            rest = len(file.readline(hints.max_record_bytes + 1))
            if rest > hints.max_record_bytes:
                raise _endless(file, dialect, middle, hints)
            end = middle + rest
            final = end == size
            file.seek(at)
            yield Block(file.read(end - at), at, final)
            at = end


def _endless(file: BinaryIO, dialect: Dialect, middle: int, hints: ReadHints) -> LimitExceededError:
    """Return the refusal of the line at byte `middle`."""
    file.seek(dialect.data_offset)
    line, begin = dialect.data_line - 1, dialect.data_offset
    while begin <= middle:
        line, start = line + 1, begin
        begin += len(file.readline())
    return LimitExceededError(
        hints.name,
        f"lines of at most {hints.max_record_bytes:,} bytes were allowed",
        f"line {line:,} has {begin - start:,}",
    )
