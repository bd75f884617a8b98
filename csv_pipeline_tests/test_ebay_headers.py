"""Headers of the orders report, whole, in every language on record."""

import csv
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from csv_pipeline.feeds.ebay_orders import EBAY_ORDERS
from csv_pipeline.spec.header import extras_in, sources_in
from csv_pipeline_tests.conftest import Desk

BRITISH = (
    "Sales record number,Order number,Buyer username,Buyer name,Buyer email,Buyer note,"
    "Buyer address 1,Buyer address 2,Buyer city,Buyer county,Buyer postcode,Buyer country,"
    "Buyer Tax identifier name,Buyer Tax identifier value,Post to name,Post to phone,"
    "Post to address 1,Post to address 2,Post to city,Post to county,Post to postcode,"
    "Post to country,Item number,Item title,Custom label,Sold via Promoted listings,Quantity,"
    "Sold for,Postage and packaging,Included VAT rate,Seller collected tax,eBay collected tax,"
    "Electronic Waste Recycling Fee,Mattress Recycling Fee,Additional Fee,Total price,"
    "eBay collected tax and fees included in total,Payment method,Sale date,Paid on date,"
    "Dispatch by date,Minimum estimated delivery date,Maximum estimated delivery date,"
    "Dispatched on date,Feedback left,Feedback received,My item note,PayPal transaction ID,"
    "Delivery service,Tracking number,Transaction ID,Variation details,Global Shipping Programme,"
    "Global Shipping Reference ID,Click and Collect,Click and Collect reference number,eBay Plus"
)
AUSTRALIAN = (
    "Sales Record Number,Order ID,Buyer User ID,Buyer Name,Buyer Email,Buyer Note,Buyer Address 1,"
    "Buyer Address 2,Buyer City,Buyer State,Buyer Postcode,Buyer Country,Post To Name,"
    "Post To Phone,Post To Address 1,Post To Address 2,Post To City,Post To State,"
    "Post To Postcode,Post To Country,Item Number,Item Title,Custom Label,"
    "Sold Via Promoted Listings,Quantity,Item Price,Postage And Handling,eBay Collected Tax,"
    "Total Price,Payment Method,Order Date,Paid On Date,Post By Date,Posted On Date,Feedback Left,"
    "Feedback Received,My Item Note,PayPal Transaction ID,Postage Service,Tracking Number,"
    "Transaction ID,Variation Details,eBay Plus"
)
GERMAN = (
    "Verkaufsprotokollnummer;Bestellnummer;Nutzername des Käufers;Name des Käufers;"
    "E-Mail des Käufers;Hinweis des Käufers;Adresse 1 des Käufers;Adresse 2 des Käufers;"
    "Ort des Käufers;Bundesland des Käufers;PLZ des Käufers;Land des Käufers;Name des Empfängers;"
    "Telefonnummer des Empfängers;Adresse 1 des Empfängers;Adresse 2 des Empfängers;"
    "Ort des Empfängers;Bundesland des Empfängers;PLZ des Empfängers;Land des Empfängers;"
    "Artikelnummer;Angebotstitel;Bestandseinheit;Verkauft über Anzeigen;Anzahl;Verkauft für;"
    "Verpackung und Versand;Gesamtbetrag;Zahlungsmethode;Verkauft am;Zahlungsdatum;Versand bis;"
    "Versanddatum;Abgegebene Bewertungen;Erhaltene Bewertungen;Versandservice;Sendungsnummer;"
    "Transaktionsnummer;Variantendetails;eBay Plus"
)
SELLING_MANAGER = (
    "Verkaufsprotokollnummer;Mitgliedsname;Vollständiger Name des Käufers;"
    "Telefonnummer des Käufers;E-Mail des Käufers;Käuferadresse 1;Käuferadresse 2;Ort des Käufers;"
    "Staat des Käufers;Postleitzahl des Käufers;Land des Käufers;Bestellnummer;Artikelnummer;"
    "Transaktions-ID;Artikelbezeichnung;Stückzahl;Verkaufspreis;Inklusive Mehrwertsteuersatz;"
    "Verpackung und Versand;Versicherung;Gesamtpreis;Zahlungsmethode;PayPal Transaktions-ID;"
    "Rechnungsnummer;Rechnungsdatum;Verkaufsdatum;Kaufabwicklungsdatum;Bezahldatum;Versanddatum;"
    "Versandservice;Abgegebene Bewertungen;Erhaltene Bewertungen;Notizzettel;Bestandseinheit;"
    "Private Notizen;Produktkennung-Typ;Produktkennung-Wert;Variantendetails;Produktreferenznummer;"
    "Verwendungszweck;Sendungsnummer;eBay Plus;Nebenkosten"
)
FRENCH = (
    "Numéro de vente;Numéro de commande;Pseudo de l’acheteur;Nom de l’acheteur;"
    "E-mail de l’acheteur;Remarque de l’acheteur;Adresse 1 de l’acheteur;Adresse 2 de l’acheteur;"
    "Ville de l’acheteur;Région de l’acheteur;Code postal de l’acheteur;Pays de l’acheteur;"
    "Nom du destinataire;Téléphone du destinataire;Adresse 1 du destinataire;"
    "Adresse 2 du destinataire;Ville du destinataire;Région du destinataire;"
    "Code postal du destinataire;Pays du destinataire;Numéro de l’objet;Intitulé de l'objet;"
    "Étiquette personnalisée;Quantité;Vendu pour;Livraison et manutention;Prix total;"
    "Mode de paiement;Date de vente;Date de paiement;Expédier avant le;Expédié le;"
    "Service de livraison;Numéro de suivi;Numéro de transaction;Détails de la variante"
)
SAMPLE = next((Path(__file__).parent / "corpus" / "samples").rglob("eBay-OrdersReport-*.csv"))
US = next(csv.reader(SAMPLE.read_text("utf-8-sig").splitlines()[1:2]))
SINCE = {
    82: ("Tax City", "Tax State", "Tax Zip"),
    79: (
        "Tax Country", "eBay International Shipping", "Authenticity Verification Program",
        "Authenticity Verification Status", "Authenticity Verification Outcome Reason",
        "PSA Vault Program", "Vault Fulfillment Type", "eBay Fulfillment Program",
        "Battery Recycling Fee", "White Goods Disposal Tax", "Tire Recycling Fee", "Lumber Fee",
        "Prepaid Wireless Fee",
    ),
    66: (
        "Item Location", "Item Zip Code", "Item Country", "eBay Collect And Remit Tax Rate",
        "eBay Collect And Remit Tax Type", "eBay Reference Name", "eBay Reference Value",
        "Tax Status", "Road Improvement And Food Delivery Fee", "eBay Collected Charges",
        "Buyer Tax Identifier Name", "Buyer Tax Identifier Value", "eBay Plus", "Click And Collect",
        "Click And Collect Reference Number",
    ),
}  # fmt: skip
"""Names in the headers of the US by the width since which they have them."""


def american(width: int, *also: str) -> str:
    later = {name for since, names in SINCE.items() if since > width for name in names}
    kept = [name for name in US if name not in later - set(also)]
    assert len(kept) == width
    return ",".join(kept)


HEADERS = {
    **{f"US, {width} columns": american(width) for width in (51, 66, 79, 82)},
    # Which of the three the header of 80 columns has besides those of 79 is not on record.
    **{f"US, 80 columns with {name}": american(80, name) for name in SINCE[82]},
    "British": BRITISH,
    "Australian": AUSTRALIAN,
    "German": GERMAN,
    "German, Selling Manager": SELLING_MANAGER,
    "French": FRENCH,
    "French, straight apostrophes": FRENCH.replace("’", "'"),
}
KNOWN = {
    "order_id": "11-10000-00001",
    "item_title": "Mütze",
    "sold_for": "EUR 1.090,00",
    "shipping_and_handling": "EUR 4,90",
    "total_price": "EUR 1.094,90",
    "additional_costs": "EUR 1,00",
    "insurance": "EUR 0,00",
    "quantity": "1",
    "buyer_email": "a@example.org",
    "ebay_collected_tax": "EUR 1,00",
    "seller_collected_tax": "EUR 1,00",
}


def names(header: str) -> tuple[str, ...]:
    return tuple(header.split(";" if ";" in header else ","))


def report(header: str) -> str:
    """Return a report of one row that has a value in each cell."""
    sources, _ = sources_in(names(header), EBAY_ORDERS)
    columns = {position: name for name, position in sources.items() if name != "currency"}
    dates = {c.name for c in EBAY_ORDERS.columns if c.name.endswith("_on")} | {"sold_time"}
    money = {c.name for c in EBAY_ORDERS.columns if str(c.kind) == "decimal"}
    cells = []
    for position in range(len(names(header))):
        name = columns[position]
        value = "10-Dez-25" if name in dates else "EUR 2,00" if name in money else f"v{position}"
        cells.append(KNOWN.get(name, value))
    return "\ufeff\n" + header.replace(",", ";") + "\n" + ";".join(cells) + "\n"


@pytest.mark.parametrize("language", HEADERS)
def test_a_whole_header_leaves_no_cell_to_the_side(desk: Desk, language: str) -> None:
    header = HEADERS[language]
    imported = desk.bring(report(header), "ebay_orders")
    assert (imported.counts.inserted, imported.drift.added) == (1, ())
    (row,) = desk.rows("ebay_orders")
    assert row._extra in ({}, None)
    assert (row.item_title, row.sold_for, row.shipping_and_handling, row.quantity) == (
        "Mütze",
        Decimal("1090.00"),
        Decimal("4.90"),
        1,
    )
    assert None not in {row.buyer_username, row.buyer_name, row.sold_on, row.paid_on}


@pytest.mark.parametrize("language", HEADERS)
def test_each_name_of_a_header_is_a_column_of_its_own(language: str) -> None:
    sources, others = sources_in(names(HEADERS[language]), EBAY_ORDERS)
    shared = Counter(sources[name] for name in sources if name not in {"currency", "sold_time"})
    assert (others, max(shared.values())) == ({}, 1)
    assert extras_in(names(HEADERS[language]), sources.values()) == {}


def test_the_older_german_report_has_43_columns() -> None:
    assert len(names(SELLING_MANAGER)) == 43


def test_no_name_means_two_columns() -> None:
    """But for the amounts that state their currency, and a date with a time of day."""
    both = {name: what for name, what in EBAY_ORDERS.meanings.items() if " " in what}
    assert set(both.values()) == {"sold_on sold_time", "sold_for currency", "total_price currency"}


def test_the_days_of_the_older_german_report_are_told_apart(desk: Desk) -> None:
    days = {
        "Verkaufsdatum": "01-Mär-25",
        "Kaufabwicklungsdatum": "02-Mär-25",
        "Bezahldatum": "03-Mär-25",
        "Versanddatum": "04-Mär-25",
        "Rechnungsdatum": "05-Mär-25",
    }
    desk.bring(
        f"Bestellnummer;Verkaufspreis;{';'.join(days)}\n"
        f"11-10000-00001;EUR 5,00;{';'.join(days.values())}\n",
        "ebay_orders",
    )
    columns = "sold_on, checkout_on, paid_on, shipped_on, invoice_on"
    assert [day.day for day in desk.rows("ebay_orders", columns)[0]] == [1, 2, 3, 4, 5]


def test_a_transaction_of_paypal_is_none_of_ebay(desk: Desk) -> None:
    desk.bring(
        "Bestellnummer;Verkaufspreis;PayPal Transaktions-ID\n11-10000-00001;EUR 5,00;7XY\n",
        "ebay_orders",
    )
    row = desk.rows("ebay_orders", "transaction_id, paypal_transaction_id")[0]
    assert tuple(row) == ("", "7XY")


def test_two_columns_of_one_meaning_that_differ_reject_the_row(desk: Desk) -> None:
    report = desk.bring(
        "Bestellnummer;Verkauft für;Verkaufspreis\n"
        "11-10000-00001;EUR 5,00;EUR 5,00\n11-10000-00002;EUR 5,00;EUR 6,00\n",
        "ebay_orders",
    )
    assert report.counts.inserted == 1
    assert [reject.rule for reject in desk.rejects(report)] == ["sold_for.contested"]
