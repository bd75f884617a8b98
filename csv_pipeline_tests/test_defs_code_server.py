"""The code server has a process with the code, whenever the one before was killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from dagster._grpc.client import DagsterGrpcClient

PATIENCE = 60


@pytest.mark.slow
def test_a_process_that_was_killed_while_it_started_is_started_again(tmp_path: Path) -> None:
    socket = tmp_path / "code"
    (tmp_path / "feeds.py").write_text("import dagster\n\ndefs = dagster.Definitions()\n")
    program = [sys.executable, "-m", "csv_pipeline.defs.code_server", "start"]
    told = ["--python-file", "feeds.py", "--socket", str(socket)]
    environment = {**os.environ, "DAGSTER_HOME": str(tmp_path)}
    with subprocess.Popen([*program, *told], cwd=tmp_path, env=environment) as server:  # noqa: S603
        try:
            children = Path(f"/proc/{server.pid}/task/{server.pid}/children")
            deadline = time.monotonic() + PATIENCE
            while not (started := [pid for pid in children.read_text().split() if is_code(pid)]):
                assert time.monotonic() < deadline
                time.sleep(0.02)
            os.kill(int(started[0]), signal.SIGKILL)
            while not answers(socket):
                assert time.monotonic() < deadline
                time.sleep(0.2)
        finally:
            server.terminate()


def is_code(pid: str) -> bool:
    return b"dagster\0api\0grpc" in Path(f"/proc/{pid}/cmdline").read_bytes()


def answers(socket: Path) -> bool:
    """Return whether the process with the code tells what is in it."""
    if not socket.exists():
        return False
    try:
        said = DagsterGrpcClient(socket=str(socket)).list_repositories()
    except Exception:  # noqa: BLE001  # whichever way it does not answer
        return False
    return "repository_symbols" in str(said) and "SerializableErrorInfo" not in str(said)[:60]
