"""Carry frames to the server as the text of COPY, and bring the hashes of stored rows back."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import polars as pl
import psycopg
import sqlalchemy as sa

from csv_pipeline.storage.row_hash import HASH

_PARTS = 64


def copy(
    connection: sa.Connection, table: str, names: list[str], frames: Iterator[pl.DataFrame]
) -> int:
    """Copy frames into a table and return how many rows the server took.

    One frame is written as text in a thread while the one before travels.
    """
    columns = ", ".join(f'"{name}"' for name in names)
    with ThreadPoolExecutor(1) as ahead, _driver(connection).cursor() as cursor:
        with cursor.copy(f"COPY {table} ({columns}) FROM STDIN (FORMAT csv)") as copying:
            pending = ahead.submit(_next_text, frames)
            while (data := pending.result()) is not None:
                pending = ahead.submit(_next_text, frames)
                copying.write(data)
        return cursor.rowcount


class StoredHashes:
    """The hashes of an account's stored rows, sorted, 16 bytes a row."""

    def __init__(self, connection: sa.Connection, target: sa.Table, account: str) -> None:
        # The server packs them into a few long values: a message a row would take longer. The
        # driver is asked itself, because through SQLAlchemy bytes travel as text of twice the size.
        first, second = HASH
        query = (
            f"SELECT string_agg(int8send({first}) || int8send({second}), ''::bytea) "  # noqa: S608
            f'FROM {target.schema}."{target.name}" '
            f"WHERE account = %s AND {first} IS NOT NULL "
            f"GROUP BY get_byte(int8send({first}), 7) %% {_PARTS}"
        )
        found = [pl.Series(first, dtype=pl.Int64)], [pl.Series(second, dtype=pl.Int64)]
        with _driver(connection).cursor("hashes", binary=True) as cursor:
            cursor.itersize = 1
            cursor.execute(query.encode(), (account,))
            for (packed,) in cursor:
                numbers = _unpacked(packed)
                for place, series in enumerate(found):
                    series.append(numbers.gather_every(2, place))
        pairs = pl.DataFrame([pl.concat(series) for series in found]).sort(HASH)
        self._first, self._second = pairs[HASH[0]].rechunk(), pairs[HASH[1]].rechunk()

    def hold(self, rows: pl.DataFrame) -> pl.Series:
        """Return a mask of the rows that are stored, to the last value."""
        if self._first.is_empty():
            return pl.Series([False]).new_from_index(0, rows.height)
        # In order, because a search that jumps about waits for memory at every step.
        asked = rows.select(HASH).with_row_index().sort(HASH[0])
        place = self._first.search_sorted(asked[HASH[0]], side="left")
        place = place.clip(upper_bound=self._first.len() - 1)
        held = (self._first.gather(place) == asked[HASH[0]]) & (
            self._second.gather(place) == asked[HASH[1]]
        )
        return held.gather(asked["index"].arg_sort())


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
    frame.write_csv(out, include_header=False)
    return out.getvalue()
