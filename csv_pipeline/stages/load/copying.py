"""Carry frames to the server in the binary form of COPY, and bring hashes of stored rows back."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import nanoarrow as na
import polars as pl
import psycopg
import sqlalchemy as sa
from nanoarrow.ipc import InputStream
from pgpq import ArrowToPostgresBinaryEncoder
from pgpq.encoders import LargeStringEncoderBuilder
from pgpq.schema import Jsonb
from sqlalchemy.dialects import postgresql as pg

from csv_pipeline.spec.kinds import MOMENT
from csv_pipeline.spec.row_hash import HASH, OCCURRENCE

_PARTS = 64
_FIRST_OF_PARTS = pl.Series([part * (2**64 // _PARTS) - 2**63 for part in range(_PARTS)])


def copy(
    connection: sa.Connection, table: sa.Table, names: list[str], frames: Iterator[pl.DataFrame]
) -> int:
    """Copy frames into columns of a table and return how many rows the server took.

    One frame is encoded in a thread while the one before travels.

    Raises:
        polars.exceptions.PolarsError: A value is none of its column's type.
    """
    where = connection.dialect.identifier_preparer.format_table(table)
    columns = ", ".join(f'"{name}"' for name in names)
    rows = _BinaryRows(table, names)
    with ThreadPoolExecutor(1) as ahead, _driver(connection).cursor() as cursor:
        with cursor.copy(f"COPY {where} ({columns}) FROM STDIN (FORMAT binary)") as copying:
            pending = ahead.submit(rows.next_of, frames)
            while (data := pending.result()) is not None:
                pending = ahead.submit(rows.next_of, frames)
                copying.write(data)
            if end := rows.end():
                copying.write(end)
        return cursor.rowcount


class _BinaryRows:
    """Rows of some columns of a table as COPY takes them in its binary form.

    Of text the server would read every byte for delimiters, and then parse each value.
    """

    def __init__(self, table: sa.Table, names: list[str]) -> None:
        self._types = {name: table.c[name].type for name in names}
        self._values = [_VALUES[type(its)](pl.col(n), its) for n, its in self._types.items()]
        self._encoder: ArrowToPostgresBinaryEncoder | None = None

    def next_of(self, frames: Iterator[pl.DataFrame]) -> bytes | None:
        """Return the rows of the next frame, which has these columns; None if there is none."""
        frame = next(frames, None)
        if frame is None:
            return None
        written = BytesIO()  # strings in one piece each: nanoarrow cannot hand views on
        frame.select(self._values).write_ipc_stream(written, compat_level=pl.CompatLevel.oldest())
        written.seek(0)
        arrow = na.c_array_stream(InputStream.from_readable(written))
        start = b""
        if self._encoder is None:
            self._encoder = self._encoder_of(arrow.get_schema())
            start = self._encoder.write_header()
        return start + b"".join(self._encoder.write_batch(rows) for rows in arrow)

    def end(self) -> bytes:
        """Return what follows the last row; nothing if there was no frame."""
        return b"" if self._encoder is None else self._encoder.finish()

    def _encoder_of(self, schema: Any) -> ArrowToPostgresBinaryEncoder:
        builders: dict[str, Any] = {}
        for field, (name, its) in zip(schema.children, self._types.items(), strict=True):
            if isinstance(its, pg.JSONB):
                builders[name] = LargeStringEncoderBuilder.new_with_output(field, Jsonb())
            else:
                builders[name] = ArrowToPostgresBinaryEncoder.infer_encoder(field)
        return ArrowToPostgresBinaryEncoder.new_with_encoders(schema, builders)


_Value = Callable[[pl.Expr, Any], pl.Expr]

_VALUES: dict[type[sa.types.TypeEngine[Any]], _Value] = {
    sa.Text: lambda value, _: value.cast(pl.String),
    pg.JSONB: lambda value, _: value.cast(pl.String),
    sa.BigInteger: lambda value, _: value.cast(pl.Int64),
    sa.Numeric: lambda value, its: value.cast(pl.Decimal(its.precision, its.scale or 0)),
    sa.Boolean: lambda value, _: value.cast(pl.Boolean),
    sa.Date: lambda value, _: value.cast(pl.Date),
    sa.DateTime: lambda value, _: value.cast(MOMENT),
    sa.Time: lambda value, _: value.cast(pl.Time).cast(pl.Int64) // 1_000,  # as microseconds
    sa.Uuid: lambda value, _: value.str.replace_all("-", "", literal=True).str.decode("hex"),
}
"""What a value is encoded from, by the type of its column in the database."""


class StoredHashes:
    """The hashes of an account's stored rows, 16 bytes a row, in parts that are sorted each."""

    def __init__(self, connection: sa.Connection, target: sa.Table, account: str) -> None:
        # The server packs them into a few long values: a message a row would take longer. The
        # driver is asked itself, because through SQLAlchemy bytes travel as text of twice the size.
        first, second = HASH
        query = (
            f"SELECT get_byte(int8send({first}), 0) / {256 // _PARTS}, "  # noqa: S608
            f"string_agg(int8send({first}) || int8send({second}), ''::bytea) "
            f'FROM {target.schema}."{target.name}" '
            f"WHERE account = %s AND {first} IS NOT NULL "
            f"{f'AND {OCCURRENCE} = 1' if OCCURRENCE in target.c else ''} GROUP BY 1"
        )
        self._parts: dict[int, pl.DataFrame] = {}
        with _driver(connection).cursor("hashes", binary=True) as cursor:
            cursor.itersize = 1
            cursor.execute(query.encode(), (account,))
            for part, packed in cursor:
                numbers = _unpacked(packed)
                pairs = [
                    numbers.gather_every(2, position).alias(name)
                    for position, name in enumerate(HASH)
                ]
                # The highest bit is the sign: the upper half of the bytes comes first.
                self._parts[(part + _PARTS // 2) % _PARTS] = pl.DataFrame(pairs).sort(first)

    def hold(self, rows: pl.DataFrame) -> pl.Series:
        """Return a mask of the rows that are stored, to the last value."""
        # In order, because a search that jumps about waits for memory at every step.
        asked = rows.select(HASH).with_row_index().sort(HASH[0])
        ends = [*asked[HASH[0]].search_sorted(_FIRST_OF_PARTS[1:], side="left"), asked.height]
        held, start = [], 0
        for part, end in enumerate(ends):
            held.append(_held(asked[start:end], self._parts.get(part)))
            start = end
        return pl.concat(held).gather(asked["index"].arg_sort())


def _held(asked: pl.DataFrame, stored: pl.DataFrame | None) -> pl.Series:
    if stored is None or asked.is_empty():
        return pl.repeat(value=False, n=asked.height, dtype=pl.Boolean, eager=True)
    first, second = HASH
    position = stored[first].search_sorted(asked[first], side="left")
    found = stored[position.clip(upper_bound=stored.height - 1)]
    return (found[first] == asked[first]) & (found[second] == asked[second])


def _unpacked(packed: bytes) -> pl.Series:
    """Return the 64-bit integers, most significant byte first, that `packed` is made of."""
    whole = pl.Array(pl.Int64, len(packed) // 8)
    return pl.Series([packed]).bin.reinterpret(dtype=whole, endianness="big").explode()


def _driver(connection: sa.Connection) -> psycopg.Connection:
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)  # noqa: S101  # the engine is psycopg's
    return driver
