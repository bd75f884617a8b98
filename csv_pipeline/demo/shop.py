"""Write what a shop has beside its orders: listings, movements of money, and its own products."""

from csv_pipeline.demo.cells import table

_BINDINGS = ("Cloth", "Leather", "Paper")
_PREAMBLE = """--,--,--,--
Notes,,,
"All amounts are in USD, unless stated",,,
Seller,acorn_books,,
Start date,Sep-01-2026 00:00:00 AM PDT,,
End date,Sep-14-2026 23:59:59 PM PDT,,
--,--,--,--
"""


def listings() -> bytes:
    """Return 30 listings, every third with variations; one quantity is in words, one too many."""
    header = (
        "Item number", "Title", "Variation details", "Custom label (SKU)", "Available quantity",
        "Format", "Currency", "Start price", "Sold quantity", "Start date", "Condition",
        "CD:Book condition - (ID: 1000)", "P:ISBN",
    )  # fmt: skip
    lines: list[tuple[str, ...]] = []
    for n in range(1, 31):
        some = (f"22000000{n:04}", f"Atlas, volume {n}")
        more = ("FIXED_PRICE", "USD", f"{n + 4}.50", str(n % 5), f"Aug-{n:02}-26 17:02:34 PDT")
        last = ("Used", "Good", "9783161484100" if n % 4 else "")
        stock = [n % 7 + number for number in range(3)]
        if n % 3:
            lines.append((*some, "", f"ATLAS-{n}", str(stock[0]), *more, *last))
            continue
        every = f"Binding={';'.join(_BINDINGS)}"
        lines.append((*some, every, f"ATLAS-{n}", str(sum(stock)), *more, *last))
        lines.extend(
            (*some, f"Binding={one}", f"ATLAS-{n}-{one[0]}", str(left), *more, *last)
            for one, left in zip(_BINDINGS, stock, strict=True)
        )
    lines[7] = (*lines[7][:4], "plenty", *lines[7][5:])
    lines[8] = (*lines[8][:4], "25", *lines[8][5:])
    return table([header, *lines], encoding="utf-8-sig")


def transactions(days: range) -> bytes:
    """Return an order a day with its fee, two identical fees a week, a hold, and what was paid out.

    Payouts of September 8 are on their way in a report that ends that day, and sent in a later one.
    """
    header = (
        "Transaction creation date", "Type", "Order number", "Net amount", "Payout ID",
        "Payout status", "Item ID", "Transaction ID", "Quantity", "Gross transaction amount",
        "Transaction currency", "Description",
    )  # fmt: skip
    status = "Funds sent" if days.stop > 9 else "In progress"
    none, lines = "--", list[tuple[str, ...]]()
    for n in days:
        day, order = f"Sep-{n:02}-2026", f"11-20000-{n:05}"
        of = (f"22000000{n:04}", f"3000000{n:02}")
        paid = ("70001", status) if n <= 8 else (none, none)
        lines.append((day, "Order", order, f"{n}.10", *paid, *of, "1", f"{n}.90", "USD", none))
        if n == 3:
            held = ("-3.10", none, none, *of, none, none, "USD", "New seller")
            lines.append((day, "Hold", order, *held))
        if n % 7 == 1:
            fee = (day, "Other fee", none, "-0.35", *[none] * 5, "-0.35", "USD", "Insertion fee")
            lines.extend([fee, fee])
        if n == 8:
            lines.append((day, "Payout", none, "-31.70", *paid, *[none] * 4, "USD", none))
    return _PREAMBLE.encode() + table([header, *lines])


def products() -> bytes:
    """Return 30 products, one of which has a barcode whose digits were changed about."""
    header = ("SKU", "Title", "Brand", "Cost", "Price", "Currency", "Quantity", "Barcode")
    lines = [
        (
            f"ATLAS-{n}", f"Atlas, volume {n}", "Acorn", f"{n + 1}.00", f"{n + 4}.50", "USD",
            str(n % 7), ("012345678905", "4006381333931", "")[n % 3],
        )
        for n in range(1, 31)
    ]  # fmt: skip
    lines[4] = (*lines[4][:7], "4006381333913")
    return table([header, *lines])
