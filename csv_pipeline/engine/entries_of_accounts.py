"""Read what an account declares of a feed's columns: names in headers, and what words mean."""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace
from difflib import get_close_matches
from itertools import combinations
from typing import NoReturn

import polars as pl

from csv_pipeline.account import Account, account_command
from csv_pipeline.casts import cells
from csv_pipeline.casts.currencies import is_code
from csv_pipeline.errors import SetupError
from csv_pipeline.spec.contract import Column, choice_key, columns_of, heading
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.kinds import Kind
from csv_pipeline.stages.transform.plan import is_id
from csv_pipeline.stages.validate.rules import unmet

_WORDS = {Kind.TEXT, Kind.CHOICE, Kind.BOOLEAN, Kind.CURRENCY}


def unknown(where: str, needed: str, word: str, known: Iterable[str]) -> SetupError:
    """Return the error of a word that is none of those known, with the one that is most alike."""
    words = list(map(str, known))
    alike = get_close_matches(word, words, n=1, cutoff=0.5)
    shown = f" (did you mean {alike[0]!r}?)" if alike else ""
    listed = f" of {', '.join(words)}" if 0 < len(words) <= 12 else ""
    return SetupError(f"{where}: {needed}{listed} was needed; found {word!r}{shown}")


def aliases(_: str, told: Sequence[str], feed: Feed | None) -> tuple[tuple[str, str], ...]:
    """Return names in headers, each with the column that it is to name.

    Raises:
        SetupError: One is no alias of the feed, or two contradict one another.
    """
    if feed is None:
        return ()
    found = [_alias(one, feed) for one in told]
    own = {column.name: column.headings for column in columns_of(feed.contract)}
    for (title, name), (again, other) in combinations(found, 2):
        same = heading(title) == heading(again) and name != other
        if same and not own[name] & own[other]:  # a date and its time share a name
            _refuse_both("alias", f"{title}={name}", f"{again}={other}")
    return tuple(found)


def hold_to_sides(scope: Account, feed: Feed, told: Sequence[str]) -> None:
    """Hold aliases to their two sides.

    Raises:
        SetupError: A column stands before the name; it shows the command that was meant.
    """
    meant = [_turned(one, feed) or one for one in told]
    for one, its in zip(told, meant, strict=True):
        if one != its:
            command = account_command(scope.account, scope.feed, scope.header)
            options = " ".join(f"--alias {shlex.quote(each)}" for each in meant)
            raise SetupError(
                f"alias {one!r}: the name in headers before '=' and the column after it were "
                f"needed; found them the other way round: {command} {options}"
            )


def _turned(told: str, feed: Feed) -> str | None:
    """Return an alias with its sides changed over, if a column is on the left and none right."""
    name, _, title = (part.strip() for part in told.partition("="))
    columns = [c for c in feed.columns if not (c.derived or c.local_of)]
    names = {column.name for column in columns}
    found = [c.name for c in columns if heading(name) in c.headings]
    if told.rpartition("=")[2].strip() in names or len(found) != 1 or not heading(title):
        return None
    return f"{title}={found[0]}"


def _alias(told: str, feed: Feed) -> tuple[str, str]:
    """Return a name in headers and the column that it is to name.

    Raises:
        SetupError: There is no such column, or another one has the name.
    """
    title, _, name = (part.strip() for part in told.rpartition("="))
    where = f"alias {told!r}"
    columns = {c.name: c for c in feed.columns if not (c.derived or c.local_of)}
    if not heading(title):
        raise SetupError(f"{where}: a name and its column, 'Artikel Nr=sku', was needed")
    if name not in columns:
        raise unknown(where, f"a column of feed {feed.name!r}", name, columns)
    own = {column.name: column.headings for column in columns_of(feed.contract)}
    for other in columns.values():  # a date and its time share a name
        shares = own[name] & own[other.name]
        if other.name != name and not shares and heading(title) in other.headings:
            raise SetupError(
                f"{where}: a name that no other column has was needed; {title!r} names "
                f"{other.name!r}"
            )
    return title, name


def maps(_: str, told: Sequence[str], feed: Feed | None) -> tuple[tuple[str, str, str], ...]:
    """Return columns, each with a word that its cells hold and what is stored for it.

    Raises:
        SetupError: One is no map of the feed, or two contradict one another.
    """
    found = [_map(one, feed) for one in told if feed]
    for one, other in combinations(found, 2):
        (name, word, stored), (again, its, meant) = one, other
        if (name, choice_key(word), stored != meant) == (again, choice_key(its), True):
            _refuse_both("map", f"{name}:{word}={stored}", f"{again}:{its}={meant}")
    return tuple(found)


def _refuse_both(what: str, one: str, other: str) -> NoReturn:
    """Refuse two entries given at once, of which the second would take the place of the first.

    Raises:
        SetupError: Always.
    """
    raise SetupError(f"{what}: one meaning was needed; found {one!r} and {other!r}")


def _map(told: str, feed: Feed) -> tuple[str, str, str]:
    """Return a column, a word that its cells hold, and what is stored for it.

    Raises:
        SetupError: The column is none of words, does not store this one, or knows the word.
    """
    left, _, stored = told.rpartition("=")
    name, _, word = (part.strip() for part in left.partition(":"))
    where, stored = f"map {told!r}", stored.strip()
    columns = {c.name: c for c in columns_of(feed.contract) if c.kind in _WORDS and not c.derived}
    if not (name and word and stored):
        raise SetupError(f"{where}: 'order_status:Versendet=shipped' was needed")
    if name not in columns:
        raise unknown(where, f"a column of words of feed {feed.name!r}", name, columns)
    column = columns[name]
    if column.kind is Kind.TEXT:
        return name, word, _text_of(stored, column, feed, where)
    choices = column.choices
    meant = {choice_key(one): kept for one, kept in choices.items()}
    by_word = meant | {choice_key(kept): kept for kept in choices.values()}
    if column.kind is Kind.CURRENCY:
        codes = {choice_key(one): one.upper() for one in (word, stored) if is_code(one.upper())}
        meant, by_word = codes | meant, codes | by_word
    if choice_key(stored) not in by_word:
        raise unknown(where, f"a word that column {name!r} accepts", stored, sorted(choices))
    if meant.get(choice_key(word), by_word[choice_key(stored)]) != by_word[choice_key(stored)]:
        raise SetupError(
            f"{where}: a word that the feed does not know was needed; it stores "
            f"{meant[choice_key(word)]!r} for {word!r}"
        )
    return name, word, by_word[choice_key(stored)]


def _text_of(stored: str, column: Column, feed: Feed, where: str) -> str:
    """Return a text that a column stores as it is declared to be.

    Raises:
        SetupError: It means no value there, or breaks a rule of the contract.
    """
    words = cells.null_words(feed.nulls | column.nulls)
    texts = pl.Series(column.name, [stored])
    made = cells.cleaned(texts, column, words, is_id=is_id(column, feed))
    (value,) = cells.text(made, replace(column, substitute=None))
    needed = "a text that is a value" if value is None else unmet(feed.contract, column.name, value)
    if needed is not None:
        raise SetupError(f"{where}: column {column.name!r} needs {needed}; found {stored!r}")
    return stored
