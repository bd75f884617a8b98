"""A person sets each setting, imports, sees it on the import, changes it, and takes it back."""

import gzip
import shlex
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from csv_pipeline.account import Account, Declaration
from csv_pipeline.cli import opening
from csv_pipeline.engine.accounts import Decided, declare
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.model import ImportReport, Outcome
from csv_pipeline_tests.conftest import Desk
from csv_pipeline_tests.test_ebay_orders import HEADER, ROW, footer
from csv_pipeline_tests.test_settings_of_accounts import Shop, accounts_of, evidence


@pytest.fixture
def shop(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setattr(opening, "pipeline", lambda: desk.pipeline)
    return Shop(desk)


def became(report: ImportReport) -> str:
    if report.outcome is Outcome.REFUSED:
        return f"refused: {report.problem_code}"
    rejected = report.counts.rejected
    return f"{report.outcome}, {rejected} rejected" if rejected else str(report.outcome)


@dataclass(frozen=True, kw_only=True)
class Walk:
    """A file, two values of a setting, and what becomes of the file with none and with each."""

    file: str | bytes
    values: tuple[str, str]
    outcomes: tuple[str, str, str]
    feed: str = "people"


PEOPLE = "ID,Name,Amount\n1,Ann,5.00\n2,Bob,abc\n3,Cid,7.00\n"
WALKS = {
    Declaration.DATE_ORDER: Walk(
        file="ID,Born\n1,03/04/2025\n",
        values=("day-first", "month-first"),
        outcomes=("refused: undecidable", "imported", "imported"),
    ),
    Declaration.DECIMAL_MARK: Walk(
        file="ID,Name,Amount\n1,Ann,1.234\n",
        values=("comma", "point"),
        outcomes=("refused: undecidable", "imported", "imported, 1 rejected"),
    ),
    Declaration.TIME_ZONE: Walk(
        file="Carries,At\n1,2026-07-01 12:00\n",
        values=("Europe/Berlin", "UTC"),
        outcomes=("refused: undecidable", "imported", "imported"),
        feed="messages",
    ),
    Declaration.CURRENCY: Walk(
        file="ID,Name,Amount\n1,Ann,$5.00\n2,Bob,AUD 6.00\n",
        values=("AUD", "USD"),
        outcomes=("refused: mixed_currencies", "imported", "refused: mixed_currencies"),
    ),
    Declaration.ENCODING: Walk(
        file="ID,Name\n1,\x85\n".encode("latin-1"),
        values=("utf-8", "cp1252"),
        outcomes=("imported", "refused: contradiction", "imported"),
    ),
    Declaration.DELIMITER: Walk(
        file="ID:Name\n1:x,Ann\n2:y,Bob\n",
        values=("colon", "semicolon"),
        outcomes=("refused: undecidable", "imported", "refused: contradiction"),
    ),
    Declaration.NULL_WORDS: Walk(
        file="ID,Name,Amount\n1,Ann,k.A.\n2,Bob,gratis\n",
        values=("k.A.", "gratis"),
        outcomes=("imported, 2 rejected", "imported, 1 rejected", "imported"),
    ),
    Declaration.ALIASES: Walk(
        file="Kunde,Betrag,Name\n1,abc,Ann\n",
        values=("Kunde=person_id", "Betrag=amount"),
        outcomes=("refused: missing_column", "imported", "imported, 1 rejected"),
    ),
    Declaration.MAPS: Walk(
        file="Tag,Mood\nA1,weg\nA2,da\nA3,sold\n",
        values=("mood:weg=rented", "mood:da=in_repair"),
        outcomes=("imported, 2 rejected", "imported, 1 rejected", "imported"),
        feed="moods",
    ),
    Declaration.SELLER_ID: Walk(
        file=f"{HEADER}\n{ROW}\n{footer(1)}",
        values=("another", "shop"),
        outcomes=("imported", "refused: contradiction", "imported"),
        feed="ebay_orders",
    ),
    Declaration.MAX_FILE_BYTES: Walk(
        file=PEOPLE, values=("20", "200"), outcomes=("imported, 1 rejected", "refused: limit", "")
    ),
    Declaration.MAX_COMPRESSED_BYTES: Walk(
        file=gzip.compress(PEOPLE.encode()),
        values=("20", "200"),
        outcomes=("imported, 1 rejected", "refused: limit", ""),
    ),
    Declaration.MAX_COLUMNS: Walk(
        file=PEOPLE, values=("2", "3"), outcomes=("imported, 1 rejected", "refused: limit", "")
    ),
    Declaration.MAX_RECORDS: Walk(
        file=PEOPLE, values=("2", "3"), outcomes=("imported, 1 rejected", "refused: limit", "")
    ),
    Declaration.MAX_REJECTED_ROWS: Walk(
        file=PEOPLE, values=("0", "1"), outcomes=("imported, 1 rejected", "refused: threshold", "")
    ),
    Declaration.MAX_REJECTED_SHARE: Walk(
        file=PEOPLE + "".join(f"{n},Dee,1.00\n" for n in range(10, 40)),
        values=("0.01", "0.1"),
        outcomes=("imported, 1 rejected", "refused: threshold", ""),
    ),
    Declaration.EXPECTED_EVERY: Walk(
        file=PEOPLE, values=("24h", "7d"), outcomes=("imported, 1 rejected",) * 3
    ),
}
ONE_OF = {
    Declaration.NULL_WORDS: "--null-word",
    Declaration.ALIASES: "--alias",
    Declaration.MAPS: "--map",
}
BY_TURNS = {Declaration.PRIORITY, Declaration.IMPORT_AT}
BY_SNAPSHOTS = {Declaration.MAX_MISSING_ROWS, Declaration.MAX_MISSING_SHARE}


def again(file: str | bytes, times: int) -> bytes:
    """Return the same rows as other bytes, so that no file is a duplicate."""
    if isinstance(file, bytes) and file[:2] == b"\x1f\x8b":
        return gzip.compress(gzip.decompress(file) + b"\n" * times)
    content = file if isinstance(file, bytes) else file.encode()
    return content + b"\n" * times


@pytest.mark.parametrize("which", WALKS)
def test_a_setting_is_declared_used_shown_changed_and_taken_back(
    shop: Shop, which: Declaration
) -> None:
    walk, option = WALKS[which], f"--{which.value}"
    option = ONE_OF.get(which, option)
    plain, first, second = walk.outcomes
    steps = [(None, plain), (walk.values[0], first), (walk.values[1], second or plain)]
    for version, (value, outcome) in enumerate((*steps, ("", plain))):
        if value:
            words = ["--feed", walk.feed, option, value]
            if which is Declaration.TIME_ZONE and version == 2:  # rows without a key have moments
                shop.refuses("rows are known by it", *words)
                words.append("--accept-reading")
            shown = shop.declare(*words)
            word = value.partition("=")[0].rpartition(":")[2]
            assert word in shown or word.replace("-", " ") in shown
        elif value == "":
            shown = shop.declare("--feed", walk.feed, "--forget", which.value)
            assert "the files decide" in shown
        report = shop.desk.bring(again(walk.file, version), walk.feed)
        assert (became(report), report.settings_version) == (outcome, version), report.problem
        if value:
            assert f"settings {version}" in shop.call("imports", "-a", shop.name)
        if value and which.value.startswith("max") and outcome.startswith("refused"):
            taken_back = f"csv-pipeline account {shop.name} --feed {walk.feed} --forget {which}"
            assert taken_back in str(report.problem)
    assert len(accounts_of(shop.desk.pipeline, shop.name)) == 3
    assert "none" in shop.declare("--history")  # the newest of all


def test_each_setting_has_a_walk() -> None:
    assert {*WALKS} | BY_SNAPSHOTS | BY_TURNS == {*Declaration}


# ---- thresholds of snapshots


def stock_of(units: int) -> str:
    return "SKU,Warehouse,Units\n" + "".join(f"S{n},W,1\n" for n in range(units))


@pytest.mark.parametrize(
    ("option", "strict", "loose"),
    [("--max-missing-rows", "3", "10"), ("--max-missing-share", "0.05", "0.5")],
)
def test_how_many_rows_a_snapshot_may_lack_can_be_declared_and_taken_back(
    shop: Shop, option: str, strict: str, loose: str
) -> None:
    lane = ("--feed", "stock_bounded")
    shop.desk.bring(stock_of(40), "stock_bounded")
    shop.declare(*lane, option, strict)
    refused = shop.desk.bring(stock_of(35), "stock_bounded")
    assert (refused.problem_code, refused.settings_version) == ("too_many_missing", 1)
    assert f"csv-pipeline account {shop.name} --feed stock_bounded --forget {option[2:]}" in str(
        refused.problem
    )
    shop.declare(*lane, option, loose)
    assert shop.desk.bring(stock_of(34), "stock_bounded").counts.missing == 6
    shop.declare(*lane, "--forget", option[2:])
    assert shop.desk.bring(stock_of(20), "stock_bounded").problem_code == "too_many_missing"


def test_a_threshold_of_snapshots_is_for_feeds_that_have_them(shop: Shop) -> None:
    for feed in ("people", "stock_listed"):  # the second keeps the rows that a file lacks
        shop.refuses("a snapshot that flags or deletes", "-f", feed, "--max-missing-rows", "1")
    shop.declare("--max-missing-rows", "1")  # of all feeds: of those that have any
    assert shop.desk.bring("ID,Name\n1,Ann\n").counts.inserted == 1


# ---- maps of words in columns that accept any


def test_a_word_of_a_text_is_stored_as_another_and_others_as_they_are(shop: Shop) -> None:
    shop.declare("--feed", "people", "--map", "name:N. N.=unknown", "--map", "name:ann=Anna")
    report = shop.desk.bring("ID,Name\n1,n. n.\n2,ANN\n3,Anne\n")
    assert [row.name for row in shop.desk.rows(columns="name", order="person_id")] == [
        "unknown",
        "Anna",
        "Anne",
    ]
    assert evidence(report, "words of Name").startswith("2 more: the account declares it")


def test_a_mapped_word_of_a_key_is_the_row_of_the_other(shop: Shop) -> None:
    shop.declare("--feed", "parts", "--map", "number:old-7=7")
    report = shop.desk.bring("Number,Name\nOLD-7,a\n000007,b\n", "parts")
    assert (report.counts.inserted, report.counts.superseded) == (1, 1)
    assert [row.number for row in shop.desk.rows("parts", "number")] == ["000007"]


def test_a_changed_map_changes_stored_rows_that_come_again(shop: Shop) -> None:
    shop.desk.bring("ID,Name\n1,Ann\n2,Bob\n")
    shop.declare("--feed", "people", "--map", "name:Ann=Anna")
    assert shop.desk.bring("ID,Name\n1,Ann\n2,Bob\n\n").counts.updated == 1


def test_words_of_flags_currencies_and_signs_can_be_mapped(shop: Shop) -> None:
    shop.declare("--feed", "events", "--map", "listed:aktiv=on", "--map", "open:offen=true")
    report = shop.desk.bring("Event,Open,Listed\n1,offen,Aktiv\n2,ja,off\n", "events")
    assert report.counts.inserted == 2
    rows = shop.desk.rows("events", "open, listed", "event")
    assert [tuple(row) for row in rows] == [(True, True), (True, False)]
    one = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
    shop.declare("--feed", "bookings", "--map", "currency:Lei=RON", "--map", "side:avoir=H")
    report = shop.desk.bring(f"Booking,Amount,Side,Currency\n{one},5.00,Avoir,lei\n", "bookings")
    assert report.counts.inserted == 1, shop.desk.rejects(report)
    (row,) = shop.desk.rows("bookings", "amount, side, currency")
    assert (str(row.amount), row.side, row.currency) == ("5.00", "H", "RON")


@pytest.mark.parametrize(
    ("feed", "told", "said"),
    [
        ("people", "amount:nix=0", "a column of words of feed 'people' of person_id, name, secret"),
        ("people", "secret:kein=x", "column 'secret' needs text like"),
        ("people", "name:A=", "'order_status:Versendet=shipped' was needed"),
        ("shifts", "note:A=(blank)", "column 'note' needs a text that is a value"),
        ("bookings", "currency:Lei=RONN", "a word that column 'currency' accepts"),
        ("bookings", "currency:USD=EUR", "it stores 'USD' for 'USD'"),
        ("events", "open:offen=maybe", "a word that column 'open' accepts"),
        ("events", "open:no=yes", "it stores 'false' for 'no'"),
        ("prices", "region:A=B", "a column of words of feed 'prices' of sku was needed"),
    ],
)
def test_a_map_to_what_the_column_does_not_store_is_an_error(
    shop: Shop, feed: str, told: str, said: str
) -> None:
    shop.refuses(said, "--feed", feed, "--map", told)


# ---- the delimiter of files without a header


def test_a_delimiter_of_the_account_goes_before_that_of_a_feed_without_headers(shop: Shop) -> None:
    shop.declare("--feed", "entries", "--delimiter", "tab")
    report = shop.desk.bring("a\tx;y\t1.00\nb\tz\t2.00\n", "entries")
    assert [row.note for row in shop.desk.rows("entries", "note", "code")] == ["x;y", "z"]
    assert evidence(report, "delimiter") == "tab: the account declares it for this feed"


def test_a_file_by_the_delimiter_of_its_feed_disproves_that_of_the_account(shop: Shop) -> None:
    shop.declare("--delimiter", "comma")
    problem = str(shop.desk.bring("a;x,y;1.00\nb;z;2.00\nc,d,1.00\n", "entries").problem)
    assert "records by the delimiter comma were needed, as account" in problem
    assert "2 of the first 3 lines have 3 fields by the semicolon" in problem
    shop.settle(shop.desk.bring("a;x,y;1.00\nb;z;2.00\n", "entries"), "--delimiter semicolon")
    assert shop.desk.bring("a;x,y;1.00\nb;z;2.00\n\n", "entries").counts.inserted == 2


def test_a_file_by_neither_delimiter_names_both_and_the_way_back(shop: Shop) -> None:
    shop.declare("--feed", "entries", "--delimiter", "tab")
    problem = str(shop.desk.bring("a|x|1.00\nb|z|2.00\n", "entries").problem)
    assert "parted by tab and without quotes, as account" in problem
    assert "by the file's own evidence they have 3 by pipe" in problem
    assert f"csv-pipeline account {shop.name} --feed entries --forget delimiter" in problem


def test_rejected_rows_of_a_feed_without_headers_come_back_whatever_the_delimiter(
    shop: Shop,
) -> None:
    shop.declare("--feed", "entries", "--delimiter", "tab")
    first = shop.desk.bring("a\tx\tabc\nb\tz\t2.00\n", "entries")
    out = shop.desk.folder / "rejects.csv"
    shop.call("rejects", str(first.import_id), "--out", str(out))
    fixed = out.read_text("utf-8-sig").replace("abc", "7.00")
    assert shop.desk.bring(fixed, "entries").counts.inserted == 1


# ---- hostile values, and people at the same time


@pytest.mark.parametrize(
    "word",
    ["it's", 'a "b"', "$(id)", "a;b", "a|b", ".*", "[x", "\\d+", "ß", "x" * 3_000, "a:b", "a=b"],
)
def test_a_word_of_any_signs_is_mapped_shown_and_forgotten(shop: Shop, word: str) -> None:
    shop.declare("--feed", "people", "--map", f"name:{word}=Ann")
    quoted = word.replace('"', '""')
    shop.desk.bring(f'ID,Name\n1,"{quoted}"\n2,xx\n')
    names = [row.name for row in shop.desk.rows(columns="name", order="person_id")]
    assert names == ["Ann", "xx"]
    assert "the files decide" in shop.declare("--feed", "people", "--forget", f"map:name:{word}")


@pytest.mark.parametrize("word", ["a\nb", "a\tb", "\x1b[31mred"])
def test_a_word_with_signs_that_steer_a_terminal_is_shown_without_them(
    shop: Shop, word: str
) -> None:
    shown = shop.declare("--null-word", word)
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--encoding utf8x", "an encoding that Python knows"),
        ("--encoding rot13", "an encoding that Python knows"),
        ("--encoding hex", "an encoding that Python knows"),
        ("--currency US", "a currency by its code"),
        ("--currency dollars", "a currency by its code"),
        ("--time-zone ../../etc/passwd", "a time zone by its name"),
        ("--delimiter '\"'", "a delimiter was needed"),
        ("--expected-every 0h", "hours or days between files"),
        ("--import-at hourly", "a cron expression of five fields"),
        ("--import-at '0 0 31 2 *'", "a cron expression of five fields"),
        ("--expected-every weekly", "hours or days between files"),
        ("--feed people --alias '=person_id'", "a name and its column"),
        ("--feed people --alias '...=person_id'", "a name and its column"),
        ("--feed people --map ':x=y'", "was needed"),
        ("--feed peopel --max-columns 3", "(did you mean 'people'?)"),
        ("--forget max-column", "(did you mean 'max-columns'?)"),
    ],
)
def test_what_is_none_is_refused_with_the_nearest_right_word(
    shop: Shop, words: str, said: str
) -> None:
    shop.declare("--seller-id", "x")
    shop.refuses(said, *shlex.split(words))
    assert len(accounts_of(shop.desk.pipeline, shop.name)) == 1


def test_settings_of_two_people_at_once_are_both_kept(shop: Shop) -> None:
    def add(number: int) -> None:
        scope = Account(account=shop.name, feed="people")
        declare(
            shop.desk.pipeline,
            scope,
            {"maps": (f"name:w{number}=x{number}",)},
            decided=Decided(by="p"),
        )

    with ThreadPoolExecutor(4) as people:
        list(people.map(add, range(8)))
    versions = accounts_of(shop.desk.pipeline, shop.name)
    assert [one.version for one in versions] == list(range(8, 0, -1))
    assert {word for _, word, _ in versions[0].facts.maps} == {f"w{n}" for n in range(8)}


def test_a_setting_changed_between_dry_run_and_import_is_the_one_used_and_shown(shop: Shop) -> None:
    content = "ID,Born\n1,03/04/2025\n"
    shop.declare("--date-order", "day-first")
    dry = shop.desk.bring(content, name="x.csv", dry_run=True)
    shop.declare("--date-order", "month-first")
    real = shop.desk.bring(content, name="x.csv")
    assert (dry.settings_version, real.settings_version) == (1, 2)
    assert str(shop.desk.rows(columns="born_on")[0].born_on) == "2025-03-04"


def test_a_map_added_between_quarantine_and_replay_is_used_and_its_version_shown(
    shop: Shop,
) -> None:
    shop.declare("--feed", "moods", "--map", "mood:weg=rented")
    first = shop.desk.bring("Tag,Mood\nA1,da\nA2,weg\n", "moods")
    shop.declare("--feed", "moods", "--map", "mood:da=sold")
    back = f"_import_id,_row_number,Tag,Mood\n{first.import_id},2,A1,da\n"
    again = shop.desk.bring(back, "moods")
    assert (again.counts.inserted, again.settings_version) == (1, 2)


def test_what_one_account_declares_is_nothing_to_another(shop: Shop, pipeline: Pipeline) -> None:
    shop.declare("--feed", "people", "--map", "name:Ann=Anna", "--max-columns", "2")
    other = Desk(pipeline, f"{shop.name}-b", shop.desk.folder)
    report = other.bring("ID,Name,Amount\n1,Ann,5.00\n")
    assert (report.settings_version, other.rows(columns="name")[0].name) == (0, "Ann")
