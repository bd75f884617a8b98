"""Nobody passes the gate who may not; what is refused is refused before the body is read."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from csv_pipeline.access import Scope
from csv_pipeline.api import gate
from csv_pipeline.api.app import make_app
from csv_pipeline.api.service import Service
from csv_pipeline.engine.housekeeping import sweep
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.storage import tokens
from csv_pipeline.storage.api_tables import rate_limit
from csv_pipeline.storage.rate_limits import Rate, seconds_to_wait
from csv_pipeline_tests.conftest import Desk

Api = Callable[..., TestClient]
PEOPLE = "ID,Name,Secret,Amount\n1,one,111,1.00\n"


def test_without_a_token_nothing_is_told(anyone: TestClient) -> None:
    answer = anyone.get("/api/v1/imports/1")
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "unauthenticated"


def test_an_import_of_another_account_is_not_there(desk: Desk, api_of: Api) -> None:
    report = desk.bring(PEOPLE)
    assert api_of(desk.account).get(f"/api/v1/imports/{report.import_id}").status_code == 200
    answer = api_of("somebody-else").get(f"/api/v1/imports/{report.import_id}")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_import")


@pytest.mark.parametrize("how", ["expired", "revoked", "of a revoked token"])
def test_a_token_that_ended_is_none(service: Service, anyone: TestClient, how: str) -> None:
    with service.pipeline.database.begin() as connection:
        lasts = timedelta(seconds=-1) if how == "expired" else None
        text, token = tokens.make(
            connection, "short", account=None, scopes=[Scope.READ], lasts=lasts
        )
        if how == "of a revoked token":
            text, _ = tokens.make(
                connection, "page", account=None, scopes=[], session_of=token.token_id
            )
        if how != "expired":
            tokens.revoke(connection, token.token_id)
    answer = anyone.get("/api/v1/imports/1", headers={"Authorization": f"Bearer {text}"})
    assert answer.status_code == 401


def test_a_scope_that_a_token_lacks_is_named(api_of: Api) -> None:
    answer = api_of(None, Scope.UPLOAD).get("/api/v1/imports/1")
    assert (answer.status_code, answer.json()["code"]) == (403, "not_allowed")
    assert "'read'" in answer.json()["detail"]


@pytest.fixture
def without_tokens(service: Service, uncrowded_pipeline: Pipeline) -> TestClient:
    """A client of a service that is open, as there is no token yet."""
    with uncrowded_pipeline.database.begin() as connection:
        for token in tokens.listed(connection):
            tokens.revoke(connection, token.token_id)
    its = Service(pipeline=uncrowded_pipeline, runs=service.runs, open=True)
    return TestClient(make_app(its), base_url="http://127.0.0.1")


def test_an_open_service_is_closed_by_its_first_token(
    without_tokens: TestClient, uncrowded_pipeline: Pipeline
) -> None:
    assert without_tokens.get("/api/v1/tokens").status_code == 200
    with uncrowded_pipeline.database.begin() as connection:
        text, made = tokens.make(connection, "first", account=None, scopes=[Scope.READ])
    assert without_tokens.get("/api/v1/tokens").status_code == 401
    assert without_tokens.post("/api/v1/imports/1/dismiss").status_code == 401
    known = {"Authorization": f"Bearer {text}"}
    assert without_tokens.get("/api/v1/imports", headers=known).status_code == 200
    with uncrowded_pipeline.database.begin() as connection:
        tokens.revoke(connection, made.token_id)
    assert without_tokens.get("/api/v1/imports").status_code == 401  # it does not open again


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example"])
def test_an_open_service_answers_to_this_machine_only(
    without_tokens: TestClient, host: str
) -> None:
    caller = without_tokens
    assert caller.get("/api/v1/imports/0").json()["code"] == "unknown_import"
    answer = caller.get("/api/v1/imports/0", headers={"Host": host})
    assert (answer.status_code, answer.json()["code"]) == (403, "other_site")


def test_what_another_site_sends_is_refused(without_tokens: TestClient) -> None:
    answer = without_tokens.post("/api/v1/imports/1", headers={"Origin": "http://evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (403, "other_site")


def test_more_requests_than_a_token_may_send_are_refused_and_others_go_on(
    monkeypatch: pytest.MonkeyPatch, api_of: Api
) -> None:
    monkeypatch.setattr(gate, "Rate", lambda _: Rate(3, timedelta(seconds=30)))
    one, other = api_of(None), api_of(None)
    statuses = [one.get("/api/v1/imports/0").status_code for _ in range(5)]
    assert statuses == [404, 404, 404, 429, 429]
    answer = one.get("/api/v1/imports/0")
    assert answer.json()["code"] == "too_many_requests"
    assert 1 <= int(answer.headers["retry-after"]) <= 10
    assert other.get("/api/v1/imports/0").status_code == 404


@pytest.mark.parametrize(("ahead", "waits"), [("29 seconds", True), ("1 hour", False)])
def test_requests_go_on_after_the_clock_was_set_back(
    pipeline: Pipeline, account: str, ahead: str, waits: bool
) -> None:
    rate = Rate(3, timedelta(seconds=30))
    kept = sa.text(
        "UPDATE csv_pipeline.rate_limit SET paid_until = now() + CAST(:ahead AS interval) "
        "WHERE key = :key"
    )
    with pipeline.database.begin() as connection:
        seconds_to_wait(connection, account, rate)
        connection.execute(kept, {"ahead": ahead, "key": account})
        answers = [seconds_to_wait(connection, account, rate) > 0 for _ in range(4)]
    assert answers == ([True] * 4 if waits else [False, False, False, True])


def test_the_sweep_forgets_requests_of_strangers_that_are_paid_for(
    pipeline: Pipeline, account: str
) -> None:
    with pipeline.database.begin() as connection:
        for seconds in (0, 60):
            rate = Rate(1, timedelta(seconds=seconds))
            assert seconds_to_wait(connection, f"{account} {seconds}", rate) == 0
    sweep(pipeline.settings, pipeline.database)
    query = sa.select(rate_limit.c.key).where(rate_limit.c.key.startswith(account))
    with pipeline.database.begin() as connection:
        assert list(connection.scalars(query)) == [f"{account} 60"]


@pytest.mark.parametrize("is_told", [True, False])
@pytest.mark.parametrize("path", ["/api/v1/imports/batch", "/api/v1/uploads/1/check", "/login"])
def test_a_body_that_is_held_in_memory_has_a_limit(
    api_of: Api, account: str, path: str, is_told: bool
) -> None:
    def pieces() -> Iterator[bytes]:
        yield from (b'{"action": "retry", "numbers": [1', *[b" " * 1024**2] * 40, b"]}")

    kind = "application/x-www-form-urlencoded" if path == "/login" else "application/json"
    headers = {"Content-Type": kind} | ({"Content-Length": str(40 * 1024**2)} if is_told else {})
    answer = api_of(account).post(path, content=pieces(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
