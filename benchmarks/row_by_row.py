"""The way most scripts go: the csv module, and for each row an ORM's get-or-create."""

import csv
import time
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from benchmarks.orders import COLUMNS, ORDERS

_COMMIT_EVERY = 1_000


class _Base(DeclarativeBase):
    pass


class RowOrder(_Base):
    """An order in a table of the same columns."""

    __tablename__ = "row_orders"

    account: Mapped[str] = mapped_column(primary_key=True)
    order_id: Mapped[str] = mapped_column(primary_key=True)
    item_number: Mapped[str] = mapped_column(primary_key=True)
    transaction_id: Mapped[str] = mapped_column(primary_key=True)
    sales_record_number: Mapped[str]
    buyer_username: Mapped[str]
    buyer_name: Mapped[str]
    buyer_email: Mapped[str]
    ship_to_city: Mapped[str]
    ship_to_zip: Mapped[str]
    item_title: Mapped[str]
    quantity: Mapped[int]
    sold_for: Mapped[Decimal] = mapped_column(sa.Numeric(18, 2))
    total_price: Mapped[Decimal] = mapped_column(sa.Numeric(18, 2))
    sold_on: Mapped[date]
    paid_on: Mapped[date]
    tracking_number: Mapped[str]


def get_or_create(url: str, file: str) -> dict[str, Any]:
    """Store the file's rows one by one and return the seconds it took, and their number."""
    engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"))
    _Base.metadata.create_all(engine)
    rows = 0
    began = time.monotonic()
    with Session(engine) as session, Path(file).open(encoding="utf-8", newline="") as lines:
        records = csv.reader(lines)
        next(records)
        for rows, record in enumerate(records, 1):
            values = _typed(dict(zip(COLUMNS, record, strict=True)))
            order = session.get(RowOrder, ("bench", *(values[name] for name in ORDERS.key)))
            if order is None:
                session.add(RowOrder(account="bench", **values))
            else:
                for name, value in values.items():
                    setattr(order, name, value)
            if rows % _COMMIT_EVERY == 0:
                session.commit()
        session.commit()
    seconds = time.monotonic() - began
    engine.dispose()
    return {"seconds": seconds, "written": rows}


def _typed(values: dict[str, str]) -> dict[str, Any]:
    return {
        **values,
        "quantity": int(values["quantity"]),
        "sold_for": Decimal(values["sold_for"]),
        "total_price": Decimal(values["total_price"]),
        "sold_on": _day(values["sold_on"]),
        "paid_on": _day(values["paid_on"]),
    }


def _day(text: str) -> date:
    return datetime.strptime(text, "%b-%d-%y").date()  # noqa: DTZ007  # a day, without a time
