"""The limit to compare with: COPY into a text table and MERGE, without looking at one value."""

import time
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.orders import COLUMNS, ORDERS

_CASTS = {
    "quantity": "bigint",
    "sold_for": "numeric(18,2)",
    "total_price": "numeric(18,2)",
    "sold_on": "date",
    "paid_on": "date",
}


def make_table(connection: psycopg.Connection[Any]) -> None:
    """Make the limit's table of the feed's columns, empty."""
    columns = ", ".join(f"{name} {_CASTS.get(name, 'text')}" for name in COLUMNS)
    connection.execute("DROP TABLE IF EXISTS plain_orders")
    connection.execute(
        f"CREATE TABLE plain_orders (account text, {columns}, "
        f"PRIMARY KEY (account, {', '.join(ORDERS.key)}))"
    )


def copy_and_merge(url: str, file: str) -> dict[str, Any]:
    """Merge the file into the table and return the seconds it took, and the rows it wrote."""
    texts = ", ".join(f"{name} text" for name in COLUMNS)
    names = ", ".join(COLUMNS)
    values = ", ".join(
        f"s.{name}::{_CASTS[name]}" if name in _CASTS else f"s.{name}" for name in COLUMNS
    )
    stored = ", ".join(f"t.{name}" for name in COLUMNS)
    same = " AND ".join(f"t.{name} = s.{name}" for name in ORDERS.key)
    sets = ", ".join(
        f"{name} = s.{name}::{_CASTS.get(name, 'text')}"
        for name in COLUMNS
        if name not in ORDERS.key
    )
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        began = time.monotonic()
        cursor.execute(f"CREATE TEMP TABLE plain_staging ({texts}) ON COMMIT DROP")
        to_staging = "COPY plain_staging FROM STDIN (FORMAT csv, HEADER)"
        with Path(file).open("rb") as source, cursor.copy(to_staging) as copy:
            while chunk := source.read(1024**2):
                copy.write(chunk)
        cursor.execute(
            f"MERGE INTO plain_orders t USING plain_staging s ON t.account = 'bench' AND {same} "
            f"WHEN MATCHED AND ({stored}) IS DISTINCT FROM ({values}) THEN UPDATE SET {sets} "
            f"WHEN NOT MATCHED THEN INSERT (account, {names}) VALUES ('bench', {values})"
        )
        written = cursor.rowcount
        connection.commit()
        return {"seconds": time.monotonic() - began, "written": written}
