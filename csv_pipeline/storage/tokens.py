"""Tokens: who may ask the API for what. A token is shown once; its SHA-256 is stored.

A session of the page is a token that another one made: it ends with it.
"""

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from csv_pipeline.access import Scope
from csv_pipeline.errors import SetupError
from csv_pipeline.storage.api_tables import token as table

PREFIX = "csvp_"
"""How every token begins, so that a scanner of secrets finds it where it should not be."""

_BYTES = 32
_PARENT = table.alias("parent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token as it is stored: for one `account`, or for all if that is None."""

    token_id: int
    name: str
    account: str | None
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    session_of: int | None = None


def make(  # noqa: PLR0913  # who may do what, and for how long
    connection: sa.Connection,
    name: str,
    *,
    account: str | None,
    scopes: Collection[Scope],
    lasts: timedelta | None = None,
    session_of: int | None = None,
) -> tuple[str, Token]:
    """Make a token and return its text, which is nowhere else, and what is stored of it."""
    text = PREFIX + secrets.token_urlsafe(_BYTES)
    expires = None if lasts is None else sa.func.now() + lasts
    made = connection.execute(
        sa.insert(table)
        .values(
            digest=_digest(text),
            name=name,
            account=account,
            scopes=sorted(scopes),
            expires_at=expires,
            session_of=session_of,
        )
        .returning(*_COLUMNS)
    ).one()
    return text, _token(made)


def find(connection: sa.Connection, text: str) -> Token | None:
    """Return the token of this text, if it is valid now; a session only as long as its token.

    It is looked up by its digest, so that the time of the search says nothing of its text.
    """
    if not text.startswith(PREFIX):
        return None
    query = (
        sa.select(*_COLUMNS)
        .select_from(table.outerjoin(_PARENT, _PARENT.c.token_id == table.c.session_of))
        .where(table.c.digest == _digest(text), _still_valid())
    )
    found = connection.execute(query).one_or_none()
    return None if found is None else _token(found)


def is_valid(connection: sa.Connection, token_id: int) -> bool:
    """Return whether a token is valid now; a session only as long as its token."""
    query = (
        sa.select(table.c.token_id)
        .select_from(table.outerjoin(_PARENT, _PARENT.c.token_id == table.c.session_of))
        .where(table.c.token_id == token_id, _still_valid())
    )
    return connection.scalar(query) is not None


def listed(connection: sa.Connection, account: str | None = None) -> list[Token]:
    """Return the tokens that people made, of all accounts or of one, the newest first."""
    query = (
        sa.select(*_COLUMNS).where(table.c.session_of.is_(None)).order_by(table.c.token_id.desc())
    )
    if account is not None:
        query = query.where(table.c.account == account)
    return [_token(row) for row in connection.execute(query)]


def any_valid(connection: sa.Connection) -> bool:
    """Return whether there is a token that somebody may use."""
    return bool(connection.scalar(sa.select(sa.exists().where(_valid(table)))))


def revoke(connection: sa.Connection, token_id: int, account: str | None = None) -> None:
    """End a token, and with it the sessions that it made.

    Raises:
        SetupError: There is none of this number, or none of this account.
    """
    change = (
        sa.update(table)
        .where(table.c.token_id == token_id)
        .values(revoked_at=sa.func.coalesce(table.c.revoked_at, sa.func.now()))
    )
    if account is not None:
        change = change.where(table.c.account == account)
    if connection.execute(change.returning(table.c.token_id)).one_or_none() is None:
        raise SetupError(f"token {token_id}: the number of a token was needed; there is none of it")


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _valid(one: sa.FromClause) -> sa.ColumnElement[bool]:
    lasts = sa.or_(one.c.expires_at.is_(None), one.c.expires_at > sa.func.now())
    return sa.and_(one.c.revoked_at.is_(None), lasts)


def _still_valid() -> sa.ColumnElement[bool]:
    return sa.and_(_valid(table), sa.or_(table.c.session_of.is_(None), _valid(_PARENT)))


def _token(row: sa.Row[tuple[object, ...]]) -> Token:
    facts = row._asdict()
    return Token(**facts | {"scopes": frozenset(map(Scope, facts["scopes"]))})


_COLUMNS = tuple(column for column in table.c if column.name != "digest")
