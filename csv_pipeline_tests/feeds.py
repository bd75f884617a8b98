"""Small feeds that show one thing each."""

import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData

from csv_pipeline.conflict import NewestWins
from csv_pipeline.contract import Contract, Money, column
from csv_pipeline.model import Feed


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


TEST_FEEDS = (
    Feed(name="people", description="People.", contract=Person, key=("person_id",)),
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
