"""An account declares settings for a feed and for a header; each holds for these files only."""

import json
import re
import shlex
from importlib import import_module
from typing import Any

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from csv_pipeline.account import Account, DateOrder
from csv_pipeline.cli import commands, opening
from csv_pipeline.cli.terminal import command
from csv_pipeline.engine.accounts import declare
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.model import ImportReport, Outcome
from csv_pipeline.spec.header import header_fingerprint
from csv_pipeline.storage import accounts, imports
from csv_pipeline_tests.conftest import Desk

OPEN = "ID,Born\n1,03/04/2025\n"
BEFORE = """
CREATE TEMP TABLE before (
    account text, seller_id text, date_order text, decimal_mark text, encoding text, currency text,
    null_words text[], max_file_bytes bigint, max_compressed_bytes bigint
)
"""


class Shop:
    """An account, by the commands a person would call."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.name = desk, desk.account

    def call(self, *words: str) -> str:
        result = CliRunner().invoke(commands.app, list(words))
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.stderr
        return result.stdout

    def declare(self, *words: str) -> str:
        return self.call("account", self.name, *words)

    def settle(self, report: ImportReport, option: str) -> None:
        """Run the command of a refusal that has this option, as it is written there."""
        _, *told = str(report.problem).split("csv-pipeline ")
        (line,) = {re.split(" or |, or", one)[0] for one in told if option in one}
        self.call(*shlex.split(line))

    def refuses(self, message: str, *words: str) -> None:
        result = CliRunner().invoke(commands.app, ["account", self.name, *words])
        assert (result.exit_code, message in result.stderr) == (2, True), result.stderr


@pytest.fixture
def shop(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setattr(opening, "pipeline", lambda: desk.pipeline)
    return Shop(desk)


def evidence(report: ImportReport, subject: str) -> str:
    (found,) = (one for one in report.evidence if one.subject == subject)
    return f"{found.decision}: {found.because}"


# ---- for which files a setting holds


def test_a_setting_for_a_feed_goes_before_that_for_the_account(shop: Shop) -> None:
    shop.declare("--date-order", "month-first")
    shop.declare("--feed", "people", "--date-order", "day-first")
    report = shop.desk.bring(OPEN)
    assert str(shop.desk.rows(columns="born_on")[0].born_on) == "2025-04-03"
    assert evidence(report, "date order of Born") == (
        "day first: the account declares it for this feed"
    )
    shop.desk.bring("Payer,Amount,Paid\nAnn,1.50,03/04/2025\n", "payments")
    assert str(shop.desk.rows("payments", "paid_on")[0].paid_on) == "2025-03-04"


def test_a_setting_for_another_feed_holds_for_none_of_this(shop: Shop) -> None:
    shop.declare("--feed", "payments", "--date-order", "day-first")
    assert shop.desk.bring(OPEN).problem_code == "undecidable"


@pytest.mark.parametrize(
    ("content", "option", "stored"),
    [
        ("ID,Born\n1,03/04/2025\n", "--date-order day-first", "2025-04-03"),
        ("ID,Born\n1,03/04/2025\n", "--date-order month-first", "2025-03-04"),
        ("ID,Name,Amount\n1,Ann,1.234\n", "--decimal-mark comma", "1234.00"),
        ("ID,Name,Amount\n1,Ann,$5.00\n2,Bob,AUD 6.00\n", "--currency AUD", "5.00"),
        ("Id No,Name,Amount\n1,Ann,5.00\n", "--alias 'Id No=person_id'", "5.00"),
        ("ID:Name\n1:x,Ann\n2:y,Bob\n", "--delimiter colon", "x,Ann"),
    ],
)
def test_the_command_of_a_refusal_settles_it_and_the_next_file_is_read_as_last_time(
    shop: Shop, content: str, option: str, stored: str
) -> None:
    refused = shop.desk.bring(content)
    assert refused.outcome is Outcome.REFUSED
    shop.settle(refused, option)
    column = "born_on" if "Born" in content else "amount" if "Amount" in content else "name"
    for version in (1, 2):  # the file again, and one more with its header
        report = shop.desk.bring(content + "\n" * version)
        assert (report.outcome, report.settings_version) == (Outcome.IMPORTED, 1)
        assert str(getattr(shop.desk.rows(columns=column)[0], column)) == stored
    told = {one.because for one in report.evidence}
    if "currency" not in option:
        assert any("as settled for files with this header on 20" in one for one in told)


def test_times_without_a_zone_are_refused_each_way_and_settled_once(shop: Shop) -> None:
    content = "Carries,At\n1,2026-07-01 12:00\n"
    refused = shop.desk.bring(content, "messages")
    assert "10:00 UTC by Europe/Berlin, 12:00 UTC by UTC" in str(refused.problem)
    shop.settle(refused, "--time-zone Europe/Berlin")
    report = shop.desk.bring(content + "\n", "messages")
    assert (report.outcome, report.counts.inserted) == (Outcome.IMPORTED, 1)
    assert "as settled for files with this header" in evidence(report, "time zone of At")


def test_a_different_header_asks_again(shop: Shop) -> None:
    shop.settle(shop.desk.bring(OPEN), "day-first")
    again = shop.desk.bring("ID,Name,Born\n2,Bob,03/04/2025\n")
    assert again.problem_code == "undecidable"
    same = shop.desk.bring("id;BORN\n2;03/04/2025\n")  # case and delimiter are no other header
    assert same.outcome is Outcome.IMPORTED


def test_a_file_that_disproves_what_was_settled_for_its_header_names_both(shop: Shop) -> None:
    shop.settle(shop.desk.bring(OPEN), "day-first")
    problem = str(shop.desk.bring("ID,Born\n1,12/25/2025\n").problem)
    assert "needs the date order day first, as account" in problem
    assert "'12/25/2025' in row 2 can only be month first" in problem
    assert f"--feed people --header {header_fingerprint(('ID', 'Born'), 'people')}" in problem


def test_an_open_decision_shows_the_value_each_way(shop: Shop) -> None:
    said = str(shop.desk.bring(OPEN).problem)
    assert "'03/04/2025' in row 2 could be either: 3 April 2025 by day first, 4 March 2025" in said
    said = str(shop.desk.bring("ID,Amount\n1,1.234\n").problem)
    assert "'1.234' in row 2 could be either: 1.234 by point, 1234 by comma" in said


def test_an_open_decision_of_a_protected_column_shows_no_value(shop: Shop) -> None:
    content = "Asset Tag,Status,Purchased On\nA1,rented,03/04/1985\n"
    problem = str(shop.desk.bring(content, "dme_equipment").problem)
    assert "the value in row 2 could be either; to settle it: csv-pipeline" in problem
    assert not [word for word in ("04/1985", "April", "March") if word in problem]


def test_columns_that_prove_both_orders_are_told_no_command_that_would_not_help(shop: Shop) -> None:
    content = "Shift,Day,Hired,Logged\n1,25/12/2025,12/25/2025,03/04/2025\n"
    problem = str(shop.desk.bring(content, "shifts").problem)
    assert "other columns of the file prove both" in problem
    assert "csv-pipeline account" not in problem


# ---- how files are written


def test_a_declared_delimiter_is_evidence(shop: Shop) -> None:
    shop.declare("--feed", "people", "--delimiter", "semicolon")
    report = shop.desk.bring("ID;Name\n1;Ann, Bob\n")
    assert evidence(report, "delimiter").startswith("semicolon: the account declares it for this")


def test_a_file_by_another_delimiter_than_declared_is_refused_and_both_are_named(
    shop: Shop,
) -> None:
    shop.declare("--delimiter", ";")
    report = shop.desk.bring("ID,Name\n1,Ann\n")
    assert report.problem_code == "contradiction"
    assert "by the delimiter semicolon were needed, as account" in str(report.problem)
    assert "2 names of the feed by the comma" in str(report.problem)
    assert f"csv-pipeline account {shop.name} --forget delimiter" in str(report.problem)


def test_a_column_without_any_delimiter_contradicts_none(shop: Shop) -> None:
    shop.declare("--delimiter", "semicolon")
    assert shop.desk.bring("ID\n1\n2\n").counts.inserted == 2


def test_corrected_rows_may_come_by_another_delimiter_than_declared(shop: Shop) -> None:
    shop.declare("--feed", "people", "--delimiter", "semicolon")
    first = shop.desk.bring("ID;Name;Amount\n1;Ann;abc\n2;Bob;5.00\n")
    fixed = f"_import_id,_row_number,_errors,ID,Name,Amount\n{first.import_id},2,,1,Ann,7.00\n"
    assert shop.desk.bring(fixed).counts.inserted == 1


# ---- names and words


def test_an_alias_names_a_column_and_is_evidence(shop: Shop) -> None:
    shop.declare("--feed", "people", "--alias", "Kunde Nr.=person_id", "--alias", "Geb=born_on")
    report = shop.desk.bring("kunde nr,GEB\n7,2025-01-31\n")
    assert [row.person_id for row in shop.desk.rows()] == ["7"]
    assert evidence(report, "column 'Kunde Nr.'").startswith("person_id: the account declares")
    assert report.drift.added == ()


def test_an_alias_of_cells_in_extra_names_the_command_that_reads_them(shop: Shop) -> None:
    shop.desk.bring("ID,Name,Geb.,Ort\n1,Ann,1990-02-01,Ulm\n2,Bob,,Ulm\n3,Cid,1991-02-01,\n")
    told = CliRunner().invoke(
        commands.app, ["account", shop.name, "--feed", "people", "--alias", "GEB=born_on"]
    )
    (said,) = " ".join(told.stderr.split()).split("csv-pipeline ")[1:]
    assert "2 stored rows have 'GEB' in _extra" in " ".join(told.stderr.split())
    shop.call(*shlex.split(said))
    rows = shop.desk.rows("people", "born_on::text AS day", "person_id")
    assert [row.day for row in rows] == ["1990-02-01", None, "1991-02-01"]


def test_an_alias_of_one_account_names_nothing_for_another(
    shop: Shop, pipeline: Pipeline, tmp_path: Any
) -> None:
    shop.declare("--feed", "people", "--alias", "Kunde=person_id")
    other = Desk(pipeline, f"{shop.name}-b", tmp_path)
    assert other.bring("Kunde,Name\n7,Ann\n").problem_code == "missing_column"


def test_a_column_and_its_alias_in_one_file_that_differ_contest_the_row(shop: Shop) -> None:
    shop.declare("--feed", "people", "--alias", "Nr=person_id")
    report = shop.desk.bring("ID,Nr,Name\n1,1,Ann\n2,3,Bob\n")
    assert [one.rule for one in shop.desk.rejects(report)] == ["person_id.contested"]


def test_a_date_and_its_time_may_have_an_alias_in_common(shop: Shop) -> None:
    for column in ("logged_on", "logged_time"):
        shop.declare("--feed", "shifts", "--alias", f"Protokoll={column}")
    shop.desk.bring("Shift,Protokoll\nA,2025-01-31 10:11\n", "shifts")
    (row,) = shop.desk.rows("shifts")
    assert (str(row.logged_on), str(row.logged_time)) == ("2025-01-31", "10:11:00")


def test_a_map_stores_what_a_word_means_and_other_words_stay_rejects(shop: Shop) -> None:
    shop.declare("--feed", "dme_equipment", "--map", "status:Vermietet=rented")
    report = shop.desk.bring("Asset Tag,Status\nA1,VERMIETET\nA2,weg\nA3,sold\n", "dme_equipment")
    (reject,) = shop.desk.rejects(report)
    assert (reject.rule, reject.row_number) == ("status.choice", 3)
    stored = shop.desk.rows("dme_equipment", "asset_tag, status")
    assert [tuple(row) for row in stored] == [("A1", "rented"), ("A3", "sold")]
    assert evidence(report, "words of Status").startswith("1 more: the account declares it")


def test_null_words_are_added_and_one_can_be_dropped(shop: Shop) -> None:
    shop.declare("--null-word", "?")
    shop.declare("--feed", "people", "--null-word", "k.A.")
    assert shop.desk.bring("ID,Amount\n1,?\n2,k.a.\n").counts.inserted == 2
    shop.declare("--forget", "null-word:?")
    report = shop.desk.bring("ID,Amount\n3,?\n4,k.a.\n")
    assert (report.counts.inserted, report.counts.rejected) == (1, 1)


def test_a_threshold_of_the_account_refuses_its_files_and_is_named(shop: Shop) -> None:
    shop.declare("--feed", "people", "--max-rejected-rows", "0")
    report = shop.desk.bring("ID,Amount\n1,abc\n2,5.00\n")
    assert report.problem_code == "threshold"
    assert f"csv-pipeline account {shop.name} --feed people --forget max-rejected-rows" in str(
        report.problem
    )
    shop.declare("--feed", "limited", "--max-rejected-rows", "10", "--max-rejected-share", "1")
    rows = "".join(f"K{n},v,abc\n" for n in range(8)) + "".join(f"L{n},v,1\n" for n in range(20))
    assert shop.desk.bring(f"Key,Value,Version\n{rows}", "limited").counts.rejected == 8


# ---- what is refused when it is declared


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--alias Nr=person_id", "a feed was needed (--feed)"),
        ("--feed people --alias Nr=person", "found 'person' (did you mean 'person_id'?)"),
        ("--feed people --alias Name=person_id", "'Name' names 'name'"),
        (
            "--feed people --alias Nr=person_id --alias 'Name=Kunde Nr.'",
            "found them the other way round: csv-pipeline account {shop} --feed people "
            "--alias Nr=person_id --alias 'Kunde Nr.=name'",
        ),
        ("--feed people --alias person_id", "a name and its column, 'Artikel Nr=sku', was needed"),
        ("--feed people --map nam:A=B", "found 'nam' (did you mean 'name'?)"),
        ("--feed ebay_orders --map order_status:Weg=shiped", "(did you mean 'shipped'?)"),
        ("--feed ebay_orders --map order_status:shipped=pending", "a word that the feed does not"),
        ("--feed ebay_orders --map order_status", "'order_status:Versendet=shipped' was needed"),
        ("--feed peple --date-order day-first", "no feed has this name"),
        ("--header abc --date-order day-first", "a feed was needed (--feed) for a header"),
        ("--feed people --header abc --date-order day-first", "fingerprint of a header was needed"),
        ("--feed people --header 0123456789ab --encoding cp1252", "found encoding"),
        ("--time-zone Europe/Berln", "(did you mean 'Europe/Berlin'?)"),
        ("--delimiter words", "a delimiter was needed"),
        ("--null-word ' '", "found a blank one"),
        ("--feed people --alias A=name --alias a=amount", "found 'A=name' and 'a=amount'"),
        (
            "--feed ebay_orders --map order_status:X=shipped --map order_status:x=pending",
            "found 'order_status:X=SHIPPED' and 'order_status:x=PENDING'",
        ),
        ("--delimiter comma --delimiter=tab", "--delimiter: one value was needed; found"),
        ("-f people --feed orders --currency USD", "--feed: one value was needed; found"),
    ],
)
def test_what_is_wrong_is_not_declared_and_the_nearest_right_word_is_named(
    shop: Shop, words: str, said: str
) -> None:
    shop.refuses(said.replace("{shop}", shop.name), *shlex.split(words))
    assert accounts_of(shop.desk.pipeline, shop.name) == []


def test_what_is_said_twice_is_declared_once(shop: Shop) -> None:
    shop.declare("--feed", "people", "--alias", "A=name", "--alias", "a=name", "--currency", "USD")
    shop.declare("--currency", "USD", "--currency=USD")
    shop.declare("--feed", "shifts", "--alias", "A=logged_on", "--alias", "A=logged_time")


@pytest.mark.parametrize(
    ("forget", "said"),
    [
        ("date-ordr", "(did you mean 'date-order'?)"),
        ("alias:Artikel", "(did you mean 'artikel nr'?)"),
        ("map:order_status:weg", "a declared map was needed"),
    ],
)
def test_what_is_not_declared_cannot_be_forgotten(shop: Shop, forget: str, said: str) -> None:
    shop.declare("--feed", "people", "--alias", "Artikel Nr=person_id")
    shop.refuses(said, "--feed", "people", "--forget", forget)


def accounts_of(pipeline: Pipeline, name: str) -> list[Any]:
    with pipeline.database.begin() as connection:
        return list(accounts.history(connection, name))


# ---- versions


def test_each_change_is_a_version_and_an_import_keeps_the_one_it_used(shop: Shop) -> None:
    assert shop.desk.bring("ID,Name\n1,Ann\n").settings_version == 0
    shop.declare("--date-order", "day-first")
    shop.declare("--feed", "people", "--date-order", "month-first")
    shop.declare("--feed", "people", "--date-order", "month-first")  # changes nothing
    report = shop.desk.bring(OPEN)
    assert report.settings_version == 2
    shop.declare("--feed", "people", "--forget", "date-order")
    versions = [(one.version, one.facts.feed) for one in accounts_of(shop.desk.pipeline, shop.name)]
    assert versions == [(3, "people"), (2, "people"), (1, "")]
    with shop.desk.pipeline.database.begin() as connection:
        assert imports.report_of(connection, report.import_id).settings_version == 2
        then = accounts.declared(connection, shop.name, "people", 2).of()
        now = accounts.declared(connection, shop.name, "people").of()
    assert (then.date_order, now.date_order) == (DateOrder.MONTH_FIRST, DateOrder.DAY_FIRST)


def test_corrected_rows_are_read_as_their_file_was_and_by_the_words_known_since(shop: Shop) -> None:
    shop.declare("--feed", "people", "--date-order", "day-first")
    first = shop.desk.bring("ID,Born,Amount\n1,03/04/2025,n/k\n")
    shop.declare("--feed", "people", "--date-order", "month-first", "--null-word", "n/k")
    back = f"_import_id,_row_number,ID,Born,Amount\n{first.import_id},2,1,03/04/2025,n/k\n"
    assert shop.desk.bring(back).counts.inserted == 1
    assert str(shop.desk.rows(columns="born_on")[0].born_on) == "2025-04-03"


def test_a_refused_file_that_is_tried_again_is_read_by_the_settings_of_today(shop: Shop) -> None:
    path = shop.desk.folder / "open.csv"
    path.write_text(OPEN)
    lane = ("-a", shop.name, "-f", "people")
    assert CliRunner().invoke(commands.app, ["import", str(path), *lane]).exit_code == 1
    shop.declare("--date-order", "day-first")
    said = shop.call("import", str(path), *lane)
    assert ": imported (import" in said
    assert f"Settings: version 1, see {command()} account {shop.name} --history" in said
    assert "imported, settings 1" in shop.call("imports", "-a", shop.name)


def test_two_accounts_at_once_have_versions_of_their_own(desk: Desk) -> None:
    for name in (desk.account, f"{desk.account}-b"):
        declare(desk.pipeline, Account(account=name), {"seller_id": "s"})
        (one,) = accounts_of(desk.pipeline, name)
        assert one.version == 1


def test_account_shows_what_holds_for_a_feed_with_its_source(shop: Shop) -> None:
    shop.declare("--date-order", "day-first", "--encoding", "cp1252")
    shop.declare("--feed", "people", "--date-order", "month-first", "--alias", "Nr=person_id")
    told = CliRunner().invoke(commands.app, ["account", shop.name, "-f", "people", "--json"])
    settings = {one["name"]: one for one in json.loads(told.stdout)["settings"]}
    assert settings["date_order"]["value"] == "month first"
    assert (settings["date_order"]["feed"], settings["date_order"]["version"]) == ("people", 2)
    assert settings["encoding"]["feed"] is None
    assert settings["aliases"]["value"] == [["Nr", "person_id"]]
    said = shop.declare("--history")
    assert "date order day first; encoding cp1252" in said
    assert "feed people" in said


def test_what_was_declared_before_settings_had_versions_is_the_first_of_them(
    pipeline: Pipeline, account: str
) -> None:
    migration = import_module("csv_pipeline.storage.migrations.versions.0019_declarations")
    statement = migration.FIRST_VERSIONS
    with pipeline.database.engine.connect() as connection:
        connection.execute(sa.text(BEFORE))
        accounts.add(connection, account)
        connection.execute(
            sa.text("INSERT INTO before VALUES (:a, 'ann', 'day first', NULL, NULL, NULL, '{?}')"),
            {"a": account},
        )
        connection.execute(sa.text(statement.replace("csv_pipeline.account\n", "before\n")))
        found = accounts.named(connection, account)
        connection.rollback()
    assert (found.seller_id, found.date_order, found.null_words) == ("ann", "day first", ("?",))
