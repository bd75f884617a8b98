"""A token is made, listed and revoked by the command; its text is shown once."""

import json
from contextlib import nullcontext

import pytest

from csv_pipeline.cli import opening
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline_tests.test_cli import Terminal, terminal

__all__ = ["terminal"]


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
