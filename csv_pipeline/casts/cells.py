"""Cells of every kind, before a value is made of them: what a spreadsheet has done, and ids."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import polars as pl

from csv_pipeline.casts import identifiers, spreadsheets
from csv_pipeline.spec.contract import Column, Normal, choice_key
from csv_pipeline.spec.kinds import Kind

NO_VALUE = frozenset({"n/a", "null", r"\n", "-", "--", "\N{EN DASH}", "\N{EM DASH}"}) | {
    word.casefold() for word in spreadsheets.NOT_AVAILABLE
}
"""Words that mean no value where a column is not text, case-folded: of databases (`NULL`, `\\N`),
of spreadsheets in several languages, of people; not `none`, which may be a number: 0."""


@lru_cache(maxsize=10_000)
def null_words(declared: frozenset[str]) -> tuple[str, ...]:
    """Return the cells, trimmed, that mean no value whatever a cast makes of them."""
    return ("", *sorted(declared))


@dataclass(frozen=True, slots=True)
class Oddities:
    """What any cell of a column may be besides a plain one.

    `cell`: one of the words for no value, of a spreadsheet, or an id that needs to be cleaned or
    of which a spreadsheet may have made a number; `damaged`: an id that it may have
    rounded, or made a date.
    """

    cell: bool
    damaged: bool = False


def any_odd(cells: pl.DataFrame, words: Iterable[str], ids: Sequence[str]) -> bool:
    """Return whether any trimmed cell, of `ids` or of others, may be odd by `asked`."""
    if not cells.width:
        return False
    value = pl.col("value")
    odd = _may_be_odd(value, words, is_id=False)
    if _together(cells, cells.columns).select(odd.any()).item():
        return True
    odd = identifiers.may_be_odd(value) | identifiers.may_be_damaged(value)
    return bool(ids) and _together(cells, ids).select(odd.any()).item()


def _together(frame: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """Return the cells of some columns as one, `value`."""
    return pl.concat([frame[name] for name in names]).to_frame("value")


def _may_be_odd(value: pl.Expr, words: Iterable[str], *, is_id: bool) -> pl.Expr:
    odd = spreadsheets.may_be(value)
    for word in filter(None, words):  # the empty one is among the others
        odd |= value == word
    return odd | identifiers.may_be_odd(value) if is_id else odd


@lru_cache(maxsize=10_000)  # a feed's columns are the same in all its files
def asked(name: str, words: tuple[str, ...], *, is_id: bool) -> tuple[pl.Expr, ...]:
    """Return what to ask of the trimmed cells of a column, in the order of `Oddities`."""
    odd = _may_be_odd(pl.col(name), words, is_id=is_id).any().alias(name)
    if not is_id:
        return (odd,)
    damaged = identifiers.may_be_damaged(pl.col(name)).any().alias(f"{name} damaged")
    return odd, damaged


def cleaned(values: pl.Series, column: Column, words: tuple[str, ...], *, is_id: bool) -> pl.Series:
    """Return trimmed cells without guards, ids in their one spelling, and null for no value."""
    if changes_any(column):
        return _cleaned(values, column, words, is_id=is_id)
    odd = values.to_frame().select(_may_be_odd(pl.col(values.name), words, is_id=is_id)).to_series()
    if odd.all():
        return _cleaned(values, column, words, is_id=is_id)
    clean = _cleaned(values.filter(odd), column, words, is_id=is_id)
    return values.scatter(odd.arg_true(), clean)


def changes_any(column: Column) -> bool:
    """Return whether cells of a column may become others that are not odd."""
    return bool(column.fold_case or column.pad) or is_mapped(column)


def _cleaned(
    values: pl.Series, column: Column, words: tuple[str, ...], *, is_id: bool
) -> pl.Series:
    name = values.name
    plain = values.to_frame().select(spreadsheets.unguarded(pl.col(name))).to_series()
    if is_mapped(column):
        plain = choices(plain, column).fill_null(plain)
    if is_id:
        plain = identifiers.cleaned(plain, column)
    return plain.to_frame().select(pl.when(~pl.col(name).is_in(words)).then(name)).to_series()


def is_mapped(column: Column) -> bool:
    """Return whether an account says of words of a text what is stored for them."""
    return column.kind is Kind.TEXT and bool(column.choices)


def are_none(values: pl.Series, column: Column, others: frozenset[str]) -> pl.Series:
    """Return where a text that is no value of its column says that there is none.

    `others` are the words of feed and account, case-folded.
    """
    words = NO_VALUE | others | {word.casefold() for word in column.nulls}
    return values.str.to_lowercase().is_in(sorted(words)).fill_null(value=False)


def damage(values: pl.Series, *, is_id: bool) -> Iterator[tuple[pl.Series, str, str]]:
    """Give which texts a spreadsheet has damaged, the rule that they break, and what was needed."""
    yield spreadsheets.is_error(values), "spreadsheet_error", spreadsheets.ERROR_HINT
    if is_id:
        yield spreadsheets.is_number(values), "spreadsheet_number", spreadsheets.NUMBER_HINT


_NORMAL: dict[Normal, Callable[[pl.Series], pl.Series]] = {
    "nfc": lambda values: values.str.normalize("NFC"),
    "blanks": lambda values: values.str.replace_all(r"\s+", " "),
    "upper": lambda values: values.str.to_uppercase(),
    "lower": lambda values: values.str.to_lowercase(),
}


def text(values: pl.Series, column: Column) -> pl.Series:
    """Return texts as the column normalises them, with its substitute where there is none."""
    for normal in column.normalise:
        values = _NORMAL[normal](values)
    return values if column.substitute is None else values.fill_null(column.substitute)


def choices(values: pl.Series, column: Column) -> pl.Series:
    """Return what each word is stored as; null where it is none of the column's choices."""
    known = {choice_key(word): stored for word, stored in column.choices.items()}
    distinct = values.unique().drop_nulls()
    found = pl.Series([known.get(choice_key(word)) for word in distinct], dtype=pl.String)
    return values.replace_strict(distinct, found, default=None, return_dtype=pl.String)
