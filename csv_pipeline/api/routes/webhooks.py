"""Webhooks: who is told what became of imports."""

from typing import Annotated, Any

from fastapi import APIRouter, status
from pydantic import BaseModel, ConfigDict, Field

from csv_pipeline.api.callers import Admin
from csv_pipeline.api.examples import refusals
from csv_pipeline.api.paging import Number
from csv_pipeline.api.service import ServiceOf
from csv_pipeline.engine import webhooks as engine
from csv_pipeline.storage import webhooks
from csv_pipeline.storage.webhooks import Webhook

router = APIRouter(prefix="/webhooks", tags=["webhooks"])


class NewWebhook(BaseModel):
    """Whom to tell, and of what."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"url": "https://example.com/imports", "kinds": ["imported", "refused"]}]
        }
    )

    url: Annotated[str, Field(max_length=2_000)]
    account: Annotated[
        str | None, Field(description="Of which account; of all the token sees if left out.")
    ] = None
    kinds: Annotated[list[str], Field(description="Of which outcomes.")] = list(webhooks.KINDS)


class WebhookFacts(BaseModel):
    """A webhook; its `secret` is shown when it is added, and never again."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "webhook_id": 2,
                    "account": "acme",
                    "url": "https://example.com/imports",
                    "kinds": ["imported", "refused"],
                    "attempts": 0,
                    "problem": None,
                    "secret": None,
                }
            ]
        }
    )

    webhook_id: int
    account: str | None
    url: str
    kinds: list[str]
    attempts: Annotated[int, Field(description="How often the next message was not taken.")]
    problem: str | None
    secret: str | None = None


@router.post(
    "", status_code=status.HTTP_201_CREATED, responses=refusals("unknown_account", "not_accepted")
)
def add(new: NewWebhook, caller: Admin, service: ServiceOf) -> WebhookFacts:
    """Have imports told to an address, signed as Standard Webhooks says."""
    account = new.account or caller.account
    if account is not None:
        caller.hold_to_account(account)
    made, secret = engine.add(
        service.pipeline.database, account=account, url=new.url, kinds=new.kinds
    )
    service.note(caller, "webhook added", f"webhook {made.webhook_id}", account, url=new.url)
    return _facts(made, secret)


@router.get("")
def listed(caller: Admin, service: ServiceOf) -> list[WebhookFacts]:
    """Return the webhooks, without their secrets."""
    with service.pipeline.database.begin() as connection:
        found = webhooks.listed(connection, caller.account)
    return [_facts(one) for one in found if not one.is_alert]


@router.delete(
    "/{webhook_id}", status_code=status.HTTP_204_NO_CONTENT, responses=refusals("not_accepted")
)
def remove(webhook_id: Number, caller: Admin, service: ServiceOf) -> None:
    """Tell an address no more."""
    with service.pipeline.database.begin() as connection:
        webhooks.find(connection, webhook_id, caller.account, alert=False)
        webhooks.remove(connection, webhook_id, caller.account)
    service.note(caller, "webhook removed", f"webhook {webhook_id}")


def _facts(one: Webhook, secret: str | None = None) -> WebhookFacts:
    facts: dict[str, Any] = {
        name: getattr(one, name) for name in ("webhook_id", "account", "url", "attempts", "problem")
    }
    return WebhookFacts(**facts, kinds=list(one.kinds), secret=secret)
