"""Tell webhooks of imports and accounts by HTTP, signed as Standard Webhooks says."""

import ipaddress
import json
import secrets
import socket
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from urllib.parse import urlsplit

import httpx2
from standardwebhooks import Webhook as Signer

from csv_pipeline.errors import SetupError
from csv_pipeline.storage import webhooks
from csv_pipeline.storage.database import Database
from csv_pipeline.storage.webhooks import KINDS, Message, Webhook

_TIMEOUT_SECONDS = 10.0


def add(
    database: Database, *, account: str | None, url: str, kinds: Sequence[str] = KINDS
) -> tuple[Webhook, str]:
    """Add a webhook and return it with its secret, which is shown this once.

    Raises:
        SetupError: The address is not one to send to, or a kind is none.
    """
    parts = urlsplit(url)
    is_open = parts.scheme in {"http", "https"} and url.isprintable() and not parts.username
    if not is_open or not parts.hostname:
        raise SetupError(f"webhook {url!r}: an address by https was needed, without a user in it")
    if account is not None and (private := _private(parts.hostname)):
        raise SetupError(
            f"webhook {url!r}: a public address was needed for one account; it is at {private}"
        )
    secret = f"whsec_{b64encode(secrets.token_bytes(32)).decode()}"
    with database.begin() as connection:
        made = webhooks.add(connection, account=account, url=url, kinds=kinds, secret=secret)
    return made, secret


def send(webhook: Webhook, secret: str, message: Message) -> str | None:
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
        answer = _client().post(webhook.url, content=body.encode(), headers=headers)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        return f"no answer: {type(error).__name__}"
    return None if answer.is_success else f"answered {answer.status_code}"


@cache
def _client() -> httpx2.Client:
    """Return the client of this process: making one reads all certificates, a fifth of a second."""
    return httpx2.Client(
        timeout=_TIMEOUT_SECONDS,
        follow_redirects=False,
        limits=httpx2.Limits(max_keepalive_connections=0),
    )


def _private(host: str) -> str | None:
    """Return an address of a host that is not public, if it has one."""
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return None  # nothing can be sent there, either
    return next((str(one) for one in sorted(map(str, found)) if not _is_public(one)), None)


def _is_public(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_global
