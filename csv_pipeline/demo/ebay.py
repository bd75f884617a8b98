"""Write orders reports as eBay's Seller Hub does: framing, summary and item rows, footer.

The columns of 2026 in the United States, and shorter reports with British and German names. Sales
are invented, by a generator that gives the same ones at every run.
"""

import csv
import io
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

_CENT = Decimal("0.01")
_US_TITLES = (
    "Sales Record Number,Order Number,Buyer Username,Buyer Name,Buyer Email,Buyer Note,"
    "Buyer Address 1,Buyer Address 2,Buyer City,Buyer State,Buyer Zip,Buyer Country,"
    "Buyer Tax Identifier Name,Buyer Tax Identifier Value,Ship To Name,Ship To Phone,"
    "Ship To Address 1,Ship To Address 2,Ship To City,Ship To State,Ship To Zip,Ship To Country,"
    "Item Number,Item Title,Custom Label,Sold Via Promoted Listings,Quantity,Sold For,"
    "Shipping And Handling,Item Location,Item Zip Code,Item Country,"
    "eBay Collect And Remit Tax Rate,eBay Collect And Remit Tax Type,eBay Reference Name,"
    "eBay Reference Value,Tax Status,Seller Collected Tax,eBay Collected Tax,"
    "Electronic Waste Recycling Fee,Mattress Recycling Fee,Battery Recycling Fee,"
    "White Goods Disposal Tax,Tire Recycling Fee,Additional Fee,Lumber Fee,Prepaid Wireless Fee,"
    "Road Improvement And Food Delivery Fee,eBay Collected Charges,Total Price,"
    "eBay Collected Tax and Fees Included in Total,Payment Method,Sale Date,Paid On Date,"
    "Ship By Date,Minimum Estimated Delivery Date,Maximum Estimated Delivery Date,"
    "Shipped On Date,Feedback Left,Feedback Received,My Item Note,PayPal Transaction ID,"
    "Shipping Service,Tracking Number,Transaction ID,Variation Details,Global Shipping Program,"
    "Global Shipping Reference ID,Click And Collect,Click And Collect Reference Number,eBay Plus,"
    "Authenticity Verification Program,Authenticity Verification Status,"
    "Authenticity Verification Outcome Reason,PSA Vault Program,Vault Fulfillment Type,"
    "eBay Fulfillment Program,Tax City,Tax State,Tax Zip,Tax Country,eBay International Shipping"
)
_UK_TITLES = (
    "Sales Record Number=Sales record number,Order Number=Order number,"
    "Buyer Username=Buyer username,Buyer Name=Buyer name,Buyer Email=Buyer email,"
    "Buyer Country=Buyer country,Ship To Name=Post to name,Ship To Address 1=Post to address 1,"
    "Ship To City=Post to city,Ship To Zip=Post to postcode,Ship To Country=Post to country,"
    "Item Number=Item number,Item Title=Item title,Custom Label=Custom label,Quantity=Quantity,"
    "Sold For=Sold for,Shipping And Handling=Postage and packaging,Total Price=Total price,"
    "Sale Date=Sale date,Paid On Date=Paid on date,Shipped On Date=Dispatched on date,"
    "Shipping Service=Delivery service,Tracking Number=Tracking number,"
    "Transaction ID=Transaction ID"
)
_DE_TITLES = (
    "Sales Record Number=Verkaufsprotokollnummer,Order Number=Bestellnummer,"
    "Buyer Username=Nutzername des Käufers,Buyer Name=Name des Käufers,Item Number=Artikelnummer,"
    "Item Title=Angebotstitel,Custom Label=Bestandseinheit,Quantity=Anzahl,Sold For=Verkauft für,"
    "Shipping And Handling=Verpackung und Versand,Total Price=Gesamtbetrag,Sale Date=Verkauft am,"
    "Paid On Date=Zahlungsdatum,Transaction ID=Transaktionsnummer"
)
_EN_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DE_MONTHS = ("Jan", "Feb", "Mär", "Apr", "Mai", "Jun", "Jul", "Aug", "Sep", "Okt", "Nov", "Dez")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """How one country's Seller Hub writes its reports; `titles` are its names of the US columns."""

    titles: Mapping[str, str]
    money: Callable[[Decimal], str]
    day: Callable[[date], str]
    names: tuple[str, ...]
    places: tuple[tuple[str, str, str], ...]
    goods: tuple[str, ...]
    country: str
    tax_rate: Decimal = Decimal(0)
    unquoted: frozenset[str] = frozenset()
    delimiter: str = ","
    encoding: str = "utf-8-sig"


def _titles(pairs: str) -> dict[str, str]:
    """Return the names of a country by those of the United States, of `one=other,…`."""
    return dict(pair.split("=") for pair in pairs.split(","))


US = Site(
    titles={title: title for title in _US_TITLES.split(",")},
    money=lambda amount: f"${amount:,.2f}",
    day=lambda day: f"{_EN_MONTHS[day.month - 1]}-{day:%d-%y}",
    names=("Ann Baker", "Joe O'Neill", "María López", "Wei Chen", "Zoë Adams", 'Bob "Buzz" Lee'),
    places=(
        ("Boston", "MA", "02139"),
        ("Holtsville", "NY", "00501"),
        ("Austin", "TX", "78701"),
        ("Reno", "NV", "89501"),
    ),
    goods=(
        'Photo frame 3" x 5", oak',
        "Field guide to birds, 2nd ed.",
        "Enamel mug 🔥",
        "Brass desk lamp",
        "Set of 12 postcards",
    ),
    country="United States",
    tax_rate=Decimal("0.0625"),
    unquoted=frozenset(
        {
            "Buyer Address 1", "Buyer Address 2", "Buyer City", "Ship To Name", "Ship To Address 2",
            "Ship To City", "Custom Label", "Item Location", "eBay Reference Value", "Tax Status",
            "Variation Details", "Tax City",
        }
    ),
)  # fmt: skip
UK = Site(
    titles=_titles(_UK_TITLES),
    money=lambda amount: f"£{amount:,.2f}",
    day=lambda day: f"{day:%d}-{_EN_MONTHS[day.month - 1]}-{day:%y}",
    names=("Isla Grant", "Tom Ashby", "Priya Shah", "Owen Rees", "Niamh Doyle"),
    places=(("Leeds", "", "LS1 4DY"), ("Cardiff", "", "CF10 1EP"), ("York", "", "YO1 7HH")),
    goods=("Rope fender, navy", "Ship's bell, 15 cm", "Tide clock", "Oilskin hat"),
    country="United Kingdom",
)
DE = Site(
    titles=_titles(_DE_TITLES),
    money=lambda amount: f"EUR {amount:,.2f}".translate(str.maketrans(",.", ".,")),
    day=lambda day: f"{day:%d}-{_DE_MONTHS[day.month - 1]}-{day:%y}",
    names=("Jürgen Groß", "Käthe Weiß", "Sönke Möller", "Anna Schmidt"),
    places=(("Köln", "", "50667"), ("Jena", "", "07743")),
    goods=("Grubenlampe, Messing", "Bergkristall 4 kg", "Amethyst-Druse, groß", "Lupe, zehnfach"),
    country="Deutschland",
    delimiter=";",
    encoding="cp1252",
)

Row = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """One sales record; `order` is absent while it is unpaid, `shipped_on` until it is sent."""

    record: int
    order: str
    buyer: str
    name: str
    place: tuple[str, str, str]
    sold_on: date
    items: tuple[tuple[str, str, int, Decimal], ...]
    shipping: Decimal
    shipped_on: date | None = None


def sales(site: Site, count: int, *, first_record: int, first_day: date, days: int) -> list[Sale]:
    """Invent sales, the newest first as the report has them; every ninth is of several items."""
    dice = random.Random(f"{site.country} {first_record}")  # noqa: S311  # no secret depends on it
    return [_sale(site, dice, first_record + n, first_day + timedelta(n * days // count))
            for n in reversed(range(count))]  # fmt: skip


def _sale(site: Site, dice: random.Random, record: int, day: date) -> Sale:
    name = dice.choice(site.names)
    several = record % 9 == 0
    items = tuple(
        (
            str(220_000_000_000 + record * 10 + n),
            dice.choice(site.goods),
            1 if several else dice.choice((1, 1, 1, 2, 3)),
            Decimal(dice.randrange(299, 130_000 if dice.random() < 0.05 else 9_000)) * _CENT,
        )
        for n in range(dice.randint(2, 4) if several else 1)
    )
    return Sale(
        record=record,
        order=""
        if record % 37 == 0
        else f"{record % 90 + 10:02}-{record:05}-{record * 7 % 99_999:05}",
        buyer=f"{name.split()[0].lower()}_{record % 211}",
        name=name,
        place=dice.choice(site.places),
        sold_on=day,
        items=items,
        shipping=Decimal(dice.choice((0, 399, 550, 1_250))) * _CENT,
    )


def rows(site: Site, some: Sequence[Sale]) -> list[Row]:
    """Return the rows of sales, keyed by their US titles: a summary and its items, or one row."""
    made = []
    for sale in some:
        goods = sum((amount * pieces for _, _, pieces, amount in sale.items), Decimal(0))
        tax = (goods * site.tax_rate).quantize(_CENT) if sale.order else Decimal(0)
        head = _common(site, sale) | _whole(site, sale, goods, tax)
        if len(sale.items) == 1:
            made.append(head | _item(site, sale, 0))
            continue
        pieces = str(len(sale.items))
        made.append(head | {"Quantity": pieces, "Sold For": site.money(goods)})
        made += [_common(site, sale) | _item(site, sale, n) for n in range(len(sale.items))]
    return made


def _common(site: Site, sale: Sale) -> Row:
    return {
        "Sales Record Number": str(sale.record),
        "Order Number": sale.order,
        "Buyer Username": sale.buyer,
        "Buyer Name": sale.name,
        "Buyer Country": site.country,
        "Sale Date": site.day(sale.sold_on),
        "Paid On Date": site.day(sale.sold_on) if sale.order else "",
        "Shipped On Date": site.day(sale.shipped_on) if sale.shipped_on else "",
    }


def _whole(site: Site, sale: Sale, goods: Decimal, tax: Decimal) -> Row:
    city, state, code = sale.place
    return {
        "Buyer Email": f"{sale.buyer}@example.com".encode("ascii", "ignore").decode(),
        "Ship To Name": sale.name,
        "Ship To Address 1": f"{sale.record % 97 + 1} Main St, Apt {sale.record % 9 + 1}",
        "Ship To City": city,
        "Ship To State": state,
        "Ship To Zip": code,
        "Ship To Country": site.country,
        "Shipping And Handling": site.money(sale.shipping),
        "eBay Collected Tax": site.money(tax) if tax else "",
        "Total Price": site.money(goods + sale.shipping + tax),
        "Tracking Number": f"94001{sale.record:017}" if sale.shipped_on else "",
    }


def _item(site: Site, sale: Sale, place: int) -> Row:
    number, title, pieces, amount = sale.items[place]
    return {
        "Item Number": number,
        "Item Title": title,
        "Custom Label": f"SKU-{int(number) % 400:03}",
        "Quantity": str(pieces),
        "Sold For": site.money(amount),
        "Transaction ID": f"1008{number[-8:]}",
    }


def report(site: Site, some: Sequence[Row], *, seller: str, records: int, span: str) -> bytes:
    """Return the file: framing line, header, padding row, rows, blank line, footer of two lines."""
    edge = [""] * len(site.titles)
    lines = [
        site.delimiter.join(edge),
        _line(site, list(site.titles.values())),
        _line(site, edge),
        *(_line(site, [row.get(title, "") for title in site.titles]) for row in some),
        "",
        site.delimiter.join((str(records), "record(s) downloaded", span)),
        f"Seller ID : {seller}",
        "",
    ]
    return "\r\n".join(lines).encode(site.encoding)


def _line(site: Site, cells: Sequence[str]) -> str:
    return site.delimiter.join(
        _cell(cell, site.delimiter, quoted=title not in site.unquoted)
        for title, cell in zip(site.titles, cells, strict=True)
    )


def _cell(text: str, delimiter: str, *, quoted: bool) -> str:
    if quoted:
        return '"' + text.replace('"', '""') + '"'
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="").writerow([text])
    return out.getvalue() if text else ""
