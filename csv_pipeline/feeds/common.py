"""Patterns and rules that several feeds share."""

import polars as pl

from csv_pipeline.casts.currencies import CODES

CURRENCIES = sorted(CODES)
CURRENCIES_NEED = "a currency's code of ISO 4217, such as USD"

GTIN = r"^[0-9](?:[ -]?[0-9]){7}(?:(?:[ -]?[0-9]){4,6})?$"
GTIN_NEEDS = "a UPC or EAN: 8, 12, 13 or 14 digits, the last of which checks the others"

HCPCS = r"^[A-Z][0-9]{4}$"
HCPCS_NEEDS = "a HCPCS code: a letter and four digits, such as E0601"
"""HCPCS level II, as CMS assigns it: https://www.cms.gov/medicare/coding-billing/healthcare-common-procedure-system"""
HCPCS_EXAMPLES = ("E0601", "K0001")

NPI = r"^[0-9]{10}$"
NPI_NEEDS = "an NPI: ten digits, the last of which checks the others"
NPI_EXAMPLES = ("1234567893", "1003000126")

_IN_HOUSE = r"^0(?:0[24]|2)|^000000[02]"
"""Of 14 digits; source: GS1 General Specifications, 1.4, restricted circulation numbers."""


def has_gs1_check_digit(column: str) -> pl.Expr:
    """Return whether the digits of a GTIN, weighed 3 and 1 in turn from the end, add up to tens.

    Source: GS1 General Specifications, 7.9.1. True of what is no GTIN, which the form of the number
    is asked for already, and of numbers for use in house, whose last digit may be any.
    """
    is_gtin = pl.col(column).str.contains(GTIN)
    digits = pl.when(is_gtin).then(pl.col(column).str.replace_all("[ -]", "").str.zfill(14))
    total = pl.sum_horizontal(
        digits.str.slice(place, 1).cast(pl.Int64) * (1 if place % 2 else 3) for place in range(14)
    )
    is_free = digits.str.contains(_IN_HOUSE)
    return ~is_gtin.fill_null(value=False) | is_free | (total % 10 == 0)


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
