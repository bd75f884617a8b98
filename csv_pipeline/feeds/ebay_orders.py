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
    file_checks=(footer_agrees,),
    nulls=frozenset({"--"}),
    views={
        "ebay_order_totals": """
            SELECT
                account,
                order_key,
                max(order_id) AS order_id,
                max(sales_record_number) AS sales_record_number,
                max(currency) AS currency,
                max(sold_on) AS sold_on,
                max(paid_on) AS paid_on,
                coalesce(bool_or(order_id IS NULL AND paid_on IS NULL), false) AS is_unpaid,
                -- A seller's own list tells of the same order: its rows count where no report does.
                greatest(1, coalesce(
                    nullif(count(*) FILTER (
                        WHERE line_kind <> 'summary' AND layout = 'seller_hub'
                    ), 0),
                    count(*) FILTER (WHERE line_kind <> 'summary')
                )) AS items,
                coalesce(
                    sum(coalesce(quantity, 1) * sold_for) FILTER (
                        WHERE line_kind <> 'summary' AND layout = 'seller_hub'
                    ),
                    max(sold_for) FILTER (WHERE line_kind = 'summary'),
                    max(total_price)
                ) AS revenue,
                max(shipping_and_handling) FILTER (WHERE line_kind <> 'item') AS shipping,
                coalesce(
                    max(total_price) FILTER (WHERE line_kind <> 'item' AND layout = 'seller_hub'),
                    max(total_price) FILTER (WHERE line_kind <> 'item')
                ) AS total
            FROM data.ebay_orders AS line
            WHERE NOT (
                order_id IS NULL AND EXISTS (
                    SELECT FROM data.ebay_orders AS paid
                    WHERE paid.account = line.account
                        AND paid.order_id IS NOT NULL
                        AND paid.item_number = line.item_number
                        AND paid.transaction_id = line.transaction_id
                        -- Sales that are paid for together get another record number.
                        AND (
                            paid.sales_record_number = line.sales_record_number
                            OR paid.transaction_id <> ''
                        )
                )
            )
            GROUP BY account, order_key
        """
    },
    max_rejected_share=0.5,
    group="ebay",
)
