"""Small feeds that show one thing each."""

import re
from pathlib import Path
from typing import Annotated, Any

import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData

from csv_pipeline.spec import conflict
from csv_pipeline.spec.conflict import (
    ConflictPolicy,
    FillBlanks,
    FirstKnown,
    Greatest,
    KeepStored,
    LaterWins,
    Least,
    NewestWins,
    Overwrite,
    RejectConflicts,
)
from csv_pipeline.spec.contract import Contract, Money, Timestamp, column
from csv_pipeline.spec.derived import DerivedColumn, DerivedTable
from csv_pipeline.spec.dialect import TableDialect
from csv_pipeline.spec.duplicates import FirstInFile, NewestInFile, RejectDuplicates
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.file_name import FileName
from csv_pipeline.spec.kinds import Kind
from csv_pipeline.spec.sign import SignFrom, TwoAmounts
from csv_pipeline_tests.snapshot_feeds import SNAPSHOT_FEEDS


class Person(Contract):
    """A person with an amount and two dates."""

    person_id: str = column("ID")
    name: str = column("Name", nullable=True)
    amount: Money = column("Amount", nullable=True, ge=0)
    born_on: pl.Date = column("Born", nullable=True)
    seen_on: pl.Date = column("Seen", nullable=True)
    secret: str = column("Secret", nullable=True, protected=True, str_matches=r"^\d+$")

    @pa.check("amount", name="named_people_only", description="an amount only beside a name")
    def named_people_only(cls, data: PolarsData) -> pl.LazyFrame:  # noqa: N805
        """A rule of the contract's own, across columns."""
        return data.lazyframe.select(pl.col("amount").is_null() | pl.col("name").is_not_null())


class Version(Contract):
    """A value with a version."""

    key: str = column("Key")
    value: str = column("Value", nullable=True)
    version: int = column("Version", nullable=True)


class Ware(Contract):
    """A ware whose columns have policies of their own."""

    sku: str = column("SKU", substitute="none")
    title: str = column("Title", nullable=True)
    note: str = column("Note", nullable=True)
    first_seen_on: pl.Date = column("First Seen", nullable=True)
    best_price: Money = column("Best Price", nullable=True)
    maker: str = column("Maker", nullable=True)
    secret: str = column("Secret", nullable=True, protected=True)


class Payment(Contract):
    """A payment; nothing in it says which payment it is."""

    payer: str = column("Payer")
    amount: Money = column("Amount", nullable=True)
    paid_on: pl.Date = column("Paid", nullable=True)


class Shift(Contract):
    """A shift with a day, a time of day of its own, and a moment in two columns."""

    shift: str = column("Shift")
    day: pl.Date = column("Day", nullable=True)
    hired_on: pl.Date = column("Hired", nullable=True, past=True)
    begins: pl.Time = column("Begins", nullable=True)
    logged_on: pl.Date = column("Logged", nullable=True, past=True)
    logged_time: pl.Time = column("Logged", nullable=True)
    break_minutes: int = column("Break", nullable=True, nulls=("open",))
    pay: Money = column("Pay", nullable=True)
    note: str = column("Note", nullable=True, nulls=("(blank)",))


class Visit(Contract):
    """A visit to a shop."""

    visit: str = column("Visit")
    day: pl.Date = column("Day", nullable=True)
    spent: int = column("Spent", nullable=True)


def _by_day(name: str, feed: str, day: str, spent: str) -> DerivedTable:
    """Return what was spent on each day, which is derived from one column of a feed."""
    scope = f"SELECT coalesce({day}::text, 'unknown') AS day FROM {{touched}} AS touched"  # noqa: S608
    return DerivedTable(
        name=name,
        description="What was spent on each day.",
        columns=(
            DerivedColumn(name="day", type="text", description="the day"),
            DerivedColumn(name="rows", type="integer", description="how many rows"),
            DerivedColumn(name="spent", type="decimal", description="what was spent"),
        ),
        key=("day",),
        scope=("day",),
        touched={feed: scope},
        select=f"""
            SELECT coalesce({day}::text, 'unknown') AS day, count(*) AS rows, sum({spent}) AS spent
            FROM {{{feed}}} AS its GROUP BY 1
        """,  # noqa: S608  # names of this module
        totals=("rows",),
    )


class Event(Contract):
    """An event with moments, a flag and what it carries."""

    event: str = column("Event")
    happened_at: Timestamp = column("Happened", nullable=True, zones={"IST": "+05:30"})
    happened_as_written: str = column("Happened", nullable=True)
    paid_at: Timestamp = column("Paid", nullable=True, zone="America/Los_Angeles")
    sent_at: Timestamp = column("Sent", nullable=True)
    sent_at_local: str = column(local_of="sent_at")
    seen_at: Timestamp = column("Seen", nullable=True, unit="ms")
    open: bool = column("Open", nullable=True)
    listed: bool = column("Listed", nullable=True, trues=("on",), falses=("off", "0"))
    carries: str = column("Carries", nullable=True, kind=Kind.JSON)


class Booking(Contract):
    """A booking whose amounts have their sign elsewhere."""

    booking: str = column("Booking", kind=Kind.UUID)
    amount: Money = column(
        "Amount",
        nullable=True,
        sign=SignFrom(column="side", plus=("H", "Haben", "CR"), minus=("S", "Soll", "DR")),
    )
    side: str = column("Side", nullable=True, normalise=("nfc", "blanks", "upper"))
    debit: Money = column("Debit", nullable=True)
    credit: Money = column("Credit", nullable=True)
    turnover: Money = column(
        derived=True, nullable=True, sign=TwoAmounts(plus="credit", minus="debit")
    )
    rate: Annotated[pl.Decimal, 9, 4] = column(
        "Rate", nullable=True, kind=Kind.PERCENT, stored_as="fraction"
    )
    share: Annotated[pl.Decimal, 9, 2] = column(
        "Share", nullable=True, kind=Kind.PERCENT, bare_as="fraction"
    )
    currency: str = column(
        "Currency", nullable=True, kind=Kind.CURRENCY, choices={"Mark": "DEM", "Euronen": "EUR"}
    )
    status: str = column("Status", nullable=True, choices={"Versendet": "shipped"})


class Signal(Contract):
    """A signal that is known by values of many types."""

    at: Timestamp = column("At", zone="UTC")
    flag: bool = column("Flag")
    document: str = column("Document", kind=Kind.JSON)
    share: Money = column("Share", kind=Kind.PERCENT)
    value: str = column("Value", nullable=True, kind=Kind.JSON)
    last: Timestamp = column("Last", nullable=True, zone="UTC")


class Message(Contract):
    """A message; nothing in it says which it is."""

    carries: str = column("Carries", kind=Kind.JSON)
    at: Timestamp = column("At")


class Part(Contract):
    """A part whose id is written in any case, and with or without its zeros."""

    number: str = column("Number", fold_case=True, pad=6)
    name: str = column("Name", nullable=True)


class Price(Contract):
    """A price of a day, which only the name of its file tells, in a region that its folder does."""

    sku: str = column("SKU")
    price: Money = column("Price")
    day: pl.Date = column(derived=True)
    edition: int = column(derived=True, nullable=True)
    region: str = column(derived=True, nullable=True)


class Entry(Contract):
    """An entry of a list without a header."""

    code: str = column()
    note: str = column(nullable=True)
    amount: Money = column(nullable=True)


class Mood(Contract):
    """A thing and one of a few words."""

    tag: str = column("Tag")
    mood: str = column("Mood", choices=("rented", "sold", "in_repair"))


def _versions(name: str, **policies: Any) -> Feed:
    return Feed(
        name=name, description="Versioned values.", contract=Version, key=("key",), **policies
    )


def _policy_of_the_docs() -> ConflictPolicy:
    """Return the policy by whose example the docs say how to write one."""
    page = Path(__file__).parent.parent / "docs" / "add-a-conflict-policy.md"
    (code,) = re.findall(r"```python\n(@dataclass.*?)```", page.read_text(), re.DOTALL)
    known: dict[str, Any] = {name: getattr(conflict, name) for name in vars(conflict)}
    exec(code, known)  # noqa: S102  # it is our own
    policy: ConflictPolicy = known["Longest"]()
    return policy


TEST_FEEDS = (
    *SNAPSHOT_FEEDS,
    _versions("longest", column_conflicts={"value": _policy_of_the_docs()}),
    _versions("overwritten", conflict=Overwrite()),
    _versions("later", conflict=LaterWins("version")),
    _versions("kept", conflict=KeepStored()),
    _versions("filled", conflict=FillBlanks()),
    _versions("first_known", column_conflicts={"value": FirstKnown()}),
    _versions("greatest", conflict=Greatest()),
    _versions("least", conflict=Least()),
    _versions("without_conflict", conflict=RejectConflicts()),
    _versions("first_in_file", duplicates=FirstInFile()),
    _versions("newest_in_file", duplicates=NewestInFile("version")),
    _versions("once_in_file", duplicates=RejectDuplicates()),
    _versions("watched"),
    Feed(
        name="wares",
        description="Wares.",
        contract=Ware,
        key=("sku",),
        column_conflicts={
            "note": FillBlanks(),
            "first_seen_on": Least(),
            "best_price": Greatest(),
            "maker": KeepStored(),
            "secret": RejectConflicts(),
        },
    ),
    Feed(
        name="entries",
        description="Entries of files without a header.",
        contract=Entry,
        key=("code",),
        dialect=TableDialect(delimiter=";"),
        encodings=("cp1251",),
        needs_good_row=True,
    ),
    Feed(
        name="prices",
        description="Prices of a day.",
        contract=Price,
        key=("sku", "day"),
        file_name=FileName(
            pattern=r"prices_(?P<day>[\d-]+)(?:_v(?P<edition>\d+))?\.csv",
            shown="prices_<YYYY-MM-DD>[_v<edition>].csv",
            folders=r"(?:.*/)?(?P<region>\d\d - [^/]+)",
        ),
    ),
    Feed(
        name="latest_prices",
        description="The price of the last day that a file's name tells.",
        contract=Price,
        key=("sku",),
        conflict=LaterWins("day"),
        file_name=FileName(pattern=r"(?P<day>[\d-]+)(?:_.*)?\.csv", shown="<YYYY-MM-DD>[_…].csv"),
    ),
    Feed(
        name="prices_of_accounts",
        description="Prices of a day, by files that are named after their account.",
        contract=Price,
        key=("sku", "day"),
        file_name=FileName(
            pattern=r"(?P<account>[\w-]+)_(?P<day>\d{4}-\d\d-\d\d)\.csv",
            shown="<account>_<YYYY-MM-DD>.csv",
        ),
    ),
    Feed(name="shifts", description="Shifts.", contract=Shift, key=("shift",)),
    Feed(
        name="events",
        description="Events.",
        contract=Event,
        key=("event",),
        time_zone="Europe/Berlin",
    ),
    Feed(name="bookings", description="Bookings.", contract=Booking, key=("booking",)),
    Feed(
        name="signals",
        description="Signals.",
        contract=Signal,
        key=("at", "flag", "document", "share"),
        column_conflicts={"last": Greatest()},
    ),
    Feed(name="messages", description="Messages.", contract=Message),
    Feed(name="parts", description="Parts.", contract=Part, key=("number",)),
    Feed(
        name="payments",
        description="Payments.",
        contract=Payment,
        derived=(_by_day("paid_by_day", "payments", "paid_on", "amount"),),
    ),
    Feed(
        name="visits",
        description="Visits.",
        contract=Visit,
        key=("visit",),
        derived=(_by_day("visits_by_day", "visits", "day", "spent"),),
    ),
    Feed(name="people", description="People.", contract=Person, key=("person_id",)),
    Feed(name="moods", description="Words.", contract=Mood, key=("tag",)),
    Feed(
        name="versions",
        description="Versioned values.",
        contract=Version,
        key=("key",),
        conflict=NewestWins("version"),
    ),
    Feed(
        name="limited",
        description="Values that may not be bad too often.",
        contract=Version,
        key=("key",),
        max_rejected_rows=3,
        max_rejected_share=0.1,
    ),
)
