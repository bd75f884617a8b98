"""What scripts get: reports and faults as JSON types, values of protected columns masked."""

from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from csv_pipeline.account import Version
from csv_pipeline.engine.help import COMMAND, help_against
from csv_pipeline.engine.suggest import Suggestions
from csv_pipeline.location import Location
from csv_pipeline.model import ImportReport, Reject
from csv_pipeline.rejects.faults import MASK
from csv_pipeline.spec.feed import Feed
from csv_pipeline.storage.attention import Need
from csv_pipeline.storage.tokens import Token
from csv_pipeline.storage.webhooks import Webhook

_REPORT = TypeAdapter(ImportReport)


def import_facts(
    report: ImportReport,
    finished_at: datetime | None = None,
    *,
    moved_to: str | None = None,
    results: Location | None = None,
) -> dict[str, Any]:
    """Return a report as JSON types, with where the file is and where its rows' outcomes are."""
    facts: dict[str, Any] = _REPORT.dump_python(report, mode="json")
    facts["import_id"] = report.import_id or None
    facts |= {"moved_to": moved_to, "results": None if results is None else str(results)}
    return facts if finished_at is None else facts | {"finished_at": finished_at.isoformat()}


def settings_facts(
    account: str,
    feed: str,
    held: Iterable[tuple[Version, str, Any]],
    history: Iterable[Version] | None = None,
) -> dict[str, Any]:
    """Return the settings of an account, or those that hold for a feed, as JSON types."""
    changes = [{"settings": one.facts.declared()} | version_facts(one) for one in history or ()]
    return ({} if history is None else {"history": changes}) | {
        "account": account,
        "feed": feed or None,
        "settings": [
            {"name": name, "value": value} | version_facts(one) for one, name, value in held
        ],
    }


def version_facts(one: Version) -> dict[str, Any]:
    """Return which change of the settings it is, for which files, by whom and when."""
    return {
        "feed": one.facts.feed or None,
        "header": one.facts.header or None,
        "version": one.version,
        "declared_at": one.declared_at.isoformat(),
        "declared_by": one.declared_by or None,
    }


def suggestion_facts(some: Suggestions) -> dict[str, Any]:
    """Return what may be meant in the file of an import, and the command for each."""
    return {
        "import_id": some.report.import_id,
        "account": some.report.account,
        "feed": some.report.feed,
        "name": some.report.name,
        "location": some.location,
        "suggestions": [asdict(one) for one in some.found],
    }


def masked(faults: Iterable[Reject], feed: Feed | None) -> list[Reject]:
    """Return faults with the values of protected columns masked; of an unknown feed all are."""
    protected = {c.name for c in feed.columns if c.protected} if feed else None
    if feed and feed.confidential:
        protected = None
    return [
        replace(fault, value=MASK)
        if fault.value is not None and (protected is None or fault.column in protected)
        else fault
        for fault in faults
    ]


def reject_facts(
    report: ImportReport, faults: Iterable[Reject], superseded: Iterable[tuple[int, int]]
) -> dict[str, Any]:
    """Return an import's faults; raw rows stay out, they may hold protected values."""
    locations = [{k: v for k, v in asdict(fault).items() if k != "raw"} for fault in faults]
    return {
        "import_id": report.import_id,
        "account": report.account,
        "feed": report.feed,
        "name": report.name,
        "outcome": report.outcome.value,
        "problem": report.problem,
        "rejects": locations,
        "superseded": [{"row_number": row, "by_row_number": by} for row, by in superseded],
    }


def need_facts(need: Need, its: str = COMMAND) -> dict[str, Any]:
    """Return what needs a person in JSON's own types; `its` is how the command is called."""
    return {
        "account": need.account,
        "feed": need.feed,
        "file": need.name,
        "state": need.state,
        "number": need.number,
        "since": need.at.isoformat(),
        "rows": need.rows,
        "problem": need.problem,
        "next_attempt_at": need.next_attempt_at and need.next_attempt_at.isoformat(),
        "help": help_against(need, its),
    }


def webhook_facts(webhook: Webhook) -> dict[str, Any]:
    """Return a webhook or an alert in JSON's own types, without its secret."""
    return {
        "number": webhook.webhook_id,
        "sends": "webhook" if webhook.quiet_seconds is None else "alert",
        "to": webhook.url,
        "account": webhook.account,
        "kinds": list(webhook.kinds),
        "quiet_seconds": webhook.quiet_seconds,
        "attempts": webhook.attempts,
        "problem": webhook.problem,
    }


def token_facts(token: Token) -> dict[str, Any]:
    """Return a token in JSON's own types, without its text, which is stored nowhere."""

    def at(when: datetime | None) -> str | None:
        return None if when is None else when.isoformat()

    return {
        "token_id": token.token_id,
        "name": token.name,
        "account": token.account,
        "scopes": sorted(token.scopes),
        "created_at": at(token.created_at),
        "expires_at": at(token.expires_at),
        "revoked_at": at(token.revoked_at),
    }
