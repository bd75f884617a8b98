"""Amounts: `$1,022.25`, `AU $3,000.00`, `EUR 90,00`, `1 234,50 €`, `($25.99)`, `-3,666.78`.

Forms as eBay's Seller Hub writes them by country. `NaN`, `1e3` and `Infinity` are not amounts, and
a digit beyond the scale is never rounded away.
"""

import re

import polars as pl

from csv_pipeline.casts.evidence import Survey
from csv_pipeline.contract import Column
from csv_pipeline.model import DecimalMark

HINT = "an amount with at most {scale} decimals"
_ISO = (
    "AED|ARS|AUD|BGN|BRL|CAD|CHF|CLP|CNY|COP|CZK|DKK|EUR|GBP|HKD|HUF|IDR|ILS|INR|ISK|JPY|KRW|MXN|MYR|"
    "NOK|NZD|PEN|PHP|PLN|RON|RUB|SAR|SEK|SGD|THB|TRY|TWD|UAH|USD|VND|ZAR"
)
_CURRENCY = rf"(?:(?:{_ISO})|(?:US|AU|CA?|NZ|HK|S|MX|R)?\s*\$|[€£¥])"
_MINUS = r"[-\u2212]"


def survey(column: Column, heading: str) -> Survey:
    """Return the survey of which mark stands before the decimals.

    A mark before three digits may group thousands; before any other number of digits at the end it
    is the decimal mark, and so is the last of two different marks. A mark that occurs twice groups.
    """
    start = rf"(?i)^\(?\s*{_MINUS}?\s*{_CURRENCY}?\s*{_MINUS}?\s*"
    end = rf"\s*{_CURRENCY}?\s*{_MINUS}?\)?$"

    def proof(mark: str, group: str) -> str:
        last = rf"[\d.,\s'\u2019]*{mark}(?:\d{{1,2}}|\d{{4,}})|0{mark}\d+"
        grouped = rf"[\d\s]*(?:{group}\d{{3}})+{mark}\d*|\d{{1,3}}(?:{group}\d{{3}}){{2,}}"
        return rf"{start}(?:{last}|{grouped}){end}"

    return Survey(
        column=column.name,
        heading=heading,
        protected=column.protected,
        ways=(DecimalMark.POINT, DecimalMark.COMMA),
        proofs=(proof(r"\.", ","), proof(",", r"\.")),
        ambiguous=rf"{start}[1-9]\d{{0,2}}[.,]\d{{3}}{end}",
        plain=r"^\d+\.\d{1,2}$",
    )


def cast(values: pl.Series, dtype: pl.Decimal, mark: str | None) -> pl.Series:
    """Return decimals of `dtype`; null where the text is no amount that fits it exactly.

    With `mark` None each value is read by the mark it proves itself.
    """
    match mark:
        case DecimalMark.POINT | DecimalMark.COMMA:
            return _by(values, mark, dtype)
        case _:
            return _by(values, DecimalMark.POINT, dtype).fill_null(
                _by(values, DecimalMark.COMMA, dtype)
            )


def currency(value: pl.Expr) -> pl.Expr:
    """Return the currency an amount states: an ISO 4217 code, or `$` where it shows only that."""
    letters = value.str.extract(r"([A-Za-z]{1,3})\s*[$€£¥]?\s*[\d(]|[\d)]\s*[A-Za-z]{3}$", 1)
    letters = letters.fill_null(value.str.extract(r"([A-Za-z]{3})$", 1)).str.to_uppercase()
    symbol = value.str.extract(r"([$€£¥])", 1)
    return (
        pl.when(letters.str.len_chars() == 3)
        .then(letters)
        .when(symbol == "$")
        .then(
            letters.replace_strict(
                {"US": "USD", "AU": "AUD", "C": "CAD", "CA": "CAD", "NZ": "NZD", "HK": "HKD"},
                default="$",
                return_dtype=pl.String,
            )
        )
        .otherwise(
            symbol.replace_strict(
                {"€": "EUR", "£": "GBP", "¥": "JPY"}, default=None, return_dtype=pl.String
            )
        )
    )


def _by(values: pl.Series, mark: str, dtype: pl.Decimal) -> pl.Series:
    """Cast plain amounts at once and the others, which take ten times as long, apart."""
    point, group = (".", ",") if mark == DecimalMark.POINT else (",", ".")
    decimals = rf"(?:{re.escape(point)}\d{{1,{dtype.scale}}})?"
    plain = values.str.contains(
        rf"^-?[$€£]?(?:\d{{1,3}}(?:{re.escape(group)}\d{{3}})+|\d+){decimals}$"
    )
    text = values.str.replace_all(f"[$€£{group}]", "")
    text = text if point == "." else text.str.replace(point, ".", literal=True)
    if plain.all():
        return text.cast(dtype, strict=False)
    others = (~plain).arg_true()
    cast = text.scatter(others, None).cast(dtype, strict=False)
    texts = values.gather(others)
    distinct = texts.unique()  # those that are no amount repeat a few words
    made = _elaborate(distinct, point, group, dtype)
    return cast.scatter(others, texts.replace_strict(distinct, made, return_dtype=dtype))


def _elaborate(values: pl.Series, point: str, group: str, dtype: pl.Decimal) -> pl.Series:
    """Cast amounts with signs, currencies and spaces wherever these are seen to stand."""
    whole = rf"\d{{1,3}}(?:[{group}\s'\u2019]\d{{3}})+|\d+"
    decimals = rf"(?:{re.escape(point)}(\d{{1,{dtype.scale}}})0*)?"
    pattern = (
        rf"(?i)^(\(?)\s*({_MINUS}?)\s*({_CURRENCY}?)\s*({_MINUS}?)\s*({whole}){decimals}\s*"
        rf"({_CURRENCY}?)\s*({_MINUS}?)(\)?)$"
    )
    groups = values.str.extract_groups(pattern).struct.unnest()
    opening, before, unit, inside, number, digits, other, after, closing = groups.get_columns()
    minus = (opening + before + inside + after).str.len_chars()
    frame = pl.DataFrame(
        {
            "fits": ((opening == "(") == (closing == ")"))
            & (minus <= 1)
            & ((unit == "") | (other == "")),
            "sign": minus.replace_strict({1: "-"}, default="", return_dtype=pl.String),
            "whole": number.str.replace_all(r"\D", ""),
            "digits": digits.fill_null("0"),
        }
    )
    text = pl.when("fits").then(pl.format("{}{}.{}", "sign", "whole", "digits"))
    return frame.select(text).to_series().cast(dtype, strict=False)
