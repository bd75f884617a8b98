"""Webhooks: who is told of imports, and how far each has been told.

Messages are those of the outbox, which are written with the import itself. A message may commit
after one with a higher number, so a webhook goes along their transactions, and only up to the
oldest one that is still open: all before it are seen for good.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from csv_pipeline.errors import SetupError
from csv_pipeline.storage.api_tables import webhook as table
from csv_pipeline.storage.api_tables import webhook_failure as failure

_TAKEN = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Whom to tell: of one `account` or, if that is None, of all; of the `kinds` of outcomes."""

    webhook_id: int
    account: str | None
    url: str
    kinds: tuple[str, ...]
    created_at: datetime
    attempts: int
    suspended_until: datetime | None
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message of the outbox that a webhook is to be told."""

    outbox_id: int
    turn: int
    import_id: int | None
    kind: str
    created_at: datetime
    payload: dict[str, Any]


def add(
    connection: sa.Connection, *, account: str | None, url: str, kinds: Sequence[str], secret: str
) -> Webhook:
    """Add a webhook, which is told of what is settled from now on."""
    made = connection.execute(
        sa.insert(table)
        .values(
            account=account,
            url=url,
            kinds=list(kinds),
            secret=secret,
            told_up_to=sa.text("pg_snapshot_xmin(pg_current_snapshot())::text::bigint"),
            told_last=0,
        )
        .returning(*_COLUMNS)
    ).one()
    return _webhook(made)


def listed(connection: sa.Connection, account: str | None) -> list[Webhook]:
    """Return the webhooks of an account, or all."""
    query = sa.select(*_COLUMNS).order_by(table.c.webhook_id)
    if account is not None:
        query = query.where(table.c.account == account)
    return [_webhook(row) for row in connection.execute(query)]


def remove(connection: sa.Connection, webhook_id: int, account: str | None) -> None:
    """Remove a webhook.

    Raises:
        SetupError: There is none of this number, or none of this account.
    """
    gone = sa.delete(table).where(table.c.webhook_id == webhook_id).returning(table.c.webhook_id)
    if account is not None:
        gone = gone.where(table.c.account == account)
    if connection.execute(gone).one_or_none() is None:
        raise SetupError(f"webhook {webhook_id}: the number of one was needed; there is none of it")


def take_due(connection: sa.Connection, limit: int) -> list[tuple[Webhook, str]]:
    """Take webhooks that have something to be told, for a minute, each with its secret."""
    due = (
        sa.select(table.c.webhook_id)
        .where(
            sa.or_(table.c.suspended_until.is_(None), table.c.suspended_until < sa.func.now()),
            sa.text(f"EXISTS ({_WAITING})"),
        )
        .order_by(table.c.webhook_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    ids = list(connection.scalars(due))
    taken = (
        sa.update(table)
        .where(table.c.webhook_id.in_(ids))
        .values(suspended_until=sa.func.now() + _TAKEN)
        .returning(*_COLUMNS, table.c.secret)
    )
    rows = connection.execute(taken).all() if ids else []
    return [(_webhook(row), row.secret) for row in rows]


def messages(connection: sa.Connection, webhook_id: int, limit: int) -> list[Message]:
    """Return the next messages that a webhook is to be told, in their order."""
    query = sa.text(
        f"SELECT o.outbox_id, o.turn, o.import_id, o.kind, o.created_at, o.payload "  # noqa: S608
        f"FROM csv_pipeline.webhook, LATERAL ({_WAITING}) o "
        "WHERE webhook.webhook_id = :webhook_id ORDER BY o.turn, o.outbox_id LIMIT :limit"
    )
    found = connection.execute(query, {"webhook_id": webhook_id, "limit": limit})
    return [Message(**row._mapping) for row in found]


def told(connection: sa.Connection, webhook_id: int, message: Message) -> None:
    """Note that a webhook was told a message."""
    connection.execute(
        sa.update(table)
        .where(table.c.webhook_id == webhook_id)
        .values(
            told_up_to=message.turn,
            told_last=message.outbox_id,
            attempts=0,
            problem=None,
            suspended_until=None,
        )
    )


def not_told(
    connection: sa.Connection, webhook_id: int, problem: str, pause: timedelta | None
) -> None:
    """Note that a webhook did not take a message, and try again after a pause; None: soon."""
    connection.execute(
        sa.update(table)
        .where(table.c.webhook_id == webhook_id)
        .values(
            attempts=table.c.attempts + 1,
            problem=problem,
            suspended_until=None if pause is None else sa.func.now() + pause,
        )
    )


def set_aside(connection: sa.Connection, webhook_id: int, message: Message, problem: str) -> None:
    """Keep a message that a webhook never took, and go on with the next one."""
    connection.execute(
        sa.insert(failure).values(
            webhook_id=webhook_id,
            import_id=message.import_id,
            kind=message.kind,
            payload=message.payload,
            problem=problem,
        )
    )
    told(connection, webhook_id, message)


def _webhook(row: sa.Row[Any]) -> Webhook:
    facts = {field.name: getattr(row, field.name) for field in fields(Webhook)}
    return Webhook(**facts | {"kinds": tuple(facts["kinds"])})


_COLUMNS = tuple(table.c[field.name] for field in fields(Webhook))
_WAITING = """
    SELECT o.* FROM csv_pipeline.outbox o
    WHERE o.turn < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
        AND (o.turn, o.outbox_id) > (webhook.told_up_to, webhook.told_last)
        AND o.kind = ANY (webhook.kinds)
        AND (webhook.account IS NULL OR o.payload ->> 'account' = webhook.account)
"""
