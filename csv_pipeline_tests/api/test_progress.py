"""Whoever watches an import sees how far it is, up to what became of it."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from csv_pipeline.engine.events import ImportSettled, RowsDone, StepDone
from csv_pipeline.engine.live_progress import LiveProgress
from csv_pipeline.engine.workspace import Progress, Stage
from csv_pipeline.storage.database import Database
from csv_pipeline_tests.conftest import Desk, ingest

Api = Callable[..., TestClient]
ENDS_WITH_MORE_TO_TELL = """
import sys
import sqlalchemy as sa
from csv_pipeline.engine.events import StepDone
from csv_pipeline.engine.live_progress import LiveProgress
from csv_pipeline.engine.workspace import Progress, Stage
from csv_pipeline.storage import progress
from csv_pipeline.storage.database import Database
from csv_pipeline.storage.session import engine_for
url, number = sys.argv[1], int(sys.argv[2])
database = Database(engine_for(sa.make_url(url)))
live = LiveProgress(database)
for stage, rows in ((Stage.READ, 100), (Stage.VALIDATE, 40)):
    live(StepDone(progress=Progress(
        import_id=number, name="x", stage=stage, seconds=1, rows=rows, rejects=0
    )))
    while stage is Stage.READ:
        with database.begin() as connection:
            if progress.of_imports(connection, [number]):
                break
"""
"""A process that ends right after it told of a step, which it had no time to write."""
PEOPLE = "ID,Name,Amount\n1,one,1.00\n2,two,x\n"


def events(text: str) -> list[tuple[str, Any]]:
    """Return the kinds and data of the events in a stream."""
    found = []
    for block in text.split("\n\n"):
        told = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "data" in told:
            found.append((told.get("event", ""), json.loads(told["data"])))
    return found


def within(seconds: float, found: Callable[[], Any]) -> Any:
    """Return what is found in the end, or the last look if time is over."""
    deadline = time.monotonic() + seconds
    while not (value := found()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return value


def test_a_settled_import_says_what_became_of_it(desk: Desk, api_of: Api) -> None:
    report = desk.bring(PEOPLE)
    found = api_of(desk.account).get(f"/api/v1/imports/{report.import_id}/progress").json()
    assert found["status"] == "imported"
    assert (found["total_rows"], found["processed_rows"], found["failed_rows"]) == (2, 2, 1)
    assert found["success_rate"] == 0.5


def test_what_an_import_tells_is_written_while_it_goes_on(desk: Desk, api_of: Api) -> None:
    claim = desk.claimed(PEOPLE).claim
    address = f"/api/v1/imports/{claim.import_id}/progress"
    api, live = api_of(desk.account), LiveProgress(desk.pipeline.database)
    assert api.get(address).json()["success_rate"] is None
    done = Progress(
        import_id=claim.import_id, name="x", stage=Stage.READ, seconds=1, rows=100, rejects=0
    )
    live(StepDone(progress=done))
    live(RowsDone(claims=(claim,), stage=Stage.VALIDATE, rows=40, size_bytes=1))
    found = within(5, lambda: (now := api.get(address).json())["processed_rows"] and now)
    assert (found["total_rows"], found["processed_rows"], found["step"]) == (100, 40, "validate")
    assert found["success_rate"] == 1


def test_rows_are_told_of_before_anyone_knows_how_many_they_are(desk: Desk, api_of: Api) -> None:
    claim = desk.claimed(PEOPLE).claim
    live = LiveProgress(desk.pipeline.database)
    live(RowsDone(claims=(claim,), stage=Stage.READ, rows=40, size_bytes=1))
    address = f"/api/v1/imports/{claim.import_id}/progress"
    api = api_of(desk.account)
    found = within(5, lambda: (now := api.get(address).json())["processed_rows"] and now)
    assert (found["total_rows"], found["processed_rows"], found["step"]) == (None, 40, "read")


def test_what_was_told_last_is_written_before_the_process_ends(desk: Desk, api_of: Api) -> None:
    number, url = desk.claimed(PEOPLE).claim.import_id, desk.pipeline.database.engine.url
    address = url.render_as_string(hide_password=False)
    called = [sys.executable, "-c", ENDS_WITH_MORE_TO_TELL, address, str(number)]
    said = subprocess.run(called, check=False, capture_output=True)  # noqa: S603  # our own
    found = api_of(desk.account).get(f"/api/v1/imports/{number}/progress").json()
    assert (found["step"], found["processed_rows"], said.stderr) == ("validate", 40, b"")


def test_a_database_that_does_not_answer_costs_no_import(desk: Desk) -> None:
    class Broken(Database):
        def begin(self) -> Any:
            raise OSError

    claim = desk.claimed(PEOPLE).claim
    live = LiveProgress(Broken(desk.pipeline.database.engine))
    live(RowsDone(claims=(claim,), stage=Stage.READ, rows=1, size_bytes=1))
    report = ingest(desk.pipeline, claim)
    live(ImportSettled(report=report, first_rejects=list, first_rows=lambda _: None, members=()))  # type: ignore[arg-type, return-value]


def test_a_stream_ends_with_what_became_of_the_import(desk: Desk, api_of: Api) -> None:
    claim = desk.claimed(PEOPLE).claim
    later = threading.Timer(1.5, ingest, (desk.pipeline, claim))
    later.start()
    answer = api_of(desk.account).get(f"/api/v1/imports/{claim.import_id}/events")
    later.join()
    told = events(answer.text)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert told[0][0] == "progress"
    assert told[-1][0] == "settled"
    assert told[-1][1]["status"] == "imported"
    assert told[-1][1]["failed_rows"] == 1


def test_a_stream_of_what_is_settled_ends_at_once(desk: Desk, api_of: Api) -> None:
    report = desk.bring(PEOPLE)
    answer = api_of(desk.account).get(f"/api/v1/imports/{report.import_id}/events")
    assert [kind for kind, _ in events(answer.text)] == ["settled"]


def test_a_stream_of_another_account_s_import_is_refused(desk: Desk, api_of: Api) -> None:
    report = desk.bring(PEOPLE)
    other = api_of(f"{desk.account[:40]}-other")
    answer = other.get(f"/api/v1/imports/{report.import_id}/events")
    assert (answer.status_code, answer.json()["code"]) == (404, "unknown_import")


@pytest.mark.parametrize("own", [True, False])
def test_who_listens_hears_of_their_own_account_only_until_the_service_ends(
    desk: Desk, api_of: Api, *, own: bool
) -> None:
    api = api_of(desk.account if own else f"{desk.account[:40]}-other")
    live: Any = api.app.state.live  # type: ignore[attr-defined]
    threading.Timer(1, desk.bring, (PEOPLE,)).start()
    threading.Timer(4, live.end).start()
    try:
        answer = api.get("/api/v1/events")
    finally:
        live.ended.clear()
    names = {facts["account"] for _, facts in events(answer.text)}
    assert names == ({desk.account} if own else set())


def test_a_listener_whose_last_event_is_forgotten_is_told_to_read_anew(
    desk: Desk, api_of: Api
) -> None:
    api = api_of(desk.account)
    live: Any = api.app.state.live  # type: ignore[attr-defined]
    threading.Timer(1, live.end).start()
    try:
        answer = api.get("/api/v1/events", headers={"Last-Event-ID": "old-1"})
    finally:
        live.ended.clear()
    assert events(answer.text)[0][0] == "reset"
