"""One list of all files: filtered, sorted, in pages; and one address for each."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from csv_pipeline.location import location_of
from csv_pipeline.model import ImportReport
from csv_pipeline.storage import arrivals
from csv_pipeline.storage.browse import ImportState
from csv_pipeline_tests.conftest import Desk

Api = Callable[..., TestClient]
ROOT = Path(__file__).parents[2]
LIST = "/api/v1/imports"
PEOPLE = "ID,Name,Secret,Amount\n1,one,111,1.00\n2,two,222,2.00\n3,bad,333,x\n"


def pages(api: TestClient, address: str) -> Iterator[dict[str, Any]]:
    """Give all entries of a list, page after page."""
    at: str | None = address
    while at is not None:
        answer = api.get(at)
        assert answer.status_code == 200, answer.json()
        yield from answer.json()["imports"]
        at = answer.json()["next"]


@pytest.fixture
def brought(desk: Desk) -> list[ImportReport]:
    """Imports of an account: two that stored rows, a duplicate, and one that is refused."""
    return [
        desk.bring(PEOPLE, name="b.csv"),
        desk.bring("ID,Name\n7,seven\n", name="a.csv"),
        desk.bring(PEOPLE, name="c.csv"),
        desk.bring("nothing,of,this\n1,2,3\n", name="Zebra.csv"),
    ]


def test_the_newest_import_comes_first(
    desk: Desk, api_of: Api, brought: list[ImportReport]
) -> None:
    found = list(pages(api_of(desk.account), LIST))
    assert [one["number"] for one in found] == [one.import_id for one in reversed(brought)]
    assert [one["state"] for one in found] == ["refused", "duplicate", "imported", "imported"]


@pytest.mark.parametrize("sort", ["number", "time", "name", "read", "rejected"])
@pytest.mark.parametrize("ascending", ["true", "false"])
def test_pages_of_any_order_give_every_entry_once(
    desk: Desk, api_of: Api, brought: list[ImportReport], sort: str, ascending: str
) -> None:
    api = api_of(desk.account)
    api.put(f"/api/v1/uploads/{desk.account}/up.csv?feed=people&check=true", content=PEOPLE)
    whole = api.get(f"{LIST}?sort={sort}&ascending={ascending}").json()["imports"]
    paged = list(pages(api, f"{LIST}?sort={sort}&ascending={ascending}&limit=2"))
    assert paged == whole
    assert len({one["number"] for one in paged}) == len(brought) + 1


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("state=refused", ["Zebra.csv"]),
        ("state=refused&state=duplicate", ["Zebra.csv", "c.csv"]),
        ("outcome=duplicate", ["c.csv"]),
        ("search=zeb", ["Zebra.csv"]),
        ("search=%25", []),
        ("feed=nothing", []),
        ("since=2999-01-01T00:00:00Z", []),
        ("until=2000-01-01", []),
    ],
)
def test_a_list_is_filtered(
    desk: Desk, api_of: Api, brought: list[ImportReport], asked: str, names: list[str]
) -> None:
    assert brought
    found = pages(api_of(desk.account), f"{LIST}?{asked}")
    assert [one["name"] for one in found] == names


def test_a_file_that_waits_is_in_the_list_before_it_has_a_number(desk: Desk, api_of: Api) -> None:
    path = desk.folder / "waits.csv"
    path.write_text(PEOPLE)
    found = desk.pipeline.find(location_of(path), desk.account, "people")
    with desk.pipeline.database.begin() as connection:
        arrivals.register(connection, [found])
    api = api_of(desk.account)
    (waits,) = pages(api, LIST)
    assert (waits["number"], waits["state"]) == (None, "arrived")
    (claim,) = desk.pipeline.claim(desk.account, "people")
    (runs,) = pages(api, LIST)
    assert (runs["number"], runs["state"]) == (claim.import_id, "running")
    assert api.get(f"{LIST}/{claim.import_id}").json()["state"] == "running"


def test_nothing_of_another_account_is_in_a_list(
    desk: Desk, api_of: Api, brought: list[ImportReport]
) -> None:
    other = api_of(f"{desk.account[:40]}-other")
    assert list(pages(other, LIST)) == []
    assert other.get(f"{LIST}?account={desk.account}").status_code == 404
    answer = other.get(f"{LIST}/{brought[0].import_id}")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_import")


def test_a_caller_of_all_accounts_sees_each_of_them(
    desk: Desk, api_of: Api, brought: list[ImportReport]
) -> None:
    found = list(pages(api_of(None), f"{LIST}?account={desk.account}&limit=1"))
    assert len(found) == len(brought)


def test_the_number_of_an_upload_leads_to_its_import_for_good(desk: Desk, api_of: Api) -> None:
    api = api_of(desk.account)
    sent = api.put(f"/api/v1/uploads/{desk.account}/people.csv?feed=people", content=PEOPLE).json()
    found = api.get(f"{LIST}/{sent['upload_id']}").json()
    assert found["state"] == "imported"
    assert found["report"]["counts"]["rejected"] == 1
    assert found["number"] != sent["upload_id"]
    assert api.get(f"{LIST}/{found['number']}").json() == found


def test_an_undone_import_says_so(desk: Desk, api_of: Api) -> None:
    report = desk.bring(PEOPLE)
    undo = desk.pipeline.undo(report.import_id)
    api = api_of(desk.account)
    undone = api.get(f"{LIST}/{report.import_id}").json()
    assert (undone["state"], undone["undone_by"]) == ("undone", undo.import_id)
    assert api.get(f"{LIST}/{undo.import_id}").json()["undoes"] == report.import_id


def test_what_has_not_changed_is_not_sent_again(desk: Desk, api_of: Api) -> None:
    report = desk.bring(PEOPLE)
    api = api_of(desk.account)
    first = api.get(f"{LIST}/{report.import_id}")
    again = api.get(f"{LIST}/{report.import_id}", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    desk.pipeline.undo(report.import_id)
    changed = api.get(
        f"{LIST}/{report.import_id}", headers={"If-None-Match": first.headers["etag"]}
    )
    assert changed.status_code == 200


def test_a_long_answer_is_compressed(desk: Desk, api_of: Api, brought: list[ImportReport]) -> None:
    answer = api_of(desk.account).get(LIST, headers={"Accept-Encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
    assert len(answer.json()["imports"]) == len(brought)


@pytest.mark.parametrize(
    "asked",
    ["cursor=x", "cursor=WyJ4Il0", "limit=201", "limit=0", "sort=x", "state=x", "since=yesterday"],
)
def test_what_cannot_be_asked_is_refused(desk: Desk, api_of: Api, asked: str) -> None:
    answer = api_of(desk.account).get(f"{LIST}?{asked}")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


@pytest.mark.parametrize("number", ["-1", "x", "99999999999999999999"])
def test_no_number_is_no_crash(desk: Desk, api_of: Api, number: str) -> None:
    assert api_of(desk.account).get(f"{LIST}/{number}").status_code == 422


def test_a_nul_in_a_search_finds_nothing_and_breaks_nothing(desk: Desk, api_of: Api) -> None:
    assert api_of(desk.account).get(f"{LIST}?search=%00&feed=%00").status_code == 200


def test_the_glossary_knows_every_state(glossary: str) -> None:
    assert [one for one in ImportState if f"`{one}`" not in glossary] == []


@pytest.fixture(scope="module")
def glossary() -> str:
    """The words of the project."""
    return (ROOT / "docs" / "glossary.md").read_text()
