"""Give amounts the sign that another column tells; one without a sign is a reject."""

from collections.abc import Iterator, Mapping

import polars as pl

from csv_pipeline.rejects.faults import fault_rows
from csv_pipeline.spec.contract import Column, choice_key
from csv_pipeline.spec.sign import SignFrom, TwoAmounts
from csv_pipeline.stages.transform.plan import Plan

_Signed = tuple[pl.Series, Iterator[tuple[pl.Series, Column, str]]]
"""Amounts, and which rows have a fault, with the column that is at fault and what it needs."""


def signed(
    typed: pl.DataFrame, text: pl.DataFrame, plan: Plan
) -> tuple[pl.DataFrame, list[pl.DataFrame]]:
    """Return the rows with their amounts signed, and a fault for each that has no sign, or two."""
    faults: list[pl.DataFrame] = []
    columns = {column.name: column for column in plan.feed.columns}
    for column in columns.values():
        if isinstance(column.sign, SignFrom) and column.name in plan.sources:
            words = columns[column.sign.column].choices
            made, found = _by_word(typed, text, column, column.sign, words)
        elif isinstance(column.sign, TwoAmounts):
            made, found = _of_two(typed, column.sign, columns)
        else:
            continue
        for mask, at, needed in found:
            if mask.any():
                shown = plan.headings.get(at.name, "")
                faults.append(fault_rows(text, mask, at, shown, "sign", needed))
                made = made.set(mask, None)
        typed = typed.with_columns(made.alias(column.name))
    return typed, faults


def _by_word(
    typed: pl.DataFrame, text: pl.DataFrame, column: Column, its: SignFrom, words: Mapping[str, str]
) -> _Signed:
    """Return the amounts by the word beside each; one that is 0 needs none.

    `words` are those that mean others of its column.
    """
    amount = typed[column.name]
    word = text[its.column] if its.column in text.columns else text[column.name].clear(len(amount))
    known = {choice_key(one): sign for one, sign in its.words.items()}
    meant = {choice_key(one): known.get(choice_key(kept)) for one, kept in words.items()} | known
    distinct = word.unique().drop_nulls()
    signs = pl.Series([meant.get(choice_key(one)) for one in distinct], dtype=pl.Int8)
    sign = word.replace_strict(distinct, signs, default=None, return_dtype=pl.Int8)
    counts = (amount != 0).fill_null(value=False)
    own = (amount < 0) | text[column.name].str.contains(r"^\s*[+＋]|[+＋]\s*$")  # noqa: RUF001
    asked = f"{', '.join(its.plus)} or {', '.join(its.minus)} in {its.column}"
    made = pl.select(pl.when((sign == -1).fill_null(value=False)).then(-amount).otherwise(amount))
    return made.to_series(), iter(
        (
            (counts & sign.is_null(), column, asked),
            (
                counts & sign.is_not_null() & own.fill_null(value=False),
                column,
                f"an amount without a sign of its own, beside {asked}",
            ),
        )
    )


def _of_two(typed: pl.DataFrame, its: TwoAmounts, columns: dict[str, Column]) -> _Signed:
    """Return the amount that one of two columns has; an amount of 0 beside another is none."""
    none = pl.Series([None], dtype=columns[its.plus].dtype).new_from_index(0, typed.height)
    plus, minus = (typed[name] if name in typed.columns else none for name in its.columns)
    both = ((plus != 0) & (minus != 0)).fill_null(value=False)
    is_minus = minus.is_not_null() & (plus.is_null() | ((plus == 0) & (minus != 0)))
    made = pl.select(pl.when(is_minus).then(-minus).otherwise(plus)).to_series()

    def faults() -> Iterator[tuple[pl.Series, Column, str]]:
        yield both, columns[its.plus], f"an amount in {its.plus} or in {its.minus}"
        for name, amount in zip(its.columns, (plus, minus), strict=True):
            needed = "an amount without a sign of its own, as the column tells it"
            yield (amount < 0).fill_null(value=False) & ~both, columns[name], needed

    return made, faults()
