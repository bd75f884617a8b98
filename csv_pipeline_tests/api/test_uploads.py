"""A file that is sent is imported, or checked first and imported when somebody says so."""

from collections.abc import Callable

from fastapi.testclient import TestClient

from csv_pipeline_tests.conftest import Desk

Api = Callable[..., TestClient]
PEOPLE = "ID,Name,Secret,Amount\n1,one,111,1.00\n2,two,222,2.00\n3,bad,333,x\n"


def test_a_file_that_is_sent_is_imported(desk: Desk, api_of: Api) -> None:
    api = api_of(desk.account)
    answer = api.put(f"/api/v1/uploads/{desk.account}/people.csv?feed=people", content=PEOPLE)
    assert answer.status_code == 201, answer.json()
    assert answer.json()["state"] == "arrived"
    assert [row.name for row in desk.rows()] == ["one", "two"]


def test_a_file_that_is_to_be_checked_first_is_not_imported(desk: Desk, api_of: Api) -> None:
    api = api_of(desk.account)
    answer = api.put(
        f"/api/v1/uploads/{desk.account}/people.csv?feed=people&check=true", content=PEOPLE
    )
    assert answer.status_code == 201, answer.json()
    assert desk.rows() == []
