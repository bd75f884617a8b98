"""How the cells of each column become what is stored, as facts that are kept and compared.

Rows are known by what was stored of their cells. A declaration that makes another value of the same
cell would store the row beside itself. Two kinds of facts: how every cell is read, and what single
words are stored as. A word without an entry is a reject, so that none was stored: to add one
changes no reading. Of a text it is stored as it is, so that to add one does.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, NamedTuple

from csv_pipeline.account import Account
from csv_pipeline.spec.contract import Column, choice_key
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.kinds import Kind
from csv_pipeline.spec.sign import SignFrom

KIND, NULLS, SUBSTITUTE = "kind", "words for no value", "substitute"
FOLDED, PADDED, IDENTIFIER, NORMALISED = "case", "zeros in front", "identifier", "normalised"
COUNTED = "counted"
"""Stands for all columns by which rows without a key are known."""

WORD = "word {!r}"
_WRITTEN_IN_TWO_WAYS = {
    Kind.DECIMAL: "decimal_mark",
    Kind.PERCENT: "decimal_mark",
    Kind.INTEGER: "decimal_mark",
    Kind.DATE: "date_order",
    Kind.TIMESTAMP: "date_order",
}


Fact = Any
"""A text, a number, or a list of texts."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How the cells of a column are read: `facts` of every cell, and `words` with what is stored.

    A fact that is not there is the usual reading.
    """

    facts: Mapping[str, Fact] = field(default_factory=dict)
    words: Mapping[str, str] = field(default_factory=dict)

    def covers(self, now: "Reading") -> bool:
        """Return whether all that another reading says is known."""
        return self.facts == now.facts and now.words.items() <= self.words.items()

    def joined(self, now: "Reading") -> "Reading":
        """Return a reading that makes the same of the same cells, with the words of both."""
        return self if self.changes(now) else Reading(now.facts, {**self.words, **now.words})

    def differing(self, now: "Reading") -> list[str]:
        """Return the names of the facts that another reading has in another way."""
        names = sorted(self.facts.keys() | now.facts.keys())
        missing = object()
        return [n for n in names if self.facts.get(n, missing) != now.facts.get(n, missing)]

    def changes(self, now: "Reading") -> list[tuple[str, str]]:
        """Return what another reading makes of the same cells: what it was, and what it is."""
        mine, its = self.by_word(now), now.by_word(self)
        return [
            *((_said(name, self.facts), _said(name, now.facts)) for name in self.differing(now)),
            *(
                (f"{word}: {mine[word]}", f"{word}: {its[word]}")
                for word in sorted(mine.keys() & its.keys())
                if mine[word] != its[word]
            ),
        ]

    def by_word(self, other: "Reading") -> Mapping[str, str]:
        """Return what words are stored as; of a text also those that only another reading has."""
        if self.facts.get(KIND) != Kind.TEXT:
            return self.words
        return {**dict.fromkeys(other.words, "as it is"), **self.words}


class ChangedReading(NamedTuple):
    """A column of which the same cell is stored as another value than before, in words.

    `identifies`: rows are known by it, so that they would be stored a second time.
    """

    column: str
    before: str
    now: str
    identifies: bool


@dataclass(frozen=True, slots=True)
class Readings:
    """The readings of a feed's columns, and by which of them rows without a key are known."""

    columns: Mapping[str, Reading]
    counted: tuple[str, ...] = ()

    def covers(self, now: "Readings") -> bool:
        """Return whether all that other readings say is known."""
        return self.counted == now.counted and all(
            name in self.columns and self.columns[name].covers(its)
            for name, its in now.columns.items()
        )

    def joined(self, now: "Readings") -> "Readings":
        """Return these with the columns and words that others have besides."""
        new = {
            name: self.columns[name].joined(its) if name in self.columns else its
            for name, its in now.columns.items()
        }
        return Readings({**self.columns, **new}, self.counted)

    def changed(self, feed: Feed, now: "Readings") -> list[ChangedReading]:
        """Return what differs in the readings of a feed `now`."""
        known_by = identifying(feed)
        found = [
            ChangedReading(
                name,
                "; ".join(before for before, _ in changes),
                "; ".join(after for _, after in changes),
                identifies=name in known_by,
            )
            for name, its in now.columns.items()
            if name in self.columns and (changes := self.columns[name].changes(its))
        ]
        if self.counted and now.counted and self.counted != now.counted:
            before, after = (", ".join(its.counted) for its in (self, now))
            found.append(
                ChangedReading(COUNTED, f"known by {before}", f"known by {after}", identifies=True)
            )
        return found

    def as_json(self) -> dict[str, Any]:
        """Return them as JSON types."""
        return {
            "columns": {n: [dict(r.facts), dict(r.words)] for n, r in self.columns.items()},
            "counted": list(self.counted),
        }

    @classmethod
    def of_json(cls, found: Mapping[str, Any]) -> "Readings":
        """Return what `as_json` gave."""
        columns = {name: Reading(*its) for name, its in found["columns"].items()}
        return cls(columns, tuple(found["counted"]))


def identifying(feed: Feed) -> frozenset[str]:
    """Return the columns by which rows of a feed are known, and those of its snapshots' scope."""
    by = feed.key or feed.counted or tuple(column.name for column in feed.columns)
    return frozenset(by) | frozenset(feed.snapshot.scope if feed.snapshot else ())


@cache
def readings_of(feed: Feed) -> Readings:
    """Return how a feed reads its columns, unless an account says otherwise."""
    return readings_by(feed, Account(account=""))


def readings_by(feed: Feed, account: Account) -> Readings:
    """Return how files of an account are read by a feed `as_declared`."""
    columns = {one.name: _reading(one, feed, account) for one in feed.columns}
    counted = () if feed.key else tuple(sorted(feed.counted or columns))
    return Readings(columns, counted)


def _reading(column: Column, feed: Feed, account: Account) -> Reading:
    return Reading(dict(_facts(column, feed)), dict(_words(column, feed, account)))


def _facts(column: Column, feed: Feed) -> Iterator[tuple[str, Fact]]:
    is_id = column.kind is Kind.TEXT and (column.identifier or column.name in feed.key)
    nulls = sorted(filter(None, feed.nulls | column.nulls))
    blank = column.nullable or column.substitute is not None  # else no value is a reject
    of_dates = column.kind in {Kind.DATE, Kind.TIMESTAMP}
    for name, there, said in (
        (KIND, True, column.kind.value),
        (IDENTIFIER, is_id, "in one spelling"),
        (FOLDED, column.fold_case, "in small letters"),
        (PADDED, column.pad, column.pad),
        (NULLS, nulls and blank, nulls),
        (SUBSTITUTE, column.substitute is not None, column.substitute),
        (NORMALISED, column.normalise, list(column.normalise)),
        ("gathered from", column.gathers, repr(column.gathers)),
        ("years of two digits", column.past and of_dates, "in the past"),
        ("time zone", column.zone, str(column.zone)),
        ("numbers since 1970", column.unit, str(column.unit)),
        ("stored as", column.kind is Kind.PERCENT, column.stored_as),
        ("sign", column.sign, f"from {' and '.join(column.sign.columns if column.sign else ())}"),
    ):
        if there:
            yield name, said


def _words(column: Column, feed: Feed, account: Account) -> Iterator[tuple[str, str]]:
    for word, stored in column.choices.items():
        yield WORD.format(choice_key(word)), stored
    for name, offset in column.zones.items():
        yield f"zone {name!r}", offset
    if isinstance(column.sign, SignFrom):
        for word, sign in column.sign.words.items():
            yield f"sign {word!r}", "plus" if sign > 0 else "minus"
    setting = _WRITTEN_IN_TWO_WAYS.get(column.kind, "")
    style = (getattr(account, setting) if setting else None) or column.style
    zoned = column.kind is not Kind.TIMESTAMP or column.zone or column.unit
    for name, said in (
        ("percentage without its sign", column.bare_as),
        (f"{setting.replace('_', ' ')} of what may be read in two ways", style),
        ("time zone of what states none", None if zoned else account.time_zone or feed.time_zone),
        ("currency of $", account.currency if column.kind is Kind.CURRENCY else None),
    ):
        if said:
            yield name, str(said)


def _said(name: str, facts: Mapping[str, Fact]) -> str:
    if name not in facts:
        return f"{name}: none"
    value = facts[name]
    return f"{name}: {', '.join(value) if isinstance(value, list) else value!s}"
