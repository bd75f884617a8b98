"""Undo, retry, again and cancel: each asks for a run, or says why it cannot be."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from csv_pipeline.storage.tokens import Scope
from csv_pipeline_tests.conftest import Desk

Api = Callable[..., TestClient]
PEOPLE = "ID,Name,Amount\n1,one,1.00\n2,two,2.00\n"


def address(number: int, more: str) -> str:
    return f"/api/v1/imports/{number}/{more}"


def test_an_undo_says_first_what_it_would_do_and_is_undone(desk: Desk, api_of: Api) -> None:
    api = api_of(desk.account)
    first = desk.bring(PEOPLE)
    second = desk.bring("ID,Name,Amount\n2,zwei,2.00\n3,three,3.00\n")
    told = api.get(address(first.import_id, "undo")).json()
    assert (told["goes"], told["comes_back"], told["stays"]) == (1, 0, {str(second.import_id): 1})
    assert len(desk.rows()) == 3
    assert api.post(address(first.import_id, "undo")).status_code == 202
    assert [row.name for row in desk.rows()] == ["zwei", "three"]
    undo = api.get(f"/api/v1/imports/{first.import_id}").json()["undone_by"]
    assert api.get(address(undo, "undo")).json()["redone"] is True
    api.post(address(undo, "undo"))
    assert {row.name for row in desk.rows()} == {"one", "zwei", "three"}


def test_what_is_undone_cannot_be_undone_again(desk: Desk, api_of: Api) -> None:
    api = api_of(desk.account)
    report = desk.bring(PEOPLE)
    desk.pipeline.undo(report.import_id)
    for answer in (
        api.get(address(report.import_id, "undo")),
        api.post(address(report.import_id, "undo")),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "cannot_be_undone")


def test_a_refused_file_is_imported_once_it_can_be(desk: Desk, api_of: Api) -> None:
    api = api_of(desk.account)
    report = desk.bring("ID,Called\n1,one\n")
    desk.declare(feed="people", aliases=(("Called", "name"),), max_rejected_share=1.0)
    again = api.post(address(report.import_id, "retry" if report.problem else "again"))
    assert again.status_code == 202, again.json()
    assert [row.name for row in desk.rows()] == ["one"]


def test_an_imported_file_is_imported_again_only_if_that_is_said(desk: Desk, api_of: Api) -> None:
    api = api_of(desk.account)
    report = desk.bring(PEOPLE)
    answer = api.post(address(report.import_id, "retry"))
    assert (answer.status_code, answer.json()["code"]) == (409, "wrong_state")
    assert api.post(address(report.import_id, "again")).status_code == 202
    newest = api.get("/api/v1/imports").json()["imports"][0]
    assert newest["counts"]["unchanged"] == 2


def test_an_upload_that_is_checked_is_canceled(desk: Desk, api_of: Api) -> None:
    api = api_of(desk.account)
    sent = api.put(f"/api/v1/uploads/{desk.account}/p.csv?feed=people&check=true", content=PEOPLE)
    number = sent.json()["upload_id"]
    assert api.post(address(number, "cancel")).status_code == 202
    assert api.get(f"/api/v1/imports/{number}").json()["state"] == "canceled"
    assert api.post(address(number, "cancel")).json()["code"] == "wrong_state"


def test_a_settled_import_is_not_canceled_and_a_running_one_not_undone(
    desk: Desk, api_of: Api
) -> None:
    api = api_of(desk.account)
    report = desk.bring(PEOPLE)
    assert api.post(address(report.import_id, "cancel")).json()["code"] == "wrong_state"
    running = desk.claimed("ID,Name\n9,nine\n").claim.import_id
    assert api.post(address(running, "undo")).json()["code"] == "import_running"


def test_each_file_of_a_batch_has_a_status_of_its_own(desk: Desk, api_of: Api) -> None:
    api = api_of(desk.account)
    report = desk.bring(PEOPLE)
    numbers = [report.import_id, 0, report.import_id]
    asked = {"action": "undo", "numbers": numbers}
    results = api.post("/api/v1/imports/batch", json=asked).json()["results"]
    assert [one["status"] for one in results] == [202, 404]
    assert results[1]["problem"]["code"] == "unknown_import"
    assert desk.rows() == []


@pytest.mark.parametrize("action", ["undo", "cancel", "retry", "again"])
def test_nobody_acts_on_another_account_or_without_the_scope(
    desk: Desk, api_of: Api, action: str
) -> None:
    report = desk.bring(PEOPLE)
    other = api_of(f"{desk.account[:40]}-other")
    assert other.post(address(report.import_id, action)).status_code == 404
    asked = {"action": action, "numbers": [report.import_id]}
    (found,) = other.post("/api/v1/imports/batch", json=asked).json()["results"]
    assert found["status"] == 404
    reader = api_of(desk.account, Scope.READ)
    assert reader.post(address(report.import_id, action)).status_code == 403
    (found,) = reader.post("/api/v1/imports/batch", json=asked).json()["results"]
    assert found["status"] == 403
    assert len(desk.rows()) == 2


@pytest.mark.parametrize("more", ["evidence", "lines", "report", "differences", "suggestions"])
def test_every_detail_is_for_its_own_account(desk: Desk, api_of: Api, more: str) -> None:
    report = desk.bring(PEOPLE)
    assert api_of(desk.account).get(address(report.import_id, more)).status_code == 200
    other = api_of(f"{desk.account[:40]}-other")
    assert other.get(address(report.import_id, more)).status_code == 404
