"""Tell webhooks of imports: signed as Standard Webhooks says, at least once, in order.

A webhook that does not take a message is asked again, later each time, and the messages behind it
wait. One that was not taken for a day is set aside in `csv_pipeline.webhook_failure`.
"""

import ipaddress
import json
import random
import secrets
import socket
import time
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx2
from standardwebhooks import Webhook as Signer

from csv_pipeline.errors import SetupError
from csv_pipeline.model import Outcome
from csv_pipeline.storage import webhooks
from csv_pipeline.storage.database import Database
from csv_pipeline.storage.overdue import KIND as OVERDUE
from csv_pipeline.storage.webhooks import Message, Webhook

KINDS = (*(one.value for one in Outcome if one is not Outcome.DRY_RUN), OVERDUE)
_MOST_ATTEMPTS = 30
_FIRST_PAUSE_SECONDS = 5.0
_LONGEST_PAUSE_SECONDS = 3_600.0
_TIMEOUT_SECONDS = 10.0
_AT_ONCE = 100


def add(
    database: Database, *, account: str | None, url: str, kinds: Sequence[str] = KINDS
) -> tuple[Webhook, str]:
    """Add a webhook and return it with its secret, which is shown this once.

    Raises:
        SetupError: The address is not one to send to, or a kind is none.
    """
    if unknown := sorted(set(kinds) - set(KINDS)):
        raise SetupError(f"webhook: kinds of {', '.join(KINDS)} were needed; found {unknown[0]!r}")
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
        raise SetupError(f"webhook {url!r}: an address by https was needed, without a user in it")
    if account is not None and (private := _private(parts.hostname)):
        raise SetupError(
            f"webhook {url!r}: a public address was needed for one account; it is at {private}"
        )
    secret = f"whsec_{b64encode(secrets.token_bytes(32)).decode()}"
    with database.begin() as connection:
        made = webhooks.add(connection, account=account, url=url, kinds=kinds, secret=secret)
    return made, secret


def deliver(database: Database, seconds: float) -> int:
    """Tell webhooks what waits, for so many seconds, and return how many messages were taken."""
    deadline, taken = time.monotonic() + seconds, 0
    with database.begin() as connection:
        due = webhooks.take_due(connection, _AT_ONCE)
    with httpx2.Client(timeout=_TIMEOUT_SECONDS, follow_redirects=False) as sender:
        for webhook, secret in due:
            taken += _tell(database, sender, webhook, secret, deadline)
    return taken


def _tell(
    database: Database, sender: httpx2.Client, webhook: Webhook, secret: str, deadline: float
) -> int:
    with database.begin() as connection:
        waiting = webhooks.messages(connection, webhook.webhook_id, _AT_ONCE)
    for number, message in enumerate(waiting):
        if time.monotonic() > deadline:
            return number
        problem = _send(sender, webhook, secret, message)
        with database.begin() as connection:
            if problem is None:
                webhooks.told(connection, webhook.webhook_id, message)
            elif webhook.attempts + 1 >= _MOST_ATTEMPTS:
                webhooks.set_aside(connection, webhook.webhook_id, message, problem)
            else:
                pause = _pause(webhook.attempts)
                webhooks.not_told(connection, webhook.webhook_id, problem, pause)
        if problem is not None:
            return number
    return len(waiting)


def _send(sender: httpx2.Client, webhook: Webhook, secret: str, message: Message) -> str | None:
    """Send a message and return why it was not taken, if it was not."""
    if webhook.account is not None and (private := _private(urlsplit(webhook.url).hostname or "")):
        return f"a public address was needed; it is at {private}"
    facts = {
        "type": f"{'import' if message.import_id else 'account'}.{message.kind}",
        "timestamp": message.created_at.isoformat(),
        "data": {"import_id": message.import_id, **message.payload},
    }
    body, now = json.dumps(facts), datetime.now(UTC)
    its_id = f"msg_{webhook.webhook_id}_{message.outbox_id}"
    headers = {
        "content-type": "application/json",
        "webhook-id": its_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Signer(secret).sign(its_id, now, body),
    }
    try:
        answer = sender.post(webhook.url, content=body.encode(), headers=headers)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        return f"no answer: {type(error).__name__}"
    return None if answer.is_success else f"answered {answer.status_code}"


def _pause(attempts: int) -> timedelta:
    seconds = min(_FIRST_PAUSE_SECONDS * 2**attempts, _LONGEST_PAUSE_SECONDS)
    return timedelta(seconds=seconds * random.uniform(0.8, 1.2))  # noqa: S311  # jitter, no secret


def _private(host: str) -> str | None:
    """Return an address of a host that is not public, if it has one."""
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return None  # nothing can be sent there, either
    return next((str(one) for one in sorted(map(str, found)) if not _is_public(one)), None)


def _is_public(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_global
