"""What a column of files is, by all of its values: tried by the casts that import them.

A type is proposed only if every value of every file is one of it and nothing of a value is lost:
numbers with leading zeros, and long ones, are ids, which are text.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any

import polars as pl

from csv_pipeline.account import Account
from csv_pipeline.batches import scan
from csv_pipeline.parts import Files
from csv_pipeline.spec.contract import Contract, Timestamp, choice_key, column
from csv_pipeline.spec.declared.types import EMAIL, PRECISION, SCALE
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.kinds import Kind
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
_NOBODY = Account(account="proposal")


@dataclass(frozen=True, slots=True)
class Proposed:
    """A field of a feed, and why it is this one."""

    words: dict[str, Any]
    because: str


@dataclass(frozen=True)
class ColumnOfFiles:
    """A column that files have, by its usual title; `files` are those that have it, of `all_`."""

    title: str
    files: tuple[tuple[Files, int], ...]
    all_: int
    tried: dict[str, list[pl.Series] | None] = field(default_factory=dict)

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

    def fields(self, name: str) -> list[Proposed]:
        """Return the fields that hold the column; a date with a time of day takes two."""
        return [
            Proposed({"name": name} | its.words | self._missing(its), its.because)
            for its in self._found(name)
        ]

    def _found(self, name: str) -> Iterator[Proposed]:
        if self.filled.is_empty():
            yield Proposed(self._titled(name), "no value in any row")
        elif self.is_id:
            own = {"identifier": True}
            yield Proposed(self._titled(name) | {"csv_pipeline": own}, "an id, which is text")
        elif numbers := self._as(int):
            yield Proposed(self._titled(name, "integer"), _range(numbers))
        elif numbers := self._as(Annotated[pl.Decimal, PRECISION, SCALE]):
            yield Proposed(self._titled(name, "number") | _digits(numbers), _range(numbers))
        elif self._as(bool):
            words = ", ".join(sorted(self.filled.unique()))
            yield Proposed(self._titled(name, "boolean"), f"the words are {words}")
        elif moments := self._as(Timestamp):
            yield Proposed(self._titled(name, "datetime"), f"{_range(moments)}, in UTC")
        else:
            yield from self._days_and_times(name)

    def _days_and_times(self, name: str) -> Iterator[Proposed]:
        days, times = self._as(pl.Date), self._as(pl.Time)
        if days:
            yield Proposed(self._titled(name, "date"), _range(days))
        if times:
            at = f"{name}_time" if days else name
            yield Proposed({"name": at} | self._titled(at, "time"), _range(times))
        if not (days or times):
            yield self._text(name)

    def _text(self, name: str) -> Proposed:
        titled, filled = self._titled(name), self.filled
        if filled.str.contains(_JSON).all() and self._as(str, kind=Kind.JSON):
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
        """Whether values are digits that are no quantity, or the title says so of a text."""
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
        cast = self.tried.get(str(its.words.get("type", "")), None)
        nulls = sum(one.null_count() for one in cast) if cast else self.values.null_count()
        return {"constraints": {"required": True}} if everywhere and not nulls else {}

    def _as(self, annotation: Any, kind: Kind | None = None) -> list[pl.Series]:
        """Return the column's values by a type, file by file; none if any cell is no such value."""
        known = _SCHEMA_NAMES.get(str(annotation), str(kind))
        if known not in self.tried:
            self.tried[known] = self._cast(annotation, kind)
        return self.tried[known] or []

    def _cast(self, annotation: Any, kind: Kind | None) -> list[pl.Series] | None:
        names = {"value": column(self.title, nullable=True, kind=kind)}
        contract = type("Tried", (Contract,), {"__annotations__": {"value": annotation}, **names})
        feed = Feed(name="tried", description="", contract=contract)
        made = []
        for files, _ in self.files:
            (typed,) = transform(files, feed, _NOBODY)
            if isinstance(typed, Exception) or typed.rows_at_fault:
                return None
            made.append(scan(typed.rows).select("value").collect()["value"])
        return made if any(one.null_count() < one.len() for one in made) else None


_SCHEMA_NAMES = {
    str(int): "integer",
    str(Annotated[pl.Decimal, PRECISION, SCALE]): "number",
    str(bool): "boolean",
    str(Timestamp): "datetime",
    str(pl.Date): "date",
    str(pl.Time): "time",
}


def _range(values: Sequence[pl.Series]) -> str:
    whole = pl.concat(values)
    return f"{whole.min()!s} to {whole.max()!s}"


def _digits(values: Sequence[pl.Series]) -> dict[str, Any]:
    """Return the digits that hold all numbers: those of money, if they do."""
    parts = pl.concat(values).drop_nulls().cast(pl.String).str.strip_prefix("-").str.split(".")
    scale = max(_MONEY[1], _longest(parts.list.get(1).str.strip_chars_end("0")))
    precision = _longest(parts.list.get(0)) + scale
    fits = precision <= _MONEY[0]
    return {"csv_pipeline": {"precision": _MONEY[0] if fits else PRECISION, "scale": scale}}


def _longest(texts: pl.Series) -> int:
    longest = texts.str.len_chars().max()
    return longest if isinstance(longest, int) else 0
