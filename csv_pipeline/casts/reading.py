"""How the values of a column are read, as its file, its account and its feed settled."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from csv_pipeline.account import DateOrder

_YEARS_BACK, _YEARS_AHEAD = 60, 10  # of two digits; beyond them a century is as likely as the next


@dataclass(frozen=True, slots=True)
class Reading:
    """What is settled of the amounts, dates or times of a column; None: each value by itself.

    `style` is the decimal mark of amounts, or the order of dates of three numbers. Times without a
    settled `zone` are read by the one that each states. A year of two digits is one of `since` to
    `until`; digits alone are times of the `form` that the column proves. A time that `follows` a
    date may be absent where the date is alone. `26-05-18` may begin with its year unless that is
    known to be `year_last`, and `lip` is a month in a known `language` only. `zones` are the
    offsets of abbreviations that the column declares. Of a timestamp, `zone` is that of the values
    which state none, by its name of IANA.
    """

    style: str | None = None
    zone: str | None = None
    since: int = 1969
    until: int = 2068
    form: str | None = None
    follows: bool = False
    year_last: bool = False
    language: str | None = None
    zones: Mapping[str, str] = field(default_factory=dict)

    @property
    def tells_year(self) -> bool:
        """Whether it is known at which end of three numbers the year is."""
        return self.year_last or self.style == DateOrder.YEAR_FIRST


def years(year: int, *, past: bool) -> tuple[int, int]:
    """Return which years, first and last, two digits may mean in a file of a year."""
    return year - _YEARS_BACK, year if past else year + _YEARS_AHEAD


def century(year: pl.Expr, since: int, until: int) -> pl.Expr:
    """Return the first two digits of the one year from `since` to `until` that ends so, else null.

    The years are fewer than a hundred.
    """
    first, last = f"{since % 100:02}", f"{until % 100:02}"
    if since // 100 == until // 100:
        return pl.when(year.is_between(pl.lit(first), pl.lit(last))).then(pl.lit(str(since // 100)))
    return (
        pl.when(year <= last)
        .then(pl.lit(str(until // 100)))
        .when(year >= first)
        .then(pl.lit(str(since // 100)))
    )
