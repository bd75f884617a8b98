"""What a user may pick instead: dlt's `merge` with the strategy `upsert`.

Chosen for speed: Arrow tables of 100,000 rows, which dlt hands on without looking at each row; CSV
as the format in which it loads them, which PostgreSQL takes by COPY (the default is INSERT with
values); rows that do not change are skipped in the MERGE. Workers are the default. The types are
those of the other tables, made by Polars on the way; nothing is checked.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import dlt
import polars as pl
from psycopg.conninfo import conninfo_to_dict

from benchmarks.orders import COLUMNS, ORDERS

_ROWS = 100_000
_DATE = "%b-%d-%y"


def upsert(url: str, file: str) -> dict[str, Any]:
    """Load the file and return the seconds it took."""
    orders = dlt.resource(
        _tables(file),
        name="orders",
        primary_key=("account", *ORDERS.key),
        write_disposition={
            "disposition": "merge",
            "strategy": "upsert",
            "skip_unchanged_rows": True,
        },
    )
    with _alone() as folder:
        pipeline = dlt.pipeline(
            "bench",
            pipelines_dir=folder,
            destination=dlt.destinations.postgres(_with_host(url)),
            dataset_name="dlt_bench",
        )
        began = time.monotonic()
        pipeline.run(orders, loader_file_format="csv").raise_on_failed_jobs()
        return {"seconds": time.monotonic() - began}


@contextmanager
def _alone() -> Iterator[str]:
    """Give a folder of its own to dlt, and keep it from reporting home."""
    with tempfile.TemporaryDirectory(prefix="csv-pipeline-dlt-") as folder:
        os.environ["DLT_DATA_DIR"] = folder
        os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
        os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"
        yield folder


def _with_host(url: str) -> str:
    """Return the server's address with the folder of its socket where dlt looks for a host."""
    told = conninfo_to_dict(url)
    user, host = quote(str(told["user"])), quote(str(told["host"]), safe="")
    return f"postgresql://{user}:none@{host}:{told.get('port', 5432)}/{told['dbname']}"


def _tables(file: str) -> Iterator[Any]:
    """Give the file's rows as Arrow tables of the types of the other contestants."""
    text = pl.scan_csv(file, infer_schema=False, new_columns=list(COLUMNS))
    typed = text.with_columns(
        pl.lit("bench").alias("account"),
        pl.col("quantity").cast(pl.Int64),
        pl.col("sold_for", "total_price").cast(pl.Decimal(18, 2)),
        pl.col("sold_on", "paid_on").str.to_date(_DATE),
    )
    for batch in typed.collect_batches(chunk_size=_ROWS, maintain_order=True):
        yield batch.to_arrow()
