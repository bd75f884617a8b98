"""Products: a seller's own list of what is sold, by SKU; eBay has no such export.

A barcode is a GTIN, which is what UPC and EAN are: its last digit checks the others. One that does
not is a misread or mistyped number of some other product. Its row is rejected, as a price would
otherwise be stored under it; without a barcode a row is right as well. Numbers that GS1 leaves to
each company for use in house are taken as they are: nobody else says what their last digit is.
"""

import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData

from csv_pipeline.feeds.common import GTIN, GTIN_NEEDS, has_gs1_check_digit
from csv_pipeline.spec.contract import Contract, Money, column, optional
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.kinds import Kind

_COST = ("Cost", "Unit Cost", "Purchase Price", "Einkaufspreis", "Prix d’achat")
_PRICE = ("Price", "Unit Price", "Sale Price", "Verkaufspreis", "Preis", "Prix de vente", "Prix")

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
        str_matches=GTIN, needs=GTIN_NEEDS, nulls=_NO_BARCODE,
        description="UPC or EAN, as text: zeros in front count",
    )  # fmt: skip

    @pa.check("barcode", name="check_digit", description=GTIN_NEEDS)
    def barcode_check_digit(cls, data: PolarsData) -> pl.LazyFrame:  # noqa: N805
        """Hold the barcode to its last digit."""
        return data.lazyframe.select(has_gs1_check_digit("barcode"))


PRODUCTS = Feed(
    name="products",
    description="A seller's own list of products: what each is, costs and is sold for.",
    contract=Product,
    key=("sku",),
    nulls=frozenset({"--"}),
    max_rejected_share=0.5,
    group="ebay",
)
