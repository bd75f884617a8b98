"""The embedded server: started again when it was killed, and stopped with its last user."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import psycopg
import pytest

from csv_pipeline.cli.embedded import EmbeddedServer
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.settings import Settings
from csv_pipeline.storage import embedded
from csv_pipeline.storage.database import leave_database, server_url

OTHER = """
import os, pathlib, sys, time
from csv_pipeline.errors import DatabaseUnavailableError
from csv_pipeline.storage import embedded
area = pathlib.Path(sys.argv[1])
while embedded.server_process(area) is None:
    try:
        embedded.url(area)
    except DatabaseUnavailableError:  # what is left of the killed one goes on for a moment
        time.sleep(0.1)
os._exit(0)
"""
"""Another process, which starts the server and ends without leaving it."""


class Stub:
    """As much of a pipeline as a server needs."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings


@pytest.fixture
def settings() -> Iterator[Settings]:
    with tempfile.TemporaryDirectory(prefix="csv-pipeline-", ignore_cleanup_errors=True) as home:
        settings = Settings(home=Path(home))
        try:
            yield settings
        finally:
            leave_database(settings)


def test_a_killed_server_is_started_again_and_the_last_user_stops_it(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    area = settings.postgres_area
    url = server_url(settings).set(drivername="postgresql").render_as_string()
    server = EmbeddedServer(cast("Pipeline", Stub(settings)))
    server.look()
    first = embedded.server_process(area)
    assert first is not None
    assert capsys.readouterr().err == ""
    os.kill(first, signal.SIGKILL)
    while embedded.server_process(area) is not None:
        time.sleep(0.01)
    deadline = time.monotonic() + 30
    while embedded.server_process(area) is None and time.monotonic() < deadline:
        server.look()
    assert capsys.readouterr().err.count("database server ended; it is started again.") == 1
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)

    users = area / ".handle_pids.json"
    users.write_text(json.dumps([2**22 - 1, *json.loads(users.read_text())]))  # of a killed user
    leave_database(settings)
    assert embedded.server_process(area) is None


def test_that_a_server_ended_is_said_once_though_its_next_start_ends_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings, starting = Settings(home=tmp_path), [str(os.getpid()), *["-"] * 6, "starting"]
    monkeypatch.setattr(embedded, "start_again", lambda area: None)
    settings.postgres_area.mkdir()
    lock = settings.postgres_area / "postmaster.pid"
    server = EmbeddedServer(cast("Pipeline", Stub(settings)), process=2**22 - 1)  # which was ready
    for status in ("starting", "", "starting", "ready", ""):
        lock.write_text("\n".join([*starting[:7], status]) if status else "")
        server.look()
    assert capsys.readouterr().err.count("database server ended; it is started again.") == 2


def test_who_leaves_stops_the_server_that_another_process_started_again(settings: Settings) -> None:
    server_url(settings)
    first = embedded.server_process(settings.postgres_area)
    assert first is not None
    os.kill(first, signal.SIGKILL)
    other = [sys.executable, "-c", OTHER, str(settings.postgres_area)]
    subprocess.run(other, check=True)  # noqa: S603  # our own interpreter
    assert embedded.server_process(settings.postgres_area) not in {None, first}
    leave_database(settings)
    assert embedded.server_process(settings.postgres_area) is None
