"""Alerts: who is told by e-mail or chat what needs a person."""

from typing import Annotated

from fastapi import APIRouter, status
from pydantic import BaseModel, ConfigDict, Field

from csv_pipeline.api.callers import Admin, Caller
from csv_pipeline.api.examples import example, refusals
from csv_pipeline.api.paging import Number
from csv_pipeline.api.problems import ProblemError
from csv_pipeline.api.service import Service, ServiceOf
from csv_pipeline.engine import delivery
from csv_pipeline.storage import webhooks
from csv_pipeline.storage.webhooks import Webhook

router = APIRouter(prefix="/alerts", tags=["alerts"])
_LONGEST_SECONDS = 86_400


class NewAlert(BaseModel):
    """Whom to tell, of what, and how long nothing new may come before it is told."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"url": "mailtos://USER:PASSWORD@example.com?to=ops@example.com"}]
        }
    )

    url: Annotated[
        str, Field(max_length=2_000, description="An address as apprise has it; it is never shown.")
    ]
    account: Annotated[str | None, Field(description="Of which account; of all if left out.")] = (
        None
    )
    kinds: Annotated[
        list[str] | None, Field(description="Of what; of all that needs a person if left out.")
    ] = None
    quiet_seconds: Annotated[
        float, Field(ge=0, le=_LONGEST_SECONDS, description="What comes until then is one message.")
    ] = 60.0


class AlertFacts(BaseModel):
    """An alert; of its address the service and its host are shown and no more."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "alert_id": 3,
                    "account": None,
                    "to": "mailtos://example.com",
                    "kinds": ["refused", "failed"],
                    "quiet_seconds": 60.0,
                    "attempts": 0,
                    "problem": None,
                    "set_aside": 0,
                }
            ]
        }
    )

    alert_id: int
    account: str | None
    to: str
    kinds: list[str]
    quiet_seconds: float
    attempts: Annotated[int, Field(description="How often the next message was not taken.")]
    problem: str | None
    set_aside: Annotated[int, Field(description="How many messages no attempt brought there.")]


class Sent(BaseModel):
    """How many messages were taken, and why the next one was not."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"taken": 1, "problem": None}]})

    taken: int
    problem: str | None


@router.post(
    "", status_code=status.HTTP_201_CREATED, responses=refusals("unknown_account", "not_accepted")
)
def add(new: NewAlert, caller: Admin, service: ServiceOf) -> AlertFacts:
    """Have people told; what comes until nothing came for a while is one message.

    As its address may lead to any host, the token must be for all accounts.
    """
    if caller.account is not None:
        raise ProblemError(
            "not_accepted",
            "alert: a token for all accounts was needed, as its address may lead to any host; "
            "yours is for one (a webhook may be added with it)",
        )
    made = delivery.add_alert(
        service.pipeline.database,
        account=new.account,
        url=new.url,
        kinds=new.kinds,
        quiet_seconds=new.quiet_seconds,
    )
    service.note(caller, "alert added", f"alert {made.webhook_id}", new.account, to=made.url)
    return _facts(made, 0)


@router.get("")
def listed(caller: Admin, service: ServiceOf) -> list[AlertFacts]:
    """Return the alerts of your account, or all, without their addresses."""
    with service.pipeline.database.begin() as connection:
        found = webhooks.listed(connection, caller.account)
        aside = webhooks.count_set_aside(connection)
    return [_facts(one, aside.get(one.webhook_id, 0)) for one in found if one.is_alert]


@router.delete(
    "/{alert_id}", status_code=status.HTTP_204_NO_CONTENT, responses=refusals("not_accepted")
)
def remove(alert_id: Number, caller: Admin, service: ServiceOf) -> None:
    """Tell an address no more; what it was not told yet, it is never told."""
    one = _find(alert_id, caller, service)
    with service.pipeline.database.begin() as connection:
        webhooks.remove(connection, alert_id, caller.account)
    service.note(caller, "alert removed", f"alert {alert_id}", one.account)


@router.post("/{alert_id}/test", responses=refusals("not_accepted"))
def test(alert_id: Number, caller: Admin, service: ServiceOf) -> Sent:
    """Send a message that says it is a test, now."""
    one = _find(alert_id, caller, service)
    problem = delivery.test(service.pipeline.database, alert_id)
    service.note(caller, "alert tested", f"alert {alert_id}", one.account, problem=problem)
    return Sent(taken=int(problem is None), problem=problem)


@router.post(
    "/{alert_id}/again",
    responses=refusals("not_accepted") | example({"taken": 12, "problem": None}),
)
def again(alert_id: Number, caller: Admin, service: ServiceOf) -> Sent:
    """Send what was set aside because no attempt brought it there."""
    one = _find(alert_id, caller, service)
    pipeline = service.pipeline
    taken, problem = delivery.send_again(
        pipeline.database, alert_id, page_url=pipeline.settings.page_url
    )
    service.note(caller, "alert sent again", f"alert {alert_id}", one.account, taken=taken)
    return Sent(taken=taken, problem=problem or None)


def _find(alert_id: int, caller: Caller, service: Service) -> Webhook:
    """Return an alert that the caller sees."""
    with service.pipeline.database.begin() as connection:
        return webhooks.find(connection, alert_id, caller.account, alert=True)


def _facts(one: Webhook, set_aside: int) -> AlertFacts:
    return AlertFacts(
        alert_id=one.webhook_id,
        account=one.account,
        to=one.url,
        kinds=list(one.kinds),
        quiet_seconds=one.quiet_seconds or 0.0,
        attempts=one.attempts,
        problem=one.problem,
        set_aside=set_aside,
    )
