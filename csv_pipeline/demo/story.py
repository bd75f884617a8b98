"""Define the demo's files: their account, order and faults."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from csv_pipeline.account import Account
from csv_pipeline.demo import ballots, medical, purchases, shop
from csv_pipeline.demo.cells import table
from csv_pipeline.demo.ebay import DE, UK, US, Row, Sale, Site, report, rows, sales
from csv_pipeline.settings import Settings

ACCOUNTS = (
    Account(account="acorn", seller_id="acorn_books"),
    Account(account="bergwerk"),
    Account(account="cove"),
    Account(account="dalton"),
    Account(account="elgin"),
    Account(account="forum"),
)
YAML_FEED = Path(__file__).parent / "feeds.d" / "demo_invoices.yaml"
_EBAY, _CUSTOMERS, _COUPA = "ebay_orders", "customers", "coupa_purchase_orders"
_ELECTION = "election_transactions"
_HOUR = timedelta(hours=1)
_PLACE = "90 - Пермский край/Выборы депутатов"


@dataclass(frozen=True, slots=True)
class Delivery:
    """One file of the demo: where it is dropped, what is in it, and what it is there to show."""

    account: str
    feed: str
    name: str
    shows: str
    content: bytes
    sent_at: datetime

    def path(self, landing: Path) -> Path:
        """Return where it is dropped."""
        return landing / self.account / self.feed / self.name

    def drop(self, landing: Path) -> None:
        """Put the file into the landing area, whole or not at all, as old as its story says.

        A file that is there stays as it is, so that it is no new arrival when the demo runs again.
        """
        path = self.path(landing)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f"{path.name}.part")
            partial.write_bytes(self.content)
            os.utime(partial, (self.sent_at.timestamp(),) * 2)
            partial.replace(path)


def declare_feed(settings: Settings) -> Path:
    """Put the demo's YAML feed where every command finds it; one that is there stays."""
    path = settings.feed_folders[0] / YAML_FEED.name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.part")
        partial.write_bytes(YAML_FEED.read_bytes())
        partial.replace(path)
    return path


def deliveries() -> tuple[tuple[Delivery, ...], tuple[Delivery, ...]]:
    """Return the files in the order they come: a first lot, and what arrives after it."""
    first_week, second_week = _acorn_week(date(2026, 9, 1), 1_000), _acorn_second_week()
    at = datetime(2026, 9, 16, 6, 0, tzinfo=UTC)
    return (
        (
            Delivery("acorn", _EBAY, "eBay-OrdersReport-Sep-08-2026-06_00_00-0700-11334292920.csv",
                      "a good file", first_week, at - timedelta(7)),
            Delivery("acorn", _EBAY, "eBay-OrdersReport-Sep-15-2026-06_00_00-0700-11335310448.csv",
                      "orders sent since last week, new ones, and eight faulty rows",
                      second_week, at),
            Delivery("acorn", _EBAY, "eBay-OrdersReport-Sep-15-2026-06_12_41-0700-11335310911.csv",
                      "another seller's export in this account's folder",
                      _strangers_export(), at),
            Delivery("acorn", _CUSTOMERS, "customers.csv",
                      "UTF-8 with a byte order mark, zips with leading zeros", _customers(), at),
            Delivery("acorn", "ebay_listings",
                      "eBay-all-active-listings-report-2026-09-15-12315361660.csv",
                      "parents and variations told apart, one faulty quantity, one that differs",
                      shop.listings(), at),
            Delivery("acorn", "ebay_transactions", "Transaction-report-Sep-08-2026.csv",
                      "a preamble, two identical fees that stay two, a hold",
                      shop.transactions(range(1, 9)), at - timedelta(7)),
            Delivery("acorn", "ebay_transactions", "Transaction-report-Sep-14-2026.csv",
                      "overlaps the report before it; its payouts went on",
                      shop.transactions(range(1, 15)), at),
            Delivery("acorn", "products", "products.csv",
                      "a list of one's own, one wrong barcode", shop.products(), at),
            Delivery("bergwerk", _EBAY, "eBay-Bestellungen-01-Mrz-2026.csv",
                      "German: semicolons, Windows-1252, 1.234,50, Mär and Dez",
                      _bergwerk_orders(), at),
            Delivery("bergwerk", _EBAY, "eBay-Bestellungen-08-Mrz-2026.csv",
                      "cut off on its way: the footer counts more sales than there are",
                      _cut_off(), at),
            Delivery("bergwerk", _EBAY, "eigene-liste.csv",
                      "dates that nothing in the file settles", _undecidable(), at),
            Delivery("bergwerk", _CUSTOMERS, "kunden.csv",
                      "customers that come twice, two bad addresses", _kunden(), at),
            Delivery("cove", _EBAY, "eBay-OrdersReport-Jun-01-2026-11335390001.csv",
                      "British, some thousands of rows", _cove_orders(), at),
            Delivery("cove", _EBAY, "own-list.csv",
                      "a list kept by hand: several faults in one row", _own_list(), at),
            Delivery("cove", _EBAY, "takings.csv",
                      "columns of something else",
                      b"date,till,amount\r\n2026-09-14,1,120.50\r\n2026-09-14,2,80.00\r\n", at),
            Delivery("cove", _EBAY, "upload-failed.csv", "no bytes at all", b"", at),
            Delivery("cove", _CUSTOMERS, "customers-export.csv", "a header and no rows",
                      b"Customer ID,Name,Email,Postcode\r\n", at),
            Delivery("cove", "ebay_order", "eBay-OrdersReport-Jun-08-2026-11335390442.csv",
                      "a folder that no feed has", _acorn_week(date(2026, 6, 1), 7_000), at),
            Delivery("dalton", "dme_supplier_services", "mup_dme_dy24_supr.csv",
                      "suppressed counts are no 0; one number that is no NPI",
                      medical.supplier_services(), at),
            Delivery("dalton", "dme_fee_schedule", "DMEPOS26_JUL.csv",
                      "a grid of two columns a state; the quarter is in its name",
                      medical.fee_schedule(), at),
            Delivery("dalton", "dme_equipment", "equipment.csv",
                      "confidential: its cells are in the table, and nowhere else",
                      medical.equipment(), at),
            Delivery("elgin", _COUPA, "worker-1.csv",
                      "a worker's report; one row counts too many attachments",
                      purchases.first_report(), at),
            Delivery("elgin", _COUPA, "worker-2.csv",
                      "another worker's: older of one order, newer of another, one is new",
                      purchases.second_report(), at + _HOUR),
            Delivery("elgin", YAML_FEED.stem, "invoices.csv",
                      "a feed declared in YAML; one number of another form",
                      purchases.invoices(), at),
            Delivery("forum", _ELECTION,
                      f"{_PLACE}/Округ 1/{ballots.FIRST}_2024-09-06_0800-0900.csv",
                      "UTF-8; one line cut short; folders name the constituency",
                      ballots.first_hour(), at),
            Delivery("forum", _ELECTION,
                      f"{_PLACE}/Округ 2/{ballots.SECOND}_2024-09-06_0800-0900.csv",
                      "Windows-1251", ballots.elsewhere(), at),
            Delivery("forum", _ELECTION,
                      f"{_PLACE}/Округ 1/{ballots.FIRST}_2024-09-06_0900-1000.csv",
                      "the next hour repeats a transaction", ballots.second_hour(), at + _HOUR),
            Delivery("forum", _ELECTION, "dump.csv",
                      "its name tells no constituency", ballots.elsewhere(), at),
        ),
        (
            Delivery("acorn", _EBAY,
                      "eBay-OrdersReport-Sep-15-2026-06_00_00-0700-11335310448 (1).csv",
                      "the second file again, under another name", second_week, at),
            Delivery("acorn", _EBAY, "eBay-OrdersReport-Sep-01-2026-06_00_00-0700-11333104417.csv",
                      "late: older than all the others, and last to come",
                      _acorn_week(date(2026, 8, 25), 700), at - timedelta(14)),
        ),
    )  # fmt: skip


def _acorn_week(first_day: date, first_record: int) -> bytes:
    some = sales(US, 180, first_record=first_record, first_day=first_day, days=7)
    return _us_report(rows(US, some), 180, first_day)


def _acorn_second_week() -> bytes:
    """Return 180 new sales, 60 of the week before of which half were sent since, and faults."""
    before = sales(US, 180, first_record=1_000, first_day=date(2026, 9, 1), days=7)[:60]
    seen_again = [_sent(sale) if n % 2 else sale for n, sale in enumerate(before)]
    new = sales(US, 180, first_record=1_180, first_day=date(2026, 9, 8), days=7)
    made = rows(US, [*new, *seen_again])
    made[4]["Order Number"] = "1184"
    made[11]["Sold For"] = "NaN"
    made[17]["Sale Date"] = "Feb-30-26"
    made[23]["Quantity"] = "0"
    made[38]["Buyer Email"] = "ask me"
    made[52] |= {"Sold For": "$1e3", "Total Price": "free", "Order Number": "12-345-6"}
    content = _us_report(made, 240, date(2026, 9, 8)).split(b"\r\n")
    content[70] += b',"one cell","too many"'
    content[90] = content[90].rpartition(b",")[0]
    return b"\r\n".join(content)


def _sent(sale: Sale) -> Sale:
    return replace(sale, shipped_on=sale.sold_on + timedelta(3)) if sale.order else sale


def _strangers_export() -> bytes:
    some = sales(US, 12, first_record=4_000, first_day=date(2026, 9, 8), days=7)
    return _us_report(rows(US, some), 12, date(2026, 9, 8), seller="maple_toys")


def _us_report(
    made: Sequence[Row], records: int, first_day: date, seller: str = "acorn_books"
) -> bytes:
    until = first_day + timedelta(6)
    span = f"from {US.day(first_day)} to {US.day(until)}"
    return report(US, made, seller=seller, records=records, span=span)


def _bergwerk_orders() -> bytes:
    some = sales(DE, 140, first_record=300, first_day=date(2025, 12, 10), days=85)
    return _report(DE, some, "bergwerk", "from 10-Dez-25 to 04-Mär-26")


def _cut_off() -> bytes:
    some = sales(DE, 40, first_record=440, first_day=date(2026, 3, 1), days=7)
    return _report(DE, some, "bergwerk", "from 01-Mär-26 to 07-Mär-26", arrived=31)


def _cove_orders() -> bytes:
    some = sales(UK, 3_000, first_record=10_000, first_day=date(2026, 5, 1), days=31)
    return _report(UK, some, "cove_chandlery", "from 01-May-26 to 31-May-26")


def _report(
    site: Site, some: Sequence[Sale], seller: str, span: str, arrived: int | None = None
) -> bytes:
    made = rows(site, some[:arrived])
    return report(site, made, seller=seller, records=len(some), span=span)


def _undecidable() -> bytes:
    lines = [
        ("order_id", "buyer_name", "order_total", "order_date"),
        *(
            (f"31-00000-{n:05}", "Anna Schmidt", f"{n}.50", f"{n % 12 + 1:02}/{n % 11 + 1:02}/2026")
            for n in range(1, 25)
        ),
    ]
    return table(lines)


def _own_list() -> bytes:
    good = [
        (
            f"7100000000000000{n:03}", "Isla Grant", "isla@example.com", f"{n * 7 % 300 + 1}.95",
            f"{n % 28 + 1:02}/06/2026", "shipped", "paid", "shipped", "LS1 4DY",
        )
        for n in range(1, 60)
    ]  # fmt: skip
    faulty = [
        ("7100000000000000801", "Tom Ashby", "tom at example", "12.5O", "31/06/2026", "sent",
         "paid", "shipped", "YO1 7HH"),
        ("71-2", "Priya Shah", "priya@example.com", "Infinity", "14/06/2026", "shipped",
         "paid", "shipped", "CF10 1EP"),
        ("7100000000000000802", "", "", "8.00", "15/06/2026", "pending",
         "pending", "not_shipped", ""),
    ]  # fmt: skip
    again = [(*good[4][:5], "delivered", *good[4][6:])]
    header = (
        "Order ID", "Buyer Name", "Buyer Email", "Order Total", "Order Date", "Order Status",
        "Payment Status", "Shipping Status", "Shipping Postal Code",
    )  # fmt: skip
    return table([header, *good[:30], *faulty, *good[30:], *again])


def _customers() -> bytes:
    header = (
        "Customer ID", "Username", "Name", "Email", "Phone", "Address 1", "City", "State", "Zip",
        "Country", "First Order On", "Notes",
    )  # fmt: skip
    lines = []
    for n in range(1, 241):
        name = US.names[n % len(US.names)]
        city, state, code = US.places[n % len(US.places)]
        lines.append(
            (
                f"C{n:04}", f"buyer_{n}", name, f"buyer_{n}@example.com", f"+1 555 01{n % 100:02}",
                f"{n} Elm St, Unit {n % 7}", city, state, code, US.country,
                f"2025-{n % 12 + 1:02}-{n % 28 + 1:02}",
                'Collects "first editions"\nand maps' if n % 40 == 0 else "",
            )
        )  # fmt: skip
    return b"\xef\xbb\xbf" + table([header, *lines])


def _kunden() -> bytes:
    header = (
        "Kundennummer", "User ID", "Name", "E-Mail Address", "Street", "Postcode", "City",
        "Customer Since",
    )  # fmt: skip
    lines = []
    for n in range(1, 91):
        name = DE.names[n % len(DE.names)]
        city, _, code = DE.places[n % len(DE.places)]
        lines.append(
            (
                f"{10_000 + n}", f"kunde_{n}", name, f"kunde_{n}@example.com",
                f"Bergstraße {n}", code, city, f"{n % 28 + 1:02}.{n % 12 + 1:02}.2025",
            )
        )  # fmt: skip
    lines += [(*line[:4], "Am Stollen 7", *line[5:]) for line in lines[10:13]]
    lines[20] = (*lines[20][:3], "keine", *lines[20][4:])
    lines[50] = (*lines[50][:3], "kunde@", *lines[50][4:])
    return table([header, *lines], delimiter=";", encoding="cp1252")
