"""Reduce a row to numbers by which it is known again, the same with every version and machine.

Two uses. The *hash* of a stored row, two 64-bit integers, tells before anything is sent whether a
row that comes again is the same to the last value. The *content* of a row without a key, a UUID, is
its identity. Both sum up a hash of each value, times a number that belongs to the column's name, so
that the order of columns does not matter and a null adds nothing.
"""

import hashlib
from collections.abc import Iterable
from typing import cast

import polars as pl
import polars_hash as plh

from csv_pipeline.contract import Column
from csv_pipeline.storage.work import EXTRA

HASH = ("_hash_1", "_hash_2")
"""The columns of a row's hash; null where the stored row is not as a file brought it."""

CONTENT, OCCURRENCE = "_content", "_occurrence"
"""The key of rows without one: what they hold, and which of the rows that hold it this is."""

_LARGEST_EXACT = 18  # digits that fit into 64 bits
_OFFSET = 0x9E3779B97F4A7C15  # so that the number 0 is not as good as none


def row_hash(columns: Iterable[Column]) -> list[pl.Expr]:
    """Return the two numbers of a row that has these columns and `EXTRA`.

    Rows of files with other columns differ even where their values agree.
    """
    some = list(columns)
    values = {column.name: _hashed(column.name, column.dtype) for column in some}
    values[EXTRA] = _hashed(EXTRA, pl.String())
    shape = ",".join(sorted(values))
    return [
        _sum(values, f"{name}:", start=_number(f"{name}:{shape}"))
        .reinterpret(signed=True)
        .alias(name)
        for name in HASH
    ]


def row_content(columns: Iterable[Column]) -> pl.Expr:
    """Return the identity of a row by its values, 32 hexadecimal digits.

    A column that the file lacks counts like one of nulls, and `EXTRA` not at all: a file that gains
    a column brings the same rows again.
    """
    values = {column.name: _hashed(column.name, column.dtype) for column in columns}
    sums = [_sum(values, f"{number}:").cast(pl.String) for number in (1, 2)]
    return _text(pl.concat_str(sums, separator=" ")).nchash.md5().alias(CONTENT)


def _sum(values: dict[str, pl.Expr], salt: str, start: int = 0) -> pl.Expr:
    total = pl.lit(start, pl.UInt64)
    for name, hashed in values.items():
        total += hashed * pl.lit(_number(salt + name) | 1, pl.UInt64)
    return total


def _hashed(name: str, dtype: pl.DataType) -> pl.Expr:
    """Return a value as 64 bits; 0 if there is none."""
    match dtype:
        case pl.Int64():
            number = pl.col(name)
        case pl.Date() | pl.Time():
            number = pl.col(name).to_physical().cast(pl.Int64)
        case pl.Decimal() as decimal if decimal.precision <= _LARGEST_EXACT:
            number = pl.col(name).to_physical().cast(pl.Int64)
        case _:
            hashed = _text(pl.col(name).cast(pl.String)).nchash.xxh3_64()
            return hashed.fill_null(0)
    return (number.reinterpret(signed=False) + pl.lit(_OFFSET, pl.UInt64)).fill_null(0)


def _text(text: pl.Expr) -> plh.HExpr:
    """Return an expression that has the methods of polars-hash, of which type checkers know."""
    return cast("plh.HExpr", text)


def _number(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest())
