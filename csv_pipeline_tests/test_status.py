"""The command that says what needs a person, and the one that ends it."""

import pytest

from csv_pipeline_tests.test_cli import FAULTY, PEOPLE, Terminal, terminal

__all__ = ["terminal"]
WRONG = "Colour,Size\nred,3\n"


def test_status_shows_what_is_refused_and_what_is_to_correct(terminal: Terminal) -> None:
    terminal.bring(PEOPLE, name="good.csv")
    assert "Nothing needs you" in said(terminal)
    terminal.bring(WRONG, name="wrong.csv")
    terminal.bring(FAULTY, name="faulty.csv")
    shown = terminal.call("status", "-a", terminal.account, "--json").json
    assert [(one["file"], one["state"], one["rows"]) for one in shown] == [
        ("faulty.csv", "to correct", 2), ("wrong.csv", "refused", 0),
    ]  # fmt: skip
    assert f"rejects {shown[0]['number']} --out" in shown[0]["help"]
    assert "needs the column 'ID'" in shown[1]["problem"]
    assert f"dismiss {shown[1]['number']}" in said(terminal)


def said(terminal: Terminal) -> str:
    return " ".join(terminal.call("status", "-a", terminal.account).out.split())


def test_status_exits_with_one_only_if_that_is_asked_for(terminal: Terminal) -> None:
    terminal.bring(WRONG)
    number = terminal.call("status", "-a", terminal.account, "--json").json[0]["number"]
    assert terminal.call("status", "-a", terminal.account).exit_code == 0
    assert terminal.call("status", "-a", terminal.account, "--strict").exit_code == 1
    assert "needs nobody" in terminal.call("dismiss", number).out
    assert terminal.call("status", "-a", terminal.account, "--strict").exit_code == 0


@pytest.mark.parametrize("words", [("status", "-a", "nobody-at-all"), ("dismiss", "99999999")])
def test_what_is_not_there_is_an_error(terminal: Terminal, words: tuple[str, ...]) -> None:
    terminal.bring(PEOPLE)
    assert terminal.call(*words).exit_code == 2
