"""What a changed declaration does to stored rows: the casts that `storage.changes` needs.

A stored value is read again where that gives what the file's cell would give: where the new reading
drops no less than the one before. Else the cell is not known any more.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import polars as pl

from csv_pipeline.account import Account
from csv_pipeline.casts import cells, decimals, identifiers
from csv_pipeline.casts.by_kind import CASTS
from csv_pipeline.casts.reading import Reading as Settled
from csv_pipeline.casts.reading import years
from csv_pipeline.spec.contract import Column
from csv_pipeline.spec.feed import Feed, as_declared
from csv_pipeline.spec.kinds import Kind
from csv_pipeline.spec.readings import (
    FOLDED,
    IDENTIFIER,
    KIND,
    NORMALISED,
    NULLS,
    PADDED,
    SUBSTITUTE,
    Reading,
)
from csv_pipeline.stages.transform.plan import is_id
from csv_pipeline.stages.validate.rules import are_met
from csv_pipeline.storage.changes import Allowed, Readers, apply_changes, changes_of
from csv_pipeline.storage.database import Database
from csv_pipeline.storage.differences import Change
from csv_pipeline.storage.rereading import Reader, Reread

_TEXTS = {Kind.TEXT, Kind.CHOICE}


def diff(database: Database, feed: Feed) -> list[Change]:
    """Return how a feed differs from its stored rows; nothing is changed."""
    return changes_of(database, feed, readers(feed))


def apply(database: Database, feed: Feed, **allowed: Any) -> list[Change]:
    """Make the tables of a feed what it declares, as far as it is `changes.Allowed`."""
    return apply_changes(database, feed, readers(feed), Allowed(**allowed))


def readers(feed: Feed) -> Readers:
    """Return what reads stored texts, and cells of `_extra`, by what a feed declares."""
    return Readers(rereading(feed), partial(_read_cells, feed))


def rereading(feed: Feed) -> Reread:
    """Return what reads stored texts of a feed's columns again, by how they were read before."""
    columns = {column.name: column for column in feed.columns}

    def reread(name: str, before: Reading, now: Reading) -> Reader | None:
        if columns[name].kind not in _TEXTS or not _drops_no_less(before, now):
            return None
        return partial(_read, columns[name], feed, before, now)

    return reread


def _drops_no_less(before: Reading, now: Reading) -> bool:
    """Return whether what is stored tells what the cells would be by another reading."""
    was, its = before.facts, now.facts
    normal, nulls = was.get(NORMALISED, []), was.get(NULLS, [])
    tells = {
        KIND: was[KIND] == Kind.TEXT,
        IDENTIFIER: IDENTIFIER in its,
        FOLDED: FOLDED in its,
        PADDED: was.get(PADDED, 0) < its.get(PADDED, 0),
        NORMALISED: its.get(NORMALISED, [])[: len(normal)] == normal,
        NULLS: not normal and set(nulls) <= set(its.get(NULLS, [])),
        SUBSTITUTE: not normal and was.get(SUBSTITUTE, "") == "",
    }
    return all(tells.get(name, False) for name in before.differing(now))


def _read(
    column: Column, feed: Feed, before: Reading, now: Reading, texts: Sequence[str]
) -> list[str | None]:
    """Return what stored texts would be by another reading; None: a reject, or not known."""
    differ = set(before.differing(now))
    values = pl.Series("stored", texts, pl.String)
    if before.facts[KIND] == Kind.CHOICE:
        return values.replace_strict(_renamed(before, now), default=values).to_list()
    if differ & {IDENTIFIER, FOLDED, PADDED}:
        values = identifiers.cleaned(values, column)
    if differ & {NULLS, SUBSTITUTE}:
        words = cells.null_words(feed.nulls | column.nulls)
        values = values.set(values.is_in(words), None)
    return CASTS[column.kind].values(values, column, Settled()).to_list()


def _renamed(before: Reading, now: Reading) -> dict[str, str | None]:
    """Return what each stored word is by now; None if that differs by the word in the file."""
    by_stored: dict[str, set[str]] = {}
    for word in before.words.keys() & now.words.keys():
        by_stored.setdefault(before.words[word], set()).add(now.words[word])
    return {its: min(them) if len(them) == 1 else None for its, them in by_stored.items()}


def _read_cells(
    feed: Feed, account: Account, name: str, texts: Sequence[str]
) -> list[object | None]:
    """Return what an import would store of cells of a column; None: not a value, or not certain.

    What an import decides by other columns of the row, a sign or a currency, is not certain.
    """
    own = as_declared(feed, account)
    column = next(one for one in own.columns if one.name == name)
    if column.sign is not None or column.local_of is not None:
        return [None] * len(texts)
    names_things = is_id(column, own)
    words = cells.null_words(own.nulls | column.nulls)
    trimmed = pl.Series(name, texts, pl.String).str.strip_chars()
    values = cells.cleaned(trimmed, column, words, is_id=names_things)
    no_value = values.is_null()
    for damaged, _, _ in cells.damage(values, is_id=names_things):
        no_value |= damaged
    if column.kind in {Kind.DECIMAL, Kind.INTEGER}:
        no_value |= decimals.currency(values).is_not_null()
    zone = column.zone or account.time_zone or own.time_zone
    since, until = years(datetime.now(UTC).year + 1, past=column.past)
    how = Settled(zone=zone, since=since, until=until, zones=column.zones)
    made = _by_style(values, column, how, account)
    met = are_met(own.contract, made)
    return made.set(no_value | ~met, None).to_list()


def _by_style(values: pl.Series, column: Column, how: Settled, account: Account) -> pl.Series:
    """Return values in the style that is declared or proven; else those that are one by both."""
    cast = CASTS[column.kind]
    if cast.declared is None:
        return cast.values(values, column, how)
    setting, styles = cast.declared
    if declared := getattr(account, setting) or column.style:
        return cast.values(values, column, replace(how, style=declared))
    one, other = (cast.values(values, column, replace(how, style=its)) for its in styles)
    proves_one = (one.is_not_null() & other.is_null()).any()
    proves_other = (other.is_not_null() & one.is_null()).any()
    if proves_one != proves_other:
        return one if proves_one else other
    return one.set(one.ne_missing(other), None)
