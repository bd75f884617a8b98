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

from csv_pipeline.account import Account, DateOrder, DecimalMark
from csv_pipeline.batches import scan
from csv_pipeline.errors import UndecidableError
from csv_pipeline.handover import REJECTS
from csv_pipeline.parts import Files
from csv_pipeline.spec.contract import Contract, Style, Timestamp, choice_key, column
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
_GROUP = 3  # digits that are decimals by the one reading, and thousands by the other
_NAMES_AN_ID = re.compile(
    r"(?i)(?:^|[^a-z])(?:id|no|nr|num|number|nummer|numéro|code|key|sku|ean|upc|isbn|zip|plz|"
    r"postcode|postal|phone|tel|telephone|ref|reference|tag|serial|account|iban)(?:$|[^a-z])"
)
_JSON = r"^\s*[\[{]"
_LETTERS_DIGITS = r"^(?:\pL+-|[Rr])[0-9]+$"
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
_STYLES: dict[str, Style] = {str(one): one for one in (*DateOrder, *DecimalMark)}
_WORDS_OF = {
    DateOrder.DAY_FIRST: {"format": "%d/%m/%Y"},
    DateOrder.MONTH_FIRST: {"format": "%m/%d/%Y"},
    DecimalMark.POINT: {"decimalChar": "."},
    DecimalMark.COMMA: {"decimalChar": ","},
}
"""What a field says of how its values are written."""
_NOBODY = Account(account="proposal")


@dataclass(frozen=True, slots=True)
class Proposed:
    """A field of a feed, and why it is this one."""

    words: dict[str, Any]
    because: str
    values: Sequence[pl.Series] = ()
    """What the values are by a type other than text, file by file."""
    open: bool = False
    """Whether they could be either of two, which has to be settled."""
    whole_by: str = ""
    """The decimal mark by which they are whole numbers, if they are open."""


@dataclass(frozen=True)
class ColumnOfFiles:
    """A column that files have, by its usual title; `files` are those that have it, of `all_`."""

    title: str
    files: tuple[tuple[Files, int], ...]
    all_: int
    tried: dict[tuple[str, Kind | None], list["_Tried"]] = field(default_factory=dict)

    @cached_property
    def parts(self) -> list[pl.Series]:
        """The trimmed cells of each file that has the column, null where one is empty."""
        cell = [pl.col(str(at)).str.strip_chars().replace("", None) for _, at in self.files]
        return [
            scan(files.rows).select(one.alias("v")).collect()["v"]
            for (files, _), one in zip(self.files, cell, strict=True)
        ]

    @property
    def values(self) -> pl.Series:
        """The trimmed cells of all files, null where one is empty."""
        return pl.concat(self.parts)

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
            rand = "; if it is an amount in rand: type: number" * self._may_be_rand
            yield Proposed(self._titled(name) | id_, f"an id, which is text{rand}")
        elif self.filled.str.contains("%").all() and (shares := self._as(_DECIMAL, Kind.PERCENT)):
            titled, digits = self._titled(name, "number"), _digits(shares)
            own = {"csv_pipeline": {"kind": "percent"} | digits}
            yield Proposed(titled | own, f"{_range(shares)}, in percent", shares)
        elif (numbers := self._as(int)) and not self._open(_DECIMAL):
            yield self._written(
                Proposed(self._titled(name, "integer"), _range(numbers), numbers), int
            )
        elif numbers := self._as(_DECIMAL):
            own = {"csv_pipeline": _digits(numbers, _GROUP * bool(self._open(_DECIMAL)))}
            titled = self._titled(name, "number") | own
            its = Proposed(titled, _range(numbers), numbers, whole_by=self._whole_by())
            yield self._written(its, _DECIMAL)
        elif truths := self._as(bool):
            words = ", ".join(sorted(self.filled.unique()))
            yield Proposed(self._titled(name, "boolean"), f"the words are {words}", truths)
        elif moments := self._as(Timestamp):
            because = f"{_range(moments)}, in UTC"
            made = Proposed(self._titled(name, "datetime"), because, moments)
            yield self._written(made, Timestamp)
        else:
            yield from self._days_and_times(name, time)

    def _days_and_times(self, name: str, time: str) -> Iterator[Proposed]:
        days, times = self._as(pl.Date), self._as(pl.Time)
        both = {"title": self.title} if days and times else {}
        if days:
            made = Proposed(self._titled(name, "date") | both, _range(days), days)
            yield self._written(made, pl.Date)
        if times:
            at = time if days else name
            yield Proposed({"name": at} | self._titled(at, "time") | both, _range(times), times)
        if not (days or times):
            text, nearly = self._text(name), self._nearly()
            yield replace(text, because="\n".join(filter(None, (text.because, nearly))))

    def _whole_by(self) -> str:
        """Return the decimal mark by which the values are whole numbers; "" if by none."""
        commas = self.filled.str.contains(",", literal=True).any()
        return "" if not self._as(int) else "." if commas else ","

    def _open(self, annotation: Any) -> str:
        """Return the first value that could be either of two, if nothing proves which; else ""."""
        tried = self._tried(annotation, None)
        return (
            "" if any(its.style for its in tried) else next((t.open for t in tried if t.open), "")
        )

    def _written(self, its: Proposed, annotation: Any) -> Proposed:
        """Return a field that says how its values are written, or what has to be settled."""
        if doubt := self._open(annotation):
            if len(self.files) > 1:
                doubt = f"{next(t.file for t in self._tried(annotation, None) if t.open)}: {doubt}"
            ways = _ways(annotation)
            said = (
                f'{word}: "{its}" ({way})' for way in ways for word, its in _WORDS_OF[way].items()
            )
            return replace(its, because=f"settle: {doubt}\nadd {' or '.join(said)}", open=True)
        proofs = {one.style: one for one in self._tried(annotation, None) if one.style}
        told = "\n".join(f"{style}: {one.because}" for style, one in proofs.items())
        because = "\n".join(filter(None, (its.because, told)))
        if len(proofs) != 1:
            return replace(its, because=because)
        (style,) = proofs
        return replace(its, words=its.words | _WORDS_OF[_STYLES[style]], because=because)

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

    @property
    def _may_be_rand(self) -> bool:
        return bool(self.filled.str.contains("^[Rr][0-9]+$").all())

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
            proven = {its.style for its in made if its and its.style}
            if len(proven) == 1 and any(its and its.open for its in made):
                style = _STYLES[proven.pop()]
                made = [
                    self._cast(files, annotation, kind, style) if its and its.open else its
                    for its, (files, _) in zip(made, self.files, strict=True)
                ]
            self.tried[known] = [its for its in made if its] if all(made) else []
        return self.tried[known]

    def _cast(
        self, files: Files, annotation: Any, kind: Kind | None, style: Style | None = None
    ) -> "_Tried | None":
        """Return the values of a file by a type; if they are open, by one of the two ways."""
        personal = bool(_NAMES_A_PERSON.search(self.title))
        own = column(self.title, nullable=True, kind=kind, style=style, protected=personal)
        names = {"value": own}
        contract = type("Tried", (Contract,), {"__annotations__": {"value": annotation}, **names})
        feed = Feed(name="tried", description="", contract=contract)
        (typed,) = transform(files, feed, _NOBODY)
        if isinstance(typed, UndecidableError) and style is None:
            its = self._cast(files, annotation, kind, _ways(annotation)[0])
            return its and replace(its, open=typed.found.partition("; to settle")[0])
        if isinstance(typed, Exception):
            return None
        faults = scan(typed.rejects, REJECTS).select("row_number", "value").collect()
        values = scan(typed.rows).select("value").collect()["value"]
        told = [its for its in typed.evidence if its.decision in _STYLES and style is None]
        proven = (told[0].decision, told[0].because) if told else ("", "")
        return _Tried(
            files.names[0], values, faults.unique("row_number").sort("row_number"), *proven
        )


@dataclass(frozen=True, slots=True)
class _Tried:
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


def settled(several: Sequence[Proposed]) -> Iterator[Proposed]:
    """Give the fields, those that are open written as all others of their kind are."""
    for its in several:
        word = "decimalChar" if its.words.get("type") in {"integer", "number"} else "format"
        proven = {one.words[word] for one in several if _says(one, word)}
        if its.open and len(proven) == 1:
            (as_,) = proven
            because = f"{word} as in the other columns, which prove it"
            words = its.words | {word: as_}
            if as_ == its.whole_by:
                words = {key: its for key, its in words.items() if key != "csv_pipeline"}
                words["type"] = "integer"
            yield replace(its, words=words, because=because)
        else:
            yield its


def _says(its: Proposed, word: str) -> bool:
    return word in its.words and (word != "format" or "%" in its.words[word])


def _ways(annotation: Any) -> tuple[Style, ...]:
    """Return the two ways to write values of a type."""
    return tuple(DateOrder) if annotation in {pl.Date, Timestamp} else tuple(DecimalMark)


def _shown(value: str) -> str:
    return value if len(value) <= _LONGEST_CATEGORY else f"{value[:_LONGEST_CATEGORY]}…"


def _range(values: Sequence[pl.Series]) -> str:
    whole = pl.concat(values)
    return f"{whole.min()!s} to {whole.max()!s}"


def _digits(values: Sequence[pl.Series], least: int = 0) -> dict[str, Any]:
    """Return the digits that hold all numbers: those of money, if they do, or the `least`."""
    parts = pl.concat(values).drop_nulls().cast(pl.String).str.strip_prefix("-").str.split(".")
    scale = max(_MONEY[1], least, _longest(parts.list.get(1).str.strip_chars_end("0")))
    precision = _longest(parts.list.get(0)) + scale
    fits = precision <= _MONEY[0]
    return {"precision": _MONEY[0] if fits else PRECISION, "scale": scale}


def _longest(texts: pl.Series) -> int:
    longest = texts.str.len_chars().max()
    return longest if isinstance(longest, int) else 0
