"""The server that tests are given ends with them, however they end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from csv_pipeline_tests import postgres

_SHOW_ADDRESS = f"import os; print(os.environ['{postgres.ADDRESS}'], flush=True)"


def test_a_missing_server_is_said_in_plain_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(postgres.PROGRAMS, str(tmp_path))
    with (
        pytest.raises(postgres.NoServerError, match=f"none is in {tmp_path}. Install a server"),
        postgres.server(),
    ):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_the_server_ends_with_the_process_that_started_it(how: signal.Signals) -> None:
    waiting = "timeit", "-n1", "-r1", "-s", _SHOW_ADDRESS, "import time; time.sleep(60)"
    with subprocess.Popen(  # noqa: S603  # our own module
        [sys.executable, "-m", "csv_pipeline_tests.postgres", *waiting],
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as starter:
        assert starter.stdout is not None
        address = starter.stdout.readline().decode()
        socket = Path(address.partition("host=")[2].strip(), ".s.PGSQL.5432")
        assert socket.exists()
        if how is signal.SIGINT:
            os.killpg(starter.pid, how)  # as a terminal does
        else:
            starter.send_signal(how)
        starter.wait(30)
        give_up_at = time.monotonic() + 30
        while socket.exists() and time.monotonic() < give_up_at:
            time.sleep(0.1)
        assert not socket.exists()
        if how is signal.SIGKILL:
            os.killpg(starter.pid, how)  # what it ran is nobody's now
