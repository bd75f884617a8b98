"""A file that is sent is imported, or checked first and imported when somebody says so."""

import io
from collections.abc import Callable, Iterator
from typing import Any
from zipfile import ZipFile

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from csv_pipeline.access import Scope
from csv_pipeline.api import taking_forms
from csv_pipeline.api.app import make_app
from csv_pipeline.api.runs import Runs
from csv_pipeline.api.service import Service
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.storage import tokens
from csv_pipeline.storage.api_tables import upload as table
from csv_pipeline_tests.api.live import DagsterNoting, Full
from csv_pipeline_tests.conftest import Desk

Api = Callable[..., TestClient]
PEOPLE = "ID,Name,Secret,Amount\n1,one,111,1.00\n2,two,222,2.00\n3,bad,333,x\n"


@pytest.fixture
def dagster() -> DagsterNoting:
    return DagsterNoting()


@pytest.fixture
def api(desk: Desk, pipeline: Pipeline, dagster: DagsterNoting, api_of: Api) -> TestClient:
    """Send for the test's account; runs are only asked for."""
    app = make_app(Service(pipeline=pipeline, runs=Runs(dagster)))
    headers = dict(api_of(desk.account).headers)
    return TestClient(app, headers=headers, raise_server_exceptions=False)


def nothing_is_left(desk: Desk) -> bool:
    """Return whether no file and no upload in the making is left of the account."""
    query = sa.select(table.c.upload_id, table.c.state).where(table.c.account == desk.account)
    with desk.pipeline.database.begin() as connection:
        found = list(connection.execute(query))
    area = desk.pipeline.settings.uploads_area
    landed = list((desk.pipeline.settings.landing_folder / desk.account).rglob("*.*"))
    files = [one for row in found for one in (area / str(row.upload_id)).glob("*")]
    return not files and not landed and {row.state for row in found} <= {"canceled"}


def test_a_file_that_is_sent_is_imported(desk: Desk, api_of: Api) -> None:
    api = api_of(desk.account)
    answer = api.put(f"/api/v1/uploads/{desk.account}/people.csv?feed=people", content=PEOPLE)
    assert answer.status_code == 201, answer.json()
    assert answer.json()["state"] == "arrived"
    assert [row.name for row in desk.rows()] == ["one", "two"]


def test_a_check_shows_what_a_person_needs_to_decide_and_then_it_is_imported(
    desk: Desk, api_of: Api
) -> None:
    api = api_of(desk.account)
    desk.bring("ID,Name,Secret,Amount\n1,one,111,5.00\n")
    answer = api.put(f"/api/v1/uploads/{desk.account}/people.csv?check=true", content=PEOPLE)
    assert answer.status_code == 201, answer.json()
    address = f"/api/v1/uploads/{answer.json()['upload_id']}"
    found = api.get(address).json()
    assert (found["state"], found["feed"]) == ("checked", "people")
    check = found["check"]
    assert check["importable"]
    assert check["proposals"][0]["feed"] == "people"
    counts = {name: check["counts"][name] for name in ("read", "inserted", "updated", "rejected")}
    assert counts == {"read": 3, "inserted": 1, "updated": 1, "rejected": 1}
    by_name = {one["name"]: (one["column"], one["confidence"]) for one in check["mapping"]}
    assert by_name["ID"] == ("person_id", "certain")
    amount = next(one for one in check["values_at_fault"] if one["column"] == "amount")
    assert (amount["value"], amount["count"]) == ("x", 1)
    assert [one["column"] for one in check["differences"]] == ["amount"]
    assert "111" not in str(check["first_rows"])
    assert len(check["first_rows"]) == 2
    assert [row.amount for row in desk.rows()] == [5]
    again = api.post(f"{address}/import")
    assert (again.status_code, again.json()["state"]) == (202, "arrived")
    assert len(desk.rows()) == 2
    assert api.post(f"{address}/import").json()["code"] == "wrong_state"
    assert api.delete(address).json()["code"] == "wrong_state"


def test_a_file_of_no_known_feed_waits_for_somebody_to_say_it(desk: Desk, api_of: Api) -> None:
    api = api_of(desk.account)
    sent = api.put(f"/api/v1/uploads/{desk.account}/x.csv", content="No,Such\n1,2\n3,4\n").json()
    address = f"/api/v1/uploads/{sent['upload_id']}"
    found = api.get(address).json()
    assert (found["state"], found["problem_code"]) == ("checked", "no_feed")
    assert api.post(f"{address}/import").json()["code"] == "file_refused"
    again = api.post(f"{address}/check", json={"feed": "nosuch"})
    assert again.json()["code"] == "unknown_feed"
    again = api.post(f"{address}/check", json={"feed": "people"})
    assert again.status_code == 202, again.json()
    found = api.get(address).json()
    assert (found["problem_code"], found["check"]["importable"]) == ("missing_column", False)
    assert api.post(f"{address}/import").json()["reason"] == "missing_column"
    assert api.delete(address).json()["state"] == "canceled"
    assert api.post(f"{address}/check").json()["code"] == "wrong_state"


def test_each_member_of_an_archive_is_checked(desk: Desk, api_of: Api) -> None:
    api = api_of(desk.account)
    packed = io.BytesIO()
    with ZipFile(packed, "w") as archive:
        archive.writestr("a.csv", PEOPLE)
        archive.writestr("b.csv", PEOPLE.replace("one", "eins"))
    sent = api.put(f"/api/v1/uploads/{desk.account}/all.zip", content=packed.getvalue()).json()
    found = api.get(f"/api/v1/uploads/{sent['upload_id']}").json()
    assert found["feed"] == "people"
    members = found["check"]["members"]
    assert [one["counts"]["read"] for one in members] == [3, 3]
    assert all(one["importable"] for one in members)


def test_each_file_of_a_form_is_answered_by_itself(
    desk: Desk, api: TestClient, dagster: DagsterNoting
) -> None:
    files = [
        ("file", ("a.csv", PEOPLE)),
        ("file", ("../../x", PEOPLE)),
        ("file", (".hidden.csv", PEOPLE)),
        ("file", ("b.csv", PEOPLE)),
    ]
    form = {"account": desk.account, "feed": "people"}
    answer = api.post("/api/v1/uploads", data=form, files=files)
    assert answer.status_code == 207, answer.json()
    told = answer.json()["files"]
    assert [one["status"] for one in told] == [201, 422, 422, 201]
    assert [one["problem"]["code"] for one in told[1:3]] == ["invalid_name"] * 2
    assert len(dagster.imports) == 2
    lane = desk.pipeline.settings.landing_folder / desk.account / "people"
    assert sorted(one.name for one in lane.rglob("*.csv")) == ["a.csv", "b.csv"]
    assert {one.read_text() for one in lane.rglob("*.csv")} == {PEOPLE}


def _form(*parts: tuple[str, str], end: str = "--B--\r\n") -> bytes:
    text = "".join(f"--B\r\nContent-Disposition: {head}\r\n\r\n{data}\r\n" for head, data in parts)
    return (text + end).encode("utf-8", "surrogateescape")


FILE = 'form-data; name="file"; filename="{}"'
_GOOD = (FILE.format("a.csv"), PEOPLE)
_LATE = ('form-data; name="feed"', "people")


@pytest.mark.parametrize(
    ("form", "code"),
    [
        (_form(_GOOD, end=""), "incomplete_upload"),
        (_form(_GOOD)[:60], "incomplete_upload"),
        (b"", "incomplete_upload"),
        (b"nonsense", "invalid_request"),
        (_form(_GOOD, _LATE), "invalid_request"),
        (_form(), "invalid_request"),
        (_form((FILE.format(""), "")), "invalid_request"),
        (_form(("form-data", "x")), "invalid_request"),
        (_form(('form-data; name="account"', "x" * 5_000), _GOOD), "invalid_request"),
        (_form(('form-data; name="check"', "perhaps"), _GOOD), "invalid_request"),
        (_form((FILE.format("x" * 300), PEOPLE)), "invalid_name"),
        (_form((FILE.format("a\x00b.csv"), PEOPLE)), "invalid_name"),
        (_form((FILE.format("a\udcffb.csv"), PEOPLE)), "invalid_name"),
        (_form((FILE.format("..\\x.csv"), PEOPLE)), "invalid_name"),
        (_form(('form-data; name="feed"', "nosuch"), _GOOD), "unknown_feed"),
        (_form(('form-data; name="account"', "another"), _GOOD), "unknown_account"),
        (
            _form(("form-data; name=f\r\n" + "X: y\r\n" * 100 + "Z: z", ""), _GOOD),
            "invalid_request",
        ),
        (_form((f"form-data; name=f\r\nX: {'y' * 10_000}", ""), _GOOD), "invalid_request"),
    ],
)
def test_a_form_that_is_not_as_it_must_be_leaves_nothing(
    desk: Desk, api: TestClient, form: bytes, code: str
) -> None:
    answer = api.post(
        "/api/v1/uploads?feed=people",
        content=form,
        headers={"Content-Type": "multipart/form-data; boundary=B"},
    )
    assert 400 <= answer.status_code < 500
    assert answer.json()["code"] == code, answer.json()
    assert nothing_is_left(desk)


def test_a_form_of_too_many_files_leaves_nothing(
    desk: Desk, api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking_forms, "MOST_FILES", 3)
    form = _form(*[(FILE.format(f"{n}.csv"), "x") for n in range(10_000)])
    kind = {"Content-Type": "multipart/form-data; boundary=B"}
    answer = api.post("/api/v1/uploads?feed=people", content=form, headers=kind)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_many_files")
    assert nothing_is_left(desk)


@pytest.mark.parametrize("kind", ["text/csv", "multipart/form-data", ""])
def test_what_is_no_form_is_refused(desk: Desk, api: TestClient, kind: str) -> None:
    answer = api.post("/api/v1/uploads", content=PEOPLE, headers={"Content-Type": kind})
    assert answer.status_code in {415, 422}
    assert nothing_is_left(desk)


def test_a_form_may_hold_any_bytes_in_any_pieces(desk: Desk, api: TestClient) -> None:
    content = b"\r\n--B\r\n--\r\n--Bx\r\n" * 2_000 + bytes(range(256)) * 50 + b"\r\n--"
    content = content.replace(b"\r\n--B\r\n", b"\r\n--C\r\n")
    head = FILE.format("a.csv")
    form = f"--B-B\r\nContent-Disposition: {head}\r\n\r\n".encode() + content + b"\r\n--B-B--\r\n"

    def pieces() -> Iterator[bytes]:
        for at in range(0, len(form), 37):
            yield form[at : at + 37]

    kind = {"Content-Type": "multipart/form-data; boundary=B-B"}
    answer = api.post("/api/v1/uploads?feed=people", content=pieces(), headers=kind)
    assert answer.status_code == 201, answer.json()
    lane = desk.pipeline.settings.landing_folder / desk.account / "people"
    assert [one.read_bytes() for one in lane.rglob("a.csv")] == [content]


@pytest.mark.parametrize("how", ["said", "not said"])
def test_more_bytes_than_the_account_allows_are_refused(
    desk: Desk, api: TestClient, how: str
) -> None:
    desk.declare(max_file_bytes=10)
    content: Any = "x" * 11 if how == "said" else iter([b"x" * 6, b"y" * 6])
    answer = api.put(f"/api/v1/uploads/{desk.account}/a.csv?feed=people", content=content)
    assert (answer.status_code, answer.json()["code"]) == (413, "file_too_large")
    assert nothing_is_left(desk)


def test_a_body_shorter_than_it_says_leaves_nothing(desk: Desk, api: TestClient) -> None:
    answer = api.put(
        f"/api/v1/uploads/{desk.account}/a.csv?feed=people",
        content=iter([b"abc"]),
        headers={"Content-Length": "10"},
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "incomplete_upload")
    assert nothing_is_left(desk)


def test_a_full_disk_is_said_and_nothing_is_left(
    desk: Desk, api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("csv_pipeline.engine.receiving.os", Full())
    answer = api.put(f"/api/v1/uploads/{desk.account}/a.csv?feed=people", content=PEOPLE)
    assert (answer.status_code, answer.json()["code"]) == (507, "no_space")
    assert nothing_is_left(desk)


def test_a_check_shows_a_flag_as_files_and_tables_write_it(desk: Desk, api_of: Api) -> None:
    sent = api_of(desk.account).put(
        f"/api/v1/uploads/{desk.account}/events.csv?check=true&feed=events",
        content="Event,Happened,Paid,Sent,Seen,Open,Listed,Carries\na,,,,,yes,off,\n",
    )
    check = api_of(desk.account).get(f"/api/v1/uploads/{sent.json()['upload_id']}").json()["check"]
    (row,) = check["first_rows"]
    assert (row["open"], row["listed"], row["carries"]) == ("true", "false", None)


def test_a_check_that_nobody_can_do_now_may_be_asked_for_again(
    desk: Desk, api: TestClient, dagster: DagsterNoting
) -> None:
    dagster.away = True
    sent = api.put(f"/api/v1/uploads/{desk.account}/a.csv?check=true", content=PEOPLE).json()
    assert (sent["state"], sent["problem_code"]) == ("failed", "no_dagster")
    dagster.away = False
    address = f"/api/v1/uploads/{sent['upload_id']}"
    assert api.post(f"{address}/check").json()["state"] == "checking"
    assert api.post(f"{address}/check").json()["code"] == "wrong_state"
    assert api.post(f"{address}/import", json={"force": True}).json()["code"] == "wrong_state"
    assert api.delete(address).json()["state"] == "canceled"
    assert dagster.ended == [f"check-{sent['upload_id']}"]
    assert nothing_is_left(desk)


def test_an_upload_of_another_account_is_not_there(
    desk: Desk, api: TestClient, api_of: Api
) -> None:
    sent = api.put(f"/api/v1/uploads/{desk.account}/a.csv?check=true", content=PEOPLE).json()
    address, other = f"/api/v1/uploads/{sent['upload_id']}", api_of("somebody-else")
    for answer in (
        other.get(address),
        other.delete(address),
        other.post(f"{address}/check"),
        other.post(f"{address}/import"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_upload")
    assert api.get(address).json()["state"] == "checking"


def test_what_a_check_told_is_for_those_who_may_read(desk: Desk, pipeline: Pipeline) -> None:
    service = Service(pipeline=pipeline, runs=Runs(DagsterNoting()))
    with pipeline.database.begin() as connection:
        text, _ = tokens.make(connection, "u", account=None, scopes=[Scope.UPLOAD])
    api = TestClient(make_app(service), headers={"Authorization": f"Bearer {text}"})
    sent = api.put(f"/api/v1/uploads/{desk.account}/a.csv?check=true", content=PEOPLE).json()
    report = {"first_rows": ["something"]}
    with pipeline.database.begin() as connection:
        mine = table.c.upload_id == sent["upload_id"]
        connection.execute(sa.update(table).where(mine).values(report=report))
    answer = api.delete(f"/api/v1/uploads/{sent['upload_id']}")
    assert "something" not in answer.text
    assert api.get(f"/api/v1/uploads/{sent['upload_id']}").json()["code"] == "not_allowed"
