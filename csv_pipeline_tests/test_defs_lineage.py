"""A receiver of OpenLineage hears of each import: from which file, into which table."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import dagster as dg
import pytest

from csv_pipeline.defs.assembly import assemble
from csv_pipeline.defs.lineage import openlineage
from csv_pipeline.defs.resource import Engine
from csv_pipeline.engine.import_requests import ACCOUNTS, JOB
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.storage.settled import STILL_OPEN, Position
from csv_pipeline_tests.conftest import Desk

MESSY = "ID,Name,Amount\n1,Ann,5.00\n2,Bob,zzqx\n"


class Receiver(ThreadingHTTPServer):
    """Takes events as a server of OpenLineage does, unless it is told not to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.events: list[dict[str, Any]] = []
        self.answer = 201


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.server.answer == 201:
            self.server.events.append(json.loads(body))
        self.send_response(self.server.answer)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "http")
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("OPENLINEAGE__TRANSPORT__URL", url)
        monkeypatch.setenv("OPENLINEAGE__TRANSPORT__RETRY", '{"total": 0}')
        yield server
        server.shutdown()
        thread.join()


class Lineage:
    """The sensor, whose daemon ticks when it is told to."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.engine, self.cursor = Engine(lambda: pipeline), ""

    def tick(self) -> None:
        while True:
            context = dg.build_sensor_context(
                resources={"engine": self.engine}, cursor=self.cursor or None
            )
            openlineage(context)
            if self.cursor == (context.cursor or ""):
                return
            self.cursor = context.cursor or ""


@pytest.fixture
def lineage(pipeline: Pipeline) -> Lineage:
    made = Lineage(pipeline)
    with pipeline.database.begin() as connection:  # past what other tests did
        made.cursor = str(Position(turn=connection.scalar(STILL_OPEN)))
    return made


def test_a_run_that_imports_is_told_from_its_file_to_its_table(
    pipeline: Pipeline, account: str, lineage: Lineage, receiver: Receiver
) -> None:
    path = pipeline.settings.landing_folder / account / "people" / "file.csv"
    path.parent.mkdir(parents=True)
    path.write_text(MESSY)
    defs = assemble([pipeline.feed("people")], lineage.engine)
    assert "openlineage" in {sensor.name for sensor in defs.sensors or ()}
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(ACCOUNTS, [account])
        done = defs.resolve_job_def(JOB).execute_in_process(
            instance=instance, partition_key=account
        )
        assert done.success
    lineage.tick()
    start, complete = receiver.events
    assert (start["eventType"], complete["eventType"]) == ("START", "COMPLETE")
    assert start["run"]["runId"] == complete["run"]["runId"]
    assert start["eventTime"] < complete["eventTime"]
    assert complete["job"]["name"] == f"{account}.people"
    (source,), (target,) = complete["inputs"], complete["outputs"]
    assert (source["namespace"], source["name"]) == ("file", str(path))
    assert target["namespace"].startswith("postgres://")
    assert target["name"] == f"{pipeline.database.engine.url.database}.data.people"
    assert target["outputFacets"]["outputStatistics"]["rowCount"] == 1
    columns = {field["name"]: field["type"] for field in target["facets"]["schema"]["fields"]}
    assert columns["amount"] == "decimal"
    assert "zzqx" not in json.dumps(receiver.events)


def test_a_refused_file_fails_and_an_undo_reads_no_file(
    desk: Desk, lineage: Lineage, receiver: Receiver
) -> None:
    desk.bring("Colour,Size\nred,3\n")
    report = desk.bring(MESSY)
    desk.pipeline.undo(report.import_id)
    lineage.tick()
    ends = receiver.events[1::2]
    assert [event["eventType"] for event in ends] == ["FAIL", "COMPLETE", "COMPLETE"]
    assert ends[0]["run"]["facets"]["errorMessage"]["message"] == "missing_column"
    assert not ends[0].get("outputs")
    assert not ends[2].get("inputs")
    assert ends[2]["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 1


def test_what_a_receiver_does_not_take_is_sent_again_under_the_same_number(
    desk: Desk, lineage: Lineage, receiver: Receiver
) -> None:
    before = lineage.cursor
    desk.bring(MESSY)
    receiver.answer = 503
    lineage.tick()
    assert receiver.events == []
    receiver.answer = 201
    lineage.tick()
    first = {event["run"]["runId"] for event in receiver.events}
    assert len(receiver.events) == 2
    lineage.cursor = before
    lineage.tick()
    assert first <= {event["run"]["runId"] for event in receiver.events[2:]}


def test_nobody_is_told_unless_the_environment_says_whom(pipeline: Pipeline) -> None:
    defs = assemble([pipeline.feed("people")], Engine(lambda: pipeline))
    assert "openlineage" not in {sensor.name for sensor in defs.sensors or ()}
