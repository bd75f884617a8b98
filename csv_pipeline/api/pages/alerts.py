"""Alerts of an account, or of all: added, tried, sent again and removed on pages of settings."""

from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Form
from fastapi.responses import Response

from csv_pipeline.access import Scope
from csv_pipeline.api.callers import Admin, Caller
from csv_pipeline.api.pages.forms import OwnForm
from csv_pipeline.api.pages.page import leads_to
from csv_pipeline.api.paging import Number
from csv_pipeline.api.routes import alerts as api
from csv_pipeline.api.service import Service, ServiceOf
from csv_pipeline.storage.webhooks import KINDS, NEEDING

router = APIRouter()


def alerts_of(service: Service, caller: Caller, account: str | None) -> dict[str, Any]:
    """Return what a page shows of the alerts of an account, or of those of all: only to an admin.

    One for all accounts is told of each, so it is shown for each as well.
    """
    if not caller.may(Scope.ADMIN):
        return {"alerts": None}
    found = [one for one in api.listed(caller, service) if one.account in {account, None}]
    return {
        "alerts": [one.model_dump(mode="json") for one in found],
        "kinds": [(one, one in NEEDING) for one in KINDS],
    }


@router.post("/alerts", dependencies=[OwnForm])
def add(
    caller: Admin,
    service: ServiceOf,
    url: Annotated[str, Form(max_length=2_000)],
    kinds: Annotated[list[str], Form()],
    account: Annotated[str, Form()] = "",
) -> Response:
    """Add an alert."""
    new = api.NewAlert(url=url.strip(), account=account or None, kinds=kinds)
    made = api.add(new, caller, service)
    return _back(account, said=f"Alert {made.alert_id} is added. Test it: nothing was sent yet.")


@router.post("/alerts/{alert_id}/test", dependencies=[OwnForm])
def try_out(
    alert_id: Number, caller: Admin, service: ServiceOf, account: Annotated[str, Form()] = ""
) -> Response:
    """Send a message that says it is a test."""
    sent = api.test(alert_id, caller, service)
    if sent.problem:
        return _back(account, failed=f"Alert {alert_id} was not taken: {sent.problem}")
    return _back(account, said=f"Alert {alert_id} was taken. Look where it was to arrive.")


@router.post("/alerts/{alert_id}/again", dependencies=[OwnForm])
def again(
    alert_id: Number, caller: Admin, service: ServiceOf, account: Annotated[str, Form()] = ""
) -> Response:
    """Send what was set aside."""
    sent = api.again(alert_id, caller, service)
    told = f"{sent.taken:,} messages were taken."
    return _back(account, failed=f"{told} {sent.problem}") if sent.problem else _back(account, told)


@router.post("/alerts/{alert_id}/remove", dependencies=[OwnForm])
def remove(
    alert_id: Number, caller: Admin, service: ServiceOf, account: Annotated[str, Form()] = ""
) -> Response:
    """Tell an address no more."""
    api.remove(alert_id, caller, service)
    return _back(account, said=f"Alert {alert_id} is removed.")


def _back(account: str, said: str = "", failed: str = "") -> Response:
    told = {"said": said} if said else {"failed": failed}
    where = f"/accounts/{quote(account, safe='')}" if account else "/accounts"
    return leads_to(f"{where}?{urlencode(told)}#alerts")
