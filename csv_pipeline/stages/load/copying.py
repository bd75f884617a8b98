"""Carry frames to the server as the text of COPY, and bring the hashes of stored rows back."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import polars as pl
import psycopg
import sqlalchemy as sa

from csv_pipeline.spec.row_hash import HASH, OCCURRENCE

_SEPARATOR, _QUOTE = "\x1f", "\x1e"
"""Signs that values hardly ever have: no quote in JSON is to be doubled, no comma to be quoted."""
_PARTS = 64
_FIRST_OF_PARTS = pl.Series([part * (2**64 // _PARTS) - 2**63 for part in range(_PARTS)])


def copy(
    connection: sa.Connection, table: str, names: list[str], frames: Iterator[pl.DataFrame]
) -> int:
    """Copy frames into a table and return how many rows the server took.

    One frame is written as text in a thread while the one before travels.
    """
    columns = ", ".join(f'"{name}"' for name in names)
    with ThreadPoolExecutor(1) as ahead, _driver(connection).cursor() as cursor:
        how = f"(FORMAT csv, DELIMITER '{_SEPARATOR}', QUOTE '{_QUOTE}')"
        with cursor.copy(f"COPY {table} ({columns}) FROM STDIN {how}") as copying:
            pending = ahead.submit(_next_text, frames)
            while (data := pending.result()) is not None:
                pending = ahead.submit(_next_text, frames)
                copying.write(data)
        return cursor.rowcount


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


def _next_text(frames: Iterator[pl.DataFrame]) -> bytes | None:
    frame = next(frames, None)
    if frame is None:
        return None
    out = BytesIO()
    frame.write_csv(out, include_header=False, separator=_SEPARATOR, quote_char=_QUOTE)
    return out.getvalue()
