"""Whole numbers: `1200`, `1,200`, `1.200`, `3.0`, `+5`, `1 234`, `(5)`.

They are written with the marks of the file's amounts. A part of one is no whole number, and neither
is one that states a currency.
"""

from collections.abc import Iterable, Iterator, Mapping

import polars as pl

from csv_pipeline.account import DecimalMark, Setting
from csv_pipeline.casts import decimals
from csv_pipeline.casts.evidence import Survey, decide, refuse_disproved
from csv_pipeline.model import Evidence
from csv_pipeline.spec.contract import Column

HINT = "a whole number"
TOO_LARGE = (
    "larger than a whole number can be here; "
    "they go from -9,223,372,036,854,775,808 to 9,223,372,036,854,775,807"
)
_ZEROS = "0+"


def survey(column: Column, heading: str) -> Survey:
    """Return the survey of which mark precedes the decimals.

    Of `1,234` the comma groups, as else it were no whole number. `1,000` may be 1.
    """
    styles = (DecimalMark.POINT, DecimalMark.COMMA)
    grouped = "^-?[1-9][0-9]{{0,2}}{}(?:[1-9][0-9]{{2}}|[0-9][1-9][0-9]|[0-9]{{2}}[1-9])$"
    return Survey(
        column=column.name,
        heading=heading,
        protected=column.protected,
        declared=column.style,
        styles=styles,
        proofs=(
            f"{decimals.proof(styles[0])}|{grouped.format(',')}",
            f"{decimals.proof(styles[1])}|{grouped.format('[.]')}",
        ),
        ambiguous=r"^-?[1-9][0-9]{0,2}[.,]000$",
        read=_marked,
        meaning=decimals.meaning,
    )


def cast(values: pl.Series, mark: str | None) -> pl.Series:
    """Return whole numbers; null where the text is none, or one of more than 64 bits.

    With `mark` None each value is read by the mark by which it is a whole number.
    """
    made = values.cast(pl.Int64, strict=False)
    if made.null_count() == values.null_count():
        return made
    odd = (made.is_null() & values.is_not_null()).arg_true()
    return made.scatter(odd, _whole(values.gather(odd), mark).cast(pl.Int64, strict=False))


def reasons(values: pl.Series, mark: str | None) -> Iterator[tuple[pl.Series, str, str]]:
    """Give where a text is a number with a power of ten, or a whole one of more than 64 bits."""
    yield values.str.contains(decimals.POWER), "integer", decimals.WITH_POWER
    digits = _whole(values, mark)
    large = digits.is_not_null() & digits.cast(pl.Int64, strict=False).is_null()
    yield large, "too_large", TOO_LARGE


def numbers(values: pl.Series) -> pl.Series:
    """Return the numbers, as `decimals.read` does; null where one states a currency.

    Or where `+` stands behind it: `3+` are three or more.
    """
    found, currency = decimals.read(values)
    found = found.set(values.str.contains(r"[+\x{ff0b}\x{fe62}]\s*$").fill_null(value=False), None)
    return found if currency is None else found.set(currency.is_not_null(), None)


def marks(
    surveys: Iterable[Survey],
    amounts: Iterable[Survey],
    setting: Setting,
    settled: Mapping[str, str | None],
    file_name: str,
) -> tuple[dict[str, str | None], list[Evidence]]:
    """Return each column's decimal mark and the evidence for it; None: each value by itself.

    It is the one that the `setting` declares, or `settled` when the rows were read before, or the
    one that the file's amounts prove; else the one of the column's own values.

    Raises:
        UndecidableError: A column has values that could be either and nothing settles which.
        ContradictionError: It has, and others of it prove another mark than the account declared
            or the amounts prove. Without them, the others are rejects.
    """
    proven = {survey.proven for survey in amounts} - {None}
    amounts_mark = next(iter(proven)) if len(proven) == 1 else None
    styles: dict[str, str | None] = {}
    evidence: list[Evidence] = []
    for one in surveys:
        reasons = (
            one.told(setting),
            (settled.get(one.column), "so was the import read that is repaired"),
            (amounts_mark, f"amounts of the file prove {amounts_mark}"),
        )
        style, because = next(((style, because) for style, because in reasons if style), (None, ""))
        if style is None and not one.silent:
            own, why = decide([one], setting, {}, file_name)
            styles |= own
            evidence += why
            continue
        if style is not None and not settled.get(one.column) and one.open.count:
            told_by = setting.because if setting.value else because
            refuse_disproved(one, style, told_by, file_name, setting)
        styles[one.column] = style
        if not one.silent:
            subject = f"decimal mark of {one.heading}"
            evidence.append(Evidence(subject=subject, decision=str(style), because=because))
    return styles, evidence


def _marked(values: pl.Series, _: pl.Series) -> pl.Series:
    """Return numbers that may say which mark precedes decimals, and null for all others."""
    if values.cast(pl.Int64, strict=False).null_count() == values.null_count():  # nearly always
        return pl.Series([None], dtype=pl.String).new_from_index(0, len(values))
    return numbers(values)


def _whole(values: pl.Series, mark: str | None) -> pl.Series:
    """Return the digits of whole numbers of any size, null where the text is none."""
    distinct = values.unique()
    digits = decimals.by_mark(numbers(distinct), mark, _ZEROS).str.replace(r"\.0+$", "")
    return values.replace_strict(distinct, digits, return_dtype=pl.String)
