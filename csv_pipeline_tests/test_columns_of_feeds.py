"""Each column of each report on record is stored under its own name, whatever stands beside it."""

from typing import Any

import pytest

from csv_pipeline.feeds import FEEDS
from csv_pipeline.spec.header import sources_in
from csv_pipeline_tests.conftest import Desk

# A line each: name in the file | cell | column | what is stored, if it is not the cell.
ORDERS = """
Sales Record Number | 1501 | sales_record_number
Order Number | 11-10000-00001 | order_id
Buyer Username | buyer7 | buyer_username
Buyer Name | Ann Buyer | buyer_name
Buyer Email | ann@example.com | buyer_email
Buyer Note | leave it outside | buyer_note
Buyer Address 1 | 1 Bill St | buyer_address_1
Buyer Address 2 | Bill Apt 2 | buyer_address_2
Buyer City | Billtown | buyer_city
Buyer State | BS | buyer_state
Buyer Zip | 00501 | buyer_zip
Buyer Country | Billland | buyer_country
Buyer Tax Identifier Name | VAT | buyer_tax_identifier_name
Buyer Tax Identifier Value | 0017 | buyer_tax_identifier_value
Ship To Name | Bob Ship | ship_to_name
Ship To Phone | +1 555 0100 | ship_to_phone
Ship To Address 1 | 2 Ship St | ship_to_address_1
Ship To Address 2 | Ship Apt 3 | ship_to_address_2
Ship To City | Shiptown | ship_to_city
Ship To State | SS | ship_to_state
Ship To Zip | 02139 | ship_to_zip
Ship To Country | Shipland | ship_to_country
Item Number | 0255600000001 | item_number
Item Title | Hat | item_title
Custom Label | 007 | custom_label
Sold Via Promoted Listings | Yes | sold_via_promoted_listings
Quantity | 3 | quantity
Sold For | $1,022.25 | sold_for | 1022.25
Shipping And Handling | $2.01 | shipping_and_handling | 2.01
Item Location | Here | item_location
Item Zip Code | 00502 | item_zip_code
Item Country | Itemland | item_country
eBay Collect And Remit Tax Rate | 6.25% | collect_and_remit_tax_rate
eBay Collect And Remit Tax Type | State Sales Tax | collect_and_remit_tax_type
eBay Reference Name | ref | ebay_reference_name
eBay Reference Value | 0018 | ebay_reference_value
Tax Status | exempt | tax_status
Seller Collected Tax | $2.02 | seller_collected_tax | 2.02
eBay Collected Tax | $2.03 | ebay_collected_tax | 2.03
Additional Fee | $2.04 | additional_fee | 2.04
eBay Collected Charges | $2.05 | ebay_collected_charges | 2.05
Total Price | ($25.99) | total_price | -25.99
eBay Collected Tax and Fees Included in Total | No | collected_tax_and_fees_included
Payment Method | Card | payment_method
Sale Date | Sep-01-26 | sold_on | 2026-09-01
Paid On Date | Sep-02-26 | paid_on | 2026-09-02
Ship By Date | Sep-03-26 | ship_by_on | 2026-09-03
Minimum Estimated Delivery Date | Sep-04-26 | delivery_from_on | 2026-09-04
Maximum Estimated Delivery Date | Sep-05-26 | delivery_until_on | 2026-09-05
Shipped On Date | Sep-06-26 | shipped_on | 2026-09-06
Feedback Left | Left | feedback_left
Feedback Received | Received | feedback_received
My Item Note | note | my_item_note
PayPal Transaction ID | 7XY | paypal_transaction_id
Shipping Service | Parcel | shipping_service
Tracking Number | 9400100000000000000001 | tracking_number
Transaction ID | 0100 | transaction_id
Variation Details | Color=Red | variation_details
Global Shipping Program | no | global_shipping_program
eBay Plus | maybe | ebay_plus
"""
SEED = """
order_id | 1234567890123456789 | order_id
buyer_name | Ann Buyer | buyer_name
order_total | 12.50 | total_price
order_date | 2026-09-01 | sold_on
buyer_email | ann@example.com | buyer_email
order_status | completed | order_status | DELIVERED
payment_status | refunded | payment_status | REFUNDED
shipping_status | not_shipped | shipping_status | NOT_SHIPPED
tracking_number | 0094 | tracking_number
shipping_address_1 | 2 Ship St | ship_to_address_1
shipping_address_2 | Apt 3 | ship_to_address_2
shipping_city | Shiptown | ship_to_city
shipping_state | SS | ship_to_state
shipping_postal_code | 02139 | ship_to_zip
shipping_country | US | ship_to_country
"""
LISTINGS = """
Item number | 0256 | item_number
Title | Hat | title
Variation details | Color=Red | variation_details
Custom label (SKU) | 007 | sku
Available quantity | 3 | available_quantity
Format | AUCTION | format
Currency | USD | currency
Start price | 1.01 | start_price
Auction Buy It Now price | 1.02 | auction_buy_it_now_price
Reserve price | 1.03 | reserve_price
Current price | 1.04 | current_price
Sold quantity | 4 | sold_quantity
Watchers | 5 | watchers
Bids | 6 | bids
Start date | Apr-29-26 17:02:34 PDT | started_at | 2026-04-30 00:02:34+00
End date | May-29-26 17:02:34 PDT | ends_at | 2026-05-30 00:02:34+00
eBay category 1 name | Hats | category_1_name
eBay category 1 number | 052365 | category_1_number
eBay category 2 name | Caps | category_2_name
eBay category 2 number | 052366 | category_2_number
Condition | New | condition
eBay Product ID(ePID) | 0027 | ebay_product_id
Listing site | US | listing_site
P:UPC | 012345678905 | upc
P:EAN | 0123456789012 | ean
P:ISBN | 0306406152 | isbn
"""
TRANSACTIONS = """
Transaction creation date | Aug-02-2026 | created_on | 2026-08-02
Type | Order | type
Order number | 12-34567-89012 | order_number
Legacy order ID | 0255-3001 | legacy_order_id
Buyer username | buyer7 | buyer_username
Buyer name | Ann Buyer | buyer_name
Ship to city | Shiptown | ship_to_city
Ship to province/region/state | SS | ship_to_state
Ship to zip | 02139 | ship_to_zip
Ship to country | US | ship_to_country
Net amount | 1.01 | net_amount
Payout currency | USD | payout_currency
Payout date | Aug-05-2026 | payout_on | 2026-08-05
Payout ID | 0055 | payout_id
Payout method | Bank | payout_method
Payout status | Funds sent | payout_status
Reason for hold | New seller | reason_for_hold
Item ID | 0255 | item_id
Transaction ID | 03001 | transaction_id
Item title | Hat | item_title
Custom label | 007 | custom_label
Quantity | 2 | quantity
Item subtotal | 1.02 | item_subtotal
Shipping and handling | 1.03 | shipping_and_handling
Seller collected tax | 1.04 | seller_collected_tax
eBay collected tax | 1.05 | ebay_collected_tax
Final Value Fee - fixed | -0.30 | final_value_fee_fixed
Final Value Fee - variable | -1.06 | final_value_fee_variable
Regulatory operating fee | -1.07 | regulatory_operating_fee
Very high "item not as described" fee | -1.08 | not_as_described_fee
Below standard performance fee | -1.09 | below_standard_fee
International fee | -1.10 | international_fee
Charity donation | -1.11 | charity_donation
Deposit processing fee | -1.12 | deposit_processing_fee
Gross transaction amount | 1.13 | gross_amount
Transaction currency | CAD | transaction_currency
Exchange rate | 1.25 | exchange_rate | 1.2500000000
Reference ID | 0088 | reference_id
Description | sold | description
"""
PRODUCTS = """
sku | 007 | sku
title | Hat | title
description | A hat | description
brand | Acme | brand
category | Hats | category
cost | 1.01 | cost
price | 1.02 | price
currency | EUR | currency
quantity | 3 | quantity
barcode | 012345678905 | barcode
"""
CUSTOMERS = """
customer_id | 007 | customer_id
username | buyer7 | username
name | Ann Buyer | name
email | ann@example.com | email
phone | +1 555 0100 | phone
address 1 | 1 Main St | address_1
address 2 | Apt 2 | address_2
city | Boston | city
state | MA | state
postal code | 02139 | postal_code
country | US | country
first_order_on | 2025-01-31 | first_order_on
notes | early bird | notes
"""
SUPPLIERS = """
Suplr_NPI | 1234567893 | supplier_npi
Suplr_Prvdr_Last_Name_Org | Acme Home Care | supplier_last_name_or_organization
Suplr_Prvdr_First_Name | Ann | supplier_first_name
Suplr_Prvdr_MI | M | supplier_middle_initial
Suplr_Prvdr_Crdntls | MD | supplier_credentials
Suplr_Prvdr_Ent_Cd | O | supplier_entity
Suplr_Prvdr_St1 | 1 Main St | supplier_street_1
Suplr_Prvdr_St2 | Suite 2 | supplier_street_2
Suplr_Prvdr_City | Boston | supplier_city
Suplr_Prvdr_State_Abrvtn | CA | supplier_state
Suplr_Prvdr_State_FIPS | 06 | supplier_state_fips
Suplr_Prvdr_Zip5 | 02139 | supplier_zip
Suplr_Prvdr_RUCA_Cat | Metro | supplier_ruca_category
Suplr_Prvdr_RUCA | 10.1 | supplier_ruca
Suplr_Prvdr_RUCA_Desc | core | supplier_ruca_description
Suplr_Prvdr_Cntry | US | supplier_country
Suplr_Prvdr_Spclty_Cd | 087 | supplier_specialty
Suplr_Prvdr_Spclty_Desc | Pharmacy | supplier_specialty_description
Suplr_Prvdr_Spclty_Srce | Claims | supplier_specialty_source
RBCS_Lvl | DME | rbcs_level
RBCS_Id | 0DA001N | rbcs_id
RBCS_Desc | Other | rbcs_description
HCPCS_Cd | E0601 | hcpcs_code
HCPCS_Desc | CPAP | hcpcs_description
Suplr_Rentl_Ind | Y | rental
Tot_Suplr_Benes | 25 | beneficiaries
Tot_Suplr_Clms | 120 | claims
Tot_Suplr_Srvcs | 131.5 | services | 131.5000000000
Avg_Suplr_Sbmtd_Chrg | 108.1234567891 | average_submitted_charge
Avg_Suplr_Mdcr_Alowd_Amt | 92.5 | average_allowed_amount | 92.5000000000
Avg_Suplr_Mdcr_Pymt_Amt | 71 | average_payment_amount | 71.0000000000
Avg_Suplr_Mdcr_Stdzd_Amt | 70.07 | average_standardized_amount | 70.0700000000
"""
FEES = """
HCPCS | E0601 | hcpcs_code
Mod | NU | modifier
Mod2 | KH | modifier_2
JURIS | D | jurisdiction
CATG | CR | category
Ceiling | 120.01 | ceiling
Floor | 80.02 | floor
Description | CPAP | description
AL (NR) | 1.03 | fees | {"AL": {"R": "0.00", "NR": "1.03"}}
AL (R) | 0.00
"""
EQUIPMENT = """
asset_tag | 007 | asset_tag
serial_number | 0S7 | serial_number
hcpcs_code | E0601 | hcpcs_code
description | CPAP | description
manufacturer | ResMed | manufacturer
model | AirSense 11 | model
status | in_repair | status
location | Boston | location
purchased_on | 2025-03-04 | purchased_on
purchase_price | 812.5 | purchase_price | 812.50
patient_ref | 0077 | patient_ref
"""
ORDERED = """
PO_NUMBER | PM0152629 | po_number
STATUS | PARTIAL | status
SUPPLIER | ACME | supplier
ATTACHMENTS_FOUND | 3 | attachments_found
ATTACHMENTS_DOWNLOADED | 1 | attachments_downloaded
AttachmentName | a.pdf | attachment_names
LAST_PROCESSED | 2025-07-28T12:43:22.123456 | last_processed | 2025-07-28 12:43:22.123456+00
ERROR_MESSAGE | timeout | error_message
DOWNLOAD_FOLDER | c:\\2025\\ | download_folder
COUPA_URL | https://example.com/1 | coupa_url
"""
REPORTS = {
    "orders report": ("ebay_orders", "ebay-all-orders-report-2026-09-13-12345685590.csv", ORDERS),
    "list of orders": ("ebay_orders", "orders.csv", SEED),
    "active listings": (
        "ebay_listings",
        "eBay-all-active-listings-report-2026-04-30-12315361660.csv",
        LISTINGS,
    ),
    "transaction report": ("ebay_transactions", "transactions.csv", TRANSACTIONS),
    "products": ("products", "products.csv", PRODUCTS),
    "customers": ("customers", "customers.csv", CUSTOMERS),
    "supplier services": ("dme_supplier_services", "suppliers.csv", SUPPLIERS),
    "fee schedule": ("dme_fee_schedule", "DMEPOS24_JAN.csv", FEES),
    "equipment": ("dme_equipment", "equipment.csv", EQUIPMENT),
    "purchase orders": ("coupa_purchase_orders", "input_processed.csv", ORDERED),
}


def lines(table: str) -> list[list[str]]:
    return [line.split(" | ") for line in table.strip().splitlines()]


def quoted(cells: list[str]) -> str:
    return ",".join('"' + cell.replace('"', '""') + '"' for cell in cells) + "\n"


@pytest.mark.parametrize("report", REPORTS)
def test_each_cell_is_stored_in_the_column_that_its_name_means(desk: Desk, report: str) -> None:
    feed, name, table = REPORTS[report]
    facts = lines(table)
    content = quoted([fact[0] for fact in facts]) + quoted([fact[1] for fact in facts])
    imported = desk.bring(content, feed, name)
    assert (imported.counts.inserted, imported.drift.added) == (1, ()), imported.problem
    wanted = {fact[2]: fact[-1] if len(fact) > 3 else fact[1] for fact in facts if len(fact) > 2}
    (row,) = desk.rows(feed, ", ".join(f"{column}::text" for column in wanted))
    assert dict(zip(wanted, row, strict=True)) == wanted


# A line each: column: its name in the language.
NAMES: dict[str, Any] = {
    "US, renamed": """
        order_id: Order ID
        buyer_username: Buyer User ID
        sold_for: Item Price
        sold_on: Order Date
    """,
    "British": """
        sales_record_number: Sales record number
        ship_to_name: Post to name
        ship_to_phone: Post to phone
        ship_to_address_1: Post to address 1
        ship_to_city: Post to city
        ship_to_zip: Post to postcode
        ship_to_country: Post to country
        shipping_and_handling: Postage and packaging
        shipped_on: Dispatched on date
        shipping_service: Delivery service
    """,
    "Australian": "shipping_and_handling: Postage And Handling",
    "German": """
        sales_record_number: Verkaufsprotokollnummer
        order_id: Bestellnummer
        item_number: Artikelnummer
        item_title: Angebotstitel
        custom_label: Bestandseinheit
        quantity: Anzahl
        sold_for: Verkauft für
        shipping_and_handling: Verpackung und Versand
        total_price: Gesamtbetrag
        sold_on: Verkauft am
        paid_on: Zahlungsdatum
        buyer_username: Nutzername des Käufers
        buyer_name: Name des Käufers
        sold_via_promoted_listings: Verkauft über Anzeigen
    """,
    "French": """
        sales_record_number: Numéro de vente
        order_id: Numéro de commande
        buyer_username: Pseudo de l’acheteur
        item_title: Intitulé de l'objet
        shipping_and_handling: Livraison et manutention
    """,
    "German, Selling Manager": """
        buyer_username: Mitgliedsname
        buyer_name: Vollständiger Name des Käufers
        buyer_email: E-Mail des Käufers
        buyer_address_1: Käuferadresse 1
        buyer_address_2: Käuferadresse 2
        buyer_city: Ort des Käufers
        buyer_state: Staat des Käufers
        buyer_zip: Postleitzahl des Käufers
        buyer_country: Land des Käufers
        transaction_id: Transaktions-ID
        item_title: Artikelbezeichnung
        quantity: Stückzahl
        sold_for: Verkaufspreis
        included_vat_rate: Inklusive Mehrwertsteuersatz
        insurance: Versicherung
        total_price: Gesamtpreis
        payment_method: Zahlungsmethode
        paypal_transaction_id: PayPal Transaktions-ID
        invoice_number: Rechnungsnummer
        invoice_on: Rechnungsdatum
        sold_on: Verkaufsdatum
        checkout_on: Kaufabwicklungsdatum
        paid_on: Bezahldatum
        shipped_on: Versanddatum
        shipping_service: Versandservice
        feedback_left: Abgegebene Bewertungen
        feedback_received: Erhaltene Bewertungen
        my_item_note: Notizzettel
        private_notes: Private Notizen
        product_id_type: Produktkennung-Typ
        product_id_value: Produktkennung-Wert
        variation_details: Variantendetails
        product_reference_number: Produktreferenznummer
        payment_reference: Verwendungszweck
        tracking_number: Sendungsnummer
        ebay_plus: eBay Plus
        additional_costs: Nebenkosten
    """,
}


@pytest.mark.parametrize("language", NAMES)
def test_the_names_of_orders_in_each_language_mean_their_columns(language: str) -> None:
    orders = next(feed for feed in FEEDS if feed.name == "ebay_orders")
    told = [line.strip().split(": ") for line in NAMES[language].strip().splitlines()]
    names = tuple(name for _, name in told)
    for written in (names, tuple(name.replace("’", "'").upper() for name in names)):
        sources, _ = sources_in(written, orders)
        found = {column: sources.get(column) for column, _ in told}
        assert found == {column: place for place, (column, _) in enumerate(told)}
