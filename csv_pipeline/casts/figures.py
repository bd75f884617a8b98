"""Decide how the amounts and whole numbers of a file are read, and in which currency they are."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import polars as pl

from csv_pipeline.account import Account
from csv_pipeline.casts import decimals, integers, percents
from csv_pipeline.casts.currencies import Stated
from csv_pipeline.casts.evidence import Sightings, Survey, decide
from csv_pipeline.errors import MixedCurrenciesError
from csv_pipeline.model import Evidence
from csv_pipeline.spec.contract import Column
from csv_pipeline.spec.kinds import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What the values of the columns of amounts, whole numbers and percentages prove.

    `stated` are the currencies of the amounts; the rows keep them if the file `has_currency`.
    """

    amounts: list[Survey]
    wholes: list[Survey]
    shares: list[Survey]
    stated: list[Stated]
    has_currency: bool

    @property
    def surveys(self) -> tuple[Survey, ...]:
        """All of them."""
        return (*self.amounts, *self.wholes, *self.shares)

    @property
    def stating(self) -> tuple[str, ...]:
        """The columns of amounts of which any states a currency."""
        return tuple(one.column for one in self.stated if one.found)

    def of(
        self,
        surveys: Mapping[str, Survey],
        amounts: Mapping[str, tuple[pl.Series, pl.Series]],
        rows: pl.Series,
    ) -> "Figures":
        """Return the same of some of the rows, by their `surveys`.

        `amounts` are the currencies and the texts of the columns that state any.
        """
        stated = [replace(one, found={}, dashes=Sightings()) for one in self.stated]
        for one, of_all in zip(stated, self.stated, strict=True):
            if one.column in amounts:
                currencies, texts = amounts[one.column]
                if of_all.dashes.count:
                    one.add(currencies, texts, rows)
                else:
                    one.count(currencies, rows)
        return replace(
            self,
            amounts=[surveys[survey.column] for survey in self.amounts],
            wholes=[surveys[survey.column] for survey in self.wholes],
            shares=[surveys[survey.column] for survey in self.shares],
            stated=stated,
        )

    def decided(
        self, account: Account, settled: Mapping[str, str | None], name: str, feed: str
    ) -> tuple[dict[str, str | None], list[Evidence]]:
        """Return the decimal mark of each column, and the evidence for it and for the currencies.

        Raises:
            ContradictionError: An amount proves another mark than the account declared.
            UndecidableError: A column has values that could be either and nothing settles which.
            MixedCurrenciesError: A column is in several currencies, and none says in which.
        """
        mark = account.setting("decimal_mark")
        marks, of_marks = decide([*self.amounts, *self.shares], mark, settled, name)
        wholes, of_wholes = integers.marks(self.wholes, self.amounts, mark, settled, name)
        return marks | wholes, [*of_marks, *of_wholes, *self._currencies(account, name, feed)]

    def _currencies(self, account: Account, name: str, feed: str) -> Iterable[Evidence]:
        yield from (one.of_dashes() for one in self.stated if one.dashes.count)
        for one in () if self.has_currency else self.stated:
            if one.found and one.one is None:
                codes = one.codes_of_signs()
                settle = (account.setting("currency").declare(code) for code in codes)
                told = f"; to settle what the sign means: {' or '.join(settle)}" if codes else ""
                raise MixedCurrenciesError(name, feed, one.heading, str(one), told)
            if one.found:
                yield one.evidence()


def figures_of(
    columns: Sequence[Column],
    sources: Mapping[str, int],
    headings: Mapping[str, str],
    currency: str | None,
) -> Figures:
    """Return the columns of a file that hold figures; `currency` is what its bare signs mean."""
    present = [column for column in columns if column.name in sources]
    amounts = [
        decimals.survey(column, headings[column.name])
        for column in present
        if column.kind is Kind.DECIMAL
    ]
    stated = [Stated(one.column, one.heading, one.protected, currency) for one in amounts]
    for survey, its in zip(amounts, stated, strict=True):
        survey.read = partial(_number, its)
    return Figures(
        amounts=amounts,
        wholes=[
            integers.survey(column, headings[column.name])
            for column in present
            if column.kind is Kind.INTEGER
        ],
        shares=[
            percents.survey(column, headings[column.name])
            for column in present
            if column.kind is Kind.PERCENT
        ],
        stated=stated,
        has_currency=any(column.kind is Kind.CURRENCY for column in present),
    )


def _number(stated: Stated, values: pl.Series, row_numbers: pl.Series) -> pl.Series:
    """Return the numbers of amounts and take note of their currencies."""
    numbers, currency = decimals.read(values)
    stated.add(currency, values, row_numbers)
    return numbers
