"""An account is overdue by what it declares, or by the rhythm of its files, until a file comes."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from csv_pipeline.account import Account
from csv_pipeline.engine.accounts import declare
from csv_pipeline.storage import attention, overdue
from csv_pipeline.storage.overdue import Overdue
from csv_pipeline_tests.conftest import Desk

DAYS = timedelta(days=1)
CAME = sa.text("""
    INSERT INTO csv_pipeline.arrival
        (account, feed, location, name, size_bytes, modified_at, seen_at, status)
    VALUES (:account, :feed, :location, 'x.csv', 1, now(), now() - :ago, :status)
""")
TOLD = sa.text(
    "SELECT payload FROM csv_pipeline.outbox WHERE kind = 'overdue' "
    "AND payload ->> 'account' = :account ORDER BY outbox_id"
)


def came(desk: Desk, *ago: float, feed: str = "people", status: str = "imported") -> None:
    """Let files have come so many days ago."""
    with desk.pipeline.database.begin() as connection:
        for one in ago:
            facts = {"account": desk.account, "feed": feed, "status": status, "ago": one * DAYS}
            connection.execute(CAME, facts | {"location": f"{feed}/{one}.csv"})


def every(desk: Desk, often: str, feed: str = "") -> None:
    declare(desk.pipeline, Account(account=desk.account, feed=feed), {"expected_every": often})


def missed(desk: Desk) -> list[Overdue]:
    with desk.pipeline.database.begin() as connection:
        return overdue.find(connection, desk.account)


def told(desk: Desk) -> list[dict[str, str]]:
    with desk.pipeline.database.begin() as connection:
        overdue.notice(connection)
        return list(connection.scalars(TOLD, {"account": desk.account}))


def test_a_declared_account_is_overdue_until_a_file_comes(desk: Desk) -> None:
    came(desk, 2)
    every(desk, "24h")
    (one,) = missed(desk)
    assert (one.feed, one.evidence) == ("", "declared: a file every 24h")
    assert one.due_at - one.since == DAYS
    desk.bring("ID,Name,Amount\n1,Ann,5.00\n")
    assert missed(desk) == []


def test_a_file_that_is_refused_came_and_one_that_is_misplaced_did_not(desk: Desk) -> None:
    came(desk, 2)
    every(desk, "24h")
    came(desk, 0.1, status="misplaced")
    assert len(missed(desk)) == 1
    desk.bring("Colour,Size\nred,3\n")
    assert missed(desk) == []


def test_a_file_of_another_feed_is_none_of_the_feed_that_is_missed(desk: Desk) -> None:
    came(desk, 2)
    came(desk, 0.1, feed="moods")
    every(desk, "24h")
    assert missed(desk) == []
    every(desk, "24h", feed="people")
    assert [one.feed for one in missed(desk)] == ["people"]


def test_an_account_that_never_sent_a_file_is_missed_since_it_declared_it(desk: Desk) -> None:
    every(desk, "1h")
    assert missed(desk) == []
    with desk.pipeline.database.begin() as connection:
        age = sa.text(
            "UPDATE csv_pipeline.declaration SET declared_at = now() - interval '2 hours' "
            "WHERE account = :account"
        )
        connection.execute(age, {"account": desk.account})
    declare(desk.pipeline, Account(account=desk.account), {"currency": "USD"})
    (one,) = missed(desk)
    assert one.problem == "no file yet; declared: a file every 1h"


@pytest.mark.parametrize("last", [3.9, 4.1])
def test_who_sent_five_files_day_by_day_is_missed_after_a_weekend_and_a_day(
    desk: Desk, last: float
) -> None:
    came(desk, *(last + n for n in range(5)))
    found = missed(desk)
    assert [one.evidence[:24] for one in found] == ["learnt: of its last 5 de"] * (last > 4)


def test_who_sends_on_working_days_is_not_missed_on_a_weekend_that_is_a_day_longer(
    desk: Desk,
) -> None:
    workdays = [4 + n for n in range(26) if n % 7 not in {5, 6}]
    came(desk, *workdays)
    assert missed(desk) == []
    with desk.pipeline.database.begin() as connection:
        connection.execute(
            sa.text(
                "UPDATE csv_pipeline.arrival SET seen_at = seen_at - interval '3 days' "
                "WHERE account = :account"
            ),
            {"account": desk.account},
        )
    assert "none came later than 3.0 days" in missed(desk)[0].evidence


def test_files_that_came_together_or_by_no_rhythm_teach_nothing(desk: Desk) -> None:
    came(desk, *(300 + n / 10_000 for n in range(30)))
    came(desk, 500, 501, 503, 520, 560, 561, feed="moods")
    assert missed(desk) == []


def test_a_person_turns_off_what_was_learnt(desk: Desk) -> None:
    came(desk, *(100 + n for n in range(8)))
    assert len(missed(desk)) == 1
    every(desk, "never")
    assert missed(desk) == []


def test_an_overdue_account_is_told_once_and_again_when_it_is_late_again(desk: Desk) -> None:
    came(desk, 9)
    every(desk, "7d")
    assert len(told(desk)) == len(told(desk)) == 1
    came(desk, 8)
    (first, second) = told(desk)
    assert first["since"] < second["since"]
    assert second["problem"].endswith("declared: a file every 7d")
    came(desk, 0)
    assert len(told(desk)) == 2


def test_what_is_missed_needs_a_person_with_the_action_that_helps(desk: Desk) -> None:
    came(desk, 9)
    every(desk, "7d", feed="people")
    with desk.pipeline.database.begin() as connection:
        (need,) = attention.needs(connection, desk.account, 20, 3)
    assert (need.state, need.feed, need.name) == ("overdue", "people", "")
    assert need.at < datetime.now(UTC)


def test_a_file_that_fails_too_often_is_a_poison_file(desk: Desk) -> None:
    failed = desk.bring("Colour,Size\nred,3\n", name="p.csv")
    with desk.pipeline.database.begin() as connection:
        for table in ("import SET outcome = 'failed'", "arrival SET status = 'failed', failures=3"):
            connection.execute(
                sa.text(f"UPDATE csv_pipeline.{table} WHERE import_id = :id"),
                {"id": failed.import_id},
            )
        states = [
            [(need.state, need.dismissible) for need in attention.needs(connection, a, 20, most)]
            for a, most in ((desk.account, 3), (desk.account, 4))
        ]
    assert states == [[("poison", True)], [("failed", True)]]


@pytest.mark.parametrize(("last", "overdue_then"), [(35.3, False), (35.5, True)])
def test_who_sent_twenty_files_in_two_weeks_is_missed_after_twice_the_gap(
    desk: Desk, last: float, *, overdue_then: bool
) -> None:
    came(desk, *(last / 24 + n * 14.0001 / 19 for n in range(20)))
    assert bool(missed(desk)) is overdue_then
