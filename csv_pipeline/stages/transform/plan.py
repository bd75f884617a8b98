"""How a file is typed: its columns, styles and facts, decided before any row is cast."""

from collections.abc import Mapping
from dataclasses import dataclass

from csv_pipeline.account import Account
from csv_pipeline.casts.reading import Reading
from csv_pipeline.model import FileFacts
from csv_pipeline.spec.contract import Column
from csv_pipeline.spec.feed import Feed, Layout
from csv_pipeline.spec.kinds import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How the columns of one header become those of the contract."""

    feed: Feed
    layout: Layout
    sources: Mapping[str, int]  # contract column → place in the header
    others: Mapping[str, int]  # contract column → another place that claims to be it
    extras: Mapping[str, int]  # other heading → place in the header
    header: tuple[str, ...]
    headings: dict[str, str]
    account: Account  # what it declares of currency, day order and decimal mark
    stating: tuple[str, ...]  # columns of amounts that state a currency
    readings: Mapping[str, Reading]  # of the columns that the file has
    nulls: frozenset[str]  # words for no value, case-folded, where a column is not text
    facts: FileFacts

    def columns(self) -> tuple[str, ...]:
        """Return the contract's columns that this file gives values to."""
        return tuple(
            column.name
            for column in self.feed.columns
            if column.derived or column.substitute is not None or column.name in self.sources
        )

    def amount_at(self, position: int) -> str | None:
        """Return the column of amounts at a place of the header, if there is one."""
        amounts = (c.name for c in self.feed.columns if c.kind is Kind.DECIMAL)
        return next((name for name in amounts if self.sources.get(name) == position), None)


def is_id(column: Column, feed: Feed) -> bool:
    """Return whether the values of a column name things, so that damage to them matters."""
    return column.identifier or column.name in feed.key
