"""Write order files of any size, the same ones every time."""

import random
from pathlib import Path

COLUMNS = (
    "Sales Record Number", "Order Number", "Buyer Username", "Buyer Name", "Buyer Email",
    "Ship To City", "Ship To Zip", "Item Number", "Item Title", "Quantity", "Sold For",
    "Total Price", "Sale Date", "Paid On Date", "Tracking Number", "Transaction ID",
)  # fmt: skip


def write_orders(path: Path, rows: int, bad_share: float) -> None:
    """Write `rows` orders of 16 columns in random key order, a share of them with a bad price."""
    random.seed(1)
    order = list(range(rows))
    random.shuffle(order)
    every = round(1 / bad_share) if bad_share else rows + 1
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(COLUMNS) + "\n")
        file.writelines(_line(number, bad=number % every == 0) for number in order)


def _line(i: int, *, bad: bool) -> str:
    quantity, cents, day = 1 + i % 3, 1_000 + i % 90_000, i % 28 + 1
    price = "abc" if bad else f"{cents / 100:.2f}"
    title = f'"Blue widget {i}, boxed"' if i % 4 == 0 else f"Red gadget {i}"
    return (
        f"{i + 1000},{i % 90 + 10:02}-{i % 90_000 + 10_000:05}-{i // 90 % 90_000 + 10_000:05},"
        f"buyer{i % 5000},Person {i % 1000},b{i % 5000}@example.com,Boston,0{i % 8999 + 1000},"
        f"22{i:010},{title},{quantity},{price},{cents * quantity / 100:.2f},"
        f"Sep-{day:02}-26,Sep-{day:02}-26,94001{i:017},1008{i:08}\n"
    )
