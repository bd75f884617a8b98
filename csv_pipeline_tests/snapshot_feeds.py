"""Feeds whose files are snapshots."""

from typing import Any

import polars as pl

from csv_pipeline.spec.conflict import KeepStored
from csv_pipeline.spec.contract import Contract, Money, column
from csv_pipeline.spec.duplicates import FirstInFile
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.file_name import FileName
from csv_pipeline.spec.snapshot import Missing, Snapshot

HEADER_OF_STOCK = "SKU,Warehouse,Units\n"


class Stock(Contract):
    """How many units of an article a warehouse has."""

    sku: str = column("SKU")
    warehouse: str = column("Warehouse")
    units: int = column("Units", nullable=True, ge=0)
    place: str = column("Place", nullable=True)


class Level(Contract):
    """A value of a key."""

    key: str = column("Key")
    value: str = column("Value", nullable=True)
    version: int = column("Version", nullable=True)


class DayPrice(Contract):
    """A price of a day, which only the name of its file tells."""

    sku: str = column("SKU")
    price: Money = column("Price")
    day: pl.Date = column(derived=True)


class Article(Contract):
    """An article, known by its maker and number."""

    maker: str = column("Maker")
    number: int = column("Number", nullable=True)
    size: int = column("Size", nullable=True)
    article: str = column(derived=True)


def with_article(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Make the key of what the row has."""
    number = pl.col("number").cast(pl.String).fill_null("")
    return rows.with_columns(article=pl.concat_str("maker", number))


class Member(Contract):
    """A member whose name nobody is to see."""

    name: str = column("Name", protected=True)
    born_on: pl.Date = column("Born")


def stock(name: str, **policies: Any) -> Feed:
    """Return a feed of stock lists, which are snapshots."""
    key = {"key": ("sku",)} | policies
    return Feed(name=name, description="Stock lists.", contract=Stock, **key)


FLAGGING = Snapshot(missing=Missing.FLAG, max_missing_share=None)
DELETING = Snapshot(missing=Missing.DELETE, max_missing_share=None)

SNAPSHOT_FEEDS = (
    Feed(
        name="versions_flagged",
        description="Values.",
        contract=Level,
        key=("key",),
        duplicates=FirstInFile(),
        snapshot=FLAGGING,
    ),
    Feed(
        name="versions_deleted",
        description="Values.",
        contract=Level,
        key=("key",),
        snapshot=DELETING,
    ),
    stock("stock_listed", snapshot=Snapshot()),
    stock("stock_flagged", snapshot=FLAGGING),
    stock("stock_deleted", snapshot=DELETING),
    Feed(
        name="days_deleted",
        description="All prices of a day.",
        contract=DayPrice,
        key=("sku", "day"),
        file_name=FileName(pattern=r"day_(?P<day>[\d-]+)\.csv", shown="day_<YYYY-MM-DD>.csv"),
        snapshot=Snapshot(scope=("day",), missing=Missing.DELETE, max_missing_share=None),
    ),
    Feed(
        name="articles_deleted",
        description="Articles whose key is made of cells.",
        contract=Article,
        key=("article",),
        transforms=(with_article,),
        snapshot=DELETING,
    ),
    Feed(
        name="people_bounded",
        description="People with protected names, of whom few may be missing.",
        contract=Member,
        key=("name", "born_on"),
        snapshot=Snapshot(missing=Missing.DELETE, max_missing_rows=2),
    ),
    stock(
        "warehouse_flagged",
        snapshot=Snapshot(scope=("warehouse",), missing=Missing.FLAG, max_missing_share=None),
    ),
    stock(
        "warehouse_deleted",
        snapshot=Snapshot(scope=("warehouse",), missing=Missing.DELETE, max_missing_share=None),
    ),
    stock("stock_kept", conflict=KeepStored(), snapshot=FLAGGING),
    stock(
        "stock_bounded",
        snapshot=Snapshot(missing=Missing.DELETE, max_missing_rows=30, max_missing_share=0.2),
    ),
    stock("stock_keyless", key=(), snapshot=DELETING),
)
