"""Whose files are taken first, and when, as accounts declare it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from csv_pipeline.account import Account
from csv_pipeline.engine.accounts import declare
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.spec.cron import is_cron, last_moment
from csv_pipeline.storage import attention
from csv_pipeline_tests.test_defs_sensor import Landing

PRIORITY = "dagster/priority"
FRIDAY = datetime(2026, 11, 27, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("cron", "moment"),
    [
        ("* * * * *", "2026-11-27 12:30"),
        ("31 12 * * *", "2026-11-26 12:31"),
        ("*/20 * * * *", "2026-11-27 12:20"),
        ("0 22-23,4 * * *", "2026-11-27 04:00"),
        ("0 0 * * 0", "2026-11-22 00:00"),
        ("0 0 * * 7", "2026-11-22 00:00"),
        ("30 6 * * 1-4", "2026-11-26 06:30"),
        ("0 0 1 * *", "2026-11-01 00:00"),
        ("0 0 1 * 4", "2026-11-26 00:00"),
        ("0 0 29 2 *", "2024-02-29 00:00"),
        ("0 0 31 2 *", None),
    ],
)
def test_the_last_moment_of_a_cron_expression(cron: str, moment: str | None) -> None:
    expected = None if moment is None else datetime.fromisoformat(f"{moment}+00:00")
    assert is_cron(cron)
    assert last_moment(cron, FRIDAY) == expected


@pytest.fixture
def area(pipeline: Pipeline, account: str) -> Iterator[Landing]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Landing(pipeline, account, instance)


def says(area: Landing, feed: str = "", **changes: Any) -> None:
    declare(area.pipeline, Account(account=area.account, feed=feed), changes)


def test_files_wait_until_the_moment_that_their_account_declares(area: Landing) -> None:
    says(area, import_at="0 0 1 1 *")
    says(area, "versions", import_at="* * * * *")
    area.drop("night.csv")
    area.drop("now.csv", "Key,Value\na,1\n", feed="versions")
    came = (
        "UPDATE csv_pipeline.arrival SET seen_at = now() - CAST(:ago AS interval) "
        "WHERE account = :account"
    )

    def asked(ago: str) -> list[str]:
        area.requests()
        with area.pipeline.database.begin() as connection:
            connection.execute(sa.text(came), {"account": area.account, "ago": ago})
        area.let_time_pass()
        return sorted(request.tags["csv_pipeline/lane"] for request in area.requests())

    lanes = [f"{area.account}/{feed}" for feed in ("people", "versions")]
    assert asked("1 hour") == lanes[1:]
    with area.pipeline.database.begin() as connection:
        late = attention.needs(connection, area.account, 20, 3)
    assert [one.name for one in late] == ["now.csv"]
    assert asked("366 days") == lanes


def test_runs_of_a_higher_priority_go_first(area: Landing) -> None:
    says(area, priority=-5)
    says(area, "versions", priority=10)
    area.drop("usual.csv")
    area.drop("urgent.csv", "Key,Value\na,1\n", feed="versions")
    requests = area.requests()
    assert [(r.tags["csv_pipeline/lane"].split("/")[1], r.tags[PRIORITY]) for r in requests] == [
        ("versions", "10000"),
        ("people", "-5001"),
    ]
