"""The sample as one grammar reads it, and what tells how well it fits."""

import re
from dataclasses import dataclass

from csv_pipeline.stages.read.grammar import Grammar
from csv_pipeline.stages.read.headers import Header, has_mark
from csv_pipeline.stages.read.likeness import kind_of, typed_columns
from csv_pipeline.stages.read.sampling import Record

_LINKED = re.compile(r"\w+://")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The sample as one grammar reads it: its header, if it has one, and how well that fits.

    `steady` is the share of records below the header that have its width. `is_one_column` says that
    no delimiter was found to part cells. `rival` is another delimiter that is as likely: then the
    header is in doubt, and to declare either settles it.
    """

    grammar: Grammar
    records: list[Record]
    header: Header
    steady: float = 0.0
    quoted: bool = False
    is_one_column: bool = False
    rival: str | None = None

    @property
    def filled(self) -> list[Record]:
        """The records with text, but comments."""
        return [record for record in self.records if not record.is_aside]

    @property
    def covered(self) -> float:
        """The share of all records that have the header's width."""
        return share(self.filled, len(self.header.names))

    @property
    def is_proven(self) -> bool:
        """Whether the delimiter is more than a guess: a comma may be a decimal mark throughout."""
        if self.is_one_column:
            parted = sum(has_mark(record.text) for record in self.filled)
            return self.header.is_sure and 2 * parted < len(self.filled)
        return len(self.header.names) != 2 or not are_values(self.filled)

    @property
    def has_values(self) -> bool:
        """Whether any column holds values throughout: numbers, dates, addresses."""
        return typed(self) > 0


def share(records: list[Record], width: int) -> float:
    """Return the share of records that have the width, and no stray quotes."""
    return sum(r.sound and r.width == width for r in records) / len(records) if records else 1.0


def typed(reading: Reading) -> float:
    """Return the share of columns that hold values throughout: numbers, dates, addresses."""
    width, header = len(reading.header.names), reading.header.records
    rows = (r.names for r in reading.records if r.width == width and r not in header)
    return typed_columns(rows) / width if width else 0.0


def are_values(records: list[Record]) -> bool:
    """Return whether most lines are one number, date, time or address each."""
    below = records[1:] or records
    values = sum(
        kind_of(record.text.strip()) is not None
        or _LINKED.match(record.text.strip('"')) is not None
        for record in below
    )
    return values > len(below) / 2
