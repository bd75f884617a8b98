"""Patterns and rules that several feeds share."""

import polars as pl

from csv_pipeline.spec.declared import types

EMAIL, EMAIL_NEEDS = f"^{types.EMAIL}$", types.EMAIL_NEEDS

HCPCS = r"^[A-Z][0-9]{4}$"
HCPCS_NEEDS = "a HCPCS code: a letter and four digits, such as E0601"
"""HCPCS level II, as CMS assigns it: https://www.cms.gov/medicare/coding-billing/healthcare-common-procedure-system"""

NPI = r"^[0-9]{10}$"
NPI_NEEDS = "an NPI: ten digits, the last of which checks the others"


def has_npi_check_digit(column: str) -> pl.Expr:
    """Return whether the last digit of an NPI is the one that the nine before it make.

    Source: 45 CFR 162.406(a); CMS, "Requirements for National Provider Identifier and NPI Check
    Digit": the Luhn formula (ISO/IEC 7812) over the number with the prefix 80840, whose digits add
    24. True of what is no number of ten digits, which the form of the number is asked for already.
    """
    number = pl.when(pl.col(column).str.contains(NPI)).then(pl.col(column)).cast(pl.Int64)
    total = pl.lit(24)
    for place in range(10):
        digit = number // 10**place % 10
        total += digit if place % 2 == 0 else digit * 2 - (digit > 4).cast(pl.Int64) * 9
    return (total % 10 == 0).fill_null(value=True)
