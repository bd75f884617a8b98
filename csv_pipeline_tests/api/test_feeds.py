"""Feeds are described, and their stored rows read in pages."""

from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from csv_pipeline.rejects.faults import MASK
from csv_pipeline_tests.conftest import Desk

Api = Callable[..., TestClient]
ROWS = "/api/v1/feeds/people/rows"
PEOPLE = "ID,Name,Secret,Amount\n1,one,111,1.00\n2,two,222,2.00\n3,Zoë,333,3.50\n"


def test_a_feed_is_described_with_its_contract(desk: Desk, api_of: Api) -> None:
    api = api_of(desk.account)
    assert "people" in [one["name"] for one in api.get("/api/v1/feeds").json()]
    found = api.get("/api/v1/feeds/people").json()
    assert found["columns"][0]["headings"] == ["ID", "person_id"]
    assert found["table_schema"]["fields"][0]["name"] == "person_id"
    assert "person_id" in api.get("/api/v1/feeds/people/contract?as=odcs").text
    assert api.get("/api/v1/feeds/nothing").json()["code"] == "unknown_feed"


@pytest.mark.parametrize("ascending", ["true", "false"])
def test_pages_give_every_stored_row_once_and_masked(
    desk: Desk, api_of: Api, ascending: str
) -> None:
    desk.bring(PEOPLE)
    api, found = api_of(desk.account), []
    at = f"{ROWS}?limit=1&ascending={ascending}"
    while at:
        answer = api.get(at).json()
        found += answer["rows"]
        at = answer["next"]
    assert sorted(row["person_id"] for row in found) == ["1", "2", "3"]
    assert {row["secret"] for row in found} == {MASK}
    assert [row["person_id"] for row in found] == sorted(
        (row["person_id"] for row in found), reverse=ascending == "false"
    )


@pytest.mark.parametrize(
    ("asked", "ids"),
    [
        ("name=two", ["2"]),
        ("amount=3.50", ["3"]),
        ("search=ZO%C3%AB", ["3"]),
        ("search=222", []),
        ("search=%25", []),
    ],
)
def test_rows_are_filtered_and_searched_where_they_are_shown(
    desk: Desk, api_of: Api, asked: str, ids: list[str]
) -> None:
    desk.bring(PEOPLE)
    found = api_of(desk.account).get(f"{ROWS}?{asked}").json()["rows"]
    assert [row["person_id"] for row in found] == ids


@pytest.mark.parametrize("asked", ["secret=222", "nothing=1", "_import_id=1", "cursor=x"])
def test_what_is_not_shown_is_not_filtered_by(desk: Desk, api_of: Api, asked: str) -> None:
    answer = api_of(desk.account).get(f"{ROWS}?{asked}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_rows_are_the_same_until_an_import_changes_them(desk: Desk, api_of: Api) -> None:
    desk.bring(PEOPLE)
    api = api_of(desk.account)
    tag = {"If-None-Match": api.get(ROWS).headers["etag"]}
    assert api.get(ROWS, headers=tag).status_code == 304
    desk.bring("ID,Name\n9,nine\n")
    assert len(api.get(ROWS, headers=tag).json()["rows"]) == 4


def test_rows_of_another_account_are_not_there(desk: Desk, api_of: Api) -> None:
    desk.bring(PEOPLE)
    other = api_of(f"{desk.account[:40]}-other")
    assert other.get(ROWS).json()["rows"] == []
    assert other.get(f"{ROWS}?account={desk.account}").status_code == 404
    everyone = api_of(None)
    assert everyone.get(ROWS).status_code == 422
    assert len(everyone.get(f"{ROWS}?account={desk.account}").json()["rows"]) == 3


@pytest.mark.parametrize(
    ("by", "rejects"), [("day", [1]), ("feed", [1]), ("account", [1]), ("rule", [1, 1])]
)
def test_imports_are_summed_up_without_those_undone(
    desk: Desk, api_of: Api, by: str, rejects: list[int]
) -> None:
    desk.bring(f"{PEOPLE}4,four,abc,x\n")
    desk.pipeline.undo(desk.bring("ID,Name\n9,nine\n").import_id)
    found = api_of(desk.account).get(f"/api/v1/aggregates?by={by}").json()
    assert [one["rejects"] for one in found] == rejects
    assert {(one["imports"], one["read"], one["stored"]) for one in found} == {(1, 4, 3)}
    other = api_of(f"{desk.account[:40]}-other")
    assert other.get(f"/api/v1/aggregates?by={by}").json() == []
