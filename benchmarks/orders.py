"""The feed that is measured, and its files: any size, the same rows every time.

The feed has exactly the 16 columns of the limit's table, so that both sides write the same rows.
"""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from csv_pipeline.spec.contract import Contract, Money, column
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.patterns import EMAIL, EMAIL_NEEDS

_AT_A_TIME = 500_000
_ORDER_ID = r"^\d{2}-\d{5}-\d{5}$"


class Order(Contract):
    """One line of an order."""

    sales_record_number: str = column("Sales Record Number")
    order_id: str = column("Order Number", str_matches=_ORDER_ID, needs="12-34567-89012")
    buyer_username: str = column("Buyer Username")
    buyer_name: str = column("Buyer Name", nullable=True)
    buyer_email: str = column(
        "Buyer Email", nullable=True, str_matches=f"^{EMAIL}$", needs=EMAIL_NEEDS, protected=True
    )
    ship_to_city: str = column("Ship To City", nullable=True)
    ship_to_zip: str = column("Ship To Zip", nullable=True)
    item_number: str = column("Item Number")
    item_title: str = column("Item Title", nullable=True)
    quantity: int = column("Quantity", ge=1)
    sold_for: Money = column("Sold For", ge=0)
    total_price: Money = column("Total Price", ge=0)
    sold_on: pl.Date = column("Sale Date")
    paid_on: pl.Date = column("Paid On Date", nullable=True)
    tracking_number: str = column("Tracking Number", nullable=True)
    transaction_id: str = column("Transaction ID")


ORDERS = Feed(
    name="bench_orders",
    description="Orders of 16 columns.",
    contract=Order,
    key=("order_id", "item_number", "transaction_id"),
)
COLUMNS = tuple(ORDERS.contract.to_schema().columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One file of the same orders, in an order of its own.

    A share of the rows has a bad price; another has values of `version` in two columns that are in
    no key.
    """

    name: str
    bad_share: float = 0.0
    changed_share: float = 0.0
    version: int = 1


GOOD = Variant(name="good")
BAD_1PCT = Variant(name="bad-1pct", bad_share=0.01)
ALL_BAD = Variant(name="all-bad", bad_share=1.0)
REORDERED = Variant(name="reordered")
CHANGED_1PCT = Variant(name="changed-1pct", changed_share=0.01, version=2)
ALL_CHANGED = Variant(name="all-changed", changed_share=1.0, version=3)


def write_orders(path: Path, rows: int, variant: Variant = GOOD, *, start: int = 0) -> Path:
    """Write the orders from `start` on in random order and return the path."""
    seed = sum(variant.name.encode())  # the order of rows is the variant's own, and never changes
    numbers = pl.int_range(start, start + rows, eager=True).shuffle(seed=seed)
    with path.open("wb") as file:
        for at in range(0, rows, _AT_A_TIME):
            lines = _lines(numbers.slice(at, _AT_A_TIME), variant)
            lines.write_csv(file, include_header=at == 0)
    return path


def _lines(numbers: pl.Series, variant: Variant) -> pl.DataFrame:
    """Return orders as text, under the names that headers have."""
    i = pl.col("i")
    version = pl.when(_every(i, variant.changed_share)).then(variant.version).otherwise(1)
    quantity, cents = 1 + i % 3, 1_000 + i % 90_000
    bad = _every(i, variant.bad_share)
    day = pl.format("Sep-{}-26", _padded(i % 28 + 1, 2))
    made = {
        "sales_record_number": i + 1_000,
        "order_id": pl.format(
            "{}-{}-{}",
            i % 90 + 10,
            _padded(i % 90_000 + 10_000, 5),
            _padded(i // 90 % 90_000 + 10_000, 5),
        ),
        "buyer_username": pl.format("buyer{}", i % 5_000),
        "buyer_name": pl.format("Person {}", i % 1_000),
        "buyer_email": pl.format("b{}@example.com", i % 5_000),
        "ship_to_city": pl.lit("Boston"),
        "ship_to_zip": pl.format("0{}", i % 8_999 + 1_000),
        "item_number": pl.format("22{}", _padded(i, 10)),
        "item_title": pl.when(i % 4 == 0)
        .then(pl.format("Blue widget {}, boxed", i))
        .otherwise(pl.format("Red gadget {}", i)),
        "quantity": quantity,
        "sold_for": pl.when(bad).then(pl.lit("abc")).otherwise(_money(cents)),
        "total_price": _money(cents * quantity + version - 1),
        "sold_on": day,
        "paid_on": day,
        "tracking_number": pl.format("9400{}{}", version, _padded(i, 17)),
        "transaction_id": pl.format("1008{}", _padded(i, 8)),
    }
    titles = {c.name: c.aliases[0] for c in ORDERS.columns}
    return pl.DataFrame({"i": numbers}).select(
        expression.cast(pl.String).alias(titles[name]) for name, expression in made.items()
    )


def _every(i: pl.Expr, share: float) -> pl.Expr:
    return i % round(1 / share) == 0 if share else pl.lit(value=False)


def _padded(number: pl.Expr, digits: int) -> pl.Expr:
    return number.cast(pl.String).str.zfill(digits)


def _money(cents: pl.Expr) -> pl.Expr:
    return pl.format("{}.{}", cents // 100, _padded(cents % 100, 2))


_EBAY = (
    "Sales Record Number,Order Number,Buyer Username,Buyer Name,Buyer Email,Item Number,"
    "Item Title,Custom Label,Quantity,Sold For,Shipping And Handling,Seller Collected Tax,"
    "Total Price,Payment Method,Sale Date,Paid On Date,Ship By Date,Tracking Number,Transaction ID"
)


def write_ebay_report(path: Path, rows: int, start: int = 0) -> Path:
    """Write a report of orders as eBay does: every cell quoted, blank lines, and a footer."""
    header = ",".join(f'"{name}"' for name in _EBAY.split(","))
    lines = ["", header, ""]
    for number in range(start, start + rows):
        cells = (
            f"{number}", f"{number % 89 + 10}-{number % 100_000:05}-{number * 7_919 % 100_000:05}",
            f"buyer{number}", "Jane Doe", f"b{number}@example.com", f"{200_000_000_000 + number}",
            f"Lamp {number}, blue", f"SKU-{number}", "1", "$10.00", "$2.00", "$0.50", "$12.50",
            "PayPal", "Mar-05-26", "Mar-05-26", "Mar-08-26", "", f"{900_000_000 + number}",
        )  # fmt: skip
        lines.append(",".join(f'"{cell}"' for cell in cells))
    lines += ["", f"{rows},record(s) downloaded,,", "Seller ID : a-seller", ""]
    path.write_text("\r\n".join(lines), encoding="utf-8", newline="")
    return path


def write_customers(path: Path, rows: int, start: int = 0) -> Path:
    """Write a plain list of customers."""
    lines = ["Customer ID,Name,Email,Phone,City,Country,Created"]
    lines += [
        f"C{n},Jane {n},jane{n}@example.com,+44 20 7946 {n % 10_000:04},London,GB,2026-03-05"
        for n in range(start, start + rows)
    ]
    path.write_text("\n".join([*lines, ""]), encoding="utf-8", newline="")
    return path
