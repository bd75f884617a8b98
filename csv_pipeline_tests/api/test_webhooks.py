"""Webhooks are told what became of imports: signed, in order, at least once, and of no other's."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from standardwebhooks import Webhook as Verifier

from csv_pipeline.account import Account
from csv_pipeline.engine import delivery
from csv_pipeline.engine import webhooks as engine
from csv_pipeline.engine.accounts import declare
from csv_pipeline.engine.housekeeping import sweep
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.storage import overdue, webhooks
from csv_pipeline_tests.conftest import Desk
from csv_pipeline_tests.receivers import Receiver, receiving

Api = Callable[..., TestClient]
PEOPLE = "ID,Name,Secret,Amount\n{0},one,111,1.00\n"


def names(receiver: Receiver, secret: str) -> list[str]:
    return [
        Verifier(secret).verify(body, {k.lower(): v for k, v in headers.items()})["data"]["name"]
        for headers, body in receiver.taken
    ]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def told(desk: Desk, receiver: Receiver, pipeline: Pipeline) -> Iterator[tuple[int, str]]:
    """A webhook of the test's account, and its secret; added past the check of the address."""
    del desk
    made, secret = engine.add(pipeline.database, account=None, url=receiver.url)
    yield made.webhook_id, secret
    with pipeline.database.begin() as connection:
        webhooks.remove(connection, made.webhook_id, None)


def again_now(pipeline: Pipeline) -> None:
    with pipeline.database.begin() as connection:
        connection.execute(sa.text("UPDATE csv_pipeline.webhook SET suspended_until = NULL"))


def test_imports_are_told_once_in_order_and_signed(
    desk: Desk, receiver: Receiver, told: tuple[int, str]
) -> None:
    brought = [desk.bring(PEOPLE.format(n), name=f"{desk.account}-{n}.csv").name for n in range(3)]
    delivery.deliver(desk.pipeline.database, 20)
    delivery.deliver(desk.pipeline.database, 20)
    mine = [name for name in names(receiver, told[1]) if name.startswith(desk.account)]
    assert mine == brought


def test_a_message_that_is_not_taken_comes_again_before_those_behind_it(
    desk: Desk, receiver: Receiver, told: tuple[int, str]
) -> None:
    receiver.answers = [500, 302]
    brought = [desk.bring(PEOPLE.format(n), name=f"{desk.account}-{n}.csv").name for n in range(2)]
    for _ in range(3):
        delivery.deliver(desk.pipeline.database, 20)
        again_now(desk.pipeline)
    mine = [name for name in names(receiver, told[1]) if name.startswith(desk.account)]
    assert mine == brought


def test_a_webhook_that_failed_waits_before_it_is_asked_again(
    desk: Desk, receiver: Receiver, told: tuple[int, str]
) -> None:
    receiver.answers = [500]
    desk.bring(PEOPLE.format(1))
    delivery.deliver(desk.pipeline.database, 20)
    delivery.deliver(desk.pipeline.database, 20)
    assert receiver.taken == []
    with desk.pipeline.database.begin() as connection:
        (one,) = [w for w in webhooks.listed(connection, None) if w.webhook_id == told[0]]
    assert (one.attempts, one.problem) == (1, "answered 500")


@pytest.mark.parametrize(("ahead", "is_asked"), [("72 minutes", False), ("1 day", True)])
def test_a_webhook_that_waits_is_asked_after_the_clock_was_set_back(
    desk: Desk, receiver: Receiver, told: tuple[int, str], ahead: str, is_asked: bool
) -> None:
    name = desk.bring(PEOPLE.format(1)).name
    until = "UPDATE csv_pipeline.webhook SET suspended_until = now() + CAST(:ahead AS interval)"
    with desk.pipeline.database.begin() as connection:
        connection.execute(sa.text(until), {"ahead": ahead})
    delivery.deliver(desk.pipeline.database, 20)
    assert names(receiver, told[1]) == ([name] if is_asked else [])


def aged(desk: Desk, names: list[str], age: str) -> None:
    late = "UPDATE csv_pipeline.outbox SET created_at = now() - CAST(:age AS interval) "
    its = "WHERE payload ->> 'account' = :account AND payload ->> 'name' = ANY (:names)"
    with desk.pipeline.database.begin() as connection:
        facts = {"age": age, "account": desk.account, "names": names}
        connection.execute(sa.text(late + its), facts)


def test_a_message_that_was_never_taken_is_set_aside_with_all_behind_it_of_more_than_a_day(
    desk: Desk, receiver: Receiver, told: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_MOST_ATTEMPTS", 2)
    receiver.answers = [500, 500]
    brought = [desk.bring(PEOPLE.format(n), name=f"{n}.csv").name for n in range(5)]
    aged(desk, [*brought[1:3], brought[4]], "25 hours")  # the last is behind one of today
    for _ in range(3):
        delivery.deliver(desk.pipeline.database, 20)
        again_now(desk.pipeline)
    assert names(receiver, told[1]) == brought[3:]
    with desk.pipeline.database.begin() as connection:
        lost = webhooks.set_aside(connection, told[0], 9).values()
        (need,) = [one for one in webhooks.untold(connection) if one.number == told[0]]
    assert [one.payload["name"] for one in lost] == brought[:3]
    assert need.problem == "3 messages are set aside; answered 500"


def test_attempts_for_one_message_do_not_count_for_the_next(
    desk: Desk, receiver: Receiver, told: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_MOST_ATTEMPTS", 2)
    receiver.answers = [500, 200, 500]
    brought = [desk.bring(PEOPLE.format(n), name=f"{n}.csv").name for n in range(2)]
    for _ in range(3):
        delivery.deliver(desk.pipeline.database, 20)
        again_now(desk.pipeline)
    assert names(receiver, told[1]) == brought


def test_the_outbox_keeps_old_messages_until_a_webhook_that_is_away_was_told_of_them(
    desk: Desk, receiver: Receiver, told: tuple[int, str]
) -> None:
    def sweep_and_count() -> int:
        sweep(desk.pipeline.settings, desk.pipeline.database)
        query = "SELECT count(*) FROM csv_pipeline.outbox WHERE payload ->> 'account' = :account"
        with desk.pipeline.database.begin() as connection:
            kept: int = connection.execute(sa.text(query), {"account": desk.account}).scalar_one()
        return kept

    receiver.answers = [500]
    brought = [desk.bring(PEOPLE.format(n), name=f"{n}.csv").name for n in range(2)]
    aged(desk, brought, "30 days")
    delivery.deliver(desk.pipeline.database, 20)
    assert sweep_and_count() == 2
    again_now(desk.pipeline)
    delivery.deliver(desk.pipeline.database, 20)
    assert names(receiver, told[1]) == brought
    assert sweep_and_count() == 0


def test_a_message_that_commits_late_is_told_though_later_numbers_were(
    desk: Desk, receiver: Receiver, told: tuple[int, str]
) -> None:
    late = sa.text(
        "INSERT INTO csv_pipeline.outbox (import_id, kind, payload) "
        "VALUES (0, 'imported', jsonb_build_object('account', 'late', 'name', 'late.csv'))"
    )
    with desk.pipeline.database.begin() as open_one:
        open_one.execute(late)
        name = desk.bring(PEOPLE.format(1)).name
        delivery.deliver(desk.pipeline.database, 20)
    again_now(desk.pipeline)
    delivery.deliver(desk.pipeline.database, 20)
    assert {"late.csv", name} <= set(names(receiver, told[1]))


def test_an_overdue_account_is_told_once(
    desk: Desk, receiver: Receiver, told: tuple[int, str]
) -> None:
    desk.bring(PEOPLE.format(1))
    declare(desk.pipeline, Account(account=desk.account), {"expected_every": "1h"})
    for _ in range(2):
        with desk.pipeline.database.begin() as connection:
            late = "UPDATE csv_pipeline.arrival SET seen_at = '2026-01-01' WHERE account = :a"
            connection.execute(sa.text(late), {"a": desk.account})
            overdue.notice(connection)
        delivery.deliver(desk.pipeline.database, 20)
    found = [json.loads(body) for _, body in receiver.taken]
    mine = [one for one in found if one["data"]["account"] == desk.account]
    assert [one["type"] for one in mine] == ["import.imported", "account.overdue"]
    assert mine[1]["data"]["import_id"] is None


def test_a_webhook_is_added_shown_without_its_secret_and_removed(
    desk: Desk, api_of: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_private", lambda _: None)
    api = api_of(desk.account)
    made = api.post("/api/v1/webhooks", json={"url": "https://example.com/x"})
    assert (made.status_code, made.json()["secret"][:6]) == (201, "whsec_")
    (shown,) = api.get("/api/v1/webhooks").json()
    assert shown["secret"] is None
    path = f"/api/v1/webhooks/{shown['webhook_id']}"
    assert api_of("other-account").delete(path).status_code == 422
    assert api.delete(path).status_code == 204
    assert api.get("/api/v1/webhooks").json() == []


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://example.com", "https://user:pw@example.com", "https://example.com/\0"),
        *("http://127.0.0.1/x", "http://[::1]/"),
    ],
)
def test_an_address_inside_or_of_no_web_server_is_refused(
    desk: Desk, api_of: Api, url: str
) -> None:
    answer: Any = api_of(desk.account).post("/api/v1/webhooks", json={"url": url})
    assert (answer.status_code, answer.json()["code"]) == (422, "not_accepted")
