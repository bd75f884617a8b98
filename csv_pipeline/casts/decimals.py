"""Amounts: `$1,022.25`, `AU $3,000.00`, `EUR 90,00`, `1 234,50 €`, `($25.99)`, `1'200.-`, `18.40-`.

An amount is read in two steps. `read` parts it into its number, with the marks that it is written
with, and the currency it states; `cast` makes a decimal of the number by the column's decimal mark.
`Rs. 500/-` is 500, and `$ -` is 0, as spreadsheets write it in the format of accounts. `NaN`, `1e3`
and `Infinity` are not amounts, a digit beyond the scale is never rounded away, and what may be read
in two ways makes no amount.
"""

import re
from collections.abc import Callable, Iterator

import polars as pl

from csv_pipeline.account import DecimalMark
from csv_pipeline.casts import currencies, signs
from csv_pipeline.casts.evidence import Survey
from csv_pipeline.spec.contract import Column

HINT = "an amount with at most {scale} decimals"
TOO_LARGE = "larger than an amount can be here; {digits} digits before the decimals are the most"
POWER = r"^[+-]?[0-9]+(?:[.,][0-9]+)?[Ee][+-]?[0-9]{1,3}$"
WITH_POWER = "all digits of the number; a spreadsheet that writes E for a power of ten drops some"
_MOST_WORDS = 100
_AROUND = "0123456789.,'()+- "  # what a number may have at its ends besides a currency
_MARK = r"[0-9.,'()+\-: ]"
_RUN = rf"{_MARK}*[0-9]{_MARK}*"
_WORD = r"[^0-9.,'()+\-: ¤]+"
_NUMBER = r"^-?[0-9][0-9.,]*$"
_SPACED = r"^[1-9][0-9]{0,2}(?:(?:'[0-9]{3})+|(?: [0-9]{3})+)(?:[.,][0-9]+)?$"
_WRITTEN_OUT = (
    (r"([0-9]) ?/[-=]$", "$1"),  # of India and East Africa: no paise, no cents
    (r"^([^0-9.,'()+\-:|]*[^0-9.,'()+\-:| ]\.?) *-$", "${1} 0"),
    (r"^- *([^0-9.,'()+\-:| ][^0-9.,'()+\-:|]*)$", "0 $1"),
)
_PARTS = ("outer", "before", "inner", "inside", "digits", "dash", "after", "closing")
_AMOUNT = (
    r"^¤? *(\(?) *([+-]?) *¤? *(\(?) *([+-]?) *([0-9](?:[0-9.,' ]*[0-9])?|[.,][0-9]+)"
    r"(?:([.,:])-{1,2})? *¤? *([+-]?) *(\)?) *¤?$"
)


def survey(column: Column, heading: str) -> Survey:
    """Return the survey of which mark precedes the decimals.

    A mark before three digits may group thousands; before any other number of digits at the end it
    is the decimal mark, and so is the last of two different marks. A mark that occurs twice groups.
    """
    return Survey(
        column=column.name,
        heading=heading,
        protected=column.protected,
        declared=column.style,
        styles=(DecimalMark.POINT, DecimalMark.COMMA),
        proofs=(proof(DecimalMark.POINT), proof(DecimalMark.COMMA)),
        ambiguous=r"^-?[1-9][0-9]{0,2}[.,][0-9]{3}$",
        plain=r"^[0-9]+\.[0-9]{1,2}$",
        meaning=meaning,
    )


def meaning(text: str, mark: str) -> str | None:
    """Return the number that a text is by a decimal mark, written without groups."""
    found: str | None = by_mark(read(pl.Series([text]))[0], mark, "[0-9]+")[0]
    return found


def proof(mark: str) -> str:
    """Return the pattern of a number that can be read by this decimal mark only."""
    point, group = _marks(mark)
    grouped = rf"{_grouped(group, '+')}{point}[0-9]+|{_grouped(group, '{2,}')}"
    ungrouped = rf"(?:|0[0-9]*|[1-9][0-9]{{3,}}){point}[0-9]+"
    short = rf"[1-9][0-9]{{0,2}}{point}(?:[0-9]{{1,2}}|[0-9]{{4,}})"
    return rf"^-?(?:{grouped}|{ungrouped}|{short})$"


def cast(values: pl.Series, dtype: pl.Decimal, mark: str | None) -> pl.Series:
    """Return decimals of `dtype`; null where the text is no amount that fits it exactly.

    With `mark` None each value is read by the mark it proves itself.
    """
    digits = _decimals(dtype)
    if mark != DecimalMark.COMMA and values.str.contains(rf"^-?[0-9]+(?:\.{digits})?$").all():
        return values.cast(dtype, strict=False)
    numbers, _ = read(values)
    return by_mark(numbers, mark, digits).cast(dtype, strict=False)


def reasons(
    values: pl.Series, dtype: pl.Decimal, mark: str | None
) -> Iterator[tuple[pl.Series, str, str]]:
    """Give where a text is a number with a power of ten, or with more digits than `dtype` has."""
    yield values.str.contains(POWER), "decimal", WITH_POWER
    numbers = by_mark(read(values)[0], mark, _decimals(dtype))
    large = numbers.is_not_null() & numbers.cast(dtype, strict=False).is_null()
    yield large, "too_large", TOO_LARGE.format(digits=(dtype.precision or 38) - dtype.scale)


def by_mark(numbers: pl.Series, mark: str | None, decimals: str) -> pl.Series:
    """Return numbers as Polars reads them; null where one cannot be read by this decimal mark.

    `decimals` is the pattern of the digits that may follow the mark. With `mark` None each number
    is read by the mark it can be read by.
    """
    if mark is None:
        point = by_mark(numbers, DecimalMark.POINT, decimals)
        if point.null_count() == numbers.null_count():
            return point
        return point.fill_null(by_mark(numbers, DecimalMark.COMMA, decimals))
    point_, group = _marks(mark)
    fits = numbers.str.contains(rf"^-?(?:[0-9]*|{_grouped(group, '+')})(?:{point_}{decimals})?$")
    text = numbers.str.replace_all(group[-1], "", literal=True)
    if mark == DecimalMark.COMMA:
        text = text.str.replace(",", ".", literal=True)
    return text if fits.all() else text.set(~fits, None)


def read(values: pl.Series) -> tuple[pl.Series, pl.Series | None]:
    """Return each amount's number and the currency it states; None if no value states one.

    A number is digits with the marks between them as they are written, and `-` before it; null
    where the text is no amount.
    """
    plain = values.str.contains(_NUMBER)
    if plain.all():
        return values, None
    odd = (~plain).arg_true()
    number, currency = _parted(values.gather(odd)).get_columns()
    none = pl.Series([None], dtype=pl.String).new_from_index(0, len(values))
    return values.clone().scatter(odd, number), none.scatter(odd, currency)


def currency(values: pl.Series) -> pl.Series:
    """Return the currency that each text states, be it an amount or a currency's own name."""
    numbers, stated = read(values)
    if stated is None:
        return pl.Series(values.name, [None], dtype=pl.String).new_from_index(0, len(values))
    names = (numbers.is_null() & values.is_not_null()).arg_true()
    alone = values.gather(names)
    distinct = alone.unique()
    found = [currencies.stated(f"{name}|") or None for name in signs.ascii_number(distinct)]
    made = pl.Series(found, dtype=pl.String)
    return stated.scatter(names, alone.replace_strict(distinct, made, return_dtype=pl.String))


def _parted(texts: pl.Series) -> pl.DataFrame:
    """Return `number` and `currency` of amounts; most begin with the same currency."""
    first = texts[0].strip(_AROUND)
    currency = currencies.stated(f"{first}|")
    if not currency:
        return _by_words(texts)
    number = texts.str.strip_prefix(first).str.strip_chars_start(" ").alias("number")
    frame = pl.select(number, pl.repeat(currency, len(texts)).alias("currency"))
    return _completed(frame, number.str.contains(_NUMBER), texts, _by_words)


def _by_words(texts: pl.Series) -> pl.DataFrame:
    """Return the same of amounts, most of which have one of a few currencies and no more."""
    words = texts.str.strip_chars(_AROUND)
    known = _currencies(words.unique())
    letters = "".join(sorted({*"".join(known), " "}))
    frame = pl.DataFrame({"text": texts, "words": words}).select(
        number=pl.col("text").str.strip_chars(letters),
        currency=pl.col("words").replace_strict(known, default=None, return_dtype=pl.String),
    )
    simple = frame["currency"].is_not_null() & frame["number"].str.contains(_NUMBER)
    return _completed(frame, simple, texts, _by_distinct)


def _by_distinct(texts: pl.Series) -> pl.DataFrame:
    """Return the same of any texts; those that are no amount repeat a few words."""
    distinct = texts.unique()
    made = _elaborate(distinct)
    return pl.DataFrame(
        texts.replace_strict(distinct, one).alias(one.name) for one in made.get_columns()
    )


def _completed(
    frame: pl.DataFrame,
    simple: pl.Series,
    texts: pl.Series,
    read_others: Callable[[pl.Series], pl.DataFrame],
) -> pl.DataFrame:
    """Return the frame with what is read of the texts that are not simple in their rows."""
    if simple.all():
        return frame
    others = (~simple).arg_true()
    made = read_others(texts.gather(others))
    return pl.DataFrame(one.scatter(others, made[one.name]) for one in frame.get_columns())


def _currencies(words: pl.Series) -> dict[str, str]:
    """Return those of the words that are currencies, on either side of the number."""
    if len(words) > _MOST_WORDS:
        return {}
    found = {word: currencies.stated(f"|{word}") for word in words.drop_nulls()}
    return {word: currency for word, currency in found.items() if currency}


def _elaborate(values: pl.Series) -> pl.DataFrame:
    """Return `number` and `currency` of amounts with signs on any side."""
    text = signs.ascii_number(values)
    for written, plain in _WRITTEN_OUT:
        text = text.str.replace(written, plain)
    around = text.str.replace_all(_RUN, "|").str.replace_all(_MARK, "")
    known = {words: currencies.stated(words) for words in around.unique().drop_nulls()}
    stated = around.replace_strict(known, default=None, return_dtype=pl.String)
    unit = text.str.replace_all(r"([\pL/])\.([^-]|$)", "$1$2").str.replace_all(_WORD, "¤")
    groups = unit.str.replace_all("¤(?: *¤)+", "¤").str.extract_groups(_AMOUNT).struct.unnest()
    frame = groups.rename(dict(zip(groups.columns, _PARTS, strict=True))).with_columns(
        around.alias("around"), stated.alias("stated")
    )
    brackets, digits = pl.col("outer") + pl.col("inner"), pl.col("digits")
    sign = brackets + pl.col("before") + pl.col("inside") + pl.col("after")
    fits = (
        pl.col("stated").is_not_null()
        & (brackets.str.len_chars() == pl.col("closing").str.len_chars())
        & (sign.str.len_chars() <= 1)
        & (~digits.str.contains("[' ]") | digits.str.contains(_SPACED))
        # Of `Fr.50` the point is the word's; of `Fr. -.50` the meaning of the hyphen is unknown.
        & ~(digits.str.contains("^[.,]") & pl.col("around").str.contains(r"\pL"))
    )
    minus = pl.when(sign.is_in(["(", "-"])).then(pl.lit("-")).otherwise(pl.lit(""))
    none_after = pl.when(pl.col("dash").is_in([".", ","])).then(pl.col("dash") + "0")
    number = pl.concat_str(minus, digits.str.replace_all("[' ]", ""), none_after.fill_null(""))
    return frame.select(
        number=pl.when(fits).then(number),
        currency=pl.when(fits & (pl.col("stated") != "")).then("stated"),
    )


def _decimals(dtype: pl.Decimal) -> str:
    """Return the pattern of digits behind the mark of which none is lost."""
    return rf"[0-9]{{1,{dtype.scale}}}0*" if dtype.scale else "0+"


def _marks(mark: str) -> tuple[str, str]:
    """Return the patterns of the mark before the decimals, and of the one that groups."""
    point, group = (".", ",") if mark == DecimalMark.POINT else (",", ".")
    return re.escape(point), re.escape(group)


def _grouped(group: str, times: str) -> str:
    """Return the pattern of digits in groups, so many times a group behind the first.

    In India the comma precedes the last three digits and then every two.
    """
    grouped = rf"[1-9][0-9]{{0,2}}(?:{group}[0-9]{{3}}){times}"
    indian = rf"|[1-9][0-9]?(?:{group}[0-9]{{2}})+{group}[0-9]{{3}}"
    return rf"(?:{grouped}{indian if group == ',' else ''})"
