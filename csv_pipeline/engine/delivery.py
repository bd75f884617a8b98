"""Tell webhooks and alerts what the outbox holds for them: at least once, in order.

Who does not take a message is asked again, later each time, and the messages behind it wait. What
was not taken for a day is set aside in `csv_pipeline.webhook_failure`, with all behind it that is
older than a day, and `send_again` brings it.
"""

import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from csv_pipeline.errors import SetupError
from csv_pipeline.storage import webhooks
from csv_pipeline.storage.database import Database
from csv_pipeline.storage.webhooks import Message, Webhook

_MOST_ATTEMPTS = 30
_FIRST_PAUSE_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 3_600.0
_AT_ONCE = 100
_GATHERED = 10_000
"""How many messages an alert is told as one."""


def deliver(database: Database, seconds: float, *, page_url: str | None = None) -> int:
    """Tell what waits, for so many seconds, and return how many messages were taken."""
    deadline, taken = time.monotonic() + seconds, 0
    with database.begin() as connection:
        due = webhooks.take_due(connection, _AT_ONCE)
    for webhook, secret in due:
        attempts = webhook.attempts
        for batch in _waiting(database, webhook):
            if time.monotonic() > deadline:
                return taken
            problem = _send(webhook, secret, batch, page_url)
            _note(database, webhook.webhook_id, attempts, batch, problem)
            if problem is not None:
                break
            attempts = 0
            taken += len(batch)
    return taken


def add_alert(
    database: Database,
    *,
    account: str | None,
    url: str,
    kinds: Sequence[str] | None,
    quiet_seconds: float,
) -> Webhook:
    """Add an alert; without `kinds` it is of all that needs a person.

    Raises:
        SetupError: What alerts need is not installed, the address or a kind is none, or there is no
            such account.
    """
    try:
        from csv_pipeline.engine import alerts  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise SetupError(
            "alerts: the extra 'alerts' was needed: pip install 'csv-pipeline[alerts]'"
        ) from error
    return alerts.add(
        database,
        account=account,
        url=url,
        kinds=kinds or webhooks.NEEDING,
        quiet_seconds=quiet_seconds,
    )


def test(database: Database, number: int) -> str | None:
    """Send a message that says it is a test; return why it was not taken, if it was not.

    Raises:
        SetupError: There is no webhook or alert of this number.
    """
    with database.begin() as connection:
        webhook, secret = webhooks.with_secret(connection, number)
    message = Message(
        outbox_id=0,
        turn=0,
        import_id=None,
        kind="test",
        created_at=datetime.now(UTC),
        payload={"account": webhook.account, "feed": None, "name": "test"},
    )
    return _send(webhook, secret, [message], None)


def send_again(database: Database, number: int, *, page_url: str | None = None) -> tuple[int, str]:
    """Send what was set aside; return how much of it was taken, and why the next was not, or "".

    Raises:
        SetupError: There is no webhook or alert of this number.
    """
    taken = 0
    with database.begin() as connection:
        webhook, secret = webhooks.with_secret(connection, number)
    while True:
        most = 1 if webhook.quiet_seconds is None else _GATHERED
        with database.begin() as connection:
            batch = webhooks.set_aside(connection, number, most)
        if not batch:
            return taken, ""
        if problem := _send(webhook, secret, list(batch.values()), page_url):
            return taken, problem
        with database.begin() as connection:
            webhooks.forget(connection, list(batch))
        taken += len(batch)


def _waiting(database: Database, webhook: Webhook) -> Sequence[Sequence[Message]]:
    """Return what a webhook is to be told one by one, or an alert together."""
    alone = webhook.quiet_seconds is None
    with database.begin() as connection:
        found = webhooks.messages(connection, webhook.webhook_id, _AT_ONCE if alone else _GATHERED)
    return [[message] for message in found] if alone else [found]


def _send(
    webhook: Webhook, secret: str, batch: Sequence[Message], page_url: str | None
) -> str | None:
    """Send messages and return why they were not taken, if they were not."""
    alone = webhook.quiet_seconds is None
    try:
        if alone:
            from csv_pipeline.engine import webhooks as by_http  # noqa: PLC0415  # an extra

            return by_http.send(webhook, secret, batch[0])
        from csv_pipeline.engine import alerts  # noqa: PLC0415  # an extra

        return alerts.send(secret, batch, page_url)
    except ImportError as error:
        extra = "api" if alone else "alerts"
        return f"the extra {extra!r} is not installed where messages are sent: {error}"


def _note(
    database: Database, number: int, attempts: int, batch: Sequence[Message], problem: str | None
) -> None:
    with database.begin() as connection:
        if problem is None:
            webhooks.told(connection, number, batch[-1])
        elif attempts + 1 >= _MOST_ATTEMPTS:
            webhooks.put_aside(connection, number, batch[-1], problem)
        else:
            webhooks.not_told(connection, number, problem, _pause(attempts))


def _pause(attempts: int) -> timedelta:
    seconds = min(_FIRST_PAUSE_SECONDS * 2**attempts, _LONGEST_PAUSE_SECONDS)
    return timedelta(seconds=seconds * random.uniform(0.8, 1.2))  # noqa: S311  # jitter, no secret
