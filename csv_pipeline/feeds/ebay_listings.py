"""eBay listings: the Seller Hub report of all active listings.

A listing without variations is one *single* row. One with variations is a *parent* row, whose
variation details list all values (`Color=Red;Blue`), and a *variation* row for each of them
(`Color=Red`). The parent's quantity is that of its variations together: whoever adds up all rows
counts them twice, and `line_kind` tells them apart.

By its details alone a parent of one value cannot be told from its variation, nor a variation whose
value has a semicolon from a parent. The evidence of an import says whether there are any.

What a category asks for besides comes in columns `CD:…` and `CDA:…`, which are kept in `_extra`.
"""

import polars as pl

from csv_pipeline.feeds.ebay_stock import LISTING_STOCK
from csv_pipeline.model import Evidence
from csv_pipeline.spec.contract import Contract, Money, Timestamp, column, optional
from csv_pipeline.spec.feed import Feed, Layout, WholeFile
from csv_pipeline.spec.kinds import Kind

_LOCAL = "as it is in the file, where that states no time zone"
_MOST_NAMED = 5


class EbayListing(Contract):
    """One active listing, or one of its variations."""

    item_number: str = column("Item number", "Item ID", description="eBay's number of the listing")
    variation_details: str = column(
        "Variation details",
        substitute="",
        description="what tells the variation from others; of a parent, all their values",
    )
    sku: str = column(
        "Custom label (SKU)",
        "Custom label",
        substitute="",
        description="the seller's own number of the product",
    )
    line_kind: str = column(
        derived=True,
        isin=["single", "parent", "variation"],
        description="single: a listing without variations; parent: of several variations together; "
        "variation: one of these",
    )
    title: str = optional("Title", "Item title")
    available_quantity: int = optional(
        "Available quantity", ge=0, description="pieces left; of a parent, of all its variations"
    )
    format: str = optional("Format", description="fixed price or auction")
    currency: str = optional("Currency", kind=Kind.CURRENCY, description="of all prices of the row")
    start_price: Money = optional("Start price", ge=0)
    auction_buy_it_now_price: Money = optional("Auction Buy It Now price", ge=0)
    reserve_price: Money = optional("Reserve price", ge=0)
    current_price: Money = optional("Current price", ge=0)
    sold_quantity: int = optional("Sold quantity", ge=0, description="pieces sold so far")
    watchers: int = optional("Watchers", ge=0)
    bids: int = optional("Bids", ge=0)
    started_at: Timestamp = optional("Start date", past=True)
    started_at_local: str = optional(local_of="started_at", description=_LOCAL)
    ends_at: Timestamp = optional("End date", description="empty: until it is ended")
    ends_at_local: str = optional(local_of="ends_at", description=_LOCAL)
    category_1_name: str = optional("eBay category 1 name")
    category_1_number: str = optional("eBay category 1 number", identifier=True)
    category_2_name: str = optional("eBay category 2 name")
    category_2_number: str = optional("eBay category 2 number", identifier=True)
    condition: str = optional("Condition")
    ebay_product_id: str = optional("eBay Product ID(ePID)", identifier=True)
    listing_site: str = optional("Listing site")
    upc: str = optional("P:UPC", "UPC", identifier=True)
    ean: str = optional("P:EAN", "EAN", identifier=True)
    isbn: str = optional("P:ISBN", "ISBN", identifier=True)


def line_kind(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Tell parents and variations from listings that have none, by their details."""
    details = pl.col("variation_details")
    return rows.with_columns(
        line_kind=pl.when(details == "")
        .then(pl.lit("single"))
        .when(details.str.contains(";", literal=True))
        .then(pl.lit("parent"))
        .otherwise(pl.lit("variation"))
    )


def variations_are_told(file: WholeFile) -> Evidence | None:
    """Say whether each listing with variations has one parent at most, and each of them once.

    A listing of which that is not so has a row whose `line_kind` may be wrong.
    """
    listings = (
        file.rows.filter(pl.col("variation_details") != "")
        .group_by("item_number")
        .agg(
            doubtful=pl.col("variation_details").is_duplicated().any()
            | ((pl.col("line_kind") == "parent").sum() > 1)
        )
    )
    count, doubtful, named = (
        listings.select(
            pl.len(),
            pl.col("doubtful").sum().alias("some"),
            pl.col("item_number")
            .filter("doubtful")
            .sort()
            .head(_MOST_NAMED)
            .alias("named")
            .implode(),
        )
        .collect()
        .row(0)
    )
    if not count:
        return None
    return Evidence(
        subject="parents and variations",
        decision="told apart",
        because=f"{doubtful:,} of {count:,} listings have a variation twice or several parents: "
        f"{', '.join(map(str, named))}"
        if doubtful
        else f"each of {count:,} listings has one parent at most, and each variation once",
        proven=not doubtful,
    )


EBAY_LISTINGS = Feed(
    name="ebay_listings",
    description="What an eBay seller offers at present: one row a listing, and one a variation.",
    contract=EbayListing,
    key=("item_number", "variation_details", "sku"),
    layouts=(
        Layout(
            name="active listings",
            required=frozenset({"item_number", "title", "available_quantity"}),
        ),
    ),
    transforms=(line_kind,),
    file_checks=(variations_are_told,),
    extras=(r"CDA?:",),
    nulls=frozenset({"--"}),
    derived=(LISTING_STOCK,),
    max_rejected_share=0.5,
    group="ebay",
)
