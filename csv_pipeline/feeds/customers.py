"""Customers: a seller's own list of buyers; eBay has no such export.

A row names the customer by the seller's own id, or by the eBay user name, or by both; then the id
counts. An id and a user name that are spelt alike are two customers.
"""

import polars as pl

from csv_pipeline.feeds.postal_codes import LostZeros
from csv_pipeline.spec.contract import Contract, column, optional
from csv_pipeline.spec.feed import Feed, Layout
from csv_pipeline.spec.patterns import EMAIL, EMAIL_NEEDS


class Customer(Contract):
    """One customer, identified by the seller's own id or else by the eBay user name."""

    customer_key: str = column(derived=True, description="the customer id, or else the user name")
    known_by: str = column(
        derived=True, isin=["customer_id", "username"], description="which of them that is"
    )
    customer_id: str = optional("Customer ID", "Customer Number", "Kundennummer", identifier=True)
    username: str = optional(
        "Username", "User ID", "Buyer Username", "eBay User ID", identifier=True
    )
    name: str = optional(
        "Name", "Customer Name", "Full Name", "Buyer Name", "Kundenname", protected=True
    )
    email: str = optional(
        "Email",
        "E-Mail Address",
        "Buyer Email",
        str_matches=f"^{EMAIL}$",
        needs=EMAIL_NEEDS,
        protected=True,
    )
    phone: str = optional("Phone", "Phone Number", "Telephone", identifier=True, protected=True)
    address_1: str = optional("Address 1", "Address", "Street", "Address Line 1", protected=True)
    address_2: str = optional("Address 2", "Address Line 2", protected=True)
    city: str = optional("City", "Town")
    state: str = optional("State", "Province", "Region", "County")
    postal_code: str = optional("Postal Code", "Zip", "Zip Code", "Postcode")
    country: str = optional("Country", "Country Code")
    first_order_on: pl.Date = optional("First Order On", "First Order", "Customer Since", past=True)
    notes: str = optional("Notes", "Note", "Comment", "Comments", protected=True)


def customer_key(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Identify a customer by id, or else by user name."""
    by_id = pl.col("customer_id").is_not_null()
    return rows.with_columns(
        customer_key=pl.coalesce("customer_id", "username"),
        known_by=pl.when(by_id).then(pl.lit("customer_id")).otherwise(pl.lit("username")),
    )


CUSTOMERS = Feed(
    name="customers",
    description="A seller's own list of customers: who they are and how to reach them.",
    contract=Customer,
    key=("customer_key", "known_by"),
    layouts=(
        Layout(name="by id or user name", marks=frozenset({"customer_id", "username"})),
        Layout(name="without identity", required=frozenset({"customer_id"})),
    ),
    transforms=(customer_key,),
    file_checks=(LostZeros("postal_code", "country"),),
    nulls=frozenset({"--"}),
    max_rejected_share=0.5,
    group="ebay",
)
