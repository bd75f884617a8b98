"""Signs that are the same to a reader: blanks, dashes and digits of every script.

Only what cannot be told apart is made one: full-width letters stay letters of their own, and a
raised `²` is no digit.
"""

import unicodedata
from functools import cache

import polars as pl

INVISIBLE = (
    r"[\x{ad}\x{34f}\x{61c}\x{180e}\x{200b}-\x{200f}\x{202a}-\x{202e}\x{2060}-\x{2064}"
    r"\x{2066}-\x{206f}\x{feff}\x{fff9}-\x{fffb}]"
)
"""Pattern of a sign without width, or that only says which way text runs; Unicode's default
ignorable code points, but for those that choose the look of the sign before."""

_MINUS = "\u2010\u2011\u2012\u2013\u2014\u2212\ufe58\ufe63\uff0d"
_BEYOND_DIGITS = 0x20000  # planes that have ideographs and tags; to look there takes a while
_APOSTROPHES = "\u2018\u2019\u02bc\u00b4`\u2032\uff07"


def ascii_number(values: pl.Series) -> pl.Series:
    """Return texts with ASCII digits, marks, minus and blanks in the place of any others."""
    seen = values.str.replace_all(INVISIBLE, "").str.replace_all(r"\s", " ")
    return seen.str.replace_many(_same()).str.strip_chars()


@cache
def digits() -> dict[str, str]:
    """Return the ASCII digit of each of any other script, by Unicode's category Nd."""
    signs = map(chr, range(0x80, _BEYOND_DIGITS))
    return {sign: str(unicodedata.decimal(sign)) for sign in signs if sign.isdecimal()}


@cache
def _same() -> dict[str, str]:
    """Return the ASCII sign of each that is the same in an amount.

    Full-width forms are U+FF01 to U+FF5E, in the order of ASCII. The Arabic marks for decimals and
    thousands are told apart.
    """
    wide = {chr(code): chr(code - 0xFEE0) for code in range(0xFF01, 0xFF5F)}
    currencies = {"￠": "¢", "￡": "£", "￥": "¥", "￦": "₩", "﹩": "$"}
    marks = {"\u066b": ".", "\u066c": ",", "﹢": "+", "﹐": ",", "﹒": ".", "﹙": "(", "﹚": ")"}
    minus = dict.fromkeys(_MINUS, "-")
    return wide | digits() | currencies | marks | minus | dict.fromkeys(_APOSTROPHES, "'")
