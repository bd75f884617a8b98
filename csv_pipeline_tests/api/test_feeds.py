"""Feeds are described, and their stored rows read in pages."""

import re
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from jsonschema import Draft202012Validator

from csv_pipeline.api.paging import cursor
from csv_pipeline.feeds import FEEDS
from csv_pipeline.rejects.faults import MASK
from csv_pipeline.storage import feed_rows
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


@pytest.mark.parametrize("feed", [one.name for one in FEEDS])
def test_the_template_of_a_feed_is_imported_as_it_is(desk: Desk, api_of: Api, feed: str) -> None:
    answer = api_of(desk.account).get(f"/api/v1/feeds/{feed}/template.csv")
    (name,) = re.findall(r"filename\*=utf-8''(.+)", answer.headers["content-disposition"])
    report = desk.bring(answer.content, feed, name)
    assert (report.counts.read, report.counts.inserted, report.problem) == (2, 2, None)
    assert (report.warnings, report.drift.added) == ((), ())


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


MIXED = "ID,Name,Amount,Born\n1,b,2.00,\n2,c,10.00,2001-01-01\n3,b,,1999-12-31\n4,a,2.00,\n5,,,\n"


@pytest.mark.parametrize(
    ("sort", "ascending", "ids"),
    [
        ("name", "true", "41325"),
        ("name", "false", "23145"),
        ("amount", "true", "14235"),
        ("amount", "false", "24153"),
        ("born_on", "true", "32145"),
        ("person_id", "false", "54321"),
    ],
)
@pytest.mark.parametrize("limit", [1, 2, 5])
def test_pages_by_any_column_give_every_row_once_missing_values_last(  # noqa: PLR0917
    desk: Desk, api_of: Api, sort: str, ascending: str, ids: str, limit: int
) -> None:
    desk.bring(MIXED)
    api, found = api_of(desk.account), ""
    at = f"{ROWS}?limit={limit}&sort={sort}&ascending={ascending}"
    while at:
        answer = api.get(at).json()
        found += "".join(row["person_id"] for row in answer["rows"])
        at = answer["next"]
    assert found == ids


def test_text_longer_than_an_address_is_paged_by(desk: Desk, api_of: Api) -> None:
    names = ["\U0001f600" * 5_000, "\U0001f600" * 4_999, "\U0001f600" * 199]
    desk.bring("ID,Name\n" + "".join(f"{at},{name}\n" for at, name in enumerate(names)))
    api, found = api_of(desk.account), []
    at = f"{ROWS}?limit=1&sort=name"
    while at:
        answer = api.get(at).json()
        found += [row["person_id"] for row in answer["rows"]]
        at = answer["next"]
    assert found == ["2", "0", "1"]


def test_a_place_that_no_value_has_is_refused(desk: Desk, api_of: Api) -> None:
    desk.bring(MIXED)
    api = api_of(desk.account)
    at = cursor("people.amount+", 0, "no amount", "1")
    answer = api.get(f"{ROWS}?sort=amount&cursor={at}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    other = api.get(f"{ROWS}?sort=name&limit=1").json()["next"].replace("sort=name", "sort=amount")
    assert api.get(other).json()["code"] == "invalid_request"


def test_rows_that_take_too_long_are_refused_with_what_helps(
    desk: Desk, api_of: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.bring(MIXED)
    api = api_of(desk.account)
    monkeypatch.setattr(feed_rows, "MOST_SECONDS", 0.1)
    with desk.pipeline.database.begin() as connection:
        connection.execute(sa.text("LOCK TABLE data.people"))  # so that nothing is read
        answer = api.get(f"{ROWS}?sort=amount")
    assert (answer.status_code, answer.json()["code"]) == (422, "query_too_slow")
    assert "order of the key" in answer.json()["detail"]
    assert api.get(f"{ROWS}?sort=amount").status_code == 200


def test_rows_are_as_the_schema_of_the_feed_says(desk: Desk, api_of: Api) -> None:
    desk.bring(f"{MIXED}6,six,-0.00,\n")
    api = api_of(desk.account)
    schema = api.get("/api/v1/feeds/people/schema.json").json()
    Draft202012Validator.check_schema(schema)
    its = Draft202012Validator(schema)
    rows = api.get(ROWS).json()["rows"]
    assert len(rows) == 6
    assert [fault.message for row in rows for fault in its.iter_errors(row)] == []
    for wrong in ({"amount": 1.5}, {"person_id": None}, {"born_on": 3}):
        assert not its.is_valid(rows[0] | wrong)


def test_every_feed_has_a_json_schema_and_a_table_schema(api_of: Api, account: str) -> None:
    api = api_of(account)
    for feed in api.get("/api/v1/feeds").json():
        at = f"/api/v1/feeds/{feed['name']}"
        Draft202012Validator.check_schema(api.get(f"{at}/schema.json").json())
        assert api.get(f"{at}/table-schema.json").json()["name"] == feed["name"]


@pytest.mark.parametrize(
    "asked", ["sort=secret", "sort=nothing", "secret=222", "nothing=1", "_import_id=1", "cursor=x"]
)
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
