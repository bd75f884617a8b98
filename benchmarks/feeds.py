"""Files of the shipped feeds, as large as one likes, to compare what a cell of each costs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from benchmarks.orders import write_customers, write_ebay_report

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_CONTRACT = "AsrxMqfGWsXEgTmvdw95omtQ4Gv1Vi4mGAvLYy23DHpM"
_SUPPLIER = (
    "Suplr_NPI,Suplr_Prvdr_Last_Name_Org,Suplr_Prvdr_First_Name,Suplr_Prvdr_MI,"
    "Suplr_Prvdr_Crdntls,Suplr_Prvdr_Ent_Cd,Suplr_Prvdr_St1,Suplr_Prvdr_St2,Suplr_Prvdr_City,"
    "Suplr_Prvdr_State_Abrvtn,Suplr_Prvdr_State_FIPS,Suplr_Prvdr_Zip5,Suplr_Prvdr_RUCA_Cat,"
    "Suplr_Prvdr_RUCA,Suplr_Prvdr_RUCA_Desc,Suplr_Prvdr_Cntry,Suplr_Prvdr_Spclty_Cd,"
    "Suplr_Prvdr_Spclty_Desc,Suplr_Prvdr_Spclty_Srce,RBCS_Lvl,RBCS_Id,RBCS_Desc,HCPCS_Cd,"
    "HCPCS_Desc,Suplr_Rentl_Ind,Tot_Suplr_Benes,Tot_Suplr_Clms,Tot_Suplr_Srvcs,"
    "Avg_Suplr_Sbmtd_Chrg,Avg_Suplr_Mdcr_Alowd_Amt,Avg_Suplr_Mdcr_Pymt_Amt,"
    "Avg_Suplr_Mdcr_Stdzd_Amt"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A file of a feed: its name, how many cells a row has, and what writes so many rows of it."""

    feed: str
    columns: int
    write: Callable[[Path, int], object]
    name: str = "file.csv"


def _write(path: Path, header: str, rows: Iterator[str]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(header)
        file.writelines(rows)


def _npi(number: int) -> str:
    """Return a number of ten digits with the check digit of an NPI."""
    digits = f"808401{number:08}"
    total = sum(
        int(d) if place % 2 else sum(divmod(2 * int(d), 10))
        for place, d in enumerate(reversed(digits))
    )
    return f"1{number:08}{-total % 10}"


def _supplier_services(path: Path, rows: int) -> None:
    suppliers = [_npi(number) for number in range(rows // 50 + 1)]
    made = (
        f"{suppliers[n // 50]},Medical Supply {n // 50},,,,O,{n % 999} Main St,,Springfield,IL,17,"
        f"0{n % 9000 + 1000},1,1.0,Metropolitan area core,US,54,Medical Supply Company,S,"
        f"Durable Medical Equipment,DE00{n % 10}N,Oxygen,E{n % 25:04},Oxygen concentrator,"
        f"{'YN'[n % 50 // 25]},{n % 80 + 11},{n % 300},{n % 900},{n % 500}.1234567891,"
        f"{n % 300}.{n % 97:02},{n % 200}.5,{n % 250}.25\n"
        for n in range(rows)
    )
    _write(path, f"{_SUPPLIER}\n", made)


def _base58(drawn: Random) -> str:
    """Return an id of 32 bytes as a blockchain writes it."""
    return "".join(drawn.choices(_BASE58, k=44))


def _elections(path: Path, rows: int) -> None:
    drawn = Random(rows)  # noqa: S311  # no secret; the same file for the same number of rows
    senders = [_base58(drawn) for _ in range(1_000)]
    made = (
        f"{(it := _base58(drawn))};104;{senders[-1 - n % 999]}{it[1:]};3;{1_725_000_000_000 + n};"
        f"{senders[n % 1_000]};0;;"
        f'[{{"key":"operation","type":"string","stringValue":"vote"}},'
        f'{{"key":"blindSig","type":"string","stringValue":"{n:064}"}}];'
        f'[{{"key":"VOTE_{n}","type":"string","stringValue":"{{\\"vote\\":[[{n}]]}}"}}];'
        '{"height":1};0\n'
        for n in range(rows)
    )
    _write(path, "", made)


def _purchase_orders(path: Path, rows: int) -> None:
    header = (
        "PO_NUMBER,STATUS,SUPPLIER,ATTACHMENTS_FOUND,ATTACHMENTS_DOWNLOADED,LAST_PROCESSED,"
        "ERROR_MESSAGE,DOWNLOAD_FOLDER,COUPA_URL\n"
    )
    made = (
        f'PO{n:08},COMPLETED,"Supplier {n % 500}, Inc",2,2,'
        f"2025-07-28T12:43:{n % 60:02}.{n % 10**6:06},"
        f",C:\\downloads\\{n},https://example.coupahost.com/order_headers/{n}\n"
        for n in range(rows)
    )
    _write(path, header, made)


def _equipment(path: Path, rows: int) -> None:
    header = (
        "asset_tag,serial_number,hcpcs_code,description,manufacturer,model,status,location,"
        "purchased_on,purchase_price,patient_ref\n"
    )
    made = (
        f"A{n},SN{n:09},E0601,CPAP device,ResMed,S10,rented,Shelf {n % 40},2025-03-{n % 28 + 1:02},"
        f"{n % 900}.50,P{n}\n"
        for n in range(rows)
    )
    _write(path, header, made)


def _listings(path: Path, rows: int) -> None:
    header = (
        "Item number,Title,Variation details,Custom label (SKU),Available quantity,Format,Currency,"
        "Start price,Current price,Sold quantity,Watchers,Start date,Condition,Listing site\n"
    )
    made = (
        f"{200_000_000_000 + n},Lamp {n},,SKU-{n},{n % 90},FIXED_PRICE,USD,{n % 90}.50,{n % 90}.50,"
        f"{n % 7},{n % 5},Apr-{n % 28 + 1:02}-26 17:02:{n % 60:02} PDT,New,US\n"
        for n in range(rows)
    )
    _write(path, header, made)


def _transactions(path: Path, rows: int) -> None:
    preamble = "--,--\nNotes,\nSeller,a-seller\nStart date,Aug-01-2026 00:00:00 AM PDT\n"
    header = (
        "Transaction creation date,Type,Order number,Legacy order ID,Buyer username,Buyer name,"
        "Ship to city,Ship to province/region/state,Ship to zip,Ship to country,Net amount,"
        "Payout currency,Payout date,Payout ID,Payout method,Payout status,Reason for hold,Item ID,"
        "Transaction ID,Item title,Custom label,Quantity,Item subtotal,Shipping and handling,"
        "Seller collected tax,eBay collected tax,Final Value Fee - fixed,"
        "Final Value Fee - variable,Regulatory operating fee,"
        '"Very high ""item not as described"" fee",Below standard performance fee,'
        "International fee,Charity donation,Deposit processing fee,Gross transaction amount,"
        "Transaction currency,Exchange rate,Reference ID,Description\n"
    )
    made = (
        f"Aug-{n % 28 + 1:02}-26,Order,{n % 89 + 10}-{n % 100_000:05}-{n * 7_919 % 100_000:05},"
        f"{n},buyer{n},Jane Doe,Springfield,IL,62701,US,{n % 90}.10,USD,Aug-30-26,{n // 100},Bank,"
        f"Paid,--,{200_000_000_000 + n},{900_000_000 + n},Lamp {n},SKU-{n},1,{n % 90}.50,5.00,"
        f"0,1.2,-0.30,-1.20,--,--,--,--,--,--,{n % 90}.50,USD,--,--,--\n"
        for n in range(rows)
    )
    _write(path, preamble + header, made)


_STATES = tuple(f"A{letter}" for letter in "ABCDEFGHIJKLMNOPQRST")


def _fees(path: Path, rows: int) -> None:
    states = ",".join(f"{state} ({area})" for state in _STATES for area in ("NR", "R"))
    fees = ",".join(["12.34,0.00"] * len(_STATES))
    made = (f"E{n % 10_000:04},{n // 10_000:02},,D,IN,{fees},A thing {n}\n" for n in range(rows))
    title = "2026 DMEPOS fee schedule\nJanuary\n"
    _write(path, f"{title}HCPCS,Mod,Mod2,JURIS,CATG,{states},Description\n", made)


def _products(path: Path, rows: int) -> None:
    made = (
        f"SKU-{n},Lamp {n},A lamp,Lumen,Lighting,{n % 90}.10,{n % 90 + 9}.90,USD,{n % 50}\n"
        for n in range(rows)
    )
    _write(path, "sku,title,description,brand,category,cost,price,currency,quantity\n", made)


EBAY_ORDERS = Sample(feed="ebay_orders", columns=19, write=write_ebay_report)
"""What the others are compared with."""

SUPPLIER_SERVICES = Sample(feed="dme_supplier_services", columns=32, write=_supplier_services)
ELECTIONS = Sample(
    feed="election_transactions",
    columns=12,
    write=_elections,
    name=f"{_CONTRACT}_2024-09-06_0800-0900.csv",
)
SAMPLES = (
    EBAY_ORDERS,
    Sample(feed="ebay_listings", columns=14, write=_listings),
    Sample(feed="ebay_transactions", columns=39, write=_transactions),
    Sample(feed="products", columns=9, write=_products),
    Sample(feed="customers", columns=7, write=write_customers),
    SUPPLIER_SERVICES,
    Sample(feed="dme_fee_schedule", columns=46, write=_fees, name="DMEPOS26_JAN.csv"),
    Sample(feed="dme_equipment", columns=11, write=_equipment),
    Sample(feed="coupa_purchase_orders", columns=9, write=_purchase_orders),
    ELECTIONS,
)
