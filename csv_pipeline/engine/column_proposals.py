"""What a column of files is, by all of its values: tried by the casts that import them.

A type is proposed only if every value of every file is one of it and nothing of a value is lost:
numbers with leading zeros, long ones, and those behind letters and `-` are ids, which are text. If
nearly every value is one of a type, that is said, and the first that is none.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, Any

import polars as pl

from csv_pipeline.account import Account
from csv_pipeline.batches import scan
from csv_pipeline.handover import REJECTS
from csv_pipeline.parts import Files
from csv_pipeline.spec.contract import Contract, Timestamp, choice_key, column
from csv_pipeline.spec.declared.types import PRECISION, SCALE
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.kinds import Kind
from csv_pipeline.spec.patterns import EMAIL
from csv_pipeline.stages.transform import transform

MOST_CATEGORIES = 12
_ROWS_PER_CATEGORY = 10
_LONGEST_CATEGORY = 40
_ID_FROM_DIGITS = 12
_MONEY = (18, 2)
_NAMES_AN_ID = re.compile(
    r"(?i)(?:^|[^a-z])(?:id|no|nr|num|number|nummer|numéro|code|key|sku|ean|upc|isbn|zip|plz|"
    r"postcode|postal|phone|tel|telephone|ref|reference|tag|serial|account|iban)(?:$|[^a-z])"
)
_JSON = r"^\s*[\[{]"
_LETTERS_DIGITS = r"^\pL+-[0-9]+$"
_NAMES_A_PERSON = re.compile(
    r"(?i)mail|phone|tel|fax|mobil|name|birth|geburt|dob|addr|street|stra(?:ß|ss)e|iban|ssn|patient"
)
_NEARLY = 0.9
_DECIMAL = Annotated[pl.Decimal, PRECISION, SCALE]
_TYPES: tuple[tuple[str, Any, Kind | None], ...] = (
    ("a UUID", str, Kind.UUID),
    ("a number", _DECIMAL, None),
    ("a percentage", _DECIMAL, Kind.PERCENT),
    ("a boolean", bool, None),
    ("a moment", Timestamp, None),
    ("a date", pl.Date, None),
    ("a time", pl.Time, None),
)
_NOBODY = Account(account="proposal")


@dataclass(frozen=True, slots=True)
class Proposed:
    """A field of a feed, and why it is this one."""

    words: dict[str, Any]
    because: str
    values: Sequence[pl.Series] = ()
    """What the values are by a type other than text, file by file."""


@dataclass(frozen=True)
class ColumnOfFiles:
    """A column that files have, by its usual title; `files` are those that have it, of `all_`."""

    title: str
    files: tuple[tuple[Files, int], ...]
    all_: int
    tried: dict[tuple[str, Kind | None], list["_Tried"]] = field(default_factory=dict)

    @cached_property
    def values(self) -> pl.Series:
        """The trimmed cells of all files, null where one is empty."""
        texts = [
            scan(files.rows).select(pl.col(str(at)).str.strip_chars().alias("v")).collect()["v"]
            for files, at in self.files
        ]
        text = pl.concat(texts)
        return text.set(text == "", None)

    @property
    def filled(self) -> pl.Series:
        """The cells that have any text."""
        return self.values.drop_nulls()

    def fields(self, name: str, time: str) -> list[Proposed]:
        """Return the fields that hold the column; a date with a `time` of day takes two."""
        return [
            replace(its, words={"name": name} | its.words | self._missing(its))
            for its in self._found(name, time)
        ]

    def _found(self, name: str, time: str) -> Iterator[Proposed]:
        if self.filled.is_empty():
            yield Proposed(self._titled(name), "no value in any row")
        elif self.filled.str.contains("-").all() and (uuids := self._as(str, Kind.UUID)):
            yield Proposed(self._titled(name) | {"format": "uuid"}, "every value is a UUID", uuids)
        elif self.is_id:
            id_ = {"csv_pipeline": {"identifier": True}}
            yield Proposed(self._titled(name) | id_, "an id, which is text")
        elif self.filled.str.contains("%").all() and (shares := self._as(_DECIMAL, Kind.PERCENT)):
            titled, digits = self._titled(name, "number"), _digits(shares)
            own = {"csv_pipeline": {"kind": "percent"} | digits}
            yield Proposed(titled | own, f"{_range(shares)}, in percent", shares)
        elif numbers := self._as(int):
            yield Proposed(self._titled(name, "integer"), _range(numbers), numbers)
        elif numbers := self._as(_DECIMAL):
            own = {"csv_pipeline": _digits(numbers)}
            yield Proposed(self._titled(name, "number") | own, _range(numbers), numbers)
        elif truths := self._as(bool):
            words = ", ".join(sorted(self.filled.unique()))
            yield Proposed(self._titled(name, "boolean"), f"the words are {words}", truths)
        elif moments := self._as(Timestamp):
            because = f"{_range(moments)}, in UTC"
            yield Proposed(self._titled(name, "datetime"), because, moments)
        else:
            yield from self._days_and_times(name, time)

    def _days_and_times(self, name: str, time: str) -> Iterator[Proposed]:
        days, times = self._as(pl.Date), self._as(pl.Time)
        both = {"title": self.title} if days and times else {}
        if days:
            yield Proposed(self._titled(name, "date") | both, _range(days), days)
        if times:
            at = time if days else name
            yield Proposed({"name": at} | self._titled(at, "time") | both, _range(times), times)
        if not (days or times):
            text, nearly = self._text(name), self._nearly()
            yield replace(text, because="\n".join(filter(None, (text.because, nearly))))

    def _text(self, name: str) -> Proposed:
        titled, filled = self._titled(name), self.filled
        if filled.str.contains(_JSON).all() and self._as(str, Kind.JSON):
            return Proposed({**titled, "type": "any"}, "every value is JSON")
        if filled.str.contains(f"^{EMAIL}$").all():
            own = {"csv_pipeline": {"protected": True}}
            return Proposed(titled | {"format": "email"} | own, "every value is an address")
        if words := self._categories():
            because = f"{len(words)} words in {filled.len():,} rows; another word is a reject"
            return Proposed(titled | {"categories": words}, because)
        return Proposed(titled, f"text of at most {_longest(filled)} letters")

    def _categories(self) -> list[str]:
        """Return the words of the column, if they are few, come often and differ in letters."""
        words = sorted(self.filled.unique())
        few = len(words) <= MOST_CATEGORIES and self.filled.len() >= _ROWS_PER_CATEGORY * len(words)
        short = all(len(word) <= _LONGEST_CATEGORY for word in words)
        distinct = len({choice_key(word) for word in words}) == len(words)
        return words if few and short and distinct else []

    @cached_property
    def is_id(self) -> bool:
        """Whether values are digits that are no quantity, or a prefix or the title says so."""
        if self.filled.str.contains(_LETTERS_DIGITS).all():
            return True
        digits = self.filled.str.contains(r"^\+?[0-9]+$")
        if not digits.all():
            has_digits = self.filled.str.contains(r"^[\w./+ -]*[0-9][\w./+ -]*$").all()
            return has_digits and bool(_NAMES_AN_ID.search(self.title)) and not self._as(pl.Date)
        zeros = self.filled.str.contains(r"^\+|^0[0-9]").any()
        named = bool(_NAMES_AN_ID.search(self.title))
        return zeros or named or _longest(self.filled) >= _ID_FROM_DIGITS

    def _titled(self, name: str, kind: str = "string") -> dict[str, Any]:
        titled = {} if name == self.title else {"title": self.title}
        return titled | ({} if kind == "string" else {"type": kind})

    def _missing(self, its: Proposed) -> dict[str, Any]:
        """Return whether each row has a value, and each file the column."""
        everywhere = len(self.files) == self.all_ and not self.values.is_empty()
        nulls = sum(one.null_count() for one in its.values or [self.values])
        return {"constraints": {"required": True}} if everywhere and not nulls else {}

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
        return ""

    def _outlier(self, tried: Sequence["_Tried"]) -> str:
        """Return where the first value is that is none of a type, and which if anybody may see."""
        its = next(its for its in tried if its.faults.height)
        row, value = its.faults.row(0)
        where = f"row {row:,}" + (f" of {its.file}" if len(self.files) > 1 else "")
        personal = _NAMES_A_PERSON.search(self.title) or "@" in value
        return f"{where} is none" if personal else f"{where} {_shown(value)!r} is none"

    def _tried(self, annotation: Any, kind: Kind | None) -> list["_Tried"]:
        """Return the column's values by a type, file by file; none if a file is refused by it."""
        known = (str(annotation), kind)
        if known not in self.tried:
            made = [self._cast(files, annotation, kind) for files, _ in self.files]
            self.tried[known] = [its for its in made if its] if all(made) else []
        return self.tried[known]

    def _cast(self, files: Files, annotation: Any, kind: Kind | None) -> "_Tried | None":
        names = {"value": column(self.title, nullable=True, kind=kind)}
        contract = type("Tried", (Contract,), {"__annotations__": {"value": annotation}, **names})
        feed = Feed(name="tried", description="", contract=contract)
        (typed,) = transform(files, feed, _NOBODY)
        if isinstance(typed, Exception):
            return None
        faults = scan(typed.rejects, REJECTS).select("row_number", "value").collect()
        values = scan(typed.rows).select("value").collect()["value"]
        return _Tried(files.names[0], values, faults.unique("row_number").sort("row_number"))


@dataclass(frozen=True, slots=True)
class _Tried:
    """The values of a file by a type, null where a cell is none, and which cells these are."""

    file: str
    values: pl.Series
    faults: pl.DataFrame


def _shown(value: str) -> str:
    return value if len(value) <= _LONGEST_CATEGORY else f"{value[:_LONGEST_CATEGORY]}…"


def _range(values: Sequence[pl.Series]) -> str:
    whole = pl.concat(values)
    return f"{whole.min()!s} to {whole.max()!s}"


def _digits(values: Sequence[pl.Series]) -> dict[str, Any]:
    """Return the digits that hold all numbers: those of money, if they do."""
    parts = pl.concat(values).drop_nulls().cast(pl.String).str.strip_prefix("-").str.split(".")
    scale = max(_MONEY[1], _longest(parts.list.get(1).str.strip_chars_end("0")))
    precision = _longest(parts.list.get(0)) + scale
    fits = precision <= _MONEY[0]
    return {"precision": _MONEY[0] if fits else PRECISION, "scale": scale}


def _longest(texts: pl.Series) -> int:
    longest = texts.str.len_chars().max()
    return longest if isinstance(longest, int) else 0
