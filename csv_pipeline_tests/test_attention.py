"""What needs a person is said until that person, or a better file, clears it."""

import io
import zipfile

import pytest
import sqlalchemy as sa

from csv_pipeline.engine.help import help_against
from csv_pipeline.errors import SetupError
from csv_pipeline.spec.feed import BrokenFeed
from csv_pipeline.storage import attention
from csv_pipeline.storage.attention import Need
from csv_pipeline_tests.conftest import Desk
from csv_pipeline_tests.test_overdue import came

WRONG = "Colour,Size\nred,3\n"
GOOD = "ID,Name,Amount\n1,Ann,5.00\n"
MESSY = "ID,Name,Amount\n3,Cid,7.00\n4,Dee,abc\n"


def needs(desk: Desk) -> list[Need]:
    with desk.pipeline.database.begin() as connection:
        return attention.needs(connection, desk.account, 20, 3)


def dismiss(desk: Desk, import_id: int) -> None:
    with desk.pipeline.database.begin() as connection:
        attention.dismiss(connection, import_id)


def test_no_time_clears_a_refused_file(desk: Desk) -> None:
    refused = desk.bring(WRONG)
    with desk.pipeline.database.begin() as connection:
        connection.execute(
            sa.text(
                "UPDATE csv_pipeline.import SET finished_at = now() - interval '1 year' "
                "WHERE import_id = :id"
            ),
            {"id": refused.import_id},
        )
    assert [(need.state, need.number) for need in needs(desk)] == [("refused", refused.import_id)]


def test_a_file_of_another_name_clears_nothing(desk: Desk) -> None:
    desk.bring(WRONG, name="a.csv")
    desk.bring(GOOD, name="b.csv")
    assert [need.name for need in needs(desk)] == ["a.csv"]


def test_a_file_of_the_same_name_whose_rows_are_stored_already_clears_it(desk: Desk) -> None:
    desk.bring(GOOD, name="b.csv")
    desk.bring(WRONG, name="a.csv")
    assert str(desk.bring(GOOD, name="a.csv").outcome) == "duplicate"
    assert needs(desk) == []


def test_an_archive_of_the_same_name_that_can_be_unpacked_clears_it(desk: Desk) -> None:
    desk.bring(b"PK\x03\x04 cut off", name="all.zip")
    assert [need.name for need in needs(desk)] == ["all.zip"]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("one.csv", GOOD)
        archive.writestr("two.csv", GOOD.replace("1,", "2,"))
    desk.bring(packed.getvalue(), name="all.zip")
    assert needs(desk) == []


def test_rows_to_correct_are_said_until_somebody_dismisses_them(desk: Desk) -> None:
    messy = desk.bring(MESSY)
    assert [(need.state, need.rows) for need in needs(desk)] == [("to correct", 1)]
    dismiss(desk, messy.import_id)
    assert needs(desk) == []


def test_only_what_needs_somebody_can_be_dismissed(desk: Desk) -> None:
    good = desk.bring(GOOD)
    for number in (good.import_id, 2**40):
        with pytest.raises(SetupError, match="refused or failed, or that rejected rows"):
            dismiss(desk, number)


def test_no_feed_hides_what_another_one_has(desk: Desk) -> None:
    for name in ("a.csv", "b.csv"):
        desk.bring(WRONG, name=name)
        desk.bring(MESSY.replace("Cid", name), name=f"messy {name}")
    desk.bring(WRONG, "limited", name="c.csv")
    desk.bring(WRONG, "limited", name="d.csv")
    with desk.pipeline.database.begin() as connection:
        found = attention.by_feed(connection, ["people", "limited", "unbound"], [], 1, 3)
    named = {
        feed: [one.name for one in its if one.account == desk.account]
        for feed, its in found.items()
        if feed
    }
    assert named == {"people": ["messy b.csv", "b.csv"], "limited": ["d.csv"], "unbound": []}


def test_what_is_of_a_feed_that_is_not_there_is_of_none(desk: Desk) -> None:
    desk.bring(WRONG, "limited", name="c.csv")
    with desk.pipeline.database.begin() as connection:
        found = attention.by_feed(connection, ["people"], [], 1_000, 3)
    assert (desk.account, "c.csv") in [(one.account, one.name) for one in found[None]]


def test_files_that_wait_for_their_time_need_nobody_and_hide_nothing(desk: Desk) -> None:
    desk.declare(import_at="0 0 1 1 *")
    desk.declare(feed="limited", import_at="* * * * *")
    lanes = {"people": 3, "limited": 1}
    for feed, files in lanes.items():
        came(desk, *(0.5 + one / 10 for one in range(files)), feed=feed, status="waiting")
    with desk.pipeline.database.begin() as connection:
        found = attention.needs(connection, desk.account, 1, 3)
        by_feed = attention.by_feed(connection, ["people", "limited"], [], 1, 3)
    assert [one.feed for one in found] == ["limited"]
    assert desk.account not in {one.account for one in by_feed["people"] if one.state == "waiting"}
    assert desk.account in {one.account for one in by_feed["limited"]}


def test_a_file_whose_worker_is_gone_waits_too(desk: Desk) -> None:
    came(desk, 0.5, status="claimed")
    assert needs(desk) == []
    over = "UPDATE csv_pipeline.arrival SET lease_expires_at = now() WHERE account = :account"
    with desk.pipeline.database.begin() as connection:
        connection.execute(sa.text(over), {"account": desk.account})
    assert [one.state for one in needs(desk)] == ["waiting"]


def test_a_feed_that_is_left_out_needs_who_sees_all_accounts(desk: Desk) -> None:
    broken = [BrokenFeed(name="sales", why="sales.yaml: a key was needed")]
    with desk.pipeline.database.begin() as connection:
        (one, *_) = attention.needs(connection, None, 20, 3, broken)
        assert attention.needs(connection, desk.account, 20, 3, broken) == []
    assert (one.state, one.feed) == ("broken feed", "sales")
    assert help_against(one).startswith("correct what declares it")
