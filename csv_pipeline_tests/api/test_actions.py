"""Undo, retry, again and cancel: each asks for a run, or says why it cannot be."""

from collections.abc import Callable
from threading import Timer

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from csv_pipeline.access import Scope
from csv_pipeline.engine import run
from csv_pipeline.engine.events import StepDone
from csv_pipeline.engine.workspace import Stage
from csv_pipeline.errors import LostClaimError
from csv_pipeline.files.landing import found_file
from csv_pipeline.location import location_of
from csv_pipeline.model import Claim
from csv_pipeline.storage import arrivals
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


def two_files(desk: Desk, run_id: str) -> list[Claim]:
    """Return the claims of two files that a run imports together."""
    for name in ("first", "second"):
        path = desk.folder / f"{name}.csv"
        path.write_text(f"ID,Name,Amount\n{len(name)},{name},1.00\n")
        with desk.pipeline.database.begin() as connection:
            arrivals.register(connection, [found_file(location_of(path), desk.account, "people")])
    return desk.pipeline.claim(desk.account, "people", run_id=run_id)


def test_a_canceled_file_ends_alone_and_stays_so_until_retry(desk: Desk, api_of: Api) -> None:
    api, lane = api_of(desk.account), (desk.account, "people")
    claims = two_files(desk, "run-of-two")
    number = claims[0].import_id
    answers: list[Response] = []

    def cancel_in_the_middle(event: object) -> None:
        if isinstance(event, StepDone) and event.progress.stage is Stage.READ and not answers:
            answers.append(api.post(address(number, "cancel")))

    run.run(desk.pipeline, claims, cancel_in_the_middle)
    assert (answers[0].status_code, answers[0].json()["run_id"]) == (202, None)
    assert [row.name for row in desk.rows()] == ["second"]
    assert api.get(f"/api/v1/imports/{number}").json()["state"] == "canceled"
    (listed,) = api.get("/api/v1/imports?state=canceled").json()["imports"]
    assert listed["number"] == number
    with desk.pipeline.database.begin() as connection:
        assert arrivals.backlog(connection, with_failed=True, for_run=(*lane, "")) == []
    assert desk.pipeline.claim(*lane) == []
    assert api.post(address(number, "cancel")).json()["code"] == "wrong_state"
    assert api.post(address(number, "retry")).status_code == 202
    assert {row.name for row in desk.rows()} == {"first", "second"}
    now = api.get(f"/api/v1/imports/{number}").json()
    assert (now["state"], now["name"]) == ("imported", "file-1.csv" if False else now["name"])


def test_the_run_of_a_canceled_file_ends_if_it_has_no_other(desk: Desk, api_of: Api) -> None:
    running = desk.claimed(PEOPLE, run_id="run-of-one").claim
    answer = api_of(desk.account).post(address(running.import_id, "cancel"))
    assert answer.json()["run_id"] == "run-of-one"
    with pytest.raises(LostClaimError):
        run.run(desk.pipeline, [running])
    assert desk.rows() == []


def test_a_canceled_file_arrives_again_only_if_it_is_another(desk: Desk, api_of: Api) -> None:
    claim = desk.claimed(PEOPLE, run_id="r").claim
    api_of(desk.account).post(address(claim.import_id, "cancel"))
    file = found_file(location_of(claim.location), desk.account, "people")
    with desk.pipeline.database.begin() as connection:
        assert arrivals.register(connection, [file]) == 0
    desk.pipeline.leases.give_all_back()
    assert desk.pipeline.claim(desk.account, "people") == []


def test_who_listens_hears_that_a_file_is_canceled(desk: Desk, api_of: Api) -> None:
    api = api_of(desk.account)
    running = desk.claimed(PEOPLE, run_id="r").claim.import_id
    timer = Timer(2.5, lambda: api.post(address(running, "cancel")))
    timer.start()
    text = api.get(address(running, "events")).text
    timer.join()
    assert '"status":"canceled"' in text.replace(" ", "")


def test_a_refused_file_that_needs_nobody_is_dismissed_by_who_may_correct(
    desk: Desk, api_of: Api
) -> None:
    refused = desk.bring("Colour,Size\nred,3\n")
    here = address(refused.import_id, "dismiss")
    assert api_of(desk.account, Scope.READ, Scope.UPLOAD).post(here).status_code == 403
    assert api_of("another-account").post(here).status_code == 404
    api = api_of(desk.account, Scope.READ, Scope.CORRECT)
    assert [one["dismiss"] for one in needs(api)] == [f"/imports/{refused.import_id}/dismiss"]
    assert api.post(here).json()["action"] == "dismiss"
    assert needs(api) == []


def test_a_file_that_was_imported_cannot_be_dismissed(desk: Desk, api_of: Api) -> None:
    good = desk.bring(PEOPLE)
    answer = api_of(desk.account).post(address(good.import_id, "dismiss"))
    assert (answer.status_code, answer.json()["code"]) == (422, "not_accepted")


def needs(api: TestClient) -> list[dict[str, str]]:
    found: list[dict[str, str]] = api.get("/index.json").json()["needs"]
    return found
