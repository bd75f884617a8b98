"""eBay orders: the Seller Hub orders report, and the list of orders that sellers keep themselves.

The report is read in the layouts of every age and language on record.
An order of several items is one *summary* row (address, shipping, tax and total; no item) and its
*item* rows; an order of one item is one *single* row. Whoever adds up all rows counts such orders
twice: `line_kind` tells them apart and the view `ebay_order_totals` adds up rightly.

The report has no account in its rows; the seller is named in its footer only.
"""

import polars as pl

from csv_pipeline.feeds.ebay_footers import FOOTERS, HUB, footer_agrees
from csv_pipeline.feeds.ebay_order_columns import EbayOrder
from csv_pipeline.feeds.ebay_sales import ORDER_TOTALS, SALES_BY_DAY
from csv_pipeline.feeds.ebay_sellers import seller
from csv_pipeline.feeds.postal_codes import LostZeros
from csv_pipeline.model import FileFacts
from csv_pipeline.spec.conflict import Greatest, Precedence
from csv_pipeline.spec.contract import columns_of
from csv_pipeline.spec.feed import Feed, Layout
from csv_pipeline.spec.kinds import Kind


def identity(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Identify an order by its number, or else, while it is unpaid, by its sales record."""
    return rows.with_columns(order_key=pl.coalesce("order_id", "sales_record_number"))


def line_kind(rows: pl.LazyFrame, facts: FileFacts) -> pl.LazyFrame:
    """Tell summary rows (no item) and their item rows (no total) from orders of one item.

    Where the report names no item at all, or no total, nothing tells them apart.
    """
    hub = facts.layout == HUB
    tells_items = pl.lit(hub and facts.any_value("item_number"))
    tells_totals = pl.lit(hub and facts.any_value("total_price"))
    has_item, has_total = pl.col("item_number") != "", pl.col("total_price").is_not_null()
    return rows.with_columns(
        layout=pl.lit(facts.layout),
        line_kind=pl.when(tells_items & ~has_item)
        .then(pl.lit("summary"))
        .when(tells_totals & ~has_total & pl.col("order_id").is_not_null())
        .then(pl.lit("item"))
        .otherwise(pl.lit("single")),
    )


_HUB_TELLS = Precedence("layout", ("simple", HUB))
_OF_THE_SALE = ("line_kind", "layout", "quantity", "currency", "sold_on", "sold_time")

EBAY_ORDERS = Feed(
    name="ebay_orders",
    description="Orders of an eBay seller: the Seller Hub orders report, or the seller's own list.",
    contract=EbayOrder,
    key=("order_key", "item_number", "transaction_id"),
    column_conflicts={
        # A list of the seller's own has the key of a summary row, and no lines to tell apart; and
        # what the report says of the sale stays, with its amounts and their currency together.
        **dict.fromkeys(_OF_THE_SALE, _HUB_TELLS),
        **{c.name: _HUB_TELLS for c in columns_of(EbayOrder) if c.kind is Kind.DECIMAL},
        # A report that comes late does not take back that an order was paid or shipped.
        "paid_on": Greatest(),
        "shipped_on": Greatest(),
    },
    layouts=(
        Layout(
            name=HUB,
            marks=frozenset({"sales_record_number", "sold_for"}),
            required=frozenset({"order_id", "sold_for"}),
        ),
        Layout(
            name="simple",
            required=frozenset({"order_id", "buyer_name", "total_price", "sold_on"}),
            filled=frozenset({"order_id", "buyer_name", "total_price", "sold_on"}),
        ),
    ),
    non_data=FOOTERS,
    transforms=(identity, line_kind),
    asks_filled=("item_number", "total_price"),
    file_checks=(
        seller,
        footer_agrees,
        LostZeros("buyer_zip", "buyer_country"),
        LostZeros("ship_to_zip", "ship_to_country"),
    ),
    nulls=frozenset({"--"}),
    views={"ebay_order_totals": ORDER_TOTALS},
    derived=(SALES_BY_DAY,),
    max_rejected_share=0.5,
    group="ebay",
)
