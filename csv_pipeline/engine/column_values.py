"""The values of a column of files, by any type: tried by the casts that import them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cached_property
from itertools import count
from typing import Annotated, Any, Self

import polars as pl

from csv_pipeline.account import BY_EVIDENCE, Account, DateOrder, DecimalMark
from csv_pipeline.batches import BatchWriter, batches, scan
from csv_pipeline.casts import spreadsheets
from csv_pipeline.errors import ContradictionError, UndecidableError
from csv_pipeline.handover import ORIGIN, REJECTS
from csv_pipeline.parts import Files
from csv_pipeline.spec.contract import Contract, Style, Timestamp, column, heading
from csv_pipeline.spec.declared.types import PRECISION, SCALE
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.kinds import Kind
from csv_pipeline.stages.transform import transform

LONGEST_SHOWN = 40
_NAMES_A_PERSON = re.compile(
    r"(?i)mail|phone|tel|fax|mobil|name|birth|geburt|dob|addr|street|stra(?:ß|ss)e|iban|ssn|patient"
)
_NEARLY = 0.5
_ALMOST_ALL = 0.995
_FEW = 10
DECIMAL = Annotated[pl.Decimal, PRECISION, SCALE]
_TYPES: tuple[tuple[str, Any, Kind | None], ...] = (
    ("a UUID", str, Kind.UUID),
    ("a number", DECIMAL, None),
    ("a percentage", DECIMAL, Kind.PERCENT),
    ("a boolean", bool, None),
    ("a moment", Timestamp, None),
    ("a date", pl.Date, None),
    ("a time", pl.Time, None),
)
_HAS: dict[object, str] = {Kind.UUID: "[0-9A-Fa-f]{8}", Kind.JSON: "", bool: ""}
"""What each value of a type has in it; those of the others have a digit."""
STYLES: dict[str, Style] = {str(one): one for one in (*DateOrder, *DecimalMark)}
_NOBODY = Account(account="proposal")


@dataclass(frozen=True, slots=True)
class Tried:
    """The values of a file by a type, null where a cell is none, and which cells these are.

    `style` is the order of day and month, or the decimal mark, that they prove, `because` how, and
    `open` what could be either.
    """

    file: str
    values: pl.Series
    faults: pl.DataFrame
    style: str = ""
    because: str = ""
    open: str = ""


@dataclass(frozen=True)
class ColumnValues:
    """A column that files have, by its usual title; `files` are those that have it, of `all_`."""

    title: str
    files: tuple[tuple[Files, int], ...]
    all_: int
    positional: bool = False
    """Whether no header names it: then it is one field."""
    contested: str = ""
    """What is to be done where the header has its name twice, and the cells differ."""
    tried: dict[tuple[str, Kind | None], list[Tried]] = field(default_factory=dict)
    contradictions: list[str] = field(default_factory=list)

    @cached_property
    def parts(self) -> list[pl.Series]:
        """The cells of each file that has the column as a text has them; null for an empty one."""
        cell = spreadsheets.unguarded(pl.col("0").str.strip_chars()).replace("", None)
        return [scan(its.rows).select(cell.alias("v")).collect()["v"] for its in self._alone]

    @cached_property
    def is_guarded(self) -> bool:
        """Whether a spreadsheet is kept from making a number of any cell: `="417"` is a text."""
        guard = pl.col("0").str.strip_chars().str.contains(spreadsheets.GUARDED).any()
        return any(scan(its.rows).select(guard).collect().item() for its in self._alone)

    @cached_property
    def _alone(self) -> list[Files]:
        """Each file that has the column, as if it had no other."""
        return [_with_one(files, at, self.title) for files, at in self.files]

    @property
    def values(self) -> pl.Series:
        """The trimmed cells of all files, null where one is empty."""
        return pl.concat(self.parts)

    @property
    def filled(self) -> pl.Series:
        """The cells that have any text."""
        return self.values.drop_nulls()

    def amounts(self) -> list[Decimal]:
        """Return the numbers of all files, if each value is one."""
        return [one for part in self._as(DECIMAL) for one in part.drop_nulls()]

    @property
    def _is_personal(self) -> bool:
        return bool(_NAMES_A_PERSON.search(self.title))

    def _open(self, annotation: Any) -> str:
        """Return the first value that could be either of two, if nothing proves which; else ""."""
        tried = self._tried(annotation, None)
        return (
            "" if any(its.style for its in tried) else next((t.open for t in tried if t.open), "")
        )

    def _as(self, annotation: Any, kind: Kind | None = None) -> list[pl.Series]:
        """Return the column's values by a type, file by file; none if any cell is no such value."""
        tried = self._tried(annotation, kind)
        made = [its.values for its in tried if its.faults.is_empty()]
        valued = len(made) == len(self.files) and any(one.null_count() < one.len() for one in made)
        return made if valued else []

    def _nearly(self) -> str:
        """Return what nearly all values are, and the first that is none; "" if they are nothing."""
        for what, annotation, kind in _TYPES:
            tried = self._tried(annotation, kind)
            faults = sum(its.faults.height for its in tried)
            cast = sum(its.values.len() - its.values.null_count() for its in tried)
            if faults and cast >= _NEARLY * (cast + faults):
                return f"{what} in {cast:,} of {cast + faults:,} values; {self._outlier(tried)}"
        return self.contradictions[0] if self.contradictions else ""

    @cached_property
    def few_others(self) -> tuple[str, list[Tried]] | None:
        """What almost all values are, with the few that are none; None if there are no such."""
        for what, annotation, kind in _TYPES:
            tried = self._tried(annotation, kind) if annotation is not bool else []
            faults = sum(its.faults.height for its in tried)
            cast = sum(its.values.len() - its.values.null_count() for its in tried)
            if 0 < faults <= _FEW and cast >= _ALMOST_ALL * (cast + faults):
                return what, tried
        return None

    def without(self, others: Sequence[Tried]) -> Self:
        """Return the column without the rows whose values are none of a type, file by file."""
        left = zip(self._alone, others, strict=True)
        return replace(
            self,
            files=tuple((_but(files, its.faults["row_number"]), 0) for files, its in left),
            tried={},
            contradictions=[],
        )

    def _told_of(self, what: str, others: Sequence[Tried]) -> str:
        """Return which values are none of a type, where, and what is to be done about it."""
        said = []
        for its in others:
            of = f" of {its.file}" if len(self.files) > 1 else ""
            for line, value in its.faults.select("line_number", "value").iter_rows():
                seen = "" if self._hides(value) else f" {shown(value)!r}"
                said.append(f"line {line:,}{of}{seen}")
        one = len(said) == 1
        return (
            f"check: {'a value is' if one else f'{len(said)} values are'} not {what}, and "
            f"{'its row is' if one else 'their rows are'} rejected: {', '.join(said)}\n"
            "to take them: leave out the type; if they mean no value: missingValues"
        )

    def _hides(self, value: str) -> bool:
        return self._is_personal or "@" in value

    def _outlier(self, tried: Sequence[Tried]) -> str:
        """Return where the first value is that is none of a type, and which if anybody may see."""
        its = next(its for its in tried if its.faults.height)
        row, _, value = its.faults.row(0)
        where = f"row {row:,}" + (f" of {its.file}" if len(self.files) > 1 else "")
        return f"{where} is none" if self._hides(value) else f"{where} {shown(value)!r} is none"

    def _tried(self, annotation: Any, kind: Kind | None) -> list[Tried]:
        """Return the column's values by a type, file by file; none if a file is refused by it."""
        known = (str(annotation), kind)
        has = _HAS.get(kind or annotation, r"\p{N}")
        if known not in self.tried and not self.filled.str.contains(has).any():
            self.tried[known] = []
        if known not in self.tried:
            made = [self._cast(files, annotation, kind) for files in self._alone]
            proven = {its.style for its in made if its and its.style}
            if len(proven) == 1 and any(its and its.open for its in made):
                style = STYLES[proven.pop()]
                made = [
                    self._cast(files, annotation, kind, style) if its and its.open else its
                    for its, files in zip(made, self._alone, strict=True)
                ]
            self.tried[known] = [its for its in made if its] if all(made) else []
        return self.tried[known]

    def _cast(
        self, files: Files, annotation: Any, kind: Kind | None, style: Style | None = None
    ) -> Tried | None:
        """Return the values of a file by a type; if they are open, by one of the two ways."""
        hidden = self._is_personal
        own = column(self.title, nullable=True, kind=kind, style=style, protected=hidden)
        name = _no_name_of(files.header)
        names = {name: own}
        contract = type("Tried", (Contract,), {"__annotations__": {name: annotation}, **names})
        feed = Feed(name="tried", description="", contract=contract)
        (typed,) = transform(files, feed, _NOBODY)
        if isinstance(typed, UndecidableError) and style is None:
            its = self._cast(files, annotation, kind, ways_of(annotation)[0])
            return its and replace(its, open=typed.found.partition("; to settle")[0])
        if isinstance(typed, ContradictionError) and not self._is_personal:
            self.contradictions.append(typed.found)
        if isinstance(typed, Exception):
            return None
        faults = scan(typed.rejects, REJECTS).select("row_number", "line_number", "value").collect()
        values = scan(typed.rows).select(name).collect()[name]
        told = [its for its in typed.evidence if its.decision in STYLES and style is None]
        proven = (told[0].decision, told[0].because) if told else ("", "")
        return Tried(
            files.names[0], values, faults.unique("row_number").sort("row_number"), *proven
        )


def _with_one(files: Files, at: int, title: str) -> Files:
    """Return a file with one of its columns, under its title."""
    work = files.work / f"column-{at}"
    rows = BatchWriter(work / "rows")
    for number, batch in enumerate(batches(files.rows, [str(at), *ORIGIN])):
        rows.write(batch.rename({str(at): "0"}), number)
    text = replace(files.texts[0], header=(title,))
    return replace(files, work=work, texts=(text,), rows=rows.batches)


def _but(files: Files, row_numbers: pl.Series) -> Files:
    """Return a file without some of its rows."""
    rows = BatchWriter(files.work / "others")
    for number, batch in enumerate(batches(files.rows)):
        rows.write(batch.filter(~batch["row_number"].is_in(row_numbers.implode())), number)
    return replace(files, rows=rows.batches)


def _no_name_of(header: Sequence[str]) -> str:
    """Return a name that the columns of a header do not have: each is tried under its title."""
    known = set(map(heading, header))
    return next(name for at in count() if heading(name := f"tried_{at}") not in known)


def ways_of(annotation: Any) -> tuple[Style, ...]:
    """Return the two ways to write values of a type."""
    return BY_EVIDENCE if annotation in {pl.Date, Timestamp} else tuple(DecimalMark)


def shown(value: str) -> str:
    """Return the beginning of a long text, or all of a short one."""
    return value if len(value) <= LONGEST_SHOWN else f"{value[:LONGEST_SHOWN]}…"
