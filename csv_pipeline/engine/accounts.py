"""What accounts declare of their files, and which logins of the database may read them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from csv_pipeline.casts.currencies import is_code
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.errors import SetupError, UnknownAccountError
from csv_pipeline.model import (
    Account,
    DateOrder,
    DecimalMark,
    account_slug,
)
from csv_pipeline.storage import accounts, isolation


def declare(
    pipeline: Pipeline, name: str, changes: Mapping[str, Any], forget: Sequence[str]
) -> Account:
    """Store the facts given, drop those to forget, keep the others, and return them all.

    Raises:
        SetupError: There is no such encoding or currency.
        UnknownAccountError: There is no such account to forget anything of.
    """
    given = {fact: value for fact, value in changes.items() if value is not None}
    if "encoding" in given:
        try:
            "a".encode(given["encoding"])  # codecs has others, such as hex, that give no text
        except (LookupError, UnicodeError) as error:
            raise SetupError(
                f"account {name!r}: an encoding that Python knows was needed; "
                f"found {given['encoding']!r}"
            ) from error
    if "currency" in given:
        given["currency"] = given["currency"].upper()
        if not is_code(given["currency"]):
            raise SetupError(
                f"account {name!r}: a currency by its code of ISO 4217, such as USD, was needed; "
                f"found {given['currency']!r}"
            )
    unset = asdict(Account(account=name))
    forgotten = {fact.replace("-", "_") for fact in forget}
    facts: dict[str, Any] = {fact: unset[fact] for fact in forgotten} | given
    if "date_order" in given:
        facts["date_order"] = DateOrder(given["date_order"].replace("-", " "))
    if "decimal_mark" in given:
        facts["decimal_mark"] = DecimalMark(given["decimal_mark"])
    with pipeline.database.begin() as connection:
        known = [one.account for one in accounts.every(connection)] if forget else [name]
        if name not in known:
            raise UnknownAccountError(name, known)
        accounts.add(connection, account_slug(name))
        declared = replace(accounts.named(connection, name), **facts)
        accounts.declare(connection, declared)
    return declared


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
