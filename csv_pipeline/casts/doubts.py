"""Dates that may be others: `26-05-18` may begin with its year, `3 lip 2026` be in June or July.

Whether they are is settled by the other dates of the column, or of the file, or by declaration.
"""

from dataclasses import dataclass, field

import polars as pl

from csv_pipeline.casts.names import SHARED, language_of

_END = r"(?:[Tt,\s]|$)"
_DAY = "(?:0?[1-9]|[12][0-9]|3[01])"
HYPHENS = rf"^[0-9]{{1,2}}-\s?[0-9]{{1,2}}-\s?[0-9]{{2}}{_END}"
"""Three numbers of one or two digits with hyphens, of which any may be the year."""

DOUBTED = rf"{HYPHENS}|(?i:\b(?:{'|'.join(SHARED)})\b)"
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
    of its dates.
    """

    year_last: bool = False
    words: set[str] = field(default_factory=set)

    def add(self, values: pl.Series) -> None:
        """Take in one batch of trimmed values."""
        self.year_last |= bool(values.str.contains(_NO_YEAR_FIRST).any())
        if len(self.words) < _MOST_WORDS:
            words = values.unique().str.normalize("NFC").str.to_lowercase().str.extract_all(_WORD)
            self.words |= set(words.explode().drop_nulls().unique())


def language(doubts: list[Doubts]) -> str | None:
    """Return the language of the names of months in the dates of a file, if that can be told."""
    return language_of(set().union(*(one.words for one in doubts)))
