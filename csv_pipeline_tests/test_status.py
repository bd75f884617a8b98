"""The command that says what needs a person, and the one that ends it."""

from collections.abc import Iterator
from importlib.metadata import version

import pytest

from csv_pipeline.cli import opening
from csv_pipeline.cli.terminal import out
from csv_pipeline.errors import SetupError
from csv_pipeline.settings import settings
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


def test_status_shows_what_may_be_meant_by_a_folder_however_long_its_name_is(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(out, "_width", 1_000)  # so that no cell is folded
    landing = terminal.pipeline.settings.landing_folder / terminal.account
    for name in ("people\n", f"PEOPLE/{'b' * 200}"):
        folder = landing / name
        folder.mkdir(parents=True)
        (folder / f"{'c' * 200}.csv").write_text(PEOPLE)
    terminal.pipeline.scan(seconds=10, account=terminal.account)
    shown = said(terminal)
    assert "found 'PEOPLE' (did you mean 'people'?)" in shown
    assert r"found 'people\n' (did you mean 'people'?)" in shown


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


def test_imports_are_shown_by_outcome_and_since_when(terminal: Terminal) -> None:
    terminal.bring(WRONG, name="wrong.csv")
    terminal.bring(PEOPLE, name="good.csv")

    def names(*words: str) -> list[str]:
        found = terminal.call("imports", "-a", terminal.account, "--json", *words).json
        return [one["name"] for one in found]

    assert names("--outcome", "refused") == ["wrong.csv"]
    assert names("--since", "2d") == ["good.csv", "wrong.csv"]
    assert names("--since", "2999-01-01") == []
    assert "No such import" in terminal.call("imports", "--since", "2999-01-01").out


@pytest.mark.parametrize("when", ["yesterday", "2", "-1d", "999999w", "2026-13-01"])
def test_a_moment_that_is_none_is_an_error(terminal: Terminal, when: str) -> None:
    assert terminal.call("imports", f"--since={when}").exit_code == 2


def test_the_version_is_said(terminal: Terminal) -> None:
    assert terminal.call("--version").out == f"csv-pipeline {version('csv-pipeline')}\n"


@pytest.fixture
def afresh() -> Iterator[None]:
    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.mark.parametrize("name", ["CSV_PIPELINE_MAX_COLUMS", "csv_pipeline_max_colums"])
@pytest.mark.usefixtures("afresh")
def test_a_variable_that_is_no_setting_names_the_nearest(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "9")
    with pytest.raises(SetupError, match=f"as CSV_PIPELINE_MAX_COLUMNS; found {name}"):
        opening.settings_found()


@pytest.mark.usefixtures("afresh")
def test_variables_of_the_tests_are_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CSV_PIPELINE_TEST_DATABASE_URL", "x")
    monkeypatch.setenv("CSV_PIPELINE_PG_BIN", "x")
    assert opening.settings_found()
