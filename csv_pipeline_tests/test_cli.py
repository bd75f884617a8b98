"""What a person at a terminal, or a script, sees of the pipeline."""

import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from csv_pipeline.cli import commands, opening, show_feeds
from csv_pipeline.cli.dev import dagster_home, psql
from csv_pipeline.cli.terminal import out
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.errors import SetupError
from csv_pipeline.feeds import FEEDS
from csv_pipeline.files.landing import found_file
from csv_pipeline.location import location_of
from csv_pipeline.settings import Settings, settings
from csv_pipeline.storage import accounts, arrivals

_COMMAND = str(Path(sys.executable).with_name("csv-pipeline"))
PEOPLE = "ID,Name,Amount\n1,Ann,5.00\n2,Bob,6.00\n"
FAULTY = "ID,Name,Amount,Secret\n1,Ann,5.00,11\n2,Bob,abc,12\n3,Cid,7.00,hush\n1,Ann,8.00,11\n"


class Said:
    """What a command printed, and its exit code."""

    def __init__(self, exit_code: int, out: str, err: str) -> None:
        self.exit_code, self.out, self.err = exit_code, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Terminal:
    """Calls commands for the test's own account."""

    def __init__(self, pipeline: Pipeline, account: str, folder: Path) -> None:
        self.pipeline, self.account, self.folder = pipeline, account, folder

    def call(self, *words: str | int | Path) -> Said:
        result = CliRunner().invoke(commands.app, [str(word) for word in words])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Said(result.exit_code, result.stdout, result.stderr)

    def file(self, content: str, name: str = "people.csv") -> Path:
        path = self.folder / name
        path.write_text(content)
        return path

    def bring(self, content: str, *options: str, name: str = "people.csv") -> Said:
        file = self.file(content, name)
        return self.call("import", file, "-a", self.account, "-f", "people", *options)

    def stored(self) -> int:
        found = self.call("imports", "--account", self.account, "--json").json
        return sum(one["counts"]["inserted"] for one in found)


@pytest.fixture
def terminal(
    pipeline: Pipeline, account: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Terminal:
    monkeypatch.setattr(opening, "pipeline", lambda: pipeline)
    return Terminal(pipeline, account, tmp_path)


@pytest.fixture
def fresh_settings() -> Iterator[None]:
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_import_prints_what_became_of_every_row(terminal: Terminal) -> None:
    said = terminal.bring(FAULTY)
    assert said.exit_code == 0
    shown = " ".join(said.out.split())
    assert "read 4 = inserted 1 + updated 0 + unchanged 0 + kept 0" in shown
    assert "+ superseded 1 + rejected 2" in shown


def test_import_says_that_an_account_is_new_and_which_one_may_be_meant(terminal: Terminal) -> None:
    asked = ("import", terminal.file(PEOPLE), "-f", "people", "-a")
    known = f"{terminal.account}-shop"
    new = " ".join(terminal.call(*asked, known).err.split())
    assert f"Account '{known}' is new" in new
    typed = terminal.call(*asked, f"{known}p", "--json")
    assert f"is new (did you mean '{known}'" in " ".join(typed.err.split())
    assert typed.exit_code == 0
    assert (typed.json["new_account"], typed.json["account_alike"][0]) == (True, known)
    again = terminal.call(*asked, known, "--json")
    assert (again.err, again.json["new_account"]) == ("", False)


def test_import_prints_the_decisions_and_why(terminal: Terminal) -> None:
    said = terminal.bring("ID,Born\n1,03/04/2025\n2,25/12/2025\n")
    assert "day first" in said.out
    assert "'25/12/2025' in row 3 can be nothing else" in said.out


def test_import_prints_columns_that_the_feed_does_not_know(terminal: Terminal) -> None:
    assert "does not know: Shoe Size" in terminal.bring("ID,Shoe Size\n1,38\n").out


def test_a_refused_file_exits_with_1_and_says_why(terminal: Terminal) -> None:
    said = terminal.bring("Colour,Size\nred,3\n")
    assert said.exit_code == 1
    assert "feed 'people' needs the column 'ID'" in said.out


def landed(terminal: Terminal, content: str) -> Path:
    """Put a file into the landing area, under a name that no sensor takes, and return it."""
    folder = terminal.pipeline.settings.landing_folder / terminal.account / "people"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "~people.csv"
    file.write_text(content)
    return file


def test_import_says_where_the_file_and_its_results_are_now(terminal: Terminal) -> None:
    file = landed(terminal, PEOPLE)
    said = terminal.call("import", file, "-a", terminal.account, "-f", "people")
    area = terminal.pipeline.settings.archive_area() / terminal.account / "people"
    assert f"The file is now {area}" in said.out
    assert "What became of each row: " in said.out
    listed = terminal.call("imports", "-a", terminal.account)
    assert f"archive/{terminal.account}/people/" in "".join(listed.out.split())
    (facts,) = terminal.call("imports", "-a", terminal.account, "--json").json
    assert Path(facts["moved_to"]).read_text() == PEOPLE
    assert Path(facts["results"]).read_text("utf-8-sig").count("inserted") == 2


@pytest.mark.parametrize("dry_run", [[], ["--dry-run"]])
def test_a_quarantined_file_is_imported_by_its_old_place(
    terminal: Terminal, dry_run: list[str]
) -> None:
    file = landed(terminal, "ID,Born\n1,03/04/2025\n")
    lane = ("-a", terminal.account, "-f", "people")
    assert terminal.call("import", file, *lane).exit_code == 1
    assert not file.exists()
    terminal.call("account", terminal.account, "--date-order", "day-first")
    assert terminal.call("import", file, *lane, *dry_run).exit_code == 0
    assert terminal.stored() == (0 if dry_run else 1)


def test_a_file_that_is_not_there_exits_with_2(terminal: Terminal) -> None:
    file = terminal.folder / "nothing.csv"
    said = terminal.call("import", file, "-a", terminal.account, "-f", "people")
    assert said.exit_code == 2
    assert "a file was needed; there is none" in said.err


def test_a_folder_exits_with_2_and_says_where_its_files_could_go(terminal: Terminal) -> None:
    said = terminal.call("import", terminal.folder, "-a", terminal.account, "-f", "people")
    assert said.exit_code == 2
    landing = terminal.pipeline.settings.landing_folder / terminal.account / "people"
    assert "it is a folder: name one file in it" in said.err
    assert f"can be copied to {landing}/" in said.err


def test_a_file_imported_before_is_named_by_its_import(terminal: Terminal) -> None:
    first = terminal.bring(PEOPLE, "--json").json
    file = terminal.folder / "people.csv"
    again = terminal.call("import", file, "-a", terminal.account, "-f", "people")
    assert again.exit_code == 0
    assert f"imported before, as import {first['import_id']}; nothing to do" in again.out


def test_a_path_of_other_bytes_is_refused_in_plain_words(terminal: Terminal) -> None:
    path = os.fsdecode(os.fsencode(terminal.folder) + b"/caf\xe9.csv")
    Path(path).write_text("ID,Name\n1,Ann\n")
    for words in (
        ("import", path, "-a", terminal.account, "-f", "people"),
        ("inspect", path),
        ("replay", path),
        ("rejects", 1, "--out", path),
    ):
        said = terminal.call(*words)
        assert said.exit_code == 2
        assert r"caf\xe9.csv: text in UTF-8 was needed; it has other bytes" in said.err
    with pytest.raises(SetupError, match=r"caf\\xe9.csv: a name in UTF-8 was needed"):
        terminal.pipeline.find(location_of(path), terminal.account, "people")


def test_a_symbolic_link_is_refused_and_the_file_it_leads_to_named(terminal: Terminal) -> None:
    file = terminal.file("ID,Name\n1,Ann\n")
    link = terminal.folder / "link.csv"
    link.symlink_to(file)
    said = terminal.call("import", link, "-a", terminal.account, "-f", "people")
    assert said.exit_code == 2
    assert f"it is a symbolic link: name the file it leads to, {file}" in said.err
    landing = terminal.pipeline.settings.landing_folder / terminal.account
    landing.mkdir(parents=True)
    (landing / "people").symlink_to(terminal.folder)
    said = terminal.call(
        "import", landing / "people" / file.name, "-a", terminal.account, "-f", "people"
    )
    assert said.exit_code == 2
    assert "a symbolic link leads out of it" in said.err


def test_rejects_of_a_refused_file_are_shown_and_not_sent_to_replay(terminal: Terminal) -> None:
    file = terminal.file("ID,Name\n" + ",Ann\n" * 25)
    said = terminal.call("import", file, "-a", terminal.account, "-f", "people", "--json")
    assert said.exit_code == 1
    out = terminal.folder / "rejected.csv"
    said = terminal.call("rejects", json.loads(said.out)["import_id"], "--out", out)
    assert out.exists()
    assert f"was refused: correct its whole file, {file.name}, and import that" in said.out
    assert "replay" not in said.out


def test_a_file_is_imported_again_if_somebody_says_so(terminal: Terminal) -> None:
    terminal.bring("ID,Name\n1,Ann\n", name="monday.csv")
    terminal.bring("ID,Name\n1,Bob\n", name="tuesday.csv")
    monday = ("import", terminal.folder / "monday.csv", "-a", terminal.account, "-f", "people")
    assert terminal.call(*monday, "--json").json["imported_before"]
    dry = terminal.call(*monday, "--json", "--again", "--dry-run").json
    assert (dry["outcome"], dry["counts"]["updated"]) == ("dry run", 1)
    again = terminal.call(*monday, "--json", "--again").json
    assert (again["outcome"], again["counts"]["updated"]) == ("imported", 1)


def test_rejects_are_written_to_no_folder_in_plain_words(terminal: Terminal) -> None:
    report = terminal.bring("ID,Name,Amount\n1,Ann,x\n2,Bob,2\n", "--json").json
    (terminal.folder / "a").touch()
    said = terminal.call("rejects", report["import_id"], "--out", terminal.folder / "a" / "out.csv")
    assert (said.exit_code, said.err.count("\n")) == (2, 1)
    assert "out.csv: a file to write to was needed; " in said.err


def test_the_same_content_under_another_name_is_a_duplicate(terminal: Terminal) -> None:
    first = terminal.bring(PEOPLE, "--json").json
    again = terminal.bring(PEOPLE, "--json", name="copy.csv")
    assert again.exit_code == 0
    assert (again.json["outcome"], again.json["same_as"]) == ("duplicate", first["import_id"])


def archive(terminal: Terminal) -> Path:
    with zipfile.ZipFile(terminal.folder / "all.zip", "w") as made:
        made.writestr("one.csv", PEOPLE)
        made.writestr("two.csv", "Colour\nred\n")
    return terminal.folder / "all.zip"


def test_an_archive_of_several_files_is_imported_file_by_file(terminal: Terminal) -> None:
    options = (archive(terminal), "-a", terminal.account, "-f", "people", "--json")
    said = terminal.call("import", *options)
    assert said.exit_code == 1  # one of its files was refused
    assert said.json["outcome"] == "unpacked"
    outcomes = [(one["name"], one["outcome"]) for one in said.json["members"]]
    assert outcomes == [("one.csv", "imported"), ("two.csv", "refused")]
    assert terminal.stored() == 2


def test_an_archive_given_again_tries_what_was_refused_of_it_again(terminal: Terminal) -> None:
    options = (archive(terminal), "-a", terminal.account, "-f", "people", "--json")
    terminal.call("import", *options)
    again = terminal.call("import", *options).json
    assert again["imported_before"] is True
    outcomes = [(one["outcome"], one["imported_before"]) for one in again["members"]]
    assert outcomes == [("imported", True), ("refused", False)]


def test_a_dry_run_of_an_archive_tries_each_file(terminal: Terminal) -> None:
    file = archive(terminal)
    said = terminal.call("import", file, "-a", terminal.account, "-f", "people", "--dry-run")
    assert "one.csv" in said.out
    assert "dry run; nothing of it is stored" in said.out
    with terminal.pipeline.database.begin() as connection:
        assert arrivals.find(connection, account=terminal.account) == []


def test_a_relative_path_names_the_same_file(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal.bring(PEOPLE)
    (terminal.folder / "below").mkdir()
    monkeypatch.chdir(terminal.folder / "below")
    said = terminal.call(
        "import", "../people.csv", "-a", terminal.account, "-f", "people", "--json"
    )
    assert said.json["imported_before"] is True


def test_a_file_named_again_says_whether_its_rows_have_changed_since(terminal: Terminal) -> None:
    first = terminal.file("ID,Name\n1,Ann\n", "one.csv")
    words = ("import", first, "-a", terminal.account, "-f", "people")
    terminal.call(*words)
    assert "nothing to do; --again imports it anew" in terminal.call(*words).out
    terminal.bring("ID,Name\n1,Ada\n", name="two.csv")
    assert "rows were changed or undone since; --again" in terminal.call(*words).out


def test_any_encoding_of_text_can_be_declared(terminal: Terminal) -> None:
    assert terminal.call("account", terminal.account, "--encoding", "utf-16").exit_code == 0
    said = terminal.call("account", terminal.account, "--encoding", "hex")
    assert (said.exit_code, "an encoding that Python knows was needed" in said.err) == (2, True)


def test_what_an_unknown_account_declared_cannot_be_forgotten(terminal: Terminal) -> None:
    said = terminal.call("account", f"{terminal.account}-typo", "--forget", "encoding")
    assert (said.exit_code, "an account that exists was needed" in said.err) == (2, True)


def test_a_dry_run_shows_faults_and_leaves_no_trace(terminal: Terminal) -> None:
    said = terminal.bring(FAULTY, "--dry-run")
    assert said.exit_code == 0
    assert "dry run, 1 warning; nothing of it is stored" in said.out
    assert "'abc' breaks rule amount.decimal" in said.out
    with terminal.pipeline.database.begin() as connection:
        assert arrivals.find(connection, account=terminal.account) == []
    assert terminal.call("imports", "-a", terminal.account).exit_code == 2  # no such account


def test_a_file_is_imported_after_a_dry_run(terminal: Terminal) -> None:
    terminal.bring(PEOPLE, "--dry-run")
    terminal.bring(PEOPLE)
    assert terminal.stored() == 2


def test_a_file_refused_for_one_feed_can_be_imported_for_another(terminal: Terminal) -> None:
    file = terminal.file(PEOPLE)
    wrong = terminal.call("import", file, "-a", terminal.account, "-f", "versions")
    right = terminal.call("import", file, "-a", terminal.account, "-f", "people")
    assert (wrong.exit_code, right.exit_code) == (1, 0)
    assert terminal.stored() == 2


def test_one_file_can_be_imported_for_two_accounts(terminal: Terminal) -> None:
    terminal.bring(PEOPLE)
    other = Terminal(terminal.pipeline, f"{terminal.account}-other", terminal.folder)
    other.call("import", terminal.folder / "people.csv", "-a", other.account, "-f", "people")
    assert (terminal.stored(), other.stored()) == (2, 2)


def test_a_file_in_another_accounts_folder_is_not_imported(terminal: Terminal) -> None:
    folder = terminal.pipeline.settings.landing_folder / "another" / "people"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / ".not-for-the-sensor.csv"
    file.write_text(PEOPLE)
    said = terminal.call("import", file, "-a", terminal.account, "-f", "people")
    assert said.exit_code == 2
    assert "it lies in another/people" in said.err


def test_an_error_nobody_foresaw_is_recorded_as_failed(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("by the test")

    monkeypatch.setattr("csv_pipeline.engine.group.validate", broken)
    said = terminal.bring(PEOPLE)
    assert said.exit_code == 1
    assert "Why: ZeroDivisionError: by the test" in said.out
    found = terminal.call("imports", "-a", terminal.account, "--json").json
    assert [one["outcome"] for one in found] == ["failed"]


def test_an_interrupted_import_can_be_repeated_at_once(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("csv_pipeline.engine.group.validate", interrupted)
        assert terminal.bring(PEOPLE).exit_code == 130
    file = terminal.folder / "people.csv"
    terminal.call("import", file, "-a", terminal.account, "-f", "people")
    assert terminal.stored() == 2


def test_a_file_that_another_worker_has_exits_with_3(terminal: Terminal) -> None:
    file = terminal.file(PEOPLE)
    found = found_file(location_of(file), terminal.account, "people")
    assert terminal.pipeline.claim_file(found) is not None
    said = terminal.call("import", file, "-a", terminal.account, "-f", "people")
    assert said.exit_code == 3


def test_rejects_shows_every_fault_with_its_place(terminal: Terminal) -> None:
    import_id = terminal.bring(FAULTY, "--json").json["import_id"]
    faults = terminal.call("rejects", import_id, "--json").json["rejects"]
    assert [(f["row_number"], f["line_number"], f["rule"]) for f in faults] == [
        (3, 3, "amount.decimal"),
        (4, 4, "secret.matches"),
    ]


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["table", "json"])
def test_rejects_masks_protected_values(terminal: Terminal, options: list[str]) -> None:
    import_id = terminal.bring(FAULTY, "--json").json["import_id"]
    said = terminal.call("rejects", import_id, *options)
    assert "abc" in said.out
    assert "hush" not in said.out


def test_rejects_shows_superseded_rows(terminal: Terminal) -> None:
    import_id = terminal.bring(FAULTY, "--json").json["import_id"]
    superseded = terminal.call("rejects", import_id, "--json").json["superseded"]
    assert superseded == [{"row_number": 2, "by_row_number": 5}]
    assert "Rows whose key comes again later in the file" in terminal.call("rejects", import_id).out


def test_rejects_of_a_refused_file_says_why_it_was(terminal: Terminal) -> None:
    terminal.bring("Colour\nred\n")
    import_id = terminal.call("imports", "-a", terminal.account, "--json").json[0]["import_id"]
    assert "needs the column 'ID'" in terminal.call("rejects", import_id).out


def test_rejected_rows_are_written_corrected_and_replayed(terminal: Terminal) -> None:
    import_id = terminal.bring(FAULTY, "--json").json["import_id"]
    out = terminal.folder / "correct me.csv"
    said = terminal.call("rejects", import_id, "--out", out)
    assert said.out.startswith("2 rows to correct in ")
    assert oct(out.stat().st_mode)[-3:] == "600"
    out.write_text(out.read_text().replace("abc", "6.00").replace("hush", "13"))
    replayed = terminal.call("replay", out)
    assert replayed.exit_code == 0
    assert f"Repairs: rejected rows of import {import_id}" in replayed.out
    assert terminal.stored() == 3
    assert f"import {replayed_as(terminal)}" in terminal.call("rejects", import_id).out
    out.unlink()
    assert "Nothing to correct" in terminal.call("rejects", import_id, "--out", out).out
    assert not out.exists()
    assert list(terminal.folder.glob("*.part")) == []


def replayed_as(terminal: Terminal) -> int:
    """Return the number of the account's newest import."""
    newest: int = terminal.call("imports", "-a", terminal.account, "--json").json[0]["import_id"]
    return newest


def test_a_fault_of_a_record_says_once_where_it_is(terminal: Terminal) -> None:
    import_id = terminal.bring("ID,Name\n1,Ann\n2\n3,Cid\n", "--json").json["import_id"]
    shown = terminal.call("rejects", import_id).out
    assert "2 fields were needed" in shown
    assert "row 3 (line 3)" not in shown  # both numbers have columns


def test_rejects_that_nobody_repaired_have_no_column_for_it(terminal: Terminal) -> None:
    import_id = terminal.bring(FAULTY, "--json").json["import_id"]
    assert "repaired by" not in terminal.call("rejects", import_id).out


def test_a_refused_file_tells_what_the_feed_needs_from_what_the_file_before_had(
    terminal: Terminal,
) -> None:
    terminal.bring("ID,Name,Amount\n1,Ann,5.00\n")
    shown = terminal.bring("Name,Shoe\nAnn,38\n", name="other.csv").out
    assert "Columns that the feed needs and the file lacks: ID\n" in shown
    assert "Columns that the file before had and this one lacks: Amount\n" in shown


def test_the_raw_variant_leaves_formulas_as_they_are(terminal: Terminal) -> None:
    import_id = terminal.bring("ID,Name,Amount\n2,=1+1,abc\n", "--json").json["import_id"]
    out = terminal.folder / "out.csv"
    terminal.call("rejects", import_id, "--out", out, "--raw")
    assert ",2,=1+1,abc,,yes\r\n" in out.read_bytes().decode()


def test_a_dry_run_of_a_replay_stores_nothing(terminal: Terminal) -> None:
    import_id = terminal.bring(FAULTY, "--json").json["import_id"]
    out = terminal.folder / "out.csv"
    terminal.call("rejects", import_id, "--out", out)
    said = terminal.call("replay", out, "--dry-run", "--json")
    assert (said.json["outcome"], said.json["repairs"]) == ("dry run", import_id)
    faults = terminal.call("rejects", import_id, "--json").json["rejects"]
    assert [fault["repaired_by_import_id"] for fault in faults] == [None, None]


def test_rows_that_do_not_say_whose_they_are_can_be_told(terminal: Terminal) -> None:
    import_id = terminal.bring(FAULTY, "--json").json["import_id"]
    file = terminal.file("_row_number,ID,Name,Amount,Secret\n3,2,Bob,6.00,12\n", "corrected.csv")
    assert terminal.call("replay", file).exit_code == 1
    assert terminal.call("replay", file, "--import", import_id).exit_code == 0
    assert terminal.stored() == 2


def test_rejects_of_an_unknown_import_exits_with_2(terminal: Terminal) -> None:
    said = terminal.call("rejects", 999_999_999)
    assert said.exit_code == 2
    assert said.err == (
        "csv-pipeline: import 999999999: the ledger has no import of this id; "
        "a dry run leaves none\n"
    )


def test_cells_cannot_steer_the_terminal(terminal: Terminal) -> None:
    said = terminal.bring("ID,Amount\n1,\x1b[31m[bold]red\n")
    assert "\x1b" not in said.out
    assert "\\x1b[31m[bold]red" in said.out


def test_imports_lists_the_newest_first_and_only_those_asked_for(terminal: Terminal) -> None:
    terminal.bring(PEOPLE, name="one.csv")
    terminal.bring(FAULTY, name="two.csv")
    found = terminal.call("imports", "--account", terminal.account, "--feed", "people", "--json")
    assert [one["name"] for one in found.json] == ["two.csv", "one.csv"]
    table = terminal.call("imports", "--account", terminal.account, "--limit", "1").out
    assert "two.csv" in table
    assert "one.csv" not in table


def test_without_imports_the_list_says_how_to_begin(terminal: Terminal) -> None:
    terminal.call("account", terminal.account, "--date-order", "day-first")
    said = terminal.call("imports", "--account", terminal.account)
    assert said.exit_code == 0
    assert str(terminal.pipeline.settings.landing_folder) in said.out


def test_without_imports_the_list_says_how_many_files_wait(terminal: Terminal) -> None:
    place = terminal.pipeline.settings.landing_folder / terminal.account / "people" / "a.csv"
    place.parent.mkdir(parents=True)
    place.write_text("ID,Name\n1,Ann\n")
    terminal.pipeline.scan(seconds=10)
    said = terminal.call("imports", "--account", terminal.account, "--feed", "people").out
    assert "No imports yet; waiting files: 1." in said


def test_imports_of_an_account_that_is_none_name_the_one_that_was_meant(terminal: Terminal) -> None:
    terminal.call("account", terminal.account, "--date-order", "day-first")
    said = terminal.call("imports", "--account", terminal.account.replace("imports", "import", 1))
    assert said.exit_code == 2
    assert f"none has this name (did you mean '{terminal.account}'" in said.err


def test_imports_of_a_feed_that_is_none_name_the_feeds(terminal: Terminal) -> None:
    said = terminal.call("imports", "--feed", "ebay_order")
    assert said.exit_code == 2
    assert "'ebay_orders'" in said.err


def test_a_file_that_is_there_is_written_over_only_if_told(terminal: Terminal) -> None:
    import_id = terminal.bring(FAULTY, "--json").json["import_id"]
    there = terminal.folder / "mine.csv"
    there.write_text("mine")
    said = terminal.call("rejects", import_id, "--out", there)
    assert (said.exit_code, there.read_text()) == (2, "mine")
    assert "add --overwrite" in said.err
    assert terminal.call("rejects", import_id, "--out", there, "--overwrite").exit_code == 0
    assert there.read_text() != "mine"


def test_a_replay_that_repairs_nothing_says_so_and_may_come_again(terminal: Terminal) -> None:
    import_id = terminal.bring(FAULTY, "--json").json["import_id"]
    corrected = terminal.folder / "corrected.csv"
    terminal.call("rejects", import_id, "--out", corrected)
    said = terminal.call("replay", corrected)
    assert f"imported, repairs no row of {import_id}" in said.out
    assert f"Repairs: none of the rejected rows of import {import_id}" in said.out
    assert "imported before" in terminal.call("replay", corrected).out
    assert (
        f"imported, repairs no row of {import_id}"
        in terminal.call("replay", corrected, "--again").out
    )


def test_a_dry_run_of_a_file_that_is_refused_does_not_say_that_anything_is_kept(
    terminal: Terminal,
) -> None:
    terminal.bring(FAULTY)
    path = terminal.folder / "other.csv"
    path.write_text("Colour\nred\n")
    said = terminal.call("import", path, "-a", terminal.account, "-f", "people", "--dry-run").out
    assert "would be refused; nothing of it is stored" in said
    assert "kept" not in said


def test_imports_says_which_import_another_repairs_or_undoes(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = terminal.bring(FAULTY, "--json").json["import_id"]
    corrected = terminal.folder / "corrected.csv"
    terminal.call("rejects", first, "--out", corrected)
    corrected.write_text(corrected.read_text().replace("abc", "6.00").replace("hush", "13"))
    second = terminal.call("replay", corrected, "--json").json["import_id"]
    undo = terminal.call("undo", second, "--json").json["import_id"]
    redo = terminal.call("undo", undo, "--json").json["import_id"]
    again = terminal.call("undo", redo, "--json").json["import_id"]
    monkeypatch.setattr(out, "width", 400)
    listed = terminal.call("imports", "-a", terminal.account).out
    assert f"imported, repairs {first}, undone by {again}" in listed
    assert f"undo of {second}, undone by {redo}" in listed
    assert f"undo of the undo of {second}, undone by {again}" in listed


def test_a_dry_run_of_an_undo_names_no_import_of_its_own(terminal: Terminal) -> None:
    import_id = terminal.bring(PEOPLE, "--json").json["import_id"]
    facts = terminal.call("undo", import_id, "--dry-run", "--json").json
    assert (facts["import_id"], facts["outcome"]) == (None, "dry run")
    assert (facts["undo"]["import_id"], facts["undo"]["deleted"]) == (import_id, 2)
    said = terminal.call("undo", import_id, "--dry-run").out
    assert f"Import {import_id} would be undone: 2 deleted" in said


def test_feeds_lists_every_feed(terminal: Terminal) -> None:
    said = terminal.call("feeds")
    assert "data.ebay_orders" in said.out
    assert "data.customers" in said.out
    assert "movement, counted in its file" in " ".join(said.out.split())


def test_feeds_shows_the_names_that_columns_have_in_headers(terminal: Terminal) -> None:
    assert "Customer ID, Customer Number, Kundennummer" in terminal.call("feeds", "customers").out


def test_feeds_shows_what_a_value_must_be_and_what_each_row_needs(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(out, "width", 400)
    lines = terminal.call("feeds", "ebay_orders").out.splitlines()
    (order,) = (line for line in lines if line.strip().startswith("order_id "))
    assert "12-34567-89012" in order
    shown = " ".join(" ".join(lines).split())
    assert "header (seller_hub), each row (simple)" in shown
    assert "seller_hub: it has Sales Record Number or Sold For simple: any other" in shown
    assert "at least 1" in shown
    assert "one of PENDING, PROCESSING" in shown


def test_feeds_marks_what_each_row_needs_where_there_is_one_layout(terminal: Terminal) -> None:
    with out.capture() as shown:
        show_feeds.feed(terminal.pipeline.feed("people"))
    (line,) = (line for line in shown.get().splitlines() if "ID" in line.split())
    assert "each row" in line


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("people", "key within an account person_id on conflict overwrite"),
        ("versions_flagged", "repeated keys of a file first in file snapshot a file brings all"),
        ("people_bounded", "that it lacks are deleted; refused with more than 2 or more than 20%"),
        ("warehouse_deleted", "brings the rows that have a warehouse of the file"),
        ("latest_prices", "on conflict later wins (day)"),
        ("wares", "least first_seen_on"),
        ("prices", "file name prices_<YYYY-MM-DD>[_v<edition>].csv"),
        ("entries", "files without a header cells by semicolon, quote none"),
        ("events", "time zone, if none is stated Europe/Berlin"),
        ("ebay_orders", "refused with more than 50% of the rows rejected"),
        ("coupa_purchase_orders", "worklist"),
    ],
)
def test_feeds_shows_the_rules_of_a_feed(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, name: str, shown: str
) -> None:
    monkeypatch.setattr(out, "width", 400)
    with out.capture() as said:
        show_feeds.feed(terminal.pipeline.feed(name))
    assert shown in " ".join(said.get().split())


def test_feeds_shows_which_columns_are_protected_and_which_the_files_name_tells(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(out, "width", 400)
    with out.capture() as said:
        show_feeds.feed(terminal.pipeline.feed("people_bounded"))
        show_feeds.feed(terminal.pipeline.feed("prices"))
    lines = [" ".join(line.split()) for line in said.get().splitlines()]
    assert "name text each row yes Name" in lines
    assert "day date (the file's name)" in lines


def test_an_unknown_feed_exits_with_2_and_names_the_others(terminal: Terminal) -> None:
    said = terminal.call("feeds", "orders")
    assert said.exit_code == 2
    names = ", ".join(sorted(repr(feed.name) for feed in FEEDS))
    assert f"one of {names} was needed" in said.err


def test_account_keeps_what_is_not_mentioned(terminal: Terminal) -> None:
    terminal.call("account", terminal.account, "--seller-id", "ann_s", "--date-order", "day-first")
    terminal.call("account", terminal.account, "--decimal-mark", "comma", "--forget", "seller-id")
    with terminal.pipeline.database.begin() as connection:
        facts = accounts.named(connection, terminal.account)
    assert (facts.seller_id, facts.date_order, facts.decimal_mark) == (None, "day first", "comma")


def test_an_account_can_be_allowed_smaller_or_larger_files(terminal: Terminal) -> None:
    sizes = ("--max-file-bytes", 10, "--max-compressed-bytes", 1_000)
    assert "1,000" in terminal.call("account", terminal.account, *sizes).out
    assert terminal.bring(PEOPLE).exit_code == 1
    terminal.call("account", terminal.account, "--forget", "max-file-bytes")
    assert terminal.bring(PEOPLE, name="again.csv").exit_code == 0


def test_an_account_declares_words_for_no_value_and_takes_them_back(terminal: Terminal) -> None:
    words = ("--null-word", "n/k", "--null-word", "?")
    assert "'n/k', '?'" in terminal.call("account", terminal.account, *words).out
    terminal.call("account", terminal.account, "--date-order", "day-first")
    with terminal.pipeline.database.begin() as connection:
        assert accounts.named(connection, terminal.account).null_words == ("n/k", "?")
    terminal.call("account", terminal.account, "--forget", "null-words")
    with terminal.pipeline.database.begin() as connection:
        assert accounts.named(connection, terminal.account).null_words == ()


def test_an_encoding_that_does_not_exist_is_not_declared(terminal: Terminal) -> None:
    said = terminal.call("account", terminal.account, "--encoding", "klingon")
    assert said.exit_code == 2
    assert "found 'klingon'" in said.err


def test_account_binds_a_login_to_the_account_and_lets_it_go(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(out, "width", 400)
    role, bound = "bi of the cli", sa.text("SELECT csv_pipeline.readable_accounts()")
    with terminal.pipeline.database.begin() as connection:
        connection.execute(sa.text(f'CREATE ROLE "{role}" LOGIN'))
    try:
        said = terminal.call("account", terminal.account, "--reader", role)
        assert (said.exit_code, role in said.out) == (0, True)
        lines = terminal.call("accounts").out.splitlines()
        (line,) = (line for line in lines if line.split()[:1] == [terminal.account])
        assert role in line
        with terminal.pipeline.database.begin() as connection:
            connection.execute(sa.text(f'SET LOCAL ROLE "{role}"'))
            assert connection.scalar(bound) == [terminal.account]
        said = terminal.call("account", terminal.account, "--no-reader", role)
        assert (said.exit_code, role in said.out) == (0, False)
        said = terminal.call("account", terminal.account, "--no-reader", role)
        assert (said.exit_code, "it is not" in said.err) == (2, True)
    finally:
        with terminal.pipeline.database.begin() as connection:
            connection.execute(sa.text(f'DROP ROLE "{role}"'))


def test_accounts_shows_what_was_declared(terminal: Terminal) -> None:
    terminal.call("account", terminal.account, "--seller-id", "ann_s")
    said = terminal.call("accounts")
    line = next(line for line in said.out.splitlines() if terminal.account in line)
    assert "ann_s" in line


@pytest.mark.parametrize(
    "asked", [["account", "acmee"], ["worklist", "coupa_purchase_orders", "-a", "acmee"]]
)
def test_to_ask_for_an_account_that_is_not_there_makes_none(
    pipeline: Pipeline, terminal: Terminal, asked: list[str]
) -> None:
    terminal.call("account", "acme", "--date-order", "day-first")
    said = terminal.call(*asked)
    assert (said.exit_code, "did you mean 'acme'" in said.err) == (2, True)
    assert " acmee " not in terminal.call("accounts").out


def test_a_setting_that_is_wrong_exits_with_2_and_is_named(
    monkeypatch: pytest.MonkeyPatch, fresh_settings: None
) -> None:
    monkeypatch.setenv("CSV_PIPELINE_MAX_COLUMNS", "none")
    result = CliRunner().invoke(commands.app, ["imports"])
    assert result.exit_code == 2
    assert result.stderr.startswith("csv-pipeline: settings: CSV_PIPELINE_MAX_COLUMNS: ")
    assert result.stderr.endswith("; found 'none'\n")


def test_a_silent_database_exits_with_3_and_its_password_stays_secret(
    monkeypatch: pytest.MonkeyPatch, fresh_settings: None
) -> None:
    monkeypatch.setenv("CSV_PIPELINE_DATABASE_URL", "postgresql://ann:hush@127.0.0.1:9/db")
    result = CliRunner().invoke(commands.app, ["imports"])
    assert result.exit_code == 3
    assert result.stderr.count("\n") == 1
    assert "hush" not in result.stderr


@pytest.mark.parametrize(
    ("imported", "heavy"),
    [
        ("csv_pipeline.cli.commands", "polars pandera dagster sqlalchemy"),
        ("csv_pipeline.cli.show_feeds, csv_pipeline.cli.opening", "dagster yaml alembic psycopg"),
    ],
    ids=["help", "feeds"],
)
def test_a_command_does_not_wait_for_what_it_does_not_need(imported: str, heavy: str) -> None:
    program = f"import sys, {imported}; sys.exit(bool({{*'{heavy}'.split()}} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603  # our own program


def test_dagsters_home_has_this_versions_configuration(tmp_path: Path) -> None:
    home = dagster_home(Settings(home=tmp_path))
    assert home == tmp_path / "dagster"
    assert "csv_pipeline.defs.instance" in (home / "dagster.yaml").read_text()


@pytest.mark.parametrize("path", [os.environ["PATH"], "/nonexistent"], ids=["own", "brought"])
def test_dev_prints_a_line_that_opens_the_database(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setenv("PATH", path)
    call = [*shlex.split(psql(pipeline)), "-AtXc", "SELECT count(*) FROM data.people"]
    if shutil.which(call[0]) is None:
        pytest.skip("no psql is installed, and none comes with a server of one's own")
    said = subprocess.run(call, capture_output=True, text=True, check=True)  # noqa: S603
    assert said.stdout.strip().isdigit()


def test_dev_says_when_its_port_is_taken(terminal: Terminal) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        said = terminal.call("dev", "--port", taken.getsockname()[1])
    assert said.exit_code == 2
    assert "something listens there already" in said.err


@pytest.mark.slow
def test_dev_works_from_an_empty_folder_and_imports_what_is_dropped_in_few_words() -> None:
    with tempfile.TemporaryDirectory(prefix="csv-pipeline-", ignore_cleanup_errors=True) as folder:
        port = free_port()
        environment = {k: v for k, v in os.environ.items() if not k.startswith("CSV_PIPELINE_")}
        with (
            Path(folder, "log").open("wb") as log,
            subprocess.Popen(  # noqa: S603  # our own command
                [_COMMAND, "dev", "--port", str(port), "--page-port", str(free_port())],
                cwd=folder,
                env=environment,
                stderr=log,
                stdout=log,
            ) as dev,  # fmt: skip
        ):
            try:
                _wait(lambda: _answers(port), seconds=180)
                lane = Path(folder, "data", "landing", "acme", "customers")
                lane.mkdir(parents=True)
                (lane / "customers.csv").write_text("Customer ID,Name\nC1,Ann\nC2,Bob\n")
                _wait(lambda: _inserted(folder, environment) == 2, seconds=120)
            finally:
                dev.send_signal(signal.SIGINT)
                assert dev.wait(timeout=60) == 0
        said = Path(folder, "log").read_text()
        assert said.count(f"A new, empty database is made in {folder}/data/postgres") == 1
        assert (said.count("import finished"), said.count("psql 'postgresql://")) == (1, 1)
        assert not [word for word in ("DEBUG", "stage done", "dagster.yaml") if word in said]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _inserted(folder: str, environment: dict[str, str]) -> int:
    said = subprocess.run(  # noqa: S603  # our own command
        [_COMMAND, "imports", "--json"],
        cwd=folder, env=environment, capture_output=True, check=True,
    )  # fmt: skip
    return sum(one["counts"]["inserted"] for one in json.loads(said.stdout))


def _wait(until: Callable[[], bool], *, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end
        time.sleep(0.5)
