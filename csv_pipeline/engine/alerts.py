"""Tell people by e-mail or chat, through apprise: all that waits for them is one message.

An address holds passwords. It is kept as a webhook's secret is, and of it only the service and its
host are ever shown. A message names accounts, feeds, files and rules, and no value of a row.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from urllib.parse import urlsplit

import apprise

from csv_pipeline.engine.help import COMMAND, help_against
from csv_pipeline.errors import SetupError, UnknownAccountError
from csv_pipeline.storage import accounts, webhooks
from csv_pipeline.storage.attention import Need
from csv_pipeline.storage.database import Database
from csv_pipeline.storage.webhooks import Message, Webhook

QUIET_SECONDS = 60.0
_TIMEOUT_SECONDS = 30
_FILES = 10
_LINES = 20
_LONGEST_NAME = 300
_IN_WORDS = {
    "poison": "set aside as poison",
    "overdue": "overdue",
    "misplaced": "in a wrong place",
    "silent_store": "silent store",
    "undo": "undone",
}
_ASSET = apprise.AppriseAsset(app_id=COMMAND, app_desc=COMMAND, app_url="", async_mode=False)

# What apprise logs may hold addresses; why a message was not taken is in its result.
logging.getLogger("apprise").propagate = False


def add(
    database: Database,
    *,
    account: str | None,
    url: str,
    kinds: Sequence[str] = webhooks.NEEDING,
    quiet_seconds: float = QUIET_SECONDS,
) -> Webhook:
    """Add an alert, whose messages go to an address as apprise has it.

    Raises:
        SetupError: The address is none, or a kind is none, or there is no such account.
    """
    shown = _shown(_service(url), url)
    with database.begin() as connection:
        known = accounts.names(connection)
        if account is not None and account not in known:
            raise UnknownAccountError(account, known)
        return webhooks.add(
            connection,
            account=account,
            url=shown,
            kinds=kinds,
            secret=url,
            quiet_seconds=quiet_seconds,
        )


def send(url: str, messages: Sequence[Message], page_url: str | None = None) -> str | None:
    """Send one message of all these and return why it was not taken, if it was not."""
    try:
        service = _service(url)
    except SetupError as error:
        return str(error)
    server = apprise.Apprise(asset=_ASSET)
    server.add(service)
    told = server.notify(
        title=title(messages),
        body=text(messages, page_url),
        body_format=apprise.NotifyFormat.TEXT,
        timeout=_TIMEOUT_SECONDS,
    )
    if told:
        return None
    why = [_without_secrets(entry.message, url) for entry in told.logs()]
    return f"{_shown(service, url)}: {why[-1] if why else told.status.name.casefold()}"


def title(messages: Sequence[Message]) -> str:
    """Return how many files are refused, and so on, in a line."""
    if messages[0].kind == "test":
        return f"{COMMAND}: a test"
    found = Counter(message.kind for message in _latest(messages))
    return f"{COMMAND}: " + ", ".join(
        f"{number:,} {_IN_WORDS.get(kind, kind)}" for kind, number in found.most_common()
    )


def text(messages: Sequence[Message], page_url: str | None) -> str:
    """Return the counts by account, feed and rule, and the first files, each with what helps."""
    if messages[0].kind == "test":
        return "Messages of this alert arrive here."
    latest = _latest(messages)
    found = Counter(map(_group, latest)).most_common()
    page = (page_url or "").rstrip("/")
    return "\n".join(
        [
            f"{messages[0].created_at:%Y-%m-%d %H:%M} to {messages[-1].created_at:%H:%M} UTC:",
            *_first([f"{number:,} × {group}" for group, number in found], _LINES),
            "",
            *_first([_about(one, page) for one in latest], _FILES),
            "",
            f"All that needs a person: {COMMAND} status" + (f", or {page}/" if page else ""),
        ]
    )


def _first(lines: Sequence[str], most: int) -> Iterable[str]:
    yield from lines[:most]
    if len(lines) > most:
        yield f"… and {len(lines) - most:,} more"


def _latest(messages: Sequence[Message]) -> list[Message]:
    """Leave out that a file failed if it was tried again since, and perhaps set aside as poison."""
    last = {_file(message): message for message in messages}
    return [one for one in messages if one.kind != "failed" or one is last[_file(one)]]


def _file(message: Message) -> tuple[object, ...]:
    return tuple(message.payload.get(name) for name in ("account", "feed", "name"))


def _group(message: Message) -> str:
    facts = message.payload
    lane = " / ".join(_plain(facts[name]) for name in ("account", "feed") if facts.get(name))
    rule = facts.get("problem_code")
    what = _IN_WORDS.get(message.kind, message.kind)
    return f"{lane or _plain(facts['name'])}: {what}" + (f" ({rule})" if rule else "")


def _about(message: Message, page: str) -> str:
    facts, number = message.payload, message.import_id
    again = facts.get("next_attempt_at")
    subject = facts["problem"] if number is None else facts["name"]
    lines = [f"- {_group(message)}: {_plain(subject)}"]
    if message.kind in webhooks.NEEDING:
        need = Need(
            state=message.kind.replace("_", " "),
            number=number,
            account=facts["account"],
            feed=facts.get("feed"),
            name=facts.get("name") or "",
            at=message.created_at,
            next_attempt_at=datetime.fromisoformat(again) if again else None,
            dismissible=number is not None,
        )
        lines.append(f"  {help_against(need)}")
    if page and number is not None:
        lines.append(f"  {page}/imports/{number}")
    return "\n".join(lines)


def _plain(value: object) -> str:
    """Return a value without control characters, and not too long."""
    shown = "".join(letter if letter.isprintable() else "�" for letter in str(value))
    return shown if len(shown) <= _LONGEST_NAME else f"{shown[: _LONGEST_NAME - 1]}…"


def _service(url: str) -> apprise.NotifyBase:
    """Return the service that an address is of.

    Raises:
        SetupError: It is of none.
    """
    found = (
        apprise.Apprise.instantiate(url, asset=_ASSET, suppress_exceptions=True)
        if url.isprintable()
        else None
    )
    if not isinstance(found, apprise.NotifyBase):
        scheme = url.partition(":")[0]
        raise SetupError(
            f"alert {scheme[:20] if scheme.isalnum() else '…'}://…: an address as apprise has it "
            "was needed, as mailtos://USER:PASSWORD@HOST?to=NAME@HOST or slack://A/B/C; "
            "it takes this one for none (https://appriseit.com lists them)"
        )
    found.overflow_mode = apprise.OverflowMode.TRUNCATE  # one message, however much it says
    return found


def _shown(service: apprise.NotifyBase, url: str) -> str:
    """Return the service and, where that is no secret, the host that an address names."""
    parts = urlsplit(url)
    if "host" not in service.template_tokens or not parts.hostname:
        return f"{parts.scheme}://…"
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        port = ""
    return f"{parts.scheme}://{parts.hostname}{port}"


def _without_secrets(said: str, url: str) -> str:
    """Return text without what an address holds besides its service and host."""
    parts = urlsplit(url)
    rest = url.removeprefix(f"{parts.scheme}://").replace(parts.hostname or "", "", 1)
    for secret in sorted(_words(rest), key=len, reverse=True):
        said = said.replace(secret, "…")
    return _plain(said)


def _words(rest: str) -> set[str]:
    for separator in "/?&=:@#,+":
        rest = rest.replace(separator, " ")
    return {word for word in rest.split() if len(word) > 2}
