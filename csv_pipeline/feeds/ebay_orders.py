"""eBay orders: the Seller Hub orders report, and the list of orders that sellers keep themselves.

The report is read in the layouts of every age and language on record.
An order of several items is one *summary* row (address, shipping, tax and total; no item) and its
*item* rows; an order of one item is one *single* row. Whoever adds up all rows counts such orders
twice: `line_kind` tells them apart and the view `ebay_order_totals` adds up rightly.

The report has no account in its rows; the seller is named in its footer only.
"""

import re
from collections.abc import Iterable

import polars as pl

from csv_pipeline.errors import ContradictionError
from csv_pipeline.feeds.common import EMAIL, EMAIL_NEEDS
from csv_pipeline.feeds.ebay_sales import ORDER_TOTALS, SALES_BY_DAY
from csv_pipeline.model import Evidence, FileFacts, NonDataLine
from csv_pipeline.spec.conflict import Greatest, Precedence
from csv_pipeline.spec.contract import Contract, Money, column, columns_of, optional
from csv_pipeline.spec.feed import Feed, Layout, NonDataPattern, WholeFile
from csv_pipeline.spec.kinds import Kind

_HUB = "seller_hub"
_ORDER_STATUS = ("pending", "processing", "shipped", "delivered", "cancelled", "returned")
_PAYMENT_STATUS = ("pending", "paid", "failed", "refunded")
_SHIPPING_STATUS = ("not_shipped", "processing", "shipped", "delivered", "returned")
_SOLD_FOR = (
    "Sold For", "Item Price", "Verkauft für", "Vendu pour", "Prix de vente", "Prix de l’objet",
)  # fmt: skip
_TOTAL = (
    "Total Price", "Order Total", "Gesamtbetrag", "Gesamtpreis", "Prix total", "Montant total",
)  # fmt: skip
_SALE_DATE = (
    "Sale Date", "Order Date", "Verkauft am", "Verkaufsdatum", "Date de vente", "Vendu le",
)  # fmt: skip


def _stored(words: Iterable[str]) -> dict[str, str]:
    return {word: word.upper() for word in words}


class EbayOrder(Contract):
    """One line of the Seller Hub orders report, or one order of a seller's own list."""

    order_key: str = column(
        derived=True, description="the order number, or else the sales record number"
    )
    item_number: str = column(
        "Item Number", "Item ID", "Artikelnummer", "Numéro d’objet", "Numéro de l’objet",
        substitute="", identifier=True,
        description="eBay's number of the listing; empty on a summary row",
    )  # fmt: skip
    transaction_id: str = column(
        "Transaction ID", "Transaktionsnummer", "Numéro de transaction",
        substitute="", identifier=True, description="eBay's number of the sale of one item",
    )  # fmt: skip
    line_kind: str = column(
        derived=True,
        isin=["single", "summary", "item"],
        description="single: an order of one item; summary: an order of several, without item; "
        "item: one of these",
    )
    layout: str = column(derived=True, description="seller_hub, or simple for a seller's own list")
    order_id: str = optional(
        "Order Number", "Order ID", "Bestellnummer", "Numéro de commande",
        str_matches=r"^(?:\d{2}-\d{5}-\d{5}|\d{19})$",
        needs="12-34567-89012, or 19 digits",
        identifier=True,
        description="absent on a committed but unpaid row",
    )  # fmt: skip
    sales_record_number: str = optional(
        "Sales Record Number", "Verkaufsprotokollnummer", "Numéro de vente",
        "Numéro d’enregistrement de la vente", identifier=True,
    )  # fmt: skip
    sold_on: pl.Date = optional(*_SALE_DATE, past=True)
    sold_time: pl.Time = optional(
        *_SALE_DATE,
        past=True,
        description="where the file gives one; of UTC, as the date is, where it names a zone",
    )
    paid_on: pl.Date = optional(
        "Paid On Date", "Paid On", "Zahlungsdatum", "Bezahlt am", "Date de paiement", "Payé le",
        past=True,
    )  # fmt: skip
    quantity: int = optional("Quantity", "Anzahl", "Quantité", ge=1)
    sold_for: Money = optional(
        *_SOLD_FOR, description="of one piece; on a summary row the sum of the items"
    )
    shipping_and_handling: Money = optional(
        "Shipping And Handling", "Postage and packaging", "Postage And Handling",
        "Verpackung und Versand", "Livraison et traitement", "Frais de livraison",
    )  # fmt: skip
    total_price: Money = optional(*_TOTAL, description="absent on an item row")
    currency: str = optional(
        *_SOLD_FOR, *_TOTAL, "Currency", "Währung", "Devise", kind=Kind.CURRENCY,
        description="ISO 4217 as its column or the amounts state it; $ where they show only that",
    )  # fmt: skip
    buyer_username: str = optional(
        "Buyer Username", "Buyer User ID", "Nutzername des Käufers", "Pseudo de l’acheteur",
        identifier=True,
    )  # fmt: skip
    buyer_name: str = optional(
        "Buyer Name", "Name des Käufers", "Nom de l’acheteur", "Buyer Fullname"
    )
    buyer_email: str = optional(
        "Buyer Email", "E-Mail des Käufers", "E-mail de l’acheteur",
        str_matches=EMAIL, needs=EMAIL_NEEDS, protected=True,
    )  # fmt: skip
    buyer_note: str = optional("Buyer Note", "Hinweis des Käufers", "Remarque de l’acheteur")
    buyer_address_1: str = optional("Buyer Address 1", "Adresse 1 des Käufers")
    buyer_address_2: str = optional("Buyer Address 2", "Adresse 2 des Käufers")
    buyer_city: str = optional("Buyer City", "Ort des Käufers")
    buyer_state: str = optional("Buyer State", "Buyer County", "Bundesland des Käufers")
    buyer_zip: str = optional("Buyer Zip", "Buyer Postcode", "PLZ des Käufers")
    buyer_country: str = optional("Buyer Country", "Land des Käufers", "Pays de l’acheteur")
    buyer_tax_identifier_name: str = optional("Buyer Tax Identifier Name")
    buyer_tax_identifier_value: str = optional(
        "Buyer Tax Identifier Value", identifier=True, protected=True
    )
    ship_to_name: str = optional("Ship To Name", "Post to name", "Name des Empfängers")
    ship_to_phone: str = optional("Ship To Phone", "Post to phone", identifier=True, protected=True)
    ship_to_address_1: str = optional(
        "Ship To Address 1", "Post to address 1", "Shipping Address 1"
    )
    ship_to_address_2: str = optional(
        "Ship To Address 2", "Post to address 2", "Shipping Address 2"
    )
    ship_to_city: str = optional("Ship To City", "Post to city", "Shipping City")
    ship_to_state: str = optional(
        "Ship To State", "Post to state", "Post to county", "Shipping State"
    )
    ship_to_zip: str = optional(
        "Ship To Zip", "Post to postcode", "Post to zip", "Shipping Postal Code"
    )
    ship_to_country: str = optional("Ship To Country", "Post to country", "Shipping Country")
    item_title: str = optional("Item Title", "Angebotstitel", "Titre de l’objet")
    custom_label: str = optional(
        "Custom Label", "Custom label (SKU)", "Bestandseinheit", "Étiquette personnalisée",
        identifier=True,
    )  # fmt: skip
    variation_details: str = optional("Variation Details", "Variantendetails")
    sold_via_promoted_listings: str = optional("Sold Via Promoted Listings")
    item_location: str = optional("Item Location")
    item_zip_code: str = optional("Item Zip Code", "Item Postcode")
    item_country: str = optional("Item Country")
    collect_and_remit_tax_rate: str = optional("eBay Collect And Remit Tax Rate")
    collect_and_remit_tax_type: str = optional("eBay Collect And Remit Tax Type")
    ebay_reference_name: str = optional("eBay Reference Name")
    ebay_reference_value: str = optional("eBay Reference Value")
    tax_status: str = optional("Tax Status")
    seller_collected_tax: Money = optional("Seller Collected Tax")
    ebay_collected_tax: Money = optional("eBay Collected Tax")
    electronic_waste_recycling_fee: Money = optional("Electronic Waste Recycling Fee")
    mattress_recycling_fee: Money = optional("Mattress Recycling Fee")
    battery_recycling_fee: Money = optional("Battery Recycling Fee")
    white_goods_disposal_tax: Money = optional("White Goods Disposal Tax")
    tire_recycling_fee: Money = optional("Tire Recycling Fee")
    additional_fee: Money = optional("Additional Fee")
    lumber_fee: Money = optional("Lumber Fee")
    prepaid_wireless_fee: Money = optional("Prepaid Wireless Fee")
    road_improvement_and_food_delivery_fee: Money = optional(
        "Road Improvement And Food Delivery Fee"
    )
    ebay_collected_charges: Money = optional("eBay Collected Charges")
    collected_tax_and_fees_included: str = optional("eBay Collected Tax and Fees Included in Total")
    payment_method: str = optional("Payment Method", "Zahlungsmethode", "Mode de paiement")
    ship_by_on: pl.Date = optional("Ship By Date", "Dispatch by date", "Post By Date")
    delivery_from_on: pl.Date = optional("Minimum Estimated Delivery Date")
    delivery_until_on: pl.Date = optional("Maximum Estimated Delivery Date")
    shipped_on: pl.Date = optional(
        "Shipped On Date", "Dispatched on date", "Posted On Date", "Versanddatum", "Verschickt am",
        "Expédié le", past=True,
    )  # fmt: skip
    feedback_left: str = optional("Feedback Left")
    feedback_received: str = optional("Feedback Received")
    my_item_note: str = optional("My Item Note")
    paypal_transaction_id: str = optional("PayPal Transaction ID", identifier=True)
    shipping_service: str = optional(
        "Shipping Service", "Delivery service", "Postage Service", "Versandservice"
    )
    tracking_number: str = optional(
        "Tracking Number", "Sendungsnummer", "Numéro de suivi", identifier=True
    )
    global_shipping_program: str = optional("Global Shipping Program")
    global_shipping_reference_id: str = optional("Global Shipping Reference ID", identifier=True)
    click_and_collect: str = optional("Click And Collect")
    click_and_collect_reference_number: str = optional(
        "Click And Collect Reference Number", identifier=True
    )
    ebay_plus: str = optional("eBay Plus")
    authenticity_verification_program: str = optional("Authenticity Verification Program")
    authenticity_verification_status: str = optional("Authenticity Verification Status")
    authenticity_verification_outcome_reason: str = optional(
        "Authenticity Verification Outcome Reason"
    )
    psa_vault_program: str = optional("PSA Vault Program")
    vault_fulfillment_type: str = optional("Vault Fulfillment Type")
    ebay_fulfillment_program: str = optional("eBay Fulfillment Program")
    tax_city: str = optional("Tax City")
    tax_state: str = optional("Tax State")
    tax_zip: str = optional("Tax Zip")
    tax_country: str = optional("Tax Country")
    ebay_international_shipping: str = optional("eBay International Shipping")
    order_status: str = optional(
        "Order Status", choices=_stored(_ORDER_STATUS) | {"completed": "DELIVERED"}
    )
    payment_status: str = optional("Payment Status", choices=_stored(_PAYMENT_STATUS))
    shipping_status: str = optional("Shipping Status", choices=_stored(_SHIPPING_STATUS))


def identity(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Identify an order by its number, or else, while it is unpaid, by its sales record."""
    return rows.with_columns(order_key=pl.coalesce("order_id", "sales_record_number"))


def line_kind(rows: pl.LazyFrame, facts: FileFacts) -> pl.LazyFrame:
    """Tell summary rows (no item) and their item rows (no total) from orders of one item.

    Where the report names no item at all, or no total, nothing tells them apart.
    """
    hub = facts.layout == _HUB
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


def footer_agrees(file: WholeFile) -> Evidence | None:
    """Hold each footer against the rows above it, up to the footer before.

    Its number counts sales records, not rows; a malformed record may hold one that no row shows,
    and so may a row without any number. A report without a footer may have been cut off.

    Raises:
        ContradictionError: The number or the seller of a footer is not that of the file.
    """
    above = 0
    for footer in file.non_data:
        if footer.reason == "record count":
            _count_agrees(file, footer, above)
            above = footer.line_number
        elif footer.reason == "seller":
            _seller_agrees(file, footer)
    if file.layout != _HUB:
        return None
    return Evidence(
        subject="completeness",
        decision="proven" if above else "not proven",
        because=f"the footer on line {above} counts the sales records above it"
        if above
        else "the report has no footer that counts its sales records",
    )


def _count_agrees(file: WholeFile, footer: NonDataLine, above: int) -> None:
    above_it = (above, footer.line_number)
    sales = pl.coalesce("sales_record_number", "order_key")
    rows = file.rows.filter(pl.col("_line_number").is_between(*above_it))
    found, nameless = (
        rows.select(sales.drop_nulls().n_unique(), nameless=sales.is_null().sum()).collect().row(0)
    )
    malformed = file.malformed.filter(pl.col("line_number").is_between(*above_it))
    unread = malformed.select(pl.len()).collect().item()
    stated = int(re.sub(r"\D", "", footer.facts[0]))
    if not found <= stated <= found + unread + nameless:
        beside = f" and {unread:,} malformed records" if unread else ""
        raise ContradictionError(
            file.name,
            f"the {stated:,} sales records of the footer on line {footer.line_number} were needed",
            f"the rows above it hold {found:,}{beside}",
        )


def _seller_agrees(file: WholeFile, footer: NonDataLine) -> None:
    declared, stated = file.account.seller_id, footer.facts[0]
    if declared is not None and declared.casefold() != stated.casefold():
        raise ContradictionError(
            file.name,
            f"the seller {declared!r} of account {file.account.account!r} was needed",
            f"the footer on line {footer.line_number} names {stated!r}",
        )


# Each explains its whole line, padded to the report's width or not, so that no row is taken for it.
_BEGIN, _END, _SEPARATOR = r'^[\s"\ufeff]*', r'"?\s*$', r'"?\s*[,;\t|]?\s*"?\s*'
_COUNT = r"(\d{1,3}(?:[,.]\d{3})+|\d+)"
_RECORDS = r"(?:records?|Datens(?:a|ä|ae)tze?|enregistrements?|registros?)"
_DOWNLOADED = (
    r"(?:downloaded|heruntergeladen|t[ée]\u0301?l[ée]\u0301?charg[ée]\u0301?e?s?|descargad[oa]s?"
    r"|scaricat[ie])(?:\(\w\))?"
)
_PERIOD = r'(?:from|von|vom|du|de|del|desde|dal?)\b(?:[^",;\t|\n]|, ){1,80}'
_SELLER = (
    r"(?:Seller ID|Verk[aä]ufer(?:-ID|name)?|(?:ID|Identifiant) du vendeur|Vendeur"
    r"|(?:ID|Identificador) del vendedor|Vendedor|ID (?:del )?venditore)"
)

_HUB_TELLS = Precedence("layout", ("simple", _HUB))
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
            name=_HUB,
            marks=frozenset({"sales_record_number", "sold_for"}),
            required=frozenset({"order_id", "sold_for"}),
        ),
        Layout(
            name="simple",
            required=frozenset({"order_id", "buyer_name", "total_price", "sold_on"}),
            filled=frozenset({"order_id", "buyer_name", "total_price", "sold_on"}),
        ),
    ),
    non_data=(
        NonDataPattern(
            name="record count",
            pattern=rf"{_BEGIN}{_COUNT}{_SEPARATOR}{_RECORDS}(?:\(\w\))?\s+{_DOWNLOADED}"
            rf"(?:{_SEPARATOR}{_PERIOD})?{_END}",
        ),
        NonDataPattern(name="seller", pattern=rf'{_BEGIN}{_SELLER}\s*:\s*([^",;\t|\s]+){_END}'),
    ),
    transforms=(identity, line_kind),
    asks_filled=("item_number", "total_price"),
    file_checks=(footer_agrees,),
    nulls=frozenset({"--"}),
    views={"ebay_order_totals": ORDER_TOTALS},
    derived=(SALES_BY_DAY,),
    max_rejected_share=0.5,
    group="ebay",
)
