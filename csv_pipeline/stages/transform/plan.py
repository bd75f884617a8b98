"""How files are typed: columns, styles and facts, decided before any row is cast."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from csv_pipeline.account import Account
from csv_pipeline.casts.moments import moments_of, reading
from csv_pipeline.casts.reading import Reading
from csv_pipeline.model import FileFacts
from csv_pipeline.spec.contract import Column
from csv_pipeline.spec.feed import Feed, Layout
from csv_pipeline.spec.kinds import Kind
from csv_pipeline.stages.transform.surveys import Decided


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How the columns of one header become those of the contract."""

    feed: Feed
    layout: Layout
    sources: Mapping[str, int]  # contract column → place in the header
    others: Mapping[str, tuple[int, ...]]  # contract column → other places that claim to be it
    extras: Mapping[str, int]  # other heading → place in the header
    header: tuple[str, ...]
    headings: dict[str, str]
    account: Account  # what it declares of currency, day order and decimal mark
    nulls: frozenset[str]  # words for no value, case-folded, where a column is not text
    decided: Decided
    facts: FileFacts
    told: Mapping[str, object]  # contract column → its value in all rows, by the file's name

    @property
    def styles(self) -> dict[str, str | None]:
        """How amounts, dates and times are read, by column."""
        return self.decided.styles

    @cached_property
    def readings(self) -> dict[str, Reading]:
        """How the columns that the file has are read."""
        moments = moments_of(self.feed.columns, self.sources, self.headings)
        return {
            **{name: Reading(self.styles.get(name)) for name in self.sources},
            **{c.name: reading(c, one, self.styles) for one in moments for c in one.columns},
        }

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
