"""What needs somebody is told as `status` tells it, with the calls that help."""

import json
import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from csv_pipeline.access import Scope
from csv_pipeline.cli import commands, opening, terminal
from csv_pipeline.storage import silent_stores
from csv_pipeline_tests.conftest import Desk
from csv_pipeline_tests.test_attention import GOOD, MESSY, WRONG

Api = Callable[..., TestClient]
ROOT = "/api/v1"
NEEDS = f"{ROOT}/needs"


def needs(api: TestClient, asked: str = "") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get(f"{NEEDS}{asked}").json()["needs"]
    return found


def files(api: TestClient, asked: str = "") -> list[str]:
    return [one["file"] for one in needs(api, asked)]


def execute(desk: Desk, statement: str, **facts: Any) -> None:
    with desk.pipeline.database.begin() as connection:
        connection.execute(sa.text(statement), {"account": desk.account} | facts)


def let_fail(desk: Desk, name: str, times: int) -> None:
    """Let a file that was refused have failed so often instead."""
    its = {"name": name, "times": times}
    for table in (
        "import SET outcome = 'failed'",
        "arrival SET status = 'failed', failures = :times",
    ):
        where = "WHERE account = :account AND name = :name"
        execute(desk, f"UPDATE csv_pipeline.{table} {where}", **its)


def let_wait(desk: Desk) -> None:
    """Let one file be misplaced, and another one wait for hours."""
    for feed in ("peopel", "people"):
        folder = desk.pipeline.settings.landing_folder / desk.account / feed
        folder.mkdir(parents=True)
        (folder / f"{feed}.csv").write_text(GOOD)
    desk.pipeline.scan(seconds=10, account=desk.account)
    earlier = "UPDATE csv_pipeline.arrival SET seen_at = now() - interval '3 hours'"
    execute(desk, f"{earlier} WHERE account = :account AND status = 'waiting'")


@pytest.fixture
def told_by_status(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """Give what the command says of the account."""
    monkeypatch.setattr(opening, "pipeline", lambda: desk.pipeline)
    monkeypatch.setattr(terminal, "command", lambda: "csv-pipeline")

    def told() -> Any:
        words = ["status", "-a", desk.account, "--json"]
        return json.loads(CliRunner().invoke(commands.app, words).stdout)

    return told


def test_each_state_is_told_as_status_tells_it_with_the_calls_that_help(
    desk: Desk, api_of: Api, told_by_status: Callable[[], Any]
) -> None:
    api = api_of(desk.account)
    for name in ("refused.csv", "failed.csv", "poison.csv"):
        desk.bring(WRONG, name=name)
    desk.bring(MESSY, name="messy.csv")
    let_fail(desk, "failed.csv", 1)
    let_fail(desk, "poison.csv", 99)
    let_wait(desk)
    api.put(f"{ROOT}/uploads/{desk.account}/up.csv?feed=people&check=true", content=GOOD)
    desk.declare(feed="limited", expected_every="24h")
    execute(
        desk,
        "UPDATE csv_pipeline.declaration SET declared_at = now() - interval '9 days' "
        "WHERE account = :account",
    )
    found = needs(api)
    calls = {one["state"]: [without_number(its, one) for its in one["calls"]] for one in found}
    again = ["POST imports/N/retry", "POST imports/N/dismiss"]
    assert calls == {
        "refused": ["GET imports/N/suggestions", *again],
        "failed": again,
        "poison": again,
        "to correct": ["GET imports/N/rejects.csv", "POST imports/N/dismiss"],
        "misplaced": [],
        "waiting": [],
        "overdue": [f"PATCH accounts/{desk.account}/settings?feed=limited"],
        "checked": ["POST uploads/N/import", "DELETE uploads/N"],
    }
    paths = api.get(f"{ROOT}/openapi.json").json()["paths"]
    for call in (call for one in found for call in one["calls"]):
        assert any(is_of(call, path, methods) for path, methods in paths.items()), call
    assert all(one["help"] for one in found)
    assert [told(one) for one in found] == [told(one) for one in told_by_status()]


def without_number(call: str, need: dict[str, Any]) -> str:
    return call.replace(f"{ROOT}/", "").replace(f"/{need['number']}", "/N")


def is_of(call: str, path: str, methods: dict[str, Any]) -> bool:
    """Return whether a call is of a route, by its path with names of parts in it."""
    method, _, address = call.partition(" ")
    as_pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path))
    is_its = re.fullmatch(as_pattern, address.partition("?")[0]) is not None
    return is_its and method.lower() in methods


def told(need: dict[str, Any]) -> dict[str, Any]:
    """Return what is told of a need but for its calls, with the moment as one."""
    since = datetime.fromisoformat(need["since"])
    return {name: value for name, value in need.items() if name != "calls"} | {"since": since}


def test_a_call_that_is_told_ends_what_it_is_told_of(desk: Desk, api_of: Api) -> None:
    api = api_of(desk.account)
    desk.bring(WRONG, name="refused.csv")
    desk.bring(MESSY, name="messy.csv")
    desk.declare(expected_every="1h")
    execute(
        desk,
        "UPDATE csv_pipeline.arrival SET seen_at = now() - interval '2 hours' "
        "WHERE account = :account",
    )
    assert [one["state"] for one in needs(api)] == ["to correct", "refused", "overdue"]
    for one in needs(api):
        method, _, address = one["calls"][-1].partition(" ")
        its = {"settings": {"expected-every": "never"}} if method == "PATCH" else None
        assert api.request(method, address, json=its).status_code in {200, 202}
    assert needs(api) == []


def test_who_asks_for_one_account_sees_nothing_of_others(desk: Desk, api_of: Api) -> None:
    desk.bring(WRONG, name="mine.csv")
    other, root = api_of(f"{desk.account[:40]}-other"), api_of(None, Scope.READ)
    store = f"s3://{desk.account}"
    with desk.pipeline.database.begin() as connection:
        silent_stores.note(connection, store, "no answer", listing=True)
    assert files(api_of(desk.account, Scope.READ)) == ["mine.csv"]
    assert files(root, f"?account={desk.account}") == ["mine.csv"]
    assert {"mine.csv", store} <= set(files(root, "?limit=200"))
    with desk.pipeline.database.begin() as connection:
        silent_stores.answered(connection, [store])
    assert files(other) == []
    refused = other.get(f"{NEEDS}?account={desk.account}")
    assert (refused.status_code, refused.json()["code"]) == (404, "unknown_account")
    assert api_of(desk.account, Scope.UPLOAD).get(NEEDS).status_code == 403


def test_the_newest_come_first_and_more_is_said(desk: Desk, api_of: Api) -> None:
    api = api_of(desk.account)
    for name in ("a.csv", "b.csv", "c.csv"):
        desk.bring(WRONG, name=name)
    asked = {limit: api.get(f"{NEEDS}?limit={limit}").json() for limit in (2, 3)}
    assert [one["file"] for one in asked[2]["needs"]] == ["c.csv", "b.csv"]
    assert (asked[2]["more"], asked[3]["more"], len(asked[3]["needs"])) == (True, False, 3)
    assert api.get(f"{NEEDS}?limit=201").json()["code"] == "invalid_request"


def test_an_alert_that_is_untold_is_told_to_admins_of_its_account(desk: Desk, api_of: Api) -> None:
    admin = api_of(desk.account)
    url = {"url": "https://93.184.215.14/imports"}
    number = admin.post(f"{ROOT}/webhooks", json=url).json()["webhook_id"]
    silent = "UPDATE csv_pipeline.webhook SET attempts = 9, problem = 'it answered 500'"
    execute(desk, f"{silent} WHERE webhook_id = :id", id=number)
    (untold,) = needs(admin)
    assert (untold["state"], untold["number"], untold["calls"]) == ("untold", number, [])
    assert "it answered 500" in untold["problem"]
    for other in (api_of(desk.account, *(set(Scope) - {Scope.ADMIN})), api_of("other-account")):
        assert "untold" not in {one["state"] for one in needs(other)}
    admin.delete(f"{ROOT}/webhooks/{number}")
