"""The account: the party whose files they are, and what it declares of them."""

import re
from dataclasses import dataclass
from enum import StrEnum

from csv_pipeline.errors import InvalidAccountError


class Declaration(StrEnum):
    """What an account may declare."""

    SELLER_ID = "seller-id"
    DATE_ORDER = "date-order"
    DECIMAL_MARK = "decimal-mark"
    ENCODING = "encoding"
    NULL_WORDS = "null-words"
    MAX_FILE_BYTES = "max-file-bytes"
    CURRENCY = "currency"
    MAX_COMPRESSED_BYTES = "max-compressed-bytes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A setting of an account by its name, such as `date_order`; `value` None: not declared."""

    account: str
    name: str
    value: str | None = None

    def __str__(self) -> str:
        return self.name.replace("_", " ")

    @property
    def because(self) -> str:
        """Who declares it."""
        return f"account {self.account!r} declares it"

    def declare(self, value: str) -> str:
        """Return the command that declares a value.

        >>> Setting(account="acme", name="date_order").declare("day first")
        'csv-pipeline account acme --date-order day-first'
        """
        return f"{self._command} --{self._option} {value.replace(' ', '-')}"

    @property
    def forget(self) -> str:
        """The command after which the files decide."""
        return f"{self._command} --forget {self._option}"

    @property
    def _command(self) -> str:
        return f"csv-pipeline account {self.account}"

    @property
    def _option(self) -> str:
        return self.name.replace("_", "-")


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
    """Which of day and month comes first in `03/04/2025`."""

    DAY_FIRST = "day first"
    MONTH_FIRST = "month first"


class DecimalMark(StrEnum):
    """Which mark stands before the decimals in `1.234`."""

    POINT = "point"
    COMMA = "comma"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The party whose files these are, with what it declared about them.

    What an account declares settles what its files leave open. `null_words` mean no value in
    columns that are not text. `currency` is the ISO 4217 code that a sign of several currencies,
    such as `$` or `kr`, means.
    """

    account: str
    seller_id: str | None = None
    date_order: DateOrder | None = None
    decimal_mark: DecimalMark | None = None
    encoding: str | None = None
    currency: str | None = None
    null_words: tuple[str, ...] = ()
    max_file_bytes: int | None = None
    max_compressed_bytes: int | None = None

    def setting(self, name: str) -> Setting:
        """Return what is declared by the name of a fact."""
        return Setting(account=self.account, name=name, value=getattr(self, name))
