"""Customers: a seller's own list of buyers; eBay has no such export."""

import polars as pl

from csv_pipeline.feeds.common import EMAIL, EMAIL_NEEDS
from csv_pipeline.spec.contract import Contract, column
from csv_pipeline.spec.feed import Feed, Layout


class Customer(Contract):
    """One customer, identified by the seller's own id or else by the eBay user name."""

    customer_key: str = column(derived=True, description="the customer id, or else the user name")
    customer_id: str = column(
        "Customer ID", "Customer Number", "Kundennummer", nullable=True, identifier=True
    )
    username: str = column(
        "Username", "User ID", "Buyer Username", "eBay User ID", nullable=True, identifier=True
    )
    name: str = column("Name", "Customer Name", "Full Name", "Buyer Name", nullable=True)
    email: str = column(
        "Email",
        "E-Mail Address",
        "Buyer Email",
        nullable=True,
        str_matches=EMAIL,
        needs=EMAIL_NEEDS,
        protected=True,
    )
    phone: str = column(
        "Phone", "Phone Number", "Telephone", nullable=True, identifier=True, protected=True
    )
    address_1: str = column("Address 1", "Address", "Street", "Address Line 1", nullable=True)
    address_2: str = column("Address 2", "Address Line 2", nullable=True)
    city: str = column("City", "Town", nullable=True)
    state: str = column("State", "Province", "Region", "County", nullable=True)
    postal_code: str = column("Postal Code", "Zip", "Zip Code", "Postcode", nullable=True)
    country: str = column("Country", "Country Code", nullable=True)
    first_order_on: pl.Date = column(
        "First Order On", "First Order", "Customer Since", nullable=True, past=True
    )
    notes: str = column("Notes", "Note", "Comment", "Comments", nullable=True)


def customer_key(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Identify a customer by id, or else by user name."""
    return rows.with_columns(customer_key=pl.coalesce("customer_id", "username"))


CUSTOMERS = Feed(
    name="customers",
    description="A seller's own customer list.",
    contract=Customer,
    key=("customer_key",),
    layouts=(
        Layout(name="by id or user name", marks=frozenset({"customer_id", "username"})),
        Layout(name="without identity", required=frozenset({"customer_id"})),
    ),
    transforms=(customer_key,),
    nulls=frozenset({"--"}),
    max_rejected_share=0.5,
    group="ebay",
)
