"""Customers: a seller's own list of buyers; eBay has no such export."""

import polars as pl

from csv_pipeline.feeds.common import EMAIL, EMAIL_NEEDS
from csv_pipeline.spec.contract import Contract, column, optional
from csv_pipeline.spec.feed import Feed, Layout


class Customer(Contract):
    """One customer, identified by the seller's own id or else by the eBay user name."""

    customer_key: str = column(derived=True, description="the customer id, or else the user name")
    customer_id: str = optional("Customer ID", "Customer Number", "Kundennummer", identifier=True)
    username: str = optional(
        "Username", "User ID", "Buyer Username", "eBay User ID", identifier=True
    )
    name: str = optional("Name", "Customer Name", "Full Name", "Buyer Name")
    email: str = optional(
        "Email",
        "E-Mail Address",
        "Buyer Email",
        str_matches=EMAIL,
        needs=EMAIL_NEEDS,
        protected=True,
    )
    phone: str = optional("Phone", "Phone Number", "Telephone", identifier=True, protected=True)
    address_1: str = optional("Address 1", "Address", "Street", "Address Line 1")
    address_2: str = optional("Address 2", "Address Line 2")
    city: str = optional("City", "Town")
    state: str = optional("State", "Province", "Region", "County")
    postal_code: str = optional("Postal Code", "Zip", "Zip Code", "Postcode")
    country: str = optional("Country", "Country Code")
    first_order_on: pl.Date = optional("First Order On", "First Order", "Customer Since", past=True)
    notes: str = optional("Notes", "Note", "Comment", "Comments")


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
