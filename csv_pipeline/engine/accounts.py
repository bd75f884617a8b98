"""What accounts declare of their files, and which logins of the database may read them."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import available_timezones

from csv_pipeline.account import (
    DELIMITERS,
    Account,
    DateOrder,
    DecimalMark,
    Declaration,
    Declared,
    account_slug,
    entry_of,
    joined,
)
from csv_pipeline.casts.currencies import is_code
from csv_pipeline.engine.changed_settings import hold_readings
from csv_pipeline.engine.entries_of_accounts import aliases, hold_to_sides, maps, unknown
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.errors import SetupError, UnknownAccountError
from csv_pipeline.spec.contract import hold_zone
from csv_pipeline.spec.cron import is_cron, last_moment
from csv_pipeline.spec.dialect import is_encoding
from csv_pipeline.spec.feed import Feed, as_declared
from csv_pipeline.spec.header import FINGERPRINT
from csv_pipeline.storage import accounts, isolation
from csv_pipeline.storage.overdue import NEVER

_BY_HEADER = {"date_order", "decimal_mark", "time_zone", "currency", "delimiter", "aliases"}
"""What can be settled for files with one header: what is decided once that is known."""

_OF_FEED = {"aliases", "maps"}
_OFTEN = re.compile(r"[1-9][0-9]{0,3}[hd]")
_ENTRIES = {"null_words": "null-word", "aliases": "alias", "maps": "map"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """Who declares settings, and whether rows may be known by what their cells are no more."""

    by: str = ""
    accept_reading: bool = False


_BY_NOBODY = Decided()


def declare(
    pipeline: Pipeline,
    scope: Account,
    changes: Mapping[str, Any],
    forget: Sequence[str] = (),
    decided: Decided = _BY_NOBODY,
) -> Declared:
    """Store the settings given, drop those to forget, keep the others, and return all.

    They are for all files of an account, those of a feed, or those of it with one header, as the
    `scope` says; what is `changes` is as a person writes it.

    Raises:
        SetupError: A setting is none, or not one of the feed; or rows that are stored would be
            known by something else.
        UnknownFeedError: There is no such feed.
        UnknownAccountError: There is no such account to forget anything of.
    """
    name = account_slug(scope.account)
    feed = pipeline.feed(scope.feed) if scope.feed else None
    given = {fact: value for fact, value in changes.items() if value not in {None, ()}}
    _hold_to_scope(scope, given)
    with pipeline.database.begin() as connection:
        known = accounts.names(connection) if forget else [name]
        if name not in known:
            raise UnknownAccountError(name, known)
        if not given and not forget:  # nothing is declared, so the account is not made
            return accounts.declared(connection, name, scope.feed)
        accounts.lock(connection, name)
        before = accounts.declared(connection, name, scope.feed)
        held = next((v.facts for v in before.versions if _is_of(v.facts, scope)), scope)
        facts = _without(held, forget)
        own = as_declared(feed, before.of(scope.header)) if feed else None
        if own is not None:
            hold_to_sides(scope, own, given.get("aliases", ()))
        for fact, value in given.items():
            new = _READ[fact](name, value, own)
            if isinstance(new, tuple):
                new = joined(getattr(facts, fact), tuple(dict.fromkeys(new)))
            facts = _with(facts, fact, new)
        if facts != held:
            version = accounts.declare(connection, facts, decided.by)
            if not decided.accept_reading:
                feeds = [feed] if feed else pipeline.feeds.values()
                hold_readings(connection, replace(scope, account=name), feeds, version)
        return accounts.declared(connection, name, scope.feed)


def _is_of(facts: Account, scope: Account) -> bool:
    return (facts.feed, facts.header) == (scope.feed, scope.header)


def _hold_to_scope(scope: Account, given: Mapping[str, Any]) -> None:
    """Hold settings to what their scope can settle.

    Raises:
        SetupError: A feed is needed and not named; or a header cannot settle it.
    """
    who = f"account {scope.account!r}"
    if (scope.header or given.keys() & _OF_FEED) and not scope.feed:
        raise SetupError(f"{who}: a feed was needed (--feed) for a header, aliases and maps")
    if scope.header and not FINGERPRINT.fullmatch(scope.header):
        raise SetupError(
            f"{who}: the fingerprint of a header was needed, 12 digits and letters as a message "
            f"shows it; found {scope.header!r}"
        )
    if scope.header and (others := sorted(given.keys() - _BY_HEADER)):
        found = ", ".join(name.replace("_", " ") for name in others)
        allowed = ", ".join(name.replace("_", " ") for name in sorted(_BY_HEADER))
        raise SetupError(f"{who}: for one header {allowed} can be settled; found {found}")


def _with(facts: Account, name: str, value: Any) -> Account:
    changed: dict[str, Any] = {name: value}
    return replace(facts, **changed)


def _without(facts: Account, forget: Sequence[str]) -> Account:
    """Return settings without those to forget: by name, or a single `alias:`, `map:`, `null-word:`.

    Raises:
        SetupError: There is no such setting, or no such entry.
    """
    empty = Account(account=facts.account)
    for told in forget:
        option, _, entry = told.partition(":")
        fact = next((name for name, its in _ENTRIES.items() if its == option and entry), None)
        if fact is None:
            known = [*Declaration, *(f"{one}:…" for one in _ENTRIES.values())]
            if told not in set(Declaration):
                raise unknown(f"forget {told!r}", "a setting", told, known)
            fact = Declaration(told).fact
            facts = _with(facts, fact, getattr(empty, fact))
            continue
        entries = {entry_of(one): one for one in getattr(facts, fact)}
        left = tuple(one for one in getattr(facts, fact) if entry_of(one) != entry.casefold())
        if entry.casefold() not in entries:
            raise unknown(f"forget {told!r}", f"a declared {option}", entry, entries)
        facts = _with(facts, fact, left)
    return facts


def _encoding(account: str, name: str, _: Feed | None) -> str:
    if not is_encoding(name):
        raise SetupError(
            f"account {account!r}: an encoding that Python knows was needed; found {name!r}"
        )
    return name


def _currency(account: str, name: str, _: Feed | None) -> str:
    if not is_code(code := name.upper()):
        raise SetupError(
            f"account {account!r}: a currency by its code of ISO 4217, such as USD, was needed; "
            f"found {code!r}"
        )
    return code


def _zone(account: str, name: str, _: Feed | None) -> str:
    try:
        hold_zone(name)
    except SetupError as error:
        needed = "a time zone by its name of IANA, such as Europe/Berlin,"
        known = sorted(available_timezones())
        raise unknown(f"account {account!r}", needed, name, known) from error
    return name


def _delimiter(account: str, name: str, _: Feed | None) -> str:
    mark = DELIMITERS.get(name, name)
    if not 0 < len(mark) <= 3 or any(c.isalnum() or c in "\"'\r\n" for c in mark):
        named = ", ".join(DELIMITERS)
        raise SetupError(
            f"account {account!r}: a delimiter was needed, {named}, or one to three signs; "
            f"found {name!r}"
        )
    return mark


def _every(account: str, told: str, _: Feed | None) -> str:
    often = told.strip().lower()
    if often != NEVER and not _OFTEN.fullmatch(often):
        raise SetupError(
            f"account {account!r}: hours or days between files, such as 24h or 7d, or {NEVER} were "
            f"needed for expected every; found {told!r}"
        )
    return often


def _priority(account: str, value: int, _: Feed | None) -> int:
    if not -100 <= value <= 100:
        raise SetupError(
            f"account {account!r}: a priority from -100 to 100 was needed; found {value}"
        )
    return value


def _cron(account: str, told: str, _: Feed | None) -> str:
    cron = " ".join(told.split())
    if not is_cron(cron) or last_moment(cron, datetime.now(UTC)) is None:
        raise SetupError(
            f"account {account!r}: a cron expression of five fields in UTC, such as '0 22 * * *', "
            f"was needed for import at; found {told!r}"
        )
    return cron


def _of_snapshots(_: str, value: float, feed: Feed | None) -> float:
    if feed is not None and (feed.snapshot is None or not feed.snapshot.marks):
        raise SetupError(
            f"feed {feed.name!r}: a snapshot that flags or deletes stored rows was needed for "
            "max missing rows and max missing share; it declares none"
        )
    return value


def _null_words(account: str, words: Sequence[str], _: Feed | None) -> tuple[str, ...]:
    if not all(word.strip() for word in words):
        raise SetupError(f"account {account!r}: a word for no value was needed; found a blank one")
    return tuple(word.strip() for word in words)


_READ: dict[str, Callable[[str, Any, Feed | None], Any]] = {
    "encoding": _encoding,
    "currency": _currency,
    "time_zone": _zone,
    "delimiter": _delimiter,
    "expected_every": _every,
    "priority": _priority,
    "import_at": _cron,
    "null_words": _null_words,
    "aliases": aliases,
    "maps": maps,
    "date_order": lambda _, value, __: DateOrder(value.replace("-", " ")),
    "decimal_mark": lambda _, value, __: DecimalMark(value),
    **dict.fromkeys(
        (
            *("seller_id", "max_file_bytes", "max_compressed_bytes", "max_columns", "max_records"),
            *("max_rejected_rows", "max_rejected_share"),
        ),
        lambda _, value, __: value,
    ),
    **dict.fromkeys(("max_missing_rows", "max_missing_share"), _of_snapshots),
}
"""How each setting is made of what a person writes."""


def bind_reader(pipeline: Pipeline, role: str, account: str) -> str | None:
    """Let a login role read an account; return the statement an administrator has yet to run.

    Raises:
        SetupError: The role is not there, or nothing could bind it.
    """
    with pipeline.database.begin() as connection:
        accounts.add(connection, account_slug(account))
        return isolation.bind(connection, role, account)


def unbind_reader(pipeline: Pipeline, role: str, account: str) -> str | None:
    """Take an account from a login role; return the statement an administrator must run first.

    Raises:
        SetupError: The role was not bound to it.
    """
    with pipeline.database.begin() as connection:
        return isolation.unbind(connection, role, account)
