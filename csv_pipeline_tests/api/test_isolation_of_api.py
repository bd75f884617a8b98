"""No address of the API shows a value that is another account's, or protected, to anybody."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Timer
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient

from csv_pipeline.access import Scope
from csv_pipeline.api.app import make_app
from csv_pipeline.api.runs import Runs
from csv_pipeline.api.service import Service
from csv_pipeline.storage import tokens
from csv_pipeline_tests.api.live import DagsterNoting, serving
from csv_pipeline_tests.conftest import Desk
from csv_pipeline_tests.test_dme_equipment import EVERY, PATIENT

Api = Callable[..., TestClient]
MARK = "zz-only-mine-zz"
SECRET = "987654321"  # noqa: S105  # a value of a protected column
ROWS = (f"1,{MARK},{SECRET},1.00", f"2,{MARK},{SECRET}x,x", f"3,{MARK},{SECRET},y", "")
PEOPLE = "\n".join(("ID,Name,Secret,Amount", *ROWS))


@dataclass(frozen=True)
class Mine:
    """An account with an import, an upload that was checked, a webhook and a token."""

    desk: Desk
    api: TestClient
    addresses: tuple[str, ...]


@pytest.fixture
def mine(desk: Desk, api_of: Api, service: Service) -> Mine:
    """What an account has, and every address that shows something of it."""
    api = api_of(desk.account)
    desk.declare(feed="people", max_rejected_share=1.0)
    report = desk.bring(PEOPLE, name=f"{MARK}.csv")
    path = f"/api/v1/uploads/{desk.account}/{MARK}-2.csv?feed=people&check=true"
    upload = api.put(path, content=PEOPLE).json()["upload_id"]
    cells = [{"row_number": 3, "column": "Secret", "value": SECRET}]
    made = api.patch(f"/api/v1/imports/{report.import_id}/rejects", json={"cells": cells})
    assert made.status_code == 200, made.json()
    api.post("/api/v1/tokens", json={"name": MARK, "scopes": ["read"]})
    return Mine(desk, api, tuple(addresses(service, desk, "people", report.import_id, upload)))


def addresses(
    service: Service, desk: Desk, feed: str, import_id: int, upload_id: int
) -> Iterator[str]:
    """Give every address that can be read and ends, with these names and numbers."""
    known: dict[str, tuple[Any, ...]] = {
        "number": (import_id, upload_id),
        "import_id": (import_id,),
        "upload_id": (upload_id,),
        "account": (desk.account,),
        "feed": (feed,),
        "name": (feed,),
    }
    for path, methods in make_app(service).openapi()["paths"].items():
        if "get" not in methods or path.endswith("/events"):
            continue
        found = [path]
        for name, values in known.items():
            found = [
                one.replace(f"{{{name}}}", str(value))
                for one in found
                for value in (values if f"{{{name}}}" in one else values[:1])
            ]
        yield from (one for one in found if "{" not in one)


def test_nobody_reads_anything_of_another_account(mine: Mine, api_of: Api) -> None:
    other = api_of(f"{mine.desk.account[:40]}-other")
    seen = 0
    for address in mine.addresses:
        own, theirs = mine.api.get(address), other.get(address)
        seen += MARK in own.text
        assert MARK not in theirs.text, address
        assert mine.desk.account not in theirs.text.replace(address, "").replace(
            f"account '{mine.desk.account}'", ""
        ), address
        tag = own.headers.get("etag")
        if tag is not None:  # what one knows by its tag is not told to the other to be the same
            again = other.get(address, headers={"If-None-Match": tag})
            assert again.status_code != 304 or own.text == theirs.text, address
    assert seen >= 6


def test_nobody_who_reads_sees_a_protected_value(mine: Mine, api_of: Api) -> None:
    reader = api_of(mine.desk.account, Scope.READ)
    answers = {address: reader.get(address) for address in mine.addresses}
    assert sum(answer.status_code == 200 for answer in answers.values()) >= 15
    for address, answer in answers.items():
        assert SECRET not in answer.text, address


def test_no_answer_names_a_patient_whoever_asks(desk: Desk, api_of: Api, service: Service) -> None:
    api, feed = api_of(desk.account), "dme_equipment"
    report = desk.bring(EVERY, feed)
    changed = EVERY.replace("Boston", "Ayr").replace(PATIENT, f"{PATIENT}-2")
    path = f"/api/v1/uploads/{desk.account}/equipment.csv?feed={feed}&check=true"
    upload = api.put(path, content=changed).json()["upload_id"]
    every = list(addresses(service, desk, feed, report.import_id, upload))
    every += [f"/api/v1/feeds/{feed}/rows?search={PATIENT[:6]}"]
    answers = {address: api.get(address) for address in every}
    assert sum(answer.status_code == 200 for answer in answers.values()) >= 15
    assert [address for address, answer in answers.items() if PATIENT in answer.text] == []
    assert (PATIENT,) in desk.rows(feed, "patient_ref")


def test_only_who_may_correct_gets_protected_cells_to_correct(mine: Mine, api_of: Api) -> None:
    address = next(one for one in mine.addresses if one.endswith("/rejects.csv"))
    refused = api_of(mine.desk.account, Scope.READ).get(address)
    assert (refused.status_code, refused.json()["code"]) == (403, "not_allowed")
    allowed = api_of(mine.desk.account, Scope.READ, Scope.CORRECT).get(address)
    assert SECRET in allowed.text


def test_a_key_of_one_account_answers_nothing_to_another(mine: Mine, api_of: Api) -> None:
    other = api_of(f"{mine.desk.account[:40]}-other")
    path, key = "/api/v1/uploads?feed=people&check=true", {"Idempotency-Key": "same"}
    files = {"file": (f"{MARK}.csv", PEOPLE)}
    first = mine.api.post(path, files=files, headers=key)
    theirs = other.post(path, files=files, headers=key)
    assert "idempotency-replayed" not in theirs.headers
    assert mine.desk.account in first.text
    assert mine.desk.account not in theirs.text


def test_nobody_hears_of_another_account(mine: Mine, api_of: Api, service: Service) -> None:
    other = api_of(f"{mine.desk.account[:40]}-other")
    with serving(service) as url:
        token = other.headers["authorization"]
        heard = _listen(f"{url}/api/v1/events", token, lambda: mine.desk.bring(PEOPLE + "4,,,\n"))
        own = _listen(
            f"{url}/api/v1/events",
            mine.api.headers["authorization"],
            lambda: mine.desk.bring(PEOPLE + "5,,,\n"),
        )
    assert mine.desk.account in own
    assert mine.desk.account not in heard


def _listen(url: str, token: str, do: Callable[[], object]) -> str:
    heard, timer = "", Timer(1.5, do)
    timer.start()
    try:
        with httpx2.stream("GET", url, headers={"Authorization": token}, timeout=5) as answer:
            for text in answer.iter_text():
                heard += text
                if "data:" in heard:
                    break
    except httpx2.ReadTimeout:
        pass
    timer.join()
    return heard


@pytest.mark.parametrize("how", ["tus", "put"])
def test_what_is_sent_by_a_token_that_ends_meanwhile_is_not_imported(
    desk: Desk, service: Service, api_of: Api, how: str
) -> None:
    asked = DagsterNoting()
    noted = Service(pipeline=service.pipeline, runs=Runs(asked))
    text = api_of(desk.account, Scope.UPLOAD).headers["authorization"].removeprefix("Bearer ")
    with service.pipeline.database.begin() as connection:
        token = tokens.find(connection, text)
    assert token is not None

    def body() -> Iterator[bytes]:
        yield PEOPLE[:20].encode()
        with service.pipeline.database.begin() as connection:
            tokens.revoke(connection, token.token_id)
        yield PEOPLE[20:].encode()

    with serving(noted) as url, httpx2.Client(base_url=url) as sender:
        sender.headers["Authorization"] = f"Bearer {text}"
        sender.headers["Tus-Resumable"] = "1.0.0"
        if how == "put":
            answer = sender.put(f"/api/v1/uploads/{desk.account}/p.csv?feed=people", content=body())
        else:
            length = {"Upload-Length": f"{len(PEOPLE)}", "Upload-Metadata": "filename cC5jc3Y="}
            begun = sender.post("/api/v1/tus", headers=length)
            head = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
            answer = sender.patch(begun.headers["Location"], headers=head, content=body())
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert not asked.imports
    assert not asked.checks
