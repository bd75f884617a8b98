"""Ids, in one spelling each, so that two that look the same are the same.

Ids are NFC, without signs that have no width, and without blanks at their ends; a blank inside is
the plain one. The apostrophe by which a spreadsheet keeps digits as text is none of an id, which
may begin with one where letters follow, as in `'t Hooft`. Case and zeros in front count unless the
contract says otherwise.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl

from csv_pipeline.casts.signs import INVISIBLE
from csv_pipeline.model import ReportWarning
from csv_pipeline.spec.contract import Column

_EXACT = 15  # digits that a spreadsheet keeps of a number, by IEEE 754
_MOST_LINES = 20
_SURPRISING = 3  # times as many as there would be by chance
_UNSEEN = rf"{INVISIBLE}|\p{{Cc}}"  # control characters as well; U+001A ends a file of DOS
_KEPT_AS_TEXT = r"^'([0-9+][0-9 ()./,+-]*(?:[eE]\+?[0-9]+)?)$"
_MONTH = "jan|feb|m[aä]r|mrz|apr|ma[iy]|jun|jul|aug|sep|o[ck]t|nov|de[cz]"
_DATE = rf"(?i)^(?:[0-3]?[0-9][-.] ?(?:{_MONTH})|(?:{_MONTH})[- ][0-9]{{2}})$"
_MAY_BE_ODD = r"[^ -~]|^'|^[+-]?[0-9]{1,3}(?:[.,][0-9]+)?[eE]"


def may_be_odd(value: pl.Expr) -> pl.Expr:
    """Return whether an id is not plain, may have been kept as text, or be a number by now."""
    return value.str.contains(_MAY_BE_ODD)


def is_plain(value: pl.Expr) -> pl.Expr:
    """Return whether an id holds letters, digits and signs of ASCII, and the blank."""
    return ~value.str.contains("[^ -~]")


def cleaned(values: pl.Series, column: Column) -> pl.Series:
    """Return ids in their one spelling; null where nothing visible is left."""
    value = pl.col("id")
    bare = value.str.extract(_KEPT_AS_TEXT).fill_null(value)
    frame = values.to_frame("id").select(bare)
    if not frame.select(is_plain(value).all()).item():
        spelt = value.str.normalize("NFC").str.replace_all(r"\s", " ").str.replace_all(_UNSEEN, "")
        clean = spelt.str.strip_chars()
        frame = frame.with_columns(
            id=pl.when(is_plain(value)).then(value).otherwise(pl.when(clean != "").then(clean))
        )
    if column.fold_case:
        frame = frame.with_columns(_folded(frame["id"]))
    if column.pad:
        digits = value.str.contains(r"^[0-9]+$")
        frame = frame.with_columns(
            id=pl.when(digits).then(value.str.zfill(column.pad)).otherwise(value)
        )
    return frame["id"].alias(values.name)


def _folded(values: pl.Series) -> pl.Series:
    """Fold case as Python does, which knows that `ß` is `ss`; ASCII needs no Python."""
    lower = values.str.to_lowercase()
    others = values.filter(values.str.len_bytes() != values.str.len_chars()).unique()
    if others.is_empty():
        return lower
    folded = {text: text.casefold() for text in others.drop_nulls()}
    return values.replace_strict(folded, default=lower, return_dtype=pl.String)


@dataclass(frozen=True, slots=True)
class Damage:
    """How many ids a spreadsheet may have damaged, and where.

    `rounded` end in zeros from the sixteenth digit on. Of ids of 16 digits one in ten ends so by
    chance, of longer ones fewer, and of those of more than 30 none: `expected` says how many of
    those met. `dates` are what it makes of ids such as `MAR12` and `3-12`: a day and a month, or a
    month and a year.
    """

    count: int = 0
    rounded: int = 0
    expected: float = 0.0
    dates: int = 0
    rounded_lines: tuple[int, ...] = ()
    date_lines: tuple[int, ...] = ()

    def __add__(self, other: "Damage") -> "Damage":
        return Damage(
            self.count + other.count,
            self.rounded + other.rounded,
            self.expected + other.expected,
            self.dates + other.dates,
            (self.rounded_lines + other.rounded_lines)[:_MOST_LINES],
            (self.date_lines + other.date_lines)[:_MOST_LINES],
        )

    def warnings(self, heading: str) -> Iterator[ReportWarning]:
        """Give what there is to look at: more than chance, or than ids that are dates, would have.

        Where half of the ids or more are like dates, they are months.
        """
        if self.rounded > _SURPRISING * self.expected:
            yield ReportWarning(
                code="ids.rounded_by_spreadsheet",
                message=f"column {heading!r}: {self.rounded:,} ids of 16 digits and more end in "
                "zeros from the sixteenth digit on, as they do once a spreadsheet has rounded them",
                count=self.rounded,
                line_numbers=self.rounded_lines,
            )
        if 0 < self.dates * 2 < self.count:
            yield ReportWarning(
                code="ids.dates_by_spreadsheet",
                message=f"column {heading!r}: {self.dates:,} ids are a day and a month, or a month "
                "and a year, as a spreadsheet makes of ids such as MAR12 and 3-12; stored as they "
                "are",
                count=self.dates,
                line_numbers=self.date_lines,
            )


def damage(values: pl.Series, line_numbers: pl.Series) -> Damage:
    """Return what is to be known of one batch of ids."""
    few_digits = values.str.len_bytes().is_between(_EXACT + 1, 2 * _EXACT)
    digits = values.filter(few_digits)
    digits = digits.filter(digits.str.contains("^[0-9]+$"))
    doubtful = pl.DataFrame({"id": values, "line": line_numbers})
    doubtful = doubtful.filter(may_be_damaged(pl.col("id")))
    ids, lines = doubtful["id"], doubtful["line"]
    zeros, dates = is_rounded(ids), ids.str.contains(_DATE)
    return Damage(
        values.len() - values.null_count(),
        int(zeros.sum()),
        float((10.0 ** (_EXACT - digits.str.len_bytes().cast(pl.Int32))).sum()),
        int(dates.sum()),
        tuple(lines.filter(zeros).head(_MOST_LINES)),
        tuple(lines.filter(dates).head(_MOST_LINES)),
    )


def is_rounded(values: pl.Series) -> pl.Series:
    """Return which ids are as a spreadsheet leaves one that has too many digits."""
    return values.str.contains(f"^[0-9]{{{_EXACT}}}0+$").fill_null(value=False)


def may_be_damaged(value: pl.Expr) -> pl.Expr:
    """Return whether an id may be one of these, or a date; quickly asked of all ids."""
    length = value.str.len_bytes()
    rounded = (length > _EXACT) & value.str.ends_with("0")
    return rounded | (length.is_between(5, 8) & value.str.contains(_DATE))
