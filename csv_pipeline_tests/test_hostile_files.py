"""What somebody may put into a landing area, or call a file, to reach what is not theirs."""

import os
import socket
import stat
from pathlib import Path

import pytest

from csv_pipeline.account import account_slug
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.errors import PipelineError
from csv_pipeline_tests.test_cli import Terminal, terminal

__all__ = ["terminal"]
WRONG = "Colour,Size\nred,3\n"
HOSTILE = {
    "newline": "a\nb.csv",
    "escape": "\x1b]0;owned\x07\x1b[2J.csv",
    "right-to-left": "a\u202evsc.exe.csv",
    "csi": "\x9b2Ja.csv",
    "longest": "x" * 251 + ".csv",
    "formula": '=HYPERLINK("http:x").csv',
    "option": "--help.csv",
    "quote": "a';DROP TABLE x--.csv",
    "markup": "<img src=x onerror=alert(1)>.csv",
}


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_name_is_imported_and_archived_and_no_terminal_gets_its_controls(
    terminal: Terminal, name: str
) -> None:
    folder = terminal.pipeline.settings.landing_folder / terminal.account / "people"
    folder.mkdir(parents=True)
    (folder / name).write_text(WRONG)
    terminal.pipeline.scan(seconds=10)
    said = [terminal.call("import", folder / name, "-a", terminal.account, "-f", "people")]
    said += [terminal.call(word, "-a", terminal.account) for word in ("imports", "status")]
    assert [
        one["name"] for one in terminal.call("imports", "-a", terminal.account, "--json").json
    ] == [name]
    for each in said:
        letters = set(each.out + each.err) - {"\n"}
        assert {letter for letter in letters if not letter.isprintable()} == set()
    kept = terminal.pipeline.settings.home / "refused" / terminal.account / "people"
    assert [path.name for path in kept.glob("*/*")] == [name]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes devices")
def test_devices_and_sockets_are_never_opened(pipeline: Pipeline, account: str) -> None:
    folder = pipeline.settings.landing_folder / account / "people"
    folder.mkdir(parents=True)
    os.mknod(folder / "zero.csv", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    with socket.socket(socket.AF_UNIX) as heard:
        heard.bind(str(folder / "socket.csv"))
        seen = pipeline.scan(seconds=10)
    told = {file.name for file, _ in seen.misplaced if account in str(file.location)}
    assert told == {"zero.csv", "socket.csv"}
    assert pipeline.claim(account, "people") == []


@pytest.mark.parametrize(
    "name", ["../other", "a/b", "..", ".", "", "a\n", "a b", "ä", "A", "-a", "a" * 300, "a\0"]
)
def test_an_account_is_a_slug_or_nothing(name: str) -> None:
    with pytest.raises(PipelineError):
        account_slug(name)


def test_only_its_owner_reaches_the_embedded_server(shared_pipeline: Pipeline) -> None:
    area = Path(str(shared_pipeline.database.engine.url.query["host"]))
    if not (area / "PG_VERSION").exists():
        pytest.skip("the tests run on a server that is given")
    assert stat.S_IMODE(area.stat().st_mode) & 0o077 == 0
    assert [path for path in area.iterdir() if path.is_socket()]
    with shared_pipeline.database.begin() as connection:
        listens = connection.exec_driver_sql("SHOW listen_addresses").scalar()
        places = connection.exec_driver_sql("SHOW unix_socket_directories").scalar()
    assert (listens, places) == ("", str(area))
