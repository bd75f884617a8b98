"""From what an import rejected come suggestions, each with a command that does what it says."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from csv_pipeline.cli import commands, opening
from csv_pipeline.model import ImportReport
from csv_pipeline_tests.conftest import Desk
from csv_pipeline_tests.test_settings_of_accounts import Shop

EQUIPMENT = "Asset Tag,Status\nA1,Vermietet\nA2,vermietet\nA3,sold\n"


@pytest.fixture
def shop(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setattr(opening, "pipeline", lambda: desk.pipeline)
    return Shop(desk)


def suggested(shop: Shop, report: ImportReport) -> list[Any]:
    told = CliRunner().invoke(commands.app, ["suggest", str(report.import_id), "--json"])
    found: list[Any] = json.loads(told.stdout)["suggestions"]
    return found


def run(shop: Shop, command: str) -> None:
    shop.call(*shlex.split(command)[1:])


def replayed(shop: Shop, report: ImportReport) -> ImportReport:
    """Send the rejected rows back as they are."""
    out = shop.desk.folder / "rejects.csv"
    shop.call("rejects", str(report.import_id), "--out", str(out), "--overwrite")
    return shop.desk.bring(out.read_bytes(), report.feed)


@pytest.mark.parametrize(
    ("word", "stored"), [("Vermietet", "rented"), ("IN REPARATUR", "in_repair"), ("soldd", "sold")]
)
def test_a_word_is_suggested_and_its_command_lets_the_rejected_rows_in(
    shop: Shop, word: str, stored: str
) -> None:
    content = f"Tag,Mood\nA1,{word}\nA2,{word}\nA3,sold\n"
    report = shop.desk.bring(content, "moods")
    (one,) = suggested(shop, report)
    assert one["question"] == f"unknown mood {word!r} ×2: {stored}?"
    assert one["command"].endswith(f"--feed moods --map {shlex.quote(f'mood:{word}={stored}')}")
    run(shop, one["command"])
    assert replayed(shop, report).counts.inserted == 2
    assert suggested(shop, report) == []


def test_a_word_like_none_is_shown_with_what_there_is_and_no_command(shop: Shop) -> None:
    (one,) = suggested(shop, shop.desk.bring("Tag,Mood\nA1,blorp\nA2,sold\n", "moods"))
    assert one["command"] is None
    assert one["question"].startswith("unknown mood 'blorp' ×1: one of rented, sold")


def test_words_for_no_value_are_suggested_once_for_all_columns(shop: Shop) -> None:
    content = "ID,Name,Amount,Born\n1,Ann,k.A.,k.A.\n2,Bob,k.A.,2025-01-31\n3,Cid,12x,soon\n"
    report = shop.desk.bring(content)
    found = suggested(shop, report)
    assert [one["question"] for one in found] == ["amount 'k.A.' ×2: no value?"]
    run(shop, found[0]["command"])
    assert replayed(shop, report).counts.inserted == 2


def test_a_value_with_digits_that_comes_often_is_no_word_for_no_value(shop: Shop) -> None:
    content = "ID,Name,Amount\n1,Ann,12x\n2,Bob,12x\n3,Cid,5.00\n"
    assert suggested(shop, shop.desk.bring(content)) == []


def test_a_heading_like_a_missing_column_is_suggested_as_its_alias(shop: Shop) -> None:
    report = shop.desk.bring("ID,Name,Amounts\n1,Ann,5.00\n")
    (one,) = suggested(shop, report)
    assert one["question"] == "column 'Amounts' is not known: amount ('Amount')?"
    run(shop, one["command"])
    assert suggested(shop, report) == []
    shop.desk.bring("ID,Name,Amounts\n2,Bob,6.00\n")
    assert str(shop.desk.rows(columns="amount", order="person_id")[1].amount) == "6.00"


def test_the_commands_of_a_refusal_are_suggested_whole(shop: Shop) -> None:
    report = shop.desk.bring("ID,Born\n1,03/04/2025\n")
    found = suggested(shop, report)
    assert [one["command"].rpartition(" ")[2] for one in found] == ["day-first", "month-first"]
    assert "3 April 2025 by day first, 4 March 2025 by month first" in found[0]["question"]
    run(shop, found[0]["command"])
    assert shop.desk.bring("ID,Born\n1,03/04/2025\n\n").counts.inserted == 1


def test_a_column_that_no_name_is_like_is_asked_for_with_the_names_there_are(shop: Shop) -> None:
    report = shop.desk.bring("Artikel,Mood\nA1,sold\n", "moods")
    (one,) = suggested(shop, report)
    assert one["question"].startswith("no name is like 'Tag': is it 'Artikel'? Then csv-pipeline")
    run(shop, one["question"].partition("Then ")[2].replace("NAME", "Artikel"))
    assert suggested(shop, report) == []
    assert shop.desk.bring("Artikel,Mood\nA1,sold\n\n", "moods").counts.inserted == 1


def test_what_to_import_again_is_named_by_where_it_is(shop: Shop) -> None:
    report = shop.desk.bring("Artikel,Mood\nA1,sold\n", "moods", name="a b.csv")
    words = shlex.split(shop.call("suggest", str(report.import_id)).partition("Afterwards: ")[2])
    assert Path(words[2]).is_file()


def test_another_day_order_than_declared_is_suggested_if_it_reads_what_failed(shop: Shop) -> None:
    shop.declare("--date-order", "day-first")
    report = shop.desk.bring("ID,Born\n1,Mon 5/18/2026\n2,Tue 5/19/2026\n")
    found = [one for one in suggested(shop, report) if "day first" in one["question"]]
    assert found[0]["question"] == "born_on 'Mon 5/18/2026' ×2: month first, not day first?"
    assert found[0]["command"] == f"csv-pipeline account {shop.name} --date-order month-first"


def test_values_of_protected_columns_are_never_suggested(shop: Shop) -> None:
    report = shop.desk.bring(EQUIPMENT, "dme_equipment")
    assert report.counts.rejected == 2
    said = shop.call("suggest", str(report.import_id))
    assert "ermietet" not in said
    report = shop.desk.bring("ID,Secret\n1,hush\n2,hush\n3,4\n")
    assert "hush" not in shop.call("suggest", str(report.import_id))


def test_suggest_applies_nothing_and_says_how_to_go_on(shop: Shop) -> None:
    report = shop.desk.bring("ID,Name,Amount\n1,Ann,k.A.\n2,Bob,5.00\n")
    said = shop.call("suggest", str(report.import_id))
    assert "amount 'k.A.' ×1: no value?" in said
    assert f"rejects {report.import_id} --out FILE, then" in said
    assert suggested(shop, report)
    clean = shop.desk.bring("ID,Name\n9,Zoe\n")
    assert "Nothing to suggest" in shop.call("suggest", str(clean.import_id))
    empty = shop.desk.bring("")
    said = shop.call("suggest", str(empty.import_id))
    assert "a header was needed" in said
    assert f"dismiss {empty.import_id}" in said


def test_an_import_that_is_not_there_has_no_suggestions(shop: Shop) -> None:
    result = CliRunner().invoke(commands.app, ["suggest", "999999"])
    assert (result.exit_code, "no import of this id" in result.stderr) == (2, True)


def test_a_question_with_several_answers_is_asked_once(shop: Shop) -> None:
    report = shop.desk.bring("ID,Born\n1,03/04/2025\n")
    said = shop.call("suggest", str(report.import_id))
    assert said.count("could be either") == 1
    assert said.count("--date-order") == 2


# ---- each kind of reject: the command as it is printed, then the rows are stored


def printed(shop: Shop, report: ImportReport) -> list[str]:
    """Return the commands that `suggest` prints, as a person copies them."""
    said = shop.call("suggest", str(report.import_id))
    found = (line.strip().partition("csv-pipeline account") for line in said.splitlines())
    return [f"{account}{its}" for _, account, its in found if account and its]


@pytest.mark.parametrize(
    ("feed", "content", "option"),
    [
        ("moods", "Tag,Mood\nA1,Vermietet\nA2,sold\n", "--map"),
        ("moods", "Tag,Mood\nA1,EN\u00a0RÉPARATION\nA2,sold\n", "--map"),
        ("moods", "Tag,Mood\nA1,l'oué; $(rm)\nA2,sold\n", ""),
        ("moods", 'Tag,Mood\nA1,"so""ld`"\nA2,sold\n', "--map"),
        ("moods", "Tag,Mood\nA1,so\u200bld\nA2,sold\n", ""),
        ("people", "ID,Name,Amount\n1,Ann,n/k\n2,Bob,5.00\n", "--null-word"),
        ("people", "ID,Name,Amount\n1,Ann,k.A.\n2,Bob,5.00\n", "--null-word"),
        ("people", "ID,Name,Amount\n1,Ann,don't know\n2,Bob,don't know\n3,C,1\n", "--null-word"),
        ("people", "ID,Name,Amount\n1,Ann,-none-\n2,Bob,-none-\n3,C,1\n", "--null-word"),
        ("people", "ID,Name,Born\n1,Ann,tbd\n2,Bob,2025-01-31\n", "--null-word"),
        ("events", "Event,Open\n1,aktiv\n2,ja\n", "--map"),
        ("events", "Event,Open\n1,inactif\n2,ja\n", "--map"),
        (
            "bookings",
            "Booking,Currency\n"
            "6ba7b810-9dad-11d1-80b4-00c04fd430c8,Euronnen\n"
            "6ba7b811-9dad-11d1-80b4-00c04fd430c8,EUR\n",
            "--map",
        ),
    ],
)
def test_the_command_printed_for_a_reject_lets_its_rows_in(
    shop: Shop, feed: str, content: str, option: str
) -> None:
    report = shop.desk.bring(content, feed)
    assert report.counts.rejected
    commands = printed(shop, report)
    if not option:
        assert commands == []
        return
    (command,) = commands
    assert option in command
    run(shop, command)
    again = replayed(shop, report)
    assert (again.counts.inserted, again.counts.rejected) == (report.counts.rejected, 0)
    assert again.settings_version == 1
    assert printed(shop, report) == []


@pytest.mark.parametrize(
    ("declared", "content", "option"),
    [
        ("date_order", "ID,Name,Born\n1,Ann,Mon 5/18/2026\n2,Bob,Tue 5/19/2026\n", "month-first"),
        ("decimal_mark", 'ID,Name,Amount\n1,Ann,"1,234.50"\n2,Bob,"2,345.00"\n', "point"),
    ],
)
def test_the_other_style_that_reads_all_that_failed_lets_the_file_in(
    shop: Shop, declared: str, content: str, option: str
) -> None:
    value = {"date_order": "day-first", "decimal_mark": "comma"}[declared]
    shop.declare(f"--{declared.replace('_', '-')}", value)
    report = shop.desk.bring(content)
    (command,) = {one for one in printed(shop, report) if one.endswith(option)}
    run(shop, command)
    assert shop.desk.bring(content + "\n").counts.inserted == 2


@pytest.mark.parametrize(
    "content",
    [
        "Nummer der Person,Name,Amount\n1,Ann,5.00\n".replace("Nummer der Person", "I.D.s"),
        "ID,Nme,Amount\n1,Ann,5.00\n",
        'ID,Name,"Amo\'unts"\n1,Ann,5.00\n',
    ],
)
def test_the_command_printed_for_a_header_names_its_column(shop: Shop, content: str) -> None:
    report = shop.desk.bring(content)
    (command,) = printed(shop, report)
    assert "--alias" in command
    run(shop, command)
    shop.desk.bring(content + "\n")
    (row,) = shop.desk.rows(columns="person_id, name, amount::text")
    assert tuple(row) == ("1", "Ann", "5.00")


def test_a_currency_that_nothing_settles_is_settled_by_the_command_printed(shop: Shop) -> None:
    content = "ID,Name,Amount\n1,Ann,$5.00\n2,Bob,AUD 6.00\n"
    report = shop.desk.bring(content)
    command = next(one for one in printed(shop, report) if "--currency AUD" in one)
    run(shop, command)
    assert shop.desk.bring(content + "\n").counts.inserted == 2
