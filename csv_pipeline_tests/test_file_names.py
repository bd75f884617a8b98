"""What a feed declares of its files' names: they tell columns, and other names are refused."""

import gzip
import unicodedata
from datetime import date

import pytest

from csv_pipeline.account import DateOrder
from csv_pipeline.engine import run
from csv_pipeline.engine.inspection import inspect_file
from csv_pipeline.errors import FileNameError, SetupError
from csv_pipeline.feeds import FEEDS
from csv_pipeline.model import Claim, ImportReport, Outcome
from csv_pipeline.spec.contract import Contract, column
from csv_pipeline.spec.feed import Feed
from csv_pipeline.spec.file_name import FileName, NamedFile
from csv_pipeline_tests.conftest import Desk, ingest
from csv_pipeline_tests.feeds import TEST_FEEDS
from csv_pipeline_tests.test_replay import sent_out
from csv_pipeline_tests.test_unpack import zipped

PRICES = "SKU,Price\n1,5.00\n"
NAME = "prices_2024-09-06.csv"


def landed(desk: Desk, path: str, content: str | bytes = PRICES) -> list[Claim]:
    """Put a file below the folder of the feed and return the claims of what is found there."""
    lane = desk.pipeline.settings.home / "landing" / desk.account / "prices"
    (lane / path).parent.mkdir(parents=True, exist_ok=True)
    (lane / path).write_bytes(content.encode() if isinstance(content, str) else content)
    desk.pipeline.scan(seconds=60, account=desk.account)
    return desk.pipeline.claim(desk.account, "prices")


def imported(desk: Desk, path: str, content: str | bytes = PRICES) -> ImportReport:
    """Import one file below the folder of the feed, and what comes out of it."""
    (claim,) = landed(desk, path, content)
    return ingest(desk.pipeline, claim)


def stored(desk: Desk) -> list[tuple[object, ...]]:
    found = desk.rows("prices", "sku, price::text, day, edition, region", "day, sku")
    return [tuple(row) for row in found]


def test_the_name_and_the_folders_tell_columns_of_each_row(desk: Desk) -> None:
    report = imported(desk, f"2024/90 - Пермский край/{NAME}", PRICES + "2,6.00\n")
    day, region = date(2024, 9, 6), "90 - Пермский край"
    assert stored(desk) == [("1", "5.00", day, None, region), ("2", "6.00", day, None, region)]
    told = {one.subject: one.decision for one in report.evidence}
    assert told["file name"] == "day '2024-09-06'"
    assert told["folders"] == "region '90 - Пермский край'"


def test_folders_that_are_spelled_with_combining_marks_tell_the_same(desk: Desk) -> None:
    imported(desk, unicodedata.normalize("NFD", f"90 - Пермский край/{NAME}"))
    assert stored(desk)[0][-1] == "90 - Пермский край"


def test_folders_that_the_pattern_does_not_explain_tell_nothing_and_say_so(desk: Desk) -> None:
    report = imported(desk, f"backup/{NAME}")
    assert stored(desk)[0][-1] is None
    assert ("folders", "nothing") in {(one.subject, one.decision) for one in report.evidence}


def test_another_name_is_refused_and_the_pattern_shown(desk: Desk) -> None:
    report = imported(desk, "prices.csv")
    assert (report.outcome, report.problem_code) == (Outcome.REFUSED, "file_name")
    assert report.problem == (
        "prices.csv: a name like prices_<YYYY-MM-DD>[_v<edition>].csv was needed, as feed "
        "'prices' declares; the file was uploaded as 'prices.csv'"
    )


def test_another_name_is_what_is_wrong_with_a_file_of_another_kind(desk: Desk) -> None:
    assert imported(desk, "readme.txt", b"%PDF-1.4 a document").problem_code == "file_name"


def test_a_name_that_only_begins_like_the_pattern_is_refused(desk: Desk) -> None:
    assert imported(desk, f"{NAME}.csv").problem_code == "file_name"


def test_a_name_that_tells_no_value_of_its_column_refuses_the_file(desk: Desk) -> None:
    report = imported(desk, "prices_2024-13-06.csv")
    assert report.problem_code == "file_name"
    assert report.problem is not None
    assert report.problem.endswith("'2024-13-06' is none")


def test_a_day_that_may_be_two_refuses_the_file_unless_the_account_says_which(desk: Desk) -> None:
    report = imported(desk, "prices_03-04-2024.csv")
    assert report.problem is not None
    assert report.problem.endswith("'03-04-2024' may be several values")
    desk.declare(date_order=DateOrder.DAY_FIRST)
    assert imported(desk, "prices_03-05-2024.csv").outcome is Outcome.IMPORTED
    assert stored(desk)[0][2] == date(2024, 5, 3)


def test_small_files_that_go_together_keep_what_their_own_names_tell(desk: Desk) -> None:
    claims = landed(desk, "prices_2024-09-06_v1.csv")
    claims += landed(desk, "90 - Пермский край/prices_2024-09-07_v2.csv")
    assert [report.counts.inserted for report in run.run(desk.pipeline, claims)] == [1, 1]
    told = [(date(2024, 9, 6), 1, None), (date(2024, 9, 7), 2, "90 - Пермский край")]
    assert [row[2:] for row in stored(desk)] == told


def test_equal_bytes_under_a_name_that_tells_something_else_are_no_duplicate(desk: Desk) -> None:
    names = (NAME, "prices_2024-09-07.csv", f"again/{NAME}")
    outcomes = [imported(desk, name).outcome for name in names]
    assert outcomes == [Outcome.IMPORTED, Outcome.IMPORTED, Outcome.DUPLICATE]
    assert [row[2] for row in stored(desk)] == [date(2024, 9, 6), date(2024, 9, 7)]


def test_a_compressed_file_is_named_without_what_says_so(desk: Desk) -> None:
    assert imported(desk, f"{NAME}.gz", gzip.compress(PRICES.encode())).counts.inserted == 1


def test_a_file_alone_in_an_archive_has_its_own_name_or_that_of_the_archive(desk: Desk) -> None:
    imported(desk, "all.zip", zipped({f"90 - Пермский край/{NAME}": PRICES}))
    imported(desk, "prices_2024-09-07.csv.zip", zipped({"data.csv": PRICES}))
    days = [(row[2], row[4]) for row in stored(desk)]
    assert days == [(date(2024, 9, 6), "90 - Пермский край"), (date(2024, 9, 7), None)]


def test_files_of_an_archive_have_their_own_names(desk: Desk) -> None:
    files = {f"90 - Пермский край/{NAME}": PRICES, "prices.csv": PRICES}
    imported(desk, "prices_2024-01-01.zip", zipped(files))
    reports = [ingest(desk.pipeline, c) for c in desk.pipeline.claim(desk.account, "prices")]
    assert {r.outcome for r in reports} == {Outcome.IMPORTED, Outcome.REFUSED}
    assert [row[2:] for row in stored(desk)] == [(date(2024, 9, 6), None, "90 - Пермский край")]


def test_a_file_put_back_from_the_archive_has_the_name_it_was_uploaded_under(desk: Desk) -> None:
    imported(desk, "prices_2024-09-06-20260722T101500Z.csv")
    assert stored(desk)[0][2] == date(2024, 9, 6)


def test_corrected_rows_have_what_the_name_of_their_own_file_told(desk: Desk) -> None:
    first = imported(desk, f"90 - Пермский край/{NAME}", PRICES + "2,six\n")
    second = desk.bring(sent_out(desk, first).replace("six", "6.00"), "prices", "corrected.csv")
    assert (second.outcome, second.repairs) == (Outcome.IMPORTED, first.import_id)
    assert stored(desk)[1] == ("2", "6.00", date(2024, 9, 6), None, "90 - Пермский край")


def test_the_day_of_a_name_decides_which_file_is_newer_and_then_the_arrival(desk: Desk) -> None:
    def price(name: str, value: str) -> str:
        desk.bring(f"SKU,Price\n1,{value}\n", "latest_prices", name)
        ((found,),) = desk.rows("latest_prices", "price::text")
        return str(found)

    assert price("2024-09-06.csv", "5.00") == "5.00"
    assert price("2024-09-08.csv", "5.00") == "5.00"  # which says that it is so on the 8th, too
    assert price("2024-09-07.csv", "7.00") == "5.00"
    assert price("2024-09-08_corrected.csv", "8.00") == "8.00"


def test_an_inspection_shows_what_the_name_tells_and_why_it_would_be_refused(desk: Desk) -> None:
    for name in (NAME, "prices.csv"):
        (desk.folder / name).write_text(PRICES)
    named, other = (
        inspect_file(desk.folder / name, desk.pipeline.settings, TEST_FEEDS, feed="prices")
        for name in (NAME, "prices.csv")
    )
    assert ("file name", "day '2024-09-06'") in {(e.subject, e.decision) for e in named.evidence}
    assert [p.fits for p in named.proposals if p.fit.feed == "prices"] == [True]
    (problem,) = (p.problem for p in other.proposals if p.fit.feed == "prices")
    assert problem.startswith("a name like prices_<YYYY-MM-DD>[_v<edition>].csv was needed")


def test_a_name_that_contradicts_its_folders_is_refused() -> None:
    declared = FileName(pattern=r"(?P<year>\d+)\.csv", shown="<year>.csv", folders=r"(?P<year>\d+)")
    assert declared.read("f", [NamedFile("2024.csv", ("2024",))]).texts == {"year": "2024"}
    with pytest.raises(FileNameError, match=r"year is '2023' by the folders '2023'"):
        declared.read("f", [NamedFile("2024.csv", ("2023",))])


def test_a_name_can_only_tell_derived_columns() -> None:
    class Row(Contract):
        """A row with a day of its own."""

        day: str = column("Day")

    named = FileName(pattern=r"(?P<day>.+)\.csv", shown="<day>.csv")
    with pytest.raises(SetupError, match="tells 'day', which is not derived"):
        Feed(name="days", description="", contract=Row, key=("day",), file_name=named)


def test_no_shipped_feed_tells_a_protected_column_by_a_name() -> None:
    for feed in FEEDS:
        told = feed.file_name.columns if feed.file_name else frozenset()
        assert not [c.name for c in feed.columns if c.protected and c.name in told]


# ---- the account in a name


def test_a_name_that_tells_its_account_is_imported_and_says_so(desk: Desk) -> None:
    name = f"{desk.account.upper()}_2024-09-06.csv"
    report = desk.bring(PRICES, "prices_of_accounts", name)
    assert report.counts.inserted == 1
    (told,) = (one.decision for one in report.evidence if one.subject == "file name")
    assert told == f"account {desk.account.upper()!r}, day '2024-09-06'"


def test_a_name_that_tells_another_account_is_refused_and_both_are_shown(desk: Desk) -> None:
    report = desk.bring(PRICES, "prices_of_accounts", "other_2024-09-06.csv")
    assert (report.outcome, report.problem_code) == (Outcome.REFUSED, "wrong_account")
    assert report.problem == (
        f"other_2024-09-06.csv: a file of account {desk.account!r}, for which it came, was needed; "
        "its name tells account 'other'; if it is that one's, put it into the folder of that "
        "account"
    )


def test_in_an_archive_the_name_of_each_file_tells_its_account(desk: Desk) -> None:
    name = f"{desk.account}_2024-09-06.csv"
    content = zipped({"other_2024-09-06.csv": PRICES.encode()})
    report = desk.bring(content, "prices_of_accounts", f"{name}.zip")
    assert report.problem_code == "wrong_account"


def test_rejected_rows_sent_back_may_have_any_name(desk: Desk) -> None:
    name = f"{desk.account}_2024-09-06.csv"
    report = desk.bring("SKU,Price\n1,abc\n2,6.00\n", "prices_of_accounts", name)
    fixed = sent_out(desk, report).replace("abc", "5.00")
    assert desk.bring(fixed, "prices_of_accounts", "fixed.csv").counts.inserted == 1
    days = {row.day for row in desk.rows("prices_of_accounts", "day")}
    assert days == {date(2024, 9, 6)}
