"""Find the columns by which the rows of files are known: ids, and nothing that differs by chance.

Within a file no two rows may have the same. Files may overlap: a row that comes again as it was is
unchanged, one with other values is an update, and both are told.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import polars as pl

from csv_pipeline.engine.column_proposals import ColumnOfFiles
from csv_pipeline.parts import Files

_KEY_COLUMNS = 12
"""Of so many columns pairs are tried as well."""

_NO_KEY_OF = frozenset({"number", "boolean", "any", "time"})
_MANY = 50
"""Of fewer rows a key may be one by chance."""
_NAMES_A_KEY = re.compile(
    r"(?i:(?:^|[^a-z])(?:id|no|nr|num|number|key|sku|uuid|guid)(?:$|[^a-z])|nummer\W*$)|[a-z]I[Dd]$"
)
_MAY_COUNT = re.compile(r"(?i)\W*(?:lfd\W*)?(?:no|nr|num|number|nummer|key)\W*")
_NAMES_ANOTHER = re.compile(
    r"(?i)phone|t[eé]l[eé]fon|mobil|(?:^|[^a-z])(?:tel|fax|zip|plz|post(?:al|code)?|iban|bic|account|konto|"
    r"tax|vat|tracking|street|house)(?:$|[^a-z])"
)
_AMOUNT = r"^\W{0,4}(?:[0-9]{1,3}(?:[., '][0-9]{3})+|[0-9]+)(?:[.,][0-9]+)?\W{0,4}$"
_YEAR = r"^(?:19|20)[0-9]{2}$"
_FILLED = 0.99
"""Of so many rows an id has to have a value that is to be the key."""

_EPOCH = r"^(?:9[5-9][0-9]|1[0-9]{3})[0-9]{6}(?:[0-9]{3}|[0-9]{6})?$"
"""Seconds since 1970, or milliseconds or microseconds, from the year 2000 to 2033."""


_ALIKE = 0.5
"""Rows of two files that are the same thing have so many of their other cells in common."""

_FILE = "_file"


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of all files, their cells by the name of the field that holds them."""

    columns: Mapping[str, ColumnOfFiles]
    cells: pl.DataFrame

    @classmethod
    def of(cls, columns: Mapping[str, ColumnOfFiles], files: Sequence[Files]) -> "Rows":
        """Return the rows of files; a column that a file lacks has no value there."""
        parts = []
        for number, file in enumerate(files):
            cells = {
                name: part
                for name, its in columns.items()
                for (of, _), part in zip(its.files, its.parts, strict=True)
                if of is file
            }
            frame = pl.DataFrame(cells)
            parts.append(frame.with_columns(pl.lit(number).alias(_FILE)))
        return cls(columns, pl.concat(parts, how="diagonal"))

    def differ(self, names: Sequence[str]) -> bool:
        """Return whether no two rows of a file with a value have the same in these columns."""
        own = self.cells.select(_FILE, *names).drop_nulls()
        return own.n_unique() == own.height and self._alike(names)

    def _alike(self, names: Sequence[str]) -> bool:
        """Return whether rows of several files that have the same there are the same thing."""
        again, others = self._again(names)
        if again.is_empty() or not others:
            return True
        return float(again.select(pl.concat_list(others).list.mean().mean()).item()) >= _ALIKE

    def _again(self, names: Sequence[str]) -> tuple[pl.DataFrame, list[str]]:
        """Return which cells of rows that come again are as they were, and of which columns."""
        whole = self.cells.drop_nulls(names)
        others = [name for name in self.cells.columns if name not in {*names, _FILE}]
        before = [pl.col(name).shift(1).over(names, order_by=_FILE) for name in others]
        same = [pl.col(name).eq_missing(was) for name, was in zip(others, before, strict=True)]
        first = pl.int_range(pl.len()).over(names, order_by=_FILE) == 0
        made = (
            whole.with_columns(first.alias(_FILE))
            if not others
            else whole.select(*same, first.alias(_FILE))
        )
        return made.filter(~pl.col(_FILE)).select(others), others

    def comes_once(self, name: str) -> bool:
        """Return whether most values of a column are of one row of their file."""
        once = self.cells.select(pl.struct(_FILE, name).is_unique())
        return 2 * int(once.sum().item()) > self.cells.height

    def counts(self, name: str, within: str) -> bool:
        """Return whether a column numbers the rows that have the same in another, from 0 or 1."""
        number = pl.col(name).cast(pl.Int64, strict=False)
        one = self.cells.select(_FILE, within, number).group_by(_FILE, within)
        first, last, many = (
            one.agg(number.min().alias("first"), number.max().alias("last"), pl.len())
            .drop(_FILE, within)
            .get_columns()
        )
        numbered = (first.is_in([0, 1]) & (last - first + 1 == many)).fill_null(value=False)
        return bool(numbered.all() and (many > 1).any())

    def told(self, names: Sequence[str]) -> str:
        """Return that a key is one, and what of it comes again in another file."""
        height = self.cells.height
        again, others = self._again(names)
        if self.cells[_FILE].n_unique() == 1 or again.is_empty():
            return f"no two of {height:,} rows have the same"
        equal = int(again.select(pl.all_horizontal(*others).sum()).item()) if others else 0
        came = again.height
        return (
            f"no two rows of a file have the same; of {came:,} that come again in another file "
            f"{equal:,} are equal and {came - equal:,} have other values, which are updates"
        )


def key_of(fields: Sequence[dict[str, Any]], rows: Rows) -> tuple[tuple[str, ...], str]:
    """Return the columns that rows are known by, and how that is known.

    A key is an id by its name or its values, alone or, if more than one row has it, with what tells
    these rows apart: the number of a line, or, in many rows, a date or a word. All else that
    differs may do so by chance, as a counter that begins anew in each file does: it is told, and is
    no key.
    """
    height, columns = rows.cells.height, rows.columns
    if height < 2:
        return (), "of one row no key is known: rows without a key"
    ids = [its["name"] for its in fields if _is_id(its, columns[its["name"]])]
    ids.sort(key=lambda name: not _NAMES_A_KEY.search(columns[name].title))
    single = [
        name
        for name in ids
        if columns[name].filled.len() >= _FILLED * height
        and not _is_counter(columns[name])
        and rows.differ([name])
    ]
    for name in single[:1]:
        lack = height - columns[name].filled.len()
        also = f"; so differs {' and '.join(single[1:])}" if single[1:] else ""
        lacking = f"; rows without one are rejected: {lack:,}" if lack else ""
        return (name,), f"{rows.told([name])}{also}{lacking}{_check(height)}"
    whole = [its for its in fields if its.get("constraints")]
    alone = [its for its in whole if rows.differ([its["name"]])]
    fit = [its["name"] for its in whole if its not in alone and _may_be_key(its, columns)]
    fit.sort(key=lambda name: name not in ids)
    moments = {its["name"] for its in fields if its.get("type") in {"date", "datetime"}}
    once = {name for name in fit if name not in moments and rows.comes_once(name)}
    for pair in combinations(fit[:_KEY_COLUMNS], 2):
        both = [(one, other) for one, other in (pair, pair[::-1]) if one not in ids]
        sure = height >= _MANY or any(rows.counts(*its) for its in both)
        if (
            pair[0] in ids
            and sure
            and rows.differ(pair)
            and not any(_is_by_chance(*its, once, rows) for its in both)
        ):
            return pair, f"{rows.told(pair)}{_check(height)}"
    return (), f"rows without a key: {_chance(whole, alone, rows)}"


def _check(height: int) -> str:
    """Return that few rows show a key, if they are few."""
    few = f"\ncheck: only {height:,} rows show it, which may be chance"
    return few if height < _MANY else ""


def _is_counter(column: ColumnOfFiles) -> bool:
    """Return whether a column numbers the rows of each file; one named after a thing does not."""
    if _NAMES_A_KEY.search(column.title) and not _MAY_COUNT.fullmatch(column.title):
        return False
    numbers = [part.cast(pl.Int64, strict=False) for part in column.parts]
    return all(
        one.len() > 0
        and one.null_count() == 0
        and one[0] in {0, 1}
        and bool((one.diff().drop_nulls() == 1).all())
        for one in numbers
    )


def _is_id(its: dict[str, Any], column: ColumnOfFiles) -> bool:
    """Return whether a column says which thing is meant, by its values or by its name."""
    if its.get("type") in _NO_KEY_OF | {"date", "datetime"} or its.get("format") == "email":
        return False
    if _NAMES_ANOTHER.search(column.title):
        return False
    marked = its.get("format") == "uuid" or "identifier" in its.get("csv_pipeline", {})
    return bool(_NAMES_A_KEY.search(column.title)) or (marked and not _is_epoch(column))


def _may_be_key(its: dict[str, Any], columns: Mapping[str, ColumnOfFiles]) -> bool:
    return its.get("type") not in _NO_KEY_OF and not _is_epoch(columns[its["name"]])


def _is_by_chance(one: str, other: str, once: Collection[str], rows: Rows) -> bool:
    """Return whether a column is an amount, or what differs where a value of `once` comes again.

    It is not if it numbers the rows that have the same in the other.
    """
    return not rows.counts(one, other) and (other in once or _is_amount(rows.columns[one]))


def _is_amount(column: ColumnOfFiles) -> bool:
    """Return whether most values are bare numbers, with or without a sign of a currency."""
    years = column.filled.str.contains(_YEAR)
    amounts = column.filled.str.contains(_AMOUNT)
    return not years.all() and 2 * int(amounts.sum()) > amounts.len()


def _is_epoch(column: ColumnOfFiles) -> bool:
    return bool(column.filled.str.contains(_EPOCH).all())


def _chance(whole: Sequence[dict[str, Any]], alone: Sequence[dict[str, Any]], rows: Rows) -> str:
    """Return which columns that are no ids differ in all rows."""
    several = [[its["name"]] for its in alone]
    several += map(list, combinations([its["name"] for its in whole][:_KEY_COLUMNS], 2))
    names = next((names for names in several if rows.differ(names)), None)
    if names is None:
        return "no column or pair that has a value in each row differs in all"
    how = " and ".join(its["name"] for its in alone) + " alone" if alone else ""
    how = how or f"{' and '.join(names)} together"
    told = f"{how} differ in all {rows.cells.height:,} rows, by chance: check"
    if any(_is_amount(rows.columns[name]) for name in names):
        return told
    return f"{told}\nif rows are known by it: primaryKey: [{', '.join(names)}]"
