"""Words that mean no value where a column is not text.

Text keeps its words, as `-` may be a name; a feed or a column may declare some for text too.
"""

import polars as pl

from csv_pipeline.casts.spreadsheets import NOT_AVAILABLE
from csv_pipeline.spec.contract import Column

WORDS = frozenset({"n/a", "null", r"\n", "-", "--", "\N{EN DASH}", "\N{EM DASH}"}) | {
    word.casefold() for word in NOT_AVAILABLE
}
"""Case-folded: of databases (`NULL`, `\\N`), of spreadsheets in several languages, of people.

`none` is not among them, as it may be a number: 0.
"""


def are_none(values: pl.Series, column: Column, others: frozenset[str]) -> pl.Series:
    """Return where a text that is no value of its column says that there is none.

    `others` are the words of feed and account, case-folded.
    """
    words = WORDS | others | {word.casefold() for word in column.nulls}
    return values.str.to_lowercase().is_in(sorted(words)).fill_null(value=False)
