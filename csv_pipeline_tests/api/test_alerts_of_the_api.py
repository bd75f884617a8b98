"""Alerts are added, tried, sent again and removed by admins; their addresses are never shown."""

import json
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from csv_pipeline.access import Scope
from csv_pipeline.api.app import make_app
from csv_pipeline.api.service import Service
from csv_pipeline.engine import delivery
from csv_pipeline.storage import tokens
from csv_pipeline_tests.api.test_pages import Visitor
from csv_pipeline_tests.conftest import Desk
from csv_pipeline_tests.receivers import Receiver, receiving

Api = Callable[..., TestClient]
ALERTS = "/api/v1/alerts"
PASSWORD = "hush-hush-9"  # noqa: S105  # of nothing
REFUSED = "Colour,Size\nred,3\n"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def address(receiver: Receiver) -> str:
    return f"json://me:{PASSWORD}@127.0.0.1:{receiver.port}/{PASSWORD}"


def audited(desk: Desk) -> str:
    """Return what the audit log holds of the test's account."""
    query = "SELECT string_agg(l::text, ' ') FROM csv_pipeline.audit l WHERE account = :a"
    with desk.pipeline.database.begin() as connection:
        return connection.scalar(sa.text(query), {"a": desk.account}) or ""


@pytest.fixture
def admin(service: Service, desk: Desk) -> Iterator[Visitor]:
    """A visitor who is logged in for all accounts."""
    desk.bring("ID,Name,Amount\n1,one,1.00\n")
    with service.pipeline.database.begin() as connection:
        text, made = tokens.make(connection, "root", account=None, scopes=list(Scope))
    browser = TestClient(make_app(service), headers={"Accept": "text/html"})
    browser.post("/login", data={"token": text})
    yield Visitor(browser)
    with service.pipeline.database.begin() as connection:
        tokens.revoke(connection, made.token_id)


def test_an_alert_is_added_tried_and_removed_and_its_address_never_shown(
    desk: Desk, api_of: Api, receiver: Receiver
) -> None:
    mine, root = api_of(desk.account), api_of(None)
    made = root.post(ALERTS, json={"url": address(receiver), "account": desk.account})
    assert made.status_code == 201, made.text
    assert made.json()["to"] == f"json://127.0.0.1:{receiver.port}"
    assert made.json()["kinds"][0] == "refused"
    assert mine.get(ALERTS).json() == [made.json()]
    assert mine.get("/api/v1/webhooks").json() == []
    there = f"{ALERTS}/{made.json()['alert_id']}"
    assert mine.post(f"{there}/test").json() == {"taken": 1, "problem": None}
    assert json.loads(receiver.taken[0][1])["title"] == "csv-pipeline: a test"
    receiver.answers = [500]
    untaken = mine.post(f"{there}/test").json()
    assert untaken["taken"] == 0
    assert "500" in untaken["problem"]
    assert mine.delete(there.replace("alerts", "webhooks")).status_code == 422
    assert mine.delete(there).status_code == 204
    assert mine.get(ALERTS).json() == []
    log = audited(desk)
    assert all(word in log for word in ("alert added", "alert tested", "alert removed"))
    assert PASSWORD not in log + made.text + json.dumps(untaken)


def test_what_was_set_aside_is_counted_and_sent_again(
    desk: Desk, api_of: Api, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_MOST_ATTEMPTS", 1)
    root = api_of(None)
    desk.bring("ID,Name,Amount\n1,one,1.00\n")
    facts = {"url": address(receiver), "account": desk.account, "quiet_seconds": 0}
    number = root.post(ALERTS, json=facts).json()["alert_id"]
    receiver.answers = [500]
    desk.bring(REFUSED, name="wrong.csv")
    delivery.deliver(desk.pipeline.database, 20)
    (shown,) = api_of(desk.account).get(ALERTS).json()
    assert shown["set_aside"] == 1
    assert root.post(f"{ALERTS}/{number}/again").json() == {"taken": 1, "problem": None}
    assert "wrong.csv" in json.loads(receiver.taken[0][1])["message"]
    root.delete(f"{ALERTS}/{number}")


def test_only_admins_see_alerts_and_only_one_for_all_accounts_adds_them(
    desk: Desk, api_of: Api, receiver: Receiver
) -> None:
    mine, stranger, root = api_of(desk.account), api_of("other-account"), api_of(None)
    url = {"url": address(receiver)}
    refused = mine.post(ALERTS, json=url)
    assert (refused.status_code, refused.json()["code"]) == (422, "not_accepted")
    assert "token for all accounts" in refused.json()["detail"]
    made = root.post(ALERTS, json={**url, "account": desk.account}).json()
    for method, path in (("POST", "/test"), ("POST", "/again"), ("DELETE", "")):
        assert stranger.request(method, f"{ALERTS}/{made['alert_id']}{path}").status_code == 422
    assert receiver.taken == []
    reader = api_of(desk.account, *(set(Scope) - {Scope.ADMIN}))
    assert reader.get(ALERTS).status_code == 403
    assert reader.post(f"{ALERTS}/{made['alert_id']}/test").status_code == 403
    unknown = root.post(ALERTS, json={**url, "account": "nobody-at-all"})
    assert unknown.json()["code"] == "unknown_account"
    wrong = root.post(ALERTS, json={"url": f"nothing://{PASSWORD}"})
    assert (wrong.status_code, PASSWORD in wrong.text) == (422, False)
    root.delete(f"{ALERTS}/{made['alert_id']}")


def test_the_page_of_an_account_adds_tries_and_removes_its_alerts(
    desk: Desk, admin: Visitor, receiver: Receiver
) -> None:
    here = f"/accounts/{desk.account}"
    admin.open(here)
    added = admin.post("/alerts", url=address(receiver), account=desk.account, kinds="overdue")
    assert admin.path == here
    assert f"json://127.0.0.1:{receiver.port}" in added
    assert PASSWORD not in added
    (alert,) = admin.browser.get(f"{here}.json").json()["alerts"]
    assert alert["kinds"] == ["overdue"]
    there = f"/alerts/{alert['alert_id']}"
    assert "was taken" in admin.post(f"{there}/test", account=desk.account)
    receiver.answers = [500]
    assert "was not taken" in admin.post(f"{there}/test", account=desk.account)
    assert len(receiver.taken) == 1
    assert there not in admin.post(f"{there}/remove", account=desk.account)
    assert "Alerts for all accounts" in admin.open("/accounts")


def test_who_is_no_admin_sees_no_alerts_on_the_page(service: Service, desk: Desk) -> None:
    desk.bring("ID,Name,Amount\n1,one,1.00\n")
    with service.pipeline.database.begin() as connection:
        text, _ = tokens.make(connection, "ann", account=desk.account, scopes=[Scope.READ])
    caller = TestClient(make_app(service), headers={"Authorization": f"Bearer {text}"})
    assert "Alerts" not in caller.get(f"/accounts/{desk.account}").text
    assert caller.get(f"/accounts/{desk.account}.json").json()["alerts"] is None
