"""Every `curl` command and the example of the client in the docs of the API do what they say."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from csv_pipeline.api.service import Service
from csv_pipeline_tests.api.live import serving
from csv_pipeline_tests.conftest import Desk
from csv_pipeline_tests.test_house import ROOT

TEXT = (ROOT / "docs" / "api.md").read_text()
BLOCKS = re.findall(r"```(?:ba)?sh\n(.*?)```", TEXT, re.DOTALL)
CUSTOMERS = "Customer ID,Name,Email\nC1,Ann,ann@example.org\nC2,Bob,bob@example.org\nC3,Cid,none\n"
PEOPLE = "ID,Name,Amount\n1,one,1.00\n2,two,x\n3,three,y\n"
PREPARED = 'api=$URL/api/v1 auth="Authorization: Bearer $TOKEN"'
TIME_WAS_UP = 28  # curl's own word for a stream that goes on


def calls() -> list[str]:
    """Return the commands of all blocks."""
    lines = "\n".join(BLOCKS).replace("\\\n", "")
    return re.findall(r"^curl .*$", lines, re.MULTILINE)


@pytest.fixture(scope="module")
def url(service: Service) -> Iterator[str]:
    """The address of a service that does what it is asked for."""
    with serving(service) as address:
        yield address


@pytest.fixture
def here(
    desk: Desk,
    url: str,
    api_of: Callable[..., TestClient],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> TestClient:
    """A folder with files, an address and a token, as the docs have them."""
    for name in ("orders.csv", "a.csv", "b.csv", "customers.csv"):
        (tmp_path / name).write_text(CUSTOMERS)
    monkeypatch.chdir(tmp_path)
    api = api_of(desk.account)
    monkeypatch.setenv("URL", url)
    monkeypatch.setenv("TOKEN", api.headers["authorization"].removeprefix("Bearer "))
    for feed in ("people", "customers"):
        desk.declare(feed=feed, max_rejected_share=1.0)
    return api


@pytest.mark.parametrize("line", calls())
def test_every_call_in_the_docs_is_answered(line: str, here: TestClient, desk: Desk) -> None:
    line = line.replace("seller-one", desk.account)
    if "/imports/17" in line:
        number = desk.bring(PEOPLE).import_id
        for row, value in ((3, "2.00"), (4, "z")):
            cells = [{"row_number": row, "column": "Amount", "value": value}]
            made = here.patch(f"/api/v1/imports/{number}/rejects", json={"cells": cells})
            assert made.status_code == 200, made.json()
        line = line.replace("/17", f"/{number}")
    if "/uploads/41" in line:
        path = f"/api/v1/uploads/{desk.account}/c.csv?feed=customers&check=true"
        number = here.put(path, content=CUSTOMERS).json()["upload_id"]
        line = line.replace("/41", f"/{number}")
    command = f"{PREPARED}; {line.replace('curl ', 'curl -sS --fail-with-body -m 20 ', 1)}"
    if line.endswith('"$api/events"'):
        command = command.replace("-m 20", "-m 1")
    done = subprocess.run(  # noqa: S603
        ["/bin/bash", "-c", command], capture_output=True, text=True, check=False
    )
    assert done.returncode in {0, TIME_WAS_UP if "-m 1 " in command else 0}, (
        done.stdout + done.stderr
    )


def test_the_example_of_the_client_runs(here: TestClient, desk: Desk) -> None:
    del here
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert os.environ["TOKEN"]
    exec(compile(example, "docs/api.md", "exec"), {})  # noqa: S102
    assert [row.name for row in desk.rows("customers", "name")] == ["Cid"]


def test_the_docs_have_calls_for_every_part() -> None:
    assert len(calls()) >= 24
