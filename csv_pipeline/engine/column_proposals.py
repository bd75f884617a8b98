"""What a column of files is, by all of its values: tried by the casts that import them.

A type is proposed only if every value of every file is one of it, but very few that are told with
their lines, and nothing of a value is lost: numbers with leading zeros, long ones, and those behind
letters and `-` are ids, which are text. If most values are of a type, that is said, and the first
that is none.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from decimal import Decimal
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from csv_pipeline.account import DateOrder, DecimalMark
from csv_pipeline.engine.column_values import (
    DECIMAL,
    LONGEST_SHOWN,
    STYLES,
    ColumnValues,
    Tried,
    shown,
    ways_of,
)
from csv_pipeline.spec.contract import Timestamp, choice_key
from csv_pipeline.spec.declared.types import PRECISION
from csv_pipeline.spec.kinds import Kind
from csv_pipeline.spec.patterns import EMAIL

MOST_CATEGORIES = 12
_ROWS_PER_CATEGORY = 10
_ID_FROM_DIGITS = 12
_MONEY = (18, 2)
_GROUP = 3  # digits that are decimals by the one reading, and thousands by the other
_NAMES_AN_ID = re.compile(
    r"(?i)(?:^|[^a-z])(?:id|no|nr|num|number|nummer|numéro|code|key|sku|ean|upc|isbn|zip|plz|"
    r"postcode|postal|phone|tel|telephone|ref|reference|tag|serial|account|iban)(?:$|[^a-z])"
)
_NAMES_MONEY = re.compile(
    r"(?i)price|total|amount|cost|balance|revenue|discount|payment|credit|debit|charge|"
    r"preis|betrag|summe|netto|brutto|kosten|saldo|umsatz|steuer|rabatt|gebühr|"
    r"montant|prix|solde|importe|precio|importo|prezzo|"
    r"(?:^|[^a-z])(?:sum|net|gross|tax|vat|fees?|paid|mwst|soll|haben|ht|ttc)(?:$|[^a-z])"
)
_MARKED = r"[.,][0-9]{1,2}\D*$|[.,][0-9]{4,}\D*$|\..*,[0-9]+\D*$|,.*\.[0-9]+\D*$|\p{Sc}|[A-Z]{3}"
"""A decimal mark, or a currency, which only amounts have."""
_DAY_OF_DIGITS = r"^(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])$"
_SUCH_AS = "Europe/Berlin"
_JSON = r"^\s*[\[{]"
_LETTERS_DIGITS = r"^(?:(?:\pL+-|[Rr])[0-9]+|\pL{1,2}[0-9]{6,})$"
_WORDS_OF = {
    DateOrder.DAY_FIRST: {"format": "%d/%m/%Y"},
    DateOrder.MONTH_FIRST: {"format": "%m/%d/%Y"},
    DateOrder.YEAR_FIRST: {"format": "%y/%m/%d"},
    DecimalMark.POINT: {"decimalChar": "."},
    DecimalMark.COMMA: {"decimalChar": ","},
}
"""What a field says of how its values are written."""


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
class ColumnOfFiles(ColumnValues):
    """A column that files have, as fields of a feed."""

    def fields(self, name: str, time_name: str) -> list[Proposed]:
        """Return the fields that hold the column; a date with a time of day takes two.

        They are of the type that almost all values have; the others are told.
        """
        made = self._fields(name, time_name)
        if self.is_id or any(its.values for its in made) or self.few_others is None:
            return made
        what, others = self.few_others
        if "categories" in made[0].words and self._recur(others):
            return made
        first, *more = self.without(others)._fields(name, time_name)
        if not first.values:
            return made
        told = f"{first.because}\n{self._told_of(what, others)}"
        return [replace(first, because=told), *more]

    def _fields(self, name: str, time_name: str) -> list[Proposed]:
        said = (self._lacking(), self.contested)
        return [
            replace(
                its,
                words={"name": name} | its.words | self._missing(its),
                because="\n".join(filter(None, (its.because, *said))),
            )
            for its in self._found(name, time_name)
        ]

    def _recur(self, others: Sequence[Tried]) -> bool:
        """Return whether any of the few values that are none of a type comes more than once."""
        words = pl.concat([its.faults["value"] for its in others])
        return words.n_unique() < words.len()

    def _found(self, name: str, time_name: str) -> Iterator[Proposed]:
        if self.filled.is_empty():
            yield Proposed(self._titled(name), "no value in any row")
        elif self.filled.str.contains("-").all() and (uuids := self._as(str, Kind.UUID)):
            yield Proposed(self._titled(name) | {"format": "uuid"}, "every value is a UUID", uuids)
        elif self.is_id:
            id_ = {"csv_pipeline": {"identifier": True}}
            rand = "; if it is an amount in rand: type: number" * self._may_be_rand
            yield Proposed(self._titled(name) | id_, f"an id, which is text{rand}")
        elif self.filled.str.contains("%").all() and (shares := self._as(DECIMAL, Kind.PERCENT)):
            titled, digits = self._titled(name, "number"), _digits(shares)
            own = {"csv_pipeline": {"kind": "percent"} | digits}
            yield Proposed(titled | own, f"{_range(shares)}, in percent", shares)
        elif self.filled.str.contains(_DAY_OF_DIGITS).all() and (days := self._as(pl.Date)):
            yield Proposed(self._titled(name, "date"), f"{_range(days)}, of eight digits", days)
        elif not self._is_money and (numbers := self._as(int)) and not self._open(DECIMAL):
            yield self._written(
                Proposed(self._titled(name, "integer"), _range(numbers), numbers), int
            )
        elif numbers := self._as(DECIMAL):
            own = {"csv_pipeline": _digits(numbers, _GROUP * bool(self._open(DECIMAL)))}
            titled = self._titled(name, "number") | own
            because = "\n".join(filter(None, (_range(numbers), self._last_zeros())))
            its = Proposed(titled, because, numbers, whole_by=self._whole_by())
            yield self._written(its, DECIMAL)
        elif truths := self._as(bool):
            words = ", ".join(sorted(self.filled.unique()))
            yield Proposed(self._titled(name, "boolean"), f"the words are {words}", truths)
        elif moments := self._as(Timestamp):
            because = f"{_range(moments)}, in UTC"
            made = Proposed(self._titled(name, "datetime"), because, moments)
            yield self._written(made, Timestamp)
        else:
            yield from self._days_and_times(name, time_name)

    def _days_and_times(self, name: str, time_name: str) -> Iterator[Proposed]:
        days, times = self._as(pl.Date), self._as(pl.Time)
        if days and times and (self.positional or not _at_midnight(times)):
            yield from self._moments(name, f"{name}_local", days, times)
            return
        both = {"title": self.title} if days and times else {}
        if days:
            made = Proposed(self._titled(name, "date") | both, _range(days), days)
            yield self._written(made, pl.Date)
        if times:
            at = time_name if days else name
            yield Proposed({"name": at} | self._titled(at, "time") | both, _range(times), times)
        if not (days or times):
            text, nearly = self._text(name), self._nearly()
            yield replace(text, because="\n".join(filter(None, (text.because, nearly))))

    def _moments(
        self, name: str, local: str, days: list[pl.Series], times: list[pl.Series]
    ) -> Iterator[Proposed]:
        """Give a timestamp whose zone somebody has to say, and the text of it as it is written."""
        made = Proposed(self._titled(name, "datetime"), _range(days), days)
        its = self._written(made, pl.Date)
        at = datetime.combine(_first(days), _first(times), ZoneInfo(_SUCH_AS))
        readings = f"{at:%H:%M} is {at.astimezone(UTC):%H:%M} UTC by {_SUCH_AS}, {at:%H:%M} by UTC"
        zones = " or ".join(f"csv_pipeline: {{zone: {zone}}}" for zone in (_SUCH_AS, "UTC"))
        settle = (
            f"settle: no value states its time zone: {readings}\nadd {zones}, or another of IANA"
        )
        yield replace(its, because=f"{its.because}\n{settle}")
        own = {"csv_pipeline": {"local_of": name}}
        yield Proposed({"name": local} | own, f"the text of {name}")

    @cached_property
    def _is_money(self) -> bool:
        """Whether whole numbers are amounts, by a decimal mark, a currency or the title."""
        named = bool(_NAMES_MONEY.search(self.title))
        return named or bool(self.filled.str.contains(_MARKED).any())

    def _last_zeros(self) -> str:
        """Return that numbers end in zeros, and others are shorter: versions, which are no numbers.

        Who writes numbers gives all as many decimals, or none of them a zero at the end.
        """
        longer = self.filled.filter(self.filled.str.contains(r"^[0-9]+\.[0-9]+0$"))
        shorter = self.filled.filter(self.filled.str.contains(r"^[0-9]+\.[0-9]$"))
        if longer.is_empty() or shorter.is_empty() or _NAMES_MONEY.search(self.title):
            return ""
        return f"check: as numbers, {longer[0]} is {longer[0].rstrip('0')}; if not, it is a text"

    def _whole_by(self) -> str:
        """Return the decimal mark by which the values are whole numbers; "" if by none."""
        commas = self.filled.str.contains(",", literal=True).any()
        return "" if self._is_money or not self._as(int) else "." if commas else ","

    def _written(self, its: Proposed, annotation: Any) -> Proposed:
        """Return a field that says how its values are written, or what has to be settled."""
        if doubt := self._open(annotation):
            if len(self.files) > 1:
                doubt = f"{next(t.file for t in self._tried(annotation, None) if t.open)}: {doubt}"
            ways = ways_of(annotation)
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
        return replace(its, words=its.words | _WORDS_OF[STYLES[style]], because=because)

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
        if filled.len() > 1 and filled.n_unique() == 1 and not self._is_personal:
            return Proposed(titled, f"the same in all rows: {shown(filled[0])!r}")
        return Proposed(titled, f"text of at most {_longest(filled)} letters")

    def _categories(self) -> list[str]:
        """Return the words of the column, if they are few, come often and differ in letters."""
        words = sorted(self.filled.unique())
        few = 1 < len(words) <= MOST_CATEGORIES and self.filled.len() >= _ROWS_PER_CATEGORY * len(
            words
        )
        short = all(len(word) <= LONGEST_SHOWN for word in words)
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
        return zeros or named or self.is_guarded or _longest(self.filled) >= _ID_FROM_DIGITS

    @property
    def _may_be_rand(self) -> bool:
        return bool(self.filled.str.contains("^[Rr][0-9]+$").all())

    def _lacking(self) -> str:
        """Return that files lack the column, if any do."""
        return f"in {len(self.files)} of {self.all_} files" * (len(self.files) < self.all_)

    def _titled(self, name: str, kind: str = "string") -> dict[str, Any]:
        titled = {} if name == self.title else {"title": self.title}
        return titled | ({} if kind == "string" else {"type": kind})

    def _missing(self, its: Proposed) -> dict[str, Any]:
        """Return whether each row has a value, and each file the column."""
        if "local_of" in its.words.get("csv_pipeline", {}):
            return {}
        everywhere = len(self.files) == self.all_ and not self.values.is_empty()
        nulls = sum(one.null_count() for one in its.values or [self.values])
        return {"constraints": {"required": True}} if everywhere and not nulls else {}


def settled(several: Sequence[Proposed]) -> Iterator[Proposed]:
    """Give the fields, those that are open written as all others of their kind are."""
    for its in several:
        word = "decimalChar" if its.words.get("type") in {"integer", "number"} else "format"
        proven = {one.words[word] for one in several if _says(one, word)}
        if its.open and len(proven) == 1:
            (as_,) = proven
            others = its.because.split("\n")[2:]  # what else is to be settled
            because = "\n".join([f"{word} as in the other columns, which prove it", *others])
            words = its.words | {word: as_}
            if as_ == its.whole_by:
                words = {key: its for key, its in words.items() if key != "csv_pipeline"}
                words["type"] = "integer"
            yield replace(its, words=words, because=because)
        else:
            yield its


def _says(its: Proposed, word: str) -> bool:
    return word in its.words and (word != "format" or "%" in its.words[word])


def _at_midnight(times: Sequence[pl.Series]) -> bool:
    return bool((pl.concat(times).drop_nulls() == time(0)).all())


def _first(values: Sequence[pl.Series]) -> Any:
    return pl.concat(values).drop_nulls()[0]


def _range(values: Sequence[pl.Series]) -> str:
    whole = pl.concat(values)
    return f"{_plain(whole.min())} to {_plain(whole.max())}"


def _plain(value: object) -> str:
    text = f"{value:f}" if isinstance(value, Decimal) else str(value)
    return text.rstrip("0").rstrip(".") if isinstance(value, Decimal) and "." in text else text


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
