"""The limit to compare with: COPY into a text table and MERGE, without looking at one value."""

import time
from pathlib import Path

import psycopg

_COLUMNS = (
    "sales_record_number", "order_id", "buyer_username", "buyer_name", "buyer_email",
    "ship_to_city", "ship_to_zip", "item_number", "item_title", "quantity", "sold_for",
    "total_price", "sold_on", "paid_on", "tracking_number", "transaction_id",
)  # fmt: skip
_CASTS = {
    "quantity": "bigint",
    "sold_for": "numeric(18,2)",
    "total_price": "numeric(18,2)",
    "sold_on": "date",
    "paid_on": "date",
}
_KEY = ("order_id", "item_number", "transaction_id")


def copy_and_merge(url: str, file: Path) -> float:
    """Load the file into an empty table of its 16 columns and return the seconds it took."""
    columns = ", ".join(f"{name} {_CASTS.get(name, 'text')}" for name in _COLUMNS)
    texts = ", ".join(f"{name} text" for name in _COLUMNS)
    names = ", ".join(_COLUMNS)
    values = ", ".join(
        f"s.{name}::{_CASTS[name]}" if name in _CASTS else f"s.{name}" for name in _COLUMNS
    )
    same = " AND ".join(f"t.{name} = s.{name}" for name in _KEY)
    differ = ", ".join(f"t.{name}" for name in _COLUMNS), values
    sets = ", ".join(
        f"{name} = s.{name}::{_CASTS.get(name, 'text')}" for name in _COLUMNS if name not in _KEY
    )
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS plain_orders")
        cursor.execute(
            f"CREATE TABLE plain_orders (account text, {columns}, "
            f"PRIMARY KEY (account, {', '.join(_KEY)}))"
        )
        connection.commit()
        connection.autocommit = True
        cursor.execute("CHECKPOINT")
        connection.autocommit = False
        began = time.monotonic()
        cursor.execute(f"CREATE TEMP TABLE plain_staging ({texts}) ON COMMIT DROP")
        to_staging = "COPY plain_staging FROM STDIN (FORMAT csv, HEADER)"
        with file.open("rb") as source, cursor.copy(to_staging) as copy:
            while chunk := source.read(1024**2):
                copy.write(chunk)
        cursor.execute(
            f"MERGE INTO plain_orders t USING plain_staging s ON t.account = 'bench' AND {same} "
            f"WHEN MATCHED AND ({differ[0]}) IS DISTINCT FROM ({differ[1]}) THEN UPDATE SET {sets} "
            f"WHEN NOT MATCHED THEN INSERT (account, {names}) VALUES ('bench', {values})"
        )
        connection.commit()
        return time.monotonic() - began
