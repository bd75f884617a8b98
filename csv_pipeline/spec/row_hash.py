"""Reduce a row to numbers by which it is known again, the same with every version and machine.

Two uses. The *hash* of a stored row, two 64-bit integers, tells before anything is sent whether a
row that comes again is the same to the last value. The *content* of a row without a key, a UUID, is
its identity. Both sum up a hash of each value, times a number that belongs to the column's name, so
that the order of columns does not matter and a null adds nothing.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import polars as pl
import polars_hash as plh

from csv_pipeline.spec.contract import Column
from csv_pipeline.spec.kinds import is_number
from csv_pipeline.spec.names import EXTRA

HASH = ("_hash_1", "_hash_2")
"""The columns of a row's hash; null where the stored row is not as a file brought it."""

CONTENT, OCCURRENCE = "_content", "_occurrence"
"""The key of rows without one: what they hold, and which of the rows that hold it this is."""

_OFFSET = 0x9E3779B97F4A7C15  # so that the number 0 is not as good as none


@dataclass(frozen=True, slots=True)
class KnownBy:
    """How rows are reduced: each value to 64 bits, and these to what the row is known by."""

    values: tuple[pl.Expr, ...]
    sums: tuple[pl.Expr, ...]

    def of(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return `HASH`, and `CONTENT` if rows have no key, of rows that have `EXTRA` besides.

        Asked in one query, every sum would hash all values anew.
        """
        return rows.select(self.values).select(self.sums)


def known_by(
    columns: Iterable[Column],
    *,
    keyed: bool,
    extras: Sequence[str] = (),
    counted: Sequence[str] = (),
) -> KnownBy:
    """Return how rows of a file that has these columns are known again.

    `extras` are those that the feed does not know: a file in which one is blank and a file that
    lacks it bring other rows. The content is that of the `counted` columns, or else of all.
    """
    some = list(columns)
    values = {EXTRA: _hashed(EXTRA, pl.String())} | {c.name: _hashed(c.name, c.dtype) for c in some}
    content = (
        () if keyed else (_content([c.name for c in some if c.name in counted or not counted]),)
    )
    return KnownBy(
        tuple(value.alias(name) for name, value in values.items()),
        (*_row_hash(list(values), extras), *content),
    )


def _row_hash(names: Sequence[str], extras: Sequence[str]) -> list[pl.Expr]:
    """Return the two numbers of a row.

    Rows of files with other columns differ even where their values agree.
    """
    shape = ",".join(sorted(names)) + (json.dumps(sorted(extras)) if extras else "")
    return [
        _sum(names, f"{name}:", start=_number(f"{name}:{shape}"))
        .reinterpret(signed=True)
        .alias(name)
        for name in HASH
    ]


def _content(names: Sequence[str]) -> pl.Expr:
    """Return the identity of a row by its values, 32 hexadecimal digits.

    A column that the file lacks counts like one of nulls, and `EXTRA` not at all: a file that gains
    a column brings the same rows again.
    """
    sums = [_sum(names, f"{number}:").cast(pl.String) for number in (1, 2)]
    return _text(pl.concat_str(sums, separator=" ")).nchash.md5().alias(CONTENT)


def _sum(names: Iterable[str], salt: str, start: int = 0) -> pl.Expr:
    """Return the sum of hashed values, each times its column's number."""
    factors = {name: pl.lit(_number(salt + name) | 1, pl.UInt64) for name in names}
    products = (pl.col(name) * factor for name, factor in factors.items())
    return pl.sum_horizontal(pl.lit(start, pl.UInt64), *products)


def _hashed(name: str, dtype: pl.DataType) -> pl.Expr:
    """Return a value as 64 bits; 0 if there is none."""
    if not is_number(dtype):
        return _text(pl.col(name).cast(pl.String)).nchash.xxh3_64().fill_null(0)
    number = pl.col(name).to_physical().cast(pl.Int64)
    return (number.reinterpret(signed=False) + pl.lit(_OFFSET, pl.UInt64)).fill_null(0)


def _text(text: pl.Expr) -> plh.HExpr:
    """Return an expression that has the methods of polars-hash, of which type checkers know."""
    return cast("plh.HExpr", text)


def _number(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest())
