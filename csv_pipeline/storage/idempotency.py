"""Answers kept by the key of their request, so that who asks twice does not do it twice."""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from csv_pipeline.storage.api_tables import idempotency_key as table

KEPT = timedelta(hours=24)
LEASE = timedelta(seconds=120)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What was asked, as its digest, and answered; `status` is None while it is being done."""

    request: bytes
    status: int | None
    answer: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a caller, held by one request for the time of a lease after each sign of life."""

    who: str
    key: str
    holder: bytes

    @classmethod
    def of(cls, who: str, key: str) -> Self:
        """Return a key for a request that begins."""
        return cls(who, key, secrets.token_bytes(16))

    def take(self, connection: sa.Connection) -> Answered | None:
        """Take the key; return what became of the request that has it, if one has."""
        ended = sa.or_(
            table.c.created_at < sa.func.now() - KEPT,
            sa.and_(table.c.status.is_(None), table.c.created_at < sa.func.now() - LEASE),
        )
        connection.execute(sa.delete(table).where(*self._named, ended))
        new = insert(table).values(who=self.who, key=self.key, request=self.holder)
        taken = new.on_conflict_do_nothing().returning(table.c.key)
        if connection.execute(taken).one_or_none() is not None:
            return None
        query = sa.select(table.c.request, table.c.status, table.c.answer).where(*self._named)
        found = connection.execute(query).one_or_none()
        if found is None:  # the other request gave it back just now
            return Answered(request=b"", status=None, answer=None)
        return Answered(request=found.request, status=found.status, answer=found.answer)

    def renew(self, connection: sa.Connection) -> None:
        """Show that the request goes on."""
        connection.execute(sa.update(table).where(*self._held).values(created_at=sa.func.now()))

    def keep(
        self, connection: sa.Connection, request: bytes, status: int, answer: dict[str, Any]
    ) -> None:
        """Keep what was asked and answered."""
        kept = {"request": request, "status": status, "answer": answer}
        connection.execute(sa.update(table).where(*self._held).values(kept))

    def give_back(self, connection: sa.Connection) -> None:
        """Let the same request be tried again."""
        connection.execute(sa.delete(table).where(*self._held))

    @property
    def _named(self) -> tuple[sa.ColumnElement[bool], ...]:
        return table.c.who == self.who, table.c.key == self.key

    @property
    def _held(self) -> tuple[sa.ColumnElement[bool], ...]:
        return *self._named, table.c.request == self.holder, table.c.status.is_(None)


def prune(connection: sa.Connection) -> None:
    """Forget keys that are kept no longer."""
    connection.execute(sa.delete(table).where(table.c.created_at < sa.func.now() - KEPT))
