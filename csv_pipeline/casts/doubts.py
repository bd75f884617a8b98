"""Dates that may be others: `26-05-18` may begin with its year, `3 lip 2026` be in June or July.

So may `26/05/18` and `26.05.18`, which mostly end with it, where nothing in the column says that
they do.

Whether they are is settled by the other dates of the column, or of the file, or by declaration.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

import polars as pl

from csv_pipeline.casts.names import SHARED, language_of

_END = r"(?:[Tt,\s]|$)"
_DAY = "(?:0?[1-9]|[12][0-9]|3[01])"
HYPHENS = rf"^[0-9]{{1,2}}-\s?[0-9]{{1,2}}-\s?[0-9]{{2}}{_END}"
"""Three numbers of one or two digits with hyphens, of which any may be the year."""

_PAIRS = rf"^([0-9]{{1,2}})[./]\s?([0-9]{{1,2}})[./]\s?([0-9]{{4}}|[0-9]{{2}}){_END}"
"""Three numbers with slashes or points, the last of which may be the year."""

DOUBTED = (
    rf"{HYPHENS}|(?i:\b(?:{'|'.join(SHARED)})\b)"
    rf"|^[0-9]{{2}}[./]\s?(?:0?[1-9]|1[0-2])[./]\s?(?:0[1-9]|[12][0-9]|3[01]){_END}"
)
"""What makes it worth the time to look through a column for what settles it."""

_NO_YEAR_FIRST = (
    rf"^(?:[0-9]-\s?[0-9]{{1,2}}-\s?[0-9]{{2}}"  # a year of one digit
    rf"|{_DAY}-\s?(?:1[3-9]|[23][0-9])-\s?[0-9]{{2}}"  # no month in the middle
    rf"|{_DAY}-\s?[0-9]{{1,2}}-\s?(?:00|3[2-9]|[4-9][0-9])){_END}"  # no day at the end
)
_WORD = r"(\pL{2,})"
_MOST_WORDS = 100


@dataclass(slots=True)
class Doubts:
    """What the dates of a column say of those in doubt.

    `year_last`: one with hyphens cannot begin with its year, so that none does. `words` are those
    of its dates. Of those with slashes or points, `whole` is whether any ends with a year of four
    digits; of the others `firsts` and `lasts` are the numbers that they begin and end with, and
    `ends` is whether one cannot begin with its year. `last` is one of all these that does not.
    """

    year_last: bool = False
    whole: bool = False
    ends: bool = False
    last: str = ""
    firsts: set[str] = field(default_factory=set)
    lasts: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)

    def add(self, values: pl.Series) -> None:
        """Take in one batch of trimmed values."""
        distinct = values.unique()
        hyphens = distinct.filter(distinct.str.contains(_NO_YEAR_FIRST))
        self.year_last |= not hyphens.is_empty()
        self._note(hyphens)
        self._add_pairs(distinct)
        if len(self.words) < _MOST_WORDS:
            words = distinct.str.normalize("NFC").str.to_lowercase().str.extract_all(_WORD)
            self.words |= set(words.explode().drop_nulls().unique())

    @property
    def year_ends(self) -> bool:
        """Whether dates with slashes or points end with their year, as all or the most tell.

        In most files there are fewer years than days: so the numbers that differ more are the days.
        """
        return self.ends or len(self.firsts) > len(self.lasts)

    def _add_pairs(self, values: pl.Series) -> None:
        parts = values.str.extract_groups(_PAIRS).struct.unnest()
        a, b, c = (pl.col(name) for name in parts.columns)
        parts = parts.with_columns(values.alias("text")).drop_nulls()
        if parts.is_empty():
            return
        days = parts.filter(_is_day(c, b, a) | _is_day(c, a, b))
        two = c.str.len_chars() == 2
        first = two & (a.str.len_chars() == 2) & _is_day(a, b, c)
        self._note(days.filter(~first)["text"])
        self.whole |= not days.select(two.all()).item()
        days = days.filter(two).with_columns(first=_is_day(a, b, c))
        self.ends |= not days["first"].all()
        self.firsts |= set(days[parts.columns[0]])
        self.lasts |= set(days[parts.columns[2]])

    def _note(self, values: pl.Series) -> None:
        if not (self.last or values.is_empty()):
            self.last = str(values.min())  # distinct values have no order


def year_first(text: str) -> date | None:
    """Return the date that a text of three numbers is if it begins with a year of two digits."""
    found = re.match(r"([0-9]{2})[-./]\s?([0-9]{1,2})[-./]\s?([0-9]{2})(?:[Tt,\s]|$)", text)
    try:
        return date(2000 + int(found[1]), int(found[2]), int(found[3])) if found else None
    except ValueError:
        return None


def _is_day(year: pl.Expr, month: pl.Expr, day: pl.Expr) -> pl.Expr:
    """Return whether numbers, as text, are a day of the calendar, two digits a year since 2000."""
    digits = year.str.len_chars()
    whole = pl.when(digits == 2).then("20" + year).when(digits == 4).then(year)
    text = whole + "-" + month.str.zfill(2) + "-" + day.str.zfill(2)
    return text.str.to_date("%Y-%m-%d", strict=False).is_not_null()


def year_may_be_first(of: Doubts, others: Iterable[Doubts]) -> bool:
    """Return whether the dates of a column may begin with their year, and no column says they end.

    Only dates with slashes or points are asked here.
    """
    return bool(of.firsts) and not of.whole and not any(one.year_ends for one in (of, *others))


def language(doubts: list[Doubts]) -> str | None:
    """Return the language of the names of months in the dates of a file, if that can be told."""
    return language_of(set().union(*(one.words for one in doubts)))
