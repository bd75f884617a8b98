"""The account: the party whose files they are, and what it declares of them."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from csv_pipeline.errors import InvalidAccountError


class Declaration(StrEnum):
    """What an account may declare."""

    SELLER_ID = "seller-id"
    DATE_ORDER = "date-order"
    DECIMAL_MARK = "decimal-mark"
    TIME_ZONE = "time-zone"
    ENCODING = "encoding"
    DELIMITER = "delimiter"
    CURRENCY = "currency"
    NULL_WORDS = "null-words"
    ALIASES = "aliases"
    MAPS = "maps"
    MAX_FILE_BYTES = "max-file-bytes"
    MAX_COMPRESSED_BYTES = "max-compressed-bytes"
    MAX_COLUMNS = "max-columns"
    MAX_RECORDS = "max-records"
    MAX_REJECTED_ROWS = "max-rejected-rows"
    MAX_REJECTED_SHARE = "max-rejected-share"
    MAX_MISSING_ROWS = "max-missing-rows"
    MAX_MISSING_SHARE = "max-missing-share"
    EXPECTED_EVERY = "expected-every"
    PRIORITY = "priority"
    IMPORT_AT = "import-at"

    @property
    def fact(self) -> str:
        """The field of `Account` that holds it."""
        return self.value.replace("-", "_")


DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "colon": ":", "blank": " "}
"""Delimiters by the names that they are declared and shown by."""


def delimiter_name(delimiter: str) -> str:
    """Return what a delimiter is called."""
    named = (name for name, mark in DELIMITERS.items() if mark == delimiter)
    return next(named, repr(delimiter))


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A setting of an account by its name, such as `date_order`; `value` None: not declared.

    It is for all files of the account, for those of a `feed`, or for those of it with one `header`,
    which is a fingerprint; `on` is the day it was declared.
    """

    account: str
    name: str
    value: str | None = None
    feed: str = ""
    header: str = ""
    on: str = ""

    def __str__(self) -> str:
        return self.name.replace("_", " ")

    @property
    def because(self) -> str:
        """Who declares it."""
        who = f"account {self.account!r} declares it"
        return f"{who} for feed {self.feed!r}{self._settled}" if self.feed else who

    @property
    def evidence(self) -> str:
        """The same for a report, which is that of the account."""
        if self.header:
            return f"as settled for files with this header on {self.on}"
        return "the account declares it" + (" for this feed" if self.feed else "")

    @property
    def _settled(self) -> str:
        return f" and files with this header, since {self.on}" if self.header else ""

    def declare(self, value: str) -> str:
        """Return the command that declares a value.

        >>> Setting(account="acme", name="date_order").declare("day first")
        'csv-pipeline account acme --date-order day-first'
        >>> Setting(account="acme", feed="people", header="0a1b", name="delimiter").declare(";")
        'csv-pipeline account acme --feed people --header 0a1b --delimiter semicolon'
        """
        named = {mark: name for name, mark in DELIMITERS.items()}
        word = named.get(value, value).replace(" ", "-")
        return f"{self._command} --{self._option} {shlex.quote(word)}"

    @property
    def forget(self) -> str:
        """The command after which the files decide."""
        return f"{self._command} --forget {self._option}"

    @property
    def _command(self) -> str:
        return account_command(self.account, self.feed, self.header)

    @property
    def _option(self) -> str:
        return self.name.replace("_", "-")


def account_command(account: str, feed: str = "", header: str = "") -> str:
    """Return the command for settings of all files of an account, of a feed, or with a header."""
    of_feed = f" --feed {feed}" if feed else ""
    return f"csv-pipeline account {account}{of_feed}" + (f" --header {header}" if header else "")


SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def account_slug(name: str) -> str:
    """Return `name` if it can be an account, and so a Dagster partition and a folder.

    Raises:
        InvalidAccountError: It is anything but small letters, digits, `_` and `-`.
    """
    if not SLUG.fullmatch(name):
        raise InvalidAccountError(name)
    return name


class DateOrder(StrEnum):
    """Which of day, month and year comes first in `03/04/25`.

    Values can prove `BY_EVIDENCE`; that a year of two digits comes first is only ever declared.
    """

    DAY_FIRST = "day first"
    MONTH_FIRST = "month first"
    YEAR_FIRST = "year first"


BY_EVIDENCE = (DateOrder.DAY_FIRST, DateOrder.MONTH_FIRST)


class DecimalMark(StrEnum):
    """Which mark stands before the decimals in `1.234`."""

    POINT = "point"
    COMMA = "comma"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The party whose files these are, with what it declared about them.

    What an account declares settles what its files leave open. It is for all its files, for those
    of a `feed`, or for those of it with one `header`. `null_words` mean no value in columns that
    are not text. `currency` is the ISO 4217 code that a sign of several currencies, such as `$` or
    `kr`, means, and `time_zone` that of timestamps which state none, by its name of IANA.
    `aliases` pairs names in headers with columns of the feed; `maps` says of a column and a word
    of it what is stored. `expected_every` is how often a file is to come, as `24h` or `7d`, or
    `never`. Runs over files of a higher `priority` go first; 0 if not declared. `import_at` is a
    cron expression in UTC: files wait in the landing area until then. `origins` says which version
    of which scope each setting is from, where several were merged.
    """

    account: str
    feed: str = ""
    header: str = ""
    seller_id: str | None = None
    date_order: DateOrder | None = None
    decimal_mark: DecimalMark | None = None
    encoding: str | None = None
    delimiter: str | None = None
    currency: str | None = None
    time_zone: str | None = None
    null_words: tuple[str, ...] = ()
    aliases: tuple[tuple[str, str], ...] = ()
    maps: tuple[tuple[str, str, str], ...] = ()
    max_file_bytes: int | None = None
    max_compressed_bytes: int | None = None
    max_columns: int | None = None
    max_records: int | None = None
    max_rejected_rows: int | None = None
    max_rejected_share: float | None = None
    max_missing_rows: int | None = None
    max_missing_share: float | None = None
    expected_every: str | None = None
    priority: int | None = None
    import_at: str | None = None
    origins: "Mapping[str, Version]" = field(default_factory=dict, compare=False)

    @property
    def sellers(self) -> frozenset[str]:
        """The sellers that it declares, in small letters."""
        return frozenset(one.strip().casefold() for one in (self.seller_id or "").split(","))

    def setting(self, name: str, entry: str = "") -> Setting:
        """Return what is declared by the name of a fact; of what is not, where it would be.

        Of several aliases, maps or null words an `entry` may be meant, by what `entry_of` gives.
        """
        value, origin = getattr(self, name), self.origins.get(f"{name}:{entry}" if entry else name)
        if value is None or origin is None:
            scope, on = self, ""
        else:
            scope, on = origin.facts, f"{origin.declared_at:%Y-%m-%d}"
        return Setting(
            account=self.account,
            name=name,
            value=value,
            feed=scope.feed,
            header=scope.header,
            on=on,
        )

    def declared(self) -> dict[str, Any]:
        """Return the settings that have a value, by name."""
        found = {one.fact: getattr(self, one.fact) for one in Declaration}
        return {name: value for name, value in found.items() if value not in {None, ()}}

    def over(self, wider: "Account") -> "Account":
        """Return these settings, and those of a wider scope where there is none."""
        mine, theirs = self.declared(), wider.declared()
        both = {
            name: joined(theirs[name], mine[name])
            for name in mine.keys() & theirs.keys()
            if isinstance(mine[name], tuple)
        }
        return replace(self, **theirs | mine | both, origins={**wider.origins, **self.origins})


def joined(wide: tuple[Any, ...], narrow: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return null words, aliases or maps, without those of the first that the second has anew."""
    anew = {_key(one) for one in narrow}
    return (*(one for one in wide if _key(one) not in anew), *narrow)


def entry_of(one: str | tuple[str, ...]) -> str:
    """Return how an alias, map or null word is named: heading, column and word, or word."""
    parts = (one,) if isinstance(one, str) else one[:-1]
    return ":".join(parts).casefold()


def _key(one: str | tuple[str, ...]) -> object:
    """Return by what two entries are the same: word, heading with its column, column with word."""
    return one if isinstance(one, str) else tuple(part.casefold() for part in one[:2])


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A change of what an account declares: `facts` are all that it declares since in one scope."""

    version: int
    declared_at: datetime
    declared_by: str
    facts: Account


def _origins(one: Version) -> dict[str, Version]:
    """Return the version for the name of each setting, and of each alias, map and null word."""
    declared = one.facts.declared()
    lists = {name: value for name, value in declared.items() if isinstance(value, tuple)}
    entries = (f"{name}:{entry_of(each)}" for name, value in lists.items() for each in value)
    return dict.fromkeys((*declared, *entries), one)


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What an account declares of all its files, or of those of a feed.

    `versions` holds the last of each scope, the widest scope first.
    """

    account: str
    feed: str = ""
    versions: tuple[Version, ...] = ()

    @property
    def version(self) -> int:
        """The last version of all; 0 if nothing was ever declared."""
        return max((one.version for one in self.versions), default=0)

    def of(self, header: str = "") -> Account:
        """Return what holds for files with a header, by its fingerprint; "": with any other."""
        found = Account(account=self.account)
        for one in self.versions:
            if one.facts.header in {"", header}:
                found = replace(one.facts, origins=_origins(one)).over(found)
        return replace(found, feed=self.feed, header=header)

    @property
    def settings(self) -> list[tuple[Version, str, Any]]:
        """Each setting of any scope, with the version it is from."""
        return [
            (v, name, value) for v in self.versions for name, value in v.facts.declared().items()
        ]

    @property
    def held(self) -> list[tuple[Version, str, Any]]:
        """Those that hold for files of the feed, of whichever header."""
        by_feed = {
            name for one, name, _ in self.settings if one.facts.feed and not one.facts.header
        }
        return [
            (one, name, value)
            for one, name, value in self.settings
            if one.facts.feed or name not in by_feed or isinstance(value, tuple)
        ]

    def with_words_of(self, later: "Declared") -> "Declared":
        """Return the same with the maps and null words of a later version, where it has none."""
        words = [
            replace(
                one,
                facts=Account(
                    account=self.account,
                    feed=one.facts.feed,
                    header=one.facts.header,
                    maps=one.facts.maps,
                    null_words=one.facts.null_words,
                ),
            )
            for one in later.versions
            if one.version > self.version and (one.facts.maps or one.facts.null_words)
        ]
        return replace(self, versions=(*words, *self.versions))

    def of_any(self) -> Account:
        """Return what holds before the header is known: with the aliases of all headers."""
        found = self.of()
        for one in self.versions:
            found = replace(found, aliases=joined(found.aliases, one.facts.aliases))
        return found

    def delimiters(self) -> dict[str, Setting]:
        """Return the delimiters that were settled for files with a header, by its fingerprint."""
        settled = (one.facts for one in self.versions if one.facts.header)
        return {
            one.header: self.of(one.header).setting("delimiter") for one in settled if one.delimiter
        }
