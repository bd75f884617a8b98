"""Webhooks and alerts: who is told of imports and accounts, and how far each has been told.

A webhook is told one message after another; an alert is told all that wait together, once none came
for a while. Of a webhook the secret is what its messages are signed with, of an alert the address
to send to, with the passwords in it; `url` is what may be shown.

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
from csv_pipeline.model import ArrivalStatus, Outcome
from csv_pipeline.storage.api_tables import webhook as table
from csv_pipeline.storage.api_tables import webhook_failure as failure
from csv_pipeline.storage.attention import POISON, Need
from csv_pipeline.storage.due import is_due
from csv_pipeline.storage.overdue import KIND as OVERDUE
from csv_pipeline.storage.silent_stores import KIND as SILENT_STORE

KINDS = (
    *(one.value for one in Outcome if one is not Outcome.DRY_RUN),
    *(POISON, OVERDUE, SILENT_STORE, ArrivalStatus.MISPLACED.value),
)
"""What there are messages of: the outcomes of imports, and what else needs a person."""
NEEDING = ("refused", "failed", POISON, OVERDUE, "misplaced", SILENT_STORE)
"""What of it needs a person, which an alert is of unless kinds are named."""
UNTOLD = "untold"
"""The state of a webhook or alert that does not take its messages."""
LONGEST = 10
"""After so many times its quiet seconds an alert is told, though messages still come."""
OUTBOX_DAYS = 7
"""How long the outbox says that an import was settled, to others than webhooks and alerts."""
_ONE_DAY = timedelta(days=1)
_TAKEN = timedelta(seconds=60)
_LONGEST_PAUSE = timedelta(hours=2)
"""Who did not take a message is left alone for less than that."""
_ASKED_OFTEN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Whom to tell: of one `account` or, if that is None, of all; of these `kinds` of messages.

    It is an alert if it has `quiet_seconds`, else a webhook.
    """

    webhook_id: int
    account: str | None
    url: str
    kinds: tuple[str, ...]
    quiet_seconds: float | None
    created_at: datetime
    attempts: int
    suspended_until: datetime | None
    problem: str | None

    @property
    def is_alert(self) -> bool:
        """Whether it tells people, and not a program."""
        return self.quiet_seconds is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message of the outbox that a webhook is to be told."""

    outbox_id: int
    turn: int
    import_id: int | None
    kind: str
    created_at: datetime
    payload: dict[str, Any]


def add(  # noqa: PLR0913  # whom to tell, of what, and how
    connection: sa.Connection,
    *,
    account: str | None,
    url: str,
    kinds: Sequence[str],
    secret: str,
    quiet_seconds: float | None = None,
) -> Webhook:
    """Add a webhook or an alert, which is told of what is settled from now on.

    Raises:
        SetupError: One of the kinds is none.
    """
    if unknown := sorted(set(kinds) - set(KINDS)):
        raise SetupError(f"{url}: kinds of {', '.join(KINDS)} were needed; found {unknown[0]!r}")
    made = connection.execute(
        sa.insert(table)
        .values(
            account=account,
            url=url,
            kinds=list(kinds),
            secret=secret,
            quiet_seconds=quiet_seconds,
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


def find(
    connection: sa.Connection, webhook_id: int, account: str | None, *, alert: bool
) -> Webhook:
    """Return a webhook or an alert of an account, or of any.

    Raises:
        SetupError: There is none of this number, none of this account, or it is the other.
    """
    found = {one.webhook_id: one for one in listed(connection, account) if one.is_alert is alert}
    if webhook_id not in found:
        raise _missing(webhook_id)
    return found[webhook_id]


def with_secret(connection: sa.Connection, webhook_id: int) -> tuple[Webhook, str]:
    """Return a webhook or an alert with its secret.

    Raises:
        SetupError: There is none of this number.
    """
    query = sa.select(*_COLUMNS, table.c.secret).where(table.c.webhook_id == webhook_id)
    row: Any = connection.execute(query).one_or_none()
    if row is None:
        raise _missing(webhook_id)
    return _webhook(row), row.secret


def remove(connection: sa.Connection, webhook_id: int, account: str | None) -> None:
    """Remove a webhook or an alert, and what was set aside of it.

    Raises:
        SetupError: There is none of this number, or none of this account.
    """
    gone = sa.delete(table).where(table.c.webhook_id == webhook_id).returning(table.c.webhook_id)
    if account is not None:
        gone = gone.where(table.c.account == account)
    if connection.execute(gone).one_or_none() is None:
        raise _missing(webhook_id)
    connection.execute(sa.delete(failure).where(failure.c.webhook_id == webhook_id))


def take_due(connection: sa.Connection, limit: int) -> list[tuple[Webhook, str]]:
    """Take those that have something to be told now, for a minute, each with its secret."""
    _leave_other_server(connection)
    due = (
        sa.select(table.c.webhook_id)
        .where(
            table.c.suspended_until.is_(None) | is_due(table.c.suspended_until, _LONGEST_PAUSE),
            sa.text(_IS_DUE),
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


def _leave_other_server(connection: sa.Connection) -> None:
    """Put what another server wrote, of which this is a copy, before all that this one writes.

    Transactions count from anew here: what is told is known by numbers that are far from reached.
    """
    if connection.scalar(_OF_ANOTHER) is None:
        return
    connection.execute(sa.text("LOCK csv_pipeline.webhook IN SHARE ROW EXCLUSIVE MODE"))
    if (far := connection.scalar(_OF_ANOTHER)) is not None:  # no other process was faster
        connection.execute(_MESSAGES_BEFORE, {"far": far})
        connection.execute(sa.update(table).values(told_up_to=table.c.told_up_to - far))


def messages(connection: sa.Connection, webhook_id: int, limit: int) -> list[Message]:
    """Return the next messages that a webhook is to be told, in their order."""
    query = sa.text(
        f"SELECT o.outbox_id, o.turn, o.import_id, o.kind, o.created_at, o.payload "  # noqa: S608
        f"FROM csv_pipeline.webhook, LATERAL ({_WAITING}) o "
        "WHERE webhook.webhook_id = :webhook_id ORDER BY o.turn, o.outbox_id LIMIT :limit"
    )
    found = connection.execute(query, {"webhook_id": webhook_id, "limit": limit})
    return [Message(**row._mapping) for row in found]


def set_aside(connection: sa.Connection, webhook_id: int, limit: int) -> dict[int, Message]:
    """Return messages that no attempt brought to a webhook or alert, by the number to forget."""
    query = (
        sa.select(failure)
        .where(failure.c.webhook_id == webhook_id)
        .order_by(failure.c.webhook_failure_id)
        .limit(limit)
    )
    names = [field.name for field in fields(Message) if field.name != "turn"]
    return {
        row.webhook_failure_id: Message(turn=0, **{name: getattr(row, name) for name in names})
        for row in connection.execute(query)
    }


def count_set_aside(connection: sa.Connection) -> dict[int, int]:
    """Return how many messages are set aside of each webhook and alert that has some."""
    its = failure.c.webhook_id
    found = connection.execute(sa.select(its, sa.func.count().label("number")).group_by(its))
    return {row.webhook_id: row.number for row in found}


def forget(connection: sa.Connection, numbers: Sequence[int]) -> None:
    """Forget messages that were set aside."""
    connection.execute(sa.delete(failure).where(failure.c.webhook_failure_id.in_(numbers)))


def untold(connection: sa.Connection, account: str | None = None) -> list[Need]:
    """Return which webhooks and alerts, or those of an account, do not take what they are told.

    They were asked often, or no attempt brought them a message and it is set aside. As they hold
    secrets, no reader can ask this.
    """
    return [
        Need(
            state=UNTOLD,
            number=row.webhook_id,
            account=row.account or "",
            feed=None,
            name=row.url,
            at=row.since,
            problem=(f"{row.set_aside:,} messages are set aside; " if row.set_aside else "")
            + row.why,
        )
        for row in connection.execute(_UNTOLD, {"account": account, "often": _ASKED_OFTEN})
    ]


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


def put_aside(connection: sa.Connection, webhook_id: int, last: Message, problem: str) -> None:
    """Keep what a webhook or alert never took, up to a message, and go on with what follows.

    What follows and is older than a day is kept with it, so that who is away for long is not asked
    for each message anew, and the outbox keeps what waits for two days at most.
    """
    facts = {
        "webhook_id": webhook_id,
        "problem": problem,
        "turn": last.turn,
        "outbox_id": last.outbox_id,
        "age": _ONE_DAY,
    }
    kept: Any = connection.execute(_PUT_ASIDE, facts).one_or_none()
    if kept is not None:  # it was not removed meanwhile
        told(connection, webhook_id, Message(**kept._mapping))


def prune_outbox(connection: sa.Connection) -> None:
    """Forget what was told longer than `OUTBOX_DAYS` ago and waits for no webhook or alert."""
    connection.execute(_PRUNE, {"age": timedelta(days=OUTBOX_DAYS)})


def _missing(webhook_id: int) -> SetupError:
    return SetupError(
        f"webhook {webhook_id}: the number of one was needed; there is none of it; "
        "csv-pipeline alerts list shows them"
    )


def _webhook(row: sa.Row[Any]) -> Webhook:
    facts = {field.name: getattr(row, field.name) for field in fields(Webhook)}
    return Webhook(**facts | {"kinds": tuple(facts["kinds"])})


_COLUMNS = tuple(table.c[field.name] for field in fields(Webhook))
_NOT_REACHED = "pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
_OF_ANOTHER = sa.text(f"""
    SELECT far FROM (
        SELECT greatest(
            (SELECT max(turn) FROM csv_pipeline.outbox),
            (SELECT max(told_up_to) FROM csv_pipeline.webhook)
        ) AS far
    ) seen WHERE far > {_NOT_REACHED}
""")  # noqa: S608
"""The number of the last transaction that another server had, if this is a copy of it."""
_MESSAGES_BEFORE = sa.text(f"""
    UPDATE csv_pipeline.outbox SET turn = turn - :far WHERE outbox_id <= (
        SELECT max(outbox_id) FROM csv_pipeline.outbox WHERE turn > {_NOT_REACHED}
    )
""")  # noqa: S608
_IS_TO_BE_TOLD = """
    (o.turn, o.outbox_id) > (webhook.told_up_to, webhook.told_last)
        AND o.kind = ANY (webhook.kinds)
        AND (webhook.account IS NULL OR o.payload ->> 'account' = webhook.account)
"""
_WAITING = f"""
    SELECT o.* FROM csv_pipeline.outbox o
    WHERE o.turn < pg_snapshot_xmin(pg_current_snapshot())::text::bigint AND {_IS_TO_BE_TOLD}
"""  # noqa: S608
_PUT_ASIDE = sa.text(f"""
    WITH waiting AS (
        SELECT w.*, bool_and(
            (w.turn, w.outbox_id) <= (:turn, :outbox_id)
            OR w.created_at < now() - CAST(:age AS interval)
        ) OVER (ORDER BY w.turn, w.outbox_id) AS goes
        FROM csv_pipeline.webhook, LATERAL ({_WAITING}) w
        WHERE webhook.webhook_id = :webhook_id
    ),
    kept AS (
        INSERT INTO csv_pipeline.webhook_failure
            (webhook_id, outbox_id, import_id, kind, created_at, payload, problem)
        SELECT :webhook_id, outbox_id, import_id, kind, created_at, payload, :problem
        FROM waiting WHERE goes ORDER BY turn, outbox_id
    )
    SELECT outbox_id, turn, import_id, kind, created_at, payload
    FROM waiting WHERE goes ORDER BY turn DESC, outbox_id DESC LIMIT 1
""")  # noqa: S608
_PRUNE = sa.text(f"""
    DELETE FROM csv_pipeline.outbox o
    WHERE o.created_at < now() - CAST(:age AS interval)
        AND NOT EXISTS (SELECT FROM csv_pipeline.webhook WHERE {_IS_TO_BE_TOLD})
""")  # noqa: S608
_QUIET = "webhook.quiet_seconds * interval '1 second'"
_IS_DUE = f"""
    CASE WHEN webhook.quiet_seconds IS NULL THEN EXISTS ({_WAITING}) ELSE (
        SELECT bool_and(w.created_at NOT BETWEEN now() - {_QUIET} AND now() + {_QUIET})
            OR min(w.created_at) < now() - {LONGEST} * {_QUIET}
        FROM ({_WAITING}) w
    ) END
"""  # noqa: S608
"""A message of a later time than now was written before the clock was set back."""
_UNTOLD = sa.text(f"""
    SELECT webhook.webhook_id, webhook.account, webhook.url, lost.number AS set_aside,
        coalesce(lost.problem, webhook.problem) AS why,
        coalesce(lost.since, (SELECT min(w.created_at) FROM ({_WAITING}) w), now()) AS since
    FROM csv_pipeline.webhook, LATERAL (
        SELECT count(*) AS number, min(created_at) AS since, max(problem) AS problem
        FROM csv_pipeline.webhook_failure f WHERE f.webhook_id = webhook.webhook_id
    ) lost
    WHERE (webhook.attempts >= :often OR lost.number > 0)
        AND (CAST(:account AS text) IS NULL OR webhook.account = :account)
    ORDER BY webhook.webhook_id
""")  # noqa: S608
