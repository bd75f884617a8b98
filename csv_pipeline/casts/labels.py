"""Rows that look like a total, or like labels, units or types of the columns, by their key alone.

Such a row is no record, but nothing proves it: a customer may be called Total. So it is stored, and
a person is told.
"""

import re
from collections.abc import Sequence

import polars as pl

from csv_pipeline.model import ReportWarning
from csv_pipeline.spec.contract import heading

_SUMS = (
    r"totals?|totale[ns]?|totaux|totaa?lt?|eindtotaal|sums?|summen?|summa|suma|somma|somme|soma|"
    r"gesamt(?:summe|betrag|ergebnis)?|insgesamt|razem|łącznie|ogółem|suma końcowa|celkem|spolu|"
    r"(?:mind)?összesen|yhteensä|i alt|sammenlagt|toplam|ukupno|skupaj|kopā|(?:iš )?viso|kokku|"
    r"tổng(?: cộng)?|jumlah|итого|всего|общий итог|усього|всього|разом|σύνολο|"
    r'סה"כ|المجموع|الإجمالي|合計|総計|小計|总计|合计|小计|總計|합계|총계|소계|รวม'
)
_BEFORE = r"(?:(?:grand|sub|sous|zwischen|genel|gran)[\s-]?)?"
_BEHIND = (
    r"(?: (?:g[eé]n[eé]ral|complessivo|rows|records|orders|customers|items|lines|amount|sales))?"
)
_TOTAL = rf"(?i)^[\s*=_-]*{_BEFORE}(?:{_SUMS}){_BEHIND}[\s*=_:.-]*(?:\(\d+\)|: *\d+)?$"
_TYPES = (
    "string|text|str|varchar|nvarchar|char|character|int|integer|bigint|smallint|number|numeric|"
    "decimal|float|double|boolean|bool|date|datetime|timestamp|uuid|object|categorical"
)
_LABEL = rf'(?i)^(?:(?:{_TYPES})(?:\s*\(\d+\))?|[(\[][^)\]]*[)\]]|\{{"?ImportId"?.*)$'
_IS_TOTAL, _IS_LABEL = re.compile(_TOTAL).match, re.compile(_LABEL).match
_MOST_LINES = 20
_FEW = 2_000


TOTALS, LABELS = "rows.look_like_totals", "rows.look_like_labels"
_LOOKS = {
    TOTALS: "like a total, as the key is a word for a sum",
    LABELS: "like labels, units or types of the columns, by the key",
}


def is_total(keys: pl.Series) -> pl.Series:
    """Return which keys are a word for a sum, such as `Total`, `Summe:` or `合計`."""
    if len(keys) < _FEW:  # Polars would compile the pattern for every batch
        found = [key is not None and _IS_TOTAL(key) is not None for key in keys.to_list()]
        return pl.Series(found, dtype=pl.Boolean)
    return keys.str.contains(_TOTAL).fill_null(value=False)


def is_label(key: str | None, headings: frozenset[str]) -> bool:
    """Return whether a key is a type, a unit in brackets, an import id, or one of the headings."""
    return key is not None and (_IS_LABEL(key) is not None or heading(key) in headings)


def warning(code: str, line_numbers: Sequence[int]) -> ReportWarning:
    """Return what is to be said of rows that were stored although they look like this."""
    some = "1 row looks" if len(line_numbers) == 1 else f"{len(line_numbers):,} rows look"
    return ReportWarning(
        code=code,
        message=f"{some} {_LOOKS[code]}, and nothing proves it: stored",
        count=len(line_numbers),
        line_numbers=tuple(sorted(line_numbers)[:_MOST_LINES]),
    )
