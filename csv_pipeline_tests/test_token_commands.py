"""A token is made, listed and revoked by the command; its text is shown once."""

import json
import re
import shlex
from contextlib import nullcontext
from pathlib import Path

import pytest

from csv_pipeline.cli import opening
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline_tests.test_cli import Terminal, terminal

__all__ = ["terminal"]
READMES = sorted((Path(__file__).parents[1] / "deploy").glob("*/README.md"))


@pytest.fixture(autouse=True)
def _the_sessions_database(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "database", lambda: nullcontext(pipeline.database))


def test_a_token_is_shown_once_and_is_valid_until_it_is_revoked(terminal: Terminal) -> None:
    made = terminal.call(
        "token", "new", "the shop", "--account", terminal.account, "--scope", "upload"
    )
    assert made.exit_code == 0
    text = made.out.strip()
    assert text.startswith("csvp_")
    listed = terminal.call("token", "list", "--account", terminal.account, "--json")
    assert text not in listed.out
    (token,) = json.loads(listed.out)
    assert (token["name"], token["scopes"], token["revoked_at"]) == ("the shop", ["upload"], None)
    assert terminal.call("token", "revoke", str(token["token_id"])).exit_code == 0
    assert "revoked" in terminal.call("token", "list", "--account", terminal.account).out


@pytest.mark.parametrize("given", [(), ("--account", "acme", "--all-accounts")])
def test_a_token_is_for_one_account_or_for_all(terminal: Terminal, given: tuple[str, ...]) -> None:
    said = terminal.call("token", "new", "somebody", *given)
    assert said.exit_code == 2
    assert "either --account or --all-accounts was needed" in said.err


def test_the_command_by_which_a_deployment_gets_its_first_token_makes_it(
    terminal: Terminal,
) -> None:
    texts = [file.read_text() for file in READMES]
    lines = re.findall(r"csv-pipeline (token new .*)", "\n".join(texts))
    assert len(lines) == 2
    for line in lines:
        made = terminal.call(*shlex.split(line))
        assert (made.exit_code, made.out[:5]) == (0, "csvp_"), made.err
