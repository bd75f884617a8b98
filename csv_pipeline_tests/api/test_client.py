"""The Python client against a service on a port: from a file to its undo, over every break."""

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import httpx2
import pytest
from fastapi.testclient import TestClient

from csv_pipeline.access import Scope
from csv_pipeline.api import gate
from csv_pipeline.api.service import Service
from csv_pipeline.client import SETTLED, BrokenUploadError, Client, ProblemError, Progress, State
from csv_pipeline.storage.browse import ImportState
from csv_pipeline_tests.api.live import serving
from csv_pipeline_tests.conftest import Desk

PEOPLE = "ID,Name,Amount\n1,one,1.00\n2,two,x\n3,three,y\n"


@pytest.fixture(scope="module")
def url(service: Service) -> Iterator[str]:
    """The address of a service that does what it is asked for."""
    with serving(service) as address:
        yield address


@pytest.fixture
def client_of(
    url: str, desk: Desk, api_of: Callable[..., TestClient]
) -> Iterator[Callable[..., Client]]:
    """Give a client for the test's account, with scopes."""
    made: list[Client] = []

    def make(*scopes: Scope, **how: Any) -> Client:
        token = api_of(desk.account, *scopes).headers["authorization"].removeprefix("Bearer ")
        made.append(Client(url, token, timeout_seconds=20, **how))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def client(client_of: Callable[..., Client]) -> Client:
    """A client that may do all for the test's account."""
    return client_of()


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """A file with two rows that are rejected."""
    path = tmp_path / "people.csv"
    path.write_text(PEOPLE)
    return path


def test_a_file_is_sent_corrected_replayed_and_taken_back(
    client: Client, desk: Desk, people: Path
) -> None:
    heard: list[Progress] = []
    desk.declare(feed="people", max_rejected_share=1.0)
    number = client.upload(people, feed="people")
    done = client.wait(number, told=heard.append)
    assert (done.state, done.counts["inserted"], done.counts["rejected"]) == ("imported", 1, 2)
    assert heard[-1].success_rate == pytest.approx(1 / 3, abs=1e-3)
    rejected = list(client.rejects(number, limit=1))
    assert [row.cells["Amount"] for row in rejected] == ["x", "y"]
    client.correct(number, {(row.row_number, "Amount"): "3.00" for row in rejected})
    assert client.wait(client.replay(number)).counts["inserted"] == 2
    assert list(client.rejects(number, open=True)) == []
    client.undo(number)
    assert client.wait(number, until=frozenset({"undone"})).undone_by is not None
    assert {row.name for row in desk.rows()} == {"two", "three"}


def test_a_file_is_checked_before_it_is_imported(client: Client, desk: Desk, people: Path) -> None:
    people.write_text("ID,Name,Amount\n1,one,1.00\n")
    number = client.upload(people, feed="people", check=True)
    checked = client.wait(number)
    assert (checked.state, checked.facts["check"]["importable"]) == ("checked", True)
    assert client.check(number, feed="people").state == "checked"
    assert desk.rows() == []
    client.import_upload(number)
    assert client.wait(number, until=SETTLED - {"checked"}).state == "imported"


def test_lists_go_on_over_all_pages(client: Client, desk: Desk) -> None:
    numbers = [desk.bring(PEOPLE.replace("one", f"n{n}")).import_id for n in range(3)]
    found = list(client.imports(feed="people", limit=1))
    assert [one.number for one in found] == numbers[::-1]
    assert list(client.imports(state=["undone"])) == []


def test_rejects_are_downloaded_whole_or_not_at_all(
    client: Client, desk: Desk, tmp_path: Path
) -> None:
    desk.declare(feed="people", max_rejected_share=1.0)
    number = desk.bring(PEOPLE).import_id
    client.download(number, tmp_path / "rejects.csv")
    assert (tmp_path / "rejects.csv").read_text(encoding="utf-8-sig").count("\n") == 3
    with pytest.raises(ProblemError) as caught:
        client.download(0, tmp_path / "none.csv")
    assert (caught.value.status, caught.value.code) == (404, "unknown_import")
    assert [path.name for path in tmp_path.glob("none*")] == []


class Breaking(httpx2.BaseTransport):
    """A connection that breaks off in the middle of some bodies."""

    def __init__(self, breaks: int) -> None:
        self.breaks, self.real = breaks, httpx2.HTTPTransport()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.method == "PATCH" and self.breaks:
            self.breaks -= 1
            request.stream = _Half(request.stream)
        return self.real.handle_request(request)

    def close(self) -> None:
        self.real.close()


class _Half(httpx2.SyncByteStream):
    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield next(iter(self.stream))
        raise httpx2.WriteError("broken off")


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A file that is sent in several pieces."""
    path = tmp_path / "large.csv"
    path.write_text("ID,Name\n" + "".join(f"{n},{'x' * 90}{n}\n" for n in range(15_000)))
    return path


def test_a_client_that_asks_too_often_waits_and_sends_every_byte(
    client_of: Callable[..., Client], desk: Desk, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = itertools.cycle([0.01, 0])
    monkeypatch.setattr(gate, "seconds_to_wait", lambda *_: next(turns))
    number = client_of(piece_bytes=1_600_000).upload(large, feed="people")
    monkeypatch.undo()
    assert client_of().wait(number).counts["inserted"] == 15_000
    assert [row.n for row in desk.rows(columns="count(DISTINCT name) AS n")] == [15_000]


def test_a_broken_upload_goes_on_byte_for_byte(
    client_of: Callable[..., Client], desk: Desk, large: Path
) -> None:
    client = client_of(piece_bytes=600_000, transport=Breaking(2))
    number = client.upload(large, feed="people")
    assert client.wait(number).counts["inserted"] == 15_000
    names = "count(*) AS n, count(DISTINCT name) AS names"
    assert desk.rows(columns=names)[0] == (15_000, 15_000)


def test_an_upload_that_was_given_up_goes_on_later_by_its_number(
    client: Client, client_of: Callable[..., Client], large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    with pytest.raises(BrokenUploadError) as caught:
        client_of(piece_bytes=600_000, transport=Breaking(1_000)).upload(large, feed="people")
    monkeypatch.undo()
    number = caught.value.number
    assert client.upload(large, number=number) == number
    assert client.wait(number).counts["inserted"] == 15_000


def test_an_empty_file_is_sent_and_refused_by_name(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "empty.csv"
    path.touch()
    assert client.wait(client.upload(path, feed="people")).state == "refused"


def test_a_refusal_says_its_code_and_what_was_needed(
    client: Client, client_of: Callable[..., Client], url: str, people: Path
) -> None:
    with pytest.raises(ProblemError, match="no_such") as caught:
        client.upload(people, feed="no_such")
    assert (caught.value.status, caught.value.code) == (404, "unknown_feed")
    with pytest.raises(ProblemError) as caught:
        client_of(Scope.READ).upload(people)
    assert caught.value.code == "not_allowed"
    with Client(url, "csvp_none") as stranger, pytest.raises(ProblemError) as caught:
        list(stranger.imports())
    assert caught.value.code == "unauthenticated"


def test_waiting_ends_though_nothing_happens(client: Client, desk: Desk) -> None:
    running = desk.claimed(PEOPLE).claim.import_id
    with pytest.raises(TimeoutError, match="still running"):
        client.wait(running, seconds=0.2)


def test_the_client_knows_every_state() -> None:
    assert list(get_args(State)) == [state.value for state in ImportState]
    final = {state.value for state in ImportState if state.is_final}
    assert final | {"checked"} == SETTLED
