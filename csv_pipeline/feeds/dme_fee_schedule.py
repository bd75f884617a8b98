"""Medicare's fees for medical equipment (DMEPOS): one row a code, its modifiers and a period.

CMS publishes the schedule four times a year, as a grid with two columns a state: `AL (NR)` the fee
in its non-rural areas, `AL (R)` that in its rural ones. The states are one column here, `fees`:

    {"AL": {"NR": "12.34", "R": "0.00"}, "AK": {"NR": "15.50", "R": null}}

A fee of 0.00 says "not applicable". It is stored as it is in the file, so that nothing of the file
is lost, and it is no price: the view `dme_fees` has a row a state, whose fees are null there. A
blank cell is null in both.

The period is told by the name of the file, as in `DMEPOS24_JAN.csv` or `DME24-A.csv`. A file whose
name does not tell it is refused, as is one whose title above the header names another year, or
another quarter's month only.
"""

import re

import polars as pl

from csv_pipeline.errors import ContradictionError
from csv_pipeline.feeds.common import HCPCS, HCPCS_EXAMPLES, HCPCS_NEEDS
from csv_pipeline.model import Evidence
from csv_pipeline.spec.contract import Contract, Gathers, Money, column, optional
from csv_pipeline.spec.feed import Feed, WholeFile
from csv_pipeline.spec.file_name import FileName
from csv_pipeline.spec.kinds import Kind

_QUARTERS = {
    "01": ("JAN", "A", "Q1", "1"),
    "04": ("APR", "B", "Q2", "4"),
    "07": ("JUL", "C", "Q3", "7"),
    "10": ("OCT", "D", "Q4"),
}
_YEAR_FIRST, _YEAR_LAST = (
    r"^(?:20)?([0-9]{2})[ _-]*([A-Z0-9]+)$",
    r"^([A-Z]+[1-4]?)[ _-]*(?:20)?([0-9]{2})$",
)
_MONTH_OF = {word: month for month, words in _QUARTERS.items() for word in (month, *words)}

_YEAR, _MONTH = r"\b20[0-9]{2}\b", r"\b(?:January|April|July|October|Jan|Apr|Jul|Oct)\b"


_MODIFIER, _MODIFIER_NEEDS = r"^(?:[A-Z0-9]{2})?$", "two capital letters or digits, or nothing"


class Fee(Contract):
    """The fees of one code with its modifiers in one quarter, by state."""

    hcpcs_code: str = column(
        *("HCPCS", "HCPCS Code"), str_matches=HCPCS, needs=HCPCS_NEEDS, examples=HCPCS_EXAMPLES
    )
    modifier: str = column(
        *("Mod", "Modifier"),
        substitute="",
        str_matches=_MODIFIER,
        needs=_MODIFIER_NEEDS,
        examples=("NU", "RR"),
        description="such as NU, RR or UE",
    )
    modifier_2: str = column(
        *("Mod2", "Modifier 2"),
        substitute="",
        str_matches=_MODIFIER,
        needs=_MODIFIER_NEEDS,
        examples=("",),
    )
    schedule_period: str = column(
        derived=True, str_matches=r"^20[0-9]{2}-(?:01|04|07|10)$", description="such as 2024-01"
    )
    jurisdiction: str = optional("JURIS", "Jurisdiction", description="D: DME MAC, L: local MAC")
    category: str = optional("CATG", "Category", description="CR is capped rental, for example")
    ceiling: Money = optional("Ceiling", ge=0)
    floor: Money = optional("Floor", ge=0)
    fees: str = column(
        "AL (NR)",
        "AL (R)",
        gathers=Gathers(r"([A-Z]{2}) *\((NR|R)\)", scale=2, ge=0, currency="USD"),
        kind=Kind.JSON,
        description='by state, NR non-rural and R rural; "0.00" is not applicable, and no price',
    )
    description: str = optional("Description", "Short Description")


def period(rows: pl.LazyFrame) -> pl.LazyFrame:
    """Write the period that the file's name tells as year and month: `24_JAN` is `2024-01`."""
    told = pl.col("schedule_period").str.to_uppercase()
    year = pl.coalesce(told.str.extract(_YEAR_FIRST, 1), told.str.extract(_YEAR_LAST, 2))
    part = pl.coalesce(told.str.extract(_YEAR_FIRST, 2), told.str.extract(_YEAR_LAST, 1))
    month = part.replace_strict(_MONTH_OF, default=None, return_dtype=pl.String)
    return rows.with_columns(schedule_period=pl.format("20{}-{}", year, month))


def title_agrees(file: WholeFile) -> Evidence | None:
    """Hold the year and the month that the title above the header names against the file's name.

    Raises:
        ContradictionError: The title names other years only, or months of other quarters only.
    """
    told = file.rows.select(pl.col("schedule_period").drop_nulls().first()).collect().item()
    titles = [line for line in file.preamble if re.search("fee schedule", line, re.IGNORECASE)]
    if told is None:
        return None
    named = [_named(part, titles) for part in (_YEAR, _MONTH)]
    for part, there in zip(told.split("-"), named, strict=True):
        if there and part not in there:
            raise ContradictionError(
                file.name,
                f"the schedule of {told}, as the file's name says, was needed",
                f"the title above the header is of {', '.join(there.values())}",
            )
    found = [its[part] for part, its in zip(told.split("-"), named, strict=True) if its]
    if not found:
        return None
    because = f"the title above the header names {' and '.join(found)}, too"
    return Evidence(subject="schedule period", decision=told, because=because)


def _named(pattern: str, titles: list[str]) -> dict[str, str]:
    """Return what titles name, as they write it, by the part of a period that it is."""
    words = [word for line in titles for word in re.findall(pattern, line, re.IGNORECASE)]
    return {_MONTH_OF.get(word[:3].upper(), word): word for word in words}


DME_FEE_SCHEDULE = Feed(
    name="dme_fee_schedule",
    description="What Medicare pays for medical equipment, by code, quarter and state.",
    contract=Fee,
    key=("hcpcs_code", "modifier", "modifier_2", "schedule_period"),
    file_name=FileName(
        # A month in digits that a day follows is a date, and not of the schedule.
        pattern=r"(?i:.*?DME[^0-9]*?)(?P<schedule_period>(?:20)?[0-9]{2}[ _-]*"
        r"(?i:JAN|APR|JUL|OCT|Q[1-4]|[A-D]|(?:01|04|07|10)(?![ _-]?[0-9]))"
        r"|(?<![A-Za-z])(?i:JAN|APR|JUL|OCT|Q[1-4])[ _-]*(?:20)?[0-9]{2})(?:[^0-9A-Za-z].*)?",
        shown="DMEPOS<YY>_<JAN|APR|JUL|OCT>.csv or DME<YY>-<A|B|C|D>.csv",
        example="DMEPOS25_JAN.csv",
    ),
    transforms=(period,),
    file_checks=(title_agrees,),
    views={
        "dme_fees": """
            SELECT
                fee.account,
                fee.hcpcs_code,
                fee.modifier,
                fee.modifier_2,
                fee.schedule_period,
                state.key AS state,
                area.key = 'R' AS is_rural,
                nullif(area.value::numeric(18, 2), 0) AS fee
            FROM data.dme_fee_schedule AS fee
            CROSS JOIN jsonb_each(fee.fees) AS state
            CROSS JOIN jsonb_each_text(state.value) AS area
        """
    },
    max_rejected_share=0.5,
    group="medical_equipment",
)
