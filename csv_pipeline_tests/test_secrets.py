"""Keys of a store and tokens are in no error, log, table or answer; passwords: `test_logs.py`."""

import logging
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import sqlalchemy as sa
import structlog
from fastapi.testclient import TestClient

from csv_pipeline.access import Scope
from csv_pipeline.api.app import make_app
from csv_pipeline.api.runs import Runs
from csv_pipeline.api.service import Service
from csv_pipeline.engine.logs import write_log
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.errors import PipelineError
from csv_pipeline.files.landing import scan_landing
from csv_pipeline.location import location_of
from csv_pipeline.settings import LogFormat
from csv_pipeline.storage import accounts, tokens
from csv_pipeline_tests.api.live import DagsterNoting
from csv_pipeline_tests.file_stores import named

SECRET = "hush-hush-9c2f"  # noqa: S105


class Refusing(BaseHTTPRequestHandler):
    """A store that refuses everybody and, as Amazon's does, quotes the token of the session."""

    def do_GET(self) -> None:  # the name that the library asks for
        quoted = self.headers["X-Amz-Security-Token"]
        body = (
            "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message>"
            f"<Token-0>{quoted}</Token-0></Error>"
        )
        self.send_response(403)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def refusing() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("form", LogFormat)
def test_a_store_that_refuses_a_key_keeps_it(
    refusing: str,
    form: LogFormat,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_log(logging.DEBUG, form)
    with named(refusing):
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        monkeypatch.setenv("AWS_SESSION_TOKEN", f"session-{SECRET}")
        area = location_of("s3://files/in")
        with pytest.raises(PipelineError) as raised:
            scan_landing(
                area, {"people"}, known=(), settle_seconds=0, deadline=time.monotonic() + 10
            )
        structlog.get_logger().error("not now", exc_info=raised.value)
    told = capsys.readouterr()
    assert "not now" in told.err
    assert "expired" in str(raised.value)
    for said in (str(raised.value), repr(raised.value.__cause__), told.err, told.out):
        assert SECRET not in said


def test_a_token_is_in_no_table_and_in_no_answer(
    pipeline: Pipeline, account: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pipeline.database.begin() as connection:
        accounts.add(connection, account)
        text, _ = tokens.make(connection, "t", account=account, scopes=tuple(Scope))
    app = make_app(Service(pipeline=pipeline, runs=Runs(DagsterNoting())))
    with TestClient(app) as client:
        for token in (text, text[:-1]):
            head = {"Authorization": f"Bearer {token}"}
            for path in ("/api/v1/imports", "/api/v1/nothing", "/api/v1/tokens"):
                answer = client.get(path, headers=head)
                assert text[:-1] not in answer.text + str(answer.headers)
    assert text[:-1] not in "".join(capsys.readouterr())
    with pipeline.database.begin() as connection:
        tables = connection.scalars(
            sa.text("SELECT tablename FROM pg_tables WHERE schemaname = 'csv_pipeline'")
        ).all()
        assert "token" in tables
        for table in tables:
            query = f'SELECT count(*) FROM csv_pipeline."{table}" t WHERE t::text LIKE :text'  # noqa: S608
            assert connection.scalar(sa.text(query), {"text": f"%{text[5:-1]}%"}) == 0
