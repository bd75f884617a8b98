"""What eBay orders add up to: the totals of each order, and the sales of each day.

Both count an order once, whatever rows tell of it: a summary row and its item rows, the seller's
own list beside the report, the unpaid row beside the paid one. The paid one of an unpaid row is
looked for among all rows of the account: an index would cost a load more than that costs.
"""

from csv_pipeline.spec.derived import DerivedColumn, DerivedTable, LineChart

UNKNOWN = "unknown"


def _order_totals(lines: str, paid: str) -> str:
    """Return the SELECT of a row for each order of `lines`; an unpaid one may be in `paid` too."""
    return f"""
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
            sum(coalesce(quantity, 1)) FILTER (
                WHERE line_kind <> 'summary' AND layout = 'seller_hub'
            ),
            max(quantity) FILTER (WHERE line_kind = 'summary'),
            sum(coalesce(quantity, 1)) FILTER (WHERE line_kind <> 'summary'),
            1
        ) AS pieces,
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
    FROM (
        SELECT * FROM {lines} AS paid WHERE order_id IS NOT NULL
        UNION ALL
        SELECT * FROM {lines} AS unpaid
        WHERE order_id IS NULL
            -- Sales that are paid for together get another record number, not another transaction.
            AND NOT EXISTS (
                SELECT FROM {paid} AS paid
                WHERE paid.account = unpaid.account
                    AND paid.order_id IS NOT NULL
                    AND paid.item_number = unpaid.item_number
                    AND paid.transaction_id = unpaid.transaction_id
                    AND paid.transaction_id <> ''
            )
            -- The transaction may be known only when the sale is paid.
            AND NOT EXISTS (
                SELECT FROM {paid} AS paid
                WHERE paid.account = unpaid.account
                    AND paid.order_id IS NOT NULL
                    AND paid.item_number = unpaid.item_number
                    AND paid.sales_record_number = unpaid.sales_record_number
                    AND '' IN (paid.transaction_id, unpaid.transaction_id)
            )
    ) AS line
    GROUP BY account, order_key
    """  # noqa: S608  # names of tables


ORDER_TOTALS = _order_totals("data.ebay_orders", "data.ebay_orders")

_DAY = f"coalesce(to_char(sold_on, 'YYYY-MM-DD'), '{UNKNOWN}')"
_OF_THE_DAYS = """
    SELECT * FROM {ebay_orders} AS of_account
    WHERE order_key IN (
        SELECT on_day.order_key
        FROM {scope} AS scope JOIN {ebay_orders} AS on_day
            ON on_day.sold_on = nullif(scope.day, 'unknown')::date
        UNION
        SELECT order_key FROM {ebay_orders} AS without_day
        WHERE sold_on IS NULL AND EXISTS (SELECT FROM {scope} AS scope WHERE day = 'unknown')
    )
"""

SALES_BY_DAY = DerivedTable(
    name="sales_by_day",
    description="What was sold on each day, by currency: orders, items and revenue. Each order "
    "counts once, on the day of its sale, paid or not.",
    columns=(
        DerivedColumn(
            name="day", type="text",
            description="the day of the sale as YYYY-MM-DD; unknown, if no row of the order has it",
        ),
        DerivedColumn(
            name="currency", type="text",
            description="as the orders state it, $ where they show only that; unknown without any",
        ),
        DerivedColumn(name="sold_on", type="date", description="the day; empty if unknown"),
        DerivedColumn(name="orders", type="integer", description="orders, the unpaid ones too"),
        DerivedColumn(name="unpaid_orders", type="integer", description="of these, not paid yet"),
        DerivedColumn(
            name="items", type="integer",
            description="lines of orders, whatever their quantity; 1 where no line is listed",
        ),
        DerivedColumn(
            name="pieces", type="integer", description="by the quantity of each item, else 1"
        ),
        DerivedColumn(
            name="revenue", type="decimal", description="price of the items, without shipping"
        ),
        DerivedColumn(
            name="orders_without_amount", type="integer",
            description="orders that no row gives an amount of: not in the revenue",
        ),
    ),
    key=("day", "currency"),
    scope=("day",),
    touched={
        # An order is of one day, and its rows may be of several. A row that is paid takes away the
        # unpaid one of the same sale, which is of an order of its own.
        "ebay_orders": f"""
            WITH changed AS MATERIALIZED (
                SELECT order_key, sales_record_number, item_number, transaction_id, sold_on
                FROM {{touched}} AS touched
            ),
            concerned AS (
                SELECT order_key FROM changed
                UNION
                SELECT unpaid.order_key
                FROM changed JOIN {{ebay_orders}} AS unpaid USING (item_number, transaction_id)
                WHERE unpaid.order_id IS NULL AND transaction_id <> ''
                UNION
                SELECT unpaid.order_key
                FROM changed JOIN {{ebay_orders}} AS unpaid USING (item_number, sales_record_number)
                WHERE unpaid.order_id IS NULL
            )
            SELECT {_DAY} AS day FROM changed
            UNION
            SELECT {_DAY} AS day FROM concerned JOIN {{ebay_orders}} AS line USING (order_key)
        """  # noqa: S608  # a constant of this module
    },
    select=f"""
        SELECT
            {_DAY} AS day,
            coalesce(currency, '{UNKNOWN}') AS currency,
            max(sold_on) AS sold_on,
            count(*) AS orders,
            count(*) FILTER (WHERE is_unpaid) AS unpaid_orders,
            sum(items) AS items,
            sum(pieces) AS pieces,
            coalesce(sum(revenue), 0) AS revenue,
            count(*) FILTER (WHERE revenue IS NULL) AS orders_without_amount
        FROM ({_order_totals("{ebay_orders_of_scopes}", "{ebay_orders}")}) AS sale
        GROUP BY 1, 2
    """,  # noqa: S608  # constants of this module
    of_scopes={"ebay_orders": _OF_THE_DAYS},
    indexes={
        "ebay_orders": (
            "(account, sold_on)",
            "(account, item_number, transaction_id) WHERE order_id IS NULL",
            "(account, item_number, sales_record_number) WHERE order_id IS NULL",
        )
    },
    totals=("orders", "unpaid_orders", "items", "pieces", "orders_without_amount"),
    first="day DESC, currency",
    chart=LineChart(by="day", lines=("orders", "items", "pieces")),
)  # fmt: skip
