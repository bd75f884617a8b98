"""The columns of eBay orders, by every name that they have in a report on record.

The names are those of the Seller Hub orders report in English (United States, Great Britain,
Australia), German and French, of the older German report of the Selling Manager, and of lists that
sellers keep themselves. Case, punctuation, accents and the kind of apostrophe do not matter.

No name means two things: what two reports call alike and mean otherwise has no alias here, and a
file with two columns of one meaning is read if they agree, and rejected row by row where they
differ.
"""

from collections.abc import Iterable

import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData

from csv_pipeline.spec.contract import Contract, Money, column, optional
from csv_pipeline.spec.kinds import Kind
from csv_pipeline.spec.patterns import EMAIL, EMAIL_NEEDS

_ORDER_STATUS = ("pending", "processing", "shipped", "delivered", "cancelled", "returned")
_PAYMENT_STATUS = ("pending", "paid", "failed", "refunded")
_SHIPPING_STATUS = ("not_shipped", "processing", "shipped", "delivered", "returned")
_SOLD_FOR = (
    "Sold For", "Item Price", "Verkauft für", "Verkaufspreis", "Vendu pour", "Prix de vente",
    "Prix de l’objet",
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

    # What the line is: an order, an item of it, or both.
    order_key: str = column(
        derived=True, description="the order number, or else the sales record number"
    )
    item_number: str = column(
        "Item Number", "Item ID", "Artikelnummer", "Numéro d’objet", "Numéro de l’objet",
        substitute="", identifier=True,
        description="eBay's number of the listing; empty on a summary row",
    )  # fmt: skip
    transaction_id: str = column(
        "Transaction ID", "Transaktionsnummer", "Transaktions-ID", "Numéro de transaction",
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
        examples=("12-34567-89012", "12-34567-89013"),
        identifier=True,
        description="absent on a committed but unpaid row",
    )  # fmt: skip
    sales_record_number: str = optional(
        "Sales Record Number", "Verkaufsprotokollnummer", "Numéro de vente",
        "Numéro d’enregistrement de la vente", identifier=True, examples=("1001", "1002"),
    )  # fmt: skip
    order_status: str = optional(
        "Order Status", choices=_stored(_ORDER_STATUS) | {"completed": "DELIVERED"}
    )
    payment_status: str = optional("Payment Status", choices=_stored(_PAYMENT_STATUS))
    shipping_status: str = optional("Shipping Status", choices=_stored(_SHIPPING_STATUS))

    # When. No report names a zone.
    sold_on: pl.Date = optional(*_SALE_DATE, past=True)
    sold_time: pl.Time = optional(
        *_SALE_DATE,
        past=True,
        description="where the file gives one; of UTC, as the date is, where it names a zone",
    )
    checkout_on: pl.Date = optional(
        "Checkout Date", "Kaufabwicklungsdatum", past=True,
        description="when the buyer went through the checkout",
    )  # fmt: skip
    paid_on: pl.Date = optional(
        "Paid On Date", "Paid On", "Zahlungsdatum", "Bezahldatum", "Bezahlt am", "Date de paiement",
        "Payé le", past=True,
    )  # fmt: skip
    ship_by_on: pl.Date = optional(
        "Ship By Date", "Dispatch by date", "Post By Date", "Versand bis", "Expédier avant le"
    )
    delivery_from_on: pl.Date = optional(
        "Minimum Estimated Delivery Date", "Frühestes voraussichtliches Lieferdatum",
        "Date de livraison estimée minimale",
    )  # fmt: skip
    delivery_until_on: pl.Date = optional(
        "Maximum Estimated Delivery Date", "Spätestes voraussichtliches Lieferdatum",
        "Date de livraison estimée maximale",
    )  # fmt: skip
    shipped_on: pl.Date = optional(
        "Shipped On Date", "Dispatched on date", "Posted On Date", "Versanddatum", "Verschickt am",
        "Date d’expédition", "Expédié le", past=True,
    )  # fmt: skip
    invoice_on: pl.Date = optional("Invoice Date", "Rechnungsdatum", past=True)

    # What was sold.
    item_title: str = optional(
        "Item Title", "Angebotstitel", "Artikelbezeichnung", "Intitulé de l’objet",
        "Titre de l’objet",
    )  # fmt: skip
    custom_label: str = optional(
        "Custom Label", "Custom label (SKU)", "Bestandseinheit", "Étiquette personnalisée",
        "Libellé personnalisé", identifier=True, description="the seller's own number, the SKU",
    )  # fmt: skip
    variation_details: str = optional(
        "Variation Details", "Variantendetails", "Détails de la variante"
    )
    quantity: int = optional("Quantity", "Anzahl", "Stückzahl", "Quantité", ge=1)
    sold_via_promoted_listings: str = optional(
        "Sold Via Promoted Listings", "Verkauft über Anzeigen", "Vendu via une annonce sponsorisée"
    )
    item_location: str = optional("Item Location", "Artikelstandort", "Lieu de l’objet")
    item_zip_code: str = optional(
        "Item Zip Code", "Item Postcode", "PLZ des Artikelstandorts", "Code postal de l’objet"
    )
    item_country: str = optional("Item Country", "Land des Artikelstandorts", "Pays de l’objet")
    product_id_type: str = optional("Product ID Type", "Produktkennung-Typ")
    product_id_value: str = optional("Product ID Value", "Produktkennung-Wert", identifier=True)
    product_reference_number: str = optional(
        "Product Reference ID", "Produktreferenznummer", identifier=True
    )

    # For how much.
    sold_for: Money = optional(
        *_SOLD_FOR, description="of one piece; on a summary row the sum of the items"
    )
    shipping_and_handling: Money = optional(
        "Shipping And Handling", "Postage and packaging", "Postage And Handling",
        "Verpackung und Versand", "Livraison et manutention", "Livraison et traitement",
        "Frais de livraison",
    )  # fmt: skip
    insurance: Money = optional("Insurance", "Versicherung")
    additional_costs: Money = optional("Nebenkosten")
    total_price: Money = optional(*_TOTAL, description="absent on an item row")
    currency: str = optional(
        *_SOLD_FOR, *_TOTAL, "Currency", "Währung", "Devise", kind=Kind.CURRENCY,
        description="ISO 4217 as its column or the amounts state it; $ where they show only that",
    )  # fmt: skip
    payment_method: str = optional("Payment Method", "Zahlungsmethode", "Mode de paiement")
    payment_reference: str = optional("Verwendungszweck", description="what the payer wrote")
    paypal_transaction_id: str = optional(
        "PayPal Transaction ID", "PayPal Transaktions-ID", "Numéro de transaction PayPal",
        identifier=True,
    )  # fmt: skip
    invoice_number: str = optional("Invoice Number", "Rechnungsnummer", identifier=True)

    # Who bought it.
    buyer_username: str = optional(
        "Buyer Username", "Buyer User ID", "Nutzername des Käufers", "Mitgliedsname",
        "Pseudo de l’acheteur", identifier=True,
    )  # fmt: skip
    buyer_name: str = optional(
        "Buyer Name", "Buyer Fullname", "Name des Käufers", "Vollständiger Name des Käufers",
        "Nom de l’acheteur", protected=True,
    )  # fmt: skip
    buyer_email: str = optional(
        "Buyer Email", "E-Mail des Käufers", "E-mail de l’acheteur",
        str_matches=f"^{EMAIL}$", needs=EMAIL_NEEDS, protected=True,
    )  # fmt: skip
    buyer_phone: str = optional(
        "Buyer Phone", "Buyer Phone Number", "Telefonnummer des Käufers", identifier=True,
        protected=True,
    )  # fmt: skip
    buyer_note: str = optional("Buyer Note", "Hinweis des Käufers", "Remarque de l’acheteur")
    buyer_address_1: str = optional(
        "Buyer Address 1", "Adresse 1 des Käufers", "Käuferadresse 1", "Adresse 1 de l’acheteur",
        protected=True,
    )  # fmt: skip
    buyer_address_2: str = optional(
        "Buyer Address 2", "Adresse 2 des Käufers", "Käuferadresse 2", "Adresse 2 de l’acheteur",
        protected=True,
    )  # fmt: skip
    buyer_city: str = optional("Buyer City", "Ort des Käufers", "Ville de l’acheteur")
    buyer_state: str = optional(
        "Buyer State", "Buyer County", "Bundesland des Käufers", "Staat des Käufers",
        "Région de l’acheteur",
    )  # fmt: skip
    buyer_zip: str = optional(
        "Buyer Zip", "Buyer Postcode", "PLZ des Käufers", "Postleitzahl des Käufers",
        "Code postal de l’acheteur",
    )  # fmt: skip
    buyer_country: str = optional("Buyer Country", "Land des Käufers", "Pays de l’acheteur")
    buyer_tax_identifier_name: str = optional("Buyer Tax Identifier Name")
    buyer_tax_identifier_value: str = optional(
        "Buyer Tax Identifier Value", identifier=True, protected=True
    )

    # Where it went.
    ship_to_name: str = optional(
        "Ship To Name", "Post to name", "Name des Empfängers", "Nom du destinataire",
        protected=True,
    )  # fmt: skip
    ship_to_phone: str = optional(
        "Ship To Phone", "Post to phone", "Telefonnummer des Empfängers",
        "Téléphone du destinataire", identifier=True, protected=True,
    )  # fmt: skip
    ship_to_address_1: str = optional(
        "Ship To Address 1", "Post to address 1", "Adresse 1 des Empfängers",
        "Adresse 1 du destinataire", "Shipping Address 1", protected=True,
    )  # fmt: skip
    ship_to_address_2: str = optional(
        "Ship To Address 2", "Post to address 2", "Adresse 2 des Empfängers",
        "Adresse 2 du destinataire", "Shipping Address 2", protected=True,
    )  # fmt: skip
    ship_to_city: str = optional(
        "Ship To City", "Post to city", "Ort des Empfängers", "Ville du destinataire",
        "Shipping City",
    )  # fmt: skip
    ship_to_state: str = optional(
        "Ship To State", "Post to state", "Post to county", "Bundesland des Empfängers",
        "Région du destinataire", "Shipping State",
    )  # fmt: skip
    ship_to_zip: str = optional(
        "Ship To Zip", "Post to postcode", "Post to zip", "PLZ des Empfängers",
        "Code postal du destinataire", "Shipping Postal Code",
    )  # fmt: skip
    ship_to_country: str = optional(
        "Ship To Country", "Post to country", "Land des Empfängers", "Pays du destinataire",
        "Shipping Country",
    )  # fmt: skip
    shipping_service: str = optional(
        "Shipping Service", "Delivery service", "Postage Service", "Versandservice",
        "Service de livraison",
    )  # fmt: skip
    tracking_number: str = optional(
        "Tracking Number", "Sendungsnummer", "Numéro de suivi", identifier=True
    )

    # Taxes and fees.
    included_vat_rate: str = optional("Included VAT Rate", "Inklusive Mehrwertsteuersatz")
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
    tax_city: str = optional("Tax City")
    tax_state: str = optional("Tax State")
    tax_zip: str = optional("Tax Zip")
    tax_country: str = optional("Tax Country")

    # What became of it.
    feedback_left: str = optional("Feedback Left", "Abgegebene Bewertungen", "Évaluation laissée")
    feedback_received: str = optional(
        "Feedback Received", "Erhaltene Bewertungen", "Évaluation reçue"
    )
    my_item_note: str = optional("My Item Note", "Notizzettel", "Ma remarque sur l’objet")
    private_notes: str = optional("Private Notizen")
    global_shipping_program: str = optional("Global Shipping Program", "Global Shipping Programme")
    global_shipping_reference_id: str = optional("Global Shipping Reference ID", identifier=True)
    click_and_collect: str = optional("Click And Collect")
    click_and_collect_reference_number: str = optional(
        "Click And Collect Reference Number", identifier=True
    )
    ebay_plus: str = optional("eBay Plus")
    authenticity_verification_program: str = optional(
        "Authenticity Verification Program", "Authenticity Verification Programme"
    )
    authenticity_verification_status: str = optional("Authenticity Verification Status")
    authenticity_verification_outcome_reason: str = optional(
        "Authenticity Verification Outcome Reason"
    )
    psa_vault_program: str = optional("PSA Vault Program")
    vault_fulfillment_type: str = optional("Vault Fulfillment Type")
    ebay_fulfillment_program: str = optional("eBay Fulfillment Program")
    ebay_international_shipping: str = optional("eBay International Shipping")

    @pa.check(
        "sales_record_number",
        name="of_unpaid",
        description="a number, where no order number says which sale it is",
    )
    def of_unpaid(cls, data: PolarsData) -> pl.LazyFrame:  # noqa: N805
        """Tell an unpaid sale from a line of totals, which has a word there."""
        known = pl.col("order_id").is_not_null() | pl.col("sales_record_number").is_null()
        return data.lazyframe.select(known | pl.col("sales_record_number").str.contains(r"^\d+$"))
