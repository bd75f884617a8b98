"""Products: a seller's own list of what is sold, by SKU; eBay has no such export.

A barcode is a GTIN, which is what UPC and EAN are: its last digit checks the others. One that does
not is a misread or mistyped number of some other product. Its row is rejected, as a price would
otherwise be stored under it; without a barcode a row is right as well.
"""

import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData

from csv_pipeline.spec.contract import Contract, Money, column, optional
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.kinds import Kind

_COST = ("Cost", "Unit Cost", "Purchase Price", "Einkaufspreis", "Prix d’achat")
_PRICE = ("Price", "Unit Price", "Sale Price", "Verkaufspreis", "Preis", "Prix de vente", "Prix")
_GTIN = r"^[0-9](?:[ -]?[0-9]){7}(?:(?:[ -]?[0-9]){4,6})?$"
_GTIN_NEEDS = "a UPC or EAN: 8, 12, 13 or 14 digits, the last of which checks the others"

_NO_BARCODE = ("Does not apply", "Does Not Apply", "does not apply", "Nicht zutreffend", "N/A")
"""What eBay asks sellers to write for a product without one."""


class Product(Contract):
    """One product."""

    sku: str = column(
        "SKU", "Custom Label", "Custom label (SKU)", "Article Number", "Artikelnummer",
        description="the seller's own number of the product",
    )  # fmt: skip
    title: str = optional("Title", "Product Name", "Name", "Titel", "Bezeichnung", "Titre")
    description: str = optional("Description", "Beschreibung")
    brand: str = optional("Brand", "Marke", "Marque")
    category: str = optional("Category", "Kategorie", "Catégorie")
    cost: Money = optional(*_COST, ge=0, description="what the seller pays for one")
    price: Money = optional(*_PRICE, ge=0, description="what one is sold for")
    currency: str = optional(
        "Currency", "Währung", "Devise", *_PRICE, *_COST, kind=Kind.CURRENCY,
        description="of cost and price; ISO 4217, or $ where they show only that",
    )  # fmt: skip
    quantity: int = optional(
        "Quantity", "Stock", "Quantity In Stock", "Bestand", "Menge", "Quantité", ge=0,
        description="pieces in stock",
    )  # fmt: skip
    barcode: str = optional(
        "Barcode", "UPC", "EAN", "GTIN", "UPC/EAN", identifier=True,
        str_matches=_GTIN, needs=_GTIN_NEEDS, nulls=_NO_BARCODE,
        description="UPC or EAN, as text: zeros in front count",
    )  # fmt: skip

    @pa.check("barcode", name="check_digit", description=_GTIN_NEEDS)
    def barcode_check_digit(cls, data: PolarsData) -> pl.LazyFrame:  # noqa: N805
        """Hold the barcode to its last digit; source: GS1 General Specifications, 7.9.1."""
        return data.lazyframe.select(has_gs1_check_digit("barcode"))


def has_gs1_check_digit(column: str) -> pl.Expr:
    """Return whether the digits of a GTIN, weighed 3 and 1 in turn from the end, add up to tens.

    True of what is no GTIN, which its form is asked for already.
    """
    is_gtin = pl.col(column).str.contains(_GTIN)
    digits = pl.when(is_gtin).then(pl.col(column).str.replace_all("[ -]", "").str.zfill(14))
    total = pl.sum_horizontal(
        digits.str.slice(place, 1).cast(pl.Int64) * (1 if place % 2 else 3) for place in range(14)
    )
    return ~is_gtin.fill_null(value=False) | (total % 10 == 0)


PRODUCTS = Feed(
    name="products",
    description="A seller's own list of products: what each is, costs and is sold for.",
    contract=Product,
    key=("sku",),
    nulls=frozenset({"--"}),
    max_rejected_share=0.5,
    group="ebay",
)
