"""Tokens, settings, the audit log and metrics by the API: each for its own account only."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from csv_pipeline.access import Scope
from csv_pipeline.account import Declaration
from csv_pipeline.api.routes.accounts import Settings
from csv_pipeline_tests.conftest import Desk

Api = Callable[..., TestClient]


def test_a_token_that_is_made_works_until_it_is_revoked(desk: Desk, api_of: Api) -> None:
    api = api_of(desk.account)
    made = api.post("/api/v1/tokens", json={"name": "shop", "scopes": ["read"]}).json()
    its = {"Authorization": f"Bearer {made['token']}"}
    assert api.get("/api/v1/accounts", headers=its).json() == [desk.account]
    listed = api.get("/api/v1/tokens").json()
    assert [one["token"] for one in listed if one["token_id"] == made["token_id"]] == [None]
    assert api.delete(f"/api/v1/tokens/{made['token_id']}").status_code == 204
    assert api.get("/api/v1/accounts", headers=its).status_code == 401


@pytest.mark.parametrize("path", ["/api/v1/tokens", "/api/v1/webhooks"])
def test_nobody_makes_what_reaches_another_account(desk: Desk, api_of: Api, path: str) -> None:
    body = {"name": "x", "scopes": ["read"], "account": "others", "url": "https://example.com/"}
    answer = api_of(desk.account).post(path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_account")
    assert api_of(desk.account, Scope.READ).post(path, json=body).status_code == 403


def test_a_token_of_another_account_is_not_revoked(desk: Desk, api_of: Api) -> None:
    made = api_of(desk.account).post("/api/v1/tokens", json={"name": "a", "scopes": ["read"]})
    path = f"/api/v1/tokens/{made.json()['token_id']}"
    assert api_of("somebody-else").delete(path).status_code == 422
    assert api_of(desk.account).delete(path).status_code == 204


def test_settings_are_declared_for_a_feed_and_told_with_their_history(
    desk: Desk, api_of: Api
) -> None:
    api, path = api_of(desk.account), f"/api/v1/accounts/{desk.account}/settings"
    changed = api.patch(f"{path}?feed=people", json={"settings": {"date-order": "day-first"}})
    assert changed.status_code == 200, changed.json()
    told = api.get(f"{path}?feed=people").json()
    assert [(one["name"], one["value"]) for one in told["settings"]] == [
        ("date_order", "day first")
    ]
    assert [one["declared_by"] for one in told["history"]] == ["test"]
    assert (
        api.patch(f"{path}?feed=people", json={"forget": ["date-order"]}).json()["settings"] == []
    )
    assert api_of("somebody-else").get(path).json()["code"] == "unknown_account"


@pytest.mark.parametrize(
    "settings", [{"colour": "red"}, {"date-order": "sideways"}, {"delimiter": "abc"}]
)
def test_a_setting_that_is_none_is_refused(
    desk: Desk, api_of: Api, settings: dict[str, str]
) -> None:
    path = f"/api/v1/accounts/{desk.account}/settings"
    answer = api_of(desk.account).patch(path, json={"settings": settings})
    assert answer.status_code == 422, answer.json()


@pytest.mark.parametrize("changes", [{"settings": {"priority": 9}}, {"forget": ["priority"]}])
def test_only_a_caller_for_all_accounts_says_whose_files_go_first(
    desk: Desk, api_of: Api, changes: dict[str, object]
) -> None:
    path = f"/api/v1/accounts/{desk.account}/settings"
    answer = api_of(desk.account).patch(path, json=changes)
    assert (answer.status_code, answer.json()["code"]) == (422, "not_accepted")
    assert api_of(None).patch(path, json=changes).status_code == 200
    form = {"setting": "priority", "value": "9", "forget": "priority"}
    for page in ("", "/forget"):
        said = api_of(desk.account).post(f"/accounts/{desk.account}{page}", data=form)
        assert said.status_code == 422


def test_what_was_done_is_in_the_log_of_its_account_only(desk: Desk, api_of: Api) -> None:
    api = api_of(desk.account)
    api.post("/api/v1/tokens", json={"name": "logged", "scopes": ["read"]})
    api.patch(f"/api/v1/accounts/{desk.account}/settings", json={"settings": {"currency": "EUR"}})
    page = api.get("/api/v1/audit?limit=1").json()
    assert [one["action"] for one in page["entries"]] == ["settings changed"]
    more = api.get(f"/api/v1/audit?before={page['before']}").json()
    assert [one["action"] for one in more["entries"]] == ["token made"]
    assert api_of("somebody-else").get("/api/v1/audit").json()["entries"] == []


def test_metrics_are_of_all_accounts_and_need_a_token_for_all(desk: Desk, api_of: Api) -> None:
    desk.bring("ID,Name,Secret,Amount\n1,one,111,1.00\n2,bad,222,x\n")
    assert api_of(desk.account).get("/metrics").status_code == 403
    text = api_of(None).get("/metrics").text
    lane = f'account="{desk.account}",feed="people"'
    assert f'csv_pipeline_imports{{{lane},outcome="imported"}} 1.0' in text
    assert f'csv_pipeline_rows{{{lane},outcome="inserted"}} 1.0' in text
    assert f"csv_pipeline_open_rejects{{{lane}}} 1.0" in text


def test_every_setting_of_an_account_can_be_declared_by_the_api() -> None:
    assert set(Settings.model_fields) == {one.fact for one in Declaration}
