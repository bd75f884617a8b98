"""eBay transactions: what the seller earned, paid in fees, had held back and was paid out.

Above the header the report says whose it is and of which days; below it one row is one movement of
money. `type` says which: Order, Refund, Payout, Hold, Other fee and others that eBay adds.

Which row comes again when reports overlap:

- An Order row of an item by order, item and transaction. A Hold row reuses that transaction, so
  that a transaction alone says nothing.
- A Payout row by the number of the payout and its amount, while its status goes on. What a bank
  returns has the other sign.
- Any other row, such as a fee, by what happened: day, texts and amounts, counted within the file.
  Two identical fees of a day are two, and the same two when they come again.

Each row has a net amount: what moves nothing is `0.00`, so that an empty cell has lost one.

A file that has two periods, or an item of an order twice, was joined of several reports. Where
these overlap, its fees would be counted twice; so it is refused, and each is to come by itself.
"""

from typing import Annotated

import polars as pl

from csv_pipeline.errors import ContradictionError
from csv_pipeline.feeds.common import CURRENCIES, CURRENCIES_NEED
from csv_pipeline.feeds.ebay_sellers import seller
from csv_pipeline.feeds.postal_codes import LostZeros
from csv_pipeline.model import Evidence
from csv_pipeline.spec.contract import Contract, Money, column, optional
from csv_pipeline.spec.feed import Feed, Layout, NonDataPattern, WholeFile

Rate = Annotated[pl.Decimal, 20, 10]
"""An exchange rate, exactly as the report has it."""


_EITHER = ("payout_currency", "transaction_currency")


class EbayTransaction(Contract):
    """One movement of money on the account of an eBay seller."""

    movement: str = column(derived=True, description="which movement it is, by what it is known by")
    created_on: pl.Date = column("Transaction creation date", past=True)
    type: str = column("Type", description="Order, Refund, Payout, Hold, Other fee, …")
    order_number: str = optional("Order number", identifier=True)
    legacy_order_id: str = optional("Legacy order ID", identifier=True)
    buyer_username: str = optional("Buyer username", identifier=True)
    buyer_name: str = optional("Buyer name", protected=True)
    ship_to_city: str = optional("Ship to city")
    ship_to_state: str = optional("Ship to province/region/state")
    ship_to_zip: str = optional("Ship to zip")
    ship_to_country: str = optional("Ship to country")
    net_amount: Money = optional(
        "Net amount",
        currency_in=["payout_currency"],
        description="what the movement adds to the seller's funds, or takes",
    )
    payout_currency: str = optional("Payout currency", isin=CURRENCIES, needs=CURRENCIES_NEED)
    payout_on: pl.Date = optional("Payout date")
    payout_id: str = optional("Payout ID", identifier=True)
    payout_method: str = optional("Payout method")
    payout_status: str = optional("Payout status")
    reason_for_hold: str = optional("Reason for hold")
    item_id: str = optional("Item ID", identifier=True)
    transaction_id: str = optional(
        "Transaction ID", identifier=True, description="of Order and Hold rows alike"
    )
    item_title: str = optional("Item title")
    custom_label: str = optional("Custom label", identifier=True)
    quantity: int = optional("Quantity", ge=0)
    item_subtotal: Money = optional("Item subtotal", currency_in=_EITHER)
    shipping_and_handling: Money = optional("Shipping and handling", currency_in=_EITHER)
    seller_collected_tax: Money = optional("Seller collected tax", currency_in=_EITHER)
    ebay_collected_tax: Money = optional("eBay collected tax", currency_in=_EITHER)
    final_value_fee_fixed: Money = optional("Final Value Fee - fixed", currency_in=_EITHER)
    final_value_fee_variable: Money = optional("Final Value Fee - variable", currency_in=_EITHER)
    regulatory_operating_fee: Money = optional("Regulatory operating fee", currency_in=_EITHER)
    not_as_described_fee: Money = optional(
        'Very high "item not as described" fee', currency_in=_EITHER
    )
    below_standard_fee: Money = optional("Below standard performance fee", currency_in=_EITHER)
    international_fee: Money = optional("International fee", currency_in=_EITHER)
    charity_donation: Money = optional("Charity donation", currency_in=_EITHER)
    deposit_processing_fee: Money = optional("Deposit processing fee", currency_in=_EITHER)
    gross_amount: Money = optional("Gross transaction amount", currency_in=["transaction_currency"])
    transaction_currency: str = optional(
        "Transaction currency", isin=CURRENCIES, needs=CURRENCIES_NEED
    )
    exchange_rate: Rate = optional("Exchange rate", gt=0)
    reference_id: str = optional("Reference ID", identifier=True)
    description: str = optional("Description")


_OF_AN_ITEM = ("order_number", "item_id", "transaction_id")
_WHAT_HAPPENED = (
    "created_on", "order_number", "item_id", "transaction_id", "reference_id", "description",
    "quantity", "net_amount", "gross_amount", "transaction_currency",
)  # fmt: skip
"""What stays as it is: eBay takes out names in time, and payout and hold go on."""


def _is_type(name: str) -> pl.Expr:
    return pl.col("type").str.to_lowercase() == name


_IS_OF_AN_ITEM = _is_type("order") & pl.col("transaction_id").is_not_null()


def _joined(*columns: str) -> pl.Expr:
    """Return what is known of a row as one text; a `|` within a cell separates nothing."""
    texts = pl.col("type", *columns).cast(pl.String).fill_null("")
    return pl.concat_str(texts.str.replace_all(r"([\\|])", r"\$1"), separator="|")


def movement(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Name what each row is known by when it comes again."""
    return rows.with_columns(
        movement=pl.when(_IS_OF_AN_ITEM)
        .then(_joined(*_OF_AN_ITEM))
        .when(_is_type("payout") & pl.col("payout_id").is_not_null())
        .then(_joined("payout_id", "net_amount"))
        .otherwise(_joined(*_WHAT_HAPPENED))
    )


def period(file: WholeFile) -> Evidence | None:
    """Say which days the report is of, by its preamble.

    Raises:
        ContradictionError: The file has several, as of several reports.
    """
    first, *more = [line.line_number for line in file.non_data if line.reason == "start"] or [0]
    if more:
        raise ContradictionError(
            file.name,
            "one report was needed",
            f"periods start on lines {first:,} and {more[0]:,}; bring each report by itself",
        )
    found = {line.reason: line for line in file.non_data}
    if not {"start", "end"} <= found.keys():
        return None
    start, end = found["start"], found["end"]
    return Evidence(
        subject="period",
        decision=f"{start.facts[0]} to {end.facts[0]}",
        because=f"lines {start.line_number} and {end.line_number} say so",
    )


def items_come_once(file: WholeFile) -> None:
    """Refuse a report that was joined of several that overlap.

    Raises:
        ContradictionError: An item of an order has two Order rows.
    """
    again = (
        file.rows.filter(_IS_OF_AN_ITEM)
        .group_by(_OF_AN_ITEM)
        .agg(lines=pl.col("_line_number").sort().head(2))
        .filter(pl.col("lines").list.len() > 1)
        .sort(pl.col("lines").list.first())
        .head(1)
        .collect()
    )
    for order, item, transaction, (first, second) in again.iter_rows():
        raise ContradictionError(
            file.name,
            f"one Order row for item {item} and transaction {transaction} of order {order} was "
            "needed",
            f"lines {first:,} and {second:,} have it, as reports that overlap do once they are "
            "joined; bring each of them by itself",
        )


def _told(name: str) -> str:
    """Return the pattern of a line of two cells, the name and what the report says under it."""
    return rf'^[\s"\ufeff]*{name}"?\s*[,;\t]\s*"?([^",;\t\n]*[^",;\t\n\s])"?\s*$'


EBAY_TRANSACTIONS = Feed(
    name="ebay_transactions",
    description="Every movement of an eBay seller's money: orders, refunds, fees, holds, payouts.",
    contract=EbayTransaction,
    counted=("movement",),
    layouts=(
        Layout(
            name="transaction report",
            required=frozenset({"created_on", "type", "net_amount", "order_number"}),
            filled=frozenset({"net_amount"}),
        ),
    ),
    non_data=(
        NonDataPattern(name="rule", pattern=r'^(?:"?--"?[,;\t]?)+$', above=True),
        NonDataPattern(name="seller", pattern=_told("Seller"), above=True),
        NonDataPattern(name="start", pattern=_told("Start date"), above=True),
        NonDataPattern(name="end", pattern=_told("End date"), above=True),
    ),
    transforms=(movement,),
    file_checks=(seller, period, items_come_once, LostZeros("ship_to_zip", "ship_to_country")),
    nulls=frozenset({"--"}),
    max_rejected_share=0.5,
    group="ebay",
)
