"""Metrics of constituencies: each rule of the chain, against a careless reading of it."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from csv_pipeline.defs.chart import line_chart
from csv_pipeline.defs.metadata import MOST_LINES, derived_metadata
from csv_pipeline.feeds.election_metrics import CONSTITUENCY_METRICS
from csv_pipeline.storage.derived import contents
from csv_pipeline.storage.recompute import Recomputed
from csv_pipeline.storage.targets import FEW_ROWS
from csv_pipeline_tests.conftest import SAMPLES, Desk

FEED = "election_transactions"
CONTRACT = "AsrxMqfGWsXEgTmvdw95omtQ4Gv1Vi4mGAvLYy23DHpM"
NAME = f"{CONTRACT}_2024-09-06_0800-0900.csv"
EIGHT = 1725609600000  # 2024-09-06 08:00 UTC
VOTE = [{"key": "VOTE_a", "binaryValue": "AA=="}]


def line(tx: str, operation: str = "vote", *, at: int = EIGHT, **cells: Any) -> str:
    params = [{"key": "operation", "stringValue": operation}, *cells.get("params", [])]
    diff, rollback = json.dumps(cells.get("diff", VOTE)), cells.get("rollback", "")
    return f"{tx};104;s;4;{at};k;0;;{json.dumps(params)};{diff};{{}};{rollback}\n"


def hours(desk: Desk, columns: str) -> list[tuple[Any, ...]]:
    rows = desk.rows("constituency_metrics", columns, "contract_id, hour")
    return [tuple(row) for row in rows]


def test_the_sample_has_two_voters_and_three_votes_of_which_one_is_accepted(desk: Desk) -> None:
    """A ballot is repeated in it; a vote failed, and another was taken back."""
    desk.bring(SAMPLES / NAME, FEED)
    columns = "registered_voters, ballots_issued, votes_cast, votes_accepted, votes_rejected"
    rows = hours(desk, columns)
    assert [sum(row[at] for row in rows) for at in range(5)] == [2, 2, 3, 1, 2]
    assert hours(desk, "turnout")[-1] == (Decimal("0.5"),)


@pytest.mark.parametrize(
    ("diff", "rollback", "accepted"),
    [
        (VOTE, "", True),
        (VOTE, "0", True),  # only -1 takes back
        (VOTE, "1", True),
        (VOTE, "-1", False),
        ([], "", False),
        ([{"key": "FAIL_a"}], "", False),
        ([*VOTE, {"key": "FAIL_a"}], "", False),
        ([{"key": "FAIL"}, *VOTE], "", False),
        ([*VOTE, {"key": "NO_FAIL"}], "", True),  # begins with, not contains
        ([*VOTE, {"key": "fail_a"}], "", True),
        ([{"key": "MY_VOTE_a"}], "", False),
        ([{"key": "VOTEXa"}], "", False),  # in LIKE, `_` is any letter
        ([{"key": "vote_a"}], "", False),
        ([{"key": "x", "stringValue": "VOTE_a"}], "", False),  # a key, not a value
        ([{"stringValue": "FAIL_a"}, *VOTE], "", True),
        ({"VOTE_a": True}, "", True),
        ({"VOTE_a": True, "FAIL_b": True}, "", False),
        ("VOTE_a", "", False),
        (None, "", False),
    ],
)
def test_a_vote_is_accepted_by_its_changes_and_its_rollback(
    desk: Desk, diff: Any, rollback: str, *, accepted: bool
) -> None:
    desk.bring(line("a", diff=diff, rollback=rollback), FEED, NAME)
    found = hours(desk, "votes_cast, votes_accepted, votes_rejected")
    assert found == [(1, int(accepted), int(not accepted))]


def test_only_votes_are_votes(desk: Desk) -> None:
    desk.bring(line("a", "results") + line("b", "blindSigIssue") + line("c"), FEED, NAME)
    assert hours(desk, "ballots_issued, votes_cast, votes_accepted") == [(1, 1, 1)]


def test_voters_are_the_sum_of_the_counts_of_lists(desk: Desk) -> None:
    """Not the number of lists, nor what another operation says under the same key."""
    counts = ([{"key": "votersCount", "intValue": n}] for n in (2, 40, 500))
    lists = [line(f"l{n}", "addVotersList", params=p) for n, p in enumerate(counts)]
    other = line("o", params=[{"key": "votersCount", "intValue": 9}])
    desk.bring("".join(lists) + other, FEED, NAME)
    assert hours(desk, "registered_voters, lists_without_count") == [(542, 0)]


def test_only_a_vote_is_held_to_its_rollback_and_changes(desk: Desk) -> None:
    """Lists of voters and ballots count as they were told, as the votes cast do."""
    count = [{"key": "votersCount", "intValue": 5}]
    failed = [{"key": "FAIL_a"}]
    rows = [line("a", "addVotersList", params=count, rollback="-1")]
    rows += [line("b", "addVotersList", params=count, diff=failed)]
    rows += [line(tx, "blindSigIssue", rollback="-1", diff=failed) for tx in ("c", "d")]
    rows += [line("e", rollback="-1"), line("f", diff=failed), line("g")]
    desk.bring("".join(rows), FEED, NAME)
    columns = "registered_voters, ballots_issued, votes_cast, votes_accepted, votes_rejected"
    assert hours(desk, columns) == [(10, 2, 3, 1, 2)]


def test_a_count_in_text_is_read_and_a_list_without_one_is_told(desk: Desk) -> None:
    texts: tuple[Any, ...] = (
        [{"key": "votersCount", "stringValue": "12"}],
        [{"key": "votersCount"}],
        [],
    )
    lists = [line(f"l{n}", "addVotersList", params=p) for n, p in enumerate(texts)]
    desk.bring("".join(lists), FEED, NAME)
    assert hours(desk, "registered_voters, lists_without_count") == [(12, 2)]


def test_hours_are_those_of_the_transactions_in_utc_not_of_the_file(desk: Desk) -> None:
    at = (EIGHT - 1, EIGHT, EIGHT + 3_599_999, EIGHT + 3_600_000)
    desk.bring("".join(line(f"t{n}", at=ms) for n, ms in enumerate(at)), FEED, NAME)
    assert hours(desk, "hour, votes_cast") == [
        (datetime(2024, 9, 6, hour, tzinfo=UTC), votes) for hour, votes in ((7, 1), (8, 2), (9, 1))
    ]
    assert hours(desk, "first_activity, last_activity")[1] == (
        datetime(2024, 9, 6, 8, tzinfo=UTC),
        datetime(2024, 9, 6, 8, 59, 59, 999_000, tzinfo=UTC),
    )


def test_turnout_is_of_all_that_came_so_far(desk: Desk) -> None:
    voters = [{"key": "votersCount", "intValue": 8}]
    rows = [line("v", at=EIGHT - 3_600_000), line("l", "addVotersList", params=voters)]
    rows += [line("w"), line("x", at=EIGHT + 3_600_000)]
    desk.bring("".join(rows), FEED, NAME)
    assert hours(desk, "registered_so_far, accepted_so_far, turnout") == [
        (0, 1, None),
        (8, 2, Decimal("0.25")),
        (8, 3, Decimal("0.375")),
    ]


def test_an_earlier_hour_that_comes_late_changes_what_is_so_far(desk: Desk) -> None:
    voters = [{"key": "votersCount", "intValue": 4}]
    desk.bring(line("l", "addVotersList", params=voters) + line("a"), FEED, NAME)
    late = desk.bring(line("b", at=EIGHT - 3_600_000), FEED, NAME.replace("0800-0900", "0700-0800"))
    assert hours(desk, "accepted_so_far, turnout")[-1] == (2, Decimal("0.5"))
    desk.pipeline.undo(late.import_id)
    assert hours(desk, "accepted_so_far, turnout") == [(1, Decimal("0.25"))]


def test_constituencies_are_apart(desk: Desk) -> None:
    other = NAME.replace("Asrx", "Bsrx")
    desk.bring(line("a") + line("b"), FEED, NAME)
    desk.bring(line("c"), FEED, other)
    assert hours(desk, "left(contract_id, 4), accepted_so_far") == [("Asrx", 2), ("Bsrx", 1)]


def test_dagster_draws_the_ballots_and_votes_of_each_hour(desk: Desk) -> None:
    nine = EIGHT + 3_600_000
    issued, failed = line("a", "blindSigIssue"), line("b", at=nine, diff=[])
    desk.bring(issued + failed + line("c", at=nine), FEED, name=NAME)
    done = Recomputed(derived=CONSTITUENCY_METRICS.name, account=desk.account)
    with desk.pipeline.database.begin() as connection:
        has = contents(connection, CONSTITUENCY_METRICS, desk.account, MOST_LINES)
    assert [tuple(map(int, point[1:])) for point in has.points] == [(1, 0, 0, 0), (0, 2, 1, 1)]
    lines = ("ballots_issued", "votes_cast", "votes_accepted", "votes_rejected")
    drawn = derived_metadata(CONSTITUENCY_METRICS, done, has)["by hour"].value
    assert drawn == line_chart("constituency_metrics", lines, has.points)


@pytest.mark.parametrize("lines", [FEW_ROWS - 1, FEW_ROWS])
def test_the_last_line_of_as_many_as_an_index_holds_counts_and_is_undone(
    desk: Desk, lines: int
) -> None:
    """A file without a header has a row more than its number of lines: its first is row 2."""
    desk.bring(line("first"), FEED, name=NAME)
    last = line("last", at=EIGHT + 3_600_000)
    content = "".join(line(f"t{n}") for n in range(lines - 1)) + last
    report = desk.bring(content, FEED, name=NAME.replace("0800-0900", "0900-1000"))
    assert hours(desk, "votes_cast") == [(lines,), (1,)]
    desk.pipeline.undo(report.import_id)
    assert [row.nested_tx_id for row in desk.rows(FEED, "nested_tx_id")] == ["first"]
    assert hours(desk, "votes_cast") == [(1,)]
